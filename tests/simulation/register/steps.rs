//! What is said and done in a register's world: statements that fit and that do not, lies, and everything that goes wrong.

use bytes::Bytes;
use havenlink_directory::samples::{ESCH, GENT, KEHL, STRASBOURG, id};
use havenlink_domain::directory::Policy;
use havenlink_domain::ids::StatementId;
use havenlink_domain::limits;
use havenlink_domain::register::{Outcome, RejectionReason, RemoveReason, SuspendReason};
use havenlink_domain::time::{Millis, UnixMs};

use super::{Link, MIRRORS, Register};

const NAMES: [&str; 4] = [STRASBOURG, KEHL, ESCH, GENT];
/// How far a clock is off, once it is.
const OFF: [i64; 7] = [0, 90_000, -90_000, 3_600_000, -3_600_000, 259_200_000, 315_532_800_000];

impl Register {
    pub(super) fn step(&mut self) {
        let (n, other) = (self.chance.place(MIRRORS), self.chance.place(MIRRORS));
        match self.chance.below(28) {
            0..=7 => {
                let said = self.said();
                self.order(&said);
            }
            8..=11 => {
                let (again, most) = (self.chance.below(4), 1 + self.chance.place(12));
                self.follows(n, again, most);
            }
            12 => self.crashes(n),
            13 => self.mirrors[n].take_snapshot(),
            14 => self.mirrors[n].off = OFF[self.chance.place(OFF.len())],
            15 => self.off = OFF[self.chance.place(OFF.len())],
            16 => self.emergency(n),
            17 | 18 => self.gossip(n, other),
            19 => {
                // Told again, late.
                let old = self.chance.place(self.gossiped.len());
                let told = self.gossiped.get(old).cloned().unwrap_or_default();
                self.hears(n, &told);
            }
            20 => self.beats_reach(n),
            21 => self.lie(n),
            22 => {
                self.now = self.now + Millis::hours(self.chance.span(60));
                self.forgets(n);
            }
            23 | 24 => self.signs(),
            25 if self.chance.one_in(3) => self.founds_anew(),
            25 => self.proposes_again(1),
            26 => self.meets(n),
            _ if self.book.state.entry_time() > self.now + Millis::minutes(1) => {
                self.off = 0;
                self.retime();
            }
            _ => self.off = 0,
        }
    }

    /// A majority puts the register's time right.
    pub(super) fn retime(&mut self) {
        let to = self.now;
        self.book.now = self.order_time();
        let proposal = self.book.sign(STRASBOURG, |author, state| author.retime(state, to));
        let opened = self.order(&proposal);
        if opened.outcome == Outcome::Pending {
            self.approves(KEHL, &opened.statement);
        }
    }

    fn approves(&mut self, steward: &str, proposal: &StatementId) {
        let vote = self.book.sign(steward, |author, state| author.approve(state, proposal));
        if let Some(vote) = vote {
            self.order(&vote);
        }
    }

    /// A statement that might be valid, often is, and often is not.
    fn said(&mut self) -> Bytes {
        self.book.now = self.order_time();
        let (author, target) = (NAMES[self.chance.place(4)], NAMES[self.chance.place(4)]);
        let n = self.chance.below(1_000);
        let now = self.book.now;
        let open: Vec<StatementId> = self.book.state.proposals().filter(|p| p.is_open(now)).map(|p| p.id).collect();
        let proposal = open.get(self.chance.place(open.len())).copied().unwrap_or(StatementId([0; 32]));
        let own = |register: &mut Self| {
            let mut entry = register.book.state.member(&id(author)).map(|member| member.entry.clone());
            if let Some(entry) = &mut entry {
                entry.endpoints = vec![format!("n{n}.example:7400")];
            }
            entry.map_or_else(Bytes::new, |entry| register.book.sign(author, |a, s| a.entry(s, &entry)))
        };
        match self.chance.below(16) {
            0..=2 => own(self),
            3..=6 => self.book.sign(author, |a, s| a.approve(s, &proposal)).unwrap_or_else(|| own(self)),
            7 => {
                self.book.sign(author, |a, s| a.reject(s, &proposal, RejectionReason::NoLegalBasis)).unwrap_or_default()
            }
            8 => self.book.sign(author, |a, s| a.lasting_suspend(s, &id(GENT), SuspendReason::OwnRequest)),
            9 => {
                let lifts: Vec<StatementId> = self.mirrors[0].overlay.entries().map(|entry| entry.id).take(2).collect();
                self.book.sign(author, |a, s| a.restore(s, &id(target), &lifts))
            }
            10 if n < 60 => self.book.sign(author, |a, s| a.remove(s, &id(GENT), RemoveReason::BreachOfRules)),
            10 | 11 => {
                let policy = Policy { proposal_life: Millis::days(1 + self.chance.span(9)), ..Policy::default() };
                self.book.sign(author, |a, s| a.policy(s, &policy))
            }
            12 => {
                let earlier = self.book.state.entry_time() - Millis::hours(self.chance.span(100));
                self.book.sign(author, |a, s| a.retime(s, earlier))
            }
            13 => self.rotation(),
            14 => self.log[self.chance.place(self.log.len())].signed.clone(),
            _ => Bytes::from(n.to_be_bytes().to_vec()),
        }
    }

    /// A member replaces its key.
    fn rotation(&mut self) -> Bytes {
        let key = self.book.fresh_key();
        let signed = self.book.sign(GENT, |author, state| author.key_rotation(state, &key, false));
        // It goes by the new one only where the register does.
        let accepted =
            self.book.state.clone().apply(self.order_time(), &signed, &self.verify).outcome == Outcome::Accepted;
        if accepted {
            self.book.keys.insert(id(GENT), key);
        }
        signed
    }

    /// A steward suspends a member in an emergency: at one mirror first, and often in the register too.
    fn emergency(&mut self, n: usize) {
        let steward = NAMES[self.chance.place(3)];
        let pair = (id(steward), id(GENT));
        let used = |at: &UnixMs| self.now.since(*at) - Millis::days(1) < limits::EMERGENCY_AGAIN;
        if self.emergencies.get(&pair).is_some_and(used) {
            return;
        }
        self.emergencies.insert(pair, self.now);
        self.book.now = self.now;
        let signed = self.book.emergency(steward, GENT);
        self.hears(n, std::slice::from_ref(&signed));
        if self.chance.one_in(2) {
            self.order(&signed);
        }
    }

    /// A source dates a change that was ordered ahead of the mirror's clock. Within it, beats would show the other head later.
    fn lie(&mut self, n: usize) {
        let number = self.mirrors[n].state.number() + 1;
        let Some(link) = self.log.iter().find(|link| link.number == number).cloned() else { return };
        let fits = link.time.max(self.clock_of(n) + limits::ENTRY_TIME_AHEAD);
        let time = fits + Millis(1 + self.chance.span(Millis::days(4_000).0));
        self.takes(n, vec![Link { time, ..link }]);
    }
}
