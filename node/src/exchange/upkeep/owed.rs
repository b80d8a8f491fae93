//! Passes over what is owed: for each recipient that may have it now, oldest first, many rows in one commit.
//!
//! What lives here: the walk over the rows and what becomes of one that cannot be done. What does not: how a row is
//! fulfilled, which stands with its subject. Invariant: a row that cannot be done is postponed, with its reason, and never
//! stops the one behind it; what fulfils a row and its settlement are one transaction, so that a node that is killed between
//! any two steps loses nothing and repeats nothing.

use crate::domain::authority::MemberStatus;
use crate::domain::ids::AuthorityId;
use crate::domain::owed;
use crate::domain::reason::Reason;
use crate::exchange::context::{Error, Passed};
use crate::storage;
use crate::storage::ops::Write;
use crate::storage::owed::{OwedRow, Postponed, Subject, What};

use super::Upkeep;

/// Rows that are fulfilled in one transaction.
const TOGETHER: usize = 128;
/// Transactions for one recipient before others have their turn.
const ROUNDS: usize = 16;

impl Upkeep {
    /// Fulfils what is due of a sort.
    ///
    /// # Errors
    /// When the store fails; what was not fulfilled is still owed.
    pub(super) async fn owed_pass(&self, what: What) -> Result<Passed, Error> {
        let mut passed = Passed::default();
        // Nothing can be shared while this node's authorities are suspended; their restore wakes every pass.
        if !matches!(what, What::PauseNotice | What::Erasure) && self.are_suspended_here() {
            return Ok(passed);
        }
        for recipient in self.store().owed_recipients(what, self.now()).await? {
            if self.may_be_served(recipient.as_ref()) {
                passed.add(self.fulfil_for(what, recipient.as_ref()).await?);
            }
        }
        Ok(passed)
    }

    /// What is owed to a suspended recipient waits until it is restored, without being looked at; so does what is owed to
    /// one that the register as read so far does not name.
    fn may_be_served(&self, recipient: Option<&AuthorityId>) -> bool {
        let (view, now) = (self.view(), self.now());
        let standing = |to| view.status(to, now);
        recipient.is_none_or(|to| !matches!(standing(to), MemberStatus::Suspended | MemberStatus::Unknown))
    }

    fn are_suspended_here(&self) -> bool {
        let (view, now) = (self.view(), self.now());
        self.context.keys().authorities().iter().all(|own| view.status(own, now) == MemberStatus::Suspended)
    }

    async fn fulfil_for(&self, what: What, recipient: Option<&AuthorityId>) -> Result<Passed, Error> {
        let mut passed = Passed::default();
        for _ in 0..ROUNDS {
            let rows = self.store().owed(what, recipient.cloned(), self.now(), TOGETHER).await?;
            passed.add(self.fulfil(&rows).await?);
            if rows.len() < TOGETHER {
                return Ok(passed);
            }
        }
        passed.more = true;
        Ok(passed)
    }

    /// All of them in one transaction; should the store refuse that, each in its own.
    async fn fulfil(&self, rows: &[OwedRow]) -> Result<Passed, Error> {
        let (mut passed, mut together) = (Passed::default(), Write::default());
        for row in rows {
            together.append(self.fulfilment_or_postponement(row, &mut passed).await?);
        }
        if rows.is_empty() || self.context.write_owed(together).await? {
            return Ok(passed);
        }
        let mut passed = Passed::default();
        for row in rows {
            let mut alone = Passed::default();
            let write = self.fulfilment_or_postponement(row, &mut alone).await?;
            if !self.context.write_owed(write).await? {
                alone = Passed::default();
                self.context.write_owed(self.postponement(row, Reason::StorageDamaged, &mut alone)).await?;
            }
            passed.add(alone);
        }
        Ok(passed)
    }

    async fn fulfilment_or_postponement(&self, row: &OwedRow, passed: &mut Passed) -> Result<Write, Error> {
        match self.fulfilment(row).await {
            Ok(mut write) => {
                write.settles.push(row.key.clone());
                passed.done += 1;
                Ok(write)
            }
            Err(error) if error.concerns_one_row() => Ok(self.postponement(row, error.reason(), passed)),
            Err(error) => Err(error),
        }
    }

    /// What fulfils a row; empty when nothing is to be done about it any more. An error postpones it.
    async fn fulfilment(&self, row: &OwedRow) -> Result<Write, Error> {
        let to = || row.key.recipient.as_ref().ok_or(Reason::StorageDamaged);
        match &row.key.subject {
            Subject::SuspendedRecord(record) => self.road.record_for_restored(record, to()?).await,
            Subject::Backfill(grant) => self.road.backfill(grant, to()?).await,
            Subject::Announcement(agreement) => self.agreements.announcement(agreement, to()?).await,
            Subject::EndNotice(agreement, by) => self.agreements.end_notice(agreement, by, to()?).await,
            Subject::PauseNotice(offer) => self.capacity.pause_notice(offer).await,
            Subject::Erasure(record) => self.persons.erase(record).await,
            // Governance has the overlay, and looks after it from the start on.
            Subject::EmergencyEntry(_) => Err(Reason::Internal.into()),
        }
    }

    fn postponement(&self, row: &OwedRow, reason: Reason, passed: &mut Passed) -> Write {
        havenlink_runtime::repeated!(warn by reason.code(); kind = row.key.subject.what().name(), reason = reason.code(), "what is owed cannot be done yet");
        passed.postpone(reason);
        let due = self.now() + owed::pause(row.attempts, reason);
        Write { postpones: vec![Postponed { key: row.key.clone(), due, reason }], ..Write::default() }
    }

    /// How much of each sort is owed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn owed_counts(&self) -> Result<Vec<storage::owed::OwedCount>, Error> {
        Ok(self.store().owed_counts().await?)
    }
}
