//! The command line as a person meets it: help with an example of each command, and a way on from what was mistyped.
//!
//! What lives here: what is shown beside what clap shows by itself. What does not: the arguments, which stand with their
//! commands. Invariant: every command has an example that parses, and no hint names a command that does not exist; tests
//! walk through all of them.

#[cfg(test)]
mod completed;
mod examples;
mod habits;
mod options;

use std::io::Write;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, CommandFactory};

use crate::cli::Cli;
use crate::failure::Failure;

/// Where the help of what every command takes stands.
const ONCE: &str =
    "--sockets, --role, --output, --bom, --timeout and --request-id go with every command: havenctl --help";

/// An example's lines are no longer than this, so that no terminal folds them elsewhere.
const NARROW: usize = 70;

/// Behind an option without which nothing is done.
const NEEDED: &str = "[needed]";

/// The command line, with its help.
pub fn command() -> Command {
    let command = Cli::command();
    // Each command has these from the root; their help stands there, once.
    let everywhere: Vec<Arg> =
        command.get_arguments().filter(|arg| arg.is_global_set()).map(|arg| arg.clone().hide(true)).collect();
    let nouns: Vec<String> = command.get_subcommands().map(|noun| noun.get_name().to_owned()).collect();
    nouns
        .iter()
        .fold(command, |command, noun| command.mut_subcommand(noun, |command| dressed(command, noun, &everywhere)))
}

/// A command below the root, and all below it.
fn dressed(command: Command, path: &str, everywhere: &[Arg]) -> Command {
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let command = command.mut_args(marked).args(everywhere.to_vec());
    let command = match examples::of(path) {
        Some(example) => command.after_help(format!("Example:\n  {}\n\n{ONCE}", folded(example))),
        None => command.after_help(ONCE),
    };
    verbs.iter().fold(command, |command, verb| {
        command.mut_subcommand(verb, |command| dressed(command, &format!("{path} {verb}"), everywhere))
    })
}

/// A long line as a shell takes it in several.
fn folded(example: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (i, part) in example.split(" --").enumerate() {
        let part = if i == 0 { part.to_owned() } else { format!("--{part}") };
        match lines.last_mut() {
            Some(line) if line.len() + part.len() < NARROW => *line = format!("{line} {part}"),
            _ => lines.push(part),
        }
    }
    lines.join(" \\\n      ")
}

/// What has to be given says so, and what may be given is listed, in lines that no terminal folds elsewhere.
fn marked(arg: Arg) -> Arg {
    let needed = arg.is_required_set() && !arg.is_positional();
    let lists = arg.get_action().takes_values() && !arg.is_hide_possible_values_set();
    let values = if lists { arg.get_possible_values() } else { Vec::new() };
    let text = arg.get_help().map(ToString::to_string);
    let text: Vec<String> = text.into_iter().chain(needed.then(|| NEEDED.to_owned())).collect();
    let mut lines: Vec<String> = Some(text.join(" ")).into_iter().filter(|line| !line.is_empty()).collect();
    let own = lines.len();
    for (i, value) in values.iter().enumerate() {
        let value = format!("{}{}", value.get_name(), if i + 1 < values.len() { "," } else { "" });
        match lines.last_mut().filter(|_| i > 0) {
            Some(line) if line.len() + value.len() < NARROW => *line = format!("{line} {value}"),
            _ => lines.push(value),
        }
    }
    if lines.len() == own && !needed { arg } else { arg.help(lines.join("\n")).hide_possible_values(lists) }
}

/// What was typed, or what was printed instead and the exit code: help, a version, or why it was not understood.
pub fn parsed() -> Result<ArgMatches, ExitCode> {
    command().try_get_matches().map_err(|error| {
        // Where nobody reads, the exit code still tells.
        let _ = error.print();
        if let Some(hint) = hint(&error) {
            let _ = writeln!(std::io::stderr(), "  tip: {hint}");
        }
        ExitCode::from(if error.use_stderr() { 2 } else { 0 })
    })
}

/// What may have been meant by a word that is no command.
fn hint(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let noun = noun_before(&words, typed);
    habits::meant(noun.as_deref(), typed).map(str::to_owned)
}

/// The noun behind which a word stands; none: it stands in a noun's place.
fn noun_before(words: &[String], verb: &str) -> Option<String> {
    let at = words.iter().position(|word| word == verb)?;
    let nouns: Vec<String> = Cli::command().get_subcommands().map(|noun| noun.get_name().to_owned()).collect();
    words[..at].iter().find(|word| nouns.contains(word)).cloned()
}

/// A failure of the command that was typed, in its own words.
pub fn in_its_words(failure: Failure, matches: &ArgMatches) -> Failure {
    let mut path = Vec::new();
    let mut matches = matches;
    while let Some((name, below)) = matches.subcommand() {
        path.push(name);
        matches = below;
    }
    let (root, path) = (command(), path.join(" "));
    match below(&root, &path) {
        Some(command) => options::told(failure, &path, command),
        None => failure,
    }
}

/// The command with this path.
fn below<'a>(root: &'a Command, path: &str) -> Option<&'a Command> {
    path.split(' ').try_fold(root, |command, name| command.find_subcommand(name))
}

/// The words of a shell line, without quotes.
#[cfg(test)]
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars().chain([' ']) {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set()) {
            let path = format!("{path} {}", below.get_name()).trim().to_owned();
            match below.has_subcommands() {
                true => leaves(below, &path, found),
                false => found.push((path, below.clone())),
            }
        }
    }

    #[test]
    fn every_command_has_an_example_that_parses() {
        command().debug_assert();
        let mut found = Vec::new();
        leaves(&command(), "", &mut found);
        assert!(found.len() > 60, "{}", found.len());
        for (path, mut below) in found {
            let example = examples::of(&path).unwrap_or_else(|| panic!("no example: {path}"));
            assert!(example.starts_with(&format!("havenctl {path}")), "{example}");
            let matches = command().try_get_matches_from(words(example));
            assert!(matches.is_ok(), "{example}: {}", matches.unwrap_err());
            let help = below.render_help().to_string();
            assert!(help.contains(&folded(example)) && !help.contains("--sockets <DIR>"), "{help}");
            assert_eq!(folded(example).replace(" \\\n     ", ""), example);
            for arg in below.get_opts().filter(|arg| arg.is_required_set()) {
                assert!(arg.get_help().is_some_and(|help| help.to_string().contains(NEEDED)), "{path}: {arg}");
            }
        }
        assert_eq!(examples::ALL.iter().filter(|(path, _)| path.is_empty()).count(), 0);
    }

    #[test]
    fn no_hint_names_what_does_not_exist() {
        for (_, _, hint) in habits::ALL {
            let Some(line) = hint.strip_prefix("havenctl ") else { continue };
            let line: Vec<String> = words(line).into_iter().take_while(|word| word.is_ascii()).collect();
            let mut command = command();
            for word in line.iter().take_while(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-')) {
                if word.starts_with("--") {
                    let long = word.trim_start_matches('-');
                    let known = command.get_opts().any(|arg| arg.get_long() == Some(long)) || long == "version";
                    assert!(known, "{hint}: {word}");
                } else if let Some(below) = command.find_subcommand(word) {
                    command = below.clone();
                } else {
                    assert!(!command.has_subcommands(), "{hint}: {word}");
                }
            }
        }
    }

    #[test]
    fn what_holds_for_every_command_is_taken_wherever_it_stands() {
        use clap::FromArgMatches;
        for line in [
            ["havenctl", "-o", "json", "delivery", "list", "--timeout", "3s"],
            ["havenctl", "delivery", "-o", "json", "list", "--timeout", "3s"],
            ["havenctl", "delivery", "list", "-o", "json", "--timeout", "3s"],
        ] {
            let cli = Cli::from_arg_matches(&command().try_get_matches_from(line).unwrap()).unwrap();
            assert_eq!(cli.global.output, crate::output::Format::Json);
            assert_eq!(cli.global.timeout, Some(std::time::Duration::from_secs(3)));
        }
    }
}
