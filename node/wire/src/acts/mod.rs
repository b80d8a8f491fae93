//! The acts of the register in the contract: one file for the message of each, in both directions (frozen, 9.4).
//!
//! What lives here: messages to values and back. What does not: the statement around an act (`statement`), rules
//! (`directory::acts`). Invariant: whatever is read and written again is the same message; a number that is not known
//! fails closed.

mod admit;
mod emergency_suspend;
mod entry;
mod genesis;
mod key_recovery;
pub mod mandate;

mod policy;
mod propose;
pub mod refound;
mod remove;
mod restore;
mod retime;
mod rotate_key;
mod steward_set;
mod suspend;
mod votes;

use havenlink_proto::directory::v1 as proto;
use havenlink_proto::directory::v1::proposal::Act as ActMessage;
use havenlink_proto::directory::v1::statement::Body as BodyMessage;

use super::Error;
use crate::domain::ids::StatementId;
use crate::domain::reason::Reason;
use crate::domain::statement::*;

pub use entry::signed_entry;
pub use policy::{over as policy_over, to_proto as policy_to_proto};
pub use steward_set::to_proto as stewards_to_proto;

/// The message of one act.
trait Codec: Sized {
    type Message;
    fn read(message: Self::Message) -> Result<Self, Error>;
    fn write(&self) -> Self::Message;
}

macro_rules! codec {
    (own { $($own:ident: $field:ident,)+ } decided { $($act:ident: $label:literal,)+ }) => {
        /// Reads what a statement says.
        pub(super) fn read_body(body: BodyMessage) -> Result<StatementBody, Error> {
            Ok(match body { $(BodyMessage::$field(message) => <$own as Codec>::read(message)?.into()),+ })
        }

        /// Writes what a statement says.
        pub(super) fn write_body(body: &StatementBody) -> BodyMessage {
            match body { $(StatementBody::$own(own) => BodyMessage::$field(own.write())),+ }
        }

        fn read_act(act: ActMessage) -> Result<Act, Error> {
            Ok(match act { $(ActMessage::$act(message) => <$act as Codec>::read(message)?.into()),+ })
        }

        fn write_act(act: &Act) -> ActMessage {
            match act { $(Act::$act(act) => ActMessage::$act(act.write())),+ }
        }
    };
}

crate::domain::acts!(codec);

/// An act as it stands in a proposal.
pub fn to_proto(act: &Act) -> proto::Proposal {
    proto::Proposal { act: Some(write_act(act)) }
}

/// Reads an act.
///
/// # Errors
/// `STATEMENT_KIND_UNKNOWN` when there is none, or none that is known; otherwise the field that does not have the
/// required form.
pub fn from_proto(proposal: proto::Proposal) -> Result<Act, Error> {
    let act = proposal.act.ok_or_else(|| Error::new(Reason::StatementKindUnknown, "proposal.act", ""))?;
    read_act(act)
}

fn statement_id(bytes: &[u8]) -> Result<StatementId, Error> {
    StatementId::from_slice(bytes).ok_or_else(|| Error::invalid("statement id", "32 bytes"))
}
