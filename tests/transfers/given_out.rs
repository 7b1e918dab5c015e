//! Rhumb as a primary: who may take the zone takes it, whole or what changed, and is told when it changes.

use crate::configs::{SLOW, knot, nsd, rhumb, zone};
use crate::servers::{
    Place, Running, SECRET, WRONG, data, dig, eventually, free, metric, records, serial,
};
use crate::tool;
use std::net::SocketAddr;

const OUT_CHANGES: &str = "rhumb_dns_transfers_total{direction=\"out\",result=\"changes\"}";
const OUT_WHOLE: &str = "rhumb_dns_transfers_total{direction=\"out\",result=\"whole\"}";

struct Primary {
    place: Place,
    dns: SocketAddr,
    admin: SocketAddr,
    _running: Running,
}

impl Primary {
    /// Rhumb with the zone, given to `to`, telling `notify`.
    fn start(to: &str, notify: &str) -> Self {
        let (place, dns, admin) = (Place::new(), free(), free());
        place.write("x.zone", &zone(10, SLOW, ""));
        let zone = format!("{{ file: x.zone, transfer: {{ to: [{to}], notify: [{notify}] }} }}");
        place.write("rhumb.yaml", &rhumb(dns, admin, "api.x.test", &zone));
        let running = Running::rhumb(&place, "rhumb.yaml");
        let primary = Self {
            place,
            dns,
            admin,
            _running: running,
        };
        eventually("Rhumb serves the zone", || serial(dns, "x.test") == 10);
        primary
    }

    fn change(&self, to: u32, more: &str) {
        self.place.write("x.zone", &zone(to, SLOW, more));
    }
}

fn key(secret: &str) -> String {
    format!("hmac-sha256:xfr:{secret}")
}

#[test]
fn who_may_take_the_zone_takes_it_and_nobody_else() {
    if !tool::is_here("dig", "-v") {
        return;
    }
    let primary = Primary::start(
        "{ address: 127.0.0.1, key: xfr }, { address: 127.0.0.9 }",
        "",
    );
    let (dns, good, bad) = (primary.dns, key(SECRET), key(WRONG));
    let signed = records(dns, &["x.test", "AXFR", "-y", &good]);
    assert_eq!(signed.len(), 13, "{signed:#?}");
    assert!(signed[0].starts_with("x.test. 300 IN SOA ns1.x.test. hostmaster.x.test. 10 "));
    assert!(
        signed
            .iter()
            .any(|r| r == "txt.x.test. 300 IN TXT \"hello world\" \"x\"")
    );
    assert!(
        signed
            .iter()
            .any(|r| r == "ns.sub.x.test. 300 IN A 192.0.2.9"),
        "glue"
    );
    assert!(
        !signed.iter().any(|r| r.starts_with("api.")),
        "steered names stay"
    );
    let by_address = records(dns, &["-b", "127.0.0.9", "x.test", "AXFR"]);
    assert_eq!(by_address, signed);
    for refused in [
        &["x.test", "AXFR"][..],
        &["x.test", "AXFR", "-y", &bad],
        &["-b", "127.0.0.8", "x.test", "AXFR", "-y", &good],
        &["www.x.test", "AXFR", "-y", &good],
    ] {
        let output = dig(dns, refused);
        assert!(
            output.contains("; Transfer failed."),
            "{refused:?}: {output}"
        );
    }
    // A server that cannot be told apart by its address has told the key at least.
    let answer = dig(dns, &["www.x.test", "A", "-y", &good]);
    assert!(
        answer.contains("status: NOERROR") && !answer.contains("could not be validated"),
        "{answer}"
    );
    for (key, error) in [
        (&bad, "BADSIG"),
        (&"hmac-sha256:nobody:c2VjcmV0".to_owned(), "BADKEY"),
    ] {
        let answer = dig(dns, &["www.x.test", "A", "-y", key]);
        assert!(
            answer.contains("status: NOTAUTH") && answer.contains(error),
            "{answer}"
        );
    }
}

#[test]
fn rfc1995_what_changed_is_given_while_it_is_known() {
    if !tool::is_here("dig", "-v") {
        return;
    }
    let primary = Primary::start("{ address: 127.0.0.1 }", "");
    let dns = primary.dns;
    let soa = |serial: u32| {
        format!("x.test. 300 IN SOA ns1.x.test. hostmaster.x.test. {serial} {SLOW} 60")
    };
    let ixfr = |from: u32, over: &str| {
        let question = format!("ixfr={from}");
        let output = dig(
            dns,
            &["+nocmd", "+noall", "+answer", over, "x.test", &question],
        );
        let lines = output.lines().filter(|line| !line.starts_with(';'));
        let fields = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        fields.filter(|line| !line.is_empty()).collect::<Vec<_>>()
    };
    for over in ["+tcp", "+notcp"] {
        assert_eq!(ixfr(10, over), [soa(10)], "nothing newer, {over}");
    }
    primary.change(11, "new A 192.0.2.33\n");
    eventually("the change serves", || serial(dns, "x.test") == 11);
    primary.change(12, "new A 192.0.2.34\n");
    eventually("the next change serves", || serial(dns, "x.test") == 12);
    let [old, new] = ["3", "4"].map(|end| format!("new.x.test. 300 IN A 192.0.2.3{end}"));
    let expected = [
        soa(12),
        soa(10),
        soa(11),
        old.clone(),
        soa(11),
        old,
        soa(12),
        new,
        soa(12),
    ];
    for over in ["+tcp", "+notcp"] {
        assert_eq!(ixfr(10, over), expected, "{over}");
    }
    let whole = ixfr(3, "+tcp");
    assert_eq!(
        (whole.len(), &whole[0], whole.last()),
        (15, &soa(12), Some(&soa(12))),
        "not known any more"
    );
    assert_eq!(
        ixfr(99, "+tcp"),
        [soa(12)],
        "RFC 1982: a client that is ahead"
    );
    assert!(metric(primary.admin, OUT_CHANGES) >= 1.0 && metric(primary.admin, OUT_WHOLE) >= 1.0);
}

/// The secondary has the zone, is told of a change, and takes what changed.
fn follows(primary: &Primary, secondary: SocketAddr) {
    eventually("the secondary has the zone", || {
        serial(secondary, "x.test") == 10
    });
    assert_eq!(
        data(secondary, "www.x.test", "A"),
        ["192.0.2.1", "192.0.2.2"]
    );
    assert_eq!(
        data(secondary, "api.x.test", "A"),
        [""; 0],
        "steered names stay"
    );
    let before = metric(primary.admin, OUT_CHANGES);
    primary.change(11, "new A 192.0.2.33\n");
    eventually("the secondary follows", || {
        data(secondary, "new.x.test", "A") == ["192.0.2.33"]
    });
    assert_eq!(serial(secondary, "x.test"), 11);
    assert!(metric(primary.admin, OUT_CHANGES) > before, "by IXFR");
    eventually("the NOTIFY is acknowledged", || {
        metric(
            primary.admin,
            "rhumb_dns_notifies_total{direction=\"out\",result=\"acknowledged\"}",
        ) >= 1.0
    });
}

#[test]
fn nsd_is_a_secondary_of_rhumb() {
    if !tool::is_here("nsd", "-v") || !tool::is_here("dig", "-v") {
        return;
    }
    let at = free();
    let primary = Primary::start(
        "{ address: 127.0.0.1, key: xfr }",
        &format!("{{ address: \"{at}\", key: xfr }}"),
    );
    let from = primary.dns;
    let lines = format!(
        "  request-xfr: {}@{} xfr\n  allow-notify: 127.0.0.1 xfr\n  zonefile: nsd.zone\n",
        from.ip(),
        from.port()
    );
    primary
        .place
        .write("nsd.conf", &nsd(&primary.place, at, &lines));
    let config = primary.place.path("nsd.conf").display().to_string();
    let _nsd = Running::start(&primary.place, "nsd", &["-d", "-c", &config]);
    follows(&primary, at);
}

#[test]
fn knot_is_a_secondary_of_rhumb() {
    if !tool::is_here("knotd", "--version") || !tool::is_here("dig", "-v") {
        return;
    }
    let at = free();
    let primary = Primary::start(
        "{ address: 127.0.0.1, key: xfr }",
        &format!("{{ address: \"{at}\", key: xfr }}"),
    );
    let file = primary.place.path("knot.zone").display().to_string();
    let lines = format!("    file: \"{file}\"\n    master: peer\n");
    let config = knot(&primary.place, at, primary.dns, "notify", &lines);
    primary.place.write("knot.conf", &config);
    let config = primary.place.path("knot.conf").display().to_string();
    primary.place.folder("knot");
    let _knot = Running::start(&primary.place, "knotd", &["-c", &config]);
    follows(&primary, at);
}
