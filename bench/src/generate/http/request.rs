//! The bytes of requests, made before the load starts: asking is copying. It opens nothing and sends
//! nothing.

use super::{GenerateError, Told};
use crate::asks::Asks;
use crate::subject::Target;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

/// The port a client is said to come from.
const CLIENT_PORT: u16 = 49_152;
/// What every PROXY protocol header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The requests of a run, by question.
#[derive(Debug)]
pub struct Requests {
    /// By target: everything before the client.
    starts: Vec<Vec<u8>>,
    /// The clients as the field says them, one after the other; empty when no field says them.
    clients: String,
    /// Where in it each question's client ends.
    ends: Vec<u32>,
    /// By question: which start.
    targets: Vec<u16>,
}

impl Requests {
    /// The requests of `asks`. `close` asks the server to close the connection after each.
    ///
    /// # Errors
    /// When a path can't be put in a request line.
    pub fn new(
        asks: &Asks,
        told: Told,
        path: Option<&str>,
        close: bool,
    ) -> Result<Self, GenerateError> {
        let targets = asks.targets.iter();
        let starts = targets.map(|target| start(target, told, path, close));
        let mut requests = Self {
            starts: starts.collect::<Result<_, _>>()?,
            clients: String::new(),
            ends: Vec::with_capacity(asks.list.len()),
            targets: asks.list.iter().map(|ask| ask.target).collect(),
        };
        for ask in &asks.list {
            write_client(&mut requests.clients, told, ask.client.address);
            requests.ends.push(requests.clients.len() as u32);
        }
        Ok(requests)
    }

    /// Puts the request of a question at the end of `into`.
    #[inline]
    pub fn write(&self, ask: usize, into: &mut Vec<u8>) {
        let begin = ask.checked_sub(1).map_or(0, |before| self.ends[before]);
        into.extend_from_slice(&self.starts[usize::from(self.targets[ask])]);
        into.extend_from_slice(&self.clients.as_bytes()[begin as usize..self.ends[ask] as usize]);
        into.extend_from_slice(b"\r\n\r\n");
    }
}

/// The path that is asked for.
///
/// # Errors
/// When it can't be put in a request line.
pub(super) fn path_of<'a>(
    target: &'a Target,
    path: Option<&'a str>,
) -> Result<&'a str, GenerateError> {
    let path = path.unwrap_or(&target.path);
    let plain = path.bytes().all(|b| b.is_ascii_graphic());
    if path.starts_with('/') && plain {
        Ok(path)
    } else {
        Err(GenerateError::Path(path.to_owned()))
    }
}

fn start(
    target: &Target,
    told: Told,
    path: Option<&str>,
    close: bool,
) -> Result<Vec<u8>, GenerateError> {
    let path = path_of(target, path)?;
    let mut text = format!("GET {path} HTTP/1.1\r\nHost: {}", target.name);
    if close {
        text.push_str("\r\nConnection: close");
    }
    if let Some(field) = field_name(told) {
        let _ = write!(text, "\r\n{field}: ");
    }
    Ok(text.into_bytes())
}

/// The request field that says who the client is, in lower case.
pub(super) fn field_name(told: Told) -> Option<&'static str> {
    match told {
        Told::XForwardedFor => Some("x-forwarded-for"),
        Told::Forwarded => Some("forwarded"),
        Told::ProxyV1 | Told::ProxyV2 | Told::Nothing => None,
    }
}

/// The value of that field; nothing where there is none.
pub(super) fn write_client(into: &mut String, told: Told, client: IpAddr) {
    // Writing to a string can't fail.
    let _ = match (told, client) {
        (Told::XForwardedFor, client) => write!(into, "{client}"),
        (Told::Forwarded, IpAddr::V4(client)) => write!(into, "for={client}"),
        (Told::Forwarded, IpAddr::V6(client)) => write!(into, "for=\"[{client}]\""),
        (Told::ProxyV1 | Told::ProxyV2 | Told::Nothing, _) => Ok(()),
    };
}

/// Puts the PROXY protocol header of a connection of `client` to `server` at the end of `into`; nothing
/// where the client is told otherwise.
pub(super) fn write_proxy_header(
    into: &mut Vec<u8>,
    told: Told,
    client: IpAddr,
    server: SocketAddr,
) {
    let (to, port) = (same_family(client, server.ip()), server.port());
    match told {
        Told::ProxyV1 => {
            let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
            let line = format!("PROXY {family} {client} {to} {CLIENT_PORT} {port}\r\n");
            into.extend_from_slice(line.as_bytes());
        }
        Told::ProxyV2 => {
            into.extend_from_slice(SIGNATURE);
            // Version 2, command PROXY; then the family over TCP, and the length of what follows.
            match (client, to) {
                (IpAddr::V4(client), IpAddr::V4(to)) => {
                    into.extend_from_slice(&[0x21, 0x11, 0, 12]);
                    into.extend_from_slice(&client.octets());
                    into.extend_from_slice(&to.octets());
                }
                (client, to) => {
                    into.extend_from_slice(&[0x21, 0x21, 0, 36]);
                    into.extend_from_slice(&octets_v6(client));
                    into.extend_from_slice(&octets_v6(to));
                }
            }
            into.extend_from_slice(&CLIENT_PORT.to_be_bytes());
            into.extend_from_slice(&port.to_be_bytes());
        }
        Told::XForwardedFor | Told::Forwarded | Told::Nothing => {}
    }
}

/// The server's address in the family of the client's: a header has one family for both.
fn same_family(client: IpAddr, server: IpAddr) -> IpAddr {
    match (client, server) {
        (IpAddr::V4(_), IpAddr::V6(server)) => {
            let mapped = server.to_ipv4_mapped();
            IpAddr::V4(mapped.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED))
        }
        (IpAddr::V6(_), IpAddr::V4(server)) => IpAddr::V6(server.to_ipv6_mapped()),
        (_, server) => server,
    }
}

fn octets_v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
