//! Records as they are held here, of whatever kind: lists and single ones, own and received, with what was answered and
//! where each delivery stands. Each is asked about at the gate: what this role may not read, or nobody any more, is in no list and
//! no count, and is not found.

use crate::domain::audit::ActorRole;
use crate::domain::envelope::Envelope;
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::policy::{ReadPurpose, Reading};
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, Reference, ReferenceKind};
use crate::domain::records::{Content, RecordKind};
use crate::domain::sharing::{Audience, Sharing};
use crate::domain::time::UnixMs;
use crate::exchange::context::{Error, Unreadable};
use crate::storage::rows::{InboxRow, PublicationRow};

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
/// Answers of one record that are looked at; more than there may be recipients.
const ANSWERS: usize = 1_000;
/// Bytes of the answers that are shown with one record: several are longer than any.
const ANSWERS_BYTES: usize = 256 << 10;

impl Road {
    /// Records of a kind, newest first, below a place: of each the newest word. What was updated, replaced or cancelled
    /// is left out, and so are cancellations, and answers to records of the same kind, which stand with what they answer; `get`
    /// shows them.
    ///
    /// # Errors
    /// When the store cannot be read. A row that cannot be is in the list, without content and with the reason.
    pub async fn list(
        &self,
        role: ActorRole,
        kind: RecordKind,
        folder: Folder,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HeldRecord>, Error> {
        let (mut held, mut before) = (Vec::new(), before);
        while held.len() < limit {
            let look = (limit - held.len()).max(LOOK.min(limit));
            let (found, last) = match folder {
                Folder::Received => self.list_received(role, kind, before, look).await?,
                Folder::Published => self.list_own(role, kind, before, look).await?,
            };
            let beside = |said: &Said| said.target(ReferenceKind::Cancels).is_some() || said.answers_its_own_kind();
            let current = |held: &HeldRecord| held.later.is_none() && !held.said.as_ref().is_ok_and(beside);
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
        role: ActorRole,
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
            held.extend(self.held_received(role, row, later).await?);
        }
        Ok((held, last))
    }

    async fn list_own(
        &self,
        role: ActorRole,
        kind: RecordKind,
        before: Option<u64>,
        look: usize,
    ) -> Result<(Vec<HeldRecord>, Option<u64>), Error> {
        let rows = self.store().publications(kind, before, look).await?;
        let last = rows.last().filter(|_| rows.len() == look).map(|row| row.sequence);
        let mut held = Vec::with_capacity(rows.len());
        for row in rows {
            held.extend(self.held_own(role, row).await?);
        }
        Ok((held, last))
    }

    /// One record, own or received, of whatever kind of content.
    ///
    /// # Errors
    /// `NOT_FOUND`, also for one that this role may not read, or nobody any more.
    pub async fn get(&self, role: ActorRole, key: RecordKey) -> Result<HeldRecord, Error> {
        let held = if self.context.keys().serves(&key.origin) {
            let row = self.store().publication(key).await?.ok_or(Reason::NotFound)?;
            self.held_own(role, row).await?
        } else {
            let row = self.store().inbox_record(key).await?.ok_or(Reason::NotFound)?;
            let later = self.received_superseded(vec![row.key.clone()]).await?.remove(&row.key);
            self.held_received(role, row, later).await?
        };
        Ok(held.ok_or(Reason::NotFound)?)
    }

    /// `None`: this role may not read it, or nobody any more.
    async fn held_own(&self, role: ActorRole, row: PublicationRow) -> Result<Option<HeldRecord>, Error> {
        let Ok(reading) = self.context.may_read(&row.record, role, ReadPurpose::Show) else { return Ok(None) };
        let (key, kind) = (row.key(), reading.kind());
        let said = self.context.opened_own(&row, reading).map(|publication| Said {
            sharing: publication.sharing,
            recipients: publication.recipients,
            content: publication.content,
            references: publication.references,
        });
        let (answers, answers_left_out) = self.answers_to(role, kind, &key).await?;
        let later = self.own_superseded(&key).await?;
        let filter = DeliveryFilter { record: Some(row.record_id), ..DeliveryFilter::default() };
        let deliveries = self.store().deliveries(filter, None, limits::RECIPIENTS).await?;
        Ok(Some(HeldRecord {
            key,
            kind,
            said,
            created: Some(row.created),
            received: None,
            place: row.sequence,
            later,
            answers,
            answers_left_out,
            deliveries,
        }))
    }

    /// `None`: this role may not read it, or nobody any more.
    async fn held_received(
        &self,
        role: ActorRole,
        row: InboxRow,
        later: Option<Superseded>,
    ) -> Result<Option<HeldRecord>, Error> {
        let Ok(reading) = self.context.may_read_received(&row, role, ReadPurpose::Show) else { return Ok(None) };
        let kind = reading.kind();
        let (said, created) = match self.context.opened_received(&row, reading) {
            Ok((envelope, content)) => {
                let (sharing, created) = (sharing_of(&envelope), envelope.created);
                let recipients = vec![envelope.recipient];
                (Ok(Said { sharing, recipients, content, references: envelope.references }), Some(created))
            }
            Err(unreadable) => (Err(unreadable), None),
        };
        let answers = self.own_answers(role, kind, &row).await?;
        Ok(Some(HeldRecord {
            key: row.key,
            kind,
            said,
            created,
            received: Some(row.received),
            place: row.position,
            later,
            answers,
            answers_left_out: 0,
            deliveries: Vec::new(),
        }))
    }

    /// What partners answered to an own record, of each the newest ones; and how many older ones there are, as far as they were
    /// looked at. Of both only what this role may read.
    async fn answers_to(
        &self,
        role: ActorRole,
        kind: RecordKind,
        key: &RecordKey,
    ) -> Result<(Vec<HeldAnswer>, usize), Error> {
        if answering(kind).next().is_none() {
            return Ok((Vec::new(), 0));
        }
        let about = self.store().inbox_about_by_turns(key.clone(), ANSWERS).await?;
        // An update of a record is about it as well, and its publisher's own.
        let answers =
            |row: &&InboxRow| row.key.origin != key.origin && answering(kind).any(|by| by == row.record.kind());
        let mut open: Vec<(&InboxRow, Reading<'_>)> = about
            .iter()
            .filter(answers)
            .filter_map(|row| Some((row, self.context.may_read_received(row, role, ReadPurpose::Show).ok()?)))
            .collect();
        // A partner that answers at length, or often, must neither make the record too long to show nor push out what
        // others answered: the newest of each comes first.
        let (all, mut bytes) = (open.len(), 0);
        let fit = open.iter().take_while(|(row, _)| {
            bytes += row.record.size();
            bytes <= ANSWERS_BYTES
        });
        open.truncate(fit.count());
        let left_out = all - open.len();
        open.sort_unstable_by_key(|(row, _)| row.position);
        let shown = open.iter().map(|(row, reading)| {
            let (answer, created) = match self.context.opened_received(row, *reading) {
                Ok((envelope, content)) => (Ok(content), envelope.created),
                Err(unreadable) => (Err(unreadable), row.received),
            };
            HeldAnswer { key: row.key.clone(), answer, created }
        });
        Ok((shown.collect(), left_out))
    }

    /// What the authority that received a record answered to it.
    async fn own_answers(&self, role: ActorRole, kind: RecordKind, to: &InboxRow) -> Result<Vec<HeldAnswer>, Error> {
        if answering(kind).next().is_none() {
            return Ok(Vec::new());
        }
        let rows = self.store().publications_about(to.key.clone(), to.recipient.clone(), ANSWERS).await?;
        let answers = rows.iter().filter_map(|row| {
            let reading = self.context.may_read(&row.record, role, ReadPurpose::Show).ok()?;
            let answer = self.context.opened_own(row, reading).map(|publication| publication.content);
            Some(HeldAnswer { key: row.key(), answer, created: row.created })
        });
        Ok(answers.collect())
    }
}

impl HeldAnswer {
    /// Who answered.
    pub fn authority(&self) -> &AuthorityId {
        &self.key.origin
    }
}

impl Said {
    fn answers_its_own_kind(&self) -> bool {
        self.content.facet().is_answer() && self.content.facts().answers.contains(&self.content.kind())
    }

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
