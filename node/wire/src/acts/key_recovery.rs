//! KEY_RECOVERY.

use havenlink_proto::directory::v1 as proto;

use super::entry::{signed_entry_from, signed_message};
use super::{Codec, KeyRecovery};
use crate::{Error, entry, fields};

impl Codec for KeyRecovery {
    type Message = proto::KeyRecovery;

    fn read(message: Self::Message) -> Result<Self, Error> {
        Ok(Self {
            new_key: entry::public_key(&message.new_key, "key_recovery.new_key")?,
            entry: signed_entry_from(message.entry, "key_recovery.entry")?,
        })
    }

    fn write(&self) -> Self::Message {
        proto::KeyRecovery { new_key: fields::bytes_of(&self.new_key.0), entry: signed_message(&self.entry) }
    }
}
