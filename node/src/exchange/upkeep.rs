//! What time changes by itself, and what a restart has to find again.

use crate::domain::audit::AuditCheckpoint;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::record::StreamClass;
use crate::domain::stream::StreamId;
use crate::storage::ops::{Put, Write};
use crate::wire::checkpoint;

use super::Exchange;
use super::error::Error;

impl Exchange {
    /// Signs the ledger's head if it has grown since the last checkpoint (9.12).
    ///
    /// # Errors
    /// When the store fails.
    pub async fn checkpoint_pass(&self) -> Result<bool, Error> {
        let head = self.store().audit_head().await?;
        let covered = head.checkpoint.as_ref().map_or(0, |(size, _)| *size);
        if head.size <= covered {
            return Ok(false);
        }
        let authority = self.authority().clone();
        let key = self.0.keys.of(&authority).ok_or(Reason::WrongOrigin)?;
        let checkpoint = AuditCheckpoint {
            federation: self.view().federation,
            authority,
            size: head.size,
            root: head.root,
            time: self.now(),
        };
        let signed = checkpoint::sign(&checkpoint, &key);
        let put = Put::Checkpoint { size: head.size, signed };
        self.store().write(Write::put(put).into()).await?;
        Ok(true)
    }

    /// Removes what is past its time. Returns how many rows.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sweep_pass(&self) -> Result<u64, Error> {
        let forgotten = self.forget_proposals().await?;
        Ok(forgotten + self.store().sweep(self.now()).await?)
    }

    /// Greets every partner: tells our incarnation after a start, learns theirs, and shows who answers. Returns those
    /// that did not answer.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn greet_pass(&self) -> Result<Vec<AuthorityId>, Error> {
        let (view, now) = (self.view(), self.now());
        let mut greetings = Vec::new();
        for ours in self.0.keys.authorities() {
            for partner in self.0.agreements.load().partners(&ours, now) {
                if super::register::active(&view, &partner, now).is_ok() && !self.0.keys.serves(&partner) {
                    let id = StreamId { origin: ours.clone(), recipient: partner, class: StreamClass::Control };
                    greetings.push(self.greet_partner(id));
                }
            }
        }
        let answers = futures_util::future::join_all(greetings).await;
        Ok(answers.into_iter().flatten().collect())
    }

    /// `Some`: the partner did not answer.
    async fn greet_partner(&self, id: StreamId) -> Option<AuthorityId> {
        let result = self.greet_out(&id.origin, &id.recipient).await;
        match result {
            Ok(()) => {
                self.0.links.answered(&id.recipient, self.now());
                None
            }
            Err(error) => {
                if let Error::Link(link) = &error {
                    self.0.links.failed(&id.recipient, link, self.now());
                }
                Some(id.recipient)
            }
        }
    }
}
