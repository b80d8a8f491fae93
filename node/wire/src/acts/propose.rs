//! The proposal around an act.

use std::sync::Arc;

use havenlink_proto::directory::v1 as proto;

use super::{Codec, Propose};
use crate::Error;

impl Codec for Propose {
    type Message = proto::Proposal;

    fn read(message: Self::Message) -> Result<Self, Error> {
        Ok(Self { act: Arc::new(super::from_proto(message)?) })
    }

    fn write(&self) -> Self::Message {
        super::to_proto(&self.act)
    }
}
