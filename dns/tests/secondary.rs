//! When a secondary looks for a new version, takes it, and gives up: the timers, the time handed in. No sockets, no octets.

use dns::transfer::{Action, Event, Secondary, Version};
use std::time::Duration;
use steering::Timestamp;

const VERSION: Version = Version {
    serial: 7,
    refresh: Duration::from_secs(100),
    retry: Duration::from_secs(10),
    expire: Duration::from_secs(1000),
};

fn at(seconds: u64) -> Timestamp {
    Timestamp(seconds * 1000)
}

#[test]
fn rfc1034_4_3_5_refresh_retry_and_expire() {
    let mut zone = Secondary::new(2, Some((VERSION, at(0))), at(0));
    assert_eq!(zone.handle(at(0), Event::Time, 0), Some(Action::Poll(0)));
    assert_eq!(zone.handle(at(0), Event::Polled(Ok(7)), 0), None);
    assert_eq!(zone.wake_at(), at(100), "REFRESH");
    assert_eq!(zone.handle(at(100), Event::Time, 0), Some(Action::Poll(0)));
    let failed = || Event::Polled(Err("no answer".to_owned()));
    assert_eq!(
        zone.handle(at(101), failed(), 0),
        Some(Action::Poll(1)),
        "the other one"
    );
    assert_eq!(zone.handle(at(102), failed(), 0), None);
    assert_eq!(
        (zone.wake_at(), zone.error()),
        (at(112), Some("no answer")),
        "RETRY"
    );
    let mut now = 112;
    while !zone.is_expired() {
        match zone.handle(at(now), Event::Time, 0) {
            Some(Action::Poll(_)) => {
                zone.handle(at(now), failed(), 0);
                zone.handle(at(now), failed(), 0);
                now += 10;
            }
            Some(Action::Expire) => assert_eq!(now / 10, 100, "EXPIRE after the last success"),
            other => now += u64::from(other.is_none()),
        }
        assert!(now < 2_000);
    }
    // It goes on asking, and comes back with the version it had.
    let mut action = zone.handle(zone.wake_at(), Event::Time, 0);
    assert!(matches!(action, Some(Action::Poll(_))));
    action = zone.handle(at(1_500), Event::Polled(Ok(7)), 0);
    assert_eq!((action, zone.is_expired()), (Some(Action::Revive), false));
}

#[test]
fn rfc1034_4_3_5_what_has_expired_is_replaced_by_whatever_the_primary_has() {
    let mut zone = Secondary::new(1, Some((VERSION, at(0))), at(1_000));
    assert_eq!(zone.handle(at(1_000), Event::Time, 0), Some(Action::Expire));
    assert_eq!(
        zone.handle(at(1_000), Event::Time, 0),
        Some(Action::Poll(0))
    );
    let older = Event::Polled(Ok(3));
    assert_eq!(
        zone.handle(at(1_000), older, 0),
        Some(Action::Transfer(0)),
        "its serials began anew"
    );
}

#[test]
fn rfc1996_4_7_a_notify_begins_a_round_and_none_is_lost() {
    let mut zone = Secondary::new(2, Some((VERSION, at(0))), at(0));
    zone.handle(at(0), Event::Time, 0);
    zone.handle(at(0), Event::Polled(Ok(7)), 0);
    let notify = |serial| Event::Notify { primary: 1, serial };
    let gone = Event::Notify {
        primary: 2,
        serial: None,
    };
    assert_eq!(zone.handle(at(50), gone, 0), None, "of a config before");
    assert_eq!(zone.handle(at(50), notify(Some(7)), 0), None, "nothing new");
    assert_eq!(
        zone.handle(at(50), notify(None), 0),
        Some(Action::Poll(1)),
        "of who said so"
    );
    assert_eq!(
        zone.handle(at(50), Event::Polled(Ok(8)), 0),
        Some(Action::Transfer(1))
    );
    assert_eq!(
        zone.handle(at(51), notify(Some(9)), 0),
        None,
        "a round is under way"
    );
    let newer = Version {
        serial: 8,
        ..VERSION
    };
    assert_eq!(
        zone.handle(at(51), Event::Transferred(Ok(Some(newer))), 0),
        None
    );
    assert_eq!(zone.wake_at(), at(52), "and again soon");
    assert_eq!(zone.handle(at(52), Event::Time, 0), Some(Action::Poll(1)));
    assert_eq!(
        zone.handle(at(52), Event::Polled(Ok(6)), 0),
        Some(Action::Poll(0)),
        "RFC 1982: an older one is no news"
    );
}

#[test]
fn a_zone_that_was_never_there_is_asked_for_ever_less_often() {
    let mut zone = Secondary::new(1, None, at(0));
    let mut waits = Vec::new();
    for _ in 0..10 {
        let now = zone.wake_at();
        assert_eq!(zone.handle(now, Event::Time, 0), Some(Action::Transfer(0)));
        zone.handle(now, Event::Transferred(Err("refused".to_owned())), 0);
        waits.push(zone.wake_at().since(now).as_secs());
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(zone.version(), None);
}
