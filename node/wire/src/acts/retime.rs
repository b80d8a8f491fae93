//! RETIME.

use havenlink_proto::directory::v1 as proto;

use super::{Codec, Retime};
use crate::Error;
use crate::domain::time::UnixMs;

impl Codec for Retime {
    type Message = proto::Retime;

    fn read(message: Self::Message) -> Result<Self, Error> {
        if message.time_ms <= 0 {
            return Err(Error::invalid("retime.time_ms", "Unix ms, after 1970"));
        }
        Ok(Self { time: UnixMs(message.time_ms) })
    }

    fn write(&self) -> Self::Message {
        proto::Retime { time_ms: self.time.0 }
    }
}
