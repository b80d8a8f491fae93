//! An applicant waits at its inviter's door for longer than a stranger may stay there.

use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;

use super::*;
use crate::app::serve::Serving;
use crate::app::token::Token;
use crate::app::{commands, listeners};
use crate::clock::SharedClock;
use crate::demo::acts::request_id;
use crate::domain::join::{ApplicationState, Entrance};
use crate::exchange::join::{Applicant, JoinClient};
use crate::exchange::peer_client::join::TonicJoinClient;
use crate::services::routes;
use crate::transport::{Connections, JoinGate, Limits, Listener, ListenerParts, Pool};

/// How long the door keeps a stranger that has proved nothing.
const PROOF: Duration = Duration::from_millis(1_500);

/// A second door of the inviter, with the product's own service behind it, on which that limit is short.
async fn short_door(member: &RunningMember) -> (Serving, SocketAddr) {
    let (renewal, view) = (member.renewal(), member.directory().source());
    let clock = renewal.clock.clone();
    let limits = Limits { join_proof: PROOF, ..Limits::default() };
    let gate = JoinGate::closed();
    gate.set(Entrance { anybody: true, ..Entrance::default() });
    let door = ListenerParts {
        identity: renewal.identity.clone(),
        view: view.clone(),
        clock: clock.clone(),
        connections: Connections::new(view.clone(), clock.clone(), &limits),
        gate,
        limits,
        issued: true,
    };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (address, mut serving, on) = (listener.local_addr(), Serving::new(), Runtimes::current());
    let served = listener.serve(door).unwrap();
    let (members, applicants) = (served.peers, served.joins);
    let guard = listeners::guard(view, &clock, listeners::no_budget(), &on, serving.stopping());
    let handle = tokio::runtime::Handle::current();
    serving.grpc(&handle, applicants, guard, routes::join(renewal.inviter.clone()));
    // As long as somebody takes members, the listener accepts.
    serving.until_stop(async move {
        let _members = members;
        std::future::pending().await
    });
    (serving, address)
}

/// A new connection of the applicant to this door.
fn caller(applying: &Config, applicant: &Applicant, address: SocketAddr, clock: &SharedClock) -> TonicJoinClient {
    let identity = NodeIdentity::load(&applying.data_dir).unwrap();
    let (view, limits) = (listeners::empty_view(), Limits::default());
    let connections = Connections::new(view.clone(), clock.clone(), &limits);
    let pool = Pool::new(identity, view, clock.clone(), connections, limits);
    let pins = applicant.token().invitation.inviter_pins.clone();
    let channel = pool.join_channel(&address.to_string(), pins).unwrap().channel;
    TonicJoinClient::new(vec![channel], transport::classify, clock.clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_applicant_that_waits_for_longer_than_the_proof_limit_hears_of_its_approval_at_once() {
    let root = tempfile::tempdir().unwrap();
    let inviting = config(root.path(), &[]);
    let member = started(&inviting).await;
    let mut members = MemberServiceClient::new(door(&inviting, "operator").await);
    let request =
        admin::CreateInvitationRequest { request_id: request_id(), intended_for: "de-kehl".into(), expires_in_ms: 0 };
    let token = members.create_invitation(request).await.unwrap().into_inner().token;
    let applying = config(&root.path().join("kehl"), &["authority=de-kehl".to_owned(), "names=de=Kehl".to_owned()]);
    let (of, text) = (applying.clone(), token.clone());
    let join = move || commands::join(&of, &Token::read(&text)?, false, None, || Ok(()));
    tokio::task::spawn_blocking(move || std::thread::spawn(join).join().unwrap()).await.unwrap().unwrap();

    let applicant = Applicant::resume(&applying.data_dir).unwrap().unwrap();
    let (clock, (serving, address)) = (SystemClock::shared(), short_door(&member).await);
    let (id, secret) = (applicant.token().invitation.id, applicant.token().secret);
    let known = caller(&applying, &applicant, address, &clock).watch(id, secret, None).await.unwrap();
    assert_eq!(known.state, ApplicationState::NeedsApproval);
    // The first call on a connection of its own is the one that waits.
    let waiting = caller(&applying, &applicant, address, &clock);
    let mut waits = waiting.watch(id, secret, Some(known));
    let early = tokio::time::timeout(PROOF * 2, &mut waits).await;
    assert!(early.is_err(), "the door kept it for as long as it waits: {early:?}");
    let words = applicant.applying().words().unwrap().to_string();
    let approve = admin::ApproveMemberRequest { request_id: request_id(), authority: "de-kehl".into(), words };
    members.approve_member(approve).await.unwrap();
    // Well within the 30 s after which it would ask again.
    let told = tokio::time::timeout(Duration::from_secs(15), waits).await.expect("at once").unwrap();
    assert_ne!(told.state, ApplicationState::NeedsApproval);
    serving.stop(Duration::ZERO).await;
    member.stop().await;
}
