//! One table, three ways to ask it: the DNS answer, the HTTP response and the explanation name the same region for the
//! same client, whatever the config. (A service with `latency` is asked from two places, so it is not held here.)

use crate::harness::chance::{Chance, seed};
use crate::harness::clients::Ask;
use crate::harness::core::{Core, RESOLVER, compile};
use crate::harness::pop::Pop;
use crate::harness::wire::{Question, Subnet};
use crate::policies;
use std::net::IpAddr;
use steering::Plane;

const CONFIGS: u64 = 30;
const SERVICES: usize = 8;
const CLIENTS: usize = 150;

/// The config of the demo, without its certificate.
pub fn demo_config() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/examples/demo.yaml");
    let text = std::fs::read_to_string(file).expect("the demo's config");
    text.lines()
        .filter(|line| !line.starts_with("  https:"))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The whole address as a subnet, so that DNS sees the very client that HTTP does.
fn exactly(client: IpAddr) -> Subnet {
    Subnet {
        address: client,
        prefix: if client.is_ipv4() { 32 } else { 128 },
    }
}

#[test]
fn dns_http_and_explain_agree_on_random_configs() {
    let first = seed(1);
    let mut refused = 0;
    for seed in first..first + CONFIGS {
        let mut chance = Chance::new(seed);
        let config = policies::config(&mut chance, SERVICES);
        let Ok(compiled) = compile(&config) else {
            // A random config may hold a service that a pinned client can't be served by; that is its compiler's to say.
            refused += 1;
            continue;
        };
        let mut core = Core::start(compiled);
        for _ in 0..4 {
            let everything = core.endpoints("all");
            let id = *chance.pick(&everything);
            let address = core.snapshot().table().endpoints()[id.index()]
                .address
                .to_string();
            core.set_serving(&address, chance.percent(40));
            core.pass(std::time::Duration::from_secs(5));
            agree(&core, &mut chance, seed, &config);
        }
    }
    assert!(
        refused * 4 <= CONFIGS,
        "{refused} of {CONFIGS} random configs were refused: that tests too little"
    );
}

fn agree(core: &Core, chance: &mut Chance, seed: u64, config: &str) {
    for _ in 0..CLIENTS {
        let client = chance.public_address();
        let service = chance.below(SERVICES);
        let name = format!("s{service}.test");
        let draw = chance.draw();
        let id = core
            .snapshot()
            .table()
            .service(&format!("s{service}"))
            .expect("a service");
        let in_dns = core.query(&Question::a(&name).with(exactly(client)), RESOLVER, draw);
        let in_http = core.request(&name, "/", client, draw);
        let explained =
            [Plane::Dns, Plane::Http].map(|plane| core.explained(id, client, plane, draw));
        let told = [
            &in_dns.region,
            &in_http.region,
            &explained[0],
            &explained[1],
        ];
        assert!(
            told.iter().all(|region| *region == told[0]) && in_dns.verdict == in_http.verdict,
            "RHUMB_SEED={seed}: {client} of {name}: DNS {in_dns:?}, HTTP {in_http:?}, explained {explained:?}\n{config}"
        );
    }
}

#[test]
fn dns_and_http_agree_for_ten_thousand_clients_of_the_demo() {
    let seed = seed(2);
    let mut chance = Chance::new(seed);
    let pop = Pop::start(&demo_config());
    let clients: Vec<IpAddr> = (0..10_000).map(|_| chance.public_address()).collect();
    let questions: Vec<Question> = clients
        .iter()
        .map(|client| Question::a("api.demo.test").with(exactly(*client)))
        .collect();
    let mut in_dns = vec![None; clients.len()];
    let asked = pop.dns().ask_all(&questions, 64, |at, reply| {
        in_dns[at] = reply
            .addresses()
            .first()
            .and_then(|address| pop.regions.get(address))
            .cloned();
    });
    asked.unwrap_or_else(|failed| panic!("RHUMB_SEED={seed}: {failed}"));
    let in_http = requests(&pop, "api.demo.test", &clients);
    for (client, (dns, http)) in clients.iter().zip(in_dns.iter().zip(&in_http)) {
        assert!(
            dns.is_some() && dns == http,
            "RHUMB_SEED={seed}: {client}: DNS {dns:?}, HTTP {http:?}"
        );
    }
    let regions = pop.regions.values();
    for region in regions {
        let count = in_http
            .iter()
            .filter(|one| one.as_ref() == Some(region))
            .count();
        assert!(
            count > 500,
            "RHUMB_SEED={seed}: {region} served {count} clients of the whole world"
        );
    }
    for client in clients.iter().take(50) {
        let explained = pop.explain("api", *client, "http")["region"].clone();
        let served = &in_http[clients
            .iter()
            .position(|one| one == client)
            .expect("one of them")];
        assert_eq!(
            explained.as_str(),
            served.as_deref(),
            "RHUMB_SEED={seed}: {client}"
        );
    }
}

/// The region that serves each client over HTTP, asked over several kept connections at a time.
pub fn requests(pop: &Pop, host: &str, clients: &[IpAddr]) -> Vec<Option<String>> {
    const CONNECTIONS: usize = 8;
    let part = clients.len().div_ceil(CONNECTIONS);
    let ask_part = |clients: &[IpAddr]| -> Vec<Option<String>> {
        let mut http = pop.http();
        let ask = |client: &IpAddr| {
            let ask = Ask {
                method: "GET",
                host,
                path: "/",
                client: Some(*client),
            };
            http.ask(&ask).expect("a response").region()
        };
        clients.iter().map(ask).collect()
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = clients
            .chunks(part)
            .map(|part| scope.spawn(move || ask_part(part)))
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().expect("a client"))
            .collect()
    })
}
