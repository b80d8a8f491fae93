//! Register statements: what the author signed, as values, in both directions. Numbers that are not known fail closed.

use bytes::Bytes;
use havenlink_proto::directory::v1 as proto;
use prost::Message;

use super::keys::SigningKey;
use super::signed::{self, Unverified};
use super::{Error, acts, entry, fields};
use crate::domain::ids::{AuthorityId, Digest, FederationId, StatementId};
use crate::domain::reason::Reason;
use crate::domain::register::{Applied, Outcome};
use crate::domain::statement::{Statement, Subject};
use crate::domain::time::UnixMs;

/// The id of a statement: SHA-256 of its payload.
pub fn id(payload: &Digest) -> StatementId {
    StatementId(payload.0)
}

/// Opens an encoded `Signed` and reads the statement in it, trusting nothing.
///
/// # Errors
/// As `from_proto`, and when the bytes are not a signed statement.
pub fn open(bytes: Bytes) -> Result<(Statement, Unverified<proto::Statement>), Error> {
    let mut unverified = signed::open::<proto::Statement>(bytes)?;
    let statement = from_proto(std::mem::take(&mut unverified.claims))?;
    Ok((statement, unverified))
}

/// A statement as it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedStatement {
    pub id: StatementId,
    /// The encoded `Signed`.
    pub signed: Bytes,
}

/// Encodes a statement, once, and signs it with each key.
pub fn sign(statement: &Statement, keys: &[&SigningKey]) -> SignedStatement {
    let signed = signed::sign(&statement.federation, &to_proto(statement), keys);
    SignedStatement { id: id(&Digest::of(&signed.payload)), signed: signed.encode_to_vec().into() }
}

/// Whose own entry an encoded `Signed` says that it changes; `None` for any other statement. Trusts nothing.
pub fn own_entry(bytes: &Bytes) -> Option<AuthorityId> {
    let claims = signed::open::<proto::Statement>(bytes.clone()).ok()?.claims;
    let author = AuthorityId::parse(&claims.author)?;
    let Some(proto::statement::Body::Entry(entry)) = claims.body else { return None };
    (claims.subject == claims.author && entry.authority == claims.author).then_some(author)
}

/// Reads a statement.
///
/// # Errors
/// `STATEMENT_KIND_UNKNOWN` for a kind or act that is not there or not known, `ENTRY_INVALID` for an entry that does
/// not hold together, otherwise the field that does not have the required form.
pub fn from_proto(statement: proto::Statement) -> Result<Statement, Error> {
    let nonce = statement.nonce[..].try_into().map_err(|_| Error::invalid("statement.nonce", "16 bytes"))?;
    let body = match statement.body {
        None => return Err(Error::new(Reason::StatementKindUnknown, "statement.body", "")),
        Some(body) => acts::read_body(body)?,
    };
    Ok(Statement {
        federation: FederationId::from_slice(&statement.federation_id)
            .ok_or_else(|| Error::invalid("statement.federation_id", "32 bytes"))?,
        rules_version: statement.rules_version,
        author: entry::authority_id(&statement.author, "statement.author")?,
        subject: Subject::parse(&statement.subject)
            .ok_or_else(|| Error::invalid("statement.subject", "an authority id, #stewards or #policy"))?,
        subject_version: statement.subject_version,
        time: UnixMs(statement.time_ms),
        nonce,
        body,
    })
}

/// Writes a statement.
pub fn to_proto(statement: &Statement) -> proto::Statement {
    proto::Statement {
        federation_id: fields::bytes_of(statement.federation.as_bytes()),
        rules_version: statement.rules_version,
        author: statement.author.to_string(),
        subject: statement.subject.as_str().to_owned(),
        subject_version: statement.subject_version,
        time_ms: statement.time.0,
        nonce: fields::bytes_of(&statement.nonce),
        body: Some(acts::write_body(&statement.body)),
    }
}

/// What came of a statement, for whoever asked.
pub fn applied_to_proto(applied: &Applied) -> proto::ProposeResponse {
    proto::ProposeResponse {
        number: applied.number,
        outcome: applied.outcome.code(),
        head: applied.head.map(|head| fields::bytes_of(head.as_bytes())).unwrap_or_default(),
        statement_id: fields::bytes_of(applied.statement.as_bytes()),
    }
}

/// What came of a statement, as another node says.
///
/// # Errors
/// `DECODE_FAILED`.
pub fn applied_from_proto(answer: &proto::ProposeResponse) -> Result<Applied, Error> {
    let bad = || Error::new(Reason::DecodeFailed, "answer to a proposal", "");
    let head = match answer.head.is_empty() {
        true => None,
        false => Some(Digest::from_slice(&answer.head).ok_or_else(bad)?),
    };
    Ok(Applied {
        statement: StatementId::from_slice(&answer.statement_id).ok_or_else(bad)?,
        outcome: Outcome::from_code(answer.outcome).ok_or_else(bad)?,
        number: answer.number,
        is_new: false,
        head,
    })
}
