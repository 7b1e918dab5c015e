//! A client of whom a resolver told only a network: any part of it that is pinned pins it whole.

mod common;

use common::{address, pin, serve, snapshot, spec};
use steering::{Client, ServiceId, Silent, Verdict, Want};

#[test]
fn a_network_with_a_pinned_part_is_pinned() {
    let mut spec = spec();
    serve(&mut spec, "api", "failover(us, eu)");
    pin(&mut spec, false, false);
    let snapshot = snapshot(&spec, "");
    for (client, bits, pinned) in [
        // 5.8.0.0/13 is German; what is around it is nowhere known, and unknown clients are free here.
        ("5.0.0.0", None, false),
        ("5.0.0.0", Some(8), true),
        ("5.0.0.0", Some(12), true),
        ("5.0.0.0", Some(13), false),
        ("5.16.0.0", Some(12), false),
        ("5.8.0.0", Some(24), true),
        // 8.0.0.0/8 is all American, in two places.
        ("8.0.0.0", Some(8), false),
        ("0.0.0.0", Some(1), true),
        ("2001:db8::", Some(32), true),
        ("2001:db8::", Some(48), false),
    ] {
        let client = Client {
            known_bits: bits,
            ..Client::from(address(client))
        };
        let decision = snapshot.decide(ServiceId(0), &client, Want::dns(1), &mut Silent);
        let region = decision
            .region
            .map(|id| snapshot.table().regions()[id.index()].name.to_string());
        let expected = if pinned { "eu" } else { "us" };
        assert_eq!(decision.verdict, Verdict::Steered);
        assert_eq!(
            (decision.pinned, region.as_deref()),
            (pinned, Some(expected)),
            "{client:?}"
        );
        assert!(
            bits.is_none_or(|bits| !pinned || decision.scope >= bits.min(8)),
            "{client:?}"
        );
    }
}
