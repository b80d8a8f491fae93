//! The passes that the workers call, and how each went the last time.
//!
//! Invariant: a pass runs once at a time, and one that fails says so until it succeeds; no pass waits for another.

use std::sync::{Mutex, PoisonError};

use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::exchange::context::{Error, Passed};
use crate::pass::PassKind;
use crate::storage::owed::What;
use crate::telemetry::metrics;

use super::Upkeep;

/// How a pass went the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassReport {
    pub pass: PassKind,
    pub at: UnixMs,
    pub done: u64,
    pub postponed: u64,
    /// Why it failed, or why an item was postponed; `None`: all went well.
    pub reason: Option<Reason>,
}

/// One lock and one report for each.
#[derive(Default)]
pub(super) struct Passes {
    running: [tokio::sync::Mutex<()>; PassKind::ALL.len()],
    reports: Mutex<[Option<PassReport>; PassKind::ALL.len()]>,
}

impl Upkeep {
    /// Runs a pass, and notes how it went.
    ///
    /// # Errors
    /// When it failed as a whole, mostly because the store did; what was not done is found by the next run.
    pub async fn run_pass(&self, pass: PassKind) -> Result<Passed, Error> {
        let _one_at_a_time = self.passes.running[pass as usize].lock().await;
        let result = self.pass(pass).await;
        let passed = result.as_ref().copied().unwrap_or_default();
        let reason = result.as_ref().err().map(Error::reason).or(passed.reason);
        if let Some(reason) = passed.reason {
            metrics::POSTPONED.add([pass.name(), reason.code()], passed.postponed);
        }
        let (done, postponed) = (passed.done, passed.postponed);
        let report = PassReport { pass, at: self.now(), done, postponed, reason };
        self.passes.reports.lock().unwrap_or_else(PoisonError::into_inner)[pass as usize] = Some(report);
        result
    }

    async fn pass(&self, pass: PassKind) -> Result<Passed, Error> {
        Ok(match pass {
            PassKind::Dispatch => self.road.dispatch_pass().await?,
            PassKind::HoldOrRelease => self.hold_or_release_pass().await?,
            PassKind::SuspendedRecipients => self.owed_pass(What::SuspendedRecord).await?,
            PassKind::Announcements => self.owed_pass(What::Announcement).await?,
            PassKind::EndNotices => self.owed_pass(What::EndNotice).await?,
            PassKind::PauseNotices => self.owed_pass(What::PauseNotice).await?,
            PassKind::Erasures => self.owed_pass(What::Erasure).await?,
            PassKind::Backfill => self.owed_pass(What::Backfill).await?,
            PassKind::Deferred => {
                let mut passed = self.road.number_again_pass().await?;
                // While pieces follow at once, what was deferred comes behind the last of them.
                if !passed.more {
                    passed.add(self.road.queue_again_pass().await?);
                }
                passed
            }
            // Parties that do not answer are shown with the agreement, not as a failure of this node.
            PassKind::Ends => self.road.ask_ends_pass().await?,
            PassKind::Withdrawals => self.road.ask_withdrawals_pass().await?,
            PassKind::Holds => self.capacity.holds_pass().await?,
            PassKind::Checkpoint => Passed::done(usize::from(self.checkpoint_pass().await?)),
            PassKind::Sweep => Passed { done: self.sweep_pass().await?, ..Passed::default() },
            // Partners that do not answer are shown as partners, not as a failure of this node.
            PassKind::Greet => self.greet_pass().await.map(|_| Passed::default())?,
        })
    }

    /// How each pass went the last time, those that ran since the start.
    pub fn pass_reports(&self) -> Vec<PassReport> {
        self.passes.reports.lock().unwrap_or_else(PoisonError::into_inner).iter().flatten().cloned().collect()
    }
}
