//! The closed list of what can happen: each event's number in the contract, its name, who may follow it, what it says.
//!
//! What lives here: the one table. What does not: the sets of roles (`audience`), and where an event happens.
//! Invariant: an event has its roles or it does not compile; names and numbers are those of `admin.v1.EventKind`.

use super::audience::*;
use crate::domain::audit::AuditAct;

macro_rules! events {
    ($($name:ident = $number:literal => $code:literal $audience:ident $says:literal;)+) => {
        /// What can happen. Name and number are stable; what it says is for people.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum Event { $(#[doc = $says] $name = $number,)+ }

        impl Event {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its number in the contract.
            pub const fn number(self) -> i32 {
                self as i32
            }

            /// The field `event` of its lines.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// Its lines' message.
            pub const fn says(self) -> &'static str {
                match self { $(Self::$name => $says,)+ }
            }

            /// Who may follow it.
            pub const fn audience(self) -> &'static Audience {
                match self { $(Self::$name => &$audience,)+ }
            }
        }
    };
}

events! {
    NodeRuns = 1 => "NODE_RUNS" EVERYONE "the node runs";
    NodeReady = 2 => "NODE_READY" EVERYONE "the node is ready";
    NodeNotReady = 3 => "NODE_NOT_READY" EVERYONE "the node is not ready";
    NodeStops = 4 => "NODE_STOPS" EVERYONE "the node stops";
    ContactGiven = 5 => "CONTACT_GIVEN" OPERATOR "an operator gave an address of another authority";
    CertificateRenewed = 6 => "CERTIFICATE_RENEWED" OPERATOR "a new certificate is in use";
    BackupMade = 7 => "BACKUP_MADE" OPERATOR "a backup was made";
    BackupSealed = 8 => "BACKUP_SEALED" OPERATOR "a backup with the keys, sealed to the recovery key, was made";
    DrillDone = 9 => "DRILL_DONE" OPERATOR "a backup was opened for a drill";
    Learns = 10 => "LEARNS" OPERATOR "this node learns the stewards' log before it votes";
    Votes = 11 => "VOTES" OPERATOR "this node votes on the register";
    Mirrors = 12 => "MIRRORS" OPERATOR "this node follows the register and does not vote";
    MemberJoined = 13 => "MEMBER_JOINED" EVERYONE "the register has a new member";
    NowSuspended = 14 => "NOW_SUSPENDED" EVERYONE "a member is suspended from now on";
    NowActive = 15 => "NOW_ACTIVE" EVERYONE "a suspension has ended";
    NowRemoved = 16 => "NOW_REMOVED" EVERYONE "the register has removed a member";
    KeyReplaced = 17 => "KEY_REPLACED" OPERATOR "a member's authority key is another one now";
    StewardJoined = 18 => "STEWARD_JOINED" OPERATOR "a member became a steward";
    StewardLeft = 19 => "STEWARD_LEFT" OPERATOR "a member is no steward any more";
    RulesRaised = 20 => "RULES_RAISED" OPERATOR "the register goes by newer rules";
    DecisionWaits = 61 => "DECISION_WAITS" DECIDING "a decision waits for stewards";
    OrderFounded = 21 => "ORDER_FOUNDED" OPERATOR "the register's order was founded anew";
    RegisterFresh = 22 => "REGISTER_FRESH" CASEWORK "a majority of stewards is heard: content about persons passes";
    RegisterStale = 23 => "REGISTER_STALE" CASEWORK "no majority of stewards is heard: content about persons waits";
    PartnerLost = 24 => "PARTNER_LOST" SENDING "a partner does not answer";
    PartnerBack = 25 => "PARTNER_BACK" SENDING "a partner answers again";
    ApplicationReceived = 26 => "APPLICATION_RECEIVED" OPERATOR "an applicant has shown its keys: its six words can be compared";
    WordsWrong = 27 => "WORDS_WRONG" OPERATOR "the six words of an applicant were wrong";
    ConnectionsEnded = 28 => "CONNECTIONS_ENDED" OPERATOR "connections were ended by the register";
    Refused = 29 => "REFUSED" OPERATOR "others were refused";
    RecordsRefused = 30 => "RECORDS_REFUSED" AGREED "records were not taken";
    Flood = 31 => "FLOOD" OPERATOR "a partner took more than its budget";
    FloodEnded = 32 => "FLOOD_ENDED" OPERATOR "a partner went on although its budget was exhausted: its connections were ended";
    AgreementProposed = 33 => "AGREEMENT_PROPOSED" AGREED "an agreement was proposed";
    AgreementSigned = 34 => "AGREEMENT_SIGNED" AGREED "an agreement was signed";
    AgreementInForce = 35 => "AGREEMENT_IN_FORCE" AGREED "an agreement is in force";
    AgreementEnded = 36 => "AGREEMENT_ENDED" AGREED "an agreement has ended";
    MemberInvited = 37 => "MEMBER_INVITED" OPERATOR "an invitation was made";
    MemberApproved = 38 => "MEMBER_APPROVED" OPERATOR "an applicant was approved here";
    MemberRejected = 39 => "MEMBER_REJECTED" OPERATOR "an applicant was rejected here";
    MemberSuspended = 40 => "MEMBER_SUSPENDED" ANSWERABLE "a suspension was ordered or approved here";
    MemberRestored = 41 => "MEMBER_RESTORED" ANSWERABLE "the end of a suspension was proposed or approved here";
    MemberRemoved = 42 => "MEMBER_REMOVED" ANSWERABLE "a removal was proposed or approved here";
    PolicyChanged = 43 => "POLICY_CHANGED" OPERATOR "a change of an entry or of the rules was signed here";
    KeyChanged = 44 => "KEY_CHANGED" OPERATOR "a change of a key was signed here";
    StewardsChanged = 45 => "STEWARDS_CHANGED" OPERATOR "a change of the stewards was signed here";
    MandateIssued = 46 => "MANDATE_ISSUED" CASEWORK "a mandate was issued here";
    MandateRevoked = 47 => "MANDATE_REVOKED" CASEWORK "a mandate was revoked here";
    Published = 48 => "PUBLISHED" READERS "records were published here";
    Disclosed = 49 => "DISCLOSED" ACCOUNTED "records were made ready for a partner";
    Received = 50 => "RECEIVED" ACCOUNTED "records were received from a partner";
    Erased = 51 => "ERASED" PERSONS "records were erased with their keys";
    ErasureAnswered = 52 => "ERASURE_ANSWERED" PERSONS "a partner has signed what became of what was called back";
    ReadForPerson = 53 => "READ_FOR_PERSON" PROTECTION "what was shared about a case was read for the person";
    SharingAnswered = 54 => "SHARING_ANSWERED" PERSONS "a person answered what may be shared";
    SharingWithdrawn = 55 => "SHARING_WITHDRAWN" PERSONS "a person withdrew what was shared";
    HoldTaken = 56 => "HOLD_TAKEN" PLACES "a place is held";
    HoldExtended = 57 => "HOLD_EXTENDED" PLACES "a hold was extended";
    HoldReleased = 58 => "HOLD_RELEASED" PLACES "a hold was released";
    HoldArrived = 59 => "HOLD_ARRIVED" PLACES "who a place was held for has arrived";
    HoldExpired = 60 => "HOLD_EXPIRED" PLACES "a hold is over";
    CapacityShown = 62 => "CAPACITY_SHOWN" PLACES "a partner asked what capacity there is, and was shown it";
    AskedTooOften = 63 => "ASKED_TOO_OFTEN" LOOKED_AT "a partner asked for capacity more often than a desk looks for places";
}

impl Event {
    /// The one with this number; `None` for 0 and every number that is not listed.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.number() == number)
    }

    /// What the ledger's act is here; none is what the node notes by itself or tells elsewhere, and refusals, which are counted
    /// by their reason.
    pub(super) const fn of_act(act: AuditAct) -> Option<Self> {
        Some(match act {
            AuditAct::AgreementProposed => Self::AgreementProposed,
            AuditAct::AgreementSigned => Self::AgreementSigned,
            AuditAct::AgreementEnded => Self::AgreementEnded,
            AuditAct::AgreementInForce => Self::AgreementInForce,
            AuditAct::MemberInvited => Self::MemberInvited,
            AuditAct::MemberApproved => Self::MemberApproved,
            AuditAct::MemberRejected => Self::MemberRejected,
            AuditAct::MemberSuspended => Self::MemberSuspended,
            AuditAct::MemberRestored => Self::MemberRestored,
            AuditAct::MemberRemoved => Self::MemberRemoved,
            AuditAct::PolicyChanged => Self::PolicyChanged,
            AuditAct::KeyChanged => Self::KeyChanged,
            AuditAct::StewardsChanged => Self::StewardsChanged,
            AuditAct::MandateIssued => Self::MandateIssued,
            AuditAct::MandateRevoked => Self::MandateRevoked,
            AuditAct::Published => Self::Published,
            AuditAct::Disclosed => Self::Disclosed,
            AuditAct::Received => Self::Received,
            AuditAct::Refused => Self::RecordsRefused,
            AuditAct::Erased => Self::Erased,
            AuditAct::ErasureAnswered => Self::ErasureAnswered,
            AuditAct::ReadForPerson => Self::ReadForPerson,
            AuditAct::SharingAnswered => Self::SharingAnswered,
            AuditAct::SharingWithdrawn => Self::SharingWithdrawn,
            AuditAct::HoldTaken => Self::HoldTaken,
            AuditAct::HoldExtended => Self::HoldExtended,
            AuditAct::HoldReleased => Self::HoldReleased,
            AuditAct::HoldArrived => Self::HoldArrived,
            AuditAct::HoldExpired => Self::HoldExpired,
            AuditAct::CapacityShown => Self::CapacityShown,
            // By a command, while no node runs: it says so itself.
            AuditAct::RestoredFromBackup => return None,
            // Once a minute, by the node itself.
            AuditAct::CheckpointSigned => return None,
        })
    }
}
