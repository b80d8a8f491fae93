//! Signing: what a node says to the register, in the form that `apply` takes. What an act's statement carries and which
//! version it names stands with its rules (`acts`).
//!
//! Every statement names the version that the state has now; a refusal with `STALE_VERSION` means: build it again.

use std::sync::Arc;

use bytes::Bytes;
use havenlink_proto::record::v1::Signed;
use prost::Message;

use super::acts;
use super::state::RegisterState;
use crate::domain::ids::{AuthorityId, FederationId};
use crate::domain::limits;
use crate::domain::statement::{Decision, Propose, Statement, StatementBody, Subject};
use crate::domain::time::UnixMs;
use crate::wire::keys::SigningKey;
use crate::wire::statement::{self, SignedStatement};
use crate::wire::{beat, signed};

pub use super::acts::Invited;

/// Who signs, when, and the 16 random bytes that make two equal statements differ.
pub struct Author<'a> {
    pub authority: &'a AuthorityId,
    pub key: &'a SigningKey,
    pub now: UnixMs,
    pub nonce: [u8; 16],
}

impl Author<'_> {
    /// Proposes a decision, at the version that its subject has now.
    pub fn propose(&self, state: &RegisterState, decision: Decision) -> Bytes {
        let version = acts::rules(&decision.act).version(state, &decision.subject);
        self.propose_at(state, version, decision)
    }

    pub(super) fn propose_at(&self, state: &RegisterState, version: u64, decision: Decision) -> Bytes {
        let Decision { subject, act } = decision;
        self.sign(state, subject, version, Propose { act: Arc::new(act) }).signed
    }

    pub(super) fn sign(
        &self,
        state: &RegisterState,
        subject: Subject,
        version: u64,
        body: impl Into<StatementBody>,
    ) -> SignedStatement {
        let rules = state.policy().rules_version;
        self.signed(&self.statement(state.federation(), rules, subject, version, body))
    }

    pub(super) fn statement(
        &self,
        federation: FederationId,
        rules_version: u32,
        subject: Subject,
        subject_version: u64,
        body: impl Into<StatementBody>,
    ) -> Statement {
        let (author, time, nonce) = (self.authority.clone(), self.now, self.nonce);
        Statement { federation, rules_version, author, subject, subject_version, time, nonce, body: body.into() }
    }

    pub(super) fn signed(&self, statement: &Statement) -> SignedStatement {
        statement::sign(statement, &[self.key])
    }
}

/// A second steward's signature under an emergency suspension; `None`: the bytes are no `Signed`, or too long then.
pub fn countersign(federation: &FederationId, signed: &Bytes, key: &SigningKey) -> Option<Bytes> {
    let mut message = Signed::decode(signed.clone()).ok()?;
    message.signatures.push(signed::countersign(federation, &message, key));
    Some(Bytes::from(message.encode_to_vec())).filter(|bytes| bytes.len() <= limits::STATEMENT_BYTES)
}

/// Signs a beat.
pub fn beat(beat: &beat::Beat, key: &SigningKey) -> Bytes {
    signed::sign(&beat.federation, &beat::to_proto(beat), &[key]).encode_to_vec().into()
}
