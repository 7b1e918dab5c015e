//! Rhumb as a secondary: it has the zone that another server keeps, follows its changes, steers names in it, and gives
//! it up when it is too old.

use crate::configs::{SLOW, knot, nsd, rhumb, zone};
use crate::servers::{Place, Running, data, dig, eventually, free, metric, serial, status};
use crate::tool;
use std::net::SocketAddr;

const IN_CHANGES: &str = "rhumb_dns_transfers_total{direction=\"in\",result=\"changes\"}";

/// Rhumb that takes the zone from `primary`, with `www` and `api` steered.
fn secondary(place: &Place, dns: SocketAddr, admin: SocketAddr, primary: SocketAddr) -> Running {
    let zone = format!(
        "{{ primary: [{{ address: \"{primary}\", key: xfr }}], records: [\"extra A 192.0.2.99\"] }}"
    );
    let config = rhumb(dns, admin, "www.x.test, api.x.test", &zone);
    place.write("secondary.yaml", &config);
    Running::rhumb(place, "secondary.yaml")
}

fn answers(dns: SocketAddr, name: &str) -> String {
    dig(dns, &[name, "A"])
}

fn has_the_zone(dns: SocketAddr, serial_now: u32) {
    eventually("the zone is there", || serial(dns, "x.test") == serial_now);
    assert_eq!(
        data(dns, "mail.x.test", "A"),
        ["192.0.2.4"],
        "what is kept elsewhere"
    );
    assert_eq!(
        data(dns, "www.x.test", "A"),
        ["192.0.2.77"],
        "a steered name lies over it"
    );
    assert_eq!(
        data(dns, "www.x.test", "TXT"),
        ["\"beside it\""],
        "and leaves the rest"
    );
    assert_eq!(
        data(dns, "api.x.test", "A"),
        ["192.0.2.77"],
        "or stands beside it"
    );
    assert_eq!(
        data(dns, "alias.x.test", "A"),
        ["192.0.2.77", "www.x.test."]
    );
    assert_eq!(
        data(dns, "extra.x.test", "A"),
        ["192.0.2.99"],
        "records of the config"
    );
}

#[test]
fn rhumb_is_a_secondary_of_nsd() {
    if !tool::is_here("nsd", "-v") || !tool::is_here("dig", "-v") {
        return;
    }
    let (place, dns, admin, at) = (Place::new(), free(), free(), free());
    place.write("x.zone", &zone(10, SLOW, ""));
    let lines = format!(
        "  zonefile: x.zone\n  provide-xfr: 127.0.0.1 xfr\n  notify: {}@{} xfr\n  notify-retry: 5\n",
        dns.ip(),
        dns.port()
    );
    place.write("nsd.conf", &nsd(&place, at, &lines));
    let config = place.path("nsd.conf").display().to_string();
    let nsd = Running::start(&place, "nsd", &["-d", "-c", &config]);
    let _rhumb = secondary(&place, dns, admin, at);
    has_the_zone(dns, 10);
    place.write("x.zone", &zone(11, SLOW, "new A 192.0.2.33\n"));
    nsd.hang_up();
    eventually("the change is followed", || {
        data(dns, "new.x.test", "A") == ["192.0.2.33"]
    });
    has_the_zone(dns, 11);
}

#[test]
fn rhumb_is_a_secondary_of_knot() {
    if !tool::is_here("knotd", "--version") || !tool::is_here("dig", "-v") {
        return;
    }
    let (place, dns, admin, at) = (Place::new(), free(), free(), free());
    place.write("x.zone", &zone(10, SLOW, ""));
    let lines = format!(
        "    file: \"{}\"\n    zonefile-load: difference\n    journal-content: changes\n    zonefile-sync: -1\n    notify: peer\n",
        place.path("x.zone").display()
    );
    place.write("knot.conf", &knot(&place, at, dns, "transfer", &lines));
    let config = place.path("knot.conf").display().to_string();
    place.folder("knot");
    let knot = Running::start(&place, "knotd", &["-c", &config]);
    let _rhumb = secondary(&place, dns, admin, at);
    has_the_zone(dns, 10);
    place.write("x.zone", &zone(11, SLOW, "new A 192.0.2.33\n"));
    knot.hang_up();
    eventually("the change is followed", || {
        data(dns, "new.x.test", "A") == ["192.0.2.33"]
    });
    has_the_zone(dns, 11);
    assert!(metric(admin, IN_CHANGES) >= 1.0, "by IXFR");
}

/// Rhumb as the primary of Rhumb, with these timers.
fn primary(place: &Place, dns: SocketAddr, text: &str) -> Running {
    place.write("x.zone", text);
    let given = "{ file: x.zone, transfer: { to: [{ key: xfr }] } }";
    place.write("primary.yaml", &rhumb(dns, free(), "other.x.test", given));
    Running::rhumb(place, "primary.yaml")
}

#[test]
fn rfc1034_4_3_5_a_zone_too_old_is_given_up_and_comes_back() {
    if !tool::is_here("dig", "-v") {
        return;
    }
    const QUICK: &str = "1 1 3";
    let (place, dns, admin, at) = (Place::new(), free(), free(), free());
    let first = primary(&place, at, &zone(10, QUICK, ""));
    let rhumb = secondary(&place, dns, admin, at);
    has_the_zone(dns, 10);
    first.stop();
    eventually("the zone expires", || {
        let answer = answers(dns, "mail.x.test");
        answer.contains("status: SERVFAIL") && answer.contains("EDE: 24")
    });
    let steered = answers(dns, "api.x.test");
    assert!(steered.contains("status: SERVFAIL"), "all of it: {steered}");
    let told = status(admin);
    assert_eq!(told["secondary_zones"][0]["state"], "expired", "{told:#}");
    assert!(told["secondary_zones"][0]["error"].is_string(), "{told:#}");
    let again = primary(&place, at, &zone(10, QUICK, ""));
    has_the_zone(dns, 10);
    rhumb.stop();
    again.stop();
}

#[test]
fn a_start_without_a_primary_has_what_was_kept() {
    if !tool::is_here("dig", "-v") {
        return;
    }
    let (place, dns, admin, at) = (Place::new(), free(), free(), free());
    let before = secondary(&place, dns, admin, at);
    eventually("it answers that it has nothing yet", || {
        let answer = answers(dns, "mail.x.test");
        answer.contains("status: SERVFAIL") && answer.contains("EDE: 14")
    });
    let source = primary(&place, at, &zone(10, SLOW, ""));
    has_the_zone(dns, 10);
    eventually("the zone is kept", || {
        place
            .path(&format!("state-{}/zones/x.test.zone", dns.port()))
            .is_file()
    });
    before.stop();
    source.stop();
    let _after = secondary(&place, dns, admin, at);
    has_the_zone(dns, 10);
}

#[test]
fn a_version_that_contradicts_the_config_is_refused_and_the_old_one_serves() {
    if !tool::is_here("dig", "-v") {
        return;
    }
    let (place, dns, admin, at) = (Place::new(), free(), free(), free());
    let _primary = primary(&place, at, &zone(10, "1 1 600", ""));
    let _rhumb = secondary(&place, dns, admin, at);
    has_the_zone(dns, 10);
    // The steered name would be delegated away.
    place.write(
        "x.zone",
        &zone(11, "1 1 600", "api NS ns.elsewhere.test.\n"),
    );
    let rejected = "rhumb_dns_transfers_total{direction=\"in\",result=\"rejected\"}";
    eventually("the version is refused", || metric(admin, rejected) >= 1.0);
    eventually("the status says why", || {
        let told = status(admin);
        let error = &told["secondary_zones"][0]["error"];
        error.as_str().is_some_and(|why| why.contains("api.x.test"))
    });
    has_the_zone(dns, 10);
    place.write("x.zone", &zone(12, "1 1 600", ""));
    has_the_zone(dns, 12);
}
