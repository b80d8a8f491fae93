use stateright::{Checker, HasDiscoveries, Model};

use super::properties::*;
use super::*;

/// Walks through all that may happen, or up to so many states; what was found wrong, with the way there.
fn walk(bounds: &Bounds, broken: Option<Broken>, limit: usize) -> (usize, Vec<(&'static str, String)>) {
    let model = Federation { bounds: *bounds, broken };
    let failures = HasDiscoveries::AnyFailures;
    let checker = model.checker().threads(1).target_state_count(limit).finish_when(failures).spawn_bfs().join();
    let found = checker.discoveries().into_iter().filter(|(name, _)| *name != TAKEN);
    let found = found.map(|(name, path)| (name, format!("{:?}", path.into_actions()))).collect();
    (checker.unique_state_count(), found)
}

/// Nothing is found, and the whole of it was walked through.
fn holds(what: &str, bounds: &Bounds, limit: usize) {
    let (states, found) = walk(bounds, None, limit);
    println!("{what}: {states} states");
    assert!(found.is_empty(), "{what}: {found:#?}");
    assert!(states < limit, "{what} is larger than {limit} states: the rest was not looked at");
}

/// Without a clause of the rule this property does not hold any more.
fn needs(clause: Broken, property: &'static str, bounds: &Bounds) {
    let (states, found) = walk(bounds, Some(clause), LIMIT);
    println!("without {clause:?}: {found:#?} after {states} states");
    assert!(found.iter().any(|(name, _)| *name == property), "{clause:?} is not missed in {states} states: {found:?}");
}

const LIMIT: usize = 1_000_000;
const THREE: Bounds = Bounds::new(3);

fn sets() -> Bounds {
    Bounds { changes: 0, next_set: 0b1110, mirrors: 1, ..THREE }
}

#[test]
fn stewards_that_lose_each_other_heal() {
    holds("two foundings among three", &Bounds { foundings: 2, ..THREE }, LIMIT);
    holds("a mirror", &Bounds { mirrors: 1, ..THREE }, LIMIT);
    holds("four stewards, a lost disk", &Bounds { changes: 0, restores: 1, ..Bounds::new(4) }, LIMIT);
    holds("five stewards", &Bounds { changes: 0, ..Bounds::new(5) }, LIMIT);
}

#[test]
fn lost_disks_lose_nothing_that_somebody_holds() {
    holds("two foundings, a lost disk", &Bounds { changes: 0, foundings: 2, restores: 1, ..THREE }, LIMIT);
    holds("two lost disks", &Bounds { restores: 2, ..THREE }, LIMIT);
    holds("enrolled anew", &Bounds { restores: 1, enrolments: 1, ..THREE }, LIMIT);
    holds("one steward", &Bounds { changes: 2, foundings: 2, restores: 2, mirrors: 1, ..Bounds::new(1) }, LIMIT);
    holds("two stewards", &Bounds { foundings: 2, restores: 1, mirrors: 1, ..Bounds::new(2) }, LIMIT);
    holds("a forgotten old pair", &Bounds { restores: 2, old_machines: 0b110, ..THREE }, LIMIT);
}

#[test]
fn a_thief_of_one_current_key_and_of_withdrawn_ones_founds_nothing() {
    let thief = Bounds { thief_foundings: 1, ..THREE };
    holds("a current key", &Bounds { mirrors: 1, stolen: 1, ..thief }, LIMIT);
    let withdrawn = Bounds { changes: 0, withdrawn: 0b110, ..thief };
    holds("withdrawn keys", &Bounds { mirrors: 1, ..withdrawn }, LIMIT);
    holds("withdrawn keys, a lost disk", &Bounds { restores: 1, ..withdrawn }, LIMIT);
    holds("a key withdrawn after it signed", &Bounds { stolen: 1, rotates: true, mirrors: 1, ..THREE }, LIMIT);
}

#[test]
fn later_sets_are_asked() {
    holds("another set", &sets(), LIMIT);
    holds("another set, a lost disk", &Bounds { restores: 1, mirrors: 0, ..sets() }, LIMIT);
}

/// The checker is checked: of each clause it says what goes wrong without it.
#[test]
fn each_clause_of_the_rule_is_needed() {
    let plain = Bounds { foundings: 2, ..THREE };
    let enrolled = Bounds { restores: 1, enrolments: 1, ..THREE };
    let thief = Bounds { thief_foundings: 1, mirrors: 1, ..THREE };
    needs(Broken::NewSetAlone, UNIQUE, &plain);
    needs(Broken::LaterSets, LATER_SETS, &Bounds { thief_foundings: 1, stolen: 1, ..sets() });
    needs(Broken::WithdrawnKeys, NO_THIEF, &Bounds { changes: 0, withdrawn: 0b110, ..thief });
    needs(Broken::BaseByLength, DECIDED, &Bounds { stolen: 1, ..thief });
    needs(Broken::BaseUnasked, NO_THIEF, &Bounds { changes: 0, withdrawn: 0b110, restores: 1, mirrors: 0, ..thief });
    needs(Broken::SignsTwice, UNIQUE, &plain);
    needs(Broken::LeavesLater, LEFT, &plain);
    needs(Broken::StartsBelow, LEFT, &plain);
    needs(Broken::RestoredVotes, ORDER, &enrolled);
    needs(Broken::AboveForgotten, DENIES, &plain);
    needs(Broken::FirstIsKept, ONE_LINE, &Bounds { changes: 0, restores: 1, ..plain });
    needs(Broken::OldVersion, VOID, &enrolled);
}

/// The same with more of everything: minutes, in the long run only.
#[test]
#[ignore = "the long run: tests/run long"]
fn more_of_everything() {
    let limit = 60_000_000;
    holds("two foundings, two lost disks", &Bounds { changes: 0, foundings: 2, restores: 2, ..THREE }, limit);
    holds("two foundings, a lost disk, a change", &Bounds { foundings: 2, restores: 1, ..THREE }, limit);
    holds("two foundings, a mirror", &Bounds { foundings: 2, mirrors: 1, ..THREE }, limit);
    holds("a thief, a lost disk", &Bounds { thief_foundings: 1, stolen: 1, restores: 1, ..THREE }, limit);
    holds("four stewards, two lost disks", &Bounds { restores: 2, ..Bounds::new(4) }, limit);
    holds("five stewards, a lost disk", &Bounds { restores: 1, ..Bounds::new(5) }, limit);
}
