//! What a node has on its disk: all of it is there after a crash, and what was committed together is there together.

use std::collections::{BTreeMap, BTreeSet};

use havenlink_domain::delivery;
use havenlink_domain::ids::{Digest, Incarnation};
use havenlink_domain::numbering::{InNumbers, OutNumbers, Settlement, Under};
use havenlink_domain::reason::Reason;
use havenlink_domain::receipt::{ItemResult, Receipt};
use havenlink_domain::record::StreamClass;
use havenlink_domain::time::{Millis, UnixMs};

/// A partner, and one of the two streams to or from it.
pub type Line = (usize, StreamClass);

/// A record by its number in the world.
pub type Id = u64;

pub fn digest_of(id: Id) -> Digest {
    Digest::of(&id.to_be_bytes())
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    Open,
    Delivered,
    /// Its number was consumed by a skip, and it waits to be queued again.
    Deferred(Reason),
    /// Given up, or refused: with the reason that the list of deliveries shows.
    Ended(Reason),
}

/// One item of an outgoing stream.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: Id,
    pub number: u64,
    pub expires: UnixMs,
    pub waiting_since: Option<UnixMs>,
    /// Its number travels as a skip.
    pub skip: Option<Reason>,
    pub became: Became,
}

/// An outgoing stream, rows in the order in which they were queued.
#[derive(Clone, Debug)]
pub struct Out {
    pub numbers: OutNumbers,
    pub rows: Vec<Row>,
}

impl Out {
    pub fn queue(&mut self, id: Id, expires: UnixMs) -> u64 {
        let number = self.numbers.give();
        let row = Row { id, number, expires, waiting_since: None, skip: None, became: Became::Open };
        self.rows.push(row);
        number
    }

    /// What is not settled, in the order of its numbers.
    pub fn open(&self) -> Vec<&Row> {
        let mut open: Vec<&Row> = self.rows.iter().filter(|row| row.became == Became::Open).collect();
        open.sort_by_key(|row| row.number);
        open
    }

    pub fn row(&mut self, number: u64) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.became == Became::Open && row.number == number)
    }

    /// Whether it was settled here.
    pub fn settle(&mut self, under: Under, first: u64, results: &[ItemResult]) -> bool {
        if self.numbers.settle(under, first, results.len() as u64) != Settlement::Done {
            return false;
        }
        for (number, result) in (first..).zip(results) {
            let Some(row) = self.row(number) else { continue };
            row.became = match result {
                ItemResult::Stored | ItemResult::Duplicate => Became::Delivered,
                ItemResult::Refused(reason) | ItemResult::Quarantined(reason) => Became::Ended(*reason),
                ItemResult::Deferred(reason) => Became::Deferred(*reason),
                ItemResult::Skipped => Became::Ended(row.skip.unwrap_or(Reason::Internal)),
            };
        }
        true
    }

    /// What was deferred gets new numbers; what expired meanwhile ends.
    pub fn queue_deferred(&mut self, now: UnixMs) {
        for row in &mut self.rows {
            match (row.became, delivery::skip_before_sending(row.expires, now)) {
                (Became::Deferred(_), Some(reason)) => row.became = Became::Ended(reason),
                (Became::Deferred(_), None) => (row.became, row.number) = (Became::Open, self.numbers.give()),
                _ => {}
            }
        }
    }

    /// Queues again what is not expired and was not refused, what was delivered too: the recipient may have lost it.
    pub fn queue_again(&mut self, under: Under, expected: Option<u64>, now: UnixMs) {
        let Some(first) = self.numbers.again_from(under, expected) else { return };
        let mut count = 0;
        for row in &mut self.rows {
            let over = row.skip.or(delivery::skip_before_sending(row.expires, now));
            match (row.became, over) {
                (Became::Open | Became::Deferred(_), Some(reason)) => row.became = Became::Ended(reason),
                (Became::Open | Became::Delivered | Became::Deferred(_), None) => {
                    (row.became, row.number, row.waiting_since) = (Became::Open, first + count, None);
                    count += 1;
                }
                (Became::Delivered, Some(_)) | (Became::Ended(_), _) => {}
            }
        }
        self.numbers.begin_again(under, first, count);
    }
}

/// A record that a recipient gets once it is restored.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    pub since: UnixMs,
    pub at: UnixMs,
    pub attempts: u32,
    pub expires: UnixMs,
}

impl Due {
    /// As the store answers (`owed/due.sql`): a row that a clock which was ahead has postponed does not wait that long.
    pub fn is_due(&self, now: UnixMs) -> bool {
        self.at <= now || (self.at > now + Millis::hours(1) && (self.attempts > 0 || self.since > now))
    }
}

/// A signed word about an incarnation, as 9.10 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    pub author: usize,
    pub recipient: usize,
    pub incarnation: Incarnation,
    /// Which key of its author signed it; `None`: none did.
    pub key: Option<u32>,
}

/// What lies on the disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub incarnation: Incarnation,
    pub out: BTreeMap<Line, Out>,
    pub ins: BTreeMap<Line, (InNumbers, Receipt)>,
    pub told: BTreeMap<usize, Word>,
    /// Records in the order of their positions.
    pub inbox: Vec<(usize, Id)>,
    /// Dedup keys.
    pub taken: BTreeSet<(usize, Id)>,
    pub owed: BTreeMap<(usize, Id), Due>,
}

impl Disk {
    pub fn out(&mut self, line: Line) -> &mut Out {
        let new = || Out { numbers: OutNumbers::new(self.incarnation), rows: Vec::new() };
        self.out.entry(line).or_insert_with(new)
    }

    /// Both streams to a partner are numbered again under these incarnations, unless they are already.
    pub fn queue_again(&mut self, to: usize, recipient: Incarnation, now: UnixMs) {
        let under = Under { origin: self.incarnation, recipient };
        for class in [StreamClass::Content, StreamClass::Control] {
            if let Some(out) = self.out.get_mut(&(to, class)) {
                out.queue_again(under, None, now);
            }
        }
    }
}
