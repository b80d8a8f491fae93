//! The passes of a node: what each finds its work in is the store's business, when each is called the workers'.

/// A pass. Its name is the label of its metrics and what `status` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum PassKind {
    /// What was published becomes envelopes.
    Dispatch,
    /// What waits is held for suspended recipients, released for restored ones, closed for removed ones.
    HoldOrRelease,
    /// What recipients that were suspended are owed.
    SuspendedRecipients,
    /// Complete agreements, to their parties.
    Announcements,
    /// Ends of agreements, to the parties that could not be told at once.
    EndNotices,
    /// Offers that a restore paused, to partners.
    PauseNotices,
    /// What is current and for all, to the partner of a grant that came into force.
    Backfill,
    /// What has lost its place, or was deferred, is queued again.
    Deferred,
    /// Parties of agreements that wait for confirmation are asked for the ends that they know.
    Ends,
    /// The signed head of the ledger.
    Checkpoint,
    /// What is past its time goes.
    Sweep,
    /// Partners are greeted.
    Greet,
    /// Records about persons that were withdrawn go, and their origins are told.
    Erasures,
    /// Partners are asked what of their records about persons was withdrawn.
    Withdrawals,
    /// Holds whose time is over are expired, and partners are told.
    Holds,
}

impl PassKind {
    /// All of them; a pass stands at its own number.
    pub const ALL: [Self; 15] = [
        Self::Dispatch,
        Self::HoldOrRelease,
        Self::SuspendedRecipients,
        Self::Announcements,
        Self::EndNotices,
        Self::PauseNotices,
        Self::Backfill,
        Self::Deferred,
        Self::Ends,
        Self::Checkpoint,
        Self::Sweep,
        Self::Greet,
        Self::Erasures,
        Self::Withdrawals,
        Self::Holds,
    ];

    /// Those that bring what is here into line with the register and the agreements.
    pub const UPKEEP: [Self; 11] = [
        Self::HoldOrRelease,
        Self::SuspendedRecipients,
        Self::Announcements,
        Self::EndNotices,
        Self::PauseNotices,
        Self::Backfill,
        Self::Deferred,
        Self::Ends,
        Self::Withdrawals,
        Self::Erasures,
        Self::Holds,
    ];

    /// The label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::HoldOrRelease => "hold_or_release",
            Self::SuspendedRecipients => "suspended_recipients",
            Self::Announcements => "announcements",
            Self::EndNotices => "end_notices",
            Self::PauseNotices => "pause_notices",
            Self::Backfill => "backfill",
            Self::Deferred => "deferred",
            Self::Ends => "ends",
            Self::Checkpoint => "checkpoint",
            Self::Sweep => "sweep",
            Self::Greet => "greet",
            Self::Erasures => "erasures",
            Self::Withdrawals => "withdrawals",
            Self::Holds => "holds",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics;

    #[test]
    fn each_pass_stands_at_its_number_and_has_its_label() {
        for (number, pass) in PassKind::ALL.into_iter().enumerate() {
            assert_eq!(pass as usize, number);
            assert!(metrics::WORKER.has(pass.name()), "{}", pass.name());
        }
    }
}
