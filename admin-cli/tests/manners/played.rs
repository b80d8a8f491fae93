//! A node that plays along, on `operator.sock` alone, and the tool run against it.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use havenlink_proto::admin::v1::member_service_server::{MemberService, MemberServiceServer};
use havenlink_proto::admin::v1::node_service_server::{NodeService, NodeServiceServer};
use havenlink_proto::admin::v1::*;
use havenlink_proto::directory::v1::{Outcome, Policy, Proposal, Remove, RemoveReason, proposal};
use havenlink_proto::local::v1::delivery_service_server::DeliveryServiceServer;
use havenlink_proto::local::v1::offer_service_server::OfferServiceServer;
use havenlink_proto::local::v1::record_service_server::RecordServiceServer;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::tables;

/// In the form of a token; longer than a line of it.
pub const TOKEN: &str = "hl1aaababcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwxyz234567abcde";

/// Answers as its tests want it.
#[derive(Clone, Default)]
pub struct Node {
    /// What was asked, where a test looks at it.
    pub asked: Arc<Mutex<Vec<String>>>,
    /// Whether its lists are those of `tables`.
    pub long_names: bool,
}

impl Node {
    /// Takes down a call.
    pub fn note(&self, call: String) {
        self.asked.lock().unwrap().push(call);
    }
}

const POLICY: Policy = Policy {
    rules_version: 1,
    admission_approvals: 2,
    emergency_ms: 86_400_000,
    freshness_limit_ms: 600_000,
    beat_interval_ms: 15_000,
    snapshot_interval: 4_096,
    proposal_life_ms: 604_800_000,
};

pub type Answer<T> = Result<Response<T>, Status>;

/// A refusal with its reason.
pub fn refused(code: Code, reason: &str, what: &str, exit_code: &str) -> Status {
    let mut details = ErrorDetails::new();
    let metadata = [("why", "a test says so"), ("remedy", "havenctl status"), ("exit_code", exit_code)];
    details.set_error_info(reason, "havenlink", metadata.map(|(k, v)| (k.to_owned(), v.to_owned())));
    Status::with_error_details(code, what, details)
}

#[tonic::async_trait]
impl NodeService for Node {
    async fn get_status(&self, request: Request<GetStatusRequest>) -> Answer<GetStatusResponse> {
        assert!(request.metadata().contains_key("grpc-timeout"), "every call has a deadline");
        Ok(Response::new(GetStatusResponse {
            authority: "fr-strasbourg".into(),
            state: NodeState::Ready.into(),
            version: "0.1.0".into(),
            fresh: true,
            register_head: vec![0xab; 32].into(),
            next: vec!["havenctl a".into(), "havenctl b".into(), "havenctl c".into()],
            ..Default::default()
        }))
    }
    async fn explain_reason(&self, request: Request<ExplainReasonRequest>) -> Answer<ExplainReasonResponse> {
        let code = request.into_inner().code;
        let mut answer =
            ExplainReasonResponse { nearest: vec!["NO_LEADER".into(), "NEWER_THAN_THIS".into()], ..Default::default() };
        if code == "NEWER_THAN_THIS" {
            answer = ExplainReasonResponse {
                code,
                what: "what a later version refuses".into(),
                why: "a later version".into(),
                remedy: "wait".into(),
                grpc_status: "UNAVAILABLE".into(),
                retryable: true,
                exit_code: 6,
                ..Default::default()
            };
        }
        Ok(Response::new(answer))
    }
    async fn renew_certificate(&self, _: Request<RenewCertificateRequest>) -> Answer<RenewCertificateResponse> {
        tokio::time::sleep(Duration::from_secs(30)).await;
        Err(Status::internal("never"))
    }
    async fn meet_address(&self, _: Request<MeetAddressRequest>) -> Answer<MeetAddressResponse> {
        Err(refused(Code::Unavailable, "PEER_UNREACHABLE", "nobody answers there", "0"))
    }
    async fn keep_contact(&self, _: Request<KeepContactRequest>) -> Answer<KeepContactResponse> {
        Err(refused(Code::Unavailable, "PEER_UNREACHABLE", "nobody answers there", "0"))
    }
    async fn run_doctor(&self, _: Request<RunDoctorRequest>) -> Answer<RunDoctorResponse> {
        if self.long_names {
            return Ok(Response::new(RunDoctorResponse { checks: tables::checks() }));
        }
        let check = |name: &str, result: CheckResult, remedy: &str| Check {
            name: name.into(),
            result: result.into(),
            finding: "as it is".into(),
            remedy: remedy.into(),
        };
        let checks =
            vec![check("clock", CheckResult::Ok, ""), check("backup", CheckResult::Warning, "havenlink backup")];
        Ok(Response::new(RunDoctorResponse { checks }))
    }
}

macro_rules! unanswered {
    ($($name:ident($request:ty) -> $response:ty;)+) => {
        $(fn $name<'a, 'b>(&'a self, _: Request<$request>) -> std::pin::Pin<Box<dyn Future<Output = Answer<$response>> + Send + 'b>>
        where 'a: 'b, Self: 'b {
            Box::pin(async { Err(refused(Code::FailedPrecondition, "NOT_A_STEWARD", "only a steward may do this", "3")) })
        })+
    };
}

#[tonic::async_trait]
impl MemberService for Node {
    async fn create_invitation(&self, request: Request<CreateInvitationRequest>) -> Answer<CreateInvitationResponse> {
        assert_eq!(request.get_ref().expires_in_ms, 48 * 3_600_000);
        Ok(Response::new(CreateInvitationResponse {
            token: TOKEN.into(),
            invitation_id: vec![1; 32].into(),
            expires_ms: 1_800_000_000_000,
        }))
    }
    async fn list_invitations(&self, _: Request<ListInvitationsRequest>) -> Answer<ListInvitationsResponse> {
        if self.long_names {
            return Ok(Response::new(ListInvitationsResponse { invitations: tables::invitations() }));
        }
        let invitation = InvitationSummary { invitation_id: vec![1; 32].into(), ..Default::default() };
        Ok(Response::new(ListInvitationsResponse { invitations: vec![invitation] }))
    }
    async fn revoke_invitation(&self, _: Request<RevokeInvitationRequest>) -> Answer<RevokeInvitationResponse> {
        Ok(Response::new(RevokeInvitationResponse {}))
    }
    async fn approve_member(&self, request: Request<ApproveMemberRequest>) -> Answer<ApproveMemberResponse> {
        assert_eq!(request.get_ref().words, "one two three four five six");
        Err(refused(Code::PermissionDenied, "WORDS_DIFFER", "the six words differ", "3"))
    }
    async fn show_member(&self, request: Request<ShowMemberRequest>) -> Answer<ShowMemberResponse> {
        let authority = request.into_inner().authority;
        let application = Application { authority, ..Default::default() };
        Ok(Response::new(ShowMemberResponse { application: Some(application), ..Default::default() }))
    }
    /// A removal and a policy wait for this steward, each on a page of its own.
    async fn list_members(&self, request: Request<ListMembersRequest>) -> Answer<ListMembersResponse> {
        if self.long_names {
            return Ok(Response::new(ListMembersResponse { members: tables::members(), ..Default::default() }));
        }
        let asks = |act| Some(Proposal { act: Some(act) });
        let open = |id: u8, act: &str, subject: &str| PendingDecision {
            proposal_id: vec![id; 32].into(),
            act: act.into(),
            subject: subject.into(),
            proposer: "fr-strasbourg".into(),
            approved_by: vec!["fr-strasbourg".into()],
            needed: 2,
            waits_for_us: true,
            ..Default::default()
        };
        let policy = |hours: i64| proposal::Act::Policy(Policy { emergency_ms: hours * 3_600_000, ..POLICY });
        let removal = proposal::Act::Remove(Remove { reason: RemoveReason::BreachOfRules.into() });
        let mut pending = vec![
            PendingDecision { proposed: asks(removal), ..open(0xaa, "REMOVE", "de-kehl") },
            PendingDecision {
                proposed: asks(policy(12)),
                replaced: asks(policy(24)),
                ..open(0xbb, "POLICY", "#policy")
            },
        ];
        let first = request.get_ref().page_token.is_empty();
        let next_page_token = if first { "2".to_owned() } else { String::new() };
        let pending = vec![pending.swap_remove(usize::from(!first))];
        Ok(Response::new(ListMembersResponse { pending, next_page_token, ..Default::default() }))
    }
    /// Leaves it open whether it was done, in the way that the authority's name asks for.
    async fn restore_member(&self, request: Request<RestoreMemberRequest>) -> Answer<RestoreMemberResponse> {
        Err(match request.get_ref().authority.as_str() {
            "xx-unknown" => refused(Code::Unavailable, "OUTCOME_UNKNOWN", "nobody can tell", "6"),
            "xx-unavailable" => Status::unavailable("too much to do"),
            "xx-late" => refused(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "it took too long", "8"),
            _ => refused(Code::FailedPrecondition, "NOT_A_STEWARD", "only a steward may do this", "3"),
        })
    }
    async fn approve_proposal(&self, _: Request<ApproveProposalRequest>) -> Answer<ApproveProposalResponse> {
        let decision = Some(Decision { outcome: Outcome::Accepted.into(), number: 7, ..Default::default() });
        Ok(Response::new(ApproveProposalResponse { decision }))
    }
    async fn promote_steward(&self, _: Request<PromoteStewardRequest>) -> Answer<PromoteStewardResponse> {
        let outcome = Outcome::RaftIdReused.into();
        let decision = Some(Decision { outcome, ..Default::default() });
        Ok(Response::new(PromoteStewardResponse { decision }))
    }
    unanswered! {
        reject_member(RejectMemberRequest) -> RejectMemberResponse;
        suspend_member(SuspendMemberRequest) -> SuspendMemberResponse;
        remove_member(RemoveMemberRequest) -> RemoveMemberResponse;
        demote_steward(DemoteStewardRequest) -> DemoteStewardResponse;
        replace_steward(ReplaceStewardRequest) -> ReplaceStewardResponse;
        update_entry(UpdateEntryRequest) -> UpdateEntryResponse;
        propose_policy(ProposePolicyRequest) -> ProposePolicyResponse;
        retime(RetimeRequest) -> RetimeResponse;
        rotate_key(RotateKeyRequest) -> RotateKeyResponse;
        refound(RefoundRequest) -> RefoundResponse;
        choose_register(ChooseRegisterRequest) -> ChooseRegisterResponse;
        recover_key(RecoverKeyRequest) -> RecoverKeyResponse;
        create_recovery_ticket(CreateRecoveryTicketRequest) -> CreateRecoveryTicketResponse;
    }
}

/// A node on `operator.sock` alone, and the tool run against it.
pub struct Played {
    dir: tempfile::TempDir,
    node: Node,
    _runtime: tokio::runtime::Runtime,
}

impl Played {
    pub fn new() -> Self {
        Self::of(Node::default())
    }

    /// A node whose lists are long.
    pub fn with_long_names() -> Self {
        Self::of(Node { long_names: true, ..Node::default() })
    }

    fn of(node: Node) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let path = dir.path().join("operator.sock");
        let listener = runtime.block_on(async { UnixListener::bind(path).unwrap() });
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(NodeServiceServer::new(node.clone()))
                .add_service(MemberServiceServer::new(node.clone()))
                .add_service(DeliveryServiceServer::new(node.clone()))
                .add_service(RecordServiceServer::new(node.clone()))
                .add_service(OfferServiceServer::new(node.clone()))
                .serve_with_incoming(UnixListenerStream::new(listener)),
        );
        Self { dir, node, _runtime: runtime }
    }

    /// What was asked since the last look.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.node.asked.lock().unwrap())
    }

    /// Where its sockets are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        run_in(self.dir.path(), arguments)
    }
}

/// Runs the tool on a machine with these sockets.
pub fn run_in(sockets: &Path, arguments: &[&str]) -> (i32, String, String) {
    told(&mut tool(sockets, arguments))
}

pub fn tool(sockets: &Path, arguments: &[&str]) -> Command {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_havenctl"));
    tool.args(arguments).env("HAVENLINK_SOCKETS", sockets).env_remove("COLUMNS").stdin(std::process::Stdio::null());
    tool
}

pub fn told(tool: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = tool.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}
