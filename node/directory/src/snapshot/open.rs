//! Items back to state: replayed, compared, and handed out only when somebody vouches for the digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::elements;
use imbl::OrdSet;
use prost::Message;
use proto::snapshot_item::Item;

use super::{Error, encode};
use crate::beats;
use crate::domain::directory::Position;
use crate::domain::ids::{Digest, FederationId};
use crate::domain::register::Outcome;
use crate::domain::time::UnixMs;
use crate::state::{Carried, Change, RegisterState};
use crate::wire::beat::SnapshotMark;
use crate::wire::keys::Verify;

/// A snapshot that holds together, for which nobody has vouched yet.
pub struct Unproven {
    state: RegisterState,
    mark: SnapshotMark,
    beats: Vec<Bytes>,
}

/// Reads a snapshot and replays all that it carries. `known`: the register that this node has, which the snapshot has to
/// continue: nothing that was decided there may be missing.
///
/// # Errors
/// What does not fit.
pub fn open(
    federation: &FederationId,
    header: &proto::SnapshotHeader,
    items: &Bytes,
    known: Option<&RegisterState>,
    verify: &dyn Verify,
) -> Result<Unproven, Error> {
    let mark = mark(header)?;
    if header.federation_id != federation.as_bytes()[..] {
        return Err(Error("another federation"));
    }
    if Digest::of(items) != mark.digest {
        return Err(Error("the items do not have the digest of the header"));
    }
    let parts = Parts::read(items.clone(), header.items)?;
    let position = Position { founding: header.founding, number: mark.number };
    if parts.position != (position, mark.head, UnixMs(header.entry_time_ms)) {
        return Err(Error("header and items name different positions"));
    }
    let state = parts.replay(federation, verify)?;
    // What the items say beside the statements is not believed: the state that the statements give must say the same.
    if encode(&state).mark != mark {
        return Err(Error("the statements do not give the state that the items claim"));
    }
    if let Some(known) = known {
        continues(known, &state)?;
    }
    let beats = header.beats.iter().map(|signed| Bytes::from(signed.encode_to_vec())).collect();
    Ok(Unproven { state, mark, beats })
}

impl Unproven {
    /// Its number, head and digest.
    pub fn mark(&self) -> SnapshotMark {
        self.mark
    }

    /// The state, with the beats that prove it: those of a majority of its own stewards, who name this number, head and
    /// digest. `newest`: what this node knows of their keys since.
    ///
    /// # Errors
    /// There is no such majority.
    pub fn by_majority(
        self,
        newest: &RegisterState,
        verify: &dyn Verify,
    ) -> Result<(RegisterState, Vec<Bytes>), Error> {
        let mut proof = BTreeMap::new();
        for signed in self.beats {
            let opened = beats::open(&signed).map_err(|_| Error("a beat is none"))?;
            if opened.vouches(&self.mark, &self.state, newest, verify) {
                proof.insert(opened.beat.steward, signed);
            }
        }
        if proof.len() < self.state.majority() {
            return Err(Error("no majority of stewards signed it"));
        }
        Ok((self.state, proof.into_values().collect()))
    }

    /// The state, where the caller answers for the digest: it comes from this node's own disk.
    pub fn from_own_disk(self) -> RegisterState {
        self.state
    }
}

fn mark(header: &proto::SnapshotHeader) -> Result<SnapshotMark, Error> {
    let digest = |bytes: &[u8]| Digest::from_slice(bytes).ok_or(Error("a digest has 32 bytes"));
    Ok(SnapshotMark { number: header.number, head: digest(&header.head)?, digest: digest(&header.digest)? })
}

/// What the items carry that is needed to build the state.
struct Parts {
    /// Place, head, entry time.
    position: (Position, Digest, UnixMs),
    changes: BTreeMap<u64, Change>,
    carried: Carried,
}

impl Parts {
    fn read(mut stream: Bytes, count: u64) -> Result<Self, Error> {
        let position = (Position::default(), Digest([0; 32]), UnixMs(0));
        let mut parts = Self { position, changes: BTreeMap::new(), carried: Carried::default() };
        let mut read = 0_u64;
        while stream.has_remaining() {
            let length = prost::decode_length_delimiter(&mut stream).map_err(|_| Error("an item is none"))?;
            if length > stream.remaining() {
                return Err(Error("an item is cut off"));
            }
            let item = elements::decode::<proto::SnapshotItem>(stream.split_to(length));
            let item = item.map_err(|_| Error("an item is none, or has too many elements"))?;
            parts.take(item.item.ok_or(Error("an item of an unknown kind"))?)?;
            read += 1;
        }
        if read == count { Ok(parts) } else { Err(Error("items are missing")) }
    }

    fn take(&mut self, item: Item) -> Result<(), Error> {
        match item {
            Item::Position(position) => {
                let head = Digest::from_slice(&position.head).ok_or(Error("a digest has 32 bytes"))?;
                let place = Position { founding: position.founding, number: position.number };
                self.position = (place, head, UnixMs(position.entry_time_ms));
            }
            Item::Policy(policy) => self.add(policy.changes)?,
            Item::Stewards(stewards) => {
                self.carried.raft_ids = stewards.used_raft_ids.iter().copied().collect::<OrdSet<u64>>();
                self.add(stewards.changes)?;
            }
            Item::Member(member) => self.add(member.changes)?,
            Item::Proposal(proposal) => self.add(proposal.changes)?,
            Item::Accepted(accepted) => {
                let digest = Digest::from_slice(&accepted.digest).ok_or(Error("a digest has 32 bytes"))?;
                let outcome = Outcome::from_code(accepted.outcome).filter(|outcome| outcome.is_accepted());
                let outcome = outcome.ok_or(Error("an accepted statement has an accepting outcome"))?;
                self.carried.accepted.insert(digest, (accepted.number, outcome));
            }
        }
        Ok(())
    }

    /// A change may stand in two items (a decision and what it decided about), but only as the same change.
    fn add(&mut self, changes: Vec<proto::Change>) -> Result<(), Error> {
        for change in changes {
            let outcome = Outcome::from_code(change.outcome).ok_or(Error("a change without an outcome"))?;
            let entry_time = UnixMs(change.entry_time_ms);
            let change = Change { number: change.number, entry_time, signed: change.signed, outcome };
            let held = self.changes.entry(change.number).or_insert_with(|| change.clone());
            if *held != change {
                return Err(Error("two changes have one number"));
            }
        }
        Ok(())
    }

    fn replay(mut self, federation: &FederationId, verify: &dyn Verify) -> Result<RegisterState, Error> {
        let genesis = self.changes.remove(&0).ok_or(Error("no genesis statement"))?;
        let mut state = RegisterState::genesis(&genesis.signed, verify)
            .map_err(|_| Error("the genesis statement does not verify"))?;
        if state.federation() != *federation {
            return Err(Error("another federation's genesis statement"));
        }
        for change in self.changes.values() {
            if change.entry_time < state.entry_time() || !state.replay(change, verify) {
                return Err(Error("a statement does not have the outcome that is claimed"));
            }
        }
        let (Position { founding, number }, head, entry_time) = self.position;
        if state.position().founding != founding {
            return Err(Error("its founding is not among its statements"));
        }
        if state.number() > number || state.entry_time() > entry_time || number >= u64::MAX >> 1 {
            return Err(Error("statements beyond the snapshot's number"));
        }
        state
            .resume(number, head, entry_time, self.carried)
            .ok_or(Error("pins, Raft ids or accepted statements differ"))
    }
}

/// Whatever this node's register holds as decided stands in the newer one as well, and nothing new came into the past:
/// only votes on what was still open then may have become history since.
///
/// # Errors
/// It is older, or another register.
pub fn continues(known: &RegisterState, state: &RegisterState) -> Result<(), Error> {
    let number = known.number();
    if state.position() < known.position()
        || state.number() < number
        || (state.number() == number && state.head() != known.head())
    {
        return Err(Error("older than the register that is here, or another one"));
    }
    let open: Vec<&Arc<Change>> = known.proposals().flat_map(|proposal| &proposal.changes).collect();
    let goes_on = |before: &[Arc<Change>], after: &[Arc<Change>], own: Option<&Arc<Change>>| {
        let past = |change: &&Arc<Change>| change.number <= number;
        let had = |change: &Arc<Change>| before.contains(change) || own == Some(change) || open.contains(&change);
        before.iter().all(|change| after.contains(change)) && after.iter().filter(past).all(had)
    };
    let mut fits = goes_on(known.policy_changes(), state.policy_changes(), None)
        && goes_on(known.stewards_changes(), state.stewards_changes(), None);
    for (authority, history) in state.histories() {
        fits &= match known.history(authority) {
            Some(before) => goes_on(&before.decided, &history.decided, before.own.as_ref()),
            None => goes_on(&[], &history.decided, None),
        };
    }
    fits &= state.mandates().continues(known.mandates());
    fits &= known.members().keys().all(|authority| state.member(authority).is_some());
    if fits { Ok(()) } else { Err(Error("it does not continue the register that is here")) }
}
