//! Forgetting what is past its time.

use super::state::State;
use crate::RECEIPT_LIFE;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::rows::DeliveryState;

impl State {
    pub(super) fn sweep(&mut self, now: UnixMs) -> u64 {
        let before = self.rows();
        self.requests.retain(|_, mark| mark.expires > now);
        self.taken.retain(|_, taken| taken.forget_at > now);
        self.partner_offers.retain(|_, row| row.keep_until > now);
        let waiting = std::mem::take(&mut self.waiting);
        let (gone, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|kept| kept.keep_until <= now);
        self.waiting = waiting;
        let shown = self.inbox.values().filter(|kept| kept.keep_until <= now);
        let gone: Vec<_> = shown.chain(&gone).map(|kept| kept.row.clone()).collect();
        for row in gone {
            self.inbox.remove(&row.position);
            self.salts.remove(&row.key.record_id);
        }
        let past = |expires: UnixMs| expires + limits::DEDUP_AFTER_EXPIRY <= now;
        for d in self.deliveries.values_mut().filter(|d| d.envelope.is_some() && d.expires <= now) {
            d.envelope = None;
            if d.open && d.skip.is_none() {
                let reason = Some(Reason::EnvelopeExpired);
                (d.skip, d.state, d.reason, d.finished) = (reason, DeliveryState::Expired, reason, Some(now));
            }
        }
        self.deliveries.retain(|_, d| d.open || !past(d.expires));
        self.receipts.retain(|(_, _, _, at)| *at + RECEIPT_LIFE > now);
        let gone: Vec<_> = self.publications.values().filter(|p| p.dispatched && past(p.expires)).cloned().collect();
        for row in gone {
            self.publications.remove(&row.sequence);
            self.salts.remove(&row.record_id);
            self.published.retain(|_, sequence| *sequence != row.sequence);
        }
        before - self.rows()
    }

    fn rows(&self) -> u64 {
        let envelopes = self.deliveries.values().filter(|d| d.envelope.is_some()).count();
        let counts = [
            self.requests.len(),
            self.waiting.len(),
            self.taken.len(),
            self.partner_offers.len(),
            self.inbox.len(),
            self.publications.len(),
            self.deliveries.len(),
            self.receipts.len(),
            envelopes,
        ];
        counts.iter().map(|n| *n as u64).sum()
    }
}
