//! HTTP/2 from clients and to endpoints, gRPC's trailers included.

use crate::origin::Origin;
use crate::setup::{Setup, simple};
use crate::tls::{Made, connector, dial, https, make};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use proxy::{Protocol, UpstreamTls};
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

/// An HTTP/2 client of a proxy with one HTTPS listener.
async fn client(proxy: &crate::setup::Running, made: &Made) -> SendRequest<Bytes> {
    let tls = dial(proxy, &connector(&[made], &[b"h2", b"http/1.1"]), "a.test")
        .await
        .expect("connected");
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (client, connection) = h2::client::handshake(tls).await.expect("an HTTP/2 server");
    tokio::spawn(connection);
    client
}

async fn ask(client: &SendRequest<Bytes>, request: Request<()>, body: &[u8]) -> Answer {
    let mut client = client.clone().ready().await.expect("ready");
    let (response, mut stream) = client.send_request(request, false).expect("sent");
    let mut left = body;
    while !left.is_empty() {
        stream.reserve_capacity(left.len().min(16_384));
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let room = room
            .expect("an open stream")
            .expect("capacity")
            .min(left.len());
        stream
            .send_data(Bytes::copy_from_slice(&left[..room]), false)
            .expect("sent");
        left = &left[room..];
    }
    stream.send_data(Bytes::new(), true).expect("sent");
    let response: Response<h2::RecvStream> = response.await.expect("a response");
    let (parts, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk.expect("a chunk");
        stream
            .flow_control()
            .release_capacity(chunk.len())
            .expect("released");
        body.extend_from_slice(&chunk);
    }
    let trailers = stream.trailers().await.expect("the end");
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
        trailers,
    }
}

fn request(method: &str, path: &str) -> Request<()> {
    let uri = format!("https://a.test{path}");
    Request::builder()
        .method(method)
        .uri(uri)
        .version(http::Version::HTTP_2)
        .body(())
        .expect("a request")
}

/// An HTTP/2 origin that echoes the body and ends with gRPC's trailers.
async fn grpc(tls: Option<TlsAcceptor>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    None => echo(tcp).await,
                    Some(acceptor) => match acceptor.accept(tcp).await {
                        Ok(tls) => echo(tls).await,
                        Err(_) => None,
                    },
                }
            });
        }
    });
    address
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(io: S) -> Option<()> {
    let mut connection = h2::server::handshake(io).await.ok()?;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let te = request.headers().get("te").cloned();
            let mut body = request.into_body();
            let mut response = Response::builder().header("content-type", "application/grpc");
            if let Some(te) = te {
                response = response.header("x-te", te);
            }
            let mut stream = respond.send_response(response.body(()).ok()?, false).ok()?;
            while let Some(Ok(chunk)) = body.data().await {
                body.flow_control().release_capacity(chunk.len()).ok()?;
                stream.send_data(chunk, false).ok()?;
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().ok()?);
            stream.send_trailers(trailers).ok()
        });
    }
    Some(())
}

#[tokio::test]
async fn h2_clients_reach_http1_endpoints() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = make(dir.path(), "one", &["a.test"], &[]);
    let origin = Origin::start("us").await;
    let (proxy, _) = https(simple(&[origin.address]), &[&made]).await;
    let client = client(&proxy, &made).await;
    let body = vec![b'x'; 1024 * 1024];
    let (echoed, plain) = tokio::join!(
        ask(&client, request("POST", "/echo"), &body),
        ask(&client, request("GET", "/"), b"")
    );
    assert_eq!((echoed.status, echoed.body.len()), (200, body.len()));
    assert_eq!((plain.status, plain.body.as_slice()), (200, &b"us"[..]));
    let heads = origin.received().join("\n");
    assert!(
        heads.contains("\nhost: a.test\n") && heads.contains("host=\"a.test\";proto=https"),
        "{heads}"
    );

    let answer = ask(
        &client,
        Request::builder()
            .uri("https://none.test/")
            .body(())
            .expect("a request"),
        b"",
    )
    .await;
    assert_eq!(
        (answer.status, answer.headers["rhumb-reason"].to_str().ok()),
        (404, Some("no_route"))
    );
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(problem["status"], 404);
}

#[tokio::test]
async fn h2_heads_have_bounds_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = make(dir.path(), "one", &["a.test"], &[]);
    let origin = Origin::start("us").await;
    let (proxy, _) = https(simple(&[origin.address]), &[&made]).await;
    let client = client(&proxy, &made).await;
    let mut many = request("GET", "/");
    for i in 0..150 {
        let name: http::HeaderName = format!("x-{i}").parse().expect("a name");
        many.headers_mut()
            .insert(name, "y".parse().expect("a value"));
    }
    assert_eq!(ask(&client, many, b"").await.status, 431);
    assert_eq!(
        ask(&client, request("GET", "/"), b"").await.status,
        200,
        "the connection goes on"
    );
}

#[tokio::test]
async fn grpc_passes_with_its_trailers() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = make(dir.path(), "one", &["a.test"], &[]);
    let tls_origin = make(dir.path(), "origin", &["o.test"], &[b"h2"]);
    let tls = UpstreamTls {
        server_name: Some("o.test".to_owned()),
        verify: true,
        ca_pem: Some(tls_origin.pem.clone()),
    };
    let by_alpn = |mut setup: Setup| {
        setup.pools[0].upstream.tls = Some(tls);
        setup
    };
    let by_prior_knowledge = |mut setup: Setup| {
        setup.pools[0].upstream.protocol = Protocol::H2;
        setup
    };
    let setups = [
        by_alpn(simple(&[grpc(Some(tls_origin.acceptor())).await])),
        by_prior_knowledge(simple(&[grpc(None).await])),
    ];
    for setup in setups {
        let (proxy, _) = https(setup, &[&made]).await;
        let client = client(&proxy, &made).await;
        let mut call = request("POST", "/pkg.Service/Method");
        call.headers_mut()
            .insert("te", "trailers".parse().expect("a value"));
        let answer = ask(&client, call, b"\0\0\0\0\x02hi").await;
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (200, &b"\0\0\0\0\x02hi"[..])
        );
        assert_eq!(answer.headers["x-te"], "trailers");
        let status = answer
            .trailers
            .as_ref()
            .and_then(|trailers| trailers.get("grpc-status"));
        assert_eq!(status.map(|status| status.as_bytes()), Some(&b"0"[..]));
    }
}
