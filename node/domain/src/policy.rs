//! The three questions (9.2): may this content go to that authority, for this purpose, now (`may_share`); may this control
//! record (`may_control`); and may what is stored here be read, by this role, for this purpose, now (`may_read`).
//!
//! Pure. The first two are asked by the sender before it queues and before each attempt, and again by the receiver. A yes is a
//! `Permit`, a value that only this file can make and that every storage write that discloses takes as an argument; a yes to
//! the third is a `Reading`, without which no stored record opens: forgetting to ask does not compile. Each yes names the
//! clause that decided, each no is a reason.

mod clause;
mod kept;

use super::actor::ActorRole;
use super::agreement::{AgreedGrant, AgreementSet, GrantState, Usage};
use super::authority::MemberStatus;
use super::directory::DirectoryView;
use super::envelope::GrantRef;
use super::handling::{Handling, Purpose};
use super::ids::AuthorityId;
use super::limits;
use super::person::share::{self, ShareUse, SharedUnder};
use super::reason::Reason;
use super::record::StreamClass;
use super::records::{Facet, RecordKind, Verb};
use super::time::{Millis, UnixMs};

pub use clause::Clause;
pub use kept::{KeptRecord, ReadPurpose, Reading};

/// Proof that the question was asked and answered with yes, for exactly this flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    from: AuthorityId,
    to: AuthorityId,
    kind: RecordKind,
    purpose: Purpose,
    grant: Option<GrantRef>,
    clause: Clause,
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

    /// The rule that said yes.
    pub fn clause(&self) -> Clause {
        self.clause
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
    /// What its recipient does with it at least: an envelope is viewed, the answer to a query is not kept.
    pub usage: Usage,
    pub handling: Handling,
    /// What the person let be shared, if the record concerns one.
    pub shared: Shared<'a>,
    /// The envelope's creation time.
    pub created: UnixMs,
    pub side: Side,
    /// Receiver: the grant that the envelope names. Sender: `None` finds one; `Some` asks about that one.
    pub grant: Option<GrantRef>,
    pub agreements: &'a AgreementSet,
    pub view: &'a DirectoryView,
    pub now: UnixMs,
}

/// What is known here of the agreement to share.
#[derive(Clone, Copy, Debug)]
pub enum Shared<'a> {
    /// Nothing: what concerns a person is not shared.
    Nothing,
    /// At its origin: what opens it, looked at just now.
    Opened(&'a ShareUse),
    /// At its recipient: what travels with it.
    Travels(&'a SharedUnder),
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
    let (held, clause) = match q.grant {
        named if q.facet.is_answer() => answer_grant(q, q.target.ok_or(Reason::AgreementNotInForce)?, named)?,
        Some(named) => named_grant(q, named)?,
        None if q.side == Side::Sender => best_grant(q)?,
        None => return Err(Reason::AgreementNotInForce),
    };
    standings.into_iter().collect::<Result<(), _>>()?;
    let (from, to, grant) = (q.from.clone(), q.to.clone(), Some(held.reference));
    Ok(Permit { from, to, kind, purpose: q.purpose, grant, clause })
}

/// A grant, and the clause by which it covers the question.
type Covering<'a> = (AgreedGrant<'a>, Clause);

/// Content about a person needs a register that a majority of stewards confirmed lately (9.4), and what she agreed to: two
/// gates, both must open. An answer goes back to whom she agreed with. Who was removed and is admitted again gets nothing of before.
fn about_person(q: &ShareQuestion<'_>) -> Result<(), Reason> {
    if !q.view.is_fresh(q.now) {
        return Err(Reason::RegisterNotFresh);
    }
    if q.view.admitted.get(q.to).is_some_and(|admitted| q.created + share::CREATED_STEP <= *admitted) {
        return Err(Reason::MemberRemoved);
    }
    if q.facet.is_answer() {
        return Ok(());
    }
    let scope = q.facet.scope().ok_or(Reason::PersonRecordsClosed)?;
    let opens = match (q.side, q.shared) {
        (Side::Sender, Shared::Opened(opened)) => opened.is_for(q.to, q.purpose, scope, q.now),
        (Side::Receiver, Shared::Travels(under)) => under.scope == scope && q.now < under.erase_by,
        (_, Shared::Nothing) | (Side::Sender, Shared::Travels(_)) | (Side::Receiver, Shared::Opened(_)) => false,
    };
    match q.shared {
        _ if !opens => Err(Reason::NoAgreementToShare),
        Shared::Opened(opened) => opened.check_silence(),
        Shared::Nothing | Shared::Travels(_) => Ok(()),
    }
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
fn named_grant<'a>(q: &ShareQuestion<'a>, named: GrantRef) -> Result<Covering<'a>, Reason> {
    // An agreement of others is answered like one that is not here: no oracle.
    let held = q.agreements.get(&named.agreement).ok_or(Reason::AgreementUnknown)?;
    if !held.agreement.is_party(q.from) || !held.agreement.is_party(q.to) {
        return Err(Reason::AgreementUnknown);
    }
    let held = q.agreements.grant(&named).ok_or(Reason::AgreementNotInForce)?;
    if held.grant.from != *q.from || held.grant.to != *q.to {
        return Err(Reason::AgreementNotInForce);
    }
    let clause = covers(q, &held)?;
    Ok((held, clause))
}

/// An answer goes back along the grant under which its target came (9.2): the direction is the opposite one.
fn answer_grant<'a>(q: &ShareQuestion<'a>, target: GrantRef, named: Option<GrantRef>) -> Result<Covering<'a>, Reason> {
    if named.is_some_and(|named| named != target) {
        return Err(Reason::AgreementNotInForce);
    }
    let held = q.agreements.grant(&target).ok_or(Reason::AgreementUnknown)?;
    if held.grant.from != *q.to || held.grant.to != *q.from {
        return Err(Reason::AgreementNotInForce);
    }
    in_force(q, &held)?;
    handled(q, &held)?;
    Ok((held, Clause::AnswerUnderGrantOfTarget))
}

/// Of several grants that cover the question: the one that shows most, then the one under which most may be done with it, then
/// the one that lasts longest, then the first.
fn best_grant<'a>(q: &ShareQuestion<'a>) -> Result<Covering<'a>, Reason> {
    let mut best: Option<Covering<'a>> = None;
    let mut nearest = Reason::AgreementNotInForce;
    for held in q.agreements.grants(q.from, q.to) {
        match covers(q, &held) {
            Ok(clause) => {
                let rank = |h: &AgreedGrant<'_>| (h.grant.disclosure_level, h.grant.usage, h.grant.valid_until);
                if best.is_none_or(|(best, _)| rank(&held) > rank(&best)) {
                    best = Some((held, clause));
                }
            }
            // One that is not signed by all yet is, for its own side, simply not in force.
            Err(Reason::AgreementUnknown | Reason::AgreementNotInForce) => {}
            Err(reason) if nearness(reason) > nearness(nearest) => nearest = reason,
            Err(_) => {}
        }
    }
    best.ok_or(nearest)
}

/// Of several refusals the one that leads on: what waits for the operator's word is held for it, whatever another grant says;
/// what a grant that is in force does not allow comes before one that has ended.
fn nearness(reason: Reason) -> u8 {
    match reason {
        Reason::AgreementUnconfirmed => 3,
        Reason::AgreementEnded => 1,
        Reason::AgreementNotInForce => 0,
        _ => 2,
    }
}

fn covers(q: &ShareQuestion<'_>, held: &AgreedGrant<'_>) -> Result<Clause, Reason> {
    if !q.facet.covered_by(held.grant) {
        return Err(Reason::AgreementNotInForce);
    }
    let clause = in_force(q, held)?;
    handled(q, held)?;
    Ok(clause)
}

/// The dates of 9.7: the sender stops at `until`; the receiver accepts while `created` < until and now < until + 5 min.
fn in_force(q: &ShareQuestion<'_>, held: &AgreedGrant<'_>) -> Result<Clause, Reason> {
    let AgreedGrant { grant, held, .. } = held;
    match held.grant_state(grant, q.now) {
        GrantState::Ended => Err(Reason::AgreementEnded),
        GrantState::Incomplete => Err(Reason::AgreementUnknown),
        _ if q.created >= grant.valid_until => Err(Reason::AgreementNotInForce),
        GrantState::Unconfirmed => Err(Reason::AgreementUnconfirmed),
        GrantState::InForce => Ok(Clause::GrantInForce),
        GrantState::Expired if q.side == Side::Receiver && q.now < grant.valid_until + limits::AGREEMENT_GRACE => {
            // Nothing passes under what waits for confirmation, its last five minutes included.
            if held.unconfirmed { Err(Reason::AgreementUnconfirmed) } else { Ok(Clause::GrantWithinGrace) }
        }
        // The sender's clock may be ahead of ours by as much as an envelope's may.
        GrantState::NotYet if q.side == Side::Receiver && q.now + limits::CREATED_AHEAD >= grant.valid_from => {
            Ok(Clause::GrantWithinGrace)
        }
        GrantState::Expired | GrantState::NotYet => Err(Reason::AgreementNotInForce),
    }
}

fn handled(q: &ShareQuestion<'_>, held: &AgreedGrant<'_>) -> Result<(), Reason> {
    if !held.grant.purposes.contains(&q.purpose) {
        return Err(Reason::AgreementNotInForce);
    }
    if q.facet.concerns_person() && !transfer_stands(q, held) {
        return Err(Reason::TransferLapsed);
    }
    if q.usage > held.grant.usage {
        return Err(Reason::UseNotGranted);
    }
    if q.handling.tlp > held.grant.highest_tlp {
        return Err(Reason::HandlingTooRestricted);
    }
    Ok(())
}

/// Whether what concerns a person may go to the country of its recipient and of whoever hosts it, by what both parties signed (11.19).
fn transfer_stands(q: &ShareQuestion<'_>, held: &AgreedGrant<'_>) -> bool {
    let host = q.view.member(q.to).and_then(|member| member.entry.hosted_by.as_ref());
    held.held.agreement.party(q.to).is_some_and(|party| party.transfer_stands(host, q.now))
}

/// The question for what makes, ends and recalls: no agreement is needed, but the status of both counts (9.2).
///
/// # Errors
/// Why not.
pub fn may_control(q: &ControlQuestion<'_>) -> Result<Permit, Reason> {
    if q.kind.class() != StreamClass::Control || q.from == q.to {
        return Err(Reason::ControlNotAllowed);
    }
    let clause = match (q.view.status(q.from, q.now), q.view.status(q.to, q.now)) {
        (MemberStatus::Unknown, _) | (_, MemberStatus::Unknown) => return Err(Reason::MemberUnknown),
        (MemberStatus::Active, MemberStatus::Active) => Clause::ControlBetweenActive,
        (MemberStatus::Active, MemberStatus::Suspended) if q.kind == RecordKind::WithdrawalNotice => {
            Clause::NoticeToSuspended
        }
        (MemberStatus::Suspended, MemberStatus::Active) if q.kind == RecordKind::ErasureReceipt => {
            Clause::ReceiptOfSuspended
        }
        (MemberStatus::Active, MemberStatus::Removed) if q.kind == RecordKind::WithdrawalNotice => {
            let removed_at = q.view.member(q.to).and_then(|m| m.removed_at);
            let tried = removed_at.is_some_and(|at| q.now.since(at) < REMOVED_NOTICES);
            tried.then_some(Clause::NoticeToRemoved).ok_or(Reason::ControlNotAllowed)?
        }
        _ => return Err(Reason::ControlNotAllowed),
    };
    let (from, to) = (q.from.clone(), q.to.clone());
    Ok(Permit { from, to, kind: q.kind, purpose: Purpose::Governance, grant: None, clause })
}

/// The question for what is stored here: may this role read this record, for this purpose, now? Asked each time, about each row,
/// and by the second: what a sweep has not taken away yet is read no more for that.
///
/// `Show`, `Consume`, `Answer` and `SayLater` are for the roles that the kind's table names (`Facts::access`); a system of the
/// city's own consumes what came to be stored (`Usage::Store`), and nothing else; `Prepare` and
/// `Order` are the node's own work, and no role's. `Consume` and `Answer` are about received records, `SayLater` and `Prepare`
/// about own ones. All but `Order` end with the record: an own one with its expiry, a received one also with its retention.
///
/// # Errors
/// Why not: whoever asked for one record is told that there is none (9.13). `KIND_NOT_SUPPORTED`,
/// `METHOD_NOT_OPEN`, `NOT_FOUND`, `USE_NOT_GRANTED`, `EXPIRED`, `RETENTION_ENDED`, in this order.
pub fn may_read(
    record: &KeptRecord,
    role: ActorRole,
    purpose: ReadPurpose,
    now: UnixMs,
) -> Result<Reading<'_>, Reason> {
    let clause = who_reads(record, role, purpose)?;
    if purpose != ReadPurpose::Order {
        lasts(record, now)?;
    }
    Ok(Reading::new(record, clause))
}

/// The clause that opens the record to whoever asks.
fn who_reads(record: &KeptRecord, role: ActorRole, purpose: ReadPurpose) -> Result<Clause, Reason> {
    let (verb, clause) = match purpose {
        ReadPurpose::Show => (Some(Verb::Read), Clause::RoleReads),
        ReadPurpose::Consume => (Some(Verb::Consume), Clause::RoleConsumes),
        ReadPurpose::Answer => (Some(Verb::Answer), Clause::RoleAnswers),
        ReadPurpose::SayLater => (Some(Verb::Publish), Clause::RolePublishes),
        ReadPurpose::Prepare => (None, Clause::NodePrepares),
        ReadPurpose::Order => (None, Clause::NodeOrders),
    };
    match verb {
        Some(verb) => record.kind().open_to(verb, role)?,
        None if role == ActorRole::Node => {}
        None => return Err(Reason::MethodNotOpen),
    }
    let fits = match purpose {
        ReadPurpose::Show | ReadPurpose::Order => true,
        ReadPurpose::Consume | ReadPurpose::Answer => !record.is_own(),
        ReadPurpose::SayLater | ReadPurpose::Prepare => record.is_own(),
    };
    if !fits {
        return Err(Reason::NotFound);
    }
    match record.usage() {
        Some(granted) if purpose == ReadPurpose::Consume && granted < Usage::Store => Err(Reason::UseNotGranted),
        Some(_) | None => Ok(clause),
    }
}

/// Whether its time is not over: what it says, and for how long it may be kept here.
fn lasts(record: &KeptRecord, now: UnixMs) -> Result<(), Reason> {
    if record.expires() <= now {
        return Err(Reason::EnvelopeExpired);
    }
    match record.keep_until() {
        Some(keep_until) if keep_until <= now => Err(Reason::RetentionEnded),
        Some(_) | None => Ok(()),
    }
}

#[cfg(any(test, feature = "samples"))]
impl Permit {
    /// A permit that nobody was asked for: tests of storage only.
    pub fn unasked(from: &str, to: &str, kind: RecordKind, grant: Option<GrantRef>) -> Self {
        let authority = |id: &str| AuthorityId::parse(id).expect("a valid id");
        let (from, to, clause) = (authority(from), authority(to), Clause::GrantInForce);
        Self { from, to, kind, purpose: Purpose::Prevention, grant, clause }
    }
}

#[cfg(test)]
mod tests;
