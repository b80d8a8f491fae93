//! The applicant: says what it stored, waits well, learns the outcome and its reason.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::state_file::StateFile;
use super::{Error, random};
use crate::domain::authority::PublicKey;
use crate::domain::ids::{AuthorityId, Digest, FederationId, InvitationId, Pin, StatementId};
use crate::domain::join::applicant::{Applying, Next, Phase, Progress};
use crate::domain::join::{Application, Nonce, commitment};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::wire::invitation::{self as wire, Token};

/// Between two tries, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The inviter as the applicant calls it. `exchange::peer_client::join` is the one over the network.
pub trait JoinClient: Send + Sync {
    /// The inviter's nonce, and the genesis statement of the federation.
    fn commit(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        commitment: Digest,
    ) -> BoxFuture<'_, Result<(Nonce, Bytes), JoinCallError>>;
    /// The transcript's digest, as the inviter sees it.
    fn reveal(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        nonce_a: Nonce,
        application: Bytes,
    ) -> BoxFuture<'_, Result<Digest, JoinCallError>>;
    /// Where the application stands; may wait while it is what is known already.
    fn watch(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        known: Option<Progress>,
    ) -> BoxFuture<'_, Result<Progress, JoinCallError>>;
    /// Takes the application back; the statement only once a proposal exists.
    fn withdraw(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        statement: Option<Bytes>,
    ) -> BoxFuture<'_, Result<(), JoinCallError>>;
}

/// The inviter refused, or could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("the inviter's node: {reason}")]
pub struct JoinCallError {
    pub reason: Reason,
    /// The inviter's node said so itself, behind its pin. What the line did anybody on the way can do.
    pub said: bool,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl JoinCallError {
    /// Whether asking again cannot help.
    fn is_final(&self) -> bool {
        self.said && !self.reason.retryable()
    }
}

impl From<Reason> for JoinCallError {
    fn from(reason: Reason) -> Self {
        Self { reason, said: true, source: None }
    }
}

impl From<crate::wire::Error> for JoinCallError {
    fn from(error: crate::wire::Error) -> Self {
        Self { reason: error.reason, said: true, source: Some(Box::new(error)) }
    }
}

/// What a new member needs to follow the register from its inviter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    pub authority: AuthorityId,
    pub federation: FederationId,
    /// The genesis statement, encoded `Signed`, whose hash is the federation.
    pub genesis: Bytes,
    pub inviter: AuthorityId,
    pub inviter_key: PublicKey,
    pub inviter_pins: Vec<Pin>,
    pub inviter_endpoints: Vec<String>,
}

/// An application under way, with its file.
pub struct Applicant {
    file: StateFile,
    token: Token,
    application: Application,
    applying: Applying,
}

impl Applicant {
    /// What can be known from the token alone, before any key is made. `own`: the authority that the user named, if any.
    ///
    /// # Errors
    /// `INVITATION_EXPIRED`, `INVITATION_OTHER_AUTHORITY`, `INVITATION_SWAPPED`; `CLOCK_DIFFERS` for one that was made later than
    /// now.
    pub fn check(token: &Token, own: Option<&AuthorityId>, now: UnixMs) -> Result<(), Error> {
        let invitation = &token.invitation;
        if own == Some(&invitation.inviter) || invitation.intended_for == invitation.inviter {
            return Err(Reason::InvitationSwapped.into());
        }
        if own.is_some_and(|own| *own != invitation.intended_for) {
            return Err(Reason::InvitationOtherAuthority.into());
        }
        if now >= invitation.expires {
            return Err(Reason::InvitationExpired.into());
        }
        // A restart judges nothing by the clock: it passes the earliest of all times.
        if now.0 > 0 && invitation.created.since(now) > limits::CLOCK_STOP {
            return Err(Error::Clock(now.since(invitation.created)));
        }
        Ok(())
    }

    /// Whether nothing of this application has been answered yet: another token may take its place.
    pub fn is_unanswered(&self) -> bool {
        self.applying.phase == Phase::Committing
    }

    /// Begins: chooses the nonce and stores everything that will be said. `token_text` may stand as it came by mail.
    /// `application` is the own entry, signed by `wire::invitation::sign_application`; `pin` is that of this node's
    /// certificate.
    ///
    /// # Errors
    /// `ALREADY_JOINED` when an application is under way in this directory; what does not fit the token.
    pub fn begin(dir: &Path, token_text: &str, application: Bytes, pin: Pin) -> Result<Self, Error> {
        let file = StateFile::in_dir(dir);
        if file.read()?.is_some_and(|a| !matches!(a.next(), Next::Stop(_))) {
            return Err(Reason::AlreadyJoined.into());
        }
        let applying = Applying {
            token: wire::parse_token(token_text)?.text,
            nonce_a: Nonce(random()?),
            pin,
            application,
            genesis: Bytes::new(),
            phase: Phase::Committing,
        };
        let applicant = Self::hold(file, applying)?;
        if !applicant.application.pins.contains(&pin) {
            return Err(crate::wire::Error::invalid("application.entry.pins", "the pin of this node").into());
        }
        applicant.file.write(&applicant.applying)?;
        Ok(applicant)
    }

    /// Goes on after a restart; `None`: no application is under way here.
    ///
    /// # Errors
    /// `STORAGE_DAMAGED` when the file does not verify.
    pub fn resume(dir: &Path) -> Result<Option<Self>, Error> {
        let file = StateFile::in_dir(dir);
        file.read()?.map(|applying| Self::hold(file, applying)).transpose()
    }

    fn hold(file: StateFile, applying: Applying) -> Result<Self, Error> {
        let token = wire::parse_token(&applying.token)?;
        let application = wire::open_application(applying.application.clone())?;
        if application.federation != token.invitation.federation {
            return Err(Reason::WrongFederation.into());
        }
        Self::check(&token, Some(&application.authority), UnixMs(i64::MIN))?;
        Ok(Self { file, token, application, applying })
    }

    /// The invitation that it holds: whom to dial, with which pins.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Where it stands, for `status`.
    pub fn applying(&self) -> &Applying {
        &self.applying
    }

    /// One call at the inviter, and its answer stored.
    ///
    /// # Errors
    /// When the file cannot be written, or the inviter could not be asked and may be asked again.
    pub async fn step(&mut self, inviter: &dyn JoinClient) -> Result<Next, Error> {
        let (id, secret) = (self.token.invitation.id, self.token.secret);
        let after = match self.applying.next() {
            Next::Commit => {
                let digest = commitment(&self.applying.nonce_a, &self.application.key, &self.applying.pin);
                inviter.commit(id, secret, digest).await.and_then(|(nonce_i, genesis)| {
                    wire::check_genesis(&genesis, &self.token.invitation.federation)?;
                    Ok(self.applying.committed(nonce_i, genesis))
                })
            }
            Next::Reveal => {
                let signed = self.applying.application.clone();
                inviter
                    .reveal(id, secret, self.applying.nonce_a, signed)
                    .await
                    .map(|answer| self.applying.revealed(&self.token.invitation, &self.application, &answer))
            }
            Next::Watch => inviter
                .watch(id, secret, self.applying.progress())
                .await
                .map(|progress| self.applying.progressed(progress)),
            over @ (Next::Follow | Next::Stop(_)) => return Ok(over),
        };
        let after = match after {
            Ok(after) => after,
            Err(error) if error.is_final() => self.applying.refused(error.reason),
            Err(error) => return Err(Error::Register(error.reason, error.source)),
        };
        if after != self.applying {
            self.file.write(&after)?;
            self.applying = after;
        }
        Ok(self.applying.next())
    }

    /// Goes on until it is decided; tells of every change, and of every failed try.
    ///
    /// # Errors
    /// The reason for which it is over: rejected, refused, expired, withdrawn; or a fault of the file.
    pub async fn run(
        &mut self,
        inviter: &dyn JoinClient,
        mut tell: impl FnMut(&Applying, Option<Reason>),
    ) -> Result<Joined, Error> {
        let mut pause = FIRST_PAUSE;
        tell(&self.applying, None);
        loop {
            let before = self.applying.clone();
            let waits = before.progress().is_some();
            match self.step(inviter).await {
                Ok(Next::Follow) => return Ok(self.joined()),
                Ok(Next::Stop(reason)) => {
                    tell(&self.applying, Some(reason));
                    return Err(reason.into());
                }
                Ok(_) => {
                    if self.applying != before {
                        tell(&self.applying, None);
                        pause = FIRST_PAUSE;
                    }
                    // The inviter waited as long as it does, or answers at once; with something new each time, if it likes.
                    if waits {
                        tokio::time::sleep(FIRST_PAUSE).await;
                    }
                }
                Err(Error::Register(reason, _)) => {
                    tell(&self.applying, Some(reason));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The proposal that stewards decide on, as the inviter knows it now; `None` while there is none.
    ///
    /// # Errors
    /// When the inviter could not be asked.
    pub async fn proposal(&self, inviter: &dyn JoinClient) -> Result<Option<StatementId>, Error> {
        let told = inviter.watch(self.token.invitation.id, self.token.secret, None).await;
        let told = told.map_err(|error| Error::Register(error.reason, error.source))?;
        Ok(told.proposal)
    }

    /// Takes the application back.
    ///
    /// # Errors
    /// When the inviter could not be asked, or the file not written.
    pub async fn withdraw(&mut self, inviter: &dyn JoinClient, statement: Option<Bytes>) -> Result<(), Error> {
        let told = inviter.withdraw(self.token.invitation.id, self.token.secret, statement).await;
        if let Err(error) = told {
            return Err(Error::Register(error.reason, error.source));
        }
        let after = self.applying.refused(Reason::ApplicationWithdrawn);
        self.file.write(&after)?;
        self.applying = after;
        Ok(())
    }

    /// What to follow the register with.
    pub fn joined(&self) -> Joined {
        let invitation = &self.token.invitation;
        Joined {
            authority: self.application.authority.clone(),
            federation: invitation.federation,
            genesis: self.applying.genesis.clone(),
            inviter: invitation.inviter.clone(),
            inviter_key: invitation.inviter_key,
            inviter_pins: invitation.inviter_pins.clone(),
            inviter_endpoints: invitation.inviter_endpoints.clone(),
        }
    }

    /// The register is followed and its state is on disk: the file is not needed any more.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn finish(self) -> Result<(), Error> {
        self.file.remove()
    }
}
