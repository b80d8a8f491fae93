//! What a statement is judged against.

use std::sync::Arc;

use havenlink_proto::directory::v1 as proto;

use crate::domain::authority::PublicKey;
use crate::domain::directory::Member;
use crate::domain::ids::{AuthorityId, KeyId, StatementId};
use crate::domain::limits;
use crate::domain::register::Outcome;
use crate::domain::statement::{SignedEntry, Statement, StatementBody, Subject};
use crate::domain::time::UnixMs;
use crate::state::{LogPosition, MemberHistory, Mode, RegisterState};
use crate::wire::keys::Verify;
use crate::wire::signed::{self, Unverified};
use crate::wire::statement;

/// A statement without its body, and the state before it.
pub struct Context<'a> {
    pub state: &'a RegisterState,
    pub id: StatementId,
    pub author: AuthorityId,
    pub subject: Subject,
    pub subject_version: u64,
    /// The author's clock.
    pub time: UnixMs,
    /// The entry's time: what outcomes depend on.
    pub now: UnixMs,
    mode: Mode,
    pub(super) unverified: &'a Unverified<proto::Statement>,
    pub(super) verify: &'a dyn Verify,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        state: &'a RegisterState,
        position: LogPosition,
        statement: Statement,
        unverified: &'a Unverified<proto::Statement>,
        verify: &'a dyn Verify,
    ) -> (Self, StatementBody) {
        let Statement { author, subject, subject_version, time, body, .. } = statement;
        let id = statement::id(&unverified.payload_digest());
        let (now, mode) = (position.entry_time, position.mode);
        (Self { state, id, author, subject, subject_version, time, now, mode, unverified, verify }, body)
    }

    pub(super) fn is_live(&self) -> bool {
        self.mode == Mode::Live
    }

    /// The instant from which a span counts whose end lies in the register: an entry's time may lie ahead, the author's own
    /// clock is then the better word for when it was said.
    pub(super) fn counted_from(&self) -> UnixMs {
        self.now.min(self.time + limits::ENTRY_TIME_AHEAD)
    }

    /// The author as a member that has not been removed.
    pub(super) fn author(&self) -> Result<&'a Arc<Member>, Outcome> {
        let member = self.state.member(&self.author).ok_or(Outcome::UnknownAuthor)?;
        if member.removed_at.is_some() { Err(Outcome::Removed) } else { Ok(member) }
    }

    /// The author, who alone signed, with its current key.
    pub(super) fn signed_author(&self) -> Result<&'a Arc<Member>, Outcome> {
        let member = self.author()?;
        self.signed_by(&[member.entry.authority_key])?;
        Ok(member)
    }

    /// The key ids under the statement, each of one of these keys.
    pub(super) fn signed_by(&self, keys: &[PublicKey]) -> Result<Vec<KeyId>, Outcome> {
        let key_of = |id: &KeyId| keys.iter().find(|key| key.id() == *id).copied();
        self.unverified.check(&self.state.federation(), key_of, self.verify).map_err(|_| Outcome::BadSignature)
    }

    pub(super) fn steward(&self) -> Result<(), Outcome> {
        if self.state.is_steward(&self.author) { Ok(()) } else { Err(Outcome::NotASteward) }
    }

    /// The authority that the statement is about, with what is kept about it; not a removed one.
    pub(super) fn subject_member(
        &self,
        subject: &Subject,
    ) -> Result<(&'a Arc<Member>, &'a Arc<MemberHistory>), Outcome> {
        let authority = subject.authority().ok_or(Outcome::Malformed)?;
        let member = self.state.member(authority).ok_or(Outcome::NoSuchSubject)?;
        let history = self.state.history(authority).ok_or(Outcome::NoSuchSubject)?;
        if member.removed_at.is_some() { Err(Outcome::Removed) } else { Ok((member, history)) }
    }

    /// What is kept about the author.
    pub(super) fn own_history(&self) -> Result<MemberHistory, Outcome> {
        self.state.history(&self.author).map(|history| MemberHistory::clone(history)).ok_or(Outcome::UnknownAuthor)
    }

    /// The version of an entry that is named must be the current one.
    pub(super) fn entry_version(&self, named: u64, current: u64) -> Result<(), Outcome> {
        let fits = if self.is_live() { named == current } else { named >= current };
        // Far from overflow, whatever a hostile snapshot names.
        if fits && named < u64::MAX >> 1 { Ok(()) } else { Err(Outcome::StaleVersion) }
    }

    /// An entry inside a proposal is signed by the key that it names, for this federation and its rules.
    pub(super) fn check_signed_entry(&self, entry: &SignedEntry) -> Result<(), Outcome> {
        let federation = self.state.federation();
        if entry.federation != federation {
            return Err(Outcome::WrongFederation);
        }
        if entry.rules_version != self.state.policy().rules_version {
            return Err(Outcome::RulesVersion);
        }
        let key = entry.entry.authority_key;
        let opened = signed::open::<proto::Statement>(entry.signed.clone()).map_err(|_| Outcome::Malformed)?;
        opened
            .check(&federation, |id| (key.id() == *id).then_some(key), self.verify)
            .map(|_| ())
            .map_err(|_| Outcome::BadSignature)
    }
}

/// Whether the register itself, at the instant, says SUSPENDED.
pub(super) fn is_suspended(member: &Member, now: UnixMs) -> bool {
    member.suspended_until.is_some_and(|until| now < until)
}

/// A version that is named must be the current one.
pub(super) fn version(named: u64, current: u64) -> Result<(), Outcome> {
    if named == current { Ok(()) } else { Err(Outcome::StaleVersion) }
}
