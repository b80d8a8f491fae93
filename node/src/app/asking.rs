//! What `init` and `join` ask a person for, in a terminal: how partners reach the people of this authority.
//!
//! A contact that nobody named is missed in the night in which somebody has to call. It stands in the register, so it is a
//! function's mailbox and telephone, never a person's. Without a terminal nothing is asked, and what is missing is said.

use std::io::{BufRead, IsTerminal, Write};

use crate::config::Config;

/// What is said where nobody can be asked, or nothing was answered.
const MISSING: &str = "\
The register will name no mailbox and no telephone of this authority: partners do not know whom to call.
  havenctl node update --contact-email ADDRESS --contact-phone NUMBER    names them later
";

/// Asks for what the configuration does not say, and gives it as keys of the configuration.
pub fn contact(config: &Config) -> Vec<String> {
    if !(config.contact_email.is_empty() && config.contact_phone.is_empty()) {
        return Vec::new();
    }
    let (input, output) = (std::io::stdin(), std::io::stderr());
    match input.is_terminal() && output.is_terminal() {
        true => ask(&mut input.lock(), &mut output.lock()),
        false => {
            eprint!("{MISSING}");
            Vec::new()
        }
    }
}

/// An empty line, or the end of the input, answers nothing.
fn ask(input: &mut impl BufRead, output: &mut impl Write) -> Vec<String> {
    let mut set = Vec::new();
    let questions = [
        ("contact.email", "Mailbox that partners may write to, of a function and never of a person"),
        ("contact.phone", "Telephone that is answered there, such as +33 1 99 00 12 34"),
    ];
    for (key, question) in questions {
        let _ = write!(output, "{question} [none]: ");
        let _ = output.flush();
        let mut line = String::new();
        let read = input.read_line(&mut line).unwrap_or(0);
        let answer = line.trim();
        if read > 0 && !answer.is_empty() {
            let blank = |c: char| key == "contact.phone" && c.is_whitespace();
            set.push(format!("{key}={}", answer.replace(blank, "")));
        }
    }
    if set.is_empty() {
        let _ = output.write_all(MISSING.as_bytes());
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(typed: &str) -> (Vec<String>, String) {
        let mut output = Vec::new();
        let set = ask(&mut typed.as_bytes(), &mut output);
        (set, String::from_utf8(output).unwrap())
    }

    #[test]
    fn what_is_typed_becomes_keys_of_the_configuration() {
        let (set, asked) = answered("veille@strasbourg.example\n +33 1 99 00 12 34 \n");
        assert_eq!(set, ["contact.email=veille@strasbourg.example", "contact.phone=+33199001234"]);
        assert!(asked.contains("never of a person") && !asked.contains("whom to call"), "{asked}");
    }

    #[test]
    fn who_answers_nothing_is_told_what_is_missing() {
        for typed in ["", "\n\n"] {
            let (set, asked) = answered(typed);
            assert!(set.is_empty() && asked.contains("havenctl node update --contact-email"), "{asked}");
        }
    }
}
