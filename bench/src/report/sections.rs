//! What a report tells, in its order: how fast, what went wrong, where the answers went, what happened at
//! each step, and by what all this was made.

mod answers;

use super::chart::{figures, micros, seconds, short, whole};
use super::page::{Block, Chart, Page, Section, Table, Tone, counted, percent};
use super::{FailoverTold, Report};

/// The most services that have charts of their own.
const MAX_CHARTS: usize = 16;

pub(super) fn page(report: &Report) -> Page {
    let about = &report.about;
    let how = match about.transport.is_empty() {
        true => about.plane.to_uppercase(),
        false => format!("{}, {}", about.plane.to_uppercase(), about.transport),
    };
    let sections = [
        speed(report),
        failures(report),
        answers::shares(report),
        answers::leaks(report),
        answers::scopes(report),
        steps(report),
        traffic(report),
        made(report),
    ];
    Page {
        title: about.title.clone(),
        subtitle: format!(
            "{} ({how}), policies of {}, {}",
            about.server, about.config, about.date
        ),
        failures: report.failures(),
        figures: headline(report),
        sections: sections.into_iter().flatten().collect(),
    }
}

fn headline(report: &Report) -> Vec<(&'static str, String, String)> {
    let latency = |name, percent| {
        let told = report.latency.at(percent);
        Some((
            name,
            micros(told?),
            format!("of answers took less in {percent} %"),
        ))
    };
    let of = report.answered + report.failed;
    let failed = report.failed as f64 / of.max(1) as f64;
    let mut figures = vec![(
        "Rate",
        format!("{} /s", short(report.rate)),
        format!(
            "{} in {}",
            counted(report.answered, "answer"),
            seconds(report.elapsed)
        ),
    )];
    figures
        .extend(latency("Median", 50.0).map(|(name, value, _)| {
            (name, value, format!("mean {}", micros(report.latency.mean)))
        }));
    figures.extend(latency("99 %", 99.0).map(|(name, value, _)| {
        (
            name,
            value,
            format!("longest {}", micros(report.latency.max)),
        )
    }));
    figures.push((
        "Failed",
        percent(failed),
        counted(report.failed, "question"),
    ));
    figures.push((
        "Generator",
        format!("{} CPU", percent_of_cpu(report.generator.share)),
        format!(
            "{} µs an answer",
            self::figures(report.generator.micros_each.total())
        ),
    ));
    figures
}

fn percent_of_cpu(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn speed(report: &Report) -> Option<Section> {
    let mut section = Section::new("Rate and latency");
    if let Some(limited) = &report.generator.limited {
        let text =
            format!("The generator, not the server, may be what limited this run: {limited}");
        section.note(Tone::Bad, text);
    }
    section.note(Tone::Plain, pace(report));
    let mut table = Table::new(1, &["Answers within", "took at most"]);
    for percentile in &report.latency.percentiles {
        let percent = format!("{} %", percentile.percent);
        table.row(vec![percent, micros(percentile.micros)]);
    }
    if report.answered > 0 {
        table.row(vec!["all".to_owned(), micros(report.latency.max)]);
    }
    section.blocks.push(Block::Chart(Chart::Latency));
    section.table(table);
    if let Some(timeline) = &report.timeline {
        section.blocks.push(Block::Chart(Chart::Rate));
        section.blocks.push(Block::Chart(Chart::Delay));
        section
            .blocks
            .push(Block::Folded("Rate and latency by time".to_owned(), {
                let head = ["from", "answers /s", "failures /s", "mean", "longest"];
                let mut table = Table::new(0, &head);
                let every = timeline.answered.len().div_ceil(60);
                for i in (0..timeline.answered.len()).step_by(every) {
                    table.row(vec![
                        seconds(i as f64 * timeline.slice),
                        short(timeline.answered[i]),
                        short(timeline.failed[i]),
                        micros(timeline.mean[i]),
                        micros(timeline.longest[i]),
                    ]);
                }
                table
            }));
    }
    Some(section)
}

fn pace(report: &Report) -> String {
    let load = &report.load;
    let pace = match (load.rate, load.in_flight) {
        (Some(rate), _) => format!("Open loop, {} questions a second", short(rate)),
        (_, Some(in_flight)) => format!("Closed loop, {} in flight", whole(in_flight as f64)),
        _ => "Load".to_owned(),
    };
    let from = match report.latency.from {
        "due" => "the moment a question was due, so a stall shows",
        _ => "the moment a question was sent",
    };
    format!(
        "{pace}, {}, {} after a warm-up of {}. Latency counts from {from}.",
        counted(load.threads as u64, "thread"),
        seconds(load.duration),
        seconds(load.warmup),
    )
}

fn failures(report: &Report) -> Option<Section> {
    let mut section = Section::new("Failures");
    let of = (report.answered + report.failed).max(1) as f64;
    let mut table = Table::new(1, &["What", "how often", "share"]);
    for error in &report.errors {
        let share = percent(error.count as f64 / of);
        table.row(vec![error.kind.clone(), whole(error.count as f64), share]);
    }
    if table.rows.is_empty() {
        return None;
    }
    section.table(table);
    Some(section)
}

fn steps(report: &Report) -> Option<Section> {
    let mut section = Section::new("What happened");
    for (i, step) in report.events.iter().enumerate() {
        let heading = format!("{}. {} at {}", i + 1, step.what, seconds(step.at));
        section.blocks.push(Block::Heading(heading));
        let head = [
            "Service",
            "objective",
            "first probe",
            "decided",
            "first right",
            "last wrong",
            "with TTL",
            "rto",
            "wrong",
            "failed",
        ];
        let mut table = Table::new(2, &head);
        step.failovers
            .iter()
            .for_each(|failover| table.row(failover_cells(failover)));
        if table.rows.is_empty() {
            section.note(Tone::Plain, "No service was to change.");
        }
        section.table(table);
    }
    (!report.events.is_empty()).then_some(section)
}

fn failover_cells(failover: &FailoverTold) -> Vec<String> {
    let time = |time: Option<f64>| time.map_or_else(|| "–".to_owned(), seconds);
    let met = match failover.within_rto {
        Some(true) => "met",
        Some(false) => "missed",
        None => "none",
    };
    vec![
        failover.service.clone(),
        met.to_owned(),
        time(failover.first_probe),
        time(failover.decided),
        time(failover.first_right),
        time(failover.last_wrong),
        time(failover.took()),
        time(failover.rto),
        whole(failover.wrong as f64),
        whole(failover.failed as f64),
    ]
}

fn traffic(report: &Report) -> Option<Section> {
    let timeline = report.timeline.as_ref()?;
    let mut section = Section::new("Traffic by time");
    for (i, line) in timeline.services.iter().enumerate().take(MAX_CHARTS) {
        section.blocks.push(Block::Heading(line.service.clone()));
        section.blocks.push(Block::Chart(Chart::Traffic(i)));
        let mut head = vec!["outcome"];
        head.extend(["first tenth", "middle", "last tenth"]);
        let mut table = Table::new(1, &head);
        let slices = timeline.answered.len();
        let tenth = slices.div_ceil(10);
        let parts = [
            0..tenth,
            slices / 2 - tenth / 2..slices / 2 + tenth.div_ceil(2),
            slices - tenth..slices,
        ];
        for outcome in &line.outcomes {
            let mut cells = vec![outcome.outcome.clone()];
            for part in &parts {
                let all = line.outcomes.iter().flat_map(|o| &o.answers[part.clone()]);
                let all: u64 = all.sum();
                let these: u64 = outcome.answers[part.clone()].iter().sum();
                cells.push(percent(these as f64 / all.max(1) as f64));
            }
            table.row(cells);
        }
        section.blocks.push(Block::Folded(
            format!("{}: shares by time", line.service),
            table,
        ));
    }
    (!timeline.services.is_empty()).then_some(section)
}

fn made(report: &Report) -> Option<Section> {
    let (about, machine) = (&report.about, &report.about.machine);
    let mut section = Section::new("How this was made");
    let mut table = Table::new(2, &["", ""]);
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            table.row(vec![name.to_owned(), value]);
        }
    };
    row("command", about.command.clone());
    row(
        "load from",
        format!(
            "{} of {}{}, {} GB, {}, Linux {}",
            counted(machine.processors as u64, "processor"),
            machine.processor,
            if machine.virtual_machine {
                " (virtual)"
            } else {
                ""
            },
            figures(machine.memory as f64 / 1e9),
            machine.system,
            machine.kernel,
        ),
    );
    row(
        "generator",
        format!(
            "{} s user and {} s system, {} of a processor; {} µs an answer",
            figures(report.generator.cpu.user),
            figures(report.generator.cpu.system),
            percent_of_cpu(report.generator.share),
            figures(report.generator.micros_each.total()),
        ),
    );
    for (program, version) in &about.versions {
        row(program, version.clone());
    }
    section.table(table);
    Some(section)
}
