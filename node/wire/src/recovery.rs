//! The recovery ticket: what a member that lost its key needs to ask for a new one, as one line of text.

use data_encoding::BASE32_NOPAD;
use havenlink_proto::admin::v1::RecoveryTicket;
use prost::Message;

use super::Error;
use crate::domain::limits;
use crate::domain::reason::Reason;

const PREFIX: &str = "hlr1";

/// The ticket as text: `hlr1` and base32 without padding, lower case.
pub fn text(ticket: &RecoveryTicket) -> String {
    format!("{PREFIX}{}", BASE32_NOPAD.encode(&ticket.encode_to_vec()).to_ascii_lowercase())
}

/// Reads a ticket. Blanks from a line-wrapped mail do not matter. It is not signed, and nothing has to trust it: a wrong
/// one leads to an entry that the stewards' nodes refuse.
///
/// # Errors
/// `TICKET_INVALID` when it is not a whole ticket.
pub fn parse(text: &str) -> Result<RecoveryTicket, Error> {
    let invalid = |what: &str| Error::new(Reason::TicketInvalid, "ticket", what);
    if text.len() > limits::TOKEN_CHARS {
        return Err(invalid("too long"));
    }
    let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    let body = packed.strip_prefix(PREFIX).ok_or_else(|| invalid("begins with hlr1"))?;
    let bytes = BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes()).map_err(|_| invalid("cut off or altered"))?;
    let ticket = RecoveryTicket::decode(bytes.as_slice()).map_err(|_| invalid("cut off or altered"))?;
    if ticket.entry.is_none() || ticket.genesis.is_empty() {
        return Err(invalid("cut off or altered"));
    }
    Ok(ticket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_comes_back_and_half_of_one_does_not() {
        let ticket = RecoveryTicket {
            genesis: vec![1, 2, 3].into(),
            entry: Some(Default::default()),
            status_version: 4,
            rules_version: 1,
            contacts: Vec::new(),
        };
        let text = text(&ticket);
        let (first, second) = text.split_at(9);
        assert_eq!(parse(&format!(" {first}\n {second}\n")).unwrap(), ticket);
        for wrong in [first, "hl1abc", "", &text[4..]] {
            assert_eq!(parse(wrong).unwrap_err().reason, Reason::TicketInvalid, "{wrong}");
        }
    }
}
