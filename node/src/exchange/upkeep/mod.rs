//! What time and the register change by themselves, and what a restart has to find again: passes.
//!
//! What lives here: what each pass of the workers does, one at a time (`passes`); what is owed (`owed`), each sort fulfilled by
//! the part that owes it; what the register changes for what waits (`standing`); the sweep, the greeting of partners, the
//! gauges, and the ledger's checkpoints, with the proof that they and its leaves agree (`ledger`), proofs for others (`proofs`) and
//! what it tells of processing (`processing`). What does not: loops and timers
//! (`workers`), and how anything is published, delivered or agreed. Invariant: a pass finds its work in the store, so the
//! normal case and recovery are one path; a pass that fails, or an item that cannot be done, stops no other one.

mod gauges;
mod ledger;
mod owed;
mod passes;
mod processing;
mod proofs;
mod standing;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::domain::audit::{AuditAct, AuditCheckpoint, AuditDraft};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::record::StreamClass;
use crate::domain::stream::StreamId;
use crate::exchange::agreements::Agreements;
use crate::exchange::capacity::Capacity;
use crate::exchange::context::{Context, Error, active};
use crate::exchange::persons::Persons;
use crate::exchange::road::Road;
use crate::storage::ops::{Put, Write};
use crate::wire::{audit, checkpoint};

use crate::domain::directory::DirectoryView;
use crate::domain::time::UnixMs;
use crate::storage::Store;

pub use ledger::AuditFinding;
pub use passes::PassReport;
pub use processing::{Extent, Processed, Processing};
pub use proofs::{LedgerPage, Proof, ToProve};

/// The passes over what is here.
pub struct Upkeep {
    context: Arc<Context>,
    agreements: Arc<Agreements>,
    persons: Arc<Persons>,
    road: Arc<Road>,
    capacity: Arc<Capacity>,
    /// Authorities of this node that were suspended or removed when upkeep looked last.
    suspended_here: Mutex<BTreeSet<AuthorityId>>,
    /// One run of a pass at a time, and how each went.
    passes: passes::Passes,
}

impl Upkeep {
    pub(super) fn new(
        context: Arc<Context>,
        (agreements, persons): (Arc<Agreements>, Arc<Persons>),
        road: Arc<Road>,
        capacity: Arc<Capacity>,
    ) -> Self {
        let (suspended_here, passes) = (Mutex::default(), passes::Passes::default());
        Self { context, agreements, persons, road, capacity, suspended_here, passes }
    }

    fn store(&self) -> &dyn Store {
        self.context.store()
    }

    fn view(&self) -> Arc<DirectoryView> {
        self.context.view()
    }

    fn now(&self) -> UnixMs {
        self.context.now()
    }

    /// Signs the ledger's head if it has grown since the last checkpoint (9.12), by more than the leaf which says that that one
    /// was signed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn checkpoint_pass(&self) -> Result<bool, Error> {
        let head = self.store().audit_head().await?;
        self.context.note_stored(head.time);
        let covered = head.checkpoint.as_ref().map_or(0, |(size, _)| *size);
        let since = self.store().audit_leaves(covered, 2).await?;
        let of_a_checkpoint = |leaf: &Bytes| audit::outline(leaf).is_some_and(|outline| outline.checkpoint.is_some());
        if head.size <= covered || since.iter().all(of_a_checkpoint) {
            return Ok(false);
        }
        let authority = self.context.authority().clone();
        let key = self.context.keys().of(&authority).ok_or(Reason::WrongOrigin)?;
        let checkpoint = AuditCheckpoint {
            federation: self.view().federation,
            authority,
            size: head.size,
            root: head.root,
            time: self.now(),
        };
        let signed = checkpoint::sign(&checkpoint, &key);
        let mut write = Write::put(Put::Checkpoint { size: head.size, signed });
        let sizes = Some((covered, head.size));
        write.audit.push(AuditDraft { sizes, ..AuditDraft::by_node(AuditAct::CheckpointSigned) });
        self.store().write(write.into()).await?;
        Ok(true)
    }

    /// Removes what is past its time, by the confirmed one: a clock that jumps destroys nothing. Returns how many rows.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sweep_pass(&self) -> Result<u64, Error> {
        let Some(confirmed) = self.context.confirmed_time() else {
            self.store().back_up_keys(self.now()).await?;
            return Ok(0);
        };
        let forgotten = self.agreements.forget_proposals(confirmed).await?;
        Ok(forgotten + self.store().sweep(confirmed).await?)
    }

    /// Greets every partner: tells our incarnation after a start, learns theirs, and shows who answers. Returns those
    /// that did not answer.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn greet_pass(&self) -> Result<Vec<AuthorityId>, Error> {
        Ok(self.greet_those(|_| true).await)
    }

    /// Asks the partners that this node serves whether they answer: a connection with it has just ended.
    pub async fn ask_at_once(&self, host: &AuthorityId) {
        let view = self.view();
        self.greet_those(|partner| view.host_of(partner) == Some(host)).await;
    }

    async fn greet_those(&self, which: impl Fn(&AuthorityId) -> bool) -> Vec<AuthorityId> {
        let (view, now) = (self.view(), self.now());
        let mut greetings = Vec::new();
        for ours in self.context.keys().authorities() {
            for partner in self.context.agreements().load().partners(&ours, now) {
                let asked = which(&partner) && active(&view, &partner, now).is_ok();
                if asked && !self.context.keys().serves(&partner) {
                    let id = StreamId { origin: ours.clone(), recipient: partner, class: StreamClass::Control };
                    greetings.push(self.road.greet_partner(id));
                }
            }
        }
        let answers = futures_util::future::join_all(greetings).await;
        answers.into_iter().flatten().collect()
    }
}
