//! RFC 9460, SVCB and HTTPS of steered names.

use crate::Setting;
use crate::common::{DE, ip, packet, world};
use dns::Transport;

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
