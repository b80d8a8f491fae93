//! What may come next. Partitions are what is not shown; what a quorum does, it does among those who reach each other.

use stateright::{Model, Property};

use crate::world::*;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// These machines order a change, and each signs it by a beat.
    Order {
        quorum: Vec<u8>,
        change: u8,
    },
    /// A machine without a Raft instance follows another one's line.
    Follow {
        machine: u8,
        source: u8,
    },
    /// A mirror believes a change that the thief has made up.
    FollowMadeUp(u8),
    /// A founding is begun, on the base that its maker can prove, and signed by it.
    Begin {
        machine: u8,
        set: Set,
    },
    Sign {
        machine: u8,
        founding: u8,
    },
    /// A signer leaves its Raft after its signature (`Broken::LeavesLater`).
    Leave(u8),
    Show {
        machine: u8,
        founding: u8,
    },
    LearnWithdrawals(u8),
    /// The owner of a stolen key takes another one, and says that the old one is compromised.
    Rotate(u8),
    /// A signer whose key was withdrawn since stands by its founding under the new one.
    SignAgain {
        machine: u8,
        founding: u8,
    },
    /// The disk is lost; restored from nothing, or from a backup of now.
    Restore {
        machine: u8,
        to_nothing: bool,
    },
    ThiefBegins {
        set: Set,
        base: Line,
    },
    ThiefSigns(u8),
}

impl Federation {
    /// The line on which these machines could order, if their Raft instances are a quorum of it.
    pub fn quorum(&self, world: &World, machines: &[u8]) -> Option<Line> {
        let members = || machines.iter().map(|at| &world.machines[usize::from(*at)]);
        let longest = members().map(|m| &m.line).max_by_key(|line| line.len())?;
        let set = self.set_of(world, longest);
        let mut present = 0;
        for machine in members() {
            let owner = machine.owner?;
            let same = longest.starts_with(&machine.line) && lineage(longest).eq(lineage(&machine.line));
            let counts = machine.raft == Some(set.enrolment(owner)) && has(set.set, owner);
            if !same || !counts || machine.contested || has(present, owner) {
                return None;
            }
            present |= bit(owner);
        }
        majority(present, set.set).then(|| longest.clone())
    }

    fn quorums(&self, world: &World) -> Vec<(Vec<u8>, Line)> {
        let running: Vec<u8> =
            (0..world.machines.len() as u8).filter(|at| world.machines[usize::from(*at)].raft.is_some()).collect();
        (1_u16..1 << running.len())
            .map(|chosen| (0..running.len()).filter(|at| chosen >> at & 1 == 1).map(|at| running[at]).collect())
            .filter_map(|quorum: Vec<u8>| {
                let line = self.quorum(world, &quorum)?;
                // The fewest, or all: whoever is between them catches up later, or does not.
                let least = self.set_of(world, &line).set.count_ones() as usize / 2 + 1;
                (quorum.len() == least || quorum.len() == running.len()).then_some((quorum, line))
            })
            .collect()
    }

    /// What may be ordered next on a line: a new change, one from above a base, another set, a steward enrolled anew.
    fn orderable(&self, world: &World, line: &[u8]) -> Vec<u8> {
        let mut changes = Vec::new();
        if world.ordered < self.bounds.changes {
            changes.push(world.ordered + DENIAL);
        }
        let here: Vec<u8> = lineage(line).collect();
        let held = world.machines.iter().filter(|m| lineage(&m.line).eq(here.iter().copied()));
        let above = held.fold(0, |set, m| set | m.above) & !plain(line);
        changes.extend((DENIAL..NEW_SET).filter(|change| has(above, *change)));
        if self.bounds.next_set != 0 && !line.contains(&NEW_SET) {
            changes.push(NEW_SET);
        }
        if world.enrolled < self.bounds.enrolments {
            let set = self.set_of(world, line);
            let out = world.machines.iter().filter(|m| m.raft.is_none() && !m.old && !m.contested);
            let out = out.filter(|m| lineage(&m.line).eq(here.iter().copied())).filter_map(|m| m.owner);
            changes.extend(out.filter(|owner| has(set.set, *owner)).map(|owner| REENROLLED + owner));
        }
        changes
    }

    pub fn order(&self, world: &mut World, quorum: &[u8], change: u8) {
        let Some(mut line) = self.quorum(world, quorum) else { return };
        line.push(change);
        world.ordered += u8::from(change == world.ordered + DENIAL);
        let here = self.set_of(world, &line);
        for at in quorum {
            let mut machine = world.machines[usize::from(*at)].clone();
            for (signed, index) in world.foundings.iter().zip(0..) {
                if !has(machine.signed_here, index) || signed.founding <= here.founding {
                    continue;
                }
                // Enrolled anew since, it votes by a later set, which makes void what was half signed.
                world.went_on |= bit(index);
                world.ordered_after_signing |= signed.version >= here.version;
            }
            self.follow(world, &mut machine, line.clone());
            world.machines[usize::from(*at)] = machine;
        }
        if (REENROLLED..REFOUNDED).contains(&change) {
            world.enrolled += 1;
            self.enrol(world, change - REENROLLED, &line);
        }
        if change == NEW_SET {
            for owner in (0..8).filter(|owner| has(self.bounds.next_set & !self.genesis_set().set, *owner)) {
                self.enrol(world, owner, &line);
            }
        }
        let same = |other: &&Line| lineage(other).eq(lineage(&line));
        world.forked |= world.proved.iter().filter(same).any(|other| !comparable(other, &line));
        world.proved.insert(line);
    }

    fn enrol(&self, world: &mut World, owner: u8, line: &Line) {
        let Some(at) = world.machines.iter().position(|m| m.owner == Some(owner) && !m.old) else { return };
        let mut machine = world.machines[at].clone();
        if machine.raft.is_none() && lineage(&machine.line).eq(lineage(line)) {
            self.follow(world, &mut machine, line.clone());
            machine.raft = Some(self.set_of(world, line).enrolment(owner));
            world.machines[at] = machine;
        }
    }

    /// The highest founding that a machine knows of, its own signature's included.
    pub fn highest_known(&self, world: &World, machine: &Machine) -> u8 {
        let known = world.foundings.iter().zip(0..).filter(|(_, index)| has(machine.known, *index));
        let known = known.map(|(founding, _)| founding.founding).max().unwrap_or(0);
        known.max(machine.signed).max(self.set_of(world, &machine.line).founding)
    }

    fn beginnings(&self, world: &World, at: u8, out: &mut Vec<Step>) {
        let machine = &world.machines[usize::from(at)];
        let Some(owner) = machine.owner else { return };
        if world.begun >= self.bounds.foundings || self.highest_known(world, machine) >= self.bounds.highest {
            return;
        }
        let anybody = self.genesis_set().set | self.bounds.next_set;
        for set in (1..=anybody).filter(|set| set & !anybody == 0 && has(*set, owner)) {
            let founding = self.founding_of(world, machine, set);
            let base = self.set_of(world, &founding.base).set;
            let within = set & !base == 0;
            let enough = self.is(Broken::NewSetAlone) || majority(set, base);
            if within && enough && self.fits(world, machine, &founding) {
                out.push(Step::Begin { machine: at, set });
            }
        }
    }

    /// What a machine would write.
    pub fn founding_of(&self, world: &World, machine: &Machine, set: Set) -> Refounding {
        let proved = if self.is(Broken::BaseByLength) { machine.line.len() } else { self.proved(world, &machine.line) };
        let base = machine.line[..proved].to_vec();
        let newest = machine.sets.iter().map(|set| set.version).max().unwrap_or(0);
        let founding = self.highest_known(world, machine) + 1;
        Refounding { founding, base, version: newest, set, signed_old: 0, signed: 0, honest: 0, thief_proof: false }
    }

    /// Whether a steward's machine may sign: each founding once, never one below what it signed, and only what it would
    /// itself follow.
    fn may_sign(&self, world: &World, machine: &Machine, index: u8) -> bool {
        let founding = &world.foundings[usize::from(index)];
        let Some(owner) = machine.owner else { return false };
        let wanted = has(founding.set, owner) && !has(founding.signed, owner);
        let once = founding.founding > self.highest_signed(machine);
        let proved = self.is(Broken::BaseByLength) || self.proved(world, &founding.base) == founding.base.len();
        let here = self.set_of(world, &machine.line).founding;
        let below = lineage(&founding.base).all(|below| self.counts(world, machine, below));
        let below = below || self.is(Broken::BaseUnasked);
        wanted && once && proved && below && founding.founding > here && self.fits(world, machine, founding)
    }

    fn highest_signed(&self, machine: &Machine) -> u8 {
        if self.is(Broken::SignsTwice) { 0 } else { machine.signed }
    }

    pub fn sign(&self, world: &mut World, at: u8, index: u8) {
        // To whom it did not count it is another statement with one more signature: it has to be shown again.
        for other in 0..world.machines.len() {
            if !self.counts(world, &world.machines[other], index) {
                world.machines[other].known &= !bit(index);
            }
        }
        let founding = &mut world.foundings[usize::from(index)];
        let machine = &mut world.machines[usize::from(at)];
        let Some(owner) = machine.owner else { return };
        founding.signed |= bit(owner);
        founding.honest |= bit(owner);
        machine.signed = machine.signed.max(founding.founding);
        machine.signed_here |= bit(index);
        if !self.is(Broken::LeavesLater) {
            machine.raft = None;
        }
    }

    pub fn show(&self, world: &mut World, at: u8, index: u8) {
        let mut machine = world.machines[usize::from(at)].clone();
        let founding = &world.foundings[usize::from(index)];
        if founding.complete() {
            machine.known |= bit(index);
        }
        let own = machine.owner.is_some_and(|owner| has(founding.honest, owner));
        if own && self.set_of(world, &machine.line).founding < founding.founding {
            machine.raft = None;
            machine.signed = machine.signed.max(founding.founding);
        }
        self.settle(world, &mut machine);
        world.machines[usize::from(at)] = machine;
    }

    fn restore(&self, world: &mut World, at: u8, to_nothing: bool) {
        let lost = world.machines[usize::from(at)].clone();
        let Some(owner) = lost.owner else { return };
        let mut machine = self.blank(Some(owner));
        if self.is(Broken::RestoredVotes) {
            machine.raft = lost.raft;
        }
        if !to_nothing {
            self.follow(world, &mut machine, lost.line.clone());
            machine.known = lost.known;
            machine.withdrawn = lost.withdrawn;
            self.settle(world, &mut machine);
        }
        world.machines[usize::from(at)] = machine;
        world.restored += 1;
        world.amnesiac |= bit(owner);
        if has(self.bounds.old_machines, owner) {
            world.machines.push(Machine { old: true, ..lost });
        }
    }

    pub fn blank(&self, owner: Option<u8>) -> Machine {
        Machine {
            owner,
            old: false,
            line: Line::new(),
            raft: None,
            above: 0,
            seen: 0,
            known: 0,
            signed: 0,
            signed_here: 0,
            withdrawn: 0,
            sets: [self.genesis_set()].into(),
            contested: false,
        }
    }

    fn thief(&self, world: &World, out: &mut Vec<Step>) {
        let keys = self.bounds.stolen | self.bounds.withdrawn;
        for (founding, index) in world.foundings.iter().zip(0..) {
            let wanted = founding.set & self.current(world) & !founding.signed;
            let old = founding.set & keys & world.withdrawn & !(founding.signed | founding.signed_old);
            if wanted | old != 0 {
                out.push(Step::ThiefSigns(index));
            }
        }
        if keys == 0 || world.thief_begun >= self.bounds.thief_foundings {
            return;
        }
        let longest = world.proved.iter().max_by_key(|line| line.len()).cloned().unwrap_or_default();
        let made_up = [longest.clone(), vec![MADE_UP]].concat();
        let genesis = self.genesis_set().set;
        let least = genesis.count_ones() / 2 + 1;
        let least = if self.is(Broken::NewSetAlone) { 1 } else { least };
        for set in (1_u8..=genesis).filter(|set| set & keys != 0 && set.count_ones() == least) {
            let mut bases = vec![Line::new(), longest.clone(), made_up.clone()];
            bases.dedup();
            out.extend(bases.into_iter().map(|base| Step::ThiefBegins { set, base }));
        }
    }

    /// The thief's keys that nobody has withdrawn yet.
    fn current(&self, world: &World) -> Set {
        self.bounds.stolen & !world.withdrawn
    }

    fn thief_signs(&self, world: &World, founding: &mut Refounding) {
        let keys = self.bounds.stolen | self.bounds.withdrawn;
        founding.signed |= founding.set & self.current(world);
        founding.signed_old |= founding.set & keys & world.withdrawn & !founding.signed;
    }

    fn rotate(&self, world: &mut World, owner: u8) {
        world.withdrawn |= bit(owner);
        for founding in &mut world.foundings {
            founding.signed_old |= founding.signed & bit(owner);
            founding.signed &= !bit(owner);
        }
        let own = world.machines.iter().zip(0..).filter(|(m, _)| m.owner == Some(owner)).map(|(_, at)| at);
        for at in own.collect::<Vec<u8>>() {
            self.learn_withdrawals(world, at);
        }
    }

    /// Whether this machine can say once more that its owner signed.
    pub fn may_sign_again(&self, machine: &Machine, founding: &Refounding, index: u8) -> bool {
        let stands_by = has(machine.signed_here, index) || machine.line.contains(&(REFOUNDED + index));
        let lost = |owner| has(founding.honest & founding.signed_old & !founding.signed, owner);
        !machine.old && stands_by && machine.owner.is_some_and(lost)
    }

    pub fn sign_again(&self, world: &mut World, at: u8, index: u8) {
        if let Some(owner) = world.machines[usize::from(at)].owner {
            world.foundings[usize::from(index)].signed |= bit(owner);
        }
        for at in 0..world.machines.len() as u8 {
            let mut machine = world.machines[usize::from(at)].clone();
            self.settle(world, &mut machine);
            world.machines[usize::from(at)] = machine;
        }
    }

    fn thief_begins(&self, world: &mut World, set: Set, base: Line) {
        let here = self.set_of(world, &base);
        let thief_proof = base.contains(&MADE_UP);
        let founding = here.founding + 1;
        let newest = world.machines.iter().flat_map(|m| &m.sets).map(|set| set.version).max().unwrap_or(0);
        let mut founding =
            Refounding { founding, base, version: newest, set, signed_old: 0, signed: 0, honest: 0, thief_proof };
        self.thief_signs(world, &mut founding);
        world.foundings.push(founding);
        world.thief_begun += 1;
    }
}

impl Model for Federation {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let mut world = World {
            machines: Vec::new(),
            foundings: Vec::new(),
            proved: Default::default(),
            ordered: 0,
            begun: 0,
            thief_begun: 0,
            restored: 0,
            amnesiac: 0,
            enrolled: 0,
            withdrawn: self.bounds.withdrawn,
            went_on: 0,
            ordered_after_signing: false,
            forked: false,
        };
        let stewards = self.genesis_set().set | self.bounds.next_set;
        for owner in (0..8).filter(|owner| has(stewards, *owner)) {
            let machine = self.blank(Some(owner));
            let raft = has(self.genesis_set().set, owner).then_some(0);
            world.machines.push(Machine { raft, withdrawn: self.bounds.withdrawn, ..machine });
        }
        for _ in 0..self.bounds.mirrors {
            world.machines.push(self.blank(None));
        }
        vec![world]
    }

    fn actions(&self, world: &World, out: &mut Vec<Step>) {
        for (quorum, line) in self.quorums(world) {
            let changes = self.orderable(world, &line).into_iter();
            out.extend(changes.map(|change| Step::Order { quorum: quorum.clone(), change }));
        }
        for at in 0..world.machines.len() as u8 {
            let machine = &world.machines[usize::from(at)];
            self.beginnings(world, at, out);
            for index in 0..world.foundings.len() as u8 {
                if self.may_sign(world, machine, index) {
                    out.push(Step::Sign { machine: at, founding: index });
                }
                let founding = &world.foundings[usize::from(index)];
                let own = machine.owner.is_some_and(|owner| has(founding.honest, owner));
                if !has(machine.known, index) && (founding.complete() || own) {
                    out.push(Step::Show { machine: at, founding: index });
                }
            }
            for index in 0..world.foundings.len() as u8 {
                if self.may_sign_again(machine, &world.foundings[usize::from(index)], index) {
                    out.push(Step::SignAgain { machine: at, founding: index });
                }
            }
            if machine.withdrawn != world.withdrawn {
                out.push(Step::LearnWithdrawals(at));
            }
            if machine.raft.is_none() {
                for source in 0..world.machines.len() as u8 {
                    let line = &world.machines[usize::from(source)].line;
                    let same = lineage(line).eq(lineage(&machine.line));
                    if same && line.len() > machine.line.len() && line.starts_with(&machine.line) {
                        out.push(Step::Follow { machine: at, source });
                    }
                }
                let astray = machine.owner.is_none_or(|owner| has(world.amnesiac, owner)) && machine.line.is_empty();
                if self.bounds.thief_foundings > 0 && astray {
                    out.push(Step::FollowMadeUp(at));
                }
            } else if self.is(Broken::LeavesLater) && machine.signed_here != 0 {
                out.push(Step::Leave(at));
            }
            if world.restored < self.bounds.restores && machine.owner.is_some() && !machine.old {
                out.push(Step::Restore { machine: at, to_nothing: true });
                if !machine.line.is_empty() {
                    out.push(Step::Restore { machine: at, to_nothing: false });
                }
            }
        }
        if self.bounds.rotates {
            let stolen = (0..8).filter(|owner| has(self.current(world), *owner));
            out.extend(stolen.map(Step::Rotate));
        }
        self.thief(world, out);
    }

    fn next_state(&self, before: &World, step: Step) -> Option<World> {
        let mut world = before.clone();
        match step {
            Step::Order { quorum, change } => self.order(&mut world, &quorum, change),
            Step::Follow { machine, source } => {
                let line = world.machines[usize::from(source)].line.clone();
                self.followed(&mut world, machine, line);
            }
            Step::FollowMadeUp(at) => {
                let mut line = world.machines[usize::from(at)].line.clone();
                line.push(MADE_UP);
                self.followed(&mut world, at, line);
            }
            Step::Begin { machine, set } => {
                let founding = self.founding_of(&world, &world.machines[usize::from(machine)], set);
                if world.foundings.contains(&founding) {
                    return None;
                }
                world.foundings.push(founding);
                world.begun += 1;
                let index = world.foundings.len() as u8 - 1;
                self.sign(&mut world, machine, index);
            }
            Step::Sign { machine, founding } => self.sign(&mut world, machine, founding),
            Step::Leave(at) => world.machines[usize::from(at)].raft = None,
            Step::Show { machine, founding } => self.show(&mut world, machine, founding),
            Step::LearnWithdrawals(at) => self.learn_withdrawals(&mut world, at),
            Step::Rotate(owner) => self.rotate(&mut world, owner),
            Step::SignAgain { machine, founding } => self.sign_again(&mut world, machine, founding),
            Step::Restore { machine, to_nothing } => self.restore(&mut world, machine, to_nothing),
            Step::ThiefBegins { set, base } => self.thief_begins(&mut world, set, base),
            Step::ThiefSigns(index) => {
                let mut founding = world.foundings[usize::from(index)].clone();
                self.thief_signs(&world, &mut founding);
                world.foundings[usize::from(index)] = founding;
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::properties::all()
    }
}

impl Federation {
    fn followed(&self, world: &mut World, at: u8, line: Line) {
        let mut machine = world.machines[usize::from(at)].clone();
        self.follow(world, &mut machine, line);
        world.machines[usize::from(at)] = machine;
    }

    pub fn learn_withdrawals(&self, world: &mut World, at: u8) {
        let mut machine = world.machines[usize::from(at)].clone();
        machine.withdrawn = world.withdrawn;
        self.settle(world, &mut machine);
        world.machines[usize::from(at)] = machine;
    }
}
