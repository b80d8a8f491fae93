//! Emergency suspension: one steward's order acts at once; of a steward, two stewards' order (9.4).
//!
//! The first steward's order about a steward waits at all stewards until a second one signs the very same statement, by
//! the same command or by approving it. Until then it does nothing; after that the overlay acts, without a quorum.
//! What acts has its line in the ledger and goes to the register, also after a restart: see `order_emergencies`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Error, Governance, Governed, Pending, Present};
use crate::directory::half_signed::HalfSigned;
use crate::directory::state::RegisterState;
use crate::directory::{self, Proposed, statements};
use crate::domain::audit::{Actor, AuditAct, AuditDraft};
use crate::domain::ids::{AuthorityId, StatementId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::register::{Outcome, SuspendReason};
use crate::storage::ops::{PutMeta, WriteOp};
use crate::wire::statement::Act;

/// An order as lists name it.
const ACT: &str = "EMERGENCY_SUSPEND";
/// How long the operator waits for the register, once the overlay acts.
const REGISTER: Duration = Duration::from_secs(2);
/// Between attempts while the register does not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// Signatures under an emergency suspension of a steward.
const OF_A_STEWARD: usize = 2;

impl Governance {
    /// Suspends for the emergency length that the policy names: in the overlay at once, and through the register. Of a
    /// steward: signs as the second one what another steward asked for, or asks for a second signature (`PENDING`).
    ///
    /// # Errors
    /// `EMERGENCY_USED`, `NOT_A_STEWARD`, `NEEDS_TWO_SIGNATURES` when a steward names itself, and what the rules answer. A
    /// register that cannot be reached is no error: the overlay acts.
    pub async fn suspend(&self, target: &AuthorityId, reason: SuspendReason, actor: Actor) -> Result<Governed, Error> {
        let state = self.state();
        if state.member(target).is_none() {
            return Err(Reason::MemberUnknown.into());
        }
        if !state.is_steward(&self.0.authority) {
            return Err(Reason::NotASteward.into());
        }
        if state.is_steward(target) {
            return self.suspend_steward(&state, target, reason, actor).await;
        }
        let signed = self.sign(|author| author.suspend(&state, target, reason))?;
        self.act_at_once(signed, target, vec![self.0.authority.clone()], actor).await
    }

    /// What another steward asked for comes first; asking twice asks once.
    async fn suspend_steward(
        &self,
        state: &RegisterState,
        target: &AuthorityId,
        reason: SuspendReason,
        actor: Actor,
    ) -> Result<Governed, Error> {
        let ours = &self.0.authority;
        let waiting = self.0.council.half_signed();
        let about = || waiting.iter().filter(|order| order.subject == *target);
        if let Some(order) = about().find(|order| order.author != *ours && target != ours) {
            return self.sign_second(state, order, actor).await;
        }
        if let Some(order) = about().find(|order| order.author == *ours) {
            return Ok(waits(order));
        }
        let signed = self.sign(|author| author.suspend(state, target, reason))?;
        self.0.council.ask_second(&signed)?;
        let statement = id_of(signed)?;
        self.enter(&statement, target, actor).await?;
        Ok(Governed {
            statement,
            outcome: Outcome::Pending,
            number: 0,
            approved_by: vec![ours.clone()],
            needed: OF_A_STEWARD,
            overlay: false,
        })
    }

    /// Signs what another steward asked for: with the second signature it acts.
    ///
    /// # Errors
    /// `NEEDS_TWO_SIGNATURES` when the target is this authority, `EMERGENCY_USED`, and what else the rules answer.
    pub(super) async fn sign_second(
        &self,
        state: &RegisterState,
        order: &HalfSigned,
        actor: Actor,
    ) -> Result<Governed, Error> {
        let ours = &self.0.authority;
        if order.author == *ours {
            return Ok(waits(order));
        }
        if order.subject == *ours {
            return Err(Reason::NeedsTwoSignatures.into());
        }
        let signed = statements::countersign(&state.federation(), &order.signed, &(self.0.key)());
        let signed = signed.ok_or(Reason::StatementMalformed)?;
        self.act_at_once(signed, &order.subject, vec![order.author.clone(), ours.clone()], actor).await
    }

    /// In the overlay first, then in the ledger, then through the register: neither a register that refuses it or does not
    /// answer nor the end of this process changes anything of the first two.
    async fn act_at_once(
        &self,
        signed: Bytes,
        target: &AuthorityId,
        stewards: Vec<AuthorityId>,
        actor: Actor,
    ) -> Result<Governed, Error> {
        let (needed, statement) = (stewards.len(), id_of(signed.clone())?);
        self.0.council.suspend_now(signed.clone()).await?;
        let entered = self.enter(&statement, target, actor).await;
        let acting =
            Governed { statement, outcome: Outcome::Pending, number: 0, approved_by: stewards, needed, overlay: true };
        let ordering = tokio::spawn(self.clone().order_until_answered(signed));
        let governed = match tokio::time::timeout(REGISTER, ordering).await {
            Ok(Ok(Ok(applied))) => {
                self.seen(&applied).await;
                if let Some(reason) = applied.outcome.reason() {
                    return Err(reason.into());
                }
                Governed { outcome: applied.outcome, number: applied.number, ..acting }
            }
            Ok(Ok(Err(error))) => return Err(error.into()),
            Ok(Err(_)) | Err(_) => acting,
        };
        entered.map(|()| governed)
    }

    /// The ledger's line of a statement, once: with the mark that it is written.
    async fn enter(&self, statement: &StatementId, target: &AuthorityId, actor: Actor) -> Result<(), Error> {
        let act = AuditAct::MemberSuspended;
        let draft = AuditDraft { actor, counterparty: Some(target.clone()), ..AuditDraft::by_node(act) };
        // As rare as emergencies are, one a week of each steward about each member, the marks need no cleaning.
        let name = format!("emergency/{statement}");
        let op = PutMeta { name, value: Some(Bytes::from_static(b"1")), only_if: Some(None), audit: vec![draft] };
        self.0.store.write(WriteOp::PutMeta(op)).await?;
        Ok(())
    }

    /// At start: what this authority signed, acts, and is not in the register, because the process ended before a quorum was
    /// there, goes there now. Ends when each of these is answered, or too old.
    pub async fn order_emergencies(self) {
        let own = self.own_emergencies().into_iter().map(|(statement, target, signed)| {
            let governance = self.clone();
            async move {
                if let Err(error) = governance.enter(&statement, &target, Actor::NODE).await {
                    tracing::error!(reason = error.reason().code(), "a suspension's line in the ledger is missing");
                }
                if governance.state().accepted(&statement).is_some() {
                    return;
                }
                let answered = governance.order_until_answered(signed).await;
                let refused = answered.map_or_else(|e| Some(e.reason()), |proposed| proposed.outcome.reason());
                if let Some(reason) = refused {
                    tracing::warn!(reason = reason.code(), %target, "the register did not take an emergency suspension");
                }
            }
        });
        futures_util::future::join_all(own).await;
    }

    /// Emergency suspensions that carry this authority's signature and are young enough for the register.
    fn own_emergencies(&self) -> Vec<(StatementId, AuthorityId, Bytes)> {
        let (view, ours) = (self.0.council.view(), &self.0.authority);
        let keys = view.member(ours).map(|member| member.keys.as_slice()).unwrap_or_default();
        let own = |(id, signed): (StatementId, Bytes)| {
            let (statement, opened) = crate::wire::statement::open(signed.clone()).ok()?;
            let by_us = statement.author == *ours || opened.key_ids().any(|k| keys.iter().any(|r| r.key.id() == k));
            let target = statement.subject.authority().filter(|_| by_us)?;
            Some((id, target.clone(), signed))
        };
        self.0.council.overlay().into_iter().filter_map(own).collect()
    }

    /// The same statement goes through the register as well, once there is a quorum again: until it is answered, or too old
    /// for any node to take.
    async fn order_until_answered(self, signed: Bytes) -> Result<Proposed, directory::Error> {
        let until = self.0.clock.now() + limits::OVERLAY_AGE;
        loop {
            match self.0.council.propose(signed.clone()).await {
                Err(error) if error.retryable() && self.0.clock.now() < until => tokio::time::sleep(AGAIN).await,
                answer => return answer,
            }
        }
    }

    /// Orders that wait for a second signature.
    pub(super) fn waiting_emergencies(&self, state: &RegisterState) -> impl Iterator<Item = Pending> {
        let ours = self.0.authority.clone();
        let steward = state.is_steward(&ours);
        self.0.council.half_signed().into_iter().map(move |order| Pending {
            proposal: order.id,
            act: ACT,
            asked: Arc::new(Act::Suspend(order.reason)),
            present: Present::Nothing,
            subject: order.subject.to_string(),
            proposer: order.author.clone(),
            approved_by: vec![order.author.clone()],
            needed: OF_A_STEWARD,
            expires: order.expires(),
            waits_for_us: steward && order.author != ours && order.subject != ours,
        })
    }
}

fn waits(order: &HalfSigned) -> Governed {
    Governed {
        statement: order.id,
        outcome: Outcome::Pending,
        number: 0,
        approved_by: vec![order.author.clone()],
        needed: OF_A_STEWARD,
        overlay: false,
    }
}

fn id_of(signed: Bytes) -> Result<StatementId, Error> {
    let (_, opened) = crate::wire::statement::open(signed)?;
    Ok(crate::wire::statement::id(&opened.payload_digest()))
}
