//! Connections that only stay: opened, used for one request, then held while the load runs. What a
//! server's keep-alive clients cost it. They are not measured.

use super::Run;
use super::connection::{Connection, Flight, Received};
use super::request::{Requests, write_proxy_header};
use super::{GenerateError, Told};
use std::io;
use std::time::{Duration, Instant};

/// Opens the idle connections of a run, one after the other; dropping them closes them. They speak
/// HTTP/1.1.
///
/// # Errors
/// When one of them gets no answer within the timeout of the load.
pub(super) fn hold(run: &Run<'_>, requests: &Requests) -> Result<Vec<Connection>, GenerateError> {
    let wanted = run.options.idle_connections;
    let mut held = Vec::with_capacity(wanted);
    let mut poll = mio::Poll::new().map_err(GenerateError::Wait)?;
    for i in 0..wanted {
        let ask = i % run.asks.list.len();
        held.push(used_once(run, requests, ask, &mut poll)?);
    }
    Ok(held)
}

fn used_once(
    run: &Run<'_>,
    requests: &Requests,
    ask: usize,
    poll: &mut mio::Poll,
) -> Result<Connection, GenerateError> {
    let failed = |why: &str| GenerateError::Idle {
        server: run.options.server,
        why: why.to_owned(),
    };
    let mut connection = Connection::default();
    begin(run, requests, ask, &mut connection).map_err(|kind| failed(&kind.to_string()))?;
    let registered = connection.register(poll.registry(), 0);
    registered.map_err(GenerateError::Wait)?;
    let mut events = mio::Events::with_capacity(4);
    let mut buffer = vec![0; 64 * 1024];
    let until = Instant::now() + run.load.timeout;
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
        let ended = events.iter().any(|event| event.is_read_closed());
        let step = connection.flush();
        let received = step.and_then(|()| connection.receive(&mut buffer, &run.rules, ended));
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
    run: &Run<'_>,
    requests: &Requests,
    ask: usize,
    connection: &mut Connection,
) -> Result<(), crate::record::ErrorKind> {
    let mut bytes = Vec::new();
    let client = run.asks.list[ask].client.address;
    if matches!(run.options.told, Told::ProxyV1 | Told::ProxyV2) {
        write_proxy_header(&mut bytes, run.options.told, client, run.options.server);
    }
    connection.open(run.options.server, run.secured(ask), &bytes)?;
    connection.flight = Some(Flight {
        ask,
        due: 0,
        again: false,
    });
    bytes.clear();
    requests.write(ask, &mut bytes);
    connection.send(&bytes)
}
