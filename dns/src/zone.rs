//! What zones are made from, as an operator gave it, and what can be wrong with it.
//!
//! What never happens here: no file is opened. Master files come in as text; the files they include are
//! asked for through [`Files`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steering::ServiceId;

/// One zone as written.
#[derive(Clone, Debug, Default)]
pub struct ZoneSpec {
    /// Its apex, such as `keiko.example.com`; the last dot may be left out.
    pub apex: String,
    /// The SOA record, unless the master file has it.
    pub soa: Option<SoaSpec>,
    /// The name servers, unless the master file has them; absolute names, last dot optional.
    pub ns: Vec<String>,
    /// The TTL of the SOA and NS records made from `soa` and `ns`, and of records that state none and
    /// have no `$TTL`, in seconds.
    pub ttl: Option<u32>,
    /// A master file (RFC 1035 §5): where it was read from, and its text.
    pub master_file: Option<(PathBuf, String)>,
    /// Records written one by one, each with the place an operator finds it at (`zones.x.records[2]`).
    /// The same language as in the master file; names are relative to the apex.
    pub records: Vec<(String, String)>,
    /// How the SOA's serial is made, unless it is served as written.
    pub serial: Option<AutoSerial>,
    /// Whether the master file is what another server keeps, so that `records` and steered names replace what is in
    /// it instead of contradicting it.
    pub overlay: bool,
    /// Why there is nothing to answer from; then the zone is only known by its apex, and every question within it is
    /// answered with SERVFAIL.
    pub unavailable: Option<Unavailable>,
}

/// Why a zone that is kept elsewhere cannot be answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// It has not been transferred yet.
    NotTransferred,
    /// It was, and no primary could be reached for longer than its SOA allows (RFC 1034 §4.3.5).
    Expired,
}

/// A serial that grows with each change of a zone's content, and with nothing else (RFC 1982 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoSerial {
    /// What the serial is when the content is new: the time in seconds since 1970.
    pub now: u32,
    /// The content ([`crate::Zone::content`]) and serial of the generation before, when there was one.
    pub before: Option<(u64, u32)>,
}

impl AutoSerial {
    /// The serial of this content: the one before while the content is the same, else the time, or one more
    /// than before where the time is not later than that.
    pub fn of(self, content: u64) -> u32 {
        match self.before {
            Some((same, serial)) if same == content => serial,
            // RFC 1982 §3.2: greater is less than half the circle ahead.
            Some((_, serial)) if (self.now.wrapping_sub(serial) as i32) <= 0 => {
                serial.wrapping_add(1)
            }
            _ => self.now,
        }
    }
}

/// Where `$INCLUDE` finds its files. Paths are as seen from the folder of the file that includes.
pub trait Files {
    /// The text of a file.
    ///
    /// # Errors
    /// Why it can't be read, in words.
    fn read(&self, path: &Path) -> Result<String, String>;
}

/// No files: every `$INCLUDE` is an error.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _path: &Path) -> Result<String, String> {
        Err("files are not included here".to_owned())
    }
}

/// The text of a master file. It need not be UTF-8 (RFC 1035 §5.1 knows octets): what is not becomes
/// `\\DDD`, which stands for the same octet.
pub fn text(octets: Vec<u8>) -> String {
    let octets = match String::from_utf8(octets) {
        Ok(text) => return text,
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(octets.len() + octets.len() / 8);
    for chunk in octets.utf8_chunks() {
        text.push_str(chunk.valid());
        for octet in chunk.invalid() {
            text.push_str(&format!("\\{octet:03}"));
        }
    }
    text
}

/// The TTL of records that no `$TTL` or `ttl` gives one, in seconds.
pub const DEFAULT_TTL: u32 = 3600;

/// A start of authority (RFC 1035 §3.3.13), times in seconds.
#[derive(Clone, Debug)]
pub struct SoaSpec {
    /// The primary name server.
    pub mname: String,
    /// The mailbox of the person responsible, with a dot or an `@` after the local part.
    pub rname: String,
    /// The version of the zone.
    pub serial: u32,
    /// How often a secondary looks for a new version.
    pub refresh: u32,
    /// How soon it tries again.
    pub retry: u32,
    /// How long it serves without having found one.
    pub expire: u32,
    /// How long negative answers may be cached (RFC 2308 §4).
    pub minimum: u32,
}

impl SoaSpec {
    /// With the timers of RIPE-203, and negative answers cached for one minute: a steered name that
    /// was refused is asked for again soon.
    pub fn new(mname: impl Into<String>, rname: impl Into<String>) -> Self {
        Self {
            mname: mname.into(),
            rname: rname.into(),
            serial: 1,
            refresh: 86_400,
            retry: 7_200,
            expire: 3_600_000,
            minimum: 60,
        }
    }
}

/// What an SVCB or HTTPS record offers (RFC 9460), beside the addresses that are decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The protocols, by their ALPN names (`h2`, `dot`); each of 1 to 255 octets.
    pub alpn: Vec<String>,
    /// The port, where it is not the one of the scheme.
    pub port: Option<u16>,
    /// The path of DNS over HTTPS, a URI template such as `/dns-query{?dns}` (RFC 9461 §5).
    pub doh_path: Option<String>,
}

/// A name whose addresses are decided for each query.
#[derive(Clone, Debug)]
pub struct SteeredName {
    /// The name; the leftmost label may be `*`.
    pub name: String,
    /// The service whose DNS policy decides.
    pub service: ServiceId,
    /// What its HTTPS record offers; `None`: no HTTPS record is made.
    pub https: Option<Binding>,
    /// What its SVCB record offers (`_dns.` and the like); `None`: no SVCB record is made.
    pub svcb: Option<Binding>,
    /// Whether an endpoint its policy can reach publishes a host name instead of addresses, so that the
    /// answer can be a CNAME (which then must be the only thing at that name).
    pub hostnames: bool,
    /// Where an operator finds it (`services.api.dns.names[0]`).
    pub place: Arc<str>,
}

/// Whether a problem keeps the zones from being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// They are not served.
    Error,
    /// They are, but perhaps not as meant.
    Warning,
}

/// Something that is wrong with a zone, or likely to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneProblem {
    /// Whether the zone is served all the same.
    pub severity: Severity,
    /// The apex of the zone as written; empty when no zone is concerned.
    pub zone: String,
    /// The master file it is in.
    pub file: Option<PathBuf>,
    /// The line in that file, from 1.
    pub line: Option<u32>,
    /// The place in the configuration, for what is not in a master file.
    pub place: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for ZoneProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.zone.is_empty() {
            write!(f, "zone {}: ", self.zone)?;
        }
        match (&self.file, self.line, &self.place) {
            (Some(file), Some(line), _) => write!(f, "{}:{line}: ", file.display())?,
            (Some(file), None, _) => write!(f, "{}: ", file.display())?,
            (None, _, Some(place)) => write!(f, "{place}: ")?,
            (None, _, None) => {}
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ZoneProblem {}

/// Zones that can be served.
#[derive(Debug)]
pub struct Built {
    /// The zones.
    pub zones: crate::Zones,
    /// What is likely to be wrong with them, at most [`MAX_PROBLEMS`] and a last one that counts the rest.
    pub warnings: Vec<ZoneProblem>,
}

/// The most problems of one severity that are told one by one.
pub const MAX_PROBLEMS: usize = 1_000;
