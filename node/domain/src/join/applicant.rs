//! The applicant's side as a state machine: what it knows, and what it does next. Whatever happens is stored first.

use bytes::Bytes;

use super::{Application, ApplicationState, Invitation, Nonce, Transcript, Words, pins_digest};
use crate::ids::{Digest, Pin, StatementId};
use crate::reason::Reason;
use crate::register::RejectionReason;

/// What the applicant holds. The nonce, the keys and the statement are fixed before the first call, so that a restart
/// repeats the same commitment and gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applying {
    /// The token as it was typed.
    pub token: String,
    pub nonce_a: Nonce,
    /// Pin of this node's key.
    pub pin: Pin,
    /// The own entry statement, encoded `Signed`.
    pub application: Bytes,
    /// The genesis statement, encoded `Signed`; empty until the inviter answered the commitment.
    pub genesis: Bytes,
    pub phase: Phase,
}

/// How far an application has come, by what the applicant knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The commitment has no answer yet.
    Committing,
    /// The inviter's nonce is there; the reveal has no answer yet.
    Revealing { nonce_i: Nonce },
    /// The application is with the inviter.
    Applied { words_digest: Digest, progress: Progress },
    /// The inviter refused before an application was made.
    Refused(Reason),
}

/// What the inviter last told about an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub state: ApplicationState,
    pub rejection: Option<RejectionReason>,
    pub approvals: u32,
    pub needed: u32,
    pub proposal: Option<StatementId>,
}

impl Progress {
    pub const NEW: Self =
        Self { state: ApplicationState::NeedsApproval, rejection: None, approvals: 0, needed: 0, proposal: None };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Commit,
    Reveal,
    Watch,
    /// Approved: follow the register.
    Follow,
    /// It is over, for this reason.
    Stop(Reason),
}

impl Applying {
    pub fn next(&self) -> Next {
        match &self.phase {
            Phase::Committing => Next::Commit,
            Phase::Revealing { .. } => Next::Reveal,
            Phase::Refused(reason) => Next::Stop(*reason),
            Phase::Applied { progress, .. } => match progress.state {
                ApplicationState::NeedsApproval => Next::Watch,
                ApplicationState::Approved => Next::Follow,
                ApplicationState::Rejected => Next::Stop(Reason::ApplicationRejected),
                ApplicationState::Expired => Next::Stop(Reason::ApplicationExpired),
                ApplicationState::Withdrawn => Next::Stop(Reason::ApplicationWithdrawn),
            },
        }
    }

    /// The words to read out, once the inviter has the application.
    pub fn words(&self) -> Option<Words> {
        match &self.phase {
            Phase::Applied { words_digest, .. } => Some(Words::of(words_digest)),
            _ => None,
        }
    }

    /// What the inviter last told.
    pub fn progress(&self) -> Option<Progress> {
        match &self.phase {
            Phase::Applied { progress, .. } => Some(*progress),
            _ => None,
        }
    }

    /// After the answer to the commitment, whose genesis was found to be that of the invitation's federation.
    #[must_use]
    pub fn committed(&self, nonce_i: Nonce, genesis: Bytes) -> Self {
        Self { phase: Phase::Revealing { nonce_i }, genesis, ..self.clone() }
    }

    /// After the answer to the reveal. The words come from what this side saw, never from the answer; an answer that
    /// differs means that the two sides did not see the same, and is for the people on the phone to find out too.
    pub fn revealed(&self, invitation: &Invitation, application: &Application, answer: &Digest) -> Self {
        let Phase::Revealing { nonce_i } = self.phase else { return self.clone() };
        let words_digest = Transcript {
            federation: invitation.federation,
            invitation: invitation.id,
            inviter_key: invitation.inviter_key,
            applicant_key: application.key,
            inviter_pins: pins_digest(&invitation.inviter_pins),
            applicant_pin: self.pin,
            nonce_a: self.nonce_a,
            nonce_i,
        }
        .digest();
        let phase = if words_digest == *answer {
            Phase::Applied { words_digest, progress: Progress::NEW }
        } else {
            Phase::Refused(Reason::InvitationBurnt)
        };
        Self { phase, ..self.clone() }
    }

    /// After news from the inviter.
    #[must_use]
    pub fn progressed(&self, progress: Progress) -> Self {
        match &self.phase {
            Phase::Applied { words_digest, .. } => {
                Self { phase: Phase::Applied { words_digest: *words_digest, progress }, ..self.clone() }
            }
            _ => self.clone(),
        }
    }

    /// After a refusal that will not change.
    #[must_use]
    pub fn refused(&self, reason: Reason) -> Self {
        Self { phase: Phase::Refused(reason), ..self.clone() }
    }
}
