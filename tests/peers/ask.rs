//! Questions as octets, and one server asked them one after the other over UDP or TCP.

use crate::message::Message;
use crate::name::Name;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// How long an answer is waited for, and how often a question is asked.
const PATIENCE: Duration = Duration::from_secs(5);
const TRIES: usize = 3;

/// How a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// A datagram, with EDNS of this payload or none.
    Udp(Option<u16>),
    /// A stream, with EDNS.
    Tcp,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Question {
    pub name: Name,
    pub rtype: u16,
    pub over: Over,
    /// DO (RFC 3225).
    pub dnssec: bool,
    /// RD, and further header flags with it: AD, CD and the one that must be zero.
    pub flags: u16,
    /// Client subnet: the address, cut to so many bits (RFC 7871).
    pub subnet: Option<(IpAddr, u8)>,
}

impl Question {
    /// A plain one.
    pub fn new(name: Name, rtype: u16, over: Over) -> Self {
        Self {
            name,
            rtype,
            over,
            dnssec: false,
            flags: 0,
            subnet: None,
        }
    }

    /// The message with this id.
    pub fn encode(&self, id: u16) -> Vec<u8> {
        let payload = match self.over {
            Over::Udp(payload) => payload,
            Over::Tcp => Some(1232),
        };
        let mut out = Vec::new();
        for word in [id, self.flags, 1, 0, 0, u16::from(payload.is_some())] {
            out.extend(u16::to_be_bytes(word));
        }
        out.extend(self.name.wire());
        out.extend(self.rtype.to_be_bytes());
        out.extend([0, 1]);
        if let Some(payload) = payload {
            out.extend([0, 0, 41]);
            out.extend(payload.to_be_bytes());
            out.extend([0, 0, if self.dnssec { 0x80 } else { 0 }, 0]);
            let option = self.subnet.map(subnet_option).unwrap_or_default();
            out.extend((option.len() as u16).to_be_bytes());
            out.extend(option);
        }
        out
    }
}

/// The address with all but its first bits cleared.
pub fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32)));
            Ipv4Addr::from(u32::from(v4) & mask.unwrap_or(0)).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128)));
            Ipv6Addr::from(u128::from(v6) & mask.unwrap_or(0)).into()
        }
    }
}

/// RFC 7871 §6: family, source prefix, scope 0, and as many octets as the prefix needs.
fn subnet_option((address, bits): (IpAddr, u8)) -> Vec<u8> {
    let (family, octets) = match masked(address, bits) {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    let octets = &octets[..usize::from(bits.div_ceil(8))];
    let mut option = vec![0, 8, 0, 4 + octets.len() as u8, 0, family, bits, 0];
    option.extend_from_slice(octets);
    option
}

/// A client of one server.
pub struct Asker {
    server: SocketAddr,
    udp: UdpSocket,
    tcp: Option<TcpStream>,
    id: u16,
}

impl Asker {
    pub fn new(server: SocketAddr) -> Self {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        udp.connect(server).expect("an address of loopback");
        udp.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self {
            server,
            udp,
            tcp: None,
            id: 0,
        }
    }

    /// Asks one question; `Err` says why there is no answer that can be read.
    pub fn ask(&mut self, question: &Question) -> Result<Message, String> {
        self.id = self.id.wrapping_add(1);
        let query = question.encode(self.id);
        let mut last = String::new();
        for _ in 0..TRIES {
            let answer = match question.over {
                Over::Udp(_) => self.over_udp(&query),
                Over::Tcp => self.over_tcp(&query),
            };
            match answer {
                Ok(octets) => return Message::read(&octets, self.id),
                Err(error) => last = error.to_string(),
            }
            self.tcp = None;
        }
        Err(last)
    }

    fn over_udp(&mut self, query: &[u8]) -> std::io::Result<Vec<u8>> {
        self.udp.send(query)?;
        let mut octets = vec![0; usize::from(u16::MAX)];
        loop {
            let length = self.udp.recv(&mut octets)?;
            // What answers an earlier try is not taken for this one's.
            if octets[..length].starts_with(&query[..2]) {
                octets.truncate(length);
                return Ok(octets);
            }
        }
    }

    fn over_tcp(&mut self, query: &[u8]) -> std::io::Result<Vec<u8>> {
        if self.tcp.is_none() {
            let stream = TcpStream::connect(self.server)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            self.tcp = Some(stream);
        }
        let Some(stream) = &mut self.tcp else {
            return Err(std::io::ErrorKind::NotConnected.into());
        };
        let mut framed = (query.len() as u16).to_be_bytes().to_vec();
        framed.extend_from_slice(query);
        stream.write_all(&framed)?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut octets)?;
        Ok(octets)
    }
}
