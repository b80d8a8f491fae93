//! What became of one record about a person: at each holder, as they said it; and in this node's own files, as they are.

use crate::domain::ids::{AuthorityId, RecordId};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind};
use crate::domain::time::UnixMs;
use crate::exchange::context::Error;
use crate::storage::remains::LookedAt;
use crate::storage::rows::{DeliveryFilter, DeliveryRow, DeliveryState, DisclosureRow, DisclosureState, WithdrawalRow};

use super::Persons;

/// Deliveries of a partner since a notice that are looked at.
const SINCE: usize = 1_000;

/// How far an erasure has come at one holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderState {
    /// Nobody has called it back.
    Holds,
    /// Called back; that it has arrived is not known.
    Noticed,
    /// Its node has signed that the notice arrived.
    Received,
    Done,
    Partial,
    Refused,
}

/// Who has a record about a person, or had it.
#[derive(Clone, Debug)]
pub struct Holder {
    pub authority: AuthorityId,
    pub state: HolderState,
    /// When it was called back, when that arrived, and when it was answered; 0: not yet.
    pub noticed_at: UnixMs,
    pub received_at: UnixMs,
    pub answered_at: UnixMs,
    /// A partner's answer is overdue from then on; 0: nothing is asked of it.
    pub due_by: UnixMs,
    pub overdue: bool,
}

/// What is left of a record here.
#[derive(Clone, Debug)]
pub struct Remains {
    /// Its keys were destroyed, and nothing seals it again.
    pub erased: bool,
    /// Rows of the database that hold it, as published or received.
    pub rows: u64,
    pub files: Vec<LookedAt>,
}

impl Persons {
    /// Who holds a record, this node first. `origin`: of a received one; `None`: it was shared from here.
    ///
    /// # Errors
    /// `NOT_FOUND` for one that was never shared from here, or never called back by its origin.
    pub async fn holders(&self, origin: Option<AuthorityId>, record_id: RecordId) -> Result<Vec<Holder>, Error> {
        if let Some(row) = self.shared_from_here(origin.as_ref(), record_id).await? {
            return Ok(vec![self.own_copy(&row).await?, self.at_its_recipient(&row).await?]);
        }
        let origin = origin.ok_or(Reason::NotFound)?;
        let row = self.store().withdrawal(RecordKey { origin, record_id }).await?.ok_or(Reason::NotFound)?;
        Ok(vec![received_here(&row)])
    }

    /// Looks into the files of this node for what is left of a record. Their size says how long that takes: some tenths of a second
    /// for a hundred megabytes.
    ///
    /// # Errors
    /// As `holders`; when a file cannot be read.
    pub async fn remains(&self, origin: Option<AuthorityId>, record_id: RecordId) -> Result<Remains, Error> {
        let shared = self.shared_from_here(origin.as_ref(), record_id).await?;
        let key = match (shared, origin) {
            (Some(row), _) => row.key,
            (None, Some(origin)) => RecordKey { origin, record_id },
            (None, None) => return Err(Reason::NotFound.into()),
        };
        let rows = self.store().publication(key.clone()).await?.iter().count()
            + self.store().inbox_record(key.clone()).await?.iter().count();
        let erased = self.store().is_erased(key.clone()).await?;
        Ok(Remains { erased, rows: rows as u64, files: self.store().look_for(key).await? })
    }

    async fn shared_from_here(
        &self,
        origin: Option<&AuthorityId>,
        record_id: RecordId,
    ) -> Result<Option<DisclosureRow>, Error> {
        for own in self.context.keys().authorities() {
            if origin.is_none_or(|origin| *origin == own) {
                let row = self.store().disclosure(RecordKey { origin: own, record_id }).await?;
                if row.is_some() {
                    return Ok(row);
                }
            }
        }
        Ok(None)
    }

    async fn own_copy(&self, row: &DisclosureRow) -> Result<Holder, Error> {
        let state = match (row.state, self.store().is_erased(row.key.clone()).await?) {
            (_, true) => HolderState::Done,
            (DisclosureState::Shared, false) => HolderState::Holds,
            (_, false) => HolderState::Received,
        };
        let (noticed_at, none) = (row.noticed_at, UnixMs(0));
        let authority = row.key.origin.clone();
        Ok(Holder {
            authority,
            state,
            noticed_at,
            received_at: noticed_at,
            answered_at: none,
            due_by: none,
            overdue: false,
        })
    }

    async fn at_its_recipient(&self, row: &DisclosureRow) -> Result<Holder, Error> {
        let received_at = self.notice_received(row).await?.unwrap_or(UnixMs(0));
        let state = match row.state {
            DisclosureState::Shared => HolderState::Holds,
            DisclosureState::Noticed if received_at == UnixMs(0) => HolderState::Noticed,
            DisclosureState::Noticed => HolderState::Received,
            DisclosureState::Done => HolderState::Done,
            DisclosureState::Partial => HolderState::Partial,
            DisclosureState::Refused => HolderState::Refused,
        };
        let waits = row.state == DisclosureState::Noticed;
        Ok(Holder {
            authority: row.recipient.clone(),
            state,
            noticed_at: row.noticed_at,
            received_at,
            answered_at: row.answered_at,
            due_by: row.due_by,
            overdue: waits && row.due_by <= self.context.closing_time(),
        })
    }

    /// When the partner's node signed that the notice had arrived. Notices of one withdrawal are queued at one instant, in one
    /// stream: the last of them that was settled says it of all, once none of them is open.
    async fn notice_received(&self, row: &DisclosureRow) -> Result<Option<UnixMs>, Error> {
        if row.state == DisclosureState::Shared {
            return Ok(None);
        }
        let filter = DeliveryFilter {
            recipient: Some(row.recipient.clone()),
            since: Some(row.noticed_at),
            ..DeliveryFilter::default()
        };
        let all = self.store().deliveries(filter, None, SINCE).await?;
        let of_it = |delivery: &&DeliveryRow| {
            delivery.kind == RecordKind::WithdrawalNotice
                && delivery.queued == row.noticed_at
                && delivery.origin == row.key.origin
        };
        let notices: Vec<&DeliveryRow> = all.iter().filter(of_it).collect();
        let all_arrived = notices.iter().all(|notice| notice.state == DeliveryState::Delivered);
        Ok(notices.iter().filter_map(|notice| notice.finished).max().filter(|_| all_arrived))
    }
}

fn received_here(row: &WithdrawalRow) -> Holder {
    let state = if row.done_at.is_some() { HolderState::Done } else { HolderState::Received };
    Holder {
        authority: row.recipient.clone(),
        state,
        noticed_at: row.received,
        received_at: row.received,
        answered_at: row.done_at.unwrap_or(UnixMs(0)),
        due_by: row.due_by,
        overdue: false,
    }
}
