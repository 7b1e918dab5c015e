//! Keeps the state file fresh: written when something changed, and now and then so that it does not grow
//! old. The file is replaced whole, so a crash leaves the old one or the new one, never half of either.

use crate::restore::{STATE_FILE, StateFile, VERSION};
use crate::shared::{Shared, now};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The least time between two saves.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// After so many quiet periods the file is saved anyway: well within
/// [`MAX_AGE`](crate::restore::MAX_AGE).
const REFRESH_AFTER: u32 = 60;

/// Saves the state of a checker.
#[derive(Clone, Debug)]
pub(crate) struct Saver {
    shared: Arc<Shared>,
    dir: PathBuf,
}

impl Saver {
    pub(crate) fn new(shared: Arc<Shared>, dir: PathBuf) -> Self {
        Self { shared, dir }
    }

    /// Runs until cancelled. Does not save a last time: probes may still be going on then.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let mut quiet = 0;
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = sleep(SAVE_EVERY) => {}
            }
            quiet += 1;
            if self.shared.take_unsaved() || quiet >= REFRESH_AFTER {
                quiet = 0;
                self.save().await;
            }
        }
    }

    /// Saves now. A failure is logged with its path and counted, and tried again with the next period.
    pub(crate) async fn save(&self) {
        let targets = self
            .shared
            .board()
            .targets()
            .iter()
            .map(|target| target.saved())
            .collect();
        let file = StateFile {
            version: VERSION,
            saved_at: now(),
            targets,
        };
        let dir = self.dir.clone();
        let result = spawn_blocking(move || write(&dir, &file)).await;
        let result = result.unwrap_or_else(|e| Err(io::Error::other(e)));
        self.shared.metrics.saved(result.is_ok());
        if let Err(error) = result {
            self.shared.mark_unsaved();
            tracing::warn!(
                path = %self.dir.join(STATE_FILE).display(), %error,
                "health cannot be saved, so a restart would begin without it; check that state_dir \
                 exists, is writable and has room"
            );
        }
    }
}

/// Replaces the state file: a temporary file beside it, synced, renamed over it.
///
/// # Errors
/// Whatever the file system says; the old file is still whole then.
pub(crate) fn write(dir: &Path, file: &StateFile) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut temporary = tempfile::Builder::new()
        .prefix(".health-")
        .tempfile_in(dir)?;
    let bytes = serde_json::to_vec(file)?;
    temporary.write_all(&bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(dir.join(STATE_FILE))?;
    // The rename itself is safe only once the directory is.
    File::open(dir)?.sync_all()
}
