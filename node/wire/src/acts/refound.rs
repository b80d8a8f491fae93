//! REFOUND, and the word of each steward that would be among its founders (9.15).

use bytes::Bytes;
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::record::v1::Signed;
use prost::Message;

use super::{Codec, Founder, Refound};
use crate::domain::directory::{Position, Steward};
use crate::domain::ids::{Digest, FederationId};
use crate::domain::time::UnixMs;
use crate::keys::SigningKey;
use crate::signed::{self, Unverified};
use crate::{Error, entry, fields};

impl Codec for Refound {
    type Message = proto::Refound;

    fn read(message: Self::Message) -> Result<Self, Error> {
        let read = |signed: Signed| founder(signed.encode_to_vec().into()).map(|(founder, _)| founder);
        Ok(Self {
            founding: message.founding,
            base: Position { founding: message.base_founding, number: message.base_number },
            base_head: fields::id("refound.base_head", &message.base_head, Digest::from_slice)?,
            proof: message.proof.iter().map(|signed| signed.encode_to_vec().into()).collect(),
            founders: message.founders.into_iter().map(read).collect::<Result<_, _>>()?,
            not_after: UnixMs(message.not_after_ms),
        })
    }

    fn write(&self) -> Self::Message {
        // What was opened before decodes again; the payloads inside, which are what was signed, are untouched.
        let messages = |all: &mut dyn Iterator<Item = &Bytes>| {
            all.filter_map(|bytes| Signed::decode(bytes.clone()).ok()).collect::<Vec<Signed>>()
        };
        proto::Refound {
            founding: self.founding,
            base_founding: self.base.founding,
            base_number: self.base.number,
            base_head: fields::bytes_of(self.base_head.as_bytes()),
            proof: messages(&mut self.proof.iter()),
            founders: messages(&mut self.founders.iter().map(|founder| &founder.signed)),
            not_after_ms: self.not_after.0,
        }
    }
}

/// Reads a steward's word; its signature is not looked at.
///
/// # Errors
/// The field that does not have the required form.
pub fn founder(bytes: Bytes) -> Result<(Founder, Unverified<proto::Founder>), Error> {
    let opened = signed::open::<proto::Founder>(bytes).map_err(|e| e.within("founder"))?;
    let claims = &opened.claims;
    if claims.raft_id == 0 {
        return Err(Error::missing("founder.raft_id"));
    }
    let founder = Founder {
        federation: fields::id("founder.federation_id", &claims.federation_id, FederationId::from_slice)?,
        steward: Steward {
            authority: entry::authority_id(&claims.authority, "founder.authority")?,
            raft_id: claims.raft_id,
        },
        signed_before: claims.signed_before,
        time: UnixMs(claims.time_ms),
        without_vote: claims.without_vote,
        signed: opened.bytes.clone(),
    };
    Ok((founder, opened))
}

/// Signs a steward's word; what stands in `signed` is not looked at.
pub fn sign_founder(founder: Founder, key: &SigningKey) -> Founder {
    let message = proto::Founder {
        federation_id: fields::bytes_of(founder.federation.as_bytes()),
        authority: founder.steward.authority.to_string(),
        raft_id: founder.steward.raft_id,
        signed_before: founder.signed_before,
        time_ms: founder.time.0,
        without_vote: founder.without_vote,
    };
    let signed = signed::sign(&founder.federation, &message, &[key]).encode_to_vec().into();
    Founder { signed, ..founder }
}
