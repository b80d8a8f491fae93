//! What a steward is shown before it agrees, and what its own program does not let it agree to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{Council, Error, Governance, Present, Wish};
use crate::clock::Clock;
use crate::directory::half_signed::HalfSigned;
use crate::directory::samples::{ESCH, GENT, KEHL, STRASBOURG, World, id};
use crate::directory::state::{Applied, KNOWN_RULES, RegisterState};
use crate::directory::{self, Proposed};
use crate::domain::audit::Actor;
use crate::domain::authority::ParticipantKind;
use crate::domain::directory::{DirectoryView, Policy};
use crate::domain::ids::{AuthorityId, Incarnation, StatementId};
use crate::domain::reason::Reason;
use crate::domain::register::Outcome;
use crate::domain::time::{Millis, UnixMs};
use crate::storage::memory::MemoryStore;
use crate::wire::statement::Act;

/// The register as one process holds it: what is proposed is applied at once.
struct Table {
    world: Mutex<World>,
    changes: watch::Sender<u64>,
}

impl Table {
    fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.world.lock().unwrap())
    }
}

impl Council for Table {
    fn state(&self) -> RegisterState {
        self.with(|world| world.state.clone())
    }

    fn view(&self) -> Arc<DirectoryView> {
        unreachable!("no act here looks at the view")
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn propose(&self, signed: Bytes) -> BoxFuture<'_, Result<Proposed, directory::Error>> {
        let Applied { number, outcome, head, statement } = self.with(|world| world.apply(&signed));
        let proposed = Proposed { number: number.unwrap_or(0), outcome, head: Some(head), statement };
        Box::pin(async move { Ok(proposed) })
    }

    fn suspend_now(&self, _: Bytes) -> BoxFuture<'_, Result<bool, directory::Error>> {
        unreachable!("nobody is suspended here")
    }

    fn ask_second(&self, _: &Bytes) -> Result<bool, directory::Error> {
        unreachable!("nobody is suspended here")
    }

    fn half_signed(&self) -> Vec<Arc<HalfSigned>> {
        Vec::new()
    }

    fn emergencies(&self, _: &AuthorityId) -> Vec<StatementId> {
        Vec::new()
    }

    fn overlay(&self) -> Vec<(StatementId, Bytes)> {
        Vec::new()
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

/// Strasbourg, Kehl and Esch are stewards; governing is Kehl's.
fn kehl() -> (Arc<Table>, Governance) {
    let world = World::three();
    let (key, changes) = (world.keys[&id(KEHL)].clone(), watch::Sender::new(0));
    let table = Arc::new(Table { world: Mutex::new(world), changes });
    let clock = Arc::new(WorldClock(table.clone()));
    let time = clock.clone();
    let store = Arc::new(MemoryStore::new(Incarnation(1), Arc::new(move || time.now())));
    let governance = Governance::new(id(KEHL), move || key.clone(), table.clone(), store, clock);
    (table, governance)
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Error>) -> Reason {
    answer.unwrap_err().reason()
}

#[tokio::test]
async fn a_steward_neither_asks_for_rules_that_its_program_does_not_know_nor_agrees_to_them() {
    let (table, governance) = kehl();
    let raised = Policy { rules_version: KNOWN_RULES + 1, ..Policy::default() };
    let number = table.state().number();
    let asked = governance.decide(Wish::Policy(raised.clone()), Actor::NODE).await;
    assert_eq!((refused(asked), table.state().number()), (Reason::RulesTooOld, number), "nothing was signed");

    // A steward with a later program asks: Kehl's yes would stop Kehl, Esch, and every node like them.
    let opened = table.with(|world| world.act(STRASBOURG, |a, s| a.policy(s, &raised)));
    assert_eq!(opened.outcome, Outcome::Pending);
    let approved = governance.approve(&opened.statement, Actor::NODE).await;
    assert_eq!(refused(approved), Reason::RulesTooOld);
    let again = governance.decide(Wish::Policy(raised), Actor::NODE).await;
    assert_eq!(refused(again), Reason::RulesTooOld, "nor by asking for the same");
    assert_eq!(table.state().stopped(), None);

    // What its program knows goes through as ever.
    let shorter = Policy { emergency: Millis::hours(12), ..Policy::default() };
    let opened = table.with(|world| world.act(STRASBOURG, |a, s| a.policy(s, &shorter)));
    let approved = governance.approve(&opened.statement, Actor::NODE).await.unwrap();
    assert_eq!((approved.outcome, table.state().policy().emergency), (Outcome::Accepted, Millis::hours(12)));
}

#[tokio::test]
async fn an_open_decision_says_what_would_stand_in_place_of_what() {
    let (table, governance) = kehl();
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
    let open = governance.pending();
    let found = |act: &str| open.iter().find(|p| p.act == act).unwrap();
    let asked = found("POLICY");
    assert!(matches!((&*asked.asked, &asked.present), (Act::Policy(wanted), Present::Policy(now))
        if wanted.admission_approvals == 3 && now.admission_approvals == 2));
    let asked = found("STEWARD_SET");
    assert!(matches!((&*asked.asked, &asked.present), (Act::StewardSet(wanted), Present::Stewards(now))
        if wanted.len() == 2 && now.len() == 3 && now.iter().any(|s| s.authority == id(ESCH))));
    let asked = found("ADMIT");
    assert!(matches!((&*asked.asked, &asked.present), (Act::Admit(admit), Present::Nothing)
        if admit.application.entry.authority.as_str() == "at-graz"));
    let asked = found("ENTRY_CHANGE");
    assert!(matches!((&*asked.asked, &asked.present), (Act::EntryChange(entry), Present::Member(now))
        if entry.kind == ParticipantKind::MandatedNgo && now.entry.kind == ParticipantKind::LocalAuthority));
}
