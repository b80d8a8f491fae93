//! Opening stored records: the gate is asked about each row (`domain/policy.rs`), and what opens is reloaded.
//!
//! A row that may not be read is left out by whoever lists, searches, counts or streams, and is not there for whoever asks for
//! it alone; one that may be and has lost its form is shown as such (`unreadable`).

use crate::domain::audit::ActorRole;
use crate::domain::envelope::Envelope;
use crate::domain::policy::{self, KeptRecord, ReadPurpose, Reading};
use crate::domain::publication::Publication;
use crate::domain::reason::Reason;
use crate::domain::records::{Content, RecordBody};
use crate::storage::rows::{InboxRow, PublicationRow};
use crate::wire::{self, sealed, stored};

use super::{Context, Table, Unreadable};

impl Context {
    /// Whether this role may read the record, for this purpose, now.
    pub(in crate::exchange) fn may_read<'r>(
        &self,
        record: &'r KeptRecord,
        role: ActorRole,
        purpose: ReadPurpose,
    ) -> Result<Reading<'r>, Reason> {
        policy::may_read(record, role, purpose, self.closing_time())
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
