//! A small world to steer in: regions, pools, clients, and policies in short text, so that a row of a
//! test reads `policy, who is down, client, draw -> verdict, pool, TTL, scope`.
//!
//! Builds specs only; what is tested is the crate's own. Not every test file uses all of it.
#![allow(dead_code)]

pub mod random;

use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use steering::geo::{Coordinates, CountrySet};
use steering::health::{Check, Probe, Rules, Status, TargetHealth, TargetKey, Transition};
use steering::ids::{CheckId, JurisdictionId, PolicyId};
use steering::spec::{
    EndpointSpec, Failback, GeoRule, NamedPolicy, Policy, PoolSpec, Publish, Region, Residency,
    ServiceSpec, TableSpec,
};
use steering::{
    Change, Client, CompileProblem, Decision, Location, LocationTable, LocationTableBuilder,
    PoolId, RegionId, ResidencyId, ServiceId, Silent, Snapshot, Table, Timestamp, Want,
};

/// The check of every pool.
pub const RULES: Rules = Rules {
    interval: Duration::from_secs(10),
    timeout: Duration::from_secs(3),
    rise: 2,
    fall: 3,
};
pub const NOW: Timestamp = Timestamp(1_000_000);
/// The jurisdiction of the regions `eu` and `de`.
pub const EU: JurisdictionId = JurisdictionId(0);
/// The only service.
pub const SERVICE: ServiceId = ServiceId(0);

/// Networks and where they are; everything else is unknown.
pub const NETWORKS: &[(&str, &str)] = &[
    ("8.0.0.0/8", "US"),
    ("5.8.0.0/13", "DE"),
    ("1.2.0.0/16", "SG"),
    ("2001:db8:1::/48", "DE"),
    ("2600::/16", "US"),
];

/// The address of a client by name.
pub fn address(client: &str) -> IpAddr {
    let text = match client {
        "us" => "8.8.8.8",
        "de" => "5.9.1.1",
        "de6" => "2001:db8:1::1",
        "sg" => "1.2.3.4",
        "nowhere" => "203.0.113.9",
        other => other,
    };
    text.parse().expect("an address or the name of a client")
}

/// A spec with regions us, eu, de, ap and a pool of one endpoint in each.
pub fn spec() -> TableSpec {
    let region = |name: &str, country: &str, latitude, longitude, jurisdiction| Region {
        name: name.into(),
        place: Some(Coordinates {
            latitude,
            longitude,
        }),
        country: country.parse().ok(),
        jurisdiction,
        capacity: None,
    };
    let mut spec = TableSpec {
        regions: vec![
            region("us", "US", 38.9, -77.5, None),
            region("eu", "IE", 53.3, -6.3, Some(EU)),
            region("de", "DE", 50.1, 8.7, Some(EU)),
            region("ap", "SG", 1.35, 103.8, None),
        ],
        checks: vec![Check {
            name: "api".into(),
            probe: Probe::Tcp,
            rules: RULES,
        }],
        ..TableSpec::default()
    };
    spec.pop.name = "here".into();
    for (i, region) in ["us", "eu", "de", "ap"].into_iter().enumerate() {
        let endpoint = (format!("192.0.2.{}:443", i + 1), 1);
        pool(&mut spec, region, region, 0.0, &[(&endpoint.0, endpoint.1)]);
    }
    spec
}

/// Adds a pool.
pub fn pool(
    spec: &mut TableSpec,
    name: &str,
    region: &str,
    min_healthy: f32,
    endpoints: &[(&str, u16)],
) {
    let at = spec.regions.iter().position(|r| &*r.name == region);
    let endpoint = |(address, weight): &(&str, u16)| {
        let address: SocketAddr = address.parse().expect("an address and port");
        EndpointSpec {
            address,
            weight: *weight,
            publish: Publish::address(address),
        }
    };
    spec.pools.push(PoolSpec {
        name: name.into(),
        region: RegionId::at(at.expect("a region")),
        check: Some(CheckId(0)),
        min_healthy,
        endpoints: endpoints.iter().map(endpoint).collect(),
    });
}

/// Adds a named policy (referred to as `$name`) and returns its id.
pub fn name(spec: &mut TableSpec, name: &str, text: &str) -> PolicyId {
    let policy = policy(spec, text);
    spec.policies.push(NamedPolicy {
        name: name.into(),
        policy,
    });
    PolicyId::at(spec.policies.len() - 1)
}

/// Adds a service with a policy of its own: TTL 60 s, 5 s while failing.
pub fn serve(spec: &mut TableSpec, service: &str, text: &str) {
    let id = name(spec, &format!("{service}-policy"), text);
    spec.services.push(ServiceSpec {
        name: service.into(),
        dns_policy: id,
        http_policy: id,
        residency: None,
        fail_open: true,
        ttl: 60,
        ttl_failing: 5,
    });
}

/// Pins clients in the EU to EU regions, for every service; refuses or fails open inside.
pub fn pin(spec: &mut TableSpec, unknown: bool, fail_open_inside: bool) {
    spec.residencies.push(Residency {
        name: "gdpr".into(),
        countries: CountrySet::builtin("EU").expect("EU"),
        continents: Vec::new(),
        serve_in: vec![EU],
        pin_unknown: unknown,
        fail_open_inside,
    });
    let rule = ResidencyId::at(spec.residencies.len() - 1);
    for service in &mut spec.services {
        service.residency = Some(rule);
    }
}

/// A policy in short text: `pool`, `$policy`, or `kind[.option](child, label=child, ...)`.
///
/// Labels are weights (`weighted`, `sticky`), biases (`proximity`), networks (`network`) and
/// `sub:US-CA`, `country:DE`, `set:EU`, `continent:EU` (`geo`; joined by `+`); options are `manual`,
/// `after` (60 s) for `failover` and the maximum for `multivalue`.
pub fn policy(spec: &TableSpec, text: &str) -> Policy {
    let Some((head, rest)) = text.trim().split_once('(') else {
        return leaf(spec, text.trim());
    };
    let (kind, option) = head.split_once('.').unwrap_or((head, ""));
    let inside = rest.strip_suffix(')').expect("a closing parenthesis");
    let items: Vec<(&str, Policy)> = split(inside)
        .into_iter()
        .map(|item| {
            let label = item.find('=').filter(|at| !item[..*at].contains('('));
            let (label, child) = label.map_or(("", item), |at| (&item[..at], &item[at + 1..]));
            (label, policy(spec, child))
        })
        .collect();
    node(kind, option, items)
}

fn leaf(spec: &TableSpec, text: &str) -> Policy {
    if let Some(name) = text.strip_prefix('$') {
        let at = spec.policies.iter().position(|p| &*p.name == name);
        return Policy::Named(PolicyId::at(at.expect("a policy")));
    }
    let at = spec.pools.iter().position(|p| &*p.name == text);
    Policy::Pool(PoolId::at(at.unwrap_or_else(|| panic!("no pool {text}"))))
}

/// Splits at the commas that stand outside parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut items, mut depth, mut from) = (Vec::new(), 0, 0);
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                items.push(text[from..i].trim());
                from = i + 1;
            }
            _ => {}
        }
    }
    items.push(text[from..].trim());
    items.retain(|item| !item.is_empty());
    items
}

fn node(kind: &str, option: &str, items: Vec<(&str, Policy)>) -> Policy {
    let plain = |items: Vec<(&str, Policy)>| items.into_iter().map(|(_, child)| child).collect();
    match kind {
        "failover" => Policy::Failover {
            children: plain(items),
            failback: match option {
                "manual" => Failback::Manual,
                "after" => Failback::After(Duration::from_secs(60)),
                _ => Failback::Automatic,
            },
        },
        "weighted" | "sticky" => Policy::Weighted {
            children: items
                .into_iter()
                .map(|(label, child)| (child, label.parse().expect("a weight")))
                .collect(),
            sticky: kind == "sticky",
        },
        "latency" => Policy::Latency {
            children: plain(items),
        },
        "proximity" => Policy::Proximity {
            children: items
                .into_iter()
                .map(|(label, child)| (child, label.parse().unwrap_or(0)))
                .collect(),
        },
        "multivalue" => Policy::Multivalue {
            children: plain(items),
            max: option.parse().unwrap_or(8),
        },
        "geo" => {
            let (default, rules) = by_rule(items);
            Policy::Geo {
                rules: rules
                    .into_iter()
                    .map(|(label, to)| geo_rule(label, to))
                    .collect(),
                default,
            }
        }
        "network" => {
            let (default, rules) = by_rule(items);
            let networks =
                |label: &str| label.split('+').map(|n| n.parse().expect("CIDR")).collect();
            Policy::Network {
                rules: rules
                    .into_iter()
                    .map(|(label, to)| (networks(label), to))
                    .collect(),
                default,
            }
        }
        other => panic!("no policy kind {other}"),
    }
}

type RulesAndDefault<'a> = (Option<Box<Policy>>, Vec<(&'a str, Policy)>);

/// The child without a label is the default.
fn by_rule(items: Vec<(&str, Policy)>) -> RulesAndDefault<'_> {
    let (mut default, mut rules) = (None, Vec::new());
    for (label, child) in items {
        match label {
            "" => default = Some(Box::new(child)),
            label => rules.push((label, child)),
        }
    }
    (default, rules)
}

fn geo_rule(label: &str, to: Policy) -> GeoRule {
    let mut rule = GeoRule {
        subdivisions: Vec::new(),
        countries: Vec::new(),
        sets: Vec::new(),
        continents: Vec::new(),
        to,
    };
    for matcher in label.split('+') {
        let (what, code) = matcher.split_once(':').expect("what:code");
        match what {
            "sub" => rule.subdivisions.push(code.parse().expect("a subdivision")),
            "country" => rule.countries.push(code.parse().expect("a country")),
            "set" => rule.sets.push(CountrySet::builtin(code).expect("a set")),
            "continent" => rule
                .continents
                .push(steering::geo::Continent::from_code(code).expect("a continent")),
            other => panic!("no matcher {other}"),
        }
    }
    rule
}

/// The locations of [`NETWORKS`], and 8.8.0.0/16 in California.
pub fn locations() -> Arc<LocationTable> {
    let mut builder = LocationTableBuilder::default();
    for (network, country) in NETWORKS {
        let network: IpNet = network.parse().expect("a network");
        builder.insert(
            network,
            Location::in_country(country.parse().expect("a country")),
        );
    }
    let mut california = Location::in_country("US".parse().expect("a country"));
    california.subdivision = "US-CA".parse().ok();
    builder.insert("8.8.0.0/16".parse().expect("a network"), california);
    Arc::new(builder.build("test"))
}

/// Compiles, or says what is wrong.
pub fn compile(spec: &TableSpec) -> Result<Arc<Table>, Vec<CompileProblem>> {
    Table::compile(spec.clone()).map(Arc::new)
}

/// The first snapshot of a spec, with health as [`states`] says.
pub fn snapshot(spec: &TableSpec, text: &str) -> Snapshot {
    let table = compile(spec).expect("a sound spec");
    let first = Snapshot::new(table, locations(), NOW);
    first.next(states(&first, text), NOW)
}

/// Health by pool: `us- ap?` has us down and ap unknown; pools not named are up.
pub fn states(snapshot: &Snapshot, text: &str) -> Change {
    let pools = snapshot.table().pools();
    let status_of = |pool: &str| {
        let marks = text
            .split_whitespace()
            .find_map(|word| word.strip_prefix(pool).filter(|mark| mark.len() == 1));
        match marks {
            Some("-") => Status::Down,
            Some("?") => Status::Unknown,
            _ => Status::Up,
        }
    };
    let endpoints = snapshot.table().endpoints().iter();
    let transitions = endpoints.map(|endpoint| {
        let status = status_of(&pools[endpoint.pool.index()].name);
        transition(&endpoint.address.to_string(), status)
    });
    Change::Health(transitions.collect())
}

/// A transition of one address under the check.
pub fn transition(address: &str, status: Status) -> Transition {
    Transition {
        target: TargetKey {
            address: address.parse().expect("an address and port"),
            check: "api".into(),
        },
        health: TargetHealth {
            status,
            ..TargetHealth::default()
        },
    }
}

/// One DNS decision for the only service.
pub fn decide(snapshot: &Snapshot, client: &str, draw: u64) -> Decision {
    decide_for(snapshot, client, Want::dns(draw))
}

/// One decision for the only service.
pub fn decide_for(snapshot: &Snapshot, client: &str, want: Want) -> Decision {
    let client = Client::from(address(client));
    snapshot.decide(SERVICE, &client, want, &mut Silent)
}

/// A decision in short text: `steered eu 60s /0`.
pub fn said(snapshot: &Snapshot, decision: &Decision) -> String {
    let pool = decision
        .pool
        .map(|id| snapshot.table().pools()[id.index()].name.to_string());
    format!(
        "{} {} {}s /{}",
        decision.verdict.name(),
        pool.unwrap_or_else(|| decision.reason.name().to_owned()),
        decision.ttl,
        decision.scope
    )
}

/// The pool of a decision, or its verdict.
pub fn pool_of(snapshot: &Snapshot, client: &str, draw: u64) -> String {
    let decision = decide(snapshot, client, draw);
    let table = snapshot.table();
    decision.pool.map_or_else(
        || decision.verdict.name().to_owned(),
        |id| table.pools()[id.index()].name.to_string(),
    )
}
