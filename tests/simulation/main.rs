//! Runs worlds by their seeds: `havenlink-simulation --worlds 10000 --seed 1`; one again, with all of it: `--only 7`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use havenlink_simulation::{Broken, Ran, run};

/// Worlds of crashes, loss, reordering, partitions and wrong clocks, around the pure cores of the product
#[derive(Debug, Parser)]
struct Arguments {
    /// How many worlds
    #[arg(long, default_value_t = 10_000)]
    worlds: u64,
    /// The seed of the first; the others follow on it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One world, told in full
    #[arg(long)]
    only: Option<u64>,
    /// Puts a bug in, by its name in the code
    #[arg(long)]
    broken: Option<String>,
    /// Ends well when an invariant is broken
    #[arg(long)]
    expect_fault: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let named = |name: &String| Broken::ALL.iter().copied().find(|bug| format!("{bug:?}") == *name);
    let broken = match &arguments.broken {
        Some(name) if named(name).is_none() => {
            eprintln!("no such bug: {name}; there are {:?}", Broken::ALL);
            return ExitCode::from(2);
        }
        name => name.as_ref().and_then(named),
    };
    if let Some(seed) = arguments.only {
        let ran = run(seed, broken);
        print!("{}", ran.text);
        println!("seed {seed}: {} steps, digest {:?}: {}", ran.steps, ran.digest, told(&ran));
        return ExitCode::from(u8::from(ran.fault.is_some()));
    }
    let began = Instant::now();
    // The seed of a commit is a large number: worlds of neighbouring commits are others all the same.
    let first = arguments.seed.wrapping_mul(1 << 24);
    let (next, steps, found) = (AtomicU64::new(0), AtomicU64::new(0), std::sync::Mutex::new(Vec::new()));
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= arguments.worlds {
                return;
            }
            let ran = run(first.wrapping_add(n), broken);
            steps.fetch_add(ran.steps, Ordering::Relaxed);
            if ran.fault.is_some() {
                println!("seed {}: {}", ran.seed, told(&ran));
                next.store(arguments.worlds, Ordering::Relaxed);
                found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(ran.seed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let found = found.into_inner().unwrap_or_default();
    let (steps, took) = (steps.into_inner(), began.elapsed());
    match found.first() {
        Some(seed) => println!("an invariant is broken; all of it: havenlink-simulation --only {seed}"),
        None => {
            println!("{} worlds from seed {first}, {steps} steps, in {took:.1?}: all invariants hold", arguments.worlds)
        }
    }
    ExitCode::from(u8::from(found.is_empty() == arguments.expect_fault))
}

fn told(ran: &Ran) -> &str {
    ran.fault.as_deref().unwrap_or("all invariants hold")
}
