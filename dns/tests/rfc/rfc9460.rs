//! RFC 9460, SVCB and HTTPS of steered names.

use crate::Setting;
use crate::common::{DE, ip, packet, world};
use dns::{Binding, Transport, Zones};

#[test]
fn rfc9460_2_2_https_hints_at_the_addresses_of_the_chosen_region() {
    for (client, v4, v6) in [
        (crate::common::US, [10, 1, 0, 1], 1_u8),
        (DE, [10, 2, 0, 1], 2),
    ] {
        let mut setting = Setting::over(Transport::Tcp);
        setting.arrival.peer = ip(client);
        let response = setting.send(&world(), &packet("geo.example. HTTPS", None));
        let mut data = vec![0, 1, 0];
        data.extend(b"\x00\x01\x00\x0c\x02h2\x08http/1.1");
        data.extend([0, 4, 0, 4]);
        data.extend(v4);
        data.extend([
            0, 6, 0, 16, 0x20, 1, 0xd, 0xb8, 0, v6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        ]);
        assert!(response.ends_with(&data), "{client}: {response:02x?}");
    }
}

#[test]
fn rfc9460_2_2_parameters_come_in_the_order_of_their_keys() {
    let mut names = crate::common::steered();
    names.retain(|name| name.name == "geo.example");
    let offered = Binding {
        port: Some(853),
        doh_path: Some("/q{?dns}".to_owned()),
        ..crate::common::offering(&["dot", "h2"])
    };
    names[0].name = "_dns.example".to_owned();
    names[0].https = None;
    names[0].svcb = Some(offered);
    let text = "@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns\nns 300 A 192.0.2.1\n";
    let zones = Zones::build(vec![crate::common::zone("example", text)], names);
    let world = crate::common::snapshot(zones.expect("zones"));
    let response = Setting::over(Transport::Tcp).send(&world, &packet("_dns.example. SVCB", None));
    let mut data = vec![0, 1, 0];
    data.extend(b"\x00\x01\x00\x07\x03dot\x02h2");
    data.extend([0, 3, 0, 2, 3, 85]);
    data.extend([0, 4, 0, 4, 10, 1, 0, 1]);
    data.extend([
        0, 6, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    ]);
    data.extend(b"\x00\x07\x00\x08/q{?dns}");
    assert!(response.ends_with(&data), "{response:02x?}");
    let lines = Setting::default().ask(&world, "_dns.example. HTTPS", None);
    assert_eq!(lines.len(), 2, "the other type is not made: {lines:?}");
}
