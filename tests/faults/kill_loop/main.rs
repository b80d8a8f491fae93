//! `havenlink-kill-loop`: alerts flow between real nodes while random ones are killed with SIGKILL at random times; and in
//! between a partner is suspended and restored, an agreement is made and ended, an offer is paused, each with a kill in it.
//!
//! What lives here: the run, and the kills. What does not: what is published (`flow`), what changes (`steps`), what must hold
//! in the end (`verdict`).
//! Invariant shown: what was acknowledged stands in each recipient's inbox at exactly one position, and in the ledger as
//! disclosed once; nothing is owed in the end; both sides know the same ends of agreements.

mod flow;
mod side;
mod steps;
mod verdict;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use flow::Flow;
use havenlink::demo::Cities;
use havenlink::demo::acts::{agreeing, founding};
use havenlink::demo::stage::Stage;
use havenlink_tests::chance::Chance;
use side::Side;
use steps::{Step, Story};

/// Kills random nodes while alerts flow, and shows that none is lost and none is doubled.
#[derive(Parser)]
struct Arguments {
    /// The node's binary.
    #[arg(long)]
    binary: PathBuf,
    /// How many SIGKILLs.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// Concurrent publishers of alerts.
    #[arg(long, default_value_t = 16)]
    callers: usize,
    /// How often an agreement is made, a party suspended, the agreement ended and the party restored.
    #[arg(long, default_value_t = 1)]
    cycles: usize,
    /// Practices that each new partner finds in the beginning.
    #[arg(long, default_value_t = 200)]
    practices: usize,
    /// Alerts that must have been acknowledged at least, for the run to show anything.
    #[arg(long, default_value_t = 1_000)]
    least: usize,
    /// The same seed, the same kills.
    #[arg(long, env = "HAVENLINK_SEED", default_value_t = 1)]
    seed: u64,
    /// Expect that the harness finds a loss or a double (seeded bugs).
    #[arg(long)]
    expect_fault: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut chance = Chance::new(arguments.seed);
    println!("seed {}", chance.seed());
    let dir = tempfile::Builder::new().prefix("havenlink-kill-").tempdir()?;
    let result = run(&arguments, dir.path(), &mut chance).await;
    match (&result, arguments.expect_fault) {
        // Only a broken invariant is a catch: a node that does not come up, or a step that does not go, shows nothing.
        (Err(fault), true) if fault.is::<verdict::Broken>() => println!("the harness caught the seeded bug: {fault:#}"),
        (Err(_), true) => return result,
        (Ok(()), true) => anyhow::bail!("THE HARNESS DID NOT CATCH THE SEEDED BUG (seed {})", chance.seed()),
        (Ok(()), false) => {}
        (Err(_), false) => {
            let kept = dir.keep();
            eprintln!("seed {}, folder {}", chance.seed(), kept.display());
            return result;
        }
    }
    Ok(())
}

async fn run(arguments: &Arguments, dir: &Path, chance: &mut Chance) -> anyhow::Result<()> {
    let mut cities = Cities::prepare(dir, &arguments.binary)?;
    let mut stage = Stage::silent();
    founding::play(&mut stage, &mut cities).await?;
    agreeing::play(&mut stage, &mut cities).await?;
    let mut story = Story::new(cities.all().map(|city| Side::of(city)));
    story.practices(arguments.practices).await?;
    let mut flow = Flow::alerts(&story.strasbourg, arguments.callers, [cities.kehl.id(), cities.esch.id()]);
    let started = Instant::now();
    let steps = Step::cycles(arguments.cycles, chance);
    // Each step has a kill of its own; the others come between them.
    let mut between = arguments.kills.saturating_sub(steps.len());
    for (number, step) in steps.iter().enumerate() {
        let now = between / (steps.len() - number);
        between -= now;
        for _ in 0..now {
            kill_one(&mut cities, chance).await?;
        }
        let (victim, delay) = (chance.below(3), Duration::from_millis(chance.below(120)));
        println!("step {}: {step}; {} is killed {} ms into it", number + 1, name(&cities, victim), delay.as_millis());
        let kill = async {
            tokio::time::sleep(delay).await;
            kill(&mut cities, victim).await
        };
        let (played, killed) = tokio::join!(story.play(step, chance.below(2) == 0), kill);
        killed?;
        played?;
    }
    let sent = flow.ended(arguments.least).await?;
    for city in cities.all() {
        city.ready().await?;
    }
    let (count, tried) = (sent.len(), flow.tried());
    story.sent.extend(sent);
    verdict::reach(&story).await?;
    println!(
        "{} SIGKILLs and {} steps in {:.1} s, {count} alerts acknowledged of {tried} calls and {} practices, each at each \
         recipient at exactly one position and disclosed once, nothing owed, one end of each agreement (seed {})",
        arguments.kills.max(steps.len()),
        steps.len(),
        started.elapsed().as_secs_f64(),
        story.sent.len() - count,
        chance.seed()
    );
    for city in cities.all() {
        city.stop().await?;
    }
    Ok(())
}

fn name(cities: &Cities, number: u64) -> &'static str {
    [cities.strasbourg.id(), cities.kehl.id(), cities.esch.id()][usize::try_from(number).unwrap_or(0) % 3]
}

/// Kills a random node after a random while; the next kill does not wait for it.
async fn kill_one(cities: &mut Cities, chance: &mut Chance) -> anyhow::Result<()> {
    tokio::time::sleep(Duration::from_millis(chance.below(600))).await;
    kill(cities, chance.below(3)).await
}

/// Kills a node. It is started again at once.
async fn kill(cities: &mut Cities, number: u64) -> anyhow::Result<()> {
    let [a, b, c] = cities.all();
    let city = match number {
        0 => a,
        1 => b,
        _ => c,
    };
    city.kill().await?;
    city.start()
}
