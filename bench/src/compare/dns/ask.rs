//! A small DNS client: one question, one answer, one at a time. It judges whether a peer answers rightly
//! before it is put under load, independently of the generator that loads it.

use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// The types of an A and an SOA record, and of the OPT pseudo-record (RFC 1035 §3.2.2, RFC 6891 §6.1.1).
pub const A: u16 = 1;
/// An SOA record.
pub const SOA: u16 = 6;
const OPT: u16 = 41;
/// The class of the Internet.
const IN: u16 = 1;
/// The payload that is offered (RFC 9715 §3.1).
const PAYLOAD: u16 = 1232;
/// The option code of the client subnet (RFC 7871 §6).
const CLIENT_SUBNET: u16 = 8;

/// What came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// RFC 1035 §4.1.1: 0 is NOERROR, 3 is NXDOMAIN.
    pub rcode: u8,
    /// The addresses of the answer section.
    pub addresses: Vec<Ipv4Addr>,
    /// The serial of an SOA record in the answer section (RFC 1035 §3.3.13).
    pub serial: Option<u32>,
    /// The scope of the client subnet option, where there is one.
    pub scope: Option<u8>,
}

/// A socket to one server.
pub struct Asker {
    socket: UdpSocket,
    id: u16,
}

impl Asker {
    /// To this server, each answer waited for no longer than `patience`.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn new(server: SocketAddr, patience: Duration) -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(patience))?;
        Ok(Self { socket, id: 0 })
    }

    /// Asks for the records of a type of `name`, for a client in this network.
    ///
    /// # Errors
    /// When nothing comes in time, or it can't be read.
    pub fn ask(&mut self, name: &str, kind: u16, client: Option<(IpAddr, u8)>) -> Result<Answer> {
        self.id = self.id.wrapping_add(1);
        self.socket.send(&question(self.id, name, kind, client))?;
        let mut buffer = [0; PAYLOAD as usize];
        loop {
            let length = self.socket.recv(&mut buffer)?;
            let message = &buffer[..length];
            // What comes late for an earlier question is not for this one.
            if message.starts_with(&self.id.to_be_bytes()) {
                return read(message).ok_or_else(|| Error::from(ErrorKind::InvalidData));
            }
        }
    }
}

fn question(id: u16, name: &str, kind: u16, client: Option<(IpAddr, u8)>) -> Vec<u8> {
    let mut message = Vec::with_capacity(128);
    // One question and one additional record; no recursion desired.
    for field in [id, 0, 1, 0, 0, 1] {
        message.extend_from_slice(&field.to_be_bytes());
    }
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(label.len().min(63) as u8);
        message.extend_from_slice(&label.as_bytes()[..label.len().min(63)]);
    }
    message.push(0);
    for field in [kind, IN] {
        message.extend_from_slice(&field.to_be_bytes());
    }
    let option = client.map_or_else(Vec::new, |(address, bits)| client_subnet(address, bits));
    message.push(0);
    for field in [OPT, PAYLOAD, 0, 0, option.len() as u16] {
        message.extend_from_slice(&field.to_be_bytes());
    }
    message.extend_from_slice(&option);
    message
}

/// RFC 7871 §6: only as many octets as the prefix needs.
fn client_subnet(address: IpAddr, bits: u8) -> Vec<u8> {
    let (family, octets): (u16, Vec<u8>) = match address {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    let octets = &octets[..usize::from(bits).div_ceil(8).min(octets.len())];
    let mut option = Vec::with_capacity(8 + octets.len());
    option.extend_from_slice(&CLIENT_SUBNET.to_be_bytes());
    option.extend_from_slice(&(4 + octets.len() as u16).to_be_bytes());
    option.extend_from_slice(&family.to_be_bytes());
    option.extend_from_slice(&[bits, 0]);
    option.extend_from_slice(octets);
    option
}

fn read(message: &[u8]) -> Option<Answer> {
    let number = |at: usize| {
        Some(u16::from_be_bytes(
            message.get(at..at + 2)?.try_into().ok()?,
        ))
    };
    let mut answer = Answer {
        rcode: message.get(3)? & 0x0f,
        ..Answer::default()
    };
    let answers = number(6)?;
    let records = answers as usize + number(8)? as usize + number(10)? as usize;
    let mut at = 12;
    for _ in 0..number(4)? {
        at = after_name(message, at)? + 4;
    }
    for record in 0..records {
        at = after_name(message, at)?;
        let (kind, length) = (number(at)?, usize::from(number(at + 8)?));
        let data = message.get(at + 10..at + 10 + length)?;
        at += 10 + length;
        match kind {
            A if record < usize::from(answers) => {
                let octets: [u8; 4] = data.try_into().ok()?;
                answer.addresses.push(octets.into());
            }
            // Serial, refresh, retry, expire and minimum are at its end, four octets each.
            SOA if record < usize::from(answers) => {
                let serial = data
                    .len()
                    .checked_sub(20)
                    .and_then(|at| data.get(at..at + 4))?;
                answer.serial = Some(u32::from_be_bytes(serial.try_into().ok()?));
            }
            OPT => answer.scope = scope(data),
            _ => {}
        }
    }
    Some(answer)
}

fn scope(mut options: &[u8]) -> Option<u8> {
    loop {
        let code = u16::from_be_bytes(options.get(..2)?.try_into().ok()?);
        let length = usize::from(u16::from_be_bytes(options.get(2..4)?.try_into().ok()?));
        let data = options.get(4..4 + length)?;
        if code == CLIENT_SUBNET {
            return data.get(3).copied();
        }
        options = &options[4 + length..];
    }
}

/// Where a name ends: at its root label or its pointer (RFC 1035 §4.1.4).
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_says_who_asks() {
        let message = question(
            7,
            "a.test",
            A,
            Some(("192.0.2.0".parse().expect("an IP"), 24)),
        );
        assert_eq!(&message[..4], &[0, 7, 0, 0]);
        assert_eq!(&message[12..20], b"\x01a\x04test\x00");
        // The option: code 8, 7 octets, family 1, 24 bits, scope 0, three octets of the address.
        let option = [0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2];
        assert!(message.ends_with(&option), "{message:?}");
    }

    #[test]
    fn an_answer_is_read_and_what_is_cut_off_is_not() {
        let mut message = question(1, "a.test", A, None);
        message.truncate(24);
        message[2] = 0x84;
        message[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 1]);
        message
            .extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x09");
        message.extend_from_slice(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x0b");
        message.extend_from_slice(&[0, 8, 0, 7, 0, 1, 24, 20, 192, 0, 2]);
        let expected = Answer {
            rcode: 0,
            addresses: vec!["192.0.2.9".parse().expect("an IP")],
            serial: None,
            scope: Some(20),
        };
        assert_eq!(read(&message), Some(expected));
        for length in 0..message.len() {
            assert_eq!(read(&message[..length]), None, "{length} bytes");
        }
    }
}
