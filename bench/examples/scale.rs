//! How a large table behaves while it serves: time and memory to compile and swap 100,000 services over
//! 1,000 pools, and what a decision costs next to a small one, with a reader running throughout.
//!
//! `cargo run --release -p rhumb-bench --example scale`

#![expect(clippy::print_stdout, reason = "a program whose output is its purpose")]

use bench::clients::addresses;
use bench::procfs::resident_bytes;
use bench::tables::{Size, compiled, snapshot, spec};
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use steering::draw::{below, mix};
use steering::{Change, Client, Reader, ServiceId, Silent, Timestamp, Verdict, Want};

const POOLS: usize = 1_000;
const SWAPS: u64 = 20;

fn main() {
    let geo = geoip::embedded();
    let clients = addresses(&geo, 1 << 16, 7);
    println!("location table: {} MB", geo.heap_bytes() / 1_000_000);
    println!("\n| services | pools | compile ms | table MB | decide ns |\n|---|---|---|---|---|");
    for services in [1, 1_000, 100_000] {
        measure(services, &geo, &clients);
    }
    swap_while_serving(&geo, &clients);
}

fn measure(services: usize, geo: &std::sync::Arc<steering::LocationTable>, clients: &[IpAddr]) {
    let size = Size {
        services,
        pools: POOLS,
    };
    let before = resident_bytes();
    let written = spec(size);
    let started = Instant::now();
    let table = compiled(written);
    let compile = started.elapsed();
    let grown = resident_bytes().saturating_sub(before);
    drop(table);
    let snapshot = snapshot(size, geo.clone());
    const ROUNDS: u64 = 2_000_000;
    let started = Instant::now();
    for i in 0..ROUNDS {
        let service = ServiceId::at(below(mix(i, 3), services as u64) as usize);
        let client = Client::from(clients[i as usize % clients.len()]);
        black_box(snapshot.decide(service, &client, Want::dns(mix(i, 4)), &mut Silent));
    }
    let each = started.elapsed().as_nanos() as f64 / ROUNDS as f64;
    println!(
        "| {services} | {POOLS} | {:.1} | {:.1} | {each:.0} |",
        compile.as_secs_f64() * 1e3,
        grown as f64 / 1e6
    );
}

/// One thread decides without a pause while another swaps whole tables in.
fn swap_while_serving(geo: &std::sync::Arc<steering::LocationTable>, clients: &[IpAddr]) {
    let size = Size {
        services: 100_000,
        pools: POOLS,
    };
    let (mut publisher, reader) = steering::channel(snapshot(size, geo.clone()));
    let (stop, decided, unanswered) =
        (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let (mut compile, mut swap) = (Duration::ZERO, Duration::ZERO);
    std::thread::scope(|scope| {
        scope.spawn(|| serve(&reader, clients, &stop, &decided, &unanswered));
        for i in 0..SWAPS {
            let started = Instant::now();
            let table = compiled(spec(size));
            compile += started.elapsed();
            let started = Instant::now();
            publisher.apply(Change::Table(table), Timestamp(10 + i));
            swap += started.elapsed();
        }
        stop.store(true, Ordering::Relaxed);
    });
    println!(
        "\n{SWAPS} tables of 100,000 services and {POOLS} pools swapped while serving: {:.0} ms to make and compile each, \
         {:.1} ms to derive and store each;\n{} decisions meanwhile, {} of them unanswered; {} MB resident",
        compile.as_secs_f64() * 1e3 / SWAPS as f64,
        swap.as_secs_f64() * 1e3 / SWAPS as f64,
        decided.load(Ordering::Relaxed),
        unanswered.load(Ordering::Relaxed),
        resident_bytes() / 1_000_000,
    );
}

fn serve(
    reader: &Reader,
    clients: &[IpAddr],
    stop: &AtomicBool,
    decided: &AtomicU64,
    unanswered: &AtomicU64,
) {
    let mut i = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        i += 1;
        let snapshot = reader.load();
        let service = ServiceId::at(below(mix(i, 5), 100_000) as usize);
        let client = Client::from(clients[i as usize % clients.len()]);
        let decision = snapshot.decide(service, &client, Want::dns(mix(i, 6)), &mut Silent);
        decided.fetch_add(1, Ordering::Relaxed);
        if decision.verdict != Verdict::Steered {
            unanswered.fetch_add(1, Ordering::Relaxed);
        }
    }
}
