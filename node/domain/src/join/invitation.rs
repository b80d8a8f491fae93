//! An invitation at its inviter: OPEN → COMMITTED → USED, or BURNT, REVOKED, EXPIRED; and the application that used it.

use bytes::Bytes;

use super::{ApplicationState, InvitationState, Nonce, Transcript, Words, commitment, pins_digest};
use crate::authority::PublicKey;
use crate::ids::{AuthorityId, Digest, FederationId, InvitationId, Pin, StatementId};
use crate::limits;
use crate::reason::Reason;
use crate::register::RejectionReason;
use crate::time::UnixMs;

/// What the inviter signed; the token carries it with the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// SHA-256 of the signed payload.
    pub id: InvitationId,
    pub federation: FederationId,
    pub inviter: AuthorityId,
    pub inviter_key: PublicKey,
    pub inviter_pins: Vec<Pin>,
    pub inviter_endpoints: Vec<String>,
    pub intended_for: AuthorityId,
    pub created: UnixMs,
    pub expires: UnixMs,
    /// SHA-256 of the secret that the token carries.
    pub secret_digest: Digest,
    /// The rules in force when it was made.
    pub rules_version: u32,
    /// Version of the intended authority's entry: 0, unless it was a member once.
    pub entry_version: u64,
}

/// The applicant's own entry statement at version 0: whose key signed it was verified when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The encoded `Signed`.
    pub signed: Bytes,
    pub federation: FederationId,
    pub authority: AuthorityId,
    pub key: PublicKey,
    pub pins: Vec<Pin>,
    /// The version of its entry that it names.
    pub entry_version: u64,
}

/// What a commitment left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub commitment: Digest,
    pub nonce_i: Nonce,
    /// Pin of the connection that committed; nobody else can reveal.
    pub pin: Pin,
}

/// An application that passed the reveal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub committed: Committed,
    pub nonce_a: Nonce,
    pub application: Application,
    /// Of the transcript; the words come from it. Never shown on the approver's side.
    pub words_digest: Digest,
    pub received: UnixMs,
    pub failed_words: u32,
    pub state: ApplicationState,
    pub rejection: Option<RejectionReason>,
    /// The decision proposed by the approver.
    pub proposal: Option<StatementId>,
}

/// Where an invitation stands. That it expired is judged by the clock, not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    Committed(Committed),
    Used(Box<Received>),
    Burnt,
    Revoked,
}

/// An invitation as its inviter holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldInvitation {
    pub invitation: Invitation,
    /// The encoded `Signed` invitation.
    pub signed: Bytes,
    pub state: State,
}

/// What the applicant reveals.
#[derive(Clone, Debug)]
pub struct Reveal {
    pub nonce_a: Nonce,
    pub application: Application,
    /// Pin of the connection.
    pub pin: Pin,
}

/// What a reveal led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Revealed {
    /// Store this; the application waits for approval.
    Accepted(HeldInvitation),
    /// The same reveal again: the same answer, nothing to store.
    Again(Digest),
    /// Store this; the invitation is burnt.
    Burnt(HeldInvitation, Reason),
    /// Nothing changes; the reason goes to the applicant.
    Refused(Reason),
}

/// What the typed words led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Compared {
    /// The words are those of the transcript.
    Equal,
    /// Store this; the reason says whether another try is left.
    Different(Box<HeldInvitation>, Reason),
}

impl HeldInvitation {
    /// One that nobody has used yet.
    pub fn open(invitation: Invitation, signed: Bytes) -> Self {
        Self { invitation, signed, state: State::Open }
    }

    /// The state at an instant.
    pub fn state_at(&self, now: UnixMs) -> InvitationState {
        match &self.state {
            State::Open | State::Committed(_) if now >= self.invitation.expires => InvitationState::Expired,
            State::Open => InvitationState::Open,
            State::Committed(_) => InvitationState::Committed,
            // Three wrong words close it for good, like a reveal that does not fit.
            State::Used(received) if received.rejection == Some(RejectionReason::WordsDiffer) => InvitationState::Burnt,
            State::Used(_) => InvitationState::Used,
            State::Burnt => InvitationState::Burnt,
            State::Revoked => InvitationState::Revoked,
        }
    }

    /// Whether the caller holds the token.
    pub fn admits(&self, secret: &[u8]) -> bool {
        Digest::of(secret) == self.invitation.secret_digest
    }

    /// What was committed to it, and by whom; nothing before, and nothing once it is burnt or revoked.
    pub fn committed(&self) -> Option<&Committed> {
        match &self.state {
            State::Committed(committed) => Some(committed),
            State::Used(received) => Some(&received.committed),
            State::Open | State::Burnt | State::Revoked => None,
        }
    }

    /// The application, once revealed.
    pub fn received(&self) -> Option<&Received> {
        match &self.state {
            State::Used(received) => Some(received),
            _ => None,
        }
    }

    /// Why a step is not possible in the present state.
    fn closed(&self, now: UnixMs) -> Reason {
        match self.state_at(now) {
            InvitationState::Burnt => Reason::InvitationBurnt,
            InvitationState::Revoked => Reason::InvitationRevoked,
            InvitationState::Expired => Reason::InvitationExpired,
            InvitationState::Used | InvitationState::Committed | InvitationState::Open => Reason::InvitationUsed,
        }
    }

    /// Takes the one commitment. The same one again changes nothing and gets the same nonce.
    ///
    /// # Errors
    /// The reason why the invitation takes no commitment, or no other one.
    pub fn commit(&self, digest: Digest, pin: Pin, fresh: Nonce, now: UnixMs) -> Result<(Option<Self>, Nonce), Reason> {
        match (&self.state, self.state_at(now)) {
            (_, InvitationState::Open) => {
                let state = State::Committed(Committed { commitment: digest, nonce_i: fresh, pin });
                Ok((Some(Self { state, ..self.clone() }), fresh))
            }
            (State::Committed(c), InvitationState::Committed) if c.commitment == digest && c.pin == pin => {
                Ok((None, c.nonce_i))
            }
            _ => Err(self.closed(now)),
        }
    }

    /// Takes the one reveal. One by the side that committed which does not fit burns the invitation.
    pub fn reveal(&self, reveal: &Reveal, now: UnixMs) -> Revealed {
        let committed = match (&self.state, self.state_at(now)) {
            (State::Committed(c), InvitationState::Committed) => c,
            (State::Used(r), _)
                if r.committed.pin == reveal.pin
                    && r.nonce_a == reveal.nonce_a
                    && r.application.signed == reveal.application.signed =>
            {
                return Revealed::Again(r.words_digest);
            }
            // Without a commitment the words would mean nothing.
            (State::Open, InvitationState::Open) => return self.burn(Reason::InvitationBurnt),
            _ => return Revealed::Refused(self.closed(now)),
        };
        if committed.pin != reveal.pin {
            return Revealed::Refused(Reason::InvitationUsed);
        }
        if let Err(reason) = self.fits(committed, reveal) {
            return self.burn(reason);
        }
        let words_digest = self.transcript(committed, reveal).digest();
        let received = Received {
            committed: committed.clone(),
            nonce_a: reveal.nonce_a,
            application: reveal.application.clone(),
            words_digest,
            received: now,
            failed_words: 0,
            state: ApplicationState::NeedsApproval,
            rejection: None,
            proposal: None,
        };
        Revealed::Accepted(self.with_application(received))
    }

    fn fits(&self, committed: &Committed, reveal: &Reveal) -> Result<(), Reason> {
        let (invitation, application) = (&self.invitation, &reveal.application);
        let opened = commitment(&reveal.nonce_a, &application.key, &reveal.pin);
        if opened != committed.commitment || !application.pins.contains(&reveal.pin) {
            return Err(Reason::InvitationBurnt);
        }
        if application.federation != invitation.federation {
            return Err(Reason::WrongFederation);
        }
        if application.authority == invitation.inviter || application.key == invitation.inviter_key {
            return Err(Reason::InvitationSwapped);
        }
        if application.authority != invitation.intended_for {
            return Err(Reason::InvitationOtherAuthority);
        }
        if application.entry_version != invitation.entry_version {
            return Err(Reason::StaleVersion);
        }
        Ok(())
    }

    fn transcript(&self, committed: &Committed, reveal: &Reveal) -> Transcript {
        Transcript {
            federation: self.invitation.federation,
            invitation: self.invitation.id,
            inviter_key: self.invitation.inviter_key,
            applicant_key: reveal.application.key,
            inviter_pins: pins_digest(&self.invitation.inviter_pins),
            applicant_pin: reveal.pin,
            nonce_a: reveal.nonce_a,
            nonce_i: committed.nonce_i,
        }
    }

    /// The invitation after a reveal that failed for this reason.
    pub fn burn(&self, reason: Reason) -> Revealed {
        Revealed::Burnt(Self { state: State::Burnt, ..self.clone() }, reason)
    }

    /// Whether a reveal from this connection would be the one reveal.
    pub fn awaits_reveal_from(&self, pin: &Pin, now: UnixMs) -> bool {
        matches!(&self.state, State::Committed(c) if c.pin == *pin) && self.state_at(now) == InvitationState::Committed
    }

    /// Takes the invitation back.
    ///
    /// # Errors
    /// When it is used, burnt, revoked or expired already.
    pub fn revoke(&self, now: UnixMs) -> Result<Self, Reason> {
        match self.state_at(now) {
            InvitationState::Open | InvitationState::Committed => Ok(Self { state: State::Revoked, ..self.clone() }),
            _ => Err(self.closed(now)),
        }
    }

    /// Compares typed words with those of the transcript; the third failure closes the application.
    ///
    /// # Errors
    /// When no application waits here.
    pub fn compare(&self, typed: &Words) -> Result<Compared, Reason> {
        let received = self.received().ok_or(Reason::ApplicationUnknown)?;
        if received.rejection == Some(RejectionReason::WordsDiffer) {
            return Err(Reason::WordsFailed);
        }
        if received.state != ApplicationState::NeedsApproval {
            return Err(Reason::ApplicationUnknown);
        }
        if Words::of(&received.words_digest) == *typed {
            return Ok(Compared::Equal);
        }
        let mut after = received.clone();
        after.failed_words += 1;
        if after.failed_words < limits::WRONG_WORDS {
            return Ok(Compared::Different(Box::new(self.with_application(after)), Reason::WordsDiffer));
        }
        after.state = ApplicationState::Rejected;
        after.rejection = Some(RejectionReason::WordsDiffer);
        Ok(Compared::Different(Box::new(self.with_application(after)), Reason::WordsFailed))
    }

    /// The same invitation with its application changed.
    pub fn with_application(&self, received: Received) -> Self {
        Self { state: State::Used(Box::new(received)), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::entrance::{Callers, Entrance};
    use super::super::tests::key;
    use super::*;

    const NOW: UnixMs = UnixMs(1_000);
    const PIN: Pin = Pin([4; 32]);

    fn id(text: &str) -> AuthorityId {
        AuthorityId::parse(text).unwrap()
    }

    fn held() -> HeldInvitation {
        let invitation = Invitation {
            id: InvitationId([1; 32]),
            federation: FederationId([2; 32]),
            inviter: id("fr-strasbourg"),
            inviter_key: key(1),
            inviter_pins: vec![Pin([3; 32])],
            inviter_endpoints: vec!["strasbourg.example:7443".into()],
            intended_for: id("de-kehl"),
            created: UnixMs(0),
            expires: UnixMs(10_000),
            secret_digest: Digest::of(b"secret"),
            rules_version: 1,
            entry_version: 0,
        };
        HeldInvitation::open(invitation, Bytes::new())
    }

    fn reveal(change: impl FnOnce(&mut Reveal)) -> Reveal {
        let application = Application {
            signed: Bytes::from_static(b"application"),
            federation: FederationId([2; 32]),
            authority: id("de-kehl"),
            key: key(5),
            pins: vec![PIN],
            entry_version: 0,
        };
        let mut reveal = Reveal { nonce_a: Nonce([6; 32]), application, pin: PIN };
        change(&mut reveal);
        reveal
    }

    fn committed(to: &Reveal) -> HeldInvitation {
        let digest = commitment(&to.nonce_a, &to.application.key, &to.pin);
        held().commit(digest, to.pin, Nonce([7; 32]), NOW).unwrap().0.unwrap()
    }

    fn used() -> HeldInvitation {
        let reveal = reveal(|_| ());
        match committed(&reveal).reveal(&reveal, NOW) {
            Revealed::Accepted(held) => held,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_commitment_and_its_repetition() {
        let first = committed(&reveal(|_| ()));
        let digest = commitment(&Nonce([6; 32]), &key(5), &PIN);
        assert_eq!(first.commit(digest, PIN, Nonce([9; 32]), NOW), Ok((None, Nonce([7; 32]))), "the first nonce stays");
        let other = Digest([0; 32]);
        assert_eq!(first.commit(other, PIN, Nonce([9; 32]), NOW), Err(Reason::InvitationUsed));
        assert_eq!(first.commit(digest, Pin([8; 32]), Nonce([9; 32]), NOW), Err(Reason::InvitationUsed));
    }

    #[test]
    fn a_fitting_reveal_is_taken_once_and_answered_again() {
        let held = used();
        let digest = held.received().unwrap().words_digest;
        assert_eq!(held.reveal(&reveal(|_| ()), NOW), Revealed::Again(digest));
        let other = reveal(|r| r.application.signed = Bytes::from_static(b"other"));
        assert_eq!(held.reveal(&other, NOW), Revealed::Refused(Reason::InvitationUsed));
        assert_eq!(held.state_at(UnixMs(99_999)), InvitationState::Used, "a used one does not expire");
    }

    #[test]
    fn each_failed_reveal_burns_with_its_own_reason() {
        type Change = fn(&mut Reveal);
        let after_commit: [(Change, Reason); 2] = [
            (|r| r.nonce_a = Nonce([66; 32]), Reason::InvitationBurnt),
            (|r| r.application.key = key(66), Reason::InvitationBurnt),
        ];
        for (change, reason) in after_commit {
            let outcome = committed(&reveal(|_| ())).reveal(&reveal(change), NOW);
            assert!(
                matches!(outcome, Revealed::Burnt(ref h, r) if r == reason && h.state == State::Burnt),
                "{outcome:?}"
            );
        }
        let from_the_start: [(Change, Reason); 5] = [
            (|r| r.application.pins.clear(), Reason::InvitationBurnt),
            (|r| r.application.federation = FederationId([66; 32]), Reason::WrongFederation),
            (|r| r.application.authority = id("fr-strasbourg"), Reason::InvitationSwapped),
            (|r| r.application.key = key(1), Reason::InvitationSwapped),
            (|r| r.application.authority = id("be-liege"), Reason::InvitationOtherAuthority),
        ];
        for (change, reason) in from_the_start {
            let reveal = reveal(change);
            let outcome = committed(&reveal).reveal(&reveal, NOW);
            assert!(matches!(outcome, Revealed::Burnt(_, r) if r == reason), "{reason}: {outcome:?}");
        }
        let Revealed::Burnt(burnt, _) = held().reveal(&reveal(|_| ()), NOW) else { panic!("no commitment, no words") };
        assert_eq!(burnt.reveal(&reveal(|_| ()), NOW), Revealed::Refused(Reason::InvitationBurnt));
        assert_eq!(burnt.commit(Digest([0; 32]), PIN, Nonce([0; 32]), NOW), Err(Reason::InvitationBurnt));
    }

    #[test]
    fn another_connection_cannot_reveal_nor_burn() {
        let held = committed(&reveal(|_| ()));
        let stranger = reveal(|r| r.pin = Pin([66; 32]));
        assert_eq!(held.reveal(&stranger, NOW), Revealed::Refused(Reason::InvitationUsed));
        assert!(!held.awaits_reveal_from(&stranger.pin, NOW));
    }

    #[test]
    fn once_it_is_used_the_door_is_for_the_one_who_used_it() {
        let (held, applicant, stranger) = (used(), PIN, Pin([66; 32]));
        let entrance = |at: UnixMs| Entrance::of([&held].into_iter(), at);
        assert!(entrance(NOW).admits(&stranger), "a second one hears that it is used");
        let later = NOW + limits::JOIN_GRACE;
        assert!(entrance(later).admits(&applicant) && !entrance(later).admits(&stranger));
        assert!(entrance(later).is_open() && !entrance(NOW + limits::APPLICATION_LIFE).is_open());
    }

    #[test]
    fn time_and_the_inviter_end_it() {
        let late = UnixMs(10_000);
        assert_eq!(held().commit(Digest([0; 32]), PIN, Nonce([0; 32]), late), Err(Reason::InvitationExpired));
        let r = reveal(|_| ());
        assert_eq!(committed(&r).reveal(&r, late), Revealed::Refused(Reason::InvitationExpired));
        let revoked = committed(&r).revoke(NOW).unwrap();
        assert_eq!(revoked.reveal(&r, NOW), Revealed::Refused(Reason::InvitationRevoked));
        assert_eq!(revoked.revoke(NOW), Err(Reason::InvitationRevoked));
        assert_eq!(used().revoke(NOW), Err(Reason::InvitationUsed));
        let callers = [revoked.callers(NOW), held().callers(NOW), held().callers(late)];
        assert_eq!(callers, [Callers::Nobody, Callers::Anybody, Callers::Nobody]);
    }

    #[test]
    fn three_wrong_words_close_the_application() {
        let mut held = used();
        let right = Words::of(&held.received().unwrap().words_digest);
        let wrong = Words::parse("zoo zoo zoo zoo zoo zoo").unwrap();
        for reason in [Reason::WordsDiffer, Reason::WordsDiffer, Reason::WordsFailed] {
            assert_eq!(held.compare(&right), Ok(Compared::Equal));
            let Ok(Compared::Different(next, told)) = held.compare(&wrong) else { panic!() };
            assert_eq!(told, reason);
            held = *next;
        }
        assert_eq!(held.compare(&right), Err(Reason::WordsFailed));
        assert_eq!(held.received().unwrap().state, ApplicationState::Rejected);
        assert_eq!(held.state_at(NOW), InvitationState::Burnt, "a list must not say that somebody joined with it");
    }
}
