//! Builders of signed statements: what a node says to the register, in the form that `apply` takes.
//!
//! Every builder names the version that the state has now; a refusal with `STALE_VERSION` means: build it again.

use bytes::Bytes;
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::record::v1::Signed;
use prost::Message;
use proto::proposal::Act;
use proto::statement::Body;

use super::state::RegisterState;
use crate::domain::authority::{AuthorityEntry, PublicKey};
use crate::domain::directory::{Policy, Steward};
use crate::domain::ids::{AuthorityId, Digest, FederationId, InvitationId, StatementId};
use crate::domain::limits;
use crate::domain::register::{RejectionReason, RemoveReason, SuspendReason};
use crate::domain::time::UnixMs;
use crate::wire::keys::SigningKey;
use crate::wire::statement::{Subject, policy_to_proto, stewards_to_proto};
use crate::wire::{beat, entry as entries, signed};

/// Who signs, when, and the 16 random bytes that make two equal statements differ.
pub struct Author<'a> {
    pub authority: &'a AuthorityId,
    pub key: &'a SigningKey,
    pub now: UnixMs,
    pub nonce: [u8; 16],
}

/// What binds an admission to its invitation and to the six words.
#[derive(Clone, Debug)]
pub struct Invited {
    pub by: AuthorityId,
    pub invitation: Option<InvitationId>,
    pub words: Option<Digest>,
}

impl Author<'_> {
    fn statement(
        &self,
        federation: &FederationId,
        rules: u32,
        subject: &Subject,
        version: u64,
        body: Body,
    ) -> proto::Statement {
        proto::Statement {
            federation_id: Bytes::copy_from_slice(federation.as_bytes()),
            rules_version: rules,
            author: self.authority.to_string(),
            subject: subject.as_str().to_owned(),
            subject_version: version,
            time_ms: self.now.0,
            nonce: Bytes::copy_from_slice(&self.nonce),
            body: Some(body),
        }
    }

    fn sign(&self, state: &RegisterState, subject: &Subject, version: u64, body: Body) -> Bytes {
        let federation = state.federation();
        let statement = self.statement(&federation, state.policy().rules_version, subject, version, body);
        encode(&signed::sign(&federation, &statement, &[self.key]))
    }

    fn propose(&self, state: &RegisterState, subject: &Subject, version: u64, act: Act) -> Bytes {
        self.sign(state, subject, version, Body::Proposal(proto::Proposal { act: Some(act) }))
    }

    /// The statement that founds a federation; its author is the first steward.
    pub fn genesis(&self, entry: &AuthorityEntry, policy: &Policy) -> Bytes {
        let body = Body::Genesis(proto::Genesis {
            steward: Some(entries::to_proto(entry)),
            policy: Some(policy_to_proto(policy)),
        });
        let subject = Subject::Authority(self.authority.clone());
        let statement = self.statement(&signed::NO_FEDERATION, policy.rules_version, &subject, 0, body);
        encode(&signed::sign(&signed::NO_FEDERATION, &statement, &[self.key]))
    }

    /// An application: the applicant's own entry, signed by its own new key. `version`: 0, unless it was a member once.
    pub fn application(&self, federation: &FederationId, rules: u32, version: u64, entry: &AuthorityEntry) -> Signed {
        let subject = Subject::Authority(self.authority.clone());
        let statement = self.statement(federation, rules, &subject, version, Body::Entry(entries::to_proto(entry)));
        signed::sign(federation, &statement, &[self.key])
    }

    /// The new entry that goes into a key recovery: signed by the new key, at the version of the standing.
    pub fn recovery_entry(&self, state: &RegisterState, entry: &AuthorityEntry) -> Signed {
        let version = state.version(&Subject::Authority(self.authority.clone()));
        self.application(&state.federation(), state.policy().rules_version, version, entry)
    }

    /// A change of the author's own entry.
    pub fn entry(&self, state: &RegisterState, entry: &AuthorityEntry) -> Bytes {
        let subject = Subject::Authority(self.authority.clone());
        self.sign(state, &subject, state.entry_version(self.authority), Body::Entry(entries::to_proto(entry)))
    }

    /// A new authority key, signed by the old one (the author's) and the new one.
    pub fn key_rotation(&self, state: &RegisterState, new_key: &SigningKey, compromised: bool) -> Bytes {
        let federation = state.federation();
        let body = Body::KeyRotation(proto::KeyRotation { new_key: spki(&new_key.public()), compromised });
        let subject = Subject::Authority(self.authority.clone());
        let version = state.entry_version(self.authority);
        let statement = self.statement(&federation, state.policy().rules_version, &subject, version, body);
        encode(&signed::sign(&federation, &statement, &[self.key, new_key]))
    }

    /// An emergency suspension. Of a steward it needs a second signature: `countersign`.
    pub fn suspend(&self, state: &RegisterState, target: &AuthorityId, reason: SuspendReason) -> Bytes {
        let subject = Subject::Authority(target.clone());
        let version = state.version(&subject);
        self.sign(state, &subject, version, Body::Suspend(proto::Suspend { reason: reason.code() }))
    }

    /// Proposes to admit an applicant.
    pub fn admit(
        &self,
        state: &RegisterState,
        applicant: &AuthorityId,
        application: Signed,
        invited: &Invited,
    ) -> Bytes {
        let act = Act::Admit(proto::Admit {
            application: Some(application),
            invited_by: invited.by.to_string(),
            invitation_id: invited.invitation.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(id.as_bytes())),
            words_digest: invited.words.map_or_else(Bytes::new, |d| Bytes::copy_from_slice(d.as_bytes())),
        });
        self.propose(state, &Subject::Authority(applicant.clone()), state.entry_version(applicant), act)
    }

    /// Proposes another set of stewards: one more, one less, or one under its new Raft id.
    pub fn steward_set(&self, state: &RegisterState, stewards: &[Steward]) -> Bytes {
        let act = Act::StewardSet(proto::StewardSet { stewards: stewards_to_proto(stewards) });
        self.propose(state, &Subject::Stewards, state.version(&Subject::Stewards), act)
    }

    /// Proposes a suspension that lasts until restored.
    pub fn lasting_suspend(&self, state: &RegisterState, target: &AuthorityId, reason: SuspendReason) -> Bytes {
        let subject = Subject::Authority(target.clone());
        let act = Act::Suspend(proto::Suspend { reason: reason.code() });
        self.propose(state, &subject, state.version(&subject), act)
    }

    /// Proposes to restore, and to lift the emergency suspensions named.
    pub fn restore(&self, state: &RegisterState, target: &AuthorityId, lifts: &[StatementId]) -> Bytes {
        let subject = Subject::Authority(target.clone());
        let lifts = lifts.iter().map(|id| Bytes::copy_from_slice(id.as_bytes())).collect();
        self.propose(state, &subject, state.version(&subject), Act::Restore(proto::Restore { lifts }))
    }

    /// Proposes to remove.
    pub fn remove(&self, state: &RegisterState, target: &AuthorityId, reason: RemoveReason) -> Bytes {
        let subject = Subject::Authority(target.clone());
        let act = Act::Remove(proto::Remove { reason: reason.code() });
        self.propose(state, &subject, state.version(&subject), act)
    }

    /// Proposes another policy.
    pub fn policy(&self, state: &RegisterState, policy: &Policy) -> Bytes {
        self.propose(state, &Subject::Policy, state.version(&Subject::Policy), Act::Policy(policy_to_proto(policy)))
    }

    /// Proposes another kind, names, identifiers or host: the whole new entry.
    pub fn entry_change(&self, state: &RegisterState, entry: &AuthorityEntry) -> Bytes {
        let act = Act::EntryChange(entries::to_proto(entry));
        let version = state.entry_version(&entry.authority);
        self.propose(state, &Subject::Authority(entry.authority.clone()), version, act)
    }

    /// Proposes to replace a lost key; `entry` is what `recovery_entry` gave.
    pub fn key_recovery(
        &self,
        state: &RegisterState,
        target: &AuthorityId,
        new_key: &PublicKey,
        entry: Signed,
    ) -> Bytes {
        let subject = Subject::Authority(target.clone());
        let act = Act::KeyRecovery(proto::KeyRecovery { new_key: spki(new_key), entry: Some(entry) });
        self.propose(state, &subject, state.version(&subject), act)
    }

    /// Approves; `None`: there is no such proposal.
    pub fn approve(&self, state: &RegisterState, proposal: &StatementId) -> Option<Bytes> {
        let found = state.proposal(proposal)?;
        let body = Body::Approval(proto::Approval { proposal_id: Bytes::copy_from_slice(proposal.as_bytes()) });
        Some(self.sign(state, &found.subject, found.subject_version, body))
    }

    /// Votes against, or closes the author's own proposal; `None`: there is no such proposal.
    pub fn reject(&self, state: &RegisterState, proposal: &StatementId, reason: RejectionReason) -> Option<Bytes> {
        let found = state.proposal(proposal)?;
        let proposal_id = Bytes::copy_from_slice(proposal.as_bytes());
        let body = Body::Rejection(proto::Rejection { proposal_id, reason: reason.code() });
        Some(self.sign(state, &found.subject, found.subject_version, body))
    }

    /// Takes an application or a proposal back; `None`: there is no such proposal.
    pub fn withdraw(&self, state: &RegisterState, proposal: &StatementId) -> Option<Bytes> {
        let found = state.proposal(proposal)?;
        let body = Body::Withdrawal(proto::Withdrawal { proposal_id: Bytes::copy_from_slice(proposal.as_bytes()) });
        Some(self.sign(state, &found.subject, found.subject_version, body))
    }
}

/// A second steward's signature under an emergency suspension; `None`: the bytes are no `Signed`, or too long then.
pub fn countersign(federation: &FederationId, signed: &Bytes, key: &SigningKey) -> Option<Bytes> {
    let mut message = Signed::decode(signed.clone()).ok()?;
    message.signatures.push(signed::countersign(federation, &message, key));
    Some(encode(&message)).filter(|bytes| bytes.len() <= limits::STATEMENT_BYTES)
}

/// Signs a beat.
pub fn beat(beat: &beat::Beat, key: &SigningKey) -> Bytes {
    encode(&signed::sign(&beat.federation, &beat::to_proto(beat), &[key]))
}

fn encode(signed: &Signed) -> Bytes {
    Bytes::from(signed.encode_to_vec())
}

fn spki(key: &PublicKey) -> Bytes {
    Bytes::copy_from_slice(&key.0)
}
