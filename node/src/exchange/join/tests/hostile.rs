//! Who wins when many try, who is refused, who is heard on the phone.

use std::sync::atomic::AtomicU32;

use super::*;
use crate::domain::join::commitment;
use crate::domain::register::RejectionReason;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixty_four_at_once_exactly_one_joins() {
    let city = city(1).await;
    let text = invited(&city).await.token;
    let joins = (0..64_u8).map(|n| {
        let (inviter, text) = (city.inviter.clone(), text.clone());
        tokio::spawn(async move {
            let dir = tempfile::tempdir().unwrap();
            let mut applicant = applicant(dir.path(), &text, n);
            let knock = Knock { inviter: &inviter, pin: tls_pin(n) };
            loop {
                match applicant.step(&knock).await.unwrap() {
                    Next::Watch => return Ok(()),
                    Next::Stop(reason) => return Err(reason),
                    _ => {}
                }
            }
        })
    });
    let mut won = 0;
    for join in joins.collect::<Vec<_>>() {
        match join.await.unwrap() {
            Ok(()) => won += 1,
            Err(reason) => assert_eq!(reason, Reason::InvitationUsed),
        }
    }
    assert_eq!(won, 1);
    assert_eq!(city.inviter.applications().await.unwrap().len(), 1);
}

#[tokio::test]
async fn sixty_four_hostile_reveals_take_nothing_from_the_one_that_committed() {
    let city = city(1).await;
    let text = invited(&city).await.token;
    let token = wire::parse_token(&text).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut honest = applicant(dir.path(), &text, 200);
    honest.step(&door(&city, 200)).await.unwrap();
    let reveals = (0..64_u8).map(|n| {
        let statement = application(&token, "de-kehl", &new_key(), tls_pin(n));
        let (inviter, id, secret) = (city.inviter.clone(), token.invitation.id, token.secret);
        tokio::spawn(async move { inviter.reveal(id, &secret, Nonce([n; 32]), statement, tls_pin(n)).await })
    });
    for reveal in reveals.collect::<Vec<_>>() {
        assert_eq!(reveal.await.unwrap().unwrap_err().reason(), Reason::InvitationUsed);
    }
    assert_eq!(honest.step(&door(&city, 200)).await.unwrap(), Next::Watch);
}

/// The mailed token was read on the way: it opens the door, and nothing of the one that committed.
#[tokio::test]
async fn a_stolen_token_neither_watches_nor_takes_back_what_another_applied_for() {
    let city = city(2).await;
    let dir = tempfile::tempdir().unwrap();
    let honest = applied(&city, dir.path()).await;
    let (invitation, secret) = (honest.token().invitation.id, honest.token().secret);
    let thief = door(&city, 66);
    let reasons = [
        thief.watch(invitation, secret, None).await.unwrap_err().reason,
        thief.withdraw(invitation, secret, None).await.unwrap_err().reason,
    ];
    assert_eq!(reasons, [Reason::InvitationUsed; 2]);
    assert_eq!(city.inviter.applications().await.unwrap().len(), 1);
    assert_eq!(honest.proposal(&door(&city, 9)).await.unwrap(), None);
    // Before the reveal as well.
    let (other, dir) = (self::city(1).await, tempfile::tempdir().unwrap());
    let mut honest = applicant(dir.path(), &invited(&other).await.token, 9);
    honest.step(&door(&other, 9)).await.unwrap();
    let (invitation, secret) = (honest.token().invitation.id, honest.token().secret);
    assert_eq!(door(&other, 66).watch(invitation, secret, None).await.unwrap_err().reason, Reason::InvitationUsed);
    assert_eq!(honest.step(&door(&other, 9)).await.unwrap(), Next::Watch);
}

/// Any member may propose to admit any name, with a key of its own.
#[tokio::test]
async fn an_admission_that_another_member_proposed_is_not_taken_for_the_one_that_is_known_here() {
    let city = city(2).await;
    let dir = tempfile::tempdir().unwrap();
    let mut honest = applied(&city, dir.path()).await;
    city.inviter.approve(&id("de-kehl"), &words(&honest), Actor::NODE).await.unwrap();
    let ours = city.book.admissions(&id("de-kehl")).remove(0);
    let planted = Admission {
        proposal: StatementId([7; 32]),
        application: Digest([7; 32]),
        words_digest: Digest([7; 32]),
        approved_by: vec![id("be-gent")],
        ..ours.clone()
    };
    city.book.others.lock().unwrap().push(planted);
    assert_eq!(honest.proposal(&door(&city, 9)).await.unwrap(), Some(ours.proposal), "told of its own");
    let refused = honest.withdraw(&door(&city, 9), None).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::FieldMissing, "over here only when it is over in the register");
    // A steward who knows neither cannot tell by the name which is meant.
    city.book.others.lock().unwrap().push(ours.clone());
    let elsewhere = Inviter::new(
        id("lu-esch-sur-alzette"),
        new_key,
        Arc::new(crate::storage::samples::fresh(Incarnation(1), Arc::new(|| UnixMs(0))).await),
        city.book.clone(),
        city.clock.clone(),
    );
    let approved = elsewhere.approve(&id("de-kehl"), "", Actor::NODE).await;
    assert_eq!(approved.unwrap_err().reason(), Reason::SeveralApplications);
    let rejected = elsewhere.reject(&id("de-kehl"), RejectionReason::NoLegalBasis, Actor::NODE).await;
    assert_eq!(rejected.unwrap_err().reason(), Reason::SeveralApplications);
    // Here it is the one whose words were compared.
    city.inviter.reject(&id("de-kehl"), RejectionReason::NoLegalBasis, Actor::NODE).await.unwrap();
    assert_eq!(honest.step(&door(&city, 9)).await.unwrap(), Next::Stop(Reason::ApplicationRejected));
}

/// Whoever is on the way can send an alert in the inviter's place.
#[tokio::test]
async fn what_the_line_did_ends_no_application() {
    let city = city(1).await;
    let dir = tempfile::tempdir().unwrap();
    let text = invited(&city).await.token;
    let mut honest = applicant(dir.path(), &text, 9);
    for said in [false, true] {
        let line = Broken(Reason::InvitationUnknown, said);
        let step = honest.step(&line).await;
        match said {
            false => assert_eq!(step.unwrap_err().reason(), Reason::InvitationUnknown),
            true => assert_eq!(step.unwrap(), Next::Stop(Reason::InvitationUnknown)),
        }
        let again = Applicant::resume(dir.path()).unwrap().unwrap();
        assert_eq!(matches!(again.applying().next(), Next::Stop(_)), said, "on disk");
    }
}

/// A door that answers everything so.
struct Broken(Reason, bool);

impl Broken {
    fn answer<T: Send + 'static>(&self) -> BoxFuture<'_, Result<T, JoinCallError>> {
        let error = JoinCallError { reason: self.0, said: self.1, source: None };
        async move { Err(error) }.boxed()
    }
}

impl JoinClient for Broken {
    fn commit(&self, _: InvitationId, _: [u8; 16], _: Digest) -> BoxFuture<'_, Result<(Nonce, Bytes), JoinCallError>> {
        self.answer()
    }
    fn reveal(&self, _: InvitationId, _: [u8; 16], _: Nonce, _: Bytes) -> BoxFuture<'_, Result<Digest, JoinCallError>> {
        self.answer()
    }
    fn watch(
        &self,
        _: InvitationId,
        _: [u8; 16],
        _: Option<Progress>,
    ) -> BoxFuture<'_, Result<Progress, JoinCallError>> {
        self.answer()
    }
    fn withdraw(&self, _: InvitationId, _: [u8; 16], _: Option<Bytes>) -> BoxFuture<'_, Result<(), JoinCallError>> {
        self.answer()
    }
}

#[tokio::test]
async fn each_wrong_case_has_its_own_reason_at_the_door() {
    let city = city(1).await;
    let made = invited(&city).await;
    let token = wire::parse_token(&made.token).unwrap();
    let (id_, secret) = (token.invitation.id, token.secret);
    let inviter = &city.inviter;
    let commit =
        |secret: [u8; 16]| async move { inviter.commit(id_, &secret, Digest([0; 32]), tls_pin(9), None).await };
    assert_eq!(refusal(commit([0; 16])).await, Reason::InvitationUnknown, "a wrong secret is no invitation");
    let nobody = city.inviter.commit(InvitationId([0; 32]), &secret, Digest([0; 32]), tls_pin(9), None);
    assert_eq!(refusal(nobody).await, Reason::InvitationUnknown);
    city.inviter.revoke(id_).await.unwrap();
    assert_eq!(refusal(commit(secret)).await, Reason::InvitationRevoked);
    assert!(!city.inviter.gate().borrow().is_open(), "no invitation, no door");

    city.clock.advance(Millis(1));
    let late = wire::parse_token(&invited(&city).await.token).unwrap();
    city.clock.advance(Millis::hours(48));
    let expired = city.inviter.commit(late.invitation.id, &late.secret, Digest([0; 32]), tls_pin(9), None);
    assert_eq!(refusal(expired).await, Reason::InvitationExpired);
    assert_eq!(refusal(async { Applicant::check(&late, None, city.clock.now()) }).await, Reason::InvitationExpired);
    city.inviter.refresh_gate().await.unwrap();
    assert!(!city.inviter.gate().borrow().is_open());
    let states: Vec<_> = city.inviter.list().await.unwrap().iter().map(|l| l.summary.as_ref().unwrap().state).collect();
    assert_eq!(states, [InvitationState::Revoked, InvitationState::Expired]);

    let own = id("fr-strasbourg");
    assert_eq!(refusal(city.inviter.create(own.clone(), Millis(0), &call())).await, Reason::InvitationSwapped);
    assert_eq!(refusal(async { Applicant::check(&late, Some(&own), UnixMs(0)) }).await, Reason::InvitationSwapped);
    let other = id("be-liege");
    assert_eq!(
        refusal(async { Applicant::check(&late, Some(&other), UnixMs(0)) }).await,
        Reason::InvitationOtherAuthority
    );
    assert_eq!(refusal(city.inviter.create(other, Millis::days(15), &call())).await, Reason::FieldInvalid);
}

#[tokio::test]
async fn a_reveal_with_a_forged_signature_burns_the_invitation() {
    let city = city(1).await;
    let text = invited(&city).await.token;
    let token = wire::parse_token(&text).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut applicant = applicant(dir.path(), &text, 9);
    applicant.step(&door(&city, 9)).await.unwrap();
    let mut forged = applicant.applying().application.to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let nonce = applicant.applying().nonce_a;
    let reveal = city.inviter.reveal(token.invitation.id, &token.secret, nonce, forged.into(), tls_pin(9));
    assert_eq!(refusal(reveal).await, Reason::SignatureInvalid);
    assert_eq!(applicant.step(&door(&city, 9)).await.unwrap(), Next::Stop(Reason::InvitationBurnt));
}

/// The key of a node that it once saw: it would be believed to be the applicant's as soon as it is admitted.
#[tokio::test]
async fn an_applicant_shows_no_pin_whose_key_it_does_not_hold() {
    let city = city(1).await;
    let text = invited(&city).await.token;
    let token = wire::parse_token(&text).unwrap();
    let (key, seen) = (new_key(), Pin([9; 32]));
    let application = application(&token, "de-kehl", &key, seen);
    let dir = tempfile::tempdir().unwrap();
    let begun = Applicant::begin(dir.path(), &text, application.clone(), seen).map(drop);
    assert_eq!(begun.unwrap_err().reason(), Reason::PinUnproved, "its own program does not send it");
    let (id, nonce) = (token.invitation.id, Nonce([9; 32]));
    let digest = commitment(&nonce, &key.public(), &seen);
    city.inviter.commit(id, &token.secret, digest, seen, None).await.unwrap();
    let reveal = city.inviter.reveal(id, &token.secret, nonce, application, seen);
    assert_eq!(refusal(reveal).await, Reason::PinUnproved);
}

/// Kehl was handed a token that Mallory made; he uses the true one against Strasbourg with keys of his own.
#[tokio::test]
async fn a_man_in_the_middle_with_his_own_keys_is_heard_on_the_phone() {
    let (strasbourg, mallory) = (city(1).await, city(1).await);
    let true_token = invited(&strasbourg).await.token;
    let false_token = invited(&mallory).await.token;
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut kehl = applicant(here.path(), &false_token, 9);
    let mut his = applicant(there.path(), &true_token, 66);
    for _ in 0..2 {
        kehl.step(&door(&mallory, 9)).await.unwrap();
        his.step(&door(&strasbourg, 66)).await.unwrap();
    }
    assert_ne!(words(&kehl), words(&his));
    let (applying, heard) = (id("de-kehl"), words(&kehl));
    assert_eq!(refusal(strasbourg.inviter.approve(&applying, &heard, Actor::NODE)).await, Reason::WordsDiffer);
    assert!(strasbourg.book.view().member(&id("de-kehl")).is_none());
}

/// Somebody on the way to the inviter, or one that is wrong: what is said to the applicant is another thing.
struct Between<'a> {
    door: Knock<'a>,
    nonce: fn(Nonce) -> Nonce,
    /// What is given out as the genesis statement, instead of the right one.
    genesis: Option<Bytes>,
    /// What is said of the progress, instead of asking.
    progress: Option<&'a (dyn Fn() -> Progress + Sync)>,
}

impl JoinClient for Between<'_> {
    fn commit(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        c: Digest,
    ) -> BoxFuture<'_, Result<(Nonce, Bytes), JoinCallError>> {
        let altered = |(nonce, genesis)| ((self.nonce)(nonce), self.genesis.clone().unwrap_or(genesis));
        async move { self.door.commit(id, secret, c).await.map(altered) }.boxed()
    }
    fn reveal(
        &self,
        id: InvitationId,
        s: [u8; 16],
        n: Nonce,
        a: Bytes,
    ) -> BoxFuture<'_, Result<Digest, JoinCallError>> {
        self.door.reveal(id, s, n, a)
    }
    fn watch(
        &self,
        id: InvitationId,
        s: [u8; 16],
        known: Option<Progress>,
    ) -> BoxFuture<'_, Result<Progress, JoinCallError>> {
        match self.progress {
            Some(said) => std::future::ready(Ok(said())).boxed(),
            None => self.door.watch(id, s, known),
        }
    }
    fn withdraw(&self, id: InvitationId, s: [u8; 16], w: Option<Bytes>) -> BoxFuture<'_, Result<(), JoinCallError>> {
        self.door.withdraw(id, s, w)
    }
}

/// He lies about the inviter's nonce on the way: the answer to the reveal then fits no words of Kehl's.
#[tokio::test]
async fn an_altered_answer_stops_the_applicant() {
    let city = city(1).await;
    let dir = tempfile::tempdir().unwrap();
    let mut applicant = applicant(dir.path(), &invited(&city).await.token, 9);
    let liar = Between { door: door(&city, 9), nonce: |_| Nonce([13; 32]), genesis: None, progress: None };
    applicant.step(&liar).await.unwrap();
    assert_eq!(applicant.step(&liar).await.unwrap(), Next::Stop(Reason::InvitationBurnt));
}

/// The token names the federation by the hash of its founding statement, which the inviter's node gives.
#[tokio::test]
async fn a_founding_statement_of_another_federation_stops_the_applicant_before_it_reveals() {
    let city = city(1).await;
    let another = proto::Statement { nonce: Bytes::from_static(b"another"), ..Default::default() };
    let another = signed::sign(&NO_FEDERATION, &another, &[&new_key()]).encode_to_vec().into();
    for genesis in [another, Bytes::new()] {
        let empty = genesis.is_empty();
        let dir = tempfile::tempdir().unwrap();
        let mut applicant = applicant(dir.path(), &invited(&city).await.token, 9);
        let liar = Between { door: door(&city, 9), nonce: |nonce| nonce, genesis: Some(genesis), progress: None };
        let stopped = applicant.step(&liar).await.unwrap();
        let reason = if empty { Reason::DecodeFailed } else { Reason::WrongFederation };
        assert_eq!(stopped, Next::Stop(reason));
        assert_eq!(applicant.applying().genesis, Bytes::new());
    }
    let dir = tempfile::tempdir().unwrap();
    let mut applicant = applicant(dir.path(), &invited(&city).await.token, 9);
    applicant.step(&door(&city, 9)).await.unwrap();
    assert_eq!(applicant.joined().genesis, city.book.genesis());
}

/// It answers at once, and with another count of approvals each time.
#[tokio::test]
async fn an_inviter_with_news_at_every_moment_is_asked_once_a_second() {
    let asked = AtomicU32::new(0);
    let said = || {
        let approvals = asked.fetch_add(1, Ordering::Relaxed);
        assert!(approvals < 100, "it is asked again at once");
        Progress { approvals, ..Progress::NEW }
    };
    let city = city(1).await;
    let dir = tempfile::tempdir().unwrap();
    let mut applicant = applicant(dir.path(), &invited(&city).await.token, 9);
    let restless = Between { door: door(&city, 9), nonce: |nonce| nonce, genesis: None, progress: Some(&said) };
    let asking = applicant.run(&restless, |_, _| {});
    assert!(tokio::time::timeout(Duration::from_millis(2_500), asking).await.is_err(), "nothing is decided");
    let asked = asked.load(Ordering::Relaxed);
    assert!((1..=3).contains(&asked), "{asked}");
}

#[test]
fn tokens_are_short_and_verify_or_are_refused_by_their_damaged_part() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let city = runtime.block_on(city(1));
    let text = runtime.block_on(invited(&city)).token;
    assert!(text.starts_with("hl1") && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    assert!(text.len() < 450, "{} characters", text.len());
    let mailed =
        format!("Bonjour,\r\n> {}\r\n> \r\nà bientôt", mailed::lines(&text).replace('\n', " \r\n> ").to_uppercase());
    let (read, whole) = (wire::parse_token(&mailed).unwrap(), wire::parse_token(&text).unwrap());
    assert_eq!((read.invitation, read.text), (whole.invitation, text.clone()));
    let mut altered = text.clone();
    altered.replace_range(80..81, if &text[80..81] == "a" { "b" } else { "a" });
    let bad = [
        ("", "begins with hl1"),
        ("hl1", "first line"),
        ("hl2abc", "begins with hl1"),
        (&text[..text.len() - 8], "cut off"),
        (&altered, "line 2 of"),
        ("hl1!!!", "first line"),
    ];
    for (bad, part) in bad {
        let refused = wire::parse_token(bad).unwrap_err();
        assert_eq!(refused.reason, Reason::InvitationInvalid, "{bad}");
        assert!(refused.detail.contains(part), "{bad}: {}", refused.detail);
    }
}

/// Its checks are right, and what it says was changed: whom it is for, and where the inviter is.
#[test]
fn a_token_that_somebody_altered_on_the_way_is_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let city = runtime.block_on(city(1));
    let text = runtime.block_on(invited(&city)).token;
    let bytes = mailed::read("hl1", &text).unwrap();
    for (was, is) in [("strasbourg.example", "elsewhere1.example"), ("de-kehl", "de-koln")] {
        let at = bytes.windows(was.len()).position(|found| found == was.as_bytes()).unwrap();
        let mut altered = bytes.clone();
        altered[at..at + is.len()].copy_from_slice(is.as_bytes());
        let refused = wire::parse_token(&mailed::write("hl1", &altered).unwrap()).unwrap_err();
        assert_eq!(refused.reason, Reason::InvitationInvalid);
        assert!(refused.detail.contains("signature"), "{}", refused.detail);
    }
}

#[test]
fn words_never_stand_in_what_the_approver_lists() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let city = runtime.block_on(city(1));
    let dir = tempfile::tempdir().unwrap();
    let applicant = runtime.block_on(applied(&city, dir.path()));
    let shown = format!("{:?}", runtime.block_on(city.inviter.applications()).unwrap());
    let words = Words::parse(&words(&applicant)).unwrap().to_string();
    assert!(!shown.contains(&words));
    assert_eq!(applicant.applying().next(), Next::Watch);
    let waiting = ApplicationState::NeedsApproval;
    assert_eq!(waiting.name(), "NEEDS_APPROVAL");
}

/// A certificate that is made under a wrong clock is good at other times: the difference is said before anything is stored.
#[tokio::test]
async fn an_applicant_hears_by_how_much_its_clock_is_wrong_and_may_come_again() {
    let city = city(1).await;
    let made = invited(&city).await;
    let token = wire::parse_token(&made.token).unwrap();
    let (id, now) = (token.invitation.id, city.clock.now());
    let (inviter, one) = (&city.inviter, Digest([3; 32]));
    let at =
        |secret: [u8; 16], said: UnixMs| async move { inviter.commit(id, &secret, one, tls_pin(9), Some(said)).await };
    for (off, words) in [(Millis(259_200_900), "259200 s ahead of"), (Millis(-3_600_000), "3600 s behind")] {
        let told = at(token.secret, now + off).await.unwrap_err();
        assert_eq!(told.reason(), Reason::ClockDiffers);
        assert!(told.to_string().contains(words), "{told}");
    }
    assert_eq!(
        refusal(at([0; 16], now + Millis::days(3))).await,
        Reason::InvitationUnknown,
        "who has no token learns nothing"
    );
    assert_eq!(city.inviter.list().await.unwrap()[0].summary.as_ref().unwrap().state, InvitationState::Open);
    at(token.secret, now + Millis::minutes(4)).await.unwrap();

    // Before it calls anybody: the token is younger than this clock allows.
    let early = Applicant::check(&token, None, now - Millis(259_200_900)).unwrap_err();
    assert_eq!(early.reason(), Reason::ClockDiffers);
    assert!(early.to_string().contains("259200 s behind"), "{early}");
    assert!(Applicant::check(&token, None, now - Millis::minutes(4)).is_ok());
}

/// The door closes on connections that prove nothing; an answer that waits for the decision must not look like one.
#[tokio::test]
async fn an_applicant_is_known_before_its_answer_comes_and_nobody_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let city = city(1).await;
    let applicant = applied(&city, dir.path()).await;
    let (id, secret) = (applicant.token().invitation.id, applicant.token().secret);
    let known = applicant.applying().progress();
    let is_known = AtomicBool::new(false);
    let told = || is_known.store(true, Ordering::Relaxed);
    let long = Duration::from_secs(3_600);
    let stranger = city.inviter.watch(id, &secret, tls_pin(8), known, long, told).await;
    assert_eq!(stranger.unwrap_err().reason(), Reason::InvitationUsed);
    assert!(!is_known.load(Ordering::Relaxed));
    let mut waiting = Box::pin(city.inviter.watch(id, &secret, tls_pin(9), known, long, told));
    let until_known = async {
        while !is_known.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answered = &mut waiting => panic!("nothing is decided: {answered:?}"),
        () = until_known => {}
    }
    city.inviter.reject(&super::id("de-kehl"), RejectionReason::NoLegalBasis, Actor::NODE).await.unwrap();
    assert_eq!(waiting.await.unwrap().state, ApplicationState::Rejected);
}
