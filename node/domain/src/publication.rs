//! A record that this node publishes, before it is prepared for each partner.

use bytes::Bytes;

use super::envelope::GrantRef;
use super::ids::AuthorityId;
use super::record::{RecordKey, Reference, ReferenceKind};
use super::records::Content;
use super::sharing::{Audience, Sharing};
use super::time::UnixMs;

/// A publication as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    pub authority: AuthorityId,
    pub sharing: Sharing,
    /// As they were found when it was published.
    pub recipients: Vec<AuthorityId>,
    /// With everything that its owner knows; a partner sees `Content::prepare` at its level, and nothing else.
    pub content: Content,
    /// The encoded message of `content`: as it is stored, and as it travels unless a level shapes it.
    pub encoded: Bytes,
    /// The earlier record that it answers, updates, cancels or replaces, if any.
    pub references: Vec<Reference>,
    /// Of an answer: the grant under which what it answers was sent.
    pub under: Option<GrantRef>,
    pub created: UnixMs,
    /// W3C trace context of the publish; may be empty.
    pub traceparent: String,
}

impl Publication {
    /// It is for all whom agreements cover; otherwise for the named ones and nobody else.
    pub fn is_for_all(&self) -> bool {
        self.sharing.audience == Audience::AllPartners
    }

    /// It goes to partners of later agreements too, as long as it lives: of a lasting kind and for all, unless it only
    /// speaks to those that hold an earlier one.
    pub fn grows(&self) -> bool {
        let told = |reference: &Reference| reference.kind != ReferenceKind::Replaces;
        self.is_for_all() && self.content.facts().lasting && !self.references.iter().any(told)
    }

    /// The record that it refers to.
    pub fn target(&self) -> Option<&RecordKey> {
        self.references.first().map(|reference| &reference.target)
    }
}
