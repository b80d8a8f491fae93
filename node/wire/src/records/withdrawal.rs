//! Control records about withdrawals.

use bytes::Bytes;
use havenlink_proto::record::v1 as proto;
use prost::Message;

use super::{ControlCodec, message};
use crate::domain::ids::RecordId;
use crate::domain::records::withdrawal::{ErasureReceipt, WithdrawalNotice};
use crate::{Error, fields};

impl ControlCodec for WithdrawalNotice {
    fn encode(&self) -> Bytes {
        let message = proto::WithdrawalNotice {
            record_id: fields::bytes_of(self.record_id.as_bytes()),
            reason: self.reason.code(),
            counter: self.counter,
            due_by_ms: self.due_by.0,
        };
        message.encode_to_vec().into()
    }

    fn decode(bytes: &Bytes) -> Result<Self, Error> {
        let message: proto::WithdrawalNotice = message(bytes)?;
        Ok(Self {
            record_id: fields::id("record_id", &message.record_id, RecordId::from_slice)?,
            reason: fields::closed_enum("reason", message.reason)?,
            counter: counted(message.counter)?,
            due_by: fields::instant("due_by_ms", message.due_by_ms)?,
        })
    }
}

impl ControlCodec for ErasureReceipt {
    fn encode(&self) -> Bytes {
        let message = proto::ErasureReceipt {
            record_id: fields::bytes_of(self.record_id.as_bytes()),
            counter: self.counter,
            outcome: self.outcome.code(),
            at_ms: self.at.0,
        };
        message.encode_to_vec().into()
    }

    fn decode(bytes: &Bytes) -> Result<Self, Error> {
        let message: proto::ErasureReceipt = message(bytes)?;
        Ok(Self {
            record_id: fields::id("record_id", &message.record_id, RecordId::from_slice)?,
            counter: counted(message.counter)?,
            outcome: fields::closed_enum("outcome", message.outcome)?,
            at: fields::instant("at_ms", message.at_ms)?,
        })
    }
}

/// From 1, and within what every store can hold.
fn counted(counter: u64) -> Result<u64, Error> {
    match i64::try_from(counter) {
        Ok(0) => Err(Error::missing("counter")),
        Ok(_) => Ok(counter),
        Err(_) => Err(Error::invalid("counter", "below 2^63")),
    }
}
