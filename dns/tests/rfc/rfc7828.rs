//! RFC 7828, edns-tcp-keepalive: how long a connection may be idle.

use crate::Setting;
use crate::common::{option, world};
use dns::Transport;
use std::time::Duration;

fn idle(transport: Transport, idle: Option<Duration>, options: &[u8]) -> Vec<String> {
    let mut setting = Setting::over(transport);
    setting.arrival.idle = idle;
    let lines = setting.ask(&world(), "mail.example. A", Some(options));
    assert_eq!(
        lines[..2],
        ["NOERROR aa", "an mail.example. 120 A 192.0.2.25"]
    );
    lines[2..].to_vec()
}

#[test]
fn rfc7828_3_3_2_it_is_told_in_tenths_of_a_second() {
    for (seconds, told) in [(0.0, "0"), (0.25, "2"), (10.0, "100"), (10_000.0, "65535")] {
        for transport in [Transport::Tcp, Transport::Tls] {
            let time = Some(Duration::from_secs_f64(seconds));
            let asked = option(11, &[]);
            assert_eq!(idle(transport, time, &asked), [format!("keepalive {told}")]);
        }
    }
}

#[test]
fn rfc7828_3_3_1_it_is_ignored_over_udp_and_where_others_keep_the_connection() {
    let time = Some(Duration::from_secs(10));
    for transport in [Transport::Udp, Transport::Https, Transport::Quic] {
        assert!(
            idle(transport, time, &option(11, &[])).is_empty(),
            "{transport:?}"
        );
    }
    assert!(idle(Transport::Tcp, None, &option(11, &[])).is_empty());
    assert!(idle(Transport::Tcp, time, &[]).is_empty(), "not asked for");
}

#[test]
fn rfc7828_3_3_2_a_timeout_in_the_query_is_taken_as_asking() {
    let time = Some(Duration::from_secs(1));
    assert_eq!(
        idle(Transport::Tcp, time, &option(11, &[0, 9])),
        ["keepalive 10"]
    );
}
