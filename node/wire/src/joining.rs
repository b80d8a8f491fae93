//! Joining on disk: what the inviter holds of an invitation, what the applicant holds of its application; and the answer
//! to `Watch`.

use bytes::Bytes;
use havenlink_proto::peer::v1 as peer;
use havenlink_proto::store::v1 as store;
use prost::Message;

use super::Error;
use super::invitation::{reload_application, reload_invitation};
use crate::domain::ids::{Digest, Pin, StatementId};
use crate::domain::join::applicant::{Applying, Phase, Progress};
use crate::domain::join::invitation::{Committed, Received};
use crate::domain::join::{ApplicationState, HeldInvitation, InvitationState, Nonce, State};
use crate::domain::reason::Reason;
use crate::domain::register::RejectionReason;
use crate::domain::time::UnixMs;

/// The answer to `Watch`.
pub fn progress_to_proto(progress: &Progress) -> peer::WatchResponse {
    peer::WatchResponse {
        state: progress.state.code(),
        rejection: progress.rejection.map_or(0, RejectionReason::code),
        approvals: progress.approvals,
        needed: progress.needed,
        proposal_id: progress.proposal.map_or_else(Bytes::new, |p| Bytes::copy_from_slice(p.as_bytes())),
    }
}

/// Reads it.
///
/// # Errors
/// `VALUE_UNKNOWN` for a state that is not known.
pub fn progress_from_proto(answer: &peer::WatchResponse) -> Result<Progress, Error> {
    Ok(Progress {
        state: ApplicationState::from_code(answer.state).ok_or_else(|| Error::unknown("state", answer.state))?,
        rejection: RejectionReason::from_code(answer.rejection),
        approvals: answer.approvals,
        needed: answer.needed,
        proposal: StatementId::from_slice(&answer.proposal_id),
    })
}

/// What the inviter stores.
pub fn encode_held(held: &HeldInvitation) -> Bytes {
    let mut out = store::StoredInvitation { invitation: held.signed.clone(), ..Default::default() };
    let put_commit = |out: &mut store::StoredInvitation, c: &Committed| {
        out.commitment = Bytes::copy_from_slice(c.commitment.as_bytes());
        out.nonce_i = Bytes::copy_from_slice(&c.nonce_i.0);
        out.pin = Bytes::copy_from_slice(c.pin.as_bytes());
    };
    let state = match &held.state {
        State::Open => InvitationState::Open,
        State::Burnt => InvitationState::Burnt,
        State::Revoked => InvitationState::Revoked,
        State::Committed(c) => {
            put_commit(&mut out, c);
            InvitationState::Committed
        }
        State::Used(r) => {
            put_commit(&mut out, &r.committed);
            out.nonce_a = Bytes::copy_from_slice(&r.nonce_a.0);
            out.application = r.application.signed.clone();
            out.words_digest = Bytes::copy_from_slice(r.words_digest.as_bytes());
            out.received_ms = r.received.0;
            out.failed_words = r.failed_words;
            out.application_state = r.state.code();
            out.rejection = r.rejection.map_or(0, RejectionReason::code);
            out.proposal_id = r.proposal.map_or_else(Bytes::new, |p| Bytes::copy_from_slice(p.as_bytes()));
            InvitationState::Used
        }
    };
    out.state = state.code();
    out.encode_to_vec().into()
}

/// Reads it back.
///
/// # Errors
/// `STORAGE_DAMAGED` when it is not what was stored.
pub fn decode_held(bytes: Bytes) -> Result<HeldInvitation, Error> {
    let damaged = || Error::new(Reason::StorageDamaged, "invitation", "");
    let stored = store::StoredInvitation::decode(bytes).map_err(|_| damaged())?;
    let invitation = reload_invitation(stored.invitation.clone()).map_err(|_| damaged())?;
    let committed = || {
        Some(Committed {
            commitment: Digest::from_slice(&stored.commitment)?,
            nonce_i: Nonce::from_slice(&stored.nonce_i)?,
            pin: Pin::from_slice(&stored.pin)?,
        })
    };
    let received = || {
        Some(Received {
            committed: committed()?,
            nonce_a: Nonce::from_slice(&stored.nonce_a)?,
            application: reload_application(stored.application.clone()).ok()?,
            words_digest: Digest::from_slice(&stored.words_digest)?,
            received: UnixMs(stored.received_ms),
            failed_words: stored.failed_words,
            state: ApplicationState::from_code(stored.application_state)?,
            rejection: RejectionReason::from_code(stored.rejection),
            proposal: StatementId::from_slice(&stored.proposal_id),
        })
    };
    let state = match InvitationState::from_code(stored.state).ok_or_else(damaged)? {
        InvitationState::Open => State::Open,
        InvitationState::Burnt => State::Burnt,
        InvitationState::Revoked => State::Revoked,
        InvitationState::Committed => State::Committed(committed().ok_or_else(damaged)?),
        InvitationState::Used => State::Used(Box::new(received().ok_or_else(damaged)?)),
        InvitationState::Expired => return Err(damaged()),
    };
    Ok(HeldInvitation { invitation, signed: stored.invitation.clone(), state })
}

/// What the applicant stores.
pub fn encode_applying(applying: &Applying) -> Bytes {
    let mut out = store::StoredJoin {
        token: applying.token.clone(),
        nonce_a: Bytes::copy_from_slice(&applying.nonce_a.0),
        pin: Bytes::copy_from_slice(applying.pin.as_bytes()),
        application: applying.application.clone(),
        genesis: applying.genesis.clone(),
        ..Default::default()
    };
    match &applying.phase {
        Phase::Committing => {}
        Phase::Revealing { nonce_i } => out.nonce_i = Bytes::copy_from_slice(&nonce_i.0),
        Phase::Applied { words_digest, progress } => {
            out.words_digest = Bytes::copy_from_slice(words_digest.as_bytes());
            out.progress = Some(stored_progress(progress));
        }
        Phase::Refused(reason) => out.refused = reason.code().to_owned(),
    }
    out.encode_to_vec().into()
}

/// Reads it back.
///
/// # Errors
/// `STORAGE_DAMAGED` when it is not what was stored.
pub fn decode_applying(bytes: Bytes) -> Result<Applying, Error> {
    let stored = store::StoredJoin::decode(bytes).map_err(|_| Error::new(Reason::StorageDamaged, "join.state", ""))?;
    applying(stored).ok_or_else(|| Error::new(Reason::StorageDamaged, "join.state", ""))
}

fn stored_progress(progress: &Progress) -> store::StoredProgress {
    store::StoredProgress {
        state: progress.state.code(),
        rejection: progress.rejection.map_or(0, RejectionReason::code),
        approvals: progress.approvals,
        needed: progress.needed,
        proposal_id: progress.proposal.map_or_else(Bytes::new, |p| Bytes::copy_from_slice(p.as_bytes())),
    }
}

fn reloaded_progress(stored: &store::StoredProgress) -> Option<Progress> {
    Some(Progress {
        state: ApplicationState::from_code(stored.state)?,
        rejection: RejectionReason::from_code(stored.rejection),
        approvals: stored.approvals,
        needed: stored.needed,
        proposal: StatementId::from_slice(&stored.proposal_id),
    })
}

fn applying(stored: store::StoredJoin) -> Option<Applying> {
    let phase = if !stored.refused.is_empty() {
        // Also one that the catalogue does not have any more: refused it was.
        Phase::Refused(Reason::from_code(&stored.refused).unwrap_or(Reason::ReasonUnknown))
    } else if !stored.words_digest.is_empty() {
        let progress = reloaded_progress(stored.progress.as_ref()?)?;
        Phase::Applied { words_digest: Digest::from_slice(&stored.words_digest)?, progress }
    } else if !stored.nonce_i.is_empty() {
        Phase::Revealing { nonce_i: Nonce::from_slice(&stored.nonce_i)? }
    } else {
        Phase::Committing
    };
    Some(Applying {
        token: stored.token,
        nonce_a: Nonce::from_slice(&stored.nonce_a)?,
        pin: Pin::from_slice(&stored.pin)?,
        application: stored.application,
        genesis: stored.genesis,
        phase,
    })
}
