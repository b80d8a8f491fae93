//! `havenlink-fuzz`: hostile bytes into everything that reads what others made, a seeded number of them, and none may panic or
//! make the process grow.
//!
//! The corpus is the golden files of `compat`; a mutation works on a message as the tree that it is, and signs it again with
//! the key of the golden files, so that what is changed inside is judged by the rules. The same seed makes the same inputs.

mod mutate;
mod targets;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use havenlink_tests::chance::Chance;
use targets::{TARGETS, Target};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/0.1.0");
const AUTHORITY_KEY: &str = include_str!("../compat/0.1.0/authority-key.hex");
const SNAPSHOT_HEADER: &str = include_str!("../compat/0.1.0/snapshot-header.hex");
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
        fine &= fuzz(target, arguments).with_context(|| target.name)?;
    }
    Ok(fine)
}

/// The golden files of a target: hex as bytes, others as they are.
fn corpus(names: &[&str]) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(GOLDEN)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    let wanted = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.is_file() && names.iter().any(|start| name.starts_with(start))
    };
    let mut all = Vec::new();
    for file in files.iter().filter(|path| wanted(path)) {
        let bytes = std::fs::read(file)?;
        let is_hex = file.extension().is_some_and(|extension| extension == "hex");
        all.push(if is_hex { unhex(&bytes).with_context(|| file.display().to_string())? } else { bytes });
    }
    ensure!(!all.is_empty(), "no golden file begins with {names:?}");
    Ok(all)
}

fn unhex(text: &[u8]) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

/// Resident memory of this process, in MiB.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse::<u64>()? / 1_024)
}

fn fuzz(target: &Target, arguments: &Arguments) -> anyhow::Result<bool> {
    let corpus: Vec<Vec<u8>> = corpus(target.corpus)?.into_iter().map(target.within).collect();
    let mut chance = Chance::new(arguments.seed ^ target.name.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte)));
    let (began, mut early, mut came) = (Instant::now(), 0, [0_u64; 3]);
    for n in 0..arguments.inputs {
        let pick = |chance: &mut Chance| &corpus[usize::try_from(chance.below(corpus.len() as u64)).unwrap_or(0)];
        let (seed, other) = (pick(&mut chance), pick(&mut chance));
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
