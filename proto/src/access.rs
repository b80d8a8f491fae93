//! Who may call what: one row for each RPC, generated from the option `havenlink.options.v1.access` beside it.
//!
//! The node's access table, the tool's choice of a socket, the labels of metrics and the table in `README.md` are this one.
//! An RPC without the option does not compile; a method that is not here cannot be called.

use std::time::Duration;

use crate::record::v1::ActorRole;

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
    /// At the peer listener.
    pub minimum_status: MinimumStatus,
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
        let status = match row.minimum_status {
            MinimumStatus::Active => "members",
            MinimumStatus::Member => "members, suspended ones too",
        };
        let ports = row.listeners.iter().map(|listener| match listener {
            Listener::Peer => status.to_owned(),
            Listener::Join => "applicants".to_owned(),
        });
        let roles = row.roles.iter().map(|role| socket(*role));
        // The seven that have a socket.
        let roles = if row.roles.len() == 7 { vec!["every role".to_owned()] } else { roles.collect() };
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

    /// The table in the README is this one. To write it again after a change: `UPDATE_README=1`.
    #[test]
    fn the_readme_has_a_line_for_each_method() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        let (before, rest) = readme.split_once("<!-- access: from the options -->\n").unwrap();
        let (there, after) = rest.split_once("<!-- /access -->").unwrap();
        let lines: Vec<_> = METHODS.iter().map(line).collect();
        let head = "| method | who | request, bytes | deadline | effect |\n|---|---|---|---|---|\n";
        let table = format!("{head}{}\n", lines.join("\n"));
        if std::env::var_os("UPDATE_README").is_some() {
            let whole = format!("{before}<!-- access: from the options -->\n{table}<!-- /access -->{after}");
            std::fs::write(path, whole).unwrap();
        } else {
            assert_eq!(there, table, "UPDATE_README=1 writes it");
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
