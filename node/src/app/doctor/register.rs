//! What the doctor sees of the register: this authority's place in it, the stewards, and what waits for a decision.

use futures_util::future::join_all;
use havenlink_proto::admin::v1::{Check, CheckResult};

use super::{Care, by, clock, critical, ok, order, warning};
use crate::directory::Reached;
use crate::domain::authority::MemberStatus;
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::time::Millis;

/// Each other steward, and what it said or why it did not answer.
pub(super) type ReachedStewards = Vec<(AuthorityId, Result<Reached, Reason>)>;

pub(super) fn names<'a>(of: impl IntoIterator<Item = &'a AuthorityId>) -> String {
    of.into_iter().map(AuthorityId::as_str).collect::<Vec<_>>().join(", ")
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
        if view.sources_missing > 0 && view.is_confirmed_lately(now) {
            return warning(
                "freshness",
                format!(
                    "no majority of stewards was heard for more than a day: until {} more of the other members show the same \
                     register, content about a person waits",
                    view.sources_missing
                ),
                "this node asks them by itself; if it stays so, havenctl doctor names whom it does not reach: call them, or mend \
                 the network to them",
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

    pub(super) fn votes(&self) -> Check {
        order::votes(&self.directory.status(), &self.directory.view(), self.directory.authority())
    }

    pub(super) fn snapshots(&self) -> Check {
        order::snapshots(self.directory.status().snapshots_refused)
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
        clock::check(told, self.directory.members_ahead(), self.exchange.road.worst_clock_difference())
    }

    pub(super) fn register_time(&self) -> Check {
        let (status, view, own) = (self.directory.status(), self.directory.view(), self.directory.authority());
        let undecided = order::refounding(&status.refounding, &view, own).is_some();
        let remedy = clock::retiming(undecided, &view, own);
        clock::register_time(status.entry_time, status.majority_beat, remedy)
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
