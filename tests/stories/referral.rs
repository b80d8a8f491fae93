//! Somebody is referred across the border, taken on, and withdraws: by the tool alone, with the partner's node killed meanwhile.

use havenlink_tests::federation::{Federation, ctl, ctl_refused};
use havenlink_tests::wait::eventually;

use crate::steps::PATIENCE;

const ROLES: &str = "roles = [\"operator\", \"coordinator\", \"publisher\", \"data-protection\"]\n";
const CASE: &str = "SB-2026/0417";
/// Nothing of these may be in a log.
const SECRET: [&str; 4] = [CASE, "+33199001234", "LONG_TERM_REFUGE", "STEP_FREE"];

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_referred_and_withdraws_and_the_partner_that_was_away_erases_before_it_is_asked() {
    let mut federation = Federation::found(2, 1, ROLES).await.unwrap();
    let [strasbourg, kehl] = &mut federation.cities[..] else { panic!("two cities") };
    let agree = "agreement propose de-kehl --share referrals=LONG_TERM_REFUGE --tlp AMBER_STRICT --purpose ASSISTANCE --until 365d";
    let printed =
        eventually("Strasbourg knows Kehl", PATIENCE, || async { ctl(strasbourg, &words(agree)).await.ok() }).await;
    let id = printed.split_whitespace().find(|word| word.len() == 64).unwrap().to_owned();
    eventually("Kehl signs", PATIENCE, || async { ctl(kehl, &["agreement", "sign", &id]).await.ok() }).await;

    let ask = format!(
        "referral send --case {CASE} --to de-kehl --service LONG_TERM_REFUGE --urgency TONIGHT --household ONE_ADULT \
         --need STEP_FREE --language ro --callback +33199001234"
    );
    assert_eq!(ctl_refused(strasbourg, &words(&ask)).await.unwrap(), "NO_AGREEMENT_TO_SHARE", "nobody asked her");
    let give = format!(
        "sharing give --case {CASE} --scope REFERRAL_SHELTER --to de-kehl --country de --until 90d --uses 3 --notice 3 \
         --notice-hash {} --language ro --provision CASF-L116 --mode INTERPRETED --setting SHELTER --interpreter INDEPENDENT \
         --exploiter-excluded",
        "5a".repeat(32)
    );
    ctl(strasbourg, &words(&give)).await.unwrap();
    let sent =
        eventually("the agreement is in force", PATIENCE, || async { ctl(strasbourg, &words(&ask)).await.ok() }).await;
    let record = sent.split_whitespace().find(|word| word.len() == 36).unwrap().to_owned();
    eventually("it is at Kehl", PATIENCE, || async {
        ctl(kehl, &["referral", "list"]).await.ok().filter(|listed| listed.contains(&record))
    })
    .await;
    let shown = ctl(kehl, &["referral", "show", &record]).await.unwrap();
    assert!(shown.contains("TLP:AMBER_STRICT") && !shown.contains(CASE), "{shown}");
    let publisher = ["--role", "publisher", "referral", "list"];
    assert_eq!(ctl_refused(kehl, &publisher).await.unwrap(), "METHOD_NOT_OPEN");
    ctl(kehl, &["referral", "accept", &record]).await.unwrap();
    eventually("Strasbourg sees the answer", PATIENCE, || async {
        ctl(strasbourg, &["referral", "show", &record]).await.ok().filter(|shown| shown.contains("de-kehl ACCEPTED"))
    })
    .await;

    let (status, verify) = (["erasure", "status", &record], ["erasure", "verify", &record]);
    assert_eq!(ctl(strasbourg, &status).await.unwrap().matches("HOLDS").count(), 2, "both hold it");
    assert_eq!(ctl_refused(strasbourg, &verify).await.unwrap(), "REMAINS_LEFT", "nobody has called it back");
    let kept = ["keys.db", "keys.db-wal"].map(|name| std::fs::read(strasbourg.dir.join("data").join(name)).unwrap());

    // She withdraws while Kehl's node is down.
    kehl.kill().await.unwrap();
    ctl(strasbourg, &["sharing", "withdraw", "--case", CASE]).await.unwrap();
    assert_eq!(ctl_refused(strasbourg, &words(&ask)).await.unwrap(), "NO_AGREEMENT_TO_SHARE");
    let open = ctl(strasbourg, &["referral", "erasures"]).await.unwrap();
    assert!(open.contains("NOTICED") && open.contains("de-kehl"), "{open}");
    let told = ctl(strasbourg, &status).await.unwrap();
    assert!(
        told.contains("NOTICED") && told.matches("RECEIVED").count() == 1,
        "a column's name: nobody has signed that it arrived: {told}"
    );
    let all = ["referral", "disclosures", "--case", CASE];
    let coordinator = [&["--role", "coordinator"], &all[..]].concat();
    assert_eq!(ctl_refused(strasbourg, &coordinator).await.unwrap(), "METHOD_NOT_OPEN");
    assert!(ctl(strasbourg, &all).await.unwrap().contains("REFERRAL_SHELTER"));

    kehl.start().unwrap();
    kehl.ready().await.unwrap();
    eventually("Kehl has signed that it is erased", PATIENCE, || async {
        ctl(strasbourg, &["referral", "erasures"]).await.ok().filter(|listed| listed.contains("DONE"))
    })
    .await;
    assert_eq!(ctl(strasbourg, &status).await.unwrap().matches("DONE").count(), 2, "both have erased it");
    let at_kehl = |verb| ["erasure", verb, &record, "--origin", "fr-strasbourg"];
    assert!(ctl(kehl, &at_kehl("status")).await.unwrap().contains("DONE"));
    for looked in [ctl(kehl, &at_kehl("verify")).await.unwrap(), ctl(strasbourg, &verify).await.unwrap()] {
        let files = ["havenlink.db", "keys.db", "directory.redb"].iter().all(|name| looked.contains(name));
        assert!(looked.contains("nothing of it is left here") && files, "{looked}");
        assert!(looked.contains("not looked at: backups") && looked.contains("not looked at: free blocks"), "{looked}");
    }
    // Somebody had kept a copy of the keys.
    for (name, bytes) in ["keys.db.kept", "keys.db-wal.kept"].iter().zip(&kept) {
        std::fs::write(strasbourg.dir.join("data").join(name), bytes).unwrap();
    }
    assert_eq!(ctl_refused(strasbourg, &verify).await.unwrap(), "REMAINS_LEFT");
    let nobody = ["erasure", "status", "00000000-0000-4000-8000-000000000000"];
    assert_eq!(ctl_refused(strasbourg, &nobody).await.unwrap(), "NOT_FOUND");
    assert!(!ctl(kehl, &["referral", "list"]).await.unwrap().contains(&record));
    let show = ["referral", "show", &record, "--origin", "fr-strasbourg"];
    assert_eq!(ctl_refused(kehl, &show).await.unwrap(), "NOT_FOUND");
    for city in &federation.cities {
        let log = std::fs::read_to_string(city.dir.join("node.log")).unwrap();
        for secret in SECRET {
            assert!(!log.contains(secret), "{secret} in a log");
        }
    }
}
