//! What a node does with what it has to send, and with what it hears of it.

use havenlink_domain::delivery::{self, Blocked, Head, Heard, Next};
use havenlink_domain::numbering::OutNumbers;
use havenlink_domain::owed;
use havenlink_domain::reason::Reason;
use havenlink_domain::receipt::{SentItem, Verdict};
use havenlink_domain::record::StreamClass;
use havenlink_domain::time::{Millis, UnixMs};

use super::disk::{Became, Due, Line, Row, Word, digest_of};
use super::receiver::{Batch, Item};
use super::{Answer, Ask, BEGIN, Event, NODES, Published, World};
use crate::Broken;

/// Items of one batch.
const TOGETHER: usize = 4;
/// How long a stream rests that may not be sent.
const REST: Millis = Millis::seconds(60);

/// What a stream's sender remembers; all of it can be found again.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    pub failures: u32,
    /// A call is under way.
    pub busy: bool,
    /// The partner said that something does not fit: greet, whatever is stored.
    pub greet: bool,
    /// The stream before the greeting that is under way, and whether the partner asked for it.
    pub greeting: Option<(OutNumbers, bool)>,
    /// The number that makes room with the next batch, and why.
    pub defers: Option<(u64, Reason)>,
}

impl World {
    /// Somebody publishes. What is acknowledged is on the disk.
    pub(super) fn publish(&mut self, from: usize) {
        if !self.nodes[from].up {
            return;
        }
        let to = (from + 1 + self.chance.place(NODES - 1)) % NODES;
        let class = if self.chance.one_in(4) { StreamClass::Control } else { StreamClass::Content };
        let now = self.clock(from);
        let life = if self.chance.one_in(6) { Millis::minutes(5) } else { Millis::days(30) };
        self.ids += 1;
        let (id, expires) = (self.ids, now + life);
        let disk = &mut self.nodes[from].disk;
        if self.suspended.contains(&to) {
            disk.owed.insert((to, id), Due { since: now, at: now, attempts: 0, expires });
        } else {
            disk.out((to, class)).queue(id, expires);
        }
        self.published.push(Published { id, from, to, expires });
        self.trace.note(format_args!("{} publish {from}->{to} {class} #{id}", self.now.since(BEGIN).0));
        if self.chance.one_in(30) {
            return self.crash(from);
        }
        self.pass_after(Millis(1), from, (to, class));
    }

    pub(super) fn pass_after(&mut self, span: Millis, node: usize, line: Line) {
        let start = self.nodes[node].start;
        self.after(Millis(span.0.max(1)), Event::Pass(node, start, line));
    }

    pub(super) fn pass(&mut self, node: usize, line: Line) {
        let now = self.clock(node);
        let (to, class) = line;
        let disk = &self.nodes[node].disk;
        let Some(out) = disk.out.get(&line) else { return };
        let sender = self.nodes[node].senders.get(&line).cloned().unwrap_or_default();
        if sender.busy || out.numbers.first_unsettled >= out.numbers.next {
            return;
        }
        if self.suspended.contains(&node) || self.suspended.contains(&to) {
            return self.pass_after(REST, node, line);
        }
        let numbers = out.numbers;
        let is_current = numbers.under.origin == disk.incarnation && numbers.under.recipient.0 != 0;
        let ask = if !is_current || sender.greet {
            self.sender(node, line).greeting = Some((numbers, sender.greet));
            self.greeting(node, to, false)
        } else {
            let open = out.open().into_iter().filter(|row| row.number >= numbers.first_unsettled).take(TOGETHER);
            let items: Vec<Item> = open.map(|row| item(row, sender.defers, now)).collect();
            if items.is_empty() {
                return;
            }
            let batch = Batch { class, under: numbers.under, first: numbers.first_unsettled, items };
            self.check_numbers(node, line, &batch);
            if self.is(Broken::SettledBeforeAnswer) {
                self.nodes[node]
                    .disk
                    .out(line)
                    .rows
                    .iter_mut()
                    .filter(|row| row.became == Became::Open)
                    .for_each(|row| row.became = Became::Delivered);
            }
            Ask::Deliver(batch)
        };
        self.sender(node, line).busy = true;
        self.call(node, to, class, ask);
    }

    pub(super) fn sender(&mut self, node: usize, line: Line) -> &mut Sender {
        self.nodes[node].senders.entry(line).or_default()
    }

    /// The caller's word about itself, and the partner's own word as it is held here.
    fn greeting(&mut self, node: usize, to: usize, once: bool) -> Ask {
        let word = self.word(node, to);
        Ask::Greet { word, held: self.nodes[node].disk.told.get(&to).copied(), once }
    }

    pub(super) fn word(&mut self, author: usize, recipient: usize) -> Word {
        let node = &mut self.nodes[author];
        node.signed_high = node.signed_high.max(node.disk.incarnation);
        Word { author, recipient, incarnation: node.disk.incarnation, key: Some(node.key) }
    }

    pub(super) fn settle(&mut self, node: usize, line: Line, batch: &Batch, answer: Answer) {
        self.sender(node, line).busy = false;
        let answer = match answer {
            Answer::Delivered(answer) => answer,
            Answer::Failed(reason) => return self.failed(node, line, reason),
            Answer::Greeted(_) => return,
        };
        let now = self.clock(node);
        let fits = |receipt: &havenlink_domain::receipt::Receipt| {
            (receipt.origin_incarnation, receipt.recipient_incarnation) == (batch.under.origin, batch.under.recipient)
                && receipt.class == batch.class
        };
        let said = match &answer.receipt {
            Some(receipt) if !fits(receipt) => Err(Reason::EnvelopeMalformed),
            Some(receipt) => receipt.of(batch.first, batch.items.iter().map(|item| item.sent)),
            None => Ok(Vec::new()),
        };
        let verdicts = match said {
            Ok(verdicts) => verdicts,
            Err(reason) => return self.failed(node, line, reason),
        };
        let failures = self.sender(node, line).failures;
        let sent = delivery::Sent { first: batch.first, count: verdicts.len() as u64, failures };
        let heard = match verdicts.as_slice() {
            [] => Heard::StandsAt { next: answer.next },
            verdicts => Heard::Receipt { first: batch.first, verdicts },
        };
        let out = self.nodes[node].disk.out(line).clone();
        let head_of = |i: usize| {
            let row = out.rows.iter().find(|row| row.became == Became::Open && row.number == batch.first + i as u64);
            row.map_or(Head { waiting_since: None, expires: now }, |row| Head {
                waiting_since: row.waiting_since,
                expires: row.expires,
            })
        };
        let jitter = self.chance.share();
        let step = delivery::step(sent, heard, head_of, now, jitter);
        if self.chance.one_in(60) {
            // The answer was heard, and the node ends before it is written down.
            return self.crash(node);
        }
        self.write_down(node, line, batch, &verdicts[..step.settle]);
        if step.settle > 0 {
            self.sender(node, line).defers = None;
        }
        if let Some(blocked) = step.blocked {
            self.blocked(node, line, batch, blocked);
        }
        self.sender(node, line).failures = step.failures;
        self.go_on(node, line, step.next);
    }

    fn write_down(&mut self, node: usize, line: Line, batch: &Batch, verdicts: &[Verdict]) {
        let results: Vec<_> =
            batch.items.iter().zip(verdicts).map(|(item, verdict)| item.sent.result(*verdict)).collect();
        if !results.is_empty() {
            let done = self.nodes[node].disk.out(line).settle(batch.under, batch.first, &results);
            self.trace.note(format_args!(
                "{} settle {node}->{} {} {done} {results:?}",
                self.now.since(BEGIN).0,
                line.0,
                batch.first
            ));
        }
    }

    /// The partner asked to repeat an item: its wait begins, or ends.
    fn blocked(&mut self, node: usize, line: Line, batch: &Batch, blocked: Blocked) {
        let now = self.clock(node);
        let dropped = self.is(Broken::DroppedUnnamed);
        let out = self.nodes[node].disk.out(line);
        if out.numbers.under != batch.under {
            return;
        }
        if dropped && blocked.skip.is_some() {
            out.rows.retain(|row| row.became != Became::Open || row.number != blocked.number);
            out.numbers.settle(batch.under, blocked.number, 1);
        } else if let Some(row) = out.row(blocked.number) {
            row.waiting_since = row.waiting_since.or(Some(now));
            row.skip = row.skip.or(blocked.skip.filter(|skip| *skip != Reason::Deferred));
        }
        if blocked.skip == Some(Reason::Deferred) {
            self.sender(node, line).defers = Some((blocked.number, blocked.reason));
        }
        let pair = (node, line.0);
        if blocked.reason == Reason::AgreementUnknown && self.chance.one_in(12) {
            // It was sent along.
            self.lacking.remove(&pair);
        }
    }

    /// An attempt that brought no receipt.
    pub(super) fn failed(&mut self, node: usize, line: Line, reason: Reason) {
        let now = self.clock(node);
        let jitter = self.chance.share();
        let sender = self.sender(node, line);
        (sender.busy, sender.greeting) = (false, None);
        let sent = delivery::Sent { first: 0, count: 0, failures: sender.failures };
        let nothing = |_| Head { waiting_since: None, expires: now };
        let step = delivery::step(sent, Heard::Failed(reason), nothing, now, jitter);
        sender.failures = step.failures;
        self.trace.note(format_args!("{} failed {node}->{} {} {reason}", self.now.since(BEGIN).0, line.0, line.1));
        self.go_on(node, line, step.next);
    }

    fn go_on(&mut self, node: usize, line: Line, next: Next) {
        let now = self.clock(node);
        let jitter = self.chance.share();
        let pause = match next {
            Next::Continue => Millis(0),
            Next::At(at) => at.since(now),
            Next::Greet => {
                let sender = self.sender(node, line);
                sender.greet = true;
                if sender.failures == 0 { Millis(0) } else { delivery::backoff(sender.failures, jitter) }
            }
            Next::Hold(_) => REST,
        };
        self.pass_after(pause, node, line);
    }

    /// Partners are greeted now and then, whether there is something for them or not.
    pub(super) fn upkeep(&mut self, node: usize) {
        for to in (0..NODES).filter(|to| *to != node) {
            if self.chance.one_in(5) {
                let ask = self.greeting(node, to, true);
                self.call(node, to, StreamClass::Control, ask);
            }
        }
        self.pay(node);
        let now = self.clock(node);
        let disk = &mut self.nodes[node].disk;
        disk.out.values_mut().for_each(|out| out.queue_deferred(now));
        for line in disk.out.keys().copied().collect::<Vec<Line>>() {
            self.pass_after(Millis(1), node, line);
        }
        if self.nodes[node].up {
            let start = self.nodes[node].start;
            self.after(Millis::minutes(1), Event::Upkeep(node, start));
        }
    }

    /// What is owed is queued and settled in one commit.
    fn pay(&mut self, node: usize) {
        let now = self.clock(node);
        let due: Vec<_> = self.nodes[node].disk.owed.iter().map(|(key, due)| (*key, *due)).collect();
        for ((to, id), row) in due {
            if self.suspended.contains(&to) || !row.is_due(now) {
                continue;
            }
            if self.chance.one_in(10) {
                let at = now + owed::pause(row.attempts, Reason::StorageDamaged);
                self.nodes[node].disk.owed.insert((to, id), Due { at, attempts: row.attempts + 1, ..row });
                continue;
            }
            let crashes = self.chance.one_in(20);
            if crashes && !self.is(Broken::OwedSettledFirst) {
                return self.crash(node);
            }
            self.nodes[node].disk.owed.remove(&(to, id));
            if crashes {
                return self.crash(node);
            }
            self.nodes[node].disk.out((to, StreamClass::Content)).queue(id, row.expires);
            self.pass_after(Millis(1), node, (to, StreamClass::Content));
        }
    }
}

/// An item as it goes out now.
fn item(row: &Row, defers: Option<(u64, Reason)>, now: UnixMs) -> Item {
    let given_up = delivery::skip_before_sending(row.expires, now).filter(|_| row.skip.is_none());
    let skip = row.skip.or(given_up);
    let deferred = defers.filter(|(number, _)| *number == row.number && skip.is_none()).map(|(_, reason)| reason);
    let sent =
        SentItem { digest: digest_of(row.id), again: None, skip, given_up: given_up.is_some(), given: false, deferred };
    Item { id: row.id, sent }
}
