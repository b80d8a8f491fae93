//! The kinds of record: one list of them, and a place for each.
//!
//! What lives here: the list (`record_kinds`), the one enum of what an envelope says (`Content`, `Control`), what every
//! kind has to decide (`Kind`), and one file per kind with its values, rules and decisions. What does not: bytes (a
//! kind's codec is `wire/records/<kind>.rs`), and what its arrival does here (`exchange/records/<kind>.rs`).
//! Invariant: what is generated from the list has no arm that takes "any other kind". A kind that leaves a decision out
//! does not compile. A number that is reserved and not built stays known as a number, and nothing can be said with it.

pub mod agreement;
pub mod alert;
pub mod answer;
pub mod grant;
pub mod inspection;
pub mod offer;
mod offer_checks;
#[cfg(any(test, feature = "samples"))]
mod offer_sample;
pub mod practice;
pub mod record;
pub mod referral;
pub mod withdrawal;
pub mod wording;

use crate::actor::ActorRole;
#[cfg(any(test, feature = "samples"))]
use crate::closed::List;
use crate::closed::closed_enum;
use crate::fault::Fault;
use crate::handling::Tlp;
use crate::person::share::ShareScope;
use crate::reason::Reason;
use crate::time::{Millis, UnixMs};
use grant::Grant;
use offer::DisclosureLevel;
use record::ReferenceKind;

/// The one list of kinds, in the order of their numbers: content is 1 to 31, control 32 to 63 (9.2). A kind that is
/// built names its module and type; one without them is a reserved number. Calls `$then!` with the list, so that each
/// layer makes its enum or its dispatch from it.
#[macro_export]
macro_rules! record_kinds {
    ($then:ident) => {
        $then! {
            content {
                Alert = 1 "ALERT" => alert::Alert,
                Practice = 2 "PRACTICE" => practice::Practice,
                OfferView = 3 "OFFER_VIEW" => offer::Offer,
                Placement = 4 "PLACEMENT",
                Referral = 5 "REFERRAL" => referral::Referral,
                Inspection = 6 "INSPECTION" => inspection::Inspection,
                Answer = 7 "ANSWER" => answer::Answer,
                Adoption = 8 "ADOPTION",
                Review = 9 "REVIEW",
            }
            control {
                AgreementProposal = 32 "AGREEMENT_PROPOSAL" => agreement::Proposal,
                AgreementSignature = 33 "AGREEMENT_SIGNATURE" => agreement::PartySignature,
                AgreementComplete = 34 "AGREEMENT_COMPLETE" => agreement::Complete,
                AgreementEnd = 35 "AGREEMENT_END" => agreement::AgreementEnd,
                WithdrawalNotice = 36 "WITHDRAWAL_NOTICE" => withdrawal::WithdrawalNotice,
                ErasureReceipt = 37 "ERASURE_RECEIPT" => withdrawal::ErasureReceipt,
                WithdrawalCode = 38 "WITHDRAWAL_CODE",
            }
        }
    };
}

/// What a kind of content decides. Nothing has a default: whoever adds a kind answers every question.
pub trait Kind: Clone + Into<Content> {
    /// Its number on the road.
    const KIND: RecordKind;
    /// What holds for every record of the kind.
    const FACTS: Facts;
    /// What the one question needs to know of one record.
    type Facet: Copy;

    /// Whether it is within today's limits, forms and rules.
    ///
    /// # Errors
    /// The first field that is not.
    fn check(&self) -> Result<(), Fault>;

    /// Whether what it says has happened may have happened by then.
    ///
    /// # Errors
    /// The first time that lies ahead.
    fn check_past(&self, now: UnixMs) -> Result<(), Fault>;

    /// How long it lives unless its publisher says otherwise.
    fn life(&self) -> Millis;

    /// What the one question needs to know of it.
    fn facet(&self) -> Self::Facet;

    /// That, as it stands in two columns of a delivery: coded numbers, 0 for what is not said.
    fn facet_codes(facet: Self::Facet) -> [i32; 2];

    /// The inverse; `None` for what was never written.
    fn facet_from_codes(codes: [i32; 2]) -> Option<Self::Facet>;

    /// Whether it concerns a person (9.2). No caller sets it.
    fn concerns_person(facet: Self::Facet) -> bool;

    /// What a person has to agree to before it is shared; `None` where it concerns none, where it answers, and where no such
    /// scope opens it yet.
    fn scope(facet: Self::Facet) -> Option<ShareScope>;

    /// Whether it answers a record of one of `FACTS.answers`: then it goes back along the grant under which that came (9.2),
    /// and stands beside it.
    fn is_answer(facet: Self::Facet) -> bool;

    /// How strictly it is marked at least.
    fn lowest_tlp(facet: Self::Facet) -> Tlp;

    /// Whether the grant's details, beside its list of kinds, cover it.
    fn covered_by(grant: &Grant, facet: Self::Facet) -> bool;

    /// Whether the lists of a grant that belong to this kind fit; `granted`: the grant is for this kind.
    ///
    /// # Errors
    /// The list that does not fit.
    fn check_grant(grant: &Grant, granted: bool) -> Result<(), Fault>;

    /// What a grant of this kind lets its recipient see, as the beginning of a sentence; `None`: it says nothing that
    /// another kind of the grant does not say.
    fn in_words(grant: &Grant) -> Option<String>;

    /// As a partner with this disclosure level sees it; `None`: it travels as it is stored, whatever the level.
    fn prepare(&self, level: DisclosureLevel) -> Option<Self>;

    /// What its cancellation says: no more of it than the form needs, and no text. Today's rules are not asked of it.
    fn cancelled(&self) -> Self;

    /// What it is the newest word on; `None`: it stands by itself.
    fn subject(&self) -> Option<[u8; 16]>;

    /// The instant that it was true at, where its reader counts its age from there.
    fn as_of(&self) -> Option<UnixMs>;

    /// One of each form that it has, the first of them one that is published: every test over all kinds takes these.
    #[cfg(any(test, feature = "samples"))]
    fn samples() -> Vec<Self>;

    /// Its closed lists: a test compares them with the contract.
    #[cfg(any(test, feature = "samples"))]
    fn closed_lists() -> Vec<List>;
}

/// What a kind of control decides: coded fields only, no agreement needed (9.2).
pub trait ControlKind: Into<Control> {
    /// Its number on the road.
    const KIND: RecordKind;
}

/// What holds for every record of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Somebody looks at it again after this span, unless its publisher says otherwise.
    pub review: Millis,
    /// It goes on being said until it expires: a partner of a later agreement gets it too. What is not lasting is news to
    /// those whom its publisher was told of (decisions/017).
    pub lasting: bool,
    /// The kinds of which it may answer a record, its own among them if it has a form that does; empty: it never answers.
    pub answers: &'static [RecordKind],
    /// How its publisher may refer to an earlier one of its own.
    pub later: &'static [ReferenceKind],
    pub access: Access,
}

/// The local roles that may do something with records of a kind (rows of the access table, method by kind).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Publish, update, cancel. Nobody: it is made by a call of its own, or as an answer.
    pub publish: &'static [ActorRole],
    /// List and get.
    pub read: &'static [ActorRole],
    /// The stream of the inbox.
    pub consume: &'static [ActorRole],
    /// Answer a received one.
    pub answer: &'static [ActorRole],
}

/// What a call at a local socket does with records of a kind: a method that serves every kind is open to a role for those
/// that are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Publish, update, cancel.
    Publish,
    /// List, get, watch, search.
    Read,
    /// The stream of the inbox.
    Consume,
    /// Answer one of this kind.
    Answer,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Publish, Self::Read, Self::Consume, Self::Answer];
}

impl RecordKind {
    /// Whether every record of the kind concerns a person (9.2): then it is sealed wherever it is stored (9.9).
    pub const fn is_about_persons(self) -> bool {
        matches!(self, Self::Referral | Self::Placement)
    }

    /// Whether a role may do this with records of the kind: a cell of the access table, method by kind by role.
    ///
    /// # Errors
    /// `KIND_NOT_SUPPORTED` when nobody may; `METHOD_NOT_OPEN` when another role may.
    pub fn open_to(self, verb: Verb, role: ActorRole) -> Result<(), Reason> {
        let roles = self.facts().map_or(&[][..], |Facts { access, .. }| match verb {
            Verb::Publish => access.publish,
            Verb::Read => access.read,
            Verb::Consume => access.consume,
            Verb::Answer => access.answer,
        });
        match roles {
            [] => Err(Reason::KindNotSupported),
            roles if roles.contains(&role) => Ok(()),
            _ => Err(Reason::MethodNotOpen),
        }
    }
}

/// The first form for a kind that is built, the second for a number that is only reserved.
#[macro_export]
macro_rules! if_built {
    ([$built:expr] $reserved:expr) => {
        $built
    };
    ([] $reserved:expr) => {
        $reserved
    };
}

macro_rules! define {
    (content { $($c:ident = $cn:literal $ct:literal $(=> $cm:ident :: $cty:ident)?,)+ }
     control { $($k:ident = $kn:literal $kt:literal $(=> $km:ident :: $kty:ident)?,)+ }) => {
        closed_enum! {
            /// What a record is. Content is 1-31, control 32-63.
            pub enum RecordKind { $($c = $cn => $ct,)+ $($k = $kn => $kt),+ }
        }

        /// What a record of content says.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Content { $($( $c($cm::$cty), )?)+ }

        /// What a control record says.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Control { $($( $k($km::$kty), )?)+ }

        /// What the one question needs to know of a record of content.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Facet { $($( $c(<$cm::$cty as Kind>::Facet), )?)+ }

        $($( impl From<$cm::$cty> for Content {
            fn from(record: $cm::$cty) -> Self { Self::$c(record) }
        } )?)+

        $($( impl From<$km::$kty> for Control {
            fn from(record: $km::$kty) -> Self { Self::$k(record) }
        } )?)+

        impl RecordKind {
            /// Whether this version can read one; a number that is only reserved is none.
            pub const fn is_built(self) -> bool {
                match self {
                    $( Self::$c => if_built!([$( !stringify!($cm).is_empty() )?] false), )+
                    $( Self::$k => if_built!([$( !stringify!($km).is_empty() )?] false), )+
                }
            }

            /// The kinds of content that are built.
            pub const CONTENT: &'static [Self] = &[$($( <$cm::$cty as Kind>::KIND, )?)+];

            /// What holds for the kind; `None` for control, and for a number that is only reserved.
            pub const fn facts(self) -> Option<Facts> {
                match self {
                    $( Self::$c => if_built!([$( Some(<$cm::$cty as Kind>::FACTS) )?] None), )+
                    $( Self::$k )|+ => None,
                }
            }

            /// What a grant of this kind says; `None`: nothing of its own. Of a reserved number there is its name.
            pub(crate) fn in_words(self, grant: &Grant) -> Option<String> {
                match self {
                    $( Self::$c => if_built!([$( <$cm::$cty as Kind>::in_words(grant) )?] reserved(self, grant)), )+
                    $( Self::$k )|+ => None,
                }
            }

            /// Whether every kind's lists in the grant fit.
            pub(crate) fn check_grant(grant: &Grant) -> Result<(), Fault> {
                $($( <$cm::$cty as Kind>::check_grant(grant, grant.record_kinds.contains(&Self::$c))?; )?)+
                Ok(())
            }
        }

        #[cfg(any(test, feature = "samples"))]
        impl Content {
            /// One of each kind of content at least, and of each form that a kind has.
            pub fn samples() -> Vec<Self> {
                let mut all = Vec::new();
                $($( all.extend(<$cm::$cty as Kind>::samples().into_iter().map(Self::$c)); )?)+
                all
            }

            /// The closed lists of all kinds of content.
            pub fn closed_lists() -> Vec<List> {
                let mut all = Vec::new();
                $($( all.extend(<$cm::$cty as Kind>::closed_lists()); )?)+
                all
            }
        }

        impl Content {
            /// Its kind.
            pub const fn kind(&self) -> RecordKind {
                match self { $($( Self::$c(_) => <$cm::$cty as Kind>::KIND, )?)+ }
            }

            /// What holds for every record of its kind.
            pub const fn facts(&self) -> Facts {
                match self { $($( Self::$c(_) => <$cm::$cty as Kind>::FACTS, )?)+ }
            }

            /// Whether it is within today's limits, forms and rules.
            ///
            /// # Errors
            /// The first field that is not.
            pub fn check(&self) -> Result<(), Fault> {
                match self { $($( Self::$c(record) => <$cm::$cty as Kind>::check(record), )?)+ }
            }

            /// Whether what it says has happened may have happened by then.
            ///
            /// # Errors
            /// The first time that lies ahead.
            pub fn check_past(&self, now: UnixMs) -> Result<(), Fault> {
                match self { $($( Self::$c(record) => <$cm::$cty as Kind>::check_past(record, now), )?)+ }
            }

            /// How long it lives unless its publisher says otherwise.
            pub fn life(&self) -> Millis {
                match self { $($( Self::$c(record) => <$cm::$cty as Kind>::life(record), )?)+ }
            }

            /// What the one question needs to know of it.
            pub fn facet(&self) -> Facet {
                match self { $($( Self::$c(record) => Facet::$c(<$cm::$cty as Kind>::facet(record)), )?)+ }
            }

            /// As a partner with this disclosure level sees it; `None`: it travels as it is stored, whatever the level.
            pub fn prepare(&self, level: DisclosureLevel) -> Option<Self> {
                match self { $($( Self::$c(record) => <$cm::$cty as Kind>::prepare(record, level).map(Self::$c), )?)+ }
            }

            /// What its cancellation says.
            pub fn cancelled(&self) -> Self {
                match self { $($( Self::$c(record) => Self::$c(<$cm::$cty as Kind>::cancelled(record)), )?)+ }
            }

            /// What it is the newest word on; `None`: it stands by itself.
            pub fn subject(&self) -> Option<[u8; 16]> {
                match self { $($( Self::$c(record) => <$cm::$cty as Kind>::subject(record), )?)+ }
            }

            /// The instant that it was true at, where its reader counts its age from there.
            pub fn as_of(&self) -> Option<UnixMs> {
                match self { $($( Self::$c(record) => <$cm::$cty as Kind>::as_of(record), )?)+ }
            }
        }

        impl Control {
            /// Its kind.
            pub const fn kind(&self) -> RecordKind {
                match self { $($( Self::$k(_) => <$km::$kty as ControlKind>::KIND, )?)+ }
            }
        }

        impl Facet {
            /// The kind that it is of.
            pub const fn kind(self) -> RecordKind {
                match self { $($( Self::$c(_) => <$cm::$cty as Kind>::KIND, )?)+ }
            }

            /// As it stands in two columns of a delivery, beside the kind.
            pub fn codes(self) -> [i32; 2] {
                match self { $($( Self::$c(facet) => <$cm::$cty as Kind>::facet_codes(facet), )?)+ }
            }

            /// The inverse; `None` for control, for a number that is only reserved, and for what was never written.
            pub fn from_codes(kind: RecordKind, codes: [i32; 2]) -> Option<Self> {
                match kind {
                    $( RecordKind::$c => {
                        if_built!([$( <$cm::$cty as Kind>::facet_from_codes(codes).map(Self::$c) )?] None)
                    } )+
                    $( RecordKind::$k )|+ => None,
                }
            }

            /// Whether the record concerns a person (9.2).
            pub fn concerns_person(self) -> bool {
                match self { $($( Self::$c(facet) => <$cm::$cty as Kind>::concerns_person(facet), )?)+ }
            }

            /// What a person has to agree to before the record is shared.
            pub fn scope(self) -> Option<ShareScope> {
                match self { $($( Self::$c(facet) => <$cm::$cty as Kind>::scope(facet), )?)+ }
            }

            /// Whether the record answers another one.
            pub fn is_answer(self) -> bool {
                match self { $($( Self::$c(facet) => <$cm::$cty as Kind>::is_answer(facet), )?)+ }
            }

            /// How strictly the record is marked at least.
            pub fn lowest_tlp(self) -> Tlp {
                match self { $($( Self::$c(facet) => <$cm::$cty as Kind>::lowest_tlp(facet), )?)+ }
            }

            /// Whether the grant is for this kind, and its details cover the record.
            pub fn covered_by(self, grant: &Grant) -> bool {
                grant.record_kinds.contains(&self.kind())
                    && match self { $($( Self::$c(facet) => <$cm::$cty as Kind>::covered_by(grant, facet), )?)+ }
            }
        }
    };
}

record_kinds!(define);

/// Noon of a spring day: when samples are made.
#[cfg(any(test, feature = "samples"))]
pub const SAMPLED: UnixMs = UnixMs(1_780_000_000_000);

/// How long a control record lives: as long as notices are tried.
pub const CONTROL_LIFE: Millis = Millis::days(30);

/// What an envelope says, after it was verified and understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordBody {
    Content(Content),
    Control(Control),
}

impl RecordBody {
    /// Its kind.
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::Content(content) => content.kind(),
            Self::Control(control) => control.kind(),
        }
    }

    /// What it says, if it is content.
    pub const fn content(&self) -> Option<&Content> {
        match self {
            Self::Content(content) => Some(content),
            Self::Control(_) => None,
        }
    }
}

fn reserved(kind: RecordKind, grant: &Grant) -> Option<String> {
    Some(format!("{} receives from {}: {}", grant.to, grant.from, plain(kind.name())))
}

/// A name of the contract as people read it: `LONG_TERM_REFUGE` → `long term refuge`.
pub(crate) fn plain(name: &str) -> String {
    name.to_lowercase().replace('_', " ")
}

/// Names of the contract as people read them.
pub(crate) fn plain_list<T: Copy>(values: &[T], name: impl Fn(T) -> &'static str) -> String {
    values.iter().map(|v| plain(name(*v))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
