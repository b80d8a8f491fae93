//! What a round gave, beside the control, and which gates it missed.

use std::time::Duration;

use crate::honest::Latencies;
use crate::watched::Cost;

/// Honest p99 under an attack, in p99 under the control.
const SLOWER: f64 = 2.0;
/// Growth of memory, in bytes.
const MEMORY: u64 = 64 << 20;
/// Bytes that a log may grow in a minute.
const LOG_A_MINUTE: f64 = 1_000_000.0;
/// What the first lines of a new condition may add to that: a round is shorter than a minute.
const FIRST_LINES: f64 = 16_384.0;

/// One round.
#[derive(Clone, Debug)]
pub struct Round {
    pub calls: u64,
    pub honest: Latencies,
    pub cost: Cost,
}

impl Round {
    pub fn p99(&self) -> Duration {
        self.honest.at(0.99)
    }

    /// Which gates it missed.
    pub fn faults(&self, control: &Round) -> Vec<String> {
        let mut faults = Vec::new();
        let ratio = self.p99().as_secs_f64() / control.p99().as_secs_f64();
        if ratio > SLOWER {
            faults.push(format!("honest p99 {:.1?} is {ratio:.1} × the control's", self.p99()));
        }
        if self.honest.failed > 0 {
            faults.push(format!("{} honest calls failed", self.honest.failed));
        }
        if self.cost.memory > MEMORY {
            faults.push(format!("{} MiB more memory", self.cost.memory >> 20));
        }
        if self.cost.log as f64 > LOG_A_MINUTE * self.cost.took.as_secs_f64() / 60.0 + FIRST_LINES {
            faults.push(format!("{} KiB of log in {:.1?}", self.cost.log >> 10, self.cost.took));
        }
        if self.calls == 0 {
            faults.push("the attack was not under way".to_owned());
        }
        faults
    }
}

pub fn head() {
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>6}",
        "attack", "calls", "p50 ms", "p99 ms", "× contr.", "RSS MiB", "log KiB", "disk KiB", "cores"
    );
}

pub fn line(name: &str, round: &Round, control: &Round) {
    let ms = |at: Duration| at.as_secs_f64() * 1_000.0;
    let (p50, p99) = (ms(round.honest.at(0.5)), ms(round.p99()));
    println!(
        "{name:<22} {:>9} {p50:>9.1} {p99:>9.1} {:>8.2} {:>8.1} {:>8} {:>8} {:>6.2}",
        round.calls,
        p99 / ms(control.p99()),
        round.cost.memory as f64 / f64::from(1 << 20),
        round.cost.log >> 10,
        round.cost.disk >> 10,
        round.cost.cores,
    );
}
