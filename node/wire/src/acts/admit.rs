//! ADMIT.

use bytes::Bytes;
use havenlink_proto::directory::v1 as proto;

use super::entry::{signed_entry_from, signed_message};
use super::{Admit, Codec};
use crate::domain::ids::{Digest, InvitationId};
use crate::{Error, entry, fields};

impl Codec for Admit {
    type Message = proto::Admit;

    fn read(message: Self::Message) -> Result<Self, Error> {
        Ok(Self {
            application: signed_entry_from(message.application, "admit.application")?,
            invited_by: entry::authority_id(&message.invited_by, "admit.invited_by")?,
            invitation: optional(&message.invitation_id, InvitationId::from_slice, "admit.invitation_id")?,
            words: optional(&message.words_digest, Digest::from_slice, "admit.words_digest")?,
        })
    }

    fn write(&self) -> Self::Message {
        proto::Admit {
            application: signed_message(&self.application),
            invited_by: self.invited_by.to_string(),
            invitation_id: self.invitation.map_or_else(Bytes::new, |id| fields::bytes_of(id.as_bytes())),
            words_digest: self.words.map_or_else(Bytes::new, |digest| fields::bytes_of(digest.as_bytes())),
        }
    }
}

fn optional<T>(bytes: &[u8], read: impl Fn(&[u8]) -> Option<T>, field: &str) -> Result<Option<T>, Error> {
    if bytes.is_empty() {
        return Ok(None);
    }
    read(bytes).map(Some).ok_or_else(|| Error::invalid(field, "32 bytes or none"))
}
