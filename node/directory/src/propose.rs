//! How a statement gets into the register: to the leader, wherever it is proposed.
//!
//! A leader gives it to its own Raft; a steward that does not lead passes it on to the leader, once; every other node
//! sends it to any steward. Nothing here waits for a timer unless there is no leader. The same bytes may be sent again
//! after every failure: what was accepted is accepted once.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use havenlink_proto::directory::v1 as proto;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tonic::Request;

use super::clients::{self, Register};
use super::dial::{PeerChannel, refused};
use super::error::Error;
use super::forward::Passing;
use super::handle::{Directory, random};
use super::raft::{Node, NotDone, RaftStatus};
use crate::domain::authority::PublicKey;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, Digest, KeyId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::register::Applied;
use crate::wire::signed::{self, Unverified};
use crate::wire::statement;

/// Time for a statement to be applied, elections included.
const LIMIT: Duration = Duration::from_secs(9);
/// Time for one call to another steward.
pub(super) const CALL: Duration = Duration::from_secs(5);
/// Between attempts while there is no leader.
const AGAIN: Duration = Duration::from_millis(20);

impl Directory {
    /// Proposes a signed statement and waits until it is applied at the leader. A rejected one is an answer, not an
    /// error: see `Applied::outcome`.
    ///
    /// # Errors
    /// `MESSAGE_TOO_LARGE`, `STATEMENT_MALFORMED`, `WRONG_FEDERATION`, `SIGNATURE_INVALID` before anything is asked;
    /// `NO_LEADER`, `STEWARDS_UNREACHABLE` when no majority took it within 9 s: the same bytes may be sent again.
    pub async fn propose(&self, signed: Bytes) -> Result<Applied, Error> {
        self.check_intake(&signed)?;
        let deadline = Instant::now() + LIMIT;
        by(deadline, self.propose_until(deadline, signed)).await
    }

    async fn propose_until(&self, deadline: Instant, signed: Bytes) -> Result<Applied, Error> {
        let (mut pause, mut told) = (AGAIN, None);
        loop {
            match self.attempt(&signed).await {
                Err(error) if error.retryable() && Instant::now() + pause < deadline => {
                    tracing::debug!(%error, "the statement is proposed again");
                    if error.reason() != Reason::BudgetExhausted {
                        told = Some(error);
                    }
                    self.pause(pause).await;
                    pause = (pause * 2).min(AGAIN * 16);
                }
                result => return result.map_err(|last| cause(last, told)),
            }
        }
    }

    /// Applied here or refused.
    pub(super) async fn propose_here(&self, node: &Node, signed: Bytes) -> Result<Applied, Error> {
        self.check_intake(&signed)?;
        let applied = node.submit(signed).await.map_err(|not_done| not_done_here(&not_done))?;
        Ok(self.complete(applied))
    }

    /// The view after everything that was committed when the call came (ReadIndex at the leader).
    ///
    /// # Errors
    /// `NO_LEADER`, `STEWARDS_UNREACHABLE`, `DEADLINE_EXCEEDED`.
    pub async fn linearizable(&self) -> Result<Arc<DirectoryView>, Error> {
        let deadline = Instant::now() + LIMIT;
        by(deadline, self.linearizable_until(deadline)).await
    }

    async fn linearizable_until(&self, deadline: Instant) -> Result<Arc<DirectoryView>, Error> {
        let mut pause = AGAIN;
        loop {
            match self.read_once().await {
                Err(error) if error.retryable() && Instant::now() + pause < deadline => {
                    self.pause(pause).await;
                    pause = (pause * 2).min(AGAIN * 16);
                }
                Ok((number, head)) => return self.wait_for_head(number, head, deadline - Instant::now()).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for a number on the line where it has this head: the one that is followed here may have had the number long ago,
    /// while the order has begun anew elsewhere.
    async fn wait_for_head(&self, number: u64, head: Digest, limit: Duration) -> Result<Arc<DirectoryView>, Error> {
        let deadline = Instant::now() + limit;
        let mut changes = self.changes();
        loop {
            let view = self.wait_for(number, deadline - Instant::now()).await?;
            if self.0.chain.head_at(number)?.is_none_or(|own| own == head) {
                return Ok(view);
            }
            let news = timeout_at(deadline, changes.changed()).await;
            if !matches!(news, Ok(Ok(()))) {
                return Err(Error::new(Reason::DeadlineExceeded, "the new order of the register has not arrived"));
            }
        }
    }

    /// Refuses what cannot become a change before it costs the others anything. Signatures that verify here are
    /// remembered, and not verified again when the statement is applied on this node.
    fn check_intake(&self, bytes: &Bytes) -> Result<(), Error> {
        if bytes.len() > limits::STATEMENT_BYTES {
            return Err(Error::new(Reason::MessageTooLarge, "statement of more than 16 KiB"));
        }
        let unverified = signed::open::<proto::Statement>(bytes.clone())
            .map_err(|error| Error::new(Reason::StatementMalformed, error.to_string()))?;
        let view = self.view();
        if unverified.claims.federation_id != view.federation.as_bytes()[..] {
            return Err(Reason::WrongFederation.into());
        }
        let known = |id: &KeyId| key_of(&view, &unverified, id);
        match unverified.check(&view.federation, known, self.0.chain.verified_signatures()) {
            Err(error) if error.reason == Reason::SignatureInvalid => Err(error.into()),
            // A key that this view does not know (yet) is judged where the statement is applied.
            _ => Ok(()),
        }
    }

    async fn attempt(&self, signed: &Bytes) -> Result<Applied, Error> {
        let Some(node) = self.node() else { return self.ask_a_steward(signed).await };
        let (leads, leader) = leader(&node);
        if leads {
            match node.submit(signed.clone()).await {
                Ok(applied) => return Ok(self.complete(applied)),
                Err(NotDone::NotLeader(Some(other))) if other != node.id() => {
                    return self.pass_on(&node, other, signed).await;
                }
                Err(not_done) => return Err(not_done_here(&not_done)),
            }
        }
        match leader {
            // Of one that is no steward any more nothing is taken on the way that stewards use.
            _ if !self.is_named() => self.ask_a_steward(signed).await,
            Some(leader) => self.pass_on(&node, leader, signed).await,
            None if self.0.chain.raft_lags() => self.ask_a_steward(signed).await,
            None => Err(Reason::NoLeader.into()),
        }
    }

    fn is_named(&self) -> bool {
        super::steward::is_named(&self.state(), &self.0.authority, self.raft_id())
    }

    async fn ask_a_steward(&self, signed: &Bytes) -> Result<Applied, Error> {
        let mut last = Error::from(Reason::LastRegisterUnreachable);
        for steward in self.other_stewards()? {
            match self.ask(&steward, signed).await {
                // One that does not answer says nothing; that none does is what matters.
                Err(error) if error.reason() == Reason::PeerUnreachable => {}
                Err(error) if error.retryable() => last = error,
                result => return result,
            }
        }
        Err(last)
    }

    async fn pass_on(&self, node: &Node, leader: u64, signed: &Bytes) -> Result<Applied, Error> {
        let (answer, answered) = oneshot::channel();
        let to = self.steward_by_id(node, leader)?;
        let passing = Passing { leader: to, target: leader, signed: signed.clone(), answer };
        let gone = |()| Error::from(Reason::NodeStopping);
        self.0.passing.send(passing).await.map_err(|_| gone(()))?;
        // Until another one is elected, a follower takes the one that is gone for the leader.
        match answered.await.map_err(|_| gone(()))? {
            Err(error) if error.reason() == Reason::PeerUnreachable => {
                Err(Error::new(Reason::NoLeader, "the last leader does not answer"))
            }
            // Whoever says that it leads and answers nonsense does not lead for long either.
            Err(error) if error.reason() == Reason::DecodeFailed => {
                Err(Error::new(Reason::NoLeader, "the last leader's answer cannot be read"))
            }
            answer => answer,
        }
    }

    async fn ask(&self, to: &AuthorityId, signed: &Bytes) -> Result<Applied, Error> {
        let mut request = Request::new(proto::ProposeRequest { signed: signed.clone() });
        request.set_timeout(LIMIT);
        let own = statement::own_entry(signed).as_ref() == Some(&self.0.authority);
        let mut client = if own { self.client(to)? } else { clients::register(self.channel(to)?) };
        let answer = client.propose(request).await.map_err(|status| refused(&status))?;
        Ok(statement::applied_from_proto(answer.get_ref())?)
    }

    pub(super) async fn read_once(&self) -> Result<(u64, Digest), Error> {
        if let Some(node) = self.node() {
            match leader(&node) {
                (true, _) => {
                    node.read_index().await.map_err(|not_done| not_done_here(&not_done))?;
                    let state = self.0.chain.raft_state().unwrap_or_else(|| self.state());
                    return Ok((state.number(), state.head()));
                }
                (false, Some(leader)) => {
                    let steward = self.steward_by_id(&node, leader)?;
                    return while_leading(node.status(), leader, self.read_at(&steward)).await;
                }
                (false, None) => {}
            }
        }
        let mut last = Error::from(Reason::LastRegisterUnreachable);
        for steward in self.other_stewards()? {
            match self.read_at(&steward).await {
                // One that does not answer says nothing; that none does is what matters.
                Err(error) if error.reason() == Reason::PeerUnreachable => {}
                Err(error) if error.retryable() => last = error,
                result => return result,
            }
        }
        Err(last)
    }

    /// Whether a majority of the stewards in force answers reads that take a quorum: others decide now.
    pub(super) async fn is_decided_elsewhere(&self) -> bool {
        let others = self.other_stewards().unwrap_or_default();
        let answers = join_all(others.iter().map(|steward| self.read_at(steward))).await;
        answers.iter().filter(|answer| answer.is_ok()).count() >= self.state().majority()
    }

    async fn read_at(&self, steward: &AuthorityId) -> Result<(u64, Digest), Error> {
        let consistency = proto::Consistency::Linearizable.into();
        let mut request = Request::new(proto::GetRequest { authority: steward.to_string(), consistency });
        request.set_timeout(CALL);
        let mut client = clients::register(self.channel(steward)?);
        let answer = client.get(request).await.map_err(|status| refused(&status))?.into_inner();
        let head = Digest::from_slice(&answer.head).ok_or_else(|| Error::new(Reason::DecodeFailed, "a head"))?;
        Ok((answer.number, head))
    }

    pub(super) fn channel(&self, to: &AuthorityId) -> Result<PeerChannel, Error> {
        self.0.dial.get().ok_or_else(|| Error::from(Reason::NodeStarting))?.channel(to)
    }

    /// For what a certificate that the other authority issued is enough.
    pub(super) fn client(&self, to: &AuthorityId) -> Result<Register, Error> {
        let dial = self.0.dial.get().ok_or_else(|| Error::from(Reason::NodeStarting))?;
        Ok(clients::register(dial.reunion(to)?))
    }

    /// Every other steward, beginning anywhere.
    pub(super) fn other_stewards(&self) -> Result<Vec<AuthorityId>, Error> {
        let view = self.view();
        let mut others: Vec<_> =
            view.stewards.iter().map(|s| s.authority.clone()).filter(|id| *id != self.0.authority).collect();
        if !others.is_empty() {
            let first = random()? % others.len() as u64;
            others.rotate_left(usize::try_from(first).unwrap_or(0));
        }
        Ok(others)
    }

    fn steward_by_id(&self, node: &Node, raft_id: u64) -> Result<AuthorityId, Error> {
        let status = node.status();
        let authority = status.borrow().nodes.get(&raft_id).and_then(|authority| AuthorityId::parse(authority));
        authority.ok_or_else(|| Reason::NoLeader.into())
    }

    /// A repeated statement is answered with the head at its first number, as far as that is kept.
    fn complete(&self, applied: Applied) -> Applied {
        let head = applied.head.or_else(|| self.0.chain.head_at(applied.number).ok().flatten());
        Applied { head, ..applied }
    }

    /// Until the instance's status changes, or a moment has passed.
    async fn pause(&self, limit: Duration) {
        match self.node() {
            Some(node) => news(node.status(), limit).await,
            None => sleep(limit).await,
        }
    }
}

/// Until the status changes, or a moment has passed. An instance that has ended has no news.
async fn news(mut status: watch::Receiver<RaftStatus>, limit: Duration) {
    let end = Instant::now() + limit;
    if let Ok(Err(_)) = timeout_at(end, status.changed()).await {
        sleep_until(end).await;
    }
}

fn leader(node: &Node) -> (bool, Option<u64>) {
    let status = node.status();
    let now = status.borrow();
    (now.leads, now.leader)
}

/// A call to the leader, given up when this node hears of another one: whoever was stopped or cut off may be silent for
/// as long as a call may take, and the new one could have answered long before.
pub(super) async fn while_leading<T>(
    mut status: watch::Receiver<RaftStatus>,
    leader: u64,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let other = status.wait_for(|now| now.leader.is_some_and(|now| now != leader));
    tokio::select! {
        biased;
        result = call => result,
        _ = other => Err(Error::new(Reason::NoLeader, "the leader changed; the outcome is not known yet")),
    }
}

/// What is told at the end: that asking again took the budget is no cause, what was answered before it is.
fn cause(last: Error, told: Option<Error>) -> Error {
    let asked_too_often = last.reason() == Reason::BudgetExhausted;
    told.filter(|_| asked_too_often).unwrap_or(last)
}

/// A leader whose followers are gone leads on, and commits nothing: whoever asked is told so before its own patience ends.
async fn by<T>(deadline: Instant, doing: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = || Error::new(Reason::NoLeader, "a majority did not answer in time; the outcome is not known yet");
    timeout_at(deadline, doing).await.unwrap_or_else(|_| Err(late()))
}

fn not_done_here(not_done: &NotDone) -> Error {
    match not_done {
        NotDone::NotLeader(_) => Reason::NoLeader.into(),
        NotDone::Unknown => Error::new(Reason::NoLeader, "the leader changed; the outcome is not known yet"),
        NotDone::NoMajority => {
            Error::new(Reason::NoLeader, "a majority of the stewards does not answer the one that leads")
        }
        NotDone::ClockWrong => Error::new(Reason::EntryTimeInvalid, "this steward's clock, or the newest entry's time"),
        NotDone::Stopped => Reason::NodeStopping.into(),
    }
}

/// The key of that id: the author's, or a steward's that signed beside it.
fn key_of(view: &DirectoryView, unverified: &Unverified<proto::Statement>, id: &KeyId) -> Option<PublicKey> {
    let author = AuthorityId::parse(&unverified.claims.author);
    let stewards = view.stewards.iter().map(|steward| &steward.authority);
    author.iter().chain(stewards).find_map(|authority| {
        let member = view.member(authority)?;
        member.keys.iter().map(|record| record.key).find(|key| key.id() == *id)
    })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_pause_waits_whatever_came_before_it() {
        let (now, status) = watch::channel(RaftStatus::default());
        now.send_replace(RaftStatus { term: 1, ..RaftStatus::default() });
        let of_an_instance = || {
            let mut status = status.clone();
            status.mark_unchanged();
            status
        };
        let mut pause = Box::pin(news(of_an_instance(), LIMIT));
        assert!((&mut pause).now_or_never().is_none(), "a change that was is no news");
        now.send_replace(RaftStatus { term: 2, ..RaftStatus::default() });
        assert!(pause.now_or_never().is_some(), "one that comes is");
        let status = of_an_instance();
        drop(now);
        assert!(news(status, LIMIT).now_or_never().is_none(), "an instance that has ended does not end the pause");
    }

    #[test]
    fn who_asked_until_the_budget_was_spent_is_told_why_it_had_to_ask() {
        let error = |reason: Reason| Error::from(reason);
        let told = cause(error(Reason::BudgetExhausted), Some(error(Reason::NoLeader)));
        assert_eq!(told.reason(), Reason::NoLeader);
        assert_eq!(cause(error(Reason::BudgetExhausted), None).reason(), Reason::BudgetExhausted);
        let last = cause(error(Reason::LastRegisterUnreachable), Some(error(Reason::NoLeader)));
        assert_eq!(last.reason(), Reason::LastRegisterUnreachable);
    }

    #[tokio::test]
    async fn a_silent_leader_is_waited_for_until_there_is_another_one() {
        let led_by = |leader| RaftStatus { running: true, leader, ..RaftStatus::default() };
        let (now, status) = watch::channel(led_by(Some(1)));
        let answer = while_leading(status.clone(), 1, async { Ok(7) }).await;
        assert_eq!(answer.unwrap(), 7);
        let silent = std::future::pending::<Result<u8, Error>>();
        let call = tokio::spawn(while_leading(status, 1, silent));
        now.send_replace(led_by(None));
        tokio::task::yield_now().await;
        assert!(!call.is_finished(), "nobody else could answer");
        now.send_replace(led_by(Some(2)));
        let given_up = tokio::time::timeout(Duration::from_secs(5), call).await.unwrap().unwrap();
        assert_eq!(given_up.unwrap_err().reason(), Reason::NoLeader);
    }
}
