//! What is lost here, what the newest backup has of it, and what would be done: shown before anything is.
//!
//! What lives here: looking and saying. What does not: the acts, which are `backups`' and `recovery`'s. Invariant: a plan changes
//! nothing.

use std::path::{Path, PathBuf};

use super::Recovery;
use crate::app::backups::{self, Found};
use crate::app::failure::{CommandFailure, typed};
use crate::app::identity_copy;
use crate::app::scratch::Scratch;
use crate::app::sealing;
use crate::config::Config;
use crate::directory;
use crate::domain::ids::KeyId;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::storage::identity;
use crate::storage::sqlite::STORE_FILE;

/// What of a node is in its data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Here {
    pub key: bool,
    pub store: bool,
    pub register: bool,
}

impl Here {
    pub fn look(data_dir: &Path) -> Self {
        let has = |name: &str| data_dir.join(name).exists();
        Self { key: has("authority.key"), store: has(STORE_FILE), register: has(directory::FILE) }
    }

    fn told(self) -> String {
        let part = |here: bool, name: &str| format!("{name} {}", if here { "here" } else { "lost" });
        let parts = [part(self.key, "authority key"), part(self.store, "store"), part(self.register, "register")];
        parts.join(", ")
    }
}

/// The newest backup that may serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backup {
    None,
    /// Sealed, and no recovery key was given: whether it is whole is not known.
    Sealed(PathBuf),
    Whole {
        file: PathBuf,
        made: Option<UnixMs>,
        sealed: bool,
        key: Option<KeyId>,
    },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Nothing,
    /// Store and register are as new as they can be: only the keys come from the backup.
    Keys,
    Restore,
    /// The backup has to be opened before anything can be said.
    Open,
    /// The store alone is lost, and in no backup: the node that is still a member begins an empty one.
    Anew,
    /// Nothing of it is in a backup: the stewards, or the own key at a new node.
    Ticket,
}

/// From what is here and what a backup has.
pub fn decided(here: Here, backup: &Backup) -> Way {
    match (here, backup) {
        (Here { key: true, store: true, register: true }, _) => Way::Nothing,
        (Here { key: true, store: false, register: true }, Backup::None) => Way::Anew,
        (_, Backup::None) => Way::Ticket,
        (_, Backup::Sealed(_)) => Way::Open,
        (Here { key: false, store: true, register: true }, Backup::Whole { .. }) => Way::Keys,
        (_, Backup::Whole { .. }) => Way::Restore,
    }
}

/// The newest backup of a folder that is whole, or the one that is named.
///
/// # Errors
/// `RECOVERY_KEY_WRONG` and whatever stands in the way of files; a folder without a whole backup is no error, nor is a file that
/// is none: why it is none is told.
pub async fn newest(config: &Config, recovery: &Recovery<'_>) -> Result<Backup, CommandFailure> {
    let Recovery { from, identities, .. } = *recovery;
    let Some(from) = from else { return Ok(Backup::None) };
    let file = if from.is_dir() {
        identity::newest_backup(from, Some(&config.authority)).ok()
    } else {
        from.exists().then(|| from.to_owned())
    };
    let Some(file) = file else { return Ok(Backup::None) };
    if identities.is_empty() && sealing::is_sealed(&file) {
        return Ok(Backup::Sealed(file));
    }
    let scratch = Scratch::take(&config.data_dir)?;
    match backups::chosen(config, from, identities, &scratch, true, backups::RECOVER).await {
        Ok(Found { file, made, beside, .. }) => {
            let sealed = sealing::is_sealed(&file);
            Ok(Backup::Whole { file, made, sealed, key: identity_copy::key(&beside) })
        }
        Err(failure) if failure.reason() == Reason::BackupInvalid => {
            // Of a folder each one that was passed over was named.
            if !from.is_dir() {
                eprint!("{failure}");
            }
            Ok(Backup::None)
        }
        Err(failure) => Err(failure),
    }
}

/// The plan, line by line; the last ones name the command that does it, and what follows.
pub fn lines(config: &Config, recovery: &Recovery<'_>, here: Here, backup: &Backup) -> Vec<String> {
    let mut lines = vec![format!("found in {}: {}", config.data_dir.display(), here.told())];
    match (backup, recovery.from) {
        (Backup::None, None) => lines.push("no folder of backups is known here: name it with --from FOLDER".to_owned()),
        (Backup::None, Some(from)) => {
            lines.push(format!("no whole backup of {} in {}", config.authority, from.display()));
        }
        (Backup::Sealed(file), _) => lines.push(format!(
            "newest backup: {}{}; sealed, and not opened yet",
            file.display(),
            backups::made_when(identity::made_at(file))
        )),
        (Backup::Whole { file, made, sealed, key }, _) => {
            let how = if *sealed { "sealed" } else { "unsealed" };
            lines.push(format!("newest whole backup: {}{}; {how}", file.display(), backups::made_when(*made)));
            lines.push(format!(
                "it has the authority key {}",
                key.map(|key| key.to_string()).unwrap_or_else(|| "of nobody".to_owned())
            ));
            lines
                .push("not in it: what came in or went out since; partners send again what has not expired".to_owned());
        }
    }
    lines.extend(steps(config, recovery, here, backup));
    lines
}

fn steps(config: &Config, recovery: &Recovery<'_>, here: Here, backup: &Backup) -> Vec<String> {
    // As it was asked for: of a folder the same one is found again, with what opened those that were passed over.
    let again = |file: &Path, sealed: bool, yes: &str| {
        let identity = if sealed || !recovery.identities.is_empty() { " --identity -" } else { "" };
        format!("next: {} {}{identity}{yes}", backups::RECOVER, typed(recovery.from.unwrap_or(file)))
    };
    let follows = "then: systemctl start havenlink, and havenctl doctor; if this was a steward and its machines no longer make a \
                   majority, it names havenctl steward refound"
        .to_owned();
    match (decided(here, backup), backup) {
        (way @ (Way::Keys | Way::Restore), Backup::Whole { file, sealed, .. }) => {
            let what = match way {
                Way::Keys => "put the keys back; store and register stay as they are",
                _ => "restore it; a new incarnation begins, and agreements and offers wait to be confirmed",
            };
            // What is done now is no longer to be typed.
            let next = (!recovery.yes).then(|| again(file, *sealed, " --yes"));
            [Some(format!("would do: {what}")), next, Some(follows)].into_iter().flatten().collect()
        }
        (Way::Open, Backup::Sealed(file)) => vec![again(file, true, "")],
        (Way::Nothing, _) => vec!["nothing is lost here".to_owned(), "next: havenlink check".to_owned()],
        (Way::Anew, _) => vec![
            "your decision: look for a backup first (--from FOLDER); without one this node begins with an empty store".to_owned(),
            "it is a member as before, under a new incarnation; what was stored here is lost, agreements and offers too".to_owned(),
            "then: systemctl start havenlink, and havenctl doctor".to_owned(),
        ],
        _ => ticket(config, here),
    }
}

/// Nobody but people can tell who this is; or its key still does.
fn ticket(config: &Config, here: Here) -> Vec<String> {
    let why = if here.key {
        "your decision: it comes back under its own key, as a new node, by what another member's register says"
    } else {
        "your decision: look for a backup first (--from FOLDER); without one a majority of the stewards has to give a new key"
    };
    vec![
        why.to_owned(),
        format!("next: at another member: havenctl member recovery-ticket {}", config.authority),
        "then: here: havenlink recover TICKET".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_has_one_way_out() {
        let whole = Backup::Whole { file: "b".into(), made: None, sealed: true, key: None };
        let sealed = Backup::Sealed("b".into());
        let here = |key, store, register| Here { key, store, register };
        for (found, backup, act) in [
            (here(true, true, true), &Backup::None, Way::Nothing),
            (here(true, true, true), &whole, Way::Nothing),
            (here(false, true, true), &whole, Way::Keys),
            (here(false, true, true), &sealed, Way::Open),
            (here(false, true, true), &Backup::None, Way::Ticket),
            (here(false, false, false), &whole, Way::Restore),
            (here(true, false, true), &Backup::None, Way::Anew),
            (here(true, false, true), &whole, Way::Restore),
            (here(true, false, false), &Backup::None, Way::Ticket),
            (here(true, false, false), &whole, Way::Restore),
            (here(true, true, false), &whole, Way::Restore),
            (here(false, false, false), &Backup::None, Way::Ticket),
        ] {
            assert_eq!(decided(found, backup), act, "{found:?} with {backup:?}");
        }
    }

    #[test]
    fn what_was_asked_for_and_cannot_be_done_is_a_failure() {
        let root = tempfile::tempdir().unwrap();
        let config = crate::app::tests::config(root.path(), &[]);
        let asked = |yes| crate::app::recovery::planned(&config, &Recovery { yes, ..Recovery::default() });
        asked(false).unwrap();
        assert_eq!(asked(true).unwrap_err().reason(), Reason::BackupInvalid);
    }

    #[test]
    fn what_is_printed_is_typed_as_it_was_asked_for() {
        let root = tempfile::tempdir().unwrap();
        let config = crate::app::tests::config(root.path(), &[]);
        let lost = Here { key: false, store: false, register: false };
        let key = age::x25519::Identity::generate();
        let none: &[age::x25519::Identity] = &[];
        let one = std::slice::from_ref(&key);
        let sealed = |sealed| Backup::Whole { file: "/mnt/b 1/x.backup".into(), made: None, sealed, key: None };
        for (identities, backup, command) in [
            (none, Backup::Sealed("/mnt/b 1/x.backup".into()), "--from '/mnt/b 1' --identity -"),
            (none, sealed(false), "--from '/mnt/b 1' --yes"),
            // An older one that is open, after a sealed one that was passed over.
            (one, sealed(false), "--from '/mnt/b 1' --identity - --yes"),
            (one, sealed(true), "--from '/mnt/b 1' --identity - --yes"),
        ] {
            let recovery = Recovery { from: Some(Path::new("/mnt/b 1")), identities, yes: false };
            let told = lines(&config, &recovery, lost, &backup);
            assert!(told.contains(&format!("next: havenlink recover {command}")), "{told:?}");
        }
        assert_eq!(typed(Path::new("/mnt/it's")), r"'/mnt/it'\''s'");
    }
}
