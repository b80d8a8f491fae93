//! The ceremony between two nodes' halves, without sockets: a register that holds what it is told, an inviter, a door.

mod ceremony;
mod hostile;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use havenlink_proto::directory::v1 as proto;
use prost::Message;
use tokio::sync::watch;

use super::*;
use crate::clock::{Clock, MovedClock};
use crate::domain::audit::Actor;
use crate::domain::authority::{AuthorityEntry, KeyRecord, ParticipantKind, PinnedKey};
use crate::domain::directory::{DirectoryView, Member};
use crate::domain::ids::{AuthorityId, Digest, FederationId, Incarnation, InvitationId, Pin, StatementId};
use crate::domain::join::applicant::{Next, Progress};
use crate::domain::join::{ApplicationState, InvitationState, Nonce, Words};
use crate::domain::pin_proof::{PinProof, signed_bytes};
use crate::domain::reason::Reason;
use crate::domain::register::{Applied, Decided, Outcome};
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::Call;
use crate::storage::sqlite::SqliteStore;
use crate::wire::invitation::{self as wire, Token};
use crate::wire::keys::SigningKey;
use crate::wire::mailed;
use crate::wire::signed::{self, NO_FEDERATION};

fn id(text: &str) -> AuthorityId {
    AuthorityId::parse(text).unwrap()
}

fn new_key() -> Arc<SigningKey> {
    Arc::new(SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap())
}

/// A register that holds what it is told: one steward approves, `needed` make a member.
struct Book {
    view: Mutex<Arc<DirectoryView>>,
    genesis: Bytes,
    admissions: Mutex<HashMap<AuthorityId, (Admission, Bytes)>>,
    /// Admissions of the same authority that other members proposed.
    others: Mutex<Vec<Admission>>,
    changes: watch::Sender<u64>,
    needed: u32,
    forwarded: Mutex<Vec<Bytes>>,
    /// What is decided does not show in the view.
    view_lags: AtomicBool,
}

impl Book {
    fn change(&self, change: impl FnOnce(&mut DirectoryView)) {
        let mut view = self.view.lock().unwrap();
        change(Arc::make_mut(&mut view));
        drop(view);
        self.changes.send_modify(|n| *n += 1);
    }

    fn admit(&self, application: &Bytes) {
        let application = wire::open_application(application.clone()).unwrap();
        self.change(|view| {
            let member = member(application.authority.clone(), application.key, application.pins[0]);
            view.members.insert(application.authority.clone(), Arc::new(member));
        });
    }

    fn approve(&self, authority: &AuthorityId, by: &str) -> Decided {
        let mut admissions = self.admissions.lock().unwrap();
        let (admission, application) = admissions.get_mut(authority).unwrap();
        admission.approved_by.push(id(by));
        admission.open = (admission.approved_by.len() as u32) < self.needed;
        admission.carried = !admission.open;
        let (admission, application) = (admission.clone(), application.clone());
        drop(admissions);
        if admission.open || self.view_lags.load(Ordering::Relaxed) {
            self.changes.send_modify(|n| *n += 1);
        } else {
            self.admit(&application);
        }
        let outcome = if admission.open { Outcome::Pending } else { Outcome::Accepted };
        Decided {
            approved_by: admission.approved_by,
            needed: self.needed as usize,
            ..decided(admission.proposal, 1, outcome)
        }
    }
}

/// What came of a statement that had this number.
fn decided(statement: StatementId, number: u64, outcome: Outcome) -> Decided {
    let applied = Applied { statement, outcome, number, is_new: true, head: None };
    Decided { applied, approved_by: Vec::new(), needed: 0, overlay: false }
}

impl Admissions for Book {
    fn view(&self) -> Arc<DirectoryView> {
        self.view.lock().unwrap().clone()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn genesis(&self) -> Bytes {
        self.genesis.clone()
    }

    fn admissions(&self, authority: &AuthorityId) -> Vec<Admission> {
        let own = self.admissions.lock().unwrap().get(authority).map(|(a, _)| a.clone());
        // What somebody else proposed is newer.
        self.others.lock().unwrap().iter().cloned().chain(own).collect()
    }

    fn decide(&self, step: JoinStep) -> BoxFuture<'_, Result<Decided, Error>> {
        let decision = match step {
            JoinStep::Admit { authority, application, words_digest, .. } => {
                let admission = Admission {
                    proposal: StatementId(Digest::of(&application).0),
                    application: Digest::of(&application),
                    words_digest,
                    approved_by: Vec::new(),
                    needed: self.needed,
                    open: true,
                    carried: false,
                    rejection: None,
                };
                self.admissions.lock().unwrap().insert(authority.clone(), (admission, application));
                self.approve(&authority, "fr-strasbourg")
            }
            JoinStep::Approve { authority, .. } => self.approve(&authority, "lu-esch-sur-alzette"),
            JoinStep::Reject { authority, proposal, reason } => {
                let mut admissions = self.admissions.lock().unwrap();
                let (admission, _) = admissions.get_mut(&authority).unwrap();
                (admission.open, admission.rejection) = (false, Some(reason));
                self.changes.send_modify(|n| *n += 1);
                decided(proposal, 2, Outcome::Accepted)
            }
            JoinStep::Forward(statement) => {
                self.forwarded.lock().unwrap().push(statement);
                self.admissions.lock().unwrap().values_mut().for_each(|(a, _)| a.open = false);
                decided(StatementId([0; 32]), 3, Outcome::Accepted)
            }
        };
        async move { Ok(decision) }.boxed()
    }
}

fn member(authority: AuthorityId, key: crate::domain::authority::PublicKey, pin: Pin) -> Member {
    let entry = AuthorityEntry {
        authority,
        kind: ParticipantKind::LocalAuthority,
        names: Vec::new(),
        identifiers: Vec::new(),
        authority_key: key,
        endpoints: vec!["strasbourg.example:7443".into()],
        pins: vec![PinnedKey { pin, valid_until: UnixMs::NEVER, proof: Default::default() }],
        contacts: Vec::new(),
        hosted_by: None,
        networks: Vec::new(),
        services: Vec::new(),
        corridor: Default::default(),
        raft_id: 0,
    };
    let keys = vec![KeyRecord { key, replaced_at: None, compromised: false }];
    Member { entry, version: 1, status_version: 1, keys, suspended_until: None, removed_at: None }
}

/// An inviter in Strasbourg.
struct City {
    inviter: Inviter,
    book: Arc<Book>,
    clock: Arc<MovedClock>,
    store: Arc<SqliteStore>,
}

async fn city(needed: u32) -> City {
    let key = new_key();
    let genesis = signed::sign(
        &NO_FEDERATION,
        &proto::Statement { nonce: Bytes::from_static(b"g"), ..Default::default() },
        &[&key],
    );
    let federation = FederationId(Digest::of(&genesis.payload).0);
    let home = id("fr-strasbourg");
    let mut view = DirectoryView {
        federation,
        number: 1,
        head: Digest(federation.0),
        policy: Default::default(),
        stewards: Arc::new(Vec::new()),
        members: Default::default(),
        pins: Default::default(),
        overlay: Default::default(),
        ..DirectoryView::default()
    };
    view.members.insert(home.clone(), Arc::new(member(home.clone(), key.public(), Pin([1; 32]))));
    let book = Arc::new(Book {
        view: Mutex::new(Arc::new(view)),
        genesis: genesis.encode_to_vec().into(),
        admissions: Mutex::default(),
        others: Mutex::default(),
        changes: watch::channel(0).0,
        needed,
        forwarded: Mutex::default(),
        view_lags: AtomicBool::default(),
    });
    let clock = MovedClock::new();
    let now = clock.clone();
    let store = Arc::new(crate::storage::samples::fresh(Incarnation(1), Arc::new(move || now.now())).await);
    let inviter = Inviter::new(home, move || key.clone(), store.clone(), book.clone(), clock.clone());
    City { inviter, book, clock, store }
}

/// The inviter's door, called from a connection with this pin.
struct Knock<'a> {
    inviter: &'a Inviter,
    pin: Pin,
}

impl JoinClient for Knock<'_> {
    fn commit(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        commitment: Digest,
    ) -> BoxFuture<'_, Result<(Nonce, Bytes), JoinCallError>> {
        async move {
            let nonce = self.inviter.commit(id, &secret, commitment, self.pin, None).await;
            nonce.map(|nonce| (nonce, self.inviter.genesis())).map_err(|e| e.reason().into())
        }
        .boxed()
    }
    fn reveal(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        nonce_a: Nonce,
        application: Bytes,
    ) -> BoxFuture<'_, Result<Digest, JoinCallError>> {
        async move {
            self.inviter.reveal(id, &secret, nonce_a, application, self.pin).await.map_err(|e| e.reason().into())
        }
        .boxed()
    }
    fn watch(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        known: Option<Progress>,
    ) -> BoxFuture<'_, Result<Progress, JoinCallError>> {
        let wait = Duration::from_secs(5);
        async move { self.inviter.watch(id, &secret, self.pin, known, wait, || ()).await.map_err(|e| e.reason().into()) }
            .boxed()
    }
    fn withdraw(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        statement: Option<Bytes>,
    ) -> BoxFuture<'_, Result<(), JoinCallError>> {
        async move { self.inviter.withdraw(id, &secret, self.pin, statement).await.map_err(|e| e.reason().into()) }
            .boxed()
    }
}

/// The TLS key of an applicant's node: the same in every run.
fn tls_key(n: u8) -> SigningKey {
    // RFC 8410: PKCS#8 of an Ed25519 key, around its 32 bytes.
    let mut pkcs8 = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    pkcs8.extend_from_slice(&Digest::of(&[n; 16]).0);
    SigningKey::from_pkcs8(&pkcs8).unwrap()
}

/// Its pin.
fn tls_pin(n: u8) -> Pin {
    Pin(Digest::of(&tls_key(n).public().0).0)
}

/// With the proof of its key, where that is one of ours.
fn application(token: &Token, authority: &str, key: &SigningKey, pin: Pin) -> Bytes {
    let entry = proto::AuthorityEntry {
        authority: authority.into(),
        authority_key: Bytes::copy_from_slice(&key.public().0),
        kind: proto::ParticipantKind::LocalAuthority.into(),
        names: vec![proto::Name { language: "de".into(), name: "Kehl".into() }],
        endpoints: vec!["kehl.example:7443".into()],
        pins: vec![proto::Pin { spki_sha256: Bytes::copy_from_slice(pin.as_bytes()), ..Default::default() }],
        ..Default::default()
    };
    let mut entry = crate::wire::entry::from_proto(entry).unwrap();
    if let Some(tls) = (0..=u8::MAX).map(tls_key).find(|tls| Digest::of(&tls.public().0).0 == pin.0) {
        let signed = signed_bytes(&token.invitation.federation, &entry.authority, &pin);
        let spki = Bytes::copy_from_slice(&tls.public().0);
        entry.pins[0].proof = PinProof { spki, signature: Bytes::copy_from_slice(&tls.sign(&signed)) };
    }
    wire::sign_application(&token.invitation, &entry, key, [1; 16], UnixMs(1))
}

fn applicant(dir: &Path, text: &str, n: u8) -> Applicant {
    applicant_with(dir, text, n, &new_key())
}

fn applicant_with(dir: &Path, text: &str, n: u8, key: &SigningKey) -> Applicant {
    let token = wire::parse_token(text).unwrap();
    let pin = tls_pin(n);
    let application = application(&token, token.invitation.intended_for.as_str(), key, pin);
    Applicant::begin(dir, text, application, pin).unwrap()
}

fn door(city: &City, n: u8) -> Knock<'_> {
    Knock { inviter: &city.inviter, pin: tls_pin(n) }
}

async fn invited(city: &City) -> Created {
    city.inviter.create(id("de-kehl"), Millis(0), &call()).await.unwrap()
}

/// A call with a request id of its own.
fn call() -> Call {
    let request_id = uuid::Uuid::new_v4().to_string();
    let scope = "operator".to_owned();
    Call { actor: Actor::NODE, scope, request_id, body: Digest([1; 32]), traceparent: String::new() }
}

/// Commits and reveals; the application waits.
async fn applied(city: &City, dir: &Path) -> Applicant {
    applied_with(city, dir, &new_key()).await
}

async fn applied_with(city: &City, dir: &Path, key: &SigningKey) -> Applicant {
    let mut applicant = applicant_with(dir, &invited(city).await.token, 9, key);
    assert_eq!(applicant.step(&door(city, 9)).await.unwrap(), Next::Reveal);
    assert_eq!(applicant.step(&door(city, 9)).await.unwrap(), Next::Watch);
    applicant
}

fn words(applicant: &Applicant) -> String {
    applicant.applying().words().unwrap().to_string()
}

async fn refusal<T>(outcome: impl Future<Output = Result<T, Error>>) -> Reason {
    outcome.await.map(|_| ()).unwrap_err().reason()
}
