//! What changes between two cities and among the members while nodes are killed, and what of it must stand in the end.

use std::fmt;

use anyhow::{Context, ensure};
use bytes::Bytes;
use havenlink::clock::SystemClock;
use havenlink::demo::acts::request_id;
use havenlink::demo::sample;
use havenlink_proto::admin::v1::{
    AgreementState, ApproveProposalRequest, Decision, EndAgreementRequest, ProposeAgreementRequest,
    RestoreMemberRequest, ShowAgreementRequest, ShowMemberRequest, SignAgreementRequest, SuspendMemberRequest,
};
use havenlink_proto::directory::v1::{MemberState, Outcome, SuspendReason};
use havenlink_proto::local::v1::{OwnOffer, SetOfferRequest};
use havenlink_proto::record::v1::{AgreementEndReason, DisclosureLevel, OfferStatus};
use havenlink_tests::chance::Chance;

use crate::flow::{self, Sent};
use crate::side::{Side, persist};

/// Practices that a city publishes after each step.
const MORE: usize = 3;

/// One of Kehl and Esch, between whom an agreement is made and ended; Strasbourg has agreements with both, all the time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum City {
    Kehl,
    Esch,
}

impl City {
    fn other(self) -> Self {
        match self {
            Self::Kehl => Self::Esch,
            Self::Esch => Self::Kehl,
        }
    }
}

pub enum Step {
    /// This one proposes, the other one signs: each gets what is current and for all at the other (BACKFILL, ANNOUNCEMENT).
    Agree(City),
    /// What is published for it from now on is owed (SUSPENDED_RECORD), what is queued is held.
    Suspend(City),
    /// By this one, while the other one is suspended: it is told later (END_NOTICE).
    End(City),
    Restore(City),
}

impl Step {
    /// So many times all of them, and an agreement in the end; chance says who.
    pub fn cycles(count: usize, chance: &mut Chance) -> Vec<Self> {
        let mut one = || if chance.below(2) == 0 { City::Kehl } else { City::Esch };
        let mut steps = Vec::new();
        for _ in 0..count {
            let suspended = one();
            steps.extend([Self::Agree(one()), Self::Suspend(suspended)]);
            steps.extend([Self::End(suspended.other()), Self::Restore(suspended)]);
        }
        steps.push(Self::Agree(one()));
        steps
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |city: &City| match city {
            City::Kehl => "Kehl",
            City::Esch => "Esch",
        };
        match self {
            Self::Agree(city) => write!(f, "{} proposes an agreement, {} signs it", name(city), name(&city.other())),
            Self::Suspend(city) => write!(f, "{} is suspended", name(city)),
            Self::End(city) => write!(f, "{} ends the agreement", name(city)),
            Self::Restore(city) => write!(f, "{} is restored", name(city)),
        }
    }
}

/// Three cities, and what must hold of them in the end.
pub struct Story {
    pub strasbourg: Side,
    pub kehl: Side,
    pub esch: Side,
    /// What was acknowledged.
    pub sent: Vec<Sent>,
    /// Between Kehl and Esch, those that were ended.
    pub ended: Vec<Bytes>,
    /// Between Kehl and Esch, in force.
    pub agreed: Option<Bytes>,
    /// Kehl's offer as it was acknowledged last.
    pub offer: Option<OwnOffer>,
    suspended: Option<City>,
}

impl Story {
    pub fn new([strasbourg, kehl, esch]: [Side; 3]) -> Self {
        let (sent, ended) = (Vec::new(), Vec::new());
        Self { strasbourg, kehl, esch, sent, ended, agreed: None, offer: None, suspended: None }
    }

    pub fn sides(&self) -> [&Side; 3] {
        [&self.strasbourg, &self.kehl, &self.esch]
    }

    fn side(&self, city: City) -> &Side {
        match city {
            City::Kehl => &self.kehl,
            City::Esch => &self.esch,
        }
    }

    /// Plays a step until it is done, whoever is killed in it. Then, whoever may, publishes more; Kehl pauses its offer or opens
    /// it.
    ///
    /// # Errors
    /// When it is not done in time.
    pub async fn play(&mut self, step: &Step, pause: bool) -> anyhow::Result<()> {
        match *step {
            Step::Agree(proposer) => {
                let (first, second) = (self.side(proposer), self.side(proposer.other()));
                self.agreed = Some(agree(first, second).await?);
            }
            Step::Suspend(city) => {
                self.stand(city, MemberState::Suspended).await?;
                self.suspended = Some(city);
            }
            Step::End(city) => {
                let id = self.agreed.take().context("an agreement")?;
                end(self.side(city), &id).await?;
                self.ended.push(id);
            }
            Step::Restore(city) => {
                self.stand(city, MemberState::Active).await?;
                self.suspended = None;
            }
        }
        if self.suspended != Some(City::Kehl) {
            let status = if pause { OfferStatus::Paused } else { OfferStatus::Open };
            self.offer = Some(set_offer(&self.kehl, self.offer.clone(), status).await?);
        }
        self.practices(MORE).await
    }

    /// Kehl and Esch publish practices, whoever is not suspended.
    ///
    /// # Errors
    /// When one is not acknowledged in time.
    pub async fn practices(&mut self, count: usize) -> anyhow::Result<()> {
        let partners = self.sides().map(|side| side.id);
        for city in [City::Kehl, City::Esch] {
            if self.suspended != Some(city) {
                let sent = flow::practices(self.side(city), &partners, count).await?;
                self.sent.extend(sent);
            }
        }
        Ok(())
    }

    /// Strasbourg and the other steward, who are never suspended together, decide how a member stands; all three know it then.
    async fn stand(&self, city: City, wanted: MemberState) -> anyhow::Result<()> {
        let (target, other) = (self.side(city), self.side(city.other()));
        let decided = async || {
            if state_of(&self.strasbourg, target.id).await? == wanted {
                return anyhow::Ok(());
            }
            let proposed = propose(&self.strasbourg, target.id, wanted).await?;
            if proposed.outcome() != Outcome::Accepted {
                let request = ApproveProposalRequest { request_id: request_id(), proposal_id: proposed.statement_id };
                other.members().await?.approve_proposal(request).await?;
            }
            Ok(())
        };
        persist("the stewards decide", decided).await?;
        for side in self.sides() {
            persist("each city knows how a member stands", async || {
                let state = state_of(side, target.id).await?;
                ensure!(state == wanted, "{}: {} is {state:?}", side.id, target.id);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

async fn propose(at: &Side, target: &str, wanted: MemberState) -> anyhow::Result<Decision> {
    let (mut members, request_id, authority) = (at.members().await?, request_id(), target.to_owned());
    let decision = if wanted == MemberState::Suspended {
        let reason = SuspendReason::OwnRequest.into();
        let request = SuspendMemberRequest { request_id, authority, reason, lasting: true };
        members.suspend_member(request).await?.into_inner().decision
    } else {
        members.restore_member(RestoreMemberRequest { request_id, authority }).await?.into_inner().decision
    };
    decision.context("a decision")
}

async fn state_of(at: &Side, authority: &str) -> anyhow::Result<MemberState> {
    let request = ShowMemberRequest { authority: authority.to_owned() };
    let member = at.members().await?.show_member(request).await?.into_inner().member;
    Ok(member.context("a member")?.state())
}

async fn agree(first: &Side, second: &Side) -> anyhow::Result<Bytes> {
    let now = SystemClock::shared().now().0;
    let agreement = sample::agreement(first.id, second.id, DisclosureLevel::Band, now);
    let propose = ProposeAgreementRequest { request_id: request_id(), agreement: Some(agreement) };
    let id = persist("an agreement is proposed", async || {
        Ok(first.agreements().await?.propose_agreement(propose.clone()).await?.into_inner().agreement_id)
    })
    .await?;
    let sign = SignAgreementRequest { request_id: request_id(), agreement_id: id.clone() };
    persist("it is signed", async || {
        second.agreements().await?.sign_agreement(sign.clone()).await?;
        Ok(())
    })
    .await?;
    for side in [first, second] {
        persist("it is in force", async || {
            let request = ShowAgreementRequest { agreement_id: id.clone() };
            let shown = side.agreements().await?.show_agreement(request).await?.into_inner().agreement;
            let state = shown.context("an agreement")?.state();
            ensure!(state == AgreementState::InForce, "{}: {state:?}", side.id);
            Ok(())
        })
        .await?;
    }
    Ok(id)
}

async fn end(by: &Side, id: &Bytes) -> anyhow::Result<()> {
    let reason = AgreementEndReason::NoLongerNeeded.into();
    let request = EndAgreementRequest { request_id: request_id(), agreement_id: id.clone(), reason };
    persist("the agreement is ended", async || {
        by.agreements().await?.end_agreement(request.clone()).await?;
        Ok(())
    })
    .await
}

async fn set_offer(at: &Side, known: Option<OwnOffer>, status: OfferStatus) -> anyhow::Result<OwnOffer> {
    let mut offer = known.unwrap_or_else(|| sample::refuge(4));
    offer.etag.clear();
    if let Some(capacity) = &mut offer.capacity {
        (capacity.status, capacity.as_of_ms) = (status.into(), 0);
    }
    let request = SetOfferRequest { request_id: request_id(), offer: Some(offer) };
    persist("the offer is set", async || {
        let set = at.offers().await?.set_offer(request.clone()).await?.into_inner();
        set.offer.context("an offer")
    })
    .await
}
