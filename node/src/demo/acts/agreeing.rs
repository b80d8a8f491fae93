//! Two agreements: Strasbourg–Kehl (places as a light) and Strasbourg–Esch (places as a band). None between Kehl and Esch.

use havenlink_proto::admin::v1::{
    AgreementState, ListAgreementsRequest, ProposeAgreementRequest, ShowAgreementRequest, SignAgreementRequest,
};
use havenlink_proto::record::v1::{Agreement, DisclosureLevel};

use super::{request_id, short, until};
use crate::clock::SystemClock;
use crate::demo::city::City;
use crate::demo::stage::Stage;
use crate::demo::{Cities, sample};

pub async fn play(stage: &mut Stage, cities: &mut Cities) -> anyhow::Result<()> {
    agree(stage, &cities.strasbourg, &cities.kehl, DisclosureLevel::Light).await?;
    agree(stage, &cities.strasbourg, &cities.esch, DisclosureLevel::Band).await
}

/// Proposes at one side, signs at the other, waits until it is in force at both.
pub async fn agree(stage: &mut Stage, first: &City, second: &City, level: DisclosureLevel) -> anyhow::Result<()> {
    let now = SystemClock::shared().now();
    sign(stage, first, second, sample::agreement(first.id(), second.id(), level, now.0)).await
}

/// The same with any agreement between the two.
pub async fn sign(stage: &mut Stage, first: &City, second: &City, agreement: Agreement) -> anyhow::Result<()> {
    let what = format!("{} and {} sign an agreement", first.sample.name.1, second.sample.name.1);
    let step = stage.step(&what);
    let mut proposer = first.agreements().await?;
    let id = proposer
        .propose_agreement(ProposeAgreementRequest { request_id: request_id(), agreement: Some(agreement) })
        .await?
        .into_inner()
        .agreement_id;
    let signer = second.agreements().await?;
    let words = until("the proposal has arrived", || {
        let (mut signer, id) = (signer.clone(), id.clone());
        async move {
            let held = signer.list_agreements(ListAgreementsRequest::default()).await?.into_inner().agreements;
            Ok(held.into_iter().find(|a| a.agreement_id == id).map(|a| a.in_words))
        }
    })
    .await?;
    if let Some(first_line) = words.first() {
        stage.saw(format!("{} reads: {first_line}", second.sample.name.1));
    }
    signer.clone().sign_agreement(SignAgreementRequest { request_id: request_id(), agreement_id: id.clone() }).await?;
    for city in [first, second] {
        let side = city.agreements().await?;
        until("the agreement is in force", || {
            let (mut side, id) = (side.clone(), id.clone());
            async move {
                let shown =
                    side.show_agreement(ShowAgreementRequest { agreement_id: id }).await?.into_inner().agreement;
                Ok(shown.filter(|a| a.state() == AgreementState::InForce))
            }
        })
        .await?;
    }
    stage.check(&step, true, format!("agreement {} in force on both sides", short(&id)));
    Ok(())
}
