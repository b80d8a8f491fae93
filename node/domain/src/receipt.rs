//! The receiver's signed answer to a batch: one outcome per item (9.3).

use super::closed::closed_enum;
use super::directory::Position;
use super::ids::{AuthorityId, Digest, FederationId, Incarnation};
use super::reason::Reason;
use super::record::StreamClass;
use super::time::UnixMs;

closed_enum! {
    /// The outcome of one item as a number.
    pub enum OutcomeKind {
        Stored = 1 => "STORED", Duplicate = 2 => "DUPLICATE", Refused = 3 => "REFUSED", Quarantined = 4 => "QUARANTINED",
        RetryLater = 5 => "RETRY_LATER", Skipped = 6 => "SKIPPED",
    }
}

/// The outcome of one item. All but `RetryLater` consume its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Stored,
    Duplicate,
    Refused(Reason),
    Quarantined(Reason),
    /// Ends the batch and does not consume the number.
    RetryLater(Reason),
    /// The sender skipped the number; why stands in the item.
    Skipped(Reason),
}

impl Verdict {
    /// Its name, for people and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stored => "STORED",
            Self::Duplicate => "DUPLICATE",
            Self::Refused(_) => "REFUSED",
            Self::Quarantined(_) => "QUARANTINED",
            Self::RetryLater(_) => "RETRY_LATER",
            Self::Skipped(_) => "SKIPPED",
        }
    }
}

/// One item's line of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemOutcome {
    /// SHA-256 of the encoded `Signed`; `None` for a skip.
    pub envelope: Option<Digest>,
    pub verdict: Verdict,
}

/// One signed receipt per batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub federation: FederationId,
    pub origin: AuthorityId,
    pub recipient: AuthorityId,
    pub origin_incarnation: Incarnation,
    pub recipient_incarnation: Incarnation,
    pub class: StreamClass,
    /// Number of the first item.
    pub first: u64,
    pub outcomes: Vec<ItemOutcome>,
    /// Place in the register by which the recipient judged.
    pub register: Position,
    pub time: UnixMs,
}

impl Verdict {
    /// Its number on the wire.
    pub const fn kind(self) -> OutcomeKind {
        match self {
            Self::Stored => OutcomeKind::Stored,
            Self::Duplicate => OutcomeKind::Duplicate,
            Self::Refused(_) => OutcomeKind::Refused,
            Self::Quarantined(_) => OutcomeKind::Quarantined,
            Self::RetryLater(_) => OutcomeKind::RetryLater,
            Self::Skipped(_) => OutcomeKind::Skipped,
        }
    }

    /// Whether it says what is said of what does not exist (`Reason::is_of_nothing`).
    pub const fn is_of_nothing(self) -> bool {
        matches!(self, Self::Refused(reason) | Self::RetryLater(reason) if reason.is_of_nothing())
    }

    /// Why, unless it was taken.
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Stored | Self::Duplicate => None,
            Self::Refused(r) | Self::Quarantined(r) | Self::RetryLater(r) | Self::Skipped(r) => Some(r),
        }
    }

    /// Whether the item's number is used up.
    pub const fn consumes(self) -> bool {
        !matches!(self, Self::RetryLater(_))
    }
}

/// What its sender knows of one number of a batch.
#[derive(Clone, Copy, Debug)]
pub struct SentItem {
    /// Of the envelope as it was queued.
    pub digest: Digest,
    /// Of the same one signed with a later key; an earlier attempt may have carried the signature before.
    pub again: Option<Digest>,
    /// Why its number travels as a skip; `None`: the envelope does.
    pub skip: Option<Reason>,
    /// The skip was decided on this attempt, and is stored nowhere yet.
    pub given_up: bool,
    /// The recipient acknowledged it once, and lost it to an older backup since.
    pub given: bool,
    /// Why it makes room: its number travels as a skip, and it is queued again.
    pub deferred: Option<Reason>,
}

/// The result of one item, as the partner signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemResult {
    Stored,
    Duplicate,
    Refused(Reason),
    Quarantined(Reason),
    Skipped,
    /// Its number was consumed by a skip, and it waits, held, to be queued again.
    Deferred(Reason),
}

impl SentItem {
    /// Whether a line of a receipt speaks of this item: it names the envelope of its number, or says that the number came as a
    /// skip: on this attempt or an earlier one, whose answer was lost.
    fn is_of(&self, line: &ItemOutcome) -> bool {
        // Of a number whose row does not read nobody knows any more what was sent.
        let lost = self.skip == Some(Reason::StorageDamaged);
        line.envelope.is_none_or(|digest| lost || digest == self.digest || self.again == Some(digest))
    }

    /// What it came to.
    pub fn result(&self, verdict: Verdict) -> ItemResult {
        match (verdict, self.skip) {
            (Verdict::Stored, _) => ItemResult::Stored,
            (Verdict::Duplicate, _) => ItemResult::Duplicate,
            (Verdict::Quarantined(reason) | Verdict::RetryLater(reason), _) => ItemResult::Quarantined(reason),
            (Verdict::Refused(reason), _) => ItemResult::Refused(reason),
            // It was delivered, and may not be sent a second time: what was is not undone by that.
            (Verdict::Skipped(_), Some(_)) if self.given_up && self.given => ItemResult::Duplicate,
            (Verdict::Skipped(_), Some(reason)) if self.given_up => ItemResult::Refused(reason),
            (Verdict::Skipped(_), Some(_)) => ItemResult::Skipped,
            // Now or on an earlier attempt, whose answer was lost, the number made room or was given up by a clock that was
            // ahead: the item itself goes on.
            (Verdict::Skipped(reason), None) => ItemResult::Deferred(self.deferred.unwrap_or(reason)),
        }
    }
}

impl Receipt {
    /// The number after the last one consumed.
    pub fn next(&self) -> u64 {
        self.first + self.outcomes.iter().filter(|o| o.verdict.consumes()).count() as u64
    }

    /// What it says of items that were sent from number `first` on; nothing when it ends before them, as the receipt of an
    /// earlier batch does, and less than was sent when it is one of a shorter batch.
    ///
    /// # Errors
    /// `STREAM_OUT_OF_ORDER` when a line names other bytes than were sent under its number: the recipient took that number from
    /// an earlier life of the sender, and a greeting tells where the stream goes on.
    pub fn of(&self, first: u64, items: impl Iterator<Item = SentItem>) -> Result<Vec<Verdict>, Reason> {
        let Some(offset) = first.checked_sub(self.first) else { return Ok(Vec::new()) };
        let lines = self.outcomes.iter().skip(usize::try_from(offset).unwrap_or(usize::MAX));
        lines
            .zip(items)
            .map(|(line, item)| item.is_of(line).then_some(line.verdict).ok_or(Reason::StreamOutOfOrder))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_skipped_has_a_reason_or_its_item_goes_on() {
        let item = |skip, given_up, deferred| SentItem {
            digest: Digest([1; 32]),
            again: None,
            skip,
            given_up,
            given: false,
            deferred,
        };
        let (said, own) = (Verdict::Skipped(Reason::EnvelopeExpired), Some(Reason::SkippedAfterWait));
        assert_eq!(item(own, false, None).result(said), ItemResult::Skipped, "its reason is stored with it");
        assert_eq!(item(own, true, None).result(said), ItemResult::Refused(Reason::SkippedAfterWait));
        let before = item(None, false, None).result(said);
        assert_eq!(
            before,
            ItemResult::Deferred(Reason::EnvelopeExpired),
            "an earlier attempt gave it up by a wrong clock"
        );
        let before = item(None, false, None).result(Verdict::Skipped(Reason::Deferred));
        assert_eq!(before, ItemResult::Deferred(Reason::Deferred), "it made room before its node was killed");
        let now = item(None, false, Some(Reason::KeyNotCurrent)).result(Verdict::Skipped(Reason::Deferred));
        assert_eq!(now, ItemResult::Deferred(Reason::KeyNotCurrent));
        assert_eq!(item(own, true, None).result(Verdict::Stored), ItemResult::Stored, "an earlier attempt sent it");
        let given = SentItem { given: true, ..item(own, true, None) };
        assert_eq!(given.result(said), ItemResult::Duplicate, "it was delivered, and stays so");
    }
}
