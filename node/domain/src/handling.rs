//! How a record may be handled: TLP 2.0, PAP, purpose, legal bases, status.

use super::closed::closed_enum;

closed_enum! {
    /// Traffic Light Protocol 2.0, from open to closed; the order is the restriction.
    pub enum Tlp { Clear = 1 => "CLEAR", Green = 2 => "GREEN", Amber = 3 => "AMBER", AmberStrict = 4 => "AMBER_STRICT", Red = 5 => "RED" }
}

closed_enum! {
    /// Permissible Actions Protocol, from open to closed.
    pub enum Pap { Clear = 1 => "CLEAR", Green = 2 => "GREEN", Amber = 3 => "AMBER", Red = 4 => "RED" }
}

closed_enum! {
    /// Why a record is shared: a closed list.
    pub enum Purpose {
        Prevention = 1 => "PREVENTION", Identification = 2 => "IDENTIFICATION", Assistance = 3 => "ASSISTANCE",
        Protection = 4 => "PROTECTION", LicensingOversight = 5 => "LICENSING_OVERSIGHT",
        ProcurementIntegrity = 6 => "PROCUREMENT_INTEGRITY", Learning = 7 => "LEARNING", Statistics = 8 => "STATISTICS",
        Governance = 9 => "GOVERNANCE",
    }
}

closed_enum! {
    /// GDPR Art. 6(1), or the national law that mirrors it.
    pub enum LawfulBasis {
        PublicTask = 1 => "PUBLIC_TASK", LegalObligation = 2 => "LEGAL_OBLIGATION", VitalInterests = 3 => "VITAL_INTERESTS",
        Consent = 4 => "CONSENT", NoPersonalData = 5 => "NO_PERSONAL_DATA",
    }
}

closed_enum! {
    /// GDPR Art. 9(2).
    pub enum SpecialBasis {
        None = 1 => "NONE", ExplicitConsent = 2 => "EXPLICIT_CONSENT", VitalInterests = 3 => "VITAL_INTERESTS",
        SubstantialPublicInterest = 4 => "SUBSTANTIAL_PUBLIC_INTEREST", HealthOrSocialCare = 5 => "HEALTH_OR_SOCIAL_CARE",
    }
}

closed_enum! {
    /// CAP 1.2 status, without the values that do not apply here.
    pub enum RecordStatus { Actual = 1 => "ACTUAL", Exercise = 2 => "EXERCISE", Test = 3 => "TEST" }
}

/// TLP and PAP travel together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handling {
    /// Who may read.
    pub tlp: Tlp,
    /// What may be done with it.
    pub pap: Pap,
}
