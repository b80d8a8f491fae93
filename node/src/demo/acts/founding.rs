//! Strasbourg founds the federation, Kehl and Esch join by invitation and six words, all three become stewards.

use havenlink_proto::admin::v1::{ApproveMemberRequest, CreateInvitationRequest, NodeState, PromoteStewardRequest};
use havenlink_proto::directory::v1::Outcome;

use super::request_id;
use crate::demo::Cities;
use crate::demo::city::City;
use crate::demo::stage::Stage;

pub async fn play(stage: &mut Stage, cities: &mut Cities) -> anyhow::Result<()> {
    let step = stage.step("Strasbourg founds a federation (havenlink init, havenlink run)");
    cities.strasbourg.once(&["init"]).await?;
    cities.strasbourg.start()?;
    let status = cities.strasbourg.ready().await?;
    stage.check(&step, status.steward, format!("federation {} with one steward", super::short(&status.federation_id)));

    let Cities { strasbourg, kehl, esch } = cities;
    join(stage, strasbourg, kehl).await?;
    join(stage, strasbourg, esch).await?;
    promote(stage, strasbourg, &mut [], kehl, 2).await?;
    promote(stage, strasbourg, &mut [kehl], esch, 3).await
}

/// One city joins by invitation and six words; the inviter approves.
pub async fn join(stage: &mut Stage, inviter: &mut City, applicant: &mut City) -> anyhow::Result<()> {
    let step =
        stage.step(&format!("{} joins with an invitation of {}", applicant.sample.name.1, inviter.sample.name.1));
    let mut members = inviter.members().await?;
    let invitation = members
        .create_invitation(CreateInvitationRequest {
            request_id: request_id(),
            intended_for: applicant.id().to_owned(),
            expires_in_ms: 0,
        })
        .await?
        .into_inner();
    let printed = applicant.once(&["join", &invitation.token]).await?;
    let words = six_words(&printed).ok_or_else(|| anyhow::anyhow!("join printed no six words:\n{printed}"))?;
    stage.saw(format!("{} reads out by phone: {words}", applicant.sample.name.1));
    applicant.start()?;
    applicant
        .until("it waits for approval", |s| s.state() == NodeState::NeedsApproval || s.state() == NodeState::Ready)
        .await?;
    let decision = members
        .approve_member(ApproveMemberRequest { request_id: request_id(), authority: applicant.id().to_owned(), words })
        .await?
        .into_inner()
        .decision
        .unwrap_or_default();
    let status = applicant.ready().await?;
    stage.check(
        &step,
        decision.outcome() == Outcome::Accepted,
        format!(
            "{} typed them, and {} is a member; register change {}",
            inviter.sample.name.1,
            applicant.id(),
            status.register_number
        ),
    );
    Ok(())
}

/// The line of six lower-case words in what `join` printed.
pub fn six_words(printed: &str) -> Option<String> {
    printed.lines().map(str::trim).find_map(|line| {
        let tail: Vec<&str> = line.rsplit(':').next()?.split_whitespace().collect();
        let words = tail.len() == 6 && tail.iter().all(|w| w.len() >= 3 && w.bytes().all(|b| b.is_ascii_lowercase()));
        words.then(|| tail.join(" "))
    })
}

/// A member becomes a steward, once as many stewards as needed have approved: `first` proposes, the others follow.
pub async fn promote(
    stage: &mut Stage,
    first: &mut City,
    others: &mut [&mut City],
    candidate: &mut City,
    size: usize,
) -> anyhow::Result<()> {
    let step = stage.step(&format!("{} becomes steward {size} of the register", candidate.sample.name.1));
    let request = |city: &City| PromoteStewardRequest {
        request_id: format!("{}-{}", request_id(), city.id().len()),
        authority: candidate.id().to_owned(),
    };
    let mut decision =
        first.members().await?.promote_steward(request(first)).await?.into_inner().decision.unwrap_or_default();
    for other in others.iter_mut() {
        if decision.outcome() == Outcome::Accepted {
            break;
        }
        stage.saw(format!("{} approves as well", other.sample.name.1));
        let proposal = decision.statement_id.clone();
        let mut members = other.members().await?;
        let approve =
            havenlink_proto::admin::v1::ApproveProposalRequest { request_id: request_id(), proposal_id: proposal };
        decision = super::until("the proposal reached the other steward", || {
            let (mut members, approve) = (members.clone(), approve.clone());
            async move {
                match members.approve_proposal(approve).await {
                    Ok(answer) => Ok(answer.into_inner().decision),
                    Err(status) if super::reason_of(&status) == "PROPOSAL_UNKNOWN" => Ok(None),
                    Err(status) => Err(status.into()),
                }
            }
        })
        .await?;
        members = other.members().await?;
        drop(members);
    }
    // Named is not yet voting: until the others count its vote, they cannot do without one of themselves.
    let status =
        candidate.until("it votes", |s| s.votes && s.state() == NodeState::Ready && s.stewards.len() >= size).await?;
    stage.check(
        &step,
        decision.outcome() == Outcome::Accepted && status.steward && status.votes,
        format!("{} stewards, register change {}", status.stewards.len(), status.register_number),
    );
    Ok(())
}
