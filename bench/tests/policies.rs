//! What `policies` measures, with an allocator that counts: every cell is there, decides for real clients
//! and allocates nothing. No figure of time is looked at.

use bench::policies::{Matrix, Options, Results, json, markdown, run, text};
use bench::tables::Kind;
use std::time::Duration;

/// Bytes that this thread allocates during the work. Linking the counter makes it the allocator.
fn allocated(work: &mut dyn FnMut()) -> u64 {
    allocation_counter::measure(work).bytes_total
}

fn measured() -> (Results, Vec<String>) {
    let options = Options {
        matrix: Matrix::Grouped,
        time: Duration::ZERO,
        allocated: Some(allocated),
        ..Options::default()
    };
    let mut told = Vec::new();
    let results = run(&options, &mut |cell| told.push(cell.to_owned()));
    (results, told)
}

#[test]
fn the_counter_counts() {
    let bytes = allocated(&mut || drop(std::hint::black_box(vec![1_u8; 100])));
    assert_eq!(bytes, 100);
}

#[test]
fn every_cell_decides_and_allocates_nothing() {
    let (results, told) = measured();
    let rows: Vec<_> = results
        .groups
        .iter()
        .flat_map(|group| &group.rows)
        .collect();
    assert_eq!(told.len(), rows.len());
    assert!(told[0].starts_with(&format!("1 of {}: failover, depth 2", rows.len())));
    for row in &rows {
        assert_eq!(row.bytes, Some(0.0), "{:?}", row.shape);
        assert!(row.decisions > 0 && row.nodes > row.shape.depth);
        // Who is pinned may find nothing in a policy that is not made for it; all others do.
        assert!(row.steered + row.pinned >= 1.0, "{row:?}");
        assert_eq!(row.pinned > 0.0, row.shape.residency, "{:?}", row.shape);
        assert!(
            row.pinned < 0.9,
            "clients are from all over the world: {row:?}"
        );
    }
    let lines = text(&results);
    let tables = markdown(&results);
    let parsed: serde_json::Value =
        serde_json::from_str(&json(&results).expect("JSON")).expect("JSON");
    for kind in Kind::ALL {
        assert!(lines.contains(kind.name()) && tables.contains(&format!("| {} |", kind.name())));
    }
    let first = &parsed["groups"][0]["rows"][0];
    assert_eq!(
        (&first["kind"], &first["bytes"]),
        (&"failover".into(), &0.0.into())
    );
    for line in tables.lines().filter(|line| line.starts_with('|')) {
        assert!(line.ends_with('|'), "{line}");
    }
    assert!(!lines.contains("not counted"));
    let uncounted = Results {
        counted: false,
        ..results
    };
    assert!(text(&uncounted).contains("not counted"));
    assert!(!markdown(&uncounted).contains("| bytes |"));
}
