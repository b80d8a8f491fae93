//! The network of a test: each connection is a pipe between two nodes, served by the tonic services of the far end.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::raft::v1 as raft;
use hyper_util::rt::TokioIo;
use proto::directory_service_server::{DirectoryService, DirectoryServiceServer};
use raft::raft_service_server::{RaftService, RaftServiceServer};
use tokio::task::AbortHandle;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::{ErrorDetails, StatusExt};

use crate::dial::{Dial, PeerChannel};
use crate::domain::directory::Position;
use crate::domain::ids::{AuthorityId, Digest};
use crate::transport::Deadline;
use crate::{Directory, Error};

type Pair = (AuthorityId, AuthorityId);

#[derive(Default)]
struct Inner {
    nodes: BTreeMap<AuthorityId, Directory>,
    cut: BTreeSet<AuthorityId>,
    /// Whoever begins to follow these gets messages without changes, for as long as it follows.
    withholding: BTreeSet<AuthorityId>,
    /// Whoever follows these is told each time to take a snapshot first.
    sending_back: BTreeSet<AuthorityId>,
    /// Appends that change the voters do not reach these.
    keeping: BTreeSet<AuthorityId>,
    /// These answer each append by a later vote of their own.
    boasting: BTreeSet<AuthorityId>,
    boasted: u64,
    open: Vec<(Pair, AbortHandle)>,
}

#[derive(Clone, Default)]
pub struct Pipes(Arc<Mutex<Inner>>);

impl Pipes {
    pub fn plug_in(&self, directory: &Directory) {
        self.0.lock().unwrap().nodes.insert(directory.authority().clone(), directory.clone());
    }

    /// The node is gone: its connections break, new ones are refused.
    pub fn unplug(&self, node: &AuthorityId) {
        self.0.lock().unwrap().nodes.remove(node);
        self.break_all(node);
    }

    /// Nothing passes to or from the node.
    pub fn cut(&self, node: &AuthorityId) {
        self.0.lock().unwrap().cut.insert(node.clone());
        self.break_all(node);
    }

    pub fn withholds(&self, node: &AuthorityId, whether: bool) {
        let mut inner = self.0.lock().unwrap();
        if whether {
            inner.withholding.insert(node.clone())
        } else {
            inner.withholding.remove(node)
        };
    }

    pub fn sends_back(&self, node: &AuthorityId) {
        self.0.lock().unwrap().sending_back.insert(node.clone());
    }

    pub fn keeps_voters(&self, node: &AuthorityId, whether: bool) {
        let mut inner = self.0.lock().unwrap();
        if whether {
            inner.keeping.insert(node.clone())
        } else {
            inner.keeping.remove(node)
        };
    }

    fn passes(&self, to: &AuthorityId, request: &raft::AppendStreamRequest) -> bool {
        let changes = |entry: &raft::Entry| matches!(entry.payload, Some(raft::entry::Payload::Membership(_)));
        !self.0.lock().unwrap().keeping.contains(to) || !request.entries.iter().any(changes)
    }

    pub fn boasts(&self, node: &AuthorityId) {
        self.0.lock().unwrap().boasting.insert(node.clone());
    }

    /// How many answers told of a later vote.
    pub fn boasted(&self) -> u64 {
        self.0.lock().unwrap().boasted
    }

    /// What a node answers to an append.
    fn answered(&self, by: &Directory, answer: raft::AppendStreamResponse) -> raft::AppendStreamResponse {
        use raft::append_stream_response::Result::HigherVote;
        let mut inner = self.0.lock().unwrap();
        if !inner.boasting.contains(by.authority()) {
            return answer;
        }
        inner.boasted += 1;
        let term = by.status().raft.map_or(0, |raft| raft.term) + inner.boasted;
        let vote = raft::Vote { term, node_id: by.raft_id(), committed: false };
        raft::AppendStreamResponse { result: Some(HigherVote(vote)) }
    }

    pub fn mend(&self, node: &AuthorityId) {
        self.0.lock().unwrap().cut.remove(node);
    }

    fn break_all(&self, node: &AuthorityId) {
        self.0.lock().unwrap().open.retain(|((from, to), handle)| {
            let ends = from == node || to == node;
            if ends {
                handle.abort();
            }
            !ends
        });
    }

    pub fn dial_as(&self, from: &AuthorityId) -> Arc<Wire> {
        Arc::new(Wire { pipes: self.clone(), from: from.clone(), channels: Mutex::default() })
    }

    fn connect(&self, from: &AuthorityId, to: &AuthorityId) -> io::Result<TokioIo<tokio::io::DuplexStream>> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let mut inner = self.0.lock().unwrap();
        if inner.cut.contains(from) || inner.cut.contains(to) {
            return Err(refused());
        }
        let directory = inner.nodes.get(to).cloned().ok_or_else(refused)?;
        let (near, mut middle_near) = tokio::io::duplex(1 << 20);
        let (mut middle_far, far) = tokio::io::duplex(1 << 20);
        // What can be cut: when this task ends, both ends see the end of the stream.
        let pipe = tokio::spawn(async move {
            drop(tokio::io::copy_bidirectional(&mut middle_near, &mut middle_far).await);
        });
        let served = Served { directory, peer: from.clone(), pipes: self.clone() };
        tokio::spawn(async move {
            let incoming = futures_util::stream::once(async { Ok::<_, io::Error>(far) });
            let incoming = incoming.chain(futures_util::stream::pending());
            let server = Server::builder()
                .add_service(RaftServiceServer::new(served.clone()))
                .add_service(DirectoryServiceServer::new(served));
            drop(server.serve_with_incoming(incoming).await);
        });
        inner.open.push(((from.clone(), to.clone()), pipe.abort_handle()));
        Ok(TokioIo::new(near))
    }
}

/// What one node dials with.
pub struct Wire {
    pipes: Pipes,
    from: AuthorityId,
    channels: Mutex<BTreeMap<AuthorityId, PeerChannel>>,
}

impl Dial for Wire {
    fn channel(&self, to: &AuthorityId) -> Result<PeerChannel, Error> {
        let mut channels = self.channels.lock().unwrap();
        let open = || {
            let (pipes, from, to) = (self.pipes.clone(), self.from.clone(), to.clone());
            let connector = tower::service_fn(move |_| {
                let connected = pipes.connect(&from, &to);
                async move { connected }
            });
            let channel = Endpoint::from_static("http://node").connect_with_connector_lazy(connector);
            InterceptedService::new(channel, Deadline::default())
        };
        Ok(channels.entry(to.clone()).or_insert_with(open).clone())
    }

    fn reunion(&self, to: &AuthorityId) -> Result<PeerChannel, Error> {
        self.channel(to)
    }
}

#[derive(Clone)]
struct Served {
    directory: Directory,
    peer: AuthorityId,
    pipes: Pipes,
}

fn status(error: Error) -> Status {
    let row = error.reason().row();
    let details = ErrorDetails::with_error_info(row.code, "havenlink", std::collections::HashMap::new());
    Status::with_error_details(Code::from_i32(row.status as i32), error.to_string(), details)
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl RaftService for Served {
    type AppendStreamStream = Answers<raft::AppendStreamResponse>;

    async fn append_stream(
        &self,
        request: Request<Streaming<raft::AppendStreamRequest>>,
    ) -> Result<Response<Self::AppendStreamStream>, Status> {
        let (pipes, to) = (self.pipes.clone(), self.directory.authority().clone());
        let passes = move |request: &Result<raft::AppendStreamRequest, Status>| {
            std::future::ready(request.as_ref().is_ok_and(|request| pipes.passes(&to, request)))
        };
        let requests = request.into_inner().take_while(passes);
        let answers = self.directory.append_stream(self.peer.clone(), requests).map_err(status)?;
        let (pipes, by) = (self.pipes.clone(), self.directory.clone());
        let answered = move |answer: Result<_, Error>| answer.map(|answer| pipes.answered(&by, answer)).map_err(status);
        Ok(Response::new(Box::pin(answers.map(answered))))
    }

    async fn vote(&self, request: Request<raft::VoteRequest>) -> Result<Response<raft::VoteResponse>, Status> {
        self.directory.vote(&self.peer, request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn pre_vote(
        &self,
        request: Request<raft::PreVoteRequest>,
    ) -> Result<Response<raft::PreVoteResponse>, Status> {
        self.directory.pre_vote(&self.peer, request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<raft::InstallSnapshotRequest>>,
    ) -> Result<Response<raft::InstallSnapshotResponse>, Status> {
        let requests = request.into_inner();
        self.directory.install_snapshot(&self.peer, requests).await.map(Response::new).map_err(status)
    }

    async fn enlist(&self, request: Request<raft::EnlistRequest>) -> Result<Response<raft::EnlistResponse>, Status> {
        self.directory.enlisted(&self.peer, request.get_ref()).map(Response::new).map_err(status)
    }

    async fn forward(&self, request: Request<raft::ForwardRequest>) -> Result<Response<raft::ForwardResponse>, Status> {
        self.directory.forwarded(&self.peer, request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn transfer_leader(
        &self,
        request: Request<raft::TransferLeaderRequest>,
    ) -> Result<Response<raft::TransferLeaderResponse>, Status> {
        self.directory.transfer_leader(&self.peer, request.into_inner()).await.map(Response::new).map_err(status)
    }
}

#[tonic::async_trait]
impl DirectoryService for Served {
    type FollowStream = Answers<proto::FollowResponse>;
    type SnapshotStream = Answers<proto::SnapshotResponse>;

    async fn get(&self, request: Request<proto::GetRequest>) -> Result<Response<proto::GetResponse>, Status> {
        let view = if request.into_inner().consistency == i32::from(proto::Consistency::Linearizable) {
            self.directory.linearizable().await.map_err(status)?
        } else {
            self.directory.view()
        };
        let head = bytes::Bytes::copy_from_slice(view.head.as_bytes());
        Ok(Response::new(proto::GetResponse { member: None, number: view.number, head }))
    }

    async fn list(&self, _: Request<proto::ListRequest>) -> Result<Response<proto::ListResponse>, Status> {
        Err(Status::unimplemented("not in this test"))
    }

    async fn propose(
        &self,
        request: Request<proto::ProposeRequest>,
    ) -> Result<Response<proto::ProposeResponse>, Status> {
        let proposed = self.directory.propose(request.into_inner().signed).await;
        let proposed = proposed.map_err(status)?;
        Ok(Response::new(crate::wire::statement::applied_to_proto(&proposed)))
    }

    async fn follow(&self, request: Request<proto::FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let request = request.into_inner();
        let head = Digest::from_slice(&request.head).ok_or_else(|| Status::invalid_argument("head"))?;
        if self.pipes.0.lock().unwrap().withholding.contains(self.directory.authority()) {
            let nothing = proto::follow_response::Event::Changes(proto::Changes::default());
            let nothing = move || Ok(proto::FollowResponse { event: Some(nothing.clone()) });
            let often = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(Duration::from_millis(200)));
            return Ok(Response::new(Box::pin(often.map(move |_| nothing()))));
        }
        if self.pipes.0.lock().unwrap().sending_back.contains(self.directory.authority()) {
            let first = proto::FollowResponse { event: Some(proto::follow_response::Event::SnapshotFirst(0)) };
            return Ok(Response::new(Box::pin(tokio_stream::once(Ok(first)))));
        }
        let events = self
            .directory
            .follow(Position { founding: request.founding, number: request.number }, head)
            .map_err(status)?;
        Ok(Response::new(Box::pin(events.map(|event| event.map_err(status)))))
    }

    async fn snapshot(&self, _: Request<proto::SnapshotRequest>) -> Result<Response<Self::SnapshotStream>, Status> {
        let messages = self.directory.snapshot_messages().await.map_err(status)?;
        Ok(Response::new(Box::pin(tokio_stream::iter(messages.into_iter().map(Ok)))))
    }

    async fn gossip(&self, request: Request<proto::GossipRequest>) -> Result<Response<proto::GossipResponse>, Status> {
        let mut answer = self.directory.gossip(&self.peer, request.into_inner()).await;
        answer.time_ms = self.directory.0.clock.now().0;
        Ok(Response::new(answer))
    }
}
