//! (b) The register: signed changes by 1 and by 64 authorities through three stewards, reads by RPC, reads in memory.

use std::sync::Arc;

use havenlink_proto::directory::v1::{Consistency, GetRequest};
use tokio::sync::Mutex;

use crate::ceilings;
use crate::measure::{Loop, Sample, closed, median};
use crate::plan::Plan;
use crate::scene::Scene;
use crate::table::{Ceiling, Gate, Report};
use crate::writers::{self, Writer};

const AUTHORITIES: usize = 64;

type Writers = Vec<Arc<Mutex<Writer>>>;

/// Measures (b).
pub async fn measure(plan: &Plan, scene: &Scene, report: &mut Report) -> anyhow::Result<()> {
    let writers = writers::admit(scene, AUTHORITIES).await?;
    write(AUTHORITIES, plan.warm_up(), &writers).await?;
    let meter = scene.meter();
    for authorities in [1, AUTHORITIES] {
        let (mut ours, mut quorum) = (Vec::new(), Vec::new());
        for run in 0..plan.runs {
            let dir = plan.dir.join(format!("quorum-{authorities}-{run}"));
            std::fs::create_dir_all(&dir)?;
            quorum.push(ceilings::quorum(&dir, authorities, plan.ceiling_span()).await?.into());
            ours.push(meter.measure(write(authorities, plan.span, &writers)).await?);
        }
        let rate = |s: &Sample| s.ran.per_second;
        let (ours, quorum) = (median(ours)?, median(quorum)?);
        let gate = (authorities == AUTHORITIES).then(|| Gate::at_least(rate(&ours), 4_000.0, "/s"));
        let row = report.row(&format!("register write, authorities: {authorities}"), ours);
        row.ceiling = Some(Ceiling::of("quorum: 512 bytes fsynced at two of three over mutual TLS, no order", &quorum));
        row.gates.extend(gate);
    }
    for (name, consistency) in [("local", Consistency::Local), ("linearizable", Consistency::Linearizable)] {
        let (mut ours, mut echo) = (Vec::new(), Vec::new());
        for _ in 0..plan.runs {
            echo.push(ceilings::echo(AUTHORITIES, plan.ceiling_span()).await?.into());
            ours.push(meter.measure(read(consistency, plan, &writers)).await?);
        }
        let row = report.row(&format!("register Get, {name}"), median(ours)?);
        row.ceiling =
            Some(Ceiling::of("TLS echo: one unary call of 1 KiB over the node's own mutual TLS", &median(echo)?));
    }
    let reads = ceilings::view_reads(plan.ceiling_span())?;
    report.figure("register reads in memory", reads, "/s", Some(Gate::at_least(reads, 1_000_000.0, "/s")));
    Ok(())
}

async fn write(authorities: usize, span: std::time::Duration, writers: &Writers) -> anyhow::Result<Loop> {
    closed(authorities, span, |caller| {
        let writer = writers[caller].clone();
        move || {
            let writer = writer.clone();
            async move { writer.lock().await.write().await }
        }
    })
    .await
}

async fn read(consistency: Consistency, plan: &Plan, writers: &Writers) -> anyhow::Result<Loop> {
    let mut readers = Vec::new();
    for writer in writers {
        let writer = writer.lock().await;
        readers.push((writer.client(), writer.id().to_owned()));
    }
    closed(AUTHORITIES, plan.span, |caller| {
        // Each asks for its neighbour.
        let client = readers[caller].0.clone();
        let authority = readers[(caller + 1) % readers.len()].1.clone();
        move || {
            let mut client = client.clone();
            let get = GetRequest { authority: authority.clone(), consistency: consistency.into() };
            async move {
                let found = client.get(get).await?.into_inner().member.is_some();
                anyhow::ensure!(found, "the member is not there");
                Ok(())
            }
        }
    })
    .await
}
