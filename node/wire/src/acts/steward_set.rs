//! STEWARD_SET.

use havenlink_proto::directory::v1 as proto;

use super::{Codec, StewardSet};
use crate::domain::directory::Steward;
use crate::{Error, entry};

impl Codec for StewardSet {
    type Message = proto::StewardSet;

    fn read(message: Self::Message) -> Result<Self, Error> {
        let read = |s: proto::Steward| {
            Ok(Steward { authority: entry::authority_id(&s.authority, "steward.authority")?, raft_id: s.raft_id })
        };
        Ok(Self { stewards: message.stewards.into_iter().map(read).collect::<Result<_, Error>>()? })
    }

    fn write(&self) -> Self::Message {
        proto::StewardSet { stewards: to_proto(&self.stewards) }
    }
}

/// Writes a set of stewards.
pub fn to_proto(stewards: &[Steward]) -> Vec<proto::Steward> {
    stewards.iter().map(|s| proto::Steward { authority: s.authority.to_string(), raft_id: s.raft_id }).collect()
}
