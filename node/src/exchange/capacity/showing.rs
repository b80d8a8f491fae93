//! What partners that ask are shown of own offers (9.11): by their agreements, with what is held taken off.
//!
//! Invariant: what is shown was asked of the policy for this partner, just now, and the ledger has it before it leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use crate::domain::audit::{ActorRole, AuditAct, AuditDraft};
use crate::domain::board::{CapacityAnswer, CapacityQuestion, ShownOffer};
use crate::domain::handling::Purpose;
use crate::domain::holds::Slots;
use crate::domain::ids::{AuthorityId, Digest, OfferId};
use crate::domain::limits;
use crate::domain::policy::ReadPurpose;
use crate::domain::reason::Reason;
use crate::domain::records::offer::{OfferFacet, OwnOffer};
use crate::domain::time::UnixMs;
use crate::exchange::context::{Error, Table, active, speaks_for};
use crate::storage::ops::Write;
use crate::storage::rows::OwnOfferRow;
use crate::wire::board as codec;
use crate::wire::records::offer as offers;

use super::own::{OfferStanding, told};
use super::{Capacity, may_see};

/// By partner: the digest of each page as it was shown last.
pub(super) type ShownLast = BTreeMap<AuthorityId, BTreeMap<Digest, Digest>>;

/// Pages of one partner that are remembered; then it begins anew, and the ledger has some of it twice.
const PAGES_REMEMBERED: usize = 256;

/// By own offer of which something was ever held: its slots, if they can be read.
pub(super) type KnownSlots = BTreeMap<OfferId, Option<Slots>>;

/// Units of an own offer that are held, or were used since it was stated. `None`: its slots cannot be read, and nobody knows.
pub(super) fn occupied(slots: &KnownSlots, offer: OfferId, stated: UnixMs) -> Option<u32> {
    match slots.get(&offer) {
        None => Some(0),
        Some(known) => known.as_ref().map(|slots| slots.occupied(stated)),
    }
}

impl Capacity {
    /// What the asker is shown of the offers of the asked; nothing is the answer of whoever is shown nothing.
    ///
    /// # Errors
    /// When the connection may not speak for who asks; that the store fails.
    pub async fn capacity_for(
        &self,
        caller: &AuthorityId,
        question: CapacityQuestion,
    ) -> Result<CapacityAnswer, Error> {
        let view = self.view();
        speaks_for(&view, caller, &question.asker)?;
        active(&view, &question.asker, self.now()).map_err(|reason| Error::about(&question.asker, reason))?;
        if !self.context.keys().serves(&question.asked) {
            return Err(Reason::WrongRecipient.into());
        }
        let (mut rows, slots) = self.own_with_slots().await?;
        rows.retain(|row| question.after.is_none_or(|after| row.id > after));
        rows.sort_by_key(|row| row.id);
        let mut answer = CapacityAnswer::default();
        for row in rows {
            let Some(shown) = self.shown_to(&question, row, &slots) else { continue };
            if answer.offers.len() == limits::CAPACITY_PAGE {
                answer.more = true;
                break;
            }
            answer.offers.push(shown);
        }
        self.note_shown(&question, &answer).await?;
        Ok(answer)
    }

    /// An own offer as it stands: with what is held, and with what a restore leaves to confirm. `None`: it is not read for this.
    pub(super) fn as_told(
        &self,
        row: OwnOfferRow,
        slots: &KnownSlots,
        (role, purpose): (ActorRole, ReadPurpose),
    ) -> Option<(OwnOffer, u64)> {
        let reading = self.context.may_read(&row.record, role, purpose).ok()?;
        let read = offers::reload_own(reading)
            .inspect_err(|error| _ = self.context.unreadable(Table::OwnOffer, None, row.id, error.clone()));
        let (offer, _) = read.ok()?;
        let occupied = occupied(slots, row.id, offer.capacity.as_of)?;
        let standing = OfferStanding { unconfirmed: row.unconfirmed, occupied };
        Some((told(offer, standing), row.version))
    }

    /// All own offers, and slots that are no older: a unit that was given before this is not counted.
    pub(super) async fn own_with_slots(&self) -> Result<(Vec<OwnOfferRow>, KnownSlots), Error> {
        let offers = self.store().own_offers().await?;
        Ok((offers, self.slots_of_all().await?))
    }

    /// Slots of all own offers.
    pub(super) async fn slots_of_all(&self) -> Result<KnownSlots, Error> {
        let rows = self.store().all_offer_slots().await?;
        Ok(rows.iter().map(|row| (row.offer, self.reload(row).ok())).collect())
    }

    /// `None`: it is not the asked one's, not of a kind that is asked for, or no agreement shows it.
    fn shown_to(&self, question: &CapacityQuestion, row: OwnOfferRow, slots: &KnownSlots) -> Option<ShownOffer> {
        let (offer, version) = self.as_told(row, slots, (ActorRole::Node, ReadPurpose::Prepare))?;
        let wanted = question.services.is_empty() || question.services.contains(&offer.service_kind);
        if !wanted || offer.authority != question.asked {
            return None;
        }
        let facet = OfferFacet { service: offer.service_kind, level: None };
        let permit = may_see(&self.context, (&question.asked, &question.asker), facet, None).ok()?;
        let grant = permit.grant()?;
        let level = self.context.agreements().load().grant(&grant)?.grant.disclosure_level?;
        let age = self.now().since(offer.capacity.as_of);
        Some(ShownOffer { age: (age.0 >= 0).then_some(age), view: offer.view(level, version, 0), grant })
    }

    /// Before it leaves: a line of the ledger for each agreement, unless this partner was shown just that already.
    async fn note_shown(&self, question: &CapacityQuestion, answer: &CapacityAnswer) -> Result<(), Error> {
        let (page, digest) = codec::digests(question, answer);
        let known = |pages: &BTreeMap<Digest, Digest>| pages.get(&page) == Some(&digest);
        let is_known =
            self.shown.lock().unwrap_or_else(PoisonError::into_inner).get(&question.asker).is_some_and(known);
        if answer.offers.is_empty() || is_known {
            return Ok(());
        }
        let agreements: BTreeSet<_> = answer.offers.iter().map(|shown| shown.grant.agreement).collect();
        let draft = |agreement| AuditDraft {
            counterparty: Some(question.asker.clone()),
            agreement: Some(agreement),
            purpose: Some(Purpose::Assistance),
            ..AuditDraft::by_node(AuditAct::CapacityShown)
        };
        let write = Write { audit: agreements.into_iter().map(draft).collect(), ..Write::default() };
        self.store().write(write.into()).await?;
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let pages = shown.entry(question.asker.clone()).or_default();
        if pages.len() >= PAGES_REMEMBERED {
            pages.clear();
        }
        pages.insert(page, digest);
        Ok(())
    }
}
