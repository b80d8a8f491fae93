//! How a node that lost its memory learns how far it had come (9.10): from its own signature, which a partner kept.
//!
//! Which incarnation may follow which says `domain::incarnation`. Invariant: nobody's word but its own brings a node forward,
//! by bounded steps, and never back.

use bytes::Bytes;

use crate::domain::ids::{AuthorityId, Incarnation};
use crate::domain::incarnation;
use crate::domain::reason::Reason;
use crate::domain::stream::Hello;
use crate::exchange::context::Error;
use crate::storage::ops::{Put, Write};
use crate::wire::peer;

use super::Road;

/// A hello counts for the one that it names, and for nobody to whom it is shown.
pub(super) fn told_to(hello: &Hello, recipient: &AuthorityId) -> Result<(), Error> {
    if hello.recipient == *recipient { Ok(()) } else { Err(Error::about(&hello.authority, Reason::WrongRecipient)) }
}

impl Road {
    /// The signed hello of a partner that told its known incarnation, to be shown to it; `None`: there is none, or its key
    /// was withdrawn since.
    pub(super) async fn shown_to(&self, ours: &AuthorityId, partner: &AuthorityId) -> Result<Option<Bytes>, Error> {
        let told = self.store().partner_incarnation(ours.clone(), partner.clone()).await?;
        Ok(told.filter(|told| self.own_word(&told.hello, partner, ours).is_some()).map(|told| told.hello))
    }

    /// Goes on from what a partner shows to be our own word, if it lies above what is known here. Whether it did.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub(super) async fn believe_own(
        &self,
        ours: &AuthorityId,
        partner: &AuthorityId,
        shown: &Bytes,
    ) -> Result<bool, Error> {
        let known = self.store().incarnation();
        let Some(shown) = self.own_word(shown, ours, partner) else { return Ok(false) };
        let [.., a, b, c, d] = *uuid::Uuid::new_v4().as_bytes();
        let drawn = u32::from_be_bytes([a, b, c, d]);
        let Some(next) = incarnation::after_shown(self.now(), known, shown, drawn) else { return Ok(false) };
        self.store().write(Write::put(Put::OwnIncarnation(next)).into()).await?;
        havenlink_runtime::repeated!(warn by partner.as_str(); authority = %partner, incarnation = next.0, "a partner holds this node's own word of a later start: it goes on from there");
        // What the senders remember is of the start before.
        self.outgoing.note_requeued();
        Ok(true)
    }

    /// The incarnation that `author` once told `recipient`, if the bytes are its own word and the key was not withdrawn.
    fn own_word(&self, hello: &Bytes, author: &AuthorityId, recipient: &AuthorityId) -> Option<Incarnation> {
        if hello.is_empty() {
            return None;
        }
        let view = self.view();
        let key_of = |authority: &AuthorityId, id: &_| view.unwithdrawn_key(authority, id).copied();
        let hello = peer::open_hello(hello.clone(), &view.federation, &key_of).ok()?;
        (hello.authority == *author && hello.recipient == *recipient).then_some(hello.incarnation)
    }
}
