//! Everybody reaches everybody, no more goes wrong, and the stewards do what `doctor` says: a founding above all others,
//! signed by whoever is a steward by any line, and what stands above its base ordered again.

use crate::properties::held;
use crate::world::*;

impl Federation {
    /// Whether that brings all machines to one line that holds whatever was acknowledged and is held by anybody.
    pub fn heals(&self, before: &World) -> bool {
        let mut world = before.clone();
        let held = held(&world);
        self.tell_all(&mut world);
        let Some(index) = self.found(&mut world) else { return false };
        for at in 0..world.machines.len() as u8 {
            self.show(&mut world, at, index);
        }
        let line = world.machines.first().map(|machine| machine.line.clone()).unwrap_or_default();
        let one = world.machines.iter().all(|machine| machine.line == line && !machine.contested);
        if !one || line.last() != Some(&(REFOUNDED + index)) {
            return false;
        }
        self.order_again(&mut world);
        world.machines.iter().filter(|machine| machine.raft.is_some()).any(|m| held & !plain(&m.line) == 0)
    }

    fn tell_all(&self, world: &mut World) {
        for at in 0..world.machines.len() as u8 {
            for index in 0..world.foundings.len() as u8 {
                if self.may_sign_again(&world.machines[usize::from(at)], &world.foundings[usize::from(index)], index) {
                    self.sign_again(world, at, index);
                }
            }
        }
        for at in 0..world.machines.len() as u8 {
            self.learn_withdrawals(world, at);
            for index in 0..world.foundings.len() as u8 {
                let founding = &world.foundings[usize::from(index)];
                let own = world.machines[usize::from(at)].owner.is_some_and(|owner| has(founding.honest, owner));
                if founding.complete() || own {
                    self.show(world, at, index);
                }
            }
        }
    }

    fn found(&self, world: &mut World) -> Option<u8> {
        let highest = world.machines.iter().map(|m| self.highest_known(world, m)).max()?;
        let newest = world.machines.iter().flat_map(|m| &m.sets).map(|set| set.version).max()?;
        let maker = world
            .machines
            .iter()
            .filter(|m| m.owner.is_some() && !m.old)
            .max_by_key(|m| (self.set_of(world, &m.line).founding, self.proved(world, &m.line)))?;
        let base = maker.line[..self.proved(world, &maker.line)].to_vec();
        let everybody = world.machines.iter().flat_map(|m| &m.sets).fold(0, |set, one| set | one.set);
        let founding = Refounding {
            founding: highest.max(world.foundings.iter().map(|f| f.founding).max().unwrap_or(0)) + 1,
            base,
            version: newest,
            set: everybody,
            signed_old: 0,
            signed: 0,
            honest: 0,
            thief_proof: false,
        };
        world.foundings.push(founding);
        let index = world.foundings.len() as u8 - 1;
        for at in 0..world.machines.len() as u8 {
            let machine = &world.machines[usize::from(at)];
            if !machine.old && machine.owner.is_some_and(|owner| has(everybody, owner)) {
                self.sign(world, at, index);
            }
        }
        Some(index)
    }

    fn order_again(&self, world: &mut World) {
        let quorum: Vec<u8> =
            (0..world.machines.len() as u8).filter(|at| world.machines[usize::from(*at)].raft.is_some()).collect();
        let above = world.machines.iter().fold(0, |set, machine| set | machine.above);
        for change in (DENIAL..NEW_SET).filter(|change| has(above, *change)) {
            if !world.machines.iter().any(|m| m.raft.is_some() && plain(&m.line) & bit(change) != 0) {
                self.order(world, &quorum, change);
            }
        }
    }
}
