//! `apply`: every statement meets the same checks in the same order, gets a number, and enters the head (9.4, frozen).
//!
//! The order of checks decides which outcome a bad statement gets, and outcomes enter the head. What an older program
//! may not understand (the body) is looked at only after the rules version, so that old and new programs answer alike
//! as long as the same rules are in force.

use std::sync::Arc;

use bytes::Bytes;

use super::effects::Effects;
use super::{Change, RegisterState};
use crate::acts::{self, Context};
use crate::domain::ids::{Digest, Hasher, StatementId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::register::{Applied, Outcome};
use crate::domain::time::UnixMs;
use crate::refounding::{self, Known};
use crate::wire::keys::Verify;
use crate::wire::{Error, signed, statement};
use havenlink_proto::directory::v1 as proto;

/// The newest rules that this program knows. A raise beyond it stops it.
pub const KNOWN_RULES: u32 = 1;

/// Whether an entry may be taken from a leader or a member without anybody confirming its time: it runs forward, and not
/// further ahead of the local clock than the entry before it does already (9.4).
pub fn entry_time_fits(previous: UnixMs, entry_time: UnixMs, now: UnixMs) -> bool {
    previous <= entry_time && entry_time <= previous.max(now + limits::ENTRY_TIME_AHEAD)
}

/// Whether statements come as they were ordered, or only those that a snapshot carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Live,
    /// Changes that an authority made alone and later replaced are missing. Versions may therefore jump forward, and
    /// what such a change may have freed (a pin, a Raft id) is judged at the end.
    Replay,
}

/// Where in the order a statement stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogPosition {
    pub number: u64,
    pub entry_time: UnixMs,
    pub mode: Mode,
}

/// What the checks found.
enum Judged {
    /// Its payload was accepted before.
    Repeated(u64, Outcome),
    Accepted(Box<Effects>),
    Rejected(Outcome),
}

/// head_n = SHA-256(head_{n-1} ‖ u64be n ‖ u64be entry time in ms ‖ SHA-256(Signed bytes) ‖ u16be outcome). Of a founding the
/// payload's digest stands there.
fn next_head(head: &Digest, number: u64, entry_time: UnixMs, said: Digest, outcome: Outcome) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(head.as_bytes());
    hasher.update(&number.to_be_bytes());
    hasher.update(&entry_time.0.to_be_bytes());
    hasher.update(said.as_bytes());
    hasher.update(&u16::try_from(outcome.code()).unwrap_or(u16::MAX).to_be_bytes());
    hasher.finish()
}

impl RegisterState {
    /// Applies one statement, as ordered, at the entry's time. Never fails: a bad statement is an outcome.
    ///
    /// After `stopped()` nothing is applied: the answer is `RULES_VERSION`, without a number.
    pub fn apply(&mut self, entry_time: UnixMs, signed: &Bytes, verify: &dyn Verify) -> Applied {
        let position = LogPosition { number: self.number.saturating_add(1), entry_time, mode: Mode::Live };
        if self.stopped().is_some() {
            let statement = StatementId(Digest::of(signed).0);
            let outcome = Outcome::RulesVersion;
            return Applied { statement, outcome, number: 0, is_new: false, head: None };
        }
        let (payload, judged) = self.judge(position, signed, verify);
        let statement = StatementId(payload.0);
        let outcome = match judged {
            Judged::Repeated(number, outcome) => {
                return Applied { statement, outcome, number, is_new: false, head: None };
            }
            Judged::Rejected(outcome) => {
                self.entry_time = self.entry_time.max(entry_time);
                outcome
            }
            Judged::Accepted(effects) => {
                // Before its effects: a RETIME takes it back.
                self.entry_time = entry_time;
                self.accept(*effects, payload, position, signed)
            }
        };
        self.head = next_head(&self.head, position.number, entry_time, Digest::of(signed), outcome);
        self.number = position.number;
        Applied { statement, outcome, number: position.number, is_new: true, head: Some(self.head) }
    }

    /// The register after a founding on this very state, with what it is as a change.
    ///
    /// # Errors
    /// Why it does not count (`refounding::judge`), or who has not signed it yet.
    pub fn begin_anew(&self, signed: &Bytes, known: &Known<'_>, verify: &dyn Verify) -> Result<(Self, Change), Reason> {
        let judged = refounding::judge(self, signed, known, verify)?;
        if !judged.missing.is_empty() {
            return Err(Reason::RefoundingIncomplete);
        }
        let (number, entry_time, payload) = (self.number.saturating_add(1), judged.time, Digest(judged.id.0));
        let mut state = self.clone();
        state.entry_time = entry_time;
        let position = LogPosition { number, entry_time, mode: Mode::Live };
        let outcome = state.accept(judged.effects(), payload, position, signed);
        state.head = next_head(&self.head, number, entry_time, payload, outcome);
        state.number = number;
        let change = Change { number, entry_time, signed: Bytes::copy_from_slice(signed), outcome };
        Ok((state, change))
    }

    /// Takes a change of a snapshot at its own number; whether it has the outcome that it claims.
    pub(crate) fn replay(&mut self, change: &Change, verify: &dyn Verify) -> bool {
        let position = LogPosition { number: change.number, entry_time: change.entry_time, mode: Mode::Replay };
        if change.number <= self.number || self.stopped().is_some() {
            return false;
        }
        let (payload, judged) = self.judge(position, &change.signed, verify);
        let Judged::Accepted(effects) = judged else {
            return false;
        };
        self.number = change.number;
        self.entry_time = change.entry_time;
        self.accept(*effects, payload, position, &change.signed) == change.outcome
    }

    fn accept(&mut self, effects: Effects, payload: Digest, position: LogPosition, signed: &Bytes) -> Outcome {
        let outcome = effects.outcome();
        // A copy of its own: what is kept for years must not keep a whole network buffer alive.
        let signed = Bytes::copy_from_slice(signed);
        let change = Arc::new(Change { number: position.number, entry_time: position.entry_time, signed, outcome });
        self.commit(effects, payload, &change);
        outcome
    }

    fn judge(&self, position: LogPosition, signed: &Bytes, verify: &dyn Verify) -> (Digest, Judged) {
        if signed.len() > limits::STATEMENT_BYTES {
            return (Digest::of(signed), Judged::Rejected(Outcome::TooLarge));
        }
        let Ok(mut unverified) = signed::open::<proto::Statement>(signed.clone()) else {
            return (Digest::of(signed), Judged::Rejected(Outcome::Malformed));
        };
        let payload = unverified.payload_digest();
        if let Some((number, outcome)) = self.accepted.get(&payload) {
            return (payload, Judged::Repeated(*number, *outcome));
        }
        let claims = std::mem::take(&mut unverified.claims);
        let judged = self.check_header(position, &claims).and_then(|()| {
            let statement = statement::from_proto(claims).map_err(|error| outcome_of(&error))?;
            let (context, body) = Context::new(self, position, statement, &unverified, verify);
            acts::judge(&context, body)
        });
        (payload, judged.map_or_else(Judged::Rejected, |effects| Judged::Accepted(Box::new(effects))))
    }

    fn check_header(&self, position: LogPosition, claims: &proto::Statement) -> Result<(), Outcome> {
        if position.entry_time < self.entry_time {
            return Err(Outcome::TimeOutOfBounds);
        }
        if claims.federation_id != self.federation.as_bytes()[..] {
            return Err(Outcome::WrongFederation);
        }
        if claims.rules_version != self.policy.rules_version {
            return Err(Outcome::RulesVersion);
        }
        Ok(())
    }
}

fn outcome_of(error: &Error) -> Outcome {
    match error.reason {
        Reason::StatementKindUnknown => Outcome::UnknownKind,
        Reason::EntryInvalid => Outcome::InvalidEntry,
        _ => Outcome::Malformed,
    }
}
