//! What holds for every command, wherever it stands on the line: which node, in which role, how the answer is shown.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use havenlink_proto::record::v1::ActorRole;

use crate::output::Format;
use crate::when;

/// Arguments that every command takes, wherever they stand on the line.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "For every command")]
pub struct Global {
    /// Directory of the node's sockets
    #[arg(long, global = true, env = "HAVENLINK_SOCKETS", default_value = "/run/havenlink", value_name = "DIR")]
    pub sockets: PathBuf,
    /// Role whose socket is used; chosen by the command if not given
    #[arg(long, global = true, value_enum, value_name = "ROLE")]
    pub role: Option<Role>,
    /// Form of the answer on stdout
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, hide_possible_values = true, value_name = "table|json|jsonl|csv")]
    pub output: Format,
    /// With -o csv: begins with a byte order mark, by which a spreadsheet knows the letters
    #[arg(long, global = true)]
    pub bom: bool,
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
