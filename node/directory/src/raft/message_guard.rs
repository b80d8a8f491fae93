//! What is checked when a Raft message arrives, before openraft sees any of it (9.4).
//!
//! Raft trusts whoever may send. Here a sender is believed only as far as signatures reach: it is a steward by the
//! newest verified register, it speaks for itself, its term is near what a majority has reached, and what it orders can
//! only be what the register allows at that very place. What passes may still be a lie about order; beats find that out.
//!
//! A steward may say that it was elected when it was not. A quorum's votes are not shown to anybody, so a vote that is called
//! committed is believed of the one that it names, and of nobody else, in a term within bounds, where no leader stands
//! (`leader_lease`). It can neither commit alone nor change what is committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::entry::RaftEntry;
use openraft::raft::AppendEntriesRequest;

use super::answers::Terms;
use super::leader_lease::LeaderLease;
use super::log_store::LogStore;
use super::state_machine::StateMachine;
use super::types::{Entry, LogId, Membership, Payload, Peer, TypeConfig, Vote};
use super::voters::{follows, membership_of};
use crate::chain::Chain;
use crate::clock::SharedClock;
use crate::domain::ids::{AuthorityId, FederationId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::error::Error;
use crate::state::{RegisterState, entry_time_fits};

/// How long a membership entry waits for the entries before it to be in the log.
const PREVIOUS: Duration = Duration::from_secs(2);
/// A voter that the register names no more is heard for this long in every `LEAVING_AGAIN`: long enough to bring what it
/// alone has and to hand over, and not for as long as it likes.
const LEAVING: Duration = Duration::from_secs(10);
const LEAVING_AGAIN: Duration = Duration::from_secs(60);

/// The checks of one node.
pub struct MessageGuard {
    federation: FederationId,
    raft_id: u64,
    pub(super) chain: Arc<Chain>,
    pub(super) log: LogStore,
    pub(super) machine: StateMachine,
    clock: SharedClock,
    terms: Terms,
    /// Since when voters are heard that the register names no more.
    leaving: Mutex<BTreeMap<u64, Duration>>,
}

/// What one stream of appends has let through so far: entries that may not be in the log yet.
#[derive(Debug, Default)]
pub struct Passed {
    time: Option<(u64, UnixMs)>,
}

impl MessageGuard {
    pub fn new(
        federation: FederationId,
        raft_id: u64,
        chain: Arc<Chain>,
        log: LogStore,
        machine: StateMachine,
        clock: SharedClock,
        lease: Arc<LeaderLease>,
    ) -> Self {
        let terms = Terms::new(Arc::clone(&chain), raft_id, log.clone(), lease);
        Self { federation, raft_id, chain, log, machine, clock, terms, leaving: Mutex::default() }
    }

    /// The message belongs to this federation, and is meant for this enrolment: an authority that came back under a new
    /// Raft id does not answer for the old one, whose log it does not have.
    pub fn meant_for_us(&self, federation: &[u8], target: u64) -> Result<(), Error> {
        if federation != self.federation.as_bytes() {
            return Err(Error::new(Reason::WrongFederation, "a Raft message of another federation"));
        }
        if target != self.raft_id {
            return Err(Error::new(Reason::RaftTargetOther, format!("for Raft id {target}, this is {}", self.raft_id)));
        }
        Ok(())
    }

    /// Whether the sender is heard at all, by its certificate alone: it is a steward, or its vote counts still.
    pub fn admits(&self, sender: &AuthorityId) -> Result<(), Error> {
        let stays = self.steward(sender);
        if stays.is_ok() {
            return stays;
        }
        let own = |(id, peer): (&u64, &Peer)| (peer.authority == sender.as_str()).then_some(*id);
        let own: Vec<u64> = self.voters().iter().flat_map(|voters| voters.nodes().filter_map(own)).collect();
        if own.iter().any(|id| self.is_leaving(sender, *id)) { Ok(()) } else { stays }
    }

    /// The sender is a steward.
    pub fn steward(&self, sender: &AuthorityId) -> Result<(), Error> {
        let known = self.chain.gate().ids(sender, self.chain.monotonic()).next().is_some();
        if known { Ok(()) } else { Err(Error::new(Reason::NotASteward, sender.as_str())) }
    }

    /// The sender is a steward, votes under the id that the register gives it, and not in a term far beyond the others'.
    pub fn sender(&self, sender: &AuthorityId, vote: &Vote) -> Result<(), Error> {
        let gate = self.chain.gate();
        let leader = vote.leader_id();
        let mut ids = gate.ids(sender, self.chain.monotonic()).peekable();
        let known = ids.peek().is_some();
        if !ids.any(|id| id == leader.voted_for) && !self.is_leaving(sender, leader.voted_for) {
            if !known {
                return Err(Error::new(Reason::NotASteward, sender.as_str()));
            }
            return Err(Error::new(
                Reason::RaftSenderMismatch,
                format!("{sender} speaks for Raft id {}", leader.voted_for),
            ));
        }
        self.terms.check(leader.term).map_err(|reached| {
            Error::new(Reason::RaftTermTooFar, format!("{sender}: term {}, others {reached}", leader.term))
        })?;
        Ok(())
    }

    /// The sender's vote counts although the register names it no more: Raft here has not moved on yet. Without it there
    /// may be no quorum, or its log may be the only one that is long enough to be elected.
    fn is_leaving(&self, sender: &AuthorityId, id: u64) -> bool {
        let counts = self.voters().is_some_and(|voters| {
            voters.voter_ids().any(|voter| voter == id)
                && voters.nodes().any(|(node, peer)| *node == id && peer.authority == sender.as_str())
        });
        if !counts {
            return false;
        }
        let now = self.chain.monotonic();
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        let since = leaving.entry(id).or_insert(now);
        if now.saturating_sub(*since) >= LEAVING_AGAIN {
            *since = now;
        }
        now.saturating_sub(*since) < LEAVING
    }

    /// Who votes, by the newest membership in the log.
    fn voters(&self) -> Option<Membership> {
        let upto = self.log.last().as_ref().map(LogId::index);
        self.log.membership_at(upto).map(|(_, membership)| membership).or_else(|| self.machine.membership())
    }

    /// The entries of an append: times run forward and not ahead, memberships are what the register signed at their place.
    ///
    /// A membership that comes before the entries that it follows on cannot be judged, so nothing of that request is let
    /// through: without entries openraft answers that it lacks what came before, and the leader sends it again.
    pub async fn entries(
        &self,
        request: &mut AppendEntriesRequest<TypeConfig>,
        passed: &mut Passed,
    ) -> Result<(), Error> {
        let changes_voters = request.entries.iter().any(|entry| matches!(entry.payload, Payload::Membership(_)));
        if changes_voters
            && let Some(previous) = request.prev_log_id
            && !self.holds(previous).await?
        {
            request.entries.clear();
        }
        let previous = request.prev_log_id.as_ref().map(LogId::index);
        let mut time = match passed.time {
            Some((index, time)) if previous.is_some_and(|previous| previous >= index) => Some(time),
            _ => request.prev_log_id.and_then(|previous| self.log.time_at(previous)),
        };
        for (place, entry) in request.entries.iter().enumerate() {
            match &entry.payload {
                Payload::Blank => {}
                Payload::Normal(command) => {
                    let fits = self.time_fits(request, place, time, command.entry_time).await?;
                    if !fits {
                        // Whoever follows hears the stewards' word for it; then it is taken here as well.
                        self.chain.wanted.notify_one();
                        let detail = format!("entry {} at {}", entry.index(), command.entry_time);
                        return Err(Error::new(Reason::EntryTimeInvalid, detail));
                    }
                    if command.signed.len() > limits::STATEMENT_BYTES {
                        return Err(Error::new(Reason::MessageTooLarge, format!("entry {}", entry.index())));
                    }
                    time = Some(command.entry_time);
                    passed.time = Some((entry.index(), command.entry_time));
                }
                Payload::Membership(membership) => self.membership(request, place, membership)?,
            }
        }
        Ok(())
    }

    /// Whether an entry's time may be taken. One that runs forward, no further ahead than entries may, shows that by the log
    /// alone; any other is judged by the register at its place, since a RETIME may stand before it: it runs forward there and
    /// lies no further ahead than the register does, or this node's own mirror has this very entry, confirmed.
    async fn time_fits(
        &self,
        request: &AppendEntriesRequest<TypeConfig>,
        place: usize,
        previous: Option<UnixMs>,
        at: UnixMs,
    ) -> Result<bool, Error> {
        let now = self.clock.now();
        if previous.is_none_or(|previous| previous <= at) && at.since(now) <= limits::ENTRY_TIME_AHEAD {
            return Ok(true);
        }
        let (applied, before) = (self.machine.applied(), request.prev_log_id);
        let index = |id: &Option<LogId>| id.as_ref().map(LogId::index);
        if index(&applied).is_some_and(|applied| request.entries[place].index() <= applied) {
            // Already applied here, and the same one (`place`): openraft skips it.
            return Ok(true);
        }
        if let Some(before) = before
            && !self.holds(before).await?
        {
            return Ok(false);
        }
        let unapplied = self.log.unapplied(index(&applied), index(&before));
        let mut state = self.state_at(unapplied.iter().chain(&request.entries[..place]))?;
        if at < state.entry_time() || entry_time_fits(state.entry_time(), at, now) {
            return Ok(at >= state.entry_time());
        }
        if let Payload::Normal(command) = &request.entries[place].payload {
            state.apply(command.entry_time, &command.signed, self.chain.verified_signatures());
        }
        self.chain.has_head(state.number(), state.head())
    }

    fn membership(
        &self,
        request: &AppendEntriesRequest<TypeConfig>,
        place: usize,
        membership: &Membership,
    ) -> Result<(), Error> {
        let before = &request.entries[..place];
        let applied = self.machine.applied();
        if request.entries[place].index() <= applied.as_ref().map_or(0, LogId::index) && applied.is_some() {
            // Already applied here, and the same one (`place`): openraft skips it.
            return Ok(());
        }
        let unapplied =
            self.log.unapplied(applied.as_ref().map(LogId::index), request.prev_log_id.as_ref().map(LogId::index));
        let in_force = self.state_at(unapplied.iter().chain(before))?;
        let earlier = before.iter().rev().find_map(membership_of);
        let earlier = earlier.or_else(|| {
            let upto = request.prev_log_id.as_ref().map(LogId::index);
            self.log.membership_at(upto).map(|(_, membership)| membership).or_else(|| self.machine.membership())
        });
        let fits = follows(&in_force, earlier.as_ref(), membership);
        fits.map_err(|why| Error::new(Reason::RaftMembershipUnsigned, why))
    }

    /// Whether the log has this very entry; waits for it while this stream's earlier entries are on their way into it.
    async fn holds(&self, id: LogId) -> Result<bool, Error> {
        let mut growth = self.log.growth();
        let grown = growth.wait_for(|last| *last >= id.index());
        if tokio::time::timeout(PREVIOUS, grown).await.is_err() && self.log.last().is_none_or(|last| last < id) {
            return Ok(false);
        }
        let purged = self.machine.applied().is_some_and(|applied| id.index() <= applied.index());
        Ok(self.log.log_id(id.index()).map_or(purged, |own| own == id))
    }

    /// The register at a place in the log: what is applied, and what stands before it, applied forward.
    fn state_at<'a>(&self, entries: impl Iterator<Item = &'a Entry>) -> Result<RegisterState, Error> {
        let mut state = self.chain.raft_state().ok_or_else(|| Error::from(Reason::NotASteward))?;
        for entry in entries {
            if let Payload::Normal(command) = &entry.payload {
                state.apply(command.entry_time, &command.signed, self.chain.verified_signatures());
            }
        }
        Ok(state)
    }
}
