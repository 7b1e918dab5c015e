//! Where the answers went: shares against promises, leaks, and scopes that do not hold.

use super::MAX_CHARTS;
use crate::report::Report;
use crate::report::chart::{figures, whole};
use crate::report::page::{Block, Chart, Section, Table, Tone, counted, percent};
use crate::shares::{Contradiction, CountryShares, ServiceShares, Share, Verdict, Worst};

/// The most countries in a service's table.
const MAX_COUNTRIES: usize = 40;
/// The most countries that are named where something is wrong with them.
const MAX_NAMED: usize = 4;

pub(super) fn shares(report: &Report) -> Option<Section> {
    let mut section = Section::new("Where the answers went");
    if report.answered > 0 && report.shares.answers == 0 {
        let text = "No answer says what became of a policy: the server was not told of the clients, or the \
                    names or addresses asked for are not there.";
        section.note(Tone::Plain, text);
        return Some(section);
    }
    section.note(Tone::Plain, format!(
        "{} held against what the policies promise ({} decisions asked of them). A service that keeps its \
         promise is called wrong once in {} runs.",
        counted(report.shares.answers, "answer"),
        whole(report.shares.decisions as f64),
        whole(1.0 / report.shares.significance),
    ));
    let head = ["Service", "to", "promised", "came", "deviation", "answers"];
    let mut all = Table::new(2, &head);
    for service in &report.shares.services {
        for (i, share) in service.outcomes.iter().enumerate() {
            let name = if i == 0 {
                service.service.clone()
            } else {
                String::new()
            };
            all.row([vec![name], share_cells(share)].concat());
        }
    }
    section.table(all);
    for (i, service) in report.shares.services.iter().enumerate() {
        one_service(&mut section, service, i < MAX_CHARTS, i);
    }
    (!report.shares.services.is_empty()).then_some(section)
}

fn share_cells(share: &Share) -> Vec<String> {
    vec![
        share.outcome.clone(),
        percent(share.expected_share),
        percent(share.observed_share),
        deviation(share),
        whole(share.observed as f64),
    ]
}

fn deviation(share: &Share) -> String {
    let off = (share.observed as f64 - share.expected).abs() > 0.5;
    match share.deviations {
        Some(deviations) => format!("{deviations:+.1} σ"),
        None if off => "wrong".to_owned(),
        None => "–".to_owned(),
    }
}

fn one_service(section: &mut Section, service: &ServiceShares, chart: bool, position: usize) {
    section.blocks.push(Block::Heading(service.service.clone()));
    let (tone, word) = match service.verdict {
        Verdict::AsPromised => (Tone::Good, "As promised"),
        Verdict::NotAsPromised => (Tone::Bad, "Not as promised"),
        Verdict::NotJudged => (Tone::Plain, "Not judged"),
    };
    let mut text = format!("{word}: {}.", service.why);
    if let Some(test) = service.chi_square {
        text.push_str(&format!(
            " χ² = {}, {}, p {}.",
            figures(test.statistic),
            counted(test.degrees as u64, "degree"),
            probability(test.p)
        ));
    }
    if service.impossible > 0 {
        let answers = counted(service.impossible, "answer");
        text.push_str(&format!(" {answers} can't come of this policy."));
    }
    if let Some(worst) = &service.worst {
        text.push_str(&worst_cell(worst));
    }
    section.note(tone, text);
    let countries = service.countries.iter();
    let wrong = countries.filter(|c| c.verdict == Verdict::NotAsPromised);
    let mut table = Table::new(
        2,
        &["From", "to", "promised", "came", "deviation", "answers"],
    );
    wrong
        .take(MAX_NAMED)
        .for_each(|country| country_rows(&mut table, country));
    section.table(table);
    if chart && service.answers > 0 {
        section.blocks.push(Block::Chart(Chart::Shares(position)));
    }
    let mut all = Table::new(
        2,
        &["From", "to", "promised", "came", "deviation", "answers"],
    );
    let countries = service.countries.iter().take(MAX_COUNTRIES);
    countries.for_each(|country| country_rows(&mut all, country));
    if service.countries.len() > 1 {
        let shown = service.countries.len().min(MAX_COUNTRIES);
        let title = format!(
            "{}: {} with the most answers",
            service.service,
            match shown {
                1 => "the country".to_owned(),
                n => format!("the {n} countries"),
            }
        );
        section.blocks.push(Block::Folded(title, all));
    }
}

fn country_rows(table: &mut Table, country: &CountryShares) {
    for (i, share) in country.outcomes.iter().enumerate() {
        let name = match (i, country.country.as_str()) {
            (0, "--") => "unknown".to_owned(),
            (0, code) => code.to_owned(),
            _ => String::new(),
        };
        table.row([vec![name], share_cells(share)].concat());
    }
}

fn worst_cell(worst: &Worst) -> String {
    let share = &worst.share;
    let from = match worst.country.as_deref() {
        None => "all clients".to_owned(),
        Some("--") => "clients of unknown place".to_owned(),
        Some(code) => format!("clients in {code}"),
    };
    let deviation = match share.deviations {
        Some(deviations) if !worst.impossible => format!(", {deviations:+.1} σ"),
        _ => String::new(),
    };
    format!(
        " Farthest off: {from} to {}, {} promised and {} came of {}{deviation}.",
        share.outcome,
        percent(share.expected_share),
        percent(share.observed_share),
        counted(worst.answers, "answer"),
    )
}

fn probability(p: f64) -> String {
    if p < 1e-6 {
        "< 0.000001".to_owned()
    } else {
        format!("= {}", figures(p))
    }
}

pub(super) fn leaks(report: &Report) -> Option<Section> {
    let mut section = Section::new("Residency");
    let leaks = &report.shares.leaks;
    if leaks.answers == 0 && leaks.checked == 0 {
        return None;
    }
    if leaks.answers == 0 {
        let text = format!(
            "None of {} of clients with a residency was answered with a region that it forbids.",
            counted(leaks.checked, "question")
        );
        section.note(Tone::Good, text);
        return Some(section);
    }
    section.note(
        Tone::Bad,
        format!(
            "{} to {} sent a client to a region that its residency forbids.",
            counted(leaks.answers, "answer"),
            counted(leaks.questions, "question"),
        ),
    );
    let head = [
        "Service",
        "from",
        "sent to",
        "allowed",
        "for one",
        "questions",
    ];
    let mut table = Table::new(5, &head);
    for leak in &leaks.told {
        table.row(vec![
            leak.service.clone(),
            leak.country.clone(),
            leak.region.clone(),
            leak.allowed.join(", "),
            leak.client.clone(),
            whole(leak.questions as f64),
        ]);
    }
    section.table(table);
    Some(section)
}

pub(super) fn scopes(report: &Report) -> Option<Section> {
    let scopes = &report.shares.scopes;
    if scopes.checked == 0 {
        return None;
    }
    let mut section = Section::new("Scopes");
    if scopes.violations == 0 {
        let text = format!(
            "{} held: no client inside them was answered otherwise (RFC 7871).",
            counted(scopes.checked, "scope")
        );
        section.note(Tone::Good, text);
        return Some(section);
    }
    let text = format!(
        "{} of {} hold a client that was answered otherwise (RFC 7871): a resolver would have given it \
         the first answer.",
        whole(scopes.violations as f64),
        counted(scopes.checked, "scope"),
    );
    section.note(Tone::Bad, text);
    let head = ["Service", "client", "got", "for", "but inside it", "got"];
    let mut table = Table::new(6, &head);
    let told = |Contradiction {
                    service,
                    scope,
                    first,
                    second,
                }: &Contradiction| {
        let got = |regions: &[String]| match regions.is_empty() {
            true => "nothing".to_owned(),
            false => regions.join(", "),
        };
        vec![
            service.clone(),
            first.client.clone(),
            got(&first.regions),
            format!("/{scope}"),
            second.client.clone(),
            got(&second.regions),
        ]
    };
    scopes.told.iter().for_each(|c| table.row(told(c)));
    section.table(table);
    Some(section)
}
