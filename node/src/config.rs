//! The configuration: one TOML file, `HAVENLINK_…` mirrors of every key, and `--set KEY=VALUE`.
//!
//! What lives here: the catalogue of keys (one list makes the type, the defaults, the environment names and the
//! explanation of each key), and loading. What does not: opening anything that a key names.
//! Invariants: an unknown key is a fault, never ignored; all faults are told at once, each with its place; a secret
//! is never a value here, only the path of a file.

mod faults;
mod raw;
mod value;
mod webhook_url;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use faults::{Fault, Faults};
pub use value::{LogFormat, Switch, Value, span_of};
pub use webhook_url::WebhookUrl;

use crate::domain::audit::ActorRole;
use crate::domain::authority::{IdentifierScheme, ParticipantKind};
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::record::RecordKind;
use crate::domain::time::Millis;
use raw::{Given, Raw};

/// Where the configuration is unless told otherwise.
pub const DEFAULT_PATH: &str = "/etc/havenlink/node.toml";

/// One key of the catalogue.
#[derive(Debug)]
pub struct Key {
    /// Dotted name, as in the file.
    pub name: &'static str,
    pub what: &'static str,
    /// The form of its value.
    pub form: &'static str,
    /// The default as TOML; empty: required.
    pub default: &'static str,
}

impl Key {
    /// The environment variable that mirrors it: `log.level` is HAVENLINK_LOG_LEVEL.
    pub fn variable(&self) -> String {
        format!("HAVENLINK_{}", self.name.replace('.', "_").to_ascii_uppercase())
    }
}

macro_rules! keys {
    ($($field:ident: $type:ty, $name:literal = $default:literal, $what:literal;)+) => {
        /// The configuration of a node, whole and valid.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config { $(#[doc = $what] pub $field: $type,)+ }

        /// Every key, in the order of the example file.
        pub const KEYS: &[Key] = &[$(Key { name: $name, what: $what, form: <$type as Value>::FORM, default: $default }),+];

        impl Config {
            /// The keys whose values are not the same in both, in the order of the example file.
            pub fn differing(&self, other: &Self) -> Vec<&'static str> {
                let mut keys = Vec::new();
                $(if self.$field != other.$field { keys.push($name); })+
                keys
            }
        }

        fn build(given: &BTreeMap<&'static str, Given>, faults: &mut Vec<Fault>) -> Option<Config> {
            $(let $field = take::<$type>($name, $default, given, faults);)+
            Some(Config { $($field: $field?,)+ })
        }
    };
}

keys! {
    authority: AuthorityId, "authority" = "", "Id of the authority that this node serves: country code, hyphen, name.";
    names: BTreeMap<String, String>, "names" = "{}", "Names of the authority by language (BCP 47); none: its id.";
    kind: ParticipantKind, "kind" = "\"LOCAL_AUTHORITY\"", "What sort of participant the authority is.";
    identifiers: BTreeMap<IdentifierScheme, String>, "identifiers" = "{}", "Official identifiers by scheme.";
    endpoints: Vec<String>, "endpoints" = "[]", "Addresses under which partners reach this node; none: the host's name and the port of `listen`.";
    contact_email: String, "contact.email" = "\"\"", "Mailbox of a desk, never of a person; it stands in the register.";
    contact_phone: String, "contact.phone" = "\"\"", "Telephone of that desk in international form.";
    listen: SocketAddr, "listen" = "\"0.0.0.0:7443\"", "Address on which partners' nodes are heard; port 0 takes a free one.";
    data_dir: PathBuf, "data_dir" = "\"/var/lib/havenlink\"", "Directory of keys, register and records.";
    run_dir: PathBuf, "run_dir" = "\"/run/havenlink\"", "Directory of the local sockets, one per role.";
    roles: Vec<ActorRole>, "roles" = "[\"operator\", \"coordinator\", \"publisher\", \"consumer\", \"data-protection\"]", "Roles that have a socket.";
    not_taken: Vec<RecordKind>, "not_taken" = "[]", "Kinds of record that this node does not take yet, such as PRACTICE: partners keep them until it does.";
    http: Switch<SocketAddr>, "http" = "\"127.0.0.1:9464\"", "Loopback address of /healthz, /readyz and /metrics, or off.";
    local_listen: Switch<SocketAddr>, "local.listen" = "\"off\"", "Address of the local services over mutual TLS, or off.";
    local_clients: BTreeMap<Pin, ActorRole>, "local.clients" = "{}", "Role of each client of `local.listen`, by the SHA-256 of its public key.";
    local_names: Vec<String>, "local.names" = "[]", "Further names and addresses under which clients dial `local.listen`; the node's own are known.";
    notify_webhook: Switch<WebhookUrl>, "notify.webhook" = "\"off\"", "Where the authority's own software is told that records came, without anything of them, or off.";
    notify_secret: PathBuf, "notify.secret" = "\"/etc/havenlink/webhook.secret\"", "File of mode 0600 with the secret that signs what is told: whsec_ and base64 of 24 to 64 bytes.";
    notify_webhook_ca: PathBuf, "notify.webhook_ca" = "\"/etc/ssl/certs/ca-certificates.crt\"", "Certificates (PEM) under one of which that of `notify.webhook` has to be; the system's, or your own.";
    notify_every: Millis, "notify.every" = "\"1m\"", "How often it is told at most; what comes meanwhile is in the next notice.";
    log_level: LogLevel, "log.level" = "\"info\"", "What is logged: error, warn, info, debug or trace.";
    log_format: LogFormat, "log.format" = "\"text\"", "Form of a log line: text or json.";
    otlp_endpoint: Switch<String>, "otlp.endpoint" = "\"off\"", "Where traces and metrics are sent (OTLP over gRPC), or off; the standard OTEL_ variables work as well.";
    otlp_sample: Share, "otlp.sample" = "1.0", "Share of the traces begun here that are sent.";
    worker_threads: Threads, "worker_threads" = "2", "Threads for the exchange; consensus and suspension have one of their own, and what members ask of the register another.";
    shutdown_drain: Millis, "shutdown.drain" = "\"10s\"", "How long running calls may take to finish when the node stops.";
    budget_calls: Amount, "budget.calls_per_second" = "2000", "Calls that one partner may make each second.";
    budget_bytes: Amount, "budget.bytes_per_second" = "33554432", "Bytes that one partner may send each second.";
    budget_rows: Amount, "budget.rows_per_day" = "5000000", "Records that one partner may have stored here in a day.";
    budget_control: Amount, "budget.control_per_day" = "10000", "Of these, how many about agreements: proposals, signatures, ends; a batch has up to 256.";
    budget_capacity: Amount, "budget.capacity_per_day" = "500", "Questions for capacity that one partner may ask in a day; a search asks one for each 64 offers.";
    budget_processor: Amount, "budget.processor_ms_per_second" = "500", "Milliseconds of processor time that looking at one partner's records may take each second, in the mean; five seconds' worth at once.";
    budget_stored: Amount, "budget.stored_mib_per_day" = "2048", "MiB that one partner may have stored here in a day.";
    budget_register_calls: Amount, "budget.register_calls_per_second" = "100", "Calls that one partner may make to the register each second, consensus apart; a steward ten times as many.";
    budget_register_bytes: Amount, "budget.register_bytes_per_second" = "1048576", "Bytes that one partner may send with them each second; a steward ten times as many.";
    budget_statements: Amount, "budget.statements_per_second" = "20", "Statements that one partner may propose to the register here each second; a steward ten times as many.";
    budget_statements_day: Amount, "budget.statements_per_day" = "5000", "Statements that one partner may propose to the register here in a day; a steward ten times as many.";
}

/// The levels of the log.
pub type LogLevel = value::LogLevel;
/// A share from 0 to 1.
pub type Share = value::Share;
/// A number of threads, 1 to 64.
pub type Threads = value::Threads;
/// 1 to 2³² − 1.
pub type Amount = value::Amount;

/// Where values come from: the file, then the environment over it, then `--set` over both.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Path and content of the file, if there is one.
    pub file: Option<(PathBuf, String)>,
    /// Variables that begin with HAVENLINK_.
    pub variables: Vec<(String, String)>,
    /// `KEY=VALUE` of the command line.
    pub set: Vec<String>,
    /// `KEY=VALUE` that holds where nothing else says: what the token of an invitation names.
    pub assumed: Vec<String>,
}

impl Sources {
    /// Reads the file and the process's environment. A missing file at the default place is no fault.
    ///
    /// # Errors
    /// When a file that was named, or is there, cannot be read.
    pub fn read(path: Option<&Path>, set: Vec<String>) -> std::io::Result<Self> {
        let given = path.unwrap_or(Path::new(DEFAULT_PATH));
        let file = match std::fs::read_to_string(given) {
            Ok(text) => Some((given.to_owned(), text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && path.is_none() => None,
            Err(e) => return Err(e),
        };
        let variables = std::env::vars().filter(|(name, _)| name.starts_with("HAVENLINK_")).collect();
        Ok(Self { file, variables, set, assumed: Vec::new() })
    }
}

/// Variables that begin like a key's mirror and are none: where the configuration itself is, where the tools look, and what the
/// daily backup is told.
const OTHER_VARIABLES: &[&str] =
    &["HAVENLINK_CONFIG", "HAVENLINK_SOCKETS", "HAVENLINK_LOG", "HAVENLINK_BACKUPS", "HAVENLINK_BACKUPS_KEPT"];

/// Loads the configuration.
///
/// # Errors
/// All faults of all sources.
pub fn load(sources: &Sources) -> Result<Config, Faults> {
    let mut faults = Vec::new();
    let mut given = BTreeMap::new();
    for (name, text) in sources.assumed.iter().filter_map(|pair| pair.split_once('=')) {
        if let Some(key) = KEYS.iter().find(|k| k.name == name) {
            given.insert(key.name, Given { place: "the token".to_owned(), raw: Raw::Written(text.to_owned()) });
        }
    }
    if let Some((path, text)) = &sources.file {
        raw::from_file(&path.display().to_string(), text, &mut given, &mut faults);
    }
    for (name, text) in &sources.variables {
        if OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        match KEYS.iter().find(|k| k.variable() == *name) {
            Some(key) => drop(given.insert(key.name, Given { place: name.clone(), raw: Raw::Written(text.clone()) })),
            None => {
                let near = faults::nearest(name, KEYS.iter().map(Key::variable));
                faults.push(Fault::unknown(name.clone(), "variable", name, near));
            }
        }
    }
    for pair in &sources.set {
        let place = format!("--set {pair}");
        let Some((name, text)) = pair.split_once('=') else {
            faults.push(Fault::new(place, pair, "KEY=VALUE is needed"));
            continue;
        };
        match KEYS.iter().find(|k| k.name == name) {
            Some(key) => drop(given.insert(key.name, Given { place, raw: Raw::Written(text.to_owned()) })),
            None => {
                let near = faults::nearest(name, KEYS.iter().map(|k| k.name.to_owned()));
                faults.push(Fault::unknown(place, "key", name, near));
            }
        }
    }
    match build(&given, &mut faults) {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(Faults(faults)),
    }
}

fn take<T: Value>(
    name: &'static str,
    default: &'static str,
    given: &BTreeMap<&'static str, Given>,
    faults: &mut Vec<Fault>,
) -> Option<T> {
    let (place, read) = match given.get(name) {
        Some(given) => (given.place.clone(), T::read(&given.raw)),
        None if default.is_empty() => {
            faults.push(Fault::new(String::new(), name, format!("is required: {}", T::FORM)));
            return None;
        }
        None => ("default".to_owned(), raw::from_literal(default).and_then(|raw| T::read(&raw))),
    };
    read.map_err(|message| faults.push(Fault::new(place, name, message))).ok()
}

/// Whether a file has remarks and empty lines alone: what `init` and `join` write may follow them.
pub fn says_nothing(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'))
}

/// A file that says what the pairs of `--set` say, the later of two winning; tables and lists in their TOML form.
pub fn as_file(set: &[String]) -> String {
    let pairs: BTreeMap<&str, &str> = set.iter().filter_map(|p| p.split_once('=')).collect();
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut out = String::new();
    for key in KEYS {
        let Some(value) = pairs.get(key.name) else { continue };
        let value = match key.default.as_bytes().first() {
            Some(b'[') => {
                let items: Vec<String> = value.split(',').map(|v| quoted(v.trim())).collect();
                format!("[{}]", items.join(", "))
            }
            Some(b'{') => {
                let pairs = value.split(',').filter_map(|p| p.split_once('='));
                let items: Vec<String> =
                    pairs.map(|(k, v)| format!("{} = {}", quoted(k.trim()), quoted(v.trim()))).collect();
                format!("{{ {} }}", items.join(", "))
            }
            Some(b'0'..=b'9') => (*value).to_owned(),
            _ => quoted(value),
        };
        out.push_str(&format!("{} = {value}\n", key.name));
    }
    out
}

/// The explanation of a key, or the nearest known one.
///
/// # Errors
/// The nearest known key, if one resembles the name.
pub fn explain(name: &str) -> Result<&'static Key, Option<String>> {
    let nearest = || faults::nearest(name, KEYS.iter().map(|k| k.name.to_owned()));
    KEYS.iter().find(|k| k.name == name).ok_or_else(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Sources {
        Sources { file: Some(("node.toml".into(), text.into())), ..Sources::default() }
    }

    #[test]
    fn one_line_is_enough_and_all_defaults_are_valid() {
        let config = load(&file("authority = \"fr-strasbourg\"\n")).unwrap();
        assert_eq!(config.listen.port(), 7443);
        assert_eq!(config.log_level, value::LogLevel::Info);
        assert_eq!(config.roles.len(), 5);
        assert_eq!(config.shutdown_drain, Millis::seconds(10));
    }

    #[test]
    fn all_faults_are_told_at_once_with_their_lines() {
        let text = "authorty = \"fr-strasbourg\"\nlisten = \"nowhere\"\n\n[log]\nlevl = \"info\"\nformat = 3\n";
        let faults = load(&file(text)).unwrap_err();
        let told = faults.to_string();
        for part in [
            "node.toml:1: authorty: unknown key, did you mean authority?",
            "node.toml:2: listen:",
            "node.toml:5: log.levl: unknown key, did you mean log.level?",
            "node.toml:6: log.format:",
            "authority: is required",
        ] {
            assert!(told.contains(part), "{part}\nnot in\n{told}");
        }
        assert_eq!(faults.0.len(), 5);
    }

    #[test]
    fn syntax_errors_have_lines_too() {
        let faults = load(&file("authority = \"fr-strasbourg\"\nlisten = \nhttp = \"off\n")).unwrap_err();
        let told = faults.to_string();
        assert!(told.contains("node.toml:2") && told.contains("node.toml:3"), "{told}");
    }

    #[test]
    fn the_environment_overrides_the_file_and_set_overrides_both() {
        let mut sources = file("authority = \"fr-strasbourg\"\nnames.fr = \"Strasbourg\"\n[log]\nlevel = \"warn\"\n");
        sources.variables = vec![
            ("HAVENLINK_LOG_LEVEL".into(), "debug".into()),
            ("HAVENLINK_ROLES".into(), "operator,consumer".into()),
            ("HAVENLINK_CONFIG".into(), "x".into()),
        ];
        sources.set = vec!["http=off".into(), "listen=127.0.0.1:0".into(), "names=fr=Strasbourg,de=Straßburg".into()];
        let config = load(&sources).unwrap();
        assert_eq!(config.log_level, value::LogLevel::Debug);
        assert_eq!(config.roles, [ActorRole::Operator, ActorRole::Consumer]);
        assert_eq!(config.http, Switch::Off);
        assert_eq!(config.names.len(), 2);
        sources.variables.push(("HAVENLINK_LISTN".into(), "x".into()));
        let told = load(&sources).unwrap_err().to_string();
        assert!(told.contains("HAVENLINK_LISTN: unknown variable, did you mean HAVENLINK_LISTEN?"), "{told}");
    }

    #[test]
    fn what_is_assumed_holds_where_nothing_else_says() {
        let assumed = vec!["authority=de-kehl".to_owned()];
        let alone = load(&Sources { assumed: assumed.clone(), ..Sources::default() }).unwrap();
        assert_eq!(alone.authority.as_str(), "de-kehl");
        let said = load(&Sources { assumed, ..file("authority = \"fr-strasbourg\"\n") }).unwrap();
        assert_eq!(said.authority.as_str(), "fr-strasbourg");
    }

    #[test]
    fn arguments_become_a_file_that_says_the_same() {
        let set: Vec<String> = [
            "authority=fr-strasbourg",
            "names=fr=Ville de \"Strasbourg\",de=Straßburg",
            "endpoints=a.example:7443,b.example:7443",
            "listen=127.0.0.1:0",
            "worker_threads=4",
            "log.level=warn",
            "http=off",
        ]
        .map(str::to_owned)
        .to_vec();
        let by_arguments = load(&Sources { set: set.clone(), ..Sources::default() }).unwrap();
        assert_eq!(load(&file(&as_file(&set))).unwrap(), by_arguments);
        let packaged = include_str!("../../deploy/debian/node.toml");
        assert!(says_nothing(packaged) && packaged.ends_with('\n'), "init writes behind it");
        assert_eq!(load(&file(&format!("{packaged}{}", as_file(&set)))).unwrap(), by_arguments);
        assert!(!says_nothing(&as_file(&set)) && !says_nothing("# a remark\nroles = []\n") && says_nothing(" \n"));
    }

    /// What the unit of the daily backup says to its script reaches the node as well.
    #[test]
    fn the_daily_backup_s_variables_are_no_faults() {
        let unit = include_str!("../../deploy/systemd/havenlink-backup.service");
        let said = unit.lines().filter_map(|line| line.strip_prefix("Environment=")?.split_once('='));
        let variables: Vec<_> = said.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(variables.len(), 2);
        let set = vec!["authority=fr-strasbourg".to_owned()];
        load(&Sources { variables, set, ..Sources::default() }).unwrap();
    }

    #[test]
    fn every_key_stands_in_the_example_and_the_example_has_no_other() {
        let example = include_str!("../../deploy/node.example.toml");
        let plain: String = example
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest)
                    if rest.contains(" = ") && KEYS.iter().any(|k| rest.starts_with(&format!("{} =", k.name))) =>
                {
                    rest
                }
                _ if line.starts_with('#') => "",
                _ => line,
            })
            .collect::<Vec<_>>()
            .join("\n");
        let mut given = BTreeMap::new();
        let mut faults = Vec::new();
        raw::from_file("node.example.toml", &plain, &mut given, &mut faults);
        assert!(faults.is_empty(), "{}", Faults(faults));
        for key in KEYS {
            assert!(given.contains_key(key.name), "{} is missing in node.example.toml", key.name);
            assert!(example.contains(&key.variable()), "{} is missing in node.example.toml", key.variable());
        }
        assert!(load(&file(&plain)).is_ok());
        assert!(load(&file(example)).is_ok());
    }
}
