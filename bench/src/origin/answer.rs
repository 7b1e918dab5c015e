//! What an origin says: bytes made once at its start, so that answering is copying.

use super::OriginSpec;
use super::head::{Refusal, Request, number};
use std::io;

/// The most bytes of `/bytes`: 1 GiB.
const MAX_BYTES: u64 = 1 << 30;
/// The bytes of `/bytes` when none are asked for.
const DEFAULT_BYTES: u64 = 1_000;
/// The longest name of a region, and the longest path and body of a health check.
const MAX_TEXT: usize = 4 * 1024;
/// The most health paths of one origin.
const MAX_HEALTH_PATHS: usize = 64;

/// One answer, whole.
#[derive(Debug)]
struct Prebuilt {
    /// Head and body.
    bytes: Vec<u8>,
    /// Where the body begins.
    body: usize,
}

impl Prebuilt {
    fn new(status: u16, kind: &str, region: &str, body: &str) -> Self {
        let reason = match status {
            200 => "OK",
            400 => "Bad Request",
            413 => "Content Too Large",
            431 => "Request Header Fields Too Large",
            503 => "Service Unavailable",
            // A reason may be anything, even nothing (RFC 9112 §4).
            _ => "",
        };
        // These have no content, and say so by their status alone (RFC 9110 §15.3.5, §15.4.5).
        let (length, body) = match status {
            204 | 304 => (String::new(), ""),
            _ => (format!("content-length: {}\r\n", body.len()), body),
        };
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\nx-region: {region}\r\n{length}\r\n"
        );
        Self {
            body: head.len(),
            bytes: [head.as_bytes(), body.as_bytes()].concat(),
        }
    }

    fn put(&self, out: &mut Vec<u8>, head_only: bool, close: bool) {
        let (head, body) = self.bytes.split_at(self.body);
        match close {
            true => put_closing(out, head),
            false => out.extend_from_slice(head),
        }
        if !head_only {
            out.extend_from_slice(body);
        }
    }
}

/// The head, saying that the connection ends.
fn put_closing(out: &mut Vec<u8>, head: &[u8]) {
    out.extend_from_slice(head.strip_suffix(b"\r\n").unwrap_or(head));
    out.extend_from_slice(b"connection: close\r\n\r\n");
}

/// Everything one origin can say.
#[derive(Debug)]
pub(super) struct Answers {
    small: Prebuilt,
    failing: Prebuilt,
    malformed: Prebuilt,
    body_too_large: Prebuilt,
    head_too_large: Prebuilt,
    /// The head of `/bytes`, up to the number.
    bytes: Vec<u8>,
    health: Vec<(Vec<u8>, Prebuilt)>,
}

impl Answers {
    /// What `spec` says.
    ///
    /// # Errors
    /// When a text can't be in a head, or is too long.
    pub(super) fn new(spec: &OriginSpec) -> io::Result<Self> {
        let region = &*spec.region;
        check(
            "the name of a region",
            region,
            region.chars().all(|c| matches!(c, ' '..='~')),
        )?;
        if spec.health.len() > MAX_HEALTH_PATHS {
            return Err(invalid(format!(
                "an origin has {} health paths; it serves at most {MAX_HEALTH_PATHS}",
                spec.health.len()
            )));
        }
        let json = |more: &str| {
            let name = serde_json::Value::from(region);
            format!("{{\"region\":{name}{more}}}\n")
        };
        let said = |status, more| Prebuilt::new(status, "application/json", region, &json(more));
        let mut health = Vec::with_capacity(spec.health.len());
        for path in &spec.health {
            let target = &path.path;
            check("a health path", target, target.starts_with('/'))?;
            check("the body of a health answer", &path.body, true)?;
            if !(200..600).contains(&path.status) {
                return Err(invalid(format!(
                    "{} is no status a health check can expect",
                    path.status
                )));
            }
            let answer = Prebuilt::new(path.status, "text/plain", region, &path.body);
            health.push((target.as_bytes().to_vec(), answer));
        }
        Ok(Self {
            small: said(200, ""),
            failing: said(503, ",\"status\":\"failing\""),
            malformed: said(400, ",\"error\":\"no request that can be read\""),
            body_too_large: said(413, ",\"error\":\"the body is too large\""),
            head_too_large: said(431, ",\"error\":\"the head is too large\""),
            bytes: format!("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\nx-region: {region}\r\ncontent-length: ").into_bytes(),
            health,
        })
    }

    /// The health path that a request is for.
    pub(super) fn health_path(&self, request: &Request) -> Option<usize> {
        self.health.iter().position(|(target, _)| {
            // A check may ask with a query.
            let (path, query) = target.split_at(request.path.len().min(target.len()));
            path == request.path
                && (query.is_empty() || query.strip_prefix(b"?") == Some(request.query))
        })
    }

    /// Answers as expected on a health path.
    pub(super) fn healthy(&self, path: usize, request: &Request, out: &mut Vec<u8>) {
        if let Some((_, answer)) = self.health.get(path) {
            answer.put(out, request.head_only, request.close);
        }
    }

    /// Answers 503.
    pub(super) fn failing(&self, request: &Request, out: &mut Vec<u8>) {
        self.failing.put(out, request.head_only, request.close);
    }

    /// Answers what has no health path. Gives how many bytes of a body are to follow what is in `out`.
    pub(super) fn usual(&self, request: &Request, out: &mut Vec<u8>) -> u64 {
        if request.path != b"/bytes" {
            self.small.put(out, request.head_only, request.close);
            return 0;
        }
        let asked = request
            .query
            .split(|byte| *byte == b'&')
            .find_map(|part| part.strip_prefix(b"n="));
        let bytes = asked.and_then(number).unwrap_or(DEFAULT_BYTES);
        let bytes = bytes.min(MAX_BYTES);
        let mut head = self.bytes.clone();
        head.extend_from_slice(format!("{bytes}\r\n\r\n").as_bytes());
        match request.close {
            true => put_closing(out, &head),
            false => out.extend_from_slice(&head),
        }
        if request.head_only { 0 } else { bytes }
    }

    /// Answers what can't be answered; the connection ends with it.
    pub(super) fn refusal(&self, refusal: Refusal, out: &mut Vec<u8>) {
        let answer = match refusal {
            Refusal::Malformed => &self.malformed,
            Refusal::BodyTooLarge => &self.body_too_large,
            Refusal::HeadTooLarge => &self.head_too_large,
        };
        answer.put(out, false, true);
    }
}

fn check(what: &str, text: &str, sound: bool) -> io::Result<()> {
    if sound && text.len() <= MAX_TEXT {
        return Ok(());
    }
    let start: String = text.chars().take(40).collect();
    Err(invalid(format!(
        "`{start}` can't be {what} of an origin: it must be plain text of at most {MAX_TEXT} bytes"
    )))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
