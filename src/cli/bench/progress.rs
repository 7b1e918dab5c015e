//! What is seen while a load goes on: a bar on a terminal, a line now and then without one. On standard
//! error, so that reports can be piped.

use crate::cli::out;
use bench::load::{Live, Load};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// How often a bar moves.
const BAR: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

/// Runs `work` while showing how far it is. `what` says what is going on.
pub fn during<T: Send>(what: &str, load: &Load, live: &Live, work: impl FnOnce() -> T + Send) -> T {
    let length = load.warmup + load.duration;
    let display = Display::new(what, length);
    thread::scope(|scope| {
        let working = scope.spawn(work);
        let mut shown = Duration::ZERO;
        while !working.is_finished() {
            thread::sleep(BAR.min(length / 20).max(Duration::from_millis(10)));
            let elapsed = live.started().elapsed();
            if display.is_bar() || elapsed >= shown + LINE {
                shown = elapsed;
                display.show(elapsed.min(length), &counted(live, elapsed));
            }
        }
        display.end();
        // A panic of the work is this thread's own.
        working
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn counted(live: &Live, elapsed: Duration) -> String {
    let answered = live.answered.load(Ordering::Relaxed);
    let failed = live.failed.load(Ordering::Relaxed);
    let rate = answered as f64 / elapsed.as_secs_f64().max(1e-9);
    format!("{rate:.0} answers/s, {failed} failed")
}

/// A bar, or lines.
pub struct Display {
    what: String,
    length: Duration,
    bar: Option<ProgressBar>,
}

impl Display {
    /// For something that takes about `length`.
    pub fn new(what: &str, length: Duration) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(
                Some(length.as_millis() as u64),
                ProgressDrawTarget::stderr(),
            );
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(what.to_owned());
            bar
        });
        Self {
            what: what.to_owned(),
            length,
            bar,
        }
    }

    /// For something of so many steps.
    pub fn steps(what: &str, steps: u64) -> Self {
        let display = Self::new(what, Duration::from_millis(steps));
        if !display.is_bar() {
            out::complaint(what);
        }
        display
    }

    /// For something of unknown length, whose parts are named.
    pub fn unmeasured(what: &str) -> Self {
        Self::new(what, Duration::ZERO)
    }

    /// This goes on now.
    pub fn note(&self, message: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(message.to_owned()),
            None => out::complaint(format!("{}: {message}", self.what)),
        }
    }

    /// The `n`th step is done.
    pub fn step(&self, n: u64, message: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(n);
                bar.set_message(message.to_owned());
            }
            None => out::complaint(format!("  {message}")),
        }
    }

    /// Whether this is a terminal's.
    pub fn is_bar(&self) -> bool {
        self.bar.is_some()
    }

    /// So far it is, and this is to be said of it.
    pub fn show(&self, elapsed: Duration, message: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(elapsed.as_millis() as u64);
                bar.set_message(message.to_owned());
            }
            None => out::complaint(format!(
                "{}: {} of {} s, {message}",
                self.what,
                elapsed.as_secs(),
                self.length.as_secs_f64()
            )),
        }
    }

    /// A line that stays, above the bar.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => out::complaint(line),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
