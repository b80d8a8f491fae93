//! What was published for all whom agreements cover, before an agreement came into force: its partner gets it too.
//!
//! A new partner must see the present capacity, not wait for the next statement, and finds the practices that there are.
//! An alert is news to those whom its publisher was told of: nobody is added to it later (decisions/017).
//! Each grant of ours is caught up with once, when it is in force here, and marked then. Only what was dispatched already
//! is looked at: the rest goes to whoever is covered when it is pressed. A pass that dies in between is repeated; what has
//! a delivery is left out.

use std::collections::HashSet;

use bytes::Bytes;

use crate::domain::agreement::GrantState;
use crate::domain::authority::MemberStatus;
use crate::domain::ids::AuthorityId;
use crate::domain::publication::Record;
use crate::domain::record::{RecordKey, RecordKind};
use crate::storage::ops::Queue;
use crate::storage::rows::PublicationRow;
use crate::wire::stored;

use super::super::Exchange;
use super::super::error::Error;
use super::press::{About, Press, Pressed, STANDING};

const PREFIX: &str = "caught-up/";
/// Publications read at a time.
const LOOK: usize = 200;
/// Records queued together.
const TOGETHER: usize = 64;

impl Exchange {
    /// Queues what is current for the partner of each grant that came into force. Returns how many records.
    ///
    /// # Errors
    /// When the store fails; the rest is queued by the next pass.
    pub async fn newcomers_pass(&self) -> Result<usize, Error> {
        let _one_at_a_time = self.0.dispatching.lock().await;
        let press = self.press();
        let marks = self.store().metas(PREFIX.to_owned()).await?;
        let marks: HashSet<String> = marks.into_iter().map(|(name, _)| name).collect();
        let active = |authority| press.view.status(authority, press.now) == MemberStatus::Active;
        let mut due = Vec::new();
        for held in press.agreements.all() {
            for (number, grant) in held.agreement.grants.iter().enumerate() {
                let in_force = held.grant_state(grant, press.now) == GrantState::InForce;
                let ours = self.0.keys.serves(&grant.from) && active(&grant.from) && active(&grant.to);
                let mark = format!("{PREFIX}{}/{number}", held.id);
                if ours && in_force && !marks.contains(&mark) {
                    due.push((mark, grant));
                }
            }
        }
        if !due.is_empty() {
            // What is being published under the agreements before this one is stored before it is looked for.
            drop(self.0.publishing.write().await);
        }
        let mut queued = 0;
        for (mark, grant) in due {
            queued += self.catch_up(&press, &grant.from, &grant.to).await?;
            self.put_meta(mark, Bytes::from_static(&[1])).await?;
        }
        Ok(queued)
    }

    async fn catch_up(&self, press: &Press, from: &AuthorityId, to: &AuthorityId) -> Result<usize, Error> {
        let mut current: Vec<(u64, RecordKey)> = Vec::new();
        for kind in STANDING {
            self.current(press, kind, from, to, &mut current).await?;
        }
        // In the order in which they were published.
        current.sort_unstable();
        for together in current.chunks(TOGETHER) {
            let mut queues = Vec::with_capacity(together.len());
            for (_, key) in together {
                if let Some(row) = self.store().publication(key.clone()).await? {
                    queues.push(self.pressed_for(press, &row, to)?.queue);
                }
            }
            self.queue(queues).await?;
        }
        Ok(current.len())
    }

    /// What is published for all, unexpired, the last word on its subject, allowed to this partner and not sent to it.
    async fn current(
        &self,
        press: &Press,
        kind: RecordKind,
        from: &AuthorityId,
        to: &AuthorityId,
        found: &mut Vec<(u64, RecordKey)>,
    ) -> Result<(), Error> {
        let (mut before, mut offers) = (None, HashSet::new());
        loop {
            let rows = self.store().publications(kind, before, LOOK).await?;
            for row in rows.iter().filter(|row| row.authority == *from) {
                let Ok(publication) = stored::decode(row.body.clone()) else { continue };
                // Newest first: what was said of an offer before is not current, whatever became of the newest.
                let older = matches!(&publication.record, Record::Offer { offer, .. } if !offers.insert(offer.id));
                let due = row.dispatched && row.expires > press.now && publication.for_all_covered && !older;
                if due && press.ask(&publication, to).is_ok() {
                    let key = RecordKey { origin: from.clone(), record_id: row.record_id };
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

    /// One publication made for one more recipient.
    pub(super) fn pressed_for(&self, press: &Press, row: &PublicationRow, to: &AuthorityId) -> Result<Pressed, Error> {
        let publication = stored::decode(row.body.clone())?;
        let queue = Queue { publication: None, items: Vec::new(), audit: Vec::new() };
        let mut pressed = Pressed { queue, waiting: Vec::new() };
        let key = self.0.keys.of(&row.authority);
        press.press(key.as_deref(), &About::row(row), &publication, std::slice::from_ref(to), &mut pressed);
        Ok(pressed)
    }
}
