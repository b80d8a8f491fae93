//! What a node does with a batch that it is sent.

use std::collections::BTreeSet;

use havenlink_domain::directory::Position;
use havenlink_domain::ids::{AuthorityId, FederationId};
use havenlink_domain::numbering::{InNumbers, Under, expected};
use havenlink_domain::reason::Reason;
use havenlink_domain::receipt::{ItemOutcome, Receipt, SentItem, Verdict};
use havenlink_domain::record::StreamClass;

use super::disk::{Id, Line, digest_of};
use super::{Answer, BEGIN, World};
use crate::Broken;

/// What is sent under one number: the item, or a skip.
#[derive(Clone, Debug)]
pub struct Item {
    pub id: Id,
    /// As its sender knows it.
    pub sent: SentItem,
}

#[derive(Clone, Debug)]
pub struct Batch {
    pub class: StreamClass,
    pub under: Under,
    pub first: u64,
    pub items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub struct BatchAnswer {
    pub next: u64,
    pub receipt: Option<Receipt>,
}

/// The places inside the step at which a node may end.
const CRASHES: u64 = 50;

impl World {
    /// `None`: it ended, and answers nothing.
    pub(super) fn receive(&mut self, from: usize, to: usize, batch: Batch) -> Option<Answer> {
        if self.suspended.contains(&from) || self.suspended.contains(&to) {
            return Some(Answer::Failed(Reason::MemberSuspended));
        }
        let disk = &self.nodes[to].disk;
        let known = disk.told.get(&from).map(|word| word.incarnation);
        if known != Some(batch.under.origin) || batch.under.recipient != disk.incarnation {
            return Some(Answer::Failed(Reason::IncarnationChanged));
        }
        if !self.calm && self.chance.one_in(40) {
            return Some(Answer::Failed(Reason::RegisterNotFresh));
        }
        let line = (from, batch.class);
        let stands = self.nodes[to].disk.ins.get(&line);
        let next = expected(stands.map(|(numbers, _)| numbers), batch.under);
        if batch.first != next {
            let receipt =
                stands.filter(|(numbers, _)| numbers.under == batch.under).map(|(_, receipt)| receipt.clone());
            return Some(Answer::Delivered(Box::new(BatchAnswer { next, receipt })));
        }
        let (outcomes, new) = self.judged(from, to, &batch);
        let receipt = receipt(from, to, &batch, outcomes);
        let next = receipt.next();
        let answer = Answer::Delivered(Box::new(BatchAnswer { next, receipt: Some(receipt.clone()) }));
        if next == batch.first {
            return Some(answer);
        }
        if self.chance.one_in(CRASHES) {
            self.crash(to);
            return self.is(Broken::ReceiptBeforeCommit).then_some(answer);
        }
        self.store(to, line, InNumbers { under: batch.under, next }, receipt, &new);
        if self.chance.one_in(CRASHES) {
            self.crash(to);
            return None;
        }
        Some(answer)
    }

    /// Each item in its order; what is new of them.
    fn judged(&mut self, from: usize, to: usize, batch: &Batch) -> (Vec<ItemOutcome>, Vec<Id>) {
        let (mut outcomes, mut new) = (Vec::new(), Vec::new());
        for item in &batch.items {
            let skip = item.sent.skip.or(item.sent.deferred.map(|_| Reason::Deferred));
            let verdict = match skip {
                Some(reason) => Verdict::Skipped(reason),
                None => self.verdict(from, to, batch.class, item.id, &new),
            };
            if verdict == Verdict::Stored {
                new.push(item.id);
            }
            let envelope = skip.is_none().then(|| digest_of(item.id));
            outcomes.push(ItemOutcome { envelope, verdict });
            if !verdict.consumes() {
                break;
            }
        }
        (outcomes, new)
    }

    fn verdict(&self, from: usize, to: usize, class: StreamClass, id: Id, new: &[Id]) -> Verdict {
        let is_taken = self.nodes[to].disk.taken.contains(&(from, id)) || new.contains(&id);
        let refused = if class == StreamClass::Control {
            None
        } else if self.ended.contains(&(from, to)) {
            Some(Verdict::Refused(Reason::AgreementEnded))
        } else {
            let waits =
                |pairs: &BTreeSet<_>, reason| pairs.contains(&(from, to)).then_some(Verdict::RetryLater(reason));
            waits(&self.lacking, Reason::AgreementUnknown).or_else(|| waits(&self.behind, Reason::KeyNotCurrent))
        };
        let duplicate = is_taken.then_some(Verdict::Duplicate);
        let first = if self.is(Broken::PermitBeforeDuplicate) { refused.or(duplicate) } else { duplicate.or(refused) };
        first.unwrap_or(Verdict::Stored)
    }

    /// One commit: the records, the place of the stream and the receipt.
    fn store(&mut self, to: usize, line: Line, numbers: InNumbers, receipt: Receipt, new: &[Id]) {
        for id in new {
            let key = (line.0, *id);
            if self.nodes[to].disk.inbox.contains(&key) {
                self.trace.fault("ONCE", format_args!("#{id} of {} has a second position at {to}", line.0));
            }
            self.nodes[to].disk.inbox.push(key);
            self.nodes[to].disk.taken.insert(key);
        }
        self.trace.note(format_args!(
            "{} store {}->{to} next {} {new:?}",
            self.now.since(BEGIN).0,
            line.0,
            numbers.next
        ));
        self.nodes[to].disk.ins.insert(line, (numbers, receipt));
    }
}

fn receipt(from: usize, to: usize, batch: &Batch, outcomes: Vec<ItemOutcome>) -> Receipt {
    Receipt {
        federation: FederationId([1; 32]),
        origin: name(from),
        recipient: name(to),
        origin_incarnation: batch.under.origin,
        recipient_incarnation: batch.under.recipient,
        class: batch.class,
        first: batch.first,
        outcomes,
        register: Position { founding: 0, number: 1 },
        time: BEGIN,
    }
}

/// The authority of a node.
pub fn name(node: usize) -> AuthorityId {
    const NAMES: [&str; super::NODES] = ["fr-strasbourg", "de-kehl", "lu-esch-sur-alzette"];
    AuthorityId::parse(NAMES[node]).expect("an authority's name")
}
