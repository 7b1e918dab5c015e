//! An origin that answers by path, over plain TCP or TLS, and remembers what it received.

use crate::client::Client;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub struct Origin {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    pub async fn start(name: &'static str) -> Self {
        Self::with(name, None).await
    }

    pub async fn with(name: &'static str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let received: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = received.clone();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (seen, tls) = (seen.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(name, tcp, seen).await,
                        Some(acceptor) => match acceptor.accept(tcp).await {
                            Ok(tls) => serve(name, tls, seen).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { address, received }
    }

    /// The heads of all requests so far, in lower case.
    pub fn received(&self) -> Vec<String> {
        self.received.lock().expect("no test panicked").clone()
    }

    pub fn last(&self) -> String {
        self.received().pop().expect("a request")
    }
}

/// An address where nobody listens.
pub async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address")
}

struct Request {
    path: String,
    head: String,
}

impl Request {
    fn has(&self, line: &str) -> bool {
        self.head.lines().any(|l| l == line)
    }

    fn length(&self) -> Option<usize> {
        let line = self
            .head
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "))?;
        line.parse().ok()
    }
}

async fn serve<S>(name: &str, io: S, seen: Arc<Mutex<Vec<String>>>) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut client = Client::over(io);
    loop {
        let request = read_request(&mut client).await?;
        seen.lock()
            .expect("no test panicked")
            .push(request.head.clone());
        match request.path.as_str() {
            "/silent" => std::future::pending::<()>().await,
            "/hangup" => return None,
            "/ws" => return echo_for_ever(&mut client).await,
            _ => answer(name, &request, &mut client).await?,
        }
    }
}

async fn read_request<S: AsyncRead + AsyncWrite + Unpin>(
    client: &mut Client<S>,
) -> Option<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.io.read_u8().await.ok()?);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let path = text.split(' ').nth(1)?.to_owned();
    Some(Request {
        path,
        head: text.replace("\r\n", "\n").to_lowercase(),
    })
}

async fn answer<S>(name: &str, request: &Request, client: &mut Client<S>) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if request.has("expect: 100-continue") {
        client
            .io
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .ok()?;
    }
    let body = read_body(request, client).await?;
    let (extra, body) = match request.path.as_str() {
        "/head" => ("", request.head.clone().into_bytes()),
        "/echo" | "/chunked" => ("", body),
        "/hop" => (
            "Connection: x-private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n",
            Vec::new(),
        ),
        path => match path.strip_prefix("/big/") {
            Some(size) => ("", vec![b'x'; size.parse().ok()?]),
            None => ("", name.as_bytes().to_vec()),
        },
    };
    let mut out = format!("HTTP/1.1 200 OK\r\nX-Origin: {name}\r\n{extra}").into_bytes();
    if request.path == "/chunked" {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(1000) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
    } else {
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        if !request.head.starts_with("head ") {
            out.extend_from_slice(&body);
        }
    }
    client.io.write_all(&out).await.ok()?;
    client.io.flush().await.ok()
}

async fn read_body<S>(request: &Request, client: &mut Client<S>) -> Option<Vec<u8>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut body = Vec::new();
    if let Some(length) = request.length() {
        body.resize(length, 0);
        client.io.read_exact(&mut body).await.ok()?;
    } else if request.has("transfer-encoding: chunked") {
        loop {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                line.push(client.io.read_u8().await.ok()?);
            }
            let text = String::from_utf8_lossy(&line);
            let mut chunk = vec![0; usize::from_str_radix(text.trim(), 16).ok()? + 2];
            client.io.read_exact(&mut chunk).await.ok()?;
            if chunk.len() == 2 {
                break;
            }
            body.extend_from_slice(&chunk[..chunk.len() - 2]);
        }
    }
    Some(body)
}

async fn echo_for_ever<S: AsyncRead + AsyncWrite + Unpin>(client: &mut Client<S>) -> Option<()> {
    let switch =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.io.write_all(switch).await.ok()?;
    let mut buffer = [0; 4096];
    loop {
        let n = client.io.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        client.io.write_all(&buffer[..n]).await.ok()?;
    }
}
