//! The statement that founds a federation.

use havenlink_proto::directory::v1 as proto;

use super::{Codec, Genesis, Policy};
use crate::{Error, entry};

impl Codec for Genesis {
    type Message = proto::Genesis;

    fn read(message: Self::Message) -> Result<Self, Error> {
        let steward = message.steward.ok_or_else(|| Error::missing("genesis.steward"))?;
        let steward = Box::new(entry::from_proto(steward)?);
        let policy = message.policy.ok_or_else(|| Error::missing("genesis.policy"))?;
        Ok(Self { steward, policy: Policy::read(policy)? })
    }

    fn write(&self) -> Self::Message {
        proto::Genesis { steward: Some(entry::to_proto(&self.steward)), policy: Some(self.policy.write()) }
    }
}
