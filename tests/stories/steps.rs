//! Steps that several stories take: publish, read an inbox, ask the register, let others approve.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use havenlink::clock::SystemClock;
use havenlink::demo::acts::request_id;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink::domain::ids::FederationId;
use havenlink::wire::keys::SigningKey;
use havenlink::wire::signed;
use havenlink_proto::admin::v1::ShowMemberRequest;
use havenlink_proto::directory::v1::{
    Member, Proposal, ProposeRequest, ProposeResponse, Statement, proposal, statement,
};
use havenlink_proto::local::v1::delivery_service_client::DeliveryServiceClient;
use havenlink_proto::local::v1::{
    ConsumeRequest, ConsumeResponse, Delivery, DeliveryState, ListDeliveriesRequest, PublishRecordRequest,
};
use havenlink_proto::record::v1::{Purpose, RecordKind, Tlp};
use havenlink_tests::operator::{Said, havenctl};
use havenlink_tests::wait::eventually;
use prost::Message;

/// How long anything in a story may take.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long stewards of whom one was stopped may take to decide again, on a machine with other work.
pub const ELECTED: Duration = Duration::from_secs(120);

/// Publishes an alert; gives the record's id once it is acknowledged.
pub async fn publish(from: &City, to: &[&str]) -> anyhow::Result<Bytes> {
    let request = PublishRecordRequest {
        request_id: request_id(),
        sharing: Some(sample::sharing(to, Purpose::Prevention, Tlp::Green)),
        content: Some(sample::advert_alert().into()),
        ..Default::default()
    };
    Ok(from.publisher().await?.publish_record(request).await?.into_inner().record_id)
}

/// Publishes as many alerts, one after the other.
pub async fn publish_many(from: &City, to: &[&str], count: usize) -> anyhow::Result<Vec<Bytes>> {
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        ids.push(publish(from, to).await?);
    }
    Ok(ids)
}

/// Reads the alerts that are there after a position; 0: after the cursor that the node keeps for this reader.
pub async fn read(city: &City, consumer: &str, after: u64) -> anyhow::Result<Vec<ConsumeResponse>> {
    let request = ConsumeRequest {
        consumer: consumer.to_owned(),
        after_position: after,
        kinds: vec![RecordKind::Alert.into()],
        until_empty: true,
        ..Default::default()
    };
    let mut stream = city.inbox().await?.consume(request).await?.into_inner();
    let mut read = Vec::new();
    while let Some(record) = stream.message().await? {
        read.push(record);
    }
    Ok(read)
}

/// The record that a reader was given.
pub fn record_of(read: &ConsumeResponse) -> Bytes {
    read.envelope.as_ref().map(|e| e.record_id.clone()).unwrap_or_default()
}

/// Reads with a fresh reader until all of these records were given to it.
pub async fn read_all(city: &City, consumer: &str, records: &[Bytes]) -> Vec<ConsumeResponse> {
    eventually("all records are in the inbox", PATIENCE, || async {
        let read = read(city, consumer, 0).await.ok()?;
        records.iter().all(|id| read.iter().any(|r| record_of(r) == *id)).then_some(read)
    })
    .await
}

/// Deliveries to a recipient, by the operator's door.
pub async fn deliveries(city: &City, to: &str) -> anyhow::Result<Vec<Delivery>> {
    let channel = havenlink::demo::city::door(&city.sockets(), "operator").await?;
    let request = ListDeliveriesRequest { recipient: to.to_owned(), page_size: 200, ..Default::default() };
    Ok(DeliveryServiceClient::new(channel).list_deliveries(request).await?.into_inner().deliveries)
}

/// Waits until each of these records stands like this at the recipient.
pub async fn until_delivered(city: &City, to: &str, records: &[Bytes], state: DeliveryState) {
    eventually(&format!("{} records to {to} are {state:?}", records.len()), PATIENCE, || async {
        let rows = deliveries(city, to).await.ok()?;
        let stands = |id: &Bytes| rows.iter().any(|d| d.record_id == *id && d.state() == state);
        records.iter().all(stands).then_some(())
    })
    .await;
}

/// A member as a city's own view shows it.
pub async fn member(city: &City, authority: &str) -> anyhow::Result<Member> {
    let request = ShowMemberRequest { authority: authority.to_owned() };
    city.members().await?.show_member(request).await?.into_inner().member.context("a member")
}

/// The same command at each of these cities: the first proposes, the others approve.
pub async fn decide(cities: &[&City], arguments: &[&str]) -> anyhow::Result<()> {
    for city in cities {
        // An equal decision that is open is approved; it has to have arrived first, or it would be proposed twice.
        ctl_decided(city, arguments).await?;
        let number = city.status().await?.register_number;
        for other in cities {
            reached(other, number).await;
        }
    }
    Ok(())
}

/// Waits until a city's register has come to a change.
pub async fn reached(city: &City, number: u64) {
    eventually(&format!("{} has change {number}", city.id()), PATIENCE, || async {
        (city.status().await.ok()?.register_number >= number).then_some(())
    })
    .await;
}

/// Whether a refusal says only that the stewards do not decide now, or did not in time: they elect, or are slow. The same
/// may be asked again.
pub fn undecided(reason: &str) -> bool {
    ["NO_LEADER", "STEWARDS_UNREACHABLE", "DEADLINE_EXCEEDED", "TIMED_OUT"].contains(&reason)
}

/// Gives a command, again for as long as the stewards do not decide; what it said in the end.
pub async fn decided(city: &City, arguments: &[&str]) -> Said {
    let what = format!("the stewards decide on havenctl {} at {}", arguments.join(" "), city.id());
    eventually(&what, ELECTED, || async {
        let said = havenctl(city, arguments).await.unwrap();
        (!said.reason().is_some_and(undecided)).then_some(said)
    })
    .await
}

/// The same, of a command that must succeed; what it printed.
pub async fn ctl_decided(city: &City, arguments: &[&str]) -> anyhow::Result<String> {
    let said = decided(city, arguments).await;
    anyhow::ensure!(said.code == 0, "havenctl {} at {}: {said:?}", arguments.join(" "), city.id());
    Ok(said.out)
}

/// The authority key of a city, as it lies in its data directory.
pub fn key_of(city: &City) -> anyhow::Result<SigningKey> {
    let bytes = std::fs::read(city.dir.join("data/authority.key"))?;
    SigningKey::from_pkcs8(&bytes).context("an authority key")
}

/// Hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A proposal signed with a city's key, past what its own node would have looked at first.
pub async fn propose(city: &City, subject: &str, version: u64, act: proposal::Act) -> anyhow::Result<ProposeResponse> {
    let federation = FederationId::from_slice(&city.status().await?.federation_id).context("a federation")?;
    let statement = Statement {
        federation_id: Bytes::copy_from_slice(federation.as_bytes()),
        rules_version: 1,
        author: city.id().to_owned(),
        subject: subject.to_owned(),
        subject_version: version,
        time_ms: SystemClock::shared().now().0,
        nonce: Bytes::copy_from_slice(uuid::Uuid::new_v4().as_bytes()),
        body: Some(statement::Body::Proposal(Proposal { act: Some(act) })),
    };
    let signed = signed::sign(&federation, &statement, &[&key_of(city)?]);
    let request = ProposeRequest { signed: signed.encode_to_vec().into() };
    Ok(city.directory().await?.propose(request).await?.into_inner())
}

/// The disk of a city is lost: nothing of its data directory is left.
pub async fn lose_disk(city: &mut City) -> anyhow::Result<()> {
    city.kill().await?;
    Ok(std::fs::remove_dir_all(city.dir.join("data"))?)
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

/// The node again, with a line of its configuration changed.
pub async fn again_with(city: &mut City, line: &str, instead: &str) {
    city.stop().await.unwrap();
    let file = city.dir.join("node.toml");
    let configured = std::fs::read_to_string(&file).unwrap();
    assert!(configured.contains(line), "{configured}");
    std::fs::write(&file, configured.replace(line, instead)).unwrap();
    city.start().unwrap();
    city.ready().await.unwrap();
}
