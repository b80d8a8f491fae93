//! What every call passes, in this order: peer identity → access → limits, deadline, budget → trace → metrics.
//!
//! One tower layer around the whole router of a listener. It reads who calls from the connection, never from the
//! request; asks the table; and only then lets the call in, under the limits of its row.

mod body;
mod denials;
mod quota;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use havenlink_proto::codec::TOO_MANY;
use http::{Request, Response};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::{Layer, Service};
use tracing::Instrument;

pub use body::RequestDigest;
pub use denials::denying;
pub use quota::{Budget, Charge, PeerQuota, quota};

use super::access::{self, Certificate, Effect, Listener, Method, MinimumStatus, Work};
use super::errors::{self, RefusalDetails};
use crate::domain::audit::ActorRole;
use crate::domain::authority::MemberStatus;
use crate::domain::directory::DirectoryView;
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::issued::Vouched;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::telemetry::journal::{Entry, Event};
use crate::telemetry::{ROUTINE, metrics, propagation};
use quota::exhausted;

/// Who calls, as the connection proves it. In the extensions of every request that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A member's node. `proof`: what its certificate is now, by the register's view.
    Peer { authority: AuthorityId, pin: Pin, proof: Certificate },
    /// An applicant's node, by the key it holds.
    Applicant { pin: Pin },
    /// A person or system of this city.
    Local {
        role: ActorRole,
        /// The peer's uid on the socket, or 16 bytes of the client's key.
        actor: Actor,
    },
}

/// What names a local actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    Uid(u32),
    Key(Pin),
}

/// Who is at the other end of a connection, before the register was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// `vouched`: what its handshake proved beside the pin, if it did.
    Peer {
        pin: Pin,
        vouched: Option<Vouched>,
    },
    Applicant {
        pin: Pin,
        address: IpAddr,
    },
    Local {
        role: ActorRole,
        actor: Actor,
    },
}

/// Reads the connection from what the listener put into the extensions.
pub type Identify = Arc<dyn Fn(&http::Extensions) -> Option<Connection> + Send + Sync>;

/// Told of each call of an applicant that succeeded, with the extensions that came with it.
pub type Succeeded = Arc<dyn Fn(&http::Extensions) + Send + Sync>;

/// What an applicant's call says as soon as it has proved whose it is, though its answer takes time: its connection stays.
#[derive(Clone)]
pub struct Proof(Option<(Succeeded, http::Extensions)>);

impl Proof {
    /// The caller holds what it must.
    pub fn accept(&self) {
        if let Some((succeeded, extensions)) = &self.0 {
            succeeded(extensions);
        }
    }
}

/// The proof of this call; nothing comes of it for any caller but an applicant.
pub fn applicants_proof<T>(request: &tonic::Request<T>) -> Proof {
    request.extensions().get::<Proof>().cloned().unwrap_or(Proof(None))
}

/// Room for one more open stream of a peer, given back when it is dropped.
pub type StreamPermit = Box<dyn Send + Sync>;

/// Whether a peer may open one more stream; otherwise how long to wait.
pub type StreamPermits = Arc<dyn Fn(&AuthorityId) -> Result<StreamPermit, Duration> + Send + Sync>;

/// Takes a call from the budget of an applicant's address, or says how long it has to wait.
pub type Strangers = Arc<dyn Fn(IpAddr) -> Result<(), Duration> + Send + Sync>;

pub type Now = Arc<dyn Fn() -> UnixMs + Send + Sync>;

/// What the layer of one listener needs.
#[derive(Clone)]
pub struct Guard {
    pub identify: Identify,
    pub succeeded: Succeeded,
    pub view: Arc<ArcSwap<DirectoryView>>,
    pub now: Now,
    pub budget: Budget,
    pub strangers: Strangers,
    pub permits: StreamPermits,
    pub runtimes: Runtimes,
    /// Ends open streams when the node stops; unary calls may finish.
    pub stopping: CancellationToken,
}

/// Where calls run: a flood of the exchange's work, or of questions to the register, takes no thread from consensus and
/// suspension.
#[derive(Clone, Debug)]
pub struct Runtimes {
    pub exchange: Handle,
    pub members: Handle,
    pub register: Handle,
}

impl Runtimes {
    /// All on the runtime that is running.
    pub fn current() -> Self {
        Self { exchange: Handle::current(), members: Handle::current(), register: Handle::current() }
    }

    /// The one for this work.
    pub fn of(&self, work: Work) -> &Handle {
        match work {
            Work::Exchange => &self.exchange,
            Work::Members => &self.members,
            Work::Register => &self.register,
        }
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { guard: self.clone(), inner }
    }
}

/// The router behind the guard.
#[derive(Clone)]
pub struct Guarded<S> {
    guard: Guard,
    inner: S,
}

/// A call that may go on: who, by which row.
struct Admitted {
    caller: Caller,
    row: &'static Method,
    permit: Option<StreamPermit>,
    /// What the bytes of its messages cost.
    bytes: Option<fn(usize) -> Charge>,
}

impl Guard {
    fn identity(&self, request: &Request<Body>) -> Result<(Caller, Listener), Status> {
        let connection = (self.identify)(request.extensions()).ok_or_else(|| errors::refuse(Reason::PeerUnknown))?;
        Ok(match connection {
            Connection::Local { role, actor } => (Caller::Local { role, actor }, Listener::Local(role)),
            Connection::Applicant { pin, address } => {
                (self.strangers)(address).map_err(exhausted)?;
                (Caller::Applicant { pin }, Listener::Join)
            }
            Connection::Peer { pin, vouched } => {
                let view = self.view.load();
                let pinned = view.authority_of_pin(&pin, (self.now)()).map(|id| (id.clone(), Certificate::Pinned));
                let vouched = vouched.filter(|vouched| view.vouches(vouched));
                let issued = || vouched.map(|vouched| (vouched.authority, Certificate::Issued));
                let member = pinned.or_else(issued).ok_or_else(|| errors::refuse(Reason::PeerUnknown))?;
                (Caller::Peer { authority: member.0, pin, proof: member.1 }, Listener::Peer)
            }
        })
    }

    fn access(&self, path: &str, caller: &Caller, listener: Listener) -> Result<&'static Method, Status> {
        let row = access::find(path).filter(|row| access::opens_at(row, listener)).ok_or_else(|| match listener {
            Listener::Local(_) => errors::refuse(Reason::MethodNotOpen),
            Listener::Peer | Listener::Join => errors::peer_not_found(),
        })?;
        let Caller::Peer { authority, proof, .. } = caller else { return Ok(row) };
        if *proof == Certificate::Issued && row.certificate == Certificate::Pinned {
            return Err(errors::refuse(Reason::CertificateNotPinned));
        }
        let view = self.view.load();
        // A suspended steward's Raft goes on until a majority changes the set (9.4); nobody else has business there then.
        let outside = is_outside(&view, authority, row);
        match (view.status(authority, (self.now)()), row.minimum_status) {
            (MemberStatus::Unknown, _) => Err(errors::refuse(Reason::PeerUnknown)),
            (MemberStatus::Removed, _) => Err(errors::refuse(Reason::MemberRemoved)),
            (MemberStatus::Suspended, MinimumStatus::Active) => Err(errors::refuse(Reason::MemberSuspended)),
            (MemberStatus::Suspended, MinimumStatus::Member) if outside => Err(errors::refuse(Reason::MemberSuspended)),
            _ => Ok(row),
        }
    }

    /// What it may take: room for its stream, and what its bytes cost.
    fn limits(&self, request: &Request<Body>, caller: &Caller, row: &Method) -> Result<Limits, Status> {
        if request.headers().get("grpc-encoding").is_some_and(|e| e != "identity") {
            return Err(errors::status(Reason::FieldInvalid, about("compression is off")));
        }
        let Caller::Peer { authority, .. } = caller else { return Ok((None, None)) };
        // Consensus and suspension are never starved by a budget. Who calls Raft's methods and is no steward in this view pays
        // like any member: a steward of tomorrow, of yesterday, or none at all.
        let outside = is_outside(&self.view.load(), authority, row);
        let work = if outside { Work::Members } else { row.work };
        let order = row.orders.then_some(Charge::Statement);
        for charge in Charge::call(work).into_iter().chain(order) {
            (self.budget)(authority, charge).map_err(exhausted)?;
        }
        let counted = row.is_stream() && (outside || !access::is_consensus(row));
        let permit = counted.then(|| (self.permits)(authority).map_err(exhausted)).transpose()?;
        Ok((permit, Charge::bytes(work)))
    }

    /// The budget that a call is taken from, where it has one.
    fn quota(&self, caller: &Caller) -> Option<PeerQuota> {
        let Caller::Peer { authority, .. } = caller else { return None };
        Some(PeerQuota::new(self.budget.clone(), authority.clone()))
    }

    /// Who is outside and was refused is in the journal; a partner beyond its budget is there already.
    fn tell_refused(&self, connection: Option<&Connection>, status: &Status) {
        let reason = status.get_details_error_info().and_then(|info| Reason::from_code(&info.reason));
        let authority = match connection {
            None | Some(Connection::Local { .. }) => return,
            Some(Connection::Applicant { .. }) => None,
            Some(Connection::Peer { .. }) if reason == Some(Reason::BudgetExhausted) => return,
            Some(Connection::Peer { pin, vouched }) => {
                let listed = self.view.load().pins.get(pin).cloned();
                listed.or_else(|| vouched.as_ref().map(|vouched| vouched.authority.clone()))
            }
        };
        Entry { authority, reason, ..Entry::of(Event::Refused) }.count(1);
    }

    fn admit(&self, request: &Request<Body>) -> Result<Admitted, Status> {
        let (caller, listener) = self.identity(request)?;
        let row = self.access(request.uri().path(), &caller, listener)?;
        let (permit, bytes) = self.limits(request, &caller, row)?;
        Ok(Admitted { caller, row, permit, bytes })
    }
}

type Limits = (Option<StreamPermit>, Option<fn(usize) -> Charge>);

/// Whether somebody calls Raft's methods who is no steward in this view.
fn is_outside(view: &DirectoryView, authority: &AuthorityId, row: &Method) -> bool {
    access::is_consensus(row) && !view.is_steward(authority)
}

/// Takes the bytes of a call as they come in.
fn meter(quota: PeerQuota, charge: fn(usize) -> Charge) -> body::Meter {
    Box::new(move |bytes| quota.take(charge(bytes)))
}

fn about(text: &str) -> RefusalDetails {
    RefusalDetails { about: text.to_owned(), ..RefusalDetails::default() }
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let started = Instant::now();
        let admitted = match self.guard.admit(&request) {
            Ok(admitted) => admitted,
            Err(status) => {
                let connection = (self.guard.identify)(request.extensions());
                self.guard.tell_refused(connection.as_ref(), &status);
                let listener = listener_label(connection.as_ref());
                let service = access::find(request.uri().path()).map_or("other", |row| row.service);
                metrics::CALLS.add([listener, service, errors::code_name(status.code())], 1);
                let denied = denials::is_denial(listener, None, status.code());
                return Box::pin(async move {
                    if denied {
                        denials::next_tick().await;
                    }
                    Ok(status.into_http())
                });
            }
        };
        let Admitted { caller, row, permit, bytes } = admitted;
        let listener = caller.label();
        let applicant = matches!(caller, Caller::Applicant { .. });
        let applicant = applicant.then(|| (self.guard.succeeded.clone(), request.extensions().clone()));
        let context = propagation::extract(request.headers()).unwrap_or_else(propagation::begin);
        let span = span_of(row, &caller);
        propagation::continue_from(&span, context);
        let quota = self.guard.quota(&caller);
        let meter = quota.clone().zip(bytes).map(|(quota, bytes)| meter(quota, bytes));
        request.extensions_mut().insert(caller);
        applicant.clone().map(|applicant| request.extensions_mut().insert(Proof(Some(applicant))));
        quota.map(|quota| request.extensions_mut().insert(quota));
        let digest = (!row.is_stream() && row.effect != Effect::Read).then(RequestDigest::default);
        digest.clone().map(|digest| request.extensions_mut().insert(digest));
        let limits = body::Limits { message: row.request_bytes as usize, idle: row.idle(), meter, digest };
        let request = request.map(|inner| Body::new(body::Limited::new(inner, limits)));
        // The service that was polled ready is the one that is called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let stopping = self.guard.stopping.clone();
        let answer = async move {
            let answer = within_deadline(row, &stopping, inner.call(request)).await.map(with_reason);
            let answer = answer.map(|r| match row.is_stream() {
                true => r.map(|b| Body::new(body::Ending::new(b, row.idle(), stopping, permit))),
                false => r,
            });
            let code = code_of(answer.as_ref().ok());
            if let (Code::Ok, Some((succeeded, extensions))) = (code, applicant) {
                succeeded(&extensions);
            }
            measure(row, listener, started, code);
            if denials::is_denial(listener, answer.as_ref().ok(), code) {
                denials::next_tick().await;
            }
            answer
        };
        let call = propagation::within(context, answer).instrument(span);
        // A caller that goes away takes its call with it; a call that panics is a fault of its own.
        let call = AbortOnDropHandle::new(self.guard.runtimes.of(row.work).spawn(call));
        Box::pin(async move { call.await.unwrap_or_else(|_| Ok(errors::refuse(Reason::Internal).into_http())) })
    }
}

/// A unary call that takes longer than its row allows is dropped; a write that was taken goes on to its end.
async fn within_deadline<E>(
    row: &'static Method,
    stopping: &CancellationToken,
    call: impl Future<Output = Result<Response<Body>, E>>,
) -> Result<Response<Body>, E> {
    let waits = async {
        match row.waits {
            true => stopping.cancelled().await,
            false => std::future::pending().await,
        }
    };
    let call = async {
        tokio::select! {
            answer = call => answer,
            () = waits => Ok(errors::refuse(Reason::NodeStopping).into_http()),
        }
    };
    match row.deadline() {
        None => call.await,
        Some(deadline) => match tokio::time::timeout(deadline, call).await {
            Ok(answer) => answer,
            Err(_) => Ok(errors::refuse(Reason::DeadlineExceeded).into_http()),
        },
    }
}

/// A body that is no message of its method never reaches a handler: the library answers it, without a reason.
fn with_reason(answer: Response<Body>) -> Response<Body> {
    let blank = !answer.headers().contains_key(Status::GRPC_STATUS_DETAILS);
    match code_of(Some(&answer)) {
        TOO_MANY if blank => errors::refuse(Reason::MessageTooLarge).into_http(),
        Code::Internal | Code::ResourceExhausted if blank => errors::refuse(Reason::DecodeFailed).into_http(),
        _ => answer,
    }
}

/// What stands in the headers; an answer that began well has none there.
fn code_of(answer: Option<&Response<Body>>) -> Code {
    answer.and_then(|r| r.headers().get("grpc-status")).map_or(Code::Ok, |v| Code::from_bytes(v.as_bytes()))
}

fn measure(row: &Method, listener: &str, started: Instant, code: Code) {
    metrics::CALLS.add([listener, row.service, errors::code_name(code)], 1);
    if !row.is_stream() {
        metrics::CALL_SECONDS.record([row.service], started.elapsed());
    }
}

fn span_of(row: &Method, caller: &Caller) -> tracing::Span {
    let method = row.path;
    let peer = match caller {
        Caller::Peer { authority, .. } => Some(tracing::field::display(authority)),
        Caller::Applicant { .. } | Caller::Local { .. } => None,
    };
    let role = match caller {
        Caller::Local { role, .. } => Some(role.name()),
        Caller::Peer { .. } | Caller::Applicant { .. } => None,
    };
    // What goes on all the time and changes nothing has spans of its own target, which nobody is sent by default.
    if is_routine(row) {
        tracing::info_span!(target: ROUTINE, "call", otel.name = method, otel.kind = "server", rpc.system = "grpc", peer, role)
    } else {
        tracing::info_span!("call", otel.name = method, otel.kind = "server", rpc.system = "grpc", peer, role)
    }
}

/// Heartbeats and polling: consensus, gossip, greetings, and whatever only reads.
fn is_routine(row: &Method) -> bool {
    let beats = ["/havenlink.directory.v1.DirectoryService/Gossip", "/havenlink.peer.v1.ExchangeService/Greet"];
    row.effect == Effect::Read || access::is_consensus(row) || beats.contains(&row.path)
}

fn listener_label(connection: Option<&Connection>) -> &'static str {
    match connection {
        Some(Connection::Peer { .. }) => "peer",
        Some(Connection::Applicant { .. }) => "join",
        Some(Connection::Local { .. }) => "local",
        None => "other",
    }
}

impl Caller {
    fn label(&self) -> &'static str {
        match self {
            Self::Peer { .. } => "peer",
            Self::Applicant { .. } => "join",
            Self::Local { .. } => "local",
        }
    }
}

/// The member that calls.
///
/// # Errors
/// When the call did not come through the peer listener.
pub fn peer<T>(request: &tonic::Request<T>) -> Result<AuthorityId, Status> {
    match request.extensions().get::<Caller>() {
        Some(Caller::Peer { authority, .. }) => Ok(authority.clone()),
        _ => Err(errors::refuse(Reason::PeerUnknown)),
    }
}

/// What the certificate of the member that calls is; `None` for a local caller.
pub fn proof<T>(request: &tonic::Request<T>) -> Option<Certificate> {
    match request.extensions().get::<Caller>() {
        Some(Caller::Peer { proof, .. }) => Some(*proof),
        _ => None,
    }
}

/// The applicant's key.
///
/// # Errors
/// When the call did not come through the join listener.
pub fn applicant<T>(request: &tonic::Request<T>) -> Result<Pin, Status> {
    match request.extensions().get::<Caller>() {
        Some(Caller::Applicant { pin }) => Ok(*pin),
        _ => Err(errors::peer_not_found()),
    }
}

/// The local role and actor.
///
/// # Errors
/// When the call did not come through a local socket.
pub fn local<T>(request: &tonic::Request<T>) -> Result<(ActorRole, Actor), Status> {
    match request.extensions().get::<Caller>() {
        Some(Caller::Local { role, actor }) => Ok((*role, *actor)),
        _ => Err(errors::refuse(Reason::MethodNotOpen)),
    }
}
