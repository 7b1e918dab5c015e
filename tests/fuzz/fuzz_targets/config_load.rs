//! Any text at `config::load_str`, and from there as far as a config goes: problems shown, table
//! compiled, zones built, clients decided for, the operator's own tests run.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use std::net::IpAddr;
use std::sync::Arc;
use steering::health::Status;
use steering::{Forced, ServiceId, Snapshot, Timestamp, Want};

const CLIENTS: [&str; 5] = [
    "8.8.8.8",
    "46.4.0.1",
    "2a01:4f8::1",
    "::ffff:192.0.2.1",
    "::",
];
/// The services that are decided for, and the expectations that are run; more only takes longer.
const ENOUGH: usize = 8;

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else {
        return Corpus::Reject;
    };
    let loaded = config::load_str("fuzz.yaml", text);
    let shown = config::problem::render(&loaded.problems);
    assert_eq!(loaded.checked.is_none(), loaded.has_errors(), "{shown}");
    for problem in &loaded.problems {
        assert!(
            !problem.message.is_empty(),
            "a problem says what is wrong: {problem:?}"
        );
    }
    let Some(checked) = loaded.checked else {
        return Corpus::Keep;
    };
    assert!(
        config::diff(&checked, &checked).is_empty(),
        "a config differs from itself"
    );

    let table = Arc::new(fuzz::compile(&checked.table));
    // Records may still be wrong: that is found when zones are built, and must be found without a panic.
    let _ = fuzz::zones(&checked, &table, "@ SOA a b 1 2 3 4 5\n@ NS a\n");
    let now = Timestamp(0);
    let unprobed = Snapshot::new(table, Arc::new(fuzz::locations(&checked)), now);
    for snapshot in [
        &unprobed,
        &unprobed.what_if(&[Forced::All(Status::Up)], now),
        &unprobed.what_if(&[Forced::All(Status::Down)], now),
    ] {
        decide(snapshot, text.len() as u64);
    }
    if checked.expectations.len() <= ENOUGH {
        config::expectations::run(&checked, &unprobed);
    }
    Corpus::Keep
});

fn decide(snapshot: &Snapshot, draw: u64) {
    for service in (0..snapshot.table().services().len()).take(ENOUGH) {
        for client in CLIENTS {
            let client: IpAddr = client.parse().expect("an address");
            for want in [Want::dns(draw), Want::http(draw)] {
                fuzz::decide(snapshot, ServiceId(service as u32), client, want);
            }
        }
    }
}
