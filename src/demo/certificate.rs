//! The demo's certificate: self-signed, for the names the demo answers to, kept between runs so that a client that was
//! told to trust it need not be told again.
//!
//! It never makes a certificate for anything but the demo, and never replaces one that is still good.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The names and addresses it is for.
const NAMES: [&str; 4] = ["demo.test", "*.demo.test", "localhost", "127.0.0.1"];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How old a kept certificate may be to be used again.
const REUSED_FOR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How long it is valid: longer than it is used again, so that none runs out under a demo that is running.
const VALID_FOR: Duration = Duration::from_secs(397 * 24 * 60 * 60);

/// Where the demo's certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM, readable by its owner only.
    pub key: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file or folder could not be written or read.
    #[error("{}: {source}; the demo keeps its certificate there, so let it write to that folder", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificate could not be made.
    #[error("the demo's certificate could not be made: {0}")]
    Making(#[from] rcgen::Error),
}

/// The certificate in `folder`, made now unless a good one is there: `cert.pem` and `key.pem`.
///
/// # Errors
/// When `folder` cannot be made or written to.
pub fn ensure(folder: &Path) -> Result<Files, Problem> {
    let files = Files {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    };
    if !is_good(&files, SystemTime::now()) {
        fs::create_dir_all(folder).map_err(|source| at(folder, source))?;
        make(&files, SystemTime::now())?;
    }
    Ok(files)
}

/// Whether both files are there, readable, and young enough.
fn is_good(files: &Files, now: SystemTime) -> bool {
    let young = fs::metadata(&files.cert)
        .and_then(|about| about.modified())
        // From the future: a clock was wrong, then or now, so that its validity cannot be relied on.
        .is_ok_and(|made| now.duration_since(made).is_ok_and(|age| age < REUSED_FOR));
    let cert = || fs::read_to_string(&files.cert).is_ok_and(|pem| pem.contains("END CERTIFICATE"));
    let key = || fs::read_to_string(&files.key).is_ok_and(|pem| KeyPair::from_pem(&pem).is_ok());
    young && cert() && key()
}

fn make(files: &Files, now: SystemTime) -> Result<(), Problem> {
    let key = KeyPair::generate()?;
    let cert = params(now)?.self_signed(&key)?;
    // The certificate goes first and comes last: where it is, the key beside it belongs to it.
    match fs::remove_file(&files.cert) {
        Err(problem) if problem.kind() != io::ErrorKind::NotFound => {
            return Err(at(&files.cert, problem));
        }
        _ => {}
    }
    write(&files.key, &key.serialize_pem(), 0o600)?;
    write(&files.cert, &cert.pem(), 0o644)
}

fn params(now: SystemTime) -> Result<CertificateParams, Problem> {
    let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Rhumb demo");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A day of grace for clients whose clock is behind.
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    params.not_before = epoch + since.saturating_sub(DAY);
    params.not_after = epoch + since + VALID_FOR;
    Ok(params)
}

/// Writes a new file beside the old one and puts it in its place, so that nobody reads half of it.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Problem> {
    let new = path.with_extension("pem.new");
    match fs::remove_file(&new) {
        Err(problem) if problem.kind() != io::ErrorKind::NotFound => return Err(at(&new, problem)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&new)
        .map_err(|source| at(&new, source))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|source| at(&new, source))?;
    fs::rename(&new, path).map_err(|source| at(path, source))
}

fn at(path: &Path, source: io::Error) -> Problem {
    Problem::File {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn texts(files: &Files) -> (String, String) {
        let read = |path| fs::read_to_string(path).expect("a PEM file");
        (read(&files.cert), read(&files.key))
    }

    #[test]
    fn a_good_one_is_used_again_and_its_key_is_its_owners() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = ensure(&folder.path().join("deep/er")).expect("a certificate");
        let before = texts(&first);
        let mode = fs::metadata(&first.key)
            .expect("a key")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = ensure(&folder.path().join("deep/er")).expect("a certificate");
        assert_eq!((again, texts(&first)), (first.clone(), before));
    }

    #[test]
    fn what_is_old_missing_or_broken_is_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = ensure(folder.path()).expect("a certificate");
        assert!(is_good(&files, SystemTime::now()));
        assert!(!is_good(&files, SystemTime::now() + REUSED_FOR));
        assert!(!is_good(&files, SystemTime::now() - DAY));
        type Damage = fn(&Files) -> io::Result<()>;
        let damages: [(&str, Damage); 4] = [
            ("no key", |files| fs::remove_file(&files.key)),
            ("no certificate", |files| fs::remove_file(&files.cert)),
            ("half a key", |files| {
                fs::write(&files.key, "-----BEGIN PRIVATE KEY-----\n")
            }),
            ("an empty certificate", |files| fs::write(&files.cert, "")),
        ];
        for (what, damage) in damages {
            damage(&files).expect("damaged");
            assert!(!is_good(&files, SystemTime::now()), "{what}");
            ensure(folder.path()).expect("a certificate");
            assert!(is_good(&files, SystemTime::now()), "{what}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_is_named_with_the_remedy() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("taken");
        fs::write(&file, "a file").expect("write");
        let problem = ensure(&file.join("below")).expect_err("no folder can be there");
        let said = problem.to_string();
        assert!(
            said.contains("taken") && said.contains("let it write"),
            "{said}"
        );
    }
}
