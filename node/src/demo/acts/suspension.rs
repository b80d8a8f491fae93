//! Kehl is suspended by two stewards: nothing passes any more, it still votes, and it is restored by two.

use std::time::Instant;

use havenlink_proto::admin::v1::{
    ApproveProposalRequest, Decision, NodeState, ProposePolicyRequest, RestoreMemberRequest, SuspendMemberRequest,
};
use havenlink_proto::directory::v1::{Outcome, Policy, SuspendReason};
use havenlink_proto::local::v1::PublishRecordRequest;
use havenlink_proto::record::v1::{Purpose, Tlp};

use super::{reason_of, request_id, stream, until};
use crate::demo::city::{City, PATIENCE};
use crate::demo::stage::Stage;
use crate::demo::{Cities, sample};

pub async fn play(stage: &mut Stage, cities: &mut Cities) -> anyhow::Result<()> {
    let Cities { strasbourg, kehl, esch } = cities;
    let mut stream = stream::open(kehl, strasbourg).await?;
    let step =
        stage.step("Strasbourg and Esch, two of three stewards, suspend Kehl, which has a stream open to Strasbourg");
    let started = Instant::now();
    let proposed = strasbourg
        .members()
        .await?
        .suspend_member(SuspendMemberRequest {
            request_id: request_id(),
            authority: kehl.id().to_owned(),
            reason: SuspendReason::OwnRequest.into(),
            lasting: true,
        })
        .await?
        .into_inner()
        .decision
        .unwrap_or_default();
    let decided = approve(esch, &proposed).await?;
    kehl.until("it knows that it is suspended", |s| s.state() == NodeState::Suspended).await?;
    // Strasbourg ends it, as soon as its own register has the decision; how soon that was is printed.
    let ended = tokio::time::timeout(PATIENCE, stream::ended(&mut stream)).await.is_ok();
    stage.saw(if ended { "its open stream has ended" } else { "its open stream goes on" });
    stage.check(
        &step,
        ended && decided.outcome() == Outcome::Accepted,
        format!("in force everywhere {} ms after the first signature", started.elapsed().as_millis()),
    );

    let step = stage.step("Strasbourg publishes for Kehl, and Kehl for Strasbourg");
    let from_strasbourg = publish(strasbourg, kehl.id()).await;
    let from_kehl = publish(kehl, strasbourg.id()).await;
    let mut as_it_should_be = true;
    for (who, result) in [("Strasbourg", from_strasbourg), ("Kehl", from_kehl)] {
        match result {
            Ok(()) => as_it_should_be = false,
            Err(status) => {
                as_it_should_be &= reason_of(&status) == "MEMBER_SUSPENDED";
                stage.saw(format!("{who}: {}", reason_of(&status)));
            }
        }
    }
    stage.check(&step, as_it_should_be, "nothing passes any more, in either direction");

    vote(stage, strasbourg, kehl).await?;

    let step = stage.step("Kehl restored, by Strasbourg and Esch");
    let proposed = strasbourg
        .members()
        .await?
        .restore_member(RestoreMemberRequest { request_id: request_id(), authority: kehl.id().to_owned() })
        .await?
        .into_inner()
        .decision
        .unwrap_or_default();
    let decided = approve(esch, &proposed).await?;
    kehl.ready().await?;
    publish_until_accepted(strasbourg, kehl.id()).await?;
    stage.check(&step, decided.outcome() == Outcome::Accepted, "and the next alert passes");
    Ok(())
}

/// Suspended from exchange, Kehl still votes: its approval makes the majority.
async fn vote(stage: &mut Stage, strasbourg: &City, kehl: &City) -> anyhow::Result<()> {
    let step = stage.step("Strasbourg proposes a rule, and Kehl, still suspended, approves it");
    let policy = Policy {
        rules_version: 1,
        admission_approvals: 2,
        emergency_ms: 86_400_000,
        freshness_limit_ms: 600_000,
        beat_interval_ms: 10_000,
        snapshot_interval: 4_096,
        proposal_life_ms: 7 * 86_400_000,
    };
    let proposed = strasbourg
        .members()
        .await?
        .propose_policy(ProposePolicyRequest { request_id: request_id(), policy: Some(policy), leave_behind: false })
        .await?
        .into_inner()
        .decision
        .unwrap_or_default();
    let decided = approve(kehl, &proposed).await?;
    let seen = format!("a sign of life every 10 s from now on; approved by {}", decided.approved_by.join(", "));
    stage.check(&step, decided.outcome() == Outcome::Accepted, seen);
    Ok(())
}

async fn approve(city: &City, proposed: &Decision) -> anyhow::Result<Decision> {
    if proposed.outcome() == Outcome::Accepted {
        return Ok(proposed.clone());
    }
    let members = city.members().await?;
    until("the proposal reached the other steward", || {
        let mut members = members.clone();
        let request = ApproveProposalRequest { request_id: request_id(), proposal_id: proposed.statement_id.clone() };
        async move {
            match members.approve_proposal(request).await {
                Ok(answer) => Ok(answer.into_inner().decision),
                Err(status) if reason_of(&status) == "PROPOSAL_UNKNOWN" => Ok(None),
                Err(status) => Err(status.into()),
            }
        }
    })
    .await
}

async fn publish(from: &City, to: &str) -> Result<(), tonic::Status> {
    let mut side = from.publisher().await.map_err(|e| tonic::Status::unavailable(e.to_string()))?;
    let request = PublishRecordRequest {
        request_id: request_id(),
        sharing: Some(sample::sharing(&[to], Purpose::Prevention, Tlp::Green)),
        content: Some(sample::advert_alert().into()),
        ..Default::default()
    };
    side.publish_record(request).await.map(drop)
}

async fn publish_until_accepted(from: &City, to: &str) -> anyhow::Result<()> {
    until("an alert passes again", || async {
        match publish(from, to).await {
            Ok(()) => Ok(Some(())),
            Err(status) if reason_of(&status) == "MEMBER_SUSPENDED" => Ok(None),
            Err(status) => Err(status.into()),
        }
    })
    .await
}
