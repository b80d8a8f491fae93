//! The recovery ticket: what a member that lost its key needs to ask for a new one, as one line of text.

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use havenlink_proto::admin::v1 as proto;
use havenlink_proto::elements;
use prost::Message;

use super::{Error, entry, fields};
use crate::domain::authority::{AuthorityEntry, PublicKey};
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::limits;
use crate::domain::reason::Reason;

const PREFIX: &str = "hlr1";

/// What the register says to whoever has lost its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryTicket {
    /// The genesis statement, encoded `Signed`.
    pub genesis: Bytes,
    /// The entry with the key that is lost.
    pub entry: AuthorityEntry,
    /// The version of its status, which the new entry names.
    pub status_version: u64,
    pub rules_version: u32,
    /// Members that answer calls of the register.
    pub contacts: Vec<RecoveryContact>,
}

/// A member, and how to reach its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryContact {
    pub authority: AuthorityId,
    pub endpoints: Vec<String>,
    pub pins: Vec<Pin>,
    pub authority_key: PublicKey,
}

/// The ticket as text: `hlr1` and base32 without padding, lower case.
pub fn text(ticket: &RecoveryTicket) -> String {
    let contact = |contact: &RecoveryContact| proto::RecoveryContact {
        authority: contact.authority.to_string(),
        endpoints: contact.endpoints.clone(),
        pins: contact.pins.iter().map(|pin| fields::bytes_of(pin.as_bytes())).collect(),
        authority_key: fields::bytes_of(&contact.authority_key.0),
    };
    let message = proto::RecoveryTicket {
        genesis: ticket.genesis.clone(),
        entry: Some(entry::to_proto(&ticket.entry)),
        status_version: ticket.status_version,
        rules_version: ticket.rules_version,
        contacts: ticket.contacts.iter().map(contact).collect(),
    };
    format!("{PREFIX}{}", BASE32_NOPAD.encode(&message.encode_to_vec()).to_ascii_lowercase())
}

/// Reads a ticket. Blanks from a line-wrapped mail do not matter, nor do contacts that cannot be read. It is not signed, and
/// nothing has to trust it: a wrong one leads to an entry that the stewards' nodes refuse.
///
/// # Errors
/// `TICKET_INVALID` when it is not a whole ticket, or its entry does not hold together.
pub fn parse(text: &str) -> Result<RecoveryTicket, Error> {
    let invalid = |what: &str| Error::new(Reason::TicketInvalid, "ticket", what);
    if text.len() > limits::TOKEN_TEXT_BYTES {
        return Err(invalid("too long"));
    }
    let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    let body = packed.strip_prefix(PREFIX).ok_or_else(|| invalid("begins with hlr1"))?;
    let bytes = BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes()).map_err(|_| invalid("cut off or altered"))?;
    let ticket = elements::decode::<proto::RecoveryTicket>(bytes.into()).map_err(|_| invalid("cut off or altered"))?;
    let (Some(entry), false) = (ticket.entry, ticket.genesis.is_empty()) else {
        return Err(invalid("cut off or altered"));
    };
    let contact = |contact: proto::RecoveryContact| {
        Some(RecoveryContact {
            authority: AuthorityId::parse(&contact.authority)?,
            endpoints: contact.endpoints,
            pins: contact.pins.iter().filter_map(|pin| Pin::from_slice(pin)).collect(),
            authority_key: PublicKey::from_spki(&contact.authority_key)?,
        })
    };
    Ok(RecoveryTicket {
        genesis: ticket.genesis,
        entry: entry::from_proto(entry).map_err(|e| invalid(&format!("{}: {}", e.field, e.detail)))?,
        status_version: ticket.status_version,
        rules_version: ticket.rules_version,
        contacts: ticket.contacts.into_iter().filter_map(contact).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::authority::{Name, ParticipantKind, PinnedKey};
    use crate::domain::time::UnixMs;
    use crate::keys::SigningKey;

    #[test]
    fn a_ticket_comes_back_and_half_of_one_does_not() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        let contact = RecoveryContact {
            authority: AuthorityId::parse("de-kehl").unwrap(),
            endpoints: vec!["kehl.example:7443".into()],
            pins: vec![Pin([5; 32])],
            authority_key: key.public(),
        };
        let ticket = RecoveryTicket {
            genesis: vec![1, 2, 3].into(),
            entry: AuthorityEntry {
                authority: AuthorityId::parse("fr-strasbourg").unwrap(),
                kind: ParticipantKind::LocalAuthority,
                names: vec![Name { language: "fr".into(), name: "Strasbourg".into() }],
                identifiers: Vec::new(),
                authority_key: key.public(),
                endpoints: vec!["strasbourg.example:7443".into()],
                pins: vec![PinnedKey { pin: Pin([4; 32]), valid_until: UnixMs::NEVER, proof: Default::default() }],
                contacts: Vec::new(),
                hosted_by: None,
                networks: Vec::new(),
                services: Vec::new(),
                corridor: Default::default(),
                raft_id: 7,
            },
            status_version: 4,
            rules_version: 1,
            contacts: vec![contact],
        };
        let text = text(&ticket);
        let (first, second) = text.split_at(9);
        assert_eq!(parse(&format!(" {first}\n {second}\n")).unwrap(), ticket);
        for wrong in [first, "hl1abc", "", &text[4..]] {
            assert_eq!(parse(wrong).unwrap_err().reason, Reason::TicketInvalid, "{wrong}");
        }
    }
}
