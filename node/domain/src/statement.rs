//! Statements: what an authority signs to change the register, as values (9.4).
//!
//! `acts!` is the one list of what a statement can say. Adding a line to it asks for the act's message (`wire::acts`) and
//! for its rules (`directory::acts`): without both, nothing compiles.

use std::sync::Arc;

use bytes::Bytes;

use super::authority::{AuthorityEntry, PublicKey};
pub use super::directory::Policy;
use super::directory::{Position, Steward};
use super::ids::{AuthorityId, Digest, FederationId, InvitationId, StatementId};
pub use super::mandate::{IssueMandate, RevokeMandate};
use super::register::{RejectionReason, RemoveReason, SuspendReason};
use super::time::UnixMs;

/// The acts, by type, each with its field in the contract's `Statement` or `Proposal`; what several stewards decide also
/// with the name that people and metrics read. `$with!` is called with the list.
#[macro_export]
macro_rules! acts {
    ($with:ident) => {
        $with! {
            own {
                Genesis: Genesis,
                OwnEntry: Entry,
                EmergencySuspend: Suspend,
                Propose: Proposal,
                Approve: Approval,
                Reject: Rejection,
                Withdraw: Withdrawal,
                RotateKey: KeyRotation,
                IssueMandate: Mandate,
                RevokeMandate: MandateRevocation,
                Refound: Refound,
            }
            decided {
                Admit: "ADMIT",
                StewardSet: "STEWARD_SET",
                Suspend: "SUSPEND",
                Restore: "RESTORE",
                Remove: "REMOVE",
                Policy: "POLICY",
                EntryChange: "ENTRY_CHANGE",
                KeyRecovery: "KEY_RECOVERY",
                Retime: "RETIME",
            }
        }
    };
}

macro_rules! define {
    (own { $($own:ident: $field:ident,)+ } decided { $($act:ident: $label:literal,)+ }) => {
        /// What a statement says: what its author's signature alone can do, or a part of a decision.
        #[derive(Debug)]
        pub enum StatementBody { $($own($own)),+ }

        $(impl From<$own> for StatementBody {
            fn from(own: $own) -> Self { Self::$own(own) }
        })+

        /// What several stewards decide: asked for by an operator, proposed, shown, carried out.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Act { $($act($act)),+ }

        $(impl From<$act> for Act {
            fn from(act: $act) -> Self { Self::$act(act) }
        })+

        impl Act {
            /// All names, in the order of the list.
            pub const NAMES: &'static [&'static str] = &[$($label),+];

            /// The act's name, for people and metrics.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$act(_) => $label),+ }
            }
        }
    };
}

acts!(define);

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

    /// Reads it; `None` unless it is an authority id, `#stewards` or `#policy`.
    pub fn parse(text: &str) -> Option<Self> {
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
    /// Of the entry or of the member's status, by act; 0: the subject does not exist yet.
    pub subject_version: u64,
    /// The author's clock.
    pub time: UnixMs,
    /// Random: two statements of equal content differ.
    pub nonce: [u8; 16],
    pub body: StatementBody,
}

/// A decision that is asked for: an act and what it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub subject: Subject,
    pub act: Act,
}

impl Decision {
    /// About an authority.
    pub fn about(authority: AuthorityId, act: impl Into<Act>) -> Self {
        Self { subject: Subject::Authority(authority), act: act.into() }
    }
}

impl From<StewardSet> for Decision {
    fn from(set: StewardSet) -> Self {
        Self { subject: Subject::Stewards, act: set.into() }
    }
}

impl From<Policy> for Decision {
    fn from(policy: Policy) -> Self {
        Self { subject: Subject::Policy, act: policy.into() }
    }
}

impl From<Retime> for Decision {
    fn from(retime: Retime) -> Self {
        Self { subject: Subject::Policy, act: retime.into() }
    }
}

/// Founds a federation; its author is the first steward.
#[derive(Debug)]
pub struct Genesis {
    pub steward: Box<AuthorityEntry>,
    pub policy: Policy,
}

/// An authority's own entry: its application, or a change that it may make alone.
#[derive(Debug)]
pub struct OwnEntry {
    pub entry: AuthorityEntry,
}

/// A suspension for the emergency length of the policy: by one steward, or by two of a steward.
#[derive(Debug)]
pub struct EmergencySuspend {
    pub reason: SuspendReason,
}

/// Asks for a decision. Its id is the statement's.
#[derive(Debug)]
pub struct Propose {
    pub act: Arc<Act>,
}

/// A steward's vote for a proposal.
#[derive(Debug)]
pub struct Approve {
    pub proposal: StatementId,
}

/// A steward's vote against a proposal; by whoever proposed it, its end.
#[derive(Debug)]
pub struct Reject {
    pub proposal: StatementId,
    pub reason: RejectionReason,
}

/// An applicant takes its application back, or a proposer its proposal.
#[derive(Debug)]
pub struct Withdraw {
    pub proposal: StatementId,
}

/// A new authority key, signed by the old one and by itself.
#[derive(Debug)]
pub struct RotateKey {
    pub new_key: PublicKey,
    /// Nothing signed with the old one verifies any more.
    pub compromised: bool,
}

/// An admission, with what binds it to the invitation and the six words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admit {
    pub application: SignedEntry,
    pub invited_by: AuthorityId,
    pub invitation: Option<InvitationId>,
    pub words: Option<Digest>,
}

/// Another set of stewards, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StewardSet {
    pub stewards: Vec<Steward>,
}

/// A suspension that lasts until restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspend {
    pub reason: SuspendReason,
}

/// The end of a suspension, and of the emergency suspensions that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// At most `MAX_LIFTS`.
    pub lifts: Vec<StatementId>,
}

impl Restore {
    /// Emergency suspensions that one decision may lift.
    pub const MAX_LIFTS: usize = 64;
}

/// The end of a membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remove {
    pub reason: RemoveReason,
}

/// Another kind, names, identifiers or host: the whole new entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryChange {
    pub entry: AuthorityEntry,
}

/// A lost authority key replaced, with the pins and endpoints of the node that has the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecovery {
    pub new_key: PublicKey,
    /// Signed with the new key.
    pub entry: SignedEntry,
}

/// An entry statement inside another statement: as whoever it is about signed it. The signature is not looked at yet.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedEntry {
    pub federation: FederationId,
    pub rules_version: u32,
    pub subject_version: u64,
    pub entry: AuthorityEntry,
    /// The encoded `Signed`.
    pub signed: Bytes,
}

impl std::fmt::Debug for SignedEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedEntry").field("entry", &self.entry).finish_non_exhaustive()
    }
}

/// The register's time, put right after a clock that was ahead: nothing in the register lies beyond it any more (9.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retime {
    pub time: UnixMs,
}

/// The ordering begins anew, on a base that is proved, by stewards that have all signed it (9.15).
#[derive(Clone, Debug)]
pub struct Refound {
    pub founding: u64,
    /// The last change that is taken over.
    pub base: Position,
    pub base_head: Digest,
    /// Beats that prove the base, each an encoded `Signed`.
    pub proof: Vec<Bytes>,
    /// The stewards from then on, in the order of their ids.
    pub founders: Vec<Founder>,
    pub not_after: UnixMs,
}

/// A steward that would take part in a founding, under a fresh Raft id. Its signature is not looked at yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Founder {
    pub federation: FederationId,
    pub steward: Steward,
    /// The highest founding that it signed before.
    pub signed_before: u64,
    pub time: UnixMs,
    /// The register names another Raft id than its node's: it has no vote.
    pub without_vote: bool,
    /// The encoded `Signed`.
    pub signed: Bytes,
}
