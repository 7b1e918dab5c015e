//! What keeps a spec from becoming a table, and what explain says: exact words.

mod common;

use common::*;
use steering::ids::PolicyId;
use steering::spec::{NamedPolicy, Policy};
use steering::{Client, CompileProblem, Explanation, PoolId, ServiceId, TableSpec, Want};

fn problems(spec: &TableSpec) -> Vec<String> {
    let found = compile(spec).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect()
}

fn named(spec: &mut TableSpec, name: &str, policy: Policy) {
    let name = name.into();
    spec.policies.push(NamedPolicy { name, policy });
}

#[test]
fn a_circle_of_policies_is_told_once_from_its_first_member() {
    let mut spec = spec();
    for (name, next) in [("a", 1), ("b", 2), ("c", 0), ("into", 1)] {
        named(&mut spec, name, Policy::Named(PolicyId(next)));
    }
    let expected = "policies contain each other in a circle: a -> b -> c -> a";
    assert_eq!(problems(&spec), [expected]);
}

#[test]
fn problems_are_collected_and_named() {
    let mut deep = spec();
    let nested = format!("{}us{}", "failover(".repeat(40), ")".repeat(40));
    serve(&mut deep, "web", &nested);
    let mut chain = spec();
    serve(&mut chain, "web", "failover(us)");
    for i in 0..40 {
        let inner = if i == 0 {
            "us".to_owned()
        } else {
            format!("failover($p{})", i - 1)
        };
        name(&mut chain, &format!("p{i}"), &inner);
    }
    let mut large = spec();
    name(&mut large, "p0", "failover(us, eu)");
    for i in 1..20 {
        let text = format!("failover($p{0}, $p{0})", i - 1);
        name(&mut large, &format!("p{i}"), &text);
    }
    let mut wide = spec();
    let children = vec!["us"; 65].join(", ");
    serve(&mut wide, "web", &format!("latency({children})"));
    let mut dangling = spec();
    named(&mut dangling, "lost", Policy::Pool(PoolId(99)));
    named(&mut dangling, "gone", Policy::Named(PolicyId(77)));
    let mut empty = spec();
    serve(&mut empty, "web", "failover(us, weighted())");
    let mut twice = spec();
    serve(&mut twice, "web", "us");
    serve(&mut twice, "web", "eu");
    let mut pinned = spec();
    serve(&mut pinned, "web", "failover(us, ap)");
    serve(&mut pinned, "fine", "failover(us, eu)");
    pin(&mut pinned, true, true);
    for (spec, expected) in [
        (deep, vec!["policy web-policy[0]"]),
        (chain, vec!["policy p32 nests deeper"]),
        (large, vec!["policy p15 has more than 65536 nodes"]),
        (wide, vec!["policy web-policy has too many children"]),
        (dangling, vec!["lost refers", "policy number 77 refers"]),
        (empty, vec!["policy web-policy[1] has nothing"]),
        (twice, vec!["service web is defined twice"]),
        (
            pinned,
            vec!["service web: its policy has no pool that residency gdpr allows"],
        ),
    ] {
        let found = problems(&spec);
        let matches = found.len() == expected.len()
            && found.iter().zip(&expected).all(|(f, e)| f.starts_with(e));
        assert!(matches, "{found:?} should begin like {expected:?}");
    }
}

#[test]
fn a_pin_prunes_the_tree_and_never_empties_it_silently() {
    let mut spec = spec();
    serve(
        &mut spec,
        "web",
        "geo(set:EU=failover(us, eu), weighted(1=ap, 1=de))",
    );
    pin(&mut spec, true, true);
    let table = compile(&spec).expect("sound");
    let roots = table.services()[0].dns;
    assert_eq!(table.reachable(roots.free).len(), 4);
    assert_eq!(table.reachable(roots.pinned), [PoolId(1), PoolId(2)]);
}

#[test]
fn a_problem_told_by_many_services_is_found_in_linear_time() {
    let mut spec = spec();
    for i in 0..20_000 {
        serve(&mut spec, &format!("s{i}"), "us");
    }
    pin(&mut spec, true, true);
    let problems = compile(&spec).err().unwrap_or_default();
    assert_eq!(problems.len(), 20_000);
    assert!(matches!(problems[0], CompileProblem::NothingAllowed { .. }));
}

fn explain(spec: &TableSpec, states: &str, client: &str) -> String {
    let snapshot = snapshot(spec, states);
    let client = Client::from(address(client));
    let told = Explanation::new(&snapshot, ServiceId(0), &client, Want::dns(1));
    told.expect("the service").to_string()
}

#[test]
fn explain_says_what_was_considered() {
    let mut spec = spec();
    serve(&mut spec, "web", "geo(set:EU=failover(us, eu, de), us)");
    pin(&mut spec, true, true);
    assert_eq!(explain(&spec, "eu-", "de"), PINNED.trim_matches('\n'));
    let mut spec = self::spec();
    serve(
        &mut spec,
        "web",
        "failover(geo(country:US=us), weighted(1=eu, 0=ap), de)",
    );
    assert_eq!(explain(&spec, "", "de"), FREE.trim_matches('\n'));
}

const PINNED: &str = "
service web for 5.9.1.1 over dns, generation 2
  location   DE, continent EU (holds for /13)
  residency  gdpr: pins this client; not in its policy: us
  -> pass: what is known to be up
    -> geo web-policy: the policy of the service
      -> failover web-policy[0]: a set with the client's country
         x pool eu (0 of 1 up): down
        -> pool de (1 of 1 up): the first usable one
  verdict    steered: region de, pool de
  endpoints  192.0.2.3:443
  ttl 60 s, scope /13";

const FREE: &str = "
service web for 5.9.1.1 over dns, generation 2
  location   DE, continent EU (holds for /13)
  -> pass: what is known to be up
    -> failover web-policy: the policy of the service
       x geo web-policy[0]: usable, but has nothing for this client
      -> weighted web-policy[1]: the first usable one
        -> pool eu (1 of 1 up): drawn: weight 1 of 1
         x pool ap (1 of 1 up): a reserve: weight 0
       x pool de (1 of 1 up): not needed: an earlier one is usable
  verdict    steered: region eu, pool eu
  endpoints  192.0.2.2:443
  ttl 60 s, scope /13";
