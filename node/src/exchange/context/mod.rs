//! What all parts of the exchange stand on: store, register, keys, clock, wake-ups, the agreements in memory, and the words
//! that they have in common (`Call`, `Error`, the line to partners).
//!
//! What lives here: what more than one part needs and none decides. What does not: use cases, locks of a use case, anything
//! that only one part needs. Invariant: nothing here calls a part, and nothing here can change the agreements in memory:
//! that is `agreements`' alone.

mod answered;
mod call;
mod control;
mod error;
mod keys;
mod link;
mod opening;
mod passed;
mod register;
mod unreadable;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use crate::clock::SharedClock;
use crate::domain::agreement::set::AgreementSet;
use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, PublicationId, RecordId};
use crate::domain::light::Clocks;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::records::RecordKind;
use crate::domain::stream::{StreamId, Understands};
use crate::domain::time::UnixMs;
use crate::storage::ops::{NewDelivery, Write, Written};
use crate::storage::{self, Store};
use crate::wakeup::Wakeups;
use crate::wire;

pub(in crate::exchange) use answered::{Answered, Pair};
pub use call::Call;
pub use error::{Error, Refusal};
pub use keys::Keys;
pub(in crate::exchange) use link::{LATELY, Links};
pub use link::{LinkError, LinkState, PeerLink};
pub use passed::Passed;
pub use register::{Register, SharedView};
pub(in crate::exchange) use register::{active, key_of, speaks_for};
pub(in crate::exchange) use unreadable::note;
pub use unreadable::{Table, Unreadable, UnreadableRow};

/// The set of agreements in memory, to be read. Only `Agreements` has what changes it.
pub(in crate::exchange) struct KnownAgreements(Arc<ArcSwap<AgreementSet>>);

impl KnownAgreements {
    /// Reads what the owner of this set stores.
    pub(in crate::exchange) fn of(set: &Arc<ArcSwap<AgreementSet>>) -> Self {
        Self(Arc::clone(set))
    }

    /// For one question.
    pub(in crate::exchange) fn load(&self) -> Guard<Arc<AgreementSet>> {
        self.0.load()
    }

    /// For what is kept longer than a question.
    pub(in crate::exchange) fn load_full(&self) -> Arc<AgreementSet> {
        self.0.load_full()
    }
}

/// What every part is given; one for all of them.
pub(in crate::exchange) struct Context {
    store: Arc<dyn Store>,
    register: Arc<dyn Register>,
    keys: Keys,
    clock: SharedClock,
    wakeups: Wakeups,
    agreements: KnownAgreements,
    /// What this node takes, and can apply.
    understands: Understands,
    /// Which partners have said what was withdrawn.
    answered: Answered,
    /// Time of the newest line of the ledger, as it was last looked at; Unix ms.
    last_stored: AtomicI64,
}

impl Context {
    pub(in crate::exchange) fn new(
        store: Arc<dyn Store>,
        register: Arc<dyn Register>,
        keys: Keys,
        (clock, wakeups): (SharedClock, Wakeups),
        agreements: KnownAgreements,
        understands: Understands,
    ) -> Self {
        let (answered, last_stored) = (Answered::default(), AtomicI64::new(i64::MIN));
        Self { store, register, keys, clock, wakeups, agreements, understands, answered, last_stored }
    }

    pub(in crate::exchange) fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// The newest verified view of the register.
    pub(in crate::exchange) fn view(&self) -> Arc<DirectoryView> {
        self.register.view()
    }

    pub(in crate::exchange) fn now(&self) -> UnixMs {
        self.clock.now()
    }

    /// The time by which content is neither shown nor sent any more (9.3).
    pub(in crate::exchange) fn closing_time(&self) -> UnixMs {
        self.view().closing_time(self.clocks(), UnixMs(self.last_stored.load(Ordering::Relaxed)))
    }

    /// The time by which content is destroyed; `None`: none is confirmed, and nothing is destroyed by date (9.3).
    pub(in crate::exchange) fn confirmed_time(&self) -> Option<UnixMs> {
        self.view().confirmed_time(self.monotonic())
    }

    /// The time by which what is prepared is judged and dated: this clock's, unless the confirmed time says that it is ahead.
    pub(in crate::exchange) fn best_time(&self) -> UnixMs {
        let now = self.now();
        self.confirmed_time().filter(|confirmed| now.since(*confirmed) > limits::BEAT_AHEAD).unwrap_or(now)
    }

    /// The ledger's newest line is of this time.
    pub(in crate::exchange) fn note_stored(&self, time: UnixMs) {
        self.last_stored.store(time.0, Ordering::Relaxed);
    }

    /// Time that no setting of the clock moves.
    pub(in crate::exchange) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Both clocks, read now.
    pub(in crate::exchange) fn clocks(&self) -> Clocks {
        Clocks { monotonic: self.monotonic(), wall: self.now() }
    }

    pub(in crate::exchange) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(in crate::exchange) fn wakeups(&self) -> &Wakeups {
        &self.wakeups
    }

    pub(in crate::exchange) fn agreements(&self) -> &KnownAgreements {
        &self.agreements
    }

    /// What this node takes, and can apply.
    pub(in crate::exchange) fn understands(&self) -> &Understands {
        &self.understands
    }

    /// Which partners have said what was withdrawn.
    pub(in crate::exchange) fn answered(&self) -> &Answered {
        &self.answered
    }

    /// The authority that this node serves first.
    pub(in crate::exchange) fn authority(&self) -> &AuthorityId {
        self.keys.home()
    }

    /// The authority that acts: the named one if it is of this node, or the node's own. One that is not a member in
    /// good standing publishes nothing.
    pub(in crate::exchange) fn own_authority(&self, named: Option<AuthorityId>) -> Result<AuthorityId, Error> {
        let authority = named.unwrap_or_else(|| self.authority().clone());
        if !self.keys.serves(&authority) {
            return Err(Error::about(&authority, Reason::NotFound));
        }
        match self.view().status(&authority, self.now()) {
            MemberStatus::Removed => Err(Error::about(&authority, Reason::MemberRemoved)),
            MemberStatus::Suspended => Err(Error::about(&authority, Reason::MemberSuspended)),
            MemberStatus::Unknown => Err(Error::about(&authority, Reason::MemberUnknown)),
            MemberStatus::Active => Ok(authority),
        }
    }

    /// Notes a row that could not be read, and says why.
    pub(in crate::exchange) fn unreadable(
        &self,
        table: Table,
        kind: Option<RecordKind>,
        id: impl ToString,
        error: wire::Error,
    ) -> Unreadable {
        note(self.store(), table, kind, id, error)
    }

    /// Unreadable rows met since the start, each once.
    pub(in crate::exchange) fn unreadable_rows(&self) -> Vec<UnreadableRow> {
        self.store.unreadable().all()
    }

    /// Whether the store took it; then whoever waits for what is in it is woken.
    pub(in crate::exchange) async fn write_owed(&self, write: Write) -> Result<bool, Error> {
        let streams: BTreeSet<StreamId> = write.deliveries.iter().map(stream_of).collect();
        let publishes = !write.publications.is_empty();
        match self.store.write(write.into()).await {
            Ok(Written::Done) => {}
            Err(storage::Error::Refused(Reason::NodeStopping)) => return Err(Reason::NodeStopping.into()),
            Ok(_) | Err(storage::Error::Refused(_) | storage::Error::Damaged(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        streams.iter().for_each(|stream| self.wakeups.wake_stream(stream));
        if publishes {
            self.wakeups.wake_dispatch();
        }
        Ok(true)
    }
}

/// The stream that a delivery joins.
pub(in crate::exchange) fn stream_of(item: &NewDelivery) -> StreamId {
    StreamId {
        origin: item.permit.from().clone(),
        recipient: item.permit.to().clone(),
        class: item.permit.kind().class(),
    }
}

/// A new record id: UUID version 7, so that rows of one time lie together.
pub(in crate::exchange) fn new_record_id() -> RecordId {
    RecordId(uuid::Uuid::now_v7().into_bytes())
}

/// A new record id that tells nothing, not even a time: about a person nothing in an envelope is common to two recipients (9.3).
pub(in crate::exchange) fn new_random_record_id() -> RecordId {
    RecordId(uuid::Uuid::new_v4().into_bytes())
}

/// A new publication id: random, it tells recipients nothing.
pub(in crate::exchange) fn new_publication_id() -> PublicationId {
    PublicationId(uuid::Uuid::new_v4().into_bytes())
}
