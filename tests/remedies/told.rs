//! A refusal as it was told to somebody, and the commands of its remedy, run as they stand there.
//!
//! What lives here: reading the remedy where it was told, filling its placeholders from what was told or typed, running it, and
//! that no command of it was left out. What does not: how a refusal is brought about.

use std::cell::RefCell;
use std::collections::BTreeMap;

use havenlink::demo::city::City;
use havenlink::domain::reason::Reason;
use havenlink_proto::directory::v1::Outcome;
use havenlink_tests::refused::assert_refused;
use havenlink_tests::tools::{Ran, havenctl, shell};
use tonic::Status;
use tonic_types::StatusExt;

use crate::table;

/// The refusals of one situation, and what is left of each remedy when the commands that were run are taken out.
pub struct Scene {
    name: &'static str,
    left: RefCell<BTreeMap<&'static str, String>>,
}

impl Scene {
    pub fn new(name: &'static str) -> Self {
        Self { name, left: RefCell::default() }
    }

    /// A command of the tool is refused for this reason; its remedy as it was printed.
    pub async fn refused<'s, 'c>(&'s self, city: &'c City, typed: &[&str], reason: Reason) -> Told<'s, 'c> {
        let ran = havenctl(city, typed).await.unwrap();
        self.printed(city, &typed.join(" "), &ran, reason)
    }

    /// What a tool printed, and what was typed before that.
    pub fn printed<'s, 'c>(&'s self, city: &'c City, typed: &str, ran: &Ran, reason: Reason) -> Told<'s, 'c> {
        assert_refused(ran, reason);
        let remedy = after(&ran.err, "fix").into_iter().chain(after(&ran.err, "first")).collect::<Vec<_>>().join("\n");
        self.told(city, reason, remedy, format!("{typed}\n{}", ran.err))
    }

    /// A refusal at a door for programs: the remedy stands in its details.
    pub fn answered<'s, 'c, T: std::fmt::Debug>(
        &'s self,
        city: &'c City,
        about: &str,
        answer: Result<T, Status>,
        reason: Reason,
    ) -> Told<'s, 'c> {
        let status = answer.expect_err("refused");
        assert_refused(&Err::<(), _>(status.clone()), reason);
        let info = status.get_details_error_info().unwrap();
        self.told(
            city,
            reason,
            info.metadata["remedy"].clone(),
            format!("{about}\n{} {:?}", status.message(), info.metadata),
        )
    }

    /// A reason that stands in a list, a log or a receipt: somebody looks it up. `about` is the line that named it.
    pub async fn looked_up<'s, 'c>(&'s self, city: &'c City, about: &str, reason: Reason) -> Told<'s, 'c> {
        assert!(about.contains(reason.code()), "{about} does not name {reason}");
        let shown = havenctl(city, &["explain", reason.code()]).await.unwrap().fine();
        self.told(city, reason, after(&shown, "fix").concat(), format!("{about}\n{shown}"))
    }

    /// What the register answered to a statement: an outcome, whose name somebody looks up.
    pub async fn judged<'s, 'c>(&'s self, city: &'c City, outcome: Outcome, reason: Reason) -> Told<'s, 'c> {
        let name = outcome.as_str_name().trim_start_matches("OUTCOME_");
        let shown = havenctl(city, &["explain", name]).await.unwrap().fine();
        assert!(shown.contains(reason.code()), "{name} is explained as {reason}: {shown}");
        self.told(city, reason, after(&shown, "fix").concat(), format!("{name}\n{shown}"))
    }

    /// What was told before its node was started: its remedy is typed now.
    pub fn again<'s, 'c>(&'s self, city: &'c City, reason: Reason, text: String) -> Told<'s, 'c> {
        assert!(self.left.borrow().contains_key(reason.code()), "{reason} was told before");
        self.told(city, reason, String::new(), text)
    }

    /// Where a command for exactly this place was printed instead of the catalogue's words, those are looked up too.
    fn told<'s, 'c>(&'s self, city: &'c City, reason: Reason, printed: String, text: String) -> Told<'s, 'c> {
        let general = reason.row().remedy;
        let remedy = if printed.contains(general) { printed } else { format!("{printed}\n{general}") };
        assert!(!table::commands(&remedy).is_empty(), "{reason} told: {text}");
        self.left.borrow_mut().entry(reason.code()).or_insert_with(|| remedy.clone());
        Told { scene: self, city, reason, remedy, text }
    }

    /// Every command of every remedy was run, and the reasons are those of the table.
    pub fn ends(self) {
        let left = self.left.into_inner();
        for (reason, rest) in &left {
            assert_eq!(table::commands(rest), [""; 0], "{reason}: a command of its remedy was not run");
        }
        let expected: Vec<&str> = table::reasons_of(self.name).iter().map(|reason| reason.code()).collect();
        let mut missing = expected.clone();
        missing.retain(|code| !left.contains_key(code));
        let more: Vec<&&str> = left.keys().filter(|code| !expected.contains(code)).collect();
        assert!(
            missing.is_empty() && more.is_empty(),
            "{}: not brought about: {missing:?}; not in the table: {more:?}",
            self.name
        );
    }
}

/// The lines of a text that begin with this word, without it.
fn after(text: &str, word: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(word)?.strip_prefix(' '));
    lines.map(|rest| rest.trim().to_owned()).collect()
}

/// One refusal, at the desk where its remedy is typed.
pub struct Told<'s, 'c> {
    scene: &'s Scene,
    city: &'c City,
    reason: Reason,
    remedy: String,
    pub text: String,
}

impl Told<'_, '_> {
    /// Runs a command that stands in the remedy.
    pub async fn run(&self, command: &str) -> Ran {
        self.run_at(self.city, command, &[], "").await
    }

    /// Runs it with its placeholders filled from what was told or typed, and with the options that it asks for.
    pub async fn filled(&self, command: &str, with: &[(&str, &str)], options: &str) -> Ran {
        self.run_at(self.city, command, with, options).await
    }

    /// The same at another city's desk, where the remedy says that it is typed there.
    pub async fn run_at(&self, city: &City, command: &str, with: &[(&str, &str)], options: &str) -> Ran {
        for (_, value) in with {
            assert!(self.text.contains(value), "{}: nothing told or typed says {value}: {}", self.reason, self.text);
        }
        self.known(city, command, with, options).await
    }

    /// The same, where a placeholder stands for what the person at the desk has: a token, a folder.
    pub async fn known(&self, city: &City, command: &str, with: &[(&str, &str)], options: &str) -> Ran {
        self.takes(command);
        let mut line = format!("{command} {options}");
        for (placeholder, value) in with {
            assert!(command.contains(placeholder), "{placeholder} does not stand in {command}");
            line = line.replace(placeholder, value);
        }
        shell(city, &line).await.unwrap()
    }

    /// The same command once more, as the tool printed it: with the request id of the first time, which makes that safe.
    pub async fn repeated(&self) -> Ran {
        let fix = self.remedy.lines().find(|line| line.starts_with("havenctl ") && line.contains(" --request-id "));
        let fix = fix.unwrap_or_else(|| panic!("{}: no command to be repeated: {}", self.reason, self.text));
        self.known(self.city, fix, &[], "").await
    }

    /// A command that stands in the remedy and is run in another way: by a process that goes on.
    pub fn takes(&self, command: &str) {
        assert!(self.remedy.contains(command), "{}: {command} does not stand in: {}", self.reason, self.remedy);
        let mut left = self.scene.left.borrow_mut();
        let rest = left.get_mut(self.reason.code()).unwrap();
        *rest = rest.replace(command, "");
    }
}
