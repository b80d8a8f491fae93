//! What must still happen: one row each in the table `owed`, written in the transaction of the act that causes it and
//! gone in the transaction that fulfils it.
//!
//! What lives here: the sorts, and how a subject stands in its column. What does not: what fulfils a row; the passes of
//! the exchange do. Invariant: nothing that must happen later hides anywhere else, least of all in named values.

use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, AuthorityId, OfferId, RecordId, StatementId};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::time::UnixMs;

/// The sorts of what is owed; the number is the column `what`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum What {
    /// A record for a recipient that was suspended when it was dispatched.
    SuspendedRecord = 1,
    /// What is current and for all, for the partner of a grant that comes into force.
    Backfill = 2,
    /// The complete agreement, from its proposer to a party.
    Announcement = 3,
    /// The notice to a party that another one left.
    EndNotice = 4,
    /// The news to partners that an offer is paused since a restore.
    PauseNotice = 5,
    /// The ledger's line of an emergency suspension that is about to act.
    EmergencyEntry = 6,
    /// A record about a person that is to be erased here.
    Erasure = 7,
}

impl What {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::SuspendedRecord,
        Self::Backfill,
        Self::Announcement,
        Self::EndNotice,
        Self::PauseNotice,
        Self::EmergencyEntry,
        Self::Erasure,
    ];

    /// The name that `status` shows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SuspendedRecord => "SUSPENDED_RECORD",
            Self::Backfill => "BACKFILL",
            Self::Announcement => "ANNOUNCEMENT",
            Self::EndNotice => "END_NOTICE",
            Self::PauseNotice => "PAUSE_NOTICE",
            Self::EmergencyEntry => "EMERGENCY_ENTRY",
            Self::Erasure => "ERASURE",
        }
    }

    /// The sort with this number.
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|what| *what as i32 == code)
    }
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    SuspendedRecord(RecordKey),
    Backfill(GrantRef),
    Announcement(AgreementId),
    /// The agreement, and the party that left.
    EndNotice(AgreementId, AuthorityId),
    PauseNotice(OfferId),
    EmergencyEntry(StatementId),
    Erasure(RecordKey),
}

impl Subject {
    /// Its sort.
    pub const fn what(&self) -> What {
        match self {
            Self::SuspendedRecord(_) => What::SuspendedRecord,
            Self::Backfill(_) => What::Backfill,
            Self::Announcement(_) => What::Announcement,
            Self::EndNotice(..) => What::EndNotice,
            Self::PauseNotice(_) => What::PauseNotice,
            Self::EmergencyEntry(_) => What::EmergencyEntry,
            Self::Erasure(_) => What::Erasure,
        }
    }

    /// As it stands in its column: ids, lower-case hexadecimal where they are bytes, parted by a slash.
    pub fn text(&self) -> String {
        match self {
            Self::SuspendedRecord(key) | Self::Erasure(key) => format!("{}/{}", key.origin, key.record_id),
            Self::Backfill(grant) => format!("{}/{}", grant.agreement, grant.number),
            Self::Announcement(agreement) => agreement.to_string(),
            Self::EndNotice(agreement, by) => format!("{agreement}/{by}"),
            Self::PauseNotice(offer) => offer.to_string(),
            Self::EmergencyEntry(statement) => statement.to_string(),
        }
    }

    /// The inverse of `text`; `None` for what this program did not write.
    pub fn parse(what: What, text: &str) -> Option<Self> {
        let (first, second) = text.split_once('/').map_or((text, None), |(first, second)| (first, Some(second)));
        let alone = || second.is_none().then_some(first);
        let record = || Some(RecordKey { origin: AuthorityId::parse(first)?, record_id: RecordId::from_hex(second?)? });
        Some(match what {
            What::SuspendedRecord => Self::SuspendedRecord(record()?),
            What::Erasure => Self::Erasure(record()?),
            What::Backfill => {
                let (agreement, number) = (AgreementId::from_hex(first)?, second?.parse().ok()?);
                Self::Backfill(GrantRef { agreement, number })
            }
            What::Announcement => Self::Announcement(AgreementId::from_hex(alone()?)?),
            What::EndNotice => Self::EndNotice(AgreementId::from_hex(first)?, AuthorityId::parse(second?)?),
            What::PauseNotice => Self::PauseNotice(OfferId::from_hex(alone()?)?),
            What::EmergencyEntry => Self::EmergencyEntry(StatementId::from_hex(alone()?)?),
        })
    }
}

/// Names one thing that is owed; a second row of the same key is the same thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedKey {
    pub subject: Subject,
    /// Whom it is for; `None`: nobody in particular.
    pub recipient: Option<AuthorityId>,
}

impl OwedKey {
    /// For somebody.
    pub fn to(recipient: &AuthorityId, subject: Subject) -> Self {
        Self { subject, recipient: Some(recipient.clone()) }
    }

    /// For nobody in particular.
    pub fn of(subject: Subject) -> Self {
        Self { subject, recipient: None }
    }
}

/// A new one. One that is owed already stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    pub key: OwedKey,
    pub since: UnixMs,
    /// Not looked at before.
    pub due: UnixMs,
}

impl Owed {
    /// Due at once.
    pub fn now(key: OwedKey, now: UnixMs) -> Self {
        Self { key, since: now, due: now }
    }
}

/// One that could not be done: looked at again when it is due again, and in nobody's way until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postponed {
    pub key: OwedKey,
    pub due: UnixMs,
    pub reason: Reason,
}

/// One as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedRow {
    pub key: OwedKey,
    pub since: UnixMs,
    pub due: UnixMs,
    /// Times it was postponed.
    pub attempts: u32,
    /// Why it was postponed the last time.
    pub reason: Option<Reason>,
}

/// How much of a sort is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedCount {
    pub what: What,
    pub rows: u64,
    /// Those that were postponed at least once.
    pub postponed: u64,
    pub oldest: UnixMs,
    /// Why one of them was postponed.
    pub reason: Option<Reason>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_back_from_its_column() {
        let agreement = AgreementId([7; 32]);
        let kehl = AuthorityId::parse("de-kehl").unwrap();
        let subjects = [
            Subject::SuspendedRecord(RecordKey { origin: kehl.clone(), record_id: RecordId([1; 16]) }),
            Subject::Backfill(GrantRef { agreement, number: 3 }),
            Subject::Announcement(agreement),
            Subject::EndNotice(agreement, kehl),
            Subject::PauseNotice(OfferId([2; 16])),
            Subject::EmergencyEntry(StatementId([4; 32])),
            Subject::Erasure(RecordKey {
                origin: AuthorityId::parse("fr-strasbourg").unwrap(),
                record_id: RecordId([5; 16]),
            }),
        ];
        assert_eq!(subjects.clone().map(|subject| subject.what()), What::ALL, "each sort once");
        for subject in subjects {
            assert_eq!(Subject::parse(subject.what(), &subject.text()), Some(subject.clone()));
            for broken in ["", "x", "/", &format!("{}0", subject.text()), &format!("{}/1/2", subject.text())] {
                let parsed = Subject::parse(subject.what(), broken);
                let grown = matches!(parsed, Some(Subject::Backfill(_) | Subject::EndNotice(..)));
                assert!(parsed.is_none() || grown && broken.ends_with('0'), "{broken}");
            }
        }
        for what in What::ALL {
            assert_eq!(What::from_code(what as i32), Some(what));
        }
        assert_eq!(What::from_code(0), None);
    }
}
