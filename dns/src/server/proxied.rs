//! The PROXY protocol, versions 1 and 2: who the client is, said by a trusted front end before anything else.
//!
//! A header is demanded where a listener is told so: who could leave it out could also forge it. Its TLVs are
//! skipped. What never happens here: nobody is trusted; the caller has looked at the peer before.

use proxy_header::{ParseConfig, ProxyHeader};
use std::io;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The most octets of a version 2 header: addresses, and TLVs that are skipped.
const MAX_HEADER: usize = 4 << 10;
/// What both versions have at least, so that nothing behind the header is read with it.
const START: usize = 12;
/// Version 2: signature, version and command, family, length.
const FIXED: usize = 16;
/// The most octets of a version 1 header, with its end of line.
const MAX_LINE: usize = 107;

const PARSE: ParseConfig = ParseConfig {
    include_tlvs: false,
    allow_v1: true,
    allow_v2: true,
};

/// Reads exactly the header off a stream. `None`: the front end speaks for itself (a health check of its own).
///
/// # Errors
/// The stream ends or breaks, or what comes is no header.
pub(super) async fn header<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<IpAddr>> {
    let mut header = vec![0; START];
    stream.read_exact(&mut header).await?;
    if header.starts_with(b"PROXY ") {
        while header.last() != Some(&b'\n') && header.len() < MAX_LINE {
            header.push(stream.read_u8().await?);
        }
    } else {
        header.resize(FIXED, 0);
        let rest = header.get_mut(START..).unwrap_or_default();
        stream.read_exact(rest).await?;
        let length = header.last_chunk().copied().map_or(0, u16::from_be_bytes);
        let whole = FIXED + usize::from(length);
        if whole > MAX_HEADER {
            return Err(invalid());
        }
        header.resize(whole, 0);
        let rest = header.get_mut(FIXED..).unwrap_or_default();
        stream.read_exact(rest).await?;
    }
    match ProxyHeader::parse(&header, PARSE) {
        Ok((parsed, length)) if length == header.len() => Ok(source(&parsed)),
        _ => Err(invalid()),
    }
}

/// Takes the header off a datagram: the client, if the header names one, and what is behind it. `None`: there
/// is no header.
pub(super) fn datagram(packet: &[u8]) -> Option<(Option<IpAddr>, &[u8])> {
    let config = ParseConfig {
        allow_v1: false,
        ..PARSE
    };
    let (header, length) = ProxyHeader::parse(packet, config).ok()?;
    Some((source(&header), packet.get(length..)?))
}

fn source(header: &ProxyHeader<'_>) -> Option<IpAddr> {
    let addresses = header.proxied_address()?;
    Some(addresses.source.ip().to_canonical())
}

fn invalid() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no PROXY header")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proxy_header::ProxiedAddress;

    fn v2(source: &str, datagram: bool) -> Vec<u8> {
        let source = source.parse().expect(source);
        let to = match source {
            std::net::SocketAddr::V4(_) => "192.0.2.53:53",
            std::net::SocketAddr::V6(_) => "[2001:db8::53]:53",
        };
        let to = to.parse().expect(to);
        let addresses = if datagram {
            ProxiedAddress::datagram(source, to)
        } else {
            ProxiedAddress::stream(source, to)
        };
        let mut out = vec![0; 1024];
        let header = ProxyHeader::with_address(addresses);
        let length = header.encode_to_slice_v2(&mut out).expect("room");
        out.truncate(length);
        out
    }

    async fn read(octets: &[u8]) -> (Option<Option<String>>, usize) {
        let mut stream = octets;
        let client = header(&mut stream).await;
        (
            client.ok().map(|client| client.map(|ip| ip.to_string())),
            stream.len(),
        )
    }

    #[tokio::test]
    async fn both_versions_are_read_and_nothing_behind_them() {
        for (octets, client) in [
            (v2("203.0.113.7:4711", false), "203.0.113.7"),
            (v2("[2001:db8::7]:4711", false), "2001:db8::7"),
            (v2("[::ffff:203.0.113.7]:1", false), "203.0.113.7"),
            (
                b"PROXY TCP4 203.0.113.7 192.0.2.53 4711 53\r\n".to_vec(),
                "203.0.113.7",
            ),
            (
                b"PROXY TCP6 2001:db8::7 2001:db8::53 4711 53\r\n".to_vec(),
                "2001:db8::7",
            ),
        ] {
            let behind = [&octets[..], &[0, 12, 1, 2]].concat();
            assert_eq!(read(&behind).await, (Some(Some(client.to_owned())), 4));
            let cut = &octets[..octets.len() - 1];
            assert_eq!(read(cut).await.0, None, "{octets:?}");
        }
    }

    #[tokio::test]
    async fn a_front_end_may_speak_for_itself() {
        let mut local = vec![0; 64];
        let length = ProxyHeader::with_local()
            .encode_to_slice_v2(&mut local)
            .expect("room");
        assert_eq!(read(&local[..length]).await, (Some(None), 0));
        assert_eq!(read(b"PROXY UNKNOWN\r\n").await, (Some(None), 0));
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused_early() {
        let mut long = v2("203.0.113.7:1", false);
        long[14] = 0xff;
        long.resize(70_000, 0);
        let line = [b"PROXY TCP4 ".as_slice(), &[b'1'; 500]].concat();
        for octets in [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03AAAAAAAA"[..],
            &long,
            &line,
        ] {
            let (client, left) = read(octets).await;
            assert_eq!(client, None);
            assert!(octets.len() - left <= MAX_LINE, "{}", octets.len() - left);
        }
    }

    #[test]
    fn datagrams_carry_it_each() {
        let packet = [&v2("203.0.113.7:4711", true)[..], b"query"].concat();
        let expected = "203.0.113.7".parse().ok();
        assert_eq!(datagram(&packet), Some((expected, &b"query"[..])));
        assert_eq!(datagram(b"query"), None);
        assert_eq!(datagram(b"PROXY UNKNOWN\r\nquery, which is long"), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_taken(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = datagram(&octets);
            let signed = [b"\r\n\r\n\x00\r\nQUIT\n".as_slice(), &octets].concat();
            let _ = datagram(&signed);
        }
    }
}
