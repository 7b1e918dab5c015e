//! What `bench dns` and `bench http` have in common: which config, which clients, how hard, how long.

use super::reports::Reports;
use crate::cli::{ConfigFile, UNASKABLE, explain, load, out};
use bench::asks::Asks;
use bench::clients::Population;
use bench::load::{Load, Pace};
use bench::subject::Subject;
use std::error::Error;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;
use steering::Plane;

#[derive(clap::Args)]
pub struct Asking {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Only these services; all of them when left out
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,
    /// Who asks: `all` (every range of the location table), a mix such as DE=20,US=50,SG=30, or a file
    /// with one address a line
    #[arg(long, value_name = "WHO", default_value = "all")]
    clients: String,
    /// How many different questions are prepared; they are asked in turn, over and over
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    questions: u32,
    /// The seed of clients and draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Suppose that this pool or region is down when judging; may be given several times
    #[arg(long, value_name = "NAME")]
    down: Vec<String>,
    /// Open loop: so many questions a second, whether answers come or not; latency counts from the
    /// moment a question was due
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "concurrency", value_parser = rate)]
    rate: Option<f64>,
    /// Closed loop: so many questions in flight, the next one when an answer comes
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub concurrency: u32,
    /// How long to ask
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// How long to ask before anything counts
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration)]
    warmup: Duration,
    /// How long an answer is waited for
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    timeout: Duration,
    /// Threads that ask
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// The processors to ask from, such as 1,3: one a thread, in turn
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    processors: Vec<usize>,
    #[command(flatten)]
    pub reports: Reports,
}

/// A run that is ready to start.
pub struct Prepared {
    pub subject: Subject,
    pub asks: Asks,
    pub load: Load,
    pub seed: u64,
}

impl Asking {
    /// Reads the config, draws the clients, and says what is wrong.
    pub fn prepare(&self, plane: Plane) -> Result<Prepared, u8> {
        let candidate = load(&self.config.config).map_err(|_| UNASKABLE)?;
        let snapshot = explain::supposed(&candidate, &self.down, &self.config.config)
            .map_err(|_| UNASKABLE)?;
        let unaskable = |error: &dyn std::fmt::Display| {
            out::complaint(error);
            UNASKABLE
        };
        let mut subject = Subject::new(&candidate.checked, &snapshot)
            .and_then(|subject| subject.only(&self.service))
            .map_err(|error| unaskable(&error))?;
        subject.snapshot = snapshot.into();
        warn_of_ambiguity(&subject);
        let population = population(&self.clients).map_err(|error| unaskable(&error))?;
        let questions = self.questions as usize;
        let asks = Asks::new(&subject, plane, &population, questions, self.seed)
            .map_err(|error| unaskable(&error))?;
        Ok(Prepared {
            subject,
            asks,
            load: self.load(),
            seed: self.seed,
        })
    }

    fn load(&self) -> Load {
        let pace = match self.rate {
            Some(rate) => Pace::Open { rate },
            None => Pace::Closed {
                in_flight: self.concurrency as usize,
            },
        };
        Load {
            pace,
            duration: self.duration,
            warmup: self.warmup,
            timeout: self.timeout,
            threads: self.threads.into(),
            processors: self.processors.clone(),
            ..Load::default()
        }
    }
}

fn population(text: &str) -> Result<Population, bench::clients::ClientsError> {
    match text {
        "all" => Ok(Population::World),
        mix if mix.contains('=') => Population::parse_mix(mix),
        file => Population::from_file(Path::new(file)),
    }
}

/// Regions that publish one address can't be told apart by the answers.
fn warn_of_ambiguity(subject: &Subject) {
    const SHOWN: usize = 5;
    if let Some(first) = subject.ambiguous.chunks(SHOWN).next() {
        out::complaint(format!(
            "note: {} addresses are published by several regions and count for the first of them ({})",
            subject.ambiguous.len(),
            first.join(", ")
        ));
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    if (0.1..=1e8).contains(&rate) {
        Ok(rate)
    } else {
        Err("must be between 0.1 and 100000000 a second".to_owned())
    }
}

/// `10s`, `500ms`, `2m`, as in the config.
pub fn duration(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(24 * 3_600);
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a time such as 500ms, 10s or 2m"))?;
    if duration > LONGEST {
        return Err("is more than a day".to_owned());
    }
    Ok(duration)
}

/// An address with a port; a host name is looked up.
pub fn server(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs();
    let mut found = found.map_err(|error| format!("{error}; write ADDRESS:PORT"))?;
    found.next().ok_or_else(|| "has no address".to_owned())
}

/// An error with what caused it.
pub fn complain(error: &dyn Error) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    out::complaint(text);
}
