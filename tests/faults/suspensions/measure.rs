//! What was measured, and the table of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Situation;

/// One suspension.
#[derive(Clone, Debug)]
pub struct Row {
    pub target: &'static str,
    /// How long the operator's call took.
    pub order: Duration,
    /// From the start of the operator's call to the last success of a call of the suspended member at the partner.
    pub calls: Duration,
    /// The same of the partner towards it.
    pub towards: Duration,
    /// Successes after the first refusal, both ways.
    pub after_refusal: usize,
}

/// Picks one measure of a row.
pub type Take = fn(&Row) -> Duration;

impl Row {
    pub const CALLS: Take = |row| row.calls;
    pub const TOWARDS: Take = |row| row.towards;
    const ORDER: Take = |row| row.order;
    /// From the return of the operator's call; nothing, when the last success was before that.
    const AFTER_RETURN: Take = |row| row.calls.max(row.towards).saturating_sub(row.order);
}

/// The rows of all situations.
#[derive(Default)]
pub struct Table {
    rows: BTreeMap<Situation, Vec<Row>>,
}

/// The value that so many per cent of the rows do not exceed.
pub fn percentile(rows: &[Row], take: Take, percent: usize) -> Duration {
    let mut all: Vec<Duration> = rows.iter().map(take).collect();
    all.sort_unstable();
    let place = (all.len() * percent).div_ceil(100).saturating_sub(1);
    all.get(place).copied().unwrap_or_default()
}

impl Table {
    pub fn extend(&mut self, situation: Situation, rows: Vec<Row>) {
        self.rows.entry(situation).or_default().extend(rows);
    }

    pub fn situations(&self) -> impl Iterator<Item = (Situation, &[Row])> {
        self.rows.iter().map(|(situation, rows)| (*situation, rows.as_slice()))
    }

    pub fn progress(&self) {
        let done: Vec<String> = self.situations().map(|(s, rows)| format!("{} {}", rows.len(), s.name())).collect();
        eprintln!("done: {}", done.join(", "));
    }

    pub fn print(&self) {
        println!("ms from the start of the operator's call to the last success             p50     p99     max");
        for (situation, rows) in self.situations() {
            let name = format!("{} ({} runs)", situation.name(), rows.len());
            for (what, take) in [
                ("calls of the suspended member", Row::CALLS),
                ("towards it", Row::TOWARDS),
                ("the operator's call", Row::ORDER),
                ("after the operator's call returned", Row::AFTER_RETURN),
            ] {
                let [p50, p99, max] = [50, 99, 100].map(|p| percentile(rows, take, p).as_secs_f64() * 1e3);
                println!("{name:<32} {what:<36} {p50:>7.1} {p99:>7.1} {max:>7.1}");
            }
            let after: usize = rows.iter().map(|row| row.after_refusal).sum();
            println!("{name:<32} {:<36} {after:>7}", "successes after the first refusal");
        }
    }
}
