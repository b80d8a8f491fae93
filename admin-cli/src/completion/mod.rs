//! What a shell offers when TAB is pressed: words of the command line, and what the running node has there.
//!
//! What lives here: the scripts that make a shell ask (`havenctl completions`), the answer to it, and the one table of which
//! argument takes what (`takes`). What does not: what a role may read, which the node decides; it is asked over the same
//! socket as every command (`ask`). Invariant: whoever presses TAB waits for no node longer than a moment and reads no error:
//! where nothing can be learned, nothing is offered.

mod ask;
mod takes;

use std::process::ExitCode;

use clap::Command;
use clap_complete::engine::ArgValueCompleter;
use clap_complete::env::{CompleteEnv, Shells};

pub use takes::sort;
#[cfg(test)]
pub use takes::{Sort, TAKES};

use crate::failure::Failure;

/// A shell sets it when it asks; to its own name.
const ASKED: &str = "HAVENCTL_COMPLETE";
const TOOL: &str = "havenctl";

/// Installed where zsh looks for it, the script is run by the first TAB, which is to be answered as well.
const ZSH_FIRST: &str =
    "\nif [ \"$funcstack[1]\" = \"_havenctl\" ]; then\n    _clap_dynamic_completer_havenctl \"$@\"\nfi\n";

/// The script that makes a shell ask this tool.
///
/// # Errors
/// For a shell that has none.
pub fn script(shell: clap_complete::Shell) -> Result<Vec<u8>, Failure> {
    let name = shell.to_string();
    let shells = Shells::builtins();
    let asks = shells.completer(&name).ok_or_else(|| Failure::usage(format!("no completions for {name}"), ""))?;
    let mut script = Vec::new();
    asks.write_registration(ASKED, TOOL, TOOL, TOOL, &mut script)
        .map_err(|error| Failure::fault(&error.to_string()))?;
    // zsh reads the first line, and nobody an empty one.
    let begins = script.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or_default();
    script.drain(..begins);
    if shell == clap_complete::Shell::Zsh {
        script.extend_from_slice(ZSH_FIRST.as_bytes());
    }
    Ok(script)
}

/// Answers a shell that asks about this command line; `None`: this is a run as any other.
pub fn answered(line: fn() -> Command) -> Option<ExitCode> {
    std::env::var_os(ASKED).filter(|shell| !shell.is_empty())?;
    let here = std::env::current_dir().ok();
    let answering = CompleteEnv::with_factory(|| completing(line())).var(ASKED).bin(TOOL).completer(TOOL);
    // A line that cannot be understood has no completions, and a person in the middle of it wants no error.
    match answering.try_complete(std::env::args_os(), here.as_deref()) {
        Ok(_) => Some(ExitCode::SUCCESS),
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// The command line, with what each argument takes.
pub fn completing(command: Command) -> Command {
    below(command, "")
}

fn below(command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let command = command.mut_args(|arg| match sort(path, &arg) {
        Some(sort) => arg.add(ArgValueCompleter::new(move |typed: &std::ffi::OsStr| ask::candidates(sort, typed))),
        None => arg,
    });
    names.iter().fold(command, |command, name| {
        let path = format!("{path} {name}").trim_start().to_owned();
        command.mut_subcommand(name, |command| below(command, &path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_has_a_script_that_asks() {
        use clap::ValueEnum;
        for shell in clap_complete::Shell::value_variants() {
            let script = String::from_utf8(script(*shell).unwrap()).unwrap();
            assert!(script.contains(ASKED) && script.contains(TOOL), "{shell}: {script}");
            assert!(
                !script.contains("/havenctl"),
                "{shell}: it asks the tool that is found, not one at a place: {script}"
            );
        }
    }
}
