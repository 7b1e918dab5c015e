//! Talking to other servers: a SOA asked for, a zone transferred, a NOTIFY sent. One exchange each, bounded in time.
//!
//! Nothing is decided here: when to talk, and what becomes of an answer, is for others.

use dns::Name;
use dns::message::rcode_name;
use dns::transfer::notify::{self, RETRIES, Reply};
use dns::transfer::{Asked, Incoming, Limits, OwnedRecord, Received, Remote, Signer, Verifier};
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

/// How long each try of a question over UDP waits for an answer.
const TRIES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// How long a connection may take to be made, and a primary to begin.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a primary may be silent in a transfer.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a transfer may take in all.
const WHOLE: Duration = Duration::from_secs(2 * 3600);

/// What is to be asked, and what its answer is verified with.
struct Request {
    id: u16,
    message: Vec<u8>,
    verifier: Option<Verifier>,
}

impl Request {
    fn new(remote: &Remote, make: impl FnOnce(u16) -> Vec<u8>) -> Self {
        let id = draw() as u16;
        let mut message = make(id);
        let verifier = remote
            .key
            .clone()
            .map(|key| Signer::request(key, &mut message, unix_now()));
        Self {
            id,
            message,
            verifier,
        }
    }

    /// Reads an answer; `None`: it is another's, or none that is to be believed.
    fn reply(&self, message: &[u8], zone: &Name) -> Option<Result<Reply, String>> {
        let reply = notify::reply(message, self.id, zone)?;
        match self.verifier.clone() {
            None => Some(Ok(reply)),
            Some(mut verifier) => match verifier.message(message, unix_now()) {
                Ok(_) => Some(Ok(reply)),
                Err(error) => Some(Err(error.to_string())),
            },
        }
    }
}

/// Asks for the zone's SOA; gives its serial.
pub async fn soa(remote: &Remote, zone: &Name) -> Result<u32, String> {
    let request = Request::new(remote, |id| notify::soa_query(id, zone));
    let reply = match datagrams(remote.address, &request, zone, &TRIES).await {
        Ok(reply) if !reply.truncated => reply,
        // What UDP could not bring, TCP may.
        Ok(_) | Err(_) => stream_reply(remote, zone).await?,
    };
    match (reply.rcode, reply.serial) {
        (0, Some(serial)) if reply.authoritative => Ok(serial),
        (0, Some(_)) => Err("it is not authoritative for the zone".to_owned()),
        (0, None) => Err("it answers without a SOA".to_owned()),
        (rcode, _) => Err(format!("it answers {}", rcode_name(rcode.into()))),
    }
}

/// Sends a NOTIFY until it is answered, or often enough; gives the response code.
pub async fn announce(
    remote: &Remote,
    zone: &Name,
    soa: Option<(u32, &[u8])>,
) -> Result<u8, String> {
    let request = Request::new(remote, |id| notify::notify(id, zone, soa));
    let reply = datagrams(remote.address, &request, zone, &RETRIES).await?;
    Ok(reply.rcode)
}

/// Sends a datagram as often as there are waits, until it is answered.
async fn datagrams(
    to: SocketAddr,
    request: &Request,
    zone: &Name,
    waits: &[Duration],
) -> Result<Reply, String> {
    let failed = |error: std::io::Error| error.to_string();
    let any: SocketAddr = if to.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    // A port of its own for each exchange, and only that server's datagrams: nothing else is taken for an answer.
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    socket.connect(to).await.map_err(failed)?;
    let mut last = "no answer".to_owned();
    let mut buffer = vec![0; 64 << 10];
    for wait in waits {
        let deadline = Instant::now() + *wait;
        if let Err(error) = socket.send(&request.message).await {
            last = failed(error);
        }
        loop {
            match timeout_at(deadline, socket.recv(&mut buffer)).await {
                Err(_) => break,
                Ok(Err(error)) => {
                    // Nobody listens there (yet): wait the time out, and try again.
                    last = failed(error);
                    tokio::time::sleep_until(deadline).await;
                    break;
                }
                Ok(Ok(length)) => {
                    let message = buffer.get(..length).unwrap_or(&[]);
                    match request.reply(message, zone) {
                        Some(Ok(reply)) => return Ok(reply),
                        Some(Err(why)) => last = why,
                        None => {}
                    }
                }
            }
        }
    }
    Err(last)
}

/// Asks for the SOA over TCP.
async fn stream_reply(remote: &Remote, zone: &Name) -> Result<Reply, String> {
    let request = Request::new(remote, |id| notify::soa_query(id, zone));
    let mut stream = connected(remote.address).await?;
    send(&mut stream, &request.message).await?;
    let message = receive(&mut stream).await?;
    request
        .reply(&message, zone)
        .unwrap_or_else(|| Err("it answers something else".to_owned()))
}

/// Transfers the zone: what changed since the version that `have` is the SOA of, or all of it.
pub async fn zone(
    remote: &Remote,
    zone: &Name,
    have: Option<(&OwnedRecord, u32)>,
) -> Result<Received, String> {
    let soa = have.map(|(soa, _)| (soa.ttl, &*soa.data));
    let request = Request::new(remote, |id| notify::transfer_query(id, zone, soa));
    let asked = Asked {
        zone: zone.clone(),
        id: request.id,
        have: have.map(|(_, serial)| serial),
    };
    let transfer = async {
        let mut stream = connected(remote.address).await?;
        send(&mut stream, &request.message).await?;
        let mut incoming = Incoming::new(asked, Limits::default());
        let mut verifier = request.verifier;
        loop {
            let message = receive(&mut stream).await?;
            let message = match &mut verifier {
                None => message,
                Some(verifier) => verifier
                    .message(&message, unix_now())
                    .map_err(|error| error.to_string())?,
            };
            if incoming
                .message(&message)
                .map_err(|error| error.to_string())?
            {
                break;
            }
        }
        if let Some(verifier) = verifier {
            verifier.finish().map_err(|error| error.to_string())?;
        }
        if incoming.foreign() > 0 {
            tracing::warn!(%zone, records = incoming.foreign(), "records of other zones in a transfer were left out");
        }
        incoming.finish(false).map_err(|error| error.to_string())
    };
    match timeout(WHOLE, transfer).await {
        Ok(received) => received,
        Err(_) => Err("it took too long".to_owned()),
    }
}

async fn connected(to: SocketAddr) -> Result<TcpStream, String> {
    match timeout(CONNECT, TcpStream::connect(to)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it does not accept a connection".to_owned()),
    }
}

async fn send(stream: &mut TcpStream, message: &[u8]) -> Result<(), String> {
    let mut framed = (message.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    match timeout(CONNECT, stream.write_all(&framed)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it does not take the request".to_owned()),
    }
}

async fn receive(stream: &mut TcpStream) -> Result<Vec<u8>, String> {
    let read = async {
        let length = stream.read_u16().await?;
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await?;
        Ok(message)
    };
    match timeout(SILENCE, read).await {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(error)) if is_end(&error) => {
            Err("it closed the connection before the end".to_owned())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it fell silent".to_owned()),
    }
}

fn is_end(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::UnexpectedEof
}

/// A number nobody can foresee: the standard library's hash keys are random for each process and differ for each.
pub fn draw() -> u64 {
    RandomState::new().hash_one(0_u8)
}

fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
