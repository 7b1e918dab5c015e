//! A query on the wire, over UDP and TCP, as `dig` sends it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a datagram is sent.
const TRIES: usize = 3;

/// A response, and how it came.
pub struct Reply {
    /// Its octets.
    pub octets: Vec<u8>,
    /// The address that the query left from.
    pub client: IpAddr,
    /// Whether it came by TCP.
    pub tcp: bool,
    /// From the query to the response.
    pub took: Duration,
}

/// Asks `server`; over TCP when told so, or when the response over UDP is truncated.
///
/// # Errors
/// What the last try ended with.
pub fn ask(server: SocketAddr, packet: &[u8], tcp: bool) -> io::Result<Reply> {
    if tcp {
        return over_tcp(server, packet);
    }
    let reply = over_udp(server, packet)?;
    let truncated = reply.octets.get(2).is_some_and(|flags| flags & 0x02 != 0);
    if truncated {
        return over_tcp(server, packet);
    }
    Ok(reply)
}

fn over_udp(server: SocketAddr, packet: &[u8]) -> io::Result<Reply> {
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    let client = socket.local_addr()?.ip();
    let mut last = io::ErrorKind::TimedOut.into();
    for _ in 0..TRIES {
        let begin = Instant::now();
        socket.send(packet)?;
        match receive(&socket, packet, begin) {
            Ok(octets) => {
                return Ok(Reply {
                    octets,
                    client,
                    tcp: false,
                    took: begin.elapsed(),
                });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The response with the query's id; others are left.
fn receive(socket: &UdpSocket, packet: &[u8], begin: Instant) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; 65_535];
    loop {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = socket.recv(&mut buffer)?;
        let octets = buffer.get(..length).unwrap_or(&[]);
        if length >= 12 && octets.get(..2) == packet.get(..2) {
            return Ok(octets.to_vec());
        }
    }
}

fn over_tcp(server: SocketAddr, packet: &[u8]) -> io::Result<Reply> {
    let begin = Instant::now();
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = u16::try_from(packet.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), packet].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut octets)?;
    Ok(Reply {
        octets,
        client: stream.local_addr()?.ip(),
        tcp: true,
        took: begin.elapsed(),
    })
}
