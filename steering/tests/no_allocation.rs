//! A decision allocates nothing: a counting allocator watches the thread that decides.
// Implementing GlobalAlloc takes unsafe code: it forwards to the system's allocator and counts.
#![allow(unsafe_code)]

mod common;

use common::random::*;
use common::*;
use proptest::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use steering::{Client, Silent, Snapshot, Want};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // At the end of a thread the counter is gone; nothing is measured there.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is forwarded unchanged to the system's allocator, which keeps the contract; the
// counter is a plain thread-local without a destructor and allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(vec![1_u8; 100]))) > 0);
}

proptest! {
    #[test]
    fn a_decision_allocates_nothing(
        policy in policies(false), healths in healths(), client in addresses(), draw in any::<u64>(),
        fail_open in any::<bool>(),
    ) {
        let mut spec = world(&format!("failover({policy}, eu)"));
        spec.services[0].fail_open = fail_open;
        pin(&mut spec, fail_open, fail_open);
        let table = compile(&spec).expect("sound");
        let snapshot = Snapshot::new(table, locations(), NOW).next(turned(&healths), NOW);
        let client = Client::from(client);
        let made = allocations(|| {
            for want in [Want::dns(draw), Want::http(draw)] {
                std::hint::black_box(snapshot.decide(SERVICE, &client, want, &mut Silent));
            }
        });
        prop_assert_eq!(made, 0);
    }
}
