//! Records as they are held here, of whatever kind: lists and single ones, own and received, with what was answered and
//! where each delivery stands.

use crate::domain::envelope::Envelope;
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, Reference, ReferenceKind};
use crate::domain::records::{Content, RecordBody, RecordKind};
use crate::domain::sharing::{Audience, Sharing};
use crate::domain::time::UnixMs;
use crate::exchange::context::{Error, Table, Unreadable};
use crate::storage::rows::{InboxRow, PublicationRow};
use crate::wire::{self, sealed, stored};

use super::Road;
use super::later::Superseded;
use super::lists::{DeliveryFilter, DeliveryRow};

/// Which records of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// From partners.
    Received,
    /// By an authority of this node.
    Published,
}

/// A record as held here.
#[derive(Clone, Debug)]
pub struct HeldRecord {
    pub key: RecordKey,
    pub kind: RecordKind,
    /// What it says and how it is shared, if the stored row can be read.
    pub said: Result<Said, Unreadable>,
    /// `None` for a received one that cannot be read.
    pub created: Option<UnixMs>,
    /// `None` for an own one.
    pub received: Option<UnixMs>,
    /// Inbox position of a received one, sequence of an own one: the page cursor.
    pub place: u64,
    /// What its publisher said of it later; a list has only those of which nothing was.
    pub later: Option<Superseded>,
    /// Own: what each partner answered. Received: what this authority answered.
    pub answers: Vec<HeldAnswer>,
    /// Older answers that are not among them.
    pub answers_left_out: usize,
    /// Own: where each delivery stands.
    pub deliveries: Vec<DeliveryRow>,
}

/// What a record says, and how it is shared.
#[derive(Clone, Debug)]
pub struct Said {
    /// Of a received one with its recipient: that is what a recipient knows.
    pub sharing: Sharing,
    /// Own: those that were found when it was published. Received: the authority that received it.
    pub recipients: Vec<AuthorityId>,
    pub content: Content,
    /// The earlier record that it answers, updates, cancels or replaces.
    pub references: Vec<Reference>,
}

/// One answer to a record.
#[derive(Clone, Debug)]
pub struct HeldAnswer {
    pub key: RecordKey,
    /// Of a kind that answers, if the stored row can be read.
    pub answer: Result<Content, Unreadable>,
    /// When it was made; of one that cannot be read, when it came.
    pub created: UnixMs,
}

/// Rows looked at per read, at least.
const LOOK: usize = 50;
/// Answers of one record.
const ANSWERS: usize = 1_000;
/// Bytes of the answers that are shown with one record: several are longer than any.
const ANSWERS_BYTES: usize = 256 << 10;

impl Road {
    /// Records of a kind, newest first, below a place: of each the newest word. What was updated, replaced or cancelled
    /// is left out, and so are cancellations; `get` shows them.
    ///
    /// # Errors
    /// When the store cannot be read. A row that cannot be is in the list, without content and with the reason.
    pub async fn list(
        &self,
        kind: RecordKind,
        folder: Folder,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HeldRecord>, Error> {
        let (mut held, mut before) = (Vec::new(), before);
        while held.len() < limit {
            let look = (limit - held.len()).max(LOOK.min(limit));
            let (found, last) = match folder {
                Folder::Received => self.list_received(kind, before, look).await?,
                Folder::Published => self.list_own(kind, before, look).await?,
            };
            let current = |held: &HeldRecord| {
                let cancels = |said: &Said| said.target(ReferenceKind::Cancels).is_some();
                held.later.is_none() && !held.said.as_ref().is_ok_and(cancels)
            };
            held.extend(found.into_iter().filter(current));
            let Some(last) = last else { break };
            before = Some(last);
        }
        held.truncate(limit);
        Ok(held)
    }

    /// As many rows as are looked at, and where to go on; `None`: there are no more.
    async fn list_received(
        &self,
        kind: RecordKind,
        before: Option<u64>,
        look: usize,
    ) -> Result<(Vec<HeldRecord>, Option<u64>), Error> {
        let rows = self.store().inbox_before(kind, before, look).await?;
        let last = rows.last().filter(|_| rows.len() == look).map(|row| row.position);
        let mut later = self.received_superseded(rows.iter().map(|row| row.key.clone()).collect()).await?;
        let mut held = Vec::with_capacity(rows.len());
        for row in rows {
            let later = later.remove(&row.key);
            held.push(self.held_received(row, later).await?);
        }
        Ok((held, last))
    }

    async fn list_own(
        &self,
        kind: RecordKind,
        before: Option<u64>,
        look: usize,
    ) -> Result<(Vec<HeldRecord>, Option<u64>), Error> {
        let rows = self.store().publications(kind, before, look).await?;
        let last = rows.last().filter(|_| rows.len() == look).map(|row| row.sequence);
        let mut held = Vec::with_capacity(rows.len());
        for row in rows {
            held.push(self.held_own(row).await?);
        }
        Ok((held, last))
    }

    /// One record, own or received, of whatever kind of content.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, key: RecordKey) -> Result<HeldRecord, Error> {
        if self.context.keys().serves(&key.origin) {
            let row = self.store().publication(key).await?.ok_or(Reason::NotFound)?;
            return self.held_own(row).await;
        }
        let row = self.store().inbox_record(key).await?.filter(|row| row.kind.facts().is_some());
        let row = row.ok_or(Reason::NotFound)?;
        let later = self.received_superseded(vec![row.key.clone()]).await?.remove(&row.key);
        self.held_received(row, later).await
    }

    async fn held_own(&self, row: PublicationRow) -> Result<HeldRecord, Error> {
        let key = RecordKey { origin: row.authority, record_id: row.record_id };
        let (answers, answers_left_out) = self.answers_to(row.kind, &key).await?;
        let later = self.own_superseded(&key).await?;
        let filter = DeliveryFilter { record: Some(row.record_id), ..DeliveryFilter::default() };
        let deliveries = self.store().deliveries(filter, None, limits::RECIPIENTS).await?;
        let said = match stored::reload(row.body) {
            Ok(publication) => Ok(Said {
                sharing: publication.sharing,
                recipients: publication.recipients,
                content: publication.content,
                references: publication.references,
            }),
            Err(error) => Err(self.unreadable(Table::Publication, Some(row.kind), key.record_id, error)),
        };
        Ok(HeldRecord {
            key,
            kind: row.kind,
            said,
            created: Some(row.created),
            received: None,
            place: row.sequence,
            later,
            answers,
            answers_left_out,
            deliveries,
        })
    }

    async fn held_received(&self, row: InboxRow, later: Option<Superseded>) -> Result<HeldRecord, Error> {
        let answers = self.own_answers(row.kind, &row.key).await?;
        let (said, created) = match received(&row) {
            Ok((envelope, content)) => {
                let (sharing, created) = (sharing_of(&envelope), envelope.created);
                let recipients = vec![envelope.recipient];
                (Ok(Said { sharing, recipients, content, references: envelope.references }), Some(created))
            }
            Err(error) => (Err(self.unreadable(Table::Inbox, Some(row.kind), row.key.record_id, error)), None),
        };
        Ok(HeldRecord {
            key: row.key,
            kind: row.kind,
            said,
            created,
            received: Some(row.received),
            place: row.position,
            later,
            answers,
            answers_left_out: 0,
            deliveries: Vec::new(),
        })
    }

    /// What partners answered to an own record, the newest ones; and how many older ones there are.
    async fn answers_to(&self, kind: RecordKind, key: &RecordKey) -> Result<(Vec<HeldAnswer>, usize), Error> {
        if answering(kind).next().is_none() {
            return Ok((Vec::new(), 0));
        }
        let mut all = self.store().inbox_about(key.clone(), ANSWERS).await?;
        all.retain(|row| row.kind.is_answer());
        let mut bytes = 0;
        // A partner that answers at length must not make the record too long to show.
        let newest = all.iter().rev().take_while(|about| {
            bytes += about.envelope.len();
            bytes <= ANSWERS_BYTES
        });
        let left_out = all.len() - newest.count();
        let shown = all.split_off(left_out).into_iter().map(|row| {
            let (answer, created) = match received(&row) {
                Ok((envelope, content)) => (Ok(content), envelope.created),
                Err(error) => {
                    (Err(self.unreadable(Table::Inbox, Some(row.kind), row.key.record_id, error)), row.received)
                }
            };
            HeldAnswer { key: row.key, answer, created }
        });
        Ok((shown.collect(), left_out))
    }

    /// What this node answered to a received record.
    async fn own_answers(&self, kind: RecordKind, key: &RecordKey) -> Result<Vec<HeldAnswer>, Error> {
        if answering(kind).next().is_none() {
            return Ok(Vec::new());
        }
        let rows = self.store().publications_about(key.clone(), ANSWERS).await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let answer = stored::reload(row.body).map(|publication| publication.content);
                let answer =
                    answer.map_err(|error| self.unreadable(Table::Publication, Some(row.kind), row.record_id, error));
                let key = RecordKey { origin: row.authority, record_id: row.record_id };
                HeldAnswer { key, answer, created: row.created }
            })
            .collect())
    }
}

impl HeldAnswer {
    /// Who answered.
    pub fn authority(&self) -> &AuthorityId {
        &self.key.origin
    }
}

impl Said {
    /// The record that it refers to in this way.
    pub fn target(&self, kind: ReferenceKind) -> Option<&RecordKey> {
        self.references.iter().find(|r| r.kind == kind).map(|r| &r.target)
    }
}

/// The kinds that answer records of this kind.
fn answering(kind: RecordKind) -> impl Iterator<Item = RecordKind> {
    let answers = move |by: &RecordKind| by.facts().is_some_and(|facts| facts.answers.contains(&kind));
    RecordKind::CONTENT.iter().copied().filter(answers)
}

/// A received record of content, from its stored row.
pub(in crate::exchange) fn received(row: &InboxRow) -> Result<(Envelope, Content), wire::Error> {
    let opened = sealed::reload_opened(&row.envelope)?;
    match opened.body {
        RecordBody::Content(content) => Ok((opened.envelope, content)),
        RecordBody::Control(_) => Err(wire::Error::new(Reason::StorageDamaged, "kind", "content")),
    }
}

/// What a recipient knows of how a record is shared: with itself.
fn sharing_of(envelope: &Envelope) -> Sharing {
    Sharing {
        audience: Audience::one(envelope.recipient.clone()),
        purpose: envelope.purpose,
        lawful_basis: envelope.lawful_basis,
        special_basis: envelope.special_basis,
        handling: envelope.handling,
        status: envelope.status,
        expires: Some(envelope.expires),
        review_by: Some(envelope.review_by),
    }
}
