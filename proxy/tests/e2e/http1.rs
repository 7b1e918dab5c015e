//! HTTP/1.1 through the proxy: routing, forwarding headers, bodies, upgrades, connection reuse.

use crate::client::{connect, get, once};
use crate::origin::Origin;
use crate::setup::{EU, Setup, US, failover, only, pool, service, simple};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn requests_go_where_host_path_and_client_say() {
    let (us, eu) = (Origin::start("us").await, Origin::start("eu").await);
    let mut api = service("a.test", failover(&[0, 1]));
    api.pinned = true;
    let mut wild = service("*.wild.test", only(1));
    wild.paths = vec!["/eu"];
    let pools = vec![pool(US, &[us.address]), pool(EU, &[eu.address])];
    let proxy = Setup::new(pools, vec![api, wild]).start().await;
    for (host, path, client, origin) in [
        ("a.test", "/", "198.51.100.1", "us"),
        ("A.TEST:8080", "/x?y", "198.51.100.1", "us"),
        ("a.test", "/", "192.0.2.1", "eu"),
        ("b.wild.test", "/eu/x", "198.51.100.1", "eu"),
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {client}\r\n\r\n");
        let response = once(proxy.address(), &request).await;
        assert_eq!(
            (response.status, response.text()),
            (200, origin),
            "{host}{path} from {client}"
        );
    }
}

#[tokio::test]
async fn absolute_form_is_routed_by_its_path() {
    let origin = Origin::start("us").await;
    let mut only_api = service("a.test", only(0));
    only_api.paths = vec!["/api"];
    let proxy = Setup::new(vec![pool(US, &[origin.address])], vec![only_api])
        .start()
        .await;
    for (target, status) in [
        ("http://a.test/api/x", 200),
        ("http://a.test/other", 404),
        ("http://a.test", 404),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(
            once(proxy.address(), &request).await.status,
            status,
            "{target}"
        );
    }
}

#[tokio::test]
async fn the_endpoint_is_told_who_the_client_is() {
    let origin = Origin::start("us").await;
    let proxy = simple(&[origin.address]).start().await;
    get(proxy.address(), "a.test:8080", "/").await;
    let head = origin.last();
    for line in [
        "host: a.test:8080",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: a.test:8080",
        "forwarded: for=127.0.0.1;host=\"a.test:8080\";proto=http",
    ] {
        assert!(head.lines().any(|l| l == line), "{line:?} in {head}");
    }
}

#[tokio::test]
async fn a_pool_may_set_the_host() {
    let origin = Origin::start("us").await;
    let mut setup = simple(&[origin.address]);
    setup.pools[0].upstream.host = Some("internal.test".to_owned());
    let proxy = setup.start().await;
    assert_eq!(get(proxy.address(), "a.test", "/").await.status, 200);
    let head = origin.last();
    assert!(head.contains("\nhost: internal.test\n"), "{head}");
    assert!(head.contains("\nx-forwarded-host: a.test\n"), "{head}");
}

#[tokio::test]
async fn hop_by_hop_fields_end_at_the_proxy() {
    let origin = Origin::start("us").await;
    let proxy = simple(&[origin.address]).start().await;
    let request = "GET /hop HTTP/1.1\r\nHost: a.test\r\nConnection: x-mine, keep-alive\r\nX-Mine: 1\r\n\
                   Keep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\n\
                   Proxy-Connection: keep-alive\r\nX-Kept: 1\r\n\r\n";
    let response = once(proxy.address(), request).await;
    let head = origin.last();
    for name in [
        "x-mine",
        "keep-alive",
        "te",
        "proxy-authorization",
        "upgrade",
        "proxy-connection",
    ] {
        assert!(!head.contains(&format!("\n{name}:")), "{name} in {head}");
    }
    assert!(head.contains("\nx-kept: 1\n"), "{head}");
    assert_eq!(response.header("x-private"), None);
    assert_eq!(response.header("x-origin"), Some("us"));
}

#[tokio::test]
async fn bodies_pass_in_either_framing_and_any_size() {
    let origin = Origin::start("us").await;
    let proxy = simple(&[origin.address]).start().await;
    let body = vec![b'b'; 10 * 1024 * 1024];
    let mut client = connect(proxy.address()).await;
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(head.as_bytes()).await;
    client.send(&body).await;
    assert!(
        client.response().await.body == body,
        "10 MiB with a length, there and back"
    );

    client
        .send(b"POST /chunked HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    for chunk in body[..1024 * 1024].chunks(50_000) {
        client
            .send(format!("{:x}\r\n", chunk.len()).as_bytes())
            .await;
        client.send(chunk).await;
        client.send(b"\r\n").await;
    }
    client.send(b"0\r\n\r\n").await;
    assert!(
        client.response().await.body == body[..1024 * 1024],
        "1 MiB in chunks, on the same connection"
    );

    client
        .send(b"GET /big/3000000 HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await;
    assert_eq!(client.response().await.body.len(), 3_000_000);
}

#[tokio::test]
async fn head_and_continue_work() {
    let origin = Origin::start("us").await;
    let proxy = simple(&[origin.address]).start().await;
    let mut client = connect(proxy.address()).await;
    client
        .send(b"HEAD /big/77 HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await;
    let response = client.answer_to("HEAD").await.expect("a response");
    assert_eq!(
        (response.status, response.header("content-length")),
        (200, Some("77"))
    );
    client
        .send(b"HEAD /x HTTP/1.1\r\nHost: none.test\r\n\r\n")
        .await;
    assert_eq!(client.answer_to("HEAD").await.map(|r| r.status), Some(404));

    let mut client = connect(proxy.address()).await;
    client.send(b"POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n").await;
    client.send(b"ok").await;
    assert_eq!(client.response().await.text(), "ok");
}

#[tokio::test]
async fn websockets_pass_through() {
    let origin = Origin::start("us").await;
    let proxy = simple(&[origin.address]).start().await;
    let mut client = connect(proxy.address()).await;
    client
        .send(
            b"GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        .await;
    let response = client.response().await;
    assert_eq!(
        (response.status, response.header("upgrade")),
        (101, Some("websocket"))
    );
    for frame in [&b"\x81\x85masked"[..], b"more"] {
        client.send(frame).await;
        assert_eq!(client.exactly(frame.len()).await, frame);
    }
    client.io.shutdown().await.expect("closed");
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let origin = Origin::start("us").await;
    let proxy = simple(&[origin.address]).start().await;
    let mut client = connect(proxy.address()).await;
    for _ in 0..5 {
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        assert_eq!(client.response().await.status, 200);
        client
            .send(b"GET / HTTP/1.1\r\nHost: none.test\r\n\r\n")
            .await;
        assert_eq!(
            client.response().await.status,
            404,
            "an error page keeps the connection"
        );
    }
    assert_eq!(proxy.metric("rhumb_http_connections_total"), 1.0);
}

#[tokio::test]
async fn the_less_loaded_of_two_endpoints_is_preferred() {
    let (one, two) = (Origin::start("one").await, Origin::start("two").await);
    let proxy = simple(&[one.address, two.address]).start().await;
    let mut stuck = connect(proxy.address()).await;
    stuck
        .send(b"GET /silent HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await;
    while one.received().len() + two.received().len() == 0 {
        tokio::task::yield_now().await;
    }
    let idle = if one.received().is_empty() {
        "one"
    } else {
        "two"
    };
    for _ in 0..8 {
        assert_eq!(get(proxy.address(), "a.test", "/").await.text(), idle);
    }
}
