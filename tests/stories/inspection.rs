//! An inspection done together: proposed by one city, accepted by another, read by the role INSPECTION and nobody else.

use havenlink_tests::federation::{Federation, ctl, ctl_refused};
use havenlink_tests::wait::eventually;

use crate::steps::PATIENCE;

const ROLES: &str = "roles = [\"operator\", \"coordinator\", \"publisher\", \"consumer\", \"inspection\"]\n";
/// Nothing of these may be in a log.
const SECRET: [&str; 3] = ["DE_08317057", "SUPPORT_SERVICE", "WORKING_CONDITIONS"];

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inspection_is_proposed_and_accepted_and_no_other_role_hears_of_it() {
    let federation = Federation::found(2, 1, ROLES).await.unwrap();
    let [strasbourg, kehl] = &federation.cities[..] else { panic!("two cities") };
    let agree = "agreement propose de-kehl --share inspections --share alerts --tlp RED --until 365d";
    let printed =
        eventually("Strasbourg knows Kehl", PATIENCE, || async { ctl(strasbourg, &words(agree)).await.ok() }).await;
    let id = printed.split_whitespace().find(|word| word.len() == 64).unwrap().to_owned();
    eventually("Kehl signs", PATIENCE, || async { ctl(kehl, &["agreement", "sign", &id]).await.ok() }).await;

    let propose = "inspection propose --to de-kehl --place LAU:DE_08317057 --sector I56 --from 9d --until 20d \
                   --reason WORKING_CONDITIONS --part LABOUR_INSPECTION,SUPPORT_SERVICE";
    let open = [&words(propose)[..], &["--tlp", "AMBER"]].concat();
    let proposed =
        eventually("the agreement is in force", PATIENCE, || async { ctl(strasbourg, &words(propose)).await.ok() })
            .await;
    assert_eq!(ctl_refused(strasbourg, &open).await.unwrap(), "FIELD_INVALID", "less than RED");
    let all = propose.replace("--to de-kehl", "--to all");
    assert_eq!(ctl_refused(strasbourg, &words(&all)).await.unwrap(), "AUDIENCE_NOT_NAMED");
    let record = proposed.split_whitespace().find(|word| word.len() >= 36).unwrap().trim_end_matches(',').to_owned();

    // Kehl was asked, reads what is sought, and takes a part of it.
    eventually("it is at Kehl", PATIENCE, || async {
        ctl(kehl, &["inspection", "list"]).await.ok().filter(|listed| listed.contains(&record))
    })
    .await;
    let shown = ctl(kehl, &["inspection", "show", &record]).await.unwrap();
    assert!(shown.contains("PROPOSED") && shown.contains("LABOUR_INSPECTION") && shown.contains("TLP:RED"), "{shown}");
    ctl(kehl, &["inspection", "accept", &record, "--part", "SUPPORT_SERVICE"]).await.unwrap();
    let shown = eventually("Strasbourg sees who takes part", PATIENCE, || async {
        let shown = ctl(strasbourg, &["inspection", "show", &record]).await.ok()?;
        shown.contains("de-kehl SUPPORT_SERVICE").then_some(shown)
    })
    .await;
    assert!(shown.contains("DELIVERED"), "{shown}");
    let listed = ctl(strasbourg, &["inspection", "list"]).await.unwrap();
    assert!(!listed.contains("de-kehl"), "an acceptance is no inspection of its own: {listed}");

    // No other role has it, whatever it asks; and what the alert's roles ask for by its id is not found.
    for role in ["coordinator", "publisher", "consumer"] {
        let list = ["--role", role, "inspection", "list"];
        let show = ["--role", role, "inspection", "show", &record, "--origin", "fr-strasbourg"];
        assert_eq!(ctl_refused(kehl, &list).await.unwrap(), "METHOD_NOT_OPEN", "{role}");
        assert_eq!(ctl_refused(kehl, &show).await.unwrap(), "NOT_FOUND", "{role}");
    }
    let cancel = ["--role", "publisher", "alert", "cancel", &record, "--origin", "fr-strasbourg"];
    assert_eq!(ctl_refused(strasbourg, &cancel).await.unwrap(), "NOT_FOUND");
    assert_eq!(ctl_refused(kehl, &["--role", "inspection", "alert", "list"]).await.unwrap(), "METHOD_NOT_OPEN");

    // Taken back: nobody lists it any more.
    ctl(strasbourg, &["inspection", "cancel", &record]).await.unwrap();
    eventually("Kehl lists it no more", PATIENCE, || async {
        ctl(kehl, &["inspection", "list"]).await.ok().filter(|listed| !listed.contains(&record))
    })
    .await;
    for city in [strasbourg, kehl] {
        let log = std::fs::read_to_string(city.dir.join("node.log")).unwrap();
        assert!(SECRET.iter().all(|word| !log.contains(word)), "{}: {log}", city.id());
    }
}
