//! One HTTP request to an admin address or an origin, and its answer. Plain HTTP/1.1 on a connection of
//! its own; no redirects, no body sent.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one exchange may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most bytes of an answer.
const MAX_ANSWER: u64 = 64 * 1024 * 1024;
/// The most header fields of an answer.
const MAX_FIELDS: usize = 64;

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// The body, as text.
    pub(super) body: String,
}

/// Asks `method target` at an address.
pub(super) fn call(address: SocketAddr, method: &str, target: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut bytes)?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> io::Result<Answer> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let parsed = head.parse(bytes).map_err(|e| broken(&e.to_string()))?;
    let httparse::Status::Complete(length) = parsed else {
        return Err(broken("the answer is cut off"));
    };
    let status = head.code.ok_or_else(|| broken("no status"))?;
    let chunked = head.headers.iter().any(|field| {
        field.name.eq_ignore_ascii_case("transfer-encoding")
            && field.value.eq_ignore_ascii_case(b"chunked")
    });
    let body = if chunked {
        dechunked(&bytes[length..]).ok_or_else(|| broken("the answer is cut off"))?
    } else {
        bytes[length..].to_vec()
    };
    Ok(Answer {
        status,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// A chunked body (RFC 9112 §7.1), trailers left out.
fn dechunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(rest) else {
            return None;
        };
        let size = usize::try_from(size).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(start..start.checked_add(size)?)?);
        rest = rest.get(start + size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        let whole = |text: &str| parse(text.as_bytes()).map(|a| (a.status, a.body));
        let plain = whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup").expect("an answer");
        assert_eq!(plain, (200, "up".to_owned()));
        let head = "HTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunks = whole(&format!("{head}3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n")).expect("an answer");
        assert_eq!(chunks, (503, "abcd".to_owned()));
        for cut in ["", "HTTP/1.1 200 OK\r\n", "nothing of the kind\r\n\r\n"] {
            assert!(whole(cut).is_err(), "{cut:?}");
        }
        assert!(whole(&format!("{head}3\r\nab")).is_err());
    }
}
