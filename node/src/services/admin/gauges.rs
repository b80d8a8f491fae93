//! What the status says, as numbers for whoever watches many nodes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use havenlink_proto::admin::v1 as admin;

use super::node::StatusSource;
use crate::domain::ids::AuthorityId;
use crate::telemetry::metrics;
use crate::telemetry::partners::partner;

/// From one look to the next: what Prometheus asks by default is four times as long.
const LOOK: Duration = Duration::from_secs(15);

/// Sets the gauges, again and again.
pub async fn keep(status: Arc<dyn StatusSource>) {
    metrics::BUILD.set([env!("CARGO_PKG_VERSION")], 1);
    let mut named = BTreeSet::new();
    loop {
        if let Ok(status) = status.status().await {
            set(&status, &mut named);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn set(status: &admin::GetStatusResponse, named: &mut BTreeSet<&'static str>) {
    metrics::LAST_BACKUP.set([], status.last_backup_ms / 1_000);
    metrics::LAST_SEALED_BACKUP.set([], status.last_sealed_backup_ms / 1_000);
    let stale = status.own_offers.map_or(0, |own| own.stale);
    metrics::STALE_OFFERS.set([], i64::from(stale));
    let waits = status.pending.iter().filter(|pending| pending.waits_for_us).count();
    metrics::PENDING_DECISIONS.set([], i64::try_from(waits).unwrap_or(i64::MAX));
    let mut gone = std::mem::take(named);
    for told in &status.partners {
        let Some(id) = AuthorityId::parse(&told.authority) else { continue };
        let name = partner(&id);
        metrics::PARTNER_CONNECTED.set([name], i64::from(told.link == "connected"));
        metrics::PARTNER_ANSWERED.set([name], told.answered_ms / 1_000);
        metrics::PARTNER_QUEUED.set([name], i64::try_from(told.queued).unwrap_or(i64::MAX));
        metrics::PARTNER_HELD.set([name], i64::try_from(told.held).unwrap_or(i64::MAX));
        gone.remove(name);
        named.insert(name);
    }
    // Who is no partner any more is told as that until the node starts anew.
    for name in gone {
        for gauge in [&metrics::PARTNER_CONNECTED, &metrics::PARTNER_QUEUED, &metrics::PARTNER_HELD] {
            gauge.set([name], 0);
        }
    }
}
