//! One offer, and partners that ask for its units at once, again and late, while the owner's node is killed, its clock set and
//! its disk restored.
//!
//! What lives here: the order of a world; the owner and its disk (`owner`), who asks (`holder`), the ledger and its replay
//! (`replay`). What does not: a rule, which is `domain/holds`. Invariants, beside those of `lib.rs`: `ONE`: no slot is given
//! before the hold on it has ended, and a minute more; `FENCED`: nothing is done under a token that is not its slot's newest, or
//! whose time is over; `TOKENS`: a token is given once and rises, over restores too; `APART`: while the owner's clock is not set
//! forward, no two partners count on one unit; `QUOTA`: one partner holds no more than it may.

mod holder;
mod owner;
mod replay;

use havenlink_domain::holds::Lease;
use havenlink_domain::ids::HoldId;
use havenlink_domain::reason::Reason;
use havenlink_domain::time::{Millis, UnixMs};

use crate::Broken;
use crate::chance::Chance;
use crate::trace::{Ran, Trace};
use holder::Holder;
use owner::Owner;
use replay::Replay;

/// What partners say in one world, near enough.
const WORDS: u64 = 800;
const MINUTE: i64 = 60_000;

/// What a holder says to the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Take(HoldId),
    Extend(u64),
    Release(u64),
    Arrive(u64),
}

/// A call, or its answer, on its way.
#[derive(Clone, Copy, Debug)]
struct Message {
    holder: usize,
    /// Which of its asks it is about.
    about: usize,
    word: Word,
    /// When the call was sent.
    sent: i64,
    answer: Option<Result<Lease, Reason>>,
}

struct World {
    chance: Chance,
    trace: Trace,
    broken: Option<Broken>,
    /// True time, which holders count by; ms since the beginning.
    now: i64,
    owner: Owner,
    holders: Vec<Holder>,
    network: Vec<(i64, Message)>,
    replay: Replay,
    /// When the owner's clock was last set forward.
    forward: i64,
}

/// Runs one world.
pub fn run(seed: u64, broken: Option<Broken>) -> Ran {
    let mut chance = Chance::new(seed);
    let most = if chance.one_in(4) { 20 } else { 4 };
    let units = 1 + u32::try_from(chance.below(most)).unwrap_or(0);
    let holders = (0..2 + chance.place(5)).map(Holder::new).collect();
    let owner = Owner::new(units);
    let (network, replay) = (Vec::new(), Replay::default());
    let mut world =
        World { chance, trace: Trace::default(), broken, now: 0, owner, holders, network, replay, forward: -1 };
    for _ in 0..WORDS {
        if world.trace.is_faulty() {
            break;
        }
        let most = if world.chance.one_in(60) { 180 * MINUTE } else { 4 * MINUTE };
        world.now += world.chance.span(most);
        world.arrives();
        world.says();
        world.happens();
    }
    // The network heals: what is on its way comes, and everybody hears what became of it.
    for _ in 0..8 {
        world.now += 10 * MINUTE;
        world.arrives();
        (0..world.holders.len()).for_each(|holder| world.repeats(holder));
    }
    world.comes_to_rest();
    world.trace.into_ran(seed)
}

impl World {
    fn is(&self, bug: Broken) -> bool {
        self.broken == Some(bug)
    }

    /// A holder says something, most often that it wants a unit.
    fn says(&mut self) {
        let holder = self.chance.place(self.holders.len());
        match self.chance.below(10) {
            0..=3 => {
                let id = self.holders[holder].asks(self.now);
                let about = self.holders[holder].wanted.len() - 1;
                self.sends(holder, about, Word::Take(id));
            }
            4 | 5 => self.repeats(holder),
            _ => {
                let known = self.holders[holder].known();
                if known.is_empty() {
                    return;
                }
                // Most often about the newest, at times about one of long ago.
                let far = if self.chance.one_in(3) { known.len() } else { known.len().min(3) };
                let back = self.chance.place(far);
                let (about, token) = known[known.len() - 1 - back];
                let word = match self.chance.below(4) {
                    0 => Word::Extend(token),
                    1 => Word::Arrive(token),
                    _ => Word::Release(token),
                };
                self.sends(holder, about, word);
            }
        }
    }

    /// An ask that was not answered is made again, by the same name.
    fn repeats(&mut self, holder: usize) {
        if let Some((about, id)) = self.holders[holder].unanswered(self.now) {
            self.sends(holder, about, Word::Take(id));
        }
    }

    /// One in eight is lost, one in eight comes twice; the way takes up to five minutes.
    fn sends(&mut self, holder: usize, about: usize, word: Word) {
        self.holders[holder].says(about, word);
        if self.chance.one_in(8) {
            return;
        }
        let message = Message { holder, about, word, sent: self.now, answer: None };
        self.puts_on_its_way(message);
        if self.chance.one_in(8) {
            self.puts_on_its_way(message);
        }
    }

    fn puts_on_its_way(&mut self, message: Message) {
        let way = if self.chance.one_in(4) { 5 * MINUTE } else { 2_000 };
        self.network.push((self.now + self.chance.span(way), message));
    }

    fn arrives(&mut self) {
        let now = self.now;
        let (mut due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.network).into_iter().partition(|m| m.0 <= now);
        self.network = later;
        due.sort_by_key(|(at, _)| *at);
        for (_, message) in due {
            match message.answer {
                None => self.judged(message),
                Some(answer) => self.heard(message, answer),
            }
        }
    }

    /// The owner decides, stores, answers; it may be killed before or after it has stored.
    fn judged(&mut self, message: Message) {
        let wall = self.owner.wall(self.now);
        let (decided, answer) = self.owner.decide(message.holder, message.word, wall);
        let killed = self.chance.below(24);
        let first = self.is(Broken::HoldAnsweredFirst);
        if killed != 0 {
            let lines = self.owner.store(decided, message.holder, message.word, answer, wall);
            self.check(&lines);
        }
        self.trace.note(format_args!("{} {message:?} {answer:?} {killed}", self.now));
        if killed > 1 || first {
            self.puts_on_its_way(Message { answer: Some(answer), ..message });
        }
    }

    /// What was stored is held against what is known of all before, restored or not.
    fn check(&mut self, lines: &[replay::Line]) {
        for line in lines {
            if let Err((invariant, what)) = self.replay.read(line) {
                self.trace.fault(invariant, format_args!("{what} at {line:?}"));
            }
            let replay::What::Taken { slot, token, holder, .. } = line.what else { continue };
            for (other, counts) in self.holders.iter().enumerate() {
                let Some(theirs) =
                    counts.counting_on(self.now, self.forward, |token| self.replay.slot(token) == Some(slot))
                else {
                    continue;
                };
                if theirs != token {
                    let what =
                        format_args!("{holder} got slot {slot} by {token}, and {other} counts on it by {theirs}");
                    self.trace.fault("APART", what);
                }
            }
        }
    }

    /// A holder hears an answer; it may be a late one to an ask of before.
    fn heard(&mut self, message: Message, answer: Result<Lease, Reason>) {
        if let (Word::Take(id), Ok(lease)) = (message.word, answer)
            && !self.replay.gave(lease.token, message.holder, id)
        {
            self.trace.fault("KEPT", format_args!("{} was told of {}, which is nowhere", message.holder, lease.token));
        }
        let counted_from = if self.is(Broken::LeaseFromItsAnswer) { self.now } else { message.sent };
        self.holders[message.holder].hears(message.about, message.word, counted_from, answer);
    }

    /// What happens to the owner and its holders besides.
    fn happens(&mut self) {
        match self.chance.below(80) {
            0..=5 => {
                let units = self.owner.disk.units;
                let stated = u32::try_from(self.chance.below(u64::from(units) + 3)).unwrap_or(0);
                let line = self.owner.state(self.now, stated);
                self.check(&[line]);
            }
            6 => self.owner.off -= self.chance.span(300 * MINUTE),
            7 => {
                self.owner.off += self.chance.span(200 * MINUTE);
                self.forward = self.now;
            }
            8 | 9 => self.owner.backs_up(),
            10 if self
                .owner
                .restores(self.now, (self.is(Broken::RestoreOpensAtOnce), self.is(Broken::TokensFromBackup))) =>
            {
                self.replay.restored(&self.owner.disk.ledger);
                self.trace.note(format_args!("{} restored", self.now));
            }
            // Its process ends: what it counted on it asks for again.
            11 => {
                let holder = self.chance.place(self.holders.len());
                self.holders[holder].is_killed();
            }
            12..=20 => {
                let lines = self.owner.passes(self.now);
                self.check(&lines);
            }
            _ => {}
        }
    }

    /// The ledger as it stands, read again from its first line by somebody who was not there.
    fn comes_to_rest(&mut self) {
        let mut stranger = Replay::default();
        for line in self.owner.disk.ledger.clone() {
            if let Err((invariant, what)) = stranger.read(&line) {
                self.trace.fault(invariant, format_args!("{what} in the ledger, at {line:?}"));
            }
        }
        let unheard = self.holders.iter().filter(|holder| holder.unanswered(self.now).is_some()).count();
        self.trace.note(format_args!("{} lines, {unheard} unheard", self.owner.disk.ledger.len()));
    }
}

/// An instant of the owner's clocks.
fn at(now: i64) -> UnixMs {
    UnixMs(1_900_000_000_000) + Millis(now)
}
