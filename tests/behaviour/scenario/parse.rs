//! Reads a scenario. A line that is not understood is an error with its place: a scenario never passes because it was
//! not read.

use super::{Ask, Expect, From, Line, Scenario, Step};
use crate::harness::wire::{A, AAAA, HTTPS};
use std::path::Path;
use std::time::Duration;

/// Reads the text of a scenario; `folder` is where its CONFIG files are.
///
/// # Errors
/// The first line that is not understood.
pub fn scenario(name: &str, text: &str, folder: &Path) -> Result<Scenario, String> {
    let mut scenario = Scenario {
        name: name.to_owned(),
        on_pop: false,
        config: String::new(),
        steps: Vec::new(),
    };
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    while let Some((number, line)) = lines.next() {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let at = |problem: String| format!("tests/scenarios/{name}:{number}: {problem}: {text}");
        if let Some(players) = text.strip_prefix("ON ") {
            scenario.on_pop = players.split(", ").any(|player| player == "pop");
        } else if text == "CONFIG" || text.starts_with("CONFIG ") {
            if let Some(file) = text.strip_prefix("CONFIG ") {
                let read = std::fs::read_to_string(folder.join(file));
                scenario.config = read.map_err(|error| at(error.to_string()))?;
            }
            for (_, line) in lines.by_ref().take_while(|(_, line)| line.trim() != "END") {
                scenario.config.push_str(line);
                scenario.config.push('\n');
            }
        } else {
            let step = step(text).ok_or_else(|| at("not understood".to_owned()))?;
            scenario.steps.push(Line {
                number,
                text: text.to_owned(),
                step,
            });
        }
    }
    Ok(scenario)
}

fn step(text: &str) -> Option<Step> {
    if let Some(rest) = text.strip_prefix("RELOAD REPLACING ") {
        let parts: Vec<&str> = rest.split('`').collect();
        let ["", old, " BY ", new, ""] = parts[..] else {
            return None;
        };
        let lines = |text: &str| text.replace("\\n", "\n");
        return Some(Step::Reload {
            old: lines(old),
            new: lines(new),
        });
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    Some(match words[..] {
        ["HEALTH", who, "down"] => Step::Health {
            who: who.to_owned(),
            serving: false,
        },
        ["HEALTH", who, "up"] => Step::Health {
            who: who.to_owned(),
            serving: true,
        },
        ["HEALTH", who, "fail"] => Step::Probe {
            who: who.to_owned(),
            success: false,
        },
        ["HEALTH", who, "ok"] => Step::Probe {
            who: who.to_owned(),
            success: true,
        },
        ["TIME", "PASSES", time] => Step::TimePasses(duration(time)?),
        ["QUERY", name, rtype, "from", network] => {
            query(name, rtype, From::Subnet(network.parse().ok()?))?
        }
        ["QUERY", name, rtype, "by", resolver] => {
            query(name, rtype, From::Resolver(resolver.parse().ok()?))?
        }
        ["REQUEST", host, path, "from", client] => Step::Ask(Ask::Request {
            host: host.to_owned(),
            path: path.to_owned(),
            from: client.parse().ok()?,
        }),
        ["FAILBACK", policy] => Step::Failback(policy.to_owned()),
        ["EXPECT", ref rest @ ..] => Step::Expect(expect(rest)?),
        _ => return None,
    })
}

fn query(name: &str, rtype: &str, from: From) -> Option<Step> {
    let rtype = match rtype {
        "A" => A,
        "AAAA" => AAAA,
        "HTTPS" => HTTPS,
        _ => return None,
    };
    Some(Step::Ask(Ask::Query {
        name: name.to_owned(),
        rtype,
        from,
    }))
}

fn duration(text: &str) -> Option<Duration> {
    if let Some(ms) = text.strip_suffix("ms") {
        return ms.parse().ok().map(Duration::from_millis);
    }
    if let Some(minutes) = text.strip_suffix('m') {
        return minutes
            .parse()
            .ok()
            .map(|m: u64| Duration::from_secs(60 * m));
    }
    text.strip_suffix('s')?
        .parse()
        .ok()
        .map(Duration::from_secs)
}

fn expect(words: &[&str]) -> Option<Expect> {
    Some(match *words {
        ["no", "region"] => Expect::Region(None),
        ["region", region] => Expect::Region(Some(region.to_owned())),
        ["verdict", verdict] => Expect::Verdict(verdict.to_owned()),
        ["reason", reason] => Expect::Reason(reason.to_owned()),
        ["code", code] => Expect::Code(code.to_owned()),
        ["scope", scope] => Expect::Scope(scope.parse().ok()?),
        ["ttl", ttl] => Expect::Ttl(ttl.parse().ok()?),
        ["addresses", ref addresses @ ..] => {
            let parsed: Result<Vec<_>, _> = addresses.iter().map(|text| text.parse()).collect();
            Expect::Addresses(parsed.ok()?)
        }
        ["share", region, percent, "of", n] => Expect::Share {
            region: region.to_owned(),
            percent: percent.strip_suffix('%')?.parse().ok()?,
            of: n.parse().ok()?,
        },
        ["only", ref regions @ .., "of", n] => Expect::Only {
            regions: regions.iter().map(|region| (*region).to_owned()).collect(),
            of: n.parse().ok()?,
        },
        ["state", who, state] => Expect::State {
            who: who.to_owned(),
            state: state.to_owned(),
        },
        ["reload", "applied"] => Expect::Reload { applied: true },
        ["reload", "refused"] => Expect::Reload { applied: false },
        ["problem", ref rest @ ..] if !rest.is_empty() => Expect::Problem(rest.join(" ")),
        _ => return None,
    })
}

#[test]
fn a_line_that_is_not_understood_is_named() {
    let wrong = "TIME PASSES 2s\nEXPECT regoin eu-west-1\n";
    let problem = scenario("x.scenario", wrong, Path::new("."))
        .err()
        .expect("refused");
    assert_eq!(
        problem,
        "tests/scenarios/x.scenario:2: not understood: EXPECT regoin eu-west-1"
    );
    for text in [
        "QUERY a.test MX from 1.2.3.0/24",
        "HEALTH us sick",
        "EXPECT share x 40 of 10",
        "EXPECT",
    ] {
        assert_eq!(step(text), None, "{text}");
    }
    let replacing = step("RELOAD REPLACING `us: 40` BY `us: 10`");
    assert_eq!(
        replacing,
        Some(Step::Reload {
            old: "us: 40".to_owned(),
            new: "us: 10".to_owned()
        })
    );
}
