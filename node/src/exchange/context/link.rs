//! The line to another authority's node: six calls, and how each line stands.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::domain::board::{CapacityAnswer, CapacityQuestion};
use crate::domain::holds::{HoldCall, Lease};
use crate::domain::ids::AuthorityId;
use crate::domain::light::Clocks;
use crate::domain::reason::{Reason, RoadEffect};
use crate::domain::stream::{Batch, BatchAnswer, EndsAnswer, EndsQuestion, GreetAnswer, Greeting};
use crate::domain::stream::{WithdrawalsAnswer, WithdrawalsQuestion};
use crate::domain::time::{Millis, UnixMs};
use crate::telemetry::journal::{Entry, Event};

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
    /// Whether the partner's node answered at all; that our clocks differ, it says itself.
    pub fn answered(&self) -> bool {
        self.reason.road() != RoadEffect::NoAnswer || self.reason == Reason::ClockDiffers
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
    /// Asks for a unit of an offer, or says what becomes of one; answered after its owner stored it.
    fn hold(&self, host: AuthorityId, call: HoldCall) -> BoxFuture<'_, Result<Lease, LinkError>>;
    /// Asks which capacity there is.
    fn capacity(
        &self,
        host: AuthorityId,
        question: CapacityQuestion,
    ) -> BoxFuture<'_, Result<CapacityAnswer, LinkError>>;
    /// Asks what was withdrawn of records about persons.
    fn withdrawals(
        &self,
        host: AuthorityId,
        question: WithdrawalsQuestion,
    ) -> BoxFuture<'_, Result<WithdrawalsAnswer, LinkError>>;
}

/// How the line to a partner stood at the last call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// `None`: it answered.
    pub failed: Option<Reason>,
    /// Since when it stands so.
    pub since: UnixMs,
    /// When it answered last, by the wall clock and by the monotonic one; `None`: not since the start.
    pub answered: Option<(UnixMs, Duration)>,
}

/// Who answered within this span is connected.
pub(in crate::exchange) const LATELY: Duration = Duration::from_secs(90);

impl LinkState {
    /// Whether the partner answered lately, and not with silence since.
    pub fn is_connected(&self, monotonic: Duration) -> bool {
        self.failed.is_none() && self.answered.is_some_and(|(_, at)| monotonic.saturating_sub(at) <= LATELY)
    }
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
    /// The same of the quickest message lately, and when that came.
    quickest: (Millis, UnixMs),
}

/// For so long the quickest message is compared with; clocks drift apart.
const QUICKEST: Millis = Millis::minutes(15);
/// No connection lives so long without a sign of life: a larger step is one of a clock.
const LONGEST_WAY: Millis = Millis::minutes(1);

impl Links {
    pub(in crate::exchange) fn answered(&self, peer: &AuthorityId, now: Clocks) {
        self.set(peer, None, now.wall, Some((now.wall, now.monotonic)));
    }

    /// A refusal is an answer too.
    pub(in crate::exchange) fn failed(&self, peer: &AuthorityId, error: &LinkError, now: Clocks) {
        let (failed, answered) = match error.answered() {
            true => (None, Some((now.wall, now.monotonic))),
            false => (Some(error.reason), None),
        };
        self.set(peer, failed, now.wall, answered);
    }

    pub(in crate::exchange) fn state(&self, peer: &AuthorityId) -> Option<LinkState> {
        self.lock().get(peer).copied()
    }

    fn set(&self, peer: &AuthorityId, failed: Option<Reason>, now: UnixMs, at: Option<(UnixMs, Duration)>) {
        let was = {
            let mut links = self.lock();
            match links.get_mut(peer) {
                Some(state) => {
                    let was = state.failed;
                    if was.is_some() != failed.is_some() {
                        state.since = now;
                    }
                    (state.failed, state.answered) = (failed, at.or(state.answered));
                    was
                }
                None => {
                    links.insert(peer.clone(), LinkState { failed, since: now, answered: at });
                    None
                }
            }
        };
        // A partner that comes and goes is a flood like any other. That one answers at first is no news.
        match (was, failed) {
            (None, Some(_)) => Entry { reason: failed, ..Entry::about(Event::PartnerLost, peer) }.count(1),
            (Some(_), None) => Entry::about(Event::PartnerBack, peer).count(1),
            _ => {}
        }
    }

    /// A message of the partner says what its clock shows. Answers how much longer it was on its way than the quickest of its
    /// messages lately.
    pub(in crate::exchange) fn heard_clock(&self, peer: &AuthorityId, shows: UnixMs, now: UnixMs) -> Millis {
        let ahead = shows.since(now);
        let mut clocks = self.clocks.lock().unwrap_or_else(PoisonError::into_inner);
        let quickest = clocks.get(peer).map(|heard| heard.quickest);
        let comparable = |(quickest, at): &(Millis, UnixMs)| {
            now.since(*at).0.abs() <= QUICKEST.0 && (0..=LONGEST_WAY.0).contains(&quickest.0.saturating_sub(ahead.0))
        };
        let quickest = quickest.filter(comparable).unwrap_or((ahead, now));
        clocks.insert(peer.clone(), HeardClock { ahead, at: now, quickest });
        Millis(quickest.0.0.saturating_sub(ahead.0))
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
