//! Notices that a file changed: config, includes, zones, certificates, databases.
//!
//! It watches the folders, not the files: editors rename a new file over the old one, and Kubernetes
//! swaps a symbolic link beside it. Any event there, and a look every few seconds where events do not
//! come (network file systems), leads to a comparison of what each path now leads to. It never reads a
//! file's content.

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

/// How long files must be left alone before a change is taken to be finished.
const QUIET: Duration = Duration::from_millis(150);
/// The longest a change is held back by further ones.
const AT_MOST: Duration = Duration::from_secs(2);
/// How often files are compared without any event.
const POLL: Duration = Duration::from_secs(3);

/// What a path leads to: target, device and inode, length, modification time.
type Print = Option<(PathBuf, u64, u64, u64, i64, i64)>;

/// A set of files, and what they led to when last looked at.
pub struct Watcher {
    prints: BTreeMap<PathBuf, Print>,
    folders: BTreeSet<PathBuf>,
    inner: Option<RecommendedWatcher>,
    events: mpsc::Receiver<()>,
    /// The names of the files and of what they lead to, for the thread that takes events.
    names: Arc<Mutex<BTreeSet<OsString>>>,
}

impl Watcher {
    /// A watcher of no files yet. Where the system gives no file events it compares every few seconds
    /// and says so.
    pub fn new() -> Self {
        // One waiting event is enough: it means "look again".
        let (sender, events) = mpsc::channel(1);
        let names = Arc::new(Mutex::new(BTreeSet::new()));
        let ours = names.clone();
        let handler = move |event: notify::Result<notify::Event>| {
            if !event.as_ref().is_ok_and(|event| is_another(event, &ours)) {
                let _ = sender.try_send(());
            }
        };
        let inner = notify::recommended_watcher(handler)
            .inspect_err(|error| tracing::warn!(%error, "no file events; comparing files every {} s", POLL.as_secs()))
            .ok();
        Self {
            prints: BTreeMap::new(),
            folders: BTreeSet::new(),
            inner,
            events,
            names,
        }
    }

    /// Watches exactly these files from now on. A file that was watched before is compared with what it
    /// led to when it was last seen to change: what happened to it since, while a reload was reading,
    /// is a change still to be told.
    pub fn set(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let mut seen = std::mem::take(&mut self.prints);
        let print_of = |file: PathBuf| {
            let known = seen.remove(&file).unwrap_or_else(|| print(&file));
            (file, known)
        };
        let files: BTreeSet<PathBuf> = files.into_iter().collect();
        self.prints = files.into_iter().map(print_of).collect();
        let names = self.prints.iter().flat_map(|(file, print)| {
            let target = print.as_ref().and_then(|print| print.0.file_name());
            file.file_name().into_iter().chain(target)
        });
        *self.names.lock() = names.map(OsString::from).collect();
        let folders: BTreeSet<PathBuf> =
            self.prints.keys().filter_map(|file| folder(file)).collect();
        if let Some(inner) = &mut self.inner {
            for gone in self.folders.difference(&folders) {
                let _ = inner.unwatch(gone);
            }
            for new in folders.difference(&self.folders) {
                if let Err(error) = inner.watch(new, RecursiveMode::NonRecursive) {
                    tracing::warn!(folder = %new.display(), %error, "no file events from this folder; comparing its files every {} s", POLL.as_secs());
                }
            }
        }
        self.folders = folders;
    }

    /// Waits until at least one file leads to something else and then was left alone for a moment;
    /// gives the changed ones. Cancel-safe.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            tokio::select! {
                event = self.events.recv() => if event.is_none() { sleep(POLL).await },
                () = sleep(POLL) => {}
            }
            if self.differing().is_empty() {
                continue;
            }
            self.settle().await;
            let changed = self.differing();
            for path in &changed {
                self.prints.insert(path.clone(), print(path));
            }
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// Waits until the folders are quiet.
    async fn settle(&mut self) {
        let latest = Instant::now() + AT_MOST;
        loop {
            let quiet = (Instant::now() + QUIET).min(latest);
            match timeout_at(quiet, self.events.recv()).await {
                Ok(Some(())) if Instant::now() < latest => {}
                Ok(None) => return sleep(QUIET).await,
                _ => return,
            }
        }
    }

    fn differing(&self) -> Vec<PathBuf> {
        let differs = |(path, old): &(&PathBuf, &Print)| print(path) != **old;
        self.prints
            .iter()
            .filter(differs)
            .map(|(path, _)| path.clone())
            .collect()
    }
}

/// Whether an event is of no interest: a file was only read, or a file of another name was written to, as a log
/// beside the config is with every line.
fn is_another(event: &notify::Event, ours: &Mutex<BTreeSet<OsString>>) -> bool {
    let written = matches!(event.kind, EventKind::Modify(ModifyKind::Data(_)));
    let ours = || {
        let ours = ours.lock();
        let mut names = event.paths.iter().filter_map(|path| path.file_name());
        names.any(|name| ours.contains(name))
    };
    event.kind.is_access() || written && !event.paths.is_empty() && !ours()
}

fn folder(file: &Path) -> Option<PathBuf> {
    let folder = file.parent()?;
    Some(if folder.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        folder.to_owned()
    })
}

fn print(path: &Path) -> Print {
    let target = fs::canonicalize(path).ok()?;
    let data = fs::metadata(&target).ok()?;
    Some((
        target,
        data.dev(),
        data.ino(),
        data.len(),
        data.mtime(),
        data.mtime_nsec(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tokio::time::timeout;

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn notices(watcher: &mut Watcher, file: &Path) {
        let changed = timeout(PATIENCE, watcher.changed())
            .await
            .expect("a change is noticed");
        assert_eq!(changed, [file.to_owned()]);
    }

    #[tokio::test]
    async fn writes_renames_and_link_swaps_are_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("rhumb.yaml");
        fs::write(&file, "a").expect("write");
        let mut watcher = Watcher::new();
        watcher.set([file.clone()]);

        fs::write(&file, "in place").expect("write");
        notices(&mut watcher, &file).await;

        let other = dir.path().join("rhumb.yaml.new");
        fs::write(&other, "renamed over").expect("write");
        fs::rename(&other, &file).expect("rename");
        notices(&mut watcher, &file).await;
    }

    #[tokio::test]
    async fn a_log_beside_the_config_wakes_nobody() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, log) = (dir.path().join("rhumb.yaml"), dir.path().join("access.log"));
        for file in [&file, &log] {
            fs::write(file, "a").expect("write");
        }
        let mut watcher = Watcher::new();
        watcher.set([file.clone()]);
        let mut lines = fs::OpenOptions::new()
            .append(true)
            .open(&log)
            .expect("open");
        for _ in 0..10 {
            std::io::Write::write_all(&mut lines, b"line\n").expect("write");
        }
        fs::write(&file, "changed").expect("write");
        notices(&mut watcher, &file).await;
        // What came before the change would have been waiting; what comes after it is nothing.
        std::io::Write::write_all(&mut lines, b"line\n").expect("write");
        let more = timeout(Duration::from_millis(300), watcher.events.recv()).await;
        assert!(more.is_err(), "a line in the log is no change");
    }

    #[tokio::test]
    async fn a_change_during_a_reload_is_told_after_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("rhumb.yaml");
        fs::write(&file, "a").expect("write");
        let mut watcher = Watcher::new();
        watcher.set([file.clone()]);
        fs::write(&file, "written while the reload read the one before").expect("write");
        watcher.set([file.clone()]);
        notices(&mut watcher, &file).await;
    }

    #[tokio::test]
    async fn a_kubernetes_config_map_swap_is_noticed() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        for version in ["v1", "v2"] {
            fs::create_dir(at(version)).expect("folder");
            fs::write(at(version).join("rhumb.yaml"), version).expect("write");
        }
        symlink("v1", at("..data")).expect("link");
        symlink("..data/rhumb.yaml", at("rhumb.yaml")).expect("link");
        let mut watcher = Watcher::new();
        watcher.set([at("rhumb.yaml")]);

        symlink("v2", at("..data_tmp")).expect("link");
        fs::rename(at("..data_tmp"), at("..data")).expect("swap");
        notices(&mut watcher, &at("rhumb.yaml")).await;
    }
}
