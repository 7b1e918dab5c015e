//! What is read from bytes, whatever pieces they come in.

use super::SUBJECT;
use crate::generate::http::body::{Reader, Step};
use crate::generate::http::reply::Rules;
use crate::record::{ErrorKind, Outcome};
use proptest::prelude::*;

fn rules(region_in_body: bool) -> Rules {
    Rules::new(&SUBJECT, "X-Region", region_in_body)
}

type Read = Vec<Result<(Result<Outcome, ErrorKind>, bool), ErrorKind>>;

/// All responses of a connection that came in these pieces and was then closed. Reading goes on after
/// the end of a response, as if the next one had been asked for.
fn read_all(pieces: &[&[u8]], rules: &Rules) -> Read {
    let mut reader = Reader::default();
    let mut all = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            match reader.read(rest, rules) {
                Ok(Step::More) => break,
                Ok(Step::Done(reply)) => {
                    all.push(Ok((reply.outcome, reply.keep_alive)));
                    rest = &rest[reply.used..];
                }
                Err(kind) => {
                    all.push(Err(kind));
                    return all;
                }
            }
        }
    }
    if reader.begun() {
        let end = reader.end(rules);
        all.push(end.map(|reply| (reply.outcome, reply.keep_alive)));
    }
    all
}

fn one(bytes: &[u8]) -> Result<(Result<Outcome, ErrorKind>, bool), ErrorKind> {
    let all = read_all(&[bytes], &rules(false));
    assert_eq!(all.len(), 1, "{}", String::from_utf8_lossy(bytes));
    all[0]
}

fn eu() -> Outcome {
    super::region("eu-west")
}

#[test]
fn heads_say_where_the_request_went() {
    let ok = |head: &str| one(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes());
    let none = "content-length: 0";
    for (head, outcome) in [
        ("200 OK\r\nx-region: eu-west", Ok(eu())),
        ("302 Found\r\nX-REGION:  eu-west ", Ok(eu())),
        ("200 OK\r\nx-region: nowhere", Ok(Outcome::Elsewhere)),
        ("200 OK\r\nx-regional: eu-west", Ok(Outcome::Elsewhere)),
        ("451 No", Ok(Outcome::Refused)),
        (
            "503 No\r\nRhumb-Reason: policy-exhausted",
            Ok(Outcome::Refused),
        ),
        ("503 No", Err(ErrorKind::Status(503))),
        ("421 No\r\nrhumb-reason: x", Err(ErrorKind::Status(421))),
        ("404 No\r\nx-region: eu-west", Err(ErrorKind::Status(404))),
    ] {
        assert_eq!(
            ok(&format!("{head}\r\n{none}")),
            Ok((outcome, true)),
            "{head}"
        );
    }
}

#[test]
fn the_end_of_a_body_is_known_as_rfc_9112_says() {
    let answer = Ok(Outcome::Elsewhere);
    for (bytes, keep_alive) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", true),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
            true,
        ),
        ("HTTP/1.1 204 No\r\n\r\n", true),
        ("HTTP/1.1 304 No\r\ncontent-length: 5\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end", false),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nuntil the end",
            false,
        ),
        ("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabc", false),
        (
            "HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 3\r\n\r\nabc",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 3\r\n\r\nabc",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n0\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n\
          3\r\nabc\r\n1F ; x=\"y\"\r\n0123456789012345678901234567890\r\n00\r\na: b\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            true,
        ),
    ] {
        assert_eq!(one(bytes.as_bytes()), Ok((answer, keep_alive)), "{bytes}");
    }
}

#[test]
fn what_is_no_response_is_said() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(70_000));
    let interim = "HTTP/1.1 102 Wait\r\n\r\n".repeat(33);
    for bytes in [
        "garbage that is no head\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n;a\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1000000000000000\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        &long,
        &interim,
    ] {
        assert_eq!(one(bytes.as_bytes()), Err(ErrorKind::Malformed), "{bytes}");
    }
    for bytes in [
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ] {
        assert_eq!(one(bytes.as_bytes()), Err(ErrorKind::Broken), "{bytes}");
    }
}

#[test]
fn the_region_is_read_from_a_body_when_that_is_wanted() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{\"a\":[1,{}],\"region\":\"eu-west\", \"z\": 10}";
    assert_eq!(one(bytes), Ok((Ok(Outcome::Elsewhere), true)));
    assert_eq!(read_all(&[bytes], &rules(true)), [Ok((Ok(eu()), true))]);
    let said = b"HTTP/1.1 200 OK\r\nx-region: us-east\r\ncontent-length: 20\r\n\r\n{\"region\":\"eu-west\"}";
    let us = super::region("us-east");
    assert_eq!(read_all(&[said], &rules(true)), [Ok((Ok(us), true))]);
}

/// Responses and what looks like them.
fn response() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let with_length = body.clone().prop_map(|body| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nx-region: eu-west\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body].concat()
    });
    let chunked = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..4);
    let chunked = chunked.prop_map(|chunks| {
        let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for chunk in chunks {
            bytes.extend_from_slice(format!("{:X};x\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(&chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\ntrailer: t\r\n\r\n");
        bytes
    });
    let until_close = body
        .clone()
        .prop_map(|body| [b"HTTP/1.1 500 No\r\n\r\n".to_vec(), body].concat());
    let named =
        Just(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"region\":\"eu-west\"}".to_vec());
    let interim = Just(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec());
    let spoiled = (
        with_length.clone(),
        any::<prop::sample::Index>(),
        any::<u8>(),
    );
    let spoiled = spoiled.prop_map(|(mut bytes, at, byte)| {
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes
    });
    let cut = (with_length.clone(), any::<prop::sample::Index>());
    let cut = cut.prop_map(|(bytes, at)| bytes[..at.index(bytes.len())].to_vec());
    prop_oneof![
        4 => with_length,
        4 => chunked,
        1 => until_close,
        2 => named,
        2 => interim,
        2 => spoiled,
        1 => cut,
        1 => body,
    ]
}

proptest! {
    #[test]
    fn the_cut_of_the_bytes_makes_no_difference(
        responses in prop::collection::vec(response(), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        region_in_body in any::<bool>(),
    ) {
        let bytes = responses.concat();
        let rules = rules(region_in_body);
        let whole = read_all(&[&bytes], &rules);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(&whole, &read_all(&single, &rules));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&whole, &read_all(&pieces, &rules));
    }
}
