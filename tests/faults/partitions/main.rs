//! `havenlink-partitions`: stewards in network namespaces of their own, parted, killed and stopped, while authorities write.
//!
//! Real nodes, founded and joined as operators would. Shown: no acknowledged statement is lost, every replica's head is
//! equal at an equal number, linearizable reads never go back. What is printed as `seed` gives the same faults again.

mod faults;
mod history;
mod ledger;
mod load;
mod network;
mod report;
mod scene;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use havenlink::clock::SystemClock;
use havenlink::domain::ids::{AuthorityId, FederationId};
use havenlink::domain::time::Millis;
use havenlink::transport::NodeIdentity;
use havenlink_tests::authors::{self, Author};
use havenlink_tests::chance::Chance;
use havenlink_tests::federation::{Federation, UNBOUNDED};
use load::{Load, Writer};
use network::Network;
use scene::Scene;

/// Parts, kills and stops stewards while authorities write, and shows that nothing acknowledged is lost.
#[derive(Parser)]
struct Arguments {
    /// The node's binary; its folder holds the others.
    #[arg(long)]
    binary: PathBuf,
    /// How long faults are made.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Authorities that write.
    #[arg(long, default_value_t = 64)]
    writers: usize,
    /// Stewards; one more member mirrors the register.
    #[arg(long, default_value_t = 5)]
    stewards: usize,
    /// The longest fault, in seconds; the shortest is one.
    #[arg(long, default_value_t = 30)]
    longest: u64,
    /// Milliseconds that a writer rests after each acknowledgement.
    #[arg(long, default_value_t = 20)]
    rest: u64,
    /// Changes between two snapshots of the register.
    #[arg(long, default_value_t = 1_024)]
    snapshots: u64,
    /// Only kinds of fault whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Expect that the run finds a violation (seeded bugs).
    #[arg(long)]
    expect_fault: bool,
    /// The same seed, the same faults.
    #[arg(long, env = "HAVENLINK_SEED", default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(why) = network::refused() {
        println!("skipped: {why}");
        return ExitCode::from(77);
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(until_told(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A run that is told to stop tidies up as well.
async fn until_told(arguments: &Arguments) -> anyhow::Result<()> {
    let mut told = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = run(arguments) => result,
        _ = told.recv() => bail!("told to stop"),
        _ = tokio::signal::ctrl_c() => bail!("told to stop"),
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut chance = Chance::new(arguments.seed);
    let seed = chance.seed();
    ensure!((3..=8).contains(&arguments.stewards), "from 3 to 8 stewards");
    let network = Network::lay(arguments.stewards + 1)?;
    let places = (0..=arguments.stewards).map(|place| network.place(place)).collect();
    let interval = arguments.snapshots.to_string();
    let genesis = ["--snapshot-interval", &interval, "--beat-interval", "1s"];
    let federation = Federation::found_at(&arguments.binary, places, arguments.stewards, UNBOUNDED, &genesis).await?;
    println!("{} stewards and a mirror stand, each in its own network (seed {seed})", arguments.stewards);
    let id = federation.cities[0].status().await?.federation_id;
    let id = FederationId::from_slice(&id).context("a federation id")?;
    let writers = writers(&federation, id, arguments, &mut chance).await?;
    let sockets: Vec<PathBuf> = federation.cities.iter().map(|city| city.sockets()).collect();
    let load = Load::new(sockets, ledger::Ledger::new(id, federation.cities.len()));
    let mut scene = Scene { federation, network, load, stewards: arguments.stewards };
    let result = scene.play(arguments, writers, &mut chance).await;
    if arguments.expect_fault {
        scene.federation.judge();
        let fault = result.err().context("THE HARNESS DID NOT CATCH THE SEEDED BUG")?;
        ensure!(fault.to_string().contains("VIOLATIONS"), "the run failed, but found no violation: {fault:#}");
        println!("the harness caught the seeded bug: {fault:#}");
        return Ok(());
    }
    if let Err(error) = result {
        let kept = scene.federation.keep();
        bail!("{error:#}\nseed {seed}, folder {}", kept.display());
    }
    println!("no acknowledged statement lost, heads equal at equal number, reads never went back (seed {seed})");
    Ok(())
}

/// The key of a node that nobody runs.
fn node() -> anyhow::Result<NodeIdentity> {
    let authority = AuthorityId::parse("zz-writer").context("an authority's id")?;
    let made = NodeIdentity::generate(&authority, SystemClock::shared().now(), Millis::days(90))?;
    Ok(NodeIdentity::from_der(&made.key, &made.certificate.der)?)
}

async fn writers(
    federation: &Federation,
    id: FederationId,
    arguments: &Arguments,
    chance: &mut Chance,
) -> anyhow::Result<Vec<Writer>> {
    let cities = &federation.cities[..arguments.stewards];
    let keys = cities.iter().map(|city| Author::of(city, id)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut register = cities[0].directory().await?;
    let mut writers = Vec::new();
    for number in 0..arguments.writers {
        let author = Author::new(format!("zz-writer-{number}"), id)?;
        let entry = author.entry(&node()?)?;
        authors::admit(&mut register, &keys, &author, &entry).await?;
        let chance = Chance::new(chance.below(u64::MAX));
        writers.push(Writer { number, author, entry, chance });
    }
    Ok(writers)
}
