//! Opening stored records: the gate is asked about each row (`domain/policy.rs`), and what opens is reloaded.
//!
//! A row that may not be read is left out by whoever lists, searches, counts or streams, and is not there for whoever asks for
//! it alone; one that may be and has lost its form is shown as such (`unreadable`).

use crate::domain::audit::ActorRole;
use crate::domain::envelope::Envelope;
use crate::domain::ids::AuthorityId;
use crate::domain::policy::{self, KeptRecord, ReadPurpose, Reading};
use crate::domain::publication::Publication;
use crate::domain::reason::Reason;
use crate::domain::records::{Content, RecordBody};
use crate::storage::rows::{InboxRow, PublicationRow};
use crate::wire::{self, sealed, stored};

use super::{Context, Table, Unreadable};

impl Context {
    /// Whether this role may read the record, for this purpose, now. A received one about a person is asked for with its row
    /// (`may_read_received`): without it nobody knows whether its origin has called it back.
    pub(in crate::exchange) fn may_read<'r>(
        &self,
        record: &'r KeptRecord,
        role: ActorRole,
        purpose: ReadPurpose,
    ) -> Result<Reading<'r>, Reason> {
        if purpose != ReadPurpose::Order && record.kind().is_about_persons() && !record.is_own() {
            return Err(Reason::WithdrawalsNotAnswered);
        }
        policy::may_read(record, role, purpose, self.closing_time())
    }

    /// The same of a received one: what is about a person is closed until its origin has said what was withdrawn (9.10).
    pub(in crate::exchange) fn may_read_received<'r>(
        &self,
        row: &'r InboxRow,
        role: ActorRole,
        purpose: ReadPurpose,
    ) -> Result<Reading<'r>, Reason> {
        let reading = policy::may_read(&row.record, role, purpose, self.closing_time())?;
        let asks = purpose != ReadPurpose::Order && row.record.kind().is_about_persons();
        if asks && !self.has_said_what_was_withdrawn(&row.recipient, &row.key.origin) {
            return Err(Reason::WithdrawalsNotAnswered);
        }
        Ok(reading)
    }

    /// Whether a partner has told one of this node what it withdrew, since when nothing can have been missed. Of two of this node
    /// one store has all of it.
    pub(in crate::exchange) fn has_said_what_was_withdrawn(&self, ours: &AuthorityId, partner: &AuthorityId) -> bool {
        let pair = (ours.clone(), partner.clone());
        self.keys().serves(partner) || self.answered().is_open(&self.view(), &pair, self.now())
    }

    /// What an own record says; one that cannot be read is noted.
    pub(in crate::exchange) fn opened_own(
        &self,
        row: &PublicationRow,
        reading: Reading<'_>,
    ) -> Result<Publication, Unreadable> {
        let noted = |error| self.unreadable(Table::Publication, Some(reading.kind()), row.record_id, error);
        stored::reload(reading).map_err(noted)
    }

    /// A received record of content; one that cannot be read is noted.
    pub(in crate::exchange) fn opened_received(
        &self,
        row: &InboxRow,
        reading: Reading<'_>,
    ) -> Result<(Envelope, Content), Unreadable> {
        let noted = |error| self.unreadable(Table::Inbox, Some(reading.kind()), row.key.record_id, error);
        content(reading).map_err(noted)
    }
}

fn content(reading: Reading<'_>) -> Result<(Envelope, Content), wire::Error> {
    let opened = sealed::reload_opened(reading)?;
    match opened.body {
        RecordBody::Content(content) => Ok((opened.envelope, content)),
        RecordBody::Control(_) => Err(wire::Error::new(Reason::StorageDamaged, "kind", "content")),
    }
}
