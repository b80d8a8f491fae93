//! Entries: an authority's own, one changed by decision, and one that somebody signed inside another statement.

use bytes::Bytes;
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::record::v1::Signed;
use prost::Message;

use super::{Codec, EntryChange, OwnEntry, SignedEntry};
use crate::domain::ids::FederationId;
use crate::{Error, entry, signed};

impl Codec for OwnEntry {
    type Message = proto::AuthorityEntry;

    fn read(message: Self::Message) -> Result<Self, Error> {
        Ok(Self { entry: entry::from_proto(message)? })
    }

    fn write(&self) -> Self::Message {
        entry::to_proto(&self.entry)
    }
}

impl Codec for EntryChange {
    type Message = proto::AuthorityEntry;

    fn read(message: Self::Message) -> Result<Self, Error> {
        Ok(Self { entry: entry::from_proto(message)? })
    }

    fn write(&self) -> Self::Message {
        entry::to_proto(&self.entry)
    }
}

/// Reads an encoded `Signed` entry statement, whose author, subject and entry name one authority. Its signature is not
/// looked at.
///
/// # Errors
/// `field` does not have the required form; `ENTRY_INVALID` for an entry that does not hold together.
pub fn signed_entry(bytes: Bytes, field: &str) -> Result<SignedEntry, Error> {
    let opened = signed::open::<proto::Statement>(bytes).map_err(|e| e.within(field))?;
    let (claims, signed) = (opened.claims, opened.bytes);
    let invalid = |what: &str| Error::invalid(field, what);
    let Some(proto::statement::Body::Entry(entry)) = claims.body else {
        return Err(invalid("an entry statement"));
    };
    let entry = entry::from_proto(entry).map_err(|e| e.within(field))?;
    let own = claims.author == entry.authority.as_str() && claims.subject == entry.authority.as_str();
    if !own || claims.nonce.len() != 16 {
        return Err(invalid("author, subject and entry name one authority"));
    }
    Ok(SignedEntry {
        federation: FederationId::from_slice(&claims.federation_id).ok_or_else(|| invalid("federation id"))?,
        rules_version: claims.rules_version,
        subject_version: claims.subject_version,
        entry,
        signed,
    })
}

pub(super) fn signed_entry_from(message: Option<Signed>, field: &str) -> Result<SignedEntry, Error> {
    let message = message.ok_or_else(|| Error::missing(field))?;
    signed_entry(message.encode_to_vec().into(), field)
}

/// The message of bytes that were opened before; the payload inside, which is what was signed, is untouched.
pub(super) fn signed_message(entry: &SignedEntry) -> Option<Signed> {
    Signed::decode(entry.signed.clone()).ok()
}
