//! Who may call what: one row for each RPC, generated from the option `havenlink.options.v1.access` beside it.
//!
//! The node's access table, the tool's choice of a socket, the labels of metrics and the table in `README.md` are this one.
//! An RPC without the option does not compile; a method that is not here cannot be called.

use std::time::Duration;

use crate::record::v1::{ActorRole, RecordKind};

/// A port of the network. A city's own systems come over the socket of a role instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Mutual TLS with the pinned key of a member.
    Peer,
    /// ALPN `havenlink-join/1`, while an invitation is open.
    Join,
}

/// What a member must be to call at the peer listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinimumStatus {
    /// Neither suspended nor removed.
    Active,
    /// Suspended ones too: reading the register and voting go on.
    Member,
}

/// What the caller's certificate must be at the peer listener; asked for each request (9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Its key is a pin of the caller's register entry.
    Pinned,
    /// One that the caller's current authority key issued is enough.
    Issued,
}

/// On which threads a call runs, and from which budget a member's call is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Records and all that is about them.
    Exchange,
    /// What members ask of the register: beside consensus, so that it never runs before it.
    Members,
    /// Consensus, and an operator's governing and suspending: behind nobody, and without a budget.
    Register,
}

/// What a call changes, and what the same call does a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Changes something once for each `request_id`, for 24 hours.
    Keyed,
    /// Changes nothing more when it is said again.
    Idempotent,
    /// Makes one more each time.
    Cumulative,
}

/// What a call does with records. Together with a kind it is a row of its own, which the kind says: a method that serves
/// every kind is open to a role for those that are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Publish, update, cancel.
    Publish,
    /// List, get, watch.
    Read,
    /// The stream of the inbox.
    Consume,
    /// Answer one of this kind.
    Answer,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Publish, Self::Read, Self::Consume, Self::Answer];
}

/// Who may do what with records of a kind, generated from the option `havenlink.options.v1.kind` of its message.
#[derive(Debug)]
pub struct KindAccess {
    /// Of the kind, and of its field in `Content`.
    pub number: u32,
    pub publish: &'static [ActorRole],
    pub read: &'static [ActorRole],
    pub consume: &'static [ActorRole],
    pub answer: &'static [ActorRole],
}

impl KindAccess {
    /// The row of a kind; `None` for one that is only reserved, and for control.
    pub fn of(kind: RecordKind) -> Option<&'static Self> {
        KINDS.iter().find(|row| i64::from(row.number) == i64::from(kind as i32))
    }

    /// Roles that may do this, in the order in which a tool tries them.
    pub const fn roles(&self, verb: Verb) -> &'static [ActorRole] {
        match verb {
            Verb::Publish => self.publish,
            Verb::Read => self.read,
            Verb::Consume => self.consume,
            Verb::Answer => self.answer,
        }
    }
}

/// One row of the access table.
#[derive(Debug)]
pub struct Method {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// `local.RecordService`: the service, as the label of metrics names it.
    pub service: &'static str,
    pub listeners: &'static [Listener],
    /// Roles whose sockets lead here, in the order in which a tool tries them.
    pub roles: &'static [ActorRole],
    /// What it does with records of any kind: `roles` are those of the kinds together, each for its own kinds.
    pub verb: Option<Verb>,
    /// At the peer listener.
    pub minimum_status: MinimumStatus,
    /// At the peer listener.
    pub certificate: Certificate,
    /// Largest message of the request, in bytes.
    pub request_bytes: u32,
    /// Of a unary call, in milliseconds; a stream has none.
    pub deadline_ms: Option<u32>,
    /// How long a stream may be silent, in milliseconds; `None`: for ever.
    pub idle_ms: Option<u32>,
    pub work: Work,
    pub effect: Effect,
    /// What it brings is ordered into the register, on every steward's disk: it has a budget of its own.
    pub orders: bool,
    /// It waits for something to happen: it is answered at once when the node stops.
    pub waits: bool,
}

impl Method {
    /// How long a unary call may take.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline_ms.map(|ms| Duration::from_millis(ms.into()))
    }

    /// How long a stream may be silent.
    pub fn idle(&self) -> Option<Duration> {
        self.idle_ms.map(|ms| Duration::from_millis(ms.into()))
    }

    /// Whether messages go on coming, in one direction at least.
    pub const fn is_stream(&self) -> bool {
        self.deadline_ms.is_none()
    }
}

/// A request of the contract: the method that takes it, and the id that makes a write repeatable.
pub trait Call {
    /// The row of its method.
    const METHOD: &'static Method;

    /// The id of a write that carries one.
    fn request_id(&self) -> Option<&str>;
}

include!(concat!(env!("OUT_DIR"), "/access.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    /// `Operator` → `operator`, `DataProtection` → `data-protection`: as the socket's file is called.
    fn socket(role: ActorRole) -> String {
        role.as_str_name().trim_start_matches("ACTOR_ROLE_").to_ascii_lowercase().replace('_', "-")
    }

    fn who(row: &Method) -> String {
        let status = match (row.minimum_status, row.certificate) {
            (MinimumStatus::Active, Certificate::Pinned) => "members",
            (MinimumStatus::Active, Certificate::Issued) => "members, by an issued certificate too",
            (MinimumStatus::Member, Certificate::Pinned) => "members, suspended ones too",
            (MinimumStatus::Member, Certificate::Issued) => "members, suspended ones too, by an issued certificate too",
        };
        let ports = row.listeners.iter().map(|listener| match listener {
            Listener::Peer => status.to_owned(),
            Listener::Join => "applicants".to_owned(),
        });
        let roles = row.roles.iter().map(|role| socket(*role));
        // The seven that have a socket.
        let roles = match row.verb {
            Some(verb) => vec![format!("who may {} the kind", format!("{verb:?}").to_ascii_lowercase())],
            None if row.roles.len() == 7 => vec!["every role".to_owned()],
            None => roles.collect(),
        };
        ports.chain(roles).collect::<Vec<_>>().join(", ")
    }

    fn line(row: &Method) -> String {
        let deadline = match (row.deadline_ms, row.idle_ms) {
            (Some(ms), _) => format!("{} s", ms / 1_000),
            (None, Some(ms)) => format!("stream, silent {} s", ms / 1_000),
            (None, None) => "stream".to_owned(),
        };
        let effect = format!("{:?}", row.effect).to_ascii_lowercase();
        let method = row.path.trim_start_matches("/havenlink.").replace(".v1.", ".");
        format!("| `{method}` | {} | {} | {deadline} | {effect} |", who(row), row.request_bytes)
    }

    fn kind(row: &KindAccess) -> String {
        let kind = i32::try_from(row.number).ok().and_then(|number| RecordKind::try_from(number).ok()).unwrap();
        let name = kind.as_str_name().trim_start_matches("RECORD_KIND_");
        let roles = |verb| match row.roles(verb) {
            [] => "–".to_owned(),
            roles => roles.iter().map(|role| socket(*role)).collect::<Vec<_>>().join(", "),
        };
        format!("| `{name}` | {} |", Verb::ALL.map(roles).join(" | "))
    }

    /// The tables in the README are these. To write them again after a change: `UPDATE_README=1`.
    #[test]
    fn the_readme_has_a_line_for_each_method_and_each_kind() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let methods = "| method | who | request, bytes | deadline | effect |\n|---|---|---|---|---|\n";
        let kinds = "| kind | publish | read | consume | answer |\n|---|---|---|---|---|\n";
        for (name, head, lines) in [
            ("access", methods, METHODS.iter().map(line).collect::<Vec<_>>()),
            ("kinds", kinds, KINDS.iter().map(kind).collect()),
        ] {
            let readme = std::fs::read_to_string(path).unwrap();
            let (from, to) = (format!("<!-- {name}: from the options -->\n"), format!("<!-- /{name} -->"));
            let (before, rest) = readme.split_once(&from).unwrap();
            let (there, after) = rest.split_once(&to).unwrap();
            let table = format!("{head}{}\n", lines.join("\n"));
            if std::env::var_os("UPDATE_README").is_some() {
                std::fs::write(path, format!("{before}{from}{table}{to}{after}")).unwrap();
            } else {
                assert_eq!(there, table, "UPDATE_README=1 writes it");
            }
        }
    }

    #[test]
    fn the_request_of_a_method_leads_to_its_row_and_carries_its_id() {
        let request = crate::local::v1::SetOfferRequest { request_id: "mine".into(), ..Default::default() };
        assert_eq!(request.request_id(), Some("mine"));
        let of = |row: &Method| (row.path, row.effect);
        let path = "/havenlink.local.v1.OfferService/SetOffer";
        assert_eq!(of(<crate::local::v1::SetOfferRequest as Call>::METHOD), (path, Effect::Keyed));
        assert_eq!(crate::local::v1::ListOffersRequest::default().request_id(), None);
    }
}
