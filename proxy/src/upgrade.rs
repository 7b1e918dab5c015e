//! The connection for a request that asks to be upgraded (WebSocket): its first answers wait a moment.
//!
//! Pingora 0.9.1 runs two halves of a request side by side: one hands on the end of the request's empty
//! body, the other reads the response. When an endpoint's 101 is read before that end has been handed
//! on, the end is taken for the end of the upgraded stream and the connection is closed. A near
//! endpoint is quick enough for that, one time in forty. So reads that follow the first few writes are
//! held back for a millisecond and some turns of the task, in which the end of the body goes first.
//! Nothing else is changed, and nothing is held once the stream is under way.

use async_trait::async_trait;
use pingora_core::connectors::L4Connect;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora_core::{Error, ErrorType, Result};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};

/// How long an answer is held back.
const HELD: Duration = Duration::from_millis(1);
/// How many turns of the task it is held back at least.
const TURNS: u8 = 4;
/// After how many writes reads are held back: a TLS handshake has up to three before the request.
const WRITES: u8 = 4;

/// Connects to endpoints for upgrades.
#[derive(Debug)]
pub(crate) struct Upgrades {
    /// The longest a connection may take to be established.
    pub(crate) connect_timeout: Duration,
}

#[async_trait]
impl L4Connect for Upgrades {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let SocketAddr::Inet(address) = address else {
            return Error::e_explain(
                ErrorType::InternalError,
                "an endpoint is an IP address and a port",
            );
        };
        let stream = match timeout(self.connect_timeout, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Error::e_because(kind(&error), format!("connecting to {address}"), error);
            }
            Err(_) => {
                return Error::e_explain(
                    ErrorType::ConnectTimedout,
                    format!("connecting to {address}"),
                );
            }
        };
        let socket = Patient {
            stream,
            writes: WRITES,
            turns: TURNS,
            held: None,
        };
        Ok(VirtualSocketStream::new(Box::new(socket)).into())
    }
}

fn kind(error: &io::Error) -> ErrorType {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
        io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            ErrorType::ConnectNoRoute
        }
        _ => ErrorType::ConnectError,
    }
}

/// A stream whose first reads are patient.
#[derive(Debug)]
struct Patient {
    stream: TcpStream,
    /// How many writes will still make the next read wait.
    writes: u8,
    /// How many more turns the current read waits at least.
    turns: u8,
    /// Until when the current read waits.
    held: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn hold(&mut self) {
        if self.writes > 0 {
            self.writes -= 1;
            self.turns = TURNS;
            self.held = Some(Box::pin(sleep(HELD)));
        }
    }

    /// Waits out what the last write asked for.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(held) = &mut self.held else {
            return Poll::Ready(());
        };
        if self.turns > 0 {
            self.turns -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        std::task::ready!(held.as_mut().poll(cx));
        self.held = None;
        Poll::Ready(())
    }
}

impl VirtualSocket for Patient {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.stream.set_nodelay(true),
            // An upgraded stream is kept alive by its own pings.
            _ => Ok(()),
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_held(cx));
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.hold();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
