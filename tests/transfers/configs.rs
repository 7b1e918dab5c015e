//! The configs of the servers, with one zone: `x.test`.

use super::servers::{Place, SECRET};
use std::net::SocketAddr;

/// The zone as its primary has it.
pub fn zone(serial: u32, timers: &str, more: &str) -> String {
    format!(
        "$TTL 300\n@ SOA ns1 hostmaster {serial} {timers} 60\n@ NS ns1\nns1 A 127.0.0.1\nwww A 192.0.2.1\n\
         www A 192.0.2.2\nwww TXT \"beside it\"\ntxt TXT \"hello world\" \"x\"\nmx MX 10 mail\nmail A 192.0.2.4\n\
         *.w AAAA 2001:db8::1\nalias CNAME www\nsub NS ns.sub\nns.sub A 192.0.2.9\n{more}"
    )
}

/// Timers that leave all to NOTIFY.
pub const SLOW: &str = "3600 900 1209600";

/// One region, one service that steers these names to 192.0.2.77, and this zone.
pub fn rhumb(dns: SocketAddr, admin: SocketAddr, names: &str, zone: &str) -> String {
    format!(
        "version: 1\nstate_dir: state-{port}\nkeys: {{ xfr: {{ secret_file: xfr.key }} }}\n\
         regions: {{ us: {{ location: {{ country: US, latitude: 1, longitude: 1 }} }} }}\n\
         pools: {{ us: {{ region: us, endpoints: [{{ address: \"192.0.2.77:443\" }}] }} }}\n\
         services: {{ api: {{ policy: us, dns: {{ names: [{names}], ttl: 60s }} }} }}\n\
         zones:\n  x.test: {zone}\n\
         listen: {{ dns: [{{ address: \"{dns}\" }}], admin: {{ address: \"{admin}\" }} }}\n",
        port = dns.port(),
    )
}

/// NSD, with this behind the name of the zone.
pub fn nsd(place: &Place, at: SocketAddr, zone: &str) -> String {
    let here = place.path("").display().to_string();
    let (ip, port) = (at.ip(), at.port());
    format!(
        "server:\n  ip-address: {ip}@{port}\n  server-count: 1\n  do-ip6: no\n  username: \"\"\n  chroot: \"\"\n  \
         zonesdir: \"{here}\"\n  database: \"\"\n  pidfile: \"\"\n  zonelistfile: \"{here}/nsd.list\"\n  \
         xfrdfile: \"\"\n  xfrdir: \"{here}\"\n  xfrd-reload-timeout: 0\n  verbosity: 2\n\
         remote-control:\n  control-enable: no\n\
         key:\n  name: xfr\n  algorithm: hmac-sha256\n  secret: \"{SECRET}\"\n\
         zone:\n  name: x.test\n{zone}"
    )
}

/// Knot, with this in the remote's, the ACL's and the zone's places.
pub fn knot(place: &Place, at: SocketAddr, peer: SocketAddr, acl: &str, zone: &str) -> String {
    let here = place.path("").display().to_string();
    let (ip, port) = (at.ip(), at.port());
    format!(
        "server:\n    rundir: \"{here}\"\n    listen: {ip}@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\nlog:\n  - target: stderr\n    any: info\ncontrol:\n    listen: \"{here}/knot.sock\"\n\
         database:\n    storage: \"{here}/knot\"\n\
         key:\n  - id: xfr\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
         remote:\n  - id: peer\n    address: {}@{}\n    key: xfr\n\
         acl:\n  - id: peer\n    address: {ip}\n    key: xfr\n    action: {acl}\n\
         zone:\n  - domain: x.test\n    acl: peer\n{zone}",
        peer.ip(),
        peer.port(),
    )
}
