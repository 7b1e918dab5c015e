//! RFC 6604, RCODE and AA of answers that follow a chain.

use crate::common::check;
use crate::served;

const ZONE: &str = "@ 300 SOA ns h 1 2 3 4 300\n@ 300 NS ns\nns 300 A 192.0.2.1\n\
    yes 300 CNAME ns\nno 300 CNAME nowhere\nout 300 CNAME www.test.\nd 300 DNAME e\nx.e 300 A 192.0.2.2\n";
const SOA: &str = "au example. 300 SOA ns.example. h.example. 1 2 3 4 300";

#[test]
fn rfc6604_2_the_code_is_that_of_the_last_name() {
    for (question, expected) in [
        (
            "yes.example. A",
            &[
                "NOERROR aa",
                "an yes.example. 300 CNAME ns.example.",
                "an ns.example. 300 A 192.0.2.1",
            ][..],
        ),
        (
            "no.example. A",
            &[
                "NXDOMAIN aa",
                "an no.example. 300 CNAME nowhere.example.",
                SOA,
            ],
        ),
        (
            "y.d.example. A",
            &[
                "NXDOMAIN aa",
                "an d.example. 300 DNAME e.example.",
                "an y.d.example. 300 CNAME y.e.example.",
                SOA,
            ],
        ),
        (
            "out.example. A",
            &["NOERROR aa", "an out.example. 300 CNAME www.test."],
        ),
    ] {
        check(&served("example", ZONE), question, expected);
    }
}
