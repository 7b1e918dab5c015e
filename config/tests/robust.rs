//! Nothing an operator writes makes the reader panic, run out of stack or take too much; and large
//! configs that are right load.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use steering::Table;

const DEMO: &str = include_str!("../../deploy/examples/demo.yaml");
const KEIKO: &str = include_str!("../../deploy/examples/keiko.yaml");

/// Loads a text; whatever comes of it must be in order.
fn in_order(text: &str) {
    let loaded = config::load_str("a.yaml", text);
    let lines = u32::try_from(text.lines().count().max(1)).expect("few lines");
    for problem in &loaded.problems {
        assert!(problem.line <= lines + 1, "{problem} of {lines} lines");
        assert!(
            !problem.message.is_empty() && !problem.message.contains('\u{1f}'),
            "{problem:?}"
        );
        assert!(!problem.render().is_empty());
    }
    assert_eq!(
        loaded.checked.is_none(),
        loaded.has_errors(),
        "a config, or errors: {:#?}",
        loaded.problems
    );
    if let Some(checked) = &loaded.checked {
        assert!(
            Table::compile(checked.table.clone()).is_ok(),
            "what is checked compiles"
        );
        assert!(config::diff(checked, checked).is_empty());
    }
}

/// One change to a text.
#[derive(Clone, Debug)]
enum Mutation {
    Insert(usize, String),
    Remove(usize, usize),
    Swap(usize, usize),
    Repeat(usize, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let token = prop_oneof![
        Just("~"),
        Just("[]"),
        Just("{}"),
        Just("-1"),
        Just("us"),
        Just("eu"),
        Just(": "),
        Just("- "),
        Just("\n"),
        Just("  "),
        Just("&a "),
        Just("*a"),
        Just("!!x "),
        Just("'"),
        Just("\""),
        Just("|\n"),
        Just("all"),
        Just("1s"),
        Just("0"),
        Just("99999999999"),
        Just("{ failover: [us] }"),
        Just("::1"),
        Just("é"),
        Just("\u{0}"),
        Just("EU"),
    ]
    .prop_map(str::to_owned);
    prop_oneof![
        (any::<usize>(), token).prop_map(|(at, text)| Mutation::Insert(at, text)),
        (any::<usize>(), 1..40_usize).prop_map(|(at, n)| Mutation::Remove(at, n)),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        (any::<usize>(), 1..200_usize).prop_map(|(at, n)| Mutation::Repeat(at, n)),
    ]
}

fn mutate(text: &str, mutations: &[Mutation]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for mutation in mutations {
        let n = chars.len().max(1);
        match mutation {
            Mutation::Insert(at, token) => {
                let at = at % n;
                chars.splice(at..at, token.chars());
            }
            Mutation::Remove(at, count) => {
                let at = at % n;
                chars.drain(at..(at + count).min(chars.len()));
            }
            Mutation::Swap(a, b) if !chars.is_empty() => chars.swap(a % n, b % n),
            Mutation::Swap(..) => {}
            Mutation::Repeat(at, count) => {
                let at = at % n;
                let part: Vec<char> = chars[at..(at + count).min(chars.len())].to_vec();
                chars.splice(at..at, part);
            }
        }
    }
    chars.into_iter().collect()
}

proptest! {

    #[test]
    fn any_text_is_read_in_order(text in any::<String>()) {
        in_order(&text);
    }

    #[test]
    fn any_bytes_in_a_file_are_read_in_order(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.yaml");
        std::fs::write(&file, &bytes).expect("a file");
        prop_assert!(config::load(&file).checked.is_none(), "no config is 200 random bytes");
    }

    #[test]
    fn a_slightly_wrong_config_is_read_in_order(
        demo in any::<bool>(),
        mutations in proptest::collection::vec(mutation(), 1..6),
    ) {
        in_order(&mutate(if demo { DEMO } else { KEIKO }, &mutations));
    }
}

fn codes(text: &str) -> Vec<&'static str> {
    config::load_str("a.yaml", text)
        .problems
        .iter()
        .map(|problem| problem.code)
        .collect()
}

#[test]
fn alias_bombs_are_refused_and_aliases_work() {
    let mut bomb = "version: 1\nlisten: {}\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let below = vec![format!("*a{}", i - 1); 10].join(", ");
        writeln!(bomb, "a{i}: &a{i} [{below}]").expect("text");
    }
    assert_eq!(codes(&bomb), ["too_large"]);
    assert_eq!(
        codes("version: 1\nlisten: {}\npools: &p { a: *p }\n"),
        ["syntax"]
    );
    let text = "version: 1\nlisten: {}\nregions: { a: { location: &here { country: DE } }, b: { location: *here } }\n";
    let checked = config::load_str("a.yaml", text).checked.expect("a config");
    assert_eq!(
        checked.table.regions[1].country,
        checked.table.regions[0].country
    );
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [("[", "]"), ("{ a: ", "}"), ("{ failover: [", "] }")] {
        for depth in [30, 60, 120, 10_000] {
            let text = format!(
                "version: 1\nlisten: {{}}\npolicies: {{ p: {}x{} }}\n",
                open.repeat(depth),
                close.repeat(depth)
            );
            in_order(&text);
        }
    }
    let block: String = (0..5_000)
        .map(|i| format!("{}a:\n", " ".repeat(i)))
        .collect();
    in_order(&block);
}

#[test]
fn norway_is_a_country_and_names_stay_text() {
    let text = "version: 1\nlisten: {}\nregions: { no: { location: { country: NO } }, 1.10: { location: { country: DE } } }\n\
                pools: { 0x10: { region: no, endpoints: [{ address: \"192.0.2.1:80\" }] }, on: { region: 1.10, endpoints: [{ address: \"192.0.2.2:80\" }] } }\n\
                services: { a: { policy: { failover: [0x10, on] }, http: { hosts: [a.test] } } }\n";
    let loaded = config::load_str("a.yaml", text);
    let checked = loaded.checked.expect("a config");
    let names: Vec<&str> = checked
        .table
        .regions
        .iter()
        .map(|region| &*region.name)
        .collect();
    assert_eq!(names, ["no", "1.10"]);
    assert_eq!(
        checked.table.regions[0]
            .country
            .map(|c| c.to_string())
            .as_deref(),
        Some("NO")
    );
    assert_eq!(&*checked.table.pools[0].name, "0x10");
}

#[test]
fn files_that_include_each_other_are_read_once_and_not_too_deep() {
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    files.insert(
        "a.yaml".into(),
        "version: 1\nlisten: {}\ninclude: [b.yaml]\n".into(),
    );
    files.insert(
        "b.yaml".into(),
        "include: [a.yaml, b.yaml]\nregions: { r: {} }\n".into(),
    );
    let loaded = config::load_with(
        Path::new("a.yaml"),
        &config::Memory {
            files: files.clone(),
            assume: false,
        },
    );
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    for i in 0..20 {
        files.insert(
            format!("c{i}.yaml").into(),
            format!("include: [c{}.yaml]\n", i + 1),
        );
    }
    files.insert("c20.yaml".into(), String::new());
    files.insert(
        "a.yaml".into(),
        "version: 1\nlisten: {}\ninclude: [c0.yaml]\n".into(),
    );
    let loaded = config::load_with(
        Path::new("a.yaml"),
        &config::Memory {
            files,
            assume: false,
        },
    );
    assert_eq!(
        loaded.problems.iter().map(|p| p.code).collect::<Vec<_>>(),
        ["include"]
    );
}

#[test]
fn a_client_that_nobody_serves_is_no_fault_of_its_pin() {
    let text = "version: 1\nlisten: {}\nregions: { eu: { location: { country: IE }, jurisdiction: eu } }\n\
                jurisdictions: { eu: { countries: [EU] } }\n\
                pools: { eu: { region: eu, endpoints: [{ address: \"192.0.2.1:80\" }] } }\n\
                residency: { gdpr: { clients: { countries: [EU] }, serve_in: [eu] } }\n\
                services: { a: { policy: { geo: { rules: [{ countries: [DE], to: eu }] } }, residency: gdpr, http: { hosts: [a.test] } } }\n";
    assert_eq!(codes(text), ["no_default"]);
}

/// A config of so many services over so many pools.
fn large(services: usize, pools: usize) -> String {
    let mut text =
        "version: 1\nlisten: { dns: [{ address: \"127.0.0.1:0\" }] }\nregions:\n".to_owned();
    for i in 0..20 {
        writeln!(
            text,
            "  r{i}: {{ location: {{ country: DE }}, jurisdiction: eu }}"
        )
        .expect("text");
    }
    text.push_str("jurisdictions: { eu: { countries: [EU] } }\nresidency: { gdpr: { clients: { countries: [EU] }, serve_in: [eu] } }\n");
    text.push_str("health_checks: { c: { type: tcp } }\npools:\n");
    for i in 0..pools {
        writeln!(
            text,
            "  p{i}: {{ region: r{}, health_check: c, endpoints: [{{ address: \"10.{}.{}.1:80\" }}] }}",
            i % 20,
            i / 250,
            i % 250
        )
        .expect("text");
    }
    text.push_str("services:\n");
    for i in 0..services {
        writeln!(
            text,
            "  s{i}:\n    policy: {{ failover: [p{}, p{}] }}\n    residency: gdpr\n    rto: 2m\n    dns: {{ names: [s{i}.example.com], ttl: 30s }}\n    http: {{ hosts: [s{i}.example.com] }}",
            i % pools,
            (i + 1) % pools
        )
        .expect("text");
    }
    text.push_str("zones: { example.com: { soa: { mname: ns1.example.com, rname: h.example.com }, ns: [ns1.example.com] } }\n");
    text
}

#[test]
fn two_thousand_services_load() {
    let loaded = config::load_str("large.yaml", &large(2_000, 100));
    assert!(
        loaded.problems.is_empty(),
        "{}",
        config::problem::render(&loaded.problems)
    );
    let checked = loaded.checked.expect("a config");
    assert_eq!(
        (
            checked.table.services.len(),
            checked.routes.len(),
            checked.steered.len()
        ),
        (2_000, 2_000, 2_000)
    );
}

/// The stated size: 100,000 services and 1,000 pools. Seconds with `--release`.
#[test]
#[ignore = "takes a while without optimisation"]
fn a_hundred_thousand_services_load() {
    let loaded = config::load_str("large.yaml", &large(100_000, 1_000));
    assert!(
        loaded.problems.is_empty(),
        "{}",
        config::problem::render(&loaded.problems)
    );
    let checked = loaded.checked.expect("a config");
    assert_eq!(
        (checked.table.services.len(), checked.table.pools.len()),
        (100_000, 1_000)
    );
}

#[test]
fn every_unknown_name_of_a_large_config_is_found_in_time() {
    let text = large(3_000, 1_000).replace("failover: [p", "failover: [q");
    let loaded = config::load_str("large.yaml", &text);
    assert_eq!(loaded.problems.len(), config::problem::MAX_PROBLEMS + 1);
    assert_eq!(
        loaded.problems.last().map(|p| p.code),
        Some("too_many_problems")
    );
}

#[test]
fn the_schema_knows_every_key_and_allows_no_other() {
    let schema = config::schema();
    assert_eq!(schema["additionalProperties"], false);
    for key in [
        "version",
        "include",
        "pools",
        "policies",
        "services",
        "zones",
        "expect",
        "latency_map",
        "access_log",
    ] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    let text = schema.to_string();
    for word in [
        "failover",
        "multivalue",
        "ttl_failing",
        "serve_in",
        "region_prefix",
        "min_healthy",
    ] {
        assert!(text.contains(&format!("\"{word}\"")), "{word}");
    }
}
