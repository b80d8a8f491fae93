//! havenctl: what operators, coordinators and publishers do at their node, by noun and verb.
//!
//! What lives here: arguments, calls over the role's unix socket, tables and JSON, errors with their fix. What does not:
//! rules. Everything is decided by the node; this tool speaks only the public API, as any other program could.
//! Invariant: data on stdout, all else on stderr; the exit code says what happened (0 ok, 1 fault, 2 invalid, 3 denied,
//! 4 not found, 5 conflict, 6 unavailable, 7 partial, 8 timed out).

mod catalogue;
mod cli;
mod commands;
mod completion;
mod confirm;
mod contract_enum;
mod failure;
mod global;
mod help;
mod id;
mod output;
mod reasons;
mod repeat;
mod session;
mod spans;
mod value;
mod when;

use std::process::ExitCode;

use clap::FromArgMatches;

fn main() -> ExitCode {
    if let Some(code) = completion::answered(help::command) {
        return code;
    }
    let matches = match help::parsed() {
        Ok(matches) => matches,
        Err(code) => return code,
    };
    let cli = match cli::Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let session = session::Session::new(&cli.global);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::Failure::fault(&format!("no runtime: {error}")).print(),
    };
    match runtime.block_on(cli.noun.run(&session)) {
        Ok(code) => session.ended(code),
        Err(failure) => help::in_its_words(failure, &matches).print(),
    }
}
