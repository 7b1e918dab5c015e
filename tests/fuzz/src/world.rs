//! The world that `dns_respond` asks, and tables, locations and zones from any checked config.

use config::checked::{self, Checked};
use std::path::PathBuf;
use std::sync::Arc;
use steering::geo::{Location, LocationTable, LocationTableBuilder};
use steering::health::Status;
use steering::spec::Publish;
use steering::{Forced, ServiceId, Snapshot, Table, TableSpec, Timestamp};

/// The config of the world that `dns_respond` asks.
const WORLD: &str = include_str!("../world/world.yaml");
/// Its zone.
const ZONE: &str = include_str!("../world/fuzz.test.zone");

/// The world in four states of health: all up, one region down, one left, none.
pub fn world() -> [Snapshot; 4] {
    let loaded = config::load_str("world.yaml", WORLD);
    let problems = config::problem::render(&loaded.problems);
    let Some(checked) = loaded.checked else {
        panic!("world/world.yaml must load:\n{problems}");
    };
    let mut spec = checked.table.clone();
    match zones(&checked, &compile(&spec), ZONE) {
        Ok(zones) => spec.planes.insert(Arc::new(zones)),
        Err(problems) => panic!("world/fuzz.test.zone must load: {problems:?}"),
    }
    let now = Timestamp(0);
    let locations = Arc::new(locations(&checked));
    let first = Snapshot::new(Arc::new(compile(&spec)), locations, now);
    let down = |pools: &[&str]| {
        let mut forced = vec![Forced::All(Status::Up)];
        for name in pools {
            let pool = first.table().pool(name);
            forced.extend(pool.map(|pool| Forced::Pool(pool, Status::Down)));
        }
        first.what_if(&forced, now)
    };
    [
        down(&[]),
        down(&["us"]),
        down(&["us", "eu", "cdn"]),
        down(&["us", "eu", "ap", "cdn"]),
    ]
}

/// The table of a checked config.
///
/// # Panics
/// When it does not compile: the check has accepted it.
pub fn compile(spec: &TableSpec) -> Table {
    match Table::compile(spec.clone()) {
        Ok(table) => table,
        Err(problems) => panic!("a checked config does not compile: {problems:?}"),
    }
}

/// The networks of a config as a location table, over nothing.
pub fn locations(checked: &Checked) -> LocationTable {
    let mut builder = LocationTableBuilder::default();
    let mut networks: Vec<(_, Location)> = checked.geoip.networks.clone();
    networks.sort_by_key(|(network, _)| network.prefix_len());
    for (network, location) in networks {
        builder.insert(network, location);
    }
    builder.build("fuzz")
}

/// The zones of a config, with this text in the place of every master file.
///
/// # Errors
/// What is wrong with the records.
pub fn zones(
    checked: &Checked,
    table: &Table,
    master: &str,
) -> Result<dns::Zones, Vec<dns::ZoneProblem>> {
    let zones = checked.zones.iter().map(|zone| zone_spec(zone, master));
    let steered = checked.steered.iter().map(|name| dns::SteeredName {
        name: name.name.clone(),
        service: name.service,
        https: name.https.as_ref().map(binding),
        svcb: name.svcb.as_ref().map(binding),
        hostnames: publishes_names(table, name.service),
        place: "fuzz".into(),
    });
    dns::Zones::build(zones.collect(), steered.collect())
}

fn binding(offered: &config::checked::Binding) -> dns::Binding {
    dns::Binding {
        alpn: offered.alpn.clone(),
        port: offered.port,
        doh_path: offered.doh_path.clone(),
    }
}

/// Whether a service can be answered by a CNAME.
fn publishes_names(table: &Table, service: ServiceId) -> bool {
    let roots = table.services()[service.index()].dns;
    let pools = table.reachable(roots.free);
    let endpoints = table.endpoints().iter();
    endpoints
        .filter(|endpoint| pools.contains(&endpoint.pool))
        .any(|endpoint| matches!(endpoint.publish, Publish::Name(_)))
}

fn zone_spec(zone: &checked::Zone, master: &str) -> dns::ZoneSpec {
    let soa = zone.soa.as_ref().map(|soa| dns::SoaSpec {
        mname: soa.mname.clone(),
        rname: soa.rname.clone(),
        serial: soa.serial.unwrap_or(0),
        refresh: soa.refresh,
        retry: soa.retry,
        expire: soa.expire,
        minimum: soa.minimum,
    });
    let place = |(_, text): &(config::Place, String)| ("fuzz".to_owned(), text.clone());
    dns::ZoneSpec {
        apex: zone.apex.clone(),
        soa,
        ns: zone.ns.clone(),
        ttl: None,
        master_file: zone
            .file
            .as_ref()
            .map(|_| (PathBuf::from("fuzz.zone"), master.to_owned())),
        records: zone.records.iter().map(place).collect(),
        ..dns::ZoneSpec::default()
    }
}
