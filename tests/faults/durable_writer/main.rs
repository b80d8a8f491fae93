//! `durable-writer`: the node's real stores under load, for runs that cut their power or fill their disk.
//!
//! What lives here: writing with many callers at once and saying each acknowledgement as it comes (`write`, `fill`),
//! and reading back what is stored in the same words (`check`). What does not: cutting, filling and judging; the scripts
//! beside this folder do that, and count only what they had read before the cut.
//! Invariant: a line is printed only after the store or the register's log has acknowledged what it names.

mod check;
mod fill;
mod load;
mod owed;
mod parties;
mod register;
mod stage;
mod write;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// The node's real stores under load.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes until it is killed; prints `ready`, then each acknowledgement.
    Write { dir: PathBuf },
    /// Prints everything that is stored; fails on damage.
    Check { dir: PathBuf },
    /// Writes until the disk is full, then what must still go on; waits for a line on stdin; writes again.
    Fill {
        dir: PathBuf,
        /// Bytes that the store sets aside.
        #[arg(long)]
        ballast: u64,
        /// Ends as failed when this many records were acknowledged and the disk was never full.
        #[arg(long)]
        at_most: usize,
    },
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Write { dir } => write::run(&dir).await,
        Command::Check { dir } => check::run(&dir).await,
        Command::Fill { dir, ballast, at_most } => fill::run(&dir, ballast, at_most).await,
    }
}
