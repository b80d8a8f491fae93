//! What was published for all whom agreements cover, before an agreement came into force: its partner gets it too.
//!
//! A new partner must see the present capacity, not wait for the next statement, and finds the practices that there are.
//! An alert is news to those whom its publisher was told of: nobody is added to it later (decisions/017).
//! Each grant of ours is owed a backfill from the commit that completes its agreement, due when the grant begins. Only what
//! was dispatched already is looked at: the rest goes to whoever is covered when it is prepared. A backfill that dies in
//! between is begun again; what has a delivery is left out.

use std::collections::HashSet;

use crate::domain::agreement::GrantState;
use crate::domain::audit::ActorRole;
use crate::domain::authority::MemberStatus;
use crate::domain::envelope::GrantRef;
use crate::domain::ids::AuthorityId;
use crate::domain::policy::ReadPurpose;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::records::RecordKind;
use crate::exchange::context::Error;
use crate::storage::ops::{Queue, Write};
use crate::storage::rows::PublicationRow;

use super::super::Road;
use super::prepare::{About, Prepared, Preparer, refused};

/// Publications read at a time.
const LOOK: usize = 200;
/// Records queued in one commit.
const TOGETHER: usize = 128;

impl Road {
    /// Queues what is current for the partner of a grant that is in force now, in commits of their own.
    pub(in crate::exchange) async fn backfill(&self, reference: &GrantRef, to: &AuthorityId) -> Result<Write, Error> {
        // What is being published or dispatched under the agreements before this one is stored before it is looked for.
        drop(self.publishing.write().await);
        drop(self.dispatching.lock().await);
        let preparer = self.preparer();
        let Some(held) = preparer.agreements.get(&reference.agreement).cloned() else {
            return Err(Reason::AgreementNotFound.into());
        };
        let grant = usize::try_from(reference.number).ok().and_then(|number| held.agreement.grants.get(number));
        let Some(grant) = grant.filter(|grant| self.context.keys().serves(&grant.from) && grant.to == *to) else {
            return Ok(Write::default());
        };
        match held.grant_state(grant, preparer.now) {
            GrantState::Ended | GrantState::Expired => return Ok(Write::default()),
            GrantState::Incomplete | GrantState::NotYet => return Err(Reason::AgreementNotInForce.into()),
            GrantState::Unconfirmed => return Err(Reason::AgreementUnconfirmed.into()),
            GrantState::InForce => {}
        }
        if [&grant.from, to].into_iter().any(|one| preparer.view.status(one, preparer.now) == MemberStatus::Suspended) {
            return Err(Error::about(&grant.from, Reason::MemberSuspended));
        }
        self.queue_current(&preparer, &grant.from, to).await?;
        Ok(Write::default())
    }

    async fn queue_current(&self, preparer: &Preparer, from: &AuthorityId, to: &AuthorityId) -> Result<(), Error> {
        let mut current: Vec<(u64, RecordKey)> = Vec::new();
        for kind in RecordKind::CONTENT.iter().filter(|kind| kind.facts().is_some_and(|facts| facts.lasting)) {
            self.current(preparer, *kind, from, to, &mut current).await?;
        }
        // In the order in which they were published.
        current.sort_unstable();
        let mut refused = None;
        for together in current.chunks(TOGETHER) {
            refused = self.queue_together(preparer, together, to).await?.or(refused);
        }
        // The backfill is begun again for what the store refused; the rest has gone.
        refused.map_or(Ok(()), |reason| Err(reason.into()))
    }

    /// All of them in one commit; should the store refuse that, each in its own. Answers why one could not be queued.
    async fn queue_together(
        &self,
        preparer: &Preparer,
        keys: &[(u64, RecordKey)],
        to: &AuthorityId,
    ) -> Result<Option<Reason>, Error> {
        // Nothing is taken back between this look and the commit.
        let _later = self.saying_later.lock().await;
        let (mut together, mut readable, mut refused) = (Write::default(), Vec::new(), None);
        for (_, key) in keys {
            match self.made_for(preparer, key, to).await {
                Ok(write) => {
                    together.append(write);
                    readable.push(key);
                }
                Err(error) if error.concerns_one_row() => refused = Some(error.reason()),
                Err(error) => return Err(error),
            }
        }
        if self.context.write_owed(together).await? {
            return Ok(refused);
        }
        for key in readable {
            let write = self.made_for(preparer, key, to).await?;
            if !self.context.write_owed(write).await? {
                refused = Some(Reason::StorageDamaged);
            }
        }
        Ok(refused)
    }

    /// One record for the new partner; empty if it was taken back, or cannot be read: that is named where publications are
    /// listed.
    async fn made_for(&self, preparer: &Preparer, key: &RecordKey, to: &AuthorityId) -> Result<Write, Error> {
        let mut write = Write::default();
        if self.own_taken_back(key).await? {
            return Ok(write);
        }
        let Some(row) = self.store().publication(key.clone()).await? else { return Ok(write) };
        match self.prepared_for(preparer, &row, to).await {
            Ok(prepared) => (write.deliveries, write.audit) = (prepared.queue.items, prepared.queue.audit),
            Err(Error::Refused(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(write)
    }

    /// What is published for all, unexpired, the last word on its subject, allowed to this partner and not sent to it.
    async fn current(
        &self,
        preparer: &Preparer,
        kind: RecordKind,
        from: &AuthorityId,
        to: &AuthorityId,
        found: &mut Vec<(u64, RecordKey)>,
    ) -> Result<(), Error> {
        let (mut before, mut subjects) = (None, HashSet::new());
        loop {
            let rows = self.store().publications(kind, before, LOOK).await?;
            for row in rows.iter().filter(|row| row.authority == *from) {
                let Ok(reading) = self.context.may_read(&row.record, ActorRole::Node, ReadPurpose::Prepare) else {
                    continue;
                };
                let Ok(publication) = self.context.opened_own(row, reading) else { continue };
                // Newest first: what was said of a subject before is not current, whatever became of the newest.
                let older = publication.content.subject().is_some_and(|subject| !subjects.insert(subject));
                let due = row.dispatched && publication.grows() && !older;
                if due && preparer.ask(&publication, to, None).is_ok() {
                    let key = row.key();
                    if self.store().sent_under(key.clone(), to.clone()).await?.is_empty() {
                        found.push((row.sequence, key));
                    }
                }
            }
            before = rows.last().map(|row| row.sequence);
            if rows.len() < LOOK {
                return Ok(());
            }
        }
    }

    /// One publication made for one more recipient. What it replaces may be past its time here and never have reached this
    /// recipient: then nothing is said of that, or the newer word would wait for it, hidden.
    pub(super) async fn prepared_for(
        &self,
        preparer: &Preparer,
        row: &PublicationRow,
        to: &AuthorityId,
    ) -> Result<Prepared, Error> {
        let mut prepared = Prepared { queue: Queue::default(), suspended: Vec::new(), unreadable: None };
        let reading = match self.context.may_read(&row.record, ActorRole::Node, ReadPurpose::Prepare) {
            Ok(reading) => reading,
            Err(reason) => {
                prepared.queue.audit.push(refused(&About::row(row, None), Some(to), reason));
                return Ok(prepared);
            }
        };
        let mut publication = self.context.opened_own(row, reading)?;
        if let Some(target) = publication.target().filter(|_| publication.grows()).cloned()
            && self.store().publication(target).await?.is_none_or(|row| row.record.expires() <= preparer.now)
        {
            publication.references.clear();
        }
        let key = self.context.keys().of(&row.authority);
        preparer.prepare(
            key.as_deref(),
            &About::row(row, self.opens_again(row).await?),
            &publication,
            std::slice::from_ref(to),
            &mut prepared,
        );
        Ok(prepared)
    }
}
