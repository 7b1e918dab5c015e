//! A plain HTTP/1.1 client that sends exactly the bytes it is given and reads one response at a time.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Nothing here takes nearly as long; a test that hangs fails instead.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Client<S> {
    pub io: S,
    rest: Vec<u8>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The head as it came, in lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// One request over a connection of its own.
pub async fn once(address: SocketAddr, request: &str) -> Response {
    let mut client = connect(address).await;
    client.send(request.as_bytes()).await;
    client.response().await
}

/// `GET path` for a host.
pub async fn get(address: SocketAddr, host: &str, path: &str) -> Response {
    once(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    )
    .await
}

pub async fn connect(address: SocketAddr) -> Client<TcpStream> {
    Client::over(
        TcpStream::connect(address)
            .await
            .expect("the proxy listens"),
    )
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn over(io: S) -> Self {
        Self {
            io,
            rest: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.expect("sent");
        self.io.flush().await.expect("flushed");
    }

    /// Reads a response, interim ones excluded; panics when the connection ends before its head.
    pub async fn response(&mut self) -> Response {
        self.try_response().await.expect("a response")
    }

    /// As [`Client::response`]; `None` when the connection ends first.
    pub async fn try_response(&mut self) -> Option<Response> {
        self.answer_to("GET").await
    }

    pub async fn answer_to(&mut self, method: &str) -> Option<Response> {
        loop {
            let head = self.head().await?;
            let status = head.split(' ').nth(1)?.parse().ok()?;
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let mut response = Response {
                status,
                head,
                body: Vec::new(),
            };
            if method != "HEAD" && status != 101 && status != 204 && status != 304 {
                response.body = self.body(&response).await;
            }
            return Some(response);
        }
    }

    async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.rest.windows(4).position(|w| w == b"\r\n\r\n") {
                let head: Vec<u8> = self.rest.drain(..end + 4).collect();
                return Some(
                    String::from_utf8_lossy(&head)
                        .replace("\r\n", "\n")
                        .to_lowercase(),
                );
            }
            self.more().await?;
        }
    }

    async fn body(&mut self, response: &Response) -> Vec<u8> {
        if response.header("transfer-encoding") == Some("chunked") {
            return self.chunks().await;
        }
        match response.header("content-length") {
            Some(length) => self.exactly(length.parse().expect("a length")).await,
            None => {
                while self.more().await.is_some() {}
                std::mem::take(&mut self.rest)
            }
        }
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(end) = self.rest.windows(2).position(|w| w == b"\r\n") {
                    break self.exactly(end + 2).await;
                }
                self.more().await.expect("a chunk");
            };
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim(), 16).expect("a size");
            let chunk = self.exactly(size + 2).await;
            if size == 0 {
                return body;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    /// Exactly so many bytes of what comes in.
    pub async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.rest.len() < length {
            self.more().await.expect("the rest of the body");
        }
        self.rest.drain(..length).collect()
    }

    /// Reads some more; `None` at the end of the connection, however it ends.
    async fn more(&mut self) -> Option<usize> {
        let mut buffer = vec![0; 65_536];
        let read = timeout(PATIENCE, self.io.read(&mut buffer))
            .await
            .expect("the proxy hangs");
        let n = read.ok().filter(|n| *n > 0)?;
        self.rest.extend_from_slice(&buffer[..n]);
        Some(n)
    }

    /// Whether the other side has ended the connection and sent nothing more.
    pub async fn is_closed(&mut self) -> bool {
        self.rest.is_empty() && self.more().await.is_none()
    }
}
