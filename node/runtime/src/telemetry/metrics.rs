//! The catalogue of metrics: every name, every label, every value that a label can have.
//!
//! A label's values are a closed set written here, so no text of a peer, a person or a client can become one; partners
//! have their ids (`partners`). A value outside its set is counted as "other". Text form: Prometheus 0.0.4, on loopback.

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use super::partners;
use crate::domain::reason::Reason;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Counter,
    Gauge,
    /// Seconds, in the buckets of `BUCKETS`.
    Duration,
}

/// Upper bounds of the buckets of a duration, in milliseconds.
pub const BUCKETS: [u64; 10] = [1, 2, 5, 10, 25, 100, 250, 1_000, 5_000, 10_000];

/// A label and its closed set of values.
pub struct Label {
    pub name: &'static str,
    values: Values,
}

/// What a label may have; "other" stands last.
enum Values {
    Closed(fn() -> &'static [&'static str]),
    Partners,
}

impl Label {
    /// Whether a value is told by its own name.
    pub fn has(&self, value: &str) -> bool {
        self.value(self.place(value)) == value
    }

    fn count(&self) -> usize {
        match self.values {
            Values::Closed(values) => values().len(),
            Values::Partners => partners::MOST + 1,
        }
    }

    fn place(&self, value: &str) -> usize {
        match self.values {
            Values::Closed(values) => values().iter().position(|v| *v == value).unwrap_or(values().len() - 1),
            Values::Partners => partners::place(value),
        }
    }

    fn value(&self, place: usize) -> &'static str {
        match self.values {
            Values::Closed(values) => values()[place],
            Values::Partners => partners::value(place),
        }
    }
}

/// Label `partner`.
const PARTNER: Label = Label { name: "partner", values: Values::Partners };
/// Label `version`: this program's.
const VERSION: Label = Label { name: "version", values: Values::Closed(|| &[env!("CARGO_PKG_VERSION"), "other"]) };

macro_rules! labels {
    ($($name:ident $label:literal [$($value:literal),+ $(,)?];)+) => {
        $(#[doc = concat!("Label `", $label, "`.")] pub const $name: Label = Label { name: $label, values: Values::Closed(|| &[$($value,)+ "other"]) };)+
    };
}

labels! {
    LISTENER "listener" ["peer", "join", "local"];
    STATUS "status" [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
        "DATA_LOSS", "UNAUTHENTICATED",
    ];
    STREAM_CLASS "stream_class" ["CONTENT", "CONTROL"];
    RESULT "result" ["STORED", "DUPLICATE", "REFUSED", "QUARANTINED", "RETRY_LATER", "SKIPPED"];
    OWED_SORT "sort" [
        "SUSPENDED_RECORD", "BACKFILL", "ANNOUNCEMENT", "END_NOTICE", "PAUSE_NOTICE", "EMERGENCY_ENTRY", "ERASURE",
    ];
    WORKER "worker" [
        "dispatch", "deliver", "hold_or_release", "suspended_recipients", "announcements", "end_notices", "pause_notices",
        "backfill", "deferred", "ends", "checkpoint", "sweep", "greet", "erasures",
        "withdrawals", "holds", "gauges", "renew",
    ];
}

/// Label `service`: the services of the contract, and those of the libraries that are served beside it.
pub const SERVICE: Label = Label {
    name: "service",
    values: Values::Closed(|| {
        static SERVICES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
            let libraries = ["health.Health", "reflection.ServerReflection", "other"];
            havenlink_proto::access::SERVICES.iter().copied().chain(libraries).collect()
        });
        &SERVICES
    }),
};

/// Label `reason`: the catalogue of reasons.
pub const REASON: Label = Label {
    name: "reason",
    values: Values::Closed(|| {
        static CODES: LazyLock<Vec<&'static str>> =
            LazyLock::new(|| Reason::ALL.iter().map(|r| r.code()).chain(["other"]).collect());
        &CODES
    }),
};

/// A label's name and one of its values.
pub type Labelled = (&'static str, &'static str);

/// One metric: its name, what it counts, its labels, and its cells.
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    pub sort: Sort,
    labels: &'static [Label],
    cells: OnceLock<Box<[Cell]>>,
}

#[derive(Default)]
struct Cell {
    /// Counter or gauge; of a duration the sum in microseconds.
    value: AtomicI64,
    /// Of a duration: how many in each bucket, and above all.
    buckets: OnceLock<Box<[AtomicU64; BUCKETS.len() + 1]>>,
    touched: std::sync::atomic::AtomicBool,
}

macro_rules! catalogue {
    ($($id:ident $sort:ident $name:literal [$($label:ident),*] $help:literal;)+) => {
        $(#[doc = $help] pub static $id: Metric = Metric { name: $name, help: $help, sort: Sort::$sort, labels: &[$($label),*], cells: OnceLock::new() };)+
        /// Every metric, in the order of the catalogue.
        pub static ALL: &[&Metric] = &[$(&$id),+];
    };
}

catalogue! {
    CALLS Counter "havenlink_calls_total" [LISTENER, SERVICE, STATUS] "Calls answered, by listener, service and status.";
    CALL_SECONDS Duration "havenlink_call_seconds" [SERVICE] "Time until a call was answered.";
    REFUSALS Counter "havenlink_refusals_total" [REASON] "Refusals and failures told to a caller, by reason.";
    CONNECTIONS Gauge "havenlink_connections" [] "Open connections with partners' nodes.";
    HANDSHAKES_FAILED Counter "havenlink_handshakes_failed_total" [REASON] "TLS handshakes that were refused or failed, by reason.";
    RECEIVED Counter "havenlink_received_items_total" [STREAM_CLASS, RESULT] "Items of partners' batches, by what became of them.";
    SENT Counter "havenlink_sent_items_total" [STREAM_CLASS, RESULT] "Items of own batches, by the partner's answer.";
    QUEUED Gauge "havenlink_outbox_queued" [] "Deliveries that wait.";
    HELD Gauge "havenlink_outbox_held" [] "Deliveries that are held because the partner is suspended.";
    INBOX Gauge "havenlink_inbox_position" [] "Highest position of the inbox.";
    AUDIT_SIZE Gauge "havenlink_audit_size" [] "Leaves of the audit log.";
    PASSES Counter "havenlink_worker_passes_total" [WORKER] "Passes of each worker.";
    PASSES_FAILED Counter "havenlink_worker_passes_failed_total" [WORKER, REASON] "Passes that failed, by reason.";
    POSTPONED Counter "havenlink_worker_items_postponed_total" [WORKER, REASON] "Items of passes that could not be done and are tried again later, by reason.";
    OWED Gauge "havenlink_owed" [OWED_SORT] "What must still happen, by sort.";
    REGISTER_NUMBER Gauge "havenlink_register_number" [] "Change number of the register as verified here.";
    REGISTER_AUTHORITIES Gauge "havenlink_register_authorities" [] "Authorities in the register.";
    REGISTER_FRESH Gauge "havenlink_register_fresh" [] "1 while a majority of stewards confirmed the register lately.";
    REGISTER_LEADER Gauge "havenlink_register_leader" [] "1 while this node leads the stewards.";
    FORKS Gauge "havenlink_register_forks" [] "Change numbers at which stewards signed different heads.";
    SNAPSHOTS_REFUSED Counter "havenlink_register_snapshots_refused_total" [] "Snapshots of the register from other nodes that were not taken.";
    COMMIT_SECONDS Duration "havenlink_commit_seconds" [] "Time of one group commit of the store.";
    CERTIFICATE_EXPIRES Gauge "havenlink_certificate_expires_seconds" [] "When the node's certificate ends, Unix seconds.";
    LAST_BACKUP Gauge "havenlink_last_backup_seconds" [] "When the last backup was made, Unix seconds; 0: never.";
    LAST_SEALED_BACKUP Gauge "havenlink_last_sealed_backup_seconds" [] "When the last backup with the keys, sealed, was made, Unix seconds; 0: never.";
    STALE_OFFERS Gauge "havenlink_own_offers_stale" [] "Own offers that nobody confirmed in time: partners see no figures of them.";
    PENDING_DECISIONS Gauge "havenlink_pending_decisions" [] "Decisions and applications that wait for this authority.";
    PARTNER_CONNECTED Gauge "havenlink_partner_connected" [PARTNER] "1 while there is a connection with the partner's node.";
    PARTNER_ANSWERED Gauge "havenlink_partner_answered_seconds" [PARTNER] "When the partner's node answered last, Unix seconds; 0: not since the start.";
    PARTNER_QUEUED Gauge "havenlink_partner_queued" [PARTNER] "Deliveries that wait for the partner.";
    PARTNER_HELD Gauge "havenlink_partner_held" [PARTNER] "Deliveries that are held because the partner is suspended, or the register is not fresh.";
    BUILD Gauge "havenlink_build_info" [VERSION] "1, with the version of the program.";
    WEBHOOK_TOLD Counter "havenlink_webhook_told_total" [] "How often the authority's own software was told that records came.";
    WEBHOOK_FAILED Counter "havenlink_webhook_failed_total" [] "How often that failed; each is tried again.";
    UNREADABLE_ROWS Counter "havenlink_unreadable_rows_total" [] "Stored rows that could not be read; each once since the start.";
    FIELDS_WITHHELD Counter "havenlink_log_fields_withheld_total" [] "Log fields that were not on the list and not written.";
    START_SECONDS Gauge "havenlink_start_time_seconds" [] "When the process started, Unix seconds.";
    MEMORY Gauge "havenlink_resident_memory_bytes" [] "Resident memory of the process.";
}

impl Metric {
    pub fn add<const N: usize>(&self, labels: [&str; N], more: u64) {
        if more > 0 {
            let cell = self.cell(&labels);
            cell.value.fetch_add(i64::try_from(more).unwrap_or(i64::MAX), Ordering::Relaxed);
            cell.touched.store(true, Ordering::Relaxed);
        }
    }

    pub fn set<const N: usize>(&self, labels: [&str; N], value: i64) {
        let cell = self.cell(&labels);
        cell.value.store(value, Ordering::Relaxed);
        cell.touched.store(true, Ordering::Relaxed);
    }

    pub fn record<const N: usize>(&self, labels: [&str; N], took: Duration) {
        let cell = self.cell(&labels);
        cell.value.fetch_add(i64::try_from(took.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
        let millis = took.as_secs_f64() * 1e3;
        let bucket = BUCKETS.iter().position(|b| millis <= *b as f64).unwrap_or(BUCKETS.len());
        cell.buckets.get_or_init(Box::default)[bucket].fetch_add(1, Ordering::Relaxed);
        cell.touched.store(true, Ordering::Relaxed);
    }

    /// The value of one cell: counter or gauge as it is, a duration's count.
    pub fn value<const N: usize>(&self, labels: [&str; N]) -> i64 {
        let cell = self.cell(&labels);
        match self.sort {
            Sort::Duration => i64::try_from(cell.count()).unwrap_or(i64::MAX),
            Sort::Counter | Sort::Gauge => cell.value.load(Ordering::Relaxed),
        }
    }

    fn cell(&self, labels: &[&str]) -> &Cell {
        debug_assert_eq!(labels.len(), self.labels.len(), "{}", self.name);
        let mut index = 0;
        for (label, value) in self.labels.iter().zip(labels) {
            index = index * label.count() + label.place(value);
        }
        &self.cells()[index]
    }

    fn cells(&self) -> &[Cell] {
        self.cells.get_or_init(|| {
            let size = self.labels.iter().map(Label::count).product();
            std::iter::repeat_with(Cell::default).take(size).collect()
        })
    }

    fn touched(&self, see: &mut dyn FnMut(&[Labelled], &Cell)) {
        for (index, cell) in self.cells().iter().enumerate() {
            if !cell.touched.load(Ordering::Relaxed) && !self.labels.is_empty() {
                continue;
            }
            let mut rest = index;
            let mut labels: Vec<Labelled> = Vec::with_capacity(self.labels.len());
            for label in self.labels.iter().rev() {
                labels.push((label.name, label.value(rest % label.count())));
                rest /= label.count();
            }
            labels.reverse();
            see(&labels, cell);
        }
    }

    /// Each cell in use: its labels and its value; of a duration the sum in seconds.
    pub fn each(&self, see: &mut dyn FnMut(&[Labelled], f64)) {
        self.touched(&mut |labels, cell| {
            let value = cell.value.load(Ordering::Relaxed) as f64;
            see(labels, if self.sort == Sort::Duration { value / 1e6 } else { value });
        });
    }

    /// How many durations stand behind each sum of `each`.
    pub fn each_count(&self, see: &mut dyn FnMut(&[Labelled], f64)) {
        self.touched(&mut |labels, cell| see(labels, cell.count() as f64));
    }
}

impl Cell {
    fn count(&self) -> u64 {
        self.buckets.get().map_or(0, |b| b.iter().map(|n| n.load(Ordering::Relaxed)).sum())
    }
}

/// Reads what is only known when asked.
pub fn refresh() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    if let Some(kib) = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<i64>().ok()) {
        MEMORY.set([], kib * 1_024);
    }
}

/// All metrics as Prometheus text.
pub fn render() -> String {
    refresh();
    let mut out = String::with_capacity(8 << 10);
    for metric in ALL {
        let sort = match metric.sort {
            Sort::Counter => "counter",
            Sort::Gauge => "gauge",
            Sort::Duration => "histogram",
        };
        let _ = writeln!(out, "# HELP {} {}\n# TYPE {} {sort}", metric.name, metric.help, metric.name);
        metric.touched(&mut |labels, cell| render_cell(&mut out, metric, labels, cell));
    }
    out
}

fn render_cell(out: &mut String, metric: &Metric, labels: &[Labelled], cell: &Cell) {
    let mut inner: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
    let braces = |parts: &[String]| if parts.is_empty() { String::new() } else { format!("{{{}}}", parts.join(",")) };
    let value = cell.value.load(Ordering::Relaxed);
    if metric.sort != Sort::Duration {
        let _ = writeln!(out, "{}{} {value}", metric.name, braces(&inner));
        return;
    }
    let plain = braces(&inner);
    let mut below = 0;
    if let Some(buckets) = cell.buckets.get() {
        for (i, bucket) in buckets.iter().enumerate() {
            below += bucket.load(Ordering::Relaxed);
            let bound = BUCKETS.get(i).map_or("+Inf".to_owned(), |ms| (*ms as f64 / 1e3).to_string());
            inner.push(format!("le=\"{bound}\""));
            let _ = writeln!(out, "{}_bucket{} {below}", metric.name, braces(&inner));
            inner.pop();
        }
    }
    let _ = writeln!(out, "{}_sum{plain} {}\n{}_count{plain} {below}", metric.name, value as f64 / 1e6, metric.name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_and_are_unique() {
        let mut names = std::collections::BTreeSet::new();
        for metric in ALL {
            assert!(names.insert(metric.name), "{} twice", metric.name);
            assert!(metric.name.starts_with("havenlink_") && metric.help.ends_with('.'), "{}", metric.name);
            assert_eq!(metric.sort == Sort::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        }
    }

    #[test]
    fn a_value_outside_the_closed_set_is_other() {
        HANDSHAKES_FAILED.add(["some text of a peer"], 2);
        HANDSHAKES_FAILED.add(["PEER_PIN_UNKNOWN"], 1);
        let text = render();
        assert!(text.contains("havenlink_handshakes_failed_total{reason=\"other\"} 2"), "{text}");
        assert!(text.contains("havenlink_handshakes_failed_total{reason=\"PEER_PIN_UNKNOWN\"} 1"));
        assert!(!text.contains("some text"));
    }

    #[test]
    fn a_duration_has_cumulative_buckets_a_sum_and_a_count() {
        CALL_SECONDS.record(["reflection.ServerReflection"], Duration::from_millis(3));
        CALL_SECONDS.record(["reflection.ServerReflection"], Duration::from_secs(20));
        let text = render();
        for line in [
            "havenlink_call_seconds_bucket{service=\"reflection.ServerReflection\",le=\"0.002\"} 0",
            "havenlink_call_seconds_bucket{service=\"reflection.ServerReflection\",le=\"0.005\"} 1",
            "havenlink_call_seconds_bucket{service=\"reflection.ServerReflection\",le=\"+Inf\"} 2",
            "havenlink_call_seconds_count{service=\"reflection.ServerReflection\"} 2",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.contains("havenlink_resident_memory_bytes"));
    }
}
