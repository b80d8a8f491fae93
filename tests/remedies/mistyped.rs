//! What is mistyped or left out at a desk, and what a node of another make answers: the command that is named shows what there is.

use std::convert::Infallible;
use std::path::Path;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use havenlink::demo::acts::request_id;
use havenlink::demo::sample;
use havenlink::domain::reason::Reason;
use havenlink_proto::admin::v1::{Decision, DemoteStewardResponse};
use havenlink_proto::directory::v1::Outcome;
use havenlink_proto::local::v1::PublishRecordRequest;
use havenlink_proto::record::v1::{Purpose, Tlp};
use havenlink_tests::federation::Federation;
use havenlink_tests::raw::Raw;
use prost::Message;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};

use crate::steps::text;
use crate::told::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_found_by_the_list_that_is_named() {
    let scene = Scene::new("mistyped");
    let federation = Federation::found(1, 1, "").await.unwrap();
    let city = &federation.cities[0];
    let told = scene.refused(city, &["member", "show", "xx-nobody"], Reason::MemberUnknown).await;
    let listed = told.run("havenctl member list").await.fine();
    assert!(listed.contains(city.id()), "who there is: {listed}");

    let nowhere = "00000000-0000-4000-8000-000000000000";
    let told = scene.refused(city, &["alert", "show", nowhere], Reason::NotFound).await;
    told.run("havenctl alert list").await.fine();

    let told = scene.refused(city, &["explain", "QQQQ"], Reason::ReasonUnknown).await;
    let all = told.run("havenctl explain --all").await.fine();
    assert!(all.contains("NO_LEADER") && !all.contains("QQQQ"), "the codes that there are: {all}");

    let request = PublishRecordRequest {
        request_id: request_id(),
        sharing: Some(sample::sharing(&["de-kehl"], Purpose::Prevention, Tlp::Green)),
        ..Default::default()
    };
    let answer = city.publisher().await.unwrap().publish_record(request).await;
    let told = scene.answered(city, "publish an alert", answer, Reason::FieldMissing);
    assert!(told.text.contains("content"), "the field is named: {}", told.text);
    let with = [("NOUN", "alert"), ("VERB", "publish")];
    let help = told.filled("havenctl NOUN VERB --help", &with, "").await.fine();
    assert!(help.contains("--summary"), "what there is: {help}");

    let root = tempfile::tempdir().unwrap();
    listens(root.path());
    let typed = ["--sockets", text(root.path()), "steward", "demote", "de-kehl", "--yes"];
    let told = scene.refused(city, &typed, Reason::StatementRejected).await;
    let named = told.run("havenctl explain LAST_STEWARD").await.fine();
    assert!(named.contains("havenctl steward promote"), "what helps: {named}");
    // The catalogue says the same of any outcome.
    told.takes("havenctl explain with the outcome's name");
    scene.ends();
}

/// A node of another make, which answers with an outcome of the register where one of ours names the reason.
fn listens(folder: &Path) {
    let socket = tokio::net::UnixListener::bind(folder.join("operator.sock")).unwrap();
    let sockets = tokio_stream::wrappers::UnixListenerStream::new(socket);
    tokio::spawn(tonic::transport::Server::builder().add_service(Another).serve_with_incoming(sockets));
}

#[derive(Clone)]
struct Another;

impl NamedService for Another {
    const NAME: &'static str = "havenlink.admin.v1.MemberService";
}

impl Service<http::Request<Body>> for Another {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move { Ok(Grpc::new(Raw).unary(Self, request).await) })
    }
}

impl UnaryService<Bytes> for Another {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<Bytes>) -> Self::Future {
        let decision = Decision { outcome: Outcome::LastSteward.into(), ..Default::default() };
        let answer = DemoteStewardResponse { decision: Some(decision) };
        Box::pin(async move { Ok(tonic::Response::new(answer.encode_to_vec().into())) })
    }
}
