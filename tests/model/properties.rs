//! What must hold after each step.

use stateright::Property;

use crate::world::*;

pub const ONE_LINE: &str = "who knows two complete foundings of one number follows neither in silence";
pub const UNIQUE: &str = "two complete foundings of one number have a signer that is stolen or has lost its disk";
pub const NO_THIEF: &str = "what is followed was signed by a majority but for one stolen key";
pub const DECIDED: &str = "a base holds decided changes only";
pub const DENIES: &str = "what denied goes on denying";
pub const LATER_SETS: &str =
    "who knows a later set follows nothing that no majority of it but for one stolen key signed";
pub const VOID: &str = "who knows that the order went on under a later set follows nothing that was half signed before";
pub const LEFT: &str = "a machine orders nothing on an old line after its signature went out";
pub const ORDER: &str = "one place of one line is ordered once";
pub const HEALS: &str = "who is reached heals, and what was acknowledged is there";
pub const TAKEN: &str = "a founding is taken";

pub fn all() -> Vec<Property<Federation>> {
    vec![
        Property::always(ONE_LINE, one_line),
        Property::always(UNIQUE, unique),
        Property::always(NO_THIEF, no_thief),
        Property::always(DECIDED, decided),
        Property::always(DENIES, |_, world: &World| {
            world.machines.iter().all(|m| m.seen & !(plain(&m.line) | m.above) == 0)
        }),
        Property::always(LATER_SETS, later_sets),
        Property::always(VOID, void),
        Property::always(LEFT, |_, world: &World| !world.ordered_after_signing),
        Property::always(ORDER, |_, world: &World| !world.forked),
        Property::always(HEALS, |model, world| model.heals(world)),
        Property::sometimes(TAKEN, |_, world: &World| world.machines.iter().any(|m| lineage(&m.line).count() > 0)),
    ]
}

fn one_line(model: &Federation, world: &World) -> bool {
    world.machines.iter().all(|machine| {
        let here = model.set_of(world, &machine.line).founding;
        let complete: Vec<u8> = (0..world.foundings.len() as u8)
            .filter(|index| has(machine.known, *index) && model.counts(world, machine, *index))
            .filter(|index| model.fits(world, machine, &world.foundings[usize::from(*index)]))
            .map(|index| world.foundings[usize::from(index)].founding)
            .filter(|founding| *founding >= here)
            .collect();
        let top = complete.iter().max().copied().unwrap_or(0);
        complete.iter().filter(|founding| **founding == top).count() < 2 || machine.contested
    })
}

/// Under keys that are current: what withdrawn ones sign is judged by who knows of the withdrawal.
fn unique(model: &Federation, world: &World) -> bool {
    let excused = world.amnesiac | model.bounds.stolen;
    let complete = |founding: &&Refounding| {
        founding.set & !founding.signed == 0 && majority(founding.set, model.set_of(world, &founding.base).set)
            || model.is(Broken::NewSetAlone) && founding.complete()
    };
    let complete: Vec<&Refounding> = world.foundings.iter().filter(complete).collect();
    complete.iter().enumerate().all(|(at, one)| {
        let others = complete[at + 1..].iter().filter(|other| other.founding == one.founding);
        others.into_iter().all(|other| one.set & other.set & excused != 0 || apart(model, world, one, other))
    })
}

/// The bases have different sets: then who lost its disk may be in one of them alone.
fn apart(model: &Federation, world: &World, one: &Refounding, other: &Refounding) -> bool {
    let sets = [one, other].map(|founding| model.set_of(world, &founding.base).set);
    sets[0] != sets[1] && (one.set | other.set) & (world.amnesiac | model.bounds.stolen) != 0
}

fn no_thief(model: &Federation, world: &World) -> bool {
    let informed = world.machines.iter().filter(|m| m.withdrawn == world.withdrawn);
    informed.into_iter().all(|machine| {
        lineage(&machine.line).all(|index| {
            let founding = &world.foundings[usize::from(index)];
            let stolen = founding.set & model.bounds.stolen & !world.withdrawn;
            majority(founding.honest | stolen, model.set_of(world, &founding.base).set)
        })
    })
}

/// Those sets of the machine's own lines that came after the base of a founding that it follows.
fn after_base<'a>(
    model: &'a Federation,
    world: &'a World,
    machine: &'a Machine,
) -> impl Iterator<Item = (&'a Refounding, u8, InForce)> {
    lineage(&machine.line).flat_map(move |index| {
        let founding = &world.foundings[usize::from(index)];
        let base = model.set_of(world, &founding.base);
        let after = machine.sets.iter().copied().filter(move |set| {
            set.founding < founding.founding && (set.founding, set.version) > (base.founding, base.version)
        });
        after.map(move |set| (founding, index, set))
    })
}

/// A set that was heard of after the founding was taken is another matter: the line goes on then.
fn later_sets(model: &Federation, world: &World) -> bool {
    let stolen = model.bounds.stolen & !world.withdrawn;
    world.machines.iter().all(|machine| {
        after_base(model, world, machine).all(|(founding, _, set)| majority(founding.honest | stolen, set.set))
    })
}

fn void(model: &Federation, world: &World) -> bool {
    world.machines.iter().all(|machine| {
        after_base(model, world, machine)
            .all(|(founding, index, set)| !has(world.went_on, index) || set.version <= founding.version)
    })
}

fn decided(_: &Federation, world: &World) -> bool {
    let informed = world.machines.iter().filter(|m| m.withdrawn == world.withdrawn);
    informed.into_iter().all(|machine| {
        let base = machine.line.iter().rposition(|item| *item >= REFOUNDED).unwrap_or(0);
        !machine.line[..base].contains(&MADE_UP)
    })
}

/// What was ordered, and is held by anybody.
pub fn held(world: &World) -> Set {
    let acknowledged = world.proved.iter().fold(0, |set, line| set | plain(line));
    world.machines.iter().fold(0, |set, m| set | plain(&m.line) | m.above) & acknowledged
}
