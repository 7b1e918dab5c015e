//! gdnsd and Rhumb with the same map and the same policy: whoever asks, the same answer; and our scope, put to the test
//! at its edges, is never wider than what the answer is true for (RFC 7871 §7.2.1).

use crate::ask::{Asker, Over, Question, masked};
use crate::chance::{Chance, seed};
use crate::message::{Message, rtype};
use crate::name::Name;
use crate::servers::{Running, Who, write};
use bench::compare::mmdb::country_database;
use bench::compare::networks::networks;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use steering::LocationTable;
use steering::geo::CountrySet;

/// How many networks are asked for.
const NETWORKS: usize = 50_000;
/// How many scopes are put to the test, and with how many addresses each.
const SCOPES: usize = 4_000;
const NEIGHBOURS: usize = 4;

const ZONE: &str =
    "$TTL 60\n@ SOA ns1 hostmaster 1 7200 1800 259200 60\n@ NS ns1\nns1 A 127.0.0.1\n";

#[test]
fn fifty_thousand_networks_get_the_answer_of_gdnsd_and_a_scope_that_is_true() {
    if !Who::Gdnsd.is_here() {
        return;
    }
    let seed = seed(7);
    let mut chance = Chance::new(seed);
    let geo = geoip::embedded();
    let asked = questions(&geo, &mut chance);
    let apexes = [Name::plain("geo.test")];
    let peer = Running::configured(Who::Gdnsd, &apexes, |folder, at| gdnsd(folder, at, &geo));
    let rhumb = Running::configured(Who::Rhumb, &apexes, rhumb);
    let (mut peer, mut rhumb) = (Asker::new(peer.address), Asker::new(rhumb.address));
    let (mut alike, mut divided, mut wider, mut narrower) = (0, 0, 0, 0);
    let step = NETWORKS / SCOPES;
    for (i, question) in asked.iter().enumerate() {
        let about = || format!("RHUMB_SEED={seed}: {:?}", question.subnet);
        let ours = rhumb.ask(question);
        let ours = ours.unwrap_or_else(|error| panic!("{}: {error}", about()));
        let theirs = peer.ask(question);
        let theirs = theirs.unwrap_or_else(|error| panic!("{}: gdnsd: {error}", about()));
        if ours.answer == theirs.answer {
            alike += 1;
        } else {
            // Only a network that lies in several places may be answered as any of them.
            assert!(
                is_divided(&geo, question),
                "{}:\n{ours}gdnsd:\n{theirs}",
                about()
            );
            divided += 1;
        }
        match ours.scope.cmp(&theirs.scope) {
            std::cmp::Ordering::Less => wider += 1,
            std::cmp::Ordering::Greater => narrower += 1,
            std::cmp::Ordering::Equal => {}
        }
        if i % step == 0 {
            let found = untrue(&mut rhumb, question, &ours, &mut chance);
            assert_eq!(found, None, "{}:\n{ours}", about());
        }
    }
    assert!(
        alike * 100 > NETWORKS * 95,
        "only {alike} answers are alike"
    );
    eprintln!(
        "{alike} of {NETWORKS} answers alike, {divided} differ where the network lies in several places; \
         our scope is wider than gdnsd's {wider} times and narrower {narrower} times"
    );
    let mut gdnsds = 0;
    for question in asked.iter().step_by(step) {
        let said = peer.ask(question).unwrap_or_default();
        gdnsds += usize::from(untrue(&mut peer, question, &said, &mut chance).is_some());
    }
    eprintln!("gdnsd's own scope was untrue in {gdnsds} of {SCOPES}");
}

/// A scope that does not hold: an address within it that gets another answer when it is asked for by itself.
fn untrue(
    server: &mut Asker,
    question: &Question,
    said: &Message,
    chance: &mut Chance,
) -> Option<String> {
    let (address, source) = question.subnet?;
    let Some(scope) = said.scope else {
        return Some("no scope came back".to_owned());
    };
    let told = masked(address, source);
    for i in 0..NEIGHBOURS {
        // The first and the last address, then any.
        let beyond = match i {
            0 => 0,
            1 => u128::MAX,
            _ => u128::from(chance.draw()) << 64 | u128::from(chance.draw()),
        };
        let neighbour = with_tail(told, scope, beyond);
        let whole = if told.is_ipv4() { 32 } else { 128 };
        let again = server.ask(&Question {
            subnet: Some((neighbour, whole)),
            ..question.clone()
        });
        if again.as_ref().map(|one| &one.answer) != Ok(&said.answer) {
            return Some(format!("{neighbour} is in /{scope}, and is told {again:?}"));
        }
    }
    None
}

/// The address with the bits behind the first `bits` taken from `tail`.
fn with_tail(address: IpAddr, bits: u8, tail: u128) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & !mask | tail as u32 & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & !mask | tail & mask).into()
        }
    }
}

/// Whether the map tells places within the network apart.
fn is_divided(geo: &LocationTable, question: &Question) -> bool {
    let (address, source) = question.subnet.expect("all ask for somebody");
    geo.locate(masked(address, source)).prefix_len > source
}

/// A for networks of the whole map, half of them IPv6, most as long as resolvers tell them (RFC 7871 §11.1).
fn questions(geo: &LocationTable, chance: &mut Chance) -> Vec<Question> {
    let networks = networks(geo);
    let (v4, v6): (Vec<_>, Vec<_>) = networks
        .iter()
        .map(|(net, _)| *net)
        .partition(|net| net.addr().is_ipv4());
    let mut all = Vec::with_capacity(NETWORKS);
    while all.len() < NETWORKS {
        let network = match chance.percent(50) {
            true => *chance.pick(&v4),
            false => *chance.pick(&v6),
        };
        let tail = u128::from(chance.draw()) << 64 | u128::from(chance.draw());
        let address = with_tail(network.addr(), network.prefix_len(), tail);
        let usual = chance.percent(70);
        let source = match address {
            IpAddr::V4(_) if usual => 24,
            IpAddr::V4(_) => 8 + chance.below(25) as u8,
            IpAddr::V6(_) if usual => 56,
            IpAddr::V6(_) => 24 + chance.below(105) as u8,
        };
        if !translated(address) {
            let name = Name::plain("www.geo.test");
            let mut question = Question::new(name, rtype("A"), Over::Udp(Some(1232)));
            question.subnet = Some((address, source));
            all.push(question);
        }
    }
    all
}

/// IPv6 with an IPv4 address in it: servers rightly differ in whether they look inside.
fn translated(address: IpAddr) -> bool {
    let IpAddr::V6(v6) = address else {
        return false;
    };
    matches!(
        v6.segments(),
        [0x2002, ..] | [0x2001, 0, ..] | [0x64, 0xff9b, ..] | [0, ..]
    )
}

fn rhumb(folder: &Path, at: SocketAddr) -> Result<Vec<String>, String> {
    let zone = write(folder, "geo.zone", ZONE)?;
    let state = folder.join("state").display().to_string();
    let config = format!(
        "version: 1
pop: {{ name: peers, location: {{ country: DE }} }}
workers: 1
state_dir: {state}
regions:
  us: {{ location: {{ country: US, latitude: 38.9, longitude: -77.5 }} }}
  eu: {{ location: {{ country: IE, latitude: 53.3, longitude: -6.3 }} }}
  ap: {{ location: {{ country: SG, latitude: 1.35, longitude: 103.8 }} }}
pools:
  us: {{ region: us, endpoints: [{{ address: \"192.0.2.1:443\" }}] }}
  eu: {{ region: eu, endpoints: [{{ address: \"192.0.2.2:443\" }}] }}
  ap: {{ region: ap, endpoints: [{{ address: \"192.0.2.3:443\" }}] }}
policies:
  nearest:
    geo:
      rules:
        - {{ countries: [EU], to: {{ failover: [eu, us, ap] }} }}
        - {{ continents: [AS, OC], to: {{ failover: [ap, us, eu] }} }}
      default: {{ failover: [us, eu, ap] }}
services:
  www: {{ policy: nearest, dns: {{ names: [www.geo.test], ttl: 60s }} }}
zones:
  geo.test: {{ file: \"{zone}\" }}
listen:
  dns: [{{ address: \"{at}\" }}]
"
    );
    let config = write(folder, "rhumb.yaml", &config)?;
    Ok(vec!["run".into(), "--config".into(), config])
}

fn gdnsd(folder: &Path, at: SocketAddr, geo: &LocationTable) -> Result<Vec<String>, String> {
    let database = folder.join("country.mmdb");
    let content = country_database(&networks(geo), 1);
    std::fs::write(&database, content).map_err(|error| error.to_string())?;
    let eu = CountrySet::builtin("EU").unwrap_or_default();
    // Cyprus is in Asia (UN M49), and named there.
    let eu: Vec<String> = eu
        .iter()
        .map(|country| country.to_string())
        .filter(|code| code != "CY")
        .map(|code| format!("{code} => [ eu, us, ap ]"))
        .collect();
    let (here, database, eu) = (folder.display(), database.display(), eu.join("\n"));
    let config = format!(
        "options => {{ listen => {at}, udp_threads => 1, tcp_threads => 1, edns_client_subnet => true,
  run_dir => {here}/run, state_dir => {here}/state }}
plugins => {{ geoip => {{
  maps => {{ world => {{
    geoip2_db => {database}
    datacenters => [ us, eu, ap ]
    map => {{
      default => [ us, eu, ap ]
      AS => {{ default => [ ap, us, eu ], CY => [ eu, us, ap ] }}
      OC => [ ap, us, eu ]
      EU => {{ default => [ us, eu, ap ]
{eu} }}
    }}
  }} }}
  resources => {{ nearest => {{ map => world, service_types => up, dcmap => {{ us => 192.0.2.1, eu => 192.0.2.2, ap => 192.0.2.3 }} }} }}
}} }}
"
    );
    write(folder, "config", &config)?;
    std::fs::create_dir_all(folder.join("zones")).map_err(|error| error.to_string())?;
    let zone = format!("{ZONE}www 60 DYNA geoip!nearest\n");
    write(&folder.join("zones"), "geo.test", &zone)?;
    let folder = folder.display().to_string();
    Ok(["-c", &folder, "start"].map(str::to_owned).to_vec())
}
