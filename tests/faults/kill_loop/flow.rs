//! What is published, and what of it was acknowledged. A call without an answer is repeated under its request id until it
//! has one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use havenlink::demo::acts::request_id;
use havenlink::demo::sample;
use havenlink_proto::local::v1::PublishRecordRequest;
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_proto::record::v1::{Purpose, RecordKind, Tlp};
use tokio::task::JoinSet;
use tonic::transport::Channel;

use crate::side::{Side, persist};

/// A record whose publisher was told that it is stored.
#[derive(Clone, Debug)]
pub struct Sent {
    pub origin: &'static str,
    pub kind: RecordKind,
    pub id: Bytes,
    /// Whom it must reach.
    pub recipients: Vec<String>,
}

/// How long alerts flow on after the last kill, at most.
const ENOUGH: Duration = Duration::from_secs(120);
/// Between calls while this authority or a named recipient is suspended.
const REFUSED: Duration = Duration::from_millis(20);

/// The run shows nothing, neither a fault nor that there is none.
#[derive(Debug)]
pub struct TooFew {
    acknowledged: usize,
    least: usize,
}

impl std::fmt::Display for TooFew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} alerts were acknowledged, fewer than {}: this shows nothing", self.acknowledged, self.least)
    }
}

impl std::error::Error for TooFew {}

type Acknowledged = Arc<Mutex<Vec<Sent>>>;

/// Callers that publish alerts until they are told to stop.
pub struct Flow {
    callers: JoinSet<()>,
    stop: Arc<AtomicBool>,
    tried: Arc<AtomicUsize>,
    acknowledged: Acknowledged,
}

impl Flow {
    /// Half of the callers name both partners, the other half publish for all partners: that goes on while one is suspended.
    pub fn alerts(from: &Side, callers: usize, partners: [&'static str; 2]) -> Self {
        let mut flow = Self {
            callers: JoinSet::new(),
            stop: Arc::default(),
            tried: Arc::default(),
            acknowledged: Acknowledged::default(),
        };
        for caller in 0..callers {
            let named: &[&'static str] = if caller % 2 == 0 { &partners } else { &[] };
            let (stop, tried, acknowledged) = (flow.stop.clone(), flow.tried.clone(), flow.acknowledged.clone());
            flow.callers.spawn(publish(from.clone(), named.to_vec(), stop, tried, acknowledged));
        }
        flow
    }

    /// Calls so far.
    pub fn tried(&self) -> usize {
        self.tried.load(Ordering::Relaxed)
    }

    /// Ends the flow; gives what was acknowledged. On a slow machine the nodes may hardly come up between two kills: then callers
    /// go on without any until there is enough to show something.
    pub async fn ended(&mut self, least: usize) -> anyhow::Result<Vec<Sent>> {
        let count = || self.acknowledged.lock().expect("no caller panicked").len();
        let deadline = Instant::now() + ENOUGH;
        while count() < least && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended?;
        }
        let sent = std::mem::take(&mut *self.acknowledged.lock().expect("no caller panicked"));
        if sent.len() < least { Err(TooFew { acknowledged: sent.len(), least }.into()) } else { Ok(sent) }
    }
}

async fn publish(
    from: Side,
    named: Vec<&'static str>,
    stop: Arc<AtomicBool>,
    tried: Arc<AtomicUsize>,
    acknowledged: Acknowledged,
) {
    let mut side: Option<RecordServiceClient<Channel>> = None;
    while !stop.load(Ordering::Relaxed) {
        let request = PublishRecordRequest {
            request_id: request_id(),
            sharing: Some(sample::sharing(&named, Purpose::Prevention, Tlp::Green)),
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
                let answer = answer.into_inner();
                let (origin, kind) = (from.id, RecordKind::Alert);
                let sent = Sent { origin, kind, id: answer.record_id, recipients: answer.recipients };
                acknowledged.lock().expect("no caller panicked").push(sent);
                break;
            }
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let pause = if side.is_some() { REFUSED } else { Duration::from_millis(5) };
            side = from.publisher().await.ok();
            tokio::time::sleep(pause).await;
        }
    }
}

/// Practices at a time.
const TOGETHER: usize = 8;

/// Publishes practices for all partners, those of now and those to come.
pub async fn practices(from: &Side, partners: &[&'static str], count: usize) -> anyhow::Result<Vec<Sent>> {
    let callers = (0..TOGETHER).map(|number| some(from, (number..count).step_by(TOGETHER).len()));
    let published = futures_util::future::try_join_all(callers).await?;
    let recipients: Vec<_> = partners.iter().filter(|to| **to != from.id).map(|to| (*to).to_owned()).collect();
    let sent = |id| Sent { origin: from.id, kind: RecordKind::Practice, id, recipients: recipients.clone() };
    Ok(published.into_iter().flatten().map(sent).collect())
}

async fn some(from: &Side, count: usize) -> anyhow::Result<Vec<Bytes>> {
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        ids.push(practice(from).await?);
    }
    Ok(ids)
}

async fn practice(from: &Side) -> anyhow::Result<Bytes> {
    let request = PublishRecordRequest {
        request_id: request_id(),
        sharing: Some(sample::sharing(&[], Purpose::Learning, Tlp::Green)),
        content: Some(sample::practice().into()),
        ..Default::default()
    };
    let done = persist("a practice is published", async || {
        Ok(from.publisher().await?.publish_record(request.clone()).await?.into_inner().record_id)
    });
    done.await.with_context(|| from.id)
}
