//! The binary against a node that plays along: what goes to stdout, what to stderr, which exit code.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use havenlink_proto::admin::v1::member_service_server::{MemberService, MemberServiceServer};
use havenlink_proto::admin::v1::node_service_server::{NodeService, NodeServiceServer};
use havenlink_proto::admin::v1::*;
use havenlink_proto::directory::v1::{Outcome, Policy, Remove, RemoveReason};
use havenlink_proto::local::v1::delivery_service_server::{DeliveryService, DeliveryServiceServer};
use havenlink_proto::local::v1::{
    Delivery, DeliveryState, ListDeliveriesRequest, ListDeliveriesResponse, WatchDeliveriesRequest,
    WatchDeliveriesResponse,
};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

struct Node;

const POLICY: Policy = Policy {
    rules_version: 1,
    admission_approvals: 2,
    emergency_ms: 86_400_000,
    freshness_limit_ms: 600_000,
    beat_interval_ms: 15_000,
    snapshot_interval: 4_096,
    proposal_life_ms: 604_800_000,
};

type Answer<T> = Result<Response<T>, Status>;

fn refused(code: Code, reason: &str, what: &str, exit_code: &str) -> Status {
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
        let mut answer = ExplainReasonResponse { nearest: vec!["NO_LEADER".into()], ..Default::default() };
        if code == "NO_LEADER" {
            answer = ExplainReasonResponse {
                code,
                what: "the stewards have no leader".into(),
                why: "an election".into(),
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
    async fn run_doctor(&self, _: Request<RunDoctorRequest>) -> Answer<RunDoctorResponse> {
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
            token: "hl1abc".into(),
            invitation_id: vec![1; 32].into(),
            expires_ms: 1_800_000_000_000,
        }))
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
    /// A removal and a policy wait for this steward.
    async fn list_members(&self, _: Request<ListMembersRequest>) -> Answer<ListMembersResponse> {
        let content = |content| Some(DecisionContent { content: Some(content) });
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
        let policy =
            |hours: i64| decision_content::Content::Policy(Policy { emergency_ms: hours * 3_600_000, ..POLICY });
        let removal = decision_content::Content::Remove(Remove { reason: RemoveReason::BreachOfRules.into() });
        let pending = vec![
            PendingDecision { proposed: content(removal), ..open(0xaa, "REMOVE", "de-kehl") },
            PendingDecision {
                proposed: content(policy(12)),
                present: content(policy(24)),
                ..open(0xbb, "POLICY", "#policy")
            },
        ];
        Ok(Response::new(ListMembersResponse { pending, ..Default::default() }))
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
        list_invitations(ListInvitationsRequest) -> ListInvitationsResponse;
        revoke_invitation(RevokeInvitationRequest) -> RevokeInvitationResponse;
        reject_member(RejectMemberRequest) -> RejectMemberResponse;
        suspend_member(SuspendMemberRequest) -> SuspendMemberResponse;
        restore_member(RestoreMemberRequest) -> RestoreMemberResponse;
        remove_member(RemoveMemberRequest) -> RemoveMemberResponse;
        demote_steward(DemoteStewardRequest) -> DemoteStewardResponse;
        replace_steward(ReplaceStewardRequest) -> ReplaceStewardResponse;
        update_entry(UpdateEntryRequest) -> UpdateEntryResponse;
        propose_policy(ProposePolicyRequest) -> ProposePolicyResponse;
        rotate_key(RotateKeyRequest) -> RotateKeyResponse;
        recover_key(RecoverKeyRequest) -> RecoverKeyResponse;
        create_recovery_ticket(CreateRecoveryTicketRequest) -> CreateRecoveryTicketResponse;
    }
}

#[tonic::async_trait]
impl DeliveryService for Node {
    type WatchDeliveriesStream = tokio_stream::Empty<Result<WatchDeliveriesResponse, Status>>;

    /// Two pages of two.
    async fn list_deliveries(&self, request: Request<ListDeliveriesRequest>) -> Answer<ListDeliveriesResponse> {
        let second = !request.get_ref().page_token.is_empty();
        let delivery = |n: u8| Delivery {
            recipient: format!("de-kehl-{n}"),
            record_id: vec![n; 16].into(),
            state: DeliveryState::Delivered.into(),
            queued_ms: 1_700_000_000_000,
            finished_ms: 1_700_000_060_000,
            ..Default::default()
        };
        let deliveries = if second { vec![delivery(3), delivery(4)] } else { vec![delivery(1), delivery(2)] };
        let next_page_token = if second { String::new() } else { "2".into() };
        Ok(Response::new(ListDeliveriesResponse { deliveries, next_page_token }))
    }
    async fn watch_deliveries(&self, _: Request<WatchDeliveriesRequest>) -> Answer<Self::WatchDeliveriesStream> {
        Ok(Response::new(tokio_stream::empty()))
    }
}

/// A node on `operator.sock` alone, and the tool run against it.
struct Played {
    dir: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Played {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let path = dir.path().join("operator.sock");
        let listener = runtime.block_on(async { UnixListener::bind(path).unwrap() });
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(NodeServiceServer::new(Node))
                .add_service(MemberServiceServer::new(Node))
                .add_service(DeliveryServiceServer::new(Node))
                .serve_with_incoming(UnixListenerStream::new(listener)),
        );
        Self { dir, _runtime: runtime }
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        run_in(self.dir.path(), arguments)
    }
}

fn run_in(sockets: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_havenctl"))
        .args(arguments)
        .env("HAVENLINK_SOCKETS", sockets)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn data_goes_to_stdout_and_hints_to_stderr() {
    let node = Played::new();
    let (code, out, err) = node.run(&["status"]);
    assert_eq!((code, out.lines().next()), (0, Some("fr-strasbourg  READY   member   v0.1.0")));
    assert_eq!(err, "next: havenctl a    havenctl b\n", "two at most");
    let (code, out, err) = node.run(&["status", "-o", "json"]);
    assert_eq!((code, err.as_str()), (0, ""), "programs get no hints");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((json["state"].as_str(), json["register_head"].as_str()), (Some("READY"), Some(&*"ab".repeat(32))));
}

#[test]
fn a_token_stands_alone_on_stdout() {
    let (code, out, err) = Played::new().run(&["invite", "create", "--for", "de-kehl"]);
    assert_eq!((code, out.as_str()), (0, "hl1abc\n"));
    assert!(err.contains("for de-kehl alone") && err.contains("next: over there: havenlink join TOKEN"), "{err}");
}

#[test]
fn pages_become_one_list_in_every_form() {
    let node = Played::new();
    let (_, out, _) = node.run(&["delivery", "list", "-o", "jsonl"]);
    assert_eq!(out.lines().count(), 4);
    let (_, out, _) = node.run(&["delivery", "list", "-o", "csv"]);
    assert_eq!(out.lines().next(), Some("to,state,reason,attempts,kind,record,queued,finished,next_attempt"));
    assert!(out.contains(
        "de-kehl-4,DELIVERED,,0,,04040404-0404-0404-0404-040404040404,2023-11-14T22:13:20Z,2023-11-14T22:14:20Z,"
    ));
    let (_, out, err) = node.run(&["delivery", "list", "--limit", "1"]);
    assert_eq!((out.lines().count(), err.as_str()), (3, "there is more: --limit 0 shows all\n"), "a header, one page");
    assert!(!out.contains("REASON"), "a column in which nothing stands is left out");
}

#[test]
fn a_refusal_tells_why_and_what_to_do_and_sets_the_exit_code() {
    let node = Played::new();
    let (code, out, err) = node.run(&["member", "approve", "de-kehl", "--words", "one two three four five six"]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert_eq!(
        err,
        "error[WORDS_DIFFER]: the six words differ\n  why        a test says so\n  fix        havenctl status\n"
    );
    let (code, _, err) = node.run(&["member", "restore", "de-kehl"]);
    assert_eq!(code, 3, "the node's exit code, not the status's: {err}");
}

#[test]
fn severe_acts_list_their_consequences_and_want_a_yes() {
    let node = Played::new();
    let (code, _, err) = node.run(&["member", "suspend", "de-kehl", "--reason", "KEY_COMPROMISED"]);
    assert_eq!(code, 2);
    assert!(
        err.starts_with("suspend de-kehl:\n  - its connections end at once")
            && err.contains("error[CONFIRMATION_NEEDED]")
    );
    let (code, _, err) = node.run(&["member", "suspend", "de-kehl", "--reason", "KEY_COMPROMISED", "--yes"]);
    assert!(code == 3 && err.contains("error[NOT_A_STEWARD]"), "{err}");
}

#[test]
fn who_agrees_sees_first_to_what_and_confirms_what_is_severe() {
    let node = Played::new();
    let (code, out, err) = node.run(&["member", "approve", "--proposal", "aaaaaa"]);
    assert_eq!((code, out.as_str()), (2, ""));
    let plan = "REMOVE de-kehl, proposed by fr-strasbourg:\n  - reason: BREACH_OF_RULES\n  - it leaves the federation for good";
    let then = "  - approved by 1 of 2 (fr-strasbourg); it is carried out with this approval\n";
    assert!(err.starts_with(plan) && err.contains(then) && err.contains("error[CONFIRMATION_NEEDED]"), "{err}");
    let (code, out, err) = node.run(&["member", "approve", "--proposal", "aaaaaa", "--yes"]);
    assert_eq!((code, out.as_str()), (0, "REMOVE de-kehl, proposed by fr-strasbourg: done, change 7\n"));
    assert!(err.starts_with(plan), "{err}");

    // What is not severe is shown, and done.
    let (code, out, err) = node.run(&["member", "approve", "--proposal", "bbbbbb"]);
    assert_eq!((code, out.as_str()), (0, "POLICY #policy, proposed by fr-strasbourg: done, change 7\n"));
    let plan = "POLICY #policy, proposed by fr-strasbourg:\n  - emergency suspension: 1d → 12h\n  - approved by";
    assert!(err.starts_with(plan), "{err}");
    let (_, out, err) = node.run(&["member", "list", "--pending"]);
    assert!(out.contains("reason: BREACH_OF_RULES") && out.contains("emergency suspension: 1d → 12h"), "{out}");
    assert_eq!(err, "next: havenctl member approve --proposal aaaaaaaaaaaa\n");
}

#[test]
fn other_rules_are_asked_for_with_a_yes_only() {
    let node = Played::new();
    let (code, _, err) = node.run(&["policy", "propose", "--rules-version", "2"]);
    assert!(code == 2 && err.contains("stops following") && err.contains("error[CONFIRMATION_NEEDED]"), "{err}");
    let (code, _, err) = node.run(&["policy", "propose", "--rules-version", "2", "--yes"]);
    assert!(code == 3 && err.contains("error[NOT_A_STEWARD]"), "{err}");
}

#[test]
fn an_outcome_that_is_no_acceptance_is_a_refusal() {
    let (code, out, err) = Played::new().run(&["steward", "promote", "de-kehl"]);
    assert_eq!((code, out.as_str()), (5, ""));
    assert!(err.starts_with("error[STATEMENT_REJECTED]") && err.contains("havenctl explain RAFT_ID_REUSED"), "{err}");
}

#[test]
fn waiting_ends() {
    let (code, out, err) = Played::new().run(&["node", "renew", "--timeout", "200ms"]);
    assert_eq!((code, out.as_str()), (8, ""));
    assert!(err.contains("error[TIMED_OUT]"), "{err}");
}

#[test]
fn reasons_are_explained_and_unknown_ones_named_nearest() {
    let node = Played::new();
    let (code, out, _) = node.run(&["explain", "no-leader"]);
    assert!(code == 0 && out.contains("fix        wait\n"), "{out}");
    let (code, _, err) = node.run(&["explain", "NO_LEADR"]);
    assert!(code == 4 && err.contains("havenctl explain NO_LEADER"), "{err}");
    let (_, out, _) = node.run(&["explain", "--all", "-o", "csv"]);
    assert_eq!(out.lines().count(), 2);
}

#[test]
fn doctor_follows_the_monitoring_plug_ins() {
    let (code, out, _) = Played::new().run(&["doctor"]);
    assert!(code == 1 && out.contains("WARNING  backup  as it is  havenlink backup"), "{out}");
    let (code, out, _) = run_in(Path::new("/nonexistent"), &["doctor"]);
    assert!(code == 2 && out.contains("CRITICAL  node"), "{out}");
}

#[test]
fn without_a_node_it_says_what_to_do() {
    let (code, out, err) = run_in(Path::new("/nonexistent"), &["member", "list"]);
    assert_eq!((code, out.as_str()), (6, ""));
    assert!(err.starts_with("error[NODE_NOT_REACHABLE]: the node does not answer on its socket\n"), "{err}");
    assert!(err.contains("  fix        systemctl status havenlink, or havenctl --sockets DIR\n"));
    let node = Played::new();
    let (code, _, err) = node.run(&["status", "--role", "liaison"]);
    assert!(code == 6 && err.contains("liaison.sock"), "{err}");
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_sent() {
    let (code, _, err) = run_in(Path::new("/nonexistent"), &["alert", "publish", "--kind", "ADVERTISING"]);
    assert!(code == 2 && err.contains("nearest: SUSPICIOUS_ADVERTISING"), "{err}");
}
