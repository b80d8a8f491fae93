//! What a round gave, beside the control, and which gates it missed.

use std::time::Duration;

use crate::attacks::Attack;
use crate::honest::{Latencies, RATE};
use crate::watched::Cost;

/// Honest p99 under an attack, in p99 under the control.
const SLOWER: f64 = 2.0;
/// Growth of memory, in bytes.
pub const MEMORY: u64 = 64 << 20;
/// Bytes that a log may grow in a minute.
const LOG_A_MINUTE: f64 = 1_000_000.0;
/// What the first lines of a new condition may add to that: a round is shorter than a minute.
const FIRST_LINES: f64 = 16_384.0;
/// Processor cores beyond those of the quiet round, where work at will was the fault: each was half a core and more beyond it.
const CORES: f64 = 0.35;
/// What each such call may cost of what an honest alert costs in the quiet round: a faster machine is called more often in a second,
/// and is not worse for it. The fault was 58 µs for each guess, where an alert cost 1.75 ms; 23 µs were left of it. Of a guess all is the
/// node's own, and of an alert most is SQLite's: in a build whose own rooms are not optimised a guess costs 0.041 to 0.052 of
/// one, and the fault would cost 0.1.
const EACH: f64 = if cfg!(debug_assertions) { 0.08 } else { 0.025 };
/// Questions in a second to a node that answers nonsense: whoever does not wait asks thousands of times.
const ASKED_A_SECOND: f64 = 100.0;
/// Bytes on disk beyond those of the quiet round, in a second, where rows at will were the fault.
const DISK_A_SECOND: f64 = 400_000.0;

/// One round.
#[derive(Clone, Debug)]
pub struct Round {
    pub calls: u64,
    pub honest: Latencies,
    /// How often the node did not say that it is alive.
    pub silent: usize,
    /// The node that is attacked, then its partner.
    pub costs: [Cost; 2],
}

impl Round {
    pub fn p99(&self) -> Duration {
        self.honest.at(0.99)
    }

    /// Which gates it missed.
    pub fn faults(&self, attack: Attack, control: &Round, quiet: &Round) -> Vec<String> {
        let mut faults = Vec::new();
        let ratio = self.p99().as_secs_f64() / control.p99().as_secs_f64();
        if ratio > SLOWER {
            faults.push(format!("honest p99 {:.1?} is {ratio:.1} × the control's", self.p99()));
        }
        if self.honest.failed > 0 {
            faults.push(format!("{} honest calls failed", self.honest.failed));
        }
        if self.silent > 0 {
            faults.push(format!("{} times the node did not say that it is alive", self.silent));
        }
        for (cost, quiet) in self.costs.iter().zip(&quiet.costs) {
            faults.extend(cost.faults(attack, quiet, self.calls));
        }
        // What the partner takes is written in steps, as large as a round's bound.
        let [disk, usual] = [self, quiet].map(|round| round.costs[0].disk as f64 / round.costs[0].took.as_secs_f64());
        if attack.bounds_disk() && disk - usual > DISK_A_SECOND {
            faults
                .push(format!("{:.0} KiB more on disk in a second than in the quiet round", (disk - usual) / 1_024.0));
        }
        let asked = self.calls as f64 / self.costs[0].took.as_secs_f64();
        if attack.answers() && asked > ASKED_A_SECOND {
            faults.push(format!("a hostile node was asked {asked:.0} times a second"));
        }
        if self.calls == 0 {
            faults.push("the attack was not under way".to_owned());
        }
        faults
    }
}

impl Cost {
    fn faults(&self, attack: Attack, quiet: &Self, calls: u64) -> Vec<String> {
        let (mut faults, seconds) = (Vec::new(), self.took.as_secs_f64());
        if self.memory > MEMORY {
            faults.push(format!("{} MiB more memory", self.memory >> 20));
        }
        if self.log as f64 > LOG_A_MINUTE * seconds / 60.0 + FIRST_LINES {
            faults.push(format!("{} KiB of log in {:.1?}", self.log >> 10, self.took));
        }
        let cores = self.cores - quiet.cores;
        let (each, alert) = (cores * seconds / calls.max(1) as f64, quiet.cores / f64::from(RATE));
        if attack.bounds_cores() && cores > CORES && each > EACH * alert {
            faults.push(format!("{cores:.2} cores more than in the quiet round, {:.0} µs a call", each * 1e6));
        }
        faults
    }
}

pub fn head() {
    println!(
        "{:<22} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>6} {:>9}",
        "attack", "calls", "p50 ms", "p99 ms", "× contr.", "RSS MiB", "log KiB", "disk KiB", "cores", "partner's"
    );
}

pub fn line(name: &str, round: &Round, control: &Round) {
    let ms = |at: Duration| at.as_secs_f64() * 1_000.0;
    let (p50, p99) = (ms(round.honest.at(0.5)), ms(round.p99()));
    let [cost, partner] = &round.costs;
    println!(
        "{name:<22} {:>9} {p50:>9.1} {p99:>9.1} {:>8.2} {:>8.1} {:>8} {:>8} {:>6.2} {:>9.2}",
        round.calls,
        p99 / ms(control.p99()),
        cost.memory as f64 / f64::from(1 << 20),
        cost.log >> 10,
        cost.disk >> 10,
        cost.cores,
        partner.cores,
    );
}
