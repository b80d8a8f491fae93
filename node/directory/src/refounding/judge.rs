//! Whether a founding counts, by what its judge knows.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::beats;
use crate::domain::authority::PublicKey;
use crate::domain::directory::Steward;
use crate::domain::ids::{AuthorityId, Digest, FederationId, KeyId, StatementId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::statement::{Founder, Refound, Statement, StatementBody, Subject};
use crate::domain::time::{Millis, UnixMs};
use crate::rotations::{self, Rotated};
use crate::state::{Effects, RegisterState};
use crate::wire::keys::Verify;
use crate::wire::{acts, statement};
use crate::withdrawals::Withdrawals;

/// A founding is not signed for longer than this.
pub const LIFE: Millis = Millis::days(7);
/// Stewards at most.
const MOST: usize = 7;

/// Stewards that were in force at some place of some line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetInForce {
    pub founding: u64,
    pub version: u64,
    pub stewards: Vec<AuthorityId>,
}

impl SetInForce {
    /// The set of a state.
    pub fn of(state: &RegisterState) -> Self {
        let stewards = state.stewards().iter().map(|steward| steward.authority.clone()).collect();
        Self { founding: state.position().founding, version: state.version(&Subject::Stewards), stewards }
    }

    fn is_carried_by(&self, founders: &[Founder]) -> bool {
        let signed = founders.iter().filter(|founder| self.stewards.contains(&founder.steward.authority)).count();
        signed > self.stewards.len() / 2
    }
}

/// What a judge knows beside the base.
pub struct Known<'a> {
    /// The newest register that it has, on whichever line: keys that came or went after the base.
    pub newest: &'a RegisterState,
    /// Every set of stewards that it saw in force.
    pub sets: &'a [SetInForce],
    /// Its own head at a number after the base.
    pub head_at: &'a dyn Fn(u64) -> Option<Digest>,
    /// Keys that were withdrawn, whether the register says so or not.
    pub withdrawn: &'a Withdrawals,
}

/// A founding that counts, once everybody in `missing` has signed it.
#[derive(Clone, Debug)]
pub struct Judged {
    pub id: StatementId,
    pub founding: u64,
    /// The newest version of the stewards that its author knew.
    pub set_version: u64,
    pub stewards: Vec<Steward>,
    pub missing: Vec<AuthorityId>,
    pub time: UnixMs,
    pub not_after: UnixMs,
    /// The highest founding that one of its founders signed before.
    pub signed_before: u64,
}

impl Judged {
    pub(crate) fn effects(&self) -> Effects {
        Effects {
            stewards: Some(self.stewards.clone()),
            founding: Some((self.founding, self.set_version)),
            ..Effects::default()
        }
    }
}

/// Judges a founding on the register at its base.
///
/// # Errors
/// `REFOUNDING_INVALID`, `REFOUNDING_UNPROVED`, `WRONG_FEDERATION`, or what keeps it from being read.
pub fn judge(there: &RegisterState, signed: &Bytes, known: &Known<'_>, verify: &dyn Verify) -> Result<Judged, Reason> {
    let (_, refound, _) = read(signed)?;
    if refound.base != there.position() || refound.base_head != there.head() {
        return Err(Reason::RefoundingInvalid);
    }
    judge_rival(there, signed, known, verify)
}

/// The same of one whose base lies above this register, on a line that is not here: whether it stands against the one that
/// is followed. It is not followed from here.
///
/// # Errors
/// As `judge`.
pub fn judge_rival(
    there: &RegisterState,
    signed: &Bytes,
    known: &Known<'_>,
    verify: &dyn Verify,
) -> Result<Judged, Reason> {
    let invalid = Err(Reason::RefoundingInvalid);
    let (statement, refound, unverified) = read(signed)?;
    if statement.time < there.entry_time() || refound.not_after.since(statement.time) > LIFE {
        return invalid;
    }
    let base = SetInForce::of(there);
    let version = statement.subject_version;
    let later = known
        .sets
        .iter()
        .filter(|set| set.founding < refound.founding && (set.founding, set.version) > (base.founding, base.version));
    for set in later {
        if version < set.version || !set.is_carried_by(&refound.founders) {
            return invalid;
        }
    }
    by_signatures(there, &statement, &refound, &unverified, known, verify)
}

/// The same at its place in a snapshot, where neither heads nor each number are known: a majority has signed the whole.
pub(crate) fn replayed(there: &RegisterState, signed: &Bytes, verify: &dyn Verify) -> Result<Judged, Reason> {
    let (statement, refound, unverified) = read(signed)?;
    if refound.base.founding != there.position().founding || refound.base.number < there.number() {
        return Err(Reason::RefoundingInvalid);
    }
    let known = Known { newest: there, sets: &[], head_at: &|_| None, withdrawn: &Withdrawals::default() };
    let judged = by_signatures(there, &statement, &refound, &unverified, &known, verify)?;
    if judged.missing.is_empty() { Ok(judged) } else { Err(Reason::RefoundingIncomplete) }
}

type Unverified = crate::wire::signed::Unverified<havenlink_proto::directory::v1::Statement>;

fn read(signed: &Bytes) -> Result<(Around, Refound, Unverified), Reason> {
    if signed.len() > limits::STATEMENT_BYTES {
        return Err(Reason::MessageTooLarge);
    }
    let (statement, unverified) = statement::open(signed.clone()).map_err(|error| error.reason)?;
    let Statement { federation, rules_version, author, subject, subject_version, time, body, .. } = statement;
    match body {
        StatementBody::Refound(refound) if subject == Subject::Stewards => {
            Ok((Around { federation, rules_version, author, subject_version, time }, refound, unverified))
        }
        _ => Err(Reason::StatementKindUnknown),
    }
}

/// The statement without its body.
struct Around {
    federation: FederationId,
    rules_version: u32,
    author: AuthorityId,
    subject_version: u64,
    time: UnixMs,
}

fn by_signatures(
    there: &RegisterState,
    statement: &Around,
    refound: &Refound,
    unverified: &Unverified,
    known: &Known<'_>,
    verify: &dyn Verify,
) -> Result<Judged, Reason> {
    let invalid = Err(Reason::RefoundingInvalid);
    if statement.federation != there.federation() {
        return Err(Reason::WrongFederation);
    }
    if statement.rules_version != there.policy().rules_version {
        return Err(Reason::RulesVersionOther);
    }
    let own_version = there.version(&Subject::Stewards);
    let bounds = refound.founding > there.position().founding
        && refound.founding < u64::MAX >> 1
        && (own_version..u64::MAX >> 1).contains(&statement.subject_version);
    let founders = &refound.founders;
    let authored = founders.iter().any(|founder| founder.steward.authority == statement.author);
    if !bounds || !authored || !founders_fit(there, founders) || founders.len() < there.majority() {
        return invalid;
    }
    let keys = Keys { there, newest: known.newest, withdrawn: known.withdrawn, led: Vec::new() };
    let keys = keys.led_on(&refound.proof, verify);
    for founder in founders {
        let (_, opened) = acts::refound::founder(founder.signed.clone()).map_err(|error| error.reason)?;
        let of = |id: &KeyId| keys.find(&founder.steward.authority, id);
        opened.check(&there.federation(), of, verify).map_err(|_| Reason::RefoundingInvalid)?;
    }
    let signers = signers(there, founders, unverified, &keys, verify)?;
    if !is_proved(there, refound, &keys, known, verify) {
        return Err(Reason::RefoundingUnproved);
    }
    let missing = founders.iter().map(|founder| &founder.steward.authority);
    Ok(Judged {
        id: statement::id(&unverified.payload_digest()),
        founding: refound.founding,
        set_version: statement.subject_version,
        stewards: founders.iter().map(|founder| founder.steward.clone()).collect(),
        missing: missing.filter(|authority| !signers.contains(authority)).cloned().collect(),
        time: statement.time,
        not_after: refound.not_after,
        signed_before: founders.iter().map(|founder| founder.signed_before).max().unwrap_or(0),
    })
}

/// Stewards at the base, each once, in the order of their ids, under Raft ids that never voted.
fn founders_fit(there: &RegisterState, founders: &[Founder]) -> bool {
    let in_order = founders.windows(2).all(|pair| pair[0].steward.authority < pair[1].steward.authority);
    let mut ids: Vec<u64> = founders.iter().map(|founder| founder.steward.raft_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let each = founders.iter().all(|founder| {
        let member = there.member(&founder.steward.authority);
        founder.federation == there.federation()
            && there.is_steward(&founder.steward.authority)
            && member.is_some_and(|member| member.removed_at.is_none() && member.entry.hosted_by.is_none())
            && !there.has_voted(founder.steward.raft_id)
    });
    in_order && each && ids.len() == founders.len() && (1..=MOST).contains(&founders.len())
}

/// Keys of the base and of what is known since; a withdrawn one counts nowhere.
struct Keys<'a> {
    there: &'a RegisterState,
    newest: &'a RegisterState,
    withdrawn: &'a Withdrawals,
    /// What the founding shows to have come after them.
    led: Vec<Rotated>,
}

impl Keys<'_> {
    /// With the keys to which rotations beside the proof lead from these, one after the other.
    fn led_on(mut self, proof: &[Bytes], verify: &dyn Verify) -> Self {
        let rotations = proof.iter().filter_map(|signed| rotations::open(signed).ok().flatten());
        for opened in rotations.filter(|opened| opened.federation == self.there.federation()).take(MOST) {
            // The last word of a key that is withdrawn is the one that names its successor.
            let signs = |id: &KeyId| self.known(&opened.authority, id).or(self.led(&opened.authority, id));
            if let Ok(rotated) = opened.check(signs, verify)
                && !self.goes_on_otherwise(&rotated)
            {
                self.led.push(rotated);
            }
        }
        self
    }

    /// Whether another key is known to have come after the same one: deny wins.
    fn goes_on_otherwise(&self, rotated: &Rotated) -> bool {
        let Rotated { authority, old, new } = rotated;
        let after = |state: &RegisterState| {
            let member = state.member(authority)?;
            let place = member.keys.iter().position(|held| held.key.id() == *old)?;
            member.keys.get(place + 1).map(|next| next.key)
        };
        let listed = [self.newest, self.there].into_iter().filter_map(after).any(|next| next != *new);
        let told = self.withdrawn.contains(old) && self.withdrawn.successor(old) != Some(*new);
        listed || told || self.led.iter().any(|other| other.old == *old)
    }

    fn known(&self, authority: &AuthorityId, id: &KeyId) -> Option<PublicKey> {
        let held = |state: &RegisterState| {
            state.member(authority)?.keys.iter().map(|held| held.key).find(|key| key.id() == *id)
        };
        held(self.newest).or_else(|| held(self.there))
    }

    fn led(&self, authority: &AuthorityId, id: &KeyId) -> Option<PublicKey> {
        let led = self.led.iter().find(|led| led.authority == *authority && led.new.id() == *id)?;
        Some(led.new)
    }

    fn find(&self, authority: &AuthorityId, id: &KeyId) -> Option<PublicKey> {
        if self.withdrawn.contains(id) {
            return None;
        }
        let mut found = None;
        for state in [self.newest, self.there] {
            let held = state.member(authority).and_then(|member| member.keys.iter().find(|key| key.key.id() == *id));
            if held.is_some_and(|key| key.compromised) {
                return None;
            }
            found = found.or(held.map(|key| key.key));
        }
        found.or_else(|| self.led(authority, id))
    }
}

/// Who has signed, each once and in the order of the founders: the same signatures are the same bytes everywhere.
fn signers<'a>(
    there: &RegisterState,
    founders: &'a [Founder],
    unverified: &Unverified,
    keys: &Keys<'_>,
    verify: &dyn Verify,
) -> Result<Vec<&'a AuthorityId>, Reason> {
    let authorities: Vec<&AuthorityId> = founders.iter().map(|founder| &founder.steward.authority).collect();
    let whose = |id: &KeyId| authorities.iter().position(|authority| keys.find(authority, id).is_some());
    let key_of = |id: &KeyId| whose(id).and_then(|at| keys.find(authorities[at], id));
    let ids = unverified.check(&there.federation(), key_of, verify).map_err(|_| Reason::RefoundingInvalid)?;
    let places: Vec<usize> = ids.iter().filter_map(whose).collect();
    if !places.windows(2).all(|pair| pair[0] < pair[1]) {
        return Err(Reason::RefoundingInvalid);
    }
    Ok(places.into_iter().map(|at| authorities[at]).collect())
}

/// Beats of a majority of the stewards at the base name it, or a later number: of a founder, whose signature says that the
/// base lies on its line, or of this judge's own. What a founding or the genesis statement began needs no proof.
fn is_proved(
    there: &RegisterState,
    refound: &Refound,
    keys: &Keys<'_>,
    known: &Known<'_>,
    verify: &dyn Verify,
) -> bool {
    if refound.base.number == there.founding().at {
        return true;
    }
    let mut said = BTreeSet::new();
    for opened in refound.proof.iter().filter_map(|signed| beats::open(signed).ok()).take(MOST) {
        let beat = &opened.beat;
        let founds = refound.founders.iter().any(|founder| founder.steward.authority == beat.steward);
        let names_it = if beat.number == refound.base.number {
            beat.head == refound.base_head
        } else {
            beat.number > refound.base.number && (founds || (known.head_at)(beat.number) == Some(beat.head))
        };
        let fits = names_it && beat.founding == refound.base.founding && there.is_steward(&beat.steward);
        if fits && opened.is_signed(&there.federation(), |id| keys.find(&beat.steward, id), verify) {
            said.insert(beat.steward.clone());
        }
    }
    said.len() >= there.majority()
}
