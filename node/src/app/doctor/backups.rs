//! Whether this node could come back from a lost disk: its backups, and who can open them.

use havenlink_proto::admin::v1::Check;

use super::{Care, ok, warning};
use crate::app::backups::last_folder;
use crate::app::failure::typed;
use crate::app::recipient;
use crate::storage::backup::{self, LAST_DRILL, LAST_SEALED};

/// Hours after which a backup is old.
const BACKUP_OLD: i64 = 48;

impl Care {
    pub(super) fn backup(&self) -> Check {
        let remedy = "havenlink backup DIRECTORY, better daily; DIRECTORY on another machine's disk";
        match self.hours_since(backup::LAST_BACKUP) {
            Some(hours) if hours < BACKUP_OLD => ok("backup", format!("{hours} h ago")),
            Some(hours) => warning("backup", format!("the last one is {hours} h old"), remedy),
            None => warning("backup", "no backup was ever made: a lost disk is lost data, and lost keys", remedy),
        }
    }

    /// What brings this authority's key back when the machine is gone. Of a steward it is worth a warning: the others may
    /// need its signature to decide anything (9.15). A drill that was never made is said, and is nobody's fault.
    pub(super) fn recovery(&self) -> Check {
        let dir = &self.renewal.data_dir;
        let steward = self.directory.view().is_steward(self.directory.authority());
        let drilled = match self.hours_since(LAST_DRILL) {
            Some(hours) => format!("opened for a drill {} days ago", hours / 24),
            None => {
                "never opened yet: havenlink restore --drill BACKUP --identity FILE shows that it can be".to_owned()
            }
        };
        match (self.hours_since(LAST_SEALED), recipient::of(dir)) {
            (_, Err(failure)) => warning("recovery", failure.to_string(), "havenlink recovery-key --replace"),
            (None, Ok(None)) if steward => warning(
                "recovery",
                "this steward has no recovery key, so no sealed copy of its authority key can exist",
                "havenlink recovery-key, then havenlink backup DIRECTORY",
            ),
            // Where there is no backup at all, the check before this one says so.
            (None, Ok(Some(_))) if steward && backup::last_backup(dir).is_some() => warning(
                "recovery",
                "no sealed backup of this steward: if its machine is lost, so is its authority key",
                self.next_backup(),
            ),
            (None, _) => ok("recovery", "no sealed backup yet"),
            (Some(_), Ok(None)) => warning(
                "recovery",
                "recovery.recipient is lost: no further backup can be sealed",
                format!("havenlink recovery-key makes another recovery key; then {}", self.next_backup()),
            ),
            (Some(hours), _) if hours >= BACKUP_OLD => {
                warning("recovery", format!("the last sealed backup is {hours} h old; {drilled}"), self.next_backup())
            }
            (Some(hours), _) => ok("recovery", format!("a sealed backup of {hours} h ago has the keys; {drilled}")),
        }
    }

    /// Into the folder of the last one, if that is still there.
    fn next_backup(&self) -> String {
        let folder = last_folder(&self.renewal.data_dir);
        format!("havenlink backup {}", folder.map_or_else(|| "DIRECTORY".to_owned(), |folder| typed(&folder)))
    }

    fn hours_since(&self, file: &str) -> Option<i64> {
        let at = backup::last(&self.renewal.data_dir, file)?;
        Some(self.now().since(at).0.max(0) / 3_600_000)
    }
}
