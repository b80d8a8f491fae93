//! How it was given, and by whom: free, or not given (11.7); who may decide (11.10, 11.11).

use crate::actor::Actor;
use crate::closed::closed_enum;
use crate::fault::Fault;
use crate::handling::{LawfulBasis, SpecialBasis};
use crate::reason::Reason;
use crate::text::check_free_text;
use crate::time::{Millis, UnixMs};

use super::terms::{ShareScope, Terms};

/// What was given where nobody could be sure that she was free is good for this long.
pub(super) const PROVISIONAL: Millis = Millis::hours(48);
/// An emergency ends after this span.
pub(super) const VITAL_LIFE: Millis = Millis::hours(72);
/// By then a second person has approved, or it is restricted.
pub(super) const VITAL_APPROVAL: Millis = Millis::hours(24);

closed_enum! {
    /// How the notice was given.
    pub enum NoticeMode {
        Read = 1 => "READ", Oral = 2 => "ORAL", Interpreted = 3 => "INTERPRETED", EasyRead = 4 => "EASY_READ", Sign = 5 => "SIGN",
    }
}

closed_enum! {
    /// Who interpreted.
    pub enum Interpreter {
        None = 1 => "NONE", Independent = 2 => "INDEPENDENT", IndependenceUnknown = 3 => "INDEPENDENCE_UNKNOWN",
        /// Somebody who came with her.
        Companion = 4 => "COMPANION",
    }
}

closed_enum! {
    /// Where it was given.
    pub enum ShareSetting {
        Outreach = 1 => "OUTREACH", Shelter = 2 => "SHELTER", Hospital = 3 => "HOSPITAL", PolicePremises = 4 => "POLICE_PREMISES",
        Detention = 5 => "DETENTION",
        /// By phone, video or online.
        Remote = 6 => "REMOTE",
        Other = 7 => "OTHER",
    }
}

/// The circumstances in which somebody agreed, or confirmed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    pub mode: NoticeMode,
    pub interpreter: Interpreter,
    pub setting: ShareSetting,
    /// Whoever exploits her was certainly not there, nor listening.
    pub exploiter_excluded: bool,
    /// Remote only: called back on the safe number, asked whether she is alone, code word said.
    pub called_back_alone_with_code_word: bool,
    /// She said the duress word: everything looks as if it were given, and nothing is shared.
    pub duress: bool,
}

/// How freely it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freedom {
    Free,
    /// Good for 48 h and help alone, then to be confirmed elsewhere.
    Provisional,
}

impl Circumstances {
    /// How freely it was given.
    ///
    /// # Errors
    /// `SHARING_NOT_FREE`: then it is not given.
    pub fn freedom(&self) -> Result<Freedom, Reason> {
        if !self.exploiter_excluded || self.interpreter == Interpreter::Companion {
            return Err(Reason::SharingNotFree);
        }
        // An interpreted notice without an interpreter was somebody whom nobody wrote down.
        if self.mode == NoticeMode::Interpreted && self.interpreter == Interpreter::None {
            return Err(Reason::SharingNotFree);
        }
        match self.setting {
            ShareSetting::Remote if !self.called_back_alone_with_code_word => Err(Reason::SharingNotFree),
            ShareSetting::Remote | ShareSetting::PolicePremises | ShareSetting::Detention => Ok(Freedom::Provisional),
            _ if self.interpreter == Interpreter::IndependenceUnknown => Ok(Freedom::Provisional),
            _ => Ok(Freedom::Free),
        }
    }
}

closed_enum! {
    /// How old she is, as far as this decides who speaks for her.
    pub enum AgeAssessment { Adult = 1 => "ADULT", Child = 2 => "CHILD", UncertainTreatedAsChild = 3 => "UNCERTAIN_TREATED_AS_CHILD" }
}

closed_enum! {
    /// What the child said, or why the child was not asked.
    pub enum ChildViews { Heard = 1 => "HEARD", TooYoung = 2 => "TOO_YOUNG", DidNotSay = 3 => "DID_NOT_SAY" }
}

closed_enum! {
    /// Why she cannot decide herself.
    pub enum Incapacity { Physical = 1 => "PHYSICAL", Legal = 2 => "LEGAL" }
}

/// What must be known about a child before anybody decides for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildTerms {
    /// The best-interests assessment, by its number there.
    pub best_interests: String,
    pub views: ChildViews,
    pub unaccompanied: bool,
    /// Both data-protection officers agreed: needed for search and liaison.
    pub both_officers_agreed: bool,
}

closed_enum! {
    /// Who decides.
    pub enum DeciderKind {
        Person = 1 => "PERSON", Guardian = 2 => "GUARDIAN", ChildProtection = 3 => "CHILD_PROTECTION", VitalInterest = 4 => "VITAL_INTEREST",
    }
}

/// Who decides, and in which standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// She herself, an adult.
    Person,
    /// A child's guardian.
    Guardian { independent_of_migration_authorities: bool, in_conflict: bool },
    /// The child-protection authority, where there is no guardian who may.
    ChildProtection,
    /// A named member of staff, for somebody who cannot speak and whose life is at stake.
    VitalInterest { incapacity: Incapacity, by: Actor },
}

impl Decider {
    /// Who, without the standing.
    pub const fn kind(&self) -> DeciderKind {
        match self {
            Self::Person => DeciderKind::Person,
            Self::Guardian { .. } => DeciderKind::Guardian,
            Self::ChildProtection => DeciderKind::ChildProtection,
            Self::VitalInterest { .. } => DeciderKind::VitalInterest,
        }
    }
}

/// Whom it is about, as far as this decides who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub age: AgeAssessment,
    /// Present exactly for who is, or is treated as, a child.
    pub child: Option<ChildTerms>,
}

impl Subject {
    /// Whether it holds together with the terms.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self, terms: &Terms) -> Result<(), Fault> {
        match (self.age, &self.child) {
            (AgeAssessment::Adult, None) => Ok(()),
            (AgeAssessment::Adult, Some(_)) => Err(Fault::invalid("subject.child", "only for a child")),
            (_, None) => Err(Fault::missing("subject.child")),
            (_, Some(child)) => {
                check_free_text("subject.child.best_interests", &child.best_interests, 40)?;
                let beyond_help =
                    |scope: ShareScope| matches!(scope, ShareScope::MatchPerson | ShareScope::LiaisonPolice);
                if !child.both_officers_agreed && terms.scopes.iter().any(|s| beyond_help(s.scope)) {
                    return Err(Fault::missing("subject.child.both_officers_agreed"));
                }
                Ok(())
            }
        }
    }
}

/// Whether this decider may, about this person, on these terms; `prior`: a person of this case has refused or withdrawn before.
///
/// # Errors
/// `DECIDER_NOT_ALLOWED`.
pub fn check_decider(
    decider: Decider,
    subject: &Subject,
    terms: &Terms,
    prior: bool,
    now: UnixMs,
) -> Result<(), Reason> {
    let vital_basis = terms.lawful_basis == LawfulBasis::VitalInterests;
    let allowed = match (decider, &subject.child) {
        (Decider::VitalInterest { .. }, _) => {
            let short = |s: &super::terms::ScopeTerms| s.scope.is_vital() && s.expires <= now + VITAL_LIFE;
            vital_basis
                && terms.special_basis == SpecialBasis::VitalInterests
                && !prior
                && terms.scopes.iter().all(short)
        }
        _ if vital_basis => false,
        (Decider::Person, None) => true,
        (Decider::Guardian { in_conflict: true, .. }, _) => false,
        (Decider::Guardian { independent_of_migration_authorities, .. }, Some(child)) => {
            !child.unaccompanied || independent_of_migration_authorities
        }
        (Decider::ChildProtection, Some(_)) => true,
        (Decider::Person, Some(_)) | (Decider::Guardian { .. } | Decider::ChildProtection, None) => false,
    };
    if allowed { Ok(()) } else { Err(Reason::DeciderNotAllowed) }
}
