//! What clients are told when a request cannot be served, and what never happens to a request.

use crate::client::{connect, get, once};
use crate::origin::{Origin, nobody};
use crate::setup::{EU, Setup, US, failover, only, pool, service, simple};
use proxy::AccessLogTarget;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn every_refusal_is_a_problem_document_with_its_reason() {
    let origin = Origin::start("us").await;
    let dead = nobody().await;
    let mut pinned = service("pinned.test", failover(&[0, 2]));
    pinned.pinned = true;
    let mut refusing = service("refusing.test", only(2));
    refusing.fail_open = false;
    let open = service("open.test", only(0));
    let empty = service("empty.test", only(3));
    let gone = service("gone.test", only(1));
    let pools = vec![
        pool(US, &[origin.address]),
        pool(US, &[dead]),
        pool(EU, &[origin.address]),
        pool(US, &[]),
    ];
    let mut setup = Setup::new(pools, vec![pinned, refusing, open, empty, gone]);
    setup.down = vec![2];
    setup.pools[0].upstream.read_timeout = Duration::from_millis(200);
    let proxy = setup.start().await;
    for (host, path, client, status, reason) in [
        ("none.test", "/", "198.51.100.1", 404, "no_route"),
        ("pinned.test", "/", "192.0.2.1", 451, "residency_exhausted"),
        (
            "refusing.test",
            "/",
            "198.51.100.1",
            503,
            "policy_exhausted",
        ),
        (
            "empty.test",
            "/",
            "198.51.100.1",
            503,
            "policy_exhausted|no_endpoint",
        ),
        ("gone.test", "/", "198.51.100.1", 502, "connect_failed"),
        (
            "open.test",
            "/hangup",
            "198.51.100.1",
            502,
            "endpoint_failed",
        ),
        (
            "open.test",
            "/silent",
            "198.51.100.1",
            504,
            "endpoint_timeout",
        ),
        ("bad host", "/", "198.51.100.1", 400, "bad_request"),
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {client}\r\n\r\n");
        let response = once(proxy.address(), &request).await;
        assert_eq!(response.status, status, "{host}{path}");
        let told = response
            .header("rhumb-reason")
            .expect("a reason")
            .to_owned();
        assert!(reason.split('|').any(|r| r == told), "{host}{path}: {told}");
        assert_eq!(
            response.header("content-type"),
            Some("application/problem+json")
        );
        let problem = response.json();
        assert_eq!(
            (problem["status"].as_u64(), problem["reason"].as_str()),
            (Some(status.into()), Some(told.as_str()))
        );
        assert!(
            !response.text().contains("127.0.0.1"),
            "no address leaks: {}",
            response.text()
        );
        let routed = status != 404 && status != 400;
        assert_eq!(
            problem["service"].is_string(),
            routed,
            "{}",
            response.text()
        );
    }
    let served = once(
        proxy.address(),
        "GET / HTTP/1.1\r\nHost: pinned.test\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n",
    )
    .await;
    assert_eq!(served.status, 200, "the pin is only for whom it pins");
}

#[tokio::test]
async fn a_request_that_could_not_connect_goes_to_the_next_endpoint() {
    let origin = Origin::start("us").await;
    let proxy = simple(&[nobody().await, origin.address]).start().await;
    let post = "POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody";
    // Either endpoint may come first; after a few requests the dead one has.
    while proxy.metric("rhumb_http_retries_total") < 3.0 {
        let response = once(proxy.address(), post).await;
        assert_eq!((response.status, response.text()), (200, "body"));
    }
}

#[tokio::test]
async fn retries_are_bounded_and_stay_within_the_decision() {
    let us = Origin::start("us").await;
    let dead = [nobody().await, nobody().await, nobody().await];
    let mut service = service("a.test", failover(&[0, 1]));
    service.retries = 1;
    let setup = Setup::new(
        vec![pool(EU, &dead), pool(US, &[us.address])],
        vec![service],
    );
    let proxy = setup.start().await;
    let response = get(proxy.address(), "a.test", "/").await;
    assert_eq!(
        (response.status, response.header("rhumb-reason")),
        (502, Some("connect_failed"))
    );
    assert_eq!(
        proxy.metric("rhumb_http_connect_failures_total"),
        2.0,
        "one retry"
    );
    assert!(us.received().is_empty(), "another pool is another decision");
}

#[tokio::test]
async fn what_may_have_been_sent_is_not_sent_again() {
    let (one, two) = (Origin::start("one").await, Origin::start("two").await);
    let proxy = simple(&[one.address, two.address]).start().await;
    for method in ["POST", "GET"] {
        let request =
            format!("{method} /hangup HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(once(proxy.address(), &request).await.status, 502);
    }
    assert_eq!(
        one.received().len() + two.received().len(),
        2,
        "each was sent once"
    );
}

#[tokio::test]
async fn a_trickling_head_is_cut() {
    let mut setup = simple(&[nobody().await]);
    setup.settings.header_timeout = Duration::from_millis(300);
    let proxy = setup.start().await;
    let (mut read, mut write) = tokio::net::TcpStream::connect(proxy.address())
        .await
        .expect("connected")
        .into_split();
    let trickle = tokio::spawn(async move {
        let bytes = b"GET / HTTP/1.1\r\nX-Slow: "
            .iter()
            .chain(std::iter::repeat(&b'x'));
        for byte in bytes {
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut answer = Vec::new();
    // A reset after the answer is as good as an end.
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("header_timeout"),
        "{answer}"
    );
    assert_eq!(proxy.metric("rhumb_http_header_timeouts_total"), 1.0);
    trickle.abort();
}

#[tokio::test]
async fn heads_have_bounds() {
    let origin = Origin::start("us").await;
    let mut setup = simple(&[origin.address]);
    setup.settings.max_header_bytes = 8 * 1024;
    setup.settings.max_headers = 20;
    let proxy = setup.start().await;
    let long = format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n",
        "x".repeat(10_000)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n",
        "X: y\r\n".repeat(30)
    );
    let good = format!(
        "GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n",
        "X: y\r\n".repeat(10)
    );
    for (request, status) in [(long, 431), (many, 431), (good, 200)] {
        let response = once(proxy.address(), &request).await;
        assert_eq!(response.status, status);
    }
}

#[tokio::test]
async fn connections_have_a_cap() {
    let origin = Origin::start("us").await;
    let mut setup = simple(&[origin.address]);
    setup.settings.max_connections = 2;
    let proxy = setup.start().await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut client = connect(proxy.address()).await;
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        assert_eq!(client.response().await.status, 200);
        kept.push(client);
    }
    assert!(
        connect(proxy.address()).await.is_closed().await,
        "the third is closed at once"
    );
    assert_eq!(proxy.metric("rhumb_http_connections_over_cap_total"), 1.0);
    drop(kept);
}

#[tokio::test]
async fn the_access_log_tells_the_whole_story() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("access.log");
    let origin = Origin::start("us").await;
    let mut setup = simple(&[origin.address]);
    setup.settings.access_log = AccessLogTarget::File(path.clone());
    let proxy = setup.start().await;
    let request = "GET /a\"b?c HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n";
    once(proxy.address(), request).await;
    get(proxy.address(), "none.test", "/").await;
    once(proxy.address(), "nonsense\r\n\r\n").await;
    proxy.handle.stop().await;
    drop(proxy.registry);
    let lines: Vec<serde_json::Value> = loop {
        let text = std::fs::read_to_string(&path).expect("a log");
        if text.lines().count() == 3 {
            break text
                .lines()
                .map(|line| serde_json::from_str(line).expect("JSON"))
                .collect();
        }
        tokio::task::yield_now().await;
    };
    for (key, value) in [
        ("client", "192.0.2.9"),
        ("peer", "127.0.0.1"),
        ("country", "DE"),
        ("service", "service-0"),
        ("region", "us"),
        ("pool", "pool-0"),
        ("verdict", "steered"),
        ("method", "GET"),
        ("host", "a.test"),
        ("path", "/a\"b?c"),
        ("protocol", "HTTP/1.1"),
    ] {
        assert_eq!(lines[0][key], value, "{}", lines[0]);
    }
    assert_eq!(lines[0]["endpoint"], origin.address.to_string());
    assert_eq!(
        (lines[0]["status"].as_u64(), lines[0]["bytes"].as_u64()),
        (Some(200), Some(2))
    );
    assert!(lines[0]["seconds"].is_number() && lines[0]["upstream_connect_seconds"].is_number());
    assert_eq!(
        (lines[1]["status"].as_u64(), lines[1]["reason"].as_str()),
        (Some(404), Some("no_route"))
    );
    assert_eq!(
        (lines[2]["status"].as_u64(), lines[2]["reason"].as_str()),
        (Some(400), Some("bad_request"))
    );
}

#[tokio::test]
async fn stopping_lets_requests_end_and_cuts_what_never_does() {
    let origin = Origin::start("us").await;
    let mut setup = simple(&[origin.address]);
    setup.settings.drain_time = Duration::from_millis(500);
    let proxy = setup.start().await;
    let address = proxy.address();
    let mut idle = connect(address).await;
    idle.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    idle.response().await;
    let mut stuck = connect(address).await;
    stuck
        .send(b"GET /silent HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await;
    while origin.received().len() < 2 {
        tokio::task::yield_now().await;
    }
    proxy.handle.stop().await;
    assert!(idle.is_closed().await, "an idle connection is closed");
    assert!(stuck.try_response().await.is_none(), "a stuck one is cut");
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "nobody listens"
    );
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = taken.local_addr().expect("an address");
    let settings = proxy::Settings {
        http: vec![address],
        ..proxy::Settings::default()
    };
    let table = steering::Table::compile(steering::TableSpec::default()).expect("an empty table");
    let geo = steering::LocationTableBuilder::default().build("none");
    let snapshot = steering::Snapshot::new(table.into(), geo.into(), steering::Timestamp(1));
    let (_publisher, reader) = steering::channel(snapshot);
    let registry = prometheus::Registry::new();
    let started = proxy::Server::start(
        settings,
        reader,
        &registry,
        std::sync::Arc::new(proxy::Unobserved),
    )
    .await;
    let error = started.expect_err("the port is taken").to_string();
    assert!(error.contains(&address.to_string()), "{error}");
}
