//! The connections that may be open at a time, over all stream listeners, and by client.
//!
//! When all places are taken, the connection that has done nothing for longest gives its place up: a flood of
//! idle connections pushes itself out before it pushes out who asks. A client network that has its share is
//! refused instead, so that it cannot push out others. What never happens here: no socket is touched; who
//! loses a place is told, and closes.

use crate::connections::Connections;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long a connection has its place for certain, so that it can say what it came for: in a flood, new ones
/// are refused sooner than these are closed.
const MIN_STAY: Duration = Duration::from_millis(200);
/// From this share of all places on (three quarters), connections may idle only a quarter of their time.
const PRESSED: (usize, usize) = (3, 4);
/// The part of the idle time that is left then.
const PRESSED_IDLE: u32 = 4;

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// All are taken, by connections that came just now.
    Full,
    /// The client's network has as many as it may.
    ClientFull,
}

/// All places.
pub(super) struct Places {
    inner: Mutex<Inner>,
    /// How many are taken.
    taken: AtomicUsize,
    started: Instant,
}

#[derive(Default)]
struct Inner {
    next: u64,
    /// By when they were last seen doing something, as far as noticed, and number. What is noticed is never
    /// later than what is true, so the first one that has not moved on is the one idle for longest.
    held: BTreeMap<(u64, u64), Arc<Held>>,
    clients: HashMap<Network, usize>,
}

/// What a place and its connection share.
struct Held {
    /// When it last did something, in milliseconds of the server.
    active: AtomicU64,
    /// The same as noticed in `Inner::held`; changed under the lock only.
    noticed: AtomicU64,
    evict: Notify,
    /// How many queries it asked, where its transport counts them here.
    asked: AtomicU64,
    asked_more: Notify,
}

/// A client's network: the leading bits of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    V4(u32),
    V6(u128),
}

impl Network {
    fn of(client: IpAddr, limits: &Connections) -> Self {
        match client.to_canonical() {
            IpAddr::V4(v4) => {
                let bits = u32::from(limits.ipv4_prefix.min(32));
                Self::V4(u32::from(v4) & u32::MAX.checked_shl(32 - bits).unwrap_or(0))
            }
            IpAddr::V6(v6) => {
                let bits = u32::from(limits.ipv6_prefix.min(128));
                Self::V6(u128::from(v6) & u128::MAX.checked_shl(128 - bits).unwrap_or(0))
            }
        }
    }
}

/// One connection's place; free again when dropped.
pub(super) struct Place {
    places: Arc<Places>,
    held: Arc<Held>,
    number: u64,
    /// Whose it is; set once.
    client: OnceLock<Network>,
}

impl Places {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            taken: AtomicUsize::new(0),
            started: Instant::now(),
        })
    }

    /// A place for a connection of `client`; `None` while only a front end is known. `true` when another
    /// connection was told to go for it.
    pub(super) fn enter(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        limits: &Connections,
    ) -> Result<(Place, bool), Refusal> {
        let now = self.now();
        let network = client.map(|client| Network::of(client, limits));
        let mut inner = self.lock();
        if let Some(network) = network
            && inner.of(network) >= limits.per_client
        {
            return Err(Refusal::ClientFull);
        }
        let full = inner.held.len() >= limits.most;
        if full && !inner.make_room(now) {
            return Err(Refusal::Full);
        }
        let number = inner.next;
        inner.next += 1;
        let held = Arc::new(Held {
            active: AtomicU64::new(now),
            noticed: AtomicU64::new(now),
            evict: Notify::new(),
            asked: AtomicU64::new(0),
            asked_more: Notify::new(),
        });
        inner.held.insert((now, number), held.clone());
        self.taken.store(inner.held.len(), Ordering::Relaxed);
        if let Some(network) = network {
            *inner.clients.entry(network).or_default() += 1;
        }
        let place = Place {
            places: self.clone(),
            held,
            number,
            client: network.map(OnceLock::from).unwrap_or_default(),
        };
        Ok((place, full))
    }

    /// How long a connection may wait for its next query at the moment.
    pub(super) fn idle(&self, limits: &Connections) -> Duration {
        if self.pressed(limits) {
            limits.idle / PRESSED_IDLE
        } else {
            limits.idle
        }
    }

    /// Whether places are running out.
    pub(super) fn pressed(&self, limits: &Connections) -> bool {
        let (share, of) = PRESSED;
        self.taken.load(Ordering::Relaxed).saturating_mul(of) >= limits.most.saturating_mul(share)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn of(&self, network: Network) -> usize {
        self.clients.get(&network).copied().unwrap_or(0)
    }

    /// Tells the connection that is idle for longest to go. Each look moves one that was active since to where
    /// it belongs, so a place is moved at most once for each time it was active.
    fn make_room(&mut self, now: u64) -> bool {
        let least = u64::try_from(MIN_STAY.as_millis()).unwrap_or(u64::MAX);
        while let Some(((noticed, number), held)) = self.held.pop_first() {
            let active = held.active.load(Ordering::Relaxed);
            if active > noticed {
                held.noticed.store(active, Ordering::Relaxed);
                self.held.insert((active, number), held);
                continue;
            }
            if now.saturating_sub(active) < least {
                self.held.insert((noticed, number), held);
                return false;
            }
            held.evict.notify_one();
            return true;
        }
        false
    }
}

impl Place {
    /// Something was done: a query answered, an answer taken.
    pub(super) fn touch(&self) {
        self.held.active.store(self.places.now(), Ordering::Relaxed);
    }

    /// One more query.
    pub(super) fn ask(&self) {
        self.held.asked.fetch_add(1, Ordering::Relaxed);
        self.held.asked_more.notify_one();
    }

    /// How many queries there were.
    pub(super) fn asked(&self) -> u64 {
        self.held.asked.load(Ordering::Relaxed)
    }

    /// Completes with the next query, or at once if there was one since it was last waited for.
    pub(super) async fn asked_more(&self) {
        self.held.asked_more.notified().await;
    }

    /// How long it has done nothing.
    pub(super) fn idle_for(&self) -> Duration {
        let active = self.held.active.load(Ordering::Relaxed);
        Duration::from_millis(self.places.now().saturating_sub(active))
    }

    /// How long it may do nothing at the moment.
    pub(super) fn may_idle(&self, limits: &Connections) -> Duration {
        self.places.idle(limits)
    }

    /// Completes when the place was given to another connection.
    pub(super) async fn evicted(&self) {
        self.held.evict.notified().await;
    }

    /// Whose connection it is, once a front end has said it.
    pub(super) fn is_of(&self, client: IpAddr, limits: &Connections) -> Result<(), Refusal> {
        let network = Network::of(client, limits);
        let mut inner = self.places.lock();
        if inner.of(network) >= limits.per_client {
            return Err(Refusal::ClientFull);
        }
        if self.client.set(network).is_ok() {
            *inner.clients.entry(network).or_default() += 1;
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.places.lock();
        let noticed = self.held.noticed.load(Ordering::Relaxed);
        inner.held.remove(&(noticed, self.number));
        let taken = &self.places.taken;
        taken.store(inner.held.len(), Ordering::Relaxed);
        if let Some(network) = self.client.get()
            && let Some(count) = inner.clients.get_mut(network)
        {
            *count -= 1;
            if *count == 0 {
                inner.clients.remove(network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(most: usize, per_client: usize) -> Connections {
        Connections {
            most,
            per_client,
            ..Connections::DEFAULT
        }
    }

    fn client(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect(text))
    }

    /// As if `place` had last been active `ago` before now.
    fn age(place: &Place, ago: Duration) {
        let then = place.places.now().saturating_sub(ago.as_millis() as u64);
        let mut inner = place.places.lock();
        let noticed = place.held.noticed.swap(then, Ordering::Relaxed);
        place.held.active.store(then, Ordering::Relaxed);
        let held = inner.held.remove(&(noticed, place.number)).expect("held");
        inner.held.insert((then, place.number), held);
    }

    fn old() -> Arc<Places> {
        let mut places = Places::new();
        Arc::get_mut(&mut places).expect("new").started = Instant::now()
            .checked_sub(Duration::from_secs(3600))
            .expect("an hour of uptime");
        places
    }

    #[tokio::test]
    async fn the_one_idle_for_longest_gives_way() {
        let places = old();
        let limits = limits(3, 10);
        let enter = || places.enter(client("192.0.2.1"), &limits);
        let (a, b, c) = (
            enter().expect("a place").0,
            enter().expect("a place").0,
            enter().expect("a place").0,
        );
        age(&a, Duration::from_secs(9));
        age(&b, Duration::from_secs(8));
        age(&c, Duration::from_secs(7));
        a.touch();
        let (_d, pushed) = enter().expect("room is made");
        assert!(pushed);
        b.evicted().await;
        assert!(c.idle_for() >= Duration::from_secs(7));
        drop(b);
        let (_e, _) = enter().expect("c goes");
        c.evicted().await;
        assert_eq!(
            enter().err(),
            Some(Refusal::Full),
            "nobody left has been idle for a moment"
        );
    }

    #[test]
    fn a_network_has_its_share_and_no_more() {
        let places = Places::new();
        let limits = limits(100, 2);
        let first = places.enter(client("2001:db8:0:1::1"), &limits);
        let (second, _) = places
            .enter(client("2001:db8:0:2::1"), &limits)
            .expect("the same /56, the second place");
        let third = places.enter(client("2001:db8:0:ff::1"), &limits);
        assert_eq!(third.err(), Some(Refusal::ClientFull));
        assert!(places.enter(client("2001:db8:0:100::1"), &limits).is_ok());
        assert!(places.enter(client("::ffff:192.0.2.1"), &limits).is_ok());
        drop(second);
        assert!(places.enter(client("2001:db8::9"), &limits).is_ok());
        drop(first);
        assert!(places.lock().clients.is_empty(), "all have gone");
    }

    #[test]
    fn what_a_front_end_says_counts() {
        let places = Places::new();
        let limits = limits(100, 1);
        let (one, _) = places.enter(None, &limits).expect("a place");
        let (two, _) = places.enter(None, &limits).expect("a place");
        let client = client("192.0.2.1").expect("an address");
        assert_eq!(one.is_of(client, &limits), Ok(()));
        assert_eq!(two.is_of(client, &limits), Err(Refusal::ClientFull));
        drop(one);
        assert_eq!(two.is_of(client, &limits), Ok(()));
    }

    #[test]
    fn less_idling_when_places_run_out() {
        let places = Places::new();
        let limits = limits(4, 4);
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(places.enter(None, &limits).expect("a place"));
        }
        assert_eq!(places.idle(&limits), limits.idle);
        held.push(places.enter(None, &limits).expect("a place"));
        assert_eq!(places.idle(&limits), limits.idle / 4);
    }

    #[test]
    fn a_prefix_of_nothing_is_one_network() {
        let limits = Connections {
            ipv4_prefix: 0,
            ipv6_prefix: 0,
            ..Connections::DEFAULT
        };
        let of = |text| Network::of(client(text).expect("an address"), &limits);
        assert_eq!(of("192.0.2.1"), of("8.8.8.8"));
        assert_eq!(of("2001:db8::1"), of("::1"));
    }
}
