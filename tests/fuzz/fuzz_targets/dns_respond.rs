//! Any octets at `dns::respond`, over a world with every kind of policy and name.
//!
//! The first four octets set the scene: what the packet comes over and in which state of health; from
//! whom; the payload limit; the draw. The rest is the packet.

#![no_main]

use dns::{
    Answer, Arrival, Cookies, Ecs, Identity, Outcome, Query, Rcode, Rules, Secret, Summary,
    Transport,
};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use std::sync::LazyLock;
use steering::Snapshot;

static WORLD: LazyLock<[Snapshot; 4]> = LazyLock::new(fuzz::world);

/// Resolvers in each place of the world and in none, one of them on a dual-stack socket.
const PEERS: [&str; 6] = [
    "192.0.2.1",
    "198.51.100.7",
    "::ffff:203.0.113.9",
    "2001:db8:de::1",
    "2001:db8:41::1",
    "127.0.0.1",
];

struct Scene {
    snapshot: &'static Snapshot,
    peer: IpAddr,
    transport: Transport,
    rules: Rules,
    draw: u64,
}

impl Scene {
    fn new([how, peer, payload, draw]: [u8; 4]) -> Self {
        let address = PEERS[usize::from(peer) % PEERS.len()];
        Self {
            snapshot: &WORLD[usize::from(how >> 2) % WORLD.len()],
            peer: address.parse().expect("an address"),
            transport: match (how & 1, usize::from(how >> 4) % 4) {
                (0, _) => Transport::Udp,
                (_, which) => Transport::ALL[1 + which],
            },
            rules: Rules {
                client_subnet: how & 2 == 0,
                payload: u16::from(payload) * 17,
                // Told apart by the resolver, so that no bit of the scene is lost to them.
                cookies: (peer % 3 > 0).then(|| Cookies {
                    require: peer % 3 == 2,
                    ..Cookies::new(Secret::new(*b"0123456789abcdef"))
                }),
                nsid: Identity::parse("fuzz").ok(),
                ..Rules::default()
            },
            // Spread over all of its bits, as the server's draws are.
            draw: u64::from(draw).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// The most octets the response may have (RFC 1035 §4.2.1, RFC 6891 §6.2.3).
    fn limit(&self, query: Option<&Query>) -> usize {
        let edns = query.and_then(|query| query.edns);
        usize::from(match (query, self.transport, edns) {
            (Some(_), Transport::Tcp | Transport::Tls | Transport::Https | Transport::Quic, _) => {
                u16::MAX
            }
            (Some(_), Transport::Udp, Some(edns)) => edns.payload.min(self.rules.payload).max(512),
            _ => 512,
        })
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((scene, packet)) = data.split_first_chunk() else {
        return;
    };
    let scene = Scene::new(*scene);
    // As in a batch: behind other responses.
    let mut out = vec![0xc0; usize::from(scene.rules.payload) % 7];
    let begin = out.len();
    let outcome = dns::respond_into(
        scene.snapshot,
        packet,
        &Arrival::new(scene.peer, scene.transport),
        &scene.rules,
        |_, _, _| scene.draw,
        &mut out,
    );
    let response = &out[begin..];
    match &outcome {
        Outcome::Dropped => {
            assert!(response.is_empty(), "nothing goes out");
            let is_response = packet.get(2).is_some_and(|flags| flags & 0x80 != 0);
            assert!(packet.len() < 12 || is_response, "a query gets a response");
        }
        Outcome::Rejected(_) | Outcome::Notified(_) => {
            fuzz::well_formed(packet, response, scene.limit(None))
        }
        Outcome::Answered(summary) => {
            let use_ecs = scene.rules.client_subnet;
            let read = Query::read(packet, scene.peer, scene.transport, use_ecs);
            let Some(query) = read else {
                // Tools look at every cookie; a server that has none set does not (RFC 7873 §5.2.1).
                assert!(
                    scene.rules.cookies.is_none(),
                    "what is answered can be read"
                );
                return;
            };
            fuzz::well_formed(packet, response, scene.limit(Some(&query)));
            assert_eq!(response[2] & 0x02 != 0, summary.truncated, "TC says so");
            // RFC 7873 §5.2.3: whoever brings no good cookie is told so, whatever was asked.
            if summary.rcode == Rcode::BadCookie {
                let is_required = scene.rules.cookies.as_ref().is_some_and(|set| set.require);
                assert!(
                    is_required && scene.transport == Transport::Udp,
                    "only then"
                );
                return;
            }
            let answer = dns::answer(scene.snapshot, &query, scene.draw);
            let told = Summary::new(query.rtype, summary.cookie, &answer, summary.truncated);
            assert_eq!(*summary, told, "what is counted is what was answered");
            decided(&scene, &query, &answer);
        }
    }
    let mut quick = vec![0xc0; begin];
    let arrival = Arrival::new(scene.peer, scene.transport);
    let mut ahead = [None];
    let packets = [(0, packet)].into_iter();
    dns::fast::ahead(scene.snapshot, packets, &scene.rules, &mut ahead);
    let [ahead] = ahead;
    let offered = dns::fast::offer(
        scene.snapshot,
        packet,
        &arrival,
        &scene.rules,
        dns::fast::Given {
            fresh: scene.draw,
            ahead,
        },
        |_, _, _| scene.draw,
        &mut quick,
    );
    if let Some(offered) = offered {
        assert_eq!(offered, outcome, "the fast way counts the same");
        assert_eq!(quick, out, "the fast way says the same");
    }
    let alone = dns::respond(
        scene.snapshot,
        packet,
        scene.peer,
        scene.transport,
        &scene.rules,
        scene.draw,
    );
    assert_eq!(
        alone.as_deref().unwrap_or(&[]),
        response,
        "where it is written changes nothing"
    );
});

/// The decision is held to its invariants, and its scope to its word: whoever shares that many bits gets
/// the same answer (RFC 7871 §7.2.1).
fn decided(scene: &Scene, query: &Query, answer: &Answer<'_>) {
    let (client, is_subnet) = query.steer_by();
    if let Some((service, decision)) = &answer.decision {
        fuzz::hold(scene.snapshot, *service, client, decision);
    }
    if !is_subnet {
        assert_eq!(answer.scope, 0, "no client subnet was consulted");
        return;
    }
    // A network told in part is pinned as soon as any part of it is, which says nothing of who is asked for
    // with more bits; then only the same network can be held to the same answer.
    let source = query
        .edns
        .and_then(|edns| edns.ecs)
        .map_or(0, |ecs| ecs.source());
    let pinned = answer.decision.is_some_and(|(_, decision)| decision.pinned);
    let told = match answer.scope > source && pinned {
        true => source,
        false => u8::MAX,
    };
    let noise = u128::from(scene.draw) << 64 | u128::from(!scene.draw);
    let neighbour = match client {
        IpAddr::V4(v4) => {
            let beyond = u32::MAX.checked_shr(answer.scope.into()).unwrap_or(0);
            IpAddr::V4((u32::from(v4) ^ (noise as u32 & beyond)).into())
        }
        IpAddr::V6(v6) => {
            let beyond = u128::MAX.checked_shr(answer.scope.into()).unwrap_or(0);
            IpAddr::V6((u128::from(v6) ^ (noise & beyond)).into())
        }
    };
    let mut other = query.clone();
    if let Some(edns) = &mut other.edns {
        edns.ecs = Some(Ecs::new(neighbour, told));
    }
    let again = dns::answer(scene.snapshot, &other, scene.draw);
    assert_eq!(
        said(answer),
        said(&again),
        "{client} and {neighbour}, {query:?}"
    );
}

fn said(answer: &Answer<'_>) -> String {
    let Answer {
        rcode,
        authoritative,
        ede,
        scope,
        ..
    } = answer;
    let sections = (&answer.answer, &answer.authority, &answer.additional);
    format!("{rcode:?} {authoritative} {ede:?} {scope} {sections:?}")
}
