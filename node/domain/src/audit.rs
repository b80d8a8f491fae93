//! The ledger's vocabulary: which acts are written down, by whom (9.12). The tree itself is storage's.

pub use super::actor::{Actor, ActorRole};
use super::closed::closed_enum;
use super::handling::Purpose;
use super::ids::{AgreementId, AuthorityId, Digest, FederationId, RecordId};
use super::reason::Reason;
use super::record::RecordKind;
use super::time::UnixMs;

closed_enum! {
    /// An act that is written down.
    pub enum AuditAct {
        Disclosed = 1 => "DISCLOSED", Received = 2 => "RECEIVED", Refused = 3 => "REFUSED", Erased = 4 => "ERASED",
        AgreementProposed = 5 => "AGREEMENT_PROPOSED", AgreementSigned = 6 => "AGREEMENT_SIGNED", AgreementEnded = 7 => "AGREEMENT_ENDED",
        MemberInvited = 8 => "MEMBER_INVITED", MemberApproved = 9 => "MEMBER_APPROVED", MemberRejected = 10 => "MEMBER_REJECTED",
        MemberSuspended = 11 => "MEMBER_SUSPENDED", MemberRestored = 12 => "MEMBER_RESTORED", MemberRemoved = 13 => "MEMBER_REMOVED",
        PolicyChanged = 14 => "POLICY_CHANGED", KeyChanged = 15 => "KEY_CHANGED", ReadForPerson = 16 => "READ_FOR_PERSON",
        Published = 17 => "PUBLISHED", RestoredFromBackup = 18 => "RESTORED_FROM_BACKUP", StewardsChanged = 19 => "STEWARDS_CHANGED",
        AgreementInForce = 20 => "AGREEMENT_IN_FORCE", MandateIssued = 21 => "MANDATE_ISSUED", MandateRevoked = 22 => "MANDATE_REVOKED",
        SharingAnswered = 23 => "SHARING_ANSWERED", SharingWithdrawn = 24 => "SHARING_WITHDRAWN",
        ErasureAnswered = 25 => "ERASURE_ANSWERED", CheckpointSigned = 26 => "CHECKPOINT_SIGNED",
        HoldTaken = 27 => "HOLD_TAKEN", HoldExtended = 28 => "HOLD_EXTENDED", HoldReleased = 29 => "HOLD_RELEASED",
        HoldArrived = 30 => "HOLD_ARRIVED", HoldExpired = 31 => "HOLD_EXPIRED",
        CapacityShown = 32 => "CAPACITY_SHOWN",
    }
}

/// One act, before it gets its index, time and commitment in the commit that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditDraft {
    pub act: AuditAct,
    pub actor: Actor,
    pub counterparty: Option<AuthorityId>,
    /// Becomes a salted commitment; the id itself is not written.
    pub record: Option<(RecordKind, RecordId)>,
    pub agreement: Option<AgreementId>,
    pub purpose: Option<Purpose>,
    pub reason: Option<Reason>,
    /// Of a restore: sizes before and after. Of a signed checkpoint: what the one before it covers, and what it covers.
    pub sizes: Option<(u64, u64)>,
}

impl AuditDraft {
    /// An act of the node about nothing in particular; fill in the rest with struct update syntax.
    pub const fn by_node(act: AuditAct) -> Self {
        Self {
            act,
            actor: Actor::NODE,
            counterparty: None,
            record: None,
            agreement: None,
            purpose: None,
            reason: None,
            sizes: None,
        }
    }
}

/// One act as it stands in the log (9.12). No personal data in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLeaf {
    /// Position in the log, from 0.
    pub index: u64,
    pub time: UnixMs,
    pub act: AuditAct,
    pub actor: Actor,
    pub counterparty: Option<AuthorityId>,
    /// HMAC-SHA-256(salt, record id); the salt dies with the record.
    pub commitment: Option<Digest>,
    pub record_kind: Option<RecordKind>,
    pub agreement: Option<AgreementId>,
    pub purpose: Option<Purpose>,
    pub reason: Option<Reason>,
    /// Of a restore: sizes before and after. Of a signed checkpoint: what the one before it covers, and what it covers.
    pub sizes: Option<(u64, u64)>,
}

impl AuditLeaf {
    /// The leaf of a draft at its place in the log; `commitment` is that of the draft's record, if it has one.
    pub fn of(draft: AuditDraft, index: u64, time: UnixMs, commitment: Option<Digest>) -> Self {
        Self {
            index,
            time,
            act: draft.act,
            actor: draft.actor,
            counterparty: draft.counterparty,
            commitment,
            record_kind: draft.record.map(|(kind, _)| kind),
            agreement: draft.agreement,
            purpose: draft.purpose,
            reason: draft.reason,
            sizes: draft.sizes,
        }
    }
}

/// What an authority signs about its log, once a minute if it has grown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditCheckpoint {
    pub federation: FederationId,
    pub authority: AuthorityId,
    pub size: u64,
    /// RFC 6962 root hash.
    pub root: Digest,
    pub time: UnixMs,
}
