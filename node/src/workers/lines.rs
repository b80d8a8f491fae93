//! Follows the lines to partners: one that ended is asked after at once, one that came back is tried at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::ids::AuthorityId;
use crate::exchange::Upkeep;
use crate::pass::PassKind;
use crate::wakeup::Wakeups;

/// A line that ends again and again is asked after this often at most.
const APART: Duration = Duration::from_secs(5);
/// Partners whose last asking is remembered.
const REMEMBERED: usize = 1_024;

/// Runs until the stop, or until nobody tells any more.
pub async fn follow(
    mut departures: broadcast::Receiver<AuthorityId>,
    upkeep: Arc<Upkeep>,
    wakeups: Wakeups,
    stopping: CancellationToken,
    tasks: TaskTracker,
) {
    let mut asked: HashMap<AuthorityId, Instant> = HashMap::new();
    loop {
        let departed = tokio::select! {
            () = stopping.cancelled() => return,
            departed = departures.recv() => departed,
        };
        let authority = match departed {
            Ok(authority) => authority,
            Err(RecvError::Closed) => return,
            // Some were missed: all are asked.
            Err(RecvError::Lagged(_)) => {
                wakeups.wake(PassKind::Greet);
                continue;
            }
        };
        let now = Instant::now();
        if asked.len() > REMEMBERED {
            asked.retain(|_, at| *at + APART > now);
        }
        let last = asked.get(&authority).copied();
        // The asking that is already due comes after this end too.
        if last.is_some_and(|last| last > now) {
            continue;
        }
        let at = last.map_or(now, |last| (last + APART).max(now));
        asked.insert(authority.clone(), at);
        let (upkeep, stopping) = (upkeep.clone(), stopping.clone());
        drop(tasks.spawn(async move {
            let asking = async {
                tokio::time::sleep_until(at).await;
                upkeep.ask_at_once(&authority).await;
            };
            tokio::select! {
                () = stopping.cancelled() => {}
                () = asking => {}
            }
        }));
    }
}
