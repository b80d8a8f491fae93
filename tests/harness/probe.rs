//! Somebody who keeps trying, and notes each success and each refusal.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use havenlink::demo::acts::reason_of;
use havenlink::demo::city::City;
use havenlink::domain::time::UnixMs;
use havenlink::transport::PeerChannel;
use havenlink_proto::local::v1::ConsumeRequest;
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_proto::peer::v1::GreetRequest;
use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use tokio::task::AbortHandle;
use tonic::transport::Channel;

use crate::intruder::{Address, Intruder};
use crate::road::alert_to;

/// The reason that ends it.
const REFUSAL: &str = "MEMBER_SUSPENDED";
/// Longest wait for a success, or for a refusal.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Debug, Default)]
struct Notes {
    successes: usize,
    last_success: Option<Instant>,
    first_refusal: Option<Instant>,
    after_refusal: usize,
    /// Of a reader: when each item came to the node, by whose own judgement.
    received: Vec<UnixMs>,
    /// The last answer that was neither.
    other: Option<String>,
}

/// One who tries; it ends when this is dropped.
pub struct Probe {
    notes: Arc<Mutex<Notes>>,
    task: AbortHandle,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note(notes: &Mutex<Notes>, answer: Result<(), tonic::Status>) {
    let (mut notes, now) = (locked(notes), Instant::now());
    match answer {
        Ok(()) => {
            notes.successes += 1;
            notes.last_success = Some(now);
            notes.after_refusal += usize::from(notes.first_refusal.is_some());
        }
        Err(status) => match reason_of(&status) {
            reason if reason == REFUSAL => drop(notes.first_refusal.get_or_insert(now)),
            reason => notes.other = Some(reason),
        },
    }
}

impl Probe {
    fn trying<F, Fut>(mut attempt: F) -> Self
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), tonic::Status>> + Send,
    {
        let notes = Arc::<Mutex<Notes>>::default();
        let noted = notes.clone();
        let task = tokio::spawn(async move {
            loop {
                note(&noted, attempt().await);
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { notes, task: task.abort_handle() }
    }

    /// Greets over one channel, again and again.
    pub fn over(keys: Arc<Intruder>, channel: PeerChannel, partner: &'static str) -> Self {
        Self::greeting(channel, move || keys.greeting(partner))
    }

    /// The same, with greetings that are made for each time.
    pub fn greeting(channel: PeerChannel, make: impl Fn() -> GreetRequest + Send + 'static) -> Self {
        Self::trying(move || {
            let (mut client, greeting) = (ExchangeServiceClient::new(channel.clone()), make());
            async move { client.greet(greeting).await.map(drop) }
        })
    }

    /// Greets over a new connection each time.
    pub fn dialling(keys: Arc<Intruder>, address: Address, partner: &'static str) -> Self {
        Self::trying(move || {
            let (channel, greeting) = (keys.channel(&address), keys.greeting(partner));
            async move {
                let channel = channel.map_err(|error| tonic::Status::internal(error.to_string()))?;
                ExchangeServiceClient::new(channel).greet(greeting).await.map(drop)
            }
        })
    }

    /// Publishes to an authority, again and again.
    pub fn publishing(client: RecordServiceClient<Channel>, to: &'static str) -> Self {
        Self::trying(move || {
            let mut client = client.clone();
            async move { client.publish_record(alert_to(to)).await.map(drop) }
        })
    }

    /// Reads a city's inbox from now on; each item of the origin is a success.
    ///
    /// # Errors
    /// When its sockets do not answer.
    pub async fn reading(at: &City, origin: &'static str) -> anyhow::Result<Self> {
        let after_position = at.status().await?.inbox_position;
        let request =
            ConsumeRequest { consumer: "suspensions".into(), after_position, all_kinds: true, ..Default::default() };
        let mut stream = at.inbox().await?.consume(request).await?.into_inner();
        let notes = Arc::<Mutex<Notes>>::default();
        let noted = notes.clone();
        let task = tokio::spawn(async move {
            while let Ok(Some(read)) = stream.message().await {
                if read.envelope.is_some_and(|envelope| envelope.origin == origin) {
                    note(&noted, Ok(()));
                    locked(&noted).received.push(UnixMs(read.received_ms));
                }
            }
        });
        Ok(Self { notes, task: task.abort_handle() })
    }

    fn look<T>(&self, take: impl FnOnce(&Notes) -> T) -> T {
        take(&locked(&self.notes))
    }

    /// Waits until it has had so many successes.
    ///
    /// # Errors
    /// When they do not come; names the last other answer.
    pub async fn succeeds(&self, times: usize) -> anyhow::Result<()> {
        self.wait("a success", |notes| notes.successes >= times).await
    }

    /// Waits until it was refused because of the suspension.
    ///
    /// # Errors
    /// When it is not; names the last other answer.
    pub async fn refused(&self) -> anyhow::Result<()> {
        self.wait("a refusal", |notes| notes.first_refusal.is_some()).await
    }

    async fn wait(&self, what: &str, holds: impl Fn(&Notes) -> bool) -> anyhow::Result<()> {
        let waiting = async {
            while !self.look(&holds) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.with_context(|| format!("waited for {what}; {}", self.look(|notes| format!("{notes:?}"))))
    }

    /// When it was refused first because of the suspension.
    pub fn first_refusal(&self) -> Option<Instant> {
        self.look(|notes| notes.first_refusal)
    }

    /// From an instant to the last success; nothing, when there was none since.
    pub fn last_success_since(&self, start: Instant) -> Duration {
        self.look(|notes| notes.last_success.map_or(Duration::ZERO, |at| at.saturating_duration_since(start)))
    }

    /// Successes after the first refusal.
    pub fn after_refusal(&self) -> usize {
        self.look(|notes| notes.after_refusal)
    }

    /// Items that the node took after this: who only reads is not refused, and may read late what came before.
    pub fn received_since(&self, refused: UnixMs) -> usize {
        self.look(|notes| notes.received.iter().filter(|at| **at > refused).count())
    }
}
