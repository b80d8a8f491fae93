//! How two nodes tell each other their incarnations (9.10).

use std::collections::BTreeMap;

use havenlink_domain::ids::Incarnation;
use havenlink_domain::incarnation::{self, END, Told};
use havenlink_domain::numbering::{Under, expected, has_lost_its_place};
use havenlink_domain::reason::Reason;
use havenlink_domain::record::StreamClass;
use havenlink_domain::time::{Millis, UnixMs};

use super::disk::Word;
use super::{Answer, BEGIN, Call, World};
use crate::Broken;

/// The answer to a greeting.
#[derive(Clone, Debug)]
pub struct Greeted {
    pub word: Word,
    /// The number that is expected next, by class.
    pub next: BTreeMap<StreamClass, u64>,
    /// The caller's own word of a later incarnation, as it is held there.
    pub held: Option<Word>,
}

/// What a greeting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    Known,
    /// The caller was shown its own word, and has to greet again.
    Again,
    Refused,
}

/// What came of a partner's word.
enum Learned {
    Taken,
    Below(Word),
    TooFar,
}

impl World {
    /// A node is greeted.
    pub(super) fn greet(&mut self, from: usize, to: usize, word: Word, held: Option<Word>) -> Option<Answer> {
        if self.suspended.contains(&from) || self.suspended.contains(&to) {
            return Some(Answer::Failed(Reason::MemberSuspended));
        }
        if !self.is_signed(&word) || word.author != from || word.recipient != to {
            return Some(Answer::Failed(Reason::WrongRecipient));
        }
        self.believe_own(to, from, held);
        let held = match self.learn(to, word) {
            Learned::Taken => {
                self.wake_lines(to, from);
                None
            }
            Learned::Below(held) => Some(held),
            Learned::TooFar => return Some(Answer::Failed(Reason::IncarnationChanged)),
        };
        if self.chance.one_in(60) {
            self.crash(to);
            return None;
        }
        let disk = &self.nodes[to].disk;
        let under = Under { origin: word.incarnation, recipient: disk.incarnation };
        let stands = |class| expected(disk.ins.get(&(from, class)).map(|(numbers, _)| numbers), under);
        let next = [StreamClass::Content, StreamClass::Control].map(|class| (class, stands(class))).into();
        let word = self.word(to, from);
        Some(Answer::Greeted(Greeted { word, next, held }))
    }

    /// The answer to a greeting has come.
    pub(super) fn greeted(&mut self, call: &Call, answer: Greeted) {
        let (node, line) = (call.from, (call.to, call.class));
        let Some((before, asked)) = self.sender(node, line).greeting.take() else {
            return self.failed(node, line, Reason::PeerUnreachable);
        };
        self.sender(node, line).busy = false;
        match self.met(call, &answer) {
            Met::Known => {}
            Met::Again => {
                self.sender(node, line).greet = asked;
                return self.pass_after(Millis(1), node, line);
            }
            Met::Refused => return self.failed(node, line, Reason::IncarnationChanged),
        }
        let now = self.clock(node);
        let under = Under { origin: self.nodes[node].disk.incarnation, recipient: answer.word.incarnation };
        let out = self.nodes[node].disk.out(line);
        let expected = answer.next.get(&line.1).copied().unwrap_or(1);
        if has_lost_its_place(&before, &out.numbers, asked, expected) {
            out.queue_again(under, Some(expected), now);
            // What was sent under these numbers was not taken, or its receipt does not fit.
            self.numbered
                .retain(|(from, to, of, number), _| (*from, *to, *of) != (node, line, under) || *number < expected);
            self.trace.note(format_args!(
                "{} numbered again {node}->{} from {expected}",
                self.now.since(BEGIN).0,
                line.0
            ));
        }
        self.sender(node, line).greet = false;
        self.pass_after(Millis(1), node, line);
    }

    /// What both words come to.
    pub(super) fn met(&mut self, call: &Call, answer: &Greeted) -> Met {
        if self.believe_own(call.from, call.to, answer.held) {
            return Met::Again;
        }
        let is_theirs =
            self.is_signed(&answer.word) && answer.word.author == call.to && answer.word.recipient == call.from;
        let is_taken = is_theirs && matches!(self.learn(call.from, answer.word), Learned::Taken);
        if !is_taken || answer.held.is_some() {
            return Met::Refused;
        }
        self.wake_lines(call.from, call.to);
        Met::Known
    }

    /// Takes a partner's word, and queues again what is numbered under another one.
    fn learn(&mut self, node: usize, word: Word) -> Learned {
        let now = self.clock(node);
        let stored = self.nodes[node].disk.told.get(&word.author).copied();
        // A word under a key that was withdrawn since counts no more.
        let current = Some(self.nodes[word.author].key);
        let known = stored.filter(|stored| stored.incarnation != word.incarnation && stored.key == current);
        let told = incarnation::told(known.map(|known| known.incarnation), word.incarnation);
        let told = match self.broken {
            Some(Broken::StepsUnbounded) if told == Told::TooFar => Told::Taken,
            Some(Broken::IncarnationByTheClock) if word.incarnation.0 > wall(now + Millis::minutes(5)) => Told::TooFar,
            _ => told,
        };
        let disk = &mut self.nodes[node].disk;
        match (told, known) {
            (Told::Taken, _) => {
                disk.told.insert(word.author, word);
                disk.queue_again(word.author, word.incarnation, now);
                Learned::Taken
            }
            (Told::Below, Some(known)) => Learned::Below(known),
            (Told::Below | Told::TooFar, _) => Learned::TooFar,
        }
    }

    /// Whether its author's key of now signed it.
    fn is_signed(&self, word: &Word) -> bool {
        word.key == Some(self.nodes[word.author].key)
    }

    /// Goes on from a node's own word, if a partner shows one that lies above what is known. Whether it did.
    fn believe_own(&mut self, node: usize, partner: usize, shown: Option<Word>) -> bool {
        let believes_others = self.is(Broken::BelievesOthers);
        let is_own =
            |word: &Word| word.author == node && word.recipient == partner && (self.is_signed(word) || believes_others);
        let Some(shown) = shown.filter(is_own) else { return false };
        let (now, known) = (self.clock(node), self.nodes[node].disk.incarnation);
        let unbounded = (shown.incarnation > known).then(|| Incarnation(shown.incarnation.0 + 1));
        let drawn = self.drawn();
        let next = incarnation::after_shown(now, known, shown.incarnation, drawn);
        let next = if self.is(Broken::StepsUnbounded) { next.or(unbounded) } else { next };
        let Some(next) = next else { return false };
        self.rises(node, known, next);
        self.nodes[node].disk.incarnation = next;
        true
    }

    /// What tells one life of a node from another that began at the same place.
    pub(super) fn drawn(&mut self) -> u32 {
        let drawn = u32::try_from(self.chance.below(1 << 32)).unwrap_or(0);
        if self.is(Broken::LivesNotDrawn) { 0 } else { drawn }
    }

    /// Checks an incarnation that a node begins.
    pub(super) fn rises(&mut self, node: usize, known: Incarnation, next: Incarnation) {
        self.trace.note(format_args!("{} incarnation of {node}: {known:?} then {next:?}", self.now.since(BEGIN).0));
        let owner = &self.nodes[node];
        let most = owner.clock_high.max(owner.signed_high.0 + 1).max(known.0 + 1) + (1 << 32);
        if next <= known || next.0 > most || next.0 >= END {
            self.trace
                .fault("RISES", format_args!("{node} goes from {known:?} to {next:?}, and knew of none above {most}"));
        }
    }
}

pub fn wall(now: UnixMs) -> u64 {
    u64::try_from(now.0).unwrap_or(0)
}
