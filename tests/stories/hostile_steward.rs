//! A steward's keys in the wrong hands: what is sent with them to the other stewards is refused by name, and they go on.

use crate::steps::PATIENCE;
use havenlink::demo::acts::reason_of;
use havenlink::directory::statements;
use havenlink::domain::ids::{AuthorityId, Digest};
use havenlink::domain::register::SuspendReason;
use havenlink::domain::time::Millis;
use havenlink::wire::keys::SigningKey;
use havenlink_proto::admin::v1::NodeState;
use havenlink_proto::directory::v1::Outcome;
use havenlink_proto::raft::v1::entry::Payload;
use havenlink_proto::record::v1::Signed;
use havenlink_tests::federation::Federation;
use havenlink_tests::hostile::Hostile;
use havenlink_tests::intruder::{Intruder, address_of};
use havenlink_tests::operator::havenctl;
use havenlink_tests::road;
use havenlink_tests::wait::eventually;
use prost::Message;

async fn statements(hostile: &Hostile) {
    // Unsigned; signed with another key under Kehl's name; with Kehl's key, and changed afterwards.
    let whole = Signed::decode(hostile.entry("changed")).unwrap();
    let unsigned = Signed { signatures: Vec::new(), ..whole.clone() };
    assert_eq!(hostile.proposed(unsigned.encode_to_vec().into()).await, Err("STATEMENT_MALFORMED".into()));
    let stranger = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    let forged = Signed { signatures: Vec::new(), ..whole.clone() }.encode_to_vec().into();
    let forged = statements::countersign(&hostile.keys.federation, &forged, &stranger).unwrap();
    assert_eq!(hostile.proposed(forged).await.map(|(outcome, _)| outcome), Ok(Outcome::BadSignature));
    let mut payload = whole.payload.to_vec();
    let last = payload.len() - 1;
    payload[last] ^= 1;
    let changed = Signed { payload: payload.into(), ..whole };
    assert_eq!(hostile.proposed(changed.encode_to_vec().into()).await, Err("SIGNATURE_INVALID".into()));

    // Replayed: it counts once. Stale: made for a version that is gone.
    let first = hostile.entry("first");
    let (outcome, number) = hostile.proposed(first.clone()).await.unwrap();
    assert_eq!(outcome, Outcome::Accepted);
    assert_eq!(hostile.proposed(first).await, Ok((Outcome::Accepted, number)), "a replay takes no number");
    assert_eq!(hostile.proposed(hostile.entry("second")).await.map(|(o, _)| o), Ok(Outcome::StaleVersion));

    // By gossip: kept for later, dated ahead, of a steward alone; and signs of life from a clock far ahead.
    let suspends = |target: &str, at| {
        let target = AuthorityId::parse(target).unwrap();
        hostile.keys.signs(at, |author| author.suspend(&hostile.state, &target, SuspendReason::BreachOfRules).signed)
    };
    let now = hostile.keys.now();
    let kept = suspends("be-liege", now - Millis::hours(25));
    let ahead = suspends("be-liege", now + Millis::hours(1));
    let lone = suspends("fr-strasbourg", now);
    let times = ["EMERGENCY_TIME_INVALID", "EMERGENCY_TIME_INVALID", "NEEDS_TWO_SIGNATURES"];
    assert_eq!(hostile.gossiped(&[], &[kept, ahead, lone]).await, times);
    let beat = hostile.beat(hostile.state.number(), hostile.state.head(), now + Millis::days(365));
    let (ahead, forged) = (statements::beat(&beat, &hostile.keys.key), statements::beat(&beat, &stranger));
    assert_eq!(hostile.gossiped(&[ahead, forged], &[]).await, ["BEAT_INVALID", "BEAT_INVALID"]);
}

async fn raft_messages(hostile: &Hostile) {
    // A term that would leave room for no other.
    let far = hostile.raft().vote(hostile.vote_request(u64::MAX)).await.unwrap_err();
    assert_eq!(reason_of(&far), "RAFT_TERM_TOO_FAR");
    assert_eq!(hostile.appended(hostile.append_in(u64::MAX, hostile.own)).await, "RAFT_TERM_TOO_FAR");
    // Under another steward's id.
    assert_eq!(hostile.appended(hostile.append_in(hostile.term, hostile.target)).await, "RAFT_SENDER_MISMATCH");
    assert_eq!(hostile.appended(hostile.in_a_year()).await, "ENTRY_TIME_INVALID");
    assert_eq!(hostile.appended(hostile.another_past()).await, "RAFT_LOG_CONTRADICTED");
    let alone = hostile.append(Payload::Membership(hostile.alone()));
    assert_eq!(hostile.appended(alone).await, "RAFT_MEMBERSHIP_UNSIGNED");
    assert_eq!(hostile.installed().await, "SNAPSHOT_INVALID");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_steward_is_refused_by_name_and_the_others_go_on() {
    let mut federation = Federation::found(4, 3, "").await.unwrap();
    federation.agree(0, 3).await.unwrap();
    let [strasbourg, kehl, esch, liege] = &mut federation.cities[..] else { panic!("four cities") };
    let keys = Intruder::with_keys_of(kehl).await.unwrap();
    kehl.stop().await.unwrap();
    // Kehl may have led.
    eventually("one of the other two leads", PATIENCE, || async {
        let (one, other) = (strasbourg.status().await.ok()?, esch.status().await.ok()?);
        (one.leader || other.leader).then_some(())
    })
    .await;
    let state = Intruder::register_of(kehl).await.unwrap();
    for steward in [&*strasbourg, &*esch] {
        steward.status().await.unwrap();
        let keys = Intruder::clone_of(&keys, kehl).unwrap();
        let channel = keys.channel(&address_of(steward).await.unwrap()).unwrap();
        let mut hostile = Hostile::made(keys, state.clone(), channel, steward.id());
        if steward.id() == strasbourg.id() {
            statements(&hostile).await;
        }
        hostile.look().await;
        raft_messages(&hostile).await;
    }

    // The other two decide, exchange goes on, nobody found a fork, and Kehl's own node comes back to the same register.
    let said = havenctl(strasbourg, &["policy", "propose", "--proposal-life", "6d"]).await.unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    let pending = eventually("the proposal is here", PATIENCE, || async {
        esch.status().await.unwrap().pending.into_iter().find(|p| p.act == "POLICY")
    })
    .await;
    let id: String = pending.proposal_id.iter().map(|b| format!("{b:02x}")).collect();
    let said = havenctl(esch, &["member", "approve", "--proposal", &id]).await.unwrap();
    assert!(said.code == 0 && said.out.contains("done"), "{said:?}");
    road::passes(strasbourg, liege).await.unwrap();
    kehl.start().unwrap();
    kehl.ready().await.unwrap();
    let head = strasbourg.status().await.unwrap().register_head;
    for city in [&*strasbourg, &*kehl, &*esch, &*liege] {
        let status = eventually("the same register", PATIENCE, || async {
            city.status().await.ok().filter(|s| s.register_head == head)
        })
        .await;
        assert!(status.state() == NodeState::Ready && status.forks.is_empty(), "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_steward_that_signs_another_order_is_shown_with_both_heads() {
    let mut federation = Federation::found(4, 3, "").await.unwrap();
    let [strasbourg, kehl, _, liege] = &mut federation.cities[..] else { panic!("four cities") };
    let keys = Intruder::with_keys_of(kehl).await.unwrap();
    kehl.stop().await.unwrap();
    let state = Intruder::register_of(kehl).await.unwrap();
    let channel = keys.channel(&address_of(strasbourg).await.unwrap()).unwrap();
    let hostile = Hostile::made(keys, state, channel, strasbourg.id());
    let now = strasbourg.status().await.unwrap();
    // Kehl's key under another head at the number at which everybody stands.
    let beat = hostile.beat(now.register_number, Digest([0xbd; 32]), hostile.keys.now());
    assert!(hostile.gossiped(&[statements::beat(&beat, &hostile.keys.key)], &[]).await.is_empty());
    for city in [&*strasbourg, &*liege] {
        let status = eventually("the fork is seen, also by who only follows", PATIENCE, || async {
            city.status().await.ok().filter(|s| !s.forks.is_empty())
        })
        .await;
        let fork = &status.forks[0];
        assert_eq!((fork.number, fork.sides.len()), (now.register_number, 2), "{fork:?}");
        let side = |head: &[u8]| fork.sides.iter().find(|side| side.head == head).unwrap().stewards.clone();
        assert_eq!(side(&[0xbd; 32]), ["de-kehl"]);
        assert!(side(&now.register_head).contains(&city.id().to_owned()), "{fork:?}");
        for command in ["status", "directory"] {
            let arguments: &[&str] = if command == "status" { &["status"] } else { &["directory", "status"] };
            let said = havenctl(city, arguments).await.unwrap();
            let shown = format!("at change {}: ", now.register_number);
            let theirs = "head bdbdbdbdbdbd signed by de-kehl";
            let parts = ["FORK", &shown, theirs, "(held here) signed by ", "tell the other stewards, by phone"];
            assert!(parts.iter().all(|part| said.out.contains(part)), "{said:?}");
        }
    }
}
