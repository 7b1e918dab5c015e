//! Clients of a running PoP: DNS over UDP and TCP, HTTP/1.1 over connections that are kept.
//!
//! They wait with a bound and never ask twice: an answer that is lost or broken is the test's to see.

use super::wire::{Malformed, Question, Reply, decode};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

/// How long any one answer is waited for. Reaching it is a failure, so it is long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no answer.
#[derive(Debug)]
pub enum Failed {
    Io(io::Error),
    Dns(Malformed),
    Http(String),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Dns(error) => write!(f, "{error}"),
            Self::Http(error) => write!(f, "malformed HTTP response: {error}"),
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Malformed> for Failed {
    fn from(error: Malformed) -> Self {
        Self::Dns(error)
    }
}

/// A DNS client over UDP.
pub struct Dns {
    socket: UdpSocket,
    id: u16,
}

impl Dns {
    pub fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.connect(server).expect("a server on loopback");
        socket.set_read_timeout(Some(PATIENCE)).expect("a bound");
        Self { socket, id: 0 }
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, question: &Question) -> Result<Reply, Failed> {
        let id = self.send(question)?;
        let reply = self.receive()?;
        if reply.id == id {
            Ok(reply)
        } else {
            Err(Malformed::foreign().into())
        }
    }

    /// Sends a question and returns its id.
    pub fn send(&mut self, question: &Question) -> Result<u16, Failed> {
        self.id = self.id.wrapping_add(1);
        self.socket.send(&question.encode(self.id))?;
        Ok(self.id)
    }

    /// The next answer, whichever question it is for.
    pub fn receive(&mut self) -> Result<Reply, Failed> {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer)?;
        Ok(decode(&buffer[..length])?)
    }

    /// Asks `questions` with up to `window` of them on their way at a time; gives each answer to `take` with the
    /// position of its question. At most 65,536 questions.
    pub fn ask_all(
        &mut self,
        questions: &[Question],
        window: usize,
        mut take: impl FnMut(usize, Reply),
    ) -> Result<(), Failed> {
        assert!(questions.len() <= 1 << 16, "an id stands for one question");
        let mut answered = vec![false; questions.len()];
        let first = self.id.wrapping_add(1);
        let mut sent = 0;
        for done in 0..questions.len() {
            while sent < questions.len() && sent - done < window {
                self.send(&questions[sent])?;
                sent += 1;
            }
            let reply = self.receive()?;
            let at = usize::from(reply.id.wrapping_sub(first));
            match answered.get_mut(at) {
                Some(seen) if !*seen && at < sent => *seen = true,
                _ => return Err(Malformed::foreign().into()),
            }
            take(at, reply);
        }
        Ok(())
    }
}

impl Malformed {
    const fn foreign() -> Self {
        Self::new("an id that was not asked with, or twice")
    }
}

/// Asks once over TCP (RFC 1035 §4.2.2: two bytes of length first).
pub fn dns_over_tcp(server: SocketAddr, question: &Question) -> Result<Reply, Failed> {
    let mut stream = connect(server)?;
    let message = question.encode(1);
    stream.write_all(&(message.len() as u16).to_be_bytes())?;
    stream.write_all(&message)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply)?;
    Ok(decode(&reply)?)
}

fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// An HTTP/1.1 client with one connection, kept while the server keeps it.
pub struct Http {
    server: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

/// One request. No body.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    /// Who it is said to come from, in X-Forwarded-For.
    pub client: Option<IpAddr>,
}

/// A response, its body read whole.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The region that one of the demo's origins says it is.
    pub fn region(&self) -> Option<String> {
        self.json()["region"]
            .as_str()
            .filter(|_| self.status == 200)
            .map(str::to_owned)
    }
}

impl Http {
    pub fn new(server: SocketAddr) -> Self {
        Self {
            server,
            connection: None,
        }
    }

    pub fn get(&mut self, path: &str) -> Result<Response, Failed> {
        self.ask(&Ask {
            method: "GET",
            host: "localhost",
            path,
            client: None,
        })
    }

    /// Asks and reads the whole response.
    pub fn ask(&mut self, ask: &Ask<'_>) -> Result<Response, Failed> {
        let mut connection = match self.connection.take() {
            Some(kept) => kept,
            None => BufReader::new(connect(self.server)?),
        };
        let forwarded = match ask.client {
            Some(client) => format!("X-Forwarded-For: {client}\r\n"),
            None => String::new(),
        };
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\n{forwarded}Content-Length: 0\r\n\r\n",
            ask.method, ask.path, ask.host
        );
        connection.get_mut().write_all(head.as_bytes())?;
        let response = read_response(&mut connection)?;
        if response.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(response)
    }
}

fn read_response(from: &mut impl BufRead) -> Result<Response, Failed> {
    let status_line = line(from)?;
    let status = status_line
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| Failed::Http(format!("status line {status_line:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = line(from)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| Failed::Http(format!("header {line:?}")))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut response = Response {
        status,
        headers,
        body: Vec::new(),
    };
    response.body = if response.header("transfer-encoding") == Some("chunked") {
        chunks(from)?
    } else {
        let length = response.header("content-length").map_or(Ok(0), str::parse);
        let length: usize = length.map_err(|_| Failed::Http("content-length".to_owned()))?;
        exactly(from, length)?
    };
    Ok(response)
}

fn line(from: &mut impl BufRead) -> Result<String, Failed> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Err(Failed::Http("closed where a line was due".to_owned()));
    }
    Ok(line.trim_end().to_owned())
}

fn exactly(from: &mut impl BufRead, length: usize) -> Result<Vec<u8>, Failed> {
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(body)
}

fn chunks(from: &mut impl BufRead) -> Result<Vec<u8>, Failed> {
    let mut body = Vec::new();
    loop {
        let size = line(from)?;
        let length = usize::from_str_radix(&size, 16)
            .map_err(|_| Failed::Http(format!("chunk size {size:?}")))?;
        body.extend(exactly(from, length)?);
        line(from)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

#[test]
fn responses_are_read_whole() {
    for (text, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            "hello",
        ),
        ("HTTP/1.1 451 Unavailable For Legal Reasons\r\n\r\n", ""),
    ] {
        let response = read_response(&mut text.as_bytes()).expect("a response");
        assert_eq!(response.body, body.as_bytes(), "{text:?}");
    }
    read_response(&mut "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello".as_bytes())
        .expect_err("cut short");
}
