//! What a person let be shared, by the tool alone: given to a caseworker, asked before a call, withdrawn by one command.

use havenlink_tests::federation::{Federation, ctl, ctl_refused};

const ROLES: &str = "roles = [\"operator\", \"coordinator\", \"data-protection\", \"inspection\"]\n";
const CASE: &str = "SB-2026/0417";
/// Nothing of these may be in a log.
const SECRET: [&str; 4] = [CASE, "CASF-L116", "lu-esch", "REFERRAL_SHELTER"];

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_she_let_be_shared_is_asked_withdrawn_and_told_to_nobody_else() {
    let federation = Federation::found(1, 1, ROLES).await.unwrap();
    let [strasbourg] = &federation.cities[..] else { panic!("one city") };
    let hash = "5a".repeat(32);
    let give = format!(
        "sharing give --case {CASE} --scope REFERRAL_SHELTER --to de-kehl --country de --exclude lu-esch --until 90d --uses 3 \
         --notice 3 --notice-hash {hash} --language ro --provision CASF-L116 --mode INTERPRETED --setting SHELTER"
    );
    let free = format!("{give} --interpreter INDEPENDENT --exploiter-excluded");
    let companion = format!("{give} --interpreter COMPANION --exploiter-excluded");
    let watched = format!("{give} --interpreter INDEPENDENT");
    for unfree in [companion, watched] {
        assert_eq!(ctl_refused(strasbourg, &words(&unfree)).await.unwrap(), "SHARING_NOT_FREE", "{unfree}");
    }
    let named = free.replace(CASE, "MARIA-ROSA");
    assert_eq!(ctl_refused(strasbourg, &words(&named)).await.unwrap(), "FIELD_INVALID", "a name is no reference");
    let consent = format!("{free} --lawful-basis CONSENT");
    assert_eq!(ctl_refused(strasbourg, &words(&consent)).await.unwrap(), "FIELD_INVALID", "never a city's basis");
    let given = ctl(strasbourg, &words(&free)).await.unwrap();
    let share = given.split_whitespace().find(|word| word.len() == 36).unwrap().to_owned();

    let show = ["sharing", "show", "--case", CASE];
    let shown = ctl(strasbourg, &show).await.unwrap();
    assert!(shown.contains(&share) && shown.contains("GIVEN") && shown.contains("0 of 3"), "{shown}");
    let check = |to| ["sharing", "check", "--case", CASE, "--scope", "REFERRAL_SHELTER", "--to", to];
    let opened = ctl(strasbourg, &check("de-kehl")).await.unwrap();
    assert!(opened.contains(&share), "{opened}");
    // Whom she excluded is refused like whoever she never named.
    for to in ["lu-esch", "be-gent"] {
        assert_eq!(ctl_refused(strasbourg, &check(to)).await.unwrap(), "NO_AGREEMENT_TO_SHARE", "{to}");
    }

    // The officer has it for the person's own question, and nobody else has it so; inspectors have none of it.
    let export = ["sharing", "export", "--case", CASE, &share];
    let exported = ctl(strasbourg, &export).await.unwrap();
    assert!(exported.contains("dpv:ConsentGiven") && !exported.contains("lu-esch"), "{exported}");
    let coordinator = [&["--role", "coordinator"], &export[..]].concat();
    assert_eq!(ctl_refused(strasbourg, &coordinator).await.unwrap(), "METHOD_NOT_OPEN");
    let inspection = [&["--role", "inspection"], &show[..]].concat();
    assert_eq!(ctl_refused(strasbourg, &inspection).await.unwrap(), "METHOD_NOT_OPEN");

    let withdraw = ["sharing", "withdraw", "--case", CASE];
    let withdrawn = ctl(strasbourg, &withdraw).await.unwrap();
    assert!(withdrawn.contains(&share), "{withdrawn}");
    assert_eq!(ctl_refused(strasbourg, &check("de-kehl")).await.unwrap(), "NO_AGREEMENT_TO_SHARE");
    let again = ctl(strasbourg, &withdraw).await.unwrap();
    assert!(!again.contains(&share), "{again}");
    let log = std::fs::read_to_string(strasbourg.dir.join("node.log")).unwrap();
    assert!(SECRET.iter().all(|word| !log.contains(word)), "{log}");
}
