//! `delivery`: where each envelope stands. No content: the operator sees it.

use std::collections::BTreeMap;

use clap::Subcommand;
use havenlink_proto::local::v1::delivery_service_client::DeliveryServiceClient;
use havenlink_proto::local::v1::{Delivery, DeliveryState, ListDeliveriesRequest};
use havenlink_proto::record::v1::RecordKind;
use serde_json::json;

use super::{ALL, Limit, pages};
use crate::contract_enum::{self, Code};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View, clean};
use crate::session::Session;
use crate::value::to_json;
use crate::when;

/// Where each envelope stands
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Deliveries, newest first
    List {
        /// To this authority only
        #[arg(long, value_name = "AUTHORITY")]
        to: Option<String>,
        /// In this state only
        #[arg(long)]
        state: Option<Code<DeliveryState>>,
        #[command(flatten)]
        limit: Limit,
    },
    /// What was shared with an authority, from the deliveries: counts, then each; codes and ids only
    Report {
        authority: String,
        /// From this time on: 2026-12-31, 2026-12-31T18:00:00Z, or a span before now such as 90d
        #[arg(long, value_parser = when::parse_past, value_name = "DATE")]
        since: i64,
    },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List { to, state, limit } => list(session, to, state, limit).await,
        Verb::Report { authority, since } => report(session, authority, since).await,
    }
}

async fn list(
    session: &Session,
    to: Option<String>,
    state: Option<Code<DeliveryState>>,
    limit: Limit,
) -> Result<(), Failure> {
    let request = ListDeliveriesRequest {
        recipient: to.unwrap_or_default(),
        state: contract_enum::number_or_zero(&state),
        ..Default::default()
    };
    let answer = pages!(session, DeliveryServiceClient, list_deliveries, request, [deliveries], &limit)?;
    if answer.deliveries.is_empty() {
        session.say("there are no such deliveries");
    }
    session.show(&View::list(to_json(&answer), &["deliveries"], grid(&answer.deliveries)))?;
    let stuck = answer.deliveries.iter().find(|d| !d.reason.is_empty());
    session.next(&stuck.map(|d| format!("havenctl explain {}", d.reason)).into_iter().collect::<Vec<_>>());
    Ok(())
}

async fn report(session: &Session, authority: String, since_ms: i64) -> Result<(), Failure> {
    let request = ListDeliveriesRequest { recipient: authority.clone(), since_ms, ..Default::default() };
    let answer = pages!(session, DeliveryServiceClient, list_deliveries, request, [deliveries], &ALL)?;
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for delivery in &answer.deliveries {
        *counts.entry((contract_enum::name::<RecordKind>(delivery.kind), became(delivery))).or_default() += 1;
    }
    let mut text = format!("shared with {} since {}\n", clean(&authority), when::show(since_ms));
    for ((kind, became), count) in &counts {
        text += &format!("  {count:>6}  {kind:<12}  {became}\n");
    }
    if counts.is_empty() {
        text += "  nothing that is still written down; rows go 30 days after their record has expired\n";
    } else {
        text += "\n";
    }
    let counted = counts.iter().map(|((kind, became), n)| json!({ "kind": kind, "became": became, "count": n }));
    let counted: Vec<_> = counted.collect();
    let deliveries = to_json(&answer)["deliveries"].take();
    let json = json!({ "recipient": authority, "since_ms": since_ms, "counts": counted, "deliveries": deliveries });
    let rows = grid(&answer.deliveries);
    session.show(&View::report(json, text, rows.clone()).and_grid(rows))
}

/// What became of a delivery, as a report counts it. One that was closed or given up after it was sent, and never
/// answered, may be there all the same.
fn became(delivery: &Delivery) -> &'static str {
    match delivery.state() {
        DeliveryState::Delivered => "delivered",
        DeliveryState::Refused | DeliveryState::Quarantined => "refused",
        DeliveryState::Queued | DeliveryState::Held => "waits",
        _ if delivery.attempts > 0 => "not answered: may have arrived",
        _ => "never sent",
    }
}

pub fn grid(deliveries: &[Delivery]) -> Grid {
    let mut grid =
        Grid::new(&["to", "state", "reason", "attempts", "kind", "record", "queued", "finished", "next_attempt"]);
    for delivery in deliveries {
        let waits = delivery.finished_ms == 0;
        grid.push([
            Cell::text(&delivery.recipient),
            Cell::state(contract_enum::name::<DeliveryState>(delivery.state)),
            Cell::text(&delivery.reason),
            Cell::number(delivery.attempts),
            Cell::text(contract_enum::name::<RecordKind>(delivery.kind)),
            Cell::id(id::show(&delivery.record_id)),
            Cell::time(delivery.queued_ms),
            Cell::time(delivery.finished_ms),
            Cell::time(if waits { delivery.next_attempt_ms } else { 0 }),
        ]);
    }
    grid
}
