//! The token of an invitation at the command line.

use std::io::Read;

use super::failure::CommandFailure;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::wire;

/// The token of an invitation, as it was given and as it was understood.
pub struct Token {
    pub(super) text: String,
    pub(super) parsed: wire::invitation::Token,
}

impl Token {
    /// Reads a token, or standard input when it is `-`.
    ///
    /// # Errors
    /// `INVITATION_INVALID`, and `WRONG_FEDERATION` or the like when it does not hold together.
    pub fn read(given: &str) -> Result<Self, CommandFailure> {
        let text = read_token(given)?;
        let parsed = wire::invitation::parse_token(&text).map_err(|e| CommandFailure::new(e.reason).about(e.detail))?;
        Ok(Self { text, parsed })
    }

    /// The authority that it invites.
    pub fn intended_for(&self) -> &AuthorityId {
        &self.parsed.invitation.intended_for
    }
}

/// A word of the command line, or standard input when it is `-`.
pub(super) fn read_token(token: &str) -> Result<String, CommandFailure> {
    if token != "-" {
        return Ok(token.trim().to_owned());
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(64 << 10).read_to_string(&mut text);
    read.map_err(|e| CommandFailure::new(Reason::InvitationInvalid).cause(&e))?;
    Ok(text.trim().to_owned())
}
