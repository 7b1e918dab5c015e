//! Lines for a file or standard output: one write a batch of lines, by a thread of its own.
//!
//! Who has a line never waits: the queue is bounded, and what does not fit is dropped and counted. Nothing is
//! rotated here; [`LineLog::reopen`] is for whoever moved the file away.

use crate::settings::AccessLogTarget;
use parking_lot::Mutex;
use prometheus::IntCounter;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Lines are written together up to this many bytes.
const BATCH: usize = 64 * 1024;

/// How long lines gather after a write. A writer that waited for each line would have to be woken by the
/// request that has it, which costs that request more than the line does.
const GATHER: Duration = Duration::from_millis(10);

enum Message {
    Line(Vec<u8>),
    Reopen,
}

/// The way in to the writer.
#[derive(Debug)]
pub struct LineLog {
    name: &'static str,
    queue: Option<SyncSender<Message>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    dropped: IntCounter,
}

impl LineLog {
    /// Opens the target and starts the writer. `name` is what messages call it; at most `capacity` lines wait.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread be had.
    pub fn start(
        name: &'static str,
        target: &AccessLogTarget,
        capacity: usize,
        dropped: IntCounter,
    ) -> io::Result<Self> {
        let Some(sink) = Sink::open(name, target)? else {
            return Ok(Self {
                name,
                queue: None,
                writer: Mutex::new(None),
                dropped,
            });
        };
        let (queue, lines) = sync_channel(capacity.max(1));
        let writer = std::thread::Builder::new()
            .name(name.replace(' ', "-"))
            .spawn(move || write_lines(sink, &lines))?;
        Ok(Self {
            name,
            queue: Some(queue),
            writer: Mutex::new(Some(writer)),
            dropped,
        })
    }

    /// Whether lines are written at all: making one is not free.
    pub fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Hands one line over, line feed included; never waits.
    pub fn write(&self, line: Vec<u8>) {
        if let Some(queue) = &self.queue
            && queue.try_send(Message::Line(line)).is_err()
        {
            self.dropped.inc();
        }
    }

    /// Opens the file again, after it was moved away. Lines handed over before go to the old one.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue
            && let Err(TrySendError::Full(_)) = queue.try_send(Message::Reopen)
        {
            tracing::warn!(
                "the {} is too busy to be opened again; ask once more",
                self.name
            );
        }
    }
}

impl Drop for LineLog {
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
    name: &'static str,
    target: AccessLogTarget,
    out: Out,
}

#[derive(Debug)]
enum Out {
    Stdout,
    File(File),
}

impl Sink {
    fn open(name: &'static str, target: &AccessLogTarget) -> io::Result<Option<Self>> {
        let out = match target {
            AccessLogTarget::Off => return Ok(None),
            AccessLogTarget::Stdout => Out::Stdout,
            AccessLogTarget::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                Out::File(file.map_err(|e| {
                    io::Error::new(e.kind(), format!("{name} {}: {e}", path.display()))
                })?)
            }
        };
        Ok(Some(Self {
            name,
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
        match Self::open(self.name, &self.target) {
            Ok(Some(sink)) => *self = sink,
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "the {} keeps writing to the old file", self.name)
            }
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
            tracing::error!(%error, "{} lines are lost; check the disk", sink.name);
        }
        Err(_) => {}
    }
    batch.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter() -> IntCounter {
        IntCounter::new("dropped", "lines").expect("a counter")
    }

    #[test]
    fn lines_reach_the_file_and_a_moved_file_is_opened_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, moved) = (
            dir.path().join("access.log"),
            dir.path().join("access.log.1"),
        );
        let log = LineLog::start(
            "access log",
            &AccessLogTarget::File(path.clone()),
            16,
            counter(),
        )
        .expect("a log");
        log.write(b"200\n".to_vec());
        std::fs::rename(&path, &moved).expect("moved");
        log.reopen();
        log.write(b"204\n".to_vec());
        drop(log);
        let lines = std::fs::read_to_string(&path).expect("the new file");
        assert!(lines.ends_with("204\n"), "{lines}");
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let dropped = counter();
        let (queue, lines) = sync_channel(1);
        let log = LineLog {
            name: "access log",
            queue: Some(queue),
            writer: Mutex::new(None),
            dropped: dropped.clone(),
        };
        for _ in 0..3 {
            log.write(Vec::new());
        }
        assert_eq!(dropped.get(), 2);
        drop(lines);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let target = AccessLogTarget::File("/nonexistent/access.log".into());
        let error =
            LineLog::start("access log", &target, 1, counter()).expect_err("no such directory");
        assert!(error.to_string().contains("/nonexistent/access.log"));
    }
}
