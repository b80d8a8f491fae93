//! A key that its owner withdrew proves nothing any more, also while nothing can be decided.

use super::cities::{Federation, quick, until};
use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::register::{Outcome, SuspendReason};
use crate::samples::new_key;
use crate::tests::{ESCH, GENT, KEHL, STRASBOURG, id};

fn is_withdrawn(federation: &Federation, at: &str, whose: &str) -> bool {
    let view = federation.at(at).view();
    view.member(&id(whose)).is_some_and(|member| member.keys.iter().any(|key| key.compromised))
}

fn heard(federation: &Federation, at: &str) -> Vec<AuthorityId> {
    federation.at(at).beats().into_iter().map(|beat| beat.steward).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_withdrawn_without_a_quorum_and_proves_nothing_from_then_on() {
    let mut federation = Federation::of(&[STRASBOURG, KEHL, ESCH], &[GENT], &quick()).await;
    federation.together().await;
    until("all stewards are heard", || heard(&federation, GENT).len() == 3).await;
    for name in [STRASBOURG, ESCH] {
        federation.stop(name).await;
    }
    let key = new_key();
    let withdrawal = federation.sign(KEHL, KEHL, |a, s| a.key_rotation(s, &key, true));
    let merely_replaced = federation.sign(KEHL, KEHL, |a, s| a.key_rotation(s, &key, false));
    let order = federation.sign(KEHL, KEHL, |a, s| a.suspend(s, &id(GENT), SuspendReason::NodeCompromised).signed);
    assert!(federation.at(GENT).overlay_add(withdrawal.clone()).await.unwrap());
    assert!(!federation.at(GENT).overlay_add(withdrawal.clone()).await.unwrap(), "once");
    assert!(is_withdrawn(&federation, GENT, KEHL) && !heard(&federation, GENT).contains(&id(KEHL)));
    // What Kehl's machine, or whoever has its key, says is none of a steward's any more; the rest of a message is looked at.
    let refused = federation.at(GENT).overlay_add(order).await.unwrap_err().reason();
    assert_eq!(refused, Reason::NotASteward);
    let refused = federation.at(GENT).overlay_add(merely_replaced).await.unwrap_err().reason();
    assert_eq!(refused, Reason::StatementKindUnknown, "a replaced key is no withdrawn one");
    until("Kehl has heard of it itself", || is_withdrawn(&federation, KEHL, KEHL)).await;

    federation.stop(GENT).await;
    federation.start(GENT).await;
    assert!(is_withdrawn(&federation, GENT, KEHL), "it is kept");
    for name in [STRASBOURG, ESCH] {
        federation.start(name).await;
    }
    until("those who were away are told", || {
        [STRASBOURG, ESCH].iter().all(|name| is_withdrawn(&federation, name, KEHL))
    })
    .await;
    // What is ordered has one outcome, whatever anybody has heard; from then on the register says it.
    federation.leader().await;
    let ordered = federation.at(KEHL).propose(withdrawal).await.unwrap();
    assert_eq!(ordered.outcome, Outcome::Accepted);
    federation.together().await;
    assert!(
        federation.running().all(|directory| directory.0.chain.denials().is_empty()),
        "nobody has to be told any more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_withdraws_anothers_key() {
    let federation = Federation::of(&[STRASBOURG], &[KEHL, GENT], &quick()).await;
    let (key, mine) = (new_key(), federation.city(GENT).key.clone());
    let forged = federation.sign(KEHL, KEHL, |a, s| {
        let forged = crate::statements::Author { authority: a.authority, key: &mine, now: a.now, nonce: a.nonce };
        forged.key_rotation(s, &key, true)
    });
    assert_eq!(federation.at(STRASBOURG).overlay_add(forged).await.unwrap_err().reason(), Reason::SignatureInvalid);
    assert!(!is_withdrawn(&federation, STRASBOURG, KEHL));
}
