//! havenctl: what operators, coordinators and publishers do at their node, by noun and verb.
//!
//! What lives here: arguments, calls over the role's unix socket, tables and JSON, errors with their fix. What does not:
//! rules. Everything is decided by the node; this tool speaks only the public API, as any other program could.
//! Invariant: data on stdout, all else on stderr; the exit code says what happened (0 ok, 1 fault, 2 invalid, 3 denied,
//! 4 not found, 5 conflict, 6 unavailable, 7 partial, 8 timed out).

mod cli;
mod commands;
mod confirm;
mod contract_enum;
mod failure;
mod global;
mod id;
mod output;
mod reasons;
mod repeat;
mod session;
mod value;
mod when;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let session = session::Session::new(&cli.global);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::Failure::fault(&format!("no runtime: {error}")).print(),
    };
    match runtime.block_on(cli.noun.run(&session)) {
        Ok(code) => code,
        Err(failure) => failure.print(),
    }
}
