//! Opens a batch: digests, signatures, fields. Pure work on the processor, moved off the socket threads when there is
//! much of it.

use std::sync::Arc;

use crate::domain::directory::DirectoryView;
use crate::domain::ids::Digest;
use crate::domain::reason::Reason;
use crate::domain::receipt::{ItemOutcome, Verdict};
use crate::domain::stream::{BatchItem, ItemBody, StreamId};
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::context::Error;
use crate::wire::sealed::{self, Opened};

use super::{Received, Work};

/// From so many items on, verifying moves off the threads that serve sockets.
const PARALLEL_FROM: usize = 16;

/// An item as far as it could be opened.
pub(super) enum Item {
    /// Decided already: a skip, a refusal, or bytes that cannot be understood.
    Decided(ItemOutcome),
    Open(Box<OpenItem>),
}

/// An item whose signature and fields are good.
pub(super) struct OpenItem {
    pub bytes: bytes::Bytes,
    pub digest: Digest,
    pub opened: Opened,
    /// Age of a capacity statement when it was looked at here: that at sending, and what it lay since.
    pub as_of_age: Option<Millis>,
    pub traceparent: String,
}

/// All items, in their order.
pub(super) async fn all(received: &Received, work: &Work) -> Result<Vec<Item>, Error> {
    let Received { caller, batch, view, now, waited } = received;
    if batch.items.len() < PARALLEL_FROM {
        let open = || batch.items.iter().map(|item| one(item, &batch.stream, view, (*now, *waited))).collect();
        return Ok(work.measured(caller, open));
    }
    let lanes = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let mut tasks = Vec::with_capacity(lanes);
    for share in batch.items.chunks(batch.items.len().div_ceil(lanes)) {
        let (share, stream, view, now) = (share.to_vec(), batch.stream.clone(), Arc::clone(view), (*now, *waited));
        let (work, caller) = (work.clone(), caller.clone());
        tasks.push(tokio::task::spawn_blocking(move || -> Vec<Item> {
            work.measured(&caller, || share.iter().map(|item| one(item, &stream, &view, now)).collect())
        }));
    }
    let mut items = Vec::with_capacity(batch.items.len());
    for task in tasks {
        items.extend(task.await.map_err(|_| Error::from(Reason::Internal))?);
    }
    Ok(items)
}

fn one(item: &BatchItem, stream: &StreamId, view: &DirectoryView, (now, waited): (UnixMs, Millis)) -> Item {
    let bytes = match &item.body {
        ItemBody::Skip(reason) => {
            return Item::Decided(ItemOutcome { envelope: None, verdict: Verdict::Skipped(*reason) });
        }
        ItemBody::Envelope(bytes) => bytes.clone(),
    };
    let digest = Digest::of(&bytes);
    let key_of = |id: &_| view.verifying_key(&stream.origin, id, now).copied();
    match sealed::open(bytes.clone(), stream, &view.federation, key_of) {
        Ok(opened) => Item::Open(Box::new(OpenItem {
            bytes,
            digest,
            opened,
            as_of_age: item.as_of_age_ms.map(|age| aged(age, waited)),
            traceparent: item.traceparent.clone(),
        })),
        Err(error) => {
            // How many are not taken, and why, is in the journal.
            tracing::debug!(origin = %stream.origin, reason = %error.reason, field = %error.field, "item not taken");
            let verdict = match error.reason {
                // A register that is behind by however little may not know a new key yet. A key that was replaced or
                // withdrawn is listed for ever, and final.
                reason @ Reason::KeyNotCurrent if !knows_signer(&bytes, stream, view) => {
                    Verdict::RetryLater(if view.is_fresh(now) { reason } else { Reason::RegisterNotFresh })
                }
                // Its sender keeps it until this node names the kind.
                reason @ Reason::KindNotNamed => Verdict::RetryLater(reason),
                reason if sealed::is_refusal(reason) => Verdict::Refused(reason),
                reason => Verdict::Quarantined(reason),
            };
            Item::Decided(ItemOutcome { envelope: Some(digest), verdict })
        }
    }
}

/// The age on arrival. A negative one is wrong, and no wait makes it right (9.11).
fn aged(at_sending: i64, waited: Millis) -> Millis {
    if at_sending < 0 { Millis(at_sending) } else { Millis(at_sending.saturating_add(waited.0)) }
}

/// Whether the register, as it stands here, has ever listed the key that signed for the origin.
fn knows_signer(bytes: &bytes::Bytes, stream: &StreamId, view: &DirectoryView) -> bool {
    let signer = sealed::signer(bytes);
    view.member(&stream.origin).is_some_and(|m| m.keys.iter().any(|record| Some(record.key.id()) == signer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_added_to_an_age_and_makes_no_wrong_one_right() {
        assert_eq!(aged(20, Millis(8_000)), Millis(8_020));
        assert_eq!(aged(-5_000, Millis(8_000)), Millis(-5_000));
        assert_eq!(aged(i64::MAX, Millis(1)), Millis(i64::MAX));
    }
}
