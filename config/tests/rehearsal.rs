//! A rehearsal serves the very table of a config: every example compiles with stand-ins for all of its
//! endpoints, DNS publishes what it published, and nothing points out of this machine.

use config::checked::{Expected, What};
use config::rehearsal::{Listeners, Plan, PlanError, SecureListener};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use steering::Table;
use steering::health::{Probe, ProbeHttp};

const EXAMPLES: [&str; 10] = [
    "authoritative",
    "demo",
    "keiko",
    "kaldrix",
    "kaldrix-staging",
    "eagle",
    "eden",
    "eden/shifted",
    "eden/isolated",
    "genai-demo",
];

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../deploy/examples/{name}.yaml"))
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A stand-in for every endpoint of a config, each on a port of its own.
fn plan(path: &Path) -> Plan {
    let loaded = config::rehearsal::load(path);
    let checked = loaded.checked.expect("an example");
    let endpoints = checked.table.pools.iter().flat_map(|pool| &pool.endpoints);
    let stand_ins: BTreeMap<SocketAddr, SocketAddr> = endpoints
        .enumerate()
        .map(|(i, endpoint)| (endpoint.address, loopback(20_000 + i as u16)))
        .collect();
    Plan {
        endpoints: stand_ins,
        listen: Listeners {
            dns: vec![loopback(1)],
            http: vec![loopback(2)],
            https: vec![SecureListener {
                address: loopback(3),
                cert: "cert.pem".into(),
                key: "key.pem".into(),
            }],
            admin: Some(loopback(4)),
        },
        ca_file: Some("ca.pem".into()),
        ..Plan::default()
    }
}

/// As a plan is read: from a folder that has the authority.
fn placed(plan: Plan) -> Plan {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("ca.pem"), "the authority").expect("a file");
    plan.from_folder(folder.path()).expect("a plan")
}

#[test]
fn every_example_is_rehearsed_with_what_it_publishes() {
    for name in EXAMPLES {
        let path = example(name);
        let real = config::rehearsal::load(&path).checked.expect("an example");
        let plan = placed(plan(&path));
        let loaded = plan.load(&path);
        let rehearsed = loaded.checked.unwrap_or_else(|| {
            panic!("{name}:\n{}", config::problem::render(&loaded.problems));
        });
        for (before, after) in real.table.pools.iter().zip(&rehearsed.table.pools) {
            for (before, after) in before.endpoints.iter().zip(&after.endpoints) {
                assert_eq!(Some(&after.address), plan.endpoints.get(&before.address));
                assert_eq!(after.publish, before.publish, "{name}: {}", before.address);
                assert_eq!(after.weight, before.weight);
            }
        }
        for (before, after) in real.table.checks.iter().zip(&rehearsed.table.checks) {
            assert_eq!(before.rules, after.rules, "{name}: times are real");
        }
        assert_eq!(real.expectations.len(), rehearsed.expectations.len());
        assert!(Table::compile(rehearsed.table).is_ok(), "{name} compiles");
    }
}

#[test]
fn expectations_that_name_an_endpoint_follow_it() {
    let path = example("keiko");
    let plan = placed(plan(&path));
    let checked = plan.load(&path).checked.expect("an example");
    let of = |text: &str| plan.endpoints[&text.parse().expect("an address")];
    let both = checked.expectations.iter().any(|expectation| {
        expectation.down == [What::Endpoint(of("192.0.2.10:443"))]
            && expectation.expected == [Expected::Endpoint(of("192.0.2.11:443"))]
    });
    assert!(both, "{:#?}", checked.expectations);
}

#[test]
fn stand_ins_are_trusted_by_their_own_authority_and_nothing_is_left_behind() {
    let path = example("genai-demo");
    let plan = placed(plan(&path));
    let checked = plan.load(&path).checked.expect("an example");
    let Probe::Http(ProbeHttp { tls: Some(tls), .. }) = &checked.table.checks[0].probe else {
        panic!("genai-demo checks over HTTPS");
    };
    assert!(tls.verify, "what was verified still is");
    assert_eq!(tls.ca_pem.as_deref(), Some("the authority"));
    let upstream = checked.upstreams[0].tls.as_ref().expect("HTTPS");
    assert_eq!(upstream.ca_pem.as_deref(), Some("the authority"));
    assert_eq!(checked.state_dir, None);
    assert_eq!(checked.listen.dns[0].address, loopback(1));
    assert_eq!(checked.listen.https[0].certificates.len(), 1);
    let believed = checked.trusted_proxies.iter();
    assert_eq!(
        believed.map(ToString::to_string).collect::<Vec<_>>(),
        ["127.0.0.0/8", "::1/128"]
    );
}

#[test]
fn an_endpoint_without_a_stand_in_is_a_problem_with_its_address() {
    let path = example("eagle");
    let mut plan = plan(&path);
    plan.endpoints
        .remove(&"192.0.2.20:8080".parse().expect("an address"));
    let loaded = placed(plan).load(&path);
    assert!(loaded.checked.is_none());
    let told: Vec<&str> = loaded.problems.iter().map(|p| &*p.message).collect();
    assert_eq!(
        told,
        ["the rehearsal has no stand-in for endpoint 192.0.2.20:8080"]
    );
}

#[test]
fn a_plan_stays_on_this_machine_and_has_no_unknown_keys() {
    let mut far = Plan::default();
    far.listen
        .http
        .push("192.0.2.1:80".parse().expect("an address"));
    let refused = far.from_folder(Path::new("."));
    assert!(matches!(refused, Err(PlanError::NotLoopback(_))));

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plan.json");
    let read = |text: &str| {
        std::fs::write(&file, text).expect("a file");
        Plan::read(&file)
    };
    let good = r#"{ "endpoints": { "192.0.2.10:443": "127.0.0.1:1" }, "listen": { "dns": ["[::1]:53"] } }"#;
    let plan = read(good).expect("a plan");
    let text = serde_json::to_string(&plan).expect("a plan is data");
    assert_eq!(read(&text).expect("a plan"), plan);
    let error = read(r#"{ "listne": {} }"#).expect_err("an unknown key");
    assert!(error.to_string().contains("listne"), "{error}");
}

#[test]
fn zones_are_exchanged_with_nobody_outside_this_machine() {
    const CONFIG: &str = r#"
version: 1
zones:
  held.test: { primary: [{ address: 192.0.2.99 }] }
  given.test:
    soa: { mname: ns1.given.test, rname: hostmaster.given.test }
    ns: [ns.example.net]
    transfer: { to: [{ address: 192.0.2.98 }], notify: [{ address: 192.0.2.98 }, { address: "127.0.0.1:5300" }] }
listen: { dns: [{ address: "127.0.0.1:0" }] }
"#;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.yaml");
    std::fs::write(&file, CONFIG).expect("a file");
    let loaded = placed(plan(&file)).load(&file);
    let zones = loaded.checked.expect("it is fine").zones;
    let zone = |apex: &str| zones.iter().find(|zone| zone.apex == apex).expect("a zone");
    assert!(zone("held.test").primaries.is_empty() && zone("held.test").soa.is_some());
    let told = &zone("given.test").transfer.notify;
    assert_eq!(told.len(), 1, "only what is on loopback: {told:?}");
}
