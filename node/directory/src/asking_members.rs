//! A steward asks others for their clocks (`members_clocks`): the only one its members, each minute; any other the stewards beside
//! it, when it is to order something and has not heard enough of them.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

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

/// Asks them for as long as this node is a steward.
pub async fn ask(directory: Directory) {
    let mut changes = directory.changes();
    loop {
        let view = directory.view();
        let (own, clocks) = (&directory.0.authority, &directory.0.chain.members);
        let others = view.stewards.iter().map(|steward| &steward.authority).filter(|other| *other != own);
        let others: Vec<AuthorityId> = others.cloned().collect();
        let pause = match (view.is_steward(own), others.as_slice()) {
            (true, []) => ask_members(&directory).await,
            (true, others) => {
                let shown = join_all(others.iter().map(|other| clock_of(&directory, other))).await;
                let shown = others.iter().cloned().zip(shown).filter_map(|(other, time)| Some((other, time?)));
                clocks.note_stewards(directory.0.clock.monotonic(), shown);
                None
            }
            (false, _) => None,
        };
        // Or as soon as there is another one to ask, or another steward; or somebody waits for it.
        let differs = |now: &DirectoryView| now.members.len() != view.members.len() || now.stewards != view.stewards;
        let changed = async {
            while changes.changed().await.is_ok() {
                if differs(&directory.view()) {
                    return true;
                }
            }
            false
        };
        let due = async {
            match pause {
                Some(pause) => sleep(pause).await,
                None => clocks.wanted().await,
            }
        };
        tokio::select! {
            goes_on = changed => if !goes_on { return },
            () = due => {}
        }
    }
}

/// Of the only steward; how long until they are asked again.
async fn ask_members(directory: &Directory) -> Option<Duration> {
    let asked = gossip::partners(directory, ASKED);
    let shown = join_all(asked.iter().map(|member| clock_of(directory, member))).await;
    let shown: Vec<UnixMs> = shown.into_iter().flatten().collect();
    let pause = if shown.is_empty() { AGAIN } else { ROUND };
    directory.0.chain.members.note(directory.0.clock.monotonic(), shown);
    Some(pause)
}

async fn clock_of(directory: &Directory, member: &AuthorityId) -> Option<UnixMs> {
    let ahead = directory.reach(member, false).await.ok()?.ahead?;
    Some(directory.0.clock.now() + ahead)
}
