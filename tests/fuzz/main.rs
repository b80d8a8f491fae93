//! `havenlink-fuzz`: hostile bytes into everything that reads what others made, a seeded number of them, and none may panic or
//! make the process grow.
//!
//! A mutation works on a message as the tree that it is, and signs it again with the key of the golden files, so that what is
//! changed inside is judged by the rules. The same seed makes the same inputs. What coverage found (`guided`) is begun with.

mod corpus;
mod kept;
mod mutate;
mod targets;

use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use havenlink_tests::chance::Chance;
use targets::{TARGETS, Target};

/// Growth of the process that a target may have beyond its first tenth, in MiB.
const GROWTH: u64 = 48;

/// Mutated inputs into every decoder of what others made.
#[derive(Parser)]
struct Arguments {
    /// Inputs for each target.
    #[arg(long, default_value_t = 20_000)]
    inputs: u64,
    /// One target by name.
    #[arg(long)]
    target: Option<String>,
    #[arg(long, env = "HAVENLINK_SEED", default_value_t = 1)]
    seed: u64,
    /// Where an input that made a target panic is written.
    #[arg(long, default_value = "target/fuzz")]
    found: PathBuf,
    /// Writes what each target begins with into this folder, a file each, for the guided one; nothing else is done.
    #[arg(long)]
    lay_out: Option<PathBuf>,
    /// Keeps what the guided one found and merged in this folder, as far as it is small; nothing else is done.
    #[arg(long, conflicts_with = "lay_out")]
    keep: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    println!("seed {}", arguments.seed);
    let mut fine = true;
    let chosen = |target: &&Target| arguments.target.as_ref().is_none_or(|name| name == target.name);
    for target in TARGETS.iter().filter(chosen) {
        fine &= match (&arguments.lay_out, &arguments.keep) {
            (Some(folder), _) => kept::lay_out(target, folder).map(|()| true),
            (None, Some(folder)) => kept::keep(target, folder).map(|()| true),
            (None, None) => fuzz(target, arguments),
        }
        .with_context(|| target.name)?;
    }
    Ok(fine)
}

/// Resident memory of this process, in MiB.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse::<u64>()? / 1_024)
}

fn fuzz(target: &Target, arguments: &Arguments) -> anyhow::Result<bool> {
    let corpus = corpus::of(target)?;
    let mut chance = Chance::new(arguments.seed ^ target.name.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte)));
    let (began, mut early, mut came) = (Instant::now(), 0, [0_u64; 3]);
    for n in 0..arguments.inputs {
        let (seed, other) = (corpus.pick(&mut chance), corpus.pick(&mut chance));
        let input = mutate::mutated(&mut chance, seed, other);
        let Ok(how) = catch_unwind(|| (target.run)(&input)) else {
            std::fs::create_dir_all(&arguments.found)?;
            let file = arguments.found.join(format!("{}-{}-{n}.bin", target.name, arguments.seed));
            std::fs::write(&file, &input)?;
            println!("{:<10} PANIC at input {n}, written to {}", target.name, file.display());
            return Ok(false);
        };
        came[how as usize] += 1;
        if n == arguments.inputs / 10 {
            early = resident()?;
        }
    }
    let (seconds, grown) = (began.elapsed().as_secs_f64(), resident()?.saturating_sub(early));
    let [outside, inside, through] = came;
    println!(
        "{:<10} {} inputs in {seconds:.1} s: {outside} refused unread, {inside} refused, {through} taken; grown by {grown} MiB",
        target.name, arguments.inputs
    );
    let reached = inside + through > 0;
    if !reached {
        println!("{:<10} nothing came inside: this fuzzes a door that is shut", target.name);
    }
    if grown > GROWTH {
        println!("{:<10} it grew by more than {GROWTH} MiB", target.name);
    }
    Ok(reached && grown <= GROWTH)
}
