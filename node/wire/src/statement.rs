//! Register statements: what the author signed, as values. Numbers that are not known fail closed.

use std::sync::Arc;

use bytes::Bytes;
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::record::v1::Signed;
use prost::Message;

use super::signed::{self, Unverified};
use super::{Error, entry};
use crate::domain::authority::{AuthorityEntry, PublicKey};
use crate::domain::directory::{Policy, Steward};
use crate::domain::ids::{AuthorityId, Digest, FederationId, InvitationId, StatementId};
use crate::domain::reason::Reason;
use crate::domain::register::{RejectionReason, RemoveReason, SuspendReason};
use crate::domain::time::{Millis, UnixMs};

/// What a statement changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A member or an applicant.
    Authority(AuthorityId),
    /// The set of stewards.
    Stewards,
    /// The policy.
    Policy,
}

impl Subject {
    const STEWARDS: &'static str = "#stewards";
    const POLICY: &'static str = "#policy";

    /// As it stands in the statement.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Authority(id) => id.as_str(),
            Self::Stewards => Self::STEWARDS,
            Self::Policy => Self::POLICY,
        }
    }

    /// The authority, if it is one.
    pub fn authority(&self) -> Option<&AuthorityId> {
        match self {
            Self::Authority(id) => Some(id),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            Self::STEWARDS => Some(Self::Stewards),
            Self::POLICY => Some(Self::Policy),
            id => AuthorityId::parse(id).map(Self::Authority),
        }
    }
}

/// A change to the register, as its author means it.
#[derive(Debug)]
pub struct Statement {
    /// Zeros in the genesis statement only.
    pub federation: FederationId,
    pub rules_version: u32,
    pub author: AuthorityId,
    pub subject: Subject,
    /// Of the entry or of the standing, by kind; 0: does not exist yet.
    pub subject_version: u64,
    /// The author's clock.
    pub time: UnixMs,
    pub body: Body,
}

/// The kinds of statement.
#[derive(Debug)]
pub enum Body {
    Genesis { steward: Box<AuthorityEntry>, policy: Policy },
    Entry(AuthorityEntry),
    Suspend(SuspendReason),
    Proposal(Arc<Act>),
    Approval(StatementId),
    Rejection(StatementId, RejectionReason),
    Withdrawal(StatementId),
    KeyRotation { new_key: PublicKey, compromised: bool },
}

/// What several stewards decide.
#[derive(Debug)]
pub enum Act {
    Admit(Admit),
    StewardSet(Vec<Steward>),
    Suspend(SuspendReason),
    Restore { lifts: Vec<StatementId> },
    Remove(RemoveReason),
    Policy(Policy),
    EntryChange(AuthorityEntry),
    KeyRecovery { new_key: PublicKey, entry: Application },
}

impl Act {
    /// The kind's name, for people and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Admit(_) => "ADMIT",
            Self::StewardSet(_) => "STEWARD_SET",
            Self::Suspend(_) => "SUSPEND",
            Self::Restore { .. } => "RESTORE",
            Self::Remove(_) => "REMOVE",
            Self::Policy(_) => "POLICY",
            Self::EntryChange(_) => "ENTRY_CHANGE",
            Self::KeyRecovery { .. } => "KEY_RECOVERY",
        }
    }
}

/// An admission, with what binds it to the invitation and the six words.
#[derive(Debug)]
pub struct Admit {
    pub application: Application,
    pub invited_by: AuthorityId,
    pub invitation: Option<InvitationId>,
    pub words: Option<Digest>,
}

/// An entry statement inside another statement: signed by the applicant's own key, not looked at yet.
pub struct Application {
    pub federation: FederationId,
    pub rules_version: u32,
    pub subject_version: u64,
    pub entry: AuthorityEntry,
    unverified: Unverified<proto::Statement>,
}

impl std::fmt::Debug for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application").field("entry", &self.entry).finish_non_exhaustive()
    }
}

impl Application {
    /// The encoded statement with its signatures, not looked at.
    pub fn unverified(&self) -> &Unverified<proto::Statement> {
        &self.unverified
    }
}

/// The id of a statement: SHA-256 of its payload.
pub fn id(payload: &Digest) -> StatementId {
    StatementId(payload.0)
}

/// Opens an encoded `Signed` and reads the statement in it, trusting nothing.
///
/// # Errors
/// As `from_proto`, and when the bytes are not a signed statement.
pub fn open(bytes: Bytes) -> Result<(Statement, Unverified<proto::Statement>), Error> {
    let mut unverified = signed::open::<proto::Statement>(bytes)?;
    let statement = from_proto(std::mem::take(&mut unverified.claims))?;
    Ok((statement, unverified))
}

/// Reads a statement.
///
/// # Errors
/// `STATEMENT_KIND_UNKNOWN` for a kind or act that is not there or not known, `ENTRY_INVALID` for an entry that does
/// not hold together, otherwise the field that does not have the required form.
pub fn from_proto(statement: proto::Statement) -> Result<Statement, Error> {
    if statement.nonce.len() != 16 {
        return Err(Error::invalid("statement.nonce", "16 bytes"));
    }
    let body = match statement.body {
        None => return Err(Error::new(Reason::StatementKindUnknown, "statement.body", "")),
        Some(body) => body_from_proto(body)?,
    };
    Ok(Statement {
        federation: FederationId::from_slice(&statement.federation_id)
            .ok_or_else(|| Error::invalid("statement.federation_id", "32 bytes"))?,
        rules_version: statement.rules_version,
        author: entry::authority_id(&statement.author, "statement.author")?,
        subject: Subject::parse(&statement.subject)
            .ok_or_else(|| Error::invalid("statement.subject", "an authority id, #stewards or #policy"))?,
        subject_version: statement.subject_version,
        time: UnixMs(statement.time_ms),
        body,
    })
}

fn body_from_proto(body: proto::statement::Body) -> Result<Body, Error> {
    use proto::statement::Body as P;
    Ok(match body {
        P::Genesis(genesis) => Body::Genesis {
            steward: Box::new(entry::from_proto(genesis.steward.ok_or_else(|| Error::missing("genesis.steward"))?)?),
            policy: policy_from_proto(genesis.policy.ok_or_else(|| Error::missing("genesis.policy"))?)?,
        },
        P::Entry(entry) => Body::Entry(entry::from_proto(entry)?),
        P::Suspend(suspend) => Body::Suspend(suspend_reason(suspend.reason)?),
        P::Proposal(proposal) => {
            let act = proposal.act.ok_or_else(|| Error::new(Reason::StatementKindUnknown, "proposal.act", ""))?;
            Body::Proposal(Arc::new(act_from_proto(act)?))
        }
        P::Approval(approval) => Body::Approval(statement_id(&approval.proposal_id)?),
        P::Rejection(rejection) => Body::Rejection(
            statement_id(&rejection.proposal_id)?,
            RejectionReason::from_code(rejection.reason)
                .ok_or_else(|| Error::unknown("rejection.reason", rejection.reason))?,
        ),
        P::Withdrawal(withdrawal) => Body::Withdrawal(statement_id(&withdrawal.proposal_id)?),
        P::KeyRotation(rotation) => Body::KeyRotation {
            new_key: entry::public_key(&rotation.new_key, "key_rotation.new_key")?,
            compromised: rotation.compromised,
        },
    })
}

fn act_from_proto(act: proto::proposal::Act) -> Result<Act, Error> {
    use proto::proposal::Act as P;
    Ok(match act {
        P::Admit(admit) => Act::Admit(Admit {
            application: application(admit.application, "admit.application")?,
            invited_by: entry::authority_id(&admit.invited_by, "admit.invited_by")?,
            invitation: optional(&admit.invitation_id, InvitationId::from_slice, "admit.invitation_id")?,
            words: optional(&admit.words_digest, Digest::from_slice, "admit.words_digest")?,
        }),
        P::StewardSet(set) => Act::StewardSet(stewards_from_proto(set.stewards)?),
        P::Suspend(suspend) => Act::Suspend(suspend_reason(suspend.reason)?),
        P::Restore(restore) => {
            if restore.lifts.len() > MAX_LIFTS {
                return Err(Error::invalid("restore.lifts", "at most 64"));
            }
            Act::Restore { lifts: restore.lifts.iter().map(|id| statement_id(id)).collect::<Result<_, _>>()? }
        }
        P::Remove(remove) => Act::Remove(
            RemoveReason::from_code(remove.reason).ok_or_else(|| Error::unknown("remove.reason", remove.reason))?,
        ),
        P::Policy(policy) => Act::Policy(policy_from_proto(policy)?),
        P::EntryChange(entry) => Act::EntryChange(entry::from_proto(entry)?),
        P::KeyRecovery(recovery) => Act::KeyRecovery {
            new_key: entry::public_key(&recovery.new_key, "key_recovery.new_key")?,
            entry: application(recovery.entry, "key_recovery.entry")?,
        },
    })
}

/// Emergency suspensions that one decision may lift.
pub const MAX_LIFTS: usize = 64;

fn application(signed: Option<Signed>, field: &str) -> Result<Application, Error> {
    let signed = signed.ok_or_else(|| Error::missing(field))?;
    let mut unverified =
        signed::open::<proto::Statement>(signed.encode_to_vec().into()).map_err(|e| e.within(field))?;
    let claims = std::mem::take(&mut unverified.claims);
    let invalid = |what: &str| Error::invalid(field, what);
    let Some(proto::statement::Body::Entry(entry)) = claims.body else {
        return Err(invalid("an entry statement"));
    };
    let entry = entry::from_proto(entry).map_err(|e| e.within(field))?;
    let own = claims.author == entry.authority.as_str() && claims.subject == entry.authority.as_str();
    if !own || claims.nonce.len() != 16 {
        return Err(invalid("author, subject and entry name one authority"));
    }
    Ok(Application {
        federation: FederationId::from_slice(&claims.federation_id).ok_or_else(|| invalid("federation id"))?,
        rules_version: claims.rules_version,
        subject_version: claims.subject_version,
        entry,
        unverified,
    })
}

fn optional<T>(bytes: &[u8], read: impl Fn(&[u8]) -> Option<T>, field: &str) -> Result<Option<T>, Error> {
    if bytes.is_empty() {
        return Ok(None);
    }
    read(bytes).map(Some).ok_or_else(|| Error::invalid(field, "32 bytes or none"))
}

fn statement_id(bytes: &[u8]) -> Result<StatementId, Error> {
    StatementId::from_slice(bytes).ok_or_else(|| Error::invalid("statement id", "32 bytes"))
}

fn suspend_reason(code: i32) -> Result<SuspendReason, Error> {
    SuspendReason::from_code(code).ok_or_else(|| Error::unknown("suspend.reason", code))
}

/// Reads a set of stewards, in the order of their ids.
///
/// # Errors
/// When an id does not have the required form.
pub fn stewards_from_proto(stewards: Vec<proto::Steward>) -> Result<Vec<Steward>, Error> {
    let read = |s: proto::Steward| {
        Ok(Steward { authority: entry::authority_id(&s.authority, "steward.authority")?, raft_id: s.raft_id })
    };
    stewards.into_iter().map(read).collect()
}

/// Writes a set of stewards.
pub fn stewards_to_proto(stewards: &[Steward]) -> Vec<proto::Steward> {
    stewards.iter().map(|s| proto::Steward { authority: s.authority.to_string(), raft_id: s.raft_id }).collect()
}

/// Reads a policy; 0 is never a default, every value is named.
///
/// # Errors
/// When a value is out of its bounds.
pub fn policy_from_proto(policy: proto::Policy) -> Result<Policy, Error> {
    let within = |value: i64, low: Millis, high: Millis, field: &str| {
        let fits = (low.0..=high.0).contains(&value);
        fits.then_some(Millis(value)).ok_or_else(|| Error::invalid(field, format!("{} to {} ms", low.0, high.0)))
    };
    if !(1..=7).contains(&policy.admission_approvals) {
        return Err(Error::invalid("policy.admission_approvals", "1 to 7"));
    }
    if !(1..=1 << 20).contains(&policy.snapshot_interval) || policy.rules_version == 0 {
        return Err(Error::invalid("policy.snapshot_interval", "1 to 1,048,576; rules version from 1"));
    }
    Ok(Policy {
        rules_version: policy.rules_version,
        admission_approvals: policy.admission_approvals,
        // Shorter than the span after which one steward may suspend again: alone it keeps nobody out.
        emergency: within(policy.emergency_ms, Millis::seconds(1), Millis::hours(72), "policy.emergency_ms")?,
        freshness_limit: within(
            policy.freshness_limit_ms,
            Millis::seconds(1),
            Millis::hours(24),
            "policy.freshness_limit_ms",
        )?,
        beat_interval: within(policy.beat_interval_ms, Millis(100), Millis::minutes(10), "policy.beat_interval_ms")?,
        snapshot_interval: policy.snapshot_interval,
        proposal_life: within(
            policy.proposal_life_ms,
            Millis::seconds(1),
            Millis::days(30),
            "policy.proposal_life_ms",
        )?,
    })
}

/// A change of a policy as an operator asks for it: what is 0 stays as it is.
///
/// # Errors
/// When a value is out of its bounds.
pub fn policy_over(change: proto::Policy, present: &Policy) -> Result<Policy, Error> {
    fn pick<N: Default + PartialEq>(asked: N, now: N) -> N {
        if asked == N::default() { now } else { asked }
    }
    let now = policy_to_proto(present);
    policy_from_proto(proto::Policy {
        rules_version: pick(change.rules_version, now.rules_version),
        admission_approvals: pick(change.admission_approvals, now.admission_approvals),
        emergency_ms: pick(change.emergency_ms, now.emergency_ms),
        freshness_limit_ms: pick(change.freshness_limit_ms, now.freshness_limit_ms),
        beat_interval_ms: pick(change.beat_interval_ms, now.beat_interval_ms),
        snapshot_interval: pick(change.snapshot_interval, now.snapshot_interval),
        proposal_life_ms: pick(change.proposal_life_ms, now.proposal_life_ms),
    })
}

/// Writes a policy.
pub fn policy_to_proto(policy: &Policy) -> proto::Policy {
    proto::Policy {
        rules_version: policy.rules_version,
        admission_approvals: policy.admission_approvals,
        emergency_ms: policy.emergency.0,
        freshness_limit_ms: policy.freshness_limit.0,
        beat_interval_ms: policy.beat_interval.0,
        snapshot_interval: policy.snapshot_interval,
        proposal_life_ms: policy.proposal_life.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_policy_leaves_the_rest_as_it_is() {
        let asked = proto::Policy { admission_approvals: 3, ..Default::default() };
        let changed = policy_over(asked, &Policy::default()).unwrap();
        assert_eq!(changed, Policy { admission_approvals: 3, ..Policy::default() });
        let wrong = proto::Policy { emergency_ms: Millis::hours(73).0, ..Default::default() };
        assert!(policy_over(wrong, &Policy::default()).is_err());
    }
}
