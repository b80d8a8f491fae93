//! What one partner may propose to the register.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::app::budgets::{self, PartnerBudgets};
use crate::app::listeners::empty_view;
use crate::clock::MovedClock;
use crate::domain::directory::{DirectoryView, Steward};
use crate::domain::ids::AuthorityId;
use crate::domain::record::StreamClass;
use crate::domain::time::Millis;
use crate::exchange::Spent;
use crate::services::layers::{Budget, Charge};

#[test]
fn statements_are_counted_per_authority_each_second_and_in_a_day_and_stewards_have_ten_times_as_many() {
    let root = tempfile::tempdir().unwrap();
    let set = ["budget.statements_per_second=2".to_owned(), "budget.statements_per_day=6".to_owned()];
    let config = config(root.path(), &set);
    let [kehl, gent, graz] = ["de-kehl", "be-gent", "at-graz"].map(|id| AuthorityId::parse(id).unwrap());
    let view = empty_view();
    let stewards = Arc::new(vec![Steward { authority: graz.clone(), raft_id: 1 }]);
    view.store(Arc::new(DirectoryView { stewards, ..DirectoryView::clone(&view.load()) }));
    let clock = MovedClock::new();
    let shared: crate::clock::SharedClock = clock.clone();
    let (budget, places, _) = PartnerBudgets::new(&config, &shared).doors(view);
    let take = |who: &AuthorityId| (0..100).take_while(|_| budget(who, Charge::Statement).is_ok()).count();
    assert_eq!(take(&kehl), 4, "twice as many at once");
    let wait = budget(&kehl, Charge::Statement).unwrap_err();
    assert!(wait > Duration::ZERO && wait <= Duration::from_millis(500), "{wait:?}");
    assert_eq!((take(&gent), take(&graz)), (4, 40), "each has its own");
    budget(&kehl, Charge::ExchangeCall).unwrap();
    clock.advance(Millis::seconds(10));
    assert_eq!(take(&kehl), 2, "the day's are used up");
    assert!(budget(&kehl, Charge::Statement).unwrap_err() > Duration::from_secs(3_600));
    let all: Vec<_> = (0..100).map_while(|_| places(&kehl).ok()).collect();
    assert_eq!(all.len(), 32, "open streams");
    drop(all);
    assert!(places(&kehl).is_ok(), "a stream that ended gives its place back");
}

#[test]
fn bytes_are_counted_as_they_come() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), &["budget.bytes_per_second=1000".to_owned()]);
    let kehl = AuthorityId::parse("de-kehl").unwrap();
    let shared: crate::clock::SharedClock = MovedClock::new();
    let (budget, _, _) = PartnerBudgets::new(&config, &shared).doors(empty_view());
    for _ in 0..4 {
        budget(&kehl, Charge::ExchangeBytes(1_000)).unwrap();
    }
    assert!(budget(&kehl, Charge::ExchangeBytes(1_000)).is_err(), "four times as many at once");
    budget(&kehl, Charge::ExchangeCall).unwrap();
}

#[test]
fn control_has_a_budget_of_its_own_within_that_of_all_rows() {
    let root = tempfile::tempdir().unwrap();
    let set = ["budget.control_per_day=10".to_owned(), "budget.rows_per_day=100".to_owned()];
    let config = config(root.path(), &set);
    let kehl = AuthorityId::parse("de-kehl").unwrap();
    let shared: crate::clock::SharedClock = MovedClock::new();
    let (_, _, batches) = PartnerBudgets::new(&config, &shared).doors(empty_view());
    batches.take(&kehl, StreamClass::Control, 10).unwrap();
    assert!(batches.take(&kehl, StreamClass::Control, 1).unwrap_err() > Duration::from_secs(3_600));
    batches.take(&kehl, StreamClass::Content, 90).unwrap();
    assert!(batches.take(&kehl, StreamClass::Content, 1).is_err(), "control was counted among all rows");
}

#[test]
fn questions_to_the_register_have_a_budget_of_their_own_and_stewards_ten_times_as_much() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), &[]);
    let [kehl, graz] = ["de-kehl", "at-graz"].map(|id| AuthorityId::parse(id).unwrap());
    let view = empty_view();
    let stewards = Arc::new(vec![Steward { authority: graz.clone(), raft_id: 1 }]);
    view.store(Arc::new(DirectoryView { stewards, ..DirectoryView::clone(&view.load()) }));
    let clock = MovedClock::new();
    let shared: crate::clock::SharedClock = clock.clone();
    let (budget, _, _) = PartnerBudgets::new(&config, &shared).doors(view);
    let take = |who: &AuthorityId, spent| (0..10_000).take_while(|_| budget(who, spent).is_ok()).count();
    // The clock goes on while the test runs: a little more than the number is the number.
    let about = |taken: usize, n: usize| assert!((n..n + n / 4).contains(&taken), "{taken} of {n}");
    about(take(&kehl, Charge::RegisterCall), 200);
    about(take(&graz, Charge::RegisterCall), 2_000);
    let largest = Charge::RegisterBytes(64 << 10);
    about(take(&kehl, largest), 64);
    about(take(&graz, largest), 640);
    budget(&kehl, Charge::ExchangeCall).unwrap();
    budget(&kehl, Charge::Statement).unwrap();
    clock.advance(Millis::seconds(1));
    about(take(&kehl, Charge::RegisterCall), 100);
    about(take(&kehl, largest), 16);
}

#[test]
fn by_default_a_member_cannot_fill_what_everybody_keeps_for_ever() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), &[]);
    let kehl = AuthorityId::parse("de-kehl").unwrap();
    let clock = MovedClock::new();
    let shared: crate::clock::SharedClock = clock.clone();
    let (budget, _, _) = PartnerBudgets::new(&config, &shared).doors(empty_view());
    let mut taken = 0;
    for _ in 0..4_000 {
        taken += (0..100).take_while(|_| budget(&kehl, Charge::Statement).is_ok()).count();
        clock.advance(Millis::seconds(20));
    }
    // A day's at once, and what comes again in a day.
    assert!((5_000..10_000).contains(&taken), "{taken}");
}

#[test]
fn a_budget_that_is_changed_counts_anew_and_the_others_go_on() {
    let root = tempfile::tempdir().unwrap();
    let of = |control: u32| {
        let set = [format!("budget.control_per_day={control}"), "budget.register_calls_per_second=5".to_owned()];
        config(root.path(), &set)
    };
    let kehl = AuthorityId::parse("de-kehl").unwrap();
    let shared: crate::clock::SharedClock = MovedClock::new();
    let budgets = PartnerBudgets::new(&of(10), &shared);
    let (budget, _, batches) = budgets.doors(empty_view());
    let questions = || (0..100).take_while(|_| budget(&kehl, Charge::RegisterCall).is_ok()).count();
    let control = || (0..1_000).take_while(|_| batches.take(&kehl, StreamClass::Control, 1).is_ok()).count();
    assert_eq!((questions(), control()), (10, 10));
    budgets.change(&of(10));
    assert_eq!((questions(), control()), (0, 0), "nothing is new");
    budgets.change(&of(300));
    assert_eq!((questions(), control()), (0, 300), "only what changed");
}

#[test]
fn who_goes_on_calling_with_its_budget_exhausted_is_shown_out() {
    let (clock, kehl) = (MovedClock::new(), AuthorityId::parse("de-kehl").unwrap());
    let ended = Arc::new(AtomicUsize::new(0));
    let count = ended.clone();
    let exhausted: Budget = Arc::new(|_, _| Err(Duration::from_secs(1)));
    let budget = budgets::ending(exhausted, clock.clone(), move |_| count.fetch_add(1, Ordering::SeqCst));
    let calls = |n: usize| (0..n).for_each(|_| assert!(budget(&kehl, Charge::RegisterCall).is_err()));
    calls(999);
    clock.advance(Millis::seconds(61));
    calls(999);
    assert_eq!(ended.load(Ordering::SeqCst), 0, "a thousand in a minute, not in a day");
    calls(1);
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    calls(999);
    assert_eq!(ended.load(Ordering::SeqCst), 1, "it is counted anew");
}

#[test]
fn work_and_stored_bytes_are_paid_for_afterwards_by_who_caused_them() {
    let root = tempfile::tempdir().unwrap();
    let set = ["budget.processor_ms_per_second=100".to_owned(), "budget.stored_mib_per_day=1".to_owned()];
    let config = config(root.path(), &set);
    let (kehl, esch) = (AuthorityId::parse("de-kehl").unwrap(), AuthorityId::parse("lu-esch").unwrap());
    let clock = MovedClock::new();
    clock.stop();
    let shared: crate::clock::SharedClock = clock.clone();
    let (_, _, batches) = PartnerBudgets::new(&config, &shared).doors(empty_view());
    let take = |who| batches.take(who, StreamClass::Content, 1);
    let ms = Duration::from_millis;
    // Half a second at once; what is beyond it takes ten times as long to make up for.
    batches.spent(&kehl, Spent { worked: ms(500), stored: 0 });
    take(&kehl).unwrap();
    batches.spent(&kehl, Spent { worked: ms(200), stored: 0 });
    let wait = take(&kehl).unwrap_err();
    assert!(wait > ms(1_999) && wait < ms(2_001), "{wait:?}");
    take(&esch).unwrap();
    clock.advance(Millis::seconds(3));
    take(&kehl).unwrap();

    batches.spent(&esch, Spent { worked: ms(0), stored: 1 << 20 });
    take(&esch).unwrap();
    batches.spent(&esch, Spent { worked: ms(0), stored: 1 << 19 });
    let wait = take(&esch).unwrap_err();
    assert!(wait > Duration::from_secs(43_000) && wait < Duration::from_secs(43_201), "half a day for half: {wait:?}");
    take(&kehl).unwrap();
}
