use super::*;
use crate::domain::directory::Steward;
use crate::domain::samples::{NOW, esch, kehl, member, strasbourg, view};
use crate::domain::time::Millis;

fn seen(change: impl FnOnce(&mut DirectoryView)) -> Seen {
    let mut view = view();
    change(&mut view);
    Seen { view: Arc::new(view), waiting: BTreeMap::new(), at: NOW }
}

/// Event, authority and end of what is told between the two.
fn told(before: &Seen, after: &Seen) -> Vec<(Event, Option<AuthorityId>, Option<UnixMs>)> {
    differences(before, after).into_iter().map(|entry| (entry.event, entry.authority, entry.until)).collect()
}

#[test]
fn what_stood_before_is_no_news() {
    assert_eq!(told(&seen(|_| ()), &seen(|view| view.number += 1)), []);
}

#[test]
fn a_suspension_is_told_with_its_end_and_told_again_when_it_lapses() {
    let end = NOW + Millis::hours(24);
    let suspended = |view: &mut DirectoryView| {
        view.overlay.insert(kehl(), end);
    };
    let (before, after) = (seen(|_| ()), seen(suspended));
    assert_eq!(told(&before, &after), [(Event::NowSuspended, Some(kehl()), Some(end))]);
    // Nothing changes but the time; nobody says when it lapses. The beats are as old then as they are.
    let lapsed = Seen { at: end, ..seen(suspended) };
    let events: Vec<Event> = told(&after, &lapsed).into_iter().map(|(event, ..)| event).collect();
    assert_eq!(events, [Event::NowActive, Event::RegisterStale]);
}

#[test]
fn a_removal_a_new_key_and_other_stewards_are_told() {
    let change = |id: AuthorityId, change: fn(&mut Member)| {
        move |view: &mut DirectoryView| {
            let mut changed = Member::clone(&view.members[&id]);
            change(&mut changed);
            view.members.insert(id, Arc::new(changed));
        }
    };
    let removed = seen(change(esch(), |member| member.removed_at = Some(NOW)));
    assert_eq!(told(&seen(|_| ()), &removed), [(Event::NowRemoved, Some(esch()), None)]);
    let rotated = seen(change(kehl(), |kehl| kehl.keys = member(esch(), 9).keys));
    assert_eq!(told(&seen(|_| ()), &rotated), [(Event::KeyReplaced, Some(kehl()), None)]);
    let steward = |authority| Arc::new(vec![Steward { authority, raft_id: 1 }]);
    let (first, second) = (seen(|v| v.stewards = steward(kehl())), seen(|v| v.stewards = steward(strasbourg())));
    let expected = [(Event::StewardJoined, Some(strasbourg()), None), (Event::StewardLeft, Some(kehl()), None)];
    assert_eq!(told(&first, &second), expected);
}

#[test]
fn a_decision_is_told_when_it_begins_to_wait_and_not_again() {
    let waits = |ids: &[u8]| Seen {
        waiting: ids.iter().map(|id| (StatementId([*id; 32]), Some(kehl()))).collect(),
        ..seen(|_| ())
    };
    let told_of = |before: &[u8], after: &[u8]| told(&waits(before), &waits(after));
    assert_eq!(told_of(&[], &[1]), [(Event::DecisionWaits, Some(kehl()), None)]);
    assert_eq!(told_of(&[1, 2], &[1, 3]), [(Event::DecisionWaits, Some(kehl()), None)]);
    assert_eq!(told_of(&[1], &[]), [], "what became of it is told by what changed");
}

#[test]
fn rules_and_a_new_founding_are_told_by_their_number() {
    let (before, after) = (seen(|_| ()), seen(|view| (view.policy.rules_version, view.founding) = (2, 1)));
    let numbers: Vec<_> = differences(&before, &after).into_iter().map(|entry| (entry.event, entry.number)).collect();
    assert_eq!(numbers, [(Event::OrderFounded, Some(1)), (Event::RulesRaised, Some(2))]);
}

#[test]
fn a_whole_register_that_comes_at_once_is_one_line() {
    let many = seen(|view| {
        for n in 0..100 {
            let id = AuthorityId::parse(&format!("de-m{n}")).unwrap();
            view.members.insert(id.clone(), Arc::new(member(id, 4)));
        }
    });
    let all = differences(&seen(|_| ()), &many);
    assert_eq!(all.len(), 100);
    let few = few(all);
    assert_eq!(few.len(), 1);
    assert_eq!((few[0].event, few[0].count, &few[0].authority), (Event::MemberJoined, Some(100), &None));
}

#[test]
fn a_backup_is_told_once_and_one_that_is_forgotten_is_not() {
    let at = |n| Some(UnixMs(n));
    assert_eq!(newer([None, at(5), None], [at(7), at(5), None]), [Entry::of(Event::BackupMade)]);
    assert_eq!(newer([at(7), at(5), at(6)], [at(7), None, None]), []);
}
