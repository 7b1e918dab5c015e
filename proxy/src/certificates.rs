//! Certificates: read from files, chosen by SNI, replaced while serving.
//!
//! A store is built whole or not at all: one bad file, and the store in use stays. No file is watched
//! here; the daemon says when to look again.

use arc_swap::ArcSwap;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What is wrong with a certificate or its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertProblem {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for CertProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} ({})",
            self.file.display(),
            self.message,
            self.hint
        )
    }
}

/// One certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertInfo {
    /// Its file.
    pub file: PathBuf,
    /// The names it is for.
    pub names: Vec<String>,
    /// When it expires, in seconds since the Unix epoch.
    pub not_after: i64,
}

/// The certificates of one listener.
#[derive(Debug, Default)]
pub struct CertStore {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By the part after `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    first: Option<Arc<CertifiedKey>>,
    infos: Vec<CertInfo>,
}

impl CertStore {
    /// Reads certificate chains and their keys (PEM). The first one is for clients that ask for no
    /// name, or for one that no certificate is for; where two are for a name, the earlier one serves it.
    ///
    /// # Errors
    ///
    /// All problems at once: files that cannot be read, hold no certificate or key, or do not match.
    pub fn build(files: &[(PathBuf, PathBuf)]) -> Result<Self, Vec<CertProblem>> {
        let mut store = Self::default();
        let mut problems = Vec::new();
        for (cert, key) in files {
            match load(cert, key) {
                Ok((certified, info)) => store.add(certified, info),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            Ok(store)
        } else {
            Err(problems)
        }
    }

    fn add(&mut self, certified: CertifiedKey, info: CertInfo) {
        let certified = Arc::new(certified);
        for name in &info.names {
            let (map, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcard, parent),
                None => (&mut self.exact, name.as_str()),
            };
            map.entry(name.to_owned())
                .or_insert_with(|| certified.clone());
        }
        self.first.get_or_insert(certified);
        self.infos.push(info);
    }

    /// The certificate for a name: exact, then the wildcard of its parent, then the first.
    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let parent = name.split_once('.').map(|(_, parent)| parent);
            let exact = self.exact.get(&name);
            exact
                .or_else(|| parent.and_then(|parent| self.wildcard.get(parent)))
                .cloned()
        });
        named.or_else(|| self.first.clone())
    }

    /// The certificates in use, for `status` and expiry metrics.
    pub fn infos(&self) -> &[CertInfo] {
        &self.infos
    }
}

/// A listener's certificates, replaceable while it runs.
#[derive(Debug, Default)]
pub struct Certificates {
    store: ArcSwap<CertStore>,
}

impl Certificates {
    /// Serves `store` until it is replaced.
    pub fn new(store: CertStore) -> Self {
        Self {
            store: ArcSwap::from_pointee(store),
        }
    }

    /// Reads the files again. New handshakes get the new certificates; connections keep theirs.
    ///
    /// # Errors
    ///
    /// As [`CertStore::build`]; the store in use then stays.
    pub fn reload(&self, files: &[(PathBuf, PathBuf)]) -> Result<(), Vec<CertProblem>> {
        self.replace(CertStore::build(files)?);
        Ok(())
    }

    /// Serves another store from the next handshake on.
    pub fn replace(&self, store: CertStore) {
        self.store.store(Arc::new(store));
    }

    /// The certificates in use.
    pub fn infos(&self) -> Vec<CertInfo> {
        self.store.load().infos().to_vec()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.store.load().find(hello.server_name())
    }
}

fn load(cert: &Path, key: &Path) -> Result<(CertifiedKey, CertInfo), CertProblem> {
    let chain = chain(cert)?;
    let key_problem = |message: String| CertProblem {
        file: key.to_owned(),
        message,
        hint: "give an unencrypted PEM key (PKCS#8, PKCS#1 or SEC1)".to_owned(),
    };
    let pem = read(key)?;
    let found = rustls_pemfile::private_key(&mut pem.as_slice());
    let der: PrivateKeyDer<'static> = found
        .map_err(|e| key_problem(format!("is not PEM: {e}")))?
        .ok_or_else(|| key_problem("holds no private key".to_owned()))?;
    let signer =
        any_supported_type(&der).map_err(|e| key_problem(format!("cannot be used: {e}")))?;
    let info = info(cert, &chain)?;
    let certified = CertifiedKey::new(chain, signer);
    certified.keys_match().map_err(|_| CertProblem {
        file: key.to_owned(),
        message: format!("is not the key of {}", cert.display()),
        hint: "replace both files together".to_owned(),
    })?;
    Ok((certified, info))
}

fn read(file: &Path) -> Result<Vec<u8>, CertProblem> {
    std::fs::read(file).map_err(|e| CertProblem {
        file: file.to_owned(),
        message: format!("cannot be read: {e}"),
        hint: "check the path and who may read it".to_owned(),
    })
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertProblem> {
    let problem = |message: String| CertProblem {
        file: file.to_owned(),
        message,
        hint: "give the certificate and its intermediates as PEM, the leaf first".to_owned(),
    };
    let pem = read(file)?;
    let chain: Result<Vec<_>, _> = rustls_pemfile::certs(&mut pem.as_slice()).collect();
    let chain = chain.map_err(|e| problem(format!("is not PEM: {e}")))?;
    if chain.is_empty() {
        return Err(problem("holds no certificate".to_owned()));
    }
    Ok(chain)
}

/// The names of the leaf: its DNS subject alternative names, else its common name.
fn info(file: &Path, chain: &[CertificateDer<'_>]) -> Result<CertInfo, CertProblem> {
    let problem = |message: String| CertProblem {
        file: file.to_owned(),
        message,
        hint: "the first certificate of the file must be the leaf".to_owned(),
    };
    let leaf = chain
        .first()
        .ok_or_else(|| problem("holds no certificate".to_owned()))?;
    let (_, leaf) =
        X509Certificate::from_der(leaf).map_err(|e| problem(format!("cannot be parsed: {e}")))?;
    let alternatives = leaf.subject_alternative_name().ok().flatten();
    let mut names: Vec<String> = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        let common = leaf
            .subject()
            .iter_common_name()
            .filter_map(|cn| cn.as_str().ok());
        names.extend(common.map(str::to_ascii_lowercase));
    }
    let not_after = leaf.validity().not_after.timestamp();
    Ok(CertInfo {
        file: file.to_owned(),
        names,
        not_after,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, stem: &str, names: &[&str]) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let (cert, key) = (
            dir.join(format!("{stem}.pem")),
            dir.join(format!("{stem}.key")),
        );
        std::fs::write(&cert, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        (cert, key)
    }

    #[test]
    fn a_certificate_is_chosen_by_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = [
            write(dir.path(), "first", &["first.test"]),
            write(dir.path(), "wild", &["*.wild.test", "Exact.wild.test"]),
            write(dir.path(), "late", &["exact.wild.test", "late.test"]),
        ];
        let store = CertStore::build(&files).expect("a store");
        let of = |i: usize| {
            let (certified, _) = load(&files[i].0, &files[i].1).expect("loaded");
            certified.cert
        };
        for (name, expected) in [
            (Some("first.test"), 0),
            (Some("a.wild.test"), 1),
            (Some("A.WILD.test"), 1),
            (Some("exact.wild.test"), 1),
            (Some("a.b.wild.test"), 0),
            (Some("wild.test"), 0),
            (Some("late.test"), 2),
            (Some("other.test"), 0),
            (None, 0),
        ] {
            let found = store.find(name).expect("a certificate");
            assert_eq!(found.cert, of(expected), "{name:?}");
        }
    }

    #[test]
    fn a_bad_reload_keeps_what_is_served_and_names_every_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let good = write(dir.path(), "good", &["good.test"]);
        let other = write(dir.path(), "other", &["other.test"]);
        let certificates =
            Certificates::new(CertStore::build(std::slice::from_ref(&good)).expect("a store"));
        let mixed = (good.0.clone(), other.1.clone());
        let missing = (dir.path().join("none.pem"), good.1.clone());
        let swapped = (good.1.clone(), good.0.clone());
        let problems = certificates
            .reload(&[mixed, missing, swapped])
            .expect_err("problems");
        assert_eq!(problems.len(), 3, "{problems:#?}");
        assert!(problems[0].message.contains("is not the key of"));
        assert_eq!(certificates.infos()[0].names, ["good.test"]);
        certificates.reload(&[other]).expect("a good store");
        assert_eq!(certificates.infos()[0].names, ["other.test"]);
    }
}
