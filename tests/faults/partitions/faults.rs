//! What is done to the stewards: networks that part, processes that are killed or stopped.

use std::collections::BTreeSet;
use std::time::Duration;

use havenlink_tests::chance::Chance;

use crate::network::Link;

/// Every kind, in the words of the report.
pub const KINDS: [&str; 14] = [
    "split, leader with the majority",
    "split, leader with the minority",
    "leader cut off",
    "leader hears nobody",
    "nobody hears the leader",
    "random one-way drops",
    "a ring: each reaches two others",
    "leader killed",
    "others killed",
    "all killed",
    "leader stopped",
    "others stopped",
    "majority stopped",
    "leader cut off, then killed",
];

/// One blow, and for how long.
#[derive(Clone, Debug, Default)]
pub struct Blow {
    /// Place in `KINDS`.
    pub kind: usize,
    pub cut: BTreeSet<Link>,
    /// Stopped with SIGSTOP.
    pub stop: Vec<usize>,
    /// Killed with SIGKILL; started again after `again`.
    pub kill: Vec<usize>,
    pub again: Duration,
    pub lasts: Duration,
}

/// Who is there: stewards at the first places, mirrors after them.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    pub stewards: usize,
    pub members: usize,
    pub leader: usize,
}

fn below(chance: &mut Chance, bound: usize) -> usize {
    usize::try_from(chance.below(bound.max(1) as u64)).unwrap_or(0)
}

/// Both directions between the two sides.
fn between(one: &BTreeSet<usize>, other: &BTreeSet<usize>) -> BTreeSet<Link> {
    one.iter().flat_map(|a| other.iter().flat_map(move |b| [(*a, *b), (*b, *a)])).collect()
}

impl Cast {
    fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let leader = self.leader;
        (0..self.members).filter(move |place| *place != leader)
    }

    /// So many stewards, anyone but the leader.
    fn followers(&self, count: usize, chance: &mut Chance) -> Vec<usize> {
        let mut all: Vec<usize> = self.others().filter(|place| *place < self.stewards).collect();
        while all.len() > count {
            all.swap_remove(below(chance, all.len()));
        }
        all
    }

    /// The leader with so many of the others on one side; mirrors fall to either.
    fn split(&self, with_leader: usize, chance: &mut Chance) -> BTreeSet<Link> {
        let mut side: BTreeSet<usize> = self.followers(with_leader, chance).into_iter().collect();
        side.insert(self.leader);
        side.extend((self.stewards..self.members).filter(|_| chance.below(2) == 0));
        let rest = (0..self.members).filter(|place| !side.contains(place)).collect();
        between(&side, &rest)
    }

    fn ring(&self) -> BTreeSet<Link> {
        let near = |a: usize, b: usize| (a + 1) % self.stewards == b || (b + 1) % self.stewards == a;
        let pairs = (0..self.stewards).flat_map(|a| (0..self.stewards).map(move |b| (a, b)));
        pairs.filter(|(a, b)| a != b && !near(*a, *b)).collect()
    }

    /// A blow of that kind; everything else about it is chance. `longest` is at least a second.
    pub fn blow(&self, kind: usize, longest: Duration, chance: &mut Chance) -> Blow {
        let span = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX).max(1_000) - 1_000;
        let lasts = Duration::from_millis(1_000 + chance.below(span + 1));
        let again = lasts.mul_f64(chance.below(100) as f64 / 100.0);
        let (leader, minority) = (self.leader, (self.stewards - 1) / 2);
        let alone = between(&BTreeSet::from([leader]), &self.others().collect());
        let mut blow = Blow { kind, lasts, again, ..Blow::default() };
        match kind {
            0 => blow.cut = self.split(self.stewards - 1 - (1 + below(chance, minority)), chance),
            1 => blow.cut = self.split(below(chance, minority), chance),
            2 => blow.cut = alone,
            3 => blow.cut = alone.into_iter().filter(|link| link.1 == leader).collect(),
            4 => blow.cut = alone.into_iter().filter(|link| link.0 == leader).collect(),
            5 => {
                let all = (0..self.members).flat_map(|a| (0..self.members).map(move |b| (a, b)));
                blow.cut = all.filter(|(a, b)| a != b).filter(|_| chance.below(3) == 0).collect();
            }
            6 => blow.cut = self.ring(),
            7 => blow.kill = vec![leader],
            8 => blow.kill = self.followers(1 + below(chance, minority), chance),
            9 => blow.kill = (0..self.members).collect(),
            10 => blow.stop = vec![leader],
            11 => blow.stop = self.followers(1 + below(chance, minority), chance),
            12 => blow.stop = self.followers(minority + 1, chance),
            _ => (blow.cut, blow.kill) = (alone, vec![leader]),
        }
        blow
    }
}

impl Blow {
    /// For how long no majority of stewards that reach each other need be there: so long the register may stand still.
    pub fn excused(&self) -> Duration {
        match self.kind {
            5 | 6 | 12 => self.lasts,
            9 => self.again,
            _ => Duration::ZERO,
        }
    }

    /// Whom it hits, by name.
    pub fn whom(&self, names: &[&str]) -> String {
        let list = |places: &[usize]| places.iter().map(|place| names[*place]).collect::<Vec<_>>().join(", ");
        let mut words = Vec::new();
        if !self.cut.is_empty() {
            words.push(format!("{} directions cut", self.cut.len()));
        }
        if !self.stop.is_empty() {
            words.push(format!("SIGSTOP {}", list(&self.stop)));
        }
        if !self.kill.is_empty() {
            words.push(format!("SIGKILL {}, again after {:.1} s", list(&self.kill), self.again.as_secs_f64()));
        }
        words.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_hits_whom_it_names() {
        let mut chance = Chance::new(7);
        for round in 0..50 {
            let cast = Cast { stewards: 5, members: 6, leader: round % 5 };
            for (kind, name) in KINDS.iter().enumerate() {
                let blow = cast.blow(kind, Duration::from_secs(30), &mut chance);
                assert!(blow.lasts >= Duration::from_secs(1) && blow.lasts <= Duration::from_secs(30));
                assert!(blow.cut.iter().all(|(a, b)| a != b && *a < 6 && *b < 6));
                let hit = blow.cut.len() + blow.stop.len() + blow.kill.len();
                assert!(hit > 0 || kind == 5, "{name}");
                let reached = |from| (0..5).filter(|to| *to != from && !blow.cut.contains(&(from, *to))).count();
                match kind {
                    0 => assert!((2..4).contains(&reached(cast.leader))),
                    1 => assert!(reached(cast.leader) < 2),
                    2 | 4 | 13 => assert_eq!(reached(cast.leader), 0),
                    3 => assert_eq!(reached(cast.leader), 4),
                    6 => assert!((0..5).all(|from| reached(from) == 2)),
                    8 | 11 => assert!(!blow.kill.contains(&cast.leader) && !blow.stop.contains(&cast.leader)),
                    12 => assert_eq!(blow.stop.len(), 3),
                    _ => {}
                }
            }
        }
    }
}
