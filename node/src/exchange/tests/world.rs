//! A federation of three: one view, one clock, a store and an exchange per authority, and a line between them.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::watch;

use crate::clock::{Clock, MovedClock, SharedClock};
use crate::demo::sample;
use crate::domain::agreement::{Agreement, AgreementEndReason, CorridorRole, Grant, Party, Usage};
use crate::domain::audit::{Actor, ActorRole};
use crate::domain::authority::{AuthorityEntry, KeyRecord, ParticipantKind};
use crate::domain::directory::{ConfirmedTime, DirectoryView, Member, Policy};
use crate::domain::envelope::Envelope;
use crate::domain::handling::{Handling, LawfulBasis, Pap, Purpose, RecordStatus, SpecialBasis, Tlp};
use crate::domain::ids::{AgreementId, AuthorityId, Digest, FederationId, Incarnation};
use crate::domain::policy::{KeptRecord, ReadPurpose, Reading};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKind;
use crate::domain::records::Content;
use crate::domain::records::alert::{Alert, AlertKind};
use crate::domain::records::offer::{DisclosureLevel, OfferView, ServiceKind};
use crate::domain::sharing::{Audience, Recipients, Sharing};
use crate::domain::stream::Understands;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::tests::line::{Line, Link};
use crate::exchange::*;
use crate::pass::PassKind;
use crate::storage::Store;
use crate::storage::ops::{NewOwnOffer, NewPartnerOffer, Publish, WriteOp};
use crate::storage::rows::{OwnOfferRow, PartnerOfferRow};
use crate::storage::sqlite::{Options, SqliteStore};
use crate::wakeup::Wakeups;
use crate::wire::keys::SigningKey;
use crate::wire::records::alert;

pub const STRASBOURG: &str = "fr-strasbourg";
pub const KEHL: &str = "de-kehl";
pub const ESCH: &str = "lu-esch-sur-alzette";
pub const GOERLITZ: &str = "de-goerlitz";

/// Reads, publishes and answers every kind.
pub const COORDINATOR: ActorRole = ActorRole::Coordinator;

pub fn id(text: &str) -> AuthorityId {
    AuthorityId::parse(text).unwrap()
}

pub struct Node {
    pub exchange: Exchange,
    pub store: Arc<dyn Store>,
    pub key: Arc<SigningKey>,
    pub keys: Keys,
}

impl Exchange {
    /// Every pass that brings what is here into line with register and agreements.
    pub async fn upkeep(&self) {
        for pass in PassKind::UPKEEP {
            self.upkeep.run_pass(pass).await.unwrap();
        }
    }
}

pub struct World {
    pub clock: Arc<MovedClock>,
    pub view: Arc<ArcSwap<DirectoryView>>,
    changes: watch::Sender<u64>,
    pub line: Arc<Line>,
    pub nodes: HashMap<AuthorityId, Node>,
    keys: HashMap<AuthorityId, Arc<SigningKey>>,
    /// Of nodes whose clock is not the world's.
    clocks: HashMap<AuthorityId, SharedClock>,
    /// Of nodes of another version, from their next start on.
    pub understands: HashMap<AuthorityId, Understands>,
}

/// The world's clock, set wrong by as much.
struct WrongClock(Arc<MovedClock>, Millis);

impl Clock for WrongClock {
    fn now(&self) -> UnixMs {
        self.0.now() + self.1
    }

    fn monotonic(&self) -> std::time::Duration {
        self.0.monotonic()
    }
}

impl World {
    /// Three members, no agreement.
    pub async fn new() -> Self {
        Self::of(&[STRASBOURG, KEHL, ESCH]).await
    }

    /// These members, no agreement.
    pub async fn of(names: &[&str]) -> Self {
        let key = || Arc::new(SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap());
        let keys = names.iter().map(|name| (id(name), key())).collect();
        let mut world = Self::empty(MovedClock::new(), keys);
        for name in names {
            world.start(name, 1, None).await;
        }
        world
    }

    /// Members with these keys, of whom no node runs yet.
    pub fn empty(clock: Arc<MovedClock>, keys: HashMap<AuthorityId, Arc<SigningKey>>) -> Self {
        let members = keys.iter().map(|(name, key)| (name.clone(), Arc::new(member(name, key)))).collect();
        let view = DirectoryView {
            federation: FederationId([9; 32]),
            number: 1,
            head: Digest([0; 32]),
            policy: Policy { freshness_limit: Millis::days(36_500), ..Policy::default() },
            members,
            pins: imbl::HashMap::new(),
            overlay: imbl::OrdMap::new(),
            majority_beat: Some(clock.now()),
            confirmed: Some(ConfirmedTime { beat: clock.now(), heard: clock.monotonic() }),
            ..DirectoryView::default()
        };
        let (changes, view) = (watch::channel(1).0, Arc::new(ArcSwap::from_pointee(view)));
        let (nodes, clocks, understands) = Default::default();
        Self { clock, view, changes, line: Arc::default(), nodes, keys, clocks, understands }
    }

    /// Strasbourg and Kehl share alerts, practices and places both ways; so do Strasbourg and Esch.
    pub async fn with_agreements() -> Self {
        let world = Self::new().await;
        world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
        world.agree(STRASBOURG, ESCH, DisclosureLevel::Band).await;
        world
    }

    /// The same three on SQLite, each in a folder of its own.
    pub async fn on_disk() -> (Self, tempfile::TempDir) {
        let (mut world, dir) = (Self::new().await, tempfile::tempdir().unwrap());
        for name in [STRASBOURG, KEHL, ESCH] {
            let store = world.open(&dir.path().join(name)).await;
            world.start(name, 0, Some(store)).await;
        }
        world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
        (world, dir)
    }

    /// Opens the store in a folder.
    pub async fn open(&self, dir: &std::path::Path) -> Arc<dyn Store> {
        let clock = self.clock.clone();
        let options = Options { ballast_bytes: 0, ..Options::new(Arc::new(move || clock.now())) };
        Arc::new(SqliteStore::open(dir, options).await.unwrap())
    }

    /// Starts a node, on a store of its own or on a given one.
    pub async fn start(&mut self, name: &str, incarnation: u64, store: Option<Arc<dyn Store>>) {
        let name = id(name);
        let clock = self.clocks.get(&name).cloned().unwrap_or_else(|| self.clock.clone());
        let now = clock.clone();
        let store = match store {
            Some(store) => store,
            None => {
                let now: crate::storage::Now = Arc::new(move || now.now());
                Arc::new(crate::storage::samples::fresh(Incarnation(incarnation), now).await)
            }
        };
        let key = self.keys[&name].clone();
        let keys = Keys::new(name.clone(), key.clone());
        let parts = Parts {
            store: store.clone(),
            register: Arc::new(SharedView { source: self.view.clone(), changes: self.changes.subscribe() }),
            keys: keys.clone(),
            clock,
            wakeups: Wakeups::default(),
            link: Arc::new(Link { caller: name.clone(), line: self.line.clone() }),
            understands: self.understands.get(&name).cloned().unwrap_or_else(|| Understands::here(1, &[])),
        };
        let exchange = Exchange::open(parts).await.unwrap();
        self.line.nodes.lock().unwrap().insert(name.clone(), exchange.clone());
        self.nodes.insert(name, Node { exchange, store, key, keys });
    }

    /// The operator confirms what a loss left to confirm; then what waited for that is due.
    pub async fn confirm(&self, name: &str) {
        let agreements = &self.exchange(name).agreements;
        let waiting: Vec<_> = agreements.unconfirmed().iter().map(|held| held.id).collect();
        if !waiting.is_empty() {
            agreements.confirm_agreements(&call(), &waiting).await.unwrap();
            self.clock.advance(Millis::minutes(2));
        }
    }

    /// The node starts again on the same store, with a clock that differs from the world's by as much.
    pub async fn start_with_clock(&mut self, name: &str, ahead: Millis) {
        self.clocks.insert(id(name), Arc::new(WrongClock(self.clock.clone(), ahead)));
        let store = self.node(name).store.clone();
        self.start(name, 1, Some(store)).await;
    }

    /// The node starts again on the same store, as a version that understands this.
    pub async fn start_as(&mut self, name: &str, understands: Understands) {
        self.understands.insert(id(name), understands);
        let store = self.node(name).store.clone();
        self.start(name, 1, Some(store)).await;
    }

    /// One node serves another authority too.
    pub fn host(&self, host: &str, hosted: &str) {
        self.node(host).keys.set(&id(hosted), &self.keys[&id(hosted)]);
    }

    pub fn node(&self, name: &str) -> &Node {
        &self.nodes[&id(name)]
    }

    pub fn exchange(&self, name: &str) -> &Exchange {
        &self.node(name).exchange
    }

    pub fn change_view(&self, change: impl FnOnce(&mut DirectoryView)) {
        let mut view = DirectoryView::clone(&self.view.load());
        change(&mut view);
        view.number += 1;
        self.view.store(Arc::new(view));
        self.changes.send_modify(|n| *n += 1);
    }

    pub fn change_member(&self, name: &str, change: impl FnOnce(&mut Member)) {
        self.change_view(|view| {
            let mut member = Member::clone(&view.members[&id(name)]);
            change(&mut member);
            view.members.insert(id(name), Arc::new(member));
        });
    }

    pub fn suspend(&self, name: &str) {
        self.change_member(name, |m| m.suspended_until = Some(UnixMs::NEVER));
    }

    pub fn restore(&self, name: &str) {
        self.change_member(name, |m| m.suspended_until = None);
    }

    /// Calls passes until every node has nothing left to do now. Streams that pause are passed once per round.
    pub async fn settle(&self) {
        for _ in 0..50 {
            let mut busy = false;
            for node in self.nodes.values() {
                node.exchange.upkeep().await;
                while node.exchange.road.dispatch_pass().await.unwrap().more {
                    busy = true;
                }
                for stream in node.exchange.road.open_streams().await.unwrap() {
                    let mut rounds = 0;
                    while matches!(node.exchange.road.deliver_pass(&stream).await, Pass::Now | Pass::Sent)
                        && rounds < 100
                    {
                        (busy, rounds) = (true, rounds + 1);
                    }
                }
            }
            if !busy {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Proposes, signs on the other side, and waits until both hold it.
    pub async fn agree(&self, proposer: &str, signer: &str, level: DisclosureLevel) -> AgreementId {
        let agreement = self.agreement(proposer, signer, level);
        let made = self.exchange(proposer).agreements.propose_agreement(&call(), agreement).await.unwrap();
        self.settle().await;
        self.exchange(signer).agreements.sign_agreement(&call(), made).await.unwrap();
        self.settle().await;
        made
    }

    /// One agreement of all of them, each with each, signed by all.
    pub async fn agree_all(&self, names: &[&str]) -> AgreementId {
        let mut whole = self.agreement(names[0], names[1], DisclosureLevel::Band);
        for (i, a) in names.iter().enumerate() {
            for b in names[i + 1..].iter().skip(usize::from(i == 0)) {
                let pair = self.agreement(a, b, DisclosureLevel::Band);
                let new = |party: &Party| whole.parties.iter().all(|known| known.authority != party.authority);
                let joined: Vec<_> = pair.parties.into_iter().filter(new).collect();
                whole.parties.extend(joined);
                whole.grants.extend(pair.grants);
            }
        }
        let made = self.exchange(names[0]).agreements.propose_agreement(&call(), whole).await.unwrap();
        self.settle().await;
        for signer in &names[1..] {
            self.exchange(signer).agreements.sign_agreement(&call(), made).await.unwrap();
        }
        self.settle().await;
        made
    }

    pub fn agreement(&self, a: &str, b: &str, level: DisclosureLevel) -> Agreement {
        let now = self.clock.now();
        let grant = |from: &str, to: &str, level| Grant {
            from: id(from),
            to: id(to),
            record_kinds: vec![RecordKind::Alert, RecordKind::Practice, RecordKind::OfferView],
            alert_kinds: AlertKind::ALL.to_vec(),
            service_kinds: ServiceKind::ALL.to_vec(),
            purposes: Purpose::ALL.to_vec(),
            usage: Usage::Store,
            highest_tlp: Tlp::AmberStrict,
            disclosure_level: Some(level),
            retention: Millis::days(180),
            valid_from: now - Millis::minutes(1),
            valid_until: now + Millis::days(365),
        };
        let party = |name: &str| Party {
            authority: id(name),
            corridor_roles: vec![CorridorRole::Destination],
            transfers: vec![],
        };
        Agreement {
            federation: FederationId([0; 32]),
            parties: vec![party(a), party(b)],
            grants: vec![grant(a, b, level), grant(b, a, DisclosureLevel::Band)],
            created: now,
            review_by: now + Millis::days(300),
            nonce: [0; 16],
            proposer: id(a),
        }
    }

    pub async fn publish(&self, from: &str, to: &[&str]) -> Published {
        self.exchange(from).road.publish(&call(), wished(sharing(to), sample_alert())).await.unwrap()
    }

    /// One side ends what it has with another.
    pub async fn end_with(&self, by: &str, other: &str) {
        let agreements = &self.exchange(by).agreements;
        let all = agreements.list_agreements().await.unwrap();
        let between = all.iter().find(|a| a.summary.as_ref().unwrap().held.agreement.is_party(&id(other))).unwrap().id;
        agreements.end_agreement(&call(), between, AgreementEndReason::Breach).await.unwrap();
    }

    /// Stores a publication without its envelopes, as a process that died between the two leaves it.
    pub async fn publish_and_die(&self, from: &str, to: &[&str]) -> crate::domain::ids::RecordId {
        let exchange = self.exchange(from);
        let draft = road::Draft {
            authority: None,
            sharing: sharing(to),
            content: sample_alert().into(),
            to: None,
            references: vec![],
            under: None,
            shared: None,
        };
        let checked = exchange.road.check(&call(), draft).unwrap();
        let id = context::new_record_id();
        let publication = road::new_publication(&checked.publication, id, checked.dates.expires);
        let op = Publish { request: None, publication, made: None, audit: Vec::new() };
        exchange.context.store().write(WriteOp::Publish(op)).await.unwrap();
        id
    }

    /// Received alerts at a node, oldest first, with their positions.
    pub async fn inbox(&self, name: &str) -> Vec<(u64, crate::domain::ids::RecordId)> {
        let rows = self.node(name).store.inbox_after(0, vec![RecordKind::Alert], 10_000).await.unwrap();
        rows.into_iter().map(|row| (row.position, row.key.record_id)).collect()
    }

    pub async fn delivery(
        &self,
        from: &str,
        record: crate::domain::ids::RecordId,
    ) -> Vec<(DeliveryState, Option<Reason>)> {
        let filter = DeliveryFilter { record: Some(record), ..DeliveryFilter::default() };
        let rows = self.exchange(from).road.deliveries(filter, None, 100).await.unwrap();
        rows.into_iter().map(|row| (row.state, row.reason)).collect()
    }
}

fn member(name: &AuthorityId, key: &SigningKey) -> Member {
    Member {
        entry: AuthorityEntry {
            authority: name.clone(),
            kind: ParticipantKind::LocalAuthority,
            names: vec![],
            identifiers: vec![],
            authority_key: key.public(),
            endpoints: vec![],
            pins: vec![],
            contacts: vec![],
            hosted_by: None,
            networks: vec![],
            services: vec![],
            corridor: Default::default(),
            raft_id: 0,
        },
        version: 1,
        status_version: 1,
        keys: vec![KeyRecord { key: key.public(), replaced_at: None, compromised: false }],
        suspended_until: None,
        removed_at: None,
    }
}

/// A call with a request id of its own.
pub fn call() -> Call {
    let unique = uuid::Uuid::new_v4();
    Call {
        actor: Actor { role: COORDINATOR, code: None },
        scope: "publisher".to_owned(),
        request_id: unique.to_string(),
        body: Digest::of(unique.as_bytes()),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
    }
}

/// For these; nobody named: for all partners.
pub fn sharing(to: &[&str]) -> Sharing {
    let names: Vec<_> = to.iter().map(|name| id(name)).collect();
    Sharing {
        audience: Recipients::new(names).map_or(Audience::AllPartners, Audience::Named),
        purpose: Purpose::Prevention,
        lawful_basis: LawfulBasis::PublicTask,
        special_basis: SpecialBasis::None,
        handling: Handling { tlp: Tlp::Green, pap: Pap::Green },
        status: RecordStatus::Actual,
        expires: None,
        review_by: None,
    }
}

/// What a city's own system asks for.
pub fn reader(consumer: &str, after: u64, kinds: &[RecordKind], until_empty: bool) -> ConsumeRequest {
    let (role, purpose) = (ActorRole::Consumer, ReadPurpose::Consume);
    ConsumeRequest { role, purpose, consumer: consumer.to_owned(), after, kinds: kinds.to_vec(), until_empty }
}

/// An envelope as it travels, understood; nobody is asked.
pub fn understood(bytes: &Bytes) -> Envelope {
    let record = KeptRecord::own(RecordKind::Alert, UnixMs::NEVER, bytes.clone());
    crate::wire::sealed::reload(Reading::unasked(&record)).unwrap()
}

/// The bytes of a stored record; nobody is asked.
pub fn stored_bytes(record: &KeptRecord) -> Bytes {
    Reading::unasked(record).bytes().clone()
}

/// An own offer as it is stored, to be stored again.
pub fn own_offer_again(row: &OwnOfferRow) -> NewOwnOffer {
    let OwnOfferRow { id, record, version, unconfirmed } = row;
    NewOwnOffer { id: *id, body: stored_bytes(record), version: *version, unconfirmed: *unconfirmed }
}

/// A partner's offer as it is stored, to be stored again.
pub fn partner_offer_again(row: &PartnerOfferRow) -> NewPartnerOffer {
    let PartnerOfferRow { origin, id, record, version, age_at_sending_ms, received } = row.clone();
    let (view, keep_until) = (stored_bytes(&record), record.keep_until().unwrap());
    NewPartnerOffer { origin, id, view, version, age_at_sending_ms, received, keep_until }
}

/// A partner's offer that can be read.
pub fn view(offer: &PartnerOffer) -> &OfferView {
    offer.view.as_ref().unwrap()
}

/// A record to publish, by the node's own authority.
pub fn wished(sharing: Sharing, content: impl Into<Content>) -> Wished {
    Wished { authority: None, sharing, content: content.into() }
}

pub fn sample_alert() -> Alert {
    alert::from_proto(sample::advert_alert()).unwrap()
}
