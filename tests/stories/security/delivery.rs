//! What is delivered: an envelope replayed to another city, a tampered one, one by somebody else, one twice.
//!
//! The test is Strasbourg's node gone bad: it holds Strasbourg's keys and what Strasbourg had queued.

use std::path::Path;

use bytes::Bytes;
use havenlink::clock::SystemClock;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink::domain::ids::{AuthorityId, FederationId, Incarnation};
use havenlink::domain::limits;
use havenlink::domain::reason::Reason;
use havenlink::domain::stream::{Hello, Understands};
use havenlink::wire::peer::sign_hello;
use havenlink_proto::local::v1::{Delivery, DeliveryState, PublishRecordRequest};
use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use havenlink_proto::peer::v1::{
    DeliverItem, DeliverRequest, DeliverResponse, GreetRequest, Hello as HelloMessage, ItemResult, Receipt,
    deliver_item,
};
use havenlink_proto::record::v1::{Purpose, RecordKind, Signed, StreamClass, Tlp};
use havenlink_tests::federation::Federation;
use havenlink_tests::peer;
use havenlink_tests::refused::assert_refused;
use havenlink_tests::tools::havenctl;
use havenlink_tests::wait::eventually;
use prost::Message;
use tonic::Status;

use crate::steps::{PATIENCE, deliveries};

/// Strasbourg's voice at another city, under an incarnation of its own.
struct Voice {
    class: StreamClass,
    client: ExchangeServiceClient<havenlink::transport::PeerChannel>,
    to: &'static str,
    ours: u64,
    theirs: u64,
    next: u64,
}

impl Voice {
    async fn greet(strasbourg: &City, to: &City, class: StreamClass) -> Self {
        let mut client = ExchangeServiceClient::new(peer::as_city(strasbourg, to).await.unwrap());
        let now = SystemClock::shared().now();
        let federation = to.status().await.unwrap().federation_id;
        let hello = Hello {
            federation: FederationId::from_slice(&federation).unwrap(),
            authority: AuthorityId::parse("fr-strasbourg").unwrap(),
            incarnation: Incarnation(now.0.unsigned_abs()),
            time: now,
            recipient: AuthorityId::parse(to.id()).unwrap(),
            register: Default::default(),
            understands: Understands::here(1, &[]),
        };
        let hello = sign_hello(&hello, &peer::authority_key(strasbourg).unwrap());
        let request = GreetRequest { hello, recipient: to.id().to_owned(), ..Default::default() };
        let answer = client.greet(request).await.unwrap().into_inner();
        let signed = Signed::decode(answer.hello).unwrap();
        let theirs = HelloMessage::decode(signed.payload).unwrap().incarnation;
        let next = if class == StreamClass::Content { answer.next_content } else { answer.next_control };
        Self { class, client, to: to.id(), ours: now.0.unsigned_abs(), theirs, next }
    }

    async fn deliver(&mut self, envelope: &Bytes) -> Result<DeliverResponse, Status> {
        self.deliver_times(envelope, 1).await
    }

    /// The same envelope so many times in one batch.
    async fn deliver_times(&mut self, envelope: &Bytes, times: usize) -> Result<DeliverResponse, Status> {
        let item = DeliverItem {
            item: Some(deliver_item::Item::Envelope(envelope.clone())),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            ..Default::default()
        };
        let request = DeliverRequest {
            origin: "fr-strasbourg".into(),
            recipient: self.to.into(),
            origin_incarnation: self.ours,
            recipient_incarnation: self.theirs,
            stream_class: self.class.into(),
            first: self.next,
            sender_time_ms: SystemClock::shared().now().0,
            items: vec![item; times],
        };
        Ok(self.client.deliver(request).await?.into_inner())
    }

    /// What the receipt says about an envelope.
    async fn outcome(&mut self, envelope: &Bytes) -> (ItemResult, String) {
        let answer = self.deliver(envelope).await.unwrap();
        let receipt = Receipt::decode(Signed::decode(answer.receipt.unwrap()).unwrap().payload).unwrap();
        assert_eq!((receipt.first, receipt.outcomes.len()), (self.next, 1));
        self.next = answer.next;
        (receipt.outcomes[0].result(), receipt.outcomes[0].reason.clone())
    }
}

/// So many bytes are looked into (they are nothing that can be understood); one more are not.
async fn longest(voice: &mut Voice, bytes: usize) {
    let (result, reason) = voice.outcome(&vec![0; bytes].into()).await;
    assert!(result == ItemResult::Quarantined && reason != Reason::MessageTooLarge.code(), "{result:?} {reason}");
    assert_eq!(voice.outcome(&vec![0; bytes + 1].into()).await.1, Reason::MessageTooLarge.code());
}

/// The envelope with content that waits in a stopped node's store, for one recipient.
async fn queued(data: &Path, to: &str) -> Bytes {
    use sqlx::{Connection, SqliteConnection};
    let file = format!("sqlite://{}", data.join("havenlink.db").display());
    let mut db = SqliteConnection::connect(&file).await.unwrap();
    let query = "SELECT o.envelope FROM outbox o JOIN delivery d ON d.sequence = o.sequence \
                 JOIN out_stream s ON s.id = d.stream WHERE s.recipient = ? AND s.class = ? AND d.open = 1";
    let class = i64::from(i32::from(StreamClass::Content));
    let envelope: Vec<u8> = sqlx::query_scalar(query).bind(to).bind(class).fetch_one(&mut db).await.unwrap();
    db.close().await.unwrap();
    envelope.into()
}

/// The same with another place in it: its signature holds no more.
fn tampered(envelope: &Bytes) -> Bytes {
    let place = envelope.windows(5).position(|w| w == b"FRF11").expect("the place stands in the bytes");
    let mut tampered = envelope.to_vec();
    tampered[place + 4] = b'2';
    tampered.into()
}

/// Waits until the partner has the complete agreement, the last that is sent of it: then nothing is queued for it.
async fn settled(from: &City, to: &City) {
    eventually("the complete agreement is delivered", PATIENCE, || async {
        let rows = deliveries(from, to.id()).await.ok()?;
        let complete = |d: &Delivery| d.kind() == RecordKind::AgreementComplete;
        let delivered = |d: &Delivery| d.state() == DeliveryState::Delivered;
        (rows.iter().any(complete) && rows.iter().all(delivered)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replayed_tampered_foreign_and_repeated_envelopes() {
    let mut federation = Federation::found(3, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    federation.agree(0, 2).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three") };
    settled(strasbourg, kehl).await;
    settled(strasbourg, esch).await;
    kehl.stop().await.unwrap();
    esch.stop().await.unwrap();
    let request = PublishRecordRequest {
        request_id: "alert".into(),
        sharing: Some(sample::sharing(&[kehl.id(), esch.id()], Purpose::Prevention, Tlp::Green)),
        content: Some(sample::advert_alert().into()),
        ..Default::default()
    };
    strasbourg.publisher().await.unwrap().publish_record(request).await.unwrap();
    strasbourg.until("both are queued", |s| s.partners.iter().map(|p| p.queued).sum::<u64>() == 2).await.unwrap();
    // Strasbourg's machine is in other hands now: its keys, its certificate, what it had queued.
    strasbourg.kill().await.unwrap();
    let data = strasbourg.dir.join("data");
    let (for_kehl, for_esch) = (queued(&data, kehl.id()).await, queued(&data, esch.id()).await);
    assert_ne!(for_kehl, for_esch);
    for city in [&mut *kehl, &mut *esch] {
        city.start().unwrap();
        city.until("it hears", |_| true).await.unwrap();
    }

    let mut at_esch = Voice::greet(strasbourg, esch, StreamClass::Content).await;
    let refused = |reason: Reason| (ItemResult::Refused, reason.code().to_owned());
    assert_eq!(at_esch.outcome(&for_kehl).await, refused(Reason::WrongRecipient), "replayed to another city");
    assert_eq!(at_esch.outcome(&for_esch).await, (ItemResult::Stored, String::new()), "and the next one is judged");

    let mut at_kehl = Voice::greet(strasbourg, kehl, StreamClass::Content).await;
    assert_eq!(at_kehl.outcome(&tampered(&for_kehl)).await, refused(Reason::SignatureInvalid));
    let cut = for_kehl.slice(..for_kehl.len() / 2);
    assert_eq!(at_kehl.outcome(&cut).await.0, ItemResult::Quarantined);
    assert_eq!(at_kehl.outcome(&for_kehl).await, (ItemResult::Stored, String::new()));
    assert_eq!(at_kehl.outcome(&for_kehl).await, (ItemResult::Duplicate, String::new()), "replayed to its recipient");
    let held = havenctl(kehl, &["alert", "list", "-o", "jsonl"]).await.unwrap().fine();
    assert_eq!(held.lines().count(), 1, "{held}");

    // One byte more than an envelope may have; its number is consumed, and the next one is judged.
    longest(&mut at_kehl, limits::ENVELOPE_BYTES).await;
    let mut control = Voice::greet(strasbourg, kehl, StreamClass::Control).await;
    longest(&mut control, limits::CONTROL_BYTES).await;

    // Esch has the bytes and a certificate of its own: it is not the origin.
    at_kehl.client = ExchangeServiceClient::new(peer::as_city(esch, kehl).await.unwrap());
    assert_refused(&at_kehl.deliver(&for_kehl).await, Reason::WrongOrigin);
}

/// They are refused one by one, and looking at them is paid for: processor time ends long before the rows of a day do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_bad_signatures_on_and_on_is_told_to_wait() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two") };
    settled(strasbourg, kehl).await;
    kehl.stop().await.unwrap();
    let request = PublishRecordRequest {
        request_id: "alert".into(),
        sharing: Some(sample::sharing(&[kehl.id()], Purpose::Prevention, Tlp::Green)),
        content: Some(sample::advert_alert().into()),
        ..Default::default()
    };
    strasbourg.publisher().await.unwrap().publish_record(request).await.unwrap();
    strasbourg.until("it is queued", |s| s.partners.iter().any(|p| p.queued > 0)).await.unwrap();
    strasbourg.kill().await.unwrap();
    let forged = tampered(&queued(&strasbourg.dir.join("data"), kehl.id()).await);
    kehl.configure("budget.processor_ms_per_second = 2\n").unwrap();
    kehl.start().unwrap();
    kehl.until("it hears", |_| true).await.unwrap();

    let mut voice = Voice::greet(strasbourg, kehl, StreamClass::Content).await;
    let mut taken = 0;
    let refused = loop {
        match voice.deliver_times(&forged, 200).await {
            Ok(answer) => voice.next = answer.next,
            refused => break refused,
        }
        taken += 1;
        assert!(taken < 100, "twenty thousand bad signatures, and nobody is told to wait");
    };
    assert!(taken > 0, "what they cost is known when they were looked at");
    assert_refused(&refused, Reason::BudgetExhausted);
}
