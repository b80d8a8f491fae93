//! What an answer is shown on: how wide it is, and whether it has colours. Never colour alone: each stands on a word.

use std::io::IsTerminal;

/// Where the lines go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Screen {
    /// Columns; `None`: a file or a pipe, where a line is as long as it is.
    pub width: Option<usize>,
    pub colour: bool,
}

impl Screen {
    /// Of stdout: as wide as COLUMNS says, else as the terminal is.
    pub fn of_stdout() -> Self {
        let typed = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|wide| *wide > 0);
        let terminal = std::io::stdout().is_terminal();
        let seen = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)).filter(|_| terminal);
        Self { width: typed.or_else(seen), colour: terminal && may_colour() }
    }
}

/// Whether a person who sees a terminal wants colours there (no-color.org).
pub fn may_colour() -> bool {
    let asked = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    asked("NO_COLOR").is_none() && asked("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// How good or bad a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

impl Tone {
    /// Of a word of the contract's lists of states, or one that this tool puts in their place.
    pub fn of(word: &str) -> Self {
        match word {
            "OK" | "AVAILABLE" | "READY" | "DELIVERED" | "IN_FORCE" | "ACTIVE" | "DONE" | "connected" => Self::Good,
            "WARNING" | "UNKNOWN" | "FEW" | "CALL_FIRST" | "CLOSED_UNTIL" | "NOT_REPORTED" | "STARTING"
            | "NEEDS_APPROVAL" | "NOT_FRESH" | "UNCONFIRMED" | "PROPOSED" | "HELD" | "SUSPENDED" | "SKIPPED"
            | "PARTIAL" | "NOTICED" | "CLOCK" | "suspended" => Self::Warning,
            "CRITICAL" | "FULL" | "UNREACHABLE" | "REMOVED" | "RULES_TOO_OLD" | "DISK_FULL" | "REFUSED"
            | "QUARANTINED" | "EXPIRED" | "BURNT" | "REVOKED" | "UNREADABLE" | "OVERDUE" | "FORK" | "EXTREME"
            | "unreachable" => Self::Bad,
            _ => Self::Plain,
        }
    }

    /// The word in its colour.
    pub fn paint(self, word: &str) -> String {
        let code = match self {
            Self::Plain => return word.to_owned(),
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "1;31",
        };
        format!("\u{1b}[{code}m{word}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use havenlink_proto::admin::v1::{AgreementState, CheckResult, InvitationState, NodeState};
    use havenlink_proto::directory::v1::MemberState;
    use havenlink_proto::local::v1::{DeliveryState, DisclosureState, Light};

    use super::*;
    use crate::contract_enum::{descriptor, names_of};

    #[test]
    fn every_state_of_the_contract_has_its_colour_or_is_plain_on_purpose() {
        let lists = [
            names_of(&descriptor::<CheckResult>()),
            names_of(&descriptor::<NodeState>()),
            names_of(&descriptor::<MemberState>()),
            names_of(&descriptor::<AgreementState>()),
            names_of(&descriptor::<InvitationState>()),
            names_of(&descriptor::<DeliveryState>()),
            names_of(&descriptor::<DisclosureState>()),
            names_of(&descriptor::<Light>()),
        ];
        let plain: Vec<String> = lists.into_iter().flatten().filter(|word| Tone::of(word) == Tone::Plain).collect();
        assert_eq!(plain, ["ENDED", "OPEN", "COMMITTED", "USED", "QUEUED", "CLOSED", "SHARED"]);
    }

    #[test]
    fn a_colour_stands_on_its_word() {
        assert_eq!(Tone::of("CRITICAL").paint("CRITICAL"), "\u{1b}[1;31mCRITICAL\u{1b}[0m");
        assert_eq!(Tone::of("de-kehl").paint("de-kehl"), "de-kehl");
    }
}
