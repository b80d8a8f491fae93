//! Judges a batch, item by item in its order: times, the one question, dedup, what it refers to, what it changes.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::domain::agreement::Usage;
use crate::domain::agreement::set::AgreementSet;
use crate::domain::audit::{ActorRole, AuditAct, AuditDraft};
use crate::domain::envelope::{Envelope, GrantRef};
use crate::domain::ids::AgreementId;
use crate::domain::limits;
use crate::domain::policy::{Permit, ReadPurpose, Side};
use crate::domain::reason::Reason;
use crate::domain::receipt::{ItemOutcome, Verdict};
use crate::domain::record::{RecordKey, ReferenceKind};
use crate::domain::records::{Control, RecordBody};
use crate::domain::sharing::keep_until;
use crate::domain::stream::StreamId;
use crate::domain::time::UnixMs;
use crate::exchange::agreements::Changes;
use crate::exchange::context::Error;
use crate::exchange::persons::WithdrawalChange;
use crate::exchange::records::{self, Arrival};
use crate::storage::ops::{Delete, NewInbox, Put};
use crate::storage::owed::Owed;
use crate::storage::rows::AnsweredRow;
use crate::wire::{self, sealed};

use super::super::Road;
use super::super::later::chain;
use super::super::question::{self, Asked};
use super::Received;
use super::open::{Item, OpenItem};

/// Its origin's words about one record that are looked at.
const VERSIONS: usize = 200;

/// What a batch comes to.
#[derive(Default)]
pub(super) struct Judged {
    /// In order; ends with the first RETRY_LATER, or before the first item that this node cannot judge now.
    pub outcomes: Vec<ItemOutcome>,
    pub items: Vec<NewInbox>,
    /// What they change besides the inbox.
    pub puts: Vec<Put>,
    pub deletes: Vec<Delete>,
    pub owes: Vec<Owed>,
    pub audit: Vec<AuditDraft>,
}

impl Judged {
    /// What is open from its commit on.
    pub(super) fn opens(&self) -> Option<AnsweredRow> {
        self.puts.iter().find_map(|put| if let Put::Answered(row) = put { Some(row.clone()) } else { None })
    }

    pub(super) fn changes_agreements(&self) -> bool {
        self.puts.iter().any(|put| matches!(put, Put::Agreement(_)))
    }

    fn heard(&mut self, heard: WithdrawalChange) {
        let WithdrawalChange { puts, deletes, owes, audit } = heard;
        self.puts.extend(puts);
        self.deletes.extend(deletes);
        self.owes.extend(owes);
        self.audit.extend(audit);
    }
}

/// What judging one batch has come to so far.
struct BatchJudgement<'a> {
    received: &'a Received,
    agreements: Arc<AgreementSet>,
    /// Dedup keys that are taken, in the store or earlier in this batch.
    taken: HashSet<RecordKey>,
    /// What of this batch is about to be stored.
    stored: HashSet<RecordKey>,
    /// Earlier versions that what was stored of this batch speaks of.
    superseded: HashSet<RecordKey>,
    /// What the batch has brought so far, as far as a kind has to know.
    batch: records::Batch,
    changes: Changes,
    judged: Judged,
    /// Why items of it could not be opened, as the ledger has it.
    unopened: BTreeSet<Reason>,
}

impl Road {
    pub(super) async fn judge(&self, received: &Received, items: Vec<Item>) -> Result<Judged, Error> {
        let at = self.context.monotonic();
        let mut so_far = BatchJudgement {
            received,
            agreements: self.context.agreements().load_full(),
            taken: self.taken(&items).await?,
            stored: HashSet::new(),
            superseded: HashSet::new(),
            batch: records::Batch::default(),
            changes: Changes::default(),
            judged: Judged { outcomes: Vec::with_capacity(items.len()), ..Judged::default() },
            unopened: BTreeSet::new(),
        };
        for item in items {
            let outcome = match item {
                Item::Decided(outcome) => {
                    so_far.decided(&outcome);
                    outcome
                }
                Item::Open(open) => {
                    let digest = open.digest;
                    let verdict = self.verdict(&mut so_far, *open).await?;
                    ItemOutcome { envelope: Some(digest), verdict }
                }
            };
            // The register is behind, or a clock is wrong: no fault of the item (9.3). What stands before it is taken.
            if let Verdict::RetryLater(reason @ (Reason::RegisterNotFresh | Reason::ClockDiffers)) = outcome.verdict {
                if so_far.judged.outcomes.is_empty() {
                    return Err(self.fault_of_the_call(received, reason));
                }
                break;
            }
            so_far.judged.outcomes.push(outcome);
            if !outcome.verdict.consumes() {
                break;
            }
        }
        let BatchJudgement { mut judged, changes, .. } = so_far;
        self.heard.note(at, &judged.puts);
        judged.owes.extend(changes.owes);
        judged.puts.extend(changes.rows.into_values().map(Put::Agreement));
        judged.puts.extend(self.first_about_persons(received, &judged.items).await?.map(Put::Answered));
        Ok(judged)
    }

    /// Of a partner whose first record about a person this is nothing can have been withdrawn unheard: it is not asked first. Since a
    /// restore, each is.
    async fn first_about_persons(&self, received: &Received, items: &[NewInbox]) -> Result<Option<AnsweredRow>, Error> {
        let StreamId { origin, recipient, .. } = &received.batch.stream;
        let pair = (recipient.clone(), origin.clone());
        let about_persons = items.iter().any(|item| item.kind.is_about_persons());
        if !about_persons || self.context.answered().has_answered(&pair) {
            return Ok(None);
        }
        let restored = !self.store().shares_unconfirmed(1).await?.is_empty();
        if restored || self.store().senders_about_persons().await?.contains(&pair) {
            return Ok(None);
        }
        let (ours, partner) = pair;
        Ok(Some(AnsweredRow { ours, partner, contact: received.now, unknown: false }))
    }

    /// Why nothing of the batch is taken; of clocks, whose it is.
    fn fault_of_the_call(&self, received: &Received, reason: Reason) -> Error {
        let origin = &received.batch.stream.origin;
        match self.clock_difference(origin).filter(|_| reason == Reason::ClockDiffers) {
            Some(difference) => wire::Error::new(reason, "sender_time_ms", difference.told_to_partner()).into(),
            None => reason.into(),
        }
    }

    async fn taken(&self, items: &[Item]) -> Result<HashSet<RecordKey>, Error> {
        let keys: Vec<RecordKey> = items
            .iter()
            .filter_map(|item| if let Item::Open(open) = item { Some(open.opened.envelope.key()) } else { None })
            .collect();
        if keys.is_empty() {
            return Ok(HashSet::new());
        }
        let taken = self.store().taken(keys.clone()).await?;
        Ok(keys.into_iter().zip(taken).filter_map(|(key, taken)| taken.then_some(key)).collect())
    }

    async fn verdict(&self, so_far: &mut BatchJudgement<'_>, item: OpenItem) -> Result<Verdict, Error> {
        let envelope = &item.opened.envelope;
        // What is here stays here, whatever became of the agreement or of its time since: it is recognised before it is judged.
        if so_far.taken.contains(&envelope.key()) {
            return Ok(Verdict::Duplicate);
        }
        // Its sender had an older word of what this node takes.
        if !self.context.understands().kinds.contains(&envelope.kind) {
            return Ok(so_far.refuse(&item, Reason::KindNotNamed));
        }
        if envelope.kind.is_about_persons() && so_far.persons_wait() {
            return Ok(so_far.refuse(&item, Reason::PersonContentWaits));
        }
        let permit = match self.grant_of_target(envelope).await?.and_then(|target| so_far.permit(&item, target)) {
            Ok(permit) => permit,
            Err(reason) => return Ok(so_far.refuse(&item, reason)),
        };
        if envelope.kind.is_about_persons() && self.persons.was_erased(&envelope.key()).await? {
            return Ok(so_far.refuse_for_good(&item, Reason::RecordWithdrawn));
        }
        if self.came_too_late(so_far, envelope).await? {
            return Ok(Verdict::Duplicate);
        }
        let target = self.target(so_far, envelope).await?;
        match &item.opened.body {
            RecordBody::Content(content) => {
                let arrival = Arrival {
                    context: &self.context,
                    envelope,
                    as_of_age: item.as_of_age,
                    received: so_far.received.now,
                    keep_until: so_far.keep_until(&permit, envelope.expires),
                    batch: &mut so_far.batch,
                    puts: &mut so_far.judged.puts,
                };
                if let Err(reason) = records::arrived(content, arrival).await? {
                    return Ok(so_far.refuse_for_good(&item, reason));
                }
            }
            RecordBody::Control(control @ (Control::WithdrawalNotice(_) | Control::ErasureReceipt(_))) => {
                match self.persons.heard(envelope, control, &item.bytes).await? {
                    Ok(heard) => so_far.judged.heard(heard),
                    Err(reason) => return Ok(so_far.refuse(&item, reason)),
                }
            }
            RecordBody::Control(control) => {
                let view = &so_far.received.view;
                match self.agreements.change(&mut so_far.changes, envelope, control, &item.bytes, view).await? {
                    Ok(audit) => so_far.judged.audit.extend(audit),
                    Err(reason) => return Ok(so_far.refuse(&item, reason)),
                }
            }
        }
        so_far.store(item, permit, target);
        Ok(Verdict::Stored)
    }

    /// Whether a later word that is here names this version already: it was overtaken on the way, and is not shown again.
    async fn came_too_late(&self, so_far: &BatchJudgement<'_>, envelope: &Envelope) -> Result<bool, Error> {
        let key = envelope.key();
        if so_far.superseded.contains(&key) {
            return Ok(true);
        }
        for earlier in chain(&envelope.references) {
            for row in self.store().inbox_about(earlier.clone(), key.origin.clone(), VERSIONS).await? {
                // One that cannot be read says nothing.
                let reading = self.context.may_read(&row.record, ActorRole::Node, ReadPurpose::Order);
                let Ok(Ok(later)) = reading.map(sealed::reload) else { continue };
                if chain(&later.references).any(|named| *named == key) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The record that this one is stored beside: of the earlier versions that it names the newest that is here, or the newest
    /// of all, for which it waits.
    async fn target(&self, so_far: &BatchJudgement<'_>, envelope: &Envelope) -> Result<Option<RecordKey>, Error> {
        if envelope.references.len() > 1 {
            for earlier in chain(&envelope.references) {
                let here = so_far.stored.contains(earlier);
                if here || self.store().inbox_record(earlier.clone()).await?.is_some() {
                    return Ok(Some(earlier.clone()));
                }
            }
        }
        Ok(envelope.references.first().map(|reference| reference.target.clone()))
    }

    /// The grant under which what the record answers was sent to its author; `None`: it is no answer. Only what was sent
    /// to an authority can be answered by it.
    async fn grant_of_target(&self, envelope: &Envelope) -> Result<Result<Option<GrantRef>, Reason>, Error> {
        let Some(target) = envelope.target(ReferenceKind::Answers) else { return Ok(Ok(None)) };
        let sent = self.store().sent_under(target.clone(), envelope.origin.clone()).await?;
        let named = sent.iter().find(|grant| envelope.grant == Some(**grant));
        Ok(named.or(sent.first()).map(|grant| Some(*grant)).ok_or(Reason::TargetUnknown))
    }
}

impl BatchJudgement<'_> {
    /// Whether this register is not confirmed, or the sender's clock too far from this one, for content about a person (9.3, 9.4).
    fn persons_wait(&self) -> bool {
        let Received { batch, view, now, .. } = self.received;
        !view.is_fresh(*now) || now.since(batch.sender_time).0.abs() > limits::CLOCK_STOP.0
    }

    /// What is refused by this clock, and would pass by the sender's, shows that the two differ: nothing that the item did.
    fn permit(&self, item: &OpenItem, target: Option<GrantRef>) -> Result<Permit, Reason> {
        let Received { batch, now, .. } = self.received;
        let judged = self.permit_at(item, target, *now);
        let differ = now.since(batch.sender_time).0.abs() > limits::CLOCK_STOP.0;
        match judged {
            Err(_) if differ && self.permit_at(item, target, batch.sender_time).is_ok() => Err(Reason::ClockDiffers),
            judged => judged,
        }
    }

    fn permit_at(&self, item: &OpenItem, target: Option<GrantRef>, now: UnixMs) -> Result<Permit, Reason> {
        let envelope = &item.opened.envelope;
        envelope.timely(now)?;
        let (agreements, view) = (&*self.agreements, &*self.received.view);
        let asked = Asked { side: Side::Receiver, agreements, view, now, shared: None };
        question::ask(envelope, &item.opened.body, target, &asked)
    }

    /// What could not even be opened stands in the ledger with its reason, and without what it claimed to be: one line for all
    /// of a batch, since nothing in it would tell them apart, and whoever sends them sends as many as it likes.
    fn decided(&mut self, outcome: &ItemOutcome) {
        if let Verdict::Refused(reason) | Verdict::Quarantined(reason) = outcome.verdict
            && self.unopened.insert(reason)
        {
            self.judged.audit.push(AuditDraft {
                counterparty: Some(self.received.batch.stream.origin.clone()),
                reason: Some(reason),
                ..AuditDraft::by_node(AuditAct::Refused)
            });
        }
    }

    /// What passes by itself is asked for again; the rest is final, and stands in the ledger.
    fn refuse(&mut self, item: &OpenItem, reason: Reason) -> Verdict {
        if reason.asks_again() || reason == Reason::ClockDiffers {
            return Verdict::RetryLater(reason);
        }
        self.refuse_for_good(item, reason)
    }

    fn refuse_for_good(&mut self, item: &OpenItem, reason: Reason) -> Verdict {
        self.judged.audit.push(AuditDraft { reason: Some(reason), ..self.draft(item, AuditAct::Refused) });
        Verdict::Refused(reason)
    }

    fn store(&mut self, item: OpenItem, permit: Permit, target: Option<RecordKey>) {
        let draft = self.draft(&item, AuditAct::Received);
        self.judged.audit.push(draft);
        let envelope = &item.opened.envelope;
        let key = envelope.key();
        self.taken.insert(key.clone());
        self.stored.insert(key.clone());
        let supersedes: Vec<RecordKey> = chain(&envelope.references).cloned().collect();
        self.superseded.extend(supersedes.iter().cloned());
        let hidden = envelope.references.first().is_some_and(|r| r.kind != ReferenceKind::Answers);
        self.judged.items.push(NewInbox {
            keep_until: self.keep_until(&permit, envelope.expires),
            usage: self.usage(&permit),
            permit,
            key,
            kind: envelope.kind,
            digest: item.digest,
            target,
            supersedes,
            hidden,
            expires: envelope.expires,
            envelope: item.bytes,
            traceparent: item.traceparent,
        });
    }

    fn keep_until(&self, permit: &Permit, expires: UnixMs) -> UnixMs {
        let grant = permit.grant().and_then(|reference| self.agreements.grant(&reference));
        keep_until(expires, self.received.now, grant.map(|held| held.grant.retention))
    }

    /// How far it may go here; what no grant covers is control, which no system takes.
    fn usage(&self, permit: &Permit) -> Usage {
        let grant = permit.grant().and_then(|reference| self.agreements.grant(&reference));
        grant.map_or(Usage::View, |held| held.grant.usage)
    }

    fn draft(&self, item: &OpenItem, act: AuditAct) -> AuditDraft {
        let envelope = &item.opened.envelope;
        let agreement: Option<AgreementId> = envelope.grant.map(|g| g.agreement);
        AuditDraft {
            counterparty: Some(envelope.origin.clone()),
            record: Some((envelope.kind, envelope.record_id)),
            agreement,
            purpose: Some(envelope.purpose),
            ..AuditDraft::by_node(act)
        }
    }
}
