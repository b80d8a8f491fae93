//! (d) The board over fifty partners, each with a node's own store, loops, listener and handlers over mutual TLS, all in this
//! process: to five the way is cut, from five each answer comes three seconds late, and five others change what they have before
//! each search. Beside it, in the same run, the same question to the same forty nodes by a plain client, all at once.

mod nodes;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt};
use havenlink::clock::SystemClock;
use havenlink::demo::sample;
use havenlink::domain::agreement::AgreementState;
use havenlink::domain::audit::{Actor, ActorRole};
use havenlink::domain::board::{BoardSource, CapacityQuestion, Wanted};
use havenlink::domain::ids::{AgreementId, Digest, OfferId};
use havenlink::domain::limits;
use havenlink::domain::place::{Place, PlaceScheme};
use havenlink::domain::records::offer::{CapacityLevel, OwnOffer};
use havenlink::exchange::Call;
use havenlink::transport::Lane;
use havenlink::wire::{agreement, board, records};
use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use havenlink_proto::record::v1::DisclosureLevel;
use nodes::Node;

use crate::table::{Gate, Report};

const PARTNERS: usize = 50;
/// Partners to which nothing comes through, and as many whose answers are late.
const CUT: usize = 5;
const LATE: usize = 5;
const ANSWERING: usize = PARTNERS - CUT - LATE;
/// Partners that change what they have before each search.
const CHANGE: usize = 5;
/// Until everything has come to where it belongs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the searches took, in ms, and what the plain client's questions took.
#[derive(Default)]
struct Took {
    first: Vec<f64>,
    live: Vec<f64>,
    whole: Vec<f64>,
    plain: Vec<f64>,
}

/// So many searches.
pub async fn measure(searches: usize, dir: &Path, report: &mut Report) -> anyhow::Result<()> {
    let (hub, partners) = opened(dir).await?;
    for (n, partner) in partners.iter().enumerate() {
        match n {
            _ if n < CUT => partner.way.cut(),
            _ if n < CUT + LATE => partner.way.slow(),
            _ => {}
        }
    }
    let mut took = Took::default();
    for search in 0..searches {
        let changed = changed(&partners[CUT + LATE..], search).await?;
        find(&hub, &changed, &mut took).await?;
        plain(&hub, &partners[CUT + LATE..], &mut took).await?;
    }
    let first = median(&mut took.first);
    report.figure("board over 50 partners: first rows", first, "ms", Some(Gate::at_most(first, 100.0, " ms")));
    let whole = median(&mut took.whole);
    let most = (limits::BOARD_DEADLINE.0 + 200) as f64;
    report.figure("board over 50 partners: complete, 10 silent", whole, "ms", Some(Gate::at_most(whole, most, " ms")));
    let (live, plain) = (median(&mut took.live), median(&mut took.plain));
    report.figure("board: a partner's own answer, p50", live, "ms", None);
    report.figure("the same question by a plain client, all at once, p50", plain, "ms", None);
    let gate = Gate { what: "≤ 1.5".into(), met: live <= 1.5 * plain };
    report.figure("board: ratio of the two", live / plain, "", Some(gate));
    Ok(())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// The searching node, and its partners: an agreement with each in force, an offer of each known.
async fn opened(dir: &Path) -> anyhow::Result<(Node, Vec<Node>)> {
    let mut berths = Vec::new();
    for n in 0..=PARTNERS {
        berths.push(nodes::berth(&format!("fr-board-{n:02}")).await?);
    }
    let view = nodes::view(&berths);
    let mut running = Vec::new();
    for (n, berth) in berths.into_iter().enumerate() {
        running.push(nodes::run(berth, &view, &dir.join(format!("board-{n:02}"))).await?);
    }
    let hub = running.remove(0);
    futures_util::stream::iter(running.iter().enumerate().map(|(n, partner)| agreed(&hub, n, partner)))
        .buffer_unordered(8)
        .try_collect::<()>()
        .await?;
    until("the hub knows all offers", || async {
        let known = hub.exchange.capacity.partner_offers(ActorRole::Coordinator).await.ok()?;
        (known.len() == PARTNERS).then_some(())
    })
    .await?;
    Ok((hub, running))
}

/// An agreement with a partner, and the partner's offer.
async fn agreed(hub: &Node, n: usize, partner: &Node) -> anyhow::Result<()> {
    let now = SystemClock::shared().now().0;
    let wanted = sample::agreement(hub.id.as_str(), partner.id.as_str(), DisclosureLevel::Count, now);
    let (federation_id, nonce) = (vec![1; 32].into(), vec![0; 16].into());
    let proposer = hub.id.to_string();
    let wanted = havenlink_proto::record::v1::Agreement { federation_id, nonce, proposer, created_ms: now, ..wanted };
    let wanted = agreement::from_proto(wanted)?;
    let id: AgreementId = hub.exchange.agreements.propose_agreement(&call(), wanted).await?;
    let stands = |node: &'static str, at: &Node, state| {
        let agreements = at.exchange.agreements.clone();
        async move {
            until(node, || async {
                let listed = agreements.list_agreements().await.ok()?;
                let is = |state| {
                    listed.iter().any(|one| one.id == id && one.summary.as_ref().is_ok_and(|s| s.state == state))
                };
                is(state).then_some(())
            })
            .await
        }
    };
    stands("it was proposed", partner, AgreementState::Proposed).await?;
    partner.exchange.agreements.sign_agreement(&call(), id).await?;
    stands("it is in force", hub, AgreementState::InForce).await?;
    stands("it is in force there", partner, AgreementState::InForce).await?;
    set(partner, n, 3).await
}

async fn set(partner: &Node, n: usize, free: u32) -> anyhow::Result<()> {
    let id = OfferId([u8::try_from(n)?; 16]);
    let now = SystemClock::shared().now();
    let refuge = records::offer::own_from_proto(sample::refuge(free), id, &partner.id, now)?;
    let area = Place::new(PlaceScheme::Nuts, "FRF11").context("an area")?;
    let offer = OwnOffer { id, protected: false, area, ..refuge };
    partner.exchange.capacity.set_offer(&call(), offer, None).await?;
    Ok(())
}

/// Some of the partners have another figure from now on, which the search has to show.
async fn changed(partners: &[Node], search: usize) -> anyhow::Result<Vec<(OfferId, u32)>> {
    let mut changed = Vec::new();
    for step in 0..CHANGE {
        let n = (search * CHANGE + step) % ANSWERING;
        let free = 4 + u32::try_from((search + step) % 5)?;
        set(&partners[n], CUT + LATE + n, free).await?;
        changed.push((OfferId([u8::try_from(CUT + LATE + n)?; 16]), free));
    }
    Ok(changed)
}

/// One search, whose rows are held to what the partners have.
async fn find(hub: &Node, changed: &[(OfferId, u32)], took: &mut Took) -> anyhow::Result<()> {
    let began = Instant::now();
    let capacity = hub.exchange.capacity.clone();
    let parts = capacity.find(ActorRole::Coordinator, Wanted::default(), limits::BOARD_DEADLINE).await?;
    let mut parts = std::pin::pin!(parts);
    let (mut answered, mut silent, mut seen) = (0, 0, 0);
    while let Some(part) = parts.next().await {
        match (part.authority, part.failed) {
            (None, _) => {
                anyhow::ensure!(part.found.len() == PARTNERS, "{} rows are known at once", part.found.len());
                took.first.push(ms(began));
            }
            (Some(_), None) => {
                took.live.push(ms(began));
                answered += 1;
                let live = |row: &&havenlink::domain::board::Found| row.source == BoardSource::Live;
                for row in part.found.iter().filter(live) {
                    if let Some((_, free)) = changed.iter().find(|(id, _)| *id == row.view.id) {
                        anyhow::ensure!(row.view.capacity.level == CapacityLevel::Count(*free), "an old figure");
                        seen += 1;
                    }
                }
            }
            (Some(_), Some(_)) => silent += 1,
        }
    }
    took.whole.push(ms(began));
    anyhow::ensure!(
        (answered, silent, seen) == (ANSWERING, CUT + LATE, changed.len()),
        "{answered} answered, {silent} did not, {seen} changes were seen"
    );
    Ok(())
}

/// The same question to those that answer, by a plain client, over connections that are open as well.
async fn plain(hub: &Node, partners: &[Node], took: &mut Took) -> anyhow::Result<()> {
    let began = Instant::now();
    let asked = partners.iter().map(|partner| async move {
        let channel = hub.pool.lane(&partner.id, Lane::Exchange)?;
        let (asker, asked) = (hub.id.clone(), partner.id.clone());
        let question = CapacityQuestion { asker, asked, services: Vec::new(), after: None };
        let mut client = ExchangeServiceClient::new(channel);
        let answer = client.list_capacity(board::question_to_proto(&question)).await?.into_inner();
        anyhow::ensure!(answer.offers.len() == 1, "{} offers", answer.offers.len());
        anyhow::Ok(ms(began))
    });
    took.plain.extend(futures_util::future::try_join_all(asked).await?);
    Ok(())
}

async fn until<F: Future<Output = Option<()>>>(what: &str, holds: impl Fn() -> F) -> anyhow::Result<()> {
    let looks = async {
        while holds().await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looks).await.with_context(|| format!("until {what}"))
}

/// A call of a coordinator, with a request id of its own.
fn call() -> Call {
    let unique = uuid::Uuid::new_v4();
    Call {
        actor: Actor { role: ActorRole::Coordinator, code: None },
        scope: "coordinator".to_owned(),
        request_id: unique.to_string(),
        body: Digest::of(unique.as_bytes()),
        traceparent: String::new(),
    }
}
