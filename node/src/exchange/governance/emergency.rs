//! Emergency suspension: one steward's order acts at once; of a steward, two stewards' order (9.4).
//!
//! The first steward's order about a steward waits at all stewards until a second one signs the very same statement, by
//! the same command or by approving it. Until then it does nothing; after that the overlay acts, without a quorum.
//! What acts has its line in the ledger and goes to the register, also after a restart: see `order_emergencies`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::decisions::Inner;
use super::{Error, Governance, Pending};
use crate::directory::awaiting_countersignature::AwaitingCountersignature;
use crate::directory::state::RegisterState;
use crate::directory::{self, statements};
use crate::domain::audit::{Actor, AuditAct, AuditDraft};
use crate::domain::ids::{AuthorityId, StatementId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::register::{Applied, Decided, SuspendReason};
use crate::domain::statement::Suspend;
use crate::storage::ops::{Expect, Write};
use crate::storage::owed::{Owed, OwedKey, OwedRow, Postponed, Subject, What};
use crate::wire::statement::SignedStatement;

/// An order as lists name it.
const ACT: &str = "EMERGENCY_SUSPEND";
/// How long the operator waits for the register, once the overlay acts.
const REGISTER: Duration = Duration::from_secs(2);
/// Between attempts while the register does not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// Between looks for orders about stewards that other stewards may still hold.
const LOOK: Duration = Duration::from_secs(15);
/// Lines that are owed about one member are as few as emergencies are.
const ENTRIES: usize = 100;
/// Signatures under an emergency suspension of a steward.
const OF_A_STEWARD: usize = 2;

impl Governance {
    /// Suspends for the emergency length that the policy names: in the overlay at once, and through the register. Of a
    /// steward: signs as the second one what another steward asked for, or asks for a second signature (`PENDING`).
    ///
    /// # Errors
    /// `EMERGENCY_USED`, `NOT_A_STEWARD`, `NEEDS_TWO_SIGNATURES` when a steward names itself, and what the rules answer. A
    /// register that cannot be reached is no error: the overlay acts.
    pub async fn suspend(&self, target: &AuthorityId, reason: SuspendReason, actor: Actor) -> Result<Decided, Error> {
        let state = self.decisions.state();
        if state.member(target).is_none() {
            return Err(Reason::MemberUnknown.into());
        }
        if !state.is_steward(&self.own().authority) {
            return Err(Reason::NotASteward.into());
        }
        if state.is_steward(target) {
            return self.suspend_steward(&state, target, reason, actor).await;
        }
        let signed = self.decisions.sign(|author| author.suspend(&state, target, reason))?;
        self.act_at_once(signed, target, vec![self.own().authority.clone()], actor).await
    }

    /// What another steward asked for comes first; asking twice asks once.
    async fn suspend_steward(
        &self,
        state: &RegisterState,
        target: &AuthorityId,
        reason: SuspendReason,
        actor: Actor,
    ) -> Result<Decided, Error> {
        let ours = &self.own().authority;
        let waiting = self.directory.awaiting_countersignature();
        let about = || waiting.iter().filter(|order| order.subject == *target);
        if let Some(order) = about().find(|order| order.author != *ours && target != ours) {
            return self.sign_second(order, actor).await;
        }
        if let Some(order) = about().find(|order| order.author == *ours) {
            return Ok(waits(order.id, ours));
        }
        let signed = self.decisions.sign(|author| author.suspend(state, target, reason))?;
        let _entering = self.entering.lock().await;
        self.owe_entry(&signed.id, target).await?;
        if let Err(refused) = self.directory.ask_second(&signed.signed) {
            self.owe_no_entry(entry_key(&signed.id, target)).await;
            return Err(refused.into());
        }
        self.enter(&signed.id, target, actor).await?;
        Ok(waits(signed.id, ours))
    }

    /// Signs what another steward asked for: with the second signature it acts.
    ///
    /// # Errors
    /// `NEEDS_TWO_SIGNATURES` when the target is this authority, `EMERGENCY_USED`, and what else the rules answer.
    pub(super) async fn sign_second(&self, order: &AwaitingCountersignature, actor: Actor) -> Result<Decided, Error> {
        let ours = &self.own().authority;
        if order.author == *ours {
            return Ok(waits(order.id, ours));
        }
        if order.subject == *ours {
            return Err(Reason::NeedsTwoSignatures.into());
        }
        let signed = statements::countersign(&self.view().federation, &order.signed, &(self.own().key)());
        let signed = SignedStatement { id: order.id, signed: signed.ok_or(Reason::StatementMalformed)? };
        self.act_at_once(signed, &order.subject, vec![order.author.clone(), ours.clone()], actor).await
    }

    /// In the overlay first, then in the ledger, then through the register: neither a register that refuses it or does not
    /// answer nor the end of this process changes anything of the first two.
    async fn act_at_once(
        &self,
        order: SignedStatement,
        target: &AuthorityId,
        stewards: Vec<AuthorityId>,
        actor: Actor,
    ) -> Result<Decided, Error> {
        let SignedStatement { id, signed } = order;
        let entering = self.entering.lock().await;
        // A store that fails keeps nobody from being suspended.
        let owed = self.owe_entry(&id, target).await;
        if let Err(refused) = self.directory.overlay_add(signed.clone()).await {
            self.owe_no_entry(entry_key(&id, target)).await;
            return Err(refused.into());
        }
        // Not owed, for the store failed: it acts now, so its line is owed once more.
        let owed = if owed.is_err() { self.owe_entry(&id, target).await } else { owed };
        let entered = match owed {
            Ok(()) => self.enter(&id, target, actor).await,
            Err(error) => Err(error),
        };
        drop(entering);
        let (applied, needed) = (Applied::unordered(id), stewards.len());
        let acting = Decided { applied, approved_by: stewards, needed, overlay: true };
        let ordering = tokio::spawn(self.clone().order_until_answered(signed));
        let decided = match tokio::time::timeout(REGISTER, ordering).await {
            Ok(Ok(Ok(applied))) => {
                self.decisions.seen(&applied).await;
                if let Some(reason) = applied.outcome.reason() {
                    return Err(reason.into());
                }
                Decided { applied, ..acting }
            }
            Ok(Ok(Err(error))) => return Err(error.into()),
            Ok(Err(_)) | Err(_) => acting,
        };
        entered.map(|()| decided)
    }

    /// Before a statement acts, which another file keeps: its line in the ledger is owed from now on.
    async fn owe_entry(&self, statement: &StatementId, target: &AuthorityId) -> Result<(), Error> {
        let owes = vec![Owed::now(entry_key(statement, target), self.own().clock.now())];
        self.own().store.write(Write { owes, ..Write::default() }.into()).await?;
        Ok(())
    }

    /// Nothing acts: no line. Should the store fail, the next start finds that.
    async fn owe_no_entry(&self, key: OwedKey) {
        if let Err(error) = self.own().store.write(Write { settles: vec![key], ..Write::default() }.into()).await {
            let reason = error.reason().code();
            havenlink_runtime::repeated!(warn by reason; reason, "a line that is not owed any more stays noted");
        }
    }

    /// The ledger's line of a statement, once: while it is owed.
    async fn enter(&self, statement: &StatementId, target: &AuthorityId, actor: Actor) -> Result<(), Error> {
        let act = AuditAct::MemberSuspended;
        let draft = AuditDraft { actor, counterparty: Some(target.clone()), ..AuditDraft::by_node(act) };
        let key = entry_key(statement, target);
        let (expects, settles) = (vec![Expect::Owed(key.clone())], vec![key]);
        self.own().store.write(Write { expects, settles, audit: vec![draft], ..Write::default() }.into()).await?;
        Ok(())
    }

    /// From the start on: lines that are owed because the process ended before they were written. Ends when none is owed.
    async fn enter_what_is_owed(&self) {
        let mut changes = self.decisions.changes();
        loop {
            changes.borrow_and_update();
            let left = self.enter_or_drop_each().await;
            let left = left.inspect_err(|error| {
                let reason = error.reason().code();
                havenlink_runtime::repeated!(error by reason; reason, "lines of the ledger are missing");
            });
            if matches!(left, Ok(0)) {
                return;
            }
            // What other stewards keep comes with their gossip, which changes no register.
            let changed = tokio::time::timeout(LOOK, changes.changed()).await;
            if matches!(changed, Ok(Err(_))) {
                return;
            }
        }
    }

    /// Answers how many have to be looked at again.
    async fn enter_or_drop_each(&self) -> Result<usize, Error> {
        let (what, now, mut left) = (What::EmergencyEntry, self.own().clock.now(), 0);
        for target in self.own().store.owed_recipients(what, now).await? {
            for row in self.own().store.owed(what, target, now, ENTRIES).await? {
                if let Some(reason) = self.enter_or_drop(&row).await.unwrap_or_else(|error| Some(error.reason())) {
                    left += 1;
                    let postpones = vec![Postponed { key: row.key, due: row.due, reason }];
                    self.own().store.write(Write { postpones, ..Write::default() }.into()).await?;
                }
            }
        }
        Ok(left)
    }

    /// The line of what acts, acted, or waits for a second signature; what never came so far has none. Answers why that is not
    /// known yet.
    async fn enter_or_drop(&self, row: &OwedRow) -> Result<Option<Reason>, Error> {
        let _entering = self.entering.lock().await;
        let (Subject::EmergencyEntry(statement), Some(target)) = (&row.key.subject, &row.key.recipient) else {
            return Ok(None);
        };
        let state = self.decisions.state();
        if state.accepted(statement).is_some() || self.directory.emergencies(target).contains(statement) {
            self.enter(statement, target, Actor::NODE).await?;
            return Ok(None);
        }
        // An order about a steward stands in the memory of the others alone, until it comes back or nobody takes it any more.
        if state.is_steward(target) && self.own().clock.now() <= row.since + limits::OVERLAY_AGE {
            return Ok(Some(Reason::NeedsTwoSignatures));
        }
        self.owe_no_entry(row.key.clone()).await;
        Ok(None)
    }

    /// At start: what this authority signed, acts, and is not in the register, because the process ended before a quorum was
    /// there, goes there now; and lines in the ledger that are missing are written. Ends when each of these is answered, or too
    /// old.
    pub async fn order_emergencies(self) {
        let own = self.own_emergencies().into_iter().map(|(statement, target, signed)| {
            let governance = self.clone();
            async move {
                if governance.decisions.state().accepted(&statement).is_some() {
                    return;
                }
                let answered = governance.order_until_answered(signed).await;
                let refused = answered.map_or_else(|e| Some(e.reason()), |applied| applied.outcome.reason());
                if let Some(reason) = refused {
                    tracing::warn!(reason = reason.code(), %target, "the register did not take an emergency suspension");
                }
            }
        });
        futures_util::future::join(self.enter_what_is_owed(), futures_util::future::join_all(own)).await;
    }

    /// Emergency suspensions that carry this authority's signature and are young enough for the register.
    fn own_emergencies(&self) -> Vec<(StatementId, AuthorityId, Bytes)> {
        let (view, ours) = (self.directory.view(), &self.own().authority);
        let keys = view.member(ours).map(|member| member.keys.as_slice()).unwrap_or_default();
        let own = |(id, signed): (StatementId, Bytes)| {
            let (statement, opened) = crate::wire::statement::open(signed.clone()).ok()?;
            let by_us = statement.author == *ours || opened.key_ids().any(|k| keys.iter().any(|r| r.key.id() == k));
            let target = statement.subject.authority().filter(|_| by_us)?;
            Some((id, target.clone(), signed))
        };
        self.directory.overlay().into_iter().filter_map(own).collect()
    }

    /// The same statement goes through the register as well, once there is a quorum again: until it is answered, or too old
    /// for any node to take.
    async fn order_until_answered(self, signed: Bytes) -> Result<Applied, directory::Error> {
        let until = self.own().clock.now() + limits::OVERLAY_AGE;
        loop {
            match self.decisions.propose(signed.clone()).await {
                Err(error) if error.retryable() && self.own().clock.now() < until => tokio::time::sleep(AGAIN).await,
                answer => return answer,
            }
        }
    }

    /// Orders that wait for a second signature.
    pub(super) fn waiting_emergencies(&self) -> Vec<Pending> {
        let (ours, orders) = (&self.own().authority, self.directory.awaiting_countersignature());
        let steward = self.view().is_steward(ours);
        let pending = |order: Arc<AwaitingCountersignature>| Pending {
            proposal: order.id,
            act: ACT,
            asked: Arc::new(Suspend { reason: order.reason }.into()),
            replaces: None,
            subject: order.subject.to_string(),
            proposer: order.author.clone(),
            approved_by: vec![order.author.clone()],
            needed: OF_A_STEWARD,
            expires: order.expires(),
            waits_for_us: steward && order.author != *ours && order.subject != *ours,
        };
        orders.into_iter().map(pending).collect()
    }

    fn own(&self) -> &Inner {
        &self.decisions.0
    }
}

fn entry_key(statement: &StatementId, target: &AuthorityId) -> OwedKey {
    OwedKey::to(target, Subject::EmergencyEntry(*statement))
}

/// A steward's order about another one, which waits for a second signature.
fn waits(statement: StatementId, author: &AuthorityId) -> Decided {
    let applied = Applied::unordered(statement);
    Decided { applied, approved_by: vec![author.clone()], needed: OF_A_STEWARD, overlay: false }
}
