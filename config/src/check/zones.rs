//! Zones: their names, start of authority, and that their files exist. What is in a file is the dns
//! crate's to read.

use super::Checker;
use super::services::seconds;
use crate::checked::{Soa, Zone};
use crate::de::given;
use crate::problem::Place;
use crate::spec::{self, defaults};
use crate::tree::shorten;
use std::collections::HashMap;

impl Checker<'_> {
    pub(super) fn zones(&mut self, config: &spec::Config) -> Vec<Zone> {
        let mut zones: Vec<Zone> = Vec::new();
        let mut apexes: HashMap<String, Place> = HashMap::new();
        for (name, place, written) in given(&config.zones).into_iter().flat_map(|(n, _)| n.iter()) {
            let apex = match spec::domain_name(name) {
                Ok(apex) => apex,
                Err(bad) => {
                    let (code, message, hint) = bad.parts();
                    self.findings.error(code, place, message).maybe_hint(hint);
                    continue;
                }
            };
            if let Some(first) = apexes.insert(apex.clone(), place) {
                let hint = self.also_at(first);
                self.findings
                    .error(
                        "duplicate_name",
                        place,
                        format!("zone {} is defined twice", shorten(name)),
                    )
                    .hint(hint);
            }
            if let Some(written) = written.get() {
                zones.push(self.zone(apex, place, written, config.state_dir.is_some()));
            }
        }
        for zone in &zones {
            let mut rest = zone.apex.as_str();
            while let Some((_, parent)) = rest.split_once('.') {
                if apexes.contains_key(parent) {
                    self.findings
                        .warning("zones_overlap", zone.place, format!("zone {} lies inside zone {parent}", zone.apex))
                        .hint(format!("names under it are answered from {} alone; put them into {parent} unless it has other name servers", zone.apex));
                    break;
                }
                rest = parent;
            }
        }
        zones
    }

    fn zone(
        &mut self,
        apex: String,
        place: Place,
        written: &spec::Zone,
        keeps_state: bool,
    ) -> Zone {
        let soa = given(&written.soa).and_then(|(soa, _)| self.soa(soa));
        let ns = given(&written.ns)
            .into_iter()
            .flat_map(|(list, _)| list.iter().filter_map(|name| Some(name.get()?.0.clone())))
            .collect::<Vec<_>>();
        let records = given(&written.records)
            .into_iter()
            .flat_map(|(list, _)| {
                list.iter()
                    .filter_map(|line| Some((line.place, line.get()?.clone())))
            })
            .collect();
        let file = written
            .file
            .as_ref()
            .and_then(|path| self.file(path, "zone file"));
        let primaries = self.primaries(&apex, place, written, keeps_state);
        let transfer = self.transfer(written);
        if written.file.is_none() && written.primary.is_none() {
            for (key, missing, hint) in [
                (
                    "soa",
                    written.soa.is_none(),
                    format!("such as soa: {{ mname: ns1.{apex}, rname: hostmaster.{apex} }}"),
                ),
                (
                    "ns",
                    given(&written.ns).is_none_or(|(list, _)| list.is_empty())
                        && !broken(&written.ns),
                    format!("such as ns: [ns1.{apex}]"),
                ),
            ] {
                if missing {
                    self.findings
                        .error(
                            "missing_key",
                            place,
                            format!("zone {apex} has no `{key}` and no file that may hold it"),
                        )
                        .hint(hint);
                }
            }
        }
        Zone {
            apex,
            soa,
            ns,
            file,
            records,
            primaries,
            transfer,
            place,
        }
    }

    fn soa(&mut self, written: &spec::Soa) -> Option<Soa> {
        let refresh = self.ttl_or_longer(&written.refresh, defaults::SOA_REFRESH);
        let retry = self.ttl_or_longer(&written.retry, defaults::SOA_RETRY);
        let expire = self.ttl_or_longer(&written.expire, defaults::SOA_EXPIRE);
        let minimum = self.ttl(&written.minimum, defaults::SOA_MINIMUM);
        Some(Soa {
            mname: written.mname.get()?.0.clone(),
            rname: written.rname.get()?.0.clone(),
            serial: given(&written.serial)
                .map_or(Some(defaults::SOA_SERIAL), |(serial, _)| serial.0),
            refresh,
            retry,
            expire,
            minimum,
        })
    }

    /// A time of a start of authority: whole seconds.
    fn ttl_or_longer(
        &mut self,
        written: &Option<crate::de::Written<spec::Time>>,
        default: std::time::Duration,
    ) -> u32 {
        let Some((time, place)) = given(written) else {
            return seconds(default);
        };
        if time.0.subsec_nanos() != 0 {
            self.findings
                .error("invalid_value", place, "DNS counts in whole seconds");
        }
        seconds(time.0)
    }
}

/// Whether a key is written but could not be read.
fn broken<T>(written: &Option<crate::de::Written<T>>) -> bool {
    written.as_ref().is_some_and(|w| w.value.is_none())
}
