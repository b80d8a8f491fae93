//! Which records the partner has acknowledged: one watch stream tells all callers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use havenlink::demo::acts::reason_of;
use havenlink_proto::local::v1::delivery_service_client::DeliveryServiceClient;
use havenlink_proto::local::v1::{Delivery, DeliveryState, WatchDeliveriesRequest};
use havenlink_proto::record::v1::RecordKind;
use tokio::sync::oneshot;
use tonic::Streaming;
use tonic::transport::Channel;

/// What came first: the partner's answer, or the caller that asks for it.
enum Side {
    Answer(DeliveryState),
    Caller(oneshot::Sender<DeliveryState>),
}

type Sides = HashMap<Bytes, Side>;

/// Answers of one partner, by record.
#[derive(Clone)]
pub struct Acknowledged {
    recipient: &'static str,
    sides: Arc<Mutex<Sides>>,
}

/// A record without an answer for this long counts as failed.
const PATIENCE: Duration = Duration::from_secs(20);

impl Acknowledged {
    /// Watches from now on. A stream that ends is opened again; whoever waited then has failed.
    pub async fn watch(channel: Channel, recipient: &'static str) -> anyhow::Result<Self> {
        let watch = Self { recipient, sides: Arc::default() };
        let mut client = DeliveryServiceClient::new(channel);
        let mut stream = open(&mut client).await.context("WatchDeliveries")?;
        let told = watch.clone();
        tokio::spawn(async move {
            loop {
                match stream.message().await {
                    Ok(Some(batch)) => batch.deliveries.into_iter().for_each(|d| told.answered(d)),
                    ended => {
                        let why = ended.err().map_or_else(|| "it was closed".to_owned(), |status| reason_of(&status));
                        eprintln!("    the watch of deliveries ended: {why}");
                        told.sides().clear();
                        let Ok(again) = open(&mut client).await else { return };
                        stream = again;
                    }
                }
            }
        });
        Ok(watch)
    }

    fn answered(&self, delivery: Delivery) {
        if delivery.recipient != self.recipient || delivery.kind() != RecordKind::Alert {
            return;
        }
        let state = delivery.state();
        if matches!(state, DeliveryState::Unspecified | DeliveryState::Queued | DeliveryState::Held) {
            return;
        }
        let mut sides = self.sides();
        match sides.remove(&delivery.record_id) {
            Some(Side::Caller(caller)) => drop(caller.send(state)),
            // The partner may answer before the publisher has read its own answer.
            _ => drop(sides.insert(delivery.record_id, Side::Answer(state))),
        }
    }

    /// Waits until the partner has acknowledged the record.
    pub async fn acknowledged(&self, record: Bytes) -> anyhow::Result<()> {
        let answer = {
            let mut sides = self.sides();
            match sides.remove(&record) {
                Some(Side::Answer(state)) => return delivered(state),
                _ => {
                    let (caller, answer) = oneshot::channel();
                    sides.insert(record, Side::Caller(caller));
                    answer
                }
            }
        };
        let state = tokio::time::timeout(PATIENCE, answer).await.context("no answer of the partner in time")?;
        delivered(state.context("the watch of deliveries ended")?)
    }

    fn sides(&self) -> MutexGuard<'_, Sides> {
        self.sides.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn open(
    client: &mut DeliveryServiceClient<Channel>,
) -> Result<Streaming<havenlink_proto::local::v1::WatchDeliveriesResponse>, tonic::Status> {
    Ok(client.watch_deliveries(WatchDeliveriesRequest {}).await?.into_inner())
}

fn delivered(state: DeliveryState) -> anyhow::Result<()> {
    if state != DeliveryState::Delivered {
        bail!("the delivery ended as {}", state.as_str_name());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(record: &'static [u8], state: DeliveryState) -> Delivery {
        Delivery {
            recipient: "de-kehl".into(),
            record_id: Bytes::from_static(record),
            kind: RecordKind::Alert.into(),
            state: state.into(),
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn answer_and_caller_meet_whoever_comes_first() {
        let watch = Acknowledged { recipient: "de-kehl", sides: Arc::default() };
        watch.answered(delivery(b"early", DeliveryState::Delivered));
        watch.acknowledged(Bytes::from_static(b"early")).await.unwrap();
        let waiting = tokio::spawn({
            let watch = watch.clone();
            async move { watch.acknowledged(Bytes::from_static(b"late")).await }
        });
        while watch.sides().is_empty() {
            tokio::task::yield_now().await;
        }
        watch.answered(delivery(b"late", DeliveryState::Queued));
        watch.answered(delivery(b"late", DeliveryState::Refused));
        assert!(waiting.await.unwrap().unwrap_err().to_string().contains("REFUSED"));
        assert!(watch.sides().is_empty());
    }
}
