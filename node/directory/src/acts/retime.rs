//! RETIME: the register's time, put right after a clock that was ahead. The one decision after which entries carry an
//! earlier time than those before it (9.4).

use bytes::Bytes;

use super::context::version;
use super::{Context, Effects, Rules};
use crate::domain::audit::AuditAct;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::register::Outcome;
use crate::domain::statement::{Act, Retime, Subject};
use crate::domain::time::{Millis, UnixMs};
use crate::state::RegisterState;
use crate::statements::Author;

/// Two that are asked for lie no further apart than this if they are the same decision.
const SAME: Millis = Millis::minutes(10);
/// Nobody approves one that was asked for longer ago: a proposal is not good for longer either.
const OLDEST: Millis = Millis::days(7);

impl Rules for Retime {
    fn is_about(&self, subject: &Subject) -> bool {
        *subject == Subject::Policy
    }

    fn is_same(&self, other: &Act) -> bool {
        matches!(other, Act::Retime(other) if self.time.since(other.time).0.abs() <= SAME.0)
    }

    fn replaces(&self, state: &RegisterState, _subject: &Subject) -> Option<Act> {
        Some(Self { time: state.entry_time() }.into())
    }

    fn noted_as(&self) -> AuditAct {
        AuditAct::PolicyChanged
    }

    fn check_before_signing(&self, state: &RegisterState, _subject: &Subject) -> Result<(), Reason> {
        if self.time < state.entry_time() { Ok(()) } else { Err(Reason::RegisterNotAhead) }
    }

    /// A clock that is ahead would put the next wrong time in the place of this one.
    fn check_clock(&self, now: UnixMs) -> Result<(), Reason> {
        let fits = self.time.since(now) <= limits::ENTRY_TIME_AHEAD && now.since(self.time) <= OLDEST;
        if fits { Ok(()) } else { Err(Reason::EntryTimeInvalid) }
    }

    fn carry(&self, context: &Context<'_>, _subject: &Subject, named: u64) -> Result<Effects, Outcome> {
        version(named, context.state.version(&Subject::Policy))?;
        if self.time >= context.now {
            // Another one was carried out first: there is nothing left to put right.
            return Err(Outcome::StaleVersion);
        }
        Ok(Effects { retime: Some(self.time), ..Effects::default() })
    }
}

impl Author<'_> {
    /// Proposes to put the register's time right.
    pub fn retime(&self, state: &RegisterState, time: UnixMs) -> Bytes {
        self.propose(state, Retime { time }.into())
    }
}
