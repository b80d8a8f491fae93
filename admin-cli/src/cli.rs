//! The command line: its nouns, and whose command each is.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    agreement, alert, audit, delivery, directory, doctor, explain, invite, mandate, member, node, offer, policy,
    practice, status, steward,
};
use crate::failure::Failure;
use crate::global::Global;
use crate::session::Session;

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

/// What a command is about.
#[derive(Debug, Subcommand)]
pub enum Noun {
    /// How this node and its federation are
    Status,
    /// Checks the node; each finding names the command that fixes it (exit 0 ok, 1 warning, 2 critical, 3 unknown)
    Doctor,
    /// What a reason code means and what to do
    Explain(explain::Explain),
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

/// Does what was asked.
///
/// # Errors
/// What the node refused, or why it could not be asked.
pub async fn run(session: &Session, noun: Noun) -> Result<ExitCode, Failure> {
    match noun {
        Noun::Status => status::run(session).await?,
        Noun::Doctor => return doctor::run(session).await,
        Noun::Explain(what) => return explain::run(session, what).await,
        Noun::Invite(verb) => invite::run(session, verb).await?,
        Noun::Member(verb) => member::run(session, verb).await?,
        Noun::Mandate(verb) => mandate::run(session, verb).await?,
        Noun::Steward(verb) => steward::run(session, verb).await?,
        Noun::Agreement(verb) => agreement::run(session, verb).await?,
        Noun::Alert(verb) => alert::run(session, verb).await?,
        Noun::Practice(verb) => practice::run(session, verb).await?,
        Noun::Offer(verb) => return offer::run(session, verb).await,
        Noun::Delivery(verb) => delivery::run(session, verb).await?,
        Noun::Audit(verb) => audit::run(session, verb).await?,
        Noun::Directory(verb) => directory::run(session, verb).await?,
        Noun::Node(verb) => node::run(session, verb).await?,
        Noun::Policy(verb) => policy::run(session, verb).await?,
        Noun::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "havenctl", &mut std::io::stdout());
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::global::Role;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_id_of_a_write_is_the_argument_s_then_the_file_s_then_a_new_one() {
        let session = |typed: &[&str]| Session::new(&Cli::parse_from(typed).global);
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
