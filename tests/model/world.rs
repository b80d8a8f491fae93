//! What there is: machines with their lines, foundings, and what everybody has been shown.

use std::collections::BTreeSet;

/// A set of at most eight things, one bit each: stewards, foundings, changes.
pub type Set = u8;
/// The changes of a line in their order, foundings among them (`REFOUNDED` + index).
pub type Line = Vec<u8>;

/// The first plain change is a denial; those after it are any.
pub const DENIAL: u8 = 1;
/// Another set of stewards: `Bounds::next_set`.
pub const NEW_SET: u8 = 7;
/// Made up by a thief, decided by nobody.
pub const MADE_UP: u8 = 9;
/// Plus the steward that is enrolled anew.
pub const REENROLLED: u8 = 20;
/// Plus the index of the founding.
pub const REFOUNDED: u8 = 100;

pub fn bit(of: u8) -> Set {
    1 << of
}

pub fn has(set: Set, of: u8) -> bool {
    set & bit(of) != 0
}

/// Whether these are more than half of the set.
pub fn majority(of: Set, set: Set) -> bool {
    (of & set).count_ones() > set.count_ones() / 2
}

/// A clause of the rule that is taken out, to see the checker find what then goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The new set alone signs, whatever part of the old one it is.
    NewSetAlone,
    /// A set that came after the base is not asked.
    LaterSets,
    /// A signature under a withdrawn key counts.
    WithdrawnKeys,
    /// The longest line is the base, proved or not.
    BaseByLength,
    /// The foundings below a base are not asked whether they count.
    BaseUnasked,
    /// A signer signs as often as it is asked.
    SignsTwice,
    /// The signature goes out, and the signer leaves its Raft later.
    LeavesLater,
    /// A signer starts the instance of a founding below the one that it signed last.
    StartsBelow,
    /// A restored machine goes on with the Raft of its backup.
    RestoredVotes,
    /// What stands above the base is forgotten.
    AboveForgotten,
    /// Of two foundings the one that came first is kept, and nothing is said.
    FirstIsKept,
    /// An old founding half signed may be completed after the set has changed.
    OldVersion,
}

/// How far the walk goes, and who is against it.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The stewards at the beginning.
    pub stewards: u8,
    pub mirrors: u8,
    /// Plain changes that are ordered at most.
    pub changes: u8,
    /// Foundings that honest stewards begin at most, and the thief.
    pub foundings: u8,
    pub thief_foundings: u8,
    /// Disks that are lost at most, each restored from nothing or from a backup of now.
    pub restores: u8,
    /// Whose old machine goes on when its disk is given up.
    pub old_machines: Set,
    /// Whose current key the thief has; whether it may be withdrawn.
    pub stolen: Set,
    pub rotates: bool,
    /// Whose key, withdrawn before the walk began, the thief has.
    pub withdrawn: Set,
    /// The set that may be decided once; 0: none.
    pub next_set: Set,
    /// Enrolments anew at most.
    pub enrolments: u8,
    /// Highest founding.
    pub highest: u8,
}

impl Bounds {
    pub const fn new(stewards: u8) -> Self {
        Self {
            stewards,
            mirrors: 0,
            changes: 1,
            foundings: 1,
            thief_foundings: 0,
            restores: 0,
            old_machines: 0,
            stolen: 0,
            rotates: false,
            withdrawn: 0,
            next_set: 0,
            enrolments: 0,
            highest: 2,
        }
    }
}

/// A set of stewards that a machine has seen in force, with the founding that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InForce {
    pub founding: u8,
    pub version: u8,
    pub set: Set,
    /// Enrolment of each steward, two bits each.
    pub enrolled: u16,
    /// The founding statement under which it came about.
    pub by: Option<u8>,
}

/// REFOUND, with the signatures that it has so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refounding {
    pub founding: u8,
    pub base: Line,
    /// Version of the newest set of stewards that its maker knew.
    pub version: u8,
    pub set: Set,
    /// Under keys that have been withdrawn, and under current ones.
    pub signed_old: Set,
    pub signed: Set,
    /// Who of them is honest.
    pub honest: Set,
    /// The base is proved by beats under the thief's keys only.
    pub thief_proof: bool,
}

impl Refounding {
    pub fn complete(&self) -> bool {
        self.set & !(self.signed | self.signed_old) == 0
    }
}

/// A machine: a steward's, a mirror's, or an old one that somebody forgot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    pub owner: Option<u8>,
    /// Given up for a restored one, and forgotten, but running.
    pub old: bool,
    pub line: Line,
    /// Whether its Raft instance runs, under the Raft id of which enrolment.
    pub raft: Option<u8>,
    /// Accepted above the base of a founding that was taken: to be proposed again, and denying until then.
    pub above: Set,
    /// What was ever seen here on this disk.
    pub seen: Set,
    /// Foundings that were shown here.
    pub known: Set,
    /// The founding that was signed here last, as far as this disk knows.
    pub signed: u8,
    /// Foundings that were signed from this very disk: its fresh Raft id stands in them.
    pub signed_here: Set,
    /// Withdrawals of keys that are known here.
    pub withdrawn: Set,
    pub sets: BTreeSet<InForce>,
    /// Two foundings stand against each other: content about persons stops, nothing is ordered.
    pub contested: bool,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub machines: Vec<Machine>,
    pub foundings: Vec<Refounding>,
    /// Lines that a quorum has ordered, and has signed by its beats.
    pub proved: BTreeSet<Line>,
    /// Changes ordered so far.
    pub ordered: u8,
    pub begun: u8,
    pub thief_begun: u8,
    pub restored: u8,
    /// Whose disk was lost.
    pub amnesiac: Set,
    pub enrolled: u8,
    /// Whose first key is withdrawn.
    pub withdrawn: Set,
    /// Foundings of which a signer was enrolled anew afterwards, and ordered on the line before.
    pub went_on: Set,
    /// A machine ordered on an old line after its signature under a new founding went out.
    pub ordered_after_signing: bool,
    /// One place of one line was ordered twice.
    pub forked: bool,
}

/// The model: who there is, and which clause of the rule is missing.
#[derive(Clone, Debug)]
pub struct Federation {
    pub bounds: Bounds,
    pub broken: Option<Broken>,
}

impl Federation {
    pub fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    pub fn genesis_set(&self) -> InForce {
        InForce { founding: 0, version: 0, set: bit(self.bounds.stewards) - 1, enrolled: 0, by: None }
    }

    /// Tells of each set of a line in their order, the first one included, and answers with the one in force at its end.
    pub fn each_set(&self, world: &World, line: &[u8], mut tell: impl FnMut(InForce)) -> InForce {
        let mut now = self.genesis_set();
        tell(now);
        for item in line {
            match *item {
                NEW_SET => now.set = self.bounds.next_set,
                item if item >= REFOUNDED => {
                    let by = &world.foundings[usize::from(item - REFOUNDED)];
                    now.founding = by.founding;
                    now.version = now.version.max(by.version);
                    now.set = by.set;
                    now.by = Some(item - REFOUNDED);
                }
                item if item >= REENROLLED => now.enrolled += 1 << (2 * (item - REENROLLED)),
                _ => continue,
            }
            now.version += 1;
            tell(now);
        }
        now
    }

    pub fn set_of(&self, world: &World, line: &[u8]) -> InForce {
        self.each_set(world, line, |_| ())
    }
}

impl InForce {
    pub fn enrolment(&self, of: u8) -> u8 {
        ((self.enrolled >> (2 * of)) & 3) as u8
    }
}

/// The foundings of a line, in order.
pub fn lineage(line: &[u8]) -> impl Iterator<Item = u8> {
    line.iter().filter(|item| **item >= REFOUNDED).map(|item| item - REFOUNDED)
}

/// Plain changes of a line, one bit each.
pub fn plain(line: &[u8]) -> Set {
    line.iter().filter(|item| **item < NEW_SET).fold(0, |set, item| set | bit(*item))
}

pub fn comparable(a: &[u8], b: &[u8]) -> bool {
    a.starts_with(b) || b.starts_with(a)
}
