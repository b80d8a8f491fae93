//! What the doctor sees of the register: this authority's place in it, the stewards, and what waits for a decision.

use futures_util::future::join_all;
use havenlink_proto::admin::v1::{Check, CheckResult};

use super::{Care, by, critical, ok, warning};
use crate::directory::{Reached, RefoundingStatus};
use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::AuthorityId;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::time::Millis;

/// How far the newest change may lie ahead of the stewards' beats.
const ENTRY_AHEAD: Millis = Millis::minutes(10);
/// Beyond this two clocks differ by more than the network explains.
const CLOCK_OFF: Millis = Millis::minutes(1);

/// Each other steward, and what it said or why it did not answer.
pub(super) type ReachedStewards = Vec<(AuthorityId, Result<Reached, Reason>)>;

fn names<'a>(of: impl IntoIterator<Item = &'a AuthorityId>) -> String {
    of.into_iter().map(AuthorityId::as_str).collect::<Vec<_>>().join(", ")
}

/// How a register that lies ahead is put right: on a steward, once the stewards can decide at all.
fn retiming(undecided: bool, view: &DirectoryView, own: &AuthorityId) -> String {
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

impl Care {
    pub(super) fn membership(&self) -> Check {
        let own = self.directory.authority();
        match self.directory.view().status(own, self.now()) {
            MemberStatus::Active => ok("membership", "a member in good standing"),
            MemberStatus::Suspended => critical(
                "membership",
                format!("{own} is suspended: nothing is sent or taken, everything waits"),
                format!(
                    "havenctl member show {own} tells until when; stewards let it in: havenctl member restore {own}"
                ),
            ),
            MemberStatus::Removed => critical(
                "membership",
                format!("{own} was removed from the federation"),
                "call a steward (havenctl status names them); a new invitation lets it in again: havenlink join TOKEN",
            ),
            MemberStatus::Unknown => by("membership", Reason::NodeStarting, CheckResult::Warning),
        }
    }

    pub(super) fn freshness(&self) -> Check {
        let (view, now) = (self.directory.view(), self.now());
        if let Some(at) = view.majority_beat
            && view.is_fresh(now)
        {
            return ok(
                "freshness",
                format!("a majority of stewards confirmed it {} s ago", now.since(at).0.max(0) / 1_000),
            );
        }
        let beats = self.directory.beats();
        let heard = |id: &AuthorityId| {
            beats.iter().any(|b| b.steward == *id && now.since(b.time) <= view.policy.freshness_limit)
        };
        let silent = view.stewards.iter().map(|s| &s.authority).filter(|id| !heard(id));
        warning(
            "freshness",
            "the register was not confirmed by a majority of stewards lately: content about a person stops, all else goes on",
            format!("havenctl steward list; silent: {}. Call them, or mend the network to them", names(silent)),
        )
    }

    pub(super) fn forks(&self) -> Check {
        match self.directory.status().forks.first() {
            None => ok("forks", "every steward tells the same history"),
            Some(fork) => critical(
                "forks",
                format!(
                    "stewards signed different histories at change {}: one of them is faulty or hostile",
                    fork.number
                ),
                "havenctl directory status shows who signed what: call the other stewards, demote or suspend the one that \
                 is wrong, then systemctl restart havenlink",
            ),
        }
    }

    /// A leader that lost its majority still takes itself for the leader: what counts is who answers.
    pub(super) fn consensus(&self, reached: &ReachedStewards) -> Check {
        let status = self.directory.status();
        let answering = 1 + reached.iter().filter(|(_, r)| r.is_ok()).count();
        let leader = status.leader.filter(|_| answering >= self.directory.view().majority());
        match (status.steward, &status.raft_error, leader) {
            (true, Some(_), _) => critical(
                "consensus",
                "this steward takes no part in deciding: its log does not open",
                "journalctl -u havenlink tells why; then systemctl restart havenlink",
            ),
            (true, None, None) => critical(
                "consensus",
                "the stewards have no leader: nothing can be decided until a majority of them is back",
                "havenctl steward list shows who is silent: call them; on their machine systemctl start havenlink",
            ),
            (true, None, Some(leader)) => ok("consensus", format!("{leader} leads")),
            (false, ..) => match status.follows {
                Some(source) => ok("consensus", format!("this node follows {source}")),
                None => warning(
                    "consensus",
                    "no steward's register can be followed: what is decided does not arrive here",
                    "havenctl steward list shows who is silent: call them, or mend the network to them",
                ),
            },
        }
    }

    /// Whoever is named and does not vote counts for every majority, and adds to none.
    pub(super) fn votes(&self) -> Check {
        let (status, own) = (self.directory.status(), self.directory.authority());
        if let Some(check) = self.refounding(&status.refounding, own) {
            return check;
        }
        let view = self.directory.view();
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
    fn refounding(&self, now: &RefoundingStatus, own: &AuthorityId) -> Option<Check> {
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
        let at = if self.directory.view().is_steward(own) { String::new() } else { format!("at {first}: ") };
        let lost = names(&now.without_majority);
        Some(critical(
            "votes",
            format!(
                "no majority of the stewards can form again, and nothing can be decided: {lost} came back without a vote"
            ),
            format!(
                "{at}havenctl steward refound, at each steward, begins the order anew on what a majority had signed"
            ),
        ))
    }

    pub(super) fn snapshots(&self) -> Check {
        match self.directory.status().snapshots_refused {
            0 => ok("snapshots", "no snapshot of the register was refused"),
            count => warning(
                "snapshots",
                format!("{count} snapshots of the register that other nodes sent were refused since the start"),
                "journalctl -u havenlink names who sent them and why; havenctl directory status shows whether the \
                 stewards tell one history",
            ),
        }
    }

    /// Calls every other steward, and has it call back.
    pub(super) async fn reach_stewards(&self) -> ReachedStewards {
        let (view, own) = (self.directory.view(), self.directory.authority());
        let others = view.stewards.iter().map(|s| s.authority.clone()).filter(|id| id != own);
        join_all(others.map(|id| async move {
            let reached = self.directory.reach(&id, true).await.map_err(|error| error.reason());
            (id, reached)
        }))
        .await
    }

    pub(super) fn stewards(&self, reached: &ReachedStewards) -> Check {
        let silent = |(id, r): &'_ (AuthorityId, Result<Reached, Reason>)| r.is_err().then(|| id.clone());
        let silent: Vec<AuthorityId> = reached.iter().filter_map(silent).collect();
        let deaf = |(id, r): &'_ (AuthorityId, Result<Reached, Reason>)| match r {
            Ok(Reached { back: Some(reason), .. }) => Some(format!("{id} ({reason})")),
            _ => None,
        };
        let deaf: Vec<String> = reached.iter().filter_map(deaf).collect();
        if !deaf.is_empty() {
            let endpoints =
                self.directory.view().member(self.directory.authority()).map(|m| m.entry.endpoints.join(", "));
            return warning(
                "stewards",
                format!("they answer, but cannot call this node: {}", deaf.join(", ")),
                format!(
                    "open the firewall towards {}, or publish the right address: havenctl node update --endpoint HOST:PORT",
                    endpoints.unwrap_or_default()
                ),
            );
        }
        match silent.first() {
            None => ok("stewards", "this node and every other steward reach each other"),
            Some(first) => warning(
                "stewards",
                format!("no answer from {}", names(&silent)),
                format!(
                    "havenctl member show {first} names its address and its desk: call it; if it moved, havenctl node contact ADDRESS"
                ),
            ),
        }
    }

    pub(super) fn rules(&self) -> Check {
        match self.directory.status().stopped_by_rules {
            None => ok("rules", "this version knows the rules in force"),
            Some(version) => critical(
                "rules",
                format!(
                    "the federation raised its rules to version {version}, which this program does not know: it applies nothing more"
                ),
                "update havenlink (apt upgrade havenlink, or the released binary), then systemctl restart havenlink",
            ),
        }
    }

    /// Against every steward that answered; against their last signs of life where none did. Then against the partners.
    pub(super) fn clock(&self, reached: &ReachedStewards) -> Check {
        let told = reached.iter().filter_map(|(id, r)| Some((id.clone(), r.as_ref().ok()?.ahead?)));
        let mut told: Vec<(AuthorityId, Millis)> = told.collect();
        if told.is_empty() {
            // A sign of life ages: only one from the future shows anything.
            let ahead =
                |b: crate::wire::beat::Beat| (b.time > self.now()).then(|| (b.steward, b.time.since(self.now())));
            let others = self.directory.beats().into_iter().filter(|b| b.steward != *self.directory.authority());
            told = others.filter_map(ahead).collect();
        }
        if let Some((ahead, agreeing)) = self.directory.members_ahead()
            && ahead.0.abs() > CLOCK_OFF.0
        {
            return self.against_members(ahead, agreeing);
        }
        let worst = told.into_iter().max_by_key(|(_, ahead)| ahead.0.abs());
        let Some((steward, ahead)) = worst.filter(|(_, ahead)| ahead.0.abs() > CLOCK_OFF.0) else {
            return match self.exchange.road.worst_clock_difference() {
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
    fn against_members(&self, ahead: Millis, agreeing: usize) -> Check {
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

    /// Against the oldest beat of the newest majority: an entry that lies ahead of it was ordered by a wrong clock.
    pub(super) fn register_time(&self) -> Check {
        let (status, own) = (self.directory.status(), self.directory.authority());
        let ahead = status.majority_beat.map_or(Millis(0), |beat| status.entry_time.since(beat));
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
            retiming(self.refounding(&status.refounding, own).is_some(), &self.directory.view(), own),
        )
    }

    pub(super) async fn decisions(&self) -> Check {
        let words = self.inviter.applications().await.unwrap_or_default();
        let open = self.renewal.governance.pending();
        let open: Vec<_> = open.into_iter().filter(|p| p.waits_for_us).collect();
        let waiting = words.len() + open.len();
        if let Some(first) = words.first() {
            let authority = &first.application.authority;
            return warning(
                "decisions",
                format!("{waiting} wait for this authority; {authority} wants to join"),
                format!("call {authority} for its six words, then havenctl member approve {authority}"),
            );
        }
        match open.first() {
            None => ok("decisions", "nothing waits for this authority"),
            Some(first) => warning(
                "decisions",
                format!("{waiting} wait for this authority; {} {}", first.act, first.subject),
                "havenctl member list --pending shows them; havenctl member approve AUTHORITY agrees",
            ),
        }
    }
}
