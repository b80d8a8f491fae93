//! A new authority key by its owner.

use havenlink_proto::directory::v1 as proto;

use super::{Codec, RotateKey};
use crate::{Error, entry, fields};

impl Codec for RotateKey {
    type Message = proto::KeyRotation;

    fn read(message: Self::Message) -> Result<Self, Error> {
        let new_key = entry::public_key(&message.new_key, "key_rotation.new_key")?;
        Ok(Self { new_key, compromised: message.compromised })
    }

    fn write(&self) -> Self::Message {
        proto::KeyRotation { new_key: fields::bytes_of(&self.new_key.0), compromised: self.compromised }
    }
}
