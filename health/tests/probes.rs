//! Single probes against real sockets on loopback: each kind, and each way to fail.

mod common;

use common::{Origin, RULES, check, drain, http, nobody, read_head};
use health::{Failure, MAX_BODY, MAX_HEAD, Outcome, Prober, SystemAuthorities};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use steering::health::{Probe, ProbeHttp, Rules};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const SHORT: Rules = Rules {
    timeout: Duration::from_millis(200),
    ..RULES
};

async fn probe(probe: Probe, rules: Rules, address: SocketAddr) -> Outcome {
    let check = check("api", probe, rules);
    let prober = Prober::new(&check, &mut SystemAuthorities::default()).expect("a usable check");
    prober.probe(address).await
}

/// The name of how it went: `ok` or the kind of failure.
fn name(outcome: &Outcome) -> &'static str {
    outcome.result.as_ref().err().map_or("ok", Failure::name)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn an_accepted_connection_is_all_that_tcp_wants() {
    let origin = Origin::silent().await;
    let outcome = probe(Probe::Tcp, RULES, origin.address).await;
    assert_eq!(outcome.result, Ok(()));
    assert!(outcome.connect.is_some(), "the connect time is measured");
}

#[tokio::test]
async fn a_refused_connection_is_told_from_a_slow_one() {
    let outcome = probe(Probe::Tcp, RULES, nobody().await).await;
    assert_eq!(outcome.result, Err(Failure::ConnectRefused));
    assert_eq!(outcome.connect, None, "there was no connection to measure");
}

#[tokio::test]
async fn a_full_backlog_is_a_connect_timeout() {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind(([127, 0, 0, 1], 0).into())
        .expect("a free port");
    let listener = socket.listen(1).expect("it listens, and never accepts");
    let address = listener.local_addr().expect("a bound listener");
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = timeout(SHORT.timeout, TcpStream::connect(address)).await {
        waiting.push(stream);
        assert!(waiting.len() < 100, "the backlog never fills");
    }
    let outcome = probe(Probe::Tcp, SHORT, address).await;
    assert_eq!(outcome.result, Err(Failure::ConnectTimeout(SHORT.timeout)));
}

#[tokio::test]
async fn silence_after_the_connection_is_a_timeout() {
    let origin = Origin::silent().await;
    let outcome = probe(Probe::Http(http()), SHORT, origin.address).await;
    assert_eq!(outcome.result, Err(Failure::Timeout(SHORT.timeout)));
    assert!(outcome.connect.is_some(), "connected all the same");
}

#[tokio::test]
async fn one_timeout_covers_all_of_a_dripping_answer() {
    let origin = Origin::start(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n")
            .await;
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let spec = ProbeHttp {
        body: Some("never".into()),
        ..http()
    };
    let outcome = probe(Probe::Http(spec), SHORT, origin.address).await;
    assert_eq!(name(&outcome), "timeout");
}

#[tokio::test]
async fn answers_are_judged_by_status() {
    let redirect = answer("302 Found", "location: /elsewhere\r\n", "");
    let early = format!(
        "HTTP/1.1 103 Early Hints\r\n\r\n{}",
        answer("200 OK", "", "ok")
    );
    for (answer, statuses, expected) in [
        (answer("200 OK", "", "ok"), vec![(200, 299)], "ok"),
        (answer("204 No Content", "", ""), vec![(200, 299)], "ok"),
        (answer("200 OK", "", "ok"), vec![(200, 200)], "ok"),
        (answer("204 No Content", "", ""), vec![(200, 200)], "status"),
        (
            answer("503 Service Unavailable", "", "no"),
            vec![(200, 299)],
            "status",
        ),
        (
            answer("404 Not Found", "", "no"),
            vec![(200, 299), (404, 404)],
            "ok",
        ),
        (redirect.clone(), vec![(200, 299)], "status"),
        (redirect, vec![(200, 299), (300, 399)], "ok"),
        (early, vec![(200, 299)], "ok"),
        (
            "HTTP/1.0 200 OK\r\n\r\nuntil the end".to_owned(),
            vec![(200, 299)],
            "ok",
        ),
    ] {
        let origin = Origin::answering(answer.clone()).await;
        let spec = ProbeHttp {
            statuses: statuses.clone(),
            ..http()
        };
        let outcome = probe(Probe::Http(spec), RULES, origin.address).await;
        assert_eq!(
            name(&outcome),
            expected,
            "{answer:?} where {statuses:?} is expected"
        );
        assert_eq!(
            origin.accepted(),
            1,
            "a redirect is not followed: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_wrong_status_says_what_was_expected() {
    let origin = Origin::answering(answer("503 Service Unavailable", "", "")).await;
    let spec = ProbeHttp {
        statuses: vec![(200, 299), (404, 404)],
        ..http()
    };
    let outcome = probe(Probe::Http(spec), RULES, origin.address).await;
    let failure = outcome.result.expect_err("a failure");
    assert_eq!(failure.to_string(), "status 503, expected 200-299, 404");
}

#[tokio::test]
async fn bodies_are_searched_in_their_first_64_kib() {
    let filler = "x".repeat(MAX_BODY - 7);
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                   4\r\nheal\r\n3\r\nthy\r\n0\r\n\r\n";
    for (answer, expected) in [
        (answer("200 OK", "", "all healthy here"), "ok"),
        (answer("200 OK", "", "unwell"), "body"),
        (answer("200 OK", "", ""), "body"),
        (chunked.to_owned(), "ok"),
        (answer("200 OK", "", &format!("{filler}healthy")), "ok"),
        (answer("200 OK", "", &format!("{filler}xhealthy")), "body"),
        (answer("500 Oh No", "", "healthy"), "status"),
        // Cut off: what was promised did not come, and what came does not match.
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nheal".to_owned(),
            "protocol",
        ),
        // Cut off, but what was looked for had come by then.
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhealthy".to_owned(),
            "ok",
        ),
    ] {
        let origin = Origin::answering(answer.clone()).await;
        let spec = ProbeHttp {
            body: Some("healthy".into()),
            ..http()
        };
        let outcome = probe(Probe::Http(spec), RULES, origin.address).await;
        let shown: String = answer.chars().take(120).collect();
        assert_eq!(name(&outcome), expected, "{shown:?}: {:?}", outcome.result);
    }
}

#[tokio::test]
async fn an_endless_body_is_read_no_further_than_the_limit() {
    let origin = Origin::start(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 1024]).await.is_ok() {}
    })
    .await;
    let spec = ProbeHttp {
        body: Some("healthy".into()),
        ..http()
    };
    let outcome = probe(Probe::Http(spec), RULES, origin.address).await;
    assert_eq!(outcome.result, Err(Failure::Body("healthy".into())));
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(2 * MAX_HEAD));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1000));
    for bytes in [
        "SSH-2.0-OpenSSH_9.9\r\n",
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nx",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "\u{0}\u{1}\u{2}\u{3}",
        "just some text\n\n",
        &long,
        &many,
    ] {
        let origin = Origin::answering(bytes).await;
        let outcome = probe(Probe::Http(http()), RULES, origin.address).await;
        let shown: String = bytes.chars().take(60).collect();
        assert_eq!(name(&outcome), "protocol", "{shown:?}");
    }
}

/// What a probe sends, by its head.
async fn sent(spec: ProbeHttp) -> String {
    let (heads, mut received) = mpsc::channel(1);
    let heads = Arc::new(heads);
    let origin = Origin::start(move |mut stream| {
        let heads = heads.clone();
        async move {
            let _ = heads.send(read_head(&mut stream).await).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await;
            drain(&mut stream).await;
        }
    })
    .await;
    let outcome = probe(Probe::Http(spec), RULES, origin.address).await;
    assert_eq!(outcome.result, Ok(()));
    let head = received.recv().await.expect("a request came");
    head.replace(&origin.address.to_string(), "ADDRESS")
}

#[tokio::test]
async fn the_request_is_as_the_check_says() {
    let agent = concat!(
        "user-agent: rhumb-health/",
        env!("CARGO_PKG_VERSION"),
        "\r\n"
    );
    let head = sent(ProbeHttp {
        path: "/ready?deep=1".into(),
        ..http()
    })
    .await;
    assert!(head.starts_with("GET /ready?deep=1 HTTP/1.1\r\n"), "{head}");
    for line in [
        "host: ADDRESS\r\n",
        "connection: close\r\n",
        "accept: */*\r\n",
        agent,
    ] {
        assert!(head.contains(line), "{line:?} in {head:?}");
    }
    let named = ProbeHttp {
        host: Some("api.example.com:8443".into()),
        ..http()
    };
    let head = sent(ProbeHttp {
        method: "HEAD".into(),
        ..named
    })
    .await;
    assert!(head.starts_with("HEAD /health HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("host: api.example.com:8443\r\n"), "{head}");
    let head = sent(ProbeHttp {
        method: "POST".into(),
        ..http()
    })
    .await;
    assert!(
        head.contains("content-length: 0\r\n"),
        "a request without a body says so: {head}"
    );
}
