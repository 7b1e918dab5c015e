//! The octets of a connection: plain, or within TLS (RFC 7858). Never blocks.

use crate::generate::GenerateError;
use crate::generate::http::{Tls, Version, client_config};
use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

/// How connections to a server are secured: any certificate is believed, sessions are not resumed, so that each
/// connection costs the server a whole handshake.
///
/// # Errors
/// When TLS cannot be had.
pub fn dot() -> Result<Arc<ClientConfig>, GenerateError> {
    let tls = Tls {
        alpn: vec![b"dot".to_vec()],
        ..Tls::default()
    };
    client_config(&tls, Version::H1)
}

/// A connection's octets.
pub struct Wire {
    tcp: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Wire {
    /// Over a connection that may still be on its way; `config` is how it is secured.
    ///
    /// # Errors
    /// When TLS cannot be begun.
    pub fn new(
        tcp: TcpStream,
        server: SocketAddr,
        config: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Self> {
        let begin = |config: &Arc<ClientConfig>| {
            let name = ServerName::IpAddress(server.ip().into());
            ClientConnection::new(config.clone(), name).map(Box::new)
        };
        let tls = config.map(begin).transpose().map_err(io::Error::other)?;
        Ok(Self { tcp, tls })
    }

    /// The TCP below.
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Whether a short read says nothing of what the system still has.
    pub fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// Sends what TLS has ready, as far as it goes.
    pub fn push(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        while tls.wants_write() {
            match tls.write_tls(&mut self.tcp) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Write for Wire {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.tcp.write(octets);
        };
        // It takes so much before the handshake is over, and then as much as there is.
        let taken = tls.writer().write(octets)?;
        self.push()?;
        match taken {
            0 => Err(ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.push()
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(tls) = &mut self.tls else {
                return self.tcp.read(into);
            };
            match tls.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            if tls.read_tls(&mut self.tcp)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            self.push()?;
        }
    }
}
