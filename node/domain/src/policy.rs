//! The one question, and its sibling for control: may this go to that authority, for this purpose, now? (9.2)
//!
//! Pure. Asked by the sender before it queues and before each attempt, and again by the receiver. A yes is a `Permit`, a value that only
//! this file can make and that every storage write that discloses takes as an argument: forgetting to ask does not compile.

use super::agreement::{AgreedGrant, AgreementSet, GrantState};
use super::authority::MemberStatus;
use super::directory::DirectoryView;
use super::envelope::GrantRef;
use super::handling::{Handling, Purpose};
use super::ids::AuthorityId;
use super::limits;
use super::reason::Reason;
use super::record::StreamClass;
use super::records::{Facet, RecordKind};
use super::time::{Millis, UnixMs};

/// Proof that the question was asked and answered with yes, for exactly this flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    from: AuthorityId,
    to: AuthorityId,
    kind: RecordKind,
    purpose: Purpose,
    grant: Option<GrantRef>,
}

impl Permit {
    /// The authority that discloses.
    pub fn from(&self) -> &AuthorityId {
        &self.from
    }

    /// The authority that gets to know.
    pub fn to(&self) -> &AuthorityId {
        &self.to
    }

    /// What kind of record it is for.
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    /// Why.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Under which grant; `None` for control.
    pub fn grant(&self) -> Option<GrantRef> {
        self.grant
    }
}

/// Which end of the road asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Sender,
    Receiver,
}

/// May this content go from one authority to another?
#[derive(Clone, Copy, Debug)]
pub struct ShareQuestion<'a> {
    pub from: &'a AuthorityId,
    pub to: &'a AuthorityId,
    /// What the answer depends on in the record itself: its kind, and what the kind says of it.
    pub facet: Facet,
    /// Of an answer: the grant under which its target was sent, as this node knows it from its own records.
    pub target: Option<GrantRef>,
    pub purpose: Purpose,
    pub handling: Handling,
    /// The envelope's creation time.
    pub created: UnixMs,
    pub side: Side,
    /// Receiver: the grant that the envelope names. Sender: `None` finds one; `Some` asks about that one.
    pub grant: Option<GrantRef>,
    pub agreements: &'a AgreementSet,
    pub view: &'a DirectoryView,
    pub now: UnixMs,
}

/// May this control record go from one authority to another?
#[derive(Clone, Copy, Debug)]
pub struct ControlQuestion<'a> {
    pub from: &'a AuthorityId,
    pub to: &'a AuthorityId,
    pub kind: RecordKind,
    pub view: &'a DirectoryView,
    pub now: UnixMs,
}

/// How long notices to a removed authority are tried at its last endpoint.
const REMOVED_NOTICES: Millis = Millis::days(30);

/// The one question. Who is unknown or removed is refused first, who is suspended last: `MEMBER_SUSPENDED` says that
/// nothing else stands in the way, and what is held for a restored partner is found by it.
///
/// # Errors
/// Why not.
pub fn may_share(q: &ShareQuestion<'_>) -> Result<Permit, Reason> {
    if q.from == q.to {
        return Err(Reason::AgreementNotInForce);
    }
    let standings = [active(q.view, q.from, q.now), active(q.view, q.to, q.now)];
    let gone = |refused: &Reason| !refused.is_held();
    if let Some(reason) = standings.into_iter().filter_map(Result::err).find(gone) {
        return Err(reason);
    }
    if q.facet.concerns_person() {
        about_person(q)?;
    }
    let kind = q.facet.kind();
    let held = match q.grant {
        named if kind.is_answer() => answer_grant(q, q.target.ok_or(Reason::AgreementNotInForce)?, named)?,
        Some(named) => named_grant(q, named)?,
        None if q.side == Side::Sender => best_grant(q)?,
        None => return Err(Reason::AgreementNotInForce),
    };
    standings.into_iter().collect::<Result<(), _>>()?;
    Ok(Permit { from: q.from.clone(), to: q.to.clone(), kind, purpose: q.purpose, grant: Some(held.reference) })
}

/// Content about a person needs a register that a majority of stewards confirmed lately (9.4), and records that do
/// not exist yet.
fn about_person(q: &ShareQuestion<'_>) -> Result<(), Reason> {
    if !q.view.is_fresh(q.now) {
        return Err(Reason::RegisterNotFresh);
    }
    Err(Reason::PersonRecordsClosed)
}

fn active(view: &DirectoryView, authority: &AuthorityId, now: UnixMs) -> Result<(), Reason> {
    match view.status(authority, now) {
        MemberStatus::Active => Ok(()),
        MemberStatus::Suspended => Err(Reason::MemberSuspended),
        MemberStatus::Removed => Err(Reason::MemberRemoved),
        MemberStatus::Unknown => Err(Reason::MemberUnknown),
    }
}

/// The grant that the envelope names, if it covers the question.
fn named_grant<'a>(q: &ShareQuestion<'a>, named: GrantRef) -> Result<AgreedGrant<'a>, Reason> {
    // An agreement of others is answered like one that is not here: no oracle.
    let held = q.agreements.get(&named.agreement).ok_or(Reason::AgreementUnknown)?;
    if !held.agreement.is_party(q.from) || !held.agreement.is_party(q.to) {
        return Err(Reason::AgreementUnknown);
    }
    let held = q.agreements.grant(&named).ok_or(Reason::AgreementNotInForce)?;
    if held.grant.from != *q.from || held.grant.to != *q.to {
        return Err(Reason::AgreementNotInForce);
    }
    covers(q, &held)?;
    Ok(held)
}

/// An answer goes back along the grant under which its target came (9.2): the direction is the opposite one.
fn answer_grant<'a>(
    q: &ShareQuestion<'a>,
    target: GrantRef,
    named: Option<GrantRef>,
) -> Result<AgreedGrant<'a>, Reason> {
    if named.is_some_and(|named| named != target) {
        return Err(Reason::AgreementNotInForce);
    }
    let held = q.agreements.grant(&target).ok_or(Reason::AgreementUnknown)?;
    if held.grant.from != *q.to || held.grant.to != *q.from {
        return Err(Reason::AgreementNotInForce);
    }
    in_force(q, &held)?;
    handled(q, &held)?;
    Ok(held)
}

/// Of several grants that cover the question: the one that shows most, then the one that lasts longest, then the first.
fn best_grant<'a>(q: &ShareQuestion<'a>) -> Result<AgreedGrant<'a>, Reason> {
    let mut best: Option<AgreedGrant<'a>> = None;
    let mut nearest = Reason::AgreementNotInForce;
    for held in q.agreements.grants(q.from, q.to) {
        match covers(q, &held) {
            Ok(()) => {
                let rank = |h: &AgreedGrant<'_>| (h.grant.disclosure_level, h.grant.valid_until);
                if best.is_none_or(|b| rank(&held) > rank(&b)) {
                    best = Some(held);
                }
            }
            // One that is not signed by all yet is, for its own side, simply not in force.
            Err(Reason::AgreementUnknown | Reason::AgreementNotInForce) => {}
            Err(reason) => nearest = reason,
        }
    }
    best.ok_or(nearest)
}

fn covers(q: &ShareQuestion<'_>, held: &AgreedGrant<'_>) -> Result<(), Reason> {
    if !q.facet.covered_by(held.grant) {
        return Err(Reason::AgreementNotInForce);
    }
    in_force(q, held)?;
    handled(q, held)
}

/// The dates of 9.7: the sender stops at `until`; the receiver accepts while `created` < until and now < until + 5 min.
fn in_force(q: &ShareQuestion<'_>, held: &AgreedGrant<'_>) -> Result<(), Reason> {
    let AgreedGrant { grant, held, .. } = held;
    match held.grant_state(grant, q.now) {
        GrantState::Ended => Err(Reason::AgreementEnded),
        GrantState::Incomplete => Err(Reason::AgreementUnknown),
        _ if q.created >= grant.valid_until => Err(Reason::AgreementNotInForce),
        GrantState::InForce => Ok(()),
        GrantState::Expired if q.side == Side::Receiver && q.now < grant.valid_until + limits::AGREEMENT_GRACE => {
            Ok(())
        }
        // The sender's clock may be ahead of ours by as much as an envelope's may.
        GrantState::NotYet if q.side == Side::Receiver && q.now + limits::CREATED_AHEAD >= grant.valid_from => Ok(()),
        GrantState::Expired | GrantState::NotYet => Err(Reason::AgreementNotInForce),
    }
}

fn handled(q: &ShareQuestion<'_>, held: &AgreedGrant<'_>) -> Result<(), Reason> {
    if !held.grant.purposes.contains(&q.purpose) {
        return Err(Reason::AgreementNotInForce);
    }
    if q.handling.tlp > held.grant.highest_tlp {
        return Err(Reason::HandlingTooRestricted);
    }
    Ok(())
}

/// The question for what makes, ends and recalls: no agreement is needed, but the status of both counts (9.2).
///
/// # Errors
/// Why not.
pub fn may_control(q: &ControlQuestion<'_>) -> Result<Permit, Reason> {
    if q.kind.class() != StreamClass::Control || q.from == q.to {
        return Err(Reason::ControlNotAllowed);
    }
    let allowed = match (q.view.status(q.from, q.now), q.view.status(q.to, q.now)) {
        (MemberStatus::Unknown, _) | (_, MemberStatus::Unknown) => return Err(Reason::MemberUnknown),
        (MemberStatus::Active, MemberStatus::Active) => true,
        (MemberStatus::Active, MemberStatus::Suspended) => q.kind == RecordKind::WithdrawalNotice,
        (MemberStatus::Suspended, MemberStatus::Active) => q.kind == RecordKind::ErasureReceipt,
        (MemberStatus::Active, MemberStatus::Removed) => {
            let removed_at = q.view.member(q.to).and_then(|m| m.removed_at);
            q.kind == RecordKind::WithdrawalNotice && removed_at.is_some_and(|at| q.now.since(at) < REMOVED_NOTICES)
        }
        _ => false,
    };
    if !allowed {
        return Err(Reason::ControlNotAllowed);
    }
    Ok(Permit { from: q.from.clone(), to: q.to.clone(), kind: q.kind, purpose: Purpose::Governance, grant: None })
}

#[cfg(any(test, feature = "samples"))]
impl Permit {
    /// A permit that nobody was asked for: tests of storage only.
    pub fn unasked(from: &str, to: &str, kind: RecordKind, grant: Option<GrantRef>) -> Self {
        let authority = |id: &str| AuthorityId::parse(id).expect("a valid id");
        Self { from: authority(from), to: authority(to), kind, purpose: Purpose::Prevention, grant }
    }
}

#[cfg(test)]
mod tests;
