//! What must hold once no node is killed any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Context;
use bytes::Bytes;
use havenlink_proto::admin::v1::{
    AgreementState, ListAgreementsRequest, ListLeavesRequest, OwedStatus, VerifyAuditRequest,
};
use havenlink_proto::local::v1::{ConsumeRequest, ListOffersRequest};
use havenlink_proto::record::v1::{AuditAct, RecordKind};

use crate::side::{Side, persist};
use crate::steps::Story;

/// An invariant that does not hold.
#[derive(Debug)]
pub struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

fn hold(holds: bool, broken: impl FnOnce() -> String) -> anyhow::Result<()> {
    if holds { Ok(()) } else { Err(Broken(broken()).into()) }
}

/// Waits until nothing is owed and nothing waits anywhere; then all that was acknowledged has come, once.
///
/// # Errors
/// `Broken`: what does not hold.
pub async fn reach(story: &Story) -> anyhow::Result<()> {
    for side in story.sides() {
        let rest = persist("nothing waits", async || at_rest(side).await);
        rest.await.map_err(|error| Broken(format!("{}: {:#}", side.id, error)))?;
    }
    for side in story.sides() {
        each_once(story, side).await?;
        disclosed_once(story, side).await?;
    }
    same_agreements(story).await?;
    offer_as_it_is(story).await
}

async fn at_rest(side: &Side) -> anyhow::Result<()> {
    let status = side.status().await?;
    // An order about a steward that ended with its process: whether another steward has it in memory, and signs it yet, is known
    // once nobody takes it any more, a day later. Until then its line is owed.
    let undecided = |owed: &OwedStatus| (&*owed.what, &*owed.reason) == ("EMERGENCY_ENTRY", "NEEDS_TWO_SIGNATURES");
    let owed: Vec<_> = status.owed.iter().filter(|owed| !undecided(owed)).collect();
    anyhow::ensure!(owed.is_empty(), "owed: {owed:?}");
    let waits: Vec<_> = status.partners.iter().filter(|partner| partner.queued + partner.held > 0).collect();
    anyhow::ensure!(waits.is_empty(), "queued: {waits:?}");
    Ok(())
}

/// Each acknowledged record stands at exactly one position.
async fn each_once(story: &Story, side: &Side) -> anyhow::Result<()> {
    let mut positions: BTreeMap<(String, Bytes), Vec<u64>> = BTreeMap::new();
    let request = ConsumeRequest {
        consumer: "kill-loop".into(),
        kinds: vec![RecordKind::Alert.into(), RecordKind::Practice.into()],
        until_empty: true,
        ..Default::default()
    };
    let (mut stream, mut last) = (side.inbox().await?.consume(request).await?.into_inner(), 0);
    while let Some(read) = stream.message().await? {
        hold(read.position > last, || format!("{}: position {} after {last}", side.id, read.position))?;
        last = read.position;
        let envelope = read.envelope.context("an envelope")?;
        positions.entry((envelope.origin, envelope.record_id)).or_default().push(last);
    }
    let sent = story.sent.iter().filter(|sent| sent.recipients.iter().any(|to| to == side.id));
    let lost: Vec<_> =
        sent.filter(|sent| !positions.contains_key(&(sent.origin.to_owned(), sent.id.clone()))).collect();
    hold(lost.is_empty(), || format!("{}: {} acknowledged are lost, such as {:?}", side.id, lost.len(), lost[0]))?;
    let twice: Vec<_> = positions.iter().filter(|(_, at)| at.len() > 1).take(3).collect();
    hold(twice.is_empty(), || format!("{}: at more than one position: {twice:?}", side.id))
}

/// The ledger is whole, and names each record once for each whom it went to. One that was queued under an agreement that ended
/// did not go: it is made again under the next one.
async fn disclosed_once(story: &Story, side: &Side) -> anyhow::Result<()> {
    let mut audit = side.audit().await?;
    let verified = audit.verify_audit(VerifyAuditRequest {}).await?.into_inner();
    hold(verified.consistent, || format!("{}: the ledger does not hold together: {verified:?}", side.id))?;
    let mut disclosed: BTreeMap<(RecordKind, String, Bytes), usize> = BTreeMap::new();
    let mut from = 0;
    loop {
        let page = audit.list_leaves(ListLeavesRequest { from, page_size: 500 }).await?.into_inner();
        let Some(last) = page.leaves.last() else { break };
        from = i64::try_from(last.index + 1)?;
        for leaf in page.leaves.into_iter().filter(|leaf| leaf.act() == AuditAct::Disclosed) {
            *disclosed.entry((leaf.record_kind(), leaf.counterparty, leaf.record_commitment)).or_default() += 1;
        }
    }
    let at_most = |kind| if kind == RecordKind::Alert { 1 } else { 1 + story.ended.len() };
    let more: Vec<_> = disclosed.iter().filter(|((kind, ..), times)| **times > at_most(*kind)).take(3).collect();
    hold(more.is_empty(), || format!("{}: disclosed more than once: {more:?}", side.id))?;
    for to in story.sides().map(|to| to.id) {
        for kind in [RecordKind::Alert, RecordKind::Practice] {
            let sent = story.sent.iter().filter(|sent| sent.origin == side.id && sent.kind == kind);
            let sent = sent.filter(|sent| sent.recipients.iter().any(|recipient| recipient == to)).count();
            let lines = disclosed.keys().filter(|(of, whom, _)| *of == kind && whom == to).count();
            hold(lines >= sent, || format!("{}: {sent} {kind:?} to {to}, {lines} in the ledger", side.id))?;
        }
    }
    Ok(())
}

/// Kehl and Esch hold the same agreements, and know the same of them.
async fn same_agreements(story: &Story) -> anyhow::Result<()> {
    for side in [&story.kehl, &story.esch] {
        let held = side.agreements().await?.list_agreements(ListAgreementsRequest::default()).await?.into_inner();
        let between = held.agreements.iter().filter(|held| {
            let parties = held.agreement.iter().flat_map(|agreement| &agreement.parties);
            !parties.into_iter().any(|party| party.authority == story.strasbourg.id)
        });
        let found: BTreeSet<_> = between.map(|held| (held.agreement_id.clone(), held.state())).collect();
        let ended = story.ended.iter().map(|id| (id.clone(), AgreementState::Ended));
        let agreed = story.agreed.iter().map(|id| (id.clone(), AgreementState::InForce));
        let expected: BTreeSet<_> = ended.chain(agreed).collect();
        hold(found == expected, || format!("{}: agreements {found:?}, not {expected:?}", side.id))?;
    }
    Ok(())
}

/// Both partners see Kehl's offer as Kehl said it last.
async fn offer_as_it_is(story: &Story) -> anyhow::Result<()> {
    let said = story.offer.as_ref().and_then(|offer| offer.capacity.as_ref()).map(|capacity| capacity.status());
    for side in [&story.strasbourg, &story.esch] {
        let seen = side.offers().await?.list_offers(ListOffersRequest::default()).await?.into_inner().partners;
        let capacities = seen.iter().filter(|offer| offer.authority == story.kehl.id).map(|offer| {
            let view = offer.view.as_ref().and_then(|view| view.capacity.as_ref());
            view.map(|capacity| capacity.status())
        });
        let seen: Vec<_> = capacities.collect();
        hold(seen == [said], || format!("{}: Kehl's offer is {seen:?}, not {said:?}", side.id))?;
    }
    Ok(())
}
