//! Shares: of 100,000 answers of `weighted.demo.test`, over DNS and over HTTP, each region gets what its weight says.
//!
//! The 99.9 % interval is left by one honest sample in a thousand for each region; a second sample then decides, so that a
//! failure means a wrong share.

use crate::harness::chance::interval;
use crate::harness::pop::Pop;
use crate::harness::wire::Question;
use crate::parity::{demo_config, requests};
use std::collections::HashMap;
use std::net::IpAddr;

const ANSWERS: usize = 100_000;
const NAME: &str = "weighted.demo.test";
const SHARES: [(&str, f64); 3] = [
    ("us-east-1", 0.4),
    ("eu-west-1", 0.4),
    ("ap-southeast-1", 0.2),
];

type Counts = HashMap<String, usize>;

#[test]
fn a_hundred_thousand_dns_answers_follow_the_weights() {
    let pop = Pop::start(&demo_config());
    follow_the_weights(|| {
        let mut counts = Counts::new();
        let questions = vec![Question::a(NAME); ANSWERS / 2];
        for _ in 0..2 {
            let asked = pop.dns().ask_all(&questions, 64, |_, reply| {
                *counts
                    .entry(pop.regions[&reply.addresses()[0]].clone())
                    .or_default() += 1;
            });
            asked.expect("every question is answered");
        }
        counts
    });
}

#[test]
fn a_hundred_thousand_http_responses_follow_the_weights() {
    let pop = Pop::start(&demo_config());
    follow_the_weights(|| {
        let clients = vec![IpAddr::from([8, 8, 8, 8]); ANSWERS];
        let mut counts = Counts::new();
        for region in requests(&pop, NAME, &clients) {
            *counts
                .entry(region.expect("every request is served"))
                .or_default() += 1;
        }
        counts
    });
}

fn follow_the_weights(mut sample: impl FnMut() -> Counts) {
    let first = sample();
    assert_eq!(
        first.values().sum::<usize>(),
        ANSWERS,
        "every answer names a region: {first:?}"
    );
    if !within(&first) {
        let second = sample();
        assert!(
            within(&second),
            "two samples are outside the 99.9 % interval: {first:?}, {second:?}"
        );
    }
}

fn within(counts: &Counts) -> bool {
    SHARES.iter().all(|(region, share)| {
        interval(*share, ANSWERS).contains(&counts.get(*region).copied().unwrap_or(0))
    })
}
