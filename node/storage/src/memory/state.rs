//! What the memory store holds.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::audit::{Ledger, Salt};
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, AuthorityId, Digest, Incarnation, OfferId, RecordId};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, StreamClass};
use crate::domain::time::UnixMs;
use crate::ops::RequestMark;
use crate::rows::*;

/// Names an outgoing stream.
pub(super) type StreamName = (AuthorityId, AuthorityId, StreamClass);

/// An outgoing stream and how its last attempts went.
pub(super) struct Stream {
    pub row: OutStream,
    pub held: bool,
    pub attempts: u32,
    pub reason: Option<Reason>,
    pub next_attempt: Option<UnixMs>,
}

/// One envelope for one recipient. Open: it has a number in its stream and no answer.
#[derive(Clone)]
pub(super) struct Delivery {
    pub stream: StreamName,
    pub number: u64,
    pub open: bool,
    pub record_id: RecordId,
    pub kind: RecordKind,
    pub digest: Digest,
    pub grant: Option<GrantRef>,
    /// Gone when it is past its time, or closed.
    pub envelope: Option<Bytes>,
    pub skip: Option<Reason>,
    pub as_of: Option<UnixMs>,
    pub traceparent: String,
    pub queued: UnixMs,
    pub expires: UnixMs,
    pub waiting_since: Option<UnixMs>,
    pub state: DeliveryState,
    pub attempts: u32,
    pub reason: Option<Reason>,
    pub finished: Option<UnixMs>,
}

/// A received record and how long it stays.
#[derive(Clone)]
pub(super) struct Kept {
    pub row: InboxRow,
    pub keep_until: UnixMs,
}

/// A dedup key in use.
pub(super) struct Taken {
    /// 0: waits for its target.
    pub position: u64,
    pub forget_at: UnixMs,
}

/// Everything.
#[derive(Default)]
pub(super) struct State {
    pub closed: bool,
    pub requests: HashMap<(String, String), RequestMark>,
    pub publications: BTreeMap<u64, PublicationRow>,
    pub published: HashMap<RecordKey, u64>,
    pub publication: u64,
    pub streams: BTreeMap<StreamName, Stream>,
    pub deliveries: BTreeMap<u64, Delivery>,
    pub delivery: u64,
    /// Number in the stream to delivery, of open ones.
    pub open: BTreeMap<(StreamName, u64), u64>,
    pub receipts: Vec<(StreamName, u64, Bytes, UnixMs)>,
    pub in_streams: HashMap<InStreamKey, InStream>,
    pub inbox: BTreeMap<u64, Kept>,
    pub position: u64,
    pub taken: HashMap<RecordKey, Taken>,
    pub waiting: Vec<Kept>,
    pub cursors: HashMap<String, u64>,
    pub agreements: BTreeMap<AgreementId, AgreementRow>,
    pub own_offers: BTreeMap<OfferId, OwnOfferRow>,
    pub partner_offers: BTreeMap<(AuthorityId, OfferId), PartnerOfferRow>,
    pub metas: BTreeMap<String, Bytes>,
    pub leaves: Vec<Bytes>,
    pub ledger: Ledger,
    pub checkpoints: BTreeMap<u64, Bytes>,
    pub salts: HashMap<RecordId, Salt>,
}

impl State {
    /// The stream, made when the first item is queued for it.
    pub(super) fn stream(&mut self, name: &StreamName, incarnation: Incarnation) -> &mut Stream {
        self.streams.entry(name.clone()).or_insert_with(|| Stream {
            row: OutStream {
                origin: name.0.clone(),
                recipient: name.1.clone(),
                class: name.2,
                origin_incarnation: incarnation,
                recipient_incarnation: Incarnation(0),
                first_unsettled: 1,
                next: 1,
            },
            held: false,
            attempts: 0,
            reason: None,
            next_attempt: None,
        })
    }
}
