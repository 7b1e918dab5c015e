//! What the head of an HTTP response says: where the request went, how the body ends, and whether the
//! connection can be used again. It reads bytes that are given to it and touches no socket.

use crate::record::{ErrorKind, Outcome};
use crate::subject::Subject;
use std::mem::MaybeUninit;
use steering::RegionId;

/// The most fields of a head.
const MAX_FIELDS: usize = 128;
/// The field by which Rhumb says that it refused on purpose.
const REASON: &[u8] = b"rhumb-reason";

/// How an answer is understood: the same for all connections of a run.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The response field by which an origin says its region, in lower case.
    region_header: Box<[u8]>,
    /// Whether the member `region` of a JSON body is believed where that field is missing.
    pub(super) region_in_body: bool,
    /// The regions by name, sorted.
    regions: Box<[(Box<[u8]>, RegionId)]>,
}

impl Rules {
    /// For the regions of a config.
    pub fn new(subject: &Subject, region_header: &str, region_in_body: bool) -> Self {
        let table = subject.snapshot.table();
        let regions = table.regions().iter().enumerate();
        let mut regions: Vec<_> = regions
            .map(|(i, region)| (region.name.as_bytes().into(), RegionId::at(i)))
            .collect();
        regions.sort();
        Self {
            region_header: region_header.to_ascii_lowercase().into_bytes().into(),
            region_in_body,
            regions: regions.into(),
        }
    }

    /// The region with this name.
    pub fn region(&self, name: &[u8]) -> Outcome {
        let found = self.regions.binary_search_by(|(n, _)| (**n).cmp(name));
        found.map_or(Outcome::Elsewhere, |at| Outcome::Region(self.regions[at].1))
    }

    /// Whether a response field (in any case) says the region.
    pub(super) fn says_region(&self, name: &[u8]) -> bool {
        self.region_header.eq_ignore_ascii_case(name)
    }
}

/// How the end of a body is known (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes; 0 for none.
    Length(u64),
    /// The last chunk ends it.
    Chunked,
    /// The end of the connection ends it.
    UntilClose,
}

/// The head of a response, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// What the region field says, where there is one.
    pub region: Option<Outcome>,
    /// Whether Rhumb says why it refuses.
    pub reasoned: bool,
    /// Whether the connection stays open after the body.
    pub keep_alive: bool,
    /// How the body ends.
    pub framing: Framing,
}

impl Head {
    /// A head without fields.
    pub fn of_status(status: u16) -> Self {
        Self {
            status,
            region: None,
            reasoned: false,
            keep_alive: true,
            framing: Framing::Length(0),
        }
    }

    /// Where the request went, or why this is no answer that counts.
    ///
    /// # Errors
    /// A status of 400 or more that is no refusal of the policy; a final status below 200.
    pub fn outcome(&self) -> Result<Outcome, ErrorKind> {
        match self.status {
            451 => Ok(Outcome::Refused),
            503 if self.reasoned => Ok(Outcome::Refused),
            200..400 => Ok(self.region.unwrap_or(Outcome::Elsewhere)),
            400.. => Err(ErrorKind::Status(self.status)),
            _ => Err(ErrorKind::Malformed),
        }
    }

    /// Takes in one field that matters for the outcome, whichever version of HTTP it came over.
    pub(super) fn take(&mut self, name: &[u8], value: &[u8], rules: &Rules) {
        if rules.says_region(name) {
            self.region = Some(rules.region(value));
        } else if name.eq_ignore_ascii_case(REASON) {
            self.reasoned = true;
        }
    }
}

/// Reads the head at the beginning of `bytes`: it and its length, or `None` when it does not end there.
///
/// # Errors
/// [`ErrorKind::Malformed`] when this is no HTTP/1 response head.
pub fn parse(bytes: &[u8], rules: &Rules) -> Result<Option<(Head, usize)>, ErrorKind> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, bytes, &mut fields)
        .map_err(|_| ErrorKind::Malformed)?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let status = response.code.ok_or(ErrorKind::Malformed)?;
    let mut head = Head::of_status(status);
    head.keep_alive = response.version == Some(1);
    let mut framing = Fields::default();
    for field in response.headers.iter() {
        framing.take(field.name.as_bytes(), field.value, &mut head)?;
        head.take(field.name.as_bytes(), field.value, rules);
    }
    head.framing = framing.framing(status);
    head.keep_alive &= head.framing != Framing::UntilClose;
    Ok(Some((head, length)))
}

/// The fields that say how the body ends.
#[derive(Default)]
struct Fields {
    length: Option<u64>,
    encoded: bool,
    chunked: bool,
}

impl Fields {
    fn take(&mut self, name: &[u8], value: &[u8], head: &mut Head) -> Result<(), ErrorKind> {
        // By length first: most fields are none of these.
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = number(value).ok_or(ErrorKind::Malformed)?;
                if self.length.is_some_and(|other| other != length) {
                    return Err(ErrorKind::Malformed);
                }
                self.length = Some(length);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.encoded = true;
                let last = value.rsplit(|b| *b == b',').next().unwrap_or_default();
                self.chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for option in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
                    if option.eq_ignore_ascii_case(b"close") {
                        head.keep_alive = false;
                    } else if option.eq_ignore_ascii_case(b"keep-alive") {
                        head.keep_alive = true;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn framing(&self, status: u16) -> Framing {
        match self {
            _ if status < 200 || status == 204 || status == 304 => Framing::Length(0),
            Self { chunked: true, .. } => Framing::Chunked,
            Self { encoded: true, .. } => Framing::UntilClose,
            Self { length, .. } => length.map_or(Framing::UntilClose, Framing::Length),
        }
    }
}

/// A decimal number of 1 to 18 digits and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    text.iter().try_fold(0, |sum: u64, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        Some(sum * 10 + u64::from(digit))
    })
}

/// The region that the member `region` of a JSON body names.
pub(super) fn region_in_body(body: &[u8], rules: &Rules) -> Option<Outcome> {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        region: std::borrow::Cow<'a, str>,
    }
    let named: Named = serde_json::from_slice(body).ok()?;
    Some(rules.region(named.region.as_bytes()))
}
