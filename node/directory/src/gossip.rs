//! Beats and the overlay, from node to node.
//!
//! A steward hands its beats (`own_beats`) to the other stewards; whoever follows gets them from there. Every node also exchanges
//! what it has with one other node per interval, so that what a stream lost is found again. An emergency suspension goes out at once. One of
//! a steward that waits for a second signature goes to stewards only, and is kept by stewards only. Foundings are told at once,
//! and to whoever stands on an earlier one.

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
use super::state::{Founding, RegisterState};
use crate::domain::authority::MemberStatus;
use crate::domain::directory::Position;
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::reason::Reason;
use crate::domain::statement::Founder;

/// Time for one exchange.
const CALL: Duration = Duration::from_secs(2);
/// Nodes that are told of a suspension directly; everyone else hears it from the one that it follows.
const SPREAD: usize = 32;
/// Bytes that go into one message, below the limit of a call; of them at most, for beats and for orders that wait. Each share
/// has room for the largest of its kind, and suspensions have the rest.
const BYTES: usize = 48 << 10;
const BEAT_BYTES: usize = 12 << 10;
const AWAITING_BYTES: usize = 18 << 10;
const FOUNDING_BYTES: usize = 17 << 10;
const FOUNDER_BYTES: usize = 1 << 10;
/// Of a field's tag and length.
const FRAME: usize = 8;
/// Beats in one message that are looked at: stewards are few.
const BEATS: usize = 64;
/// Overlay statements in one message: below the limit of a call.
const STATEMENTS: usize = 96;
/// Orders that wait for a second signature, in one message.
const AWAITING: usize = 42;
/// Foundings and stewards' words, in one message.
const FOUNDINGS: usize = 4;
const FOUNDERS: usize = 8;
/// Members that are asked at once for what they have.
const ASKED: usize = 4;
/// The shortest time between two beats.
pub(super) const LEAST: Duration = Duration::from_millis(100);

/// Hands a beat of this node's to the other stewards.
pub(super) fn tell_beat(directory: &Directory, signed: &Bytes) {
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
    awaiting_countersignature: Vec<Bytes>,
    /// Foundings that others have still to sign or to follow.
    foundings: Vec<Bytes>,
    /// Stewards' words.
    founders: Vec<Bytes>,
}

/// Exchanges everything with one other node per interval, and forgets what nobody needs any more.
pub async fn exchange(directory: Directory) {
    loop {
        tokio::select! {
            () = sleep(directory.view().policy.beat_interval.to_duration().max(LEAST)) => {}
            () = directory.0.chain.sources_wanted.notified() => {}
        }
        directory.0.chain.forget_encoded();
        let forgotten = directory.0.chain.forget_overlay().and_then(|()| directory.0.chain.forget_changes());
        if let Err(error) = forgotten {
            havenlink_runtime::repeated!(warn; %error, "what nobody needs any more was not dropped");
        }
        // After a long silence what members have is what is wanted.
        let many = if directory.0.chain.asks_sources() { ASKED } else { 1 };
        let partners = partners(&directory, many);
        if partners.is_empty() {
            continue;
        }
        for partner in partners {
            let said = packed(&directory, &partner, &Said::default(), u64::MAX);
            push(&directory, partner, said);
        }
        say_that_it_died(&directory);
    }
}

/// While no order can be made here, stewards tell each other under which Raft id they would take part in a founding, and
/// give on the one that waits for signatures.
fn say_that_it_died(directory: &Directory) {
    let led = directory.node().is_some_and(|node| {
        let status = node.status();
        let now = status.borrow();
        now.leads || now.leader.is_some()
    });
    if led {
        return;
    }
    let foundings: Vec<Bytes> =
        directory.0.chain.pending_founding().map(|pending| pending.signed).into_iter().collect();
    let founders: Vec<Bytes> = directory.own_word().map(|word| word.signed).into_iter().collect();
    for steward in directory.other_stewards().unwrap_or_default().into_iter().filter(|_| !founders.is_empty()) {
        let said = Said { foundings: foundings.clone(), founders: founders.clone(), ..Said::default() };
        push(directory, steward, said);
    }
}

/// Tells many at once of a founding: its founders and the stewards, then members.
pub fn tell_founding(directory: &Directory, signed: &Bytes) {
    let mut to = directory.other_stewards().unwrap_or_default();
    for partner in partners(directory, SPREAD) {
        if !to.contains(&partner) {
            to.push(partner);
        }
    }
    for partner in to {
        push(directory, partner, Said { foundings: vec![signed.clone()], ..Said::default() });
    }
}

/// Asks one node for foundings, words and signs of life, and takes what it answers.
pub async fn ask(directory: &Directory, other: &AuthorityId, word: Option<&Founder>) {
    let founders = word.map(|word| word.signed.clone()).into_iter().collect();
    exchange_with(directory, other, Said { founders, ..Said::default() }).await;
}

/// What this node has for another one that has not said it already, as much as fits into one message. `founding`: the one that the
/// other side stands on; what stands above it takes the room of orders that wait.
fn packed(directory: &Directory, to: &AuthorityId, given: &Said, founding: u64) -> Said {
    let chain = &directory.0.chain;
    let foundings = if founding == u64::MAX { Vec::new() } else { chain.foundings_above(founding) };
    let founders: Vec<Bytes> = match given.founders.is_empty() {
        true => Vec::new(),
        false => directory.own_word().map(|word| word.signed).into_iter().collect(),
    };
    let newest = chain.beats().into_iter().map(|(_, bytes)| bytes).chain(chain.kept_beats());
    let beats = newest.filter(|bytes| !given.beats.contains(bytes));
    // Orders that wait are for stewards.
    let orders = if foundings.is_empty() && directory.view().is_steward(to) {
        directory.awaiting_countersignature()
    } else {
        Vec::new()
    };
    let orders = orders
        .iter()
        .map(|order| order.signed.clone())
        .filter(|bytes| !given.awaiting_countersignature.contains(bytes));
    let overlay = chain.denials().into_iter().map(|(_, bytes)| bytes).filter(|bytes| !given.overlay.contains(bytes));
    let mut room = Room(BYTES);
    Said {
        beats: room.pack(beats.collect(), BEATS, BEAT_BYTES),
        foundings: room.pack(foundings, FOUNDINGS, FOUNDING_BYTES),
        founders: room.pack(founders, 1, FOUNDER_BYTES),
        awaiting_countersignature: room.pack(orders.collect(), AWAITING, AWAITING_BYTES),
        overlay: room.pack(overlay.collect(), STATEMENTS, BYTES),
    }
}

/// Bytes of a message that are still free. A statement may be as long as 16 KiB, whoever made it so.
struct Room(usize);

impl Room {
    /// As many of these as fit, beginning anywhere: what does not fit has its turn another time, and ids or lengths that
    /// somebody chose crowd nobody out for good.
    fn pack(&mut self, mut all: Vec<Bytes>, most: usize, share: usize) -> Vec<Bytes> {
        let first = random().unwrap_or(0) % (all.len() as u64).max(1);
        all.rotate_left(usize::try_from(first).unwrap_or(0));
        let mut left = share.min(self.0);
        let before = left;
        all.retain(|signed| left.checked_sub(signed.len() + FRAME).inspect(|rest| left = *rest).is_some());
        for beyond in all.drain(most.min(all.len())..) {
            left += beyond.len() + FRAME;
        }
        self.0 -= before - left;
        all
    }
}

/// Other members with a node of their own, in no order; stewards first when there are many.
pub(super) fn partners(directory: &Directory, most: usize) -> Vec<AuthorityId> {
    let (view, now) = (directory.view(), directory.0.clock.now());
    let reachable = |id: &&AuthorityId| {
        **id != directory.0.authority
            && view.status(id, now) != MemberStatus::Removed
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

/// Tells many at once of a suspension, or of a key that was withdrawn, however it came here.
pub fn spread(directory: &Directory, signed: &Bytes) {
    for partner in partners(directory, SPREAD) {
        push(directory, partner, Said { overlay: vec![signed.clone()], ..Said::default() });
    }
}

/// Tells the other stewards that a suspension of a steward waits for a second signature.
pub fn ask_second(directory: &Directory, signed: &Bytes) {
    for steward in directory.other_stewards().unwrap_or_default() {
        push(directory, steward, Said { awaiting_countersignature: vec![signed.clone()], ..Said::default() });
    }
}

fn messages(signed: Vec<Bytes>) -> Vec<Signed> {
    signed.into_iter().filter_map(|bytes| Signed::decode(bytes).ok()).collect()
}

/// The id of the founding's statement; empty for the genesis statement.
fn by(here: &Founding) -> Bytes {
    here.by.map(|id| Bytes::copy_from_slice(id.as_bytes())).unwrap_or_default()
}

/// One exchange in the background.
fn push(directory: &Directory, to: AuthorityId, said: Said) {
    let (directory, inner) = (directory.clone(), Arc::clone(&directory.0));
    inner.tasks.spawn(inner.stop.clone().run_until_cancelled_owned(async move {
        exchange_with(&directory, &to, said).await;
    }));
}

async fn exchange_with(directory: &Directory, to: &AuthorityId, said: Said) {
    let Ok(mut client) = directory.client(to) else { return };
    let (state, here) = (directory.state(), directory.state().founding());
    let mut request = Request::new(proto::GossipRequest {
        beats: messages(said.beats),
        overlay: messages(said.overlay),
        awaiting_countersignature: messages(said.awaiting_countersignature),
        call_back: false,
        founding: here.founding,
        founded_by: by(&here),
        foundings: messages(said.foundings),
        founders: messages(said.founders),
        number: state.number(),
        head: head_of(&state),
    });
    request.set_timeout(CALL);
    match timeout(CALL, client.gossip(request)).await {
        Ok(Ok(answer)) => {
            let answer = answer.into_inner();
            let heard = Spoken {
                beats: answer.beats,
                overlay: answer.overlay,
                awaiting_countersignature: answer.awaiting_countersignature,
                foundings: answer.foundings,
                founders: answer.founders,
            };
            take(directory, heard).await;
            note_tip(directory, to, (answer.founding, answer.number, &answer.head));
        }
        Ok(Err(status)) => {
            tracing::debug!(%to, reason = refused(&status).reason().code(), "no exchange of beats");
        }
        Err(_) => tracing::debug!(%to, "no exchange of beats in time"),
    }
}

fn head_of(state: &RegisterState) -> Bytes {
    Bytes::copy_from_slice(state.head().as_bytes())
}

/// Notes the newest change that another node has; one of an older program says none.
fn note_tip(directory: &Directory, of: &AuthorityId, (founding, number, head): (u64, u64, &Bytes)) {
    if let Some(head) = Digest::from_slice(head) {
        directory.0.chain.told_tip(of, (Position { founding, number }, head));
    }
}

/// What another node said.
struct Spoken {
    beats: Vec<Signed>,
    overlay: Vec<Signed>,
    awaiting_countersignature: Vec<Signed>,
    foundings: Vec<Signed>,
    founders: Vec<Signed>,
}

/// What another node said. One bad statement does not spoil the others; a repeated one costs a look. But a signature that
/// does not hold ends the look at all of it: nobody passes on what it has not verified, and looking costs what signing does.
/// Answers with why some were not taken.
async fn take(directory: &Directory, heard: Spoken) -> Vec<Reason> {
    let Spoken { beats, overlay, awaiting_countersignature, foundings, founders } = heard;
    let mut refused = Refused::default();
    for founding in foundings.into_iter().take(FOUNDINGS) {
        // Boxed: taking one in passes it on, which ends in another exchange.
        let met = Box::pin(directory.met_founding(&founding.encode_to_vec().into())).await;
        if refused.ends_with(met) {
            return refused.0;
        }
    }
    for word in founders.into_iter().take(FOUNDERS) {
        if refused.ends_with(directory.hear_word(word.encode_to_vec().into()).map(|()| true)) {
            return refused.0;
        }
    }
    for beat in beats.into_iter().take(BEATS) {
        if refused.ends_with(Box::pin(directory.hear_beat(&beat.encode_to_vec().into())).await) {
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
    for order in awaiting_countersignature.into_iter().take(AWAITING).filter(|_| steward) {
        if refused.ends_with(directory.0.chain.accept_awaiting_countersignature(&order.encode_to_vec().into())) {
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
    let bytes = |all: &[Signed]| all.iter().map(|signed| signed.encode_to_vec().into()).collect();
    let given = Said {
        beats: bytes(&request.beats),
        overlay: bytes(&request.overlay),
        awaiting_countersignature: bytes(&request.awaiting_countersignature),
        foundings: bytes(&request.foundings),
        founders: bytes(&request.founders),
    };
    let heard = Spoken {
        beats: request.beats,
        overlay: request.overlay,
        awaiting_countersignature: request.awaiting_countersignature,
        foundings: request.foundings,
        founders: request.founders,
    };
    let refused = take(directory, heard).await;
    note_tip(directory, sender, (request.founding, request.number, &request.head));
    let (state, here) = (directory.state(), directory.state().founding());
    let other = request.founding == here.founding && request.founded_by != by(&here);
    let unheard = other && !directory.0.chain.knows_founding(&request.founded_by);
    if request.founding > here.founding || unheard {
        // It stands on a founding that is not followed here: it is asked for it.
        push(directory, sender.clone(), Said::default());
    }
    let above = request.founding.saturating_sub(u64::from(other));
    let said = packed(directory, sender, &given, above);
    proto::GossipResponse {
        beats: messages(said.beats),
        overlay: messages(said.overlay),
        awaiting_countersignature: messages(said.awaiting_countersignature),
        refused: refused.into_iter().map(|reason| reason.code().to_owned()).collect(),
        founding: here.founding,
        foundings: messages(said.foundings),
        founders: messages(said.founders),
        number: state.number(),
        head: head_of(&state),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::limits;

    /// Statements of one length that differ.
    fn statements(count: u8, bytes: usize) -> Vec<Bytes> {
        (0..count)
            .map(|n| Signed { payload: vec![n; bytes - 5].into(), ..Signed::default() }.encode_to_vec().into())
            .collect()
    }

    #[test]
    fn whatever_is_known_an_exchange_fits_into_a_call_and_all_of_it_has_its_turn() {
        let mut told = BTreeSet::new();
        for _ in 0..400 {
            let mut room = Room(BYTES);
            let beats = room.pack(statements(7, limits::CONTROL_BYTES), BEATS, BEAT_BYTES);
            let awaiting_countersignature = room.pack(statements(9, limits::STATEMENT_BYTES), AWAITING, AWAITING_BYTES);
            let overlay = room.pack(statements(9, limits::STATEMENT_BYTES), STATEMENTS, BYTES);
            assert_eq!(
                (beats.len(), awaiting_countersignature.len(), overlay.len()),
                (1, 1, 1),
                "one of each however long they are"
            );
            told.extend([(0, beats[0].clone()), (1, awaiting_countersignature[0].clone()), (2, overlay[0].clone())]);
            let request = proto::GossipRequest {
                beats: messages(beats),
                overlay: messages(overlay),
                awaiting_countersignature: messages(awaiting_countersignature),
                call_back: true,
                ..Default::default()
            };
            assert!(request.encoded_len() <= BYTES && BYTES < limits::CALL_BYTES);
        }
        assert_eq!(told.len(), 7 + 9 + 9);
        // Those of the usual length go all at once, and long ones take no place from short ones that fit.
        let mut all = statements(60, 400);
        all.extend(statements(4, limits::STATEMENT_BYTES));
        let mut room = Room(BYTES);
        let packed = room.pack(all, STATEMENTS, BYTES);
        let used: usize = packed.iter().map(|signed| signed.len() + FRAME).sum();
        assert_eq!(room.0, BYTES - used);
        assert!(packed.iter().filter(|signed| signed.len() < 500).count() >= 30);
        assert_eq!(Room(BYTES).pack(statements(60, 100), 42, BYTES).len(), 42);
    }
}
