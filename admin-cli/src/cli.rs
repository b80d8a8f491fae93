//! The command line: nouns, and what holds for all of them.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use havenlink_proto::record::v1::ActorRole;

use crate::commands::{
    agreement, alert, audit, delivery, directory, invite, mandate, member, node, offer, policy, practice, steward,
};
use crate::output::Format;
use crate::when;

/// Operates a Havenlink node: noun, then verb.
#[derive(Debug, Parser)]
#[command(name = "havenctl", version, about, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 ok, 1 fault, 2 usage or invalid, 3 denied, 4 not found, 5 conflict, 6 unavailable, 7 partial, 8 timed out."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub noun: Noun,
}

/// Arguments that every command takes, wherever they stand on the line.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "For every command")]
pub struct Global {
    /// Directory of the node's sockets
    #[arg(long, global = true, env = "HAVENLINK_SOCKETS", default_value = "/run/havenlink", value_name = "DIR")]
    pub sockets: PathBuf,
    /// Role whose socket is used; chosen by the command if not given
    #[arg(long, global = true, value_enum, hide_possible_values = true, value_name = "ROLE")]
    pub role: Option<Role>,
    /// Form of the answer on stdout
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, hide_possible_values = true, value_name = "table|json|jsonl|csv")]
    pub output: Format,
    /// Time limit of each call; 20s, and longer for checks that look at everything
    #[arg(long, global = true, value_parser = when::parse_duration, value_name = "SPAN")]
    pub timeout: Option<Duration>,
    /// Of a write: sent again with the same id it is done once, where the node keeps ids
    #[arg(long, global = true, value_name = "ID")]
    pub request_id: Option<String>,
}

/// Who calls: each role has its own socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    Operator,
    Coordinator,
    Publisher,
    Consumer,
    DataProtection,
    Inspection,
    Liaison,
}

impl Role {
    /// The role of the contract; none for what has no socket.
    pub fn of(role: ActorRole) -> Option<Self> {
        Some(match role {
            ActorRole::Operator => Self::Operator,
            ActorRole::Coordinator => Self::Coordinator,
            ActorRole::Publisher => Self::Publisher,
            ActorRole::Consumer => Self::Consumer,
            ActorRole::DataProtection => Self::DataProtection,
            ActorRole::Inspection => Self::Inspection,
            ActorRole::Liaison => Self::Liaison,
            ActorRole::Unspecified | ActorRole::Node | ActorRole::Peer => return None,
        })
    }

    /// The file in the socket directory.
    pub fn socket(self) -> String {
        format!("{self}.sock")
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operator => "operator",
            Self::Coordinator => "coordinator",
            Self::Publisher => "publisher",
            Self::Consumer => "consumer",
            Self::DataProtection => "data-protection",
            Self::Inspection => "inspection",
            Self::Liaison => "liaison",
        })
    }
}

/// What a command is about.
#[derive(Debug, Subcommand)]
pub enum Noun {
    /// How this node and its federation are
    Status,
    /// Checks the node; each finding names the command that fixes it (exit 0 ok, 1 warning, 2 critical, 3 unknown)
    Doctor,
    /// What a reason code means and what to do
    Explain(crate::commands::explain::Explain),
    /// Invitations to join
    #[command(subcommand)]
    Invite(invite::Verb),
    /// Members of the federation: who is in, who asks to be, who is out
    #[command(subcommand)]
    Member(member::Verb),
    /// What authorities let organisations do for them
    #[command(subcommand)]
    Mandate(mandate::Verb),
    /// The authorities that keep the register together
    #[command(subcommand)]
    Steward(steward::Verb),
    /// Agreements between authorities: who shares what, why, until when
    #[command(subcommand)]
    Agreement(agreement::Verb),
    /// Alerts, published and received
    #[command(subcommand)]
    Alert(alert::Verb),
    /// Practices: what worked, and what did not
    #[command(subcommand)]
    Practice(practice::Verb),
    /// Own offers of places and services, and what partners offer
    #[command(subcommand)]
    Offer(offer::Verb),
    /// Where each envelope stands
    #[command(subcommand)]
    Delivery(delivery::Verb),
    /// The ledger of this node
    #[command(subcommand)]
    Audit(audit::Verb),
    /// The register as this node has verified it
    #[command(subcommand)]
    Directory(directory::Verb),
    /// This node itself: certificate, keys, its entry in the register
    #[command(subcommand)]
    Node(node::Verb),
    /// What a majority of stewards may change for all
    #[command(subcommand)]
    Policy(policy::Verb),
    /// Completions for a shell, on stdout
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_id_of_a_write_is_the_argument_s_then_the_file_s_then_a_new_one() {
        let session = |typed: &[&str]| crate::session::Session::new(&Cli::parse_from(typed).global);
        let given = session(&["havenctl", "status", "--request-id", "mine"]);
        assert_eq!((given.request_id(), given.request_id_over("file".into())), ("mine".into(), "mine".into()));
        let bare = session(&["havenctl", "status"]);
        assert_eq!(bare.request_id_over("file".into()), "file");
        assert_eq!((bare.request_id().len(), bare.request_id() != bare.request_id()), (36, true));
    }

    #[test]
    fn sockets_come_from_the_argument() {
        let cli = Cli::parse_from(["havenctl", "status", "--sockets", "/tmp/x", "-o", "json", "--timeout", "3s"]);
        assert_eq!(cli.global.sockets, PathBuf::from("/tmp/x"));
        assert_eq!(cli.global.timeout, Some(Duration::from_secs(3)));
        assert_eq!(Role::DataProtection.socket(), "data-protection.sock");
    }
}
