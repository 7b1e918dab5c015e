//! RFC 7314, EDNS EXPIRE: how long a zone may be served without its primary.

use crate::Setting;
use crate::common::{option, world};

#[test]
fn rfc7314_3_2_where_the_zone_is_kept_it_is_the_soas_expire() {
    let asked = option(9, &[]);
    let lines = Setting::default().ask(&world(), "example. SOA", Some(&asked));
    assert_eq!(lines.last().map(String::as_str), Some("expire 86400"));
    // Not asked for, or not about the SOA: nothing.
    for (question, options) in [("example. SOA", &[][..]), ("mail.example. A", &asked)] {
        let lines = Setting::default().ask(&world(), question, Some(options));
        assert!(
            !lines.iter().any(|line| line.starts_with("expire")),
            "{lines:?}"
        );
    }
}
