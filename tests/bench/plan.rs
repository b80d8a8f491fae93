//! How long and how often.

use std::path::PathBuf;
use std::time::Duration;

/// What the arguments ask for.
pub struct Plan {
    /// Length of each loop.
    pub span: Duration,
    /// Runs of each loop; the median is shown.
    pub runs: usize,
    /// Starts whose median is the time to ready.
    pub starts: usize,
    /// Alerts in flight, one loop each.
    pub in_flight: Vec<usize>,
    /// A folder on a real disk.
    pub dir: PathBuf,
    /// The node's binary.
    pub binary: PathBuf,
}

impl Plan {
    /// A ceiling needs no more than a third of the time: nothing in it has to settle.
    pub fn ceiling_span(&self) -> Duration {
        self.span.mul_f64(0.34)
    }

    /// Before the first measured loop: connections open, caches fill.
    pub fn warm_up(&self) -> Duration {
        self.span.mul_f64(0.34)
    }
}
