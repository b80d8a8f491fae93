//! Erasing one record about a person from every file of this node, and saying so (9.9).
//!
//! The order is what makes the answer true: keys overwritten and tombstone written in one commit of `keys.db`; then the rows go;
//! then the log of the database is emptied, which a long read can keep back; only then it is answered. A node that is killed
//! anywhere in between begins again, for it is still owed.

use crate::domain::audit::{AuditAct, AuditDraft};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::records::withdrawal::{ErasureOutcome, ErasureReceipt};
use crate::domain::records::{CONTROL_LIFE, Control};
use crate::exchange::context::{Error, new_random_record_id};
use crate::storage::ops::{Delete, NewDelivery, Put, Write};
use crate::storage::rows::WithdrawalRow;

use super::Persons;

/// Words about one record that are erased with it.
const WORDS: usize = 256;

impl Persons {
    /// Erases it, with what was answered to it; of a partner's record the answer is part of what is given back.
    ///
    /// # Errors
    /// `ERASURE_UNFINISHED` while something may still lie in the log; when the files cannot be written. It is still owed then.
    pub(in crate::exchange) async fn erase(&self, key: &RecordKey) -> Result<Write, Error> {
        let now = self.context.now();
        self.store().erase(self.with_answers(key).await?, now).await?;
        let deletes = vec![Delete::Erased { key: key.clone(), at: now }];
        self.store().write(Write { deletes, ..Write::default() }.into()).await?;
        if !self.store().empty_log().await? {
            return Err(Reason::ErasureUnfinished.into());
        }
        let erased = AuditDraft { counterparty: Some(key.origin.clone()), ..AuditDraft::by_node(AuditAct::Erased) };
        let mut done = Write { audit: vec![erased], ..Write::default() };
        if let Some(row) = self.store().withdrawal(key.clone()).await? {
            self.answer(&mut done, row)?;
        }
        Ok(done)
    }

    /// The record, and what was answered to it here: each is sealed under a key of its own, and goes with it.
    pub(super) async fn with_answers(&self, key: &RecordKey) -> Result<Vec<RecordKey>, Error> {
        let mut keys = vec![key.clone()];
        for own in self.context.keys().authorities() {
            let answers = self.store().publications_about(key.clone(), own, WORDS).await?;
            keys.extend(answers.iter().map(|row| row.key()));
        }
        let received = self.store().inbox_about_any(vec![key.clone()]).await?;
        keys.extend(received.into_iter().map(|row| row.key));
        Ok(keys)
    }

    fn answer(&self, done: &mut Write, row: WithdrawalRow) -> Result<(), Error> {
        let row = WithdrawalRow { done_at: Some(self.context.now()), ..row };
        done.deliveries.push(self.receipt_of(&row)?);
        done.puts.push(Put::Withdrawal(row));
        Ok(())
    }

    /// Says that nothing of it is left here, since when it is so.
    pub(super) fn receipt_of(&self, row: &WithdrawalRow) -> Result<NewDelivery, Error> {
        let (view, now) = (self.context.view(), self.context.now());
        let (counter, outcome, at) = (row.counter, ErasureOutcome::Done, row.done_at.unwrap_or(now));
        let receipt = Control::ErasureReceipt(ErasureReceipt { record_id: row.key.record_id, counter, outcome, at });
        let as_what = (new_random_record_id(), CONTROL_LIFE);
        self.context.control((&view, now), (&row.recipient, &row.key.origin), as_what, &receipt)
    }
}
