//! What the journal tells of the register, and of backups that other processes of this node made: one difference between two
//! looks, however the change came about.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::following::MOMENT;
use crate::directory::Directory;
use crate::directory::acts::rules;
use crate::domain::authority::MemberStatus;
use crate::domain::directory::{DirectoryView, Member};
use crate::domain::ids::{AuthorityId, StatementId};
use crate::domain::time::UnixMs;
use crate::services::layers::Now;
use crate::storage::backup;
use crate::telemetry::journal::{self, Entry, Event};

/// For what merely lapses, and for counts whose minute is over.
const LOOK: Duration = Duration::from_secs(5);
/// So many of one event at once are told one by one; more of them by their number.
const ONE_BY_ONE: usize = 16;

/// The register as it stood at an instant.
struct Seen {
    view: Arc<DirectoryView>,
    /// What waits for stewards, and whom it is about.
    waiting: BTreeMap<StatementId, Option<AuthorityId>>,
    at: UnixMs,
}

/// Decisions that are open.
fn waiting(directory: &Directory, now: UnixMs) -> BTreeMap<StatementId, Option<AuthorityId>> {
    let state = directory.state();
    let open = state.proposals().filter(|proposal| proposal.is_open(now));
    open.map(|proposal| (proposal.id, rules(&proposal.act).concerns(&state, &proposal.subject))).collect()
}

/// Tells what changes, for as long as the node runs. What stood at its start is no news.
pub(super) async fn keep(directory: Directory, now: Now, data_dir: PathBuf) {
    let seen = || {
        let at = now();
        Seen { view: directory.view(), waiting: waiting(&directory, at), at }
    };
    let mut changes = directory.changes();
    let mut look = tokio::time::interval(LOOK);
    let (mut before, mut made) = (seen(), backups(&data_dir).await);
    loop {
        let ticked = tokio::select! {
            changed = changes.changed() => if changed.is_err() { return } else { false },
            _ = look.tick() => true,
        };
        let after = seen();
        few(differences(&before, &after)).into_iter().for_each(Entry::tell);
        before = after;
        if ticked {
            let now_made = backups(&data_dir).await;
            newer(made, now_made).into_iter().for_each(Entry::tell);
            made = now_made;
            journal::tell_counts();
        }
        tokio::time::sleep(MOMENT).await;
    }
}

const BACKUPS: [(&str, Event); 3] = [
    (backup::LAST_BACKUP, Event::BackupMade),
    (backup::LAST_SEALED, Event::BackupSealed),
    (backup::LAST_DRILL, Event::DrillDone),
];

type Made = [Option<UnixMs>; BACKUPS.len()];

/// When each was made last.
async fn backups(data_dir: &std::path::Path) -> Made {
    let data_dir = data_dir.to_owned();
    let read = move || BACKUPS.map(|(file, _)| backup::last(&data_dir, file));
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

fn newer(before: Made, after: Made) -> Vec<Entry> {
    let made = before.into_iter().zip(after).zip(BACKUPS);
    // One that is gone is forgotten, not made: the key that it was sealed to is another one now.
    made.filter(|((before, after), _)| after > before).map(|(_, (_, event))| Entry::of(event)).collect()
}

/// What is told of it.
fn few(all: Vec<Entry>) -> Vec<Entry> {
    let mut few: Vec<Entry> = Vec::new();
    for entry in &all {
        let same = all.iter().filter(|other| other.event == entry.event).count();
        if same <= ONE_BY_ONE {
            few.push(entry.clone());
        } else if !few.iter().any(|told| told.event == entry.event) {
            let count = Some(same as u64);
            few.push(Entry { number: entry.number, count, ..Entry::of(entry.event) });
        }
    }
    few
}

fn differences(before: &Seen, after: &Seen) -> Vec<Entry> {
    let (old, new) = (&before.view, &after.view);
    let mut told = Vec::new();
    if new.founding > old.founding {
        told.push(Entry { number: Some(new.founding), ..Entry::of(Event::OrderFounded) });
    }
    let (were, are) = (old.policy.rules_version, new.policy.rules_version);
    if old.number > 0 && are > were {
        told.push(Entry { number: Some(are.into()), ..Entry::of(Event::RulesRaised) });
    }
    for (_, authority) in after.waiting.iter().filter(|(id, _)| !before.waiting.contains_key(*id)) {
        let number = Some(new.number);
        told.push(Entry { number, authority: authority.clone(), ..Entry::of(Event::DecisionWaits) });
    }
    for (id, member) in &new.members {
        told.extend(of_member(before, after, id, member));
    }
    for steward in new.stewards.iter().filter(|steward| !old.is_steward(&steward.authority)) {
        told.push(Entry::about(Event::StewardJoined, &steward.authority));
    }
    for steward in old.stewards.iter().filter(|steward| !new.is_steward(&steward.authority)) {
        told.push(Entry::about(Event::StewardLeft, &steward.authority));
    }
    match (old.is_fresh(before.at), new.is_fresh(after.at)) {
        (false, true) => told.push(Entry::of(Event::RegisterFresh)),
        (true, false) => told.push(Entry::of(Event::RegisterStale)),
        _ => {}
    }
    told
}

/// What became of a member between the two.
fn of_member(before: &Seen, after: &Seen, id: &AuthorityId, member: &Arc<Member>) -> Vec<Entry> {
    let number = Some(after.view.number);
    let known = before.view.member(id);
    let mut told = Vec::new();
    if known.is_none() {
        told.push(Entry { number, ..Entry::about(Event::MemberJoined, id) });
    }
    let key = |member: &Member| member.keys.last().map(|record| record.key.id());
    if known.is_some_and(|known| key(known) != key(member)) {
        told.push(Entry { number, ..Entry::about(Event::KeyReplaced, id) });
    }
    let was = match before.view.status(id, before.at) {
        MemberStatus::Unknown => MemberStatus::Active,
        was => was,
    };
    let is = after.view.status(id, after.at);
    if was != is {
        let event = match is {
            MemberStatus::Active => Event::NowActive,
            MemberStatus::Suspended => Event::NowSuspended,
            MemberStatus::Removed | MemberStatus::Unknown => Event::NowRemoved,
        };
        told.push(Entry { number, until: until(&after.view, id, member, is), ..Entry::about(event, id) });
    }
    told
}

/// When a suspension lapses, if it does.
fn until(view: &DirectoryView, id: &AuthorityId, member: &Member, is: MemberStatus) -> Option<UnixMs> {
    let ends = member.suspended_until.into_iter().chain(view.overlay.get(id).copied()).max();
    ends.filter(|at| is == MemberStatus::Suspended && *at < UnixMs::NEVER)
}

#[cfg(test)]
mod tests;
