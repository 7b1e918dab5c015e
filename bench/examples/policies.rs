//! What a decision costs, bytes allocated included: this program's allocator counts, which the `rhumb`
//! binary's does not, so that its hot paths do not pay for it.
//!
//! `cargo run --release -p rhumb-bench --example policies [-- --full] [--markdown | --json] [--seconds 0.2]`

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose output is its purpose"
)]

use bench::policies::{Matrix, Options, json, markdown, run, text};
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let seconds = arguments.iter().skip_while(|a| *a != "--seconds").nth(1);
    let seconds: Option<f64> = seconds.and_then(|text| text.parse().ok());
    let mut options = Options {
        allocated: Some(|work| allocation_counter::measure(work).bytes_total),
        ..Options::default()
    };
    if has("--full") {
        options.matrix = Matrix::Full;
    }
    if let Some(time) = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()) {
        options.time = time;
    }
    let results = run(&options, &mut |cell| eprintln!("{cell}"));
    if has("--json") {
        match json(&results) {
            Ok(text) => println!("{text}"),
            Err(problem) => eprintln!("{problem}"),
        }
    } else if has("--markdown") {
        println!("{}", markdown(&results));
    } else {
        println!("{}", text(&results));
    }
}
