//! The token of an invitation at the command line.

use std::io::Read;
use std::path::Path;

use super::failure::CommandFailure;
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::wire;

/// The token of an invitation, as it was understood.
pub struct Token(wire::invitation::Token);

impl Token {
    /// Reads a token as it came, or standard input when it is `-`.
    ///
    /// # Errors
    /// `INVITATION_INVALID`, with the part that is not as it was sent.
    pub fn read(given: &str) -> Result<Self, CommandFailure> {
        Self::parse(&read_token(given)?)
    }

    /// Reads it from a file: the mail that it came in, or the token alone.
    ///
    /// # Errors
    /// As `read`; the file's own.
    pub fn in_file(path: &Path) -> Result<Self, CommandFailure> {
        let file = std::fs::File::open(path).map_err(|e| CommandFailure::file(path, &e))?;
        Self::parse(&text_of(file).map_err(|e| CommandFailure::file(path, &e))?)
    }

    fn parse(text: &str) -> Result<Self, CommandFailure> {
        let parsed = wire::invitation::parse_token(text);
        parsed.map(Self).map_err(|e| CommandFailure::new(e.reason).about(e.detail))
    }

    /// The authority that it invites.
    pub fn intended_for(&self) -> &AuthorityId {
        &self.0.invitation.intended_for
    }

    pub(super) fn parsed(&self) -> &wire::invitation::Token {
        &self.0
    }
}

/// What stands at the command line, or standard input when that is `-`.
pub(super) fn read_token(token: &str) -> Result<String, CommandFailure> {
    if token != "-" {
        return Ok(token.trim().to_owned());
    }
    let text = text_of(std::io::stdin().lock());
    text.map_err(|e| CommandFailure::new(Reason::InvitationInvalid).cause(&e))
}

/// Text in whatever character set: of a token all characters are the same in each. One byte more than may be is read, so
/// that what is too long is refused, and not cut.
fn text_of(from: impl Read) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    from.take(limits::TOKEN_TEXT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Digest, FederationId, InvitationId, Pin};
    use crate::domain::join::Invitation;
    use crate::domain::time::UnixMs;
    use crate::wire::keys::SigningKey;

    fn token() -> String {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        let (secret, id) = ([7; 16], |text| AuthorityId::parse(text).unwrap());
        let invitation = Invitation {
            id: InvitationId([0; 32]),
            federation: FederationId([1; 32]),
            inviter: id("fr-strasbourg"),
            inviter_key: key.public(),
            inviter_pins: vec![Pin([2; 32])],
            inviter_endpoints: vec!["strasbourg.example:7443".into()],
            intended_for: id("de-kehl"),
            created: UnixMs(1_700_000_000_000),
            expires: UnixMs(1_700_000_600_000),
            secret_digest: Digest::of(&secret),
            rules_version: 1,
            entry_version: 0,
        };
        wire::invitation::token_text(&wire::invitation::sign(invitation, &key).1, &secret).unwrap()
    }

    /// A mail program of another country and decade: Latin-1, blanks that do not break, quoting of a quoting.
    #[test]
    fn a_token_is_taken_out_of_the_file_of_a_mail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mail");
        let text = token();
        let mut mail = b"Objet : acc\xe8s\r\n\r\n".to_vec();
        for line in wire::mailed::lines(&text).lines() {
            mail.extend_from_slice(b"> > ");
            mail.extend_from_slice(line.as_bytes());
            mail.extend_from_slice(b" \xa0\r\n");
        }
        mail.extend_from_slice(b">\r\n> \xe0 bient\xf4t\r\n");
        std::fs::write(&path, mail).unwrap();
        let read = Token::in_file(&path).unwrap();
        assert_eq!((read.intended_for().as_str(), &read.parsed().text), ("de-kehl", &text));

        std::fs::write(&path, format!("{}!{}", &text[..150], &text[151..])).unwrap();
        let refused = Token::in_file(&path).map(drop).unwrap_err();
        assert_eq!(refused.reason(), Reason::InvitationInvalid);
        assert!(format!("{refused:?}").contains("line 3 of"), "{refused:?}");
    }

    #[test]
    fn what_is_too_long_for_a_mail_is_refused_and_not_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mail");
        std::fs::write(&path, token() + &"x".repeat(limits::TOKEN_TEXT_BYTES)).unwrap();
        assert!(format!("{:?}", Token::in_file(&path).map(drop).unwrap_err()).contains("64 KiB"));
        assert!(Token::in_file(&dir.path().join("none")).is_err());
    }
}
