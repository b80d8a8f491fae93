//! What a run says in the end: what each kind of fault cost, and how much was done meanwhile.

use crate::faults::KINDS;

/// One fault that was made and healed; times in microseconds since the run began.
#[derive(Clone, Debug)]
pub struct Episode {
    pub kind: usize,
    pub began: u64,
    pub healed: u64,
    /// Until when no majority need have been there.
    pub excused: u64,
    /// When the next one began, or the run ended.
    pub until: u64,
}

/// What an episode cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Acknowledgements from its beginning to the next one's.
    pub acknowledged: usize,
    /// The longest time without one, from its beginning to the next one's.
    pub longest: u64,
    /// From its healing to the next acknowledgement.
    pub after: u64,
}

impl Episode {
    /// `acknowledged`: when statements were acknowledged, in order.
    pub fn cost(&self, acknowledged: &[u64]) -> Cost {
        let first = acknowledged.partition_point(|at| *at < self.began);
        let last = acknowledged.partition_point(|at| *at < self.until);
        let within = &acknowledged[first..last];
        let edges =
            std::iter::once(self.began).chain(within.iter().copied()).zip(within.iter().copied().chain([self.until]));
        let longest = edges.map(|(before, after)| after - before).max().unwrap_or(0);
        let healed = acknowledged.partition_point(|at| *at < self.healed);
        let after = acknowledged.get(healed).map_or(self.until, |at| (*at).min(self.until)) - self.healed;
        Cost { acknowledged: within.len(), longest, after }
    }
}

/// Longer than this no statement stays without an acknowledgement while a majority of stewards is there: lease, election
/// and a loaded machine. In microseconds.
const STILL: u64 = 15_000_000;

/// Times in which the register stood still without an excuse. `end` is when the last fault had been healed for a while.
pub fn stood_still(episodes: &[Episode], acknowledged: &[u64], end: u64) -> Vec<String> {
    let from = episodes.first().map_or(0, |episode| episode.began);
    let mut times = vec![from];
    times.extend(acknowledged.iter().copied().filter(|at| (from..end).contains(at)));
    times.push(end);
    let excused =
        |a: u64, b: u64| -> u64 { episodes.iter().map(|e| e.excused.min(b).saturating_sub(e.began.max(a))).sum() };
    let still = times.windows(2).filter(|gap| gap[1] - gap[0] > STILL + excused(gap[0], gap[1]));
    still.map(|gap| format!("STILL: no write from {:.1} to {:.1} s", seconds(gap[0]), seconds(gap[1]))).collect()
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// A line per kind that occurred.
pub fn table(episodes: &[Episode], acknowledged: &[u64]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<34} {:>5} {:>12} {:>16} {:>16}",
        "fault", "times", "writes", "longest gap, s", "after heal, s"
    )];
    for (kind, name) in KINDS.iter().enumerate() {
        let costs: Vec<Cost> =
            episodes.iter().filter(|episode| episode.kind == kind).map(|episode| episode.cost(acknowledged)).collect();
        if costs.is_empty() {
            continue;
        }
        let writes: usize = costs.iter().map(|cost| cost.acknowledged).sum();
        let most = |of: fn(&Cost) -> u64| seconds(costs.iter().map(of).max().unwrap_or(0));
        let (longest, after) = (most(|cost| cost.longest), most(|cost| cost.after));
        lines.push(format!("{name:<34} {:>5} {writes:>12} {longest:>16.2} {after:>16.2}", costs.len()));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_within_the_episode() {
        let episode = Episode { kind: 2, began: 100, healed: 200, excused: 100, until: 300 };
        let cost = episode.cost(&[10, 90, 120, 260, 310]);
        assert_eq!(cost, Cost { acknowledged: 2, longest: 140, after: 60 });
        assert_eq!(episode.cost(&[]), Cost { acknowledged: 0, longest: 200, after: 100 });
        assert_eq!(table(&[episode], &[120]).len(), 2);
    }

    #[test]
    fn standing_still_is_found_unless_there_was_no_majority() {
        let second = 1_000_000;
        let leader = Episode { kind: 7, began: second, healed: 5 * second, excused: second, until: 9 * second };
        assert!(stood_still(std::slice::from_ref(&leader), &[14 * second, 28 * second], 30 * second).is_empty());
        assert_eq!(stood_still(&[leader], &[14 * second], 30 * second).len(), 1, "until the end");
        let most = Episode { kind: 12, began: second, healed: 21 * second, excused: 21 * second, until: 25 * second };
        assert!(stood_still(std::slice::from_ref(&most), &[35 * second], 36 * second).is_empty());
        assert_eq!(stood_still(&[most], &[37 * second], 38 * second).len(), 1);
    }
}
