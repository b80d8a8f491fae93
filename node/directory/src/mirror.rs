//! Following the register from another member: verified, applied here, passed on.
//!
//! A node that runs no Raft always follows someone. A steward follows while its Raft has no leader or is behind, and
//! pulls once when somebody unknown speaks to it as a steward. Any member will do: what comes is applied here and must
//! come to the same outcomes; what a source leaves out, beats show, and then another one is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use havenlink_proto::directory::v1 as proto;
use prost::Message;
use proto::follow_response::Event;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Request, Streaming};

use super::clients::{self, Register};
use super::dial::{PeerChannel, refused};
use super::error::Error;
use super::handle::{Directory, random};
use super::refounding;
use super::snapshot_handle::Assembly;
use crate::domain::authority::MemberStatus;
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::limits;
use crate::domain::reason::Reason;

/// Time for a stream to be opened.
const OPEN: Duration = Duration::from_secs(5);
/// Between attempts, at least and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A source that says nothing for this long after the last change has no more.
const QUIET: Duration = Duration::from_secs(2);
/// The same of a node on this machine.
const AT_HAND: Duration = Duration::from_millis(500);
/// A copy of a register of this machine takes no longer, or is given up.
const COPY: Duration = Duration::from_secs(300);
/// A source that brings less than `STEADY` changes in this time, although a majority of stewards has more, is left: mirrors
/// that lost the stewards for a moment may be following each other, and a source may withhold.
const BEHIND: Duration = Duration::from_secs(3);
const STEADY: u64 = 256;
/// For how long a source is tried last after what it sent could not be taken.
const SHUNNED: Duration = Duration::from_secs(60);
/// How often it is looked whether that is so.
const LOOK: Duration = Duration::from_secs(1);
/// Members that stewards feed themselves; and sources tried in a row.
const FEW: usize = 64;
/// How long a steward without a leader waits before it follows somebody.
const LEADERLESS: Duration = Duration::from_secs(3);

/// Whether to go on after an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Changes,
    Other,
    /// A snapshot was taken; ask again from there.
    Again,
}

/// Sources from which came what could not be taken, and when.
type Shunned = BTreeMap<AuthorityId, Instant>;

/// Runs for as long as the node does. One source after the other is tried before it waits.
pub async fn run(directory: Directory) {
    let mut pause = PAUSE.0;
    let mut shunned = Shunned::new();
    loop {
        let quiet = Instant::now();
        until_needed(&directory).await;
        if quiet.elapsed() >= PAUSE.1 {
            pause = PAUSE.0;
        }
        let (began, before) = (Instant::now(), directory.0.chain.number());
        let mut followed = false;
        shunned.retain(|_, since| since.elapsed() < SHUNNED);
        let mut sources = sources(&directory);
        sources.sort_by_key(|source| shunned.contains_key(source));
        for source in sources {
            match follow(&directory, &source, &mut shunned).await {
                Ok(()) => followed = true,
                Err(error) if error.reason() == Reason::RulesTooOld => {
                    havenlink_runtime::repeated!(error; %error, "this version does not know the rules in force; the register stands still here");
                }
                Err(error) => {
                    havenlink_runtime::repeated!(info by error.reason().code(); %source, %error, "following ended")
                }
            }
            if followed || raft_leads(&directory) {
                break;
            }
        }
        if followed && was_of_use(began.elapsed(), before, directory.0.chain.number()) {
            pause = PAUSE.0;
        } else {
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }
}

/// Whether it brought changes, or went on for a while. A source that ends every stream at once, or answers with a snapshot
/// of what is here already, earns the pause of one that does not answer; so does whoever makes this node ask for nothing.
fn was_of_use(took: Duration, before: u64, number: u64) -> bool {
    number > before || took >= LOOK
}

/// Raft is in charge here: it has a leader, and is not behind what was followed.
fn raft_leads(directory: &Directory) -> bool {
    let led = directory.node().is_some_and(|node| {
        let status = node.status();
        let now = status.borrow();
        // openraft goes on naming the last leader, even one that has forgotten this node.
        now.leads || (now.leader.is_some() && node.silence() < LEADERLESS)
    });
    led && !directory.0.chain.raft_lags()
}

async fn until_needed(directory: &Directory) {
    let mut nodes = directory.0.node_changed.subscribe();
    loop {
        if directory.node().is_none() && !about_to_vote(directory) {
            return;
        }
        tokio::select! {
            () = directory.0.pull.notified() => return,
            () = directory.0.chain.wanted.notified() => return,
            () = sleep(LEADERLESS) => if !raft_leads(directory) && directory.node().is_some() { return },
            _ = nodes.changed() => {}
        }
    }
}

/// Named as a steward, and the instance is not there yet: it is started within moments, or this node is alone.
fn about_to_vote(directory: &Directory) -> bool {
    let state = directory.state();
    super::steward::is_named(&state, directory.authority(), directory.raft_id()) && state.stewards().len() == 1
}

/// Members to follow, in the order in which they are tried, beginning anywhere. In a small federation stewards come
/// first; in a large one they would be overrun, and mirrors feed mirrors.
fn sources(directory: &Directory) -> Vec<AuthorityId> {
    let (view, now) = (directory.view(), directory.0.clock.now());
    let usable = |id: &&AuthorityId| {
        **id != *directory.authority()
            && view.status(id, now) != MemberStatus::Removed
            && view.member(id).is_some_and(|member| !member.entry.endpoints.is_empty())
    };
    let mut all: Vec<AuthorityId> = view.members.keys().filter(usable).cloned().collect();
    if !all.is_empty() {
        let first = random().unwrap_or(0) % all.len() as u64;
        all.rotate_left(usize::try_from(first).unwrap_or(0));
    }
    if all.len() <= FEW {
        all.sort_by_key(|id| !view.is_steward(id));
    }
    all.truncate(FEW);
    all
}

async fn follow(directory: &Directory, source: &AuthorityId, shunned: &mut Shunned) -> Result<(), Error> {
    let mut client = directory.client(source)?;
    let mut events = open(directory, &mut client).await?;
    let _told = Told::new(directory, source);
    let mut heard = Instant::now();
    let misled = directory.0.chain.misled();
    // Since when stewards have had more than comes from here, and how far this node was then.
    let mut behind: Option<(Instant, u64)> = None;
    loop {
        if directory.0.chain.misled() != misled {
            shunned.insert(source.clone(), Instant::now());
            return Err(Error::new(Reason::HeadMismatch, "a majority of stewards signed another order"));
        }
        let number = directory.0.chain.number();
        let began = behind.filter(|(_, then)| number < then + STEADY).unwrap_or_else(|| (Instant::now(), number));
        behind = directory.0.chain.is_behind().then_some(began);
        if began.0.elapsed() >= BEHIND {
            havenlink_runtime::repeated!(info by source.as_str(); %source, "it has less than the stewards say that there is; another one is asked, stewards first");
            return Ok(());
        }
        let Ok(event) = timeout(LOOK, events.message()).await else {
            if heard.elapsed() >= limits::IDLE_STREAM.to_duration() {
                return Err(Error::new(Reason::PeerUnreachable, "silent for too long"));
            }
            continue;
        };
        heard = Instant::now();
        let Some(message) = event.map_err(|status| refused(&status))? else { return Ok(()) };
        let Some(event) = message.event else { continue };
        match take(directory, &mut client, event).await {
            Ok(After::Again) => return Ok(()),
            Ok(After::Changes | After::Other) => {}
            Err(error) => {
                if error.reason() == Reason::SnapshotInvalid {
                    directory.0.chain.snapshot_refused(source, &error);
                }
                shunned.insert(source.clone(), Instant::now());
                return Err(error);
            }
        }
        if raft_leads(directory) {
            return Ok(());
        }
    }
}

/// Follows from a channel until there is nothing more to come: for a node that has no view to find members in yet.
pub(super) async fn catch_up(directory: &Directory, channel: PeerChannel) -> Result<(), Error> {
    follow_until(directory, channel, QUIET, true).await
}

/// Until nothing came for so long; `changes_only`: until something else comes than changes, which stands behind them.
async fn follow_until(
    directory: &Directory,
    channel: PeerChannel,
    quiet: Duration,
    changes_only: bool,
) -> Result<(), Error> {
    let mut client = clients::register(channel);
    'again: loop {
        let before = directory.state().position();
        let mut events = open(directory, &mut client).await?;
        loop {
            let Ok(event) = timeout(quiet, events.message()).await else { return Ok(()) };
            let Some(message) = event.map_err(|status| refused(&status))? else { return Ok(()) };
            let Some(event) = message.event else { continue };
            match take(directory, &mut client, event).await? {
                After::Other if changes_only => return Ok(()),
                After::Changes | After::Other => {}
                // Who is asked the same again answers the same, as fast as it is asked.
                After::Again if directory.state().position() == before => return Ok(()),
                After::Again => continue 'again,
            }
        }
    }
}

async fn open(directory: &Directory, client: &mut Register) -> Result<Streaming<proto::FollowResponse>, Error> {
    let state = directory.state();
    let head = bytes::Bytes::copy_from_slice(state.head().as_bytes());
    let mut request =
        Request::new(proto::FollowRequest { number: state.number(), head, founding: state.position().founding });
    request.set_timeout(OPEN);
    Ok(client.follow(request).await.map_err(|status| refused(&status))?.into_inner())
}

async fn take(directory: &Directory, client: &mut Register, event: Event) -> Result<After, Error> {
    let chain = &directory.0.chain;
    let founding = chain.position().founding;
    match event {
        Event::Changes(changes) => {
            // Nobody orders a founding: it is judged by the register at its place, and what follows it afterwards.
            let mut left = changes.changes;
            while let Some(place) = left.iter().position(|change| refounding::readable(&change.signed).is_some()) {
                let after = left.split_off(place + 1);
                let signed = left.pop().map(|change| change.signed).unwrap_or_default();
                followed(directory, left)?;
                directory.met_founding(&signed).await?;
                left = after;
            }
            followed(directory, left)?;
            return Ok(After::Changes);
        }
        Event::Refound(signed) => {
            directory.met_founding(&signed.encode_to_vec().into()).await?;
            return Ok(After::Again);
        }
        Event::Beat(beat) => {
            // One bad beat does not end the stream: the source may only relay it.
            if let Err(error) = directory.hear_beat(&beat.encode_to_vec().into()).await {
                tracing::debug!(%error, "a relayed beat was not taken");
            }
            // It may have been the last one that a founding waited for.
            if chain.position().founding != founding {
                return Ok(After::Again);
            }
        }
        Event::Overlay(statement) => {
            if let Err(error) = directory.overlay_add(statement.encode_to_vec().into()).await {
                tracing::debug!(%error, "a relayed suspension was not taken");
            }
        }
        Event::SnapshotFirst(number) => {
            havenlink_runtime::repeated!(info; number, "the changes are gone there; taking a snapshot first");
            snapshot(directory, client).await?;
            return Ok(After::Again);
        }
    }
    Ok(After::Other)
}

fn followed(directory: &Directory, changes: Vec<proto::Change>) -> Result<(), Error> {
    let chain = &directory.0.chain;
    if let Some(due) = chain.follow(changes)? {
        let chain = Arc::clone(chain);
        directory.0.tasks.spawn(async move {
            if let Err(error) = chain.keep_snapshot(due).await {
                havenlink_runtime::repeated!(warn; %error, "a snapshot of the register was not stored");
            }
        });
    }
    Ok(())
}

async fn snapshot(directory: &Directory, client: &mut Register) -> Result<(), Error> {
    let mut request = Request::new(proto::SnapshotRequest {});
    request.set_timeout(OPEN);
    let mut pieces = client.snapshot(request).await.map_err(|status| refused(&status))?.into_inner();
    let mut assembly = Assembly::default();
    loop {
        let next = timeout(limits::IDLE_STREAM.to_duration(), pieces.message()).await;
        let next = next.map_err(|_| Error::new(Reason::PeerUnreachable, "silent for too long"))?;
        let Some(piece) = next.map_err(|status| refused(&status))? else { break };
        assembly.add(piece.chunk.unwrap_or_default())?;
    }
    let (header, items) = assembly.finish()?;
    directory.0.chain.install(header, items).await
}

/// Says whom this node follows, for as long as it does.
struct Told<'a>(&'a Directory);

impl<'a> Told<'a> {
    fn new(directory: &'a Directory, source: &AuthorityId) -> Self {
        *directory.0.follows.lock().unwrap_or_else(PoisonError::into_inner) = Some(source.clone());
        Self(directory)
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        *self.0.0.follows.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Directory {
    /// Follows from a channel until there is nothing more to come: for a node whose view names nobody that it could
    /// dial, with a channel to the node that invited it.
    ///
    /// # Errors
    /// What the other side or `apply` refuses.
    pub async fn catch_up(&self, channel: PeerChannel) -> Result<(), Error> {
        catch_up(self, channel).await
    }

    /// Takes all that a node of the same machine has, the beats of its stewards included: what a backup carries. A pause or an
    /// end of what it sends is no end of the register: this goes on until all is here that it had at the beginning.
    ///
    /// # Errors
    /// As `catch_up`; `DEADLINE_EXCEEDED` when it is not complete after five minutes.
    pub async fn copy_from(&self, channel: PeerChannel) -> Result<(), Error> {
        let one = proto::ListRequest { page_size: 1, ..Default::default() };
        let told = clients::register(channel.clone()).list(one).await.map_err(|status| refused(&status))?.into_inner();
        let head = Digest::from_slice(&told.head).ok_or_else(|| Error::new(Reason::DecodeFailed, "a head"))?;
        let complete = || {
            // A number is no place: an order that has ended may have had it long ago.
            let same = self.0.chain.head_at(told.number)?.is_none_or(|own| own == head);
            Ok::<_, Error>(self.state().number() >= told.number && same)
        };
        let copying = async {
            loop {
                follow_until(self, channel.clone(), AT_HAND, false).await?;
                if complete()? {
                    return Ok(());
                }
                tokio::time::sleep(AT_HAND).await;
            }
        };
        timeout(COPY, copying).await.map_err(|_| Error::from(Reason::DeadlineExceeded))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_brings_nothing_earns_a_pause() {
        assert!(was_of_use(Duration::ZERO, 7, 8) && was_of_use(Duration::from_secs(1), 7, 7));
        assert!(!was_of_use(Duration::from_millis(10), 7, 7));
    }
}
