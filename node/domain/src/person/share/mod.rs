//! The agreement to share: what a person let be shared, and what became of it (ISO/IEC TS 27560; 11.6-11.13).
//!
//! What lives here: its terms (`terms`), how and by whom it was given (`given`), its life, and the question whether it opens one
//! use. What does not: where it is kept (at its origin alone), and the agreement between authorities, which is the other gate.
//! Invariants: it is a safeguard beside a basis in law and never replaces one; unknown is invalid, endless is refused, and
//! withdrawn never opens again; each no is the same no, so that nobody learns an exclusion from it.

mod given;
mod terms;

use crate::actor::Actor;
use crate::closed::closed_enum;
use crate::handling::{LawfulBasis, Purpose, SpecialBasis};
use crate::ids::AuthorityId;
use crate::reason::Reason;
use crate::time::{Millis, UnixMs};

pub use given::{
    AgeAssessment, ChildTerms, ChildViews, Circumstances, Decider, DeciderKind, Freedom, Incapacity, Interpreter,
    NoticeMode, ShareSetting, Subject, check_decider,
};
pub use terms::{Country, Exclusions, Notice, ScopeTerms, ShareScope, Terms};

closed_enum! {
    /// What happened to an agreement to share. Events are appended and never taken back.
    pub enum ShareEventKind {
        Requested = 1 => "REQUESTED", Given = 2 => "GIVEN", Renewed = 3 => "RENEWED", Refused = 4 => "REFUSED",
        Expired = 5 => "EXPIRED", Invalidated = 6 => "INVALIDATED", Revoked = 7 => "REVOKED", Withdrawn = 8 => "WITHDRAWN",
    }
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareEvent {
    pub at: UnixMs,
    pub by: Actor,
    pub kind: ShareEventKind,
}

/// Somebody agreed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Giving {
    pub at: UnixMs,
    pub decider: Decider,
    pub freedom: Freedom,
    pub duress: bool,
}

/// One agreement to share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementToShare {
    pub terms: Terms,
    pub subject: Subject,
    /// In the order in which they were appended; no clock orders them.
    pub events: Vec<ShareEvent>,
    /// The first giving; none before that.
    pub given: Option<Giving>,
    /// The latest giving or renewal, and how free it was: 48 h count from there.
    pub confirmed: Option<Giving>,
    /// Who approved a decision for vital interests, of another unit than its decider.
    pub approved_by: Option<Actor>,
    /// Records shared so far, for each scope of the terms.
    pub used: Vec<u32>,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareStanding {
    Requested,
    /// It opens what its scopes name.
    Given,
    /// 48 h are over, or the date of confirming again: closed until it is renewed.
    ToBeConfirmed,
    /// For vital interests, and no second person approved within 24 h: the data-protection officer decides.
    Restricted,
    Expired,
    /// By which event.
    Ended(ShareEventKind),
}

/// May one record be shared with one recipient?
#[derive(Clone, Copy, Debug)]
pub struct UseQuestion<'a> {
    pub scope: ShareScope,
    pub purpose: Purpose,
    pub recipient: &'a AuthorityId,
    /// Who technically holds what the recipient gets, if another authority hosts it.
    pub host: Option<&'a AuthorityId>,
    /// Whether it owes the answer to a withdrawal, past its time.
    pub silent: bool,
    pub now: UnixMs,
}

/// The answer yes, for one record and recipient; only `opens` and `opens_again` make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareUse {
    place: usize,
    scope: ShareScope,
    purpose: Purpose,
    recipient: AuthorityId,
    silent: bool,
    expires: UnixMs,
    erase_by: UnixMs,
    lawful_basis: LawfulBasis,
    special_basis: SpecialBasis,
}

/// What travels with a record about a person: which scope it is shared under, and until when (9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedUnder {
    /// Random for each record: two recipients have nothing in common, and one learns nothing from two records.
    pub reference: [u8; 16],
    /// What its recipient may do with it goes no further.
    pub scope: ShareScope,
    /// Its recipient erases it by then, without a message.
    pub erase_by: UnixMs,
}

/// `created` of a record about a person is rounded down to this (9.3): what is older by as much was made before.
pub const CREATED_STEP: Millis = Millis::minutes(10);

/// A date that travels with a record about a person: two recipients could know her agreement by its minute. It ends with the day
/// before, or, where that is near, with the ten minutes before.
pub fn coarse(at: UnixMs, now: UnixMs) -> UnixMs {
    let far = at.since(now) > NEAR;
    at.rounded_down(if far { Millis::days(1) } else { CREATED_STEP })
}

const NEAR: Millis = Millis::days(3);

impl ShareUse {
    /// Whether it is the answer about this recipient, purpose and scope, and still stands.
    pub fn is_for(&self, recipient: &AuthorityId, purpose: Purpose, scope: ShareScope, now: UnixMs) -> bool {
        self.recipient == *recipient && self.purpose == purpose && self.scope == scope && now < self.expires
    }

    /// Who has not answered a withdrawal in time gets nothing about persons until it does, whatever she agreed to (11.13).
    ///
    /// # Errors
    /// `ERASURE_OVERDUE`.
    pub fn check_silence(&self) -> Result<(), Reason> {
        if self.silent { Err(Reason::ErasureOverdue) } else { Ok(()) }
    }

    /// One that nobody was asked for: tests of the question only.
    #[cfg(any(test, feature = "samples"))]
    pub fn unasked(recipient: AuthorityId, purpose: Purpose, scope: ShareScope, expires: UnixMs) -> Self {
        Self {
            place: 0,
            scope,
            purpose,
            recipient,
            silent: false,
            expires,
            erase_by: expires,
            lawful_basis: LawfulBasis::PublicTask,
            special_basis: SpecialBasis::HealthOrSocialCare,
        }
    }

    /// What travels with a record that expires then.
    pub fn under(&self, reference: [u8; 16], expires: UnixMs, now: UnixMs) -> SharedUnder {
        SharedUnder { reference, scope: self.scope, erase_by: coarse(self.erase_by, now).max(expires) }
    }

    /// The basis in law beside which it stands.
    pub fn bases(&self) -> (LawfulBasis, SpecialBasis) {
        (self.lawful_basis, self.special_basis)
    }

    /// The record expires no later.
    pub fn expires(&self) -> UnixMs {
        self.expires
    }

    /// Its recipient erases it by then, without a message.
    pub fn erase_by(&self) -> UnixMs {
        self.erase_by
    }
}

impl AgreementToShare {
    /// Asked for, and not answered yet.
    pub fn requested(terms: Terms, subject: Subject, by: Actor, at: UnixMs) -> Self {
        let used = vec![0; terms.scopes.len()];
        let events = vec![ShareEvent { at, by, kind: ShareEventKind::Requested }];
        Self { terms, subject, events, given: None, confirmed: None, approved_by: None, used }
    }

    /// The last event that says how it stands; unknown is invalid.
    fn last(&self) -> ShareEventKind {
        self.events.last().map_or(ShareEventKind::Invalidated, |event| event.kind)
    }

    /// Whether the person, or who speaks for her, said no here.
    pub fn was_refused_or_withdrawn(&self) -> bool {
        self.events.iter().any(|e| matches!(e.kind, ShareEventKind::Refused | ShareEventKind::Withdrawn))
    }

    /// How it stands now, by the latest clock that is known.
    pub fn standing(&self, now: UnixMs) -> ShareStanding {
        match self.last() {
            ShareEventKind::Requested => ShareStanding::Requested,
            ShareEventKind::Given | ShareEventKind::Renewed => self.given_standing(now),
            ended => ShareStanding::Ended(ended),
        }
    }

    fn given_standing(&self, now: UnixMs) -> ShareStanding {
        let (Some(given), Some(confirmed)) = (self.given, self.confirmed) else {
            return ShareStanding::Ended(ShareEventKind::Invalidated);
        };
        if let Decider::VitalInterest { .. } = given.decider {
            if now >= given.at + given::VITAL_LIFE {
                return ShareStanding::Expired;
            }
            if self.approved_by.is_none() && now >= given.at + given::VITAL_APPROVAL {
                return ShareStanding::Restricted;
            }
        }
        if self.terms.scopes.iter().all(|scope| scope.expires <= now) {
            return ShareStanding::Expired;
        }
        let provisional_over = confirmed.freedom == Freedom::Provisional && now >= confirmed.at + given::PROVISIONAL;
        if provisional_over || now >= self.terms.reconfirm_by {
            return ShareStanding::ToBeConfirmed;
        }
        ShareStanding::Given
    }

    /// Given, by who may decide. A duress word looks like success. `how`: nothing is asked of who decides for vital interests.
    ///
    /// # Errors
    /// `SHARING_CLOSED` when it was answered before; `SHARING_NOT_FREE`, `DECIDER_NOT_ALLOWED`: then it is not given.
    pub fn give(
        &mut self,
        decider: Decider,
        how: Option<&Circumstances>,
        prior: bool,
        by: Actor,
        now: UnixMs,
    ) -> Result<(), Reason> {
        if self.last() != ShareEventKind::Requested {
            return Err(Reason::SharingClosed);
        }
        // Who cannot speak is not asked where she is; whoever decides for her answers by name instead.
        let freedom = match (decider, how) {
            (Decider::VitalInterest { .. }, _) => Freedom::Free,
            (_, Some(how)) => how.freedom()?,
            // How it was given is not known: unknown is invalid.
            (_, None) => return Err(Reason::SharingNotFree),
        };
        if freedom == Freedom::Provisional && !self.terms.scopes.iter().all(|s| s.scope.is_referral()) {
            return Err(Reason::SharingNotFree);
        }
        check_decider(decider, &self.subject, &self.terms, prior, now)?;
        let giving = Giving { at: now, decider, freedom, duress: how.is_some_and(|how| how.duress) };
        (self.given, self.confirmed) = (Some(giving), Some(giving));
        self.append(ShareEventKind::Given, by, now);
        Ok(())
    }

    /// Confirmed again, elsewhere and freely, for as long as its scopes say.
    ///
    /// # Errors
    /// `SHARING_CLOSED` for what has ended, and for what was decided for vital interests: that ends. `SHARING_NOT_FREE`,
    /// `DECIDER_NOT_ALLOWED`, `FIELD_INVALID` for a date that is not within 365 days: then it stays as it is.
    pub fn renew(
        &mut self,
        decider: Decider,
        how: &Circumstances,
        reconfirm_by: UnixMs,
        by: Actor,
        now: UnixMs,
    ) -> Result<(), Reason> {
        let open = matches!(self.standing(now), ShareStanding::Given | ShareStanding::ToBeConfirmed);
        if !open || self.given.is_none_or(|given| matches!(given.decider, Decider::VitalInterest { .. })) {
            return Err(Reason::SharingClosed);
        }
        if how.freedom()? == Freedom::Provisional {
            return Err(Reason::SharingNotFree);
        }
        check_decider(decider, &self.subject, &self.terms, false, now)?;
        if !terms::reconfirmed_in_time(reconfirm_by, now) {
            return Err(Reason::FieldInvalid);
        }
        self.confirmed = Some(Giving { at: now, decider, freedom: Freedom::Free, duress: how.duress });
        self.terms.reconfirm_by = reconfirm_by;
        self.append(ShareEventKind::Renewed, by, now);
        Ok(())
    }

    /// A second person of another unit approves what was decided for vital interests.
    ///
    /// # Errors
    /// `SHARING_CLOSED` when there is nothing to approve, or its time is over; `DECIDER_NOT_ALLOWED` for who decided.
    pub fn approve(&mut self, by: Actor, now: UnixMs) -> Result<(), Reason> {
        let Some(Giving { decider: Decider::VitalInterest { by: decided, .. }, .. }) = self.given else {
            return Err(Reason::SharingClosed);
        };
        // Restricted after 24 h: the data-protection officer decides, nobody else.
        match self.standing(now) {
            ShareStanding::Given => {}
            ShareStanding::Restricted if by.role == crate::actor::ActorRole::DataProtection => {}
            _ => return Err(Reason::SharingClosed),
        }
        // Whom the node cannot tell apart are one.
        if by.code.is_none() || by.code == decided.code {
            return Err(Reason::DeciderNotAllowed);
        }
        self.approved_by = Some(by);
        Ok(())
    }

    /// Refused, before it was given.
    ///
    /// # Errors
    /// `SHARING_CLOSED` when it was answered before.
    pub fn refuse(&mut self, by: Actor, now: UnixMs) -> Result<(), Reason> {
        if self.last() != ShareEventKind::Requested {
            return Err(Reason::SharingClosed);
        }
        self.append(ShareEventKind::Refused, by, now);
        Ok(())
    }

    /// Withdrawn: always possible, by one call, without a reason; also of what has ended, since its recipients may still hold
    /// what was shared. Returns whether this changed anything.
    pub fn withdraw(&mut self, by: Actor, now: UnixMs) -> bool {
        if self.last() == ShareEventKind::Withdrawn {
            return false;
        }
        self.append(ShareEventKind::Withdrawn, by, now);
        true
    }

    fn append(&mut self, kind: ShareEventKind, by: Actor, at: UnixMs) {
        self.events.push(ShareEvent { at, by, kind });
    }

    /// May one record be shared with one recipient, now? Asked for each record, before each attempt; no answer is kept.
    ///
    /// # Errors
    /// `NO_AGREEMENT_TO_SHARE`, whatever it is that stands in the way (11.9).
    pub fn opens(&self, q: &UseQuestion<'_>) -> Result<ShareUse, Reason> {
        let left = |place: usize| self.used.get(place).is_some_and(|used| *used < self.terms.scopes[place].uses);
        self.covering(q).filter(|share_use| left(share_use.place)).ok_or(Reason::NoAgreementToShare)
    }

    /// The same about what was shared and counted already, before each attempt.
    ///
    /// # Errors
    /// `NO_AGREEMENT_TO_SHARE`, as `opens`.
    pub fn opens_again(&self, q: &UseQuestion<'_>) -> Result<ShareUse, Reason> {
        self.covering(q).ok_or(Reason::NoAgreementToShare)
    }

    fn covering(&self, q: &UseQuestion<'_>) -> Option<ShareUse> {
        let given = self.given?;
        let duress = given.duress || self.confirmed.is_some_and(|confirmed| confirmed.duress);
        if self.standing(q.now) != ShareStanding::Given || duress {
            return None;
        }
        let place = self.terms.scopes.iter().position(|terms| terms.scope == q.scope)?;
        let terms = &self.terms.scopes[place];
        let kept_where = |authority: &AuthorityId| {
            let allowed = terms.countries.iter().any(|country| country.as_str() == authority.country());
            allowed && !self.terms.exclusions.bar(authority)
        };
        let fits = terms.purposes.contains(&q.purpose)
            && terms.recipients.contains(q.recipient)
            && kept_where(q.recipient)
            && q.host.is_none_or(kept_where)
            && terms.expires > q.now;
        fits.then(|| {
            let vital = matches!(given.decider, Decider::VitalInterest { .. });
            let end = if vital { given.at + given::VITAL_LIFE } else { UnixMs::NEVER };
            ShareUse {
                place,
                scope: q.scope,
                purpose: q.purpose,
                recipient: q.recipient.clone(),
                silent: q.silent,
                expires: terms.expires.min(end),
                erase_by: terms.erase_by,
                lawful_basis: self.terms.lawful_basis,
                special_basis: self.terms.special_basis,
            }
        })
    }

    /// Counts one record that is shared by an answer of `opens`, in the transaction that shares it.
    pub fn spend(&mut self, share_use: &ShareUse) {
        if let Some(used) = self.used.get_mut(share_use.place) {
            *used = used.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
