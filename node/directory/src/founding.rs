//! Beginning the order anew, as a node does it (9.15): planned, signed once Raft is left, told to everybody, followed; and
//! what stood above its base proposed again.
//!
//! One at a time goes through here (`Inner::refounding`), so that no Raft instance starts while a register goes back.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use super::chain::{EndedOrder, Learnt, Pending};
use super::disk::{Meta, Write};
use super::error::Error;
use super::gossip;
use super::handle::{Directory, random};
use super::own_beats;
use super::raft;
use super::refounding::{self, Base, Plan, WithoutProof, add_signature};
use super::statements::Author;
use super::steward::is_named;
use crate::domain::directory::{Position, Steward};
use crate::domain::ids::{AuthorityId, Digest, StatementId};
use crate::domain::reason::Reason;
use crate::domain::statement::Founder;
use crate::domain::time::UnixMs;
use crate::state::RegisterState;
use crate::wire::acts::refound::founder as read_founder;
use crate::wire::keys::Verify;

/// A steward's word counts for this long.
const WORD: Duration = Duration::from_secs(600);
/// For an order that still works to show it.
const ALIVE: Duration = Duration::from_secs(3);
/// Members that are asked beside the stewards.
const MEMBERS: usize = 3;
/// Before whoever is no steward proposes again what stood above a base: those that founded do it first.
const LATER: Duration = Duration::from_secs(5);
/// Between two looks at what is still to be proposed again.
const AGAIN: Duration = Duration::from_secs(2);

/// What a founding would be, or is that others have still to sign.
#[derive(Clone, Debug)]
pub struct RefoundingPlan {
    pub founding: u64,
    pub base: Position,
    pub base_head: Digest,
    pub base_time: UnixMs,
    /// Stewards from then on.
    pub stewards: Vec<AuthorityId>,
    /// Stewards of now that are none then.
    pub left_out: Vec<AuthorityId>,
    /// Who has still to sign, this node among them.
    pub missing: Vec<AuthorityId>,
    /// Changes here that stand above the base.
    pub above: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    New(Plan),
    Sign(Pending),
}

/// How it stands with foundings at a node.
#[derive(Clone, Debug, Default)]
pub struct RefoundingStatus {
    /// Foundings that stand against each other: a person decides.
    pub contested: Vec<StatementId>,
    /// Who has still to sign the one that is under way.
    pub missing: Vec<AuthorityId>,
    /// Stewards of which so many have no vote any more that no majority can form.
    pub without_majority: Vec<AuthorityId>,
    /// Statements from above a base that the new line has not decided yet.
    pub above: usize,
}

/// Stewards' words, and when each came here.
#[derive(Default)]
pub(super) struct Words(BTreeMap<AuthorityId, (Founder, Instant)>);

impl Words {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn of_now(&self) -> impl Iterator<Item = &Founder> {
        self.0.values().filter(|(_, heard)| heard.elapsed() < WORD).map(|(founder, _)| founder)
    }
}

impl Directory {
    /// What a founding would be now; the one that waits for this node's signature, if there is one. `without`: what is done where nobody
    /// has the proof of how far the order had come.
    ///
    /// # Errors
    /// `REFOUNDING_NOT_NEEDED` while the stewards decide, `NOT_A_STEWARD`, `REFOUNDING_ALONE` when too few of them answer,
    /// `REFOUNDING_UNPROVED`, `REGISTER_CONTESTED`.
    pub async fn refounding_plan(&self, without: WithoutProof) -> Result<RefoundingPlan, Error> {
        let state = self.state();
        if !state.is_steward(self.authority()) {
            return Err(Reason::NotASteward.into());
        }
        if !self.0.chain.contested().is_empty() {
            return Err(Reason::RegisterContested.into());
        }
        if !self.0.chain.has_left() && timeout(ALIVE, self.linearizable()).await.is_ok_and(|read| read.is_ok()) {
            return Err(Reason::RefoundingNotNeeded.into());
        }
        self.ask_for_foundings().await;
        match self.0.chain.pending_founding().filter(|pending| self.may_sign(&pending.judged)) {
            Some(pending) => Ok(self.shown(What::Sign(pending))),
            None => Ok(self.shown(What::New(self.new_plan(without).await?))),
        }
    }

    /// One that names this authority under the Raft id of another disk, which was lost since, is never signed: the next one is begun.
    fn may_sign(&self, judged: &refounding::Judged) -> bool {
        let own = judged.stewards.iter().find(|steward| steward.authority == *self.authority());
        let signed = !judged.missing.contains(self.authority());
        signed || own.is_none_or(|steward| self.offered().ok() == Some(steward.raft_id))
    }

    /// Signs it: leaves Raft for good, then gives the signature. Answers with who has still to sign; empty: the order has begun
    /// anew.
    ///
    /// # Errors
    /// `REFOUNDING_SIGNED` when this authority has signed that number or a later one; what keeps it from being stored.
    pub async fn refound(&self, plan: RefoundingPlan) -> Result<Vec<AuthorityId>, Error> {
        let federation = self.view().federation;
        let signed = match &plan.what {
            What::New(new) => {
                let mut nonce = [0_u8; 16];
                nonce[..8].copy_from_slice(&random()?.to_be_bytes());
                nonce[8..].copy_from_slice(&random()?.to_be_bytes());
                let (key, now) = (self.speaking_key(), self.0.clock.now());
                new.statement(&Author { authority: self.authority(), key: &key, now, nonce })
            }
            What::Sign(pending) if !pending.judged.missing.contains(self.authority()) => {
                // Signed before: told again to those that have not.
                gossip::tell_founding(self, &pending.signed);
                return Ok(pending.judged.missing.clone());
            }
            What::Sign(pending) => add_signature(&federation, &pending.signed, &self.speaking_key())
                .ok_or_else(|| Error::from(Reason::StatementMalformed))?,
        };
        let there = plan.base_state().clone();
        let read = refounding::readable(&signed).ok_or_else(|| Error::from(Reason::StatementMalformed))?;
        let own = read.founders.iter().find(|founder| founder.steward.authority == *self.authority());
        let raft_id = own.map(|founder| founder.steward.raft_id).filter(|id| self.offered().ok() == Some(*id));
        let raft_id = raft_id.ok_or_else(|| Error::new(Reason::RefoundingSigned, "under a Raft id of another disk"))?;
        let directory = self.clone();
        self.to_its_end(async move { directory.pledged(&read, &signed, &there, raft_id).await }).await
    }

    /// Leaves Raft for good, with the pledge on disk before the signature goes out; then follows.
    async fn pledged(
        &self,
        read: &refounding::Readable,
        signed: &Bytes,
        there: &RegisterState,
        raft_id: u64,
    ) -> Result<Vec<AuthorityId>, Error> {
        {
            let _one = self.0.refounding.lock().await;
            let highest = self.0.chain.pledged().map_or(0, |(founding, _)| founding);
            if read.founding <= highest.max(self.state().position().founding) {
                return Err(Reason::RefoundingSigned.into());
            }
            self.end_raft().await;
            let ended = self.ended_order(raft_id).await?;
            self.0.chain.pledge((read.founding, read.id), signed, there, ended).await?;
            self.0.set_raft_id(raft_id);
        }
        tracing::warn!(founding = read.founding, "this steward has left its Raft and signed a founding");
        gossip::tell_founding(self, signed);
        self.follow_foundings().await?;
        let pending = self.0.chain.pending_founding().filter(|pending| pending.judged.id == read.id);
        Ok(pending.map(|pending| pending.judged.missing).unwrap_or_default())
    }

    /// Whoever hangs up: what was begun on disk and not in memory would be begun a second time.
    async fn to_its_end<T: Send + 'static>(
        &self,
        act: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.0.tasks.spawn(act).await.map_err(|_| Error::from(Reason::NodeStopping))?
    }

    /// A person decides for one of the foundings that stand against each other.
    ///
    /// # Errors
    /// When it is not known, or cannot be followed.
    pub async fn choose_founding(&self, id: StatementId) -> Result<(), Error> {
        let directory = self.clone();
        self.to_its_end(async move {
            directory.0.chain.choose_founding(id).await?;
            directory.follow_foundings().await
        })
        .await
    }

    /// How it stands with foundings.
    pub fn refounding(&self) -> RefoundingStatus {
        let (state, chain) = (self.state(), &self.0.chain);
        let words = self.0.words.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = |authority: &AuthorityId| {
            // What was said before the order began anew is of the one before.
            let began = self.0.chain.founded_at();
            let told = words.of_now().any(|word| {
                word.steward.authority == *authority && word.without_vote && began.is_none_or(|at| word.time > at)
            });
            told || (*authority == *self.authority() && self.is_without_vote(&state))
        };
        let without: Vec<AuthorityId> =
            state.stewards().iter().map(|steward| steward.authority.clone()).filter(|id| lost(id)).collect();
        let left = state.stewards().len() - without.len();
        let pending = chain.pending_founding();
        RefoundingStatus {
            contested: chain.contested(),
            missing: pending.map(|pending| pending.judged.missing).unwrap_or_default(),
            without_majority: if left < state.majority() { without } else { Vec::new() },
            above: chain.above().len(),
        }
    }

    /// Takes in a founding that somebody told, and follows it if it is to be followed. Whether it was new.
    ///
    /// # Errors
    /// Why it does not count, or cannot be followed.
    pub async fn met_founding(&self, signed: &Bytes) -> Result<bool, Error> {
        // The base may lie before the teller knew this node, and then its call ends in the middle.
        let (directory, signed) = (self.clone(), signed.clone());
        self.to_its_end(async move { directory.take_founding(&signed).await }).await
    }

    async fn take_founding(&self, signed: &Bytes) -> Result<bool, Error> {
        let new = self.0.chain.learn_founding(signed).await? == Learnt::New;
        // One that is known already may not be followed yet.
        self.follow_foundings().await?;
        if new {
            gossip::tell_founding(self, signed);
        }
        Ok(new)
    }

    /// Takes in a beat, whoever relays it, and follows the founding that waited for it. Whether it was new.
    ///
    /// # Errors
    /// Why it does not count, or why the founding cannot be followed.
    pub(crate) async fn hear_beat(&self, signed: &Bytes) -> Result<bool, Error> {
        let new = self.0.chain.accept_beat(signed)?;
        if self.0.chain.founding_due() {
            let directory = self.clone();
            self.to_its_end(async move { directory.follow_foundings().await }).await?;
        }
        Ok(new)
    }

    /// Follows what is to be followed by all that is known; leaves Raft where this authority has signed elsewhere.
    pub(super) async fn follow_foundings(&self) -> Result<(), Error> {
        let _one = self.0.refounding.lock().await;
        let chain = &self.0.chain;
        while let Some(signed) = chain.settle() {
            self.end_raft().await;
            let founders = refounding::readable(&signed).map(|read| read.founders).unwrap_or_default();
            let own = founders.iter().find(|founder| founder.steward.authority == *self.authority());
            let here = self.raft_id();
            let stays = own.is_some_and(|founder| founder.steward.raft_id == here);
            // One that has voted in an order that has ended votes in no other one.
            let spent = !stays && self.state().has_voted(here);
            let raft_id = if spent { random()? >> 1 | 1 } else { here };
            chain.begin_anew(&signed, self.ended_order(raft_id).await?).await?;
            self.0.set_raft_id(raft_id);
            self.0.words.lock().unwrap_or_else(PoisonError::into_inner).clear();
            let position = chain.position();
            tracing::warn!(%position, votes = stays, "the order of the register has begun anew");
        }
        if !chain.contested().is_empty() {
            havenlink_runtime::repeated!(error; "two foundings of the register's order stand against each other; neither is followed");
            self.end_raft().await;
        }
        if let Some(pending) = chain.pending_founding()
            && let judged = &pending.judged
            && judged.stewards.iter().any(|steward| steward.authority == *self.authority())
            && !judged.missing.contains(self.authority())
            && chain.pledged().is_none_or(|(founding, _)| founding < judged.founding)
        {
            // Signed by another machine of this authority: this one is the old one, or has forgotten.
            self.end_raft().await;
            let raft_id = random()? >> 1 | 1;
            let ended = self.ended_order(raft_id).await?;
            chain.pledge((judged.founding, judged.id), &pending.signed, &pending.there, ended).await?;
            self.0.set_raft_id(raft_id);
        }
        Ok(())
    }

    async fn end_raft(&self) {
        if let Some(node) = self.0.node.swap(None) {
            self.0.node_changed.send_modify(|count| *count += 1);
            node.shutdown().await;
        }
    }

    /// What Raft leaves here, once its instance has ended and all that it queued is on disk.
    async fn ended_order(&self, raft_id: u64) -> Result<EndedOrder, Error> {
        let disk = self.0.chain.disk();
        disk.write(Vec::new()).await?;
        Ok(EndedOrder { rows: raft::ended(raft_id), unapplied: raft::unapplied(disk)? })
    }

    /// The register names this authority as a steward, and not this node.
    fn is_without_vote(&self, state: &RegisterState) -> bool {
        state.is_steward(self.authority()) && !is_named(state, self.authority(), self.raft_id())
    }

    /// It has signed a founding that gives it a vote, and that others have still to sign: what it says of the order before would reach
    /// them after they have followed.
    fn votes_in_what_it_signed(&self) -> bool {
        let signed = |judged: &refounding::Judged| {
            let own = self.authority();
            judged.stewards.iter().any(|steward| steward.authority == *own) && !judged.missing.contains(own)
        };
        self.0.chain.pending_founding().is_some_and(|pending| signed(&pending.judged))
    }

    /// This node's own word, if its authority is a steward.
    pub(crate) fn own_word(&self) -> Option<Founder> {
        let state = self.state();
        if !state.is_steward(self.authority()) {
            return None;
        }
        let steward = Steward { authority: self.authority().clone(), raft_id: self.offered().ok()? };
        let before = self.0.chain.pledged().map_or(0, |(founding, _)| founding);
        let (time, without_vote) =
            (self.0.clock.now(), self.is_without_vote(&state) && !self.votes_in_what_it_signed());
        Some(refounding::founder(state.federation(), steward, before, without_vote, time, &self.speaking_key()))
    }

    /// The Raft id under which this node would take part in a founding: never voted, and kept until it is used.
    fn offered(&self) -> Result<u64, Error> {
        let mut offered = self.0.offered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = *offered {
            return Ok(id);
        }
        let disk = self.0.chain.disk();
        let stored = disk.meta(Meta::Offered)?.and_then(|row| row.try_into().ok()).map(u64::from_be_bytes);
        let id = match stored {
            Some(id) => id,
            None => random()? >> 1 | 1,
        };
        // On disk with the next write that asks for it: the pledge at the latest, before anything rests on it.
        disk.submit(vec![Write::Set(Meta::Offered, id.to_be_bytes().to_vec())], true, None)?;
        *offered = Some(id);
        Ok(id)
    }

    /// Another steward's word, if it is one.
    pub(crate) fn hear_word(&self, signed: Bytes) -> Result<(), Error> {
        let (word, opened) = read_founder(signed)?;
        // A key that was withdrawn gives no word; the one that comes after it does.
        let state = self.0.chain.judged_by();
        let member = state.member(&word.steward.authority).filter(|_| state.is_steward(&word.steward.authority));
        let member = member.ok_or_else(|| Error::from(Reason::NotASteward))?;
        let verify: &dyn Verify = self.0.chain.verified_signatures();
        let key = member.entry.authority_key;
        opened.check(&state.federation(), |id| (key.id() == *id).then_some(key), verify)?;
        let mut words = self.0.words.lock().unwrap_or_else(PoisonError::into_inner);
        let newer = words.0.get(&word.steward.authority).is_none_or(|(known, _)| known.time < word.time);
        if newer && word.steward.authority != *self.authority() {
            words.0.insert(word.steward.authority.clone(), (word, Instant::now()));
        }
        Ok(())
    }

    /// Asks every other steward that is known, and some members, for foundings, words and signs of life.
    pub(super) async fn ask_for_foundings(&self) {
        let mut asked = self.other_stewards().unwrap_or_default();
        for member in gossip::partners(self, MEMBERS) {
            if !asked.contains(&member) {
                asked.push(member);
            }
        }
        let word = self.own_word();
        let asking = asked.iter().map(|other| gossip::ask(self, other, word.as_ref()));
        futures_util::future::join_all(asking).await;
    }

    async fn new_plan(&self, without: WithoutProof) -> Result<Plan, Error> {
        own_beats::beat_now(self);
        let (state, chain) = (self.state(), &self.0.chain);
        let mut founders: Vec<Founder> = {
            let words = self.0.words.lock().unwrap_or_else(PoisonError::into_inner);
            words.of_now().cloned().collect()
        };
        founders.extend(self.own_word());
        founders.sort_by(|a, b| a.steward.authority.cmp(&b.steward.authority));
        let names = |founders: &[Founder]| -> Vec<AuthorityId> {
            founders.iter().map(|founder| founder.steward.authority.clone()).collect()
        };
        let base: Base = chain.base(&names(&founders), without).await?;
        founders.retain(|founder| base.there.is_steward(&founder.steward.authority));
        let few = |set: &RegisterState| {
            founders.iter().filter(|founder| set.is_steward(&founder.steward.authority)).count() < set.majority()
        };
        if few(&base.there) || few(&state) {
            return Err(Error::new(
                Reason::RefoundingAlone,
                names(&founders).iter().map(|n| format!("{n} ")).collect::<String>(),
            ));
        }
        let before = founders.iter().map(|founder| founder.signed_before).max().unwrap_or(0);
        let founding = chain.highest_founding().max(before) + 1;
        let known = chain.rotations_since(base.there.position());
        let rotations = refounding::leading(&base.there, &founders, &known);
        Ok(Plan { founding, set_version: chain.newest_set_version(), base, founders, rotations })
    }

    fn shown(&self, what: What) -> RefoundingPlan {
        let (founding, there, stewards, missing) = match &what {
            What::New(plan) => {
                let stewards: Vec<AuthorityId> = plan.stewards().cloned().collect();
                (plan.founding, &plan.base.there, stewards.clone(), stewards)
            }
            What::Sign(Pending { judged, there, .. }) => {
                let stewards = judged.stewards.iter().map(|steward| steward.authority.clone()).collect();
                (judged.founding, there, stewards, judged.missing.clone())
            }
        };
        let now = self.state();
        let left = now.stewards().iter().map(|steward| &steward.authority).filter(|id| !stewards.contains(id));
        RefoundingPlan {
            founding,
            base: there.position(),
            base_head: there.head(),
            base_time: there.entry_time(),
            left_out: left.cloned().collect(),
            above: self.0.chain.count_above(there.position()),
            stewards,
            missing,
            what,
        }
    }
}

impl RefoundingPlan {
    fn base_state(&self) -> &RegisterState {
        match &self.what {
            What::New(plan) => &plan.base.there,
            What::Sign(pending) => &pending.there,
        }
    }
}

/// Proposes again what stood above a base, in its order, for as long as there is any.
pub(super) async fn propose_again(directory: Directory) {
    let mut changes = directory.changes();
    loop {
        let above = directory.0.chain.above();
        if above.is_empty() || directory.0.chain.has_left() {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        if !directory.state().is_steward(directory.authority()) {
            sleep(LATER).await;
        }
        for (place, signed) in above {
            match directory.propose(signed).await {
                Err(error) if error.retryable() => {
                    tracing::debug!(%error, "what stood above the base is proposed again later");
                    break;
                }
                answer => {
                    let outcome = answer.map_or_else(|error| error.reason().code(), |applied| applied.outcome.name());
                    tracing::info!(place, outcome, "a statement from above the base was proposed again");
                }
            }
            if let Err(error) = directory.0.chain.decided_above(place) {
                havenlink_runtime::repeated!(warn; %error, "what was decided again was not noted");
                return;
            }
        }
        sleep(AGAIN).await;
    }
}
