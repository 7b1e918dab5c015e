//! Very many connections, most of them of no use: what is served stays served, what is open stays within bounds. The same
//! in its full size is `bench/examples/crowd.rs`.

mod common;
mod serving;

use common::{packet, show};
use dns::Connections;
use serving::{CLOSED, OPEN, Start, exchange};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// How many connections are made, and how many may be at a time.
const CROWD: usize = 1_500;
const MOST: usize = 200;

async fn from(client: Ipv4Addr, server: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((client, 0).into())?;
    socket.connect(server).await
}

fn client(i: usize) -> Ipv4Addr {
    let [c, d] = (i as u16).to_be_bytes();
    Ipv4Addr::new(127, 78, c, d)
}

#[tokio::test]
async fn a_crowd_is_refused_or_served_within_bounds() {
    let server = Start::with(Connections {
        most: MOST,
        idle: Duration::from_secs(60),
        ..Connections::DEFAULT
    })
    .run();
    let query = packet("mail.example. A", None);
    // Somebody who asks all the time, and is not to notice.
    let mut regular = from(Ipv4Addr::new(127, 0, 0, 9), server.plain)
        .await
        .expect("connected");
    let mut held = Vec::new();
    for i in 0..CROWD {
        let mut stream = from(client(i), server.plain).await.expect("connected");
        // Some say nothing, some begin to, some say what makes no sense.
        let words: &[u8] = [&[][..], &[0, 40, 1], &[0, 2, 1, 1]][i % 3];
        let _ = stream.write_all(words).await;
        held.push(stream);
        if i % 10 == 0 {
            let answer = exchange(&mut regular, &query).await;
            assert_eq!(show(&answer)[0], "NOERROR aa");
        }
        let open = server.counted(OPEN, "tcp");
        // One that is told to go may take a moment; so may one that came.
        assert!(open <= (MOST + MOST / 2) as f64, "{open} are open");
    }
    let closed: f64 = ["full", "evicted"]
        .map(|reason| server.counted(CLOSED, reason))
        .iter()
        .sum();
    assert!(closed >= (CROWD - 2 * MOST) as f64, "{closed}");
    let answer = exchange(&mut regular, &query).await;
    assert_eq!(show(&answer)[0], "NOERROR aa");
    drop(held);
    server.until(OPEN, "tcp", 1.0).await;
    // And there is room again for whoever comes.
    let mut next = from(client(0), server.plain).await.expect("connected");
    exchange(&mut next, &query).await;
    server.stop().await;
}
