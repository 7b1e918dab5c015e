//! The access log: one JSON object a line, one write a batch of lines, by a thread of its own.
//!
//! A request never waits for it: the queue is bounded, and what does not fit is dropped and counted.
//! Nothing is rotated here; [`AccessLog::reopen`] is for whoever moved the file away.

use crate::settings::AccessLogTarget;
use parking_lot::Mutex;
use prometheus::IntCounter;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The most bytes of a path or host that a line carries.
const MAX_TEXT: usize = 2048;

/// Lines are written together up to this many bytes.
const BATCH: usize = 64 * 1024;

/// How long lines gather after a write. A writer that waited for each line would have to be woken by the
/// request that has it, which costs that request more than the line does.
const GATHER: Duration = Duration::from_millis(10);

/// One line. What is not known is left out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Record<'a> {
    pub time: String,
    pub client: String,
    pub peer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub protocol: &'a str,
    pub status: u16,
    pub request_bytes: usize,
    pub bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_connect_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_first_byte_seconds: Option<f64>,
    pub seconds: f64,
    pub retries: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<&'a str>,
}

impl Record<'_> {
    fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// Text as it may stand in a line: cut where it is too long.
pub(crate) fn clip(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

enum Message {
    Line(Vec<u8>),
    Reopen,
}

/// The way in to the writer.
#[derive(Debug)]
pub(crate) struct AccessLog {
    queue: Option<SyncSender<Message>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    dropped: IntCounter,
}

impl AccessLog {
    /// Opens the target and starts the writer.
    pub(crate) fn start(
        target: &AccessLogTarget,
        capacity: usize,
        dropped: IntCounter,
    ) -> io::Result<Self> {
        let Some(sink) = Sink::open(target)? else {
            return Ok(Self {
                queue: None,
                writer: Mutex::new(None),
                dropped,
            });
        };
        let (queue, lines) = sync_channel(capacity.max(1));
        let writer = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_lines(sink, &lines))?;
        Ok(Self {
            queue: Some(queue),
            writer: Mutex::new(Some(writer)),
            dropped,
        })
    }

    /// Whether lines are written at all: making one is not free.
    pub(crate) fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Hands one line over; never waits.
    pub(crate) fn write(&self, record: &Record<'_>) {
        if let Some(queue) = &self.queue
            && queue.try_send(Message::Line(record.line())).is_err()
        {
            self.dropped.inc();
        }
    }

    /// Opens the file again, after it was moved away. Lines handed over before go to the old one.
    pub(crate) fn reopen(&self) {
        if let Some(queue) = &self.queue
            && let Err(TrySendError::Full(_)) = queue.try_send(Message::Reopen)
        {
            tracing::warn!("the access log is too busy to be opened again; ask once more");
        }
    }
}

impl Drop for AccessLog {
    /// Waits until what was handed over is written.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.lock().take() {
            let _ = writer.join();
        }
    }
}

#[derive(Debug)]
struct Sink {
    target: AccessLogTarget,
    out: Out,
}

#[derive(Debug)]
enum Out {
    Stdout,
    File(File),
}

impl Sink {
    fn open(target: &AccessLogTarget) -> io::Result<Option<Self>> {
        let out = match target {
            AccessLogTarget::Off => return Ok(None),
            AccessLogTarget::Stdout => Out::Stdout,
            AccessLogTarget::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                Out::File(file.map_err(|e| {
                    io::Error::new(e.kind(), format!("access log {}: {e}", path.display()))
                })?)
            }
        };
        Ok(Some(Self {
            target: target.clone(),
            out,
        }))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.out {
            Out::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
            Out::File(file) => file.write_all(bytes),
        }
    }

    fn reopen(&mut self) {
        match Self::open(&self.target) {
            Ok(Some(sink)) => *self = sink,
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the access log keeps writing to the old file"),
        }
    }
}

/// Takes what is waiting, writes it at once, lets more gather, and goes on until nobody can send any more.
fn write_lines(mut sink: Sink, lines: &Receiver<Message>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut failed = false;
    while let Ok(message) = lines.recv() {
        let mut next = Some(message);
        while let Some(message) = next {
            match message {
                Message::Line(line) => batch.extend_from_slice(&line),
                Message::Reopen => {
                    flush(&mut sink, &mut batch, &mut failed);
                    sink.reopen();
                }
            }
            next = if batch.len() < BATCH {
                lines.try_recv().ok()
            } else {
                None
            };
        }
        let full = batch.len() >= BATCH;
        flush(&mut sink, &mut batch, &mut failed);
        if !full {
            std::thread::sleep(GATHER);
        }
    }
}

/// Writes the batch. A failing disk is said once, until it works again.
fn flush(sink: &mut Sink, batch: &mut Vec<u8>, failed: &mut bool) {
    if batch.is_empty() {
        return;
    }
    match sink.write(batch) {
        Ok(()) => *failed = false,
        Err(error) if !*failed => {
            *failed = true;
            tracing::error!(%error, "access log lines are lost; check the disk");
        }
        Err(_) => {}
    }
    batch.clear();
}

/// Seconds with microseconds, as lines carry them.
pub(crate) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

/// A time as RFC 3339 in UTC with milliseconds; a clock before 1970 is taken for 1970.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time.max(UNIX_EPOCH)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter() -> IntCounter {
        IntCounter::new("dropped", "lines").expect("a counter")
    }

    #[test]
    fn times_are_rfc3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_line_is_one_json_object_whatever_the_client_sent() {
        let record = Record {
            path: "/\"\n\u{7f}é",
            host: "h",
            ..Record::default()
        };
        let line = record.line();
        assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
        let value: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(value["path"], "/\"\n\u{7f}é");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let text = "é".repeat(MAX_TEXT);
        assert!(clip(&text).len() <= MAX_TEXT);
        assert_eq!(clip("short"), "short");
    }

    #[test]
    fn lines_reach_the_file_and_a_moved_file_is_opened_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, moved) = (
            dir.path().join("access.log"),
            dir.path().join("access.log.1"),
        );
        let log =
            AccessLog::start(&AccessLogTarget::File(path.clone()), 16, counter()).expect("a log");
        log.write(&Record {
            status: 200,
            ..Record::default()
        });
        std::fs::rename(&path, &moved).expect("moved");
        log.reopen();
        log.write(&Record {
            status: 204,
            ..Record::default()
        });
        drop(log);
        let lines = std::fs::read_to_string(&path).expect("the new file");
        assert!(lines.contains("\"status\":204"), "{lines}");
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let dropped = counter();
        let (queue, lines) = sync_channel(1);
        let log = AccessLog {
            queue: Some(queue),
            writer: Mutex::new(None),
            dropped: dropped.clone(),
        };
        for _ in 0..3 {
            log.write(&Record::default());
        }
        assert_eq!(dropped.get(), 2);
        drop(lines);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let target = AccessLogTarget::File("/nonexistent/access.log".into());
        let error = AccessLog::start(&target, 1, counter()).expect_err("no such directory");
        assert!(error.to_string().contains("/nonexistent/access.log"));
    }
}
