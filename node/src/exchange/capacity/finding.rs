//! A search over all that there is (9.11): what is known here at once, then each partner's own answer as it comes.
//!
//! Invariants: nobody waits for a partner longer than the search does; a partner hears which services are looked for and nothing
//! else; what a partner answers is shown only as far as the agreement that it names lets this city see it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, FuturesUnordered, Stream, StreamExt};

use crate::domain::audit::ActorRole;
use crate::domain::authority::IdentifierScheme;
use crate::domain::board::{BoardSource, CapacityQuestion, Found, ShownOffer, Wanted};
use crate::domain::ids::AuthorityId;
use crate::domain::light::{self, LightReason};
use crate::domain::limits;
use crate::domain::place::{Place, PlaceScheme};
use crate::domain::policy::ReadPurpose;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKind;
use crate::domain::records::Verb;
use crate::domain::records::offer::{DisclosureLevel, OfferFacet, OfferView, ServiceKind};
use crate::domain::time::Millis;
use crate::exchange::context::Error;

use super::{Capacity, FoundAt, may_see};

/// A part of the board, as it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardPart {
    /// Whose rows these are, in place of those that stood there; `None`: all that is known here.
    pub authority: Option<AuthorityId>,
    pub found: Vec<Found>,
    /// Why it has not answered.
    pub failed: Option<Reason>,
    /// Partners that are asked, in the first part.
    pub asked: Vec<AuthorityId>,
}

impl Capacity {
    /// Looks for offers, here and at each partner whose agreement lets this city see such ones.
    ///
    /// # Errors
    /// `METHOD_NOT_OPEN` for a role that reads no offers; when the store cannot be read.
    pub async fn find(
        self: Arc<Self>,
        role: ActorRole,
        wanted: Wanted,
        deadline: Millis,
    ) -> Result<impl Stream<Item = BoardPart> + Send + use<>, Error> {
        RecordKind::OfferView.open_to(Verb::Read, role)?;
        // A suspended city sees its own places, and what it knew.
        let ours = self.context.authority().clone();
        let near = wanted.near.clone().or_else(|| self.own_area(&ours));
        let wanted = Arc::new(Wanted { near, ..wanted });
        let asked = self.whom_to_ask(&ours, &wanted);
        let mut known = self.own_found(role, &wanted).await?;
        known.extend(self.last_known(role, &wanted).await?);
        known.sort_by_cached_key(Found::rank);
        let deadline = Duration::from_millis(u64::try_from(deadline.0).unwrap_or(0));
        let asking: FuturesUnordered<_> = asked
            .iter()
            .map(|partner| {
                let of_it = known.iter().filter(|found| found.authority == *partner).cloned().collect();
                self.clone().answered((ours.clone(), partner.clone()), wanted.clone(), of_it, deadline)
            })
            .collect();
        let first = BoardPart { authority: None, found: known, failed: None, asked };
        Ok(stream::once(async { first }).chain(asking))
    }

    /// Partners that may show such an offer, by the agreements known here; what they say counts.
    fn whom_to_ask(&self, ours: &AuthorityId, wanted: &Wanted) -> Vec<AuthorityId> {
        let services = if wanted.services.is_empty() { ServiceKind::ALL } else { &wanted.services };
        let shows = |partner: &AuthorityId| {
            let sees = |service: &ServiceKind| {
                may_see(&self.context, (partner, ours), OfferFacet { service: *service, level: None }, None).is_ok()
            };
            services.iter().any(sees)
        };
        let partners = self.context.agreements().load().partners(ours, self.now());
        partners.into_iter().filter(|partner| !self.context.keys().serves(partner)).filter(shows).collect()
    }

    /// Where this city lies, as its entry says.
    fn own_area(&self, ours: &AuthorityId) -> Option<Place> {
        let view = self.view();
        let nuts = view.member(ours)?.entry.identifiers.iter().find(|known| known.scheme == IdentifierScheme::Nuts)?;
        Place::new(PlaceScheme::Nuts, &nuts.value)
    }

    /// Own offers, with what is held taken off.
    async fn own_found(&self, role: ActorRole, wanted: &Wanted) -> Result<Vec<Found>, Error> {
        let (rows, slots) = self.own_with_slots().await?;
        let mut found = Vec::new();
        for row in rows {
            let Some((offer, version)) = self.as_told(row, &slots, (role, ReadPurpose::Show)) else { continue };
            let now = self.context.clocks();
            let (age, view) = (now.wall.since(offer.capacity.as_of), offer.view(DisclosureLevel::Count, version, 0));
            let seen = Seen { view, age: (age.0 >= 0).then_some(age), reachable: true, source: BoardSource::Own };
            found.extend(self.row(wanted, offer.authority, seen));
        }
        Ok(found)
    }

    /// What partners told last.
    async fn last_known(&self, role: ActorRole, wanted: &Wanted) -> Result<Vec<Found>, Error> {
        let known = self.partner_offers(role).await?;
        let row = |offer: super::PartnerOffer| {
            let reachable = offer.because != LightReason::Silence;
            let seen = Seen { view: offer.view.ok()?, age: offer.age, reachable, source: BoardSource::LastKnown };
            self.row(wanted, offer.authority, seen)
        };
        Ok(known.into_iter().filter_map(row).collect())
    }

    /// Asks one partner, for as long as the search waits.
    async fn answered(
        self: Arc<Self>,
        (ours, partner): (AuthorityId, AuthorityId),
        wanted: Arc<Wanted>,
        known: Vec<Found>,
        deadline: Duration,
    ) -> BoardPart {
        let began = self.context.monotonic();
        let answer = tokio::time::timeout(deadline, self.live(&ours, &partner, &wanted)).await;
        let passed = self.context.monotonic().saturating_sub(began);
        let later = Millis(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX));
        let silent = |known: Vec<Found>| known.into_iter().map(|found| found.silent(later)).collect();
        let (found, failed) = match answer {
            Ok(Ok(found)) => (found, None),
            // It said no, which says nothing of what it told before.
            Ok(Err(Error::Link(error))) if !error.answered() => (silent(known), Some(error.reason)),
            Ok(Err(error)) => (known, Some(error.reason())),
            Err(_) => (silent(known), Some(Reason::DeadlineExceeded)),
        };
        BoardPart { authority: Some(partner), found, failed, asked: Vec::new() }
    }

    /// A partner's own answer, page by page.
    async fn live(&self, ours: &AuthorityId, partner: &AuthorityId, wanted: &Wanted) -> Result<Vec<Found>, Error> {
        let (mut found, mut after) = (Vec::new(), None);
        for _ in 0..limits::CAPACITY_PAGES {
            let sent = self.context.monotonic();
            let (asker, asked, services) = (ours.clone(), partner.clone(), wanted.services.clone());
            let page = self.road.ask_capacity(CapacityQuestion { asker, asked, services, after }).await?;
            let last = page.offers.last().map(|shown| shown.view.id);
            let shown =
                page.offers.into_iter().filter_map(|shown| self.shown_here((ours, partner), wanted, shown, sent));
            found.extend(shown);
            match last.filter(|last| page.more && after < Some(*last)) {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        found.sort_by_cached_key(Found::rank);
        Ok(found)
    }

    /// What a partner shows, as far as its agreement lets this city see it: asked here as it is asked there.
    fn shown_here(
        &self,
        (ours, partner): (&AuthorityId, &AuthorityId),
        wanted: &Wanted,
        shown: ShownOffer,
        sent: Duration,
    ) -> Option<Found> {
        let ShownOffer { view, age, grant } = shown;
        let at = FoundAt::of(&view);
        if let Err(reason) = may_see(&self.context, (partner, ours), at.facet, Some(grant)) {
            havenlink_runtime::repeated!(warn; authority = %partner, %reason, "a partner showed more than its agreement does");
            return None;
        }
        {
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            // Of searches of long ago, or of a partner that shows another one each time.
            if found.len() >= limits::PARTNER_OFFERS {
                found.clear();
            }
            found.insert((view.id, partner.clone()), at);
        }
        // From when it was asked: whatever it waited on the way made it older.
        let waited = self.context.monotonic().saturating_sub(sent);
        let age = light::age(age, Millis(i64::try_from(waited.as_millis()).unwrap_or(i64::MAX)));
        let seen = Seen { view, age, reachable: true, source: BoardSource::Live };
        self.row(wanted, partner.clone(), seen)
    }

    /// `None`: it does not fit.
    fn row(&self, wanted: &Wanted, authority: AuthorityId, seen: Seen) -> Option<Found> {
        let Seen { view, age, reachable, source } = seen;
        let unsaid = wanted.fits(&view)?;
        let (light, because) = light::explained(&view.capacity, age, reachable, self.now());
        let nearness = wanted.nearness(&view);
        Some(Found { authority, view, light, because, age, source, nearness, unsaid })
    }
}

/// An offer as it is known just now.
struct Seen {
    view: OfferView,
    age: Option<Millis>,
    reachable: bool,
    source: BoardSource,
}
