//! The ledger of an offer's holds, read by who knows the page and nothing of the product: what must never stand in it.

use std::collections::{BTreeMap, BTreeSet};

use havenlink_domain::ids::HoldId;
use havenlink_domain::time::{Millis, UnixMs};

/// A line: when by the owner's clock, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub clock: UnixMs,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Taken {
        id: HoldId,
        holder: usize,
        slot: u32,
        token: u64,
    },
    Extended(u64),
    Released(u64),
    Arrived(u64),
    Expired(u64),
    /// As of when.
    Stated(UnixMs),
    /// Something was done to another hold than to that of this token.
    Misheard(u64),
}

struct Given {
    id: HoldId,
    holder: usize,
    slot: u32,
    until: UnixMs,
    extended: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    Arrived(UnixMs),
    Over,
}

const LEASE: Millis = Millis::minutes(90);
const MARGIN: Millis = Millis::minutes(1);
const QUOTA: usize = 8;

/// What is known after the lines that were read.
#[derive(Default)]
pub struct Replay {
    given: BTreeMap<u64, Given>,
    /// All tokens of all lives, and to whom they were given.
    ever: BTreeMap<u64, (HoldId, usize, u32)>,
    asked: BTreeSet<(HoldId, usize)>,
}

type Broken = (&'static str, String);

impl Replay {
    /// Reads a line.
    pub fn read(&mut self, line: &Line) -> Result<(), Broken> {
        let clock = line.clock;
        match line.what {
            What::Taken { id, holder, slot, token } => self.taken(id, holder, slot, token, clock),
            What::Extended(token) => {
                let given = self.live(token, clock)?;
                if std::mem::replace(&mut given.extended, true) {
                    return Err(("FENCED", format!("{token} was extended twice")));
                }
                given.until = given.until + LEASE;
                Ok(())
            }
            What::Released(token) => {
                self.live(token, clock)?.state = State::Over;
                Ok(())
            }
            What::Arrived(token) => {
                self.live(token, clock)?.state = State::Arrived(clock);
                Ok(())
            }
            What::Expired(token) => {
                let given = self.given.get_mut(&token).ok_or(("ONE", format!("{token} was not given")))?;
                if given.state == State::Held && clock < given.until + MARGIN {
                    return Err(("ONE", format!("{token} was free before a minute after its end")));
                }
                given.state = State::Over;
                Ok(())
            }
            What::Stated(as_of) => {
                // Who arrived before, by the line and by the clock, is counted in it.
                let counted = |given: &&mut Given| matches!(given.state, State::Arrived(at) if at < as_of);
                self.given.values_mut().filter(counted).for_each(|given| given.state = State::Over);
                Ok(())
            }
            What::Misheard(token) => Err(("FENCED", format!("what was said under {token} was done to another"))),
        }
    }

    fn taken(&mut self, id: HoldId, holder: usize, slot: u32, token: u64, clock: UnixMs) -> Result<(), Broken> {
        if self.ever.last_key_value().is_some_and(|(last, _)| *last >= token) {
            return Err(("TOKENS", format!("{token} does not rise")));
        }
        let in_use = |given: &&Given| given.state != State::Over;
        if self.given.values().filter(in_use).any(|given| given.slot == slot) {
            return Err(("ONE", format!("slot {slot} was given twice")));
        }
        let held = self.given.values().filter(|given| given.state == State::Held && given.holder == holder).count();
        if held >= QUOTA {
            return Err(("QUOTA", format!("{holder} holds {held}")));
        }
        if !self.asked.insert((id, holder)) {
            return Err(("ONCE", format!("{holder} asked once and got two")));
        }
        self.ever.insert(token, (id, holder, slot));
        self.given.retain(|_, given| given.state != State::Over);
        self.given.insert(token, Given { id, holder, slot, until: clock + LEASE, extended: false, state: State::Held });
        Ok(())
    }

    /// A hold that something may be done to.
    fn live(&mut self, token: u64, clock: UnixMs) -> Result<&mut Given, Broken> {
        let given = self.given.get_mut(&token).filter(|given| given.state == State::Held);
        let given = given.ok_or_else(|| ("FENCED", format!("{token} is not held")))?;
        if clock >= given.until {
            return Err(("FENCED", format!("{token} was over")));
        }
        Ok(given)
    }

    /// The owner's disk is an older one: its ledger goes on from these lines, while tokens and who counts on what do not go back.
    pub fn restored(&mut self, ledger: &[Line]) {
        let ever = std::mem::take(&mut self.ever);
        *self = Self::default();
        for line in ledger {
            // It was read before.
            let _ = self.read(line);
        }
        self.ever = ever;
        self.asked = self.given.values().map(|given| (given.id, given.holder)).collect();
    }

    /// Which slot a token was given for, in any of the owner's lives.
    pub fn slot(&self, token: u64) -> Option<u32> {
        self.ever.get(&token).map(|(_, _, slot)| *slot)
    }

    /// Whether the token was given to this holder for this ask.
    pub fn gave(&self, token: u64, holder: usize, id: HoldId) -> bool {
        self.ever.get(&token).is_some_and(|(asked, to, _)| (*asked, *to) == (id, holder))
    }
}
