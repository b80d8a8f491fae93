//! Whom the door for strangers lets in (9.5): what a node's invitations come to, as far as a TLS handshake can tell.

use std::collections::BTreeSet;

use super::invitation::{HeldInvitation, State};
use crate::ids::Pin;
use crate::limits;
use crate::time::UnixMs;

/// Who may call about an invitation, as far as the TLS handshake can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    Anybody,
    Only(Pin),
    Nobody,
}

/// Whom the door for strangers lets in: what all invitations of a node come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entrance {
    pub anybody: bool,
    /// Those who revealed, and may ask what became of it.
    pub known: BTreeSet<Pin>,
}

impl Entrance {
    /// Of these invitations, at an instant.
    pub fn of<'a>(invitations: impl Iterator<Item = &'a HeldInvitation>, now: UnixMs) -> Self {
        let mut entrance = Self::default();
        for callers in invitations.map(|held| held.callers(now)) {
            match callers {
                Callers::Anybody => entrance.anybody = true,
                Callers::Only(pin) => drop(entrance.known.insert(pin)),
                Callers::Nobody => {}
            }
        }
        entrance
    }

    /// Whether there is anybody who may come.
    pub fn is_open(&self) -> bool {
        self.anybody || !self.known.is_empty()
    }

    /// Whether this one may.
    pub fn admits(&self, pin: &Pin) -> bool {
        self.anybody || self.known.contains(pin)
    }
}

impl HeldInvitation {
    /// Who may still call about it. Once it was used nobody else has a reason to, but for an applicant that is about to hear
    /// that it was; who revealed learns the outcome until the application would have expired (9.5).
    pub fn callers(&self, now: UnixMs) -> Callers {
        match &self.state {
            State::Open | State::Committed(_) if now < self.invitation.expires => Callers::Anybody,
            State::Used(received) if now < received.received + limits::JOIN_GRACE => Callers::Anybody,
            State::Used(received) if now < received.received + limits::APPLICATION_LIFE => {
                Callers::Only(received.committed.pin)
            }
            State::Open | State::Committed(_) | State::Used(_) | State::Burnt | State::Revoked => Callers::Nobody,
        }
    }
}
