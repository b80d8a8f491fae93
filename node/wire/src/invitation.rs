//! Joining on the wire: the token, the signed invitation, the application.

use bytes::Bytes;
use havenlink_proto::directory::v1 as directory;
use havenlink_proto::elements;
use havenlink_proto::peer::v1 as peer;
use havenlink_proto::record::v1::{Signature, Signed};
use prost::Message;

use super::Error;
use super::keys::{self, SigningKey};
use super::signed::Payload;
use super::{entry, mailed, pin_proof, signed, statement};
use crate::domain::authority::{AuthorityEntry, PinnedKey, PublicKey};
use crate::domain::ids::{AuthorityId, Digest, FederationId, InvitationId, Pin, StatementId};
use crate::domain::join::{Application, Invitation};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::statement::{OwnEntry, Statement, StatementBody, Subject, Withdraw};
use crate::domain::time::UnixMs;

const PREFIX: &str = "hl1";

/// What the applicant holds in its hand: a verified invitation and the secret that opens the inviter's door.
#[derive(Clone, Debug)]
pub struct Token {
    pub invitation: Invitation,
    pub secret: [u8; 16],
    /// As it was made, without what its way added.
    pub text: String,
}

/// Signs an invitation; `id` of the value is not looked at. Gives the encoded `Signed` and the invitation with its id.
pub fn sign(invitation: Invitation, key: &SigningKey) -> (Invitation, Bytes) {
    let payload = peer::Invitation {
        federation_id: Bytes::copy_from_slice(invitation.federation.as_bytes()),
        inviter: invitation.inviter.to_string(),
        inviter_key: Bytes::copy_from_slice(key.public().raw()),
        inviter_pins: invitation.inviter_pins.iter().map(|p| Bytes::copy_from_slice(p.as_bytes())).collect(),
        inviter_endpoints: invitation.inviter_endpoints.clone(),
        intended_for: invitation.intended_for.to_string(),
        created_ms: invitation.created.0,
        expires_ms: invitation.expires.0,
        rules_version: invitation.rules_version,
        entry_version: invitation.entry_version,
        secret_digest: Bytes::copy_from_slice(invitation.secret_digest.as_bytes()),
    };
    let signed = signed::sign(&invitation.federation, &payload, &[key]);
    let id = InvitationId(Digest::of(&signed.payload).0);
    (Invitation { id, inviter_key: key.public(), ..invitation }, signed.encode_to_vec().into())
}

/// The end of an invitation's payload, which its token leaves out: the digest of the secret that it carries.
fn tail(secret: &[u8]) -> [u8; 34] {
    let mut tail = [0x5a; 34];
    tail[1] = 0x20;
    tail[2..].copy_from_slice(Digest::of(secret).as_bytes());
    tail
}

/// The token as text without line breaks; `mailed::lines` makes those.
///
/// # Errors
/// `DECODE_FAILED` when the bytes are not a `Signed` of one signature over an invitation with this secret;
/// `MESSAGE_TOO_LARGE` for one of more than 20,000 bytes.
pub fn token_text(signed: &Bytes, secret: &[u8; 16]) -> Result<String, Error> {
    let failed = |what: &str| Error::new(Reason::DecodeFailed, "invitation", what);
    let signed = Signed::decode(signed.clone()).map_err(|_| failed("signed"))?;
    let head = signed.payload.strip_suffix(&tail(secret)).ok_or_else(|| failed("its secret"))?;
    let [signature] = &signed.signatures[..] else { return Err(failed("one signature")) };
    let token = peer::Token {
        head: Bytes::copy_from_slice(head),
        signature: signature.sig.clone(),
        secret: Bytes::copy_from_slice(secret),
    };
    let text = mailed::write(PREFIX, &token.encode_to_vec());
    text.ok_or_else(|| Error::new(Reason::MessageTooLarge, "invitation", "20,000 bytes"))
}

/// Reads a token, out of the mail that it came in as that arrived, and verifies all that can be verified without the inviter.
///
/// # Errors
/// `INVITATION_INVALID` when it is not a whole token, with the part that is not as it was sent, or when its signature does
/// not fit.
pub fn parse_token(mail: &str) -> Result<Token, Error> {
    let invalid = |what: &str| Error::new(Reason::InvitationInvalid, "token", what);
    if mail.len() > limits::TOKEN_TEXT_BYTES {
        return Err(invalid("the text is longer than 64 KiB"));
    }
    let bytes = mailed::read(PREFIX, mail).map_err(|damage| invalid(&damage.to_string()))?;
    let token = elements::decode::<peer::Token>(bytes.into()).map_err(|_| invalid("no token of this version"))?;
    let secret: [u8; 16] = token.secret.as_ref().try_into().map_err(|_| invalid("no token of this version"))?;
    let invitation = opened(&token).map_err(|_| invalid("its signature does not fit: it was altered"))?;
    let text = mailed::write(PREFIX, &token.encode_to_vec()).ok_or_else(|| invalid("too long"))?;
    Ok(Token { invitation, secret, text })
}

/// The invitation that a token stands for.
fn opened(token: &peer::Token) -> Result<Invitation, Error> {
    let payload = Bytes::from([&token.head[..], &tail(&token.secret)].concat());
    let named = elements::decode::<peer::Invitation>(payload.clone()).map_err(|e| Error::decoding("head", e))?;
    let key_id = Bytes::copy_from_slice(inviter_key(&named)?.id().as_bytes());
    let signature = Signature { key_id, sig: token.signature.clone() };
    let signed = Signed { r#type: peer::Invitation::TYPE.to_owned(), payload, signatures: vec![signature] };
    open_invitation(signed.encode_to_vec().into())
}

/// Verifies that this is the genesis statement of this federation, by its hash.
///
/// # Errors
/// `WRONG_FEDERATION` for that of another; `DECODE_FAILED` for anything else.
pub fn check_genesis(genesis: &Bytes, federation: &FederationId) -> Result<(), Error> {
    match signed::open::<directory::Statement>(genesis.clone())?.payload_digest().0 == federation.0 {
        true => Ok(()),
        false => Err(Error::new(Reason::WrongFederation, "genesis", "")),
    }
}

/// Verifies an invitation with the key that it names.
///
/// # Errors
/// Whatever does not hold, by field.
pub fn open_invitation(bytes: Bytes) -> Result<Invitation, Error> {
    let invitation = reload_invitation(bytes)?;
    if invitation.inviter_endpoints.is_empty() || invitation.inviter_pins.is_empty() {
        return Err(Error::missing("inviter_endpoints"));
    }
    Ok(invitation)
}

/// An invitation from this node's own store: what was signed, and not what today's rules say of it.
///
/// # Errors
/// When it is not what its inviter signed.
pub fn reload_invitation(bytes: Bytes) -> Result<Invitation, Error> {
    let opened = signed::open::<peer::Invitation>(bytes)?;
    let claims = &opened.claims;
    let key = inviter_key(claims)?;
    let federation = federation(&claims.federation_id)?;
    let verified = opened.verify(&federation, |id| (key.id() == *id).then_some(key))?;
    let id = InvitationId(verified.payload_digest().0);
    let claims = verified.into_value();
    Ok(Invitation {
        id,
        federation,
        inviter: authority(&claims.inviter, "inviter")?,
        inviter_key: key,
        inviter_pins: pins(&claims.inviter_pins)?,
        inviter_endpoints: claims.inviter_endpoints,
        intended_for: authority(&claims.intended_for, "intended_for")?,
        created: UnixMs(claims.created_ms),
        expires: UnixMs(claims.expires_ms),
        secret_digest: Digest::from_slice(&claims.secret_digest)
            .ok_or_else(|| Error::invalid("secret_digest", "32 bytes"))?,
        rules_version: claims.rules_version,
        entry_version: claims.entry_version,
    })
}

/// Signs an applicant's own entry as its statement, under the rules and at the version that the invitation names.
/// `entry.authority_key` must be the key's.
pub fn sign_application(
    invitation: &Invitation,
    entry: &AuthorityEntry,
    key: &SigningKey,
    nonce: [u8; 16],
    now: UnixMs,
) -> Bytes {
    let body = OwnEntry { entry: entry.clone() };
    sign_statement(invitation, &entry.authority, body.into(), key, nonce, now)
}

/// Signs an applicant's withdrawal of its application, which stewards decide on as this proposal.
pub fn sign_withdrawal(
    invitation: &Invitation,
    proposal: &StatementId,
    key: &SigningKey,
    nonce: [u8; 16],
    now: UnixMs,
) -> Bytes {
    let body = Withdraw { proposal: *proposal };
    sign_statement(invitation, &invitation.intended_for, body.into(), key, nonce, now)
}

/// What an applicant says to the register about itself.
fn sign_statement(
    invitation: &Invitation,
    applicant: &AuthorityId,
    body: StatementBody,
    key: &SigningKey,
    nonce: [u8; 16],
    time: UnixMs,
) -> Bytes {
    let statement = Statement {
        federation: invitation.federation,
        rules_version: invitation.rules_version,
        author: applicant.clone(),
        subject: Subject::Authority(applicant.clone()),
        subject_version: invitation.entry_version,
        time,
        nonce,
        body,
    };
    statement::sign(&statement, &[key]).signed
}

/// Verifies that this is the applicant's own withdrawal of this proposal to admit it, and nothing else.
///
/// # Errors
/// `MESSAGE_TOO_LARGE`, `DECODE_FAILED`, `FIELD_INVALID` for any other statement, `KEY_NOT_CURRENT` unless the key of the
/// application signed it.
pub fn verify_withdrawal(bytes: Bytes, application: &Application, proposal: &StatementId) -> Result<(), Error> {
    if bytes.len() > limits::STATEMENT_BYTES {
        return Err(Error::new(Reason::MessageTooLarge, "withdrawal", "16 KiB"));
    }
    let (statement, opened) = statement::open(bytes)?;
    let of_this = matches!(&statement.body, StatementBody::Withdraw(withdrawn) if withdrawn.proposal == *proposal);
    let own = statement.author == application.authority && is_about(&statement, &application.authority);
    if !of_this || !own || statement.federation != application.federation {
        return Err(Error::invalid("withdrawal", "the applicant's own withdrawal of the proposal to admit it"));
    }
    let key = application.key;
    opened.check(&application.federation, |id| (key.id() == *id).then_some(key), &keys::Plain)?;
    Ok(())
}

/// Verifies an application with the key that its entry names, and that the entry holds together by itself.
///
/// # Errors
/// `ENTRY_INVALID` with the field, `PIN_UNPROVED`, `DECODE_FAILED`, `FIELD_MISSING`, `FIELD_INVALID`, `SIGNATURE_INVALID`; never for an
/// unexpected federation or version: the caller compares them.
pub fn open_application(bytes: Bytes) -> Result<Application, Error> {
    if bytes.len() > limits::STATEMENT_BYTES {
        return Err(Error::new(Reason::MessageTooLarge, "application", "16 KiB"));
    }
    let application = reload_application(bytes)?;
    let proved = |pinned: &PinnedKey| pin_proof::proves(pinned, &application.federation, &application.authority);
    match applied_for(&application) {
        Some(entry) if entry.pins.iter().all(proved) => Ok(application),
        _ => Err(Error::new(Reason::PinUnproved, "application.entry.pins", "")),
    }
}

/// An application from this node's own store. What its entry must be is a rule of the register (9.4), the same on every
/// replica until the rules are raised, and no rule of the day.
///
/// # Errors
/// When it is not what its applicant signed.
pub fn reload_application(bytes: Bytes) -> Result<Application, Error> {
    let (statement, opened) = statement::open(bytes.clone())?;
    let StatementBody::OwnEntry(OwnEntry { entry }) = &statement.body else {
        return Err(Error::missing("application.entry"));
    };
    if statement.author != entry.authority || !is_about(&statement, &entry.authority) {
        return Err(Error::invalid("application.subject", "the applicant's own entry"));
    }
    let key = entry.authority_key;
    opened.check(&statement.federation, |id| (key.id() == *id).then_some(key), &keys::Plain)?;
    Ok(Application {
        signed: bytes,
        federation: statement.federation,
        authority: entry.authority.clone(),
        key,
        pins: entry.pins.iter().map(|p| p.pin).collect(),
        entry_version: statement.subject_version,
    })
}

fn is_about(statement: &Statement, authority: &AuthorityId) -> bool {
    statement.subject.authority() == Some(authority)
}

/// The entry inside an application that was opened before, for lists.
pub fn entry_of(application: &Application) -> Option<directory::AuthorityEntry> {
    applied_for(application).as_ref().map(entry::to_proto)
}

fn applied_for(application: &Application) -> Option<AuthorityEntry> {
    match statement::open(application.signed.clone()).ok()?.0.body {
        StatementBody::OwnEntry(OwnEntry { entry }) => Some(entry),
        _ => None,
    }
}

fn federation(bytes: &[u8]) -> Result<FederationId, Error> {
    FederationId::from_slice(bytes).ok_or_else(|| Error::invalid("federation_id", "32 bytes"))
}

fn authority(text: &str, field: &str) -> Result<AuthorityId, Error> {
    AuthorityId::parse(text).ok_or_else(|| Error::invalid(field, "<country>-<slug>"))
}

fn inviter_key(claims: &peer::Invitation) -> Result<PublicKey, Error> {
    PublicKey::from_raw(&claims.inviter_key).ok_or_else(|| Error::invalid("inviter_key", "32 bytes"))
}

fn pins(list: &[Bytes]) -> Result<Vec<Pin>, Error> {
    list.iter().map(|p| Pin::from_slice(p).ok_or_else(|| Error::invalid("inviter_pins", "32 bytes"))).collect()
}
