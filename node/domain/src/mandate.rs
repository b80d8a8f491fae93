//! Mandates: an authority lets an organisation act for it, within limits that everybody can see.

use super::authority::MemberStatus;
use super::closed::closed_enum;
use super::directory::DirectoryView;
use super::fault::Fault;
use super::ids::{AuthorityId, StatementId};
use super::place::{Place, PlaceScheme};
use super::time::{Millis, UnixMs};

/// Activities and places of one mandate, each.
const MOST: usize = 16;
/// A mandate's longest life: whoever gives it looks at it again.
const LONGEST: Millis = Millis::days(5 * 366);

closed_enum! {
    /// What an organisation may be mandated to do.
    pub enum MandatedActivity {
        Outreach = 1 => "OUTREACH", Counselling = 2 => "COUNSELLING", LegalAid = 3 => "LEGAL_AID", Health = 4 => "HEALTH",
        Accommodation = 5 => "ACCOMMODATION", Accompaniment = 6 => "ACCOMPANIMENT", Interpreting = 7 => "INTERPRETING",
        Awareness = 8 => "AWARENESS",
    }
}

/// What, where, from when until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mandate {
    pub activities: Vec<MandatedActivity>,
    pub territory: Vec<Place>,
    pub valid_from: UnixMs,
    pub valid_until: UnixMs,
}

impl Mandate {
    /// Whether it holds together.
    ///
    /// # Errors
    /// The field that does not.
    pub fn check(&self) -> Result<(), Fault> {
        if !once(&self.activities) {
            return Err(Fault::invalid("activities", "1 to 16, each once"));
        }
        // The list of GSS entities grows, and what the register takes must not depend on such a list (decisions/003).
        let by_form = |place: &Place| place.scheme() != PlaceScheme::Gss;
        if !once(&self.territory) || !self.territory.iter().all(by_form) {
            return Err(Fault::invalid("territory", "1 to 16 codes of NUTS, LAU or ISO 3166-2, each once"));
        }
        let life = self.valid_until.since(self.valid_from);
        if self.valid_until <= self.valid_from || life > LONGEST {
            return Err(Fault::invalid("valid_until_ms", "after its beginning, at most five years"));
        }
        Ok(())
    }
}

fn once<T: PartialEq>(list: &[T]) -> bool {
    let repeated = list.iter().enumerate().any(|(at, one)| list[..at].contains(one));
    (1..=MOST).contains(&list.len()) && !repeated
}

/// The statement that issues a mandate to its subject, or puts another one in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueMandate {
    pub mandate: Mandate,
}

/// The statement that ends the author's mandate for its subject, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeMandate;

/// What the register holds of one authority's mandate for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedMandate {
    pub holder: AuthorityId,
    pub issuer: AuthorityId,
    /// Rises with every statement about it.
    pub version: u64,
    /// The newest statement about it.
    pub statement: StatementId,
    /// `Err`: when it was revoked, or one of the two left.
    pub mandate: Result<Mandate, UnixMs>,
}

impl DirectoryView {
    /// The mandate of the issuer for the holder, if it counts at the instant: within its dates, and both are active.
    pub fn live_mandate(&self, holder: &AuthorityId, issuer: &AuthorityId, now: UnixMs) -> Option<&Mandate> {
        let issued = self.mandates.get(&(holder.clone(), issuer.clone()))?;
        let mandate = issued.mandate.as_ref().ok()?;
        let active = [holder, issuer].iter().all(|who| self.status(who, now) == MemberStatus::Active);
        (active && mandate.valid_from <= now && now < mandate.valid_until).then_some(mandate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mandate_has_limits() {
        let good = Mandate {
            activities: vec![MandatedActivity::Outreach],
            territory: vec![Place::new(PlaceScheme::Nuts, "FRF11").unwrap()],
            valid_from: UnixMs(0),
            valid_until: UnixMs(0) + Millis::days(365),
        };
        assert!(good.check().is_ok());
        let wrong: [fn(&mut Mandate); 6] = [
            |m| m.activities.clear(),
            |m| m.activities.push(MandatedActivity::Outreach),
            |m| m.territory.clear(),
            |m| m.territory.push(Place::new(PlaceScheme::Gss, "E09000007").unwrap()),
            |m| m.valid_until = m.valid_from,
            |m| m.valid_until = m.valid_from + Millis::days(2_000),
        ];
        for change in wrong {
            let mut mandate = good.clone();
            change(&mut mandate);
            assert!(mandate.check().is_err(), "{mandate:?}");
        }
    }
}
