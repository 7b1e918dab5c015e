//! Random configs: nested policies over random regions, written in the config language, so that what reads them is part
//! of every test that uses them.

use crate::harness::chance::Chance;
use std::fmt::Write;

/// Countries with clients and regions in them.
const COUNTRIES: [&str; 12] = [
    "US", "DE", "FR", "IE", "SG", "JP", "BR", "ZA", "IN", "NO", "AU", "GB",
];
const CONTINENTS: [&str; 6] = ["EU", "NA", "SA", "AS", "AF", "OC"];

/// The endpoint of a generated pool, by its number.
pub fn address(pool: usize, endpoint: usize) -> String {
    format!("127.1.{pool}.{}:8081", endpoint + 1)
}

/// A random config with this many services, all pinned or not as it falls.
pub fn config(chance: &mut Chance, services: usize) -> String {
    let pools = 3 + chance.below(4);
    let mut out = String::from("version: 1\npop: { name: random, location: { country: DE } }\n");
    out.push_str("jurisdictions: { eu: { countries: [EU] } }\n");
    out.push_str("health_checks: { origin: { type: tcp, interval: 1s, timeout: 500ms, fall: 2, rise: 2 } }\n");
    out.push_str("regions:\n");
    for pool in 0..pools {
        // The first is always in the EU, so that a pin has somewhere to go.
        let eu = pool == 0 || chance.percent(40);
        let country = if eu {
            chance.pick(&["DE", "FR", "IE"])
        } else {
            chance.pick(&COUNTRIES)
        };
        let eu = ["DE", "FR", "IE"].contains(country);
        let law = if eu { ", jurisdiction: eu" } else { "" };
        let _ = writeln!(
            out,
            "  r{pool}: {{ location: {{ country: {country} }}{law} }}"
        );
    }
    out.push_str("pools:\n");
    for pool in 0..pools {
        let endpoints: Vec<String> = (0..1 + chance.below(3))
            .map(|one| format!("{{ address: \"{}\" }}", address(pool, one)))
            .collect();
        let (health, list) = ("health_check: origin", endpoints.join(", "));
        let _ = writeln!(
            out,
            "  p{pool}: {{ region: r{pool}, {health}, endpoints: [{list}] }}"
        );
    }
    out.push_str(
        "residency:\n  gdpr: { clients: { countries: [EU] }, serve_in: [eu], unknown_clients: ",
    );
    let _ = writeln!(
        out,
        "{}, when_exhausted: {} }}",
        chance.pick(&["pin", "free"]),
        chance.pick(&["refuse", "fail_open"])
    );
    out.push_str("policies:\n");
    let mut tree = Tree { chance, pools };
    for service in 0..services {
        let policy = tree.pinnable();
        let _ = writeln!(out, "  policy{service}: {policy}");
    }
    out.push_str("services:\n");
    for service in 0..services {
        let _ = writeln!(out, "  s{service}:\n    policy: policy{service}");
        if chance.percent(60) {
            out.push_str("    residency: gdpr\n");
        }
        if chance.percent(30) {
            out.push_str("    on_exhausted: refuse\n");
        }
        let _ = writeln!(
            out,
            "    dns: {{ names: [s{service}.test], ttl: 60s, ttl_failing: 5s }}"
        );
        let _ = writeln!(out, "    http: {{ hosts: [s{service}.test] }}");
    }
    out.push_str(
        "zones:\n  test:\n    soa: { mname: ns1.test, rname: root.test }\n    ns: [ns1.test]\n",
    );
    out.push_str("    records: [\"ns1 300 IN A 127.0.0.1\"]\ntrusted_proxies: [127.0.0.0/8]\n");
    out
}

struct Tree<'a> {
    chance: &'a mut Chance,
    pools: usize,
}

impl Tree<'_> {
    /// A policy that a pinned client can be served by: a random one, and where it has nothing for them, the EU pool.
    fn pinnable(&mut self) -> String {
        let tree = self.policy(3);
        format!("{{ failover: [{tree}, p0] }}")
    }

    fn policy(&mut self, depth: usize) -> String {
        if depth == 0 || self.chance.percent(25) {
            return format!("p{}", self.chance.below(self.pools));
        }
        match self.chance.below(6) {
            0 => format!("{{ failover: [{}] }}", self.children(depth)),
            1 => self.weighted(depth),
            2 => self.geo(depth),
            3 => format!("{{ proximity: [{}] }}", self.children(depth)),
            4 => self.network(depth),
            _ => format!("{{ multivalue: [{}], max: 4 }}", self.children(depth)),
        }
    }

    fn children(&mut self, depth: usize) -> String {
        let count = 1 + self.chance.below(3);
        let children: Vec<String> = (0..count).map(|_| self.policy(depth - 1)).collect();
        children.join(", ")
    }

    fn weighted(&mut self, depth: usize) -> String {
        let count = 1 + self.chance.below(3);
        let children: Vec<String> = (0..count)
            .map(|i| {
                let to = self.policy(depth - 1);
                // The first always weighs something: a sum of 0 is an error.
                let weight = if i == 0 {
                    1 + self.chance.below(100)
                } else {
                    self.chance.below(100)
                };
                format!("{{ to: {to}, weight: {weight} }}")
            })
            .collect();
        let sticky = if self.chance.percent(40) {
            ", sticky: client"
        } else {
            ""
        };
        format!("{{ weighted: [{}]{sticky} }}", children.join(", "))
    }

    fn geo(&mut self, depth: usize) -> String {
        let mut countries = COUNTRIES.to_vec();
        let first = self.take(&mut countries);
        let second = self.take(&mut countries);
        let continent = *self.chance.pick(&CONTINENTS);
        let [one, two, three] = [0; 3].map(|_| self.policy(depth - 1));
        let default = if self.chance.percent(80) {
            format!(", default: {}", self.policy(depth - 1))
        } else {
            String::new()
        };
        format!(
            "{{ geo: {{ rules: [{{ countries: [{first}], to: {one} }}, {{ countries: [{second}], to: {two} }}, \
             {{ continents: [{continent}], to: {three} }}]{default} }} }}"
        )
    }

    fn take<T: Copy>(&mut self, from: &mut Vec<T>) -> T {
        from.remove(self.chance.below(from.len()))
    }

    fn network(&mut self, depth: usize) -> String {
        let (wide, narrow) = (self.policy(depth - 1), self.policy(depth - 1));
        let default = self.policy(depth - 1);
        let first = 1 + self.chance.below(220);
        format!(
            "{{ network: {{ rules: [{{ cidrs: [{first}.0.0.0/8, \"2a00::/12\"], to: {wide} }}, \
             {{ cidrs: [{first}.128.0.0/9], to: {narrow} }}], default: {default} }} }}"
        )
    }
}
