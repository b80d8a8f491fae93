//! `havenlink-kill-loop`: alerts flow between real nodes while random ones are killed with SIGKILL at random times.
//!
//! Invariant shown: an alert whose publish was acknowledged stands in every recipient's inbox, at exactly one position.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Parser;
use havenlink::demo::acts::{agreeing, founding};
use havenlink::demo::city::City;
use havenlink::demo::stage::Stage;
use havenlink::demo::{Cities, sample};
use havenlink_proto::admin::v1::GetStatusResponse;
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_proto::local::v1::{ConsumeRequest, PublishRecordRequest};
use havenlink_proto::record::v1::{Purpose, RecordKind, Tlp};
use havenlink_tests::chance::Chance;
use tokio::task::JoinSet;
use tonic::transport::Channel;

/// Kills random nodes while alerts flow, and shows that none is lost and none is doubled.
#[derive(Parser)]
struct Arguments {
    /// The node's binary.
    #[arg(long)]
    binary: PathBuf,
    /// How many SIGKILLs.
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// Concurrent publishers.
    #[arg(long, default_value_t = 16)]
    callers: usize,
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

/// The run shows nothing, neither a fault nor that there is none.
#[derive(Debug)]
struct TooFew {
    acknowledged: usize,
    least: usize,
}

impl std::fmt::Display for TooFew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} alerts were acknowledged, fewer than {}: this shows nothing", self.acknowledged, self.least)
    }
}

impl std::error::Error for TooFew {}

/// How long alerts flow on after the last kill, at most.
const ENOUGH: Duration = Duration::from_secs(120);

type Acknowledged = Arc<Mutex<Vec<Bytes>>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut chance = Chance::new(arguments.seed);
    println!("seed {}", chance.seed());
    let dir = tempfile::Builder::new().prefix("havenlink-kill-").tempdir()?;
    let result = run(&arguments, dir.path(), &mut chance).await;
    match (&result, arguments.expect_fault) {
        (Err(nothing), true) if nothing.is::<TooFew>() => return result,
        (Err(fault), true) => println!("the harness caught the seeded bug: {fault:#}"),
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
    let recipients = [cities.kehl.id(), cities.esch.id()];
    let (stop, tried) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let acknowledged: Acknowledged = Arc::default();
    let mut callers = JoinSet::new();
    for _ in 0..arguments.callers {
        let socket = cities.strasbourg.sockets();
        callers.spawn(publish(socket, recipients, stop.clone(), tried.clone(), acknowledged.clone()));
    }
    let started = Instant::now();
    for _ in 0..arguments.kills {
        kill_one(&mut cities, chance).await?;
    }
    enough(&acknowledged, arguments.least).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended?;
    }
    for city in cities.all() {
        city.ready().await?;
    }
    let sent: BTreeSet<Bytes> = acknowledged.lock().expect("no caller panicked").iter().cloned().collect();
    if sent.len() < arguments.least {
        return Err(TooFew { acknowledged: sent.len(), least: arguments.least }.into());
    }
    let Cities { strasbourg, kehl, esch } = &mut cities;
    for city in [kehl, esch] {
        verify(strasbourg, city, &sent).await?;
    }
    println!(
        "{} SIGKILLs in {:.1} s, {} alerts acknowledged of {} calls, each at both recipients at exactly one position (seed {})",
        arguments.kills,
        started.elapsed().as_secs_f64(),
        sent.len(),
        tried.load(Ordering::Relaxed),
        chance.seed()
    );
    for city in cities.all() {
        city.stop().await?;
    }
    Ok(())
}

/// On a slow machine the nodes may hardly come up between two kills: then callers go on without any until there is enough to
/// show something. Without success it is the caller that says so.
async fn enough(acknowledged: &Acknowledged, least: usize) {
    let deadline = Instant::now() + ENOUGH;
    while acknowledged.lock().expect("no caller panicked").len() < least && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Kills a random node after a random while. It is started again at once; the next kill does not wait for it.
async fn kill_one(cities: &mut Cities, chance: &mut Chance) -> anyhow::Result<()> {
    tokio::time::sleep(Duration::from_millis(chance.below(600))).await;
    let [a, b, c] = cities.all();
    let city = match chance.below(3) {
        0 => a,
        1 => b,
        _ => c,
    };
    city.kill().await?;
    city.start()
}

/// Publishes until told to stop. A call without an answer is repeated under its request id until it has one.
async fn publish(
    sockets: PathBuf,
    recipients: [&'static str; 2],
    stop: Arc<AtomicBool>,
    tried: Arc<AtomicUsize>,
    acknowledged: Acknowledged,
) {
    let mut side: Option<RecordServiceClient<Channel>> = None;
    while !stop.load(Ordering::Relaxed) {
        let request = PublishRecordRequest {
            request_id: uuid::Uuid::new_v4().to_string(),
            sharing: Some(sample::sharing(&recipients, Purpose::Prevention, Tlp::Green)),
            content: Some(sample::advert_alert().into()),
            ..Default::default()
        };
        loop {
            tried.fetch_add(1, Ordering::Relaxed);
            let answer = match &mut side {
                Some(client) => client.publish_record(request.clone()).await.ok(),
                None => None,
            };
            if let Some(answer) = answer {
                acknowledged.lock().expect("no caller panicked").push(answer.into_inner().record_id);
                break;
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
            side = havenlink::demo::city::door(&sockets, "publisher").await.ok().map(RecordServiceClient::new);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Reads the inbox until everything acknowledged was seen, waits until the origin has nothing left to send (what a kill
/// cut off is sent again), and reads to the end.
async fn verify(origin: &mut City, city: &City, sent: &BTreeSet<Bytes>) -> anyhow::Result<()> {
    let mut read = Read::default();
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        read.up_to_the_end(city).await?;
        let missing = sent.iter().filter(|id| !read.positions.contains_key(*id)).count();
        if missing == 0 {
            break;
        }
        ensure!(Instant::now() < deadline, "{}: {missing} of {} acknowledged alerts are lost", city.id(), sent.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let settled = |s: &GetStatusResponse| s.partners.iter().any(|p| p.authority == city.id() && p.queued == 0);
    origin.until("nothing waits for a recipient", settled).await?;
    read.up_to_the_end(city).await?;
    let twice: Vec<_> = read.positions.iter().filter(|(_, p)| p.len() > 1).take(3).collect();
    ensure!(twice.is_empty(), "{}: alerts at more than one position: {twice:?}", city.id());
    Ok(())
}

/// Where each alert was seen, and the last position that was read.
#[derive(Default)]
struct Read {
    positions: BTreeMap<Bytes, Vec<u64>>,
    after: u64,
}

impl Read {
    async fn up_to_the_end(&mut self, city: &City) -> anyhow::Result<()> {
        let request = ConsumeRequest {
            consumer: "kill-loop".into(),
            after_position: self.after,
            kinds: vec![RecordKind::Alert.into()],
            until_empty: true,
            ..Default::default()
        };
        let mut stream = city.inbox().await?.consume(request).await?.into_inner();
        while let Some(read) = stream.message().await? {
            ensure!(read.position > self.after, "{}: position {} after {}", city.id(), read.position, self.after);
            self.after = read.position;
            let id = read.envelope.context("an envelope")?.record_id;
            self.positions.entry(id).or_default().push(read.position);
        }
        Ok(())
    }
}
