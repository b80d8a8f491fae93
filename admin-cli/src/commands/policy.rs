//! `policy`: what a majority of stewards may change for all.

use clap::{Args, Subcommand};
use havenlink_proto::admin::v1::ProposePolicyRequest;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::directory::v1::Policy;

use super::{decision, plan};
use crate::confirm;
use crate::failure::Failure;
use crate::session::{Session, call};
use crate::when;

/// What a majority of stewards may change for all
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Proposes a change; what is not given stays as it is
    Propose {
        #[command(flatten)]
        change: Change,
        /// Also rules that nodes of members do not know, which stop following then
        #[arg(long)]
        leave_behind: bool,
        /// Does not ask; only other rules are asked about
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Change {
    /// Stewards that must approve an admission
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    admission_approvals: Option<u32>,
    /// Length of an emergency suspension
    #[arg(long, value_parser = when::parse_span, value_name = "SPAN")]
    emergency: Option<i64>,
    /// Age of the stewards' signs of life beyond which content about a person stops
    #[arg(long, value_parser = when::parse_span, value_name = "SPAN")]
    freshness_limit: Option<i64>,
    /// Between two signs of life
    #[arg(long, value_parser = when::parse_span, value_name = "SPAN")]
    beat_interval: Option<i64>,
    /// Changes between two snapshots
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    snapshot_interval: Option<u64>,
    /// How long a proposal and its approvals are good
    #[arg(long, value_parser = when::parse_span, value_name = "SPAN")]
    proposal_life: Option<i64>,
    /// Rules that apply from then on; nodes that do not know them stop following
    #[arg(long, value_name = "N")]
    rules_version: Option<u32>,
}

pub async fn run(session: &Session, Verb::Propose { change, leave_behind, yes }: Verb) -> Result<(), Failure> {
    if let Some(rules) = change.rules_version {
        confirm::severe(session, &format!("rules of version {rules}"), &[plan::RULES], "policy", yes)?;
    }
    let request = change.asked(session.request_id(), leave_behind);
    decision::show(session, "policy", call!(session, MemberServiceClient, propose_policy, request)?.decision)
}

impl Change {
    /// What is not given is 0, and stays as it is.
    fn asked(self, request_id: String, leave_behind: bool) -> ProposePolicyRequest {
        let policy = Policy {
            rules_version: self.rules_version.unwrap_or_default(),
            admission_approvals: self.admission_approvals.unwrap_or_default(),
            emergency_ms: self.emergency.unwrap_or_default(),
            freshness_limit_ms: self.freshness_limit.unwrap_or_default(),
            beat_interval_ms: self.beat_interval.unwrap_or_default(),
            snapshot_interval: self.snapshot_interval.unwrap_or_default(),
            proposal_life_ms: self.proposal_life.unwrap_or_default(),
        };
        ProposePolicyRequest { request_id, policy: Some(policy), leave_behind }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Noun};

    fn asked(arguments: &[&str]) -> ProposePolicyRequest {
        let line = ["havenctl", "policy", "propose"].iter().chain(arguments);
        match Cli::try_parse_from(line).unwrap().noun {
            Noun::Policy(Verb::Propose { change, leave_behind, .. }) => change.asked("r".into(), leave_behind),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn members_are_left_behind_only_where_that_was_typed() {
        let kept = asked(&["--rules-version", "2"]);
        assert_eq!((kept.policy.unwrap().rules_version, kept.leave_behind), (2, false));
        let left = asked(&["--rules-version", "2", "--leave-behind"]);
        assert_eq!((left.policy.unwrap().rules_version, left.leave_behind), (2, true));
    }
}
