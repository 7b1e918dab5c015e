//! RFC 1034, Domain names: the examples of §6.2, from the zones of §6.1 as its server C.ISI.EDU has them.

use crate::common::{check, snapshot, zone};
use dns::Zones;
use steering::Snapshot;

const ROOT: &str = "\
.  86400 IN SOA SRI-NIC.ARPA. HOSTMASTER.SRI-NIC.ARPA. 870611 1800 300 604800 86400
.  86400 NS A.ISI.EDU.
.  86400 NS C.ISI.EDU.
.  86400 NS SRI-NIC.ARPA.
MIL. 86400 NS SRI-NIC.ARPA.
MIL. 86400 NS A.ISI.EDU.
EDU. 86400 NS SRI-NIC.ARPA.
EDU. 86400 NS C.ISI.EDU.
SRI-NIC.ARPA. 86400 A 26.0.0.73
SRI-NIC.ARPA. 86400 A 10.0.0.51
SRI-NIC.ARPA. 86400 MX 0 SRI-NIC.ARPA.
SRI-NIC.ARPA. 86400 HINFO DEC-2060 TOPS20
ACC.ARPA. 86400 A 26.6.0.65
ACC.ARPA. 86400 MX 10 ACC.ARPA.
USC-ISIC.ARPA. 86400 CNAME C.ISI.EDU.
73.0.0.26.IN-ADDR.ARPA. 86400 PTR SRI-NIC.ARPA.
A.ISI.EDU. 86400 A 26.3.0.103
C.ISI.EDU. 86400 A 10.0.0.52
";

const EDU: &str = "\
@ 86400 IN SOA SRI-NIC.ARPA. HOSTMASTER.SRI-NIC.ARPA. 870729 1800 300 604800 86400
@ 86400 NS SRI-NIC.ARPA.
@ 86400 NS C.ISI.EDU.
UCI 172800 NS ICS.UCI
ICS.UCI 172800 A 192.5.19.1
YALE.EDU. 172800 NS YALE.ARPA.
ISI 172800 NS VAXA.ISI
ISI 172800 NS A.ISI
ISI 172800 NS VENERA.ISI.EDU.
VAXA.ISI 172800 A 10.2.0.27
VENERA.ISI.EDU. 172800 A 10.1.0.52
A.ISI 172800 A 26.3.0.103
";

fn c_isi_edu() -> Snapshot {
    let zones = vec![zone(".", ROOT), zone("edu", EDU)];
    snapshot(Zones::build(zones, Vec::new()).expect("the zones of RFC 1034 6.1"))
}

#[test]
fn rfc1034_6_2_1_a_plain_answer() {
    check(
        &c_isi_edu(),
        "SRI-NIC.ARPA. A",
        &[
            "NOERROR aa",
            "an SRI-NIC.ARPA. 86400 A 26.0.0.73",
            "an SRI-NIC.ARPA. 86400 A 10.0.0.51",
        ],
    );
}

#[test]
fn rfc1034_6_2_3_another_type_of_the_same_name() {
    check(
        &c_isi_edu(),
        "SRI-NIC.ARPA. MX",
        &["NOERROR aa", "an SRI-NIC.ARPA. 86400 MX 0 SRI-NIC.ARPA."],
    );
}

#[test]
fn rfc1034_6_2_4_a_type_that_is_not_there() {
    check(
        &c_isi_edu(),
        "SRI-NIC.ARPA. NS",
        &[
            "NOERROR aa",
            "au . 86400 SOA SRI-NIC.ARPA. HOSTMASTER.SRI-NIC.ARPA. 870611 1800 300 604800 86400",
        ],
    );
}

#[test]
fn rfc1034_6_2_5_a_name_that_is_not_there() {
    let lines = crate::common::ask(&c_isi_edu(), "SIR-NIC.ARPA. A", None);
    assert_eq!(lines[0], "NXDOMAIN aa");
    assert!(lines[1].starts_with("au . 86400 SOA"), "{lines:?}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn rfc1034_6_2_6_a_referral_from_the_root() {
    check(
        &c_isi_edu(),
        "BRL.MIL. A",
        &[
            "NOERROR",
            "au MIL. 86400 NS SRI-NIC.ARPA.",
            "au MIL. 86400 NS A.ISI.EDU.",
            "ad SRI-NIC.ARPA. 86400 A 26.0.0.73",
            "ad SRI-NIC.ARPA. 86400 A 10.0.0.51",
            "ad A.ISI.EDU. 86400 A 26.3.0.103",
        ],
    );
}

#[test]
fn rfc1034_6_2_7_a_cname_with_the_address_of_its_target() {
    // C.ISI.EDU is below a delegation of EDU here, so the answer ends in a referral: what the RFC's
    // server adds from its cache is not ours to say.
    let lines = crate::common::ask(&c_isi_edu(), "USC-ISIC.ARPA. A", None);
    assert_eq!(lines[0], "NOERROR aa");
    assert_eq!(lines[1], "an USC-ISIC.ARPA. 86400 CNAME C.ISI.EDU.");
    assert!(lines[2].to_lowercase().starts_with("au isi.edu. 172800 ns"));
}

#[test]
fn rfc1034_6_2_8_a_cname_that_is_asked_for_is_not_followed() {
    check(
        &c_isi_edu(),
        "USC-ISIC.ARPA. CNAME",
        &["NOERROR aa", "an USC-ISIC.ARPA. 86400 CNAME C.ISI.EDU."],
    );
}

#[test]
fn rfc1034_3_1_case_makes_no_difference_and_comes_back_as_asked() {
    check(
        &c_isi_edu(),
        "sRi-NiC.aRpA. MX",
        &["NOERROR aa", "an sRi-NiC.aRpA. 86400 MX 0 sRi-NiC.aRpA."],
    );
}

#[test]
fn rfc1034_4_3_1_behind_a_cname_aa_is_about_the_first_name() {
    let text = "@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns\nns 300 A 192.0.2.1\n\
        to 300 CNAME x.kid\nkid 300 NS ns.kid\nns.kid 300 A 192.0.2.2\n";
    check(
        &crate::served("example", text),
        "to.example. A",
        &[
            "NOERROR aa",
            "an to.example. 300 CNAME x.kid.example.",
            "au kid.example. 300 NS ns.kid.example.",
            "ad ns.kid.example. 300 A 192.0.2.2",
        ],
    );
}
