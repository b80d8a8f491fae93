//! What a person agreed to: which notice, for which scopes, on which basis, and to whom never.

use crate::authority::ParticipantKind;
use crate::closed::closed_enum;
use crate::fault::{Fault, check_list};
use crate::handling::{LawfulBasis, Purpose, SpecialBasis};
use crate::ids::{AuthorityId, Digest};
use crate::reason::Reason;
use crate::text::{Language, TranslationProvenance, check_free_text};
use crate::time::{Millis, UnixMs};

/// Longest life of a scope: nothing is endless.
const SCOPE_LIFE: Millis = Millis::days(365);
/// What was shared under a scope is erased at its recipients at most this long after the scope's end: a placement or referral
/// is kept for 30 days after arrival.
const ERASE_AFTER: Millis = Millis::days(30);
/// Scopes, recipients, countries of one agreement to share.
const ITEMS: usize = 16;
/// Records that one scope may give leave for.
const USES: std::ops::RangeInclusive<u32> = 1..=1_000;
const LINE: usize = 80;

closed_enum! {
    /// What a person lets be shared. A referral scope is for help; the others are never given where somebody may be listening.
    pub enum ShareScope {
        ReferralShelter = 1 => "REFERRAL_SHELTER", ReferralMedical = 2 => "REFERRAL_MEDICAL",
        ReferralPsychological = 3 => "REFERRAL_PSYCHOLOGICAL", ReferralLegal = 4 => "REFERRAL_LEGAL",
        ReferralCasework = 5 => "REFERRAL_CASEWORK", AlertReported = 16 => "ALERT_REPORTED",
        MatchPerson = 17 => "MATCH_PERSON", LiaisonPolice = 18 => "LIAISON_POLICE",
    }
}

impl ShareScope {
    /// Whether it is one of `referral.*`.
    pub const fn is_referral(self) -> bool {
        (self as i32) < 16
    }

    /// Whether it may be shared for a person whose life is in danger and who cannot speak: shelter and medical help (11.11).
    pub const fn is_vital(self) -> bool {
        matches!(self, Self::ReferralShelter | Self::ReferralMedical)
    }
}

/// ISO 3166-1 alpha-2, lower case, as in the id of an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// `None` unless the text is two lower-case letters.
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 2] = text.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_lowercase).then_some(Self(code))
    }

    /// Two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn is_of(self, authority: &AuthorityId) -> bool {
        authority.country() == self.as_str()
    }
}

/// One scope: for what, to whom, until when, how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeTerms {
    pub scope: ShareScope,
    pub purposes: Vec<Purpose>,
    /// Each by name: the notice names them too (11.8).
    pub recipients: Vec<AuthorityId>,
    /// Where it may be kept: of every recipient, and of whoever hosts it.
    pub countries: Vec<Country>,
    /// Nothing is shared from then on.
    pub expires: UnixMs,
    /// Travels with each record: at that time its recipients erase, without a message.
    pub erase_by: UnixMs,
    /// Records that may be shared under it.
    pub uses: u32,
}

/// Who must never get it. It binds everything and is told to nobody (11.9): it has no printed form.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Exclusions {
    pub recipients: Vec<AuthorityId>,
    pub countries: Vec<Country>,
}

impl std::fmt::Debug for Exclusions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exclusions(withheld)")
    }
}

impl Exclusions {
    /// Whether this authority, or one of its country, must not get it.
    pub fn bar(&self, authority: &AuthorityId) -> bool {
        self.recipients.contains(authority) || self.countries.iter().any(|country| country.is_of(authority))
    }
}

/// The notice that was given, in her language (11.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub version: String,
    /// SHA-256 of the text that was shown or read.
    pub hash: Digest,
    pub language: Language,
    /// Never `MACHINE`: what nobody read is no notice.
    pub provenance: TranslationProvenance,
}

/// All that is agreed to, and the basis beside which it stands (11.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub notice: Notice,
    pub scopes: Vec<ScopeTerms>,
    pub exclusions: Exclusions,
    pub lawful_basis: LawfulBasis,
    pub special_basis: SpecialBasis,
    /// The provision of national law behind the basis.
    pub provision: String,
    /// Confirmed again by then, or it is closed; of a child, no later than the day on which the child is 18.
    pub reconfirm_by: UnixMs,
}

impl Terms {
    /// Whether they hold together, for an authority of this kind, now.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self, kind: ParticipantKind, now: UnixMs) -> Result<(), Fault> {
        self.check_notice()?;
        self.check_basis(kind)?;
        if self.scopes.is_empty() {
            return Err(Fault::missing("scopes"));
        }
        if self.scopes.len() > ITEMS {
            return Err(Fault::too_long("scopes", ITEMS, "scopes"));
        }
        for (i, scope) in self.scopes.iter().enumerate() {
            let field = format!("scopes[{i}]");
            if self.scopes[..i].iter().any(|other| other.scope == scope.scope) {
                return Err(Fault::invalid(format!("{field}.scope"), "each scope once"));
            }
            scope.check(&self.exclusions, now).map_err(|fault| fault.within(&field))?;
        }
        check_list("exclusions.recipients", &self.exclusions.recipients, ITEMS)?;
        check_list("exclusions.countries", &self.exclusions.countries, ITEMS)?;
        if !reconfirmed_in_time(self.reconfirm_by, now) {
            return Err(Fault::invalid("reconfirm_by_ms", "after now, within 365 days"));
        }
        Ok(())
    }

    fn check_notice(&self) -> Result<(), Fault> {
        check_free_text("notice.version", &self.notice.version, LINE)?;
        if self.notice.provenance == TranslationProvenance::Machine {
            return Err(Fault::invalid("notice.provenance", "ORIGINAL, HUMAN or MACHINE_REVIEWED"));
        }
        Ok(())
    }

    /// A public authority has a basis in law and asks for agreement beside it; agreement is never its basis (11.6).
    fn check_basis(&self, kind: ParticipantKind) -> Result<(), Fault> {
        check_free_text("provision", &self.provision, LINE)?;
        let public = is_public(kind);
        let lawful = match self.lawful_basis {
            LawfulBasis::PublicTask | LawfulBasis::LegalObligation | LawfulBasis::VitalInterests => true,
            LawfulBasis::Consent => !public,
            LawfulBasis::NoPersonalData => false,
        };
        if !lawful {
            return Err(Fault::invalid("lawful_basis", "a basis in law; consent never for a public authority"));
        }
        match self.special_basis {
            SpecialBasis::None => Err(Fault::missing("special_basis")),
            SpecialBasis::ExplicitConsent if public => {
                Err(Fault::invalid("special_basis", "never explicit consent for a public authority"))
            }
            _ => Ok(()),
        }
    }
}

impl ScopeTerms {
    fn check(&self, exclusions: &Exclusions, now: UnixMs) -> Result<(), Fault> {
        for (field, empty) in [
            ("purposes", self.purposes.is_empty()),
            ("recipients", self.recipients.is_empty()),
            ("countries", self.countries.is_empty()),
        ] {
            if empty {
                return Err(Fault::missing(field));
            }
        }
        check_list("purposes", &self.purposes, Purpose::ALL.len())?;
        check_list("recipients", &self.recipients, ITEMS)?;
        check_list("countries", &self.countries, ITEMS)?;
        if let Some(i) = self.recipients.iter().position(|r| !self.countries.iter().any(|c| c.is_of(r))) {
            return Err(Fault::invalid(format!("recipients[{i}]"), "of one of the countries"));
        }
        // The caller knows her exclusions; whoever reads a refusal later need not.
        if let Some(i) = self.recipients.iter().position(|r| exclusions.bar(r)) {
            return Err(Fault::new(Reason::NoAgreementToShare, format!("recipients[{i}]"), ""));
        }
        if self.expires <= now || self.expires > now + SCOPE_LIFE {
            return Err(Fault::invalid("expires_ms", "after now, within 365 days"));
        }
        if self.erase_by < self.expires || self.erase_by > self.expires + ERASE_AFTER {
            return Err(Fault::invalid("erase_by_ms", "not before expires_ms, at most 30 days after it"));
        }
        if !USES.contains(&self.uses) {
            return Err(Fault::invalid("uses", "1 to 1,000"));
        }
        Ok(())
    }
}

/// Whether a date of confirming again is one: nothing is endless.
pub(super) fn reconfirmed_in_time(by: UnixMs, now: UnixMs) -> bool {
    now < by && by <= now + SCOPE_LIFE
}

/// Whether a participant is a public authority, or acts as one.
const fn is_public(kind: ParticipantKind) -> bool {
    use ParticipantKind as K;
    !matches!(
        kind,
        K::MandatedNgo | K::ServiceProvider | K::TradeUnion | K::NationalAssociation | K::InternationalAssociation
    )
}
