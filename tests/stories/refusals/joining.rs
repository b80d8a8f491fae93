//! What an applicant reads when it cannot come in, at its own command line.

use havenlink::demo::city::City;
use havenlink::demo::sample::CITIES;
use havenlink::domain::reason::Reason;
use havenlink_proto::admin::v1::agreement_service_client::AgreementServiceClient;
use havenlink_proto::admin::v1::node_service_client::NodeServiceClient;
use havenlink_proto::admin::v1::{ListAgreementsRequest, RenewCertificateRequest};
use havenlink_tests::federation::{Federation, built};
use havenlink_tests::refused::assert_refused;
use havenlink_tests::rest::Watched;
use havenlink_tests::tools::{havenctl, havenlink};
use havenlink_tests::wait::eventually;

use crate::steps::PATIENCE;

async fn token(inviter: &City, more: &[&str]) -> String {
    let invite = [&["invite", "create", "--for", "de-kehl"], more].concat();
    havenctl(inviter, &invite).await.unwrap().fine().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_does_not_let_in() {
    let federation = Federation::found(1, 1, "").await.unwrap();
    let strasbourg = &federation.cities[0];
    let root = tempfile::tempdir().unwrap();
    let binary = built("havenlink").unwrap();
    let kehl = Watched::prepare(root.path(), &CITIES[1], &binary).unwrap();
    let esch = Watched::prepare(root.path(), &CITIES[2], &binary).unwrap();

    let good = token(strasbourg, &[]).await;
    assert_refused(&havenlink(&kehl, &["join", "hl1nonsense"]).await.unwrap(), Reason::InvitationInvalid);
    let half = havenlink(&kehl, &["join", &good[..good.len() / 2]]).await.unwrap();
    assert_refused(&half, Reason::InvitationInvalid);
    assert!(half.err.contains("cut off"), "what is wrong with it: {half:?}");
    let mut lines: Vec<String> = good.lines().map(str::to_owned).collect();
    let other = if lines[2].starts_with('a') { "b" } else { "a" };
    lines[2].replace_range(..1, other);
    let mistyped = havenlink(&kehl, &["join", &lines.concat()]).await.unwrap();
    assert_refused(&mistyped, Reason::InvitationInvalid);
    assert!(mistyped.err.contains("line 3 of"), "where it is: {mistyped:?}");
    let other = havenlink(&esch, &["join", &good]).await.unwrap();
    assert_refused(&other, Reason::InvitationOtherAuthority);
    assert!(other.err.contains("de-kehl"), "whom it is for: {other:?}");

    let short = token(strasbourg, &["--expires", "1s"]).await;
    let expired = eventually("the invitation is over", PATIENCE, || async {
        let invitations = havenctl(strasbourg, &["invite", "list"]).await.unwrap().fine();
        invitations.contains("EXPIRED").then_some(())
    });
    expired.await;
    assert_refused(&havenlink(&kehl, &["join", &short]).await.unwrap(), Reason::InvitationExpired);

    let revoked = token(strasbourg, &[]).await;
    let listed = havenctl(strasbourg, &["invite", "list", "-o", "json"]).await.unwrap().fine();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let newest = listed["invitations"].as_array().unwrap().iter().max_by_key(|i| i["expires_ms"].as_i64()).unwrap();
    let id = newest["invitation_id"].as_str().unwrap().to_owned();
    havenctl(strasbourg, &["invite", "revoke", &id]).await.unwrap().fine();
    assert_refused(&havenlink(&kehl, &["join", &revoked]).await.unwrap(), Reason::InvitationRevoked);

    // Its own: inviter and invited were exchanged.
    assert_refused(&havenlink(strasbourg, &["join", &good]).await.unwrap(), Reason::InvitationSwapped);

    let mail = root.path().join("mail.txt");
    let quoted: String = good.lines().map(|line| format!(">> {line}\u{a0}\r\n>>\r\n")).collect();
    std::fs::write(&mail, format!("Bonjour,\r\n{quoted}À bientôt\r\n")).unwrap();
    havenlink(&kehl, &["join", "--token-file", &mail.display().to_string()]).await.unwrap().fine();
    let second = tempfile::tempdir().unwrap();
    let thief = Watched::prepare(second.path(), &CITIES[1], &binary).unwrap();
    assert_refused(&havenlink(&thief, &["join", &good]).await.unwrap(), Reason::InvitationUsed);
    assert_refused(&havenlink(&kehl, &["init"]).await.unwrap(), Reason::AlreadyJoined);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_applicant_that_waits_can_do_little_and_reads_why_it_was_rejected() {
    let federation = Federation::found(1, 1, "").await.unwrap();
    let strasbourg = &federation.cities[0];
    let root = tempfile::tempdir().unwrap();
    let mut kehl = Watched::prepare(root.path(), &CITIES[1], &built("havenlink").unwrap()).unwrap();
    kehl.once(&["join", &token(strasbourg, &[]).await]).await.unwrap();
    kehl.start().unwrap();
    let door = eventually("Kehl's door", PATIENCE, || async {
        havenlink::demo::city::door(&kehl.sockets(), "operator").await.ok()
    })
    .await;
    let renew = RenewCertificateRequest { request_id: "r".into(), ..Default::default() };
    assert_refused(&NodeServiceClient::new(door.clone()).renew_certificate(renew).await, Reason::JoinPending);
    // Members' business is not open yet: the answer says what it waits for.
    let listed = AgreementServiceClient::new(door).list_agreements(ListAgreementsRequest::default()).await;
    assert_refused(&listed, Reason::JoinPending);
    assert_refused(&havenctl(&kehl, &["agreement", "list"]).await.unwrap(), Reason::JoinPending);

    let words = ["member", "approve", "de-kehl", "--words", "zoo zoo zoo zoo zoo zoo"];
    let differ = havenctl(strasbourg, &words).await.unwrap();
    assert_refused(&differ, Reason::WordsDiffer);
    assert!(differ.err.contains("2 of 3 tries are left"), "{differ:?}");
    let log = std::fs::read_to_string(strasbourg.dir.join("node.log")).unwrap();
    assert!(log.contains("event=WORDS_WRONG authority=de-kehl role=OPERATOR"), "{log}");
    let nobody = ["member", "approve", "lu-esch-sur-alzette", "--words", "zoo zoo zoo zoo zoo zoo"];
    assert_refused(&havenctl(strasbourg, &nobody).await.unwrap(), Reason::MemberUnknown);
    havenctl(strasbourg, &["member", "reject", "de-kehl", "--reason", "NO_LEGAL_BASIS"]).await.unwrap().fine();
    let log = eventually("Kehl's node ends", PATIENCE, || async {
        let log = std::fs::read_to_string(kehl.dir.join("node.log")).unwrap_or_default();
        log.lines().any(|line| line.starts_with("error[") && line.contains("]: ")).then_some(log)
    })
    .await;
    assert!(log.contains("error[APPLICATION_REJECTED]"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_that_failed_is_repeated_by_the_same_command() {
    let mut federation = Federation::found(1, 1, "").await.unwrap();
    let root = tempfile::tempdir().unwrap();
    let kehl = Watched::prepare(root.path(), &CITIES[1], &built("havenlink").unwrap()).unwrap();
    let strasbourg = &mut federation.cities[0];
    let (first, second) = (token(strasbourg, &[]).await, token(strasbourg, &[]).await);
    strasbourg.stop().await.unwrap();
    for token in [&first, &first, &second] {
        // Nothing was answered: another token may take its place, too.
        let refused = havenlink(&kehl, &["join", token]).await.unwrap();
        assert_refused(&refused, Reason::PeerUnreachable);
        let told = ["  inviter    fr-strasbourg", "  endpoint   127.0.0.1:", "  fix        the same command again"];
        assert!(told.iter().all(|line| refused.err.contains(line)), "who does not answer, and where: {refused:?}");
        assert!(!refused.err.contains("Error(") && !refused.err.contains("metadata"), "and no more: {refused:?}");
    }
    strasbourg.start().unwrap();
    strasbourg.ready().await.unwrap();
    let words = kehl.once(&["join", &second]).await.unwrap();
    assert!(words.contains("Read these six words"), "{words}");
    assert_eq!(kehl.once(&["join", &second]).await.unwrap(), words, "and once more");
    let other = havenlink(&kehl, &["join", &first]).await.unwrap();
    assert_refused(&other, Reason::AlreadyJoined);
    assert!(other.err.contains("havenlink withdraw"), "{other:?}");

    // Its words differ on the phone: nobody comes in by that invitation any more, and the list says why.
    havenctl(strasbourg, &["member", "reject", "de-kehl", "--reason", "WORDS_DIFFER"]).await.unwrap().fine();
    let listed = havenctl(strasbourg, &["invite", "list"]).await.unwrap().fine();
    assert_eq!((listed.matches("BURNT").count(), listed.matches("OPEN").count()), (1, 1), "{listed}");
}
