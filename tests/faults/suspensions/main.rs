//! `havenlink-suspensions`: how long a suspended member still gets through, between real nodes.
//!
//! Four situations: idle (nobody is connected, each call dials anew), a pooled connection that was warmed and left idle,
//! a stream (items flow both ways, a reader has its stream open), and the quorum of stewards down (two of three killed
//! before the order). In each, somebody with the suspended member's real keys goes on calling the partner, and the
//! partner goes on publishing for it. Invariant shown: nothing succeeds after the first refusal, and p99 from the start of
//! the operator's call to the last success is at most a limit. The product's is one second, on a machine of its own; what
//! is asked where nothing is said leaves room for a machine with other work.
//!
//! One steward may suspend an authority once in seven days, so a federation of three stewards, one partner and n targets
//! is good for 3 n runs; then a new one is founded. Restoring is done by a majority, as operators would.

mod measure;
mod scene;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use measure::{Row, Table};
use scene::Scene;

/// Measures how long suspended members still get through.
#[derive(Parser)]
struct Arguments {
    /// The node's binary.
    #[arg(long)]
    binary: PathBuf,
    /// Runs of each situation.
    #[arg(long, default_value_t = 200)]
    runs: usize,
    /// Members to suspend in one federation, at most six.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=6))]
    targets: u8,
    /// How long to go on trying after the first refusal, in milliseconds.
    #[arg(long, default_value_t = 700)]
    after_ms: u64,
    /// The longest p99 that is good, in milliseconds.
    #[arg(long, default_value_t = 5_000)]
    limit_ms: u64,
    /// Expect that the harness finds somebody who gets through (seeded bugs).
    #[arg(long)]
    expect_fault: bool,
}

/// In which situation the order comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Situation {
    Idle,
    Pooled,
    Streaming,
    QuorumDown,
}

impl Situation {
    const ALL: [Self; 4] = [Self::Idle, Self::Pooled, Self::Streaming, Self::QuorumDown];

    fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Pooled => "pooled connection",
            Self::Streaming => "streaming",
            Self::QuorumDown => "steward quorum down",
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let result = run(&arguments).await;
    match (&result, arguments.expect_fault) {
        (Err(fault), true) => println!("the harness caught the seeded bug: {fault:#}"),
        (Ok(()), true) => anyhow::bail!("THE HARNESS DID NOT CATCH THE SEEDED BUG"),
        _ => return result,
    }
    Ok(())
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let after = Duration::from_millis(arguments.after_ms);
    let targets = usize::from(arguments.targets);
    let mut table = Table::default();
    let mut left: Vec<(Situation, usize)> = Situation::ALL.map(|s| (s, arguments.runs)).to_vec();
    while left.iter().any(|(_, runs)| *runs > 0) {
        let mut scene = Scene::found(&arguments.binary, targets).await?;
        for steward in 0..scene::STEWARDS {
            // The situation that has most runs before it: they take turns.
            let Some((situation, runs)) = left.iter_mut().max_by_key(|(_, runs)| *runs).filter(|(_, r)| *r > 0) else {
                break;
            };
            let batch = targets.min(*runs);
            let rows = match scene.batch(*situation, steward, batch, after).await {
                Ok(rows) => rows,
                Err(fault) => {
                    return Err(fault.context(format!("what the nodes left is in {}", scene.keep().display())));
                }
            };
            table.extend(*situation, rows);
            *runs -= batch;
        }
        scene.close().await?;
        table.progress();
    }
    table.print();
    verdict(&table, Duration::from_millis(arguments.limit_ms))
}

fn verdict(table: &Table, limit: Duration) -> anyhow::Result<()> {
    for (situation, rows) in table.situations() {
        for row in rows {
            ensure!(
                row.after_refusal == 0,
                "{}: {} successes after the first refusal ({} suspended)",
                situation.name(),
                row.after_refusal,
                row.target
            );
        }
        for (what, take) in [("of its calls", Row::CALLS), ("towards it", Row::TOWARDS)] {
            let p99 = measure::percentile(rows, take, 99);
            ensure!(p99 <= limit, "{}: p99 {what} {} ms", situation.name(), p99.as_millis());
        }
    }
    Ok(())
}
