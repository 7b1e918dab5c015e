//! Connections that only stay: opened, used for one request, then held while the load runs. What a
//! server's keep-alive clients cost it. They are not measured.

use super::connection::{Connection, Flight, Received};
use super::h2_link::{Link, Spoken};
use super::request::{Requests, write_proxy_header};
use super::{GenerateError, Setup};
use crate::record::ErrorKind;
use bytes::Bytes;
use h2::client::SendRequest;
use std::io;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Idle connections; dropping them closes them.
pub(super) enum Held {
    /// Over HTTP/1.1.
    H1 { _held: Vec<Connection> },
    /// Over HTTP/2, with the runtime that they belong to. It stands still.
    H2 {
        _held: Vec<SendRequest<Bytes>>,
        _runtime: Runtime,
    },
}

/// Opens the idle connections of a run over HTTP/1.1, one after the other.
///
/// # Errors
/// When one of them gets no answer within `timeout`.
pub(super) fn hold_h1(
    setup: &Setup<'_>,
    requests: &Requests,
    timeout: Duration,
) -> Result<Held, GenerateError> {
    let wanted = setup.options.idle_connections;
    let mut held = Vec::with_capacity(wanted);
    let mut poll = mio::Poll::new().map_err(GenerateError::Wait)?;
    for i in 0..wanted {
        let ask = i % setup.asks.list.len();
        held.push(used_once(setup, requests, ask, i, timeout, &mut poll)?);
    }
    Ok(Held::H1 { _held: held })
}

/// Opens the idle connections of a run over HTTP/2, one after the other.
///
/// # Errors
/// When one of them gets no answer within `timeout`.
pub(super) fn hold_h2(
    setup: &Setup<'_>,
    spoken: &Spoken,
    timeout: Duration,
) -> Result<Held, GenerateError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(GenerateError::Wait)?;
    let mut held = Vec::with_capacity(setup.options.idle_connections);
    runtime.block_on(async {
        for i in 0..setup.options.idle_connections {
            let link = Link::default();
            let ask = link.ask(setup, spoken, i % setup.asks.list.len());
            let asked = tokio::time::timeout(timeout, ask).await;
            match asked.unwrap_or(Err(ErrorKind::Timeout)) {
                Ok(_) | Err(ErrorKind::Status(_)) => held.extend(link.into_sender()),
                Err(kind) => return Err(failed(setup, &kind.to_string())),
            }
        }
        Ok(())
    })?;
    Ok(Held::H2 {
        _held: held,
        _runtime: runtime,
    })
}

fn failed(setup: &Setup<'_>, why: &str) -> GenerateError {
    GenerateError::Idle {
        server: setup.options.server,
        why: why.to_owned(),
    }
}

fn used_once(
    setup: &Setup<'_>,
    requests: &Requests,
    ask: usize,
    token: usize,
    timeout: Duration,
    poll: &mut mio::Poll,
) -> Result<Connection, GenerateError> {
    let failed = |why: &str| failed(setup, why);
    let mut connection = Connection::default();
    begin(setup, requests, ask, &mut connection).map_err(|kind| failed(&kind.to_string()))?;
    let registered = connection.register(poll.registry(), token);
    registered.map_err(GenerateError::Wait)?;
    let mut events = mio::Events::with_capacity(4);
    let mut buffer = vec![0; 64 * 1024];
    let until = Instant::now() + timeout;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return Err(failed("no answer in time"));
        }
        match poll.poll(&mut events, Some(left)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(GenerateError::Wait(error));
            }
            _ => {}
        }
        // The earlier ones are of no interest, even if they are closed.
        let mut mine = events.iter().filter(|event| event.token().0 == token);
        let ended = mine.any(|event| event.is_read_closed());
        let step = connection.flush();
        let received = step.and_then(|()| connection.receive(&mut buffer, &setup.rules, ended));
        match received.map_err(|kind| failed(&kind.to_string()))? {
            Received::Nothing => {}
            Received::Reply(reply) if reply.keep_alive => break,
            Received::Reply(_) | Received::Closed => {
                return Err(failed("the server closes its connections"));
            }
        }
    }
    connection.flight = None;
    Ok(connection)
}

fn begin(
    setup: &Setup<'_>,
    requests: &Requests,
    ask: usize,
    connection: &mut Connection,
) -> Result<(), ErrorKind> {
    let mut bytes = Vec::new();
    let client = setup.asks.list[ask].client.address;
    if setup.tells_by_header() {
        write_proxy_header(&mut bytes, setup.options.told, client, setup.options.server);
    }
    connection.open(setup.options.server, setup.secured(ask), &bytes)?;
    connection.flight = Some(Flight {
        ask,
        due: 0,
        again: false,
    });
    bytes.clear();
    requests.write(ask, &mut bytes);
    connection.send(&bytes)
}
