//! A small HTTP/1.1 server for the tests of the generator: it answers with the very bytes it is told to.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One thing the server does for a request.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes one by one.
    Trickle(Vec<u8>),
    /// Does nothing for a while.
    Wait(Duration),
    /// Closes the connection.
    Close,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which connection, from 0.
    pub connection: usize,
    /// Which request on it, from 0.
    pub nth: usize,
    /// Its head; before the first one also what came before it.
    pub head: Vec<u8>,
}

impl Asked {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.head).into_owned()
    }
}

type Answer = Arc<dyn Fn(&Asked) -> Vec<Deed> + Send + Sync>;

/// A running server; it ends when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    pub connections: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

/// The most requests that are remembered.
const MAX_ASKED: usize = 10_000;

impl Server {
    pub fn plain(answer: impl Fn(&Asked) -> Vec<Deed> + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answer))
    }

    pub fn secure(
        config: ServerConfig,
        answer: impl Fn(&Asked) -> Vec<Deed> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(Arc::new(config)), Arc::new(answer))
    }

    fn start(tls: Option<Arc<ServerConfig>>, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let server = Self {
            address: listener.local_addr().expect("it is bound"),
            asked: Arc::default(),
            connections: Arc::default(),
            ended: Arc::default(),
        };
        let (asked, connections) = (server.asked.clone(), server.connections.clone());
        let ended = server.ended.clone();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let connection = connections.fetch_add(1, Ordering::SeqCst);
                let (answer, asked, tls) = (answer.clone(), asked.clone(), tls.clone());
                let _ = socket.set_read_timeout(Some(Duration::from_secs(10)));
                let _ = socket.set_nodelay(true);
                thread::spawn(move || serve(socket, tls, connection, &*answer, &asked));
            }
        });
        server
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no test panics with it").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    socket: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    connection: usize,
    answer: &dyn Fn(&Asked) -> Vec<Deed>,
    asked: &Mutex<Vec<Asked>>,
) {
    let raw = socket.try_clone().expect("a socket can be cloned");
    match tls {
        None => converse(socket, connection, answer, asked),
        Some(config) => {
            let tls = ServerConnection::new(config).expect("the config is whole");
            converse(StreamOwned::new(tls, socket), connection, answer, asked);
        }
    }
    let _ = raw.shutdown(Shutdown::Both);
}

fn converse(
    mut stream: impl Read + Write,
    connection: usize,
    answer: &dyn Fn(&Asked) -> Vec<Deed>,
    asked: &Mutex<Vec<Asked>>,
) {
    for nth in 0.. {
        let Some(head) = read_head(&mut stream) else {
            return;
        };
        let one = Asked {
            connection,
            nth,
            head,
        };
        {
            let mut all = asked.lock().expect("no test panics with it");
            if all.len() < MAX_ASKED {
                all.push(one.clone());
            }
        }
        for deed in answer(&one) {
            let done = match deed {
                Deed::Send(bytes) => stream.write_all(&bytes).and_then(|()| stream.flush()),
                Deed::Trickle(bytes) => bytes
                    .iter()
                    .try_for_each(|byte| stream.write_all(&[*byte]).and_then(|()| stream.flush())),
                Deed::Wait(time) => {
                    thread::sleep(time);
                    Ok(())
                }
                Deed::Close => return,
            };
            if done.is_err() {
                return;
            }
        }
    }
}

/// Up to the empty line that ends a request. Those of version 2 of the PROXY protocol begin with one.
fn read_head(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    loop {
        if !matches!(stream.read(&mut byte), Ok(1)) || head.len() > 65_536 {
            return None;
        }
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") && head.windows(5).any(|part| part == b"HTTP/") {
            return Some(head);
        }
    }
}
