//! What a majority decides, what an authority says alone, and what an applicant hears.

use havenlink::demo::acts::{founding, request_id};
use havenlink::demo::city::City;
use havenlink_proto::admin::v1::{CreateInvitationRequest, NodeState, UpdateEntryRequest};
use havenlink_proto::directory::v1::{ContactPoint, Outcome, ParticipantKind};
use havenlink_tests::federation::{Federation, applicant, ctl, ctl_refused};
use havenlink_tests::wait::eventually;

use crate::steps::*;

/// A city that was never a member applies; gives its words.
async fn apply(inviter: &City, newcomer: &mut City) -> String {
    let request =
        CreateInvitationRequest { request_id: request_id(), intended_for: newcomer.id().to_owned(), expires_in_ms: 0 };
    let token = inviter.members().await.unwrap().create_invitation(request).await.unwrap().into_inner().token;
    let printed = newcomer.once(&["join", &token]).await.unwrap();
    founding::six_words(&printed).unwrap()
}

async fn change_kind(city: &City, kind: ParticipantKind) -> Outcome {
    let mut entry = member(city, city.id()).await.unwrap().entry.unwrap();
    entry.kind = kind.into();
    let request = UpdateEntryRequest { request_id: request_id(), entry: Some(entry), version: 0 };
    city.members().await.unwrap().update_entry(request).await.unwrap().into_inner().decision.unwrap().outcome()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_majority_decides_an_authority_speaks_for_itself_and_applicants_hear_why() {
    let mut federation = Federation::found(3, 2, "").await.unwrap();
    let mut liege = applicant(&federation, 3).unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three cities") };

    // The policy: one steward of two proposes, status and list say whom it waits for, the other one decides.
    ctl(strasbourg, &["policy", "propose", "--emergency", "12h"]).await.unwrap();
    let number = strasbourg.status().await.unwrap().register_number;
    reached(kehl, number).await;
    let status = kehl.status().await.unwrap();
    let waits: Vec<_> = status.pending.iter().map(|p| (p.act.as_str(), p.waits_for_us, p.needed)).collect();
    assert_eq!(waits, [("POLICY", true, 2)], "{status:?}");
    assert!(status.next.iter().any(|n| n.contains("--pending")), "{:?}", status.next);
    assert!(!strasbourg.status().await.unwrap().pending[0].waits_for_us);
    let listed = ctl(kehl, &["member", "list", "--pending"]).await.unwrap();
    assert!(listed.contains("POLICY") && listed.contains(strasbourg.id()), "{listed}");
    assert!(listed.contains("emergency suspension: 1d → 12h"), "what is asked for, in place of what: {listed}");
    ctl(kehl, &["policy", "propose", "--emergency", "12h"]).await.unwrap();
    eventually("nothing waits any more", PATIENCE, || async {
        kehl.status().await.ok()?.pending.is_empty().then_some(())
    })
    .await;
    let refused = ctl_refused(strasbourg, &["policy", "propose", "--emergency", "100h"]).await.unwrap();
    assert_eq!(refused, "FIELD_INVALID", "longer than one steward alone may keep somebody out");
    assert_eq!(ctl_refused(esch, &["policy", "propose", "--emergency", "1h"]).await.unwrap(), "NOT_A_STEWARD");

    // Contacts and networks: the authority alone. Its kind: the stewards.
    let mut entry = member(esch, esch.id()).await.unwrap().entry.unwrap();
    entry.contacts.push(ContactPoint {
        role: "night".into(),
        languages: vec!["fr".into()],
        email: "nuit@esch.example".into(),
        ..Default::default()
    });
    let request = UpdateEntryRequest { request_id: request_id(), entry: Some(entry), version: 0 };
    let alone = esch.members().await.unwrap().update_entry(request).await.unwrap().into_inner().decision.unwrap();
    assert_eq!(alone.outcome(), Outcome::Accepted);
    ctl(esch, &["node", "update", "--network", "rhine-moselle"]).await.unwrap();
    assert_eq!(change_kind(esch, ParticipantKind::MandatedNgo).await, Outcome::Pending);
    let number = esch.status().await.unwrap().register_number;
    reached(strasbourg, number).await;
    let seen = member(strasbourg, esch.id()).await.unwrap().entry.unwrap();
    assert_eq!((seen.networks.as_slice(), seen.contacts.len()), (&["rhine-moselle".to_owned()][..], 2));
    assert_eq!(seen.kind(), ParticipantKind::LocalAuthority);
    ctl(strasbourg, &["member", "approve", esch.id()]).await.unwrap();
    let number = strasbourg.status().await.unwrap().register_number;
    reached(kehl, number).await;
    let shown = ctl(kehl, &["member", "show", esch.id()]).await.unwrap();
    assert!(shown.contains("- kind: LOCAL_AUTHORITY → MANDATED_NGO\n"), "{shown}");
    ctl(kehl, &["member", "approve", esch.id()]).await.unwrap();
    assert_eq!(member(kehl, esch.id()).await.unwrap().entry.unwrap().kind(), ParticipantKind::MandatedNgo);
    mandated(strasbourg, kehl, esch).await;

    // An applicant is rejected, and its node ends with the stewards' reason.
    apply(strasbourg, &mut liege).await;
    liege.start().unwrap();
    liege.until("it waits", |s| s.state() == NodeState::NeedsApproval).await.unwrap();
    let listed = ctl(strasbourg, &["member", "list", "--pending"]).await.unwrap();
    assert!(listed.contains(liege.id()) && listed.contains("APPLICATION"), "{listed}");
    ctl(strasbourg, &["member", "reject", liege.id(), "--reason", "identity-not-confirmed"]).await.unwrap();
    let log = liege.dir.join("node.log");
    eventually("its node ends and says why", PATIENCE, || async {
        let log = std::fs::read_to_string(&log).ok()?;
        (log.contains("APPLICATION_REJECTED") && log.contains("IDENTITY_NOT_CONFIRMED")).then_some(())
    })
    .await;
    liege.kill().await.unwrap();

    // It applies again, one of two stewards approves, and then it thinks better of it.
    let words = apply(strasbourg, &mut liege).await;
    ctl(strasbourg, &["member", "approve", liege.id(), "--words", &words]).await.unwrap();
    let number = strasbourg.status().await.unwrap().register_number;
    reached(kehl, number).await;
    assert!(kehl.status().await.unwrap().pending.iter().any(|p| p.subject == liege.id() && p.waits_for_us));
    let shown = ctl(kehl, &["member", "show", liege.id()]).await.unwrap();
    let key = hex(&key_of(&liege).unwrap().public().0[12..20]);
    for told in [format!("- authority key: {key}\n"), format!("- invited by: {}\n", strasbourg.id())] {
        assert!(shown.contains(&told), "a steward that did not invite sees whom it admits: {told}{shown}");
    }
    liege.once(&["withdraw"]).await.unwrap();
    eventually("nothing waits any more", PATIENCE, || async {
        kehl.status().await.ok()?.pending.is_empty().then_some(())
    })
    .await;
    let over = liege.once(&["run"]).await.unwrap_err().to_string();
    assert!(over.contains("APPLICATION_WITHDRAWN"), "{over}");
    assert_eq!(ctl_refused(kehl, &["member", "approve", liege.id()]).await.unwrap(), "MEMBER_UNKNOWN");

    // And once more, with everybody's consent.
    let words = apply(strasbourg, &mut liege).await;
    ctl(strasbourg, &["member", "approve", liege.id(), "--words", &words]).await.unwrap();
    let number = strasbourg.status().await.unwrap().register_number;
    reached(kehl, number).await;
    liege.start().unwrap();
    ctl(kehl, &["member", "approve", liege.id()]).await.unwrap();
    liege.ready().await.unwrap();
}

/// An authority lets the organisation act for it, alone and at once, and ends it in the same way; everybody sees both.
async fn mandated(issuer: &City, other: &City, holder: &City) {
    let issue = "mandate issue --activity ACCOMMODATION,OUTREACH --in NUTS:FRF11 --until 365d";
    let issue: Vec<&str> = issue.split_whitespace().chain([holder.id()]).collect();
    ctl_decided(issuer, &issue).await.unwrap();
    let listed = async |city: &City, state: &str| {
        reached(city, issuer.status().await.unwrap().register_number).await;
        let listed = ctl(city, &["mandate", "list", "--of", holder.id()]).await.unwrap();
        let row = listed.lines().find(|line| line.contains(issuer.id())).unwrap_or_default().to_owned();
        assert!(row.contains(holder.id()) && row.contains(state), "{} at {}: {listed}", state, city.id());
        row
    };
    for city in [issuer, other, holder] {
        let row = listed(city, "LIVE").await;
        assert!(row.contains("ACCOMMODATION") && row.contains("OUTREACH") && row.contains("NUTS:FRF11"), "{row}");
    }
    let unsure = ctl_refused(issuer, &["mandate", "revoke", holder.id()]).await.unwrap();
    assert_eq!(unsure, "CONFIRMATION_NEEDED");
    listed(other, "LIVE").await;
    ctl_decided(issuer, &["mandate", "revoke", holder.id(), "--yes"]).await.unwrap();
    for city in [issuer, other, holder] {
        listed(city, "ENDED").await;
    }
    // Only a mandated organisation holds one.
    let wrong: Vec<&str> = issue.iter().map(|word| if *word == holder.id() { other.id() } else { word }).collect();
    assert!(ctl_refused(issuer, &wrong).await.is_ok(), "{} is no organisation", other.id());
}
