//! Words of the register: what `apply` may answer, and why stewards suspend, remove or reject.

use super::closed::closed_enum;
use super::ids::{AuthorityId, Digest, StatementId};
use super::reason::Reason;

closed_enum! {
    /// FROZEN. What `apply` answers to a statement, with the number that enters the head (9.4).
    pub enum Outcome {
        Accepted = 1 => "ACCEPTED",
        /// Counted; more votes are needed.
        Pending = 2 => "PENDING",
        Malformed = 16 => "MALFORMED", WrongFederation = 17 => "WRONG_FEDERATION", RulesVersion = 18 => "RULES_VERSION",
        UnknownKind = 19 => "UNKNOWN_KIND", StaleVersion = 20 => "STALE_VERSION", BadSignature = 21 => "BAD_SIGNATURE",
        UnknownAuthor = 22 => "UNKNOWN_AUTHOR", NotASteward = 23 => "NOT_A_STEWARD", NotYours = 24 => "NOT_YOURS",
        NeedsApproval = 25 => "NEEDS_APPROVAL", DuplicatePin = 26 => "DUPLICATE_PIN", DuplicateKey = 27 => "DUPLICATE_KEY",
        WellKnownKey = 28 => "WELL_KNOWN_KEY", InvalidEntry = 29 => "INVALID_ENTRY", AlreadyMember = 30 => "ALREADY_MEMBER",
        NoSuchSubject = 31 => "NO_SUCH_SUBJECT", NoSuchProposal = 32 => "NO_SUCH_PROPOSAL",
        ProposalClosed = 33 => "PROPOSAL_CLOSED", ProposalExpired = 34 => "PROPOSAL_EXPIRED",
        AlreadyApproved = 35 => "ALREADY_APPROVED", TimeOutOfBounds = 36 => "TIME_OUT_OF_BOUNDS",
        NeedsTwoSignatures = 37 => "NEEDS_TWO_SIGNATURES", EmergencyUsed = 38 => "EMERGENCY_USED",
        OneStewardAtATime = 39 => "ONE_STEWARD_AT_A_TIME", RaftIdReused = 40 => "RAFT_ID_REUSED",
        LastSteward = 41 => "LAST_STEWARD", Suspended = 42 => "SUSPENDED", Removed = 43 => "REMOVED",
        NotSuspended = 44 => "NOT_SUSPENDED", TooLarge = 45 => "TOO_LARGE", StillASteward = 46 => "STILL_A_STEWARD",
        PinUnproved = 47 => "PIN_UNPROVED",
    }
}

impl Outcome {
    /// Whether the statement counted: it was accepted, or it waits for more votes.
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted | Self::Pending)
    }

    /// The reason of the catalogue; `None` if the statement counted.
    pub const fn reason(self) -> Option<Reason> {
        Some(match self {
            Self::Accepted | Self::Pending => return None,
            Self::Malformed => Reason::StatementMalformed,
            Self::WrongFederation => Reason::WrongFederation,
            Self::RulesVersion => Reason::RulesVersionOther,
            Self::UnknownKind => Reason::StatementKindUnknown,
            Self::StaleVersion => Reason::StaleVersion,
            Self::BadSignature => Reason::SignatureInvalid,
            Self::UnknownAuthor => Reason::AuthorUnknown,
            Self::NotASteward => Reason::NotASteward,
            Self::NotYours => Reason::NotYours,
            Self::NeedsApproval => Reason::NeedsApproval,
            Self::DuplicatePin => Reason::DuplicatePin,
            Self::DuplicateKey => Reason::DuplicateKey,
            Self::WellKnownKey => Reason::WellKnownKey,
            Self::InvalidEntry => Reason::EntryInvalid,
            Self::AlreadyMember => Reason::AlreadyMember,
            Self::NoSuchSubject => Reason::MemberUnknown,
            Self::NoSuchProposal => Reason::ProposalUnknown,
            Self::ProposalClosed => Reason::ProposalClosed,
            Self::ProposalExpired => Reason::ProposalExpired,
            Self::AlreadyApproved => Reason::AlreadyApproved,
            Self::TimeOutOfBounds => Reason::EmergencyTimeInvalid,
            Self::NeedsTwoSignatures => Reason::NeedsTwoSignatures,
            Self::EmergencyUsed => Reason::EmergencyUsed,
            Self::OneStewardAtATime => Reason::OneStewardAtATime,
            Self::RaftIdReused => Reason::RaftIdReused,
            Self::LastSteward => Reason::LastSteward,
            Self::Suspended => Reason::MemberSuspended,
            Self::Removed => Reason::MemberRemoved,
            Self::NotSuspended => Reason::NotSuspended,
            Self::TooLarge => Reason::MessageTooLarge,
            Self::StillASteward => Reason::StillASteward,
            Self::PinUnproved => Reason::PinUnproved,
        })
    }
}

/// What came of a statement, from `apply` to whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// SHA-256 of the payload.
    pub statement: StatementId,
    pub outcome: Outcome,
    /// The change's number; of a repeated payload the one it got the first time; 0: none, or none yet.
    pub number: u64,
    /// It took that number here and now: its payload had not been accepted before. What another node answers never is.
    pub is_new: bool,
    /// The head at the number; `None` when that was so long ago that it is not kept, or there is no number.
    pub head: Option<Digest>,
}

impl Applied {
    /// Counted somewhere, and not in the register yet.
    pub const fn unordered(statement: StatementId) -> Self {
        Self { statement, outcome: Outcome::Pending, number: 0, is_new: false, head: None }
    }

    /// The number that it took now.
    pub fn taken(&self) -> Option<u64> {
        self.is_new.then_some(self.number)
    }
}

/// What came of a decision: of the statement that was made for it, and of the votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// `statement` is the proposal, or the statement itself where no proposal was needed.
    pub applied: Applied,
    pub approved_by: Vec<AuthorityId>,
    /// 0: no votes are counted.
    pub needed: usize,
    /// In force here through the overlay, whatever the register says.
    pub overlay: bool,
}

closed_enum! {
    pub enum SuspendReason {
        KeyCompromised = 1 => "KEY_COMPROMISED", NodeCompromised = 2 => "NODE_COMPROMISED",
        BreachOfRules = 3 => "BREACH_OF_RULES", ErasureNotProven = 4 => "ERASURE_NOT_PROVEN", OwnRequest = 5 => "OWN_REQUEST",
    }
}

closed_enum! {
    pub enum RemoveReason {
        OwnRequest = 1 => "OWN_REQUEST", BreachOfRules = 2 => "BREACH_OF_RULES", NoLongerExists = 3 => "NO_LONGER_EXISTS",
    }
}

closed_enum! {
    /// Why stewards reject a proposal; the applicant reads it.
    pub enum RejectionReason {
        NotAnAuthority = 1 => "NOT_AN_AUTHORITY", IdentityNotConfirmed = 2 => "IDENTITY_NOT_CONFIRMED",
        WordsDiffer = 3 => "WORDS_DIFFER", Incomplete = 4 => "INCOMPLETE", NoLegalBasis = 5 => "NO_LEGAL_BASIS",
    }
}
