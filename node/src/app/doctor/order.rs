//! What the doctor makes of how the register is ordered: stewards without a vote, foundings, snapshots that were refused.

use havenlink_proto::admin::v1::Check;

use super::register::names;
use super::{critical, ok, warning};
use crate::directory::{RefoundingStatus, RegisterStatus};
use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;

/// Whoever is named and does not vote counts for every majority, and adds to none.
pub(super) fn votes(status: &RegisterStatus, view: &DirectoryView, own: &AuthorityId) -> Check {
    if let Some(check) = refounding(&status.refounding, view, own) {
        return check;
    }
    // Also while it learns: the register names this authority under the Raft id of a disk that is gone.
    let re_enrolled = !status.steward && view.is_steward(own);
    let first = if re_enrolled { Some(own) } else { status.without_a_vote.first() };
    let Some(first) = first else { return ok("votes", "every steward that is named votes") };
    let voting = |id: &&AuthorityId| *id != first && !status.without_a_vote.contains(id);
    let votes = !re_enrolled && view.is_steward(own);
    let other = view.stewards.iter().map(|steward| &steward.authority).find(voting).filter(|_| !votes);
    let at = other.map(|other| format!("at {other}: ")).unwrap_or_default();
    critical(
        "votes",
        format!("{first} is a steward without a vote: every decision needs one of the others more"),
        format!(
            "{at}havenctl steward replace {first}, if its node was lost or restored; if it starts just now, wait for a \
             minute. Where too few stewards vote for that, at each steward: havenctl steward refound"
        ),
    )
}

/// Where no majority of the stewards' machines can form again, whatever anybody waits for (9.15).
pub(super) fn refounding(now: &RefoundingStatus, view: &DirectoryView, own: &AuthorityId) -> Option<Check> {
    if let [one, other, ..] = now.contested.as_slice() {
        return Some(critical(
            "votes",
            "stewards have begun the register's order anew twice under one number: nothing is decided, and content about \
             a person stops",
            format!(
                "your decision, after a call with the other stewards: havenctl register choose {one}, or havenctl register \
                 choose {other}; everybody chooses the same one"
            ),
        ));
    }
    if let Some(first) = now.missing.first() {
        let at = if now.missing.contains(own) { String::new() } else { format!("at {first}: ") };
        return Some(critical(
            "votes",
            format!("the register's order begins anew once {} signed it", names(&now.missing)),
            format!("{at}havenctl steward refound"),
        ));
    }
    let first = now.without_majority.first()?;
    let at = if view.is_steward(own) { String::new() } else { format!("at {first}: ") };
    let lost = names(&now.without_majority);
    Some(critical(
        "votes",
        format!(
            "no majority of the stewards can form again, and nothing can be decided: {lost} came back without a vote"
        ),
        format!("{at}havenctl steward refound, at each steward, begins the order anew on what a majority had signed"),
    ))
}

pub(super) fn snapshots(refused: u64) -> Check {
    match refused {
        0 => ok("snapshots", "no snapshot of the register was refused"),
        count => warning(
            "snapshots",
            format!("{count} snapshots of the register that other nodes sent were refused since the start"),
            "journalctl -u havenlink names who sent them and why; havenctl directory status shows whether the \
             stewards tell one history",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use havenlink_proto::admin::v1::CheckResult;

    use super::*;
    use crate::domain::directory::Steward;
    use crate::domain::ids::{Digest, StatementId};
    use crate::domain::time::UnixMs;

    fn id(text: &str) -> AuthorityId {
        AuthorityId::parse(text).unwrap()
    }

    fn all(of: &[&str]) -> Vec<AuthorityId> {
        of.iter().map(|text| id(text)).collect()
    }

    /// Three stewards that order.
    fn view() -> DirectoryView {
        let stewards = all(&["fr-strasbourg", "de-kehl", "lu-esch"]);
        let stewards = stewards.into_iter().zip(1..).map(|(authority, raft_id)| Steward { authority, raft_id });
        DirectoryView { stewards: Arc::new(stewards.collect()), ..DirectoryView::default() }
    }

    fn status(steward: bool, without_a_vote: &[&str], refounding: RefoundingStatus) -> RegisterStatus {
        RegisterStatus {
            number: 7,
            head: Digest([0; 32]),
            entry_time: UnixMs(0),
            raft_id: 1,
            steward,
            raft: None,
            leader: None,
            follows: None,
            majority_beat: None,
            fresh: true,
            forks: vec![],
            stopped_by_rules: None,
            raft_error: None,
            without_a_vote: all(without_a_vote),
            snapshots_refused: 0,
            founding: 0,
            refounding,
        }
    }

    fn said(own: &str, steward: bool, without_a_vote: &[&str], refounding: RefoundingStatus) -> Check {
        votes(&status(steward, without_a_vote, refounding), &view(), &id(own))
    }

    #[test]
    fn a_steward_without_a_vote_is_replaced_by_one_that_votes() {
        let none = RefoundingStatus::default;
        assert_eq!(said("fr-strasbourg", true, &[], none()).result, CheckResult::Ok as i32);
        let here = said("fr-strasbourg", true, &["de-kehl"], none());
        assert_eq!(here.result, CheckResult::Critical as i32);
        assert!(here.finding.starts_with("de-kehl is a steward without a vote"), "{here:?}");
        assert!(here.remedy.starts_with("havenctl steward replace de-kehl, "), "typed here: {here:?}");
        // The one that lost its disk learns of it under another Raft id, and cannot vote for its own replacement.
        let there = said("de-kehl", false, &[], none());
        assert!(there.remedy.starts_with("at fr-strasbourg: havenctl steward replace de-kehl, "), "{there:?}");
        assert!(there.remedy.contains("at each steward: havenctl steward refound"), "{there:?}");
    }

    #[test]
    fn foundings_that_stand_against_each_other_are_a_persons_to_choose_from() {
        let [one, other] = [StatementId([0xab; 32]), StatementId([0xcd; 32])];
        let contested = RefoundingStatus { contested: vec![one, other], ..RefoundingStatus::default() };
        let found = said("fr-strasbourg", true, &["de-kehl"], contested);
        assert_eq!(found.result, CheckResult::Critical as i32, "before all else");
        assert!(found.remedy.starts_with("your decision, after a call"), "{found:?}");
        for line in [one, other] {
            assert!(found.remedy.contains(&format!("havenctl register choose {line}")), "{found:?}");
        }
    }

    #[test]
    fn a_founding_under_way_names_whose_signature_it_lacks_and_a_lost_majority_the_command() {
        let missing = |of: &[&str]| RefoundingStatus { missing: all(of), ..RefoundingStatus::default() };
        let own = said("de-kehl", true, &[], missing(&["de-kehl", "lu-esch"]));
        assert_eq!(own.remedy, "havenctl steward refound");
        let others = said("fr-strasbourg", true, &[], missing(&["de-kehl", "lu-esch"]));
        assert_eq!(others.remedy, "at de-kehl: havenctl steward refound");
        let lost = RefoundingStatus { without_majority: all(&["de-kehl", "lu-esch"]), ..RefoundingStatus::default() };
        let found = said("be-liege", false, &[], lost);
        assert!(found.remedy.starts_with("at de-kehl: havenctl steward refound, at each steward"), "{found:?}");
        assert!(found.finding.ends_with("de-kehl, lu-esch came back without a vote"), "{found:?}");
    }

    #[test]
    fn refused_snapshots_are_counted() {
        assert_eq!(snapshots(0).result, CheckResult::Ok as i32);
        let found = snapshots(3);
        assert_eq!(found.result, CheckResult::Warning as i32);
        assert!(
            found.finding.starts_with("3 snapshots") && found.remedy.contains("journalctl -u havenlink"),
            "{found:?}"
        );
    }
}
