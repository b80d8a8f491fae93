//! Every row against every door, and the limits of a row, on the layer as it stands before the router.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use havenlink_proto::access::Listener as Port;
use imbl::{HashMap, OrdMap};
use tonic_types::StatusExt;
use tower::ServiceExt;

use super::*;
use crate::domain::authority::{AuthorityEntry, ParticipantKind, PinnedKey, PublicKey};
use crate::domain::directory::{Member, Policy, Steward};
use crate::domain::ids::{Digest, FederationId};

mod denials;
mod elements;
mod issued;
mod outside;
mod routine;
mod strangers;

const NOW: UnixMs = UnixMs(1_000_000);
const KEHL: Pin = Pin([1; 32]);
const ESCH: Pin = Pin([2; 32]);
const LIEGE: Pin = Pin([3; 32]);
const STRANGER: Pin = Pin([9; 32]);
const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn member(id: &str, pin: Pin, suspended: bool) -> (AuthorityId, Arc<Member>) {
    let authority = AuthorityId::parse(id).unwrap();
    let entry = AuthorityEntry {
        authority: authority.clone(),
        kind: ParticipantKind::LocalAuthority,
        names: vec![],
        identifiers: vec![],
        authority_key: PublicKey([0; 44]),
        endpoints: vec![],
        pins: vec![PinnedKey { pin, valid_until: UnixMs::NEVER, proof: Default::default() }],
        contacts: vec![],
        hosted_by: None,
        networks: vec![],
        services: vec![],
        corridor: Default::default(),
        raft_id: 0,
    };
    let suspended_until = suspended.then_some(UnixMs::NEVER);
    (
        authority,
        Arc::new(Member { entry, version: 1, status_version: 1, keys: vec![], suspended_until, removed_at: None }),
    )
}

/// Kehl is a steward, Esch a member, Liège a suspended member.
fn view() -> DirectoryView {
    let members: OrdMap<AuthorityId, Arc<Member>> =
        Vec::from([member("de-kehl", KEHL, false), member("lu-esch", ESCH, false), member("be-liege", LIEGE, true)])
            .into_iter()
            .collect();
    let pins: HashMap<_, _> = members.iter().map(|(id, m)| (m.entry.pins[0].pin, id.clone())).collect();
    DirectoryView {
        federation: FederationId([0; 32]),
        number: 1,
        head: Digest([0; 32]),
        policy: Policy::default(),
        stewards: Arc::new(vec![Steward { authority: AuthorityId::parse("de-kehl").unwrap(), raft_id: 1 }]),
        members,
        pins,
        overlay: OrdMap::new(),
        ..DirectoryView::default()
    }
}

fn guard(budget: Budget) -> Guard {
    let view = Arc::new(ArcSwap::from_pointee(view()));
    let (runtimes, stopping) = (Runtimes::current(), CancellationToken::new());
    let identify: Identify = Arc::new(|extensions| extensions.get::<Connection>().cloned());
    let permits: StreamPermits = Arc::new(|_| Ok(Box::new(())));
    let (succeeded, strangers, now) = (Arc::new(|_: &_| {}), Arc::new(|_| Ok(())), Arc::new(|| NOW));
    Guard { identify, succeeded, view, now, budget, strangers, permits, runtimes, stopping }
}

/// The code of the answer; the inner service reads the whole request and answers OK, or the body's fault.
async fn call(method: &str, connection: Option<Connection>, body: Body) -> Status {
    answer(guard(Arc::new(|_, _| Ok(()))), method, connection, body).await
}

async fn answer(guard: Guard, method: &str, connection: Option<Connection>, body: Body) -> Status {
    let inner = tower::service_fn(|request: Request<Body>| async move {
        assert!(request.extensions().get::<Caller>().is_some());
        let mut body = request.into_body();
        let answer = loop {
            let read = std::future::poll_fn(|cx| http_body::Body::poll_frame(std::pin::Pin::new(&mut body), cx));
            match read.await {
                Some(Ok(_)) => {}
                Some(Err(status)) => break status,
                None => break Status::ok(""),
            }
        };
        Ok::<_, Infallible>(answer.into_http())
    });
    let mut request = Request::builder().uri(format!("http://node{method}")).body(body).unwrap();
    if let Some(connection) = connection {
        request.extensions_mut().insert(connection);
    }
    let response = guard.layer(inner).oneshot(request).await.unwrap();
    Status::from_header_map(response.headers()).unwrap_or_else(|| Status::ok(""))
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

fn peer(pin: Pin) -> Option<Connection> {
    Some(Connection::Peer { pin, vouched: None })
}

fn role(role: ActorRole) -> Option<Connection> {
    Some(Connection::Local { role, actor: Actor::Uid(1) })
}

#[tokio::test]
async fn each_row_opens_at_its_listeners_and_at_no_other() {
    let mut listeners = vec![
        (Listener::Peer, peer(KEHL)),
        (Listener::Join, Some(Connection::Applicant { pin: STRANGER, address: HOME })),
    ];
    for r in ActorRole::ALL.iter().filter(|r| !matches!(r, ActorRole::Node | ActorRole::Peer)) {
        listeners.push((Listener::Local(*r), role(*r)));
    }
    for row in access::table() {
        for (listener, connection) in &listeners {
            let status = call(row.path, connection.clone(), Body::empty()).await;
            let open = access::opens_at(row, *listener);
            assert_eq!(status.code() == Code::Ok, open, "{} at {listener:?}: {status:?}", row.path);
            if !open {
                match listener {
                    Listener::Local(_) => assert_eq!(reason(&status), "METHOD_NOT_OPEN"),
                    Listener::Peer | Listener::Join => assert_eq!(
                        (status.code(), status.message(), status.details()),
                        (Code::NotFound, "not found", &[][..])
                    ),
                }
            }
        }
    }
}

#[tokio::test]
async fn an_applicants_call_that_succeeds_is_told_and_no_other() {
    let told = Arc::new(AtomicUsize::new(0));
    let counter = told.clone();
    let guard = Guard {
        succeeded: Arc::new(move |extensions| {
            assert!(extensions.get::<Connection>().is_some(), "it says on which connection");
            counter.fetch_add(1, Ordering::SeqCst);
        }),
        ..guard(Arc::new(|_, _| Ok(())))
    };
    let applicant = Some(Connection::Applicant { pin: STRANGER, address: HOME });
    let watch = "/havenlink.peer.v1.JoinService/Watch";
    let too_large = framed(&[access::find(watch).unwrap().request_bytes as usize + 1]);
    for (method, connection, body, expected) in [
        (watch, applicant.clone(), Body::empty(), 1),
        (watch, applicant.clone(), too_large, 1),
        ("/havenlink.peer.v1.ExchangeService/Deliver", applicant, Body::empty(), 1),
        ("/havenlink.peer.v1.ExchangeService/Deliver", peer(KEHL), Body::empty(), 1),
    ] {
        answer(guard.clone(), method, connection, body).await;
        assert_eq!(told.load(Ordering::SeqCst), expected, "{method}");
    }
}

#[tokio::test]
async fn what_has_no_row_cannot_be_called() {
    for method in ["/havenlink.store.v1.Nothing/Get", "/", "/havenlink.peer.v1.ExchangeService/deliver", "/x"] {
        assert_eq!(call(method, peer(KEHL), Body::empty()).await.message(), "not found");
        assert_eq!(reason(&call(method, role(ActorRole::Operator), Body::empty()).await), "METHOD_NOT_OPEN");
        assert_eq!(reason(&call(method, None, Body::empty()).await), "PEER_UNKNOWN");
    }
}

#[tokio::test]
async fn standing_is_asked_at_each_call() {
    let exchange = "/havenlink.peer.v1.ExchangeService/Deliver";
    let follow = "/havenlink.directory.v1.DirectoryService/Get";
    let vote = "/havenlink.raft.v1.RaftService/Vote";
    assert_eq!(reason(&call(exchange, peer(STRANGER), Body::empty()).await), "PEER_UNKNOWN");
    assert_eq!(reason(&call(exchange, peer(LIEGE), Body::empty()).await), "MEMBER_SUSPENDED");
    assert_eq!(call(follow, peer(LIEGE), Body::empty()).await.code(), Code::Ok);
    assert_eq!(reason(&call(vote, peer(STRANGER), Body::empty()).await), "PEER_UNKNOWN");
}

fn framed(sizes: &[usize]) -> Body {
    let mut bytes = BytesMut::new();
    for size in sizes {
        bytes.put_u8(0);
        bytes.put_u32(u32::try_from(*size).unwrap());
        bytes.put_bytes(0, *size);
    }
    let pieces: Vec<_> = bytes.chunks(7).map(Bytes::copy_from_slice).collect();
    let pieces = if bytes.len() > 100_000 { vec![bytes.freeze()] } else { pieces };
    Body::new(Pieces(pieces.into_iter()))
}

struct Pieces(std::vec::IntoIter<Bytes>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|b| Ok(http_body::Frame::data(b))))
    }
}

async fn read_all(body: Body, limit: usize) -> Option<Status> {
    let mut body = body::Limited::new(body, body::Limits { message: limit, idle: None, meter: None, digest: None });
    loop {
        let next = std::future::poll_fn(|cx| http_body::Body::poll_frame(std::pin::Pin::new(&mut body), cx));
        match next.await {
            None => return None,
            Some(Err(status)) => return Some(status),
            Some(Ok(_)) => {}
        }
    }
}

#[tokio::test]
async fn the_digest_of_a_write_is_over_the_bytes_of_its_message_as_they_came() {
    const PUBLISH: &str = "/havenlink.local.v1.OfferService/SetOffer";
    const READ: &str = "/havenlink.local.v1.OfferService/ListOffers";
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = seen.clone();
    let inner = tower::service_fn(move |request: Request<Body>| {
        let noted = noted.clone();
        async move {
            let digest = request.extensions().get::<RequestDigest>().cloned();
            assert!(digest.as_ref().is_none_or(|digest| digest.get().is_none()), "nothing was read yet");
            let mut body = request.into_body();
            while let Some(Ok(_)) =
                std::future::poll_fn(|cx| http_body::Body::poll_frame(std::pin::Pin::new(&mut body), cx)).await
            {
            }
            noted.lock().unwrap().push(digest.and_then(|digest| digest.get()));
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }
    });
    let guard = guard(Arc::new(|_, _| Ok(())));
    // Two fields that nobody knows, in both orders: one message for whoever decodes it, two for whoever hashes it.
    let (one, other) = (b"\x98\x06\x01\xa0\x06\x02", b"\xa0\x06\x02\x98\x06\x01");
    for (method, message) in [(PUBLISH, one), (PUBLISH, one), (PUBLISH, other), (READ, one)] {
        let mut bytes = BytesMut::new();
        bytes.put_u8(0);
        bytes.put_u32(6);
        bytes.put_slice(message);
        let pieces: Vec<_> = bytes.chunks(4).map(Bytes::copy_from_slice).collect();
        let body = Body::new(Pieces(pieces.into_iter()));
        let mut request = Request::builder().uri(format!("http://node{method}")).body(body).unwrap();
        request.extensions_mut().insert(role(ActorRole::Coordinator).unwrap());
        guard.layer(inner.clone()).oneshot(request).await.unwrap();
    }
    let expected = [Some(Digest::of(one)), Some(Digest::of(one)), Some(Digest::of(other)), None];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_call_that_panics_is_internal_and_nothing_else_ends() {
    let layered = guard(Arc::new(|_, _| Ok(()))).layer(tower::service_fn(|_: Request<Body>| async {
        assert!(std::hint::black_box(false), "a fault in a handler");
        Ok::<_, Infallible>(Response::new(Body::empty()))
    }));
    let mut request =
        Request::builder().uri("http://node/havenlink.peer.v1.ExchangeService/Greet").body(Body::empty()).unwrap();
    request.extensions_mut().insert(Connection::Peer { pin: KEHL, vouched: None });
    let response = layered.oneshot(request).await.unwrap();
    assert_eq!(reason(&Status::from_header_map(response.headers()).unwrap()), "INTERNAL");
}

#[tokio::test]
async fn each_message_has_the_size_of_its_row_and_not_a_byte_more() {
    for row in access::table() {
        let bytes = row.request_bytes as usize;
        assert!(read_all(framed(&[bytes]), bytes).await.is_none(), "{}", row.path);
        let refused = call(row.path, first_listener(row), framed(&[bytes + 1])).await;
        assert_eq!(reason(&refused), "MESSAGE_TOO_LARGE", "{}", row.path);
    }
    assert!(read_all(framed(&[3, 0, 9]), 9).await.is_none());
    assert_eq!(read_all(framed(&[3, 0, 10]), 9).await.unwrap().code(), Code::InvalidArgument);
}

fn first_listener(row: &Method) -> Option<Connection> {
    match (row.listeners.first(), row.roles.first()) {
        (Some(Port::Peer), _) => peer(KEHL),
        (Some(Port::Join), _) => Some(Connection::Applicant { pin: STRANGER, address: HOME }),
        (None, r) => role(ActorRole::from_code(*r.unwrap() as i32).unwrap()),
    }
}

#[tokio::test]
async fn a_budget_stops_the_exchange_and_questions_to_the_register_and_never_consensus() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = asked.clone();
    let guard = guard(Arc::new(move |_, spent| {
        noted.lock().unwrap().push(spent);
        Err(Duration::from_secs(7))
    }));
    let of = |method: &str| format!("/havenlink.{method}");
    for (method, spent) in [
        ("peer.v1.ExchangeService/Greet", Charge::ExchangeCall),
        ("directory.v1.DirectoryService/Get", Charge::RegisterCall),
        ("directory.v1.DirectoryService/Follow", Charge::RegisterCall),
        ("directory.v1.DirectoryService/Snapshot", Charge::RegisterCall),
        ("directory.v1.DirectoryService/Gossip", Charge::RegisterCall),
        ("raft.v1.RaftService/Forward", Charge::RegisterCall),
    ] {
        // Kehl is a steward, Liège suspended: whoever it is pays.
        for caller in [KEHL, LIEGE].into_iter().filter(|pin| *pin == KEHL || spent == Charge::RegisterCall) {
            let refused = answer(guard.clone(), &of(method), peer(caller), Body::empty()).await;
            assert_eq!(reason(&refused), "BUDGET_EXHAUSTED", "{method}");
            assert_eq!(refused.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(7)));
            assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), [spent]);
        }
    }
    for method in ["AppendStream", "Vote", "PreVote", "InstallSnapshot", "TransferLeader"] {
        let method = of(&format!("raft.v1.RaftService/{method}"));
        assert_eq!(answer(guard.clone(), &method, peer(KEHL), framed(&[9])).await.code(), Code::Ok, "{method}");
    }
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_members_ask_takes_no_thread_from_consensus() {
    let runtime = |name: &str| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build().unwrap()
    };
    let threads = ["exchange", "members", "register"].map(runtime);
    let [exchange, members, register] = threads.each_ref().map(|runtime| runtime.handle().clone());
    let guard = Guard { runtimes: Runtimes { exchange, members, register }, ..guard(Arc::new(|_, _| Ok(()))) };
    let says_where = tower::service_fn(|_: Request<Body>| async {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        Ok::<_, Infallible>(Response::builder().header("thread", name).body(Body::empty()).unwrap())
    });
    for (method, door, thread) in [
        ("peer.v1.ExchangeService/Greet", peer(KEHL), "exchange"),
        ("directory.v1.DirectoryService/Gossip", peer(KEHL), "members"),
        ("directory.v1.DirectoryService/Propose", peer(KEHL), "members"),
        ("raft.v1.RaftService/Forward", peer(KEHL), "members"),
        ("raft.v1.RaftService/Vote", peer(KEHL), "register"),
        ("admin.v1.MemberService/SuspendMember", role(ActorRole::Operator), "register"),
    ] {
        let mut request =
            Request::builder().uri(format!("http://node/havenlink.{method}")).body(Body::empty()).unwrap();
        request.extensions_mut().insert(door.unwrap());
        let response = guard.layer(says_where).oneshot(request).await.unwrap();
        assert_eq!(response.headers()["thread"], thread, "{method}");
    }
    threads.into_iter().for_each(tokio::runtime::Runtime::shutdown_background);
}

#[tokio::test]
async fn each_message_of_the_exchange_is_charged_by_its_bytes_and_streams_have_places() {
    let spent = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = spent.clone();
    let mut guard = guard(Arc::new(move |_, cost| {
        noted.lock().unwrap().push(cost);
        if cost == Charge::ExchangeBytes(14) { Err(Duration::from_secs(7)) } else { Ok(()) }
    }));
    let greet = "/havenlink.peer.v1.ExchangeService/Greet";
    assert_eq!(answer(guard.clone(), greet, peer(KEHL), framed(&[3, 0])).await.code(), Code::Ok);
    let refused = answer(guard.clone(), greet, peer(KEHL), framed(&[3, 9])).await;
    assert_eq!(reason(&refused), "BUDGET_EXHAUSTED");
    let all = [
        Charge::ExchangeCall,
        Charge::ExchangeBytes(8),
        Charge::ExchangeBytes(5),
        Charge::ExchangeCall,
        Charge::ExchangeBytes(8),
        Charge::ExchangeBytes(14),
    ];
    assert_eq!(*spent.lock().unwrap(), all);

    // What the register is asked is charged by its own name.
    spent.lock().unwrap().clear();
    let gossip = "/havenlink.directory.v1.DirectoryService/Gossip";
    assert_eq!(answer(guard.clone(), gossip, peer(KEHL), framed(&[3, 9])).await.code(), Code::Ok);
    assert_eq!(*spent.lock().unwrap(), [Charge::RegisterCall, Charge::RegisterBytes(8), Charge::RegisterBytes(14)]);

    guard.permits = Arc::new(|_| Err(Duration::from_secs(1)));
    let follow = "/havenlink.directory.v1.DirectoryService/Follow";
    assert_eq!(reason(&answer(guard.clone(), follow, peer(KEHL), Body::empty()).await), "BUDGET_EXHAUSTED");
    let append = "/havenlink.raft.v1.RaftService/AppendStream";
    assert_eq!(answer(guard, append, peer(KEHL), Body::empty()).await.code(), Code::Ok, "consensus needs none");
}

#[tokio::test]
async fn what_a_member_orders_into_the_register_has_a_budget_of_its_own() {
    const PROPOSE: &str = "/havenlink.directory.v1.DirectoryService/Propose";
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = asked.clone();
    let guard = guard(Arc::new(move |who, spent| {
        noted.lock().unwrap().push((who.to_string(), spent));
        if spent == Charge::Statement { Err(Duration::from_secs(7)) } else { Ok(()) }
    }));
    let refused = answer(guard.clone(), PROPOSE, peer(KEHL), Body::empty()).await;
    assert_eq!(reason(&refused), "BUDGET_EXHAUSTED");
    assert_eq!(refused.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(7)));
    let own = answer(guard, PROPOSE, role(ActorRole::Operator), Body::empty()).await;
    assert_eq!(own.code(), Code::Ok, "this city's own operator has none");
    let kehl = |spent| ("de-kehl".to_owned(), spent);
    assert_eq!(*asked.lock().unwrap(), [kehl(Charge::RegisterCall), kehl(Charge::Statement)]);
}

#[tokio::test]
async fn a_call_that_hangs_and_a_stream_that_is_silent_end() {
    const SOON: Duration = Duration::from_millis(5);
    static HANGING: Method = Method {
        path: "/x",
        service: "x",
        listeners: &[Port::Peer],
        roles: &[],
        verb: None,
        minimum_status: MinimumStatus::Member,
        certificate: Certificate::Pinned,
        request_bytes: 1,
        deadline_ms: Some(5),
        idle_ms: None,
        work: Work::Exchange,
        effect: Effect::Read,
        orders: false,
        waits: true,
    };
    let hangs = async |stopping| {
        let call = std::future::pending::<Result<_, Infallible>>();
        let response = within_deadline(&HANGING, &stopping, call).await.unwrap();
        reason(&Status::from_header_map(response.headers()).unwrap())
    };
    assert_eq!(hangs(CancellationToken::new()).await, "DEADLINE_EXCEEDED");
    let stopped = CancellationToken::new();
    stopped.cancel();
    assert_eq!(hangs(stopped).await, "NODE_STOPPING");

    let ended = async |idle, stopping| {
        let mut body = body::Ending::new(Body::new(Silent), idle, stopping, None);
        let frames = futures_util::stream::poll_fn(|cx| http_body::Body::poll_frame(std::pin::Pin::new(&mut body), cx));
        let frames: Vec<_> = frames.collect().await;
        assert_eq!(frames.len(), 1);
        reason(&Status::from_header_map(frames[0].as_ref().unwrap().trailers_ref().unwrap()).unwrap())
    };
    assert_eq!(ended(Some(SOON), CancellationToken::new()).await, "DEADLINE_EXCEEDED");
    let stopping = CancellationToken::new();
    stopping.cancel();
    assert_eq!(ended(None, stopping).await, "NODE_STOPPING");
}

struct Silent;

impl http_body::Body for Silent {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn what_the_library_answers_by_itself_gets_a_reason_and_what_we_answer_stays() {
    let answers = [
        (Status::internal("failed to decode"), Code::InvalidArgument, "DECODE_FAILED"),
        (errors::refuse(Reason::Internal), Code::Internal, "INTERNAL"),
        (errors::peer_not_found(), Code::NotFound, ""),
    ];
    for (said, code, expected) in answers {
        let inner = tower::service_fn(move |_: Request<Body>| {
            std::future::ready(Ok::<_, Infallible>(said.clone().into_http::<Body>()))
        });
        let mut request = Request::builder().uri("http://node/havenlink.peer.v1.ExchangeService/Greet");
        request.extensions_mut().unwrap().insert(peer(KEHL).unwrap());
        let guarded = guard(Arc::new(|_, _| Ok(()))).layer(inner);
        let response = guarded.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected));
    }
}
