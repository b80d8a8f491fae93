//! Denials leave on a tick, other answers when they are there.

use rustix::time::{ClockId, clock_gettime};

use super::*;

/// Which tick of the node's clock this is.
fn tick() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 100 + now.tv_nsec / 10_000_000
}

/// As the library hands on what a handler says.
fn answered(denies: bool) -> Response<Body> {
    let (_, message, extensions) = denying(denies, Body::empty()).into_parts();
    let mut response = Response::new(message);
    *response.extensions_mut() = extensions;
    response
}

/// Asks so many times; how many of the answers came in a later tick than the question.
async fn later(
    times: usize,
    method: &str,
    connection: fn() -> Option<Connection>,
    say: fn() -> Response<Body>,
) -> usize {
    let guarded = guard(Arc::new(|_, _| Ok(())))
        .layer(tower::service_fn(move |_: Request<Body>| std::future::ready(Ok::<_, Infallible>(say()))));
    let mut later = 0;
    for _ in 0..times {
        let mut request = Request::builder().uri(format!("http://node{method}")).body(Body::empty()).unwrap();
        request.extensions_mut().insert(connection().unwrap());
        let asked = tick();
        guarded.clone().oneshot(request).await.unwrap();
        later += usize::from(tick() > asked);
    }
    later
}

#[tokio::test]
async fn a_denial_at_the_peer_door_leaves_on_the_next_tick_and_nothing_else_waits() {
    const LIST_ENDS: &str = "/havenlink.peer.v1.ExchangeService/ListEnds";
    const TIMES: usize = 40;
    let kehl = || peer(KEHL);
    let (marked, unmarked) = (|| answered(true), || answered(false));
    assert_eq!(later(TIMES, LIST_ENDS, kehl, marked).await, TIMES);
    assert_eq!(later(TIMES, LIST_ENDS, kehl, || errors::peer_not_found().into_http()).await, TIMES);
    assert_eq!(later(TIMES, "/havenlink.local.v1.InboxService/Consume", kehl, unmarked).await, TIMES);
    // In one tick as it is asked, but for the few that it ends under.
    for (method, connection, say) in [
        (LIST_ENDS, kehl as fn() -> _, unmarked as fn() -> _),
        (LIST_ENDS, kehl, || errors::refuse(Reason::WrongRecipient).into_http()),
        (
            "/havenlink.local.v1.RecordService/GetRecord",
            || role(ActorRole::Publisher),
            || errors::refuse(Reason::NotFound).into_http(),
        ),
    ] {
        assert!(later(TIMES, method, connection, say).await < TIMES / 2, "{method}");
    }
}
