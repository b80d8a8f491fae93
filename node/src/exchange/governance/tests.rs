//! What a steward is shown before it agrees, and what its own program does not let it agree to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{Decisions, Error, RegisterPort};
use crate::clock::Clock;
use crate::directory;
use crate::directory::acts::steward_set;
use crate::directory::samples::{ESCH, GENT, GRAZ, KEHL, STRASBOURG, World, id};
use crate::directory::state::{KNOWN_RULES, RegisterState};
use crate::domain::audit::Actor;
use crate::domain::authority::{AuthorityEntry, ParticipantKind};
use crate::domain::directory::{Policy, Steward};
use crate::domain::ids::Incarnation;
use crate::domain::reason::Reason;
use crate::domain::register::{Applied, Outcome, SuspendReason};
use crate::domain::statement::{Act, Decision, Suspend};
use crate::domain::time::{Millis, UnixMs};

/// The register as one process holds it: what is proposed is applied at once.
pub(super) struct Table {
    world: Mutex<World>,
    changes: watch::Sender<u64>,
}

impl Table {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.world.lock().unwrap())
    }
}

impl RegisterPort for Table {
    fn state(&self) -> RegisterState {
        self.with(|world| world.state.clone())
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn propose(&self, signed: Bytes) -> BoxFuture<'_, Result<Applied, directory::Error>> {
        let applied = self.with(|world| world.apply(&signed));
        Box::pin(async move { Ok(applied) })
    }

    /// In this world Graz has no node that answers.
    fn prepare(&self, newcomer: Steward) -> BoxFuture<'_, Result<(), directory::Error>> {
        let answers = newcomer.authority != id(GRAZ);
        Box::pin(async move { if answers { Ok(()) } else { Err(Reason::NewcomerCatchingUp.into()) } })
    }
}

/// The world's time.
struct WorldClock(Arc<Table>);

impl Clock for WorldClock {
    fn now(&self) -> UnixMs {
        self.0.with(|world| world.now)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Strasbourg, Kehl and Esch are stewards; Kehl decides.
pub(super) async fn kehl() -> (Arc<Table>, Decisions) {
    let world = World::three();
    let (key, changes) = (world.keys[&id(KEHL)].clone(), watch::Sender::new(0));
    let table = Arc::new(Table { world: Mutex::new(world), changes });
    let clock = Arc::new(WorldClock(table.clone()));
    let time = clock.clone();
    let store = Arc::new(crate::storage::samples::fresh(Incarnation(1), Arc::new(move || time.now())).await);
    (table.clone(), Decisions::new(id(KEHL), move || key.clone(), table, store, clock))
}

pub(super) fn refused<T: std::fmt::Debug>(answer: Result<T, Error>) -> Reason {
    answer.unwrap_err().reason()
}

#[tokio::test]
async fn a_steward_neither_asks_for_rules_that_its_program_does_not_know_nor_agrees_to_them() {
    let (table, decisions) = kehl().await;
    let raised = Policy { rules_version: KNOWN_RULES + 1, ..Policy::default() };
    let number = table.state().number();
    let asked = decisions.decide(|_| Ok(raised.clone().into()), Actor::NODE).await;
    assert_eq!((refused(asked), table.state().number()), (Reason::RulesTooOld, number), "nothing was signed");

    // A steward with a later program asks: Kehl's yes would stop Kehl, Esch, and every node like them.
    let opened = table.with(|world| world.act(STRASBOURG, |a, s| a.policy(s, &raised)));
    assert_eq!(opened.outcome, Outcome::Pending);
    let approved = decisions.approve(&opened.statement, Actor::NODE).await;
    assert_eq!(refused(approved), Reason::RulesTooOld);
    let again = decisions.decide(|_| Ok(raised.clone().into()), Actor::NODE).await;
    assert_eq!(refused(again), Reason::RulesTooOld, "nor by asking for the same");
    assert_eq!(table.state().stopped(), None);

    // What its program knows goes through as ever.
    let shorter = Policy { emergency: Millis::hours(12), ..Policy::default() };
    let opened = table.with(|world| world.act(STRASBOURG, |a, s| a.policy(s, &shorter)));
    let approved = decisions.approve(&opened.statement, Actor::NODE).await.unwrap();
    assert_eq!((approved.applied.outcome, table.state().policy().emergency), (Outcome::Accepted, Millis::hours(12)));
}

#[tokio::test]
async fn an_open_decision_says_what_would_stand_in_place_of_what() {
    let (table, decisions) = kehl().await;
    let policy = Policy { admission_approvals: 3, ..Policy::default() };
    table.with(|world| {
        world.act(STRASBOURG, |a, s| a.policy(s, &policy));
        world.act(STRASBOURG, |a, s| a.steward_set(s, &s.stewards()[..2]));
        world.propose_admission("at-graz", 9);
        world.act(GENT, |a, s| {
            let mut changed = s.member(&id(GENT)).unwrap().entry.clone();
            changed.kind = ParticipantKind::MandatedNgo;
            a.entry_change(s, &changed)
        });
    });
    let open = decisions.pending();
    let found = |act: &str| open.iter().find(|p| p.act == act).unwrap();
    let asked = found("POLICY");
    assert!(matches!((&*asked.asked, &asked.replaces), (Act::Policy(wanted), Some(Act::Policy(now)))
        if wanted.admission_approvals == 3 && now.admission_approvals == 2));
    let asked = found("STEWARD_SET");
    assert!(matches!((&*asked.asked, &asked.replaces), (Act::StewardSet(wanted), Some(Act::StewardSet(now)))
        if wanted.stewards.len() == 2 && now.stewards.len() == 3 && asked.subject == ESCH));
    let asked = found("ADMIT");
    assert!(matches!((&*asked.asked, &asked.replaces), (Act::Admit(admit), None)
        if admit.application.entry.authority.as_str() == "at-graz"));
    let asked = found("ENTRY_CHANGE");
    assert!(matches!((&*asked.asked, &asked.replaces), (Act::EntryChange(wanted), Some(Act::EntryChange(now)))
        if wanted.entry.kind == ParticipantKind::MandatedNgo && now.entry.kind == ParticipantKind::LocalAuthority));
}

/// Equal decisions are one: asked for again, the open one is approved, and by whoever approved it only looked up.
#[tokio::test]
async fn what_is_asked_for_twice_is_proposed_once() {
    let (table, decisions) = kehl().await;
    let suspend = |_: &RegisterState| Ok(Decision::about(id(GENT), Suspend { reason: SuspendReason::OwnRequest }));
    let opened = decisions.decide(suspend, Actor::NODE).await.unwrap();
    assert_eq!((opened.applied.outcome, opened.approved_by, opened.needed), (Outcome::Pending, vec![id(KEHL)], 2));
    let number = table.state().number();
    let again = decisions.decide(suspend, Actor::NODE).await.unwrap();
    assert_eq!((again.applied.statement, table.state().number()), (opened.applied.statement, number));

    // What Strasbourg opened, Kehl asks for: that is its approval.
    let theirs = table.with(|world| world.act(STRASBOURG, |a, s| a.steward_set(s, &s.stewards()[..2])));
    let demoted = decisions.decide(|state| Ok(steward_set::demoted(state, &id(ESCH))?.into()), Actor::NODE).await;
    let demoted = demoted.unwrap().applied;
    assert_eq!((demoted.statement, demoted.outcome), (theirs.statement, Outcome::Accepted));
    let gone = decisions.decide(|state| Ok(steward_set::demoted(state, &id(ESCH))?.into()), Actor::NODE).await;
    assert_eq!(refused(gone), Reason::NotASteward, "nothing is signed about one that is none");
    let known = decisions.decide(|state| Ok(steward_set::promoted(state, &id(KEHL))?.into()), Actor::NODE).await;
    assert_eq!(refused(known), Reason::AlreadyApproved);
}

/// Whoever is in the set counts for every majority: nobody signs for a node that has not caught up.
#[tokio::test]
async fn nothing_is_signed_for_a_newcomer_that_has_not_caught_up() {
    let (table, decisions) = kehl().await;
    table.with(|world| world.admit(GRAZ, 5));
    let number = table.state().number();
    let promoted = |who: &'static str| move |state: &RegisterState| Ok(steward_set::promoted(state, &id(who))?.into());
    let behind = decisions.decide(promoted(GRAZ), Actor::NODE).await;
    assert_eq!(refused(behind), Reason::NewcomerCatchingUp);
    assert_eq!(table.state().number(), number, "nor proposed");
    let set = |world: &mut World| {
        let mut set = world.state.stewards().to_vec();
        set.push(Steward { authority: id(GRAZ), raft_id: 5 });
        world.act(STRASBOURG, |a, s| a.steward_set(s, &set)).statement
    };
    let theirs = table.with(set);
    let behind = decisions.approve(&theirs, Actor::NODE).await;
    assert_eq!(refused(behind), Reason::NewcomerCatchingUp, "nor approved");
    assert!(table.state().proposal(&theirs).unwrap().votes.len() == 1);
    let opened = decisions.decide(promoted(GENT), Actor::NODE).await.unwrap();
    assert_eq!(opened.applied.outcome, Outcome::Pending);
}

#[tokio::test]
async fn the_register_s_time_is_put_right_once_and_only_if_it_lies_ahead() {
    let (table, decisions) = kehl().await;
    let right = UnixMs(table.state().entry_time().0);
    assert_eq!(decisions.retiming(None).unwrap_err().reason(), Reason::RegisterNotAhead);
    table.with(|world| {
        world.now = world.now + Millis::days(3);
        assert_eq!(world.change_own(GENT, |entry| entry.services = vec![2]), Outcome::Accepted);
        world.now = right;
    });
    let plan = decisions.retiming(None).unwrap();
    assert_eq!((plan.now, plan.time), (table.state().entry_time(), right));
    let early = decisions.retiming(Some(right + Millis::hours(1))).unwrap();
    assert_eq!(refused(decisions.retime(early, Actor::NODE).await), Reason::EntryTimeInvalid, "ahead of this clock");
    // Asked for twice, signed once.
    table.with(|world| world.now = world.state.entry_time());
    let plan = decisions.retiming(Some(right)).unwrap();
    let asked = decisions.retime(plan, Actor::NODE).await.unwrap();
    let number = table.state().number();
    let again = decisions.retime(plan, Actor::NODE).await.unwrap();
    assert_eq!((again.applied.statement, table.state().number()), (asked.applied.statement, number));
    table.with(|world| assert_eq!(world.approve(ESCH, &asked.applied.statement), Outcome::Accepted));
    assert_eq!(table.state().entry_time(), right);
}

/// The node announces a new Raft id by itself, while an operator's change is under way.
#[tokio::test]
async fn a_change_of_the_entry_leaves_the_raft_id_as_the_register_has_it() {
    let (table, decisions) = kehl().await;
    let read = table.state().member(&id(KEHL)).unwrap().entry.clone();
    table.with(|world| assert_eq!(world.change_own(KEHL, |entry| entry.raft_id = 77), Outcome::Accepted));
    let changed = AuthorityEntry { services: vec![2], ..read };
    decisions.update_entry(changed.clone(), None, Actor::NODE).await.unwrap();
    let now = table.state().member(&id(KEHL)).unwrap().clone();
    assert_eq!((now.entry.raft_id, now.entry.services.as_slice()), (77, &[2][..]));

    // Whoever says which version was read undoes no change that has come since.
    let changed = AuthorityEntry { services: vec![3], ..changed };
    let refused = decisions.update_entry(changed.clone(), Some(now.version - 1), Actor::NODE).await.err().unwrap();
    assert_eq!(refused.reason(), Reason::StaleVersion);
    assert_eq!(table.state().member(&id(KEHL)).unwrap().entry.services, [2]);
    decisions.update_entry(changed, Some(now.version), Actor::NODE).await.unwrap();
    assert_eq!(table.state().member(&id(KEHL)).unwrap().entry.services, [3]);
}
