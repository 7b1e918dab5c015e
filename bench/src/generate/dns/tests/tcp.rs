//! TCP against a responder that answers right, in pieces, in another order, with errors, with garbage, and
//! that closes when it likes.

use super::*;
use std::num::NonZeroU32;
use std::sync::Mutex;

fn over_tcp(server: SocketAddr, connections: usize, queries: u32) -> Options {
    Options {
        server,
        transport: Transport::Tcp {
            connections,
            queries: NonZeroU32::new(queries),
        },
        ..options()
    }
}

#[test]
fn an_open_loop_sends_what_is_intended_over_connections_that_stay() {
    let responder = Responder::tcp(|_, query| (framed(answered(query, 1)), false));
    for threads in [1, 2] {
        let load = Load {
            threads,
            ..open(1000.0)
        };
        let measured = asked_with(&over_tcp(responder.address, 4, 0), &load);
        assert_eq!((measured.sent, measured.answered), (500, 500));
        assert_eq!(went_to(&measured, Outcome::Region(RegionId::at(1))), 500);
    }
    assert_eq!(responder.finish(), 1000);
}

#[test]
fn a_connection_carries_as_many_questions_as_it_may() {
    for queries in [1, 3] {
        let most = Arc::new(Mutex::new(0));
        let seen = most.clone();
        let responder = Responder::tcp(move |n, query| {
            let mut seen = seen.lock().expect("nobody panics with it");
            *seen = n.max(*seen);
            (framed(answered(query, 1)), false)
        });
        let measured = asked_with(&over_tcp(responder.address, 8, queries), &open(200.0));
        assert_eq!((measured.sent, measured.answered), (100, 100));
        assert_eq!(responder.finish(), 100);
        let most = *most.lock().expect("nobody panics with it");
        assert!(most < u64::from(queries), "question {most} of a connection");
    }
}

#[test]
fn a_closed_loop_pipelines_and_goes_on_with_the_answers() {
    let responder = Responder::tcp(|_, query| (framed(answered(query, 1)), false));
    let load = Load {
        pace: Pace::Closed { in_flight: 10 },
        ..open(0.0)
    };
    let measured = asked_with(&over_tcp(responder.address, 2, 0), &load);
    assert!(measured.answered > 10, "answers make room for more");
    assert_eq!(measured.failed(), 0);
    responder.finish();
    let silent = Responder::tcp(|_, _| (Vec::new(), false));
    let load = Load {
        timeout: Duration::from_secs(2),
        ..load
    };
    let measured = asked_with(&over_tcp(silent.address, 3, 0), &load);
    assert_eq!(errors(&measured, ErrorKind::Timeout), 10);
    assert_eq!(silent.finish(), 10);
}

#[test]
fn answers_may_come_in_another_order() {
    // Two at a time, the second one first.
    let responder = Responder::tcp({
        let kept = Arc::new(Mutex::new(Vec::new()));
        move |_, query| {
            let mut kept = kept.lock().expect("nobody panics with it");
            let answer = framed(answered(query, 2));
            let both = match kept.is_empty() {
                true => {
                    *kept = answer;
                    Vec::new()
                }
                false => [answer, std::mem::take(&mut *kept)].concat(),
            };
            (both, false)
        }
    });
    let measured = asked_with(&over_tcp(responder.address, 1, 0), &open(1000.0));
    assert_eq!((measured.sent, measured.answered), (500, 500));
    responder.finish();
}

#[test]
fn what_is_wrong_with_an_answer_is_told_by_kind() {
    type Reply = fn(&[u8]) -> (Vec<u8>, bool);
    let rows: &[(&str, Reply, ErrorKind)] = &[
        ("silence", |_| (Vec::new(), false), ErrorKind::Timeout),
        ("the end", |_| (Vec::new(), true), ErrorKind::Broken),
        (
            "half a frame",
            |query| {
                let frame = framed(answered(query, 1));
                (frame[..9].to_vec(), true)
            },
            ErrorKind::Broken,
        ),
        (
            "SERVFAIL",
            |query| (framed(coded(query, 2)), false),
            ErrorKind::Rcode(2),
        ),
        (
            "nothing in a frame",
            |_| (vec![0, 0], false),
            ErrorKind::Timeout,
        ),
        (
            "an ID in a frame",
            |query| (framed(query[..2].to_vec()), false),
            ErrorKind::Malformed,
        ),
        (
            "the question back",
            |query| (framed(query.to_vec()), false),
            ErrorKind::Malformed,
        ),
    ];
    for (what, reply, kind) in rows {
        let responder = Responder::tcp(move |_, query| reply(query));
        let load = Load {
            timeout: Duration::from_millis(100),
            duration: Duration::from_millis(100),
            ..open(200.0)
        };
        let measured = asked_with(&over_tcp(responder.address, 20, 1), &load);
        assert_eq!((measured.sent, measured.answered), (20, 0), "{what}");
        assert_eq!(
            errors(&measured, *kind),
            20,
            "{what}: {:?}",
            measured.errors
        );
        responder.finish();
    }
}

#[test]
fn an_answer_longer_than_the_first_buffer_is_read() {
    let responder = Responder::tcp(|_, query| {
        let mut message = answered(query, 1);
        // Trailing octets, as far as a frame goes.
        message.resize(65_535, 0);
        (framed(message), false)
    });
    let measured = asked_with(&over_tcp(responder.address, 1, 0), &open(100.0));
    assert_eq!((measured.sent, measured.answered), (50, 50));
    responder.finish();
}

#[test]
fn where_nobody_listens_every_question_is_a_failed_connection() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a socket on loopback");
    let server = free.local_addr().expect("it is bound");
    drop(free);
    let load = Load {
        pace: Pace::Closed { in_flight: 2 },
        ..open(0.0)
    };
    let measured = asked_with(&over_tcp(server, 2, 0), &load);
    assert!(measured.sent > 0);
    assert_eq!(errors(&measured, ErrorKind::Connect), measured.sent);
}
