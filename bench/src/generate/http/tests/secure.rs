//! TLS and HTTP/2.

use super::server::{Deed, Server};
use super::{asks, assert_all, closed, closed_with, load, measure, region};
use crate::generate::http::{Connections, Options, Tls, Told, Verify, Version};
use crate::load::Pace;
use crate::record::{ErrorKind, Measured};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nx-region: eu-west\r\ncontent-length: 2\r\n\r\nok";

/// A server for `api.test`, and the certificate as PEM text.
fn certified(alpn: &[&[u8]]) -> (ServerConfig, Vec<u8>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["api.test".to_owned()]).expect("a name");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the versions go with the provider")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("the key is the certificate's");
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    (config, cert.pem().into_bytes())
}

fn over_tls(server: SocketAddr, verify: Verify) -> Options {
    Options {
        tls: Some(Tls {
            verify,
            ..Tls::default()
        }),
        ..Options::new(server, 2)
    }
}

#[test]
fn tls_is_spoken_and_verified_as_told() {
    let (config, pem) = certified(&[b"http/1.1"]);
    let server = Server::secure(config, |_| vec![Deed::Send(OK.to_vec())]);
    for verify in [Verify::Nothing, Verify::Pem(pem.clone())] {
        let measured = measure(&over_tls(server.address, verify), &closed(), &asks(10));
        assert_all(&measured, region("eu-west"));
    }
    let mut options = over_tls(server.address, Verify::Pem(pem));
    options.tls.as_mut().expect("it is on").server_name = Some("other.test".to_owned());
    assert_tls_fails(&measure(&options, &closed(), &asks(10)));
    let (_, stranger) = certified(&[]);
    let options = over_tls(server.address, Verify::Pem(stranger));
    assert_tls_fails(&measure(&options, &closed(), &asks(10)));
}

fn assert_tls_fails(measured: &Measured) {
    let kinds: Vec<_> = measured.errors.keys().copied().collect();
    assert_eq!((measured.answered, kinds), (0, vec![ErrorKind::Tls]));
}

#[test]
fn a_tls_connection_a_request_with_bodies_in_pieces() {
    let (config, _) = certified(&[]);
    let body = vec![b'x'; 300_000];
    let head = format!(
        "HTTP/1.1 200 OK\r\nx-region: us-east\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer = [head.into_bytes(), body].concat();
    let server = Server::secure(config, move |_| {
        let (first, rest) = answer.split_at(20);
        vec![Deed::Trickle(first.to_vec()), Deed::Send(rest.to_vec())]
    });
    for connection in [
        Connections::PerRequest,
        Connections::KeepAlive { connections: 2 },
    ] {
        for resumption in [false, true] {
            let mut options = over_tls(server.address, Verify::Nothing);
            options.connection = connection;
            options.tls.as_mut().expect("it is on").resumption = resumption;
            assert_all(&measure(&options, &closed(), &asks(10)), region("us-east"));
        }
    }
}

#[test]
fn a_server_without_tls_is_no_tls_server() {
    let server = Server::plain(|_| vec![Deed::Send(OK.to_vec())]);
    let options = over_tls(server.address, Verify::Nothing);
    let mut load = closed();
    load.timeout = std::time::Duration::from_millis(50);
    // It waits for the end of a request that never ends.
    let measured = measure(&options, &load, &asks(10));
    assert_eq!(measured.answered, 0);
    assert!(measured.failed() > 0);
}

/// An HTTP/2 server; it counts its connections, and leaves each after so many requests.
fn h2_server(
    tls: Option<ServerConfig>,
    requests: usize,
    late: bool,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    listener.set_nonblocking(true).expect("it can be");
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = connections.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("it is bound");
            let tls = tls.map(|config| tokio_rustls::TlsAcceptor::from(Arc::new(config)));
            // Ends with the tests' process; no test takes so long.
            let end = tokio::time::sleep(std::time::Duration::from_secs(30));
            tokio::pin!(end);
            loop {
                let socket = tokio::select! {
                    () = &mut end => return,
                    accepted = listener.accept() => accepted.expect("a connection").0,
                };
                seen.fetch_add(1, Ordering::SeqCst);
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => h2_serve(socket, requests, late).await,
                        Some(tls) => {
                            if let Ok(socket) = tls.accept(socket).await {
                                h2_serve(socket, requests, late).await;
                            }
                        }
                    }
                });
            }
        });
    });
    (address, connections)
}

async fn h2_serve(mut socket: impl AsyncRead + AsyncWrite + Unpin, requests: usize, late: bool) {
    if late {
        let mut nothing = Vec::new();
        let _ = socket.read_to_end(&mut nothing).await;
        return;
    }
    let Ok(mut connection) = h2::server::handshake(socket).await else {
        return;
    };
    let mut served = 0;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri().host(), Some("api.test"));
        let told = request.headers().get("x-forwarded-for");
        assert!(told.is_some());
        let response = http::Response::builder().header("x-region", "eu-west");
        let response = response.body(()).expect("it is whole");
        if let Ok(mut body) = respond.send_response(response, false) {
            let _ = body.send_data(vec![b'x'; 40_000].into(), true);
        }
        served += 1;
        if served == requests {
            connection.graceful_shutdown();
        }
    }
}

fn over_h2(server: SocketAddr) -> Options {
    Options {
        version: Version::H2 { streams: 3 },
        ..Options::new(server, 2)
    }
}

#[test]
fn h2_is_spoken_with_and_without_tls() {
    let flying = closed_with(6);
    let (server, connections) = h2_server(None, usize::MAX, false);
    assert_all(
        &measure(&over_h2(server), &flying, &asks(10)),
        region("eu-west"),
    );
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    let (config, pem) = certified(&[b"h2"]);
    let (server, connections) = h2_server(Some(config), usize::MAX, false);
    let mut options = over_h2(server);
    options.tls = over_tls(server, Verify::Pem(pem)).tls;
    assert_all(&measure(&options, &flying, &asks(10)), region("eu-west"));
    options.idle_connections = 3;
    let opened = load(Pace::Open { rate: 400.0 });
    let measured = measure(&options, &opened, &asks(10));
    assert_all(&measured, region("eu-west"));
    assert_eq!(measured.sent, 60);
    // Two for each run, and the idle ones.
    assert_eq!(connections.load(Ordering::SeqCst), 7);
}

#[test]
fn h2_connections_come_and_go() {
    let (server, connections) = h2_server(None, 5, false);
    let flying = closed_with(6);
    assert_all(
        &measure(&over_h2(server), &flying, &asks(10)),
        region("eu-west"),
    );
    assert!(connections.load(Ordering::SeqCst) > 2);
    let mut options = over_h2(server);
    options.connection = Connections::PerRequest;
    assert_all(&measure(&options, &closed(), &asks(10)), region("eu-west"));
}

#[test]
fn h2_failures_are_named() {
    let (config, _) = certified(&[b"http/1.1"]);
    let (server, _) = h2_server(Some(config), usize::MAX, false);
    let mut options = over_h2(server);
    options.tls = over_tls(server, Verify::Nothing).tls;
    assert_tls_fails(&measure(&options, &closed(), &asks(10)));
    let (server, _) = h2_server(None, usize::MAX, true);
    let mut short = closed();
    short.timeout = std::time::Duration::from_millis(50);
    let measured = measure(&over_h2(server), &short, &asks(10));
    let kinds: Vec<_> = measured.errors.keys().copied().collect();
    assert_eq!((measured.answered, kinds), (0, vec![ErrorKind::Timeout]));
    let mut options = over_h2("127.0.0.1:1".parse().expect("an address"));
    options.told = Told::Nothing;
    let measured = measure(&options, &closed(), &asks(10));
    let kinds: Vec<_> = measured.errors.keys().copied().collect();
    assert_eq!((measured.answered, kinds), (0, vec![ErrorKind::Connect]));
}
