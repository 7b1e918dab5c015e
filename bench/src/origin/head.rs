//! The head of one request, read where it lies: method, path, query and what says how its body is framed
//! (RFC 9112). It keeps nothing and answers nothing.

use super::body::Body;

/// The largest head: request line and header fields.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// The largest body that is read and discarded: 1 GiB.
pub(super) const MAX_BODY: u64 = 1 << 30;

/// Why a request can't be answered as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no HTTP/1 request that can be framed: 400.
    Malformed,
    /// Its body is larger than [`MAX_BODY`]: 413.
    BodyTooLarge,
    /// Its head is larger than [`MAX_HEAD`]: 431.
    HeadTooLarge,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    /// The path, without the query.
    pub(super) path: &'a [u8],
    /// What follows the `?`; empty when nothing does.
    pub(super) query: &'a [u8],
    /// Whether it is HEAD: the answer has no body.
    pub(super) head_only: bool,
    /// Whether the connection ends with the answer.
    pub(super) close: bool,
    /// Whether the client waits for a word before it sends the body (RFC 9110 §10.1.1).
    pub(super) expects_continue: bool,
    /// The body that follows.
    pub(super) body: Body,
}

/// Where the head at the beginning of `input` ends, when it is all there. `searched` bytes of it are
/// known to hold no end.
pub(super) fn end(input: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let rest = input.get(from..)?;
    let at = rest.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(from + at + 4)
}

impl<'a> Request<'a> {
    /// From a whole head, its empty line included.
    pub(super) fn parse(head: &'a [u8]) -> Result<Self, Refusal> {
        let mut lines = head
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut request = request_line(lines.next().unwrap_or_default())?;
        let (mut length, mut chunked) = (None, false);
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = field(line)?;
            // Most fields are told apart by their length.
            match name.len() {
                6 if name.eq_ignore_ascii_case(b"expect") => {
                    request.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
                }
                10 if name.eq_ignore_ascii_case(b"connection") => {
                    request.close |= has_token(value, b"close");
                }
                14 if name.eq_ignore_ascii_case(b"content-length") => {
                    let said = number(value).ok_or(Refusal::Malformed)?;
                    if length.replace(said).is_some_and(|before| before != said) {
                        return Err(Refusal::Malformed);
                    }
                }
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                    // Nothing but one `chunked` is framed here.
                    if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                        return Err(Refusal::Malformed);
                    }
                    chunked = true;
                }
                _ => {}
            }
        }
        request.body = match (length, chunked) {
            // Both may be an attempt at smuggling (RFC 9112 §6.1).
            (Some(_), true) => return Err(Refusal::Malformed),
            (Some(length), _) if length > MAX_BODY => return Err(Refusal::BodyTooLarge),
            (Some(length), _) => Body::of_length(length),
            (None, true) => Body::chunked(),
            (None, false) => Body::of_length(0),
        };
        Ok(request)
    }
}

fn request_line(line: &[u8]) -> Result<Request<'_>, Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Malformed);
    };
    let token = !method.is_empty() && method.iter().all(u8::is_ascii_alphabetic);
    let close = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return Err(Refusal::Malformed),
    };
    // A tunnel is not what an origin makes.
    if !token || method == b"CONNECT" {
        return Err(Refusal::Malformed);
    }
    let target = without_origin(target).ok_or(Refusal::Malformed)?;
    let question = target.iter().position(|byte| *byte == b'?');
    let (path, query) = match question {
        Some(at) => (&target[..at], &target[at + 1..]),
        None => (target, &target[..0]),
    };
    Ok(Request {
        path,
        query,
        head_only: method == b"HEAD",
        close,
        expects_continue: false,
        body: Body::of_length(0),
    })
}

/// The path and query of a request target: also where it is absolute (RFC 9112 §3.2.2) or `*`.
fn without_origin(target: &[u8]) -> Option<&[u8]> {
    if target.starts_with(b"/") || target == b"*" {
        return Some(target);
    }
    let rest = target
        .strip_prefix(b"http://")
        .or_else(|| target.strip_prefix(b"https://"))?;
    let slash = rest.iter().position(|byte| *byte == b'/');
    Some(slash.map_or(b"/", |at| &rest[at..]))
}

fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = line.split_at(colon.ok_or(Refusal::Malformed)?);
    // Space before the colon or a folded line would be read differently by others (RFC 9112 §5.1).
    if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
        return Err(Refusal::Malformed);
    }
    Ok((name, value[1..].trim_ascii()))
}

fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|byte| *byte == b',')
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(token))
}

/// A number of decimal digits only; `None` where it is not, or is too large to count.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |so_far, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        so_far.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Request<'_>, Refusal> {
        Request::parse(text.as_bytes())
    }

    #[test]
    fn a_head_ends_with_an_empty_line_however_it_comes() {
        let text = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nrest";
        for searched in 0..text.len() - 7 {
            assert_eq!(end(text, searched), Some(text.len() - 4), "{searched}");
        }
        assert_eq!(end(&text[..text.len() - 5], 0), None);
    }

    #[test]
    fn what_is_asked_is_read() {
        let request =
            parsed("HEAD /a/b?n=1&m=2 HTTP/1.1\r\nHost: x\r\nConnection: x, Close\r\n\r\n");
        let request = request.expect("a sound head");
        assert_eq!(
            (request.path, request.query),
            (&b"/a/b"[..], &b"n=1&m=2"[..])
        );
        assert!(request.head_only && request.close && !request.expects_continue);
        let absolute = parsed("GET http://x:80/p?q HTTP/1.0\r\n\r\n").expect("a sound head");
        assert_eq!((absolute.path, absolute.query), (&b"/p"[..], &b"q"[..]));
        assert!(absolute.close, "HTTP/1.0 keeps no connection");
        let bare = parsed("GET http://x HTTP/1.1\r\n\r\n").expect("a sound head");
        assert_eq!(bare.path, b"/");
    }

    #[test]
    fn bodies_are_framed() {
        let body = |fields: &str| {
            let text = format!("POST / HTTP/1.1\r\n{fields}\r\n");
            parsed(&text).map(|request| request.body)
        };
        for (fields, expected) in [
            ("", Ok(Body::of_length(0))),
            ("Content-Length: 12\r\n", Ok(Body::of_length(12))),
            (
                "content-length: 3\r\ncontent-length: 3\r\n",
                Ok(Body::of_length(3)),
            ),
            ("Transfer-Encoding: Chunked\r\n", Ok(Body::chunked())),
            (
                "content-length: 3\r\ncontent-length: 4\r\n",
                Err(Refusal::Malformed),
            ),
            ("content-length: -3\r\n", Err(Refusal::Malformed)),
            (
                "content-length: 99999999999999999999\r\n",
                Err(Refusal::Malformed),
            ),
            ("content-length: 9999999999\r\n", Err(Refusal::BodyTooLarge)),
            (
                "transfer-encoding: gzip, chunked\r\n",
                Err(Refusal::Malformed),
            ),
            (
                "content-length: 3\r\ntransfer-encoding: chunked\r\n",
                Err(Refusal::Malformed),
            ),
        ] {
            assert_eq!(body(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for text in [
            "\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "G T / HTTP/1.1\r\n\r\n",
            "GET nowhere HTTP/1.1\r\n\r\n",
            "CONNECT a:443 HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nname : value\r\n\r\n",
            "GET / HTTP/1.1\r\na: b\r\n folded: c\r\n\r\n",
        ] {
            assert_eq!(parsed(text).err(), Some(Refusal::Malformed), "{text:?}");
        }
    }
}
