//! A store that a node is killed on: at its n-th write from now, before it is stored or before it is answered. It may also
//! refuse some writes, hold one at its commit, or fail at a read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, AuthorityId, Digest, HoldId, Incarnation, InvitationId, OfferId};
use crate::domain::person::{CaseIndex, CaseReference, CaseScope, SubjectRef};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind, StreamClass};
use crate::domain::stream::StreamId;
use crate::domain::time::UnixMs;
use crate::storage::named::Named;
use crate::storage::ops::{WriteOp, Written};
use crate::storage::owed::{OwedCount, OwedRow, What};
use crate::storage::remains::LookedAt;
use crate::storage::rows::*;
use crate::storage::unreadable::UnreadableRows;
use crate::storage::{Disclosures, Error, Holds, PersonKeys, Result, Store};

/// When the node is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// The write is not stored.
    Before,
    /// The write is stored, and nobody hears of it.
    After,
}

/// Counts writes, and ends at one of them: from then on it neither stores nor answers anything.
pub struct FaultyStore {
    pub inner: Arc<dyn Store>,
    writes: AtomicU64,
    last: AtomicU64,
    after: AtomicBool,
    dead: AtomicBool,
    refuses: Mutex<Refuses>,
    fails: Mutex<Option<&'static str>>,
    holds: Mutex<Option<(Which, Arc<Held>)>>,
}

/// A write that stops twice: before it is stored, and before its answer.
#[derive(Default)]
pub struct Held {
    asked: Notify,
    store: Notify,
    stored: Notify,
    answer: Notify,
}

impl Held {
    /// Somebody writes it.
    pub async fn is_asked(&self) {
        self.asked.notified().await;
    }

    /// Lets it be stored; it is from then on, and nobody has heard of it.
    pub async fn store(&self) {
        self.store.notify_one();
        self.stored.notified().await;
    }

    /// Lets it be answered.
    pub fn answer(&self) {
        self.answer.notify_one();
    }
}

type Which = Box<dyn Fn(&WriteOp) -> bool + Send>;
type Refuses = Option<Which>;

impl FaultyStore {
    pub fn over(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            writes: AtomicU64::new(0),
            last: AtomicU64::new(u64::MAX),
            after: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            refuses: Mutex::default(),
            fails: Mutex::default(),
            holds: Mutex::default(),
        })
    }

    /// From now on these writes are refused, as by a table.
    pub fn refuse(&self, which: impl Fn(&WriteOp) -> bool + Send + 'static) {
        *self.refuses.lock().unwrap() = Some(Box::new(which));
    }

    /// The next of these writes stops at its commit.
    pub fn hold(&self, which: impl Fn(&WriteOp) -> bool + Send + 'static) -> Arc<Held> {
        let held = Arc::<Held>::default();
        *self.holds.lock().unwrap() = Some((Box::new(which), held.clone()));
        held
    }

    /// The next read of this name fails.
    pub fn fail_once(&self, read: &'static str) {
        *self.fails.lock().unwrap() = Some(read);
    }

    fn fails(&self, read: &str) -> bool {
        self.fails.lock().unwrap().take_if(|fails| *fails == read).is_some()
    }

    /// Dies at the n-th write from now, the first being 1.
    pub fn kill_at(&self, write: u64, kill: Kill) {
        self.after.store(kill == Kill::After, Ordering::SeqCst);
        self.last.store(self.writes() + write, Ordering::SeqCst);
    }

    /// Writes that were asked for.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Whether it came so far.
    pub fn died(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }
}

/// What a process that was killed says: nothing that anybody could build on.
fn silence<T: Send + 'static>() -> BoxFuture<'static, Result<T>> {
    ready(Err(Error::OutcomeUnknown(None))).boxed()
}

macro_rules! reads {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)+) => {
        $(fn $name(&self, $($arg: $ty),*) -> BoxFuture<'_, Result<$out>> {
            if self.died() || self.fails(stringify!($name)) { silence() } else { self.inner.$name($($arg),*) }
        })+
    };
}

impl PersonKeys for FaultyStore {
    reads! {
        case_index(reference: CaseReference) -> CaseIndex;
        subjects(reference: CaseReference, scope: CaseScope, partners: Vec<AuthorityId>, now: UnixMs) -> Vec<SubjectRef>;
        seal(key: RecordKey, plain: Zeroizing<Vec<u8>>) -> Option<Bytes>;
        erase(keys: Vec<RecordKey>, now: UnixMs) -> ();
        is_erased(key: RecordKey) -> bool;
        look_for(key: RecordKey) -> Vec<LookedAt>;
        open_sealed(key: RecordKey, sealed: Bytes) -> Option<Zeroizing<Vec<u8>>>;
    }
}

impl Disclosures for FaultyStore {
    reads! {
        disclosure(key: RecordKey) -> Option<DisclosureRow>;
        disclosures_of(case: CaseIndex) -> Vec<DisclosureRow>;
        disclosures_in(state: DisclosureState, limit: usize) -> Vec<DisclosureRow>;
        last_notice(origin: AuthorityId, recipient: AuthorityId) -> u64;
        withdrawal(key: RecordKey) -> Option<WithdrawalRow>;
        called_back(between: (AuthorityId, AuthorityId), known: u64, after: u64, limit: usize) -> Vec<DisclosureRow>;
        notices_held(between: (AuthorityId, AuthorityId), after: u64, limit: usize) -> Vec<WithdrawalRow>;
        last_notice_from(origin: AuthorityId, recipient: AuthorityId) -> u64;
        senders_about_persons() -> Vec<(AuthorityId, AuthorityId)>;
        answered() -> Vec<AnsweredRow>;
        shares_unconfirmed(limit: usize) -> Vec<ShareRow>;
    }
}

impl Holds for FaultyStore {
    reads! {
        offer_slots(offer: OfferId) -> Option<SlotsRow>;
        all_offer_slots() -> Vec<SlotsRow>;
        asked_hold(id: HoldId) -> Option<AskedHoldRow>;
        asked_holds() -> Vec<AskedHoldRow>;
    }
}

impl Store for FaultyStore {
    fn write(&self, op: WriteOp) -> BoxFuture<'_, Result<Written>> {
        if self.died() {
            return silence();
        }
        if let Some((_, held)) = self.holds.lock().unwrap().take_if(|(which, _)| which(&op)) {
            return async move {
                held.asked.notify_one();
                held.store.notified().await;
                let written = self.inner.write(op).await;
                held.stored.notify_one();
                held.answer.notified().await;
                written
            }
            .boxed();
        }
        if self.refuses.lock().unwrap().as_ref().is_some_and(|refuses| refuses(&op)) {
            return ready(Err(Error::Refused(Reason::StorageDamaged))).boxed();
        }
        if self.writes.fetch_add(1, Ordering::SeqCst) + 1 != self.last.load(Ordering::SeqCst) {
            return self.inner.write(op);
        }
        self.dead.store(true, Ordering::SeqCst);
        async move {
            if self.after.load(Ordering::SeqCst) {
                self.inner.write(op).await?;
            }
            Err(Error::OutcomeUnknown(None))
        }
        .boxed()
    }

    reads! {
        request(scope: String, request_id: String) -> Option<(Digest, Bytes)>;
        pending_publications(limit: usize) -> Vec<PublicationRow>;
        publication(key: RecordKey) -> Option<PublicationRow>;
        publications(kind: RecordKind, before: Option<u64>, limit: usize) -> Vec<PublicationRow>;
        publications_about(target: RecordKey, by: AuthorityId, limit: usize) -> Vec<PublicationRow>;
        open_streams() -> Vec<OutStream>;
        out_stream(origin: AuthorityId, recipient: AuthorityId, class: StreamClass) -> Option<OutStream>;
        out_batch(origin: AuthorityId, recipient: AuthorityId, class: StreamClass, items: usize, bytes: usize) -> Vec<OutItem>;
        deliveries(filter: DeliveryFilter, before: Option<u64>, limit: usize) -> Vec<DeliveryRow>;
        sent_under(record: RecordKey, recipient: AuthorityId) -> Vec<GrantRef>;
        streams_again() -> Vec<StreamId>;
        deferred() -> Vec<DeferredItems>;
        queue_counts() -> Vec<(AuthorityId, QueueCount)>;
        in_stream(key: InStreamKey) -> Option<InStream>;
        taken(keys: Vec<RecordKey>) -> Vec<bool>;
        inbox_after(position: u64, kinds: Vec<RecordKind>, limit: usize) -> Vec<InboxRow>;
        inbox_before(kind: RecordKind, position: Option<u64>, limit: usize) -> Vec<InboxRow>;
        inbox_record(key: RecordKey) -> Option<InboxRow>;
        inbox_about(target: RecordKey, by: AuthorityId, limit: usize) -> Vec<InboxRow>;
        inbox_about_by_turns(target: RecordKey, limit: usize) -> Vec<InboxRow>;
        inbox_about_any(targets: Vec<RecordKey>) -> Vec<InboxRow>;
        inbox_position() -> u64;
        cursor(consumer: String) -> u64;
        agreements() -> Vec<AgreementRow>;
        agreement(id: AgreementId) -> Option<AgreementRow>;
        own_offers() -> Vec<OwnOfferRow>;
        own_offer(id: OfferId) -> Option<OwnOfferRow>;
        partner_offers() -> Vec<PartnerOfferRow>;
        partner_offer_ids(origin: AuthorityId) -> Vec<OfferId>;
        shares_of(case: CaseIndex) -> Vec<ShareRow>;
        empty_log() -> bool;
        audit_leaves(from: u64, limit: usize) -> Vec<Bytes>;
        audit_checkpoints(after: u64, limit: usize) -> Vec<(u64, Bytes)>;
        audit_head() -> AuditHead;
        audit_strays() -> u64;
        owed_recipients(what: What, now: UnixMs) -> Vec<Option<AuthorityId>>;
        owed(what: What, recipient: Option<AuthorityId>, now: UnixMs, limit: usize) -> Vec<OwedRow>;
        owed_counts() -> Vec<OwedCount>;
        invitations() -> Vec<(InvitationId, Bytes)>;
        invitation(id: InvitationId) -> Option<Bytes>;
        invitation_request(request: Digest) -> Option<InvitationRequestRow>;
        partner_incarnation(ours: AuthorityId, theirs: AuthorityId) -> Option<PartnerIncarnation>;
        meta(name: Named) -> Option<Bytes>;
        sweep(now: UnixMs) -> u64;
        back_up_keys(now: UnixMs) -> ();
    }

    fn incarnation(&self) -> Incarnation {
        self.inner.incarnation()
    }

    fn unreadable(&self) -> &UnreadableRows {
        self.inner.unreadable()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}
