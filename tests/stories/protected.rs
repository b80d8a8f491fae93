//! Chapter 11 as a caseworker and a stranger to the case meet it: who may decide, who interprets, what is dictated, what an order or a
//! partner's own system gets. What a story of that chapter needs and the product does not have yet is named in decisions/067.

use havenlink::demo::acts::referring;
use havenlink::demo::stage::Stage;
use havenlink_proto::local::v1::ConsumeRequest;
use havenlink_proto::record::v1::RecordKind;
use havenlink_tests::federation::{Federation, ctl, ctl_refused};

const ROLES: &str = "roles = [\"operator\", \"coordinator\", \"publisher\", \"consumer\", \"inspection\", \"liaison\", \"data-protection\"]\n";
const ADULT: &str = "SB-2026/0417";
const CHILD: &str = "SB-2026/0418";
const DICTATED: &str = "SB-2026/0419";

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// What is asked of somebody, of Kehl's refuge; the rest says who decides, and how.
fn give(case: &str, rest: &str) -> String {
    format!(
        "sharing give --case {case} --scope REFERRAL_SHELTER --to de-kehl --country de --until 90d --uses 3 --notice 3 \
         --notice-hash {} --language ro --provision CASF-L116 --mode INTERPRETED --setting SHELTER --exploiter-excluded {rest}",
        "5a".repeat(32)
    )
}

fn check(case: &str) -> String {
    format!("sharing check --case {case} --scope REFERRAL_SHELTER --to de-kehl")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_came_along_who_decides_and_what_is_dictated() {
    let federation = Federation::found(1, 1, ROLES).await.unwrap();
    let [city] = &federation.cities[..] else { panic!("one city") };

    // The companion interprets: nothing is given, and nothing is kept of it; asked again alone, with the city's own interpreter, it is.
    let companion = give(ADULT, "--interpreter COMPANION");
    assert_eq!(ctl_refused(city, &words(&companion)).await.unwrap(), "SHARING_NOT_FREE");
    let shown = ctl(city, &["sharing", "show", "--case", ADULT]).await.unwrap();
    assert!(!shown.contains("GIVEN") && !shown.contains("REFERRAL_SHELTER"), "{shown}");
    assert_eq!(ctl_refused(city, &words(&check(ADULT))).await.unwrap(), "NO_AGREEMENT_TO_SHARE");
    ctl(city, &words(&give(ADULT, "--interpreter INDEPENDENT"))).await.unwrap();
    ctl(city, &words(&check(ADULT))).await.unwrap();

    // A guardian in conflict decides nothing, independent or not; of a child that is alone one that is not independent neither.
    let child = |guardian: &str| {
        let of = "--interpreter INDEPENDENT --age CHILD --best-interests BI-7/2026 --views HEARD --unaccompanied";
        give(CHILD, &format!("{of} --decided-by GUARDIAN {guardian}"))
    };
    for guardian in ["--independent --in-conflict", "--in-conflict", ""] {
        assert_eq!(ctl_refused(city, &words(&child(guardian))).await.unwrap(), "DECIDER_NOT_ALLOWED", "{guardian:?}");
    }
    let herself = give(CHILD, "--interpreter INDEPENDENT --age CHILD --best-interests BI-7/2026 --views HEARD");
    assert_eq!(ctl_refused(city, &words(&herself)).await.unwrap(), "DECIDER_NOT_ALLOWED");
    assert_eq!(ctl_refused(city, &words(&check(CHILD))).await.unwrap(), "NO_AGREEMENT_TO_SHARE");
    ctl(city, &words(&child("--independent"))).await.unwrap();
    ctl(city, &words(&check(CHILD))).await.unwrap();

    // Whoever exploits her dictates what she says. With the duress word it is taken as any other is, and opens nothing.
    let freely = ctl(city, &words(&give("SB-2026/0420", "--interpreter INDEPENDENT"))).await.unwrap();
    let dictated = ctl(city, &words(&give(DICTATED, "--interpreter INDEPENDENT --duress"))).await.unwrap();
    let without_id = |said: &str| words(said).into_iter().filter(|word| word.len() != 36).count();
    assert_eq!(
        without_id(&freely),
        without_id(&dictated),
        "whoever reads the screen sees no difference:\n{freely}{dictated}"
    );
    assert_eq!(ctl_refused(city, &words(&check(DICTATED))).await.unwrap(), "NO_AGREEMENT_TO_SHARE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_reaches_the_officer_alone_and_a_partners_own_system_is_given_nothing_to_copy() {
    let federation = Federation::found(2, 1, ROLES).await.unwrap();
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two cities") };
    federation.agree(0, 1).await.unwrap();
    referring::agree(&mut Stage::silent(), strasbourg, kehl).await.unwrap();
    referring::give(strasbourg, ADULT, &[kehl.id()]).await.unwrap();
    let record = referring::refer(strasbourg, ADULT, kehl.id()).await.unwrap();
    referring::received(kehl, strasbourg.id(), &record).await.unwrap();

    // Police and inspection ask at their own doors, and find none that leads to a person: not by a case, not by a list.
    for role in ["liaison", "inspection", "publisher", "operator"] {
        for asks in [
            &["sharing", "show", "--case", ADULT][..],
            &["sharing", "export", "--case", ADULT, "019aa000"],
            &["referral", "list"],
            &["referral", "erasures"],
            &["referral", "disclosures", "--case", ADULT],
        ] {
            let asked = [&["--role", role], asks].concat();
            assert_eq!(ctl_refused(strasbourg, &asked).await.unwrap(), "METHOD_NOT_OPEN", "{asked:?}");
        }
    }
    // The officer answers about the one case that is named, and the ledger says that somebody looked.
    let disclosed = ctl(strasbourg, &["referral", "disclosures", "--case", ADULT]).await.unwrap();
    assert!(disclosed.contains("de-kehl") && disclosed.contains("REFERRAL_SHELTER"), "{disclosed}");
    let other = ctl(strasbourg, &["referral", "disclosures", "--case", CHILD]).await.unwrap();
    assert!(!other.contains("de-kehl"), "no search beyond the case that is named: {other}");
    let ledger = ctl(strasbourg, &["audit", "tail", "-n", "20"]).await.unwrap();
    assert_eq!(ledger.matches("READ_FOR_PERSON").count(), 2, "{ledger}");

    // Kehl's own system reads whatever it may: an alert, and no referral; it cannot ask for one either.
    let alert = crate::steps::publish(strasbourg, &[kehl.id()]).await.unwrap();
    let stream = |kinds: Vec<i32>| ConsumeRequest {
        consumer: "case-system".into(),
        all_kinds: kinds.is_empty(),
        kinds,
        until_empty: true,
        ..Default::default()
    };
    crate::steps::read_all(kehl, "until-it-is-there", std::slice::from_ref(&alert)).await;
    let mut given = kehl.inbox().await.unwrap().consume(stream(vec![])).await.unwrap().into_inner();
    let mut kinds = Vec::new();
    while let Some(read) = given.message().await.unwrap() {
        kinds.extend(read.envelope.map(|envelope| envelope.kind()));
    }
    assert_eq!(kinds, [RecordKind::Alert], "nothing about a person is on a stream");
    let referrals = kehl.inbox().await.unwrap().consume(stream(vec![RecordKind::Referral.into()])).await;
    assert!(referrals.is_err(), "a referral was given to a consumer");
    // So what Kehl signs is true: no system of its own has taken it from the node.
    referring::withdraw(strasbourg, ADULT).await.unwrap();
    referring::erased(strasbourg, &record).await.unwrap();
}
