//! The line to another authority's node: three calls, and how each line stands.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use crate::domain::ids::AuthorityId;
use crate::domain::reason::{Reason, RoadEffect};
use crate::domain::stream::{Batch, BatchAnswer, EndsAnswer, EndsQuestion, GreetAnswer, Greeting};
use crate::domain::time::{Millis, UnixMs};

/// A call that brought no answer, or a refusal as a whole: nothing was consumed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct LinkError {
    pub reason: Reason,
    /// The partner asked to wait this long.
    pub retry_after: Option<Millis>,
}

impl From<Reason> for LinkError {
    fn from(reason: Reason) -> Self {
        Self { reason, retry_after: None }
    }
}

impl LinkError {
    /// Whether the partner's node answered at all.
    pub fn answered(&self) -> bool {
        self.reason.road() != RoadEffect::NoAnswer
    }
}

/// Calls the node of another authority. `host` is whose node it is: the authority itself, or its host.
pub trait PeerLink: Send + Sync + 'static {
    /// Tells our incarnation and learns the partner's.
    fn greet(&self, host: AuthorityId, greeting: Greeting) -> BoxFuture<'_, Result<GreetAnswer, LinkError>>;
    /// Sends one batch; answered after the partner stored it.
    fn deliver(&self, host: AuthorityId, batch: Batch) -> BoxFuture<'_, Result<BatchAnswer, LinkError>>;
    /// Asks for the ENDs of an agreement that a party knows.
    fn ends(&self, host: AuthorityId, question: EndsQuestion) -> BoxFuture<'_, Result<EndsAnswer, LinkError>>;
}

/// How the line to a partner stood at the last call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// `None`: it answered.
    pub failed: Option<Reason>,
    /// Since when it stands so.
    pub since: UnixMs,
}

/// The last known state of each line, by recipient, and what each partner's clock last showed.
#[derive(Default)]
pub(in crate::exchange) struct Links {
    states: Mutex<HashMap<AuthorityId, LinkState>>,
    clocks: Mutex<HashMap<AuthorityId, HeardClock>>,
}

/// What a partner's clock showed, in a message that came just then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::exchange) struct HeardClock {
    /// The partner's less ours, as both stood then. What the message needed on its way makes it less.
    pub ahead: Millis,
    /// By our clock.
    pub at: UnixMs,
}

impl Links {
    pub(in crate::exchange) fn answered(&self, peer: &AuthorityId, now: UnixMs) {
        self.set(peer, None, now);
    }

    pub(in crate::exchange) fn failed(&self, peer: &AuthorityId, error: &LinkError, now: UnixMs) {
        self.set(peer, (!error.answered()).then_some(error.reason), now);
    }

    pub(in crate::exchange) fn state(&self, peer: &AuthorityId) -> Option<LinkState> {
        self.lock().get(peer).copied()
    }

    fn set(&self, peer: &AuthorityId, failed: Option<Reason>, now: UnixMs) {
        let mut links = self.lock();
        match links.get_mut(peer) {
            Some(state) if state.failed.is_some() == failed.is_some() => state.failed = failed,
            Some(state) => *state = LinkState { failed, since: now },
            None => {
                links.insert(peer.clone(), LinkState { failed, since: now });
            }
        }
    }

    /// A message of the partner says what its clock shows.
    pub(in crate::exchange) fn heard_clock(&self, peer: &AuthorityId, shows: UnixMs, now: UnixMs) {
        let heard = HeardClock { ahead: shows.since(now), at: now };
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner).insert(peer.clone(), heard);
    }

    /// Whose clocks were heard.
    pub(in crate::exchange) fn clocks_heard_of(&self) -> Vec<AuthorityId> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    pub(in crate::exchange) fn clock(&self, peer: &AuthorityId) -> Option<HeardClock> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner).get(peer).copied()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AuthorityId, LinkState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
