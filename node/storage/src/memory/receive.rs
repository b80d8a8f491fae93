//! The inbox: a batch with its effects, and what was waiting for it.

use super::state::{Kept, State, Taken};
use super::write::Answer;
use crate::domain::limits;
use crate::domain::record::RecordKey;
use crate::ops::*;
use crate::rows::*;

impl State {
    pub(super) fn receive(&mut self, op: &Receive) -> Answer {
        let (next, receipt) = self.in_streams.get(&op.stream).map_or((1, None), |s| (s.next, s.receipt.clone()));
        if op.first != next {
            return Ok(Written::StreamMoved { next, receipt });
        }
        let mut keys = std::collections::BTreeSet::new();
        if !op.items.iter().all(|item| !self.taken.contains_key(&item.key) && keys.insert(&item.key)) {
            return Ok(Written::Taken);
        }
        let positions = op.items.iter().map(|item| self.put_inbox(item, op)).collect();
        op.items.iter().for_each(|item| self.reveal(&item.key));
        for effect in &op.effects {
            match effect {
                Effect::PutAgreement(row) => self.put_agreement(row.clone()),
                Effect::PutPartnerOffer(row) => self.put_partner_offer(row.clone()),
            }
        }
        self.in_streams.retain(|key, _| {
            (&key.origin, &key.recipient, key.class) != (&op.stream.origin, &op.stream.recipient, op.stream.class)
        });
        self.in_streams.insert(op.stream.clone(), InStream { next: op.next, receipt: Some(op.receipt.clone()) });
        Ok(Written::Received { positions })
    }

    fn put_inbox(&mut self, item: &NewInbox, op: &Receive) -> u64 {
        let row = InboxRow {
            position: 0,
            recipient: op.stream.recipient.clone(),
            key: item.key.clone(),
            kind: item.kind,
            envelope: item.envelope.clone(),
            target: item.target.clone(),
            received: op.now,
            expires: item.expires,
            traceparent: item.traceparent.clone(),
        };
        let taken = Taken { position: 0, forget_at: item.expires + limits::DEDUP_AFTER_EXPIRY };
        self.taken.insert(item.key.clone(), taken);
        let kept = Kept { row, keep_until: item.keep_until };
        let target_here =
            item.target.as_ref().is_none_or(|target| self.taken.get(target).is_some_and(|t| t.position > 0));
        if item.hidden && !target_here {
            self.waiting.push(kept);
            return 0;
        }
        self.show(kept)
    }

    /// Gives the record its one position.
    fn show(&mut self, mut kept: Kept) -> u64 {
        self.position += 1;
        kept.row.position = self.position;
        if let Some(taken) = self.taken.get_mut(&kept.row.key) {
            taken.position = self.position;
        }
        self.inbox.insert(self.position, kept);
        self.position
    }

    /// Shows what waited for this record, and what waited for that, in the order of arrival.
    fn reveal(&mut self, target: &RecordKey) {
        if self.taken.get(target).is_none_or(|t| t.position == 0) {
            return;
        }
        let (ready, still): (Vec<Kept>, Vec<Kept>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|kept| kept.row.target.as_ref() == Some(target));
        self.waiting = still;
        for kept in ready {
            let key = kept.row.key.clone();
            self.show(kept);
            self.reveal(&key);
        }
    }

    fn put_partner_offer(&mut self, row: PartnerOfferRow) {
        let key = (row.origin.clone(), row.id);
        if self.partner_offers.get(&key).is_none_or(|held| held.version <= row.version) {
            self.partner_offers.insert(key, row);
        }
    }
}
