//! A steward's own beats: signed every `policy.beat_interval`, at once after it has taken a snapshot or leads anew, and said again
//! when the key that they were signed with was withdrawn. How they travel is `gossip`'s.

use tokio::time::sleep;

use super::gossip::{LEAST, tell_beat};
use super::handle::Directory;
use super::statements;
use super::steward::is_named;
use crate::wire::beat::Beat;

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
        let mut status = node.status();
        let now = status.borrow_and_update().clone();
        snapshots.mark_unchanged();
        sign_one(&directory, now.term);
        sleep(LEAST).await;
        tokio::select! {
            () = sleep(directory.view().policy.beat_interval.to_duration()) => {}
            Ok(()) = snapshots.changed() => {}
            Ok(_) = status.wait_for(|new| new.term != now.term || new.leads != now.leads) => {}
            Ok(()) = nodes.changed() => {}
        }
    }
}

fn sign_one(directory: &Directory, term: u64) {
    let inner = &directory.0;
    let state = inner.chain.state();
    // One that came back under another Raft id has nothing that it could stand for: what it said before still proves more.
    if !is_named(&state, &inner.authority, directory.raft_id()) {
        return;
    }
    let Some((number, head, snapshot)) = inner.chain.agreed_mark() else { return };
    let beat = Beat {
        federation: state.federation(),
        steward: inner.authority.clone(),
        founding: state.position().founding,
        number,
        head,
        overlay: inner.chain.overlay_digest(),
        snapshot,
        term,
        time: inner.clock.now(),
    };
    let signed = statements::beat(&beat, &directory.speaking_key());
    inner.chain.note_alone(state.stewards().len() == 1);
    if let Err(error) = inner.chain.accept_beat(&signed) {
        havenlink_runtime::repeated!(warn by error.reason().code(); %error, "this node's own beat was not taken");
        return;
    }
    tell_beat(directory, &signed);
}

/// What this steward said last, said again under the key that comes after one that was withdrawn: one that has lost its vote says
/// nothing else that would prove how far the order had come.
pub fn say_again(directory: &Directory, last: Option<Beat>) {
    let key = directory.speaking_key();
    let Some(last) = last.filter(|_| key.public() != directory.0.key.load().public()) else { return };
    let signed = statements::beat(&last, &key);
    match directory.0.chain.accept_beat(&signed) {
        Ok(_) => tell_beat(directory, &signed),
        Err(error) => {
            havenlink_runtime::repeated!(warn by error.reason().code(); %error, "what was said under the withdrawn key was not said again");
        }
    }
}

/// Signs one at once, by what is agreed on here now.
pub fn beat_now(directory: &Directory) {
    if let Some(node) = directory.node() {
        let term = node.status().borrow().term;
        sign_one(directory, term);
    }
}
