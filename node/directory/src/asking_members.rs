//! The only steward asks its members for their clocks (`members_clocks`).

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::gossip;
use super::handle::Directory;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::time::UnixMs;

/// Members that are asked at a time.
const ASKED: usize = 7;
/// Between two rounds.
const ROUND: Duration = Duration::from_secs(60);
/// The same, while nobody answers.
const AGAIN: Duration = Duration::from_secs(5);

/// Asks them each minute, while this node is the only steward.
pub async fn ask(directory: Directory) {
    let mut changes = directory.changes();
    loop {
        let view = directory.view();
        let members = &directory.0.chain.members;
        let alone = view.stewards.len() == 1 && view.is_steward(&directory.0.authority);
        if !alone {
            members.note(directory.0.clock.monotonic(), Vec::new());
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        let asked = gossip::partners(&directory, ASKED);
        let shown = join_all(asked.iter().map(|member| clock_of(&directory, member))).await;
        let shown: Vec<UnixMs> = shown.into_iter().flatten().collect();
        let pause = if shown.is_empty() { AGAIN } else { ROUND };
        members.note(directory.0.clock.monotonic(), shown);
        // Or as soon as there is another one to ask, or another steward.
        let others = |now: &DirectoryView| now.members.len() != view.members.len() || now.stewards != view.stewards;
        let next = async { while changes.changed().await.is_ok() && !others(&directory.view()) {} };
        drop(timeout(pause, next).await);
    }
}

async fn clock_of(directory: &Directory, member: &AuthorityId) -> Option<UnixMs> {
    let ahead = directory.reach(member, false).await.ok()?.ahead?;
    Some(directory.0.clock.now() + ahead)
}
