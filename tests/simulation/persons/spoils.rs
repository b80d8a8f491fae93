//! What goes wrong in a world: one thing at a time, near the edge at which it begins to count.

use havenlink_model::persons::*;

use super::world::*;
use crate::chance::Chance;

/// Spoils one thing.
pub fn spoil(world: &mut World, chance: &mut Chance) {
    match chance.below(7) {
        0 => register(world, chance),
        1 | 2 => agreement(world, chance),
        3 => record(world, chance),
        4 => terms(world, chance),
        5 => giving(world, chance),
        _ => words_and_reading(world, chance),
    }
}

/// Something is known at some of the nodes, at some of the times.
fn nodes<'w>(world: &'w mut World, chance: &mut Chance) -> Vec<&'w mut Node> {
    let World { origin, later, recipient, .. } = world;
    match chance.below(5) {
        0 => vec![origin, later, recipient],
        1 => vec![later, recipient],
        2 => vec![later],
        3 => vec![recipient],
        _ => vec![origin, later],
    }
}

/// One millisecond off the edge, or on it, or far from it.
fn near(chance: &mut Chance, edge: At) -> At {
    edge + pick(chance, &[-1, 0, 1, -1, 0, 1, MINUTE, -MINUTE, HOUR, -HOUR])
}

fn register(world: &mut World, chance: &mut Chance) {
    let who = pick(chance, &[ORIGIN, RECIPIENT, RECIPIENT, THIRD]);
    let what = chance.below(7);
    let standing = pick(chance, &[Membership::Suspended, Membership::Removed, Membership::Unknown]);
    let host = pick(chance, &[None, Some(HOST), Some(OTHER_HOST)]);
    let (seen, beat) = (near(chance, 24 * HOUR), near(chance, 10 * MINUTE));
    let ahead = near(chance, 2 * MINUTE);
    let off = pick(chance, &[-HOUR, -9 * MINUTE, 9 * MINUTE, HOUR, DAY]);
    for node in nodes(world, chance) {
        match what {
            0 => node.register[who].standing = standing,
            1 => node.register[who].emergency = Some(node.wall - seen),
            2 => (node.beat, node.heard_ago) = (Some(node.wall - beat), beat.max(0)),
            3 => node.beat = None,
            4 => (node.beat, node.heard_ago) = (Some(node.wall + ahead), 0),
            5 => node.register[RECIPIENT].host = host,
            _ => match chance_of(seen) {
                0 => node.stored = node.wall + off,
                1 => node.wall += off,
                _ => (node.beat, node.heard_ago) = (node.beat.map(|beat| beat - off), off.max(0)),
            },
        }
    }
}

/// Three ways, by a number that chance has given already.
fn chance_of(number: At) -> At {
    number.rem_euclid(3)
}

fn agreement(world: &mut World, chance: &mut Chance) {
    let what = chance.below(15);
    let who = pick(chance, &[ORIGIN, RECIPIENT, THIRD]);
    let (edge, off, late) = (near(chance, 0), near(chance, 5 * MINUTE), near(chance, 5 * MINUTE));
    let country = pick(chance, &[Country::Switzerland, Country::Britain]);
    let usage = pick(chance, &[Usage::Query, Usage::View]);
    let highest = pick(chance, &[Tlp::Clear, Tlp::Amber, Tlp::AmberStrict]);
    let second = chance.one_in(2);
    for node in nodes(world, chance) {
        let wall = node.wall;
        let Some(held) = node.agreements.first_mut() else { continue };
        if second {
            // Another one beside it, of which nothing is wrong but what is spoilt here.
            let whole = held.clone();
            node.agreements.push(whole);
        }
        let held = &mut node.agreements[0];
        let grant = &mut held.grants[0];
        match what {
            0 => held.signed.retain(|signed| *signed != who),
            1 => held.ends.push((who, wall + edge)),
            2 => held.unconfirmed = true,
            3 => (grant.from, grant.to) = (grant.to, grant.from),
            4 => grant.to = THIRD,
            5 => grant.referrals = false,
            6 => grant.services.retain(|service| *service == Service::Casework),
            7 => grant.purposes.retain(|purpose| *purpose == Purpose::Protection),
            8 => grant.usage = usage,
            9 => grant.highest = highest,
            10 => grant.valid_from = wall + off,
            11 => grant.until = wall + edge,
            12 => grant.until = wall - late,
            13 => held.parties[RECIPIENT].transfers.iter_mut().for_each(|transfer| transfer.until = wall + edge),
            _ => held.parties[RECIPIENT].transfers.retain(|transfer| transfer.country != country),
        }
    }
}

fn record(world: &mut World, chance: &mut Chance) {
    let wall = world.recipient.wall;
    match chance.below(12) {
        0 => world.record.tlp = pick(chance, &[Tlp::Clear, Tlp::Green, Tlp::Amber]),
        1 => world.record.purpose = pick(chance, &[Purpose::Protection, Purpose::Identification]),
        2 => world.record.service = pick(chance, &[Service::Casework, Service::Medical, Service::LegalAid]),
        3 => world.record.recipient = THIRD,
        4 => world.record.expires = near(chance, pick_wall(world)).max(world.record.created + 1),
        5 => world.forged = Some(Forged::NothingTravels),
        6 => world.forged = Some(Forged::AnotherScope(pick(chance, &[Scope::Shelter, Scope::Legal, Scope::Police]))),
        7 => world.forged = Some(Forged::ErasedEarly),
        8 => {
            world.forged = Some(Forged::ForAnother);
            // It would be granted there, were it for who gets it.
            world.recipient.agreements[0].grants[0].to = THIRD;
        }
        9 => world.forged = Some(Forged::MarkedAs(pick(chance, &[Tlp::Clear, Tlp::Amber]))),
        10 => world.forged = Some(Forged::Created(near(chance, wall + 5 * MINUTE))),
        _ if chance.one_in(2) => world.forged = Some(Forged::Expires(near(chance, wall))),
        _ => world.forged = Some(Forged::AnotherGrant(1)),
    }
}

fn pick_wall(world: &World) -> At {
    if world.used == 0 { world.later.wall } else { world.origin.wall }
}

fn terms(world: &mut World, chance: &mut Chance) {
    let given = world.given.0;
    let walls = [world.origin.wall, world.later.wall];
    let wall = pick(chance, &walls);
    let scope = &mut world.share.scopes[0];
    match chance.below(19) {
        0 => scope.scope = pick(chance, &[Scope::Legal, Scope::Medical]),
        1 => scope.purposes = vec![Purpose::Protection],
        2 => scope.recipients.retain(|who| *who != RECIPIENT),
        3 => scope.countries.retain(|country| *country == Country::France),
        4 => scope.countries.truncate(scope.countries.len().saturating_sub(1)),
        5 => scope.expires = near(chance, wall),
        6 => (scope.expires, scope.erase_by) = (near(chance, given + 365 * DAY), given + 370 * DAY),
        7 => scope.erase_by = near(chance, scope.expires + 30 * DAY),
        8 => scope.erase_by = near(chance, scope.expires),
        9 => scope.uses = pick(chance, &[0, 1, 1_000, 1_001]),
        10 => world.used = pick(chance, &[1, 2, 3]),
        11 => world.share.excluded = vec![pick(chance, &[RECIPIENT, THIRD, HOST, OTHER_HOST])],
        12 => {
            let countries = [Country::Germany, Country::Switzerland, Country::Britain];
            world.share.excluded_countries = vec![pick(chance, &countries)];
        }
        13 => world.share.consent = true,
        14 => world.share.special = false,
        15 => world.share.reconfirm_by = near(chance, wall),
        16 => world.share.reconfirm_by = near(chance, given + 365 * DAY),
        17 => another_scope(world, chance),
        _ => scope.purposes.clear(),
    }
}

/// One more, beyond help or not; each stands once.
fn another_scope(world: &mut World, chance: &mut Chance) {
    let scopes = &mut world.share.scopes;
    let other = pick(chance, &[Scope::Match, Scope::Police]);
    if scopes.iter().all(|scope| scope.scope != other) {
        scopes.push(ScopeTerms { scope: other, ..scopes[0].clone() });
    }
}

fn giving(world: &mut World, chance: &mut Chance) {
    let no = Share { events: vec![pick(chance, &[Event::Refused, Event::Withdrawn])], ..world.share.clone() };
    let (_, decider, how) = &mut world.given;
    match chance.below(16) {
        0 => how.exploiter_excluded = false,
        1 => how.interpreter = Interpreter::Companion,
        2 => how.interpreter = Interpreter::Unknown,
        3 => how.interpreter = Interpreter::Nobody,
        4 => (how.interpreter, how.interpreted) = (Interpreter::Nobody, false),
        5 => (how.place, how.called_back_alone) = (AskedAt::Remote, false),
        6 => how.place = pick(chance, &[AskedAt::PolicePremises, AskedAt::Detention]),
        7 => how.duress = true,
        8 => world.share.age = pick(chance, &[Age::Adult, Age::Child, Age::Uncertain]),
        9 => match &mut world.share.minor {
            Some(minor) => minor.best_interests = false,
            None => {
                world.share.minor = Some(Minor { best_interests: true, unaccompanied: false, both_officers: false })
            }
        },
        10 => {
            if let Some(minor) = &mut world.share.minor {
                minor.both_officers = false;
                another_scope(world, chance);
            }
        }
        11 => *decider = Decider::Guardian { independent: chance.one_in(2), in_conflict: chance.one_in(2) },
        12 => {
            if let Some(minor) = &mut world.share.minor {
                minor.unaccompanied = chance.one_in(2);
            }
            *decider = Decider::Guardian { independent: false, in_conflict: false };
        }
        13 => *decider = pick(chance, &[Decider::Person, Decider::ChildProtection]),
        14 => *decider = Decider::Vital { by: 1 },
        _ => world.case.push(no),
    }
}

fn words_and_reading(world: &mut World, chance: &mut Chance) {
    let walls = [world.origin.wall, world.later.wall];
    let wall = pick(chance, &walls);
    let at = near(chance, wall);
    let given = world.given.0;
    match chance.below(8) {
        0 | 1 => world.words.push((at, Word::Withdrawn)),
        2 => {
            let how = match chance.below(5) {
                0 => Circumstances { place: AskedAt::PolicePremises, ..FREELY },
                1 => Circumstances { exploiter_excluded: false, ..FREELY },
                2 => Circumstances { duress: true, ..FREELY },
                3 => Circumstances { interpreter: Interpreter::Unknown, ..FREELY },
                _ => FREELY,
            };
            let until = pick(chance, &[DAY, 365 * DAY, 365 * DAY + 1, 0]);
            let decider = pick(chance, &[world.given.1, Decider::ChildProtection, Decider::Person]);
            world.words.push((at, Word::Confirmed(decider, how, at + until)));
        }
        3 => {
            let at = given + near(chance, 24 * HOUR);
            world.words.push((at, Word::Approved(pick(chance, &[1, 2]), chance.one_in(2))));
        }
        4 => world.read_at = near(chance, world.kept.expires),
        5 => world.read_at = near(chance, world.kept.since + world.kept.retention),
        6 => world.kept.retention = pick(chance, &[HOUR, 90 * DAY]),
        _ => world.kept.own = !world.kept.own,
    }
    world.words.sort_by_key(|(at, _)| *at);
}
