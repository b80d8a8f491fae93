//! A person agrees to be referred to two partners. Each knows her case by another name; she withdraws, and both erase: one at
//! once, the other, which was away, as soon as it is back, and named until then.

use bytes::Bytes;
use havenlink_proto::Said;
use havenlink_proto::local::v1::{
    AnswerRecordRequest, Disclosure, DisclosureState, Folder, GiveAgreementToShareRequest, HeldRecord,
    ListErasuresRequest, ListRecordsRequest, SendReferralRequest, WithdrawAgreementsToShareRequest,
};
use havenlink_proto::record::v1::{DisclosureLevel, Purpose, RecordKind, RecordStatus, Referral, ReferralForm, Tlp};

use super::{agreeing, request_id, short, until};
use crate::clock::SystemClock;
use crate::demo::city::City;
use crate::demo::stage::Stage;
use crate::demo::{Cities, sample};

/// The city's own number of the case.
const CASE: &str = "SB-2026/0417";

pub async fn play(stage: &mut Stage, cities: &mut Cities) -> anyhow::Result<()> {
    let Cities { strasbourg, kehl, esch } = cities;
    for partner in [&*kehl, &*esch] {
        agree(stage, strasbourg, partner).await?;
    }

    let step = stage.step("A person agrees that a refuge is looked for in Kehl and in Esch");
    let share_id = give(strasbourg, CASE, &[kehl.id(), esch.id()]).await?;
    stage.check(&step, share_id.len() == 16, "kept in Strasbourg alone, sealed under a key of its own");

    let step = stage.step("Strasbourg asks both; each knows the case by another name");
    let (at_kehl, at_esch) = (refer(strasbourg, CASE, kehl.id()).await?, refer(strasbourg, CASE, esch.id()).await?);
    let mut subjects = Vec::new();
    for (city, record_id) in [(&*kehl, &at_kehl), (&*esch, &at_esch)] {
        let held = received(city, strasbourg.id(), record_id).await?;
        let said = held.content.as_ref().and_then(Referral::said).cloned().unwrap_or_default();
        stage.saw(format!("{} knows it as {}", city.sample.name.1, short(&said.subject_ref)));
        subjects.push(said.subject_ref);
    }
    stage.check(&step, subjects[0] != subjects[1], "no two partners can tell that theirs are of one case");

    let step = stage.step("Kehl takes her on");
    let accepted = Referral { form: ReferralForm::Accepted.into(), ..Default::default() };
    let answer = AnswerRecordRequest {
        request_id: request_id(),
        origin: strasbourg.id().to_owned(),
        record_id: at_kehl.clone(),
        answer: Some(accepted.into()),
    };
    kehl.records().await?.answer_record(answer).await?;
    stage.check(&step, true, "the answer goes back to the city that she agreed with, and to nobody else");

    let step = stage.step("She withdraws while Esch is away");
    esch.kill().await?;
    withdraw(strasbourg, CASE).await?;
    let done = erased(strasbourg, &at_kehl).await?;
    stage.saw(format!("Kehl signed DONE, {} bytes kept as proof that it said so", done.receipt.len()));
    let silent = erasures(strasbourg).await?.into_iter().filter(|row| row.state() == DisclosureState::Noticed);
    let silent: Vec<String> = silent.map(|row| row.recipient).collect();
    let gone = listed(kehl).await?.is_empty();
    stage.check(
        &step,
        gone && silent == [esch.id()],
        format!("Kehl has erased it; named as silent: {}", silent.join(", ")),
    );

    let step = stage.step("Esch comes back");
    esch.start()?;
    esch.ready().await?;
    erased(strasbourg, &at_esch).await?;
    stage.check(&step, listed(esch).await?.is_empty(), "it has erased it as well, and signed that it did");
    Ok(())
}

/// Two cities agree on referrals, both ways.
///
/// # Errors
/// When one of them does not.
pub async fn agree(stage: &mut Stage, first: &City, second: &City) -> anyhow::Result<()> {
    let now = SystemClock::shared().now().0;
    let mut agreement = sample::agreement(first.id(), second.id(), DisclosureLevel::Unspecified, now);
    for grant in &mut agreement.grants {
        grant.record_kinds = vec![RecordKind::Referral.into()];
        grant.alert_kinds.clear();
        grant.highest_tlp = Tlp::AmberStrict.into();
    }
    agreeing::sign(stage, first, second, agreement).await
}

/// A person agrees that a refuge is looked for at these; the id of what she agreed to.
///
/// # Errors
/// When it is refused.
pub async fn give(city: &City, case: &str, recipients: &[&str]) -> anyhow::Result<Bytes> {
    let asked = GiveAgreementToShareRequest {
        request_id: request_id(),
        case_reference: case.to_owned(),
        terms: Some(sample::share_terms(recipients, SystemClock::shared().now().0)),
        ..sample::given_freely()
    };
    Ok(city.shares().await?.give_agreement_to_share(asked).await?.into_inner().share_id)
}

/// She withdraws what she agreed to.
///
/// # Errors
/// When it is refused.
pub async fn withdraw(city: &City, case: &str) -> anyhow::Result<()> {
    let request = WithdrawAgreementsToShareRequest { request_id: request_id(), case_reference: case.to_owned() };
    city.shares().await?.withdraw_agreements_to_share(request).await?;
    Ok(())
}

/// She is referred; the id of the referral.
///
/// # Errors
/// When it is refused.
pub async fn refer(city: &City, case: &str, to: &str) -> anyhow::Result<Bytes> {
    let request = SendReferralRequest {
        request_id: request_id(),
        case_reference: case.to_owned(),
        recipient: to.to_owned(),
        purpose: Purpose::Assistance.into(),
        status: RecordStatus::Exercise.into(),
        referral: Some(sample::referral()),
        ..Default::default()
    };
    Ok(city.referrals().await?.send_referral(request).await?.into_inner().record_id)
}

async fn listed(city: &City) -> anyhow::Result<Vec<HeldRecord>> {
    let (kind, folder) = (RecordKind::Referral.into(), Folder::Received.into());
    let page = ListRecordsRequest { kind, folder, page_size: 50, ..Default::default() };
    Ok(city.records().await?.list_records(page).await?.into_inner().records)
}

/// The referral, once it is there.
///
/// # Errors
/// When it does not come in time.
pub async fn received(city: &City, origin: &str, record_id: &Bytes) -> anyhow::Result<HeldRecord> {
    until("the referral has arrived", || async {
        let held = listed(city).await?;
        Ok(held.into_iter().find(|held| held.origin == origin && held.record_id == *record_id))
    })
    .await
}

async fn erasures(city: &City) -> anyhow::Result<Vec<Disclosure>> {
    Ok(city.referrals().await?.list_erasures(ListErasuresRequest {}).await?.into_inner().erasures)
}

/// What its recipient signed, once it has erased it.
///
/// # Errors
/// When it has not in time.
pub async fn erased(city: &City, record_id: &Bytes) -> anyhow::Result<Disclosure> {
    until("the partner has answered", || async {
        let rows = erasures(city).await?;
        Ok(rows.into_iter().find(|row| row.record_id == *record_id && row.state() == DisclosureState::Done))
    })
    .await
}
