//! Offers: the newest statement of each partner's offer stands beside the inbox (9.11), and when it came is remembered.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::ids::{AuthorityId, OfferId};
use crate::domain::light::{Clocks, ReceiptClock, StatementKey};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::records::offer::Offer;
use crate::domain::time::{Millis, UnixMs};
use crate::storage::ops::{NewPartnerOffer, Put};
use crate::storage::rows::PartnerOfferRow;

use super::{Arrival, Arrived};

/// The origin's offers that are kept here, with those of the batch; `None`: the batch has brought none yet.
pub(super) type Known = Option<HashSet<OfferId>>;

/// The newest word on an offer replaces the one before. Of one partner not too many are kept; one more is refused for
/// good, although a budget passes by itself: its offers must not hold up a partner's alerts.
pub(super) async fn arrived(offer: &Offer, arrival: Arrival<'_>) -> Arrived {
    // The owner's own form has no codec on the road: what was opened is a view.
    let Offer::View(view) = offer else { return Ok(Err(Reason::EnvelopeMalformed)) };
    let Arrival { context, envelope, batch, as_of_age, received, keep_until, puts } = arrival;
    let kept = match &mut batch.offers {
        Some(kept) => kept,
        none => {
            let kept = context.store().partner_offer_ids(envelope.origin.clone()).await?;
            none.insert(kept.into_iter().collect())
        }
    };
    if kept.len() >= limits::PARTNER_OFFERS && !kept.contains(&view.id) {
        return Ok(Err(Reason::BudgetExhausted));
    }
    kept.insert(view.id);
    puts.push(Put::PartnerOffer(NewPartnerOffer {
        origin: envelope.origin.clone(),
        id: view.id,
        view: envelope.body.clone(),
        version: view.version,
        age_at_sending_ms: as_of_age.map(|age| age.0),
        received,
        keep_until,
    }));
    Ok(Ok(()))
}

/// When partners' capacity statements came, by a clock that nobody sets: the road notes it, the board reads it.
pub(in crate::exchange) struct HeardOffers(Mutex<ReceiptClock>);

impl HeardOffers {
    /// Nothing heard yet by this process; `written`: when the store was written last.
    pub(in crate::exchange) fn new(written: UnixMs, now: Clocks) -> Self {
        Self(Mutex::new(ReceiptClock::new(written, now)))
    }

    /// Notes when statements came that are about to be stored.
    pub(in crate::exchange) fn note(&self, at: Duration, puts: &[Put]) {
        let statements = statements_in(puts);
        if !statements.is_empty() {
            self.lock().note(at, statements);
        }
    }

    /// After the commit: these are what readers find from now on.
    pub(in crate::exchange) fn stored(&self, statements: &[StatementKey]) {
        if !statements.is_empty() {
            let mut heard = self.lock();
            statements.iter().for_each(|told| heard.stored(told));
        }
    }

    /// How long ago a statement came; `None`: not known.
    pub(in crate::exchange) fn since(&self, row: &PartnerOfferRow, now: Clocks) -> Option<Millis> {
        self.lock().since(&told(&row.origin, row.id, row.version, row.received), now)
    }

    fn lock(&self) -> MutexGuard<'_, ReceiptClock> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The capacity statements among what is about to be stored.
pub(in crate::exchange) fn statements_in(puts: &[Put]) -> Vec<StatementKey> {
    let statement = |put: &Put| match put {
        Put::PartnerOffer(new) => Some(told(&new.origin, new.id, new.version, new.received)),
        _ => None,
    };
    puts.iter().filter_map(statement).collect()
}

fn told(origin: &AuthorityId, offer: OfferId, version: u64, received: UnixMs) -> StatementKey {
    StatementKey { origin: origin.clone(), offer, version, received }
}
