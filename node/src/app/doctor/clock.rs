//! What the doctor makes of clocks: this one beside those of stewards, members and partners, and the register's time beside the
//! stewards' beats.

use havenlink_proto::admin::v1::Check;

use super::{critical, ok, warning};
use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::ClockDifference;

/// How far the newest change may lie ahead of the stewards' beats.
const ENTRY_AHEAD: Millis = Millis::minutes(10);
/// Beyond this two clocks differ by more than the network explains.
const CLOCK_OFF: Millis = Millis::minutes(1);

/// `told`: by how much each steward's clock is ahead of this one; `members`: of the only steward, by how much the clocks of
/// members that agree with each other are, and how many they are; `partner`: whose differs most.
pub(super) fn check(
    told: Vec<(AuthorityId, Millis)>,
    members: Option<(Millis, usize)>,
    partner: Option<ClockDifference>,
) -> Check {
    if let Some((ahead, agreeing)) = members
        && ahead.0.abs() > CLOCK_OFF.0
    {
        return against_members(ahead, agreeing);
    }
    let worst = told.into_iter().max_by_key(|(_, ahead)| ahead.0.abs());
    let Some((steward, ahead)) = worst.filter(|(_, ahead)| ahead.0.abs() > CLOCK_OFF.0) else {
        return match partner {
            None => ok("clock", "no steward's and no partner's clock differs from this one"),
            Some(differs) => warning("clock", differs.finding(), differs.remedy()),
        };
    };
    let side = if ahead.0 > 0 { "behind" } else { "ahead of" };
    let finding = format!("this clock is {} s {side} that of {steward}", ahead.0.abs() / 1_000);
    let remedy = format!("timedatectl shows the clock; timedatectl set-ntp true mends it, here or at {steward}");
    if ahead.0.abs() > limits::CLOCK_STOP.0 {
        return critical("clock", format!("{finding}: content about a person stops"), remedy);
    }
    warning("clock", finding, remedy)
}

/// Of the only steward: members that agree with each other say that its clock is wrong, and it orders nothing meanwhile.
fn against_members(ahead: Millis, agreeing: usize) -> Check {
    let side = if ahead.0 > 0 { "behind" } else { "ahead of" };
    critical(
        "clock",
        format!(
            "this clock is {} s {side} those of {agreeing} members that agree: this steward decides nothing",
            ahead.0.abs() / 1_000
        ),
        "timedatectl shows the clock; timedatectl set-ntp true mends it. If this one is right and theirs are not, start \
         this node with havenlink run --clock-is-right",
    )
}

/// How a register that lies ahead is put right: on a steward, once the stewards can decide at all.
pub(super) fn retiming(undecided: bool, view: &DirectoryView, own: &AuthorityId) -> String {
    let other = view.stewards.iter().map(|steward| &steward.authority).find(|_| !view.is_steward(own));
    match (undecided, other) {
        (true, _) => "first what votes says: nothing is decided before that".to_owned(),
        (false, Some(steward)) => format!("at {steward}: havenctl steward retime"),
        (false, None) => {
            "timedatectl set-ntp true on every steward, then havenctl steward retime, on one of them; the others \
                          agree with havenctl member approve"
                .to_owned()
        }
    }
}

/// Against the oldest beat of the newest majority: an entry that lies ahead of it was ordered by a wrong clock.
pub(super) fn register_time(newest: UnixMs, majority_beat: Option<UnixMs>, remedy: String) -> Check {
    let ahead = majority_beat.map_or(Millis(0), |beat| newest.since(beat));
    if ahead <= ENTRY_AHEAD {
        return ok("register-time", "the newest change lies in time");
    }
    warning(
        "register-time",
        format!(
            "the newest change lies {} min ahead of the stewards' clocks, from when one of them was wrong: changes are \
             decided and followed, and what ends by the register's time ends that much earlier",
            ahead.0 / 60_000
        ),
        remedy,
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use havenlink_proto::admin::v1::CheckResult;

    use super::*;
    use crate::domain::directory::Steward;
    use crate::exchange::Whose;

    fn id(text: &str) -> AuthorityId {
        AuthorityId::parse(text).unwrap()
    }

    #[test]
    fn a_change_from_the_future_is_put_right_by_retime() {
        let beat = UnixMs(1_800_000_000_000);
        let said = |newest, beat| register_time(newest, beat, "havenctl steward retime".to_owned());
        for in_time in [None, Some(beat)] {
            assert_eq!(said(beat + Millis::minutes(10), in_time).result, CheckResult::Ok as i32);
        }
        let found = said(beat + Millis::days(3), Some(beat));
        assert_eq!(found.result, CheckResult::Warning as i32);
        assert!(found.finding.contains("lies 4320 min ahead"), "{found:?}");
        assert!(found.remedy.contains("havenctl steward retime"), "{found:?}");
        assert_eq!(said(beat + Millis::minutes(11), Some(beat)).result, CheckResult::Warning as i32);
    }

    #[test]
    fn retime_is_typed_at_a_steward_once_the_stewards_can_decide() {
        let stewards = vec![Steward { authority: id("fr-strasbourg"), raft_id: 1 }];
        let view = DirectoryView { stewards: Arc::new(stewards), ..DirectoryView::default() };
        let own = retiming(false, &view, &id("fr-strasbourg"));
        assert!(own.contains("then havenctl steward retime, on one of them"), "{own}");
        assert_eq!(retiming(false, &view, &id("de-kehl")), "at fr-strasbourg: havenctl steward retime");
        assert!(!retiming(true, &view, &id("fr-strasbourg")).contains("havenctl"), "votes names the way then");
    }

    #[test]
    fn a_partners_clock_is_named_where_no_stewards_differs() {
        let theirs = || {
            let (partner, ahead) = (id("de-kehl"), Millis::hours(1));
            Some(ClockDifference { partner, ahead, whose: Whose::Theirs })
        };
        let steward = |ahead| vec![(id("lu-esch"), ahead)];
        assert_eq!(check(steward(Millis::seconds(30)), None, None).result, CheckResult::Ok as i32);
        let found = check(steward(Millis::seconds(30)), None, theirs());
        assert_eq!(found.result, CheckResult::Warning as i32);
        assert!(found.finding.starts_with("the clock of de-kehl is 3600 s ahead of this one"), "{found:?}");
        assert!(found.remedy.starts_with("havenctl member show de-kehl"), "{found:?}");
        let found = check(steward(Millis::minutes(2)), None, theirs());
        assert!(
            found.finding.starts_with("this clock is 120 s behind that of lu-esch"),
            "a steward's first: {found:?}"
        );
    }

    #[test]
    fn members_that_agree_stop_the_only_steward_and_name_the_way_past_them() {
        let found = check(vec![], Some((Millis::days(-3), 2)), None);
        assert_eq!(found.result, CheckResult::Critical as i32);
        assert!(found.finding.contains("259200 s ahead of those of 2 members that agree"), "{found:?}");
        assert!(found.remedy.contains("havenlink run --clock-is-right"), "{found:?}");
    }
}
