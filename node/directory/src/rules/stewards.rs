//! The set of stewards: 1 to 7, changed by one at a time, each under a Raft id of its own that is never used twice.

use super::{Context, is_suspended, version};
use crate::domain::directory::Steward;
use crate::domain::register::Outcome;
use crate::state::Effects;

const MOST: usize = 7;

/// One steward more, one less, or one under a new Raft id.
pub(super) fn change(context: &Context<'_>, named: u64, set: &[Steward]) -> Result<Effects, Outcome> {
    let state = context.state;
    version(named, state.version(&crate::wire::statement::Subject::Stewards))?;
    let mut set = set.to_vec();
    set.sort_by(|a, b| a.authority.cmp(&b.authority));
    if set.is_empty() {
        return Err(Outcome::LastSteward);
    }
    let repeated = set.windows(2).any(|pair| pair[0].authority == pair[1].authority);
    if repeated || set.len() > MOST {
        return Err(Outcome::Malformed);
    }
    let before = state.stewards();
    let new: Vec<&Steward> = set.iter().filter(|s| !before.contains(s)).collect();
    let gone = before.iter().filter(|s| !set.contains(s)).count();
    match (new.as_slice(), gone) {
        ([], 1) => {}
        ([one], 0) => check_new(context, one)?,
        ([one], 1) if state.is_steward(&one.authority) => check_new(context, one)?,
        _ => return Err(Outcome::OneStewardAtATime),
    }
    Ok(Effects { stewards: Some(set), ..Effects::default() })
}

/// An active member with a node of its own, whose entry announces the Raft id.
fn check_new(context: &Context<'_>, steward: &Steward) -> Result<(), Outcome> {
    let member = context.state.member(&steward.authority).ok_or(Outcome::NoSuchSubject)?;
    if member.removed_at.is_some() {
        return Err(Outcome::Removed);
    }
    if is_suspended(member, context.now) {
        return Err(Outcome::Suspended);
    }
    if context.state.has_voted(steward.raft_id) {
        return Err(Outcome::RaftIdReused);
    }
    let announced = !context.is_live() || steward.raft_id == member.entry.raft_id;
    if steward.raft_id == 0 || !announced || member.entry.hosted_by.is_some() {
        return Err(Outcome::InvalidEntry);
    }
    Ok(())
}
