//! REMOVE.

use havenlink_proto::directory::v1 as proto;

use super::{Codec, Remove};
use crate::Error;
use crate::domain::register::RemoveReason;

impl Codec for Remove {
    type Message = proto::Remove;

    fn read(message: Self::Message) -> Result<Self, Error> {
        let reason = RemoveReason::from_code(message.reason);
        Ok(Self { reason: reason.ok_or_else(|| Error::unknown("remove.reason", message.reason))? })
    }

    fn write(&self) -> Self::Message {
        proto::Remove { reason: self.reason.code() }
    }
}
