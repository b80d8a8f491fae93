//! (c) What a node needs: binary, start to ready, resident memory idle and loaded.

use std::time::{Duration, Instant};

use havenlink::demo::city::City;
use havenlink::demo::sample;

use crate::measure::resident_mb;
use crate::plan::Plan;
use crate::scene::Scene;
use crate::table::{Gate, Report};

/// How long a node is left alone before its memory counts as idle.
pub const QUIET: Duration = Duration::from_secs(10);

/// A node that was founded and serves nobody; it runs.
pub async fn fresh(plan: &Plan, report: &mut Report) -> anyhow::Result<City> {
    let megabytes = std::fs::metadata(&plan.binary)?.len() as f64 / 1e6;
    report.figure("size of the binary", megabytes, "MB", Some(Gate::at_most(megabytes, 25.0, " MB")));
    let mut city = City::prepare(&plan.dir.join("fresh"), &sample::CITIES[0], &plan.binary)?;
    city.once(&["init"]).await?;
    let mut took = Vec::new();
    for start in 0..plan.starts {
        if start > 0 {
            city.stop().await?;
        }
        let started = Instant::now();
        city.start()?;
        city.ready().await?;
        took.push(started.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    let median = took[took.len() / 2];
    report.figure("start to ready, one steward", median, "ms", Some(Gate::at_most(median, 300.0, " ms")));
    Ok(city)
}

/// Memory of the fresh node and of the three, after they were left alone.
pub async fn idle(mut fresh: City, scene: &Scene, report: &mut Report) -> anyhow::Result<()> {
    // Not a wait for a condition: the figure is defined by the time.
    tokio::time::sleep(QUIET).await;
    let alone = fresh.pid().map_or(0.0, resident_mb);
    report.figure("memory of a fresh idle node", alone, "MB", Some(Gate::at_most(alone, 40.0, " MB")));
    fresh.stop().await?;
    let three: f64 = scene.resident().iter().map(|(_, mb)| mb).sum();
    report.figure("memory of three idle nodes together", three, "MB", Some(Gate::at_most(three, 150.0, " MB")));
    Ok(())
}

/// Memory of the three now.
pub fn loaded(scene: &Scene, after: &str, report: &mut Report) {
    for (name, megabytes) in scene.resident() {
        report.figure(&format!("memory of {name} after {after}"), megabytes, "MB", None);
    }
}

/// Start to ready of a node that holds what the run brought it: Kehl, with its inbox.
pub async fn restart(scene: &mut Scene, report: &mut Report) -> anyhow::Result<()> {
    let kehl = &mut scene.cities.kehl;
    kehl.stop().await?;
    let started = Instant::now();
    kehl.start()?;
    kehl.ready().await?;
    report.figure("start to ready, Kehl with its records", started.elapsed().as_secs_f64() * 1e3, "ms", None);
    Ok(())
}
