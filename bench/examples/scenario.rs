//! Plays one scenario and prints its events as JSON: `cargo run -p rhumb-bench --example scenario -- RHUMB FILE`.
//! The command line's `rhumb bench scenario` says the same with charts.

#![allow(clippy::print_stdout)]

use bench::scenario::{Options, play};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(rhumb), Some(file)) = (arguments.next(), arguments.next()) else {
        println!("usage: scenario RHUMB FILE");
        return ExitCode::from(2);
    };
    let loaded = config::scenario::load(&file);
    let Some(scenario) = loaded.scenario else {
        println!("{}", config::problem::render(&loaded.problems));
        return ExitCode::from(2);
    };
    let played = play(&scenario, &Options::new(rhumb), &mut |progress| {
        if let Some(told) = progress.told {
            println!("{:>8.3} s  {told}", progress.at.as_secs_f64());
        }
    });
    let played = match played {
        Ok(played) => played,
        Err(error) => {
            println!("{error}");
            return ExitCode::from(2);
        }
    };
    match serde_json::to_string_pretty(&played.events) {
        Ok(events) => println!("{events}"),
        Err(error) => println!("{error}"),
    }
    for plane in played.planes() {
        let measured = &plane.measured;
        println!(
            "{:?}: sent {}, answered {}, failed {:?}, leaks {}, limited {:?}",
            plane.asks.plane,
            measured.sent,
            measured.answered,
            measured.errors,
            measured.leaks,
            measured.limited
        );
    }
    println!("server {:?}, spent {:?}", played.version, played.server_cpu);
    println!("missed: {:?}", played.missed);
    ExitCode::from(u8::from(!played.missed.is_empty()))
}
