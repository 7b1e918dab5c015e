//! Who asks for what in a scenario, and the servers that run already.

use super::check::Check;
use super::written::{self, OneOrMany};
use super::{Against, Call, Calls, DNS_RATE, HTTP_RATE, Load};
use crate::de::{Written, given};
use crate::tree::shorten;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use steering::geo::Country;

impl Check<'_> {
    pub(super) fn load_of(&mut self, written: &written::Scenario) -> Load {
        let nothing = written::Load::default();
        let load = given(&written.load).map_or(&nothing, |(load, _)| load);
        let mut rate = |plane: &Option<Written<written::PlaneLoad>>, default| {
            let rate = given(plane).and_then(|(plane, _)| plane.rate.as_ref());
            rate.and_then(|rate| self.per_second(rate))
                .unwrap_or(default)
        };
        let (dns, http) = (rate(&load.dns, DNS_RATE), rate(&load.http, HTTP_RATE));
        Load {
            dns,
            http,
            clients: self.clients(load),
            services: self.services(load),
        }
    }

    fn clients(&mut self, load: &written::Load) -> Vec<(Country, f64)> {
        let mut clients = Vec::new();
        let Some((names, _)) = given(&load.clients) else {
            return clients;
        };
        for (name, place, share) in names.iter() {
            let country = name.parse().ok();
            let Some(country) = country.filter(|country: &Country| country.is_assigned()) else {
                let message = format!("`{}` is no country", shorten(name));
                self.findings
                    .error("unknown_country", place, message)
                    .hint("ISO 3166-1 alpha-2 codes, such as DE: 20, US: 50");
                continue;
            };
            match share.get() {
                Some(share) if share.is_finite() && *share > 0.0 => clients.push((country, *share)),
                Some(_) => {
                    let message = "a country's share is a number above 0";
                    self.findings.error("out_of_range", share.place, message);
                }
                None => {}
            }
        }
        clients
    }

    fn services(&mut self, load: &written::Load) -> Vec<String> {
        let known = self.names(|checked| {
            let services = checked.services.iter();
            services.map(|service| service.name.clone()).collect()
        });
        let list = given(&load.services).map_or(&[][..], |(list, _)| list);
        list.iter()
            .filter_map(|item| self.known(item.place, "service", item.get()?, &known))
            .map(|name| name.to_string())
            .collect()
    }

    pub(super) fn against(&mut self, written: &written::Against) -> Against {
        let address = |one: &Option<Written<crate::spec::Address>>| given(one).map(|(a, _)| a.0);
        let mut against = Against {
            dns: address(&written.dns),
            http: address(&written.http),
            admin: address(&written.admin),
            origins: BTreeMap::new(),
        };
        for (name, place, calls) in given(&written.origins)
            .into_iter()
            .flat_map(|(names, _)| names.iter())
        {
            let known = self.names(|checked| {
                let regions = checked.table.regions.iter();
                regions.map(|region| region.name.clone()).collect()
            });
            let name = self.known(place, "region", name, &known);
            let Some(calls) = calls.get() else { continue };
            let calls = Calls {
                fail: self.calls(&calls.fail),
                heal: self.calls(&calls.heal),
            };
            against.origins.extend(name.map(|name| (name, calls)));
        }
        against
    }

    fn calls(&mut self, written: &Written<OneOrMany>) -> Vec<Call> {
        let all = written.get().map(OneOrMany::each).unwrap_or_default();
        all.into_iter()
            .filter_map(|text| {
                let call = call(text.get()?);
                if call.is_none() {
                    self.findings
                        .error("invalid_value", text.place, "this is no request")
                        .hint("such as PUT http://127.0.1.1:8081/health/down, with an IP address");
                }
                call
            })
            .collect()
    }
}

/// `METHOD http://ADDRESS:PORT/path`.
fn call(text: &str) -> Option<Call> {
    let (method, url) = text.trim().split_once(' ')?;
    if !["GET", "PUT", "POST", "DELETE"].contains(&method) {
        return None;
    }
    let rest = url.trim().strip_prefix("http://")?;
    let slash = rest.find('/').unwrap_or(rest.len());
    let (authority, target) = rest.split_at(slash);
    let address: SocketAddr = match authority.parse() {
        Ok(address) => address,
        Err(_) => SocketAddr::new(authority.trim_matches(['[', ']']).parse().ok()?, 80),
    };
    let clean = target.chars().all(|c| c.is_ascii_graphic());
    clean.then(|| Call {
        method: method.to_owned(),
        address,
        target: if target.is_empty() { "/" } else { target }.to_owned(),
    })
}
