//! The end of a run: its figures, and whether everything holds.

use std::sync::atomic::Ordering;

use anyhow::ensure;

use crate::load::locked;
use crate::report::{self, Episode};
use crate::scene::Scene;

impl Scene {
    /// What was done, and what it cost.
    pub fn summary(&self, episodes: &[Episode], began: u64, ended: u64, term: u64) {
        let acknowledged = self.acknowledged();
        println!();
        report::table(episodes, &acknowledged).iter().for_each(|line| println!("{line}"));
        let (history, ledger) = (locked(&self.load.history), locked(&self.load.ledger));
        let told: usize = history
            .writes
            .iter()
            .map(|write| (0..ledger.replicas()).filter(|replica| ledger.told(*replica, write.number)).count())
            .sum();
        let span = (ended - began) as f64 / 1e6;
        println!(
            "\n{} faults in {span:.0} s; {} writes acknowledged ({:.0}/s), {} linearizable reads, {} views, terms {} to {}",
            episodes.len(),
            history.writes.len(),
            history.writes.len() as f64 / span,
            history.reads.len(),
            history.views.len(),
            term,
            self.load.term.load(Ordering::Relaxed),
        );
        println!(
            "{told} of {} (write, replica) pairs seen in the replica's own log, the others under a head after a snapshot",
            history.writes.len() * ledger.replicas()
        );
        for (what, times) in locked(&self.load.refusals).iter() {
            println!("  {times:>7} x {what}");
        }
    }

    /// Whether everything holds.
    ///
    /// # Errors
    /// The first violations.
    pub fn judge(&self, episodes: &[Episode], ended: u64) -> anyhow::Result<()> {
        let still = report::stood_still(episodes, &self.acknowledged(), ended);
        let (history, ledger) = (locked(&self.load.history), locked(&self.load.ledger));
        ensure!(!history.writes.is_empty() && !history.reads.is_empty(), "nothing was done: this shows nothing");
        let wrongs = locked(&self.load.wrongs);
        let faults = [&wrongs[..], ledger.faults(), &history.faults(&ledger), &still].concat();
        ensure!(faults.is_empty(), "{} VIOLATIONS\n{}", faults.len(), faults[..faults.len().min(20)].join("\n"));
        Ok(())
    }
}
