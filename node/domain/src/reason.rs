//! The catalogue of reasons: every refusal of the product, with what happened, likely why, and the command that fixes it.
//!
//! The same code stands in gRPC `ErrorInfo.reason`, in `havenctl explain`, in metric labels, in the audit log and in
//! the docs. A reason is added here first; a test fails for one without a remedy, another for one that nothing provokes.

/// gRPC status of a reason, by the numbers of the gRPC specification; the same numbers order nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    Cancelled = 1,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Status {
    /// Exit code of the tools for this status: 1 fault, 2 invalid, 3 denied, 4 not found, 5 conflict, 6 unavailable, 8 timed out.
    pub const fn exit_code(self) -> i32 {
        match self {
            Self::InvalidArgument | Self::OutOfRange => 2,
            Self::PermissionDenied | Self::Unauthenticated => 3,
            Self::NotFound => 4,
            Self::AlreadyExists | Self::FailedPrecondition | Self::Aborted => 5,
            Self::ResourceExhausted | Self::Unavailable => 6,
            Self::DeadlineExceeded => 8,
            Self::Cancelled | Self::Unimplemented | Self::Internal | Self::DataLoss => 1,
        }
    }
}

/// What the road between two nodes makes of a reason: as the verdict on an item, as the outcome of a sender's own last look
/// at it, and as the failure of a whole call. It is part of the protocol (9.3), so both sides have the same column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoadEffect {
    /// The item is refused or given up for good, and its number consumed. A whole call that fails is repeated after a pause:
    /// nothing is skipped before it expires, since operators do heal things.
    Final,
    /// As `Final`. An item that could not be opened for it is refused: its sender may not; for any other reason it is
    /// quarantined: its bytes cannot be understood.
    NotAllowed,
    /// The receiver asks for the item again (RETRY_LATER): what is missing is on its way, or comes with time.
    AskAgain,
    /// As `AskAgain`, and the sender who meets it keeps the item at its number: the register of one side is behind.
    Waits,
    /// The receiver asks for the item again; the sender lets what is behind it go ahead at once, and sends it again later. The
    /// sender who meets it does the same.
    Deferred,
    /// The sender keeps what is queued for the partner until it is restored.
    Held,
    /// The partner is gone: nothing is sent to it any more.
    Closed,
    /// The two sides are not at the same place of the stream: the sender greets again.
    Greet,
    /// The partner's node did not answer the call at all.
    NoAnswer,
}

/// One row of the catalogue.
pub struct Row {
    /// The code, e.g. `AGREEMENT_NOT_IN_FORCE`.
    pub code: &'static str,
    pub status: Status,
    /// Whether the same call may succeed later without a change: help for whoever called. The road does not read it.
    pub retryable: bool,
    /// What the road between two nodes makes of it.
    pub road: RoadEffect,
    pub what: &'static str,
    pub why: &'static str,
    /// What to do; names a command wherever one helps.
    pub remedy: &'static str,
}

macro_rules! reasons {
    ($($variant:ident $code:literal $status:ident $retryable:literal $road:ident { $what:literal, $why:literal, $remedy:literal })+) => {
        /// Why something was refused or failed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $(#[doc = $what] $variant),+ }

        impl Reason {
            pub const ALL: &'static [Reason] = &[$(Reason::$variant),+];

            pub const fn row(self) -> Row {
                match self {
                    $(Reason::$variant => Row { code: $code, status: Status::$status, retryable: $retryable, road: RoadEffect::$road, what: $what, why: $why, remedy: $remedy }),+
                }
            }

            /// The reason with this code, exactly.
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Reason::$variant),)+ _ => None }
            }
        }
    };
}

impl Reason {
    pub const fn code(self) -> &'static str {
        self.row().code
    }

    /// Whether the same call may succeed later without a change.
    pub const fn retryable(self) -> bool {
        self.row().retryable
    }

    /// What the road between two nodes makes of it.
    pub const fn road(self) -> RoadEffect {
        self.row().road
    }

    /// Whether what it stops is kept until somebody decides, about a suspension or after a restore, and goes on then.
    pub const fn is_held(self) -> bool {
        matches!(self.road(), RoadEffect::Held | RoadEffect::Deferred)
    }

    /// Whether a receiver that refuses an item for it asks for it again.
    pub const fn asks_again(self) -> bool {
        matches!(self.road(), RoadEffect::AskAgain | RoadEffect::Waits | RoadEffect::Deferred)
    }

    /// Whether a partner gets it for what does not exist and for what is not its own, alike: such an answer leaves on a tick (9.13).
    pub const fn is_of_nothing(self) -> bool {
        matches!(self, Self::TargetUnknown | Self::AgreementNotFound | Self::AgreementUnknown)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

reasons! {
    // Input
    FieldMissing "FIELD_MISSING" InvalidArgument false Final { "a required field is missing", "the caller left it out, or was built from an older contract", "fill in the field that the error names; havenctl NOUN VERB --help lists what there is" }
    FieldInvalid "FIELD_INVALID" InvalidArgument false Final { "a field does not have the required form", "a typing error, or a value of another scheme", "correct the field that the error names" }
    FieldTooLong "FIELD_TOO_LONG" InvalidArgument false Final { "a field is longer than its limit", "limits keep every node small and every partner safe", "shorten the field that the error names to the limit it names" }
    ValueUnknown "VALUE_UNKNOWN" InvalidArgument false Final { "a coded field carries a number or name that this node does not know", "a newer contract, or a typing error; unknown values fail closed", "use one of the values that the error lists, or update this node" }
    MessageTooLarge "MESSAGE_TOO_LARGE" InvalidArgument false Final { "a message is larger than its limit", "too many items or too long texts in one call", "shorten or split what the error names; the limits stand in the contract beside each call" }
    PersonalDataInText "PERSONAL_DATA_IN_TEXT" InvalidArgument false Final { "a free text contains something that can identify a person or place: phone, e-mail, web address, account, card, plate, street, coordinates, document or birth date", "it was copied from a case file or an advert", "say it as each named span advises; numbers and addresses are never shared in text" }
    RequestIdReused "REQUEST_ID_REUSED" InvalidArgument false Final { "the request id was already used with another body", "a client that does not make a new id for a new request", "use a new request id for a new request" }
    KindNotSupported "KIND_NOT_SUPPORTED" InvalidArgument false Final { "this kind of record is not supported by this version", "the kind is defined, and its handling comes with a later version", "update the node, or publish one of the kinds that the error lists" }
    PersonRecordsClosed "PERSON_RECORDS_CLOSED" FailedPrecondition false Final { "an alert that a person reported cannot be shared yet", "the assertion basis says that a person reported it, and such alerts are not open in this version", "publish it as OBSERVED, DOCUMENTED or ASSESSMENT only if that is true; otherwise keep it local" }
    NoAgreementToShare "NO_AGREEMENT_TO_SHARE" FailedPrecondition false Final { "no agreement to share opens this", "nobody was asked, it was not given or has ended, or it does not name this recipient, purpose or country", "ask the person again, with a notice that names the recipient; what an agreement opens, its own caseworker sees" }
    RecordWithdrawn "RECORD_WITHDRAWN" FailedPrecondition false Final { "the record was withdrawn, and is erased", "what a person had agreed to share was withdrawn, or its time is over; it is never taken again", "nothing to do; havenctl referral erasures shows who has erased it" }
    ErasureOverdue "ERASURE_OVERDUE" FailedPrecondition false Deferred { "the partner has not answered a withdrawal in time", "its node has been away, or somebody has to decide there; until it answers nothing about a person goes to it", "havenctl referral erasures names what is open; call its desk" }
    ErasureUnfinished "ERASURE_UNFINISHED" Unavailable true Final { "what was erased may still lie in the log of the database", "a long read keeps the log from being emptied; the keys are gone already", "nothing to do; it is tried again" }
    WithdrawalsNotAnswered "WITHDRAWALS_NOT_ANSWERED" FailedPrecondition true Deferred { "the partner has not said yet which of its records were withdrawn", "this node was restored or away, or one of the two was suspended: what it holds about persons from that partner is shown to nobody until the partner has answered", "nothing: it is asked again and again; if its node stays away, call its desk" }
    SharingNotFree "SHARING_NOT_FREE" FailedPrecondition false Final { "an agreement to share that may not have been free counts as not given", "whoever exploits the person was not certainly absent, a companion interpreted, nobody called back, or more than help was asked for where others could listen", "ask again in another place, alone, with an interpreter of your own; help that needs no records goes on" }
    DeciderNotAllowed "DECIDER_NOT_ALLOWED" FailedPrecondition false Final { "this person may not decide about sharing here", "a child decides through a guardian who is not in conflict, an unaccompanied child through an independent guardian or the child-protection authority; vital interests need incapacity, no earlier no, and a second approver", "let whoever may decide be asked; without that nothing is shared" }
    SharingClosed "SHARING_CLOSED" FailedPrecondition false Final { "the agreement to share has been answered or has ended", "it was given, refused or withdrawn before, or its time is over", "ask the person anew; what has ended is not opened again" }
    PageTokenInvalid "PAGE_TOKEN_INVALID" InvalidArgument false Final { "the page token is not one that this call gave", "it was altered, or belongs to another call", "start again without a page token" }
    CursorAhead "CURSOR_AHEAD" OutOfRange false Final { "the cursor lies beyond the newest record", "a cursor of another node, or from before a restore", "read again from the cursor that the node has stored" }
    EtagMismatch "ETAG_MISMATCH" Aborted false Final { "the object was changed since it was read", "someone else saved it in between", "read it again, then repeat the change" }
    DecodeFailed "DECODE_FAILED" InvalidArgument false Final { "the bytes are not the message they should be", "damage, or a sender built from another contract", "send it again from a client built from the shipped contract" }
    // Agreements and sharing
    AgreementNotInForce "AGREEMENT_NOT_IN_FORCE" FailedPrecondition false Final { "no agreement in force covers this", "there is none with that authority, it has no grant for this kind, purpose or handling, or its dates have passed", "havenctl agreement list, then havenctl agreement propose AUTHORITY" }
    AgreementUnknown "AGREEMENT_UNKNOWN" FailedPrecondition true AskAgain { "the recipient does not have the agreement yet", "the signed agreement is still on its way", "wait: the sender sends the agreement and tries again by itself" }
    KindNotNamed "KIND_NOT_NAMED" FailedPrecondition true Deferred { "the partner's node does not take records of this kind", "its version does not know the kind yet, or its operator does not take it (not_taken in its configuration)", "nothing: it waits, and goes when that node names the kind; havenctl status says what waits for whom, havenctl member show AUTHORITY names the desk to call" }
    AgreementUnconfirmed "AGREEMENT_UNCONFIRMED" FailedPrecondition true Deferred { "the agreement waits for confirmation, and nothing passes under it until then", "the node of one of its parties was restored from a backup, and may have lost that the agreement was ended since", "havenctl agreement confirm, at the party that was restored; what waits is held, and goes then" }
    PersonContentWaits "PERSON_CONTENT_WAITS" FailedPrecondition true Deferred { "content about a person waits between these two nodes; everything else goes on", "the register here or there has not been confirmed by a majority of stewards lately, or their clocks differ by more than five minutes", "havenctl doctor, here and at the partner, says which of the two it is and what mends it; what waits then goes by itself" }
    AgreementEnded "AGREEMENT_ENDED" FailedPrecondition false Final { "the agreement has ended", "one of its parties ended it", "havenctl agreement show ID tells who and when; havenctl agreement propose AUTHORITY makes a new one" }
    AgreementNotFound "AGREEMENT_NOT_FOUND" NotFound false Final { "there is no agreement with this id here", "a typing error, or the proposal has not arrived yet", "havenctl agreement list" }
    AgreementNotParty "AGREEMENT_NOT_PARTY" PermissionDenied false Final { "this authority is not a party of the agreement", "the id belongs to another pair of authorities", "havenctl agreement list shows those of this authority" }
    AudienceNotNamed "AUDIENCE_NOT_NAMED" InvalidArgument false Final { "this goes to named recipients only, and all partners were asked for", "it is TLP:RED, or it concerns a person", "name each recipient: --to AUTHORITY,AUTHORITY; havenctl agreement list shows the partners" }
    AgreementInvalid "AGREEMENT_INVALID" InvalidArgument false Final { "the agreement's text does not hold together", "a grant names an authority that is not a party, dates do not follow each other, or a list is empty", "correct what the error names, then havenctl agreement propose again" }
    TooManyProposals "TOO_MANY_PROPOSALS" ResourceExhausted false Final { "too many proposals of this authority wait for a signature at the partner", "64 at most, each for 90 days; the partner signs none of them, or a program proposes again and again", "havenctl agreement list shows what waits; speak with the partner: each that it signs with havenctl agreement sign ID gives its place back" }
    UseNotGranted "USE_NOT_GRANTED" FailedPrecondition false Final { "the grant does not allow this use", "QUERY answers what is asked and sends nothing, VIEW shows it at the recipient's node, STORE lets the recipient's own systems take it; the grant says less than this needs", "havenctl agreement show ID tells what was agreed; havenctl agreement propose AUTHORITY --use STORE asks for more" }
    TransferLapsed "TRANSFER_LAPSED" FailedPrecondition false Final { "nothing about a person may go to that country now", "it lies outside the European Economic Area, and the agreement names no basis for a transfer to it, or that basis has ended", "propose the agreement anew with a basis that lasts: havenctl agreement propose AUTHORITY --transfer COUNTRY=BASIS:DATE:SHA-256" }
    NotForThisAuthority "NOT_FOR_THIS_AUTHORITY" FailedPrecondition false Final { "the record is not for this authority", "its publisher named others, or another authority said it: nobody passes on what is not its own", "havenctl alert publish --to AUTHORITY makes one for it; what a partner said that partner sends itself" }
    RecordCancelled "RECORD_CANCELLED" FailedPrecondition false Final { "its publisher took the record back", "it was cancelled, and those that hold it were told", "nothing to do; what is still true is published again" }
    HandlingTooRestricted "HANDLING_TOO_RESTRICTED" FailedPrecondition false Final { "the handling is stricter than the agreement allows to send", "the grant's highest TLP is below the record's", "lower the TLP if that is right, or agree on a higher one with havenctl agreement propose" }
    HandlingUnknown "HANDLING_UNKNOWN" InvalidArgument false Final { "the handling is missing or unknown", "TLP 2.0 and PAP are required; WHITE and other old names are refused", "TLP is CLEAR, GREEN, AMBER, AMBER_STRICT or RED; PAP is CLEAR, GREEN, AMBER or RED" }
    RegisterNotFresh "REGISTER_NOT_FRESH" Unavailable true Waits { "content about a person is stopped: the register has not been confirmed by a majority of stewards lately", "the network to the stewards, or the stewards themselves, are down", "havenctl status; everything that concerns no person goes on" }
    // Envelopes
    WrongRecipient "WRONG_RECIPIENT" InvalidArgument false NotAllowed { "the envelope is for another authority", "it was sent to the wrong node, or replayed", "nothing to do here; the sender's operator should look at havenctl delivery list" }
    WrongOrigin "WRONG_ORIGIN" PermissionDenied false NotAllowed { "the envelope's origin is not the authority that the connection belongs to", "onward sharing is off: nobody delivers for somebody else", "the origin itself has to send it" }
    WrongFederation "WRONG_FEDERATION" PermissionDenied false NotAllowed { "this belongs to another federation", "a node was moved between federations, or a token of another one was used", "havenctl directory status shows this node's federation id; compare it with the other side's" }
    SignatureInvalid "SIGNATURE_INVALID" PermissionDenied false NotAllowed { "the signature does not verify", "the bytes were altered, or signed with a key that the register does not list", "the signer's operator runs havenctl member show OWN-ID and compares the key" }
    KeyNotCurrent "KEY_NOT_CURRENT" PermissionDenied false NotAllowed { "the signing key is not current in the register", "it was replaced more than 24 hours ago, or withdrawn", "the signer's node signs again with its current key; nothing to do here" }
    EnvelopeExpired "EXPIRED" FailedPrecondition false Final { "the record has expired", "it waited too long, or is a replay", "publish it again if it is still true" }
    RetentionEnded "RETENTION_ENDED" NotFound false Final { "the record may not be kept here any longer", "the agreement that it came under says for how long, and that time is over", "ask its origin for it again; havenctl agreement show ID names the retention" }
    EnvelopeFromFuture "CREATED_IN_FUTURE" FailedPrecondition true AskAgain { "the record's creation time lies more than five minutes ahead", "the sender's clock is wrong, or was when the record was made", "the sender checks timedatectl, and publishes what is urgent again: this one goes at its own time" }
    EnvelopeMalformed "ENVELOPE_MALFORMED" InvalidArgument false Final { "the envelope does not have the required form", "a sender built from another contract, or damage", "the sender's operator looks at havenctl delivery list" }
    IncarnationChanged "INCARNATION_CHANGED" FailedPrecondition true Greet { "one side was started anew or restored since the stream began", "a restore from backup, or a new start", "nothing: the sender greets again and repeats what is unexpired" }
    ControlNotAllowed "CONTROL_NOT_ALLOWED" PermissionDenied false Final { "this control record may not pass between these two authorities now", "one of them is suspended or removed", "havenctl member show AUTHORITY" }
    TargetUnknown "TARGET_UNKNOWN" NotFound false Final { "the record that this one refers to is not here", "it expired, was never delivered, or the id is of another origin", "havenctl alert list" }
    StreamOutOfOrder "STREAM_OUT_OF_ORDER" FailedPrecondition true Greet { "the batch does not start at the number expected", "an answer was lost on the way", "nothing: the sender continues at the number in the answer" }
    BatchInFlight "BATCH_IN_FLIGHT" Aborted true Final { "another batch of the same stream is being stored", "a repeated call overtook the first one", "nothing: the sender waits for the first answer" }
    SkippedAfterWait "SKIPPED_AFTER_WAIT" FailedPrecondition false Final { "the partner could not take the record for fifteen minutes and it was skipped", "an agreement that never arrived, or a fault at the partner", "havenctl delivery list --state SKIPPED, then publish it again" }
    Deferred "DEFERRED" FailedPrecondition true Final { "the partner could not take the record yet, and what was behind it went ahead", "something of this very record has to wait: a time that has not come, a key or an agreement that the partner does not know yet", "nothing: it is sent again by itself until it expires; havenctl delivery list --state HELD names it and why" }
    // Register
    StatementRejected "STATEMENT_REJECTED" FailedPrecondition false Final { "the register did not accept the change", "a rule of the register forbids it; the error names the outcome", "havenctl explain with the outcome's name" }
    StaleVersion "STALE_VERSION" Aborted true Final { "the register entry was changed since this change was made", "another change came first", "read the entry again and repeat the change" }
    NotASteward "NOT_A_STEWARD" PermissionDenied false Final { "only a steward may do this", "this authority is a member, but not one of the stewards", "ask a steward: havenctl steward list names them" }
    NeedsApproval "NEEDS_APPROVAL" FailedPrecondition false Final { "the change needs the approval of several stewards", "kind, names and keys of an entry are not changed alone", "havenctl member list --pending shows who still has to approve" }
    NoLeader "NO_LEADER" Unavailable true Final { "the stewards have no leader at the moment", "an election is under way, or a majority of stewards is down", "wait a few seconds; havenctl steward list shows each steward" }
    NewcomerCatchingUp "NEWCOMER_CATCHING_UP" Unavailable true Final { "the member's node has not caught up with the stewards yet", "who is to vote has the whole register first, or decisions would wait for it: it is being sent, or the node does not answer", "repeat the command in a minute; if it goes on, call the member: havenctl doctor on its node" }
    StatementMalformed "STATEMENT_MALFORMED" InvalidArgument false Final { "the bytes are not a register statement of the required form", "damage, or a program built from another contract", "make the change again with havenctl; it builds and signs the statement" }
    StatementKindUnknown "STATEMENT_KIND_UNKNOWN" InvalidArgument false Final { "the register does not know this kind of statement", "it was made by a newer version, under rules that are not in force yet", "havenctl doctor says whether this version knows the rules in force; use a version that fits them" }
    MembersLackRules "MEMBERS_LACK_RULES" FailedPrecondition true Final { "members whose nodes do not know these rules would stop following", "their nodes run an older version, or have not said what they know", "update the nodes that the error names, then propose it again; havenctl policy propose with --leave-behind proposes it without them" }
    RulesVersionOther "RULES_VERSION_OTHER" Aborted true Final { "the statement was made under other rules than those in force", "the majority raised the rules version in between, or a node is behind", "havenctl doctor says whether this version knows the rules in force; repeat the change" }
    AuthorUnknown "AUTHOR_UNKNOWN" PermissionDenied false Final { "who signed the statement is no member", "it has not been admitted yet, or the id was mistyped", "havenctl member list" }
    NotYours "NOT_YOURS" PermissionDenied false Final { "an authority can change its own entry only", "the statement names another authority's entry", "that authority makes the change itself, or stewards decide on it" }
    WellKnownKey "WELL_KNOWN_KEY" FailedPrecondition false Final { "the key is publicly known or weak", "it comes from a specification, a tutorial or a constant seed", "start from an empty data directory: havenlink init makes new keys" }
    ProposalClosed "PROPOSAL_CLOSED" FailedPrecondition false Final { "the decision is closed", "it was carried out, rejected or withdrawn", "havenctl member list --pending shows what is open" }
    ProposalExpired "PROPOSAL_EXPIRED" FailedPrecondition false Final { "the decision has run out of time", "not enough stewards approved within its life, seven days by default", "propose it again, and tell the other stewards" }
    StillASteward "STILL_A_STEWARD" FailedPrecondition false Final { "the authority is still a steward", "a steward is demoted before it is removed", "havenctl steward demote AUTHORITY, then repeat" }
    ProposalUnknown "PROPOSAL_UNKNOWN" NotFound false Final { "there is no open decision with this id", "it was decided, rejected, withdrawn, or is older than seven days", "havenctl member list --pending" }
    AlreadyApproved "ALREADY_APPROVED" AlreadyExists false Final { "this steward has approved the decision already", "a second click", "nothing; havenctl member list --pending shows who is missing" }
    EntryInvalid "ENTRY_INVALID" InvalidArgument false Final { "the register entry does not hold together", "a code, name, address, key or pin does not have the required form", "correct what the error names" }
    DuplicatePin "DUPLICATE_PIN" FailedPrecondition false Final { "the node key stands in another authority's entry", "a copied data directory, or a key used twice", "havenctl node renew makes a new one" }
    PinUnproved "PIN_UNPROVED" FailedPrecondition false Final { "a node key in the entry did not sign that it is this authority's", "a pin that was copied by hand, or from another entry or federation", "havenctl node renew publishes a key of this node's own, with its proof" }
    DuplicateKey "DUPLICATE_KEY" FailedPrecondition false Final { "the authority key stands in another entry, or is a well-known test key", "a copied data directory, or a key from a tutorial", "start from an empty data directory: havenlink init makes new keys" }
    EmergencyUsed "EMERGENCY_USED" FailedPrecondition false Final { "this steward has suspended that authority within the last seven days already", "one steward alone cannot keep an authority out", "havenctl member suspend AUTHORITY --lasting asks the majority" }
    NeedsTwoSignatures "NEEDS_TWO_SIGNATURES" FailedPrecondition false Final { "suspending a steward takes two stewards", "one steward alone cannot stop the federation", "a second steward runs havenctl member suspend AUTHORITY" }
    EmergencyTimeInvalid "EMERGENCY_TIME_INVALID" FailedPrecondition false Final { "the emergency suspension is older than 24 hours, or dated more than ten minutes ahead", "a replay, or a wrong clock", "check timedatectl, then havenctl member suspend AUTHORITY again" }
    OneStewardAtATime "ONE_STEWARD_AT_A_TIME" FailedPrecondition false Final { "the set of stewards changes by one at a time", "two changes in one decision, or one still under way", "wait until havenctl status shows the last change, then repeat" }
    RaftIdReused "RAFT_ID_REUSED" FailedPrecondition false Final { "this steward number was used before", "a restored node came back under its old number", "restart the node: it makes a new number; then havenctl steward promote AUTHORITY, or replace for a lost node" }
    LastSteward "LAST_STEWARD" FailedPrecondition false Final { "the last steward cannot go", "a federation without a steward could never decide again", "havenctl steward promote AUTHORITY first" }
    RaftMembershipUnsigned "RAFT_MEMBERSHIP_UNSIGNED" PermissionDenied false Final { "a change of voters arrived that no majority of stewards had signed", "a faulty or hostile leader", "havenctl steward list; tell the other stewards, by phone" }
    RaftTermTooFar "RAFT_TERM_TOO_FAR" PermissionDenied false Final { "a steward announced a term far beyond the others'", "a faulty or hostile steward", "havenctl steward list; tell the other stewards, by phone" }
    RaftLeaderStands "RAFT_LEADER_STANDS" PermissionDenied true Final { "a steward says that it leads while another one does", "a faulty or hostile steward, or one that another leader cannot reach", "havenctl steward list; when it comes again and again, tell the other stewards, by phone" }
    RaftSenderMismatch "RAFT_SENDER_MISMATCH" PermissionDenied false Final { "a consensus message does not come from the steward it names", "a faulty or hostile steward", "havenctl steward list; tell the other stewards, by phone" }
    RaftLogContradicted "RAFT_LOG_CONTRADICTED" PermissionDenied false Final { "a consensus message contradicts what is committed here", "a faulty or hostile leader", "havenctl steward list; tell the other stewards, by phone" }
    RaftTargetOther "RAFT_TARGET_OTHER" FailedPrecondition true Final { "a consensus message was meant for another steward number", "this node came back under a new number, and the other stewards do not know yet", "havenctl doctor names the way: havenctl steward replace AUTHORITY while the others can decide, otherwise havenctl steward refound" }
    EntryTimeInvalid "ENTRY_TIME_INVALID" FailedPrecondition true Final { "a register entry's time runs backwards, or lies more than a minute ahead", "the leader's clock is wrong, or this one is", "timedatectl set-ntp true on the steward that leads, and here; havenctl doctor shows whose clock differs" }
    RegisterNotAhead "REGISTER_NOT_AHEAD" FailedPrecondition false Final { "the register's time does not lie ahead", "it was put right already, or this node's clock is ahead as well", "havenctl doctor shows both times" }
    SnapshotInvalid "SNAPSHOT_INVALID" PermissionDenied false Final { "a snapshot of the register does not verify", "damage, or a faulty or hostile steward", "havenctl status; the node goes on and asks another steward" }
    RefoundingInvalid "REFOUNDING_INVALID" PermissionDenied false Final { "a founding of the register's order does not count", "too few stewards signed it, a key under it was withdrawn, or it stands on a change that is not the one here", "havenctl doctor; if it comes again, call the stewards that havenctl steward list names" }
    RefoundingUnproved "REFOUNDING_UNPROVED" FailedPrecondition true Final { "how far the register had come is not proved", "the signs of life of too few stewards are known here: no member that still has them was reached", "start the nodes of members, then repeat the command; where no member has them any more: havenctl steward refound --from-beginning" }
    RefoundingIncomplete "REFOUNDING_INCOMPLETE" FailedPrecondition true Final { "a founding of the register's order is not signed by all of its stewards yet", "each of them signs at its own desk", "havenctl steward refound, at each steward that has not signed" }
    RefoundingSigned "REFOUNDING_SIGNED" FailedPrecondition false Final { "this authority has signed another founding with that number, or a later one", "a steward signs one of each number, and never one below what it has signed", "havenctl steward refound, once more: it goes on with what was signed, or begins the next one" }
    RefoundingNotNeeded "REFOUNDING_NOT_NEEDED" FailedPrecondition false Final { "the stewards decide: their order does not begin anew", "a majority of them answers, this one is only without a vote, or nothing is wrong", "havenctl steward list; if this node was restored, another steward runs havenctl steward replace AUTHORITY" }
    RefoundingAlone "REFOUNDING_ALONE" FailedPrecondition true Final { "too few stewards answer to begin the order anew", "a majority of the stewards' keys signs it: their nodes run, restored or not, and reach each other", "start the other stewards' nodes, then repeat havenctl steward refound" }
    RegisterContested "REGISTER_CONTESTED" FailedPrecondition false Final { "two lines of the register stand against each other", "stewards have begun the order anew twice under one number, on machines that did not know of each other", "havenctl doctor shows both; it is your decision which one is followed here" }
    HeadMismatch "HEAD_MISMATCH" DataLoss false Final { "two registers differ at the same change number", "a leader gave two orders to two followers", "havenctl status shows both heads and who signed them; tell the other stewards, by phone" }
    RulesTooOld "RULES_TOO_OLD" FailedPrecondition false Final { "the federation has moved, or is asked to move, to rules that this version does not know", "this node was not updated", "update havenlink, then start it again" }
    BeatInvalid "BEAT_INVALID" PermissionDenied false Final { "a steward's sign of life does not verify", "a wrong key, or a clock far ahead", "havenctl status" }
    ChangesGone "CHANGES_GONE" OutOfRange true Final { "the changes asked for are no longer kept", "the follower was away for long", "nothing: the follower takes a snapshot first" }
    MemberUnknown "MEMBER_UNKNOWN" NotFound false Final { "there is no such authority in the register", "a typing error, or it has not been admitted yet", "havenctl member list" }
    MemberSuspended "MEMBER_SUSPENDED" PermissionDenied false Held { "the authority is suspended", "stewards suspended it", "havenctl member show AUTHORITY tells until when; a majority restores it with havenctl member restore AUTHORITY" }
    MemberRemoved "MEMBER_REMOVED" PermissionDenied false Closed { "the authority has been removed from the federation", "a majority of stewards decided so", "havenctl member show AUTHORITY" }
    NotSuspended "NOT_SUSPENDED" FailedPrecondition false Final { "the authority is not suspended", "it was restored already, or the suspension lapsed", "havenctl member show AUTHORITY" }
    AlreadyMember "ALREADY_MEMBER" AlreadyExists false Final { "the authority is a member already", "a second application", "havenctl member show AUTHORITY" }
    LastRegisterUnreachable "STEWARDS_UNREACHABLE" Unavailable true Final { "no steward can be reached", "the network, or all stewards are down", "havenctl doctor" }
    // Joining
    InvitationUnknown "INVITATION_UNKNOWN" NotFound false Final { "the inviter does not know this invitation", "it was revoked, or the token is of another node", "ask for a new one: havenctl invite create --for AUTHORITY" }
    InvitationExpired "INVITATION_EXPIRED" FailedPrecondition false Final { "the invitation has expired", "it was not used in time", "ask for a new one: havenctl invite create --for AUTHORITY" }
    InvitationUsed "INVITATION_USED" FailedPrecondition false Final { "the invitation was used already", "a token works once", "ask for a new one: havenctl invite create --for AUTHORITY" }
    InvitationBurnt "INVITATION_BURNT" FailedPrecondition false Final { "the invitation was burnt by a failed attempt", "what was revealed did not fit what was committed: somebody may have interfered", "ask for a new one by phone: havenctl invite create --for AUTHORITY" }
    InvitationRevoked "INVITATION_REVOKED" FailedPrecondition false Final { "the invitation was revoked", "the inviter took it back", "ask the inviter by phone" }
    InvitationOtherAuthority "INVITATION_OTHER_AUTHORITY" PermissionDenied false Final { "the invitation is meant for another authority", "the token was passed on, or the id was mistyped", "use the id that the invitation names, or ask for a new one" }
    InvitationInvalid "INVITATION_INVALID" InvalidArgument false Final { "the token is not a valid invitation", "it was cut off or altered on the way", "copy the whole token, in one line" }
    InvitationSwapped "INVITATION_SWAPPED" PermissionDenied false Final { "the invitation was made by this authority itself", "inviter and invited were exchanged", "use the token on the other side" }
    WordsDiffer "WORDS_DIFFER" PermissionDenied false Final { "the six words are not those that the applicant's node shows", "a hearing or typing error, or somebody stands between the two nodes", "ask for the words again by phone; after three failures a new invitation is needed" }
    WordsFailed "WORDS_FAILED" FailedPrecondition false Final { "the six words were wrong three times, and the application is closed", "somebody may stand between the two nodes", "ask for a new invitation by phone, and compare the number that is called" }
    JoinPending "JOIN_PENDING" FailedPrecondition true Final { "the application waits for approval", "stewards decide on it", "read the six words to the inviter by phone; havenlink run keeps waiting" }
    ApplicationRejected "APPLICATION_REJECTED" PermissionDenied false Final { "the stewards rejected the application", "the error names their reason", "speak with the inviter, then join again with a new invitation" }
    ApplicationExpired "APPLICATION_EXPIRED" FailedPrecondition false Final { "nobody decided on the application in time", "an application is open for seven days", "speak with the inviter, then join again with a new invitation" }
    ApplicationWithdrawn "APPLICATION_WITHDRAWN" FailedPrecondition false Final { "the application was taken back", "the applicant withdrew it", "join again with a new invitation" }
    ApplicationUnknown "APPLICATION_UNKNOWN" NotFound false Final { "no application of this authority waits here", "it was decided, or it holds the invitation of another steward", "havenctl member list --pending" }
    SeveralApplications "SEVERAL_APPLICATIONS" FailedPrecondition false Final { "several admissions of this authority wait", "more than one member proposed it, perhaps under different keys", "havenctl member list --pending shows them, havenctl member show AUTHORITY their keys; compare the key with the inviter by phone, then havenctl member approve AUTHORITY --proposal ID" }
    WordsNeeded "WORDS_NEEDED" FailedPrecondition false Final { "the six words are missing", "the first steward who approves compares them with the applicant by phone", "havenctl member approve AUTHORITY asks for them; call the applicant at a number you know" }
    TicketInvalid "TICKET_INVALID" InvalidArgument false Final { "the text is not a recovery ticket of this authority", "it was cut off on the way, or made for another authority", "a steward runs havenctl member recovery-ticket AUTHORITY; copy the whole line" }
    AlreadyJoined "ALREADY_JOINED" AlreadyExists false Final { "this data directory belongs to a member already", "init or join was run before", "havenlink check shows whose it is; use another data directory for another authority" }
    NotJoined "NOT_JOINED" FailedPrecondition false Final { "this data directory belongs to no federation yet", "neither init nor join was run", "your decision: havenlink recover --from FOLDER if this authority was a member and its disk was lost; else havenlink init for a new federation, havenlink join TOKEN for an existing one" }
    AuthorityKeyLost "AUTHORITY_KEY_LOST" FailedPrecondition false Final { "the authority's key is gone, and other files of the node are here", "a file was lost, or a restore was not finished", "havenlink recover shows what is here, what the newest backup has of it, and the command that brings it back" }
    // Transport
    PeerUnreachable "PEER_UNREACHABLE" Unavailable true NoAnswer { "the partner's node does not answer", "it is down, the network between is, or both nodes moved", "nothing is lost: everything waits; havenctl delivery list shows what; where it answers now its operator says: havenctl node contact ADDRESS" }
    PeerPinUnknown "PEER_PIN_UNKNOWN" Unauthenticated true NoAnswer { "the certificate that was presented is listed in no register entry that may answer there", "it renewed without publishing, its key was recovered, or somebody else answers at its address", "the partner runs havenctl node renew; nothing was sent; another member that knows it: havenctl node contact ADDRESS" }
    PeerRefusedUs "PEER_REFUSED_US" Unauthenticated true NoAnswer { "the partner's node refused this node's certificate", "our pin is not in its view of the register yet, or we are suspended", "havenctl member show OWN-ID, then havenctl node renew" }
    CertificateNotPinned "CERTIFICATE_NOT_PINNED" Unauthenticated true NoAnswer { "the caller's certificate was issued by its authority, but its pin is not in the register view of who was called", "a renewal has not reached it yet: until then both follow the register, greet and gossip, and nothing else", "nothing, if it passes within minutes; havenctl doctor names what keeps two registers apart" }
    ClockDiffers "CLOCK_DIFFERS" FailedPrecondition true NoAnswer { "the clocks of the two nodes differ too much", "one of them is wrong; the error says by how much", "timedatectl on both machines shows which; timedatectl set-ntp true mends it there, then the same command again" }
    PeerUnknown "PEER_UNKNOWN" Unauthenticated false NoAnswer { "the caller's certificate belongs to no member", "a stranger, or a certificate that was never published", "join the federation first" }
    PeerTlsFailed "PEER_TLS_FAILED" Unavailable true NoAnswer { "the TLS handshake failed", "another service answers at that address, or something between the nodes interferes", "havenctl member show AUTHORITY, then check its endpoint from this machine" }
    TooManyConnections "TOO_MANY_CONNECTIONS" ResourceExhausted true Final { "the peer has too many connections open", "more than eight at once", "close the others, or wait" }
    BudgetExhausted "BUDGET_EXHAUSTED" ResourceExhausted true Final { "the peer has used up its budget", "too many calls, bytes or rows in a short time", "wait as long as the answer says" }
    DeadlineExceeded "DEADLINE_EXCEEDED" DeadlineExceeded true NoAnswer { "the call took longer than its limit", "a slow partner or a loaded machine", "repeat it; a request id makes that safe" }
    CertificateInvalid "CERTIFICATE_INVALID" FailedPrecondition false Final { "the new certificate was not taken into use", "it does not load, does not fit its key, is not valid now, or its pin is not published", "havenctl node renew" }
    // Holds
    HoldFenced "HOLD_FENCED" FailedPrecondition false Final { "the hold does not stand any more", "its time is over, it was given back or used, or its token is not the newest of its place", "havenctl place holds shows what stands; havenctl place hold OFFER asks anew" }
    HoldNoneFree "HOLD_NONE_FREE" FailedPrecondition true Final { "nothing is free to be held there now", "all of it is held or in use, or the offer is full, paused, or not confirmed lately", "havenctl offer list shows what is free, and the number of the desk" }
    HoldNotOffered "HOLD_NOT_OFFERED" FailedPrecondition false Final { "this offer cannot be held through the node", "it is protected, or somebody has to assess first", "call its desk: havenctl offer list shows the number" }
    HoldQuota "HOLD_QUOTA" ResourceExhausted true Final { "one partner holds as much of this offer as it may", "eight at a time, and 64 in a day, at most", "havenctl place holds shows yours; havenctl place release HOLD gives one back" }
    HoldExtended "HOLD_EXTENDED" FailedPrecondition false Final { "the hold was extended already", "each is extended once", "call the desk of the offer: havenctl offer list shows the number" }
    HoldAfterRestore "HOLD_AFTER_RESTORE" Unavailable true Final { "the owner's node was restored from a backup, and gives nothing to hold yet", "what it gave just before is unknown to it until it has ended, three hours at most", "call the desk of the offer: havenctl offer list shows the number" }
    // Access
    NotFound "NOT_FOUND" NotFound false Final { "there is no such thing here, or it is not yours to see", "an id of another authority, or a typing error", "list what there is: havenctl alert list" }
    MethodNotOpen "METHOD_NOT_OPEN" PermissionDenied false Final { "this socket does not serve that call, or not for records of this kind", "each socket serves one role, and each kind of record has its roles", "use the socket of the role that may do it; havenctl chooses it by itself" }
    // The node
    OutcomeUnknown "OUTCOME_UNKNOWN" Unavailable true Final { "the node could not tell whether the write was stored", "the disk failed while storing", "repeat the call with the same request id" }
    StorageFull "STORAGE_FULL" ResourceExhausted true Final { "the disk is full", "logs, backups or records grew", "make room on the data directory's disk; withdrawals, erasures and suspensions still work" }
    StorageFailed "STORAGE_FAILED" Internal true Final { "the store failed", "the disk, or its file system", "journalctl -u havenlink, then havenlink check" }
    StorageDamaged "STORAGE_DAMAGED" DataLoss false Final { "a stored file does not verify", "damage on disk, or a file from another node", "havenlink restore with the last backup" }
    StorageTooOld "STORAGE_TOO_OLD" FailedPrecondition false Final { "the database library is older than 3.51.3", "an old build", "use the released binary" }
    DataNewer "DATA_NEWER" FailedPrecondition false Final { "the data was written by a newer version", "a downgrade, or a backup of a newer version", "run the newer havenlink" }
    DataDirInUse "DATA_DIR_IN_USE" FailedPrecondition true Final { "another process uses this data directory", "the node is running already", "systemctl status havenlink" }
    OpenToOthers "OPEN_TO_OTHERS" FailedPrecondition false Final { "other users of this machine could read a key of this node, or put files in place of its own", "the mode of a directory or a key file was changed, or the run directory is a link", "chmod 700 the data directory, 600 its keys, 755 the run directory; a key that others could read is replaced: havenctl node rotate-key --compromised" }
    WrongUser "WRONG_USER" PermissionDenied false Final { "the data directory, or a file in it, belongs to another user", "a command was run as another user than the node's, or files were copied", "run it as the user that owns the data directory: ls -ld shows whose it is" }
    ConfigInvalid "CONFIG_INVALID" InvalidArgument false Final { "the configuration has faults", "a typing error; all faults are listed with their lines", "correct the lines that are named, then havenlink check" }
    BackupFailed "BACKUP_FAILED" Internal true Final { "the backup could not be made or does not verify", "the target's disk, or its permissions", "choose another target directory, then havenlink backup again" }
    BackupInvalid "BACKUP_INVALID" InvalidArgument false Final { "the file is not a whole backup of this node", "it was cut off, or belongs to another node", "use another backup" }
    RecoveryRecipientMissing "RECOVERY_RECIPIENT_MISSING" FailedPrecondition false Final { "this node has no recovery key to seal a backup to", "its first start knew of none yet, or the file recovery.recipient was lost", "havenlink recovery-key makes one, and prints its secret half once, for the safe; then the same command again" }
    RecoveryKeyWrong "RECOVERY_KEY_WRONG" PermissionDenied false Final { "the backup does not open with the recovery key that was given", "it is sealed to another one, none was given, or its first bytes are damaged", "the same command with --identity FILE, or --identity - to type the key in: the secret half that was printed once and lies in the safe" }
    NodeStarting "NODE_STARTING" Unavailable true Final { "the node is starting", "it has not caught up with the register yet", "wait a moment; havenctl status" }
    NodeStopping "NODE_STOPPING" Unavailable true Final { "the node is stopping", "its operator stopped it", "wait until it is back" }
    NodeNotReachable "NODE_NOT_REACHABLE" Unavailable true Final { "the node does not answer on its socket", "it is not running, or the socket directory is another one", "systemctl status havenlink, or havenctl --sockets DIR" }
    AddressInUse "ADDRESS_IN_USE" FailedPrecondition true Final { "the address is taken by another process", "another node, or another service on that port", "choose another port in node.toml for the key that the error names, then start again" }
    RunDirUnusable "RUN_DIR_UNUSABLE" FailedPrecondition true Final { "the directory of the role sockets cannot be made", "its parent is missing, or belongs to another user: below /run only systemd makes it for the node (RuntimeDirectory)", "systemctl start havenlink; by hand first: sudo install -d -o havenlink -m 755 /run/havenlink, or another run_dir in node.toml" }
    SocketGroupRefused "SOCKET_GROUP_REFUSED" FailedPrecondition false Final { "a role's socket cannot be given to the role's group", "a hardened unit or a container that forbids chown, or a file system without groups", "allow it: SystemCallFilter=@chown in the unit, as deploy/systemd/havenlink.service has it; then start again" }
    AuditDamaged "AUDIT_DAMAGED" DataLoss false Final { "the audit log does not fit its root", "somebody or something changed it", "keep the files as they are and call the data-protection officer; havenctl audit verify" }
    ReasonUnknown "REASON_UNKNOWN" NotFound false Final { "there is no such reason in the catalogue", "a typing error", "havenctl explain --all" }
    Internal "INTERNAL" Internal true Final { "something failed that should not", "a fault of this software", "journalctl -u havenlink; please report it with the trace id" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_whole_row_and_its_own_code() {
        let mut codes = std::collections::BTreeSet::new();
        for reason in Reason::ALL {
            let row = reason.row();
            assert!(codes.insert(row.code), "{} twice", row.code);
            for text in [row.what, row.why, row.remedy] {
                assert!(text.len() >= 10 && !text.ends_with('.'), "{}: {text}", row.code);
            }
            assert!(row.code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit()));
            assert_eq!(Reason::from_code(row.code), Some(*reason));
        }
    }

    /// What stands in a receipt, or decides what a sender does next, is the protocol's: a change here is a change on the
    /// wire. Everything else is final.
    #[test]
    fn the_road_makes_of_each_reason_what_the_protocol_says() {
        use Reason as R;
        let pinned = [
            (RoadEffect::AskAgain, vec![R::AgreementUnknown, R::EnvelopeFromFuture]),
            (RoadEffect::Waits, vec![R::RegisterNotFresh]),
            (
                RoadEffect::Deferred,
                vec![
                    R::ErasureOverdue,
                    R::WithdrawalsNotAnswered,
                    R::KindNotNamed,
                    R::AgreementUnconfirmed,
                    R::PersonContentWaits,
                ],
            ),
            (RoadEffect::Held, vec![R::MemberSuspended]),
            (RoadEffect::Closed, vec![R::MemberRemoved]),
            (RoadEffect::Greet, vec![R::IncarnationChanged, R::StreamOutOfOrder]),
            (
                RoadEffect::NoAnswer,
                vec![
                    R::CertificateNotPinned,
                    R::PeerUnknown,
                    R::ClockDiffers,
                    R::PeerUnreachable,
                    R::PeerPinUnknown,
                    R::PeerRefusedUs,
                    R::PeerTlsFailed,
                    R::DeadlineExceeded,
                ],
            ),
            (
                RoadEffect::NotAllowed,
                vec![R::WrongRecipient, R::WrongOrigin, R::WrongFederation, R::SignatureInvalid, R::KeyNotCurrent],
            ),
        ];
        for (road, reasons) in &pinned {
            let found: Vec<_> = Reason::ALL.iter().filter(|r| r.road() == *road).copied().collect();
            let (found, reasons) = (sorted(found), sorted(reasons.clone()));
            assert_eq!(found, reasons, "{road:?}");
        }
        // Final verdicts that receipts carry, retryable for whoever called or not.
        let carried = [
            R::AgreementNotInForce,
            R::AgreementEnded,
            R::AgreementNotParty,
            R::AgreementInvalid,
            R::TooManyProposals,
            R::HandlingTooRestricted,
            R::UseNotGranted,
            R::TransferLapsed,
            R::NotForThisAuthority,
            R::RecordCancelled,
            R::PersonRecordsClosed,
            R::NoAgreementToShare,
            R::RecordWithdrawn,
            R::EnvelopeExpired,
            R::EnvelopeMalformed,
            R::KindNotSupported,
            R::ControlNotAllowed,
            R::TargetUnknown,
            R::MemberUnknown,
            R::BudgetExhausted,
            R::SkippedAfterWait,
            R::FieldInvalid,
            R::PersonalDataInText,
        ];
        for reason in carried {
            assert_eq!((reason.road(), reason.asks_again()), (RoadEffect::Final, false), "{reason}");
        }
    }

    fn sorted(mut reasons: Vec<Reason>) -> Vec<Reason> {
        reasons.sort_unstable();
        reasons
    }
}
