//! RFC 2308, Negative caching: what a "no" looks like, and how long it may be kept.

use crate::common::check;
use crate::served;

const ZONE: &str = "\
@ SOA ns hostmaster 1 3600 600 86400 900
@ 300 NS ns
ns 300 A 192.0.2.1
to 300 CNAME nowhere
half 300 CNAME ns
";

fn zone(soa_ttl: u32) -> String {
    format!("$TTL {soa_ttl}\n{ZONE}")
}

#[test]
fn rfc2308_2_1_the_name_does_not_exist() {
    check(
        &served("example", &zone(300)),
        "nowhere.example. A",
        &[
            "NXDOMAIN aa",
            "au example. 300 SOA ns.example. hostmaster.example. 1 3600 600 86400 900",
        ],
    );
}

#[test]
fn rfc2308_2_1_the_end_of_a_chain_does_not_exist() {
    check(
        &served("example", &zone(300)),
        "to.example. A",
        &[
            "NXDOMAIN aa",
            "an to.example. 300 CNAME nowhere.example.",
            "au example. 300 SOA ns.example. hostmaster.example. 1 3600 600 86400 900",
        ],
    );
}

#[test]
fn rfc2308_2_2_the_type_does_not_exist() {
    for (question, more) in [
        ("ns.example. AAAA", None),
        (
            "half.example. AAAA",
            Some("an half.example. 300 CNAME ns.example."),
        ),
    ] {
        let soa = "au example. 300 SOA ns.example. hostmaster.example. 1 3600 600 86400 900";
        let expected: Vec<&str> = ["NOERROR aa"]
            .into_iter()
            .chain(more)
            .chain([soa])
            .collect();
        check(&served("example", &zone(300)), question, &expected);
    }
}

#[test]
fn rfc2308_5_a_no_is_kept_for_the_lesser_of_the_soas_ttl_and_minimum() {
    for (soa_ttl, kept) in [(300, 300), (900, 900), (86_400, 900)] {
        let lines = crate::common::ask(
            &served("example", &zone(soa_ttl)),
            "nowhere.example. A",
            None,
        );
        assert!(
            lines[1].starts_with(&format!("au example. {kept} SOA")),
            "{soa_ttl}: {lines:?}"
        );
    }
}
