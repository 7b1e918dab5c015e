//! Where a server listens, and the binding of it.

use super::{BindError, tls, udp};
use crate::query::Transport;
use rustls::server::ResolvesServerCert;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// How often a port is drawn anew, when the system was asked for any that is free for both TCP and UDP.
const PORT_TRIES: usize = 16;
/// The receive and send buffers asked of the system for a QUIC socket, in octets.
const SOCKET_BUFFER: usize = 4 << 20;
/// Connections the system holds for us to accept.
const BACKLOG: i32 = 4_096;
/// DNS over TLS in ALPN (RFC 7858; IANA's registry of RFC 7301).
const DOT: &[u8] = b"dot";

/// Where to listen.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    /// UDP and TCP.
    pub plain: Vec<Plain>,
    /// DNS over TLS (RFC 7858).
    pub dot: Vec<Secure>,
    /// DNS over HTTPS (RFC 8484), with the path that is asked.
    pub doh: Vec<(Secure, String)>,
    /// DNS over QUIC (RFC 9250).
    pub doq: Vec<Secure>,
}

/// An address for UDP and TCP.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// Where; port 0 takes one that is free for both.
    pub address: SocketAddr,
    /// Whether every datagram and connection begins with a PROXY header.
    pub proxied: bool,
}

/// An address with certificates.
#[derive(Clone, Debug)]
pub struct Secure {
    /// Where; port 0 takes any free port.
    pub address: SocketAddr,
    /// Asked at each handshake.
    pub certificates: Arc<dyn ResolvesServerCert>,
    /// Whether every connection begins with a PROXY header, before TLS. Nothing for QUIC.
    pub proxied: bool,
}

impl Listeners {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        let Self {
            plain,
            dot,
            doh,
            doq,
        } = self;
        plain.is_empty() && dot.is_empty() && doh.is_empty() && doq.is_empty()
    }
}

impl From<&[SocketAddr]> for Listeners {
    /// UDP and TCP, straight from the clients.
    fn from(addresses: &[SocketAddr]) -> Self {
        let plain = addresses.iter().map(|address| Plain {
            address: *address,
            proxied: false,
        });
        Self {
            plain: plain.collect(),
            ..Self::default()
        }
    }
}

impl<const N: usize> From<&[SocketAddr; N]> for Listeners {
    fn from(addresses: &[SocketAddr; N]) -> Self {
        addresses.as_slice().into()
    }
}

impl From<&Vec<SocketAddr>> for Listeners {
    fn from(addresses: &Vec<SocketAddr>) -> Self {
        addresses.as_slice().into()
    }
}

/// A TCP listener, and what is spoken there.
pub(super) struct Bound {
    pub(super) listener: TcpListener,
    pub(super) kind: Kind,
    pub(super) proxied: bool,
}

/// What is spoken on a stream.
#[derive(Clone)]
pub(super) enum Kind {
    Plain,
    Tls(TlsAcceptor),
    /// With the path.
    Https(TlsAcceptor, Arc<str>),
}

impl Kind {
    pub(super) const fn transport(&self) -> Transport {
        match self {
            Self::Plain => Transport::Tcp,
            Self::Tls(_) => Transport::Tls,
            Self::Https(..) => Transport::Https,
        }
    }
}

/// Binds the TCP listener of DoT, or of DoH where there is a path.
pub(super) fn secure(spec: &Secure, path: Option<&str>) -> Result<(Bound, SocketAddr), BindError> {
    let transport = match path {
        Some(_) => Transport::Https,
        None => Transport::Tls,
    };
    let failed = |source| BindError {
        address: spec.address,
        transport,
        source,
    };
    let protocols: &[&[u8]] = match path {
        Some(_) => &[b"h2", b"http/1.1"],
        None => &[DOT],
    };
    let config = tls::over_tcp(spec.certificates.clone(), protocols)
        .map_err(|error| failed(io::Error::other(error)))?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = bind_tcp(spec.address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let bound = Bound {
        listener,
        kind: match path {
            Some(path) => Kind::Https(acceptor, path.into()),
            None => Kind::Tls(acceptor),
        },
        proxied: spec.proxied,
    };
    Ok((bound, address))
}

/// Binds UDP and TCP on one port.
pub(super) fn bind_both(
    plain: &Plain,
    workers: NonZeroUsize,
) -> Result<(udp::Group, TcpListener, SocketAddr), BindError> {
    let address = plain.address;
    let failed = |transport| {
        move |source| BindError {
            address,
            transport,
            source,
        }
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let tcp = bind_tcp(address).map_err(failed(Transport::Tcp))?;
        let bound = tcp.local_addr().map_err(failed(Transport::Tcp))?;
        match udp::Group::bind(bound, plain.proxied, workers) {
            Ok(udp) => return Ok((udp, tcp, bound)),
            Err(error) => {
                let taken = error.kind() == io::ErrorKind::AddrInUse;
                if !(taken && address.port() == 0 && tries < PORT_TRIES) {
                    return Err(failed(Transport::Udp)(error));
                }
            }
        }
    }
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    // A restart must not wait for the last connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A UDP socket of its own, for QUIC.
pub(super) fn bind_quic(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}
