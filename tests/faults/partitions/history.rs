//! What callers saw, and whether one order of changes explains it.
//!
//! Checked here: an acknowledged statement stands at its number with its head, in the common order and at every replica;
//! every head that anybody was shown is the one of its number; and numbers never go back in real time: what begins after
//! something else has ended sees at least that, whichever members the two went through.

use havenlink::domain::ids::Digest;

use crate::ledger::Ledger;

/// A number of the register, and the head there.
pub type Seen = (u64, Digest);

/// When it began and ended, in microseconds since the run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub began: u64,
    pub ended: u64,
}

/// An acknowledged statement of a writer about itself.
#[derive(Clone, Debug)]
pub struct Write {
    /// From its first attempt to the acknowledgement.
    pub span: Span,
    /// Through which member the acknowledgement came.
    pub through: usize,
    pub writer: usize,
    /// The version that it made.
    pub version: u64,
    pub statement: Digest,
    pub number: u64,
    /// Empty when the register says that it does not keep the head of that change any more.
    pub head: Option<Digest>,
}

/// A linearizable read of a writer's entry.
#[derive(Clone, Debug)]
pub struct Read {
    pub span: Span,
    pub through: usize,
    pub writer: usize,
    pub version: u64,
    pub seen: Seen,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub writes: Vec<Write>,
    pub reads: Vec<Read>,
    /// What a replica's own view was at some moment.
    pub views: Vec<(usize, Seen)>,
}

/// The least that whatever begins now must see.
#[derive(Default)]
struct Floor {
    number: u64,
    versions: std::collections::HashMap<usize, u64>,
}

impl Floor {
    fn raise(&mut self, number: u64, writer: usize, version: u64) {
        self.number = self.number.max(number);
        let known = self.versions.entry(writer).or_default();
        *known = version.max(*known);
    }
}

impl History {
    /// Everything that does not hold; empty when all does.
    pub fn faults(&self, ledger: &Ledger) -> Vec<String> {
        [self.lost(ledger), self.heads(ledger), self.went_back()].concat()
    }

    fn lost(&self, ledger: &Ledger) -> Vec<String> {
        let mut faults = Vec::new();
        for write in &self.writes {
            let Write { number, writer, version, through, .. } = write;
            let what = format!("writer {writer}'s version {version}, acknowledged by {through} as change {number}");
            match ledger.entry(*number) {
                None => faults.push(format!("LOST: {what}: no replica has that change")),
                Some(entry) if entry.statement != write.statement || !entry.accepted => {
                    faults.push(format!("LOST: {what}: another statement stands there"));
                }
                Some(entry) if write.head.is_some_and(|head| head != entry.head) => {
                    faults.push(format!("HEAD: {what}, with another head"));
                }
                Some(_) => {}
            }
            for replica in (0..ledger.replicas()).filter(|replica| ledger.reached(*replica).0 < *number) {
                faults.push(format!("LOST: {what}: replica {replica} never came so far"));
            }
        }
        faults
    }

    fn heads(&self, ledger: &Ledger) -> Vec<String> {
        let read = self.reads.iter().map(|read| ("a read", read.through, read.seen));
        let views = self.views.iter().map(|(replica, seen)| ("its own view", *replica, *seen));
        let wrong = read.chain(views).filter(|(_, _, (number, head))| {
            *number > 0 && ledger.entry(*number).is_none_or(|entry| entry.head != *head)
        });
        wrong.map(|(what, at, (number, _))| format!("HEAD: {what} at {at}: another head at change {number}")).collect()
    }

    fn went_back(&self) -> Vec<String> {
        let mut ended: Vec<(u64, u64, usize, u64)> = self
            .reads
            .iter()
            .map(|read| (read.span.ended, read.seen.0, read.writer, read.version))
            .chain(self.writes.iter().map(|write| (write.span.ended, write.number, write.writer, write.version)))
            .collect();
        ended.sort_unstable();
        let mut ended = ended.into_iter().peekable();
        let mut begins: Vec<(u64, Result<&Read, &Write>)> = self
            .reads
            .iter()
            .map(|read| (read.span.began, Ok(read)))
            .chain(self.writes.iter().map(|write| (write.span.began, Err(write))))
            .collect();
        begins.sort_by_key(|(began, _)| *began);
        let (mut floor, mut faults) = (Floor::default(), Vec::new());
        for (began, what) in begins {
            while let Some((_, number, writer, version)) = ended.next_if(|(at, ..)| *at < began) {
                floor.raise(number, writer, version);
            }
            match what {
                Ok(read) => faults.extend(read.below(&floor)),
                Err(write) if write.number <= floor.number => faults.push(format!(
                    "BACK: writer {}'s change {} was ordered before {}, which was seen before it was proposed",
                    write.writer, write.number, floor.number
                )),
                Err(_) => {}
            }
        }
        faults
    }
}

impl Read {
    fn below(&self, floor: &Floor) -> Option<String> {
        let Self { through, writer, version, seen: (number, _), span } = self;
        let least = floor.versions.get(writer).copied().unwrap_or(0);
        let what = format!("a read through {through} from {} to {} ms", span.began / 1_000, span.ended / 1_000);
        if *number < floor.number {
            return Some(format!("BACK: {what} saw change {number}, after {} had been seen", floor.number));
        }
        (*version < least).then(|| format!("BACK: {what} saw version {version} of writer {writer}, after {least}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use crate::ledger::tests::{FEDERATION, change, statement, three};
    use havenlink_proto::directory::v1::Outcome;

    fn span(began: u64, ended: u64) -> Span {
        Span { began, ended }
    }

    fn write(ledger: &Ledger, number: u64, payload: &str, span: Span) -> Write {
        let head = ledger.entry(number).map(|entry| entry.head);
        Write { span, through: 1, writer: 5, version: number, statement: statement(payload), number, head }
    }

    fn read(ledger: &Ledger, number: u64, span: Span) -> Read {
        Read { span, through: 0, writer: 5, version: number, seen: (number, ledger.entry(number).unwrap().head) }
    }

    fn sound(ledger: &Ledger) -> History {
        History {
            writes: vec![write(ledger, 1, "a", span(0, 10)), write(ledger, 3, "c", span(11, 20))],
            reads: vec![read(ledger, 1, span(5, 12)), read(ledger, 3, span(15, 30)), read(ledger, 3, span(40, 50))],
            views: vec![(2, (3, ledger.entry(3).unwrap().head))],
        }
    }

    fn only(faults: &[String], with: &str) {
        assert!(faults.len() == 1 && faults[0].contains(with), "{faults:?}");
    }

    #[test]
    fn a_sound_history_has_no_fault() {
        let ledger = three();
        assert!(sound(&ledger).faults(&ledger).is_empty());
    }

    #[test]
    fn a_lost_statement_is_found() {
        let ledger = three();
        let mut history = sound(&ledger);
        history.writes.push(write(&ledger, 4, "d", span(60, 70)));
        let faults = history.faults(&ledger);
        assert_eq!(faults.len(), 4, "nobody has it, nor any of the three: {faults:?}");
        assert!(faults.iter().all(|fault| fault.starts_with("LOST")));

        let mut history = sound(&ledger);
        history.writes[1].statement = statement("x");
        only(&history.faults(&ledger), "another statement stands there");
        let mut history = sound(&ledger);
        history.writes.push(write(&ledger, 2, "b", span(0, 20)));
        only(&history.faults(&ledger), "another statement stands there");

        let mut behind = three();
        behind.take(0, &change(4, "d", Outcome::Accepted));
        behind.take(1, &change(4, "d", Outcome::Accepted));
        let mut history = sound(&behind);
        history.writes.push(write(&behind, 4, "d", span(60, 70)));
        only(&history.faults(&behind), "replica 2 never came so far");
    }

    #[test]
    fn a_forked_head_is_found() {
        let mut fork = Ledger::new(FEDERATION, 1);
        fork.take(0, &change(1, "b", Outcome::Accepted));
        let (_, other) = fork.reached(0);
        let ledger = three();
        let mut history = sound(&ledger);
        history.views.push((1, (1, other)));
        only(&history.faults(&ledger), "its own view at 1: another head at change 1");
        let mut history = sound(&ledger);
        history.reads[0].seen.1 = other;
        only(&history.faults(&ledger), "a read at 0");
        let mut history = sound(&ledger);
        history.writes[0].head = Some(other);
        only(&history.faults(&ledger), "with another head");
    }

    #[test]
    fn a_read_that_goes_back_is_found() {
        let ledger = three();
        let mut history = sound(&ledger);
        history.reads.push(read(&ledger, 1, span(21, 22)));
        only(&history.faults(&ledger), "saw change 1, after 3");
        let mut history = sound(&ledger);
        history.reads[2].version = 2;
        only(&history.faults(&ledger), "saw version 2 of writer 5, after 3");
        let mut overlapping = sound(&ledger);
        overlapping.reads.push(read(&ledger, 1, span(20, 31)));
        assert!(overlapping.faults(&ledger).is_empty(), "what was under way may be seen or not");
    }

    #[test]
    fn a_write_that_is_ordered_before_what_was_seen_is_found() {
        let ledger = three();
        let mut history = sound(&ledger);
        history.writes[0].span = span(31, 40);
        let faults = history.faults(&ledger);
        assert!(faults.iter().any(|fault| fault.contains("was ordered before 3")), "{faults:?}");
    }
}
