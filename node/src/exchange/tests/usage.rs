//! How far what comes under a grant may go at its recipient (9.7).

use futures_util::StreamExt;

use super::world::*;
use crate::domain::agreement::Usage;
use crate::domain::audit::ActorRole;
use crate::domain::policy::ReadPurpose;
use crate::domain::reason::Reason;
use crate::domain::record::RecordKind;
use crate::domain::records::offer::DisclosureLevel;
use crate::exchange::*;

async fn agreed(world: &World, usage: Usage) {
    let mut agreement = world.agreement(STRASBOURG, KEHL, DisclosureLevel::Band);
    agreement.grants.iter_mut().for_each(|grant| grant.usage = usage);
    let made = world.exchange(STRASBOURG).agreements.propose_agreement(&call(), agreement).await.unwrap();
    world.settle().await;
    world.exchange(KEHL).agreements.sign_agreement(&call(), made).await.unwrap();
    world.settle().await;
}

#[tokio::test]
async fn what_may_be_asked_is_not_sent_what_may_be_viewed_is_given_to_no_system_and_what_may_be_stored_is() {
    let world = World::new().await;
    agreed(&world, Usage::Query).await;
    let refused = world.exchange(STRASBOURG).road.publish(&call(), wished(sharing(&[KEHL]), sample_alert())).await;
    assert_eq!(refused.unwrap_err().reason(), Reason::UseNotGranted);
    agreed(&world, Usage::View).await;
    let viewed = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    assert_eq!(world.delivery(STRASBOURG, viewed.record_id).await, [(DeliveryState::Delivered, None)]);
    // Of several that cover it the one under which most may be done; what came before stays as it came.
    agreed(&world, Usage::Store).await;
    let stored = world.publish(STRASBOURG, &[KEHL]).await;
    world.settle().await;
    let given = async |role, purpose| {
        let asked = ConsumeRequest { role, purpose, ..reader("case-system", 0, &[RecordKind::Alert], true) };
        let records = world.exchange(KEHL).road.consume(asked).await.unwrap();
        records.map(|record| record.unwrap().key.record_id).collect::<Vec<_>>().await
    };
    assert_eq!(given(ActorRole::Consumer, ReadPurpose::Consume).await, [stored.record_id]);
    assert_eq!(given(ActorRole::Coordinator, ReadPurpose::Show).await, [viewed.record_id, stored.record_id]);
}
