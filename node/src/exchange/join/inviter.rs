//! The inviter: makes invitations, answers at the door for strangers, tells the applicant how it stands.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::admissions::{Admission, Admissions, JoinStep};
use super::{Error, invitation_idempotency, random};
use crate::clock::SharedClock;
use crate::domain::audit::{AuditAct, AuditDraft};
use crate::domain::authority::MemberStatus;
use crate::domain::ids::{AuthorityId, Digest, InvitationId, Pin};
use crate::domain::join::applicant::Progress;
use crate::domain::join::invitation::Received;
use crate::domain::join::{
    ApplicationState, Entrance, HeldInvitation, Invitation, InvitationState, Nonce, Reveal, Revealed,
};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::context::{Call, Table, Unreadable, note};
use crate::storage::Store;
use crate::storage::ops::{Expect, Put, Write, Written};
use crate::telemetry::journal::{Entry, Event};
use crate::wire::keys::SigningKey;
use crate::wire::{invitation as wire, joining};

/// An invitation just made. The token is shown once; only its secret's digest is kept.
#[derive(Clone, Debug)]
pub struct Created {
    pub id: InvitationId,
    pub token: String,
    pub expires: UnixMs,
}

/// An invitation in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: InvitationId,
    /// If the stored row can be read.
    pub summary: Result<Summary, Unreadable>,
}

/// What a list shows of an invitation.
#[derive(Clone, Debug)]
pub struct Summary {
    pub intended_for: AuthorityId,
    pub expires: UnixMs,
    pub state: InvitationState,
}

/// Joining, on the side that is a member already. Clones share it.
#[derive(Clone)]
pub struct Inviter(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) authority: AuthorityId,
    pub(super) key: Box<dyn Fn() -> Arc<SigningKey> + Send + Sync>,
    pub(super) store: Arc<dyn Store>,
    pub(super) register: Arc<dyn Admissions>,
    pub(super) clock: SharedClock,
    /// Whom the door for strangers lets in.
    gate: watch::Sender<Entrance>,
    /// One look at the invitations at a time: what an older one saw must not be set after a newer one.
    looking: tokio::sync::Mutex<()>,
    /// Rises with every change of an invitation here.
    news: watch::Sender<u64>,
    /// Two equal calls are one after the other.
    making: tokio::sync::Mutex<()>,
    /// One at a time proposes an admission or takes an application back: what a withdrawal looked at is still so when
    /// it is stored.
    pub(super) deciding: tokio::sync::Mutex<()>,
}

/// What one look at a stored invitation wants stored.
pub(super) struct Step<T> {
    /// `None`: nothing changes.
    pub(super) store: Option<HeldInvitation>,
    pub(super) audit: Vec<AuditDraft>,
    pub(super) answer: Result<T, Reason>,
}

impl<T> Step<T> {
    pub(super) fn unchanged(answer: Result<T, Reason>) -> Self {
        Self { store: None, audit: Vec::new(), answer }
    }
}

impl Inviter {
    /// `key` gives the authority's current signing key. Call `refresh_gate` once before the door is used.
    pub fn new(
        authority: AuthorityId,
        key: impl Fn() -> Arc<SigningKey> + Send + Sync + 'static,
        store: Arc<dyn Store>,
        register: Arc<dyn Admissions>,
        clock: SharedClock,
    ) -> Self {
        let (gate, _) = watch::channel(Entrance::default());
        let (news, _) = watch::channel(0);
        let key = Box::new(key);
        let (looking, making, deciding) = Default::default();
        Self(Arc::new(Inner { authority, key, store, register, clock, gate, looking, news, making, deciding }))
    }

    /// Whom the door for strangers lets in: anybody while an invitation can be used, then who used it.
    pub fn gate(&self) -> watch::Receiver<Entrance> {
        self.0.gate.subscribe()
    }

    /// Looks at all invitations and opens or closes the door. A pass: expiry alone wakes nobody.
    ///
    /// # Errors
    /// When the store cannot be read; the door stays as it was.
    pub async fn refresh_gate(&self) -> Result<(), Error> {
        let _looking = self.0.looking.lock().await;
        let now = self.0.clock.now();
        let entrance = Entrance::of(self.all().await?.iter(), now);
        self.0.gate.send_if_modified(|was| {
            let changed = *was != entrance;
            *was = entrance;
            changed
        });
        Ok(())
    }

    /// Makes an invitation for exactly one authority. The same call again gets the same token.
    ///
    /// # Errors
    /// `REQUEST_ID_REUSED`, `ALREADY_MEMBER`, `INVITATION_SWAPPED` for this authority itself, `FIELD_INVALID` for a life over 14 days, or
    /// when this node has no place in the register yet.
    pub async fn create(&self, intended_for: AuthorityId, life: Millis, call: &Call) -> Result<Created, Error> {
        let inner = &*self.0;
        // Two equal calls at once are one after the other.
        let _making = inner.making.lock().await;
        let now = inner.clock.now();
        if let Some(first) = self.created_before(call, now).await? {
            return Ok(first);
        }
        let life = if life.0 == 0 { limits::INVITATION_LIFE } else { life };
        if life.0 < 0 || life > limits::INVITATION_LIFE_MAX {
            return Err(crate::wire::Error::invalid("expires_in_ms", "at most 14 days").into());
        }
        if intended_for == inner.authority {
            return Err(Reason::InvitationSwapped.into());
        }
        let view = inner.register.view();
        if matches!(view.status(&intended_for, now), MemberStatus::Active | MemberStatus::Suspended) {
            return Err(Reason::AlreadyMember.into());
        }
        let own = view.member(&inner.authority).ok_or(Reason::NotJoined)?;
        let key = (inner.key)();
        let secret = invitation_idempotency::secret(call, &view.federation, now, &key);
        let invitation = Invitation {
            id: InvitationId([0; 32]),
            federation: view.federation,
            inviter: inner.authority.clone(),
            inviter_key: key.public(),
            inviter_pins: own.entry.pins.iter().filter(|p| now < p.valid_until).map(|p| p.pin).collect(),
            inviter_endpoints: own.entry.endpoints.clone(),
            intended_for: intended_for.clone(),
            created: now,
            expires: now + life,
            secret_digest: Digest::of(&secret),
            rules_version: view.policy.rules_version,
            entry_version: view.member(&intended_for).map_or(0, |m| m.version),
        };
        let (invitation, signed) = wire::sign(invitation, &key);
        let token = wire::token_text(&signed, &secret)?;
        let (id, expires) = (invitation.id, invitation.expires);
        let audit = AuditDraft {
            actor: call.actor,
            counterparty: Some(intended_for),
            ..AuditDraft::by_node(AuditAct::MemberInvited)
        };
        let held = joining::encode_held(&HeldInvitation::open(invitation, signed));
        let write = Write {
            expects: vec![Expect::Invitation(id, None)],
            puts: vec![Put::Invitation(id, held), invitation_idempotency::made(call, id, now)],
            audit: vec![audit],
            ..Write::default()
        };
        inner.store.write(write.into()).await?;
        self.changed().await?;
        Ok(Created { id, token, expires })
    }

    /// All invitations of this node, newest last; before them those that cannot be read, with why.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn list(&self) -> Result<Vec<Listed>, Error> {
        let now = self.0.clock.now();
        let mut all = self.reloaded().await?;
        all.sort_by_key(|(_, held)| held.as_ref().map_or(UnixMs(0), |held| held.invitation.created));
        let listed = |(id, held): (InvitationId, Result<HeldInvitation, Unreadable>)| {
            let summary = held.map(|held| Summary {
                intended_for: held.invitation.intended_for.clone(),
                expires: held.invitation.expires,
                state: held.state_at(now),
            });
            Listed { id, summary }
        };
        Ok(all.into_iter().map(listed).collect())
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// The reason why it cannot be revoked any more.
    pub async fn revoke(&self, id: InvitationId) -> Result<(), Error> {
        let now = self.0.clock.now();
        self.step(&id, |held| match held.revoke(now) {
            Ok(after) => Step { store: Some(after), audit: Vec::new(), answer: Ok(()) },
            Err(reason) => Step::unchanged(Err(reason)),
        })
        .await
    }

    /// The genesis statement of the federation, encoded `Signed`: what an invitation names by its hash.
    pub fn genesis(&self) -> Bytes {
        self.0.register.genesis()
    }

    /// The applicant commits. `pin` is that of its connection.
    ///
    /// # Errors
    /// `INVITATION_UNKNOWN` for an unknown id and for a wrong secret alike; `CLOCK_DIFFERS` when the time that the applicant
    /// said is off by more than five minutes; otherwise why no commitment is taken.
    pub async fn commit(
        &self,
        id: InvitationId,
        secret: &[u8],
        commitment: Digest,
        pin: Pin,
        said: Option<UnixMs>,
    ) -> Result<Nonce, Error> {
        let fresh = Nonce(random()?);
        let now = self.0.clock.now();
        if let Some(ahead) = said.map(|said| said.since(now))
            && (ahead.0.abs() > limits::CLOCK_STOP.0)
            && self.held(&id).await?.is_some_and(|held| held.admits(secret))
        {
            return Err(Error::Clock(ahead));
        }
        self.step(&id, |held| {
            if !held.admits(secret) {
                return Step::unchanged(Err(Reason::InvitationUnknown));
            }
            match held.commit(commitment, pin, fresh, now) {
                Ok((store, nonce)) => Step { store, audit: Vec::new(), answer: Ok(nonce) },
                Err(reason) => Step::unchanged(Err(reason)),
            }
        })
        .await
    }

    /// The applicant reveals, once; the answer is the digest of the transcript.
    ///
    /// # Errors
    /// As `commit`; a reveal that does not fit burns the invitation and says why.
    pub async fn reveal(
        &self,
        id: InvitationId,
        secret: &[u8],
        nonce_a: Nonce,
        application: Bytes,
        pin: Pin,
    ) -> Result<Digest, Error> {
        let now = self.0.clock.now();
        let opened = wire::open_application(application);
        let mut arrived = None;
        let revealed = self
            .step(&id, |held| {
                if !held.admits(secret) {
                    return Step::unchanged(Err(Reason::InvitationUnknown));
                }
                let revealed = match &opened {
                    Ok(application) => held.reveal(&Reveal { nonce_a, application: application.clone(), pin }, now),
                    Err(error) if held.awaits_reveal_from(&pin, now) => held.burn(error.reason),
                    Err(error) => Revealed::Refused(error.reason),
                };
                match revealed {
                    Revealed::Accepted(after) => {
                        let digest = after.received().map(|r| r.words_digest).ok_or(Reason::Internal);
                        arrived = Some(held.invitation.intended_for.clone());
                        Step { store: Some(after), audit: Vec::new(), answer: digest }
                    }
                    Revealed::Again(digest) => Step::unchanged(Ok(digest)),
                    Revealed::Burnt(after, reason) => {
                        Step { store: Some(after), audit: Vec::new(), answer: Err(reason) }
                    }
                    Revealed::Refused(reason) => Step::unchanged(Err(reason)),
                }
            })
            .await?;
        arrived.iter().for_each(|who| Entry::about(Event::ApplicationReceived, who).tell());
        Ok(revealed)
    }

    /// Where the application stands. If that is what the caller knows already, waits up to `wait` for something else.
    /// `pin` is that of the connection: an application is told to nobody but its applicant. `known_caller` is called as soon
    /// as it is clear that it is: the answer may take as long as the decision.
    ///
    /// # Errors
    /// As `commit`, `INVITATION_USED` for another pin than the one that committed, and `APPLICATION_UNKNOWN` before a
    /// reveal.
    pub async fn watch(
        &self,
        id: InvitationId,
        secret: &[u8],
        pin: Pin,
        known: Option<Progress>,
        wait: Duration,
        known_caller: impl FnOnce() + Send,
    ) -> Result<Progress, Error> {
        let mut news = self.0.news.subscribe();
        let mut changes = self.0.register.changes();
        let first = self.progress(&id, secret, &pin).await?;
        known_caller();
        if first.state != ApplicationState::NeedsApproval || known != Some(first) {
            return Ok(first);
        }
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let woken = tokio::select! {
                changed = news.changed() => changed.is_ok(),
                changed = changes.changed() => changed.is_ok(),
                () = tokio::time::sleep_until(deadline) => false,
            };
            let now = self.progress(&id, secret, &pin).await?;
            if now != first || !woken {
                return Ok(now);
            }
        }
    }

    /// The applicant takes its application back. While stewards may still admit it, `statement` is its signed withdrawal
    /// of exactly that proposal, and is ordered first: an application is over here only when it is over in the register.
    ///
    /// # Errors
    /// As `watch`; `FIELD_MISSING`, `FIELD_INVALID`, `KEY_NOT_CURRENT` for the statement; `PROPOSAL_CLOSED` when it is
    /// admitted already; what the register answers.
    pub async fn withdraw(
        &self,
        id: InvitationId,
        secret: &[u8],
        pin: Pin,
        statement: Option<Bytes>,
    ) -> Result<(), Error> {
        self.of_applicant(&id, secret, &pin).await?;
        let _deciding = self.0.deciding.lock().await;
        let held = self.of_applicant(&id, secret, &pin).await?;
        let received = held.received().ok_or(Reason::ApplicationUnknown)?;
        if let Some(admission) = self.admission_of(received) {
            if admission.carried {
                return Err(Reason::ProposalClosed.into());
            }
            if admission.open {
                let statement = statement.ok_or_else(|| crate::wire::Error::missing("withdrawal"))?;
                wire::verify_withdrawal(statement.clone(), &received.application, &admission.proposal)?;
                self.0.register.decide(JoinStep::Forward(statement)).await?;
            }
        }
        self.step(&id, |held| match held.received() {
            Some(received) if received.state == ApplicationState::NeedsApproval => {
                let mut after = received.clone();
                after.state = ApplicationState::Withdrawn;
                Step { store: Some(held.with_application(after)), audit: Vec::new(), answer: Ok(()) }
            }
            Some(_) => Step::unchanged(Ok(())),
            None => Step::unchanged(Err(Reason::ApplicationUnknown)),
        })
        .await
    }

    /// The invitation, for the one that committed to it. A token is mailed and may be read on the way: who holds it and
    /// came second learns that it is used, as at the reveal.
    async fn of_applicant(&self, id: &InvitationId, secret: &[u8], pin: &Pin) -> Result<HeldInvitation, Error> {
        let held = self.held(id).await?.filter(|held| held.admits(secret)).ok_or(Reason::InvitationUnknown)?;
        match held.committed().is_none_or(|committed| committed.pin == *pin) {
            true => Ok(held),
            false => Err(Reason::InvitationUsed.into()),
        }
    }

    /// The newest decision about exactly this application.
    pub(super) fn admission_of(&self, received: &Received) -> Option<Admission> {
        let application = Digest::of(&received.application.signed);
        let all = self.0.register.admissions(&received.application.authority);
        all.into_iter().find(|admission| admission.application == application)
    }

    async fn progress(&self, id: &InvitationId, secret: &[u8], pin: &Pin) -> Result<Progress, Error> {
        let held = self.of_applicant(id, secret, pin).await?;
        let now = self.0.clock.now();
        let Some(received) = held.received() else {
            return Err(match held.state_at(now) {
                InvitationState::Burnt => Reason::InvitationBurnt,
                InvitationState::Revoked => Reason::InvitationRevoked,
                InvitationState::Expired => Reason::InvitationExpired,
                _ => Reason::ApplicationUnknown,
            }
            .into());
        };
        let mut progress = Progress { state: received.state, rejection: received.rejection, ..Progress::NEW };
        if progress.state != ApplicationState::NeedsApproval {
            return Ok(progress);
        }
        let view = self.0.register.view();
        let member = view.member(&received.application.authority).filter(|m| m.removed_at.is_none());
        let admitted = member.and_then(|m| m.keys.last()).is_some_and(|k| k.key == received.application.key);
        let ours = self.admission_of(received);
        if let Some(admission) = &ours {
            progress.proposal = Some(admission.proposal);
            progress.approvals = u32::try_from(admission.approved_by.len()).unwrap_or(u32::MAX);
            progress.needed = admission.needed;
            progress.rejection = admission.rejection;
        }
        let lapsed = received.received + limits::APPLICATION_LIFE <= now;
        if admitted {
            progress.state = ApplicationState::Approved;
        } else if progress.rejection.is_some() {
            progress.state = ApplicationState::Rejected;
        } else if ours.map_or(lapsed, |a| !a.open && !a.carried) {
            // A proposal has its own life; before there is one, the application's counts.
            progress.state = ApplicationState::Expired;
        }
        Ok(progress)
    }

    /// Those that can be read.
    pub(super) async fn all(&self) -> Result<Vec<HeldInvitation>, Error> {
        Ok(self.reloaded().await?.into_iter().filter_map(|(_, held)| held.ok()).collect())
    }

    async fn reloaded(&self) -> Result<Vec<(InvitationId, Result<HeldInvitation, Unreadable>)>, Error> {
        let store = self.0.store.as_ref();
        let held = |(id, value): (InvitationId, Bytes)| {
            (id, joining::decode_held(value).map_err(|error| note(store, Table::Invitation, None, id, error)))
        };
        Ok(store.invitations().await?.into_iter().map(held).collect())
    }

    pub(super) async fn held(&self, id: &InvitationId) -> Result<Option<HeldInvitation>, Error> {
        let value = self.0.store.invitation(*id).await?;
        Ok(value.map(joining::decode_held).transpose()?)
    }

    /// One compare-and-swap of a stored invitation: looks, decides, stores; looks again if somebody was faster.
    pub(super) async fn step<T>(
        &self,
        id: &InvitationId,
        mut look: impl FnMut(&HeldInvitation) -> Step<T>,
    ) -> Result<T, Error> {
        loop {
            let value = self.0.store.invitation(*id).await?.ok_or(Reason::InvitationUnknown)?;
            let step = look(&joining::decode_held(value.clone())?);
            let Some(after) = step.store else { return step.answer.map_err(Error::from) };
            let write = Write {
                expects: vec![Expect::Invitation(*id, Some(value))],
                puts: vec![Put::Invitation(*id, joining::encode_held(&after))],
                audit: step.audit,
                ..Write::default()
            };
            if self.0.store.write(write.into()).await? != Written::Taken {
                self.changed().await?;
                return step.answer.map_err(Error::from);
            }
        }
    }

    async fn changed(&self) -> Result<(), Error> {
        self.0.news.send_modify(|n| *n += 1);
        self.refresh_gate().await
    }
}
