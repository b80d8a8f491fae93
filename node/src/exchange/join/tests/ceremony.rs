//! The ceremony as it should go, and as people end it.

use super::*;
use crate::domain::register::{Outcome, RejectionReason};
use crate::storage::Store;

#[tokio::test]
async fn an_applicant_is_approved_by_its_words_and_a_second_steward() {
    let city = city(2).await;
    let dir = tempfile::tempdir().unwrap();
    let mut applicant = applied(&city, dir.path()).await;
    assert!(city.inviter.gate().borrow().anybody, "the door is open");
    let typed = words(&applicant);
    let decision = city.inviter.approve(&id("de-kehl"), &typed, Actor::NODE).await.unwrap();
    assert!(decision.applied.outcome == Outcome::Pending && decision.needed == 2);
    assert!(city.inviter.applications().await.unwrap().is_empty(), "it waits for others now, not for the words");
    assert_eq!(applicant.step(&door(&city, 9)).await.unwrap(), Next::Watch, "one of two");
    let second = city.inviter.approve(&id("de-kehl"), "", Actor::NODE).await.unwrap();
    assert_eq!(second.applied.outcome, Outcome::Accepted);
    let joined = applicant.run(&door(&city, 9), |_, _| ()).await.unwrap();
    assert_eq!((joined.authority, joined.inviter), (id("de-kehl"), id("fr-strasbourg")));
    assert_eq!(joined.federation, city.book.view().federation);
    applicant.finish().unwrap();
    assert!(Applicant::resume(dir.path()).unwrap().is_none());
    let acts = city.store.audit_head().await.unwrap().size;
    assert_eq!(acts, 2, "invited, approved");
}

#[tokio::test]
async fn a_waiting_applicant_learns_of_the_decision_while_it_waits() {
    let city = city(1).await;
    let dir = tempfile::tempdir().unwrap();
    let mut applicant = applied(&city, dir.path()).await;
    let typed = words(&applicant);
    let knock = door(&city, 9);
    let approve = async {
        tokio::task::yield_now().await;
        city.inviter.approve(&id("de-kehl"), &typed, Actor::NODE).await.unwrap()
    };
    let (joined, _) = tokio::join!(applicant.run(&knock, |_, _| ()), approve);
    assert!(joined.is_ok());
}

#[tokio::test]
async fn a_decision_that_the_view_does_not_show_yet_is_no_lapse() {
    let (city, dir) = (city(1).await, tempfile::tempdir().unwrap());
    let mut applicant = applied(&city, dir.path()).await;
    city.book.view_lags.store(true, Ordering::Relaxed);
    let typed = words(&applicant);
    city.inviter.approve(&id("de-kehl"), &typed, Actor::NODE).await.unwrap();
    assert_eq!(applicant.step(&door(&city, 9)).await.unwrap(), Next::Watch);
    let (_, application) = city.book.admissions.lock().unwrap()[&id("de-kehl")].clone();
    city.book.admit(&application);
    assert_eq!(applicant.step(&door(&city, 9)).await.unwrap(), Next::Follow);
}

#[tokio::test]
async fn a_restart_at_any_step_repeats_what_was_said() {
    let city = city(1).await;
    let dir = tempfile::tempdir().unwrap();
    let first = applicant(dir.path(), &invited(&city).await.token, 9);
    let nonce = first.applying().nonce_a;
    drop(first);
    // The answer to the commitment is lost: the process dies before it is stored.
    let mut second = Applicant::resume(dir.path()).unwrap().unwrap();
    assert_eq!(second.applying().nonce_a, nonce);
    let before = std::fs::read(dir.path().join("join.state")).unwrap();
    second.step(&door(&city, 9)).await.unwrap();
    std::fs::write(dir.path().join("join.state"), &before).unwrap();
    let mut third = Applicant::resume(dir.path()).unwrap().unwrap();
    assert_eq!(third.step(&door(&city, 9)).await.unwrap(), Next::Reveal);
    // The answer to the reveal is lost.
    let before = std::fs::read(dir.path().join("join.state")).unwrap();
    third.step(&door(&city, 9)).await.unwrap();
    let told = words(&third);
    std::fs::write(dir.path().join("join.state"), &before).unwrap();
    let mut fourth = Applicant::resume(dir.path()).unwrap().unwrap();
    assert_eq!(fourth.step(&door(&city, 9)).await.unwrap(), Next::Watch);
    assert_eq!(words(&fourth), told);
    let fifth = Applicant::resume(dir.path()).unwrap().unwrap();
    assert_eq!(words(&fifth), told, "still there, still waiting");
    let again = Applicant::begin(dir.path(), &fifth.applying().token, fifth.applying().application.clone(), tls_pin(9));
    assert_eq!(again.err().unwrap().reason(), Reason::AlreadyJoined);
}

#[tokio::test]
async fn three_wrong_words_close_it_and_the_applicant_reads_why() {
    let city = city(1).await;
    let dir = tempfile::tempdir().unwrap();
    let mut applicant = applied(&city, dir.path()).await;
    let kehl = id("de-kehl");
    let try_words = |text: &'static str| city.inviter.approve(&kehl, text, Actor::NODE);
    assert_eq!(refusal(try_words("")).await, Reason::WordsNeeded);
    assert_eq!(refusal(try_words("zoo zoo zoo")).await, Reason::FieldInvalid, "a slip is no failure");
    assert_eq!(refusal(try_words("zoo zoo zoo zoo zoo zoo")).await, Reason::WordsDiffer);
    assert_eq!(refusal(try_words("zoo zoo zoo zoo zoo zoo")).await, Reason::WordsDiffer);
    assert_eq!(city.inviter.applications().await.unwrap()[0].failed_words, 2);
    assert_eq!(refusal(try_words("zoo zoo zoo zoo zoo zoo")).await, Reason::WordsFailed);
    let right = words(&applicant);
    assert_eq!(refusal(city.inviter.approve(&kehl, &right, Actor::NODE)).await, Reason::WordsFailed);
    assert_eq!(applicant.step(&door(&city, 9)).await.unwrap(), Next::Stop(Reason::ApplicationRejected));
    let told = Applicant::resume(dir.path()).unwrap().unwrap();
    assert!(matches!(&told.applying().phase, crate::domain::join::applicant::Phase::Applied { progress, .. }
        if progress.rejection == Some(RejectionReason::WordsDiffer)));
}

#[tokio::test]
async fn a_rejection_before_and_after_a_proposal_reaches_the_applicant() {
    for proposed in [false, true] {
        let city = city(2).await;
        let dir = tempfile::tempdir().unwrap();
        let mut applicant = applied(&city, dir.path()).await;
        let kehl = id("de-kehl");
        if proposed {
            city.inviter.approve(&kehl, &words(&applicant), Actor::NODE).await.unwrap();
        }
        let decision = city.inviter.reject(&kehl, RejectionReason::NoLegalBasis, Actor::NODE).await.unwrap();
        assert_eq!(decision.is_some(), proposed);
        assert_eq!(applicant.step(&door(&city, 9)).await.unwrap(), Next::Stop(Reason::ApplicationRejected));
        assert_eq!(
            refusal(city.inviter.reject(&kehl, RejectionReason::Incomplete, Actor::NODE)).await,
            Reason::ApplicationUnknown
        );
    }
}

#[tokio::test]
async fn an_application_that_nobody_decided_on_is_over_after_its_time() {
    let (city, dir) = (city(1).await, tempfile::tempdir().unwrap());
    let mut applicant = applied(&city, dir.path()).await;
    city.clock.advance(crate::domain::limits::APPLICATION_LIFE);
    assert_eq!(applicant.step(&door(&city, 9)).await.unwrap(), Next::Stop(Reason::ApplicationExpired));
    assert!(city.inviter.applications().await.unwrap().is_empty());
    let typed = words(&applicant);
    let kehl = id("de-kehl");
    assert_eq!(refusal(city.inviter.approve(&kehl, &typed, Actor::NODE)).await, Reason::ApplicationExpired);
    // Once its words were compared, the register's decision has its own time.
    let (city, dir) = (self::city(2).await, tempfile::tempdir().unwrap());
    let mut applicant = applied(&city, dir.path()).await;
    city.clock.advance(Millis::days(6));
    city.inviter.approve(&id("de-kehl"), &words(&applicant), Actor::NODE).await.unwrap();
    city.clock.advance(Millis::days(2));
    assert_eq!(applicant.step(&door(&city, 9)).await.unwrap(), Next::Watch);
    city.inviter.approve(&id("de-kehl"), "", Actor::NODE).await.unwrap();
    assert_eq!(applicant.step(&door(&city, 9)).await.unwrap(), Next::Follow);
}

/// The applicant's signed withdrawal of this proposal.
fn withdrawal(applicant: &Applicant, proposal: StatementId, key: &SigningKey) -> Option<Bytes> {
    Some(wire::sign_withdrawal(&applicant.token().invitation, &proposal, key, [2; 16], UnixMs(1)))
}

#[tokio::test]
async fn a_withdrawn_application_waits_no_more() {
    let city = city(2).await;
    let (dir, key) = (tempfile::tempdir().unwrap(), new_key());
    let mut applicant = applied_with(&city, dir.path(), &key).await;
    let decision = city.inviter.approve(&id("de-kehl"), &words(&applicant), Actor::NODE).await.unwrap();
    let signed = withdrawal(&applicant, decision.applied.statement, &key);
    applicant.withdraw(&door(&city, 9), signed.clone()).await.unwrap();
    assert_eq!(applicant.applying().next(), Next::Stop(Reason::ApplicationWithdrawn));
    assert_eq!(city.book.forwarded.lock().unwrap().len(), 1);
    assert!(city.inviter.applications().await.unwrap().is_empty());
    applicant.withdraw(&door(&city, 9), signed).await.unwrap();
    assert_eq!(city.book.forwarded.lock().unwrap().len(), 1, "the answer was lost: again is nothing new");
}

#[tokio::test]
async fn an_application_that_stewards_decide_on_is_taken_back_by_its_own_signed_withdrawal_only() {
    let city = city(2).await;
    let (dir, key) = (tempfile::tempdir().unwrap(), new_key());
    let mut applicant = applied_with(&city, dir.path(), &key).await;
    let decision = city.inviter.approve(&id("de-kehl"), &words(&applicant), Actor::NODE).await.unwrap();
    let refused = [
        (None, Reason::FieldMissing),
        (Some(Bytes::from_static(b"anything")), Reason::DecodeFailed),
        (Some(applicant.applying().application.clone()), Reason::FieldInvalid),
        (withdrawal(&applicant, StatementId([7; 32]), &key), Reason::FieldInvalid),
        (withdrawal(&applicant, decision.applied.statement, &new_key()), Reason::KeyNotCurrent),
    ];
    for (statement, reason) in refused {
        assert_eq!(refusal(applicant.withdraw(&door(&city, 9), statement)).await, reason);
        assert!(city.book.forwarded.lock().unwrap().is_empty(), "nothing is ordered");
        let proposal = applicant.proposal(&door(&city, 9)).await.unwrap();
        assert_eq!(proposal, Some(decision.applied.statement), "it is under way as before");
    }
    // Once it is admitted, it is too late.
    city.inviter.approve(&id("de-kehl"), "", Actor::NODE).await.unwrap();
    let late = withdrawal(&applicant, decision.applied.statement, &key);
    assert_eq!(refusal(applicant.withdraw(&door(&city, 9), late)).await, Reason::ProposalClosed);
    assert_eq!(applicant.step(&door(&city, 9)).await.unwrap(), Next::Follow);
}

#[tokio::test]
async fn an_invitation_that_is_asked_for_again_is_the_same_and_its_token_is_stored_nowhere() {
    let city = city(1).await;
    let (asked, kehl) = (call(), id("de-kehl"));
    let first = city.inviter.create(kehl.clone(), Millis(0), &asked).await.unwrap();
    city.clock.advance(Millis::hours(23));
    let again = city.inviter.create(kehl.clone(), Millis(0), &asked).await.unwrap();
    assert_eq!((again.id, &again.token, again.expires), (first.id, &first.token, first.expires));
    assert_eq!(city.inviter.list().await.unwrap().len(), 1);
    let secret = wire::parse_token(&first.token).unwrap().secret;
    for entry in std::fs::read_dir(city.store.dir()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|bytes| bytes == &secret[..]), "{} holds the secret", path.display());
    }

    let another = Call { body: Digest([2; 32]), ..asked.clone() };
    let reused = city.inviter.create(kehl.clone(), Millis(0), &another).await;
    assert_eq!(reused.unwrap_err().reason(), Reason::RequestIdReused);
    let nameless = Call { request_id: String::new(), ..asked.clone() };
    let refused = city.inviter.create(kehl.clone(), Millis(0), &nameless).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::FieldMissing);

    // A day later the id is free.
    city.clock.advance(Millis::hours(24));
    let new = city.inviter.create(kehl, Millis(0), &asked).await.unwrap();
    assert!(new.id != first.id && new.token != first.token);
}
