//! Requests that two parsers might read in two ways: refused, or passed on in the one way left.

use crate::client::{connect, once};
use crate::origin::Origin;
use crate::setup::simple;

#[tokio::test]
async fn ambiguous_requests_are_refused() {
    let origin = Origin::start("us").await;
    let proxy = simple(&[origin.address]).start().await;
    for (what, request) in [
        (
            "two lengths",
            "POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        ),
        (
            "a list of lengths",
            "POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1, 2\r\n\r\nab",
        ),
        (
            "a signed length",
            "POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: +1\r\n\r\na",
        ),
        (
            "an unknown coding",
            "POST /echo HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\n\r\n",
        ),
        (
            "chunked not last",
            "POST /echo HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        ),
        (
            "HTTP/1.0 with a coding",
            "POST /echo HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "two hosts",
            "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
        ),
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        (
            "a host that differs",
            "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
        ),
        ("userinfo", "GET / HTTP/1.1\r\nHost: x@a.test\r\n\r\n"),
        ("a bare LF", "GET / HTTP/1.1\nHost: a.test\n\n"),
        (
            "a bare LF inside",
            "GET / HTTP/1.1\r\nHost: a.test\r\nX: y\nZ: w\r\n\r\n",
        ),
        (
            "a space before the colon",
            "GET / HTTP/1.1\r\nHost : a.test\r\n\r\n",
        ),
        (
            "a nameless field",
            "GET / HTTP/1.1\r\nHost: a.test\r\n: x\r\n\r\n",
        ),
        ("a NUL", "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\0b\r\n\r\n"),
        ("the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (
            "a stolen field",
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: x-forwarded-for\r\n\r\n",
        ),
    ] {
        let response = once(proxy.address(), request).await;
        assert_eq!(response.status, 400, "{what}");
    }
    let connect = once(
        proxy.address(),
        "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
    )
    .await;
    assert_eq!(connect.status, 405);
    assert!(origin.received().is_empty(), "{:?}", origin.received());
}

#[tokio::test]
async fn rfc9112_6_3_a_coding_wins_over_a_length_and_ends_the_connection() {
    let origin = Origin::start("us").await;
    let proxy = simple(&[origin.address]).start().await;
    let mut client = connect(proxy.address()).await;
    client
        .send(b"POST /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
                5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n")
        .await;
    let response = client.response().await;
    assert_eq!((response.status, response.text()), (200, "hello"));
    assert!(client.is_closed().await, "nothing after it is read");
    let heads = origin.received();
    assert_eq!(heads.len(), 1, "{heads:?}");
    assert!(!heads[0].contains("content-length"), "{}", heads[0]);
}

#[tokio::test]
async fn bad_chunks_end_the_request() {
    let origin = Origin::start("us").await;
    let proxy = simple(&[origin.address]).start().await;
    for body in [
        "zz\r\nhello\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "fffffffffffffffff\r\n",
    ] {
        let request = format!(
            "POST /echo HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        );
        let mut client = connect(proxy.address()).await;
        client.send(request.as_bytes()).await;
        let response = client.try_response().await;
        assert!(
            response.is_none_or(|r| r.status == 400 || r.status == 502),
            "{body:?}"
        );
    }
}
