//! What stands where: alerts with their answers and deliveries, the outbox, the ledger.

use std::collections::HashMap;

use bytes::Bytes;

use crate::domain::alert::Alert;
use crate::domain::answer::Answer;
use crate::domain::envelope::Envelope;
use crate::domain::ids::AuthorityId;
use crate::domain::publication::Record;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind};
use crate::domain::sharing::Sharing;
use crate::domain::time::UnixMs;
use crate::storage::rows::{AuditHead, InboxRow, PublicationRow};
use crate::wire::body::Body;
use crate::wire::{sealed, stored};

use super::Exchange;
use super::error::Error;

pub use crate::storage::rows::{DeliveryFilter, DeliveryRow, DeliveryState, QueueCount};

/// An alert as held here: own (origin = an authority of this node) or received.
#[derive(Clone, Debug)]
pub struct HeldAlert {
    pub key: RecordKey,
    pub sharing: Sharing,
    pub alert: Alert,
    pub created: UnixMs,
    /// `None` for an own one.
    pub received: Option<UnixMs>,
    /// Inbox position of a received one, sequence of an own one: the page cursor.
    pub place: u64,
    /// Own: what each partner answered. Received: what this authority answered.
    pub answers: Vec<HeldAnswer>,
    /// Older answers that are not among them.
    pub answers_left_out: usize,
    /// Own: where each delivery stands.
    pub deliveries: Vec<DeliveryRow>,
}

/// One answer to a record.
#[derive(Clone, Debug)]
pub struct HeldAnswer {
    pub authority: AuthorityId,
    pub answer: Answer,
    pub created: UnixMs,
}

/// Answers of one alert, and own answers looked through for a list.
const ANSWERS: usize = 1_000;
/// Bytes of the answers that are shown with one alert: several are longer than any.
const ANSWERS_BYTES: usize = 256 << 10;

impl Exchange {
    /// Received alerts, newest first, below a position.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn received_alerts(&self, before: Option<u64>, limit: usize) -> Result<Vec<HeldAlert>, Error> {
        let rows = self.store().inbox_before(RecordKind::Alert, before, limit).await?;
        let answers = if rows.is_empty() { HashMap::new() } else { self.own_answers().await? };
        rows.iter().map(|row| received_alert(row, &answers)).collect()
    }

    /// Own alerts, newest first, below a sequence.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn published_alerts(&self, before: Option<u64>, limit: usize) -> Result<Vec<HeldAlert>, Error> {
        let mut alerts = Vec::new();
        for row in self.store().publications(RecordKind::Alert, before, limit).await? {
            alerts.push(self.published_alert(row).await?);
        }
        Ok(alerts)
    }

    /// One alert, own or received.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn alert(&self, key: RecordKey) -> Result<HeldAlert, Error> {
        if self.0.keys.serves(&key.origin) {
            let row = self.store().publication(key).await?.filter(|row| row.kind == RecordKind::Alert);
            return self.published_alert(row.ok_or(Reason::NotFound)?).await;
        }
        let row = self.store().inbox_record(key).await?.filter(|row| row.kind == RecordKind::Alert);
        let row = row.ok_or(Reason::NotFound)?;
        received_alert(&row, &self.own_answers().await?)
    }

    /// Deliveries, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn deliveries(
        &self,
        filter: DeliveryFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, Error> {
        Ok(self.store().deliveries(filter, before, limit).await?)
    }

    /// What waits, per recipient.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn queue_counts(&self) -> Result<Vec<(AuthorityId, QueueCount)>, Error> {
        Ok(self.store().queue_counts().await?)
    }

    /// The highest inbox position.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn inbox_position(&self) -> Result<u64, Error> {
        Ok(self.store().inbox_position().await?)
    }

    /// Encoded audit leaves from an index on, and the head of the log.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn audit_leaves(&self, from: u64, limit: usize) -> Result<(Vec<Bytes>, AuditHead), Error> {
        Ok((self.store().audit_leaves(from, limit).await?, self.store().audit_head().await?))
    }

    async fn published_alert(&self, row: PublicationRow) -> Result<HeldAlert, Error> {
        let publication = stored::decode(row.body)?;
        let Record::Alert(alert) = publication.record else { return Err(Reason::StorageDamaged.into()) };
        let key = RecordKey { origin: row.authority, record_id: row.record_id };
        let (mut answers, mut bytes) = (Vec::new(), 0);
        let all = self.store().inbox_about(key.clone(), ANSWERS).await?;
        // A partner that answers at length must not make the alert too long to show.
        let newest = all.iter().rev().take_while(|about| {
            bytes += about.envelope.len();
            bytes <= ANSWERS_BYTES
        });
        let shown = newest.count();
        for about in &all[all.len() - shown..] {
            let opened = sealed::own_opened(&about.envelope)?;
            if let Body::Answer(answer) = opened.body {
                let created = opened.envelope.created;
                answers.push(HeldAnswer { authority: opened.envelope.origin, answer, created });
            }
        }
        let filter = DeliveryFilter { record: Some(row.record_id), ..DeliveryFilter::default() };
        let deliveries = self.store().deliveries(filter, None, crate::domain::limits::RECIPIENTS).await?;
        Ok(HeldAlert {
            key,
            sharing: publication.sharing,
            alert,
            created: row.created,
            received: None,
            place: row.sequence,
            answers,
            answers_left_out: all.len() - shown,
            deliveries,
        })
    }

    /// What this node answered lately, by target.
    async fn own_answers(&self) -> Result<HashMap<RecordKey, Vec<HeldAnswer>>, Error> {
        let mut answers: HashMap<RecordKey, Vec<HeldAnswer>> = HashMap::new();
        for row in self.store().publications(RecordKind::Answer, None, ANSWERS).await?.into_iter().rev() {
            if let Record::Answer { target, answer, .. } = stored::decode(row.body)?.record {
                let held = HeldAnswer { authority: row.authority, answer, created: row.created };
                answers.entry(target).or_default().push(held);
            }
        }
        Ok(answers)
    }
}

fn received_alert(row: &InboxRow, answers: &HashMap<RecordKey, Vec<HeldAnswer>>) -> Result<HeldAlert, Error> {
    let opened = sealed::own_opened(&row.envelope)?;
    let Body::Alert(alert) = opened.body else { return Err(Reason::StorageDamaged.into()) };
    Ok(HeldAlert {
        key: row.key.clone(),
        sharing: sharing_of(&opened.envelope),
        alert,
        created: opened.envelope.created,
        received: Some(row.received),
        place: row.position,
        answers: answers.get(&row.key).cloned().unwrap_or_default(),
        answers_left_out: 0,
        deliveries: Vec::new(),
    })
}

/// What a recipient knows of how a record is shared: with itself.
fn sharing_of(envelope: &Envelope) -> Sharing {
    Sharing {
        recipients: vec![envelope.recipient.clone()],
        purpose: envelope.purpose,
        lawful_basis: envelope.lawful_basis,
        special_basis: envelope.special_basis,
        handling: envelope.handling,
        status: envelope.status,
        expires: Some(envelope.expires),
        review_by: Some(envelope.review_by),
    }
}
