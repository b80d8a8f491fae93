//! `havenlink-erasures`: persons are referred, withdraw, and are gone from three real nodes, which are killed meanwhile.
//!
//! What lives here: the run. What does not: what is looked for in files (`scan`), who refers and withdraws (`scene`).
//! Invariant shown: once each recipient has signed DONE, no file of any node holds a word of a referral, a block of its ciphertext or
//! its sealed key, and a copy of the database from before opens nothing with the keys of today. Before, the same looks find
//! all of it.

mod scan;
mod scene;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use havenlink_tests::chance::Chance;
use scan::Marks;
use scene::Scene;

/// From a withdrawal to the signed receipt, for 99 of 100.
const WITHIN: Duration = Duration::from_secs(60);

/// Refers persons, has them withdraw while nodes are killed, and looks for what is left of them.
#[derive(Parser)]
struct Arguments {
    /// The node's binary.
    #[arg(long)]
    binary: PathBuf,
    /// How many are referred.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=500))]
    referrals: u16,
    /// How many SIGKILLs while they withdraw.
    #[arg(long, default_value_t = 0)]
    kills: usize,
    /// The same seed, the same kills.
    #[arg(long, env = "HAVENLINK_SEED", default_value_t = 1)]
    seed: u64,
    /// Expect that the harness finds something that is left (seeded bugs).
    #[arg(long)]
    expect_fault: bool,
}

/// Something that is left, or that never came.
#[derive(Debug)]
struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut scene = Scene::found(&arguments.binary).await?;
    let result = run(&arguments, &mut scene).await;
    match (&result, arguments.expect_fault) {
        // Only what is left is a catch: a node that does not come up shows nothing.
        (Err(fault), true) if fault.is::<Broken>() => println!("the harness caught the seeded bug: {fault:#}"),
        (Err(_), true) => return result,
        (Ok(()), true) => anyhow::bail!("THE HARNESS DID NOT CATCH THE SEEDED BUG (seed {})", arguments.seed),
        (Ok(()), false) => {}
        (Err(_), false) => {
            eprintln!("seed {}, folder {}", arguments.seed, scene.keep().display());
            return result;
        }
    }
    scene.close().await
}

async fn run(arguments: &Arguments, scene: &mut Scene) -> anyhow::Result<()> {
    let referrals = usize::from(arguments.referrals);
    let sent = scene.refer(referrals).await?;
    let before = scene.copied().await?;
    let mut marks = Marks::default();
    for copy in &before {
        marks.take(copy.path()).await?;
    }
    let opened = scene.opened(&before, None, &sent).await?;
    ensure!(
        opened == 2 * referrals,
        "{opened} of {} open before: a look that finds nothing shows nothing",
        2 * referrals
    );
    let hits = marks.found_in(&scene.folders())?;
    ensure!(hits.len() >= 3, "of {marks} only {hits:?} is found before");
    println!(
        "{referrals} referrals; before they withdraw {opened} of {opened} open, {marks} are in {} files",
        hits.len()
    );

    let mut chance = Chance::new(arguments.seed);
    let mut times = scene.withdraw(&sent, arguments.kills, &mut chance).await?;
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!(
        "from withdrawal to DONE, under {} kills: p50 {:.2?}, p99 {:.2?}, the last {:.2?}",
        arguments.kills,
        at(50),
        at(99),
        times[times.len() - 1]
    );
    let left = marks.found_in(&scene.folders())?;
    hold(left.is_empty(), || format!("after DONE something is left in {}", left.join(", ")))?;
    let open = scene.opened(&before, Some(&scene.keys()), &sent).await?;
    hold(open == 0, || format!("{open} open from an old copy with the keys of today"))?;
    hold(at(99) <= WITHIN, || format!("p99 is {:.1?}", at(99)))?;
    println!("nothing of them is in any file, and of an old copy the keys of today open 0 of {}", 2 * referrals);
    Ok(())
}

fn hold(holds: bool, broken: impl FnOnce() -> String) -> anyhow::Result<()> {
    if holds { Ok(()) } else { Err(Broken(broken()).into()) }
}
