//! A node loses its disk and comes back from a backup that was made while alerts flowed (9.10).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use havenlink::demo::acts::request_id;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink::domain::reason::Reason;
use havenlink::wire::signed;
use havenlink_proto::admin::v1::VerifyAuditRequest;
use havenlink_proto::admin::v1::audit_service_client::AuditServiceClient;
use havenlink_proto::admin::v1::{AgreementState, ListAgreementsRequest, ListLeavesRequest};
use havenlink_proto::local::v1::{
    CommitCursorRequest, ConsumeResponse, DeliveryState, ListOffersRequest, OwnOffer, SetOfferRequest,
};
use havenlink_proto::record::v1::{AuditAct, AuditCheckpoint, AuditLeaf, OfferStatus};
use havenlink_tests::federation::{Federation, ctl, ctl_refused};
use havenlink_tests::refused::assert_refused;
use havenlink_tests::tools::{havenctl, havenlink};
use havenlink_tests::wait::eventually;

use crate::steps::*;

/// Runs `havenlink backup`; gives the sizes that it printed: records published, received, leaves of the ledger.
async fn backup(city: &City) -> anyhow::Result<u64> {
    let folder = city.dir.join("backups");
    let printed = city.once(&["backup", text(&folder)]).await?;
    let names: Vec<String> = walk(&folder);
    let own = format!("havenlink-{}-", city.id());
    assert!(names.iter().any(|n| n.starts_with(&own) && n.ends_with(".backup")), "{names:?}");
    for secret in ["keys.db", "node.key"] {
        assert!(!names.iter().any(|n| n.contains(secret)), "{secret} must not be in a backup: {names:?}");
    }
    let size = printed.split("ledger of ").nth(1).and_then(|rest| rest.split_whitespace().next());
    Ok(size.expect("the ledger's size").parse()?)
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
        if path.is_dir() {
            names.extend(walk(&path));
        }
    }
    names
}

/// The RESTORED leaf is the one right after the backup's, names both sizes, and lies under a signed checkpoint.
async fn ledger_tells(city: &City, size: u64) {
    let channel = havenlink::demo::city::door(&city.sockets(), "operator").await.unwrap();
    let mut audit = AuditServiceClient::new(channel);
    let from = i64::try_from(size).unwrap();
    let leaves = audit.list_leaves(ListLeavesRequest { from, page_size: 1 }).await.unwrap().into_inner().leaves;
    let leaf: &AuditLeaf = &leaves[0];
    assert_eq!((leaf.act(), leaf.to_size), (AuditAct::RestoredFromBackup, size));
    let checkpoint = eventually("a checkpoint covers the leaf", PATIENCE, || {
        let mut audit = audit.clone();
        async move {
            let verified = audit.verify_audit(VerifyAuditRequest {}).await.ok()?.into_inner();
            assert!(verified.consistent && verified.first_bad_index == -1, "{verified:?}");
            use prost::Message;
            let signed = verified.checkpoint?;
            let size_of = AuditCheckpoint::decode(signed.payload.clone()).ok()?.size;
            (size_of > size).then(|| Bytes::from(signed.encode_to_vec()))
        }
    })
    .await;
    let key = key_of(city).unwrap().public();
    let opened = signed::open::<AuditCheckpoint>(checkpoint).unwrap();
    let federation = havenlink::domain::ids::FederationId::from_slice(&opened.claims.federation_id).unwrap();
    opened.verify(&federation, |id| (*id == key.id()).then_some(key)).expect("signed by the authority");
}

async fn own_offers(city: &City) -> Vec<OwnOffer> {
    let request = ListOffersRequest { own_only: true, ..Default::default() };
    city.offers().await.unwrap().list_offers(request).await.unwrap().into_inner().own
}

fn status_of(offer: &OwnOffer) -> OfferStatus {
    offer.capacity.as_ref().map_or(OfferStatus::Unspecified, |c| c.status())
}

/// The command that doctor names brings agreements back that nobody ended.
async fn confirm_agreements(city: &City, partners: &[&str]) {
    let doctor = havenctl(city, &["doctor"]).await.unwrap().out;
    assert!(doctor.contains("havenctl agreement confirm") && partners.iter().all(|p| doctor.contains(p)), "{doctor}");
    ctl(city, &["agreement", "confirm", "--yes"]).await.unwrap();
}

/// The agreement that a city holds with another one, and how it stands.
async fn with(city: &City, other: &City) -> (Bytes, AgreementState) {
    let listed = city.agreements().await.unwrap().list_agreements(ListAgreementsRequest::default()).await.unwrap();
    let held = listed.into_inner().agreements.into_iter().find(|held| {
        let parties = held.agreement.iter().flat_map(|agreement| &agreement.parties);
        parties.into_iter().any(|party| party.authority == other.id())
    });
    let held = held.expect("an agreement with it");
    (held.agreement_id.clone(), held.state())
}

/// How often each record was given.
fn times(read: &[ConsumeResponse]) -> BTreeMap<Bytes, usize> {
    let mut times = BTreeMap::new();
    for record in read {
        *times.entry(record_of(record)).or_default() += 1;
    }
    times
}

fn positions_rise(read: &[ConsumeResponse]) {
    assert!(read.windows(2).all(|pair| pair[0].position < pair[1].position), "positions rise");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_that_is_a_steward_comes_back_as_a_mirror_and_votes_again_once_it_is_named() {
    let mut federation = Federation::found(3, 3, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three cities") };
    let set = SetOfferRequest { request_id: request_id(), offer: Some(sample::refuge(4)) };
    strasbourg.offers().await.unwrap().set_offer(set).await.unwrap();

    // Alerts flow while the backup is made, and go on after it.
    let mut sent = publish_many(strasbourg, &[kehl.id()], 20).await.unwrap();
    let to_kehl = [kehl.id()];
    let (size, flowing) = tokio::join!(backup(strasbourg), publish_many(strasbourg, &to_kehl, 40));
    let size = size.unwrap();
    sent.extend(flowing.unwrap());
    sent.extend(publish_many(strasbourg, &[kehl.id()], 10).await.unwrap());
    until_delivered(strasbourg, kehl.id(), &sent, DeliveryState::Delivered).await;
    let before = strasbourg.status().await.unwrap();
    let raft_id = member(strasbourg, strasbourg.id()).await.unwrap().entry.unwrap().raft_id;
    let seen = read_all(kehl, "case-system", &sent).await;
    let cursor = seen.last().unwrap().position;

    lose_disk(strasbourg).await.unwrap();
    let backups = strasbourg.dir.join("backups");
    strasbourg.once(&["restore", text(&backups)]).await.unwrap();
    strasbourg.start().unwrap();
    let after = strasbourg.ready().await.unwrap();
    assert!(after.incarnation > before.incarnation, "{} then {}", before.incarnation, after.incarnation);
    ledger_tells(strasbourg, size).await;

    // Nothing passes under what may have been ended since, until somebody has looked.
    confirm_agreements(strasbourg, &[kehl.id()]).await;

    // What it offers says nothing until somebody has looked.
    assert_eq!(own_offers(strasbourg).await.iter().map(status_of).collect::<Vec<_>>(), [OfferStatus::Paused]);
    ctl(strasbourg, &["offer", "confirm", "--all-unchanged", "--role", "coordinator"]).await.unwrap();
    assert_ne!(status_of(&own_offers(strasbourg).await[0]), OfferStatus::Paused);

    // The partner has everything, once, and a reader that kept its cursor is given only what is new.
    let new = publish(strasbourg, &[kehl.id()]).await.unwrap();
    sent.push(new.clone());
    let all = read_all(kehl, "case-system", &sent).await;
    positions_rise(&all);
    assert!(times(&all).values().all(|n| *n == 1), "no record at a second position");
    assert_eq!(all[..seen.len()], seen[..]);
    let resumed = read(kehl, "case-system", cursor).await.unwrap();
    assert_eq!(resumed.iter().map(record_of).collect::<Vec<_>>(), [new]);

    // Named under a Raft id that was lost with the disk, it has no vote: without Esch nothing can be decided.
    assert!(after.steward && !after.votes, "{after:?}");
    let announced = eventually("its entry announces another Raft id", PATIENCE, || async {
        let entry = member(kehl, strasbourg.id()).await.ok()?.entry?;
        (entry.raft_id != raft_id).then_some(entry.raft_id)
    })
    .await;
    assert_ne!(announced, 0);
    esch.stop().await.unwrap();
    let propose = ["policy", "propose", "--beat-interval", "9s", "--timeout", "3s"];
    let stuck = ctl_refused(kehl, &propose).await.unwrap();
    assert!(["NO_LEADER", "STEWARDS_UNREACHABLE", "TIMED_OUT"].contains(&stuck.as_str()), "{stuck}");
    esch.start().unwrap();
    esch.ready().await.unwrap();

    ctl_decided(kehl, &["steward", "replace", strasbourg.id(), "--yes"]).await.unwrap();
    let number = kehl.status().await.unwrap().register_number;
    reached(esch, number).await;
    ctl(esch, &["steward", "replace", strasbourg.id(), "--yes"]).await.unwrap();
    strasbourg.until("it votes", |s| s.steward && s.votes).await.unwrap();
    eventually("the new vote carries a majority", PATIENCE, || async {
        (strasbourg.status().await.ok()?.stewards.iter().filter(|s| s.leader).count() == 1).then_some(())
    })
    .await;
    esch.stop().await.unwrap();
    ctl_decided(kehl, &["policy", "propose", "--beat-interval", "8s"]).await.unwrap();
    let number = kehl.status().await.unwrap().register_number;
    reached(strasbourg, number).await;
    ctl_decided(strasbourg, &["policy", "propose", "--beat-interval", "8s"]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_loses_nothing_that_was_acknowledged_and_no_reader_passes_over_a_record() {
    let mut federation = Federation::found(3, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    federation.agree(1, 2).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three cities") };

    let mut sent = publish_many(strasbourg, &[kehl.id()], 20).await.unwrap();
    let first = read_all(kehl, "archive", &sent).await;
    let committed = first.last().unwrap().position;
    let commit = CommitCursorRequest { consumer: "archive".into(), position: committed };
    kehl.inbox().await.unwrap().commit_cursor(commit).await.unwrap();
    let to_kehl = [kehl.id()];
    let (size, flowing) = tokio::join!(backup(kehl), publish_many(esch, &to_kehl, 20));
    let size = size.unwrap();
    let from_esch = flowing.unwrap();
    until_delivered(esch, kehl.id(), &from_esch, DeliveryState::Delivered).await;
    let from_strasbourg = publish_many(strasbourg, &to_kehl, 10).await.unwrap();
    until_delivered(strasbourg, kehl.id(), &from_strasbourg, DeliveryState::Delivered).await;
    sent.extend(from_esch.iter().chain(&from_strasbourg).cloned());
    // A second reader keeps its cursor itself, and has read everything but the last few.
    let read_before = read_all(kehl, "case-system", &sent).await;
    let known: BTreeSet<Bytes> = read_before[..45].iter().map(record_of).collect();
    let cursor = read_before[44].position;
    let before = kehl.status().await.unwrap();

    // What came first before the loss comes last after it: Esch is away for a while.
    esch.stop().await.unwrap();
    lose_disk(kehl).await.unwrap();
    kehl.once(&["restore", text(&kehl.dir.join("backups"))]).await.unwrap();
    kehl.start().unwrap();
    let after = kehl.ready().await.unwrap();
    assert!(after.incarnation > before.incarnation);
    ledger_tells(kehl, size).await;
    confirm_agreements(kehl, &[strasbourg.id(), esch.id()]).await;
    // The partners hear of the new incarnation and send again what they may; meanwhile more is published.
    sent.extend(publish_many(strasbourg, &to_kehl, 5).await.unwrap());
    let there: Vec<Bytes> = sent.iter().filter(|id| !from_esch.contains(id)).cloned().collect();
    until_delivered(strasbourg, kehl.id(), &there, DeliveryState::Delivered).await;
    read_all(kehl, "from-strasbourg", &there).await;
    esch.start().unwrap();
    let whole = read_all(kehl, "from-the-beginning", &sent).await;
    positions_rise(&whole);
    assert_eq!(times(&whole).len(), sent.len());
    assert!(times(&whole).values().all(|n| *n == 1), "each record has one position");
    assert_eq!(whole[..20], first[..], "what the backup held keeps its positions");

    // From the cursor that the node keeps: each record after it, once, and none of those before it.
    let resumed = read(kehl, "archive", 0).await.unwrap();
    assert!(times(&resumed).values().all(|n| *n == 1) && resumed.iter().all(|r| r.position > committed));
    let both: BTreeSet<Bytes> = first.iter().chain(&resumed).map(record_of).collect();
    assert_eq!(both.len(), sent.len());
    // From a cursor of before the loss: nothing that it had not read is passed over.
    let resumed = read(kehl, "case-system", cursor).await.unwrap();
    positions_rise(&resumed);
    let both: BTreeSet<Bytes> = known.into_iter().chain(resumed.iter().map(record_of)).collect();
    assert_eq!(both.len(), sent.len(), "a reader that kept its cursor lost records");
    until_delivered(esch, kehl.id(), &from_esch, DeliveryState::Delivered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_city_is_never_given_the_backup_of_another() {
    let mut federation = Federation::found(2, 1, "").await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two cities") };
    // Both into one folder, Strasbourg's last.
    let folder = kehl.dir.join("backups");
    for city in [&*kehl, &*strasbourg] {
        city.once(&["backup", text(&folder)]).await.unwrap();
    }
    let names = walk(&folder);
    let of_strasbourg = format!("havenlink-{}-", strasbourg.id());
    let theirs = names.iter().find(|n| n.starts_with(&of_strasbourg) && n.ends_with(".backup"));
    let theirs = folder.join(theirs.unwrap_or_else(|| panic!("{names:?}")));

    let before = kehl.status().await.unwrap();
    kehl.stop().await.unwrap();
    assert_refused(&havenlink(kehl, &["restore", text(&theirs)]).await.unwrap(), Reason::RecoveryKeyWrong);
    // Even with the other's key.
    let safe = strasbourg.safe();
    let with_theirs = ["restore", text(&theirs), "--identity", text(&safe)];
    let refused = havenlink(kehl, &with_theirs).await.unwrap();
    assert_refused(&refused, Reason::BackupInvalid);
    assert!(refused.err.contains(strasbourg.id()) && refused.err.contains(kehl.id()), "it names both: {refused:?}");
    // Nothing was changed, and nothing is with the disk gone; its own backup is found beside the other.
    kehl.start().unwrap();
    assert_eq!(kehl.ready().await.unwrap().incarnation, before.incarnation);
    lose_disk(kehl).await.unwrap();
    assert_refused(&havenlink(kehl, &with_theirs).await.unwrap(), Reason::BackupInvalid);
    kehl.once(&["restore", text(&folder)]).await.unwrap();
    kehl.start().unwrap();
    let after = kehl.ready().await.unwrap();
    assert_eq!(after.authority, before.authority);
    assert!(after.incarnation > before.incarnation);
}

/// Kehl ends one of two agreements after Strasbourg's backup. What the restore brings back of it is closed by the notice that
/// Kehl holds; the other waits for the operator, holds what is published meanwhile, and keeps nothing else back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_that_was_ended_after_the_backup_stays_ended() {
    let mut federation = Federation::found(3, 1, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    federation.agree(0, 2).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three cities") };
    backup(strasbourg).await.unwrap();
    let (ended, stays) = (with(strasbourg, kehl).await.0, with(strasbourg, esch).await.0);
    ctl(kehl, &["agreement", "end", &hex(&ended), "--reason", "REPLACED", "--yes"]).await.unwrap();
    eventually("Strasbourg hears of the end", PATIENCE, || async {
        (with(strasbourg, kehl).await.1 == AgreementState::Ended).then_some(())
    })
    .await;

    lose_disk(strasbourg).await.unwrap();
    strasbourg.once(&["restore", text(&strasbourg.dir.join("backups"))]).await.unwrap();
    strasbourg.start().unwrap();
    strasbourg.ready().await.unwrap();
    assert_eq!(with(strasbourg, esch).await, (stays.clone(), AgreementState::Unconfirmed));
    eventually("Kehl's notice closes what it ended", PATIENCE, || async {
        (with(strasbourg, kehl).await.1 == AgreementState::Ended).then_some(())
    })
    .await;
    // Nobody but the operator opens the other one: what is for Esch is held.
    let held = publish(strasbourg, &[esch.id()]).await.unwrap();
    let from_esch = publish(esch, &[strasbourg.id()]).await.unwrap();
    until_delivered(esch, strasbourg.id(), std::slice::from_ref(&from_esch), DeliveryState::Held).await;
    assert!(read(esch, "early", 0).await.unwrap().is_empty());
    confirm_agreements(strasbourg, &[esch.id()]).await;
    assert_eq!(with(strasbourg, esch).await, (stays, AgreementState::InForce));
    assert_eq!(with(strasbourg, kehl).await, (ended, AgreementState::Ended));
    read_all(esch, "late", &[held]).await;
    until_delivered(esch, strasbourg.id(), &[from_esch], DeliveryState::Delivered).await;
}
