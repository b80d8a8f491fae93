//! SUSPEND, the lasting one.

use havenlink_proto::directory::v1 as proto;

use super::emergency_suspend::reason;
use super::{Codec, Suspend};
use crate::Error;

impl Codec for Suspend {
    type Message = proto::Suspend;

    fn read(message: Self::Message) -> Result<Self, Error> {
        Ok(Self { reason: reason(&message)? })
    }

    fn write(&self) -> Self::Message {
        proto::Suspend { reason: self.reason.code() }
    }
}
