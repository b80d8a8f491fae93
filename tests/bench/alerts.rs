//! (a) Alerts: published at Strasbourg and stored, delivered to Kehl, stored there, and acknowledged. An operation ends
//! when Strasbourg knows the acknowledgement.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use havenlink::demo::city::{City, door};
use havenlink::demo::sample;
use havenlink_proto::local::v1::PublishRecordRequest;
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_proto::record::v1::{Alert, Purpose, Tlp};
use tonic::transport::Channel;

use crate::acknowledged::Acknowledged;
use crate::ceilings;
use crate::measure::{Sample, closed, median, open};
use crate::plan::Plan;
use crate::scene::Scene;
use crate::table::{Ceiling, Gate, Report};

/// Connections of the publishing software; a connection takes 64 calls at once.
const CONNECTIONS: usize = 6;
const TLS_CONNECTIONS: usize = 2;

/// How the software reaches its node.
#[derive(Clone)]
enum Line {
    Socket(RecordServiceClient<Channel>),
    Tls(RecordServiceClient<Channel>),
}

impl Line {
    async fn publish(&mut self, request: PublishRecordRequest) -> Result<Bytes, tonic::Status> {
        let answer = match self {
            Self::Socket(client) => client.publish_record(request).await?,
            Self::Tls(client) => client.publish_record(request).await?,
        };
        Ok(answer.into_inner().record_id)
    }
}

/// A city's own software that publishes alerts for one partner.
#[derive(Clone)]
struct Publisher {
    connections: Vec<Line>,
    acknowledged: Acknowledged,
    recipient: &'static str,
    alert: Alert,
}

type Operation = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

impl Publisher {
    async fn connect(from: &City, to: &City) -> anyhow::Result<Self> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Line::Socket(from.publisher().await?));
        }
        let watch = door(&from.sockets(), "publisher").await?;
        let acknowledged = Acknowledged::watch(watch, to.id()).await?;
        Ok(Self { connections, acknowledged, recipient: to.id(), alert: sample::advert_alert() })
    }

    /// The same city's software on another machine: over mutual TLS.
    async fn over_tls(&self, scene: &Scene) -> anyhow::Result<Self> {
        let door = scene.tls_door()?;
        let connections = (0..TLS_CONNECTIONS)
            .map(|_| Ok(Line::Tls(RecordServiceClient::new(door.dial()?))))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { connections, ..self.clone() })
    }

    /// One caller's operation.
    fn operation(&self, caller: usize) -> impl FnMut() -> Operation + Send + 'static + use<> {
        let line = self.connections[caller % self.connections.len()].clone();
        let (acknowledged, recipient, alert) = (self.acknowledged.clone(), self.recipient, self.alert.clone());
        move || {
            let (mut line, acknowledged) = (line.clone(), acknowledged.clone());
            let request = PublishRecordRequest {
                request_id: uuid::Uuid::new_v4().to_string(),
                sharing: Some(sample::sharing(&[recipient], Purpose::Prevention, Tlp::Green)),
                content: Some(alert.clone().into()),
                ..Default::default()
            };
            Box::pin(async move {
                let record = line.publish(request).await?;
                acknowledged.acknowledged(record).await
            })
        }
    }
}

/// Measures (a), and gives the highest rate.
pub async fn measure(plan: &Plan, scene: &Scene, report: &mut Report) -> anyhow::Result<()> {
    let publisher = Publisher::connect(&scene.cities.strasbourg, &scene.cities.kehl).await?;
    closed(16, plan.warm_up(), |caller| publisher.operation(caller)).await?;
    let commits = sqlite(plan, report).await?;
    let mut highest: f64 = 0.0;
    for in_flight in plan.in_flight.iter().copied() {
        let (ours, echo) = beside_echo(plan, scene, &publisher, in_flight).await?;
        highest = highest.max(ours.ran.per_second);
        let (rate, p50) = (ours.ran.per_second, ours.ran.p50_us);
        let row = report.row("alert published → acknowledged", ours);
        row.ceiling = Some(Ceiling::of("TLS echo: one unary call of 1 KiB over the node's own mutual TLS", &echo));
        match in_flight {
            1 => row.gates.push(Gate::at_most(p50 as f64, 4.0 * commits.ran.p50_us as f64 + 2_000.0, " µs p50")),
            64 => row.gates.push(Gate::at_least(rate, 2_500.0, "/s")),
            _ => {}
        }
    }
    let (meter, mut runs) = (scene.meter(), Vec::new());
    for _ in 0..plan.runs {
        runs.push(meter.measure(open(highest / 2.0, plan.span, 8, |lane| publisher.operation(lane))).await?);
    }
    report.row("alert, open loop at half of the highest", median(runs)?);
    over_tls(plan, scene, &publisher, report).await
}

async fn over_tls(plan: &Plan, scene: &Scene, publisher: &Publisher, report: &mut Report) -> anyhow::Result<()> {
    let publisher = publisher.over_tls(scene).await?;
    let first = publisher.operation(0)().await;
    if let Err(error) = first {
        report.skip(format!("alerts over the local mutual TLS: {error:#}"));
        return Ok(());
    }
    let (meter, mut runs) = (scene.meter(), Vec::new());
    for _ in 0..plan.runs {
        runs.push(meter.measure(closed(64, plan.span, |caller| publisher.operation(caller))).await?);
    }
    report.row("alert, published over mutual TLS", median(runs)?);
    Ok(())
}

async fn beside_echo(
    plan: &Plan,
    scene: &Scene,
    publisher: &Publisher,
    in_flight: usize,
) -> anyhow::Result<(Sample, Sample)> {
    let meter = scene.meter();
    let (mut ours, mut echo) = (Vec::new(), Vec::new());
    for _ in 0..plan.runs {
        echo.push(ceilings::echo(in_flight, plan.ceiling_span()).await?.into());
        ours.push(meter.measure(closed(in_flight, plan.span, |caller| publisher.operation(caller))).await?);
    }
    Ok((median(ours)?, median(echo)?))
}

async fn sqlite(plan: &Plan, report: &mut Report) -> anyhow::Result<Sample> {
    let mut runs = Vec::new();
    for run in 0..plan.runs {
        let dir = plan.dir.join(format!("sqlite-{run}"));
        std::fs::create_dir_all(&dir)?;
        runs.push(ceilings::sqlite_commit(&dir, plan.ceiling_span()).await?.into());
    }
    let commits = median(runs)?;
    report.row("ceiling: SQLite, one row per FULL commit", commits.clone());
    Ok(commits)
}
