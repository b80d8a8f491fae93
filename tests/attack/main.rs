//! `havenlink-attack`: what a hostile member, a hostile steward, a stranger and a local user cost, beside honest traffic, at
//! real nodes.
//!
//! What lives here: a scene of four cities, attacks on one of them, and a table of what each cost its honest users: their
//! p99 beside that under a control which only burns processor time, memory, log, disk, processor time. What does not:
//! whether single hostile messages are refused; the stories show that.
//! Invariant: an attack that was not under way is not counted as one that was withstood.
//!
//! A round is a few seconds, and a machine has other work: what a gate says of a round has to hold in one of three, the control
//! measured anew before each further one; each round that was not good is printed with its reason. Figures of a shared
//! machine are ratios.

mod attacks;
mod canaries;
mod honest;
mod rounds;
mod scene;
mod suspension;
mod table;
mod target;
mod watched;
mod withdrawal;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

/// Attacks one of some real nodes, and measures what its honest users notice.
#[derive(Parser)]
pub struct Arguments {
    /// The node's binary.
    #[arg(long, required_unless_present = "hold")]
    binary: Option<PathBuf>,
    /// Seconds of a round.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// How often each attack has to be withstood, one time after the other.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Only some attacks, by the names of the table.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Not a run: holds connections at this socket, for one that is.
    #[arg(long, hide = true)]
    hold: Option<PathBuf>,
    /// Keep the folder of the nodes.
    #[arg(long)]
    keep: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(socket) = &arguments.hold {
        return attacks::hold(socket);
    }
    if !attacks::may_be_another_user() {
        println!(
            "skipped: another_user: silent-local at the publisher's socket needs root, to be another user: it is held at another one"
        );
    }
    let binary = arguments.binary.context("a binary")?;
    let mut scene = scene::Scene::found(&binary).await?;
    let folder = scene.folder();
    if arguments.keep {
        println!("the folders of the nodes: {}", folder.display());
    }
    let span = Duration::from_secs_f64(arguments.seconds);
    let faults = rounds::play(&scene, span, arguments.runs, &arguments.only).await?;
    // Metrics go with the process.
    let sung = canaries::sung(scene.all(), scene.http()).await?;
    let late = rounds::come_back(&mut scene).await?;
    let all: Vec<String> = faults.into_iter().chain(sung).chain(late).collect();
    if arguments.keep || !all.is_empty() {
        println!("what the nodes left is in {}", scene.keep().display());
    }
    scene.close().await?;
    anyhow::ensure!(all.is_empty(), "not withstood:\n{}", all.join("\n"));
    Ok(())
}
