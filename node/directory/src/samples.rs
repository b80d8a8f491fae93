//! A register with the keys of all its cities, driven by `apply` alone: for tests of this room and of those above it.
#![allow(clippy::unwrap_used, reason = "only tests turn this on")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;

use super::state::RegisterState;
use super::statements::{Author, Invited, countersign};
use crate::domain::authority::{
    AuthorityEntry, ContactPoint, Identifier, IdentifierScheme, Name, ParticipantKind, PinnedKey,
};
use crate::domain::directory::{Policy, Steward};
use crate::domain::ids::{AuthorityId, Digest, FederationId, Pin, StatementId};
use crate::domain::pin_proof::{PinProof, signed_bytes};
use crate::domain::register::{Applied, Outcome, SuspendReason};
use crate::domain::statement::SignedEntry;
use crate::domain::time::{Millis, UnixMs};
use crate::wire::keys::{Plain, SigningKey};
use crate::wire::signed::NO_FEDERATION;

pub const STRASBOURG: &str = "fr-strasbourg";
pub const KEHL: &str = "de-kehl";
pub const ESCH: &str = "lu-esch-sur-alzette";
pub const GENT: &str = "be-gent";
pub const GRAZ: &str = "at-graz";

pub fn id(text: &str) -> AuthorityId {
    AuthorityId::parse(text).unwrap()
}

pub fn new_key() -> Arc<SigningKey> {
    Arc::new(SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap())
}

/// The key that follows from a text: the same in every run.
fn key_of(text: &str) -> Arc<SigningKey> {
    // RFC 8410: PKCS#8 of an Ed25519 key, around its 32 bytes.
    let mut pkcs8 = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    pkcs8.extend_from_slice(Digest::of(text.as_bytes()).as_bytes());
    Arc::new(SigningKey::from_pkcs8(&pkcs8).unwrap())
}

/// TLS keys whose pins were asked for, so that an entry can prove them.
static TLS_KEYS: LazyLock<Mutex<HashMap<Pin, Arc<SigningKey>>>> = LazyLock::new(Mutex::default);

/// The pin of the TLS key that follows from a text.
pub fn pin(text: &str) -> Pin {
    let key = key_of(&format!("tls {text}"));
    let pin = Pin(Digest::of(&key.public().0).0);
    TLS_KEYS.lock().unwrap().insert(pin, key);
    pin
}

/// That pin, without an end and without a proof.
pub fn pinned(text: &str) -> PinnedKey {
    PinnedKey { pin: pin(text), valid_until: UnixMs::NEVER, proof: PinProof::default() }
}

/// The entry, with the proofs of its pins where nobody gave one.
pub fn proved(federation: &FederationId, mut entry: AuthorityEntry) -> AuthorityEntry {
    let keys = TLS_KEYS.lock().unwrap();
    for pinned in entry.pins.iter_mut().filter(|p| p.proof == PinProof::default()) {
        let Some(key) = keys.get(&pinned.pin) else { continue };
        let signature = key.sign(&signed_bytes(federation, &entry.authority, &pinned.pin));
        let spki = Bytes::copy_from_slice(&key.public().0);
        pinned.proof = PinProof { spki, signature: Bytes::copy_from_slice(&signature) };
    }
    entry
}

pub fn entry(authority: &str, key: &SigningKey, raft_id: u64) -> AuthorityEntry {
    AuthorityEntry {
        authority: id(authority),
        kind: ParticipantKind::LocalAuthority,
        names: vec![Name { language: "fr".into(), name: format!("Ville de {authority}") }],
        identifiers: vec![Identifier { scheme: IdentifierScheme::Nuts, value: "FRF11".into() }],
        authority_key: key.public(),
        endpoints: vec![format!("node.{authority}.example:7400")],
        pins: vec![pinned(authority)],
        contacts: vec![ContactPoint {
            role: "Koordination".into(),
            languages: vec!["de".into()],
            email: "desk@city.example".into(),
            phone: String::new(),
        }],
        hosted_by: None,
        networks: vec![],
        services: vec![1],
        corridor: Default::default(),
        raft_id,
    }
}

/// A register with the keys of all its cities.
#[derive(Clone)]
pub struct World {
    pub state: RegisterState,
    pub keys: BTreeMap<AuthorityId, Arc<SigningKey>>,
    pub now: UnixMs,
    pub nonce: u64,
    /// All that was applied, with its time.
    pub log: Vec<(UnixMs, Bytes)>,
    /// What its keys follow from, and how many were made; `None`: every run has new ones.
    pub seed: Option<(u64, u64)>,
}

impl World {
    /// Strasbourg alone.
    pub fn founded() -> Self {
        Self::founded_with(&Policy::default())
    }

    pub fn founded_with(policy: &Policy) -> Self {
        Self::founded_by(new_key(), policy, None)
    }

    /// Strasbourg alone, with keys that follow from a number: all that it signs is the same in every run.
    pub fn seeded(seed: u64) -> Self {
        Self::founded_by(key_of(&format!("{seed}")), &Policy::default(), Some((seed, 0)))
    }

    fn founded_by(key: Arc<SigningKey>, policy: &Policy, seed: Option<(u64, u64)>) -> Self {
        let (authority, now) = (id(STRASBOURG), UnixMs(1_800_000_000_000));
        let author = Author { authority: &authority, key: &key, now, nonce: [1; 16] };
        let genesis = author.genesis(&proved(&NO_FEDERATION, entry(STRASBOURG, &key, 1)), policy);
        let state = RegisterState::genesis(&genesis, &Plain).unwrap();
        Self { state, keys: BTreeMap::from([(authority, key)]), now, nonce: 0, log: Vec::new(), seed }
    }

    /// A key that nobody has yet.
    pub fn fresh_key(&mut self) -> Arc<SigningKey> {
        let Some((seed, made)) = &mut self.seed else { return new_key() };
        *made += 1;
        key_of(&format!("{seed}/{made}"))
    }

    /// Strasbourg, Kehl and Esch are stewards, Gent is a member.
    pub fn three() -> Self {
        Self::founded().with_three()
    }

    /// Kehl and Esch become stewards, Gent a member.
    pub fn with_three(self) -> Self {
        let mut world = self;
        world.admit(KEHL, 2);
        world.promote(KEHL, 2);
        world.admit(ESCH, 3);
        world.promote(ESCH, 3);
        world.admit(GENT, 4);
        world
    }

    /// Calls `build` with the author's key and the world's time.
    pub fn sign<T>(&mut self, author: &str, build: impl FnOnce(&Author<'_>, &RegisterState) -> T) -> T {
        self.nonce += 1;
        let authority = id(author);
        let key = Arc::clone(&self.keys[&authority]);
        self.sign_with(&authority, &key, build)
    }

    pub fn sign_with<T>(
        &mut self,
        authority: &AuthorityId,
        key: &SigningKey,
        build: impl FnOnce(&Author<'_>, &RegisterState) -> T,
    ) -> T {
        self.nonce += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
        build(&Author { authority, key, now: self.now, nonce }, &self.state)
    }

    pub fn apply(&mut self, signed: &Bytes) -> Applied {
        self.now = self.now + Millis(1);
        self.log.push((self.now, signed.clone()));
        self.state.apply(self.now, signed, &Plain)
    }

    pub fn outcome(&mut self, signed: &Bytes) -> Outcome {
        self.apply(signed).outcome
    }

    /// Signs and applies.
    pub fn act(&mut self, author: &str, build: impl FnOnce(&Author<'_>, &RegisterState) -> Bytes) -> Applied {
        let signed = self.sign(author, build);
        self.apply(&signed)
    }

    pub fn approve(&mut self, steward: &str, proposal: &StatementId) -> Outcome {
        self.act(steward, |a, s| a.approve(s, proposal).unwrap()).outcome
    }

    /// The application of an authority under a new key, known to the world from now on.
    pub fn application(&mut self, name: &str, raft_id: u64) -> SignedEntry {
        let key = self.fresh_key();
        self.keys.insert(id(name), Arc::clone(&key));
        let version = self.state.entry_version(&id(name));
        self.sign(name, |a, s| {
            a.application(
                &s.federation(),
                s.policy().rules_version,
                version,
                &proved(&s.federation(), entry(name, &key, raft_id)),
            )
        })
    }

    pub fn propose_admission(&mut self, name: &str, raft_id: u64) -> Applied {
        let application = self.application(name, raft_id);
        let invited = Invited { by: id(STRASBOURG), invitation: None, words: Some(Digest([7; 32])) };
        self.act(STRASBOURG, |a, s| a.admit(s, &id(name), application, &invited))
    }

    /// Approves with as many stewards as it takes.
    pub fn decide(&mut self, opened: Applied) -> Outcome {
        let mut outcome = opened.outcome;
        let stewards: Vec<String> = self.state.stewards().iter().map(|s| s.authority.to_string()).collect();
        for steward in stewards {
            if outcome != Outcome::Pending {
                break;
            }
            if !self.state.proposal(&opened.statement).unwrap().votes.iter().any(|v| v.steward.as_str() == steward) {
                outcome = self.approve(&steward, &opened.statement);
            }
        }
        outcome
    }

    pub fn admit(&mut self, name: &str, raft_id: u64) {
        let opened = self.propose_admission(name, raft_id);
        assert_eq!(self.decide(opened), Outcome::Accepted);
    }

    pub fn promote(&mut self, name: &str, raft_id: u64) {
        let mut set = self.state.stewards().to_vec();
        set.push(Steward { authority: id(name), raft_id });
        let opened = self.act(STRASBOURG, |a, s| a.steward_set(s, &set));
        assert_eq!(self.decide(opened), Outcome::Accepted);
    }

    /// Changes one's own entry.
    pub fn change_own(&mut self, name: &str, change: impl FnOnce(&mut AuthorityEntry)) -> Outcome {
        let mut entry = self.state.member(&id(name)).unwrap().entry.clone();
        change(&mut entry);
        self.act(name, |a, s| a.entry(s, &proved(&s.federation(), entry))).outcome
    }

    pub fn emergency(&mut self, steward: &str, target: &str) -> Bytes {
        self.sign(steward, |a, s| a.suspend(s, &id(target), SuspendReason::NodeCompromised)).signed
    }

    pub fn second(&self, signed: &Bytes, steward: &str) -> Bytes {
        countersign(&self.state.federation(), signed, &self.keys[&id(steward)]).unwrap()
    }

    pub fn is_suspended(&self, name: &str) -> bool {
        self.state.member(&id(name)).unwrap().suspended_until.is_some_and(|until| self.now < until)
    }
}
