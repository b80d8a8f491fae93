//! The command line: its nouns, and whose command each is.

use std::path::PathBuf;
use std::process::{ExitCode, Termination};

use clap::{CommandFactory, Parser, Subcommand};

use crate::failure::Failure;
use crate::global::Global;
use crate::session::{Session, print};
use crate::{commands, completion};

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

/// The nouns with verbs of their own, in the order of the help: for each a line here and a file in `commands/`, whose `Verb`
/// says in its first line what the noun is, and whose `run` does it.
macro_rules! nouns {
    ($($noun:ident => $module:ident,)+) => {
        /// What a command is about.
        #[derive(Debug, Subcommand)]
        pub enum Noun {
            /// How this node and its federation are
            Status,
            /// Checks the node; each finding names the command that fixes it (exit 0 ok, 1 warning, 2 critical, 3 unknown)
            Doctor,
            /// How much came and what waits, without content, for a timer that mails it
            Digest(commands::digest::Digest),
            /// What happened to the node, as far as it concerns your role, and what happens as you look on
            Events(commands::events::Events),
            /// What a reason code means and what to do
            Explain(commands::explain::Explain),
            $(#[command(subcommand)] $noun(commands::$module::Verb),)+
            /// What was processed: what, to whom, under which agreement, for which purpose, kept how long (Article 30 GDPR)
            Report(commands::report::Report),
            /// Completions for a shell, on stdout: they ask the running node for ids, as far as your role may read them
            Completions {
                /// The shell
                #[arg(value_enum)]
                shell: clap_complete::Shell,
            },
            /// Manual pages, one for each command, into a folder
            #[command(hide = true)]
            Manual {
                /// The folder
                folder: PathBuf,
            },
        }

        impl Noun {
            /// Does what was asked.
            ///
            /// # Errors
            /// What the node refused, or why it could not be asked.
            pub async fn run(self, session: &Session) -> Result<ExitCode, Failure> {
                match self {
                    Self::Status => commands::status::run(session).await?,
                    Self::Doctor => return commands::doctor::run(session).await,
                    Self::Digest(what) => commands::digest::run(session, what).await?,
                    Self::Events(what) => return commands::events::run(session, what).await,
                    Self::Explain(what) => commands::explain::run(session, what).await?,
                    Self::Report(what) => commands::report::run(session, what).await?,
                    $(Self::$noun(verb) => return Ok(commands::$module::run(session, verb).await?.report()),)+
                    Self::Completions { shell } => {
                        print(&completion::script(shell)?)?;
                    }
                    Self::Manual { folder } => {
                        let written = clap_mangen::generate_to(Cli::command(), &folder);
                        written.map_err(|error| Failure::fault(&format!("{}: {error}", folder.display())))?;
                    }
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    };
}

nouns! {
    Invite => invite,
    Member => member,
    Mandate => mandate,
    Steward => steward,
    Register => register,
    Agreement => agreement,
    Sharing => agreement_to_share,
    Alert => alert,
    Practice => practice,
    Offer => offer,
    Place => place,
    Inspection => inspection,
    Referral => referral,
    Erasure => erasure,
    Delivery => delivery,
    Audit => audit,
    Directory => directory,
    Node => node,
    Policy => policy,
}

#[cfg(test)]
mod tests {
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
