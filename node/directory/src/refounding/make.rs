//! Making a founding, and signing one.

use bytes::Bytes;
use havenlink_proto::elements;
use havenlink_proto::record::v1::Signed;
use prost::Message;

use super::base::Base;
use super::judge::LIFE;
use crate::domain::directory::{Position, Steward};
use crate::domain::ids::{AuthorityId, Digest, FederationId, KeyId, StatementId};
use crate::domain::limits;
use crate::domain::statement::{Founder, Refound, StatementBody, Subject};
use crate::domain::time::UnixMs;
use crate::rotations;
use crate::state::RegisterState;
use crate::statements::Author;
use crate::wire::keys::SigningKey;
use crate::wire::{acts, signed, statement};

/// What a founding says of itself. Nothing of it is verified.
#[derive(Clone, Debug)]
pub struct Readable {
    pub id: StatementId,
    pub founding: u64,
    pub base: Position,
    pub base_head: Digest,
    pub founders: Vec<Founder>,
    pub not_after: UnixMs,
}

/// Reads one, trusting nothing; `None`: it is none.
pub fn readable(signed: &Bytes) -> Option<Readable> {
    if signed.len() > limits::STATEMENT_BYTES {
        return None;
    }
    let (statement, unverified) = statement::open(signed.clone()).ok()?;
    let StatementBody::Refound(Refound { founding, base, base_head, founders, not_after, .. }) = statement.body else {
        return None;
    };
    let id = statement::id(&unverified.payload_digest());
    Some(Readable { id, founding, base, base_head, founders, not_after })
}

/// A steward's word that it would take part under this Raft id.
pub fn founder(
    federation: FederationId,
    steward: Steward,
    signed_before: u64,
    without_vote: bool,
    time: UnixMs,
    key: &SigningKey,
) -> Founder {
    let unsigned = Founder { federation, steward, signed_before, time, without_vote, signed: Bytes::new() };
    acts::refound::sign_founder(unsigned, key)
}

/// A founding that is to be signed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub founding: u64,
    /// The newest version of the stewards that is known.
    pub set_version: u64,
    pub base: Base,
    /// In the order of their ids.
    pub founders: Vec<Founder>,
    /// Which lead from keys of the base to those of the founders, each after the one that it goes on from.
    pub rotations: Vec<Bytes>,
}

impl Plan {
    /// The stewards from then on.
    pub fn stewards(&self) -> impl Iterator<Item = &AuthorityId> {
        self.founders.iter().map(|founder| &founder.steward.authority)
    }

    /// The statement, signed by its author, who is one of the founders. Its time is that of the entry: not before the base's.
    pub fn statement(&self, author: &Author<'_>) -> Bytes {
        let there = &self.base.there;
        let time = author.now.max(there.entry_time());
        let refound = Refound {
            founding: self.founding,
            base: there.position(),
            base_head: there.head(),
            proof: self.base.proof.iter().chain(&self.rotations).cloned().collect(),
            founders: self.founders.clone(),
            not_after: time + LIFE,
        };
        let author = Author { authority: author.authority, key: author.key, now: time, nonce: author.nonce };
        author.sign(there, Subject::Stewards, self.set_version, refound).signed
    }
}

/// Of the rotations that are known, those that lead from keys of the base to the keys of the founders' words. Nothing is verified.
pub fn leading(there: &RegisterState, founders: &[Founder], known: &[Bytes]) -> Vec<Bytes> {
    let mut leading = Vec::new();
    for founder in founders {
        let Some(member) = there.member(&founder.steward.authority) else { continue };
        let word = elements::decode::<Signed>(founder.signed.clone()).ok();
        let mut key = word.and_then(|word| KeyId::from_slice(&word.signatures.first()?.key_id));
        let mut way = Vec::new();
        while let Some(id) = key.filter(|id| member.keys.iter().all(|held| held.key.id() != *id)) {
            let before = known.iter().filter(|signed| !way.contains(*signed)).find_map(|signed| {
                let opened = rotations::open(signed).ok().flatten()?;
                let fits = opened.authority == founder.steward.authority && opened.new_key.id() == id;
                fits.then(|| (signed.clone(), opened.old_keys().next()))
            });
            let Some((signed, old)) = before else { break };
            way.push(signed);
            key = old;
        }
        leading.extend(way.into_iter().rev());
    }
    leading
}

/// The same statement with one more signature; as it is where the key has signed already. `None`: the bytes are no `Signed`.
pub fn add_signature(federation: &FederationId, bytes: &Bytes, key: &SigningKey) -> Option<Bytes> {
    let mut message = elements::decode::<Signed>(bytes.clone()).ok()?;
    let id = key.public().id();
    if message.signatures.iter().all(|signature| signature.key_id[..] != id.as_bytes()[..]) {
        message.signatures.push(signed::countersign(federation, &message, key));
    }
    in_order(message)
}

/// The signatures in the order of the founders: the same ones are the same bytes everywhere.
pub(super) fn in_order(mut message: Signed) -> Option<Bytes> {
    let read = readable(&message.encode_to_vec().into())?;
    let keys: Vec<Bytes> = read
        .founders
        .iter()
        .filter_map(|founder| elements::decode::<Signed>(founder.signed.clone()).ok())
        .filter_map(|word| word.signatures.first().map(|signature| signature.key_id.clone()))
        .collect();
    message.signatures.sort_by_key(|signature| keys.iter().position(|key| *key == signature.key_id));
    Some(message.encode_to_vec().into())
}
