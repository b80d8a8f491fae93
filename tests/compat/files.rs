//! The other files of a node: its configuration, its keys, and what stands beside its store.

use std::path::PathBuf;

use havenlink::config::{self, KEYS, Sources};
use havenlink::domain::actor::ActorRole;
use havenlink::domain::record::RecordKind;
use havenlink::domain::time::{Millis, UnixMs};
use havenlink::storage::backup;
use havenlink::wire::keys::SigningKey;

use crate::golden;
use crate::samples::*;

/// Every key of 0.1.0, none of them with its default.
const CONFIGURATION: &str = r#"authority = "fr-strasbourg"
names = { fr = "Ville de Strasbourg", de = "Stadt Straßburg" }
kind = "MANDATED_NGO"
identifiers = { LAU = "67482", NUTS = "FRF11" }
endpoints = ["havenlink.strasbourg.example:7443"]
contact.email = "desk@strasbourg.example"
contact.phone = "+33155501234"
listen = "127.0.0.1:7444"
data_dir = "/srv/havenlink"
run_dir = "/run/havenlink-2"
roles = ["operator", "publisher"]
not_taken = ["PRACTICE"]
http = "off"
local.listen = "127.0.0.1:7445"
local.clients = { 0101010101010101010101010101010101010101010101010101010101010101 = "consumer" }
local.names = ["desk.strasbourg.example"]
notify.webhook = "https://desk.strasbourg.example/new"
notify.secret = "/srv/havenlink/webhook.secret"
notify.webhook_ca = "/srv/havenlink/webhook-ca.pem"
notify.every = "2m"
log.level = "debug"
log.format = "json"
otlp.endpoint = "http://127.0.0.1:4317"
otlp.sample = 0.5
worker_threads = 3
shutdown.drain = "20s"
budget.calls_per_second = 2001
budget.bytes_per_second = 33554433
budget.rows_per_day = 5000001
budget.control_per_day = 10001
budget.capacity_per_day = 501
budget.processor_ms_per_second = 501
budget.stored_mib_per_day = 2049
budget.register_calls_per_second = 101
budget.register_bytes_per_second = 1048577
budget.statements_per_second = 21
budget.statements_per_day = 5001
"#;

#[test]
fn a_configuration_of_then_means_what_it_meant() {
    let text = golden::text("node.toml", || CONFIGURATION.to_owned());
    let named: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    let sources = Sources { file: Some((PathBuf::from("node.toml"), text.clone())), ..Sources::default() };
    let config = config::load(&sources).unwrap_or_else(|faults| panic!("{faults:?}"));
    assert_eq!((config.authority.as_str(), config.names["de"].as_str()), (STRASBOURG, "Stadt Straßburg"));
    assert_eq!((config.identifiers.len(), config.endpoints[0].as_str()), (2, "havenlink.strasbourg.example:7443"));
    assert_eq!((config.listen.port(), config.data_dir), (7444, PathBuf::from("/srv/havenlink")));
    assert_eq!(config.roles, [ActorRole::Operator, ActorRole::Publisher]);
    assert_eq!((config.http.as_option(), config.local_clients.len()), (None, 1));
    assert_eq!(config.local_names, ["desk.strasbourg.example"]);
    assert_eq!(config.notify_webhook.as_option().unwrap().host(), "desk.strasbourg.example");
    assert_eq!(config.notify_every, Millis::seconds(120));
    assert_eq!(config.not_taken, [RecordKind::Practice]);
    assert_eq!(config.shutdown_drain, Millis::seconds(20));
    // Each value is another one than its default, so that one that was not read shows.
    let alone = Sources { set: vec!["authority=fr-strasbourg".to_owned()], ..Sources::default() };
    let (given, default) = (format!("{:?}", config::load(&sources)), format!("{:?}", config::load(&alone)));
    for field in ["otlp_sample", "worker_threads", "budget_calls", "budget_statements_day", "log_level", "log_format"] {
        let value = |text: &str| {
            text.split_once(&format!("{field}:")).map(|(_, after)| after.chars().take(24).collect::<String>())
        };
        assert_ne!(value(&given), value(&default), "{field}");
    }
    let lacking: Vec<&str> = KEYS.iter().map(|key| key.name).filter(|name| !named.contains(name)).collect();
    assert!(lacking.is_empty(), "a key of this version is in no golden file: {lacking:?}");
}

#[test]
fn an_authoritys_key_and_the_time_of_the_last_backup_are_read() {
    let bytes = golden::bytes("authority-key", || {
        let seed = havenlink::domain::ids::Digest::of(b"havenlink golden key 1").0;
        let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        [&prefix[..], &seed].concat().into()
    });
    assert_eq!(SigningKey::from_pkcs8(&bytes).unwrap().public(), key(1).public());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(backup::LAST_BACKUP), golden::text("last-backup", || NOW.to_string())).unwrap();
    assert_eq!(backup::last_backup(dir.path()), Some(UnixMs(NOW)));
}
