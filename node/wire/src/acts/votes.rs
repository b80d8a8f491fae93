//! What is said about a proposal: approval, rejection, withdrawal.

use havenlink_proto::directory::v1 as proto;

use super::{Approve, Codec, Reject, Withdraw, statement_id};
use crate::domain::register::RejectionReason;
use crate::{Error, fields};

impl Codec for Approve {
    type Message = proto::Approval;

    fn read(message: Self::Message) -> Result<Self, Error> {
        Ok(Self { proposal: statement_id(&message.proposal_id)? })
    }

    fn write(&self) -> Self::Message {
        proto::Approval { proposal_id: fields::bytes_of(self.proposal.as_bytes()) }
    }
}

impl Codec for Reject {
    type Message = proto::Rejection;

    fn read(message: Self::Message) -> Result<Self, Error> {
        let proposal = statement_id(&message.proposal_id)?;
        let reason = RejectionReason::from_code(message.reason);
        Ok(Self { proposal, reason: reason.ok_or_else(|| Error::unknown("rejection.reason", message.reason))? })
    }

    fn write(&self) -> Self::Message {
        proto::Rejection { proposal_id: fields::bytes_of(self.proposal.as_bytes()), reason: self.reason.code() }
    }
}

impl Codec for Withdraw {
    type Message = proto::Withdrawal;

    fn read(message: Self::Message) -> Result<Self, Error> {
        Ok(Self { proposal: statement_id(&message.proposal_id)? })
    }

    fn write(&self) -> Self::Message {
        proto::Withdrawal { proposal_id: fields::bytes_of(self.proposal.as_bytes()) }
    }
}
