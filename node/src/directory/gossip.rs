//! Beats and the overlay, from node to node.
//!
//! A steward signs a beat every `policy.beat_interval`, and at once after it has taken a snapshot or leads anew, and
//! hands it to the other stewards; whoever follows gets it from there. Every node also exchanges what it has with one
//! other node per interval, so that what a stream lost is found again. An emergency suspension goes out at once. One of
//! a steward that waits for a second signature goes to stewards only, and is kept by stewards only.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::record::v1::Signed;
use prost::Message;
use tokio::time::{sleep, timeout};
use tonic::Request;

use super::dial::refused;
use super::error::Error;
use super::handle::{Directory, random};
use super::statements;
use crate::domain::authority::Standing;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::wire::beat::Beat;

/// Time for one exchange.
const CALL: Duration = Duration::from_secs(2);
/// Nodes that are told of a suspension directly; everyone else hears it from the one that it follows.
const SPREAD: usize = 32;
/// Beats in one message that are looked at: stewards are few.
const BEATS: usize = 64;
/// Overlay statements in one message: below the limit of a call.
const STATEMENTS: usize = 96;
/// Orders that wait for a second signature, in one message.
const HALF_SIGNED: usize = 42;
/// The shortest time between two beats.
const LEAST: Duration = Duration::from_millis(100);

/// Signs beats while this node votes.
pub async fn beat(directory: Directory) {
    let mut nodes = directory.0.node_changed.subscribe();
    let mut snapshots = directory.0.chain.snapshots();
    loop {
        let Some(node) = directory.node() else {
            if nodes.changed().await.is_err() {
                return;
            }
            continue;
        };
        let mut standing = node.standing();
        let now = standing.borrow_and_update().clone();
        snapshots.mark_unchanged();
        sign_one(&directory, now.term);
        sleep(LEAST).await;
        tokio::select! {
            () = sleep(directory.view().policy.beat_interval.to_duration()) => {}
            _ = snapshots.changed() => {}
            _ = standing.wait_for(|new| new.term != now.term || new.leads != now.leads) => {}
            _ = nodes.changed() => {}
        }
    }
}

fn sign_one(directory: &Directory, term: u64) {
    let inner = &directory.0;
    let state = inner.chain.state();
    if !state.is_steward(&inner.authority) {
        return;
    }
    let Some((number, head, snapshot)) = inner.chain.agreed_mark() else { return };
    let beat = Beat {
        federation: state.federation(),
        steward: inner.authority.clone(),
        number,
        head,
        overlay: inner.chain.overlay_digest(),
        snapshot,
        term,
        time: inner.clock.now(),
    };
    let signed = statements::beat(&beat, &inner.key.load());
    if let Err(error) = inner.chain.accept_beat(&signed) {
        tracing::warn!(%error, "this node's own beat was not taken");
        return;
    }
    for steward in directory.other_stewards().unwrap_or_default() {
        push(directory, steward, Said { beats: vec![signed.clone()], ..Said::default() });
    }
}

/// What goes to another node.
#[derive(Default)]
struct Said {
    beats: Vec<Bytes>,
    overlay: Vec<Bytes>,
    /// Suspensions of stewards that wait for a second signature.
    half_signed: Vec<Bytes>,
}

/// Exchanges everything with one other node per interval, and forgets what nobody needs any more.
pub async fn exchange(directory: Directory) {
    loop {
        sleep(directory.view().policy.beat_interval.to_duration().max(LEAST)).await;
        directory.0.chain.forget_encoded();
        let forgotten = directory.0.chain.forget_overlay().and_then(|()| directory.0.chain.forget_changes());
        if let Err(error) = forgotten {
            tracing::warn!(%error, "what nobody needs any more was not dropped");
        }
        let Some(partner) = partners(&directory, 1).pop() else { continue };
        let beats = directory.0.chain.beats().into_iter().map(|(_, bytes)| bytes).collect();
        let half_signed = half_signed(&directory, &partner);
        push(&directory, partner, Said { beats, overlay: overlay(&directory), half_signed });
    }
}

/// Orders that wait, for a steward.
fn half_signed(directory: &Directory, to: &AuthorityId) -> Vec<Bytes> {
    if !directory.view().is_steward(to) {
        return Vec::new();
    }
    directory.half_signed().iter().map(|order| order.signed.clone()).take(HALF_SIGNED).collect()
}

/// As many suspensions as fit, beginning anywhere: ids that somebody made to come first crowd nobody out for good.
fn overlay(directory: &Directory) -> Vec<Bytes> {
    let all: Vec<Bytes> = directory.0.chain.overlay().into_iter().map(|(_, bytes)| bytes).collect();
    let first = random().unwrap_or(0) % (all.len() as u64).max(1);
    all.iter().cycle().skip(usize::try_from(first).unwrap_or(0)).take(STATEMENTS.min(all.len())).cloned().collect()
}

/// Other members with a node of their own, in no order; stewards first when there are many.
fn partners(directory: &Directory, most: usize) -> Vec<AuthorityId> {
    let (view, now) = (directory.view(), directory.0.clock.now());
    let reachable = |id: &&AuthorityId| {
        **id != directory.0.authority
            && view.standing(id, now) != Standing::Removed
            && view.member(id).is_some_and(|member| !member.entry.endpoints.is_empty())
    };
    let mut all: Vec<AuthorityId> = view.members.keys().filter(reachable).cloned().collect();
    if all.len() > 1 {
        let first = random().unwrap_or(0) % all.len() as u64;
        all.rotate_left(usize::try_from(first).unwrap_or(0));
    }
    if all.len() > most && most > 1 {
        all.sort_by_key(|id| !view.is_steward(id));
    }
    all.truncate(most);
    all
}

/// Tells many at once of a suspension, however it came here.
pub fn spread(directory: &Directory, signed: &Bytes) {
    for partner in partners(directory, SPREAD) {
        push(directory, partner, Said { overlay: vec![signed.clone()], ..Said::default() });
    }
}

/// Tells the other stewards that a suspension of a steward waits for a second signature.
pub fn ask_second(directory: &Directory, signed: &Bytes) {
    for steward in directory.other_stewards().unwrap_or_default() {
        push(directory, steward, Said { half_signed: vec![signed.clone()], ..Said::default() });
    }
}

fn messages(signed: Vec<Bytes>) -> Vec<Signed> {
    signed.into_iter().filter_map(|bytes| Signed::decode(bytes).ok()).collect()
}

/// One exchange in the background.
fn push(directory: &Directory, to: AuthorityId, said: Said) {
    let (directory, inner) = (directory.clone(), Arc::clone(&directory.0));
    inner.tasks.spawn(inner.stop.clone().run_until_cancelled_owned(async move {
        let Ok(mut client) = directory.client(&to) else { return };
        let mut request = Request::new(proto::GossipRequest {
            beats: messages(said.beats),
            overlay: messages(said.overlay),
            half_signed: messages(said.half_signed),
            call_back: false,
        });
        request.set_timeout(CALL);
        match timeout(CALL, client.gossip(request)).await {
            Ok(Ok(answer)) => {
                let answer = answer.into_inner();
                take(&directory, answer.beats, answer.overlay, answer.half_signed).await;
            }
            Ok(Err(status)) => {
                tracing::debug!(%to, reason = refused(&status).reason().code(), "no exchange of beats");
            }
            Err(_) => tracing::debug!(%to, "no exchange of beats in time"),
        }
    }));
}

/// What another node said. One bad statement does not spoil the others; a repeated one costs a look. But a signature that
/// does not hold ends the look at all of it: nobody passes on what it has not verified, and looking costs what signing does.
/// Answers with why some were not taken.
async fn take(
    directory: &Directory,
    beats: Vec<Signed>,
    overlay: Vec<Signed>,
    half_signed: Vec<Signed>,
) -> Vec<Reason> {
    let mut refused = Refused::default();
    for beat in beats.into_iter().take(BEATS) {
        if refused.ends_with(directory.0.chain.accept_beat(&beat.encode_to_vec().into())) {
            return refused.0;
        }
    }
    for statement in overlay.into_iter().take(STATEMENTS) {
        // Boxed: taking one in may pass it on, which ends in another exchange.
        let added = Box::pin(directory.overlay_add(statement.encode_to_vec().into())).await;
        if refused.ends_with(added) {
            return refused.0;
        }
    }
    // Of use to stewards only.
    let steward = directory.view().is_steward(directory.authority());
    for order in half_signed.into_iter().take(HALF_SIGNED).filter(|_| steward) {
        if refused.ends_with(directory.0.chain.accept_half_signed(&order.encode_to_vec().into())) {
            return refused.0;
        }
    }
    refused.0
}

/// Why some of what was said was not taken.
#[derive(Default)]
struct Refused(Vec<Reason>);

impl Refused {
    /// Notes the refusal, if it is one; whether nothing more of the message is looked at.
    fn ends_with(&mut self, taken: Result<bool, Error>) -> bool {
        let Err(error) = taken else { return false };
        tracing::debug!(%error, "a beat or suspension was not taken");
        self.0.push(error.reason());
        error.reason() == Reason::SignatureInvalid
    }
}

/// Takes what another node has, and answers with what it lacks.
pub async fn answer(
    directory: &Directory,
    sender: &AuthorityId,
    request: proto::GossipRequest,
) -> proto::GossipResponse {
    let given: Vec<Bytes> = request.overlay.iter().map(|signed| signed.encode_to_vec().into()).collect();
    let said: Vec<Bytes> = request.beats.iter().map(|signed| signed.encode_to_vec().into()).collect();
    let asked: Vec<Bytes> = request.half_signed.iter().map(|signed| signed.encode_to_vec().into()).collect();
    let refused = take(directory, request.beats, request.overlay, request.half_signed).await;
    let beats = directory.0.chain.beats().into_iter().map(|(_, bytes)| bytes);
    proto::GossipResponse {
        beats: messages(beats.filter(|bytes| !said.contains(bytes)).collect()),
        overlay: messages(overlay(directory).into_iter().filter(|bytes| !given.contains(bytes)).collect()),
        half_signed: messages(
            half_signed(directory, sender).into_iter().filter(|bytes| !asked.contains(bytes)).collect(),
        ),
        refused: refused.into_iter().map(|reason| reason.code().to_owned()).collect(),
        ..Default::default()
    }
}
