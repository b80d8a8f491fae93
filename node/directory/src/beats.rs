//! The stewards' signs of life: freshness, forks, the majority's term, the majority's signature of a snapshot (9.4).
//!
//! Pure: bytes come in with the state and the time. Each steward's newest beat counts; older ones are kept for a while
//! only to compare heads: two heads at one number show that somebody was told another order, and who signed it. Stewards
//! beat at different numbers: what each said last at a number that is here decides whether it stands behind this register,
//! and one that contradicts it makes nothing fresh.

use std::collections::BTreeMap;

use bytes::Bytes;
use havenlink_proto::directory::v1 as proto;

use super::state::RegisterState;
use crate::domain::authority::{KeyRecord, PublicKey};
use crate::domain::ids::{AuthorityId, Digest, FederationId, KeyId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::wire::beat::{self, Beat, SnapshotMark};
use crate::wire::keys::Verify;
use crate::wire::signed;

/// Who stands behind a head.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Witness {
    /// This node's own register.
    Own,
    /// A steward's signed beat.
    Steward(AuthorityId),
}

/// Two heads at one change number: somebody was told another order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    pub number: u64,
    /// Each head with who stands behind it; at least two.
    pub heads: Vec<(Digest, Vec<Witness>)>,
    /// The beats that prove it: encoded `Signed`.
    pub proof: Vec<Bytes>,
}

/// A head that a steward signed, with the beat.
type Said = (Digest, Bytes);

/// What the stewards said lately.
#[derive(Clone, Debug, Default)]
pub struct Beats {
    newest: BTreeMap<AuthorityId, (Beat, Bytes)>,
    /// Number -> steward -> heads that it signed there; two heads of one steward are a fork too.
    said: BTreeMap<u64, BTreeMap<AuthorityId, Vec<Said>>>,
    /// Steward -> numbers in `said`, with whether the one head that it signed there is another than this node's own; `None`:
    /// it is not known here, or the steward signed two.
    remembered: BTreeMap<AuthorityId, BTreeMap<u64, Option<bool>>>,
    own: BTreeMap<u64, Digest>,
    /// Steward -> the snapshots that it named last. Each has its own list: one that names many pushes out only its own.
    marks: BTreeMap<AuthorityId, Vec<(SnapshotMark, Bytes)>>,
    forks: Vec<Fork>,
}

/// Numbers remembered of each steward.
const NUMBERS: usize = 256;
/// Numbers remembered of this node's own register.
const OWN_NUMBERS: usize = 8_192;
/// Forks kept; the first ones tell the story.
const FORKS: usize = 16;
/// Snapshots remembered of each steward.
const SNAPSHOTS: usize = 8;

impl Beats {
    /// Whether a beat would say something new. Costs no signature: whoever holds a lock looks first, and verifies without.
    ///
    /// # Errors
    /// `BEAT_INVALID`: of no steward, of another founding, or dated more than two minutes ahead; `WRONG_FEDERATION`.
    pub(super) fn look(&self, opened: &Opened, state: &RegisterState, now: UnixMs) -> Result<bool, Reason> {
        let beat = &opened.beat;
        if beat.federation != state.federation() {
            return Err(Reason::WrongFederation);
        }
        if beat.founding != state.position().founding {
            return Err(Reason::BeatInvalid);
        }
        if !self.is_newer(beat, now) && !self.counts(beat, state, now) {
            return Ok(false);
        }
        let ahead = beat.time.since(now) > limits::BEAT_AHEAD;
        if ahead || !state.is_steward(&beat.steward) { Err(Reason::BeatInvalid) } else { Ok(true) }
    }

    /// Takes in a beat; whether it said something new, so that it is passed on.
    ///
    /// # Errors
    /// As `look` and `Opened::check`.
    pub fn accept(
        &mut self,
        signed: &Bytes,
        state: &RegisterState,
        now: UnixMs,
        verify: &dyn Verify,
    ) -> Result<bool, Reason> {
        let opened = open(signed)?;
        if !self.look(&opened, state, now)? {
            return Ok(false);
        }
        opened.check(state, verify)?;
        let bytes = Bytes::copy_from_slice(signed);
        let beat = opened.beat;
        let newer = self.is_newer(&beat, now);
        if self.counts(&beat, state, now) {
            self.remember(&beat, &bytes);
        }
        if let Some(mark) = beat.snapshot {
            let marks = self.marks.entry(beat.steward.clone()).or_default();
            if marks.iter().all(|(said, _)| *said != mark) {
                marks.push((mark, bytes.clone()));
            }
            if marks.len() > SNAPSHOTS {
                let lowest = marks.iter().enumerate().min_by_key(|(_, (mark, _))| mark.number).map(|(at, _)| at);
                lowest.map(|at| marks.remove(at));
            }
        }
        if newer {
            self.newest.insert(beat.steward.clone(), (beat, bytes));
        }
        Ok(true)
    }

    /// What a steward said counts no more: the key that signed it was withdrawn.
    pub fn forget(&mut self, steward: &AuthorityId) {
        self.newest.remove(steward);
        self.remembered.remove(steward);
        for said in self.said.values_mut() {
            said.remove(steward);
        }
        self.said.retain(|_, said| !said.is_empty());
    }

    /// A beat that was heard while this clock, and the steward's, were ahead is none of now.
    fn is_newer(&self, beat: &Beat, now: UnixMs) -> bool {
        let ahead = |time: UnixMs| time.since(now) > limits::BEAT_AHEAD;
        self.newest.get(&beat.steward).is_none_or(|(held, _)| held.time < beat.time || ahead(held.time))
    }

    /// Whether a majority of the stewards of this state names, in beats that are of now, one of these heads.
    pub fn confirm(&self, heads: &[(u64, Digest)], state: &RegisterState, now: UnixMs) -> bool {
        let of_now = |beat: &&Beat| is_recent(beat, state, now) && beat.time.since(now) <= limits::BEAT_AHEAD;
        let named = self.counted(state).filter(of_now).filter(|beat| {
            let place = heads.binary_search_by_key(&beat.number, |(number, _)| *number);
            place.is_ok_and(|place| heads[place].1 == beat.head)
        });
        named.count() >= state.majority()
    }

    /// Whether a majority of the stewards of this state beats from its number on, in beats that are of now and do not contradict it.
    pub fn confirm_line(&self, state: &RegisterState, now: UnixMs) -> bool {
        let of_now = |beat: &&Beat| is_recent(beat, state, now) && beat.time.since(now) <= limits::BEAT_AHEAD;
        let on_it = |beat: &&Beat| {
            let same = beat.number > state.number() || beat.head == state.head();
            beat.founding == state.position().founding && beat.number >= state.number() && same
        };
        self.counted(state).filter(of_now).filter(on_it).count() >= state.majority()
    }

    /// Whether it is kept for what it says about its number. An old one proves nothing that newer ones do not, and whoever
    /// kept it must not push the newer ones out with it; but one that contradicts what is here is proof at any age.
    fn counts(&self, beat: &Beat, state: &RegisterState, now: UnixMs) -> bool {
        let contradicts = || self.own(beat.number).is_some_and(|own| own != beat.head);
        (is_recent(beat, state, now) || contradicts()) && self.is_new_head(beat)
    }

    fn is_new_head(&self, beat: &Beat) -> bool {
        let full = self.remembered.get(&beat.steward).filter(|numbers| numbers.len() >= NUMBERS);
        if full.and_then(|numbers| numbers.first_key_value()).is_some_and(|(lowest, _)| beat.number < *lowest) {
            return false;
        }
        let heads = self.said.get(&beat.number).and_then(|by| by.get(&beat.steward));
        heads.is_none_or(|heads| heads.iter().all(|(head, _)| *head != beat.head))
    }

    fn remember(&mut self, beat: &Beat, bytes: &Bytes) {
        let heads = self.said.entry(beat.number).or_default().entry(beat.steward.clone()).or_default();
        // Two are proof enough against one steward.
        if heads.len() < 2 {
            heads.push((beat.head, bytes.clone()));
        }
        let numbers = self.remembered.entry(beat.steward.clone()).or_default();
        numbers.entry(beat.number).or_insert(None);
        if numbers.len() > NUMBERS
            && let Some((lowest, _)) = numbers.pop_first()
            && let Some(by) = self.said.get_mut(&lowest)
        {
            by.remove(&beat.steward);
            if by.is_empty() {
                self.said.remove(&lowest);
            }
        }
        self.compare(beat.number, self.own(beat.number));
    }

    /// This node's own register reached the number with the head: compared with what stewards said.
    pub fn note_own(&mut self, number: u64, head: Digest) {
        self.own.insert(number, head);
        while self.own.len() > OWN_NUMBERS {
            self.own.pop_first();
        }
        if self.said.contains_key(&number) {
            self.compare(number, Some(head));
        }
    }

    /// This node's own head at a number, while it is remembered.
    pub fn own(&self, number: u64) -> Option<Digest> {
        self.own.get(&number).copied()
    }

    /// What this node's register was told to be above a number is not its own any more.
    pub fn forget_own_above(&mut self, number: u64) {
        let above = number.saturating_add(1);
        self.own.split_off(&above);
        for numbers in self.remembered.values_mut() {
            numbers.range_mut(above..).for_each(|(_, against)| *against = None);
        }
    }

    /// This node's own head at a number that memory does not reach any more: compared as in `note_own`.
    pub fn weigh(&mut self, number: u64, own: Digest) {
        self.compare(number, Some(own));
    }

    /// Whether a majority of stewards contradicts this node's own register above a number up to which it is certain: then
    /// the rest of it is wrong. The lowest of the numbers; who signed two heads at a number counts for neither there.
    pub fn outvoted(&self, state: &RegisterState, certain: u64) -> Option<u64> {
        let last = self.remembered.keys().filter(|steward| state.is_steward(steward));
        let against: Vec<u64> = last.filter_map(|who| self.contradicts(who, state)).filter(|n| *n > certain).collect();
        against.iter().min().copied().filter(|_| against.len() >= state.majority())
    }

    /// The number at which a steward contradicts this node's own register: where it last signed a head that can be compared,
    /// if that is another one. Each steward may name another number, since they do not beat at one time.
    fn contradicts(&self, steward: &AuthorityId, state: &RegisterState) -> Option<u64> {
        let numbers = self.remembered.get(steward)?.range(..=state.number()).rev();
        let (number, against) = numbers.filter_map(|(number, against)| Some((*number, (*against)?))).next()?;
        against.then_some(number)
    }

    fn compare(&mut self, number: u64, own: Option<Digest>) {
        let mut heads: BTreeMap<Digest, Vec<Witness>> = BTreeMap::new();
        if let Some(head) = own {
            heads.entry(head).or_default().push(Witness::Own);
            self.note_against(number, head);
        }
        let mut proof = Vec::new();
        for (steward, said) in self.said.get(&number).into_iter().flatten() {
            for (head, bytes) in said {
                heads.entry(*head).or_default().push(Witness::Steward(steward.clone()));
                proof.push(bytes.clone());
            }
        }
        if heads.len() < 2 {
            return;
        }
        let fork = Fork { number, heads: heads.into_iter().collect(), proof };
        if let Some(held) = self.forks.iter_mut().find(|held| held.number == number) {
            *held = fork;
        } else if self.forks.len() < FORKS {
            self.forks.push(fork);
        }
    }

    fn note_against(&mut self, number: u64, own: Digest) {
        for (steward, said) in self.said.get(&number).into_iter().flatten() {
            let against = if let [(head, _)] = &said[..] { Some(*head != own) } else { None };
            if let Some(noted) = self.remembered.get_mut(steward).and_then(|numbers| numbers.get_mut(&number)) {
                *noted = against;
            }
        }
    }

    /// Beats of those who are stewards now.
    fn counted<'a>(&'a self, state: &'a RegisterState) -> impl Iterator<Item = &'a Beat> {
        self.newest.values().map(|(beat, _)| beat).filter(|beat| state.is_steward(&beat.steward))
    }

    /// Time of the oldest beat of the newest majority: what the view's freshness is judged by. A steward that contradicts
    /// this register says nothing for how new it is.
    pub fn majority_beat(&self, state: &RegisterState) -> Option<UnixMs> {
        let behind_it = self.counted(state).filter(|beat| self.contradicts(&beat.steward, state).is_none());
        let mut times: Vec<UnixMs> = behind_it.map(|beat| beat.time).collect();
        times.sort_unstable_by(|a, b| b.cmp(a));
        times.get(state.majority() - 1).copied()
    }

    /// The highest term that a majority of stewards has reached; 0 while fewer have said any.
    pub fn majority_term(&self, state: &RegisterState) -> u64 {
        let mut terms: Vec<u64> = self.counted(state).map(|beat| beat.term).collect();
        terms.sort_unstable_by(|a, b| b.cmp(a));
        terms.get(state.majority() - 1).copied().unwrap_or(0)
    }

    /// The highest change number that a majority of stewards has reached; 0 while fewer have said any.
    pub fn majority_number(&self, state: &RegisterState) -> u64 {
        let mut numbers: Vec<u64> = self.counted(state).map(|beat| beat.number).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers.get(state.majority() - 1).copied().unwrap_or(0)
    }

    /// The newest beat of each steward, with its encoded `Signed`: what is stored and gossiped.
    pub fn newest(&self) -> impl Iterator<Item = (&Beat, &Bytes)> {
        self.newest.values().map(|(beat, bytes)| (beat, bytes))
    }

    /// Forks found, oldest first.
    pub fn forks(&self) -> &[Fork] {
        &self.forks
    }

    /// Beats that name this snapshot, of a majority of the stewards in force at its number (`there`: its own state): its
    /// signature; `None` while there are too few. A later set proves nothing of it: whoever came in since may need this
    /// very snapshot. `newest`: what is known of keys since.
    pub fn proof(
        &self,
        mark: &SnapshotMark,
        there: &RegisterState,
        newest: &RegisterState,
        verify: &dyn Verify,
    ) -> Option<Vec<Bytes>> {
        let beats: Vec<Bytes> = self
            .marks
            .values()
            .filter_map(|marks| marks.iter().find(|(said, _)| said == mark))
            .filter(|(_, bytes)| open(bytes).is_ok_and(|beat| beat.vouches(mark, there, newest, verify)))
            .map(|(_, bytes)| bytes.clone())
            .collect();
        (beats.len() >= there.majority()).then_some(beats)
    }
}

/// Whether a beat is from within the window in which beats make a view fresh.
fn is_recent(beat: &Beat, state: &RegisterState, now: UnixMs) -> bool {
    now.since(beat.time) <= state.policy().freshness_limit
}

/// A beat whose signature has not been looked at.
pub(super) struct Opened {
    pub beat: Beat,
    unverified: signed::Unverified<proto::Beat>,
}

pub(super) fn open(signed: &Bytes) -> Result<Opened, Reason> {
    if signed.len() > limits::CONTROL_BYTES {
        return Err(Reason::BeatInvalid);
    }
    let unverified = signed::open::<proto::Beat>(signed.clone()).map_err(|_| Reason::BeatInvalid)?;
    let beat = beat::from_proto(&unverified.claims).map_err(|_| Reason::BeatInvalid)?;
    Ok(Opened { beat, unverified })
}

impl Opened {
    /// Whether it signs this snapshot, by a steward of the set in force there, with a key of then or of later. A key that is
    /// known to be withdrawn proves nothing, whenever it signed.
    pub fn vouches(
        &self,
        mark: &SnapshotMark,
        there: &RegisterState,
        newest: &RegisterState,
        verify: &dyn Verify,
    ) -> bool {
        let steward = &self.beat.steward;
        let names_it = self.beat.snapshot == Some(*mark)
            && self.beat.federation == there.federation()
            && self.beat.founding >= there.position().founding;
        let (older, newer) = if newest.position() < there.position() { (newest, there) } else { (there, newest) };
        let keys = |state: &RegisterState| state.member(steward).map(|member| member.keys.clone()).unwrap_or_default();
        let (older, newer) = (keys(older), keys(newer));
        let key_of = |id: &KeyId| {
            // What the newer state says of a key holds; the older one may know one that the newer one is to learn yet.
            let known = if newer.iter().any(|held| held.key.id() == *id) { &newer } else { &older };
            key_at(known, id, self.beat.time)
        };
        names_it && there.is_steward(steward) && self.unverified.check(&there.federation(), key_of, verify).is_ok()
    }

    /// Whether a key that the caller finds signed it.
    pub fn is_signed(
        &self,
        federation: &FederationId,
        key_of: impl Fn(&KeyId) -> Option<PublicKey>,
        verify: &dyn Verify,
    ) -> bool {
        self.beat.federation == *federation && self.unverified.check(federation, key_of, verify).is_ok()
    }

    /// Whether the steward's key signed it: current, or replaced less than a day before the beat, and not compromised.
    ///
    /// # Errors
    /// `BEAT_INVALID` when the key is none of the steward's, `SIGNATURE_INVALID` when it is and did not sign this: nobody who
    /// verified it passed it on, and looking cost what a signature costs.
    pub fn check(&self, state: &RegisterState, verify: &dyn Verify) -> Result<(), Reason> {
        let member = state.member(&self.beat.steward).ok_or(Reason::BeatInvalid)?;
        let key_of = |id: &KeyId| key_at(&member.keys, id, self.beat.time);
        match self.unverified.check(&state.federation(), key_of, verify) {
            Ok(_) => Ok(()),
            Err(error) if error.reason == Reason::SignatureInvalid => Err(Reason::SignatureInvalid),
            Err(_) => Err(Reason::BeatInvalid),
        }
    }
}

fn key_at(keys: &[KeyRecord], id: &KeyId, at: UnixMs) -> Option<PublicKey> {
    let held = keys.iter().find(|key| key.key.id() == *id && !key.compromised)?;
    held.replaced_at.is_none_or(|replaced| at.since(replaced) < limits::REPLACED_KEY).then_some(held.key)
}
