//! What is written comes out as what runs: one config with every kind of key, and the values it makes.

use config::checked::{AccessLog, Binding, Expected, LogFormat, LogTarget, Protocol, Told, What};
use config::{Checked, load_str};
use std::time::Duration;
use steering::health::Probe;
use steering::spec::{Failback, Policy, Publish};
use steering::{PoolId, ServiceId};

const EVERYTHING: &str = r#"
version: 1
pop: { name: fra1, location: { country: DE } }
workers: 2
state_dir: state
startup_grace: 3s
drain_time: 10s
trusted_proxies: [10.0.0.0/8, "::1"]
edns_client_subnet: false
metrics: { region_prefix: edge }
log: { format: json, level: debug }
access_log: { path: logs/access.log }
http: { header_timeout: 5s, max_header_bytes: 8192, max_headers: 50 }
dns:
  udp_payload: 4096
  tcp: { connections: 100000, connections_per_client: 50, ipv4_prefix: 24, ipv6_prefix: 48, idle_timeout: 20s, queries_per_connection: 1000 }
  nsid: "fra1 {generation}"
  version: off
  hostname: fra1.example.com
  cookies: { require: true }
  rate_limit: { responses_per_second: 20, errors_per_second: 5, nxdomains_per_second: 0, all_per_second: 500, slip: 3, ipv4_prefix: 32, ipv6_prefix: 64,
                exempt: [10.0.0.0/8, "::1"], dry_run: true }
  query_log: { to: logs/queries.log, sample: 1/100, format: text }
geoip:
  database: city.mmdb
  asn_database: asn.mmdb
  networks:
    - { cidr: 10.20.0.0/16, country: DE }
    - { cidr: "2001:db8::/32", subdivision: US-CA, latitude: 37.8, longitude: -122.4, asn: 64500 }
country_sets: { dach: [DE, AT, CH], alps: [dach, IT, FR] }
jurisdictions: { eu: { countries: [EU] } }
regions:
  us: { location: { country: US, latitude: 38.9, longitude: -77.5 }, capacity: 100 }
  eu: { location: { country: IE }, jurisdiction: eu }
health_checks:
  tcp: { type: tcp }
  tls: { type: tls, tls: { server_name: a.test } }
  web: { type: http, method: head, path: "/up?x=1", host: a.test, expect: { status: [200, "300-302"], body: ok }, interval: 500ms, timeout: 30s, rise: 1, fall: 9 }
  webs: { type: https, host: a.test, tls: { verify: false } }
pools:
  a: { region: us, health_check: web, min_healthy: 50%, host: up.test, protocol: h1, timeouts: { connect: 1s, read: 2s, write: 3s, idle: 4s },
       endpoints: [{ address: "192.0.2.1:80", weight: 3 }, { address: "[2001:db8::1]:80", weight: 0 }] }
  b: { region: eu, health_check: webs, min_healthy: 2,
       endpoints: [{ address: "192.0.2.2:443", publish: [203.0.113.1, "2001:db8::2"] }, { address: "192.0.2.3:443", publish: B.example.net. }] }
  c: { region: eu, health_check: tls, tls: false, endpoints: [{ address: "192.0.2.4:443" }] }
  d: { region: us, health_check: tcp, tls: { server_name: d.test, ca_file: ca.pem }, protocol: h2, endpoints: [{ address: "192.0.2.5:443" }] }
policies:
  first: { failover: [a, b], failback: { after: 5m } }
  held: { failover: [a, b], failback: manual }
  split: { weighted: { a: 3, first: 1 }, sticky: client }
  tree: { weighted: [{ to: { latency: [a, b] }, weight: 9 }, { to: c, weight: 0 }] }
  near: { proximity: { a: { bias: 20 }, d: {} } }
  placed: { geo: { rules: [{ countries: [DE, alps], to: b }, { continents: [OC], subdivisions: [US-CA], to: near }], default: split } }
  net: { network: { rules: [{ cidrs: [10.0.0.0/8], to: tree }], default: { multivalue: [a, b, held], max: 4 } } }
residency:
  gdpr: { clients: { countries: [EU], continents: [AF] }, serve_in: [eu], unknown_clients: free, when_exhausted: fail_open }
services:
  one: { policy: placed, residency: gdpr, on_exhausted: refuse,
         dns: { names: ["*.Example.com", example.com], ttl: 2m, ttl_failing: 0s, https: { alpn: [h2], port: 8443 }, svcb: { alpn: [dot, h2], port: 853, doh_path: "/q{?dns}" } },
         http: { hosts: ["*.example.com"], paths: [/, /a], retries: 0 } }
  two: { policy: a, dns: { names: [two.example.com], policy: { failover: [b, a] } }, http: { hosts: ["*"] } }
  three: { policy: a, http: { hosts: [three.test], policy: net } , dns: { names: [three.example.com] } }
latency_map:
  - { networks: [198.51.100.0/24], asns: [64500], rtt: { us: 1.5ms } }
  - { countries: [dach], rtt: { us: 90ms, eu: 10ms } }
zones:
  example.com: { soa: { mname: ns1.example.com., rname: host.example.com, serial: 7, minimum: 5m }, ns: [NS1.example.com], records: ["@ IN TXT x"], file: e.zone }
listen:
  dns: [{ address: "127.0.0.1:53" }, { address: "127.0.0.2:53", proxy_protocol: true }]
  dot: [{ address: "127.0.0.1:853", certificates: [{ cert: c.pem, key: c.key }] }]
  doh: [{ address: "127.0.0.1:8443", certificates: [{ cert: c.pem, key: c.key }], path: /q, proxy_protocol: true },
        { address: "127.0.0.1:8444", certificates: [{ cert: c.pem, key: c.key }] }]
  doq: [{ address: "127.0.0.1:853", certificates: [{ cert: c.pem, key: c.key }] }]
  http: [{ address: "127.0.0.1:80" }]
  https: [{ address: "[::1]:443", certificates: [{ cert: c.pem, key: c.key }] }]
  admin: { address: "127.0.0.1:9900" }
expect:
  - { service: one, client: 192.0.2.7, plane: dns, when: { down: [us, a, "192.0.2.2:443"], up: [all] }, pool: b, endpoint: "192.0.2.2:443", regions: [us, eu], share: { us: 40% } }
"#;

fn checked() -> Checked {
    let loaded = load_str("etc/rhumb.yaml", EVERYTHING);
    assert!(
        loaded.problems.is_empty(),
        "{}",
        config::problem::render(&loaded.problems)
    );
    loaded.checked.expect("a config without problems")
}

#[test]
fn the_node_is_as_written() {
    let checked = checked();
    let secs = Duration::from_secs;
    assert_eq!(&*checked.table.pop.name, "fra1");
    assert!(
        checked
            .table
            .pop
            .place
            .is_some_and(|place| place.latitude == 51.0),
        "the centre of Germany"
    );
    assert_eq!(
        (checked.workers, checked.startup_grace, checked.drain_time),
        (Some(2), secs(3), secs(10))
    );
    assert_eq!(
        checked.state_dir.as_deref(),
        Some("etc/state".as_ref()),
        "beside the file it is written in"
    );
    assert_eq!(
        checked.access_log,
        AccessLog::File("etc/logs/access.log".into())
    );
    assert_eq!(
        (checked.log.format, checked.log.level),
        (LogFormat::Json, "debug")
    );
    assert_eq!(
        checked
            .trusted_proxies
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["10.0.0.0/8", "::1/128"]
    );
    assert!(!checked.edns_client_subnet);
    assert_eq!(checked.dns.udp_payload, 4096);
    tells_who_it_is(&checked);
    limits_and_logs_queries(&checked);
    takes_connections(&checked);
    assert_eq!(checked.region_prefix, "edge");
    assert_eq!(
        (
            checked.http.header_timeout,
            checked.http.max_header_bytes,
            checked.http.max_headers
        ),
        (secs(5), 8192, 50)
    );
    assert_eq!(
        checked.listen.https[0].certificates[0].cert,
        std::path::PathBuf::from("etc/c.pem")
    );
    assert_eq!(checked.listen.admin.map(|a| a.port()), Some(9900));
    let [(_, german), (_, californian)] = &checked.geoip.networks[..] else {
        panic!("two networks")
    };
    assert_eq!(german.country.map(|c| c.to_string()).as_deref(), Some("DE"));
    assert_eq!(
        (
            californian.country.map(|c| c.to_string()).as_deref(),
            californian.asn
        ),
        (Some("US"), Some(64500))
    );
}

#[test]
fn pools_and_checks_are_as_written() {
    let checked = checked();
    let table = &checked.table;
    let Probe::Http(web) = &table.checks[2].probe else {
        panic!("an HTTP probe")
    };
    assert_eq!(
        (&*web.method, &*web.path, web.host.as_deref()),
        ("HEAD", "/up?x=1", Some("a.test"))
    );
    assert_eq!(
        (&web.statuses[..], web.body.as_deref()),
        (&[(200, 200), (300, 302)][..], Some("ok"))
    );
    assert_eq!(
        (table.checks[2].rules.rise, table.checks[2].rules.fall),
        (1, 9)
    );
    let Probe::Http(webs) = &table.checks[3].probe else {
        panic!("an HTTPS probe")
    };
    assert!(
        webs.tls
            .as_ref()
            .is_some_and(|tls| !tls.verify && tls.server_name.as_deref() == Some("a.test"))
    );
    let [a, b, ..] = &table.pools[..] else {
        panic!("pools")
    };
    assert_eq!(
        (a.min_healthy, a.endpoints[0].weight, a.endpoints[1].weight),
        (0.5, 3, 0)
    );
    assert_eq!(
        b.min_healthy, 0.75,
        "both of two, with half an endpoint to spare for rounding"
    );
    assert_eq!(
        b.endpoints[1].publish,
        Publish::Name("b.example.net".into())
    );
    let upstream = |pool: u32| checked.upstream(PoolId(pool)).expect("an upstream a pool");
    assert!(
        upstream(0).tls.is_none() && upstream(2).tls.is_none(),
        "an HTTP check, and TLS switched off"
    );
    assert!(
        upstream(1).tls.as_ref().is_some_and(|tls| !tls.verify),
        "as it is probed, so it is spoken to"
    );
    assert_eq!(
        upstream(3)
            .tls
            .as_ref()
            .and_then(|tls| tls.server_name.as_deref()),
        Some("d.test")
    );
    assert_eq!(
        (upstream(0).protocol, upstream(3).protocol),
        (Protocol::H1, Protocol::H2)
    );
    assert_eq!(
        (upstream(0).host.as_deref(), upstream(0).idle_timeout),
        (Some("up.test"), Duration::from_secs(4))
    );
}

#[test]
fn policies_are_as_written() {
    let checked = checked();
    let policy = |name: &str| {
        let named = checked
            .table
            .policies
            .iter()
            .find(|named| &*named.name == name);
        &named.unwrap_or_else(|| panic!("policy {name}")).policy
    };
    assert!(
        matches!(policy("first"), Policy::Failover { failback: Failback::After(after), .. } if after.as_secs() == 300)
    );
    assert!(matches!(
        policy("held"),
        Policy::Failover {
            failback: Failback::Manual,
            ..
        }
    ));
    assert!(
        matches!(policy("split"), Policy::Weighted { sticky: true, children } if children[0].1 == 3)
    );
    assert!(
        matches!(policy("tree"), Policy::Weighted { children, .. } if matches!(children[0].0, Policy::Latency { .. }) && children[1].1 == 0)
    );
    assert!(
        matches!(policy("near"), Policy::Proximity { children } if children[0].1 == 20 && children[1].1 == 0)
    );
    let Policy::Geo { rules, default } = policy("placed") else {
        panic!("a geo policy")
    };
    assert_eq!(
        (
            rules[0].countries.len(),
            rules[0].sets[0].len(),
            default.is_some()
        ),
        (1, 5, true),
        "sets may use sets above them"
    );
    assert_eq!(
        (
            rules[1].continents.len(),
            rules[1].subdivisions[0].to_string().as_str()
        ),
        (1, "US-CA")
    );
    let Policy::Network {
        default: Some(default),
        ..
    } = policy("net")
    else {
        panic!("a network policy")
    };
    assert!(matches!(&**default, Policy::Multivalue { max: 4, .. }));
}

#[test]
fn services_are_as_written() {
    let checked = checked();
    let table = &checked.table;
    let [one, two, three] = &table.services[..] else {
        panic!("three services")
    };
    assert_eq!((one.ttl, one.ttl_failing, one.fail_open), (120, 0, false));
    let name = |id: steering::ids::PolicyId| &*table.policies[id.index()].name;
    assert_eq!(
        (name(one.dns_policy), name(one.http_policy)),
        ("placed", "placed")
    );
    assert_eq!(
        (name(two.dns_policy), name(two.http_policy)),
        ("two.dns.policy", "a")
    );
    assert_eq!(
        (name(three.dns_policy), name(three.http_policy)),
        ("a", "net")
    );
    assert_eq!(
        two.http_policy, three.dns_policy,
        "a bare pool is one policy, however many use it"
    );
    let rule = &table.residencies[0];
    assert!(
        !rule.pin_unknown
            && rule.fail_open_inside
            && rule.countries.len() == 27
            && rule.continents.len() == 1
    );
    let names: Vec<&str> = checked
        .steered
        .iter()
        .map(|steered| steered.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "*.example.com",
            "example.com",
            "two.example.com",
            "three.example.com"
        ]
    );
    let offers = |protocols: &[&str], port, path: Option<&str>| {
        Some(Binding {
            alpn: protocols.iter().map(|name| (*name).to_owned()).collect(),
            port: Some(port),
            doh_path: path.map(str::to_owned),
        })
    };
    let first = &checked.steered[0];
    assert_eq!(first.https, offers(&["h2"], 8443, None));
    assert_eq!(first.svcb, offers(&["dot", "h2"], 853, Some("/q{?dns}")));
    let [first, second, ..] = &checked.routes[..] else {
        panic!("routes")
    };
    assert_eq!(
        (first.service, first.retries, first.paths.len()),
        (ServiceId(0), 0, 2)
    );
    assert_eq!(
        (&second.hosts[..], &second.paths[..], second.retries),
        (&["*".to_owned()][..], &["/".to_owned()][..], 1)
    );
    let map = &table.latency_map;
    assert_eq!(
        (
            map.rows[0][0],
            map.rows[1][1],
            map.countries.len(),
            map.asns[&64500]
        ),
        (1.5, 10.0, 3, 0)
    );
    let zone = &checked.zones[0];
    let soa = zone.soa.as_ref().expect("a start of authority");
    assert_eq!(
        (
            zone.apex.as_str(),
            soa.serial,
            soa.minimum,
            soa.mname.as_str()
        ),
        ("example.com", Some(7), 300, "ns1.example.com")
    );
    assert_eq!(
        (&zone.ns[..], zone.records.len()),
        (&["ns1.example.com".to_owned()][..], 1)
    );
}

#[test]
fn expectations_are_as_written() {
    let checked = checked();
    let expectation = &checked.expectations[0];
    assert_eq!(expectation.planes, [steering::Plane::Dns]);
    assert!(matches!(
        &expectation.down[..],
        [What::Named(_), What::Named(_), What::Endpoint(_)]
    ));
    assert_eq!(expectation.up, [What::All]);
    assert!(matches!(
        &expectation.expected[..],
        [
            Expected::Regions(_),
            Expected::Pool(_),
            Expected::Endpoint(_),
            Expected::Share(_)
        ]
    ));
}

#[test]
fn every_default_is_a_config_that_runs() {
    let text = "version: 1\nlisten: {}\nregions: { r: {} }\npools: { p: { region: r, endpoints: [{ address: \"192.0.2.1:80\" }] } }\n\
                services: { s: { policy: p, http: { hosts: [s.test] } } }\n";
    let loaded = load_str("a.yaml", text);
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let checked = loaded.checked.expect("a config");
    assert_eq!(checked.region_prefix, config::defaults::REGION_PREFIX);
    assert_eq!(checked.access_log, AccessLog::Off);
    assert!(checked.edns_client_subnet && checked.state_dir.is_none() && checked.workers.is_none());
}

fn takes_connections(checked: &Checked) {
    let tcp = &checked.dns.connections;
    assert_eq!((tcp.most, tcp.per_client), (100_000, 50));
    assert_eq!((tcp.ipv4_prefix, tcp.ipv6_prefix), (24, 48));
    assert_eq!(
        (tcp.idle, tcp.queries),
        (Duration::from_secs(20), Some(1000))
    );
    let listen = &checked.listen;
    let proxied: Vec<bool> = listen.dns.iter().map(|dns| dns.proxy_protocol).collect();
    assert_eq!(proxied, [false, true]);
    assert_eq!(listen.dot[0].certificates.len(), 1);
    assert!(!listen.dot[0].proxy_protocol);
    let paths: Vec<&str> = listen.doh.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(paths, ["/q", "/dns-query"]);
    assert!(listen.doh[0].0.proxy_protocol);
    assert_eq!(listen.doq[0].address.port(), 853, "UDP, beside DoT's TCP");
}

fn limits_and_logs_queries(checked: &Checked) {
    let limit = checked.dns.rate_limit.as_ref().expect("a rate limit");
    assert_eq!(
        (
            limit.responses,
            limit.errors,
            limit.nxdomains,
            limit.referrals,
            limit.all
        ),
        (20, 5, 0, 20, 500),
        "referrals follow responses"
    );
    assert_eq!(
        (limit.slip, limit.ipv4_prefix, limit.ipv6_prefix),
        (3, 32, 64)
    );
    assert_eq!((limit.exempt.len(), limit.dry_run), (2, true));
    let log = checked.dns.query_log.as_ref().expect("a query log");
    assert_eq!(log.to, LogTarget::File("etc/logs/queries.log".into()));
    assert_eq!((log.one_in, log.format), (100, LogFormat::Text));
}

fn tells_who_it_is(checked: &Checked) {
    let text = |told: &Told| match told {
        Told::Text(text, _) => text.clone(),
        other => format!("{other:?}"),
    };
    let dns = &checked.dns;
    assert_eq!(
        [&dns.nsid, &dns.version, &dns.hostname].map(text),
        ["fra1 {generation}", "Nothing", "fra1.example.com"]
    );
    let cookies = dns.cookies.as_ref().expect("cookies");
    assert!(cookies.require && cookies.secret.is_none() && cookies.previous.is_none());
}

#[test]
fn cookie_secrets_come_from_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
    };
    write("new.hex", "000102030405060708090a0b0c0d0e0f\n");
    write("old.hex", "ffFF0000000000000000000000000001");
    write(
        "config.yaml",
        "version: 1\ndns: { cookies: { secret_file: new.hex, previous_secret_file: old.hex } }\n",
    );
    let loaded = config::load(&folder.path().join("config.yaml"));
    let cookies = loaded
        .checked
        .expect("a config")
        .dns
        .cookies
        .expect("cookies");
    let octets = |secret: Option<config::checked::CookieSecret>| secret.expect("a secret").0;
    assert_eq!(octets(cookies.secret.clone())[..3], [0, 1, 2]);
    assert_eq!(octets(cookies.previous.clone())[..3], [0xff, 0xff, 0]);
    assert!(!format!("{cookies:?}").contains("255"), "it is never shown");
    assert!(
        loaded.files.iter().any(|file| file.ends_with("old.hex")),
        "a new secret is taken as soon as it is there"
    );
    for (name, text, said) in [
        ("off", "off", true),
        ("none", "{}", true),
        ("wrong", "{ secret_file: config.yaml }", false),
        ("alone", "{ previous_secret_file: old.hex }", false),
        ("missing", "{ secret_file: nothing.hex }", false),
        (
            "inline",
            "{ secret: 000102030405060708090a0b0c0d0e0f }",
            false,
        ),
        ("on", "on", false),
    ] {
        write(
            "config.yaml",
            &format!("version: 1\ndns: {{ cookies: {text} }}\n"),
        );
        let loaded = config::load(&folder.path().join("config.yaml"));
        assert_eq!(
            loaded.checked.is_some(),
            said,
            "{name}: {:?}",
            loaded.problems
        );
    }
}
