//! What every decision is held to, whatever the config, the client and the state of health.

use std::net::IpAddr;
use steering::health::Status;
use steering::{Client, Decision, PoolId, ServiceId, Silent, Snapshot, Trace, Verdict, Want};

/// Decides for a client, holds the decision to its invariants, and holds it against the one that is
/// explained.
pub fn decide(snapshot: &Snapshot, service: ServiceId, address: IpAddr, want: Want) -> Decision {
    let client = Client::from(address);
    let decision = snapshot.decide(service, &client, want, &mut Silent);
    let explained = snapshot.decide(service, &client, want, &mut Trace::default());
    assert_eq!(decision, explained, "a trace changes nothing");
    hold(snapshot, service, address, &decision);
    decision
}

/// What every decision is held to: it says a pool exactly when it steers or fails open, a down endpoint
/// comes with nothing but `fail_open`, and a pinned client stays inside its pin.
pub fn hold(snapshot: &Snapshot, service: ServiceId, address: IpAddr, decision: &Decision) {
    let table = snapshot.table();
    let chosen = matches!(decision.verdict, Verdict::Steered | Verdict::FailOpen);
    assert_eq!(decision.pool.is_some(), chosen, "{decision:?}");
    assert!(chosen || decision.endpoints.is_empty(), "{decision:?}");
    let bits = if address.is_ipv4() { 32 } else { 128 };
    assert!(decision.scope <= bits, "{decision:?}");

    let rule = table.services()[service.index()].residency;
    let rule = rule.map(|id| &table.residencies()[id.index()]);
    let country = snapshot.locate(address).location.country;
    if let (Some(rule), Some(country)) = (rule, country)
        && rule.countries.contains(country)
    {
        assert!(decision.pinned, "{country:?} is pinned: {decision:?}");
    }
    let allowed = |pool: PoolId| {
        let region = &table.regions()[table.pools()[pool.index()].region.index()];
        let rule = rule.filter(|_| decision.pinned);
        rule.is_none_or(|rule| {
            region
                .jurisdiction
                .is_some_and(|j| rule.serve_in.contains(&j))
        })
    };
    assert!(
        decision.pool.is_none_or(allowed),
        "out of the pin: {decision:?}"
    );
    for id in decision.endpoints.iter() {
        let endpoint = &table.endpoints()[id.index()];
        assert!(allowed(endpoint.pool), "out of the pin: {decision:?}");
        assert!(
            decision.verdict == Verdict::FailOpen || snapshot.status(*id) != Status::Down,
            "down and chosen: {decision:?}"
        );
    }
}
