//! Applicants at the door of joining pay by their address, and nobody else does.

use super::*;

#[tokio::test]
async fn who_knocks_beyond_the_budget_of_its_address_waits_and_no_member_does() {
    let knocked = Arc::new(AtomicUsize::new(0));
    let count = knocked.clone();
    let strangers: Strangers = Arc::new(move |address| {
        assert_eq!(address, HOME);
        if count.fetch_add(1, Ordering::SeqCst) < 2 { Ok(()) } else { Err(Duration::from_secs(7)) }
    });
    let guard = Guard { strangers, ..guard(Arc::new(|_, _| Ok(()))) };
    let applicant = Some(Connection::Applicant { pin: STRANGER, address: HOME });
    let watch = "/havenlink.peer.v1.JoinService/Watch";
    for _ in 0..2 {
        assert_eq!(answer(guard.clone(), watch, applicant.clone(), Body::empty()).await.code(), Code::Ok);
    }
    // Whatever is called there, one that has no row included.
    for method in [watch, "/havenlink.peer.v1.JoinService/Reveal", "/x"] {
        let refused = answer(guard.clone(), method, applicant.clone(), Body::empty()).await;
        assert_eq!(reason(&refused), "BUDGET_EXHAUSTED", "{method}");
        assert_eq!(refused.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(7)));
    }
    let deliver = "/havenlink.peer.v1.ExchangeService/Deliver";
    assert_eq!(answer(guard, deliver, peer(KEHL), Body::empty()).await.code(), Code::Ok);
    assert_eq!(knocked.load(Ordering::SeqCst), 5, "a member is no stranger");
}
