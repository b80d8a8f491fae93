//! `digest`: how much came, and what waits, without any content: for a timer that mails it.
//!
//! Counts alone: no partner, no id, no place, and nothing of the kinds that are about persons. A mailbox is no place for more.

use clap::Args;
use havenlink_proto::admin::v1::GetStatusResponse;
use havenlink_proto::local::v1::ListRecordsRequest;
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_proto::record::v1::RecordKind;
use serde_json::json;

use super::{ALL, pages, status};
use crate::failure::Failure;
use crate::output::{Cell, View};
use crate::session::Session;
use crate::when;

/// Of which kinds it is told how many came, and their names.
const KINDS: [(RecordKind, &str); 2] = [(RecordKind::Alert, "alerts"), (RecordKind::Practice, "practices")];

#[derive(Debug, Args)]
pub struct Digest {
    /// What came from then on: a day, an instant (UTC), or a span before now
    #[arg(long, default_value = "1d", value_parser = when::parse_past)]
    since: i64,
}

/// What stands in it.
struct Counted {
    since: i64,
    /// In the order of `KINDS`.
    received: [usize; KINDS.len()],
    status: GetStatusResponse,
}

pub async fn run(session: &Session, asked: Digest) -> Result<(), Failure> {
    let mut counted = Counted { since: asked.since, received: [0; KINDS.len()], status: status::fetch(session).await? };
    for ((kind, _), count) in KINDS.iter().zip(&mut counted.received) {
        let session = &session.about(*kind);
        let request = ListRecordsRequest { kind: (*kind).into(), ..Default::default() };
        let listed = pages!(session, RecordServiceClient, list_records, request, [records], &ALL)?;
        *count = listed.records.iter().filter(|held| held.received_ms >= asked.since).count();
    }
    session.show(&view(&counted, when::now_ms()))
}

fn view(counted: &Counted, now: i64) -> View {
    let status = &counted.status;
    let (waiting, ours) = (status.pending.len(), status.pending.iter().filter(|p| p.waits_for_us).count());
    let offers = status.own_offers.unwrap_or_default();
    let ago = |at: i64| if at == 0 { "none yet".to_owned() } else { format!("{} ago", when::span(now - at)) };
    let mut lines = vec![format!("{} since {}", status.authority, when::show(counted.since))];
    let mut line = |what: &str, how: String| lines.push(format!("{what:<22}{how}"));
    for ((_, name), count) in KINDS.iter().zip(counted.received) {
        line(&format!("{name} received"), count.to_string());
    }
    line("decisions that wait", format!("{waiting}, {ours} of them for us"));
    line("offers not reported", format!("{} of {}", offers.stale, offers.all));
    line("last backup", ago(status.last_backup_ms));
    line("last sealed backup", ago(status.last_sealed_backup_ms));
    let [alerts, practices] = counted.received;
    let all = json!({
        "authority": status.authority,
        "since_ms": counted.since,
        "alerts": alerts,
        "practices": practices,
        "decisions": waiting,
        "decisions_for_us": ours,
        "offers": offers.all,
        "offers_not_reported": offers.stale,
        "last_backup_ms": status.last_backup_ms,
        "last_sealed_backup_ms": status.last_sealed_backup_ms,
    });
    let pairs = vec![
        ("authority", Cell::text(&status.authority)),
        ("since", Cell::time(counted.since)),
        ("alerts", Cell::number(alerts)),
        ("practices", Cell::number(practices)),
        ("decisions", Cell::number(waiting)),
        ("decisions_for_us", Cell::number(ours)),
        ("offers", Cell::number(offers.all)),
        ("offers_not_reported", Cell::number(offers.stale)),
        ("last_backup", Cell::time(status.last_backup_ms)),
        ("last_sealed_backup", Cell::time(status.last_sealed_backup_ms)),
    ];
    View::text(all, lines.join("\n") + "\n", pairs)
}
