//! The query log: what DNS tells of the queries that were picked, as lines; opened anew when a reload says so.
//!
//! A worker never waits here: lines go to a bounded queue, and what does not fit is dropped and counted.

use config::checked::{self, LogFormat, LogTarget};
use dns::message::class_name;
use dns::{Logged, Outcome};
use parking_lot::RwLock;
use prometheus::{IntCounter, Registry};
use proxy::{AccessLogTarget, LineLog};
use serde::Serialize;
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

/// The most lines that wait for the writer.
const QUEUE: usize = 8_192;

/// The query log, whether there is one or not.
pub struct QueryLog {
    open: RwLock<Option<Arc<Open>>>,
    dropped: IntCounter,
}

/// A log that is written to.
struct Open {
    config: checked::QueryLog,
    log: LineLog,
}

/// It can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file, and why not.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Its metric's name is taken: a defect.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A log that is open and not yet written to: the other half of a change.
pub struct Prepared(Option<Arc<Open>>);

impl QueryLog {
    /// Opens it, if there is to be one.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn start(
        config: Option<&checked::QueryLog>,
        registry: &Registry,
    ) -> Result<Arc<Self>, OpenError> {
        let dropped = IntCounter::new(
            "rhumb_dns_query_log_dropped_total",
            "Query log lines that did not fit into the queue",
        )?;
        registry.register(Box::new(dropped.clone()))?;
        let log = Self {
            open: RwLock::new(None),
            dropped,
        };
        let prepared = log.prepare(config)?;
        log.change(prepared);
        Ok(Arc::new(log))
    }

    /// Opens what `config` says, unless that is what is open.
    ///
    /// # Errors
    /// When the file can't be opened; then nothing has changed.
    pub fn prepare(&self, config: Option<&checked::QueryLog>) -> io::Result<Prepared> {
        let Some(config) = config else {
            return Ok(Prepared(None));
        };
        if let Some(open) = self
            .open
            .read()
            .as_ref()
            .filter(|open| open.config == *config)
        {
            return Ok(Prepared(Some(open.clone())));
        }
        let target = match &config.to {
            LogTarget::Stdout => AccessLogTarget::Stdout,
            LogTarget::File(path) => AccessLogTarget::File(path.clone()),
        };
        let log = LineLog::start("query log", &target, QUEUE, self.dropped.clone())?;
        let config = config.clone();
        Ok(Prepared(Some(Arc::new(Open { config, log }))))
    }

    /// Writes to what was prepared from now on.
    pub fn change(&self, prepared: Prepared) {
        let before = std::mem::replace(&mut *self.open.write(), prepared.0);
        // Its lines are written out here, not while workers want the lock.
        drop(before);
    }

    /// Opens the file again, after it was moved away.
    pub fn reopen(&self) {
        if let Some(open) = &*self.open.read() {
            open.log.reopen();
        }
    }

    /// Hands a line over.
    pub fn write(&self, logged: &Logged<'_>) {
        // Held only for a moment, while a reload changes it.
        let Some(open) = self.open.try_read() else {
            self.dropped.inc();
            return;
        };
        if let Some(open) = &*open {
            let line = Line::new(logged, SystemTime::now());
            open.log.write(match open.config.format {
                LogFormat::Json => line.json(),
                LogFormat::Text => line.text(),
            });
        }
    }
}

/// One line. What is not known is left out.
#[derive(Debug, Serialize)]
struct Line {
    time: String,
    client: String,
    transport: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    rtype: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subnet: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rcode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    limited: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    size: usize,
    seconds: f64,
}

impl Line {
    fn new(logged: &Logged<'_>, now: SystemTime) -> Self {
        let query = logged.query();
        let (table, planes) = (logged.snapshot.table(), logged.snapshot.table().planes());
        let answered = match logged.outcome {
            Outcome::Answered(summary) => Some(summary),
            Outcome::Rejected(_) | Outcome::Notified(_) | Outcome::Dropped => None,
        };
        let decided = answered.and_then(|summary| summary.decided);
        let service = decided.and_then(|decided| table.services().get(decided.service.index()));
        let region = decided.and_then(|decided| table.regions().get(decided.region?.index()));
        let zone = answered.and_then(|summary| {
            let apexes = planes.find::<dns::Zones>()?.apexes();
            let apex = apexes.into_iter().nth(summary.zone? as usize)?;
            Some(apex.to_string())
        });
        let subnet = query.as_ref().and_then(|query| query.edns?.ecs);
        Self {
            time: humantime::format_rfc3339_millis(now).to_string(),
            client: logged.peer.to_canonical().to_string(),
            transport: logged.transport.name(),
            name: query.as_ref().map(|query| query.name.to_string()),
            rtype: query.as_ref().map(|query| query.rtype.to_string()),
            class: query.as_ref().map(|query| class_name(query.class)),
            subnet: subnet.and_then(|ecs| Some(format!("{}/{}", ecs.client()?, ecs.source()))),
            scope: subnet.and(answered).map(|summary| summary.scope),
            rcode: logged.rcode().map(dns::Rcode::name),
            zone,
            service: service.map(|service| service.name.to_string()),
            verdict: decided.map(|decided| decided.verdict.name()),
            region: region.map(|region| region.name.to_string()),
            generation: logged.snapshot.generation(),
            limited: logged.limited.map(dns::metrics::Limited::name),
            truncated: answered.is_some_and(|summary| summary.truncated),
            size: logged.size,
            seconds: logged.took.as_secs_f64(),
        }
    }

    fn json(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    fn text(&self) -> Vec<u8> {
        let mut line = format!(
            "{} {} {} {} {} {} {}",
            self.time,
            self.client,
            self.transport,
            self.name.as_deref().unwrap_or("-"),
            self.class.as_deref().unwrap_or("-"),
            self.rtype.as_deref().unwrap_or("-"),
            self.rcode.unwrap_or("dropped"),
        );
        let scope = self.scope.map(|scope| scope.to_string());
        let size = self.size.to_string();
        let pairs = [
            ("zone", self.zone.as_deref()),
            ("service", self.service.as_deref()),
            ("verdict", self.verdict),
            ("region", self.region.as_deref()),
            ("subnet", self.subnet.as_deref()),
            ("scope", scope.as_deref()),
            ("limited", self.limited),
            ("truncated", self.truncated.then_some("yes")),
            ("size", Some(&size)),
        ];
        for (key, value) in pairs {
            if let Some(value) = value {
                let _ = write!(line, " {key}={value}");
            }
        }
        let _ = writeln!(
            line,
            " generation={} seconds={:.9}",
            self.generation, self.seconds
        );
        line.into_bytes()
    }
}
