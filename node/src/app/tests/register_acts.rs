//! Acts whose order went wrong on the way: the node finishes by itself what the register took, or has yet to take.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::*;
use crate::app::rotation;
use crate::clock::SharedClock;
use crate::directory::state::RegisterState;
use crate::directory::statements::Author;
use crate::directory::{self, Directory};
use crate::domain::audit::Actor;
use crate::domain::authority::Name;
use crate::domain::directory::{Policy, Steward};
use crate::domain::ids::{AuthorityId, Digest, Incarnation, InvitationId, StatementId};
use crate::domain::reason::Reason;
use crate::domain::register::{Applied, Decided, SuspendReason};
use crate::exchange::governance::{Decisions, Governance, RegisterPort};
use crate::exchange::join::{Admissions, JoinStep};
use crate::storage::Store;
use crate::storage::ops::Write;
use crate::storage::owed::{Owed, OwedKey, Subject, What};
use crate::storage::sqlite::{Options, SqliteStore};
use crate::wire::keys::SigningKey;
use crate::wire::statement::SignedStatement;

/// How long an order waits for the register before it answers without it.
const REGISTER: Duration = Duration::from_secs(2);

fn key_of(config: &Config) -> Arc<SigningKey> {
    Arc::new(SigningKey::from_pkcs8(&std::fs::read(config.data_dir.join("authority.key")).unwrap()).unwrap())
}

pub(super) fn governance(member: &RunningMember) -> Governance {
    member.renewal().governance.clone()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

/// Kehl becomes a member: nobody has to run its node.
pub(super) async fn admitted(member: &RunningMember) -> AuthorityId {
    let directory = member.directory();
    let (state, kehl) = (directory.state(), AuthorityId::parse("de-kehl").unwrap());
    let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    let mut entry = state.member(directory.authority()).unwrap().entry.clone();
    entry.authority = kehl.clone();
    entry.names = vec![Name { language: "de".into(), name: "Kehl".into() }];
    entry.authority_key = key.public();
    entry.endpoints = vec!["kehl.example:7443".into()];
    let tls = NodeIdentity::generate(&kehl, SystemClock::shared().now(), Millis::days(90)).unwrap();
    let tls = NodeIdentity::from_der(&tls.key, &tls.certificate.der).unwrap();
    entry.pins = vec![tls.pinned(&state.federation(), &kehl).unwrap()];
    entry.raft_id = 77;
    let author = Author { authority: &kehl, key: &key, now: SystemClock::shared().now(), nonce: [3; 16] };
    let application = author.application(&state.federation(), state.policy().rules_version, 0, &entry);
    let admit = JoinStep::Admit {
        authority: kehl.clone(),
        application: application.signed,
        invited_by: directory.authority().clone(),
        invitation: InvitationId([1; 32]),
        words_digest: Digest([1; 32]),
    };
    Admissions::decide(&governance(member), admit).await.unwrap();
    until("Kehl is a member", || directory.view().member(&kehl).is_some()).await;
    kehl
}

/// Decides once the key that signs is the one that the register lists. The file is renamed first and flushed, and only then
/// is the key in use: what is signed in between does not verify any more.
async fn decided(governance: &Governance, policy: &Policy) -> Decided {
    let asking = async {
        loop {
            match governance.decisions.decide(|_| Ok(policy.clone().into()), Actor::NODE).await {
                Err(error) if error.reason() == Reason::SignatureInvalid => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                decided => return decided.unwrap(),
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("the new key comes into use")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_rotation_lost_its_answer_is_in_use_as_soon_as_the_register_lists_it() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), &[]);
    let member = started(&config).await;
    let next = rotation::make(&config.data_dir).unwrap();
    // Ordered and accepted; nobody hears the answer.
    governance(&member).decisions.rotate_key(&next, false, Actor::NODE).await.unwrap();
    until("the file is in place", || key_of(&config).public() == next.public()).await;
    let policy = member.directory().view().policy.clone();
    let decided = decided(&governance(&member), &Policy { emergency: Millis::hours(2), ..policy }).await;
    assert!(decided.applied.number > 1, "what it signs now is signed with the new key: {decided:?}");
    member.stop().await;
    let again = started(&config).await;
    assert_eq!(again.directory().view().policy.emergency, Millis::hours(2));
    again.stop().await;
}

/// What the store holds when the process ends between a suspension and its line in the ledger.
async fn owe_entry(config: &Config, statement: &StatementId, target: &AuthorityId) {
    let now = SystemClock::shared().now();
    let options = Options { ballast_bytes: 0, ..Options::new(Arc::new(move || now)) };
    let store = SqliteStore::open(&config.data_dir, options).await.unwrap();
    let owes = vec![Owed::now(OwedKey::to(target, Subject::EmergencyEntry(*statement)), now)];
    store.write(Write { owes, ..Write::default() }.into()).await.unwrap();
    store.close().await;
}

async fn suspensions(config: &Config) -> usize {
    use admin::audit_service_client::AuditServiceClient;
    let mut audit = AuditServiceClient::new(door(config, "operator").await);
    let request = admin::ListLeavesRequest { from: 0, page_size: 500 };
    let leaves = audit.list_leaves(request).await.unwrap().into_inner().leaves;
    leaves.iter().filter(|leaf| leaf.act() == havenlink_proto::record::v1::AuditAct::MemberSuspended).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_that_a_crash_left_in_the_overlay_is_ordered_at_start_with_one_line_in_the_ledger() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), &[]);
    let member = started(&config).await;
    let kehl = admitted(&member).await;
    let (directory, key) = (member.directory(), key_of(&config));
    let author =
        Author { authority: directory.authority(), key: &key, now: SystemClock::shared().now(), nonce: [4; 16] };
    let SignedStatement { id, signed } = author.suspend(&directory.state(), &kehl, SuspendReason::KeyCompromised);
    // Its line is owed, it acts, and the process ends before anything else is done about it.
    assert!(directory.overlay_add(signed).await.unwrap());
    member.stop().await;
    owe_entry(&config, &id, &kehl).await;
    // Of another one the line is owed, and it never came to act.
    owe_entry(&config, &StatementId([3; 32]), &kehl).await;

    let member = started(&config).await;
    until("the register has it", || member.directory().state().accepted(&id).is_some()).await;
    assert_eq!(suspensions(&config).await, 1);
    governance(&member).order_emergencies().await;
    assert_eq!(suspensions(&config).await, 1, "one statement, one line");
    let owed = member.exchange().upkeep.owed_counts().await.unwrap();
    assert!(owed.iter().all(|count| count.what != What::EmergencyEntry), "{owed:?}");
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_of_an_order_about_a_steward_is_owed_as_long_as_the_order_may_come_back() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), &[]);
    let member = started(&config).await;
    let kehl = admitted(&member).await;
    let (clock, key, directory) = (SystemClock::shared(), key_of(&config), member.directory().clone());
    let now = clock.clone();
    let store = Arc::new(crate::storage::samples::fresh(Incarnation(1), Arc::new(move || now.now())).await);
    let steward = directory.authority().clone();
    let author = Author { authority: &steward, key: &key, now: clock.now(), nonce: [5; 16] };
    let SignedStatement { id, signed } = author.suspend(&directory.state(), &kehl, SuspendReason::KeyCompromised);
    // The process ended when its order had gone out to the other stewards, who alone have it now; and long ago, before another
    // one went anywhere.
    let entry = |statement, since| Owed::now(OwedKey::to(&steward, Subject::EmergencyEntry(statement)), since);
    let too_old = clock.now() - crate::domain::limits::OVERLAY_AGE - Millis::minutes(1);
    let owes = vec![entry(id, clock.now()), entry(StatementId([3; 32]), too_old)];
    store.write(Write { owes, ..Write::default() }.into()).await.unwrap();
    let register = Arc::new(directory.clone());
    let decisions = Decisions::new(steward.clone(), move || key.clone(), register, store.clone(), clock);
    let governance = Governance::over(decisions, directory.clone());
    let looking = tokio::time::timeout(Duration::from_millis(300), governance.clone().order_emergencies()).await;
    assert!(looking.is_err(), "it goes on looking");
    let owed = store.owed_counts().await.unwrap();
    assert_eq!(owed.iter().map(|count| count.rows).collect::<Vec<_>>(), [1], "what nobody takes any more is not owed");
    assert_eq!(owed[0].reason, Some(Reason::NeedsTwoSignatures), "and status says why it waits");
    assert_eq!(store.audit_head().await.unwrap().size, 0);
    // It comes back, as the register's.
    directory.propose(signed).await.unwrap();
    tokio::time::timeout(PATIENCE, governance.order_emergencies()).await.expect("nothing is left to look for");
    assert_eq!(store.audit_head().await.unwrap().size, 1, "one statement, one line");
    assert_eq!(store.owed_counts().await.unwrap(), []);
    member.stop().await;
}

/// A register that orders nothing.
struct Refusing(Directory);

impl RegisterPort for Refusing {
    fn state(&self) -> RegisterState {
        self.0.state()
    }
    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes()
    }
    fn propose(&self, _signed: Bytes) -> BoxFuture<'_, Result<Applied, directory::Error>> {
        async { Err(Reason::SignatureInvalid.into()) }.boxed()
    }
    fn prepare(&self, _newcomer: Steward) -> BoxFuture<'_, Result<(), directory::Error>> {
        async { Ok(()) }.boxed()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_that_the_register_refuses_acts_and_has_its_line_in_the_ledger() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), &[]);
    let member = started(&config).await;
    let kehl = admitted(&member).await;
    let (clock, key): (SharedClock, _) = (SystemClock::shared(), key_of(&config));
    let now = clock.clone();
    let store = Arc::new(crate::storage::samples::fresh(Incarnation(1), Arc::new(move || now.now())).await);
    let directory = member.directory().clone();
    let refusing = Arc::new(Refusing(directory.clone()));
    let own = directory.authority().clone();
    let refused = Governance::over(Decisions::new(own, move || key.clone(), refusing, store.clone(), clock), directory);
    let started = std::time::Instant::now();
    match refused.suspend(&kehl, SuspendReason::KeyCompromised, Actor::NODE).await {
        Err(error) => assert_eq!(error.reason(), Reason::SignatureInvalid),
        // The register refuses at once. Only where this process stood still for as long as an order waits, the answer is that
        // of a silent register: the refusal comes after it.
        Ok(acting) => assert!(acting.overlay && started.elapsed() >= REGISTER, "{:?}: {acting:?}", started.elapsed()),
    }
    assert!(member.directory().view().overlay.contains_key(&kehl), "it acts");
    assert_eq!(store.audit_head().await.unwrap().size, 1);
    refused.order_emergencies().await;
    assert_eq!(store.audit_head().await.unwrap().size, 1, "one statement, one line");
    member.stop().await;
}
