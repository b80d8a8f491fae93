//! What a machine takes for founded, by what it knows: the rule itself.

use crate::world::*;

impl Federation {
    /// Whether this is complete for a machine: all of its new set have signed, a majority of the set at its base is among
    /// them, no key that is known to be withdrawn was needed, and the same goes for each founding below its base.
    pub fn counts(&self, world: &World, machine: &Machine, index: u8) -> bool {
        let founding = &world.foundings[usize::from(index)];
        let withdrawn = if self.is(Broken::WithdrawnKeys) { 0 } else { machine.withdrawn };
        let signed = founding.signed | (founding.signed_old & !withdrawn);
        let base = self.set_of(world, &founding.base);
        let enough = self.is(Broken::NewSetAlone) || majority(founding.set, base.set);
        let proof = !founding.thief_proof || majority(founding.signed_old & !withdrawn, base.set);
        let below =
            self.is(Broken::BaseUnasked) || lineage(&founding.base).all(|below| self.counts(world, machine, below));
        founding.set & !signed == 0 && enough && below && (proof || self.is(Broken::BaseByLength))
    }

    /// Whether every later set that the machine's own line knows agrees, by a majority of its own, and none is newer than
    /// the one that the founding knew of.
    pub fn fits(&self, world: &World, machine: &Machine, founding: &Refounding) -> bool {
        let base = self.set_of(world, &founding.base);
        let later = machine.sets.iter().filter(|set| {
            set.founding < founding.founding && (set.founding, set.version) > (base.founding, base.version)
        });
        let mut later = later.peekable();
        let newest = later.clone().map(|set| set.version).max().unwrap_or(0);
        let version = founding.version >= newest || self.is(Broken::OldVersion);
        let signed = self.is(Broken::LaterSets) || later.all(|set| majority(founding.set, set.set));
        version && signed
    }

    /// What the machine follows from now on, after it has learnt something.
    pub fn settle(&self, world: &World, machine: &mut Machine) {
        self.let_go(world, machine);
        let known = |index: &u8| has(machine.known, *index);
        let rivals: Vec<u8> = (0..world.foundings.len() as u8)
            .filter(known)
            .filter(|index| self.counts(world, machine, *index))
            .filter(|index| self.fits(world, machine, &world.foundings[usize::from(*index)]))
            .collect();
        let here = self.set_of(world, &machine.line);
        let founding = |index: &u8| world.foundings[usize::from(*index)].founding;
        let top = rivals.iter().map(founding).max().unwrap_or(0).max(here.founding);
        let mut highest: Vec<u8> = rivals.into_iter().filter(|index| founding(index) == top).collect();
        if here.founding == top {
            highest.retain(|index| here.by != Some(*index));
            highest.extend(here.by);
        }
        if self.is(Broken::FirstIsKept) {
            if here.founding == top {
                return;
            }
            highest.truncate(1);
        }
        machine.contested = highest.len() > 1;
        if let [only] = highest.as_slice()
            && here.founding < top
        {
            self.take(world, machine, *only);
        }
    }

    /// Lets go of a founding whose signatures do not count any more.
    fn let_go(&self, world: &World, machine: &mut Machine) {
        let gone =
            machine.line.iter().position(|item| *item >= REFOUNDED && !self.counts(world, machine, *item - REFOUNDED));
        if let Some(at) = gone {
            self.cut(machine, at);
            let sets = machine.sets.clone();
            machine.sets =
                sets.into_iter().filter(|set| set.by.is_none_or(|by| self.counts(world, machine, by))).collect();
        }
    }

    fn cut(&self, machine: &mut Machine, at: usize) {
        let above = machine.line.split_off(at);
        if !self.is(Broken::AboveForgotten) {
            machine.above |= plain(&above);
        }
        machine.above &= !plain(&machine.line);
        machine.raft = None;
    }

    /// Takes a founding: the base, the founding, and nothing above.
    pub fn take(&self, world: &World, machine: &mut Machine, index: u8) {
        let founding = &world.foundings[usize::from(index)];
        let common = machine.line.iter().zip(&founding.base).take_while(|(a, b)| a == b).count();
        self.cut(machine, common);
        let mut line = founding.base.clone();
        line.push(REFOUNDED + index);
        self.follow(world, machine, line);
        // Who has signed a later one starts no instance of this one any more.
        let may = has(machine.signed_here, index) && machine.signed == founding.founding;
        if let Some(owner) =
            machine.owner.filter(|_| may || has(machine.signed_here, index) && self.is(Broken::StartsBelow))
        {
            machine.raft = Some(self.set_of(world, &machine.line).enrolment(owner));
        }
    }

    /// The machine's line goes on.
    pub fn follow(&self, world: &World, machine: &mut Machine, line: Line) {
        machine.line = line;
        machine.above &= !plain(&machine.line);
        machine.seen |= plain(&machine.line);
        self.each_set(world, &machine.line, |set| {
            machine.sets.insert(set);
        });
    }

    /// The longest part of a line that beats of a majority prove, or the founding that began it.
    pub fn proved(&self, world: &World, line: &[u8]) -> usize {
        let by_beats = world.proved.iter().map(|proved| proved.iter().zip(line).take_while(|(a, b)| a == b).count());
        let founded = line.iter().rposition(|item| *item >= REFOUNDED).map_or(0, |at| at + 1);
        by_beats.max().unwrap_or(0).max(founded)
    }
}
