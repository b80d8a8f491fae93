//! `havenlink-bench`: a load driver over the public API, each scenario with its ceiling in the same run.
//!
//! The nodes are real release binaries with their own data directories; the driver speaks to them as a city's software
//! and as other members would. Ratios within a run mean something, figures of a shared machine little.

mod acknowledged;
mod alerts;
mod board;
mod ceilings;
mod footprint;
mod measure;
mod plan;
mod register;
mod scene;
mod stand;
mod table;
mod writers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use plan::Plan;
use scene::Scene;
use table::Report;

/// Measures a federation of real nodes on this machine, and the ceilings beside them.
#[derive(Parser)]
struct Arguments {
    /// The node's binary; otherwise the one beside this program.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Seconds of each loop.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Runs of each loop; the median is shown.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// About a minute in total: one run of a second each.
    #[arg(long)]
    short: bool,
    /// Only some of: alerts, register, footprint, board.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How many alerts are in flight, one loop each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    in_flight: Vec<usize>,
    /// A folder on the disk to be measured; otherwise the system's temporary one.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Keep the folder of the nodes.
    #[arg(long)]
    keep: bool,
    /// Also write the report as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// End with 1 when a gate is missed.
    #[arg(long)]
    gates: bool,
}

impl Arguments {
    fn asks_for(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|p| p == part)
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let parent = arguments.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = tempfile::Builder::new().prefix("havenlink-bench-").tempdir_in(parent)?;
    let (seconds, runs, starts) =
        if arguments.short { (1.0, 1, 3) } else { (arguments.seconds, arguments.runs.max(1), 7) };
    let plan = Plan {
        span: Duration::from_secs_f64(seconds),
        runs,
        starts,
        in_flight: arguments.in_flight.clone(),
        dir: dir.path().to_owned(),
        binary: scene::binary(arguments.binary.clone())?,
    };
    let measured = measure(&arguments, &plan).await;
    if arguments.keep || measured.is_err() {
        eprintln!("folder {}", dir.keep().display());
    }
    let report = measured?;
    report.print();
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    let missed = arguments.gates && report.missed() > 0;
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure(arguments: &Arguments, plan: &Plan) -> anyhow::Result<Report> {
    let mut report = Report::default();
    if arguments.asks_for("board") {
        board::measure(if arguments.short { 3 } else { 20 }, &plan.dir, &mut report).await?;
    }
    if !["alerts", "register", "footprint"].iter().any(|part| arguments.asks_for(part)) {
        return Ok(report);
    }
    let fresh = if arguments.asks_for("footprint") { Some(footprint::fresh(plan, &mut report).await?) } else { None };
    let mut scene = Scene::open(&plan.dir.join("scene"), &plan.binary).await?;
    if let Some(fresh) = fresh {
        footprint::idle(fresh, &scene, &mut report).await?;
    }
    if arguments.asks_for("alerts") {
        alerts::measure(plan, &scene, &mut report).await?;
        footprint::loaded(&scene, "the alerts", &mut report);
    }
    if arguments.asks_for("register") {
        register::measure(plan, &scene, &mut report).await?;
        footprint::loaded(&scene, "the register", &mut report);
    }
    if arguments.asks_for("footprint") {
        footprint::restart(&mut scene, &mut report).await?;
    }
    scene.close().await?;
    Ok(report)
}
