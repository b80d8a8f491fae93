//! The first state: one steward, one policy, one signature (9.4).

use std::sync::Arc;

use bytes::Bytes;
use imbl::{HashMap, OrdMap, OrdSet, ordmap};

use super::{Change, Founding, RegisterState};
use crate::acts;
use crate::domain::authority::KeyRecord;
use crate::domain::directory::{Member, Steward};
use crate::domain::ids::{Digest, FederationId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::register::Outcome;
use crate::domain::statement::{Genesis, Statement, StatementBody, Subject};
use crate::wire::keys::Verify;
use crate::wire::{Error, pin_proof, signed, statement};

impl RegisterState {
    /// The register that a genesis statement founds: number 0, head = federation id = SHA-256 of the payload.
    ///
    /// # Errors
    /// What does not fit: form, signature, a weak key, or an entry that could not be a steward's.
    pub fn genesis(signed: &Bytes, verify: &dyn Verify) -> Result<Self, Error> {
        if signed.len() > limits::STATEMENT_BYTES {
            return Err(Error::new(Reason::MessageTooLarge, "genesis", "16 KiB"));
        }
        let (statement, unverified) = statement::open(signed.clone())?;
        let Statement { federation, rules_version, author, subject, subject_version, time, body, .. } = statement;
        let StatementBody::Genesis(Genesis { steward, policy }) = body else {
            return Err(Error::new(Reason::StatementKindUnknown, "statement.body", "genesis"));
        };
        let own = author == steward.authority && subject == Subject::Authority(author.clone());
        let first =
            federation == signed::NO_FEDERATION && subject_version == 0 && rules_version == policy.rules_version;
        if !own || !first || steward.raft_id == 0 || steward.hosted_by.is_some() {
            return Err(Error::invalid("genesis", "its own entry with a raft id, at version 0, of no federation"));
        }
        if acts::is_well_known(&steward.authority_key) || steward.pins.iter().any(|p| acts::is_well_known_pin(&p.pin)) {
            return Err(Error::new(Reason::WellKnownKey, "genesis.steward", ""));
        }
        if !steward.pins.iter().all(|p| pin_proof::proves(p, &signed::NO_FEDERATION, &author)) {
            return Err(Error::new(Reason::PinUnproved, "genesis.steward", ""));
        }
        let key = steward.authority_key;
        unverified.check(&signed::NO_FEDERATION, |id| (key.id() == *id).then_some(key), verify)?;

        let digest = unverified.payload_digest();
        let change =
            Change { number: 0, entry_time: time, signed: Bytes::copy_from_slice(signed), outcome: Outcome::Accepted };
        let raft_id = steward.raft_id;
        let mut state = Self {
            federation: FederationId(digest.0),
            founding: Founding::default(),
            number: 0,
            head: Digest(digest.0),
            entry_time: time,
            policy: Arc::new(policy),
            policy_version: 1,
            policy_changes: Arc::new(vec![Arc::new(change)]),
            stewards: Arc::new(vec![Steward { authority: author.clone(), raft_id }]),
            stewards_before: Arc::default(),
            stewards_version: 1,
            stewards_changes: Arc::default(),
            members: OrdMap::new(),
            histories: OrdMap::new(),
            admitted: OrdMap::new(),
            pins: HashMap::new(),
            keys: HashMap::new(),
            raft_ids: OrdSet::new(),
            voted: OrdSet::unit(raft_id),
            mandates: Default::default(),
            proposals: OrdMap::new(),
            forget: OrdSet::new(),
            accepted: ordmap! {digest => (0, Outcome::Accepted)},
            turned_at: 0,
        };
        let keys = vec![KeyRecord { key, replaced_at: None, compromised: false }];
        let member =
            Member { entry: *steward, version: 1, status_version: 1, keys, suspended_until: None, removed_at: None };
        state.put_member(Arc::new(member), super::MemberHistory::new(time));
        Ok(state)
    }
}
