//! Every question to every server, and what differs.

use crate::ask::{Asker, Over, Question};
use crate::chance::{Chance, seed};
use crate::explained::{Case, EXPLAINED, Explained};
use crate::message::{Message, TC};
use crate::questions::questions;
use crate::servers::{Running, Who};
use crate::zones::{World, root, several};
use std::collections::BTreeMap;

/// How many questions each world is asked.
const QUESTIONS: usize = 4_000;
/// With it, everything that is explained comes up.
const SEED: u64 = 4;
/// How many differences a failing test shows.
const SHOWN: usize = 12;

/// What one server said to all questions.
type Said = Vec<Result<Message, String>>;

#[test]
fn static_zones_are_answered_as_by_knot_nsd_and_bind() {
    let peers: Vec<Who> = [Who::Knot, Who::Nsd, Who::Bind]
        .into_iter()
        .filter(|who| who.is_here())
        .collect();
    let seed = seed(SEED);
    let mut used = BTreeMap::new();
    for (i, draw) in [several, root].into_iter().enumerate() {
        let mut chance = Chance::new(seed + i as u64);
        let world = draw(&mut chance);
        let asked = questions(&world, &mut chance, QUESTIONS);
        one_world(&world, &asked, &peers, seed, &mut used);
    }
    if peers.len() == 3 && seed == SEED {
        let unused: Vec<&str> = EXPLAINED
            .iter()
            .map(|one| one.why)
            .filter(|why| !used.contains_key(why))
            .collect();
        assert!(
            unused.is_empty(),
            "RHUMB_SEED={seed}: nothing differs any more as these explain: {unused:#?}"
        );
    }
    for (why, count) in used {
        eprintln!("{count:6} × {why}");
    }
}

fn one_world(
    world: &World,
    asked: &[Question],
    peers: &[Who],
    seed: u64,
    used: &mut BTreeMap<&'static str, usize>,
) {
    let rhumb = Running::start(Who::Rhumb, world);
    let ours = ask_all(&rhumb, asked);
    holds_its_word(&rhumb, asked, &ours, seed);
    let mut wrong = Vec::new();
    for who in peers {
        let peer = Running::start(*who, world);
        let mut both = [Asker::new(rhumb.address), Asker::new(peer.address)];
        for (question, ours) in asked.iter().zip(&ours) {
            let theirs = both[1].ask(question);
            let (question, ours, theirs) = whole(question, ours.clone(), theirs, &mut both);
            match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => match explain(*who, world, &question, &ours, &theirs) {
                    Ok(whys) => whys
                        .into_iter()
                        .for_each(|why| *used.entry(why).or_default() += 1),
                    Err(left) => wrong.push(format!("{who:?}: {left}")),
                },
                (ours, theirs) => wrong.push(format!(
                    "{who:?}: {} {}: ours {:?}, theirs {:?}",
                    question.name,
                    question.rtype,
                    ours.as_ref().err(),
                    theirs.as_ref().err()
                )),
            }
        }
    }
    if let Ok(file) = std::env::var("RHUMB_DIFFERENCES") {
        let zones: String = world.zones.iter().map(|zone| zone.text.clone()).collect();
        let text = format!("{zones}\n{}", wrong.join("\n"));
        std::fs::write(file, text).expect("a file for the differences");
    }
    let shown = wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    assert!(
        wrong.is_empty(),
        "RHUMB_SEED={seed}: {} differences without an explanation:\n{}",
        wrong.len(),
        shown.join("\n")
    );
}

/// Where one of the two did not fit into its datagram, both are asked again over TCP: names are compressed as every server
/// likes, so the sizes differ.
fn whole(
    question: &Question,
    ours: Result<Message, String>,
    theirs: Result<Message, String>,
    [rhumb, peer]: &mut [Asker; 2],
) -> (Question, Result<Message, String>, Result<Message, String>) {
    let truncated = |one: &Result<Message, String>| one.as_ref().is_ok_and(|one| one.is(TC));
    if !truncated(&ours) && !truncated(&theirs) {
        return (question.clone(), ours, theirs);
    }
    let question = Question {
        over: Over::Tcp,
        ..question.clone()
    };
    let (ours, theirs) = (rhumb.ask(&question), peer.ask(&question));
    (question, ours, theirs)
}

fn ask_all(server: &Running, asked: &[Question]) -> Said {
    let mut asker = Asker::new(server.address);
    asked.iter().map(|question| asker.ask(question)).collect()
}

/// What differs, after what is explained: the explanations that were needed, or what is left.
fn explain(
    who: Who,
    world: &World,
    question: &Question,
    ours: &Message,
    theirs: &Message,
) -> Result<Vec<&'static str>, String> {
    let (mut a, mut b) = (comparable(ours), comparable(theirs));
    let case = Case { question, world };
    let mut whys = Vec::new();
    for Explained { why, whose, bend } in EXPLAINED {
        if a == b {
            break;
        }
        if whose.contains(&who) && bend(&case, &mut a, &mut b) {
            whys.push(*why);
        }
    }
    if a == b {
        return Ok(whys);
    }
    Err(format!(
        "{} TYPE{} {:?}\n ours:\n{ours} theirs:\n{theirs} (bent: {whys:?})",
        question.name, question.rtype, question.over
    ))
}

/// Without what no RFC asks to be alike: the payload a server can take, and how tightly names were compressed.
fn comparable(message: &Message) -> Message {
    Message {
        size: 0,
        ..message.clone()
    }
}

/// What must be so of our answers whatever others say: the question comes back as it was sent, nothing comes twice, a
/// datagram is no larger than allowed, and TC only where the whole would have been.
fn holds_its_word(rhumb: &Running, asked: &[Question], ours: &Said, seed: u64) {
    let mut asker = Asker::new(rhumb.address);
    for (question, answer) in asked.iter().zip(ours) {
        let Question {
            name, rtype, over, ..
        } = question;
        let shown = answer
            .as_ref()
            .map_or_else(Clone::clone, ToString::to_string);
        let about = || format!("RHUMB_SEED={seed}: {name} TYPE{rtype} {over:?}:\n{shown}");
        let answer = answer.as_ref().unwrap_or_else(|_| panic!("{}", about()));
        let encoded = question.encode(0);
        assert!(encoded[12..].starts_with(&answer.question), "{}", about());
        assert_eq!(answer.doubles, 0, "{}", about());
        let Over::Udp(payload) = question.over else {
            assert!(!answer.is(TC), "{}", about());
            continue;
        };
        let limit = usize::from(payload.unwrap_or(512).clamp(512, 1232));
        assert!(answer.size <= limit, "{}", about());
        let whole = asker.ask(&Question {
            over: Over::Tcp,
            ..question.clone()
        });
        let whole = whole.unwrap_or_else(|error| panic!("{error}: {}", about()));
        // Over TCP there was an OPT record: 11 octets.
        let size = whole.size - if payload.is_none() { 11 } else { 0 };
        let all = answer.additional == whole.additional;
        assert!(!answer.is(TC) || size > limit, "{}\n{whole}", about());
        assert!(
            answer.is(TC) || !all || size <= limit,
            "{}\n{whole}",
            about()
        );
        if !answer.is(TC) {
            let sections = |m: &Message| (m.rcode, m.answer.clone(), m.authority.clone());
            // RFC 9471 §2.2: only addresses beside a delegation may be left out.
            let fewer = answer.additional.is_subset(&whole.additional);
            assert!(fewer, "{}\n{whole}", about());
            assert_eq!(sections(answer), sections(&whole), "{}", about());
        }
    }
}
