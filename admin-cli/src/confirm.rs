//! Severe acts: what will happen is listed first, then `--yes` or the name, typed.

use std::io::{BufRead, IsTerminal, Write};

use crate::failure::Failure;
use crate::reasons::CONFIRMATION_NEEDED;
use crate::session::Session;

/// Lists the consequences and asks for the name, unless `yes` was given.
///
/// # Errors
/// `CONFIRMATION_NEEDED` when nobody is there to ask, or something else was typed.
pub fn severe(session: &Session, act: &str, consequences: &[&str], name: &str, yes: bool) -> Result<(), Failure> {
    session.say(&format!("{act}:"));
    for consequence in consequences {
        session.say(&format!("  - {consequence}"));
    }
    if yes {
        return Ok(());
    }
    let needed = |what: &str| {
        Failure::new(
            &CONFIRMATION_NEEDED,
            what,
            CONFIRMATION_NEEDED.why,
            format!("type {name} when asked, or add --yes"),
        )
    };
    if !std::io::stdin().is_terminal() {
        return Err(needed(CONFIRMATION_NEEDED.what));
    }
    if ask(&format!("type {name} to go on: "))? == name {
        Ok(())
    } else {
        Err(needed("nothing was done: the name was not typed"))
    }
}

/// Asks on stderr, reads one line from stdin.
///
/// # Errors
/// When stdin cannot be read.
pub fn ask(question: &str) -> Result<String, Failure> {
    let mut err = std::io::stderr();
    let _ = write!(err, "{question}");
    let _ = err.flush();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|e| Failure::fault(&format!("stdin: {e}")))?;
    Ok(line.trim().to_owned())
}
