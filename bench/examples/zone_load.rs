//! How long a million static records take to load, and how much memory: in one zone, and in 10,000.
//!
//! Each case is a process of its own, so that its peak is its own. `zone_load RECORDS ZONES` loads one case.
//!
//! `cargo run --release -p rhumb-bench --example zone_load`

#![expect(clippy::print_stdout, reason = "a program whose output is its purpose")]

use bench::procfs::resident_bytes;
use dns::{NoFiles, ZoneSpec, Zones};
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const RECORDS: usize = 1_000_000;

fn main() {
    let numbers: Vec<usize> = env::args()
        .skip(1)
        .filter_map(|arg| arg.parse().ok())
        .collect();
    match numbers.as_slice() {
        [records, zones] => load(*records, *zones),
        _ => all(),
    }
}

fn all() {
    println!(
        "| records | zones | read and load s | of it Zones::load s | drop ms | text MB | zones MB | peak MB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let program = env::current_exe().expect("this program has a path");
    for zones in [1, 10_000] {
        let case = [RECORDS, zones].map(|number| number.to_string());
        let status = Command::new(&program)
            .args(case)
            .status()
            .expect("it starts again");
        assert!(status.success(), "{status}");
    }
}

fn load(records: usize, zones: usize) {
    let dir = tempfile::tempdir().expect("a folder");
    let files: Vec<PathBuf> = (0..zones)
        .map(|zone| {
            let file = dir.path().join(format!("{zone}.zone"));
            fs::write(&file, text(records / zones)).expect("the folder can be written to");
            file
        })
        .collect();
    let before = resident_bytes();
    let started = Instant::now();
    let mut text_bytes = 0;
    let spec = |(i, file): (usize, &PathBuf)| {
        let octets = fs::read(file).expect("a file that was written");
        text_bytes += octets.len();
        ZoneSpec {
            apex: format!("zone{i}.test"),
            master_file: Some((file.clone(), dns::zone::text(octets))),
            ..ZoneSpec::default()
        }
    };
    let specs: Vec<ZoneSpec> = files.iter().enumerate().map(spec).collect();
    let parsing = Instant::now();
    let built = Zones::load(specs, Vec::new(), &NoFiles).expect("sound zones");
    let (load, all) = (parsing.elapsed(), started.elapsed());
    assert!(built.warnings.is_empty(), "{:?}", built.warnings.first());
    let grown = resident_bytes().saturating_sub(before);
    let dropping = Instant::now();
    drop(built);
    println!(
        "| {records} | {zones} | {:.2} | {:.2} | {:.1} | {:.0} | {:.0} | {:.0} |",
        all.as_secs_f64(),
        load.as_secs_f64(),
        dropping.elapsed().as_secs_f64() * 1e3,
        text_bytes as f64 / 1e6,
        grown as f64 / 1e6,
        peak(Path::new("/proc/self/status")) as f64 / 1e3,
    );
}

/// Hosts with A, every third with AAAA, some with TXT and MX, in the order a provisioning script writes them.
fn text(records: usize) -> String {
    let mut text =
        "$TTL 3600\n@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\n"
            .to_owned();
    let (mut written, mut host) = (3, 0_u32);
    while written < records {
        let (a, b, c) = (host >> 16 & 255, host >> 8 & 255, host & 255);
        let _ = writeln!(text, "host-{host}\tIN\tA\t10.{a}.{b}.{c}");
        written += 1;
        if host.is_multiple_of(3) {
            let _ = writeln!(text, "\t\tIN\tAAAA\t2001:db8::{a:x}:{b:x}:{c:x}");
            written += 1;
        }
        if host.is_multiple_of(7) {
            let _ = writeln!(text, "\t300\tIN\tTXT\t\"v=spf1 ip4:10.{a}.{b}.{c} -all\"");
            written += 1;
        }
        if host.is_multiple_of(11) {
            let _ = writeln!(text, "\t\tIN\tMX\t10 host-{host}");
            written += 1;
        }
        host += 1;
    }
    text
}

/// The most memory this process had, in kB.
fn peak(status: &Path) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
