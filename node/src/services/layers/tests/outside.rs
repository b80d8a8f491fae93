//! Raft's methods and those who are no steward: members pay, suspended ones stay outside.

use super::*;

const METHODS: [&str; 3] = ["Vote", "PreVote", "AppendStream"];

fn path(method: &str) -> String {
    format!("/havenlink.raft.v1.RaftService/{method}")
}

#[tokio::test]
async fn a_member_pays_for_raft_as_for_any_question_and_a_steward_does_not() {
    for method in METHODS {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        let budget: Budget = Arc::new(move |who, charge| {
            assert_eq!(who.as_str(), "lu-esch");
            assert!(matches!(charge, Charge::RegisterCall | Charge::RegisterBytes(_)), "{charge:?}");
            if count.fetch_add(1, Ordering::SeqCst) < 2 { Ok(()) } else { Err(Duration::from_secs(1)) }
        });
        let path = path(method);
        let call = |who: Pin| answer(guard(budget.clone()), &path, peer(who), framed(&[10]));
        assert_eq!(call(ESCH).await.code(), Code::Ok, "{method}: one call, one message");
        assert_eq!(reason(&call(ESCH).await), "BUDGET_EXHAUSTED", "{method}");
        assert_eq!(call(KEHL).await.code(), Code::Ok, "{method}: a steward is never starved");
        assert_eq!(taken.load(Ordering::SeqCst), 3, "{method}");
    }
}

#[tokio::test]
async fn a_suspended_member_does_not_speak_to_raft_and_a_suspended_steward_does() {
    for method in METHODS {
        let refused = answer(guard(Arc::new(|_, _| Ok(()))), &path(method), peer(LIEGE), Body::empty()).await;
        assert_eq!(reason(&refused), "MEMBER_SUSPENDED", "{method}");
        let mut view = view();
        view.stewards = Arc::new(vec![Steward { authority: AuthorityId::parse("be-liege").unwrap(), raft_id: 1 }]);
        let guard = Guard { view: Arc::new(ArcSwap::from_pointee(view)), ..guard(Arc::new(|_, _| Ok(()))) };
        assert_eq!(answer(guard, &path(method), peer(LIEGE), Body::empty()).await.code(), Code::Ok, "{method}");
    }
}
