//! The owner's node: what is on its disk, its clock, and the acts, each stored whole or not at all.

use std::sync::Arc;

use havenlink_domain::holds::{HoldState, HoldWord, Lease, Room, Slots};
use havenlink_domain::ids::AuthorityId;
use havenlink_domain::limits;
use havenlink_domain::reason::Reason;
use havenlink_domain::time::{Millis, UnixMs};

use super::replay::{Line, What};
use super::{Word, at};

/// What a kill leaves, and a backup copies.
#[derive(Clone)]
pub struct Disk {
    pub slots: Slots,
    pub units: u32,
    stated: UnixMs,
    opens: UnixMs,
    incarnation: u64,
    pub ledger: Vec<Line>,
}

pub struct Owner {
    pub disk: Disk,
    backup: Option<Disk>,
    /// How far its wall clock is off.
    pub off: i64,
    /// The highest incarnation of any of its lives: partners show it (9.10).
    shown: u64,
}

/// The name of a partner.
pub fn name(holder: usize) -> AuthorityId {
    thread_local! {
        static NAMES: Arc<Vec<AuthorityId>> = Arc::new(
            (0..8).filter_map(|n| AuthorityId::parse(&format!("xx-city-{n}"))).collect(),
        );
    }
    NAMES.with(|names| names[holder].clone())
}

impl Owner {
    pub fn new(units: u32) -> Self {
        let (stated, opens) = (at(-1), UnixMs(i64::MIN));
        let disk = Disk { slots: Slots::default(), units, stated, opens, incarnation: 1, ledger: Vec::new() };
        Self { disk, backup: None, off: 0, shown: 1 }
    }

    pub fn wall(&self, now: i64) -> UnixMs {
        at(now + self.off)
    }

    /// What was not confirmed for eight hours is not given, as the product has it.
    fn room(&self, wall: UnixMs) -> Room {
        let Disk { units, stated, opens, incarnation, .. } = self.disk;
        let told = self.disk.slots.now(wall) < stated + limits::LIGHT_STALE;
        Room {
            units: if told { units } else { 0 },
            stated,
            ordinary: true,
            opens,
            lowest_token: incarnation * limits::HOLD_TOKENS,
        }
    }

    /// What an act would make of the slots, and its answer.
    pub fn decide(&self, holder: usize, word: Word, wall: UnixMs) -> (Slots, Result<Lease, Reason>) {
        let (mut slots, holder) = (self.disk.slots.clone(), name(holder));
        let word = match word {
            Word::Take(id) => HoldWord::Take { id, lease: limits::HOLD_LEASE },
            Word::Extend(token) => HoldWord::Extend(token),
            Word::Release(token) => HoldWord::Release(token),
            Word::Arrive(token) => HoldWord::Arrive(token),
        };
        let answer = slots.hear(&holder, false, word, &self.room(wall), wall);
        (slots, answer)
    }

    /// One commit: the slots and the lines of the ledger. What changes nothing has no line.
    pub fn store(
        &mut self,
        slots: Slots,
        holder: usize,
        word: Word,
        answer: Result<Lease, Reason>,
        wall: UnixMs,
    ) -> Vec<Line> {
        let clock = slots.now(wall);
        let mut lines = expired(&self.disk.slots, &slots, clock);
        if let Ok(lease) = answer {
            let before = self.disk.slots.holds.iter().find(|hold| hold.token == lease.token);
            let after = slots.holds.iter().find(|hold| hold.token == lease.token);
            let what = match (word, before, after) {
                (Word::Take(id), None, Some(hold)) => {
                    Some(What::Taken { id, holder, slot: hold.slot, token: hold.token })
                }
                (Word::Take(_), ..) => None,
                (_, before, after) if before == after => None,
                // Said of the hold that was changed, which need not be the one that was spoken of.
                (Word::Extend(_), ..) => Some(What::Extended(lease.token)),
                (Word::Release(_), ..) => Some(What::Released(lease.token)),
                (Word::Arrive(_), ..) => Some(What::Arrived(lease.token)),
            };
            lines.extend(what.map(|what| Line { clock, what }));
            if let (Word::Extend(said) | Word::Release(said) | Word::Arrive(said), true) = (word, before != after)
                && said != lease.token
            {
                lines.push(Line { clock, what: What::Misheard(said) });
            }
        }
        self.disk.slots = slots;
        self.disk.ledger.extend(lines.iter().cloned());
        lines
    }

    /// Time alone.
    pub fn passes(&mut self, now: i64) -> Vec<Line> {
        let mut slots = self.disk.slots.clone();
        let clock = slots.pass_time(self.wall(now));
        let lines = expired(&self.disk.slots, &slots, clock);
        self.disk.slots = slots;
        self.disk.ledger.extend(lines.iter().cloned());
        lines
    }

    /// The owner states anew what is free, by its wall clock. What it had to say about holds it says nowhere.
    pub fn state(&mut self, now: i64, units: u32) -> Line {
        (self.disk.units, self.disk.stated) = (units, self.wall(now));
        let line = Line { clock: self.disk.slots.now(self.wall(now)), what: What::Stated(self.disk.stated) };
        self.disk.ledger.push(line.clone());
        line
    }

    pub fn backs_up(&mut self) {
        self.backup = Some(self.disk.clone());
    }

    /// The disk is lost, and its backup put in its place. Whether there was one.
    pub fn restores(&mut self, now: i64, (opens_at_once, tokens_from_backup): (bool, bool)) -> bool {
        let Some(backup) = self.backup.clone() else { return false };
        self.disk = backup;
        if !tokens_from_backup {
            self.shown += 1;
            self.disk.incarnation = self.shown;
        }
        if !opens_at_once {
            self.disk.opens = self.wall(now) + limits::HOLD_LONGEST;
        }
        // Somebody confirms it at once, which says nothing about holds.
        self.disk.stated = self.disk.stated.max(self.wall(now) - Millis(1));
        let line = Line { clock: self.disk.slots.now(self.wall(now)), what: What::Stated(self.disk.stated) };
        self.disk.ledger.push(line);
        true
    }
}

fn expired(before: &Slots, after: &Slots, clock: UnixMs) -> Vec<Line> {
    let held = before.holds.iter().filter(|hold| hold.state == HoldState::Held);
    let gone = held.filter(|hold| {
        let now = after.holds.iter().find(|now| now.token == hold.token);
        now.is_none_or(|now| now.state == HoldState::Expired)
    });
    gone.map(|hold| Line { clock, what: What::Expired(hold.token) }).collect()
}
