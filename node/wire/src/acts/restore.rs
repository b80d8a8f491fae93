//! RESTORE.

use havenlink_proto::directory::v1 as proto;

use super::{Codec, Restore, statement_id};
use crate::{Error, fields};

impl Codec for Restore {
    type Message = proto::Restore;

    fn read(message: Self::Message) -> Result<Self, Error> {
        if message.lifts.len() > Self::MAX_LIFTS {
            return Err(Error::invalid("restore.lifts", "at most 64"));
        }
        Ok(Self { lifts: message.lifts.iter().map(|id| statement_id(id)).collect::<Result<_, _>>()? })
    }

    fn write(&self) -> Self::Message {
        proto::Restore { lifts: self.lifts.iter().map(|id| fields::bytes_of(id.as_bytes())).collect() }
    }
}
