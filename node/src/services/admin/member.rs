//! Governing the federation with others: invitations, admission, suspension, stewards, own entry, policy, keys.

use std::sync::Arc;

use havenlink_proto::admin::v1 as admin;
use havenlink_proto::admin::v1::member_service_server::MemberService;
use havenlink_proto::directory::v1 as directory;
use tonic::{Request, Response, Status};

use crate::directory::acts::steward_set;
use crate::directory::state::RegisterState;
use crate::directory::{RefoundingPlan, WithoutProof};
use crate::domain::audit::Actor;
use crate::domain::authority::KeyRecord;
use crate::domain::ids::{AuthorityId, Digest, InvitationId, StatementId};
use crate::domain::reason::Reason;
use crate::domain::register::{Decided, RejectionReason, RemoveReason, SuspendReason};
use crate::domain::statement::{self, Remove, Restore, Suspend};
use crate::domain::time::{Millis, UnixMs};
use crate::exchange::Road;
use crate::exchange::governance::{Governance, Pending};
use crate::exchange::join::{Inviter, PendingApplication};
use crate::services::actor::Codes;
use crate::services::admin::configured::Configured;
use crate::services::admin::decision as shown;
use crate::services::call::call;
use crate::services::layers::Now;
use crate::services::{errors, page};
use crate::wire::{self, acts, entry, fields, invitation, member};

/// Changes the authority's own key: makes and stores the new one, says so to the register, and uses it from then on.
#[tonic::async_trait]
pub trait KeyRotation: Send + Sync + 'static {
    /// Rotates; `compromised`: nothing signed with the old key verifies any more.
    async fn rotate(&self, compromised: bool, actor: Actor) -> Result<Decided, Status>;
}

pub struct Members {
    pub governance: Governance,
    pub inviter: Inviter,
    pub rotation: Arc<dyn KeyRotation>,
    /// Asks members what their nodes know.
    pub road: Arc<Road>,
    pub codes: Codes,
    pub now: Now,
    /// The highest rules that this node can apply.
    pub known_rules: u32,
    /// What the configuration says of what the register lists.
    pub configured: Configured,
}

type Answer<T> = Result<Response<T>, Status>;

const LIST: &str = "members";

fn authority(text: &str) -> Result<AuthorityId, Status> {
    fields::authority("authority", text).map_err(|e| errors::field(&e))
}

fn closed_enum<T>(field: &str, number: i32, from_code: impl Fn(i32) -> Option<T>) -> Result<T, Status> {
    if number == 0 {
        return Err(errors::field(&wire::Error::missing(field)));
    }
    from_code(number).ok_or_else(|| errors::field(&wire::Error::unknown(field, number)))
}

pub(super) fn decision(decided: Decided) -> Option<admin::Decision> {
    Some(admin::Decision {
        statement_id: fields::bytes_of(decided.applied.statement.as_bytes()),
        outcome: decided.applied.outcome.code(),
        number: decided.applied.number,
        approved_by: decided.approved_by.iter().map(ToString::to_string).collect(),
        needed: u32::try_from(decided.needed).unwrap_or(u32::MAX),
        overlay: decided.overlay,
    })
}

fn names(of: &[AuthorityId]) -> Vec<String> {
    of.iter().map(ToString::to_string).collect()
}

fn refounding(plan: &RefoundingPlan) -> admin::RefoundResponse {
    admin::RefoundResponse {
        founding: plan.founding,
        base_founding: plan.base.founding,
        base_number: plan.base.number,
        base_head: fields::bytes_of(plan.base_head.as_bytes()),
        base_time_ms: plan.base_time.0,
        stewards: names(&plan.stewards),
        left_out: names(&plan.left_out),
        missing: names(&plan.missing),
        above: plan.above,
    }
}

fn application(waiting: &PendingApplication) -> admin::Application {
    admin::Application {
        authority: waiting.application.authority.to_string(),
        entry: invitation::entry_of(&waiting.application),
        invitation_id: fields::bytes_of(waiting.invitation.as_bytes()),
        received_ms: waiting.received.0,
        failed_words: waiting.failed_words,
    }
}

impl Members {
    /// Asks for a decision; `asked` says what it is in a state of the register.
    async fn decide(
        &self,
        asked: impl Fn(&RegisterState) -> Result<statement::Decision, Reason> + Send + Sync,
        actor: Actor,
    ) -> Result<Option<admin::Decision>, Status> {
        let decided = self.governance.decisions.decide(asked, actor).await;
        decided.map(decision).map_err(|e| errors::governing(&e))
    }

    async fn applications(&self) -> Result<Vec<admin::Application>, Status> {
        let waiting = self.inviter.applications().await.map_err(|e| errors::joining(&e))?;
        Ok(waiting.iter().map(application).collect())
    }

    fn pending_about(&self, about: impl Fn(&Pending) -> bool) -> Vec<admin::PendingDecision> {
        self.governance.pending().iter().filter(|p| about(p)).map(shown::with_content).collect()
    }
}

#[tonic::async_trait]
impl MemberService for Members {
    async fn create_invitation(
        &self,
        request: Request<admin::CreateInvitationRequest>,
    ) -> Answer<admin::CreateInvitationResponse> {
        let call = call(&self.codes, &request, &request.get_ref().request_id)?;
        let asked = request.into_inner();
        let intended = fields::authority("intended_for", &asked.intended_for).map_err(|e| errors::field(&e))?;
        let created = self.inviter.create(intended, Millis(asked.expires_in_ms), &call).await;
        let created = created.map_err(|e| errors::joining(&e))?;
        Ok(Response::new(admin::CreateInvitationResponse {
            invitation_id: fields::bytes_of(created.id.as_bytes()),
            token: created.token,
            expires_ms: created.expires.0,
        }))
    }

    async fn list_invitations(
        &self,
        _request: Request<admin::ListInvitationsRequest>,
    ) -> Answer<admin::ListInvitationsResponse> {
        let listed = self.inviter.list().await.map_err(|e| errors::joining(&e))?;
        let invitations = listed.into_iter().map(|i| {
            let (unreadable, summary) = match i.summary {
                Ok(summary) => (String::new(), Some(summary)),
                Err(unreadable) => (unreadable.reason.code().to_owned(), None),
            };
            admin::InvitationSummary {
                invitation_id: fields::bytes_of(i.id.as_bytes()),
                intended_for: summary.as_ref().map(|s| s.intended_for.to_string()).unwrap_or_default(),
                expires_ms: summary.as_ref().map_or(0, |s| s.expires.0),
                state: summary.map_or(0, |s| s.state.code()),
                unreadable,
            }
        });
        Ok(Response::new(admin::ListInvitationsResponse { invitations: invitations.collect() }))
    }

    async fn revoke_invitation(
        &self,
        request: Request<admin::RevokeInvitationRequest>,
    ) -> Answer<admin::RevokeInvitationResponse> {
        let id = fields::id("invitation_id", &request.get_ref().invitation_id, InvitationId::from_slice);
        self.inviter.revoke(id.map_err(|e| errors::field(&e))?).await.map_err(|e| errors::joining(&e))?;
        Ok(Response::new(admin::RevokeInvitationResponse {}))
    }

    async fn list_members(&self, request: Request<admin::ListMembersRequest>) -> Answer<admin::ListMembersResponse> {
        let asked = request.into_inner();
        let (size, place) = (page::size(asked.page_size)?, page::cursor(LIST, &asked.page_token)?);
        let mut response = admin::ListMembersResponse::default();
        if place.is_none() {
            response.pending = self.pending_about(|_| true);
            response.applications = self.applications().await?;
        }
        if asked.pending {
            return Ok(Response::new(response));
        }
        let (view, now) = (self.governance.view(), (self.now)());
        let after = place.and_then(|bytes| String::from_utf8(bytes).ok());
        let ids = view.members.keys().filter(|id| after.as_deref().is_none_or(|after| id.as_str() > after));
        let ids: Vec<_> = ids.take(size + 1).collect();
        if ids.len() > size {
            response.next_page_token = page::token(LIST, ids[size - 1].as_str().as_bytes());
        }
        response.members = ids.into_iter().take(size).filter_map(|id| member::to_proto(&view, id, now)).collect();
        Ok(Response::new(response))
    }

    async fn show_member(&self, request: Request<admin::ShowMemberRequest>) -> Answer<admin::ShowMemberResponse> {
        let id = authority(&request.get_ref().authority)?;
        let member = member::to_proto(&self.governance.view(), &id, (self.now)());
        let application = self.applications().await?.into_iter().find(|a| a.authority == id.as_str());
        let pending = self.pending_about(|p| p.subject == id.as_str());
        if member.is_none() && application.is_none() && pending.is_empty() {
            return Err(errors::refuse(Reason::MemberUnknown));
        }
        let keys = self.governance.view().member(&id).map(|member| member.keys.iter().map(key).collect());
        let keys = keys.unwrap_or_default();
        Ok(Response::new(admin::ShowMemberResponse { member, application, pending, keys }))
    }

    async fn approve_member(
        &self,
        request: Request<admin::ApproveMemberRequest>,
    ) -> Answer<admin::ApproveMemberResponse> {
        let actor = self.codes.actor(&request)?;
        let asked = request.into_inner();
        let approved = self.inviter.approve(&authority(&asked.authority)?, &asked.words, actor).await;
        let decision = decision(approved.map_err(|e| errors::joining(&e))?);
        Ok(Response::new(admin::ApproveMemberResponse { decision }))
    }

    async fn reject_member(&self, request: Request<admin::RejectMemberRequest>) -> Answer<admin::RejectMemberResponse> {
        let actor = self.codes.actor(&request)?;
        let asked = request.into_inner();
        let reason = closed_enum("reason", asked.reason, RejectionReason::from_code)?;
        let rejected = self.inviter.reject(&authority(&asked.authority)?, reason, actor).await;
        let rejected = rejected.map_err(|e| errors::joining(&e))?;
        // Not proposed yet: nothing in the register to reject, the applicant is told all the same.
        let closed = admin::Decision { outcome: directory::Outcome::Accepted.into(), ..Default::default() };
        let decision = rejected.map_or(Some(closed), decision);
        Ok(Response::new(admin::RejectMemberResponse { decision }))
    }

    async fn suspend_member(
        &self,
        request: Request<admin::SuspendMemberRequest>,
    ) -> Answer<admin::SuspendMemberResponse> {
        let actor = self.codes.actor(&request)?;
        let asked = request.into_inner();
        let (target, reason) =
            (authority(&asked.authority)?, closed_enum("reason", asked.reason, SuspendReason::from_code)?);
        let overlay = match self.governance.suspend(&target, reason, actor).await {
            Ok(emergency) if !asked.lasting => {
                let decision = decision(emergency);
                return Ok(Response::new(admin::SuspendMemberResponse { decision }));
            }
            Ok(emergency) => emergency.overlay,
            // Whoever has used its emergency up may still ask the majority.
            Err(error) if asked.lasting && error.reason() == Reason::EmergencyUsed => false,
            Err(error) => return Err(errors::governing(&error)),
        };
        let suspend = |_: &RegisterState| Ok(statement::Decision::about(target.clone(), Suspend { reason }));
        let lasting = self.governance.decisions.decide(suspend, actor).await;
        let lasting = lasting.map_err(|e| errors::governing(&e))?;
        let decision = decision(Decided { overlay, ..lasting });
        Ok(Response::new(admin::SuspendMemberResponse { decision }))
    }

    async fn restore_member(
        &self,
        request: Request<admin::RestoreMemberRequest>,
    ) -> Answer<admin::RestoreMemberResponse> {
        let actor = self.codes.actor(&request)?;
        let target = authority(&request.get_ref().authority)?;
        let restore = |_: &RegisterState| {
            let lifts = self.governance.emergencies(&target);
            Ok(statement::Decision::about(target.clone(), Restore { lifts }))
        };
        let decision = self.decide(restore, actor).await?;
        Ok(Response::new(admin::RestoreMemberResponse { decision }))
    }

    async fn remove_member(&self, request: Request<admin::RemoveMemberRequest>) -> Answer<admin::RemoveMemberResponse> {
        let actor = self.codes.actor(&request)?;
        let asked = request.into_inner();
        let (target, reason) =
            (authority(&asked.authority)?, closed_enum("reason", asked.reason, RemoveReason::from_code)?);
        let remove = |_: &RegisterState| Ok(statement::Decision::about(target.clone(), Remove { reason }));
        let decision = self.decide(remove, actor).await?;
        Ok(Response::new(admin::RemoveMemberResponse { decision }))
    }

    async fn approve_proposal(
        &self,
        request: Request<admin::ApproveProposalRequest>,
    ) -> Answer<admin::ApproveProposalResponse> {
        let actor = self.codes.actor(&request)?;
        let id = fields::id("proposal_id", &request.get_ref().proposal_id, StatementId::from_slice);
        let id = id.map_err(|e| errors::field(&e))?;
        let approved = self.governance.approve(&id, actor).await.map_err(|e| errors::governing(&e))?;
        let decision = decision(approved);
        Ok(Response::new(admin::ApproveProposalResponse { decision }))
    }

    async fn promote_steward(
        &self,
        request: Request<admin::PromoteStewardRequest>,
    ) -> Answer<admin::PromoteStewardResponse> {
        let actor = self.codes.actor(&request)?;
        let target = authority(&request.get_ref().authority)?;
        let decision = self.decide(|state| Ok(steward_set::promoted(state, &target)?.into()), actor).await?;
        Ok(Response::new(admin::PromoteStewardResponse { decision }))
    }

    async fn demote_steward(
        &self,
        request: Request<admin::DemoteStewardRequest>,
    ) -> Answer<admin::DemoteStewardResponse> {
        let actor = self.codes.actor(&request)?;
        let target = authority(&request.get_ref().authority)?;
        let decision = self.decide(|state| Ok(steward_set::demoted(state, &target)?.into()), actor).await?;
        Ok(Response::new(admin::DemoteStewardResponse { decision }))
    }

    async fn replace_steward(
        &self,
        request: Request<admin::ReplaceStewardRequest>,
    ) -> Answer<admin::ReplaceStewardResponse> {
        let actor = self.codes.actor(&request)?;
        let target = authority(&request.get_ref().authority)?;
        let decision = self.decide(|state| Ok(steward_set::replaced(state, &target)?.into()), actor).await?;
        Ok(Response::new(admin::ReplaceStewardResponse { decision }))
    }

    async fn update_entry(&self, request: Request<admin::UpdateEntryRequest>) -> Answer<admin::UpdateEntryResponse> {
        let actor = self.codes.actor(&request)?;
        let admin::UpdateEntryRequest { entry, version, .. } = request.into_inner();
        let entry = entry.ok_or_else(|| errors::field(&wire::Error::missing("entry")))?;
        let entry = entry::from_proto(entry).map_err(|e| errors::field(&e.within("entry")))?;
        let read = (version > 0).then_some(version);
        let differs = self.configured.differences(&entry).into_iter().map(|found| found.key.to_owned()).collect();
        let updated = self.governance.decisions.update_entry(entry, read, actor).await;
        let decision = decision(updated.map_err(|e| errors::governing(&e))?);
        Ok(Response::new(admin::UpdateEntryResponse { decision, differs }))
    }

    async fn propose_policy(
        &self,
        request: Request<admin::ProposePolicyRequest>,
    ) -> Answer<admin::ProposePolicyResponse> {
        let actor = self.codes.actor(&request)?;
        let admin::ProposePolicyRequest { policy, leave_behind, .. } = request.into_inner();
        let policy = policy.ok_or_else(|| errors::field(&wire::Error::missing("policy")))?;
        let present = self.governance.decisions.state();
        let policy = acts::policy_over(policy, present.policy()).map_err(|e| errors::field(&e))?;
        // What this node cannot apply itself is refused below, for that.
        let raised = present.policy().rules_version + 1..=self.known_rules;
        if raised.contains(&policy.rules_version) && !leave_behind {
            self.road.all_know_rules(policy.rules_version).await.map_err(|e| errors::exchange(&e))?;
        }
        let decision = self.decide(|_| Ok(policy.clone().into()), actor).await?;
        Ok(Response::new(admin::ProposePolicyResponse { decision }))
    }

    async fn retime(&self, request: Request<admin::RetimeRequest>) -> Answer<admin::RetimeResponse> {
        let actor = self.codes.actor(&request)?;
        let asked = request.into_inner();
        let time = (asked.time_ms > 0).then_some(UnixMs(asked.time_ms));
        let plan = self.governance.decisions.retiming(time).map_err(|e| errors::governing(&e))?;
        let (entry_time_ms, time_ms) = (plan.now.0, plan.time.0);
        let mut decided = None;
        if !asked.plan {
            decided = decision(self.governance.decisions.retime(plan, actor).await.map_err(|e| errors::governing(&e))?);
        }
        Ok(Response::new(admin::RetimeResponse { decision: decided, entry_time_ms, time_ms }))
    }

    async fn refound(&self, request: Request<admin::RefoundRequest>) -> Answer<admin::RefoundResponse> {
        let actor = self.codes.actor(&request)?;
        let asked = request.into_inner();
        let without = if asked.from_beginning { WithoutProof::FromBeginning } else { WithoutProof::Refuse };
        let plan = self.governance.refounding(without).await.map_err(|e| errors::governing(&e))?;
        let mut shown = refounding(&plan);
        if !asked.plan {
            let head = fields::id("base_head", &asked.base_head, Digest::from_slice).map_err(|e| errors::field(&e))?;
            let missing = self.governance.refound(asked.founding, head, without, actor).await;
            shown.missing = names(&missing.map_err(|e| errors::governing(&e))?);
        }
        Ok(Response::new(shown))
    }

    async fn choose_register(
        &self,
        request: Request<admin::ChooseRegisterRequest>,
    ) -> Answer<admin::ChooseRegisterResponse> {
        let actor = self.codes.actor(&request)?;
        let chosen = self.governance.choose_register(&request.get_ref().fingerprint, actor).await;
        let founding = chosen.map_err(|e| errors::governing(&e))?;
        Ok(Response::new(admin::ChooseRegisterResponse { founding }))
    }

    async fn rotate_key(&self, request: Request<admin::RotateKeyRequest>) -> Answer<admin::RotateKeyResponse> {
        let actor = self.codes.actor(&request)?;
        let decision = decision(self.rotation.rotate(request.get_ref().compromised, actor).await?);
        Ok(Response::new(admin::RotateKeyResponse { decision }))
    }

    async fn recover_key(&self, request: Request<admin::RecoverKeyRequest>) -> Answer<admin::RecoverKeyResponse> {
        let actor = self.codes.actor(&request)?;
        let asked = request.into_inner();
        let recovered = self.governance.decisions.recover_key(&authority(&asked.authority)?, asked.entry, actor).await;
        let decision = decision(recovered.map_err(|e| errors::governing(&e))?);
        Ok(Response::new(admin::RecoverKeyResponse { decision }))
    }
    async fn create_recovery_ticket(
        &self,
        request: Request<admin::CreateRecoveryTicketRequest>,
    ) -> Answer<admin::CreateRecoveryTicketResponse> {
        let target = authority(&request.get_ref().authority)?;
        let ticket = self.governance.decisions.recovery_ticket(&target).map_err(|e| errors::governing(&e))?;
        Ok(Response::new(admin::CreateRecoveryTicketResponse { ticket }))
    }
}

fn key(record: &KeyRecord) -> admin::MemberKey {
    admin::MemberKey {
        spki: fields::bytes_of(&record.key.0),
        replaced_ms: record.replaced_at.map_or(0, |at| at.0),
        compromised: record.compromised,
    }
}
