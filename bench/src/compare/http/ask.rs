//! Asks a server one request at a time and says what came: how a comparison sees that a peer is up and
//! right before it is measured. It measures nothing; the load has a generator of its own.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// The largest head of an answer.
const MAX_HEAD: usize = 16 * 1024;
/// The most header fields of an answer.
const MAX_FIELDS: usize = 64;

/// A client with one kept connection.
pub struct Asker {
    address: SocketAddr,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    timeout: Duration,
    stream: Option<Stream>,
    buffer: Vec<u8>,
}

/// What an answer said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The region that the origin named.
    pub region: Option<String>,
    /// Bytes of the body.
    pub bytes: u64,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Asker {
    /// For this server; each read and write may take `timeout`.
    pub fn new(address: SocketAddr, timeout: Duration) -> Self {
        Self {
            address,
            tls: None,
            timeout,
            stream: None,
            buffer: vec![0; 64 * 1024],
        }
    }

    /// Over TLS, as a client of this host.
    ///
    /// # Errors
    /// When the host can't be a server's name.
    pub fn secured(mut self, config: Arc<ClientConfig>, host: &str) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| format!("{host}: {e}"))?;
        self.tls = Some((config, name));
        Ok(self)
    }

    /// With the least memory, for one of many that are held.
    #[must_use]
    pub fn frugal(mut self) -> Self {
        self.buffer = vec![0; 1024];
        self
    }

    /// Asks for a path on behalf of a client.
    ///
    /// # Errors
    /// When no whole answer came.
    pub fn get(&mut self, host: &str, path: &str, client: IpAddr) -> Result<Reply, String> {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {client}\r\n\r\n");
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect().map_err(|e| e.to_string())?,
        };
        let reply = exchange(&mut stream, request.as_bytes(), &mut self.buffer)?;
        self.stream = Some(stream);
        Ok(reply)
    }

    fn connect(&self) -> io::Result<Stream> {
        let tcp = TcpStream::connect_timeout(&self.address, self.timeout)?;
        tcp.set_read_timeout(Some(self.timeout))?;
        tcp.set_write_timeout(Some(self.timeout))?;
        tcp.set_nodelay(true)?;
        let Some((config, name)) = &self.tls else {
            return Ok(Stream::Plain(tcp));
        };
        let connection = ClientConnection::new(config.clone(), name.clone());
        let connection = connection.map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, tcp))))
    }
}

fn exchange(stream: &mut Stream, request: &[u8], buffer: &mut [u8]) -> Result<Reply, String> {
    stream.write_all(request).map_err(|e| e.to_string())?;
    let mut head = Vec::new();
    let (reply, length, begun) = loop {
        let read = read_some(stream, buffer)?;
        head.extend_from_slice(&buffer[..read]);
        if let Some(found) = parsed(&head)? {
            break found;
        }
        if head.len() > MAX_HEAD {
            return Err(format!("a head of more than {MAX_HEAD} bytes"));
        }
    };
    let mut bytes = begun;
    while bytes < length {
        bytes += read_some(stream, buffer)? as u64;
    }
    if bytes > length {
        return Err("more came than was announced".to_owned());
    }
    Ok(Reply { bytes, ..reply })
}

fn read_some(stream: &mut Stream, buffer: &mut [u8]) -> Result<usize, String> {
    match stream.read(buffer).map_err(|e| e.to_string())? {
        0 => Err("the connection ended before the answer was whole".to_owned()),
        read => Ok(read),
    }
}

/// The answer, the length of its body, and how much of that is here already; `None` while the head is
/// not all here. Origins announce lengths, and no proxy has a reason to take them away.
fn parsed(head: &[u8]) -> Result<Option<(Reply, u64, u64)>, String> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let end = match response.parse(head).map_err(|e| e.to_string())? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(end) => end,
    };
    let field = |name: &str| {
        let mut fields = response.headers.iter();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case(name));
        field.and_then(|field| std::str::from_utf8(field.value).ok())
    };
    let length = field("content-length").and_then(|length| length.parse().ok());
    let length: u64 = length.ok_or("an answer that does not tell its length")?;
    let reply = Reply {
        status: response.code.unwrap_or(0),
        region: field("x-region").map(str::to_owned),
        bytes: 0,
    };
    Ok(Some((reply, length, (head.len() - end) as u64)))
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
