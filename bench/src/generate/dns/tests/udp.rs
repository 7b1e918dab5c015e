//! UDP against a responder that answers right, late, twice, cut off, with a wrong ID or question, with
//! errors, and with garbage.

use super::*;
use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;
use std::time::Instant;

#[test]
fn an_open_loop_sends_what_is_intended_and_records_every_answer() {
    let responder = Responder::udp(|n, query| vec![answered(query, 1 + (n % 2) as u8)]);
    for threads in [1, 2] {
        let load = Load {
            threads,
            ..open(1000.0)
        };
        let measured = asked(responder.address, &load);
        assert_eq!(measured.sent, 500);
        assert_eq!(measured.answered, 500);
        assert_eq!(measured.latency.len(), 500);
        let regions = [1, 2].map(|n| went_to(&measured, Outcome::Region(RegionId::at(n))));
        assert_eq!(regions, [250, 250]);
        assert_eq!(measured.elapsed, load.duration);
        let asked: u32 = measured.records.iter().map(|record| record.answered).sum();
        assert_eq!(asked, 500);
    }
    assert_eq!(responder.finish(), 1000);
}

#[test]
fn the_warm_up_is_asked_but_not_recorded() {
    let responder = Responder::udp(|_, query| vec![answered(query, 1)]);
    let load = Load {
        warmup: Duration::from_millis(200),
        ..open(500.0)
    };
    assert_eq!(asked(responder.address, &load).sent, 250);
    assert_eq!(responder.finish(), 350);
}

#[test]
fn a_closed_loop_goes_on_with_the_answers_and_never_has_more_in_flight() {
    let responder = Responder::udp(|_, query| vec![answered(query, 1)]);
    let load = Load {
        pace: Pace::Closed { in_flight: 7 },
        threads: 2,
        ..open(0.0)
    };
    let measured = asked(responder.address, &load);
    assert!(measured.answered > 7, "answers make room for more");
    assert_eq!(measured.failed(), 0);
    responder.finish();
    let silent = Responder::udp(|_, _| Vec::new());
    let load = Load {
        timeout: Duration::from_secs(2),
        ..load
    };
    assert_eq!(errors(&asked(silent.address, &load), ErrorKind::Timeout), 7);
    assert_eq!(
        silent.finish(),
        7,
        "nothing came back, so nothing more was sent"
    );
}

#[test]
fn what_is_wrong_with_an_answer_is_told_by_kind() {
    type Reply = fn(&[u8]) -> Vec<Vec<u8>>;
    let rows: &[(&str, Reply, ErrorKind)] = &[
        ("silence", |_| Vec::new(), ErrorKind::Timeout),
        (
            "SERVFAIL",
            |query| vec![coded(query, 2)],
            ErrorKind::Rcode(2),
        ),
        (
            "a bare FORMERR",
            |query| {
                let mut message = coded(query, 1)[..12].to_vec();
                message[5] = 0;
                vec![message]
            },
            ErrorKind::Rcode(1),
        ),
        (
            "cut off",
            |query| {
                let mut message = coded(query, 0);
                message[2] |= 2;
                vec![message]
            },
            ErrorKind::Truncated,
        ),
        (
            "a wrong ID",
            |query| {
                let mut message = answered(query, 1);
                message[0] ^= 0x80;
                vec![message]
            },
            ErrorKind::Timeout,
        ),
        (
            "a wrong name",
            |query| {
                let mut message = answered(query, 1);
                message[13] = b'z';
                vec![message]
            },
            ErrorKind::Malformed,
        ),
        (
            "a wrong type",
            |query| {
                let mut message = answered(query, 1);
                let end = question_end(query);
                message[end - 3] ^= 1 ^ 28;
                vec![message]
            },
            ErrorKind::Malformed,
        ),
        (
            "the question back",
            |query| vec![query.to_vec()],
            ErrorKind::Malformed,
        ),
        (
            "half an answer",
            |query| {
                let message = answered(query, 1);
                vec![message[..message.len() - 2].to_vec()]
            },
            ErrorKind::Malformed,
        ),
        (
            "its ID only",
            |query| vec![query[..2].to_vec()],
            ErrorKind::Malformed,
        ),
        (
            "less than an ID",
            |query| vec![query[..1].to_vec(), Vec::new()],
            ErrorKind::Timeout,
        ),
        (
            "more than was asked for",
            |query| {
                let mut message = answered(query, 1);
                message.resize(1300, 0);
                vec![message]
            },
            ErrorKind::Malformed,
        ),
    ];
    for (what, reply, kind) in rows {
        let responder = Responder::udp(move |_, query| reply(query));
        let load = Load {
            timeout: Duration::from_millis(100),
            duration: Duration::from_millis(100),
            ..open(200.0)
        };
        let measured = asked(responder.address, &load);
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
fn a_second_answer_does_not_count_and_case_does_not_matter() {
    let responder = Responder::udp(|_, query| {
        let mut message = answered(query, 1);
        message[13] = message[13].to_ascii_uppercase();
        vec![message.clone(), message]
    });
    let measured = asked(responder.address, &open(1000.0));
    assert_eq!((measured.sent, measured.answered), (500, 500));
    responder.finish();
}

#[test]
fn a_late_answer_is_a_timeout() {
    let timeout = Duration::from_millis(100);
    let waiting = Mutex::new(VecDeque::new());
    let responder = Responder::udp(move |_, query| {
        let mut waiting = waiting.lock().expect("nobody panics with it");
        waiting.push_back((Instant::now(), answered(query, 1)));
        let late = waiting
            .iter()
            .take_while(|(came, _)| came.elapsed() > timeout);
        let late = late.count();
        waiting.drain(..late).map(|(_, message)| message).collect()
    });
    let load = Load {
        timeout,
        ..open(200.0)
    };
    // The responder answers whoever asked last, so there is only one to ask.
    let options = Options {
        server: responder.address,
        sockets: 1,
        ..options()
    };
    let measured = asked_with(&options, &load);
    assert_eq!(errors(&measured, ErrorKind::Timeout), 100);
    responder.finish();
}

#[test]
fn a_stall_shows_in_the_latencies_of_an_open_loop() {
    let responder = Responder::udp(|n, query| {
        if n == 100 {
            thread::sleep(Duration::from_millis(200));
        }
        vec![answered(query, 1)]
    });
    let load = Load {
        timeout: Duration::from_secs(5),
        ..open(1000.0)
    };
    let measured = asked(responder.address, &load);
    assert_eq!(measured.answered, 500);
    // Of the 200 questions that were due during the stall, half had to wait for half of it at least.
    let waited = measured.latency.iter_recorded();
    let waited = waited.filter(|step| step.value_iterated_to() >= 90_000_000);
    let waited: u64 = waited.map(|step| step.count_since_last_iteration()).sum();
    assert!(
        waited >= 100,
        "{waited} of 500 waited for the stalled server"
    );
    responder.finish();
}

#[test]
fn missing_names_are_another_each_time() {
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let names = seen.clone();
    let responder = Responder::udp(move |_, query| {
        let name = query[12..question_end(query) - 4].to_vec();
        names.lock().expect("nobody panics with it").insert(name);
        vec![coded(query, 3)]
    });
    let options = Options {
        server: responder.address,
        missing: true,
        ..options()
    };
    let measured = asked_with(&options, &open(1000.0));
    assert_eq!(went_to(&measured, Outcome::Nothing), 500);
    responder.finish();
    assert_eq!(seen.lock().expect("nobody panics with it").len(), 500);
}

#[test]
fn where_nobody_listens_every_question_is_a_failure_and_the_run_ends() {
    let free = UdpSocket::bind("127.0.0.1:0").expect("a socket on loopback");
    let server = free.local_addr().expect("it is bound");
    drop(free);
    let measured = asked(server, &open(500.0));
    assert_eq!((measured.sent, measured.failed()), (250, 250));
}

#[test]
fn a_stop_ends_a_run_early_and_a_change_of_rate_is_followed() {
    let responder = Responder::udp(|_, query| vec![answered(query, 1)]);
    let options = Options {
        server: responder.address,
        ..options()
    };
    let load = Load {
        duration: Duration::from_secs(600),
        ..open(0.0)
    };
    let (asks, live) = (dns_asks(&["a.test"], 1), Live::new(&load));
    let measured = thread::scope(|scope| {
        let run = scope.spawn(|| ask(&places(), &asks, &options, &load, &live));
        live.set_rate(1000.0);
        while live.answered.load(Ordering::Relaxed) < 10 {
            thread::yield_now();
        }
        live.stop();
        run.join().expect("it does not panic")
    });
    let measured = measured.expect("loopback can be asked");
    assert!(measured.answered >= 10);
    assert!(measured.elapsed < load.duration);
    responder.finish();
}
