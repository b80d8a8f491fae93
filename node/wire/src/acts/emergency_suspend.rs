//! An emergency suspension.

use havenlink_proto::directory::v1 as proto;

use super::{Codec, EmergencySuspend};
use crate::Error;
use crate::domain::register::SuspendReason;

impl Codec for EmergencySuspend {
    type Message = proto::Suspend;

    fn read(message: Self::Message) -> Result<Self, Error> {
        Ok(Self { reason: reason(&message)? })
    }

    fn write(&self) -> Self::Message {
        proto::Suspend { reason: self.reason.code() }
    }
}

pub(super) fn reason(message: &proto::Suspend) -> Result<SuspendReason, Error> {
    SuspendReason::from_code(message.reason).ok_or_else(|| Error::unknown("suspend.reason", message.reason))
}
