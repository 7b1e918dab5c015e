//! A region fails and comes back, seen from outside: both planes move with the same generation, and a pinned client is
//! never shown the way out.

use crate::harness::clients::{Ask, Http};
use crate::harness::edited;
use crate::harness::pop::Pop;
use crate::harness::wire::{Question, Subnet};
use crate::parity::demo_config;
use std::net::IpAddr;

const GERMAN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(46, 4, 0, 1));
const AMERICAN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(8, 8, 8, 8));

fn in_dns(pop: &Pop, name: &str, client: IpAddr) -> Option<String> {
    let question = Question::a(name).with(Subnet::usual(client));
    let reply = pop.dns().ask(&question).expect("an answer");
    reply
        .addresses()
        .first()
        .map(|address| pop.regions[address].clone())
}

fn in_http(http: &mut Http, host: &str, client: IpAddr) -> (u16, Option<String>) {
    let ask = Ask {
        method: "GET",
        host,
        path: "/",
        client: Some(client),
    };
    let response = http.ask(&ask).expect("a response");
    (response.status, response.region())
}

/// Asks both planes while the generation stands still; `None` when it did not.
fn at_one_generation(pop: &Pop, http: &mut Http) -> Option<(u64, Option<String>, Option<String>)> {
    let before = pop.generation();
    let dns = in_dns(pop, "failover.demo.test", AMERICAN);
    let (_, http) = in_http(http, "failover.demo.test", AMERICAN);
    (pop.generation() == before).then_some((before, dns, http))
}

#[test]
fn both_planes_move_with_the_same_generation_and_come_back() {
    let pop = Pop::start(&demo_config());
    let mut http = pop.http();
    let mut last = 0;
    for (serving, goal) in [
        (true, "us-east-1"),
        (false, "eu-west-1"),
        (true, "us-east-1"),
    ] {
        pop.flip("us-east-1", serving);
        // All the way until it has moved, no generation has the planes apart.
        loop {
            let Some((generation, dns, http)) = at_one_generation(&pop, &mut http) else {
                continue;
            };
            assert_eq!(dns, http, "at generation {generation}");
            assert!(
                generation >= last,
                "generations only grow: {generation} after {last}"
            );
            last = generation;
            let state = &pop.status()["endpoints"][0]["state"];
            if dns.as_deref() == Some(goal) && *state == if serving { "up" } else { "down" } {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

#[test]
fn with_all_eu_endpoints_down_an_eu_client_sees_no_other_region() {
    let pop = Pop::start(&demo_config());
    let mut http = pop.http();
    pop.flip("eu-west-1", false);
    let mut refused = false;
    // While it fails, when it has failed, and while it comes back.
    for round in 0.. {
        let dns = in_dns(&pop, "api.demo.test", GERMAN);
        assert!(
            dns.is_none() || dns.as_deref() == Some("eu-west-1"),
            "DNS: {dns:?}"
        );
        let (status, region) = in_http(&mut http, "api.demo.test", GERMAN);
        assert!(
            region.as_deref() == Some("eu-west-1") || (region.is_none() && status == 451),
            "HTTP: {status} {region:?}"
        );
        if !refused && status == 451 && dns.is_none() {
            refused = true;
            assert_eq!(
                in_http(&mut http, "api.demo.test", AMERICAN).0,
                200,
                "others are served"
            );
            pop.flip("eu-west-1", true);
        } else if refused && region.is_some() && dns.is_some() {
            return;
        }
        assert!(
            round < 100_000,
            "it neither failed nor came back; refused: {refused}"
        );
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn an_endpoint_that_refuses_connections_costs_no_client_an_error() {
    // Two endpoints in the pool; nothing listens on the second, and no probe has noticed yet.
    let config = edited(&demo_config(), "interval: 1s", "interval: 300s");
    let one = "{ address: \"127.0.1.1:8081\" }";
    let config = edited(
        &config,
        one,
        &format!("{one}, {{ address: \"127.0.1.2:8081\" }}"),
    );
    let pop = Pop::start(&config);
    pop.origins
        .stop("127.0.1.2:8081".parse().expect("an address"));
    let mut http = pop.http();
    for _ in 0..100 {
        let (status, region) = in_http(&mut http, "us.demo.test", AMERICAN);
        assert_eq!((status, region.as_deref()), (200, Some("us-east-1")));
    }
}
