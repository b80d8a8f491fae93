//! Three cities, the first of which has a row in every table of its store: what the golden store was made of, and what is
//! damaged row by row. And what can be seen of it from above, line by line.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::world::*;
use crate::clock::{Clock, MovedClock};
use crate::demo::sample;
use crate::domain::agreement::AgreementEndReason;
use crate::domain::directory::DirectoryView;
use crate::domain::handling::Purpose;
use crate::domain::holds::{Hold, HoldState, Slots};
use crate::domain::ids::{
    AgreementId, AuthorityId, Digest, HoldId, Incarnation, InvitationId, OfferId, Pin, RecordId, ShareId,
};
use crate::domain::join::{HeldInvitation, Invitation};
use crate::domain::person::share::{Decider, ShareScope};
use crate::domain::record::{RecordKey, RecordKind, StreamClass};
use crate::domain::records::answer::Answer;
use crate::domain::records::offer::DisclosureLevel;
use crate::domain::register::Decided;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::join::{Admission, Admissions, Error as JoinError, Inviter, JoinStep};
use crate::exchange::*;
use crate::storage::identity;
use crate::storage::ops::{Put, Write};
use crate::storage::owed::{Owed, OwedKey, Subject, What};
use crate::storage::rows::{
    AnsweredRow, AskedHoldRow, DisclosureRow, DisclosureState, InStreamKey, InvitationRequestRow, SlotsRow,
    WithdrawalRow,
};
use crate::wire::keys::SigningKey;
use crate::wire::records::{self, offer, practice};
use crate::wire::{holds, invitation, joining};

/// 2026-12-01, noon UTC: when the golden store was made.
pub const MADE_AT: UnixMs = UnixMs(1_796_126_400_000);
/// When it is looked at again.
pub const LATER: UnixMs = UnixMs(MADE_AT.0 + 600_000);
/// Nobody fulfils what is owed from then on.
const FAR: UnixMs = UnixMs(MADE_AT.0 + 300 * 86_400_000);
/// A record that never came.
const UNKNOWN: RecordId = RecordId([5; 16]);

/// Lines by what they are about.
pub type Seen = BTreeMap<String, String>;

/// The key of this number (RFC 8410), from a seed that anybody can make again and nobody uses.
fn key(number: u8) -> Arc<SigningKey> {
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let seed = Digest::of(format!("havenlink golden key {number}").as_bytes());
    Arc::new(SigningKey::from_pkcs8(&[&prefix[..], &seed.0].concat()).unwrap())
}

/// The three with the same keys each time, at this time; no node runs.
pub fn world(at: UnixMs) -> World {
    let clock = MovedClock::new();
    clock.advance(at.since(clock.now()));
    let keys = [STRASBOURG, KEHL, ESCH].into_iter().zip(1..).map(|(name, n)| (id(name), key(n))).collect();
    World::empty(clock, keys)
}

/// Starts all three, each on its folder below `dir`.
pub async fn start(world: &mut World, dir: &Path) {
    for name in [STRASBOURG, KEHL, ESCH] {
        let store = world.open(&dir.join(name)).await;
        world.start(name, 0, Some(store)).await;
    }
}

/// Closes all stores, so that their files are whole.
pub async fn close(world: &World) {
    for node in world.nodes.values() {
        node.store.close().await;
    }
}

/// A call that is repeated later.
fn repeated() -> Call {
    // Last in the order of scopes: what is damaged is the first row of a table, and the last one.
    Call { scope: "zz".to_owned(), request_id: "golden-1".to_owned(), body: Digest([1; 32]), ..call() }
}

/// Gives Strasbourg a row in every table.
pub async fn furnish(world: &World) {
    let (strasbourg, kehl) = (world.exchange(STRASBOURG), world.exchange(KEHL));
    let federation = world.view.load().federation;
    identity::claim(world.node(STRASBOURG).store.as_ref(), &id(STRASBOURG), &federation).await.unwrap();
    world.agree(STRASBOURG, KEHL, DisclosureLevel::Light).await;
    let with_esch = world.agree(STRASBOURG, ESCH, DisclosureLevel::Band).await;
    let practice = practice::from_proto(sample::practice()).unwrap();
    let refuge = |n: u8| {
        let own = id(if n == 1 { STRASBOURG } else { KEHL });
        offer::own_from_proto(sample::refuge(4), OfferId([n; 16]), &own, world.clock.now()).unwrap()
    };
    let told = strasbourg.road.publish(&repeated(), wished(sharing(&[KEHL]), sample_alert())).await.unwrap().record_id;
    world.publish(STRASBOURG, &[KEHL]).await;
    let heard = world.publish(KEHL, &[STRASBOURG]).await.record_id;
    world.publish(KEHL, &[STRASBOURG]).await;
    for (city, n) in [(strasbourg, 1), (kehl, 2)] {
        city.road.publish(&call(), wished(sharing(&[]), practice.clone())).await.unwrap();
        city.road.publish(&call(), wished(sharing(&[]), practice.clone())).await.unwrap();
        city.capacity.set_offer(&call(), refuge(n), None).await.unwrap();
    }
    world.settle().await;
    let key = |origin, record_id| RecordKey { origin: id(origin), record_id };
    kehl.road.answer(&call(), key(STRASBOURG, told), Answer::Acknowledged.into()).await.unwrap();
    strasbourg.road.answer(&call(), key(KEHL, heard), Answer::Acknowledged.into()).await.unwrap();
    world.exchange(ESCH).agreements.end_agreement(&call(), with_esch, AgreementEndReason::Breach).await.unwrap();
    world.settle().await;
    // Esch gets this one when it agrees again.
    strasbourg.road.publish(&call(), wished(sharing(&[]), practice.clone())).await.unwrap();
    world.queue_version(KEHL, STRASBOURG, &practice, &key(KEHL, UNKNOWN)).await;
    let proposal = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Band);
    strasbourg.agreements.propose_agreement(&call(), proposal).await.unwrap();
    world.settle().await;
    let shares = super::persons::asked(super::persons::terms(world.clock.now()));
    let how = Some(super::persons::freely());
    strasbourg.persons.give(&call(), shares, Decider::Person, how).await.unwrap();
    strasbourg.road.commit_cursor("case-system".to_owned(), 1).await.unwrap();
    assert!(strasbourg.upkeep.checkpoint_pass().await.unwrap());
    store_the_rest(world).await;
    // What waits to be sent, and what waits to be made.
    world.line.down.lock().unwrap().insert(id(KEHL));
    world.publish(STRASBOURG, &[KEHL]).await;
    world.publish(STRASBOURG, &[KEHL]).await;
    world.publish_and_die(STRASBOURG, &[KEHL]).await;
}

/// Invitations, and what is owed, one of each sort.
async fn store_the_rest(world: &World) {
    let key = &world.node(STRASBOURG).key;
    let invited = |n: u8| {
        let invitation = Invitation {
            id: InvitationId([0; 32]),
            federation: genesis().1,
            inviter: id(STRASBOURG),
            inviter_key: key.public(),
            inviter_pins: vec![Pin([n; 32])],
            inviter_endpoints: vec!["node.strasbourg.example:7443".to_owned()],
            intended_for: id(GOERLITZ),
            created: MADE_AT,
            expires: MADE_AT + Millis::days(14),
            secret_digest: Digest([n; 32]),
            rules_version: 1,
            entry_version: 0,
        };
        let (invitation, signed) = invitation::sign(invitation, key);
        let id = invitation.id;
        (id, Put::Invitation(id, joining::encode_held(&HeldInvitation::open(invitation, signed))))
    };
    let ((first, one), (_, two)) = (invited(1), invited(2));
    let request = InvitationRequestRow { body: Digest([8; 32]), invitation: first, expires: FAR };
    let kehl = id(KEHL);
    let grant = crate::domain::envelope::GrantRef { agreement: AgreementId([3; 32]), number: 1 };
    let record = RecordKey { origin: id(STRASBOURG), record_id: RecordId([6; 16]) };
    let owed = [
        OwedKey::to(&kehl, Subject::SuspendedRecord(record)),
        OwedKey::to(&kehl, Subject::Backfill(grant)),
        OwedKey::to(&kehl, Subject::Announcement(AgreementId([3; 32]))),
        OwedKey::to(&kehl, Subject::EndNotice(AgreementId([3; 32]), id(ESCH))),
        OwedKey::of(Subject::PauseNotice(OfferId([4; 16]))),
        OwedKey::of(Subject::EmergencyEntry(crate::domain::ids::StatementId([4; 32]))),
        OwedKey::of(Subject::Erasure(RecordKey { origin: kehl.clone(), record_id: RecordId([7; 16]) })),
    ];
    assert_eq!(owed.clone().map(|key| key.subject.what()), What::ALL, "one of each sort");
    let owes = owed.into_iter().map(|key| Owed { key, since: MADE_AT, due: FAR }).collect();
    let case = world.node(STRASBOURG).store.case_index(super::persons::case()).await.unwrap();
    let shared = |n: u8| {
        Put::Disclosure(DisclosureRow {
            key: RecordKey { origin: id(STRASBOURG), record_id: RecordId([n; 16]) },
            recipient: kehl.clone(),
            kind: RecordKind::Referral,
            scope: ShareScope::ReferralLegal,
            purpose: Purpose::Assistance,
            case,
            share: ShareId([n; 16]),
            shared_at: MADE_AT,
            erase_by: FAR,
            state: DisclosureState::Noticed,
            counter: u64::from(n),
            noticed_at: MADE_AT,
            due_by: FAR,
            answered_at: UnixMs(0),
            receipt: Bytes::new(),
        })
    };
    let withdrawn = |n: u8| {
        let key = RecordKey { origin: kehl.clone(), record_id: RecordId([n; 16]) };
        let (recipient, counter, received) = (id(STRASBOURG), u64::from(n), MADE_AT);
        let notice = Bytes::from_static(b"as it was signed");
        Put::Withdrawal(WithdrawalRow {
            key,
            recipient,
            counter,
            received,
            due_by: FAR,
            done_at: Some(MADE_AT),
            notice,
        })
    };
    let answered = |partner: &str| {
        Put::Answered(AnsweredRow { ours: id(STRASBOURG), partner: id(partner), contact: MADE_AT, unknown: false })
    };
    let invitations = [one, two, Put::InvitationRequest(Digest([9; 32]), request)];
    let puts = invitations
        .into_iter()
        .chain(held_units())
        .chain([shared(1), shared(2), withdrawn(3), withdrawn(4), answered(KEHL), answered(ESCH)])
        .collect();
    world.node(STRASBOURG).store.write(Write { puts, owes, ..Write::default() }.into()).await.unwrap();
}

/// Slots of two offers, and two units that were asked for.
fn held_units() -> [Put; 4] {
    let slots = |n: u8| {
        let hold = Hold {
            id: HoldId([n; 16]),
            holder: id(KEHL),
            slot: 0,
            token: 1,
            taken: MADE_AT,
            expires: FAR,
            extended: false,
            state: HoldState::Held,
            ended: MADE_AT,
        };
        let slots = Slots { next_token: 2, clock: MADE_AT, holds: vec![hold] };
        Put::Slots(SlotsRow { offer: OfferId([n; 16]), version: 1, body: holds::encode_slots(&slots) })
    };
    let asked = |n: u8| {
        Put::AskedHold(AskedHoldRow {
            id: HoldId([n; 16]),
            ours: id(STRASBOURG),
            owner: id(KEHL),
            offer: OfferId([n; 16]),
            asked: MADE_AT,
            state: Some(HoldState::Arrived),
            token: u64::from(n),
            extended: false,
            keep_until: FAR,
        })
    };
    [slots(8), slots(9), asked(8), asked(9)]
}

/// A genesis statement, and its federation.
fn genesis() -> (Bytes, crate::domain::ids::FederationId) {
    use prost::Message;
    let text = include_str!("../../../../tests/compat/0.1.0/statement-genesis.hex");
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let bytes: Bytes = digits.chunks(2).map(byte).collect::<Vec<_>>().into();
    let signed = havenlink_proto::record::v1::Signed::decode(bytes.clone()).unwrap();
    (bytes, crate::domain::ids::FederationId(Digest::of(&signed.payload).0))
}

/// All that Strasbourg shows, lists, finds and gives, each under its own line.
pub async fn look(world: &World) -> Seen {
    let mut seen = Seen::new();
    records_of(world, &mut seen).await;
    streams_of(world, &mut seen).await;
    rest_of(world, &mut seen).await;
    seen
}

fn short(text: impl ToString) -> String {
    Digest::of(text.to_string().as_bytes()).to_hex()[..12].to_owned()
}

async fn records_of(world: &World, seen: &mut Seen) {
    let exchange = world.exchange(STRASBOURG);
    for folder in [Folder::Published, Folder::Received] {
        for kind in [RecordKind::Alert, RecordKind::Practice, RecordKind::OfferView, RecordKind::Answer] {
            for held in exchange.road.list(COORDINATOR, kind, folder, None, 100).await.unwrap() {
                let said = held.said.map(|said| {
                    let content = short(format!("{:?}", records::encode(&said.content)));
                    format!("{content} {} for {:?}", short(format!("{:?}", said.sharing)), said.recipients)
                });
                let answers: Vec<_> = held.answers.iter().map(|a| (a.key.record_id, a.answer.is_ok())).collect();
                let deliveries: Vec<_> = held.deliveries.iter().map(|d| (d.recipient.as_str(), d.state)).collect();
                let text = format!("{said:?} answers {answers:?} deliveries {deliveries:?} later {:?}", held.later);
                seen.insert(format!("record {folder:?} {} {}", kind.name(), held.key.record_id), text);
                let got = exchange.road.get(COORDINATOR, held.key.clone()).await.map(|got| got.said.is_ok());
                seen.insert(format!("get {}", held.key.record_id), format!("{:?}", got.map_err(|e| e.reason())));
            }
        }
    }
    let title = practice::from_proto(sample::practice()).unwrap().texts[0].title.clone();
    let query = PracticeQuery { words: title.split(' ').next().unwrap().to_owned(), ..PracticeQuery::default() };
    for found in exchange.practices.search_practices(COORDINATOR, &query, None, 100).await.unwrap() {
        seen.insert(format!("found {}", found.key.record_id), found.practice.texts[0].title.clone());
    }
    for row in exchange.persons.erasures().await.unwrap() {
        seen.insert(format!("erasure {}", row.key.record_id), format!("{:?} {}", row.state, row.recipient));
    }
    for partner in [KEHL, ESCH] {
        if exchange.context.has_said_what_was_withdrawn(&id(STRASBOURG), &id(partner)) {
            seen.insert(format!("answered {partner}"), "what it sent about persons is open".to_owned());
        }
    }
    for n in [3, 4] {
        let key = RecordKey { origin: id(KEHL), record_id: RecordId([n; 16]) };
        let withdrawn = exchange.persons.was_erased(&key).await.map_err(|error| error.reason());
        if withdrawn != Ok(false) {
            seen.insert(format!("withdrawn {n}"), format!("{withdrawn:?}"));
        }
    }
    for held in exchange.capacity.own_offers(COORDINATOR).await.unwrap() {
        let text = format!("{:?}", held.offer.map(|offer| offer.capacity.free));
        seen.insert(format!("own offer {}", held.id), text);
    }
    for held in exchange.capacity.given_holds().await.unwrap() {
        seen.insert(format!("given {} {}", held.offer, held.hold.token), format!("{:?}", held.hold.state));
    }
    for held in exchange.capacity.asked_holds().await.unwrap() {
        let AskedHoldRow { id, owner, offer, state, token, .. } = held.row;
        seen.insert(format!("asked {id}"), format!("{owner} {offer} {state:?} {token}"));
    }
    for shown in exchange.capacity.partner_offers(COORDINATOR).await.unwrap() {
        let text = format!("{:?}", shown.view.map(|view| view.capacity.level));
        seen.insert(format!("partner offer {}/{}", shown.authority, shown.id), text);
    }
}

async fn streams_of(world: &World, seen: &mut Seen) {
    let (exchange, store) = (world.exchange(STRASBOURG), &world.node(STRASBOURG).store);
    let kinds = [RecordKind::Alert, RecordKind::Practice, RecordKind::Answer, RecordKind::OfferView];
    let asked = reader("another", 0, &kinds, true);
    let read: Vec<_> = exchange.road.consume(asked).await.unwrap().collect().await;
    for record in read {
        let record = record.unwrap();
        let text = format!("{} {}", record.key.record_id, record.envelope.is_ok());
        seen.insert(format!("position {}", record.position), text);
    }
    let cursor = store.cursor("case-system".to_owned()).await.map_err(|e| e.reason());
    seen.insert("cursor".to_owned(), format!("{cursor:?}"));
    for row in exchange.road.deliveries(DeliveryFilter::default(), None, 1_000).await.unwrap() {
        let text = format!("{} {} {:?} {:?}", row.recipient, row.record_id, row.state, row.reason);
        seen.insert(format!("delivery {}", row.sequence), text);
    }
    for (recipient, count) in exchange.road.queue_counts().await.unwrap() {
        let text = format!("QueueCount {{ queued: {}, held: {} }}", count.queued, count.held);
        seen.insert(format!("queue {recipient}"), text);
    }
    for row in store.pending_publications(100).await.unwrap() {
        seen.insert(format!("pending {}", row.record_id), row.record.kind().name().to_owned());
    }
    let told = store.partner_incarnation(id(STRASBOURG), id(KEHL)).await.unwrap().map(|told| told.incarnation);
    seen.insert("incarnation of de-kehl".to_owned(), format!("{}", told.is_some()));
    for class in [StreamClass::Content, StreamClass::Control] {
        let key = InStreamKey {
            origin: id(KEHL),
            recipient: id(STRASBOURG),
            class,
            origin_incarnation: told.unwrap_or(Incarnation(0)),
            recipient_incarnation: store.incarnation(),
        };
        let next = store.in_stream(key).await.unwrap().map(|stream| stream.next);
        seen.insert(format!("in {class:?}"), format!("{next:?}"));
    }
    let unknown = RecordKey { origin: id(KEHL), record_id: UNKNOWN };
    seen.insert("hidden".to_owned(), format!("{:?}", store.inbox_about_by_turns(unknown, 9).await.unwrap().len()));
}

async fn rest_of(world: &World, seen: &mut Seen) {
    let (exchange, store) = (world.exchange(STRASBOURG), &world.node(STRASBOURG).store);
    for listed in exchange.agreements.list_agreements().await.unwrap() {
        let text = listed.summary.map(|s| format!("{:?} by {:?} left {}", s.state, s.signed_by, s.held.ends.len()));
        seen.insert(format!("agreement {}", listed.id), format!("{text:?}"));
    }
    for held in exchange.persons.show(super::persons::case()).await.unwrap() {
        let text = format!("{:?} {:?}", held.standing, held.share.map(|share| share.terms.scopes.len()));
        seen.insert(format!("sharing {}", held.id), text);
    }
    let finding = exchange.upkeep.verify_audit().await.unwrap();
    let text = format!("{} {:?} {}", finding.consistent, finding.first_bad, finding.checkpoints);
    seen.insert("ledger".to_owned(), text);
    for what in What::ALL {
        for recipient in store.owed_recipients(what, UnixMs::NEVER).await.unwrap() {
            for row in store.owed(what, recipient.clone(), UnixMs::NEVER, 100).await.unwrap() {
                let text = format!("{} {recipient:?} {}", row.key.subject.text(), row.attempts);
                seen.insert(format!("owed {}", what.name()), text);
            }
        }
    }
    for count in exchange.upkeep.owed_counts().await.unwrap() {
        seen.insert(format!("count {}", count.what.name()), count.rows.to_string());
    }
    let key = world.node(STRASBOURG).key.clone();
    let register = Arc::new(NoDecisions(world.view.load_full(), watch::channel(0).0));
    let inviter = Inviter::new(id(STRASBOURG), move || key.clone(), store.clone(), register, world.clock.clone());
    for listed in inviter.list().await.unwrap() {
        let text = listed.summary.map(|summary| format!("{} {:?}", summary.intended_for, summary.state));
        seen.insert(format!("invitation {}", listed.id), format!("{text:?}"));
    }
    inviter.refresh_gate().await.unwrap();
    assert_eq!(inviter.applications().await.unwrap().len(), 0);
    let asked = store.invitation_request(Digest([9; 32])).await.map(|row| row.map(|row| row.invitation));
    seen.insert("invitation request".to_owned(), format!("{:?}", asked.map_err(|e| e.reason())));
    let again = exchange.road.publish(&repeated(), wished(sharing(&[KEHL]), sample_alert())).await;
    seen.insert("repeated".to_owned(), format!("{:?}", again.map(|p| p.record_id).map_err(|e| e.reason())));
}

/// A register in which nobody joins.
struct NoDecisions(Arc<DirectoryView>, watch::Sender<u64>);

impl Admissions for NoDecisions {
    fn view(&self) -> Arc<DirectoryView> {
        self.0.clone()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.1.subscribe()
    }

    fn genesis(&self) -> Bytes {
        Bytes::new()
    }

    fn admissions(&self, _: &AuthorityId) -> Vec<Admission> {
        Vec::new()
    }

    fn decide(&self, _: JoinStep) -> BoxFuture<'_, Result<Decided, JoinError>> {
        Box::pin(async { Err(crate::domain::reason::Reason::NotJoined.into()) })
    }
}

/// The line works again and everybody goes on: what waited goes out, and what is said now arrives in both directions.
/// Gives how what was published before stands now.
pub async fn go_on(world: &World) -> Vec<(RecordId, DeliveryState)> {
    world.line.down.lock().unwrap().clear();
    world.settle().await;
    // Whoever lost its store has its agreements again, and its operator confirms them.
    for name in [STRASBOURG, KEHL, ESCH] {
        world.confirm(name).await;
    }
    world.settle().await;
    // What is for all goes to a partner of a new agreement too: the ledger says so with the record's salt.
    world.agree(STRASBOURG, ESCH, DisclosureLevel::Band).await;
    let for_all = world.node(ESCH).store.inbox_before(RecordKind::Practice, None, 9).await.unwrap();
    assert!(!for_all.is_empty(), "backfill brings what is for all");
    let there = world.publish(STRASBOURG, &[KEHL]).await.record_id;
    let back = world.publish(KEHL, &[STRASBOURG]).await.record_id;
    world.settle().await;
    assert!(world.inbox(KEHL).await.iter().any(|(_, record)| *record == there), "what is said now arrives there");
    assert!(world.inbox(STRASBOURG).await.iter().any(|(_, record)| *record == back), "and here");
    world.node(STRASBOURG).store.sweep(world.clock.now()).await.unwrap();
    let rows = world.exchange(STRASBOURG).road.deliveries(DeliveryFilter::default(), None, 1_000).await.unwrap();
    rows.into_iter().map(|row| (row.record_id, row.state)).collect()
}
