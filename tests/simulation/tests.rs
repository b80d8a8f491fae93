use std::collections::BTreeSet;

use super::*;

/// Worlds of a test: a first look at each commit; the part `simulation` runs many more.
const WORLDS: u64 = 1_200;

#[test]
fn all_invariants_hold() {
    for seed in 0..WORLDS {
        let ran = run(seed, None);
        assert!(ran.fault.is_none(), "seed {seed}: {:?}\n{}", ran.fault, ran.text);
        assert!(ran.steps > 20, "seed {seed} has but {} steps", ran.steps);
    }
}

/// The owner's clock was set back behind its statement, and a unit in use was given again.
#[test]
fn a_world_that_broke_once_holds() {
    assert_eq!(run(33_534_139_688_821_097, None).fault, None);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_one_another() {
    let digests = |_| (0..64).map(|seed| run(seed, None).digest).collect::<Vec<_>>();
    let (first, second) = (digests(0), digests(1));
    assert_eq!(first, second);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len());
}

/// The worlds are worth something only if the bugs that they are made for show in them, each by its invariant.
#[test]
fn each_bug_is_named() {
    for bug in Broken::ALL {
        let found = (0..4 * WORLDS).find_map(|seed| run(seed, Some(*bug)).fault.map(|fault| (seed, fault)));
        println!("{bug:?}: {found:?}");
        let (_, fault) = found.unwrap_or_else(|| panic!("{bug:?} is not found"));
        let named = fault.split(':').next().unwrap_or_default();
        assert!(expected(*bug).contains(&named), "{bug:?}: {fault}");
    }
}

fn expected(bug: Broken) -> &'static [&'static str] {
    match bug {
        Broken::DedupForgottenByCrash => &["ONCE"],
        Broken::ReceiptBeforeCommit | Broken::SettledBeforeAnswer | Broken::LivesNotDrawn => {
            &["KEPT", "ARRIVES", "NUMBERED"]
        }
        Broken::NumberReusedAfterCrash => &["NUMBERED", "ARRIVES"],
        Broken::DroppedUnnamed | Broken::OwedSettledFirst => &["NAMED"],
        Broken::PermitBeforeDuplicate => &["TRUE"],
        Broken::IncarnationByTheClock => &["ARRIVES"],
        Broken::BeginsAtTheClock | Broken::BelievesOthers | Broken::StepsUnbounded => &["RISES"],
        Broken::OverlayReplaced | Broken::OverlayForgottenByCrash => &["DENIED"],
        Broken::EntryTimeUnchecked => &["FORWARD"],
        Broken::AboveForgotten => &["KEPT"],
        Broken::FoundingIgnoredAbove | Broken::AwaitedForEver => &["EQUAL"],
        Broken::HoldAnsweredFirst => &["KEPT"],
        Broken::LeaseFromItsAnswer | Broken::RestoreOpensAtOnce => &["APART"],
        Broken::TokensFromBackup => &["TOKENS"],
        Broken::NumbersUnchecked | Broken::AppliedAtOwnTime => &["EQUAL", "FORWARD"],
    }
}
