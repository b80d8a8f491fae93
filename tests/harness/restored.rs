//! A suspended member restored, as operators do it: one steward proposes, another one approves.

use havenlink::demo::acts::{reason_of, request_id, until};
use havenlink::demo::city::City;
use havenlink_proto::admin::v1::{ApproveProposalRequest, RestoreMemberRequest};
use havenlink_proto::directory::v1::Outcome;
use tonic::{Code, Status};

/// Restores a member, by two stewards.
///
/// # Errors
/// When it does not happen in time, or is refused for a reason that does not pass.
pub async fn restored(first: &City, second: &City, member: &str) -> anyhow::Result<()> {
    until("two stewards restore it", || async {
        match once(first, second, member).await {
            Ok(()) => Ok(Some(())),
            // No leader yet; or the order, that waited for the quorum as well, came between: nobody lifts what they have not
            // seen, so it is proposed again.
            Err(status) if matches!(status.code(), Code::Unavailable | Code::Aborted) => Ok(None),
            Err(status) if reason_of(&status) == "PROPOSAL_UNKNOWN" => Ok(None),
            Err(status) => Err(status.into()),
        }
    })
    .await
}

async fn once(first: &City, second: &City, member: &str) -> Result<(), Status> {
    let gone = |error: anyhow::Error| Status::unavailable(error.to_string());
    let request = RestoreMemberRequest { request_id: request_id(), authority: member.to_owned() };
    let proposed = match first.members().await.map_err(gone)?.restore_member(request).await {
        Ok(answer) => answer.into_inner().decision.unwrap_or_default(),
        // Done by an attempt whose answer was lost.
        Err(status) if reason_of(&status) == "NOT_SUSPENDED" => return Ok(()),
        Err(status) => return Err(status),
    };
    let request = ApproveProposalRequest { request_id: request_id(), proposal_id: proposed.statement_id };
    let approved = second.members().await.map_err(gone)?.approve_proposal(request).await?;
    match approved.into_inner().decision.unwrap_or_default().outcome() {
        Outcome::Accepted => Ok(()),
        other => Err(Status::unavailable(format!("not decided: {other:?}"))),
    }
}
