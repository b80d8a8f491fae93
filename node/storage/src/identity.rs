//! Whose a store is: written into it when a node first uses it, told by a backup's name and by the backup itself, so that
//! nobody's store takes the place of another's.
//!
//! What lives here: the values, and the names of backups. What does not: whom a node takes itself for; who restores asks,
//! and refuses. Invariant: a store belongs to one authority in one federation, for ever.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use sqlx::sqlite::SqliteConnection;

use super::named::Named;
use super::ops::{Expect, Put, Write};
use super::sqlite::db::{self, Args, Columns, failed};
use super::sqlite::statements;
use super::{Error, Result, Store};
use crate::domain::ids::{AuthorityId, FederationId, KeyId};
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;

/// How a backup's name ends.
pub const BACKUP_ENDING: &str = "backup";

/// What a store says of itself. One that an older version wrote says nothing, and can be anybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    pub authority: Option<AuthorityId>,
    pub federation: Option<FederationId>,
    /// Of a backup: the authority's key that was put beside it.
    pub key: Option<KeyId>,
}

/// Writes down whose the store is, if it does not say so yet.
///
/// # Errors
/// `Damaged` when it is another's: the file came from another node.
pub async fn claim(store: &dyn Store, authority: &AuthorityId, federation: &FederationId) -> Result<()> {
    let (authority, federation) = (authority.as_str().as_bytes(), federation.as_bytes().as_slice());
    let mut unsaid = Vec::new();
    for (name, value) in [(Named::Authority, authority), (Named::Federation, federation)] {
        match store.meta(name).await? {
            None => unsaid.push((name, value)),
            Some(held) if held == value => {}
            Some(_) => return Err(Error::Damaged("the store belongs to another authority, or to another federation")),
        }
    }
    // A start writes nothing where nothing is new: it must succeed on a full disk.
    for (name, value) in unsaid {
        let (expects, put) = (vec![Expect::Named(name, None)], Put::Named(name, Bytes::copy_from_slice(value)));
        store.write(Write { expects, ..Write::put(put) }.into()).await?;
    }
    Ok(())
}

/// What the store in a file says of itself.
pub(crate) async fn told(conn: &mut SqliteConnection) -> Result<Whose> {
    let authority = named(conn, Named::Authority).await?.map(|bytes| {
        let text = std::str::from_utf8(&bytes).ok();
        text.and_then(AuthorityId::parse).ok_or(Error::Damaged("the authority of the store"))
    });
    let federation = named(conn, Named::Federation).await?;
    let federation =
        federation.map(|b| FederationId::from_slice(&b).ok_or(Error::Damaged("the federation of the store")));
    let key = named(conn, Named::BackupKey).await?;
    let key = key.map(|b| KeyId::from_slice(&b).ok_or(Error::Damaged("the key of the backup")));
    Ok(Whose { authority: authority.transpose()?, federation: federation.transpose()?, key: key.transpose()? })
}

async fn named(conn: &mut SqliteConnection, name: Named) -> Result<Option<Vec<u8>>> {
    let row = db::one(conn, &statements::META_GET, Args::new().with(name.name())).await.map_err(failed)?;
    row.map(|row| row.blob(0)).transpose().map_err(failed)
}

/// `havenlink-<authority>-<ms>.backup`; the backup of a store that does not know whose it is has no authority there, like
/// those of older versions.
pub(crate) fn backup_name(authority: Option<&AuthorityId>, now: UnixMs) -> String {
    let whose = authority.map(|authority| format!("{authority}-")).unwrap_or_default();
    format!("havenlink-{whose}{}.{BACKUP_ENDING}", now.0)
}

/// The backups of a folder, the newest first, by the time in their names; of an authority, if one is named: other
/// authorities' are passed over, those without a name in their name are not. What has the name is whole when it was made.
///
/// # Errors
/// When the folder cannot be read.
pub fn backups(folder: &Path, authority: Option<&AuthorityId>) -> Result<Vec<PathBuf>> {
    let mut found: Vec<_> =
        ours(folder, authority)?.into_iter().filter(|(_, path)| has_ending(path, BACKUP_ENDING)).collect();
    found.sort_unstable();
    Ok(found.into_iter().rev().map(|(_, path)| path).collect())
}

/// What backups left in a folder that did not come to their end: no backup, and never taken for one.
///
/// # Errors
/// When the folder cannot be read.
pub fn unfinished(folder: &Path, authority: Option<&AuthorityId>) -> Result<Vec<PathBuf>> {
    let left =
        |path: &PathBuf| has_ending(path, "part") || path.is_dir() && !path.with_extension(BACKUP_ENDING).exists();
    Ok(ours(folder, authority)?.into_iter().map(|(_, path)| path).filter(left).collect())
}

/// The newest backup of a folder.
///
/// # Errors
/// `BACKUP_INVALID` when there is none.
pub fn newest_backup(folder: &Path, authority: Option<&AuthorityId>) -> Result<PathBuf> {
    backups(folder, authority)?.into_iter().next().ok_or(Error::Refused(Reason::BackupInvalid))
}

/// When a backup was made, by its name.
pub fn made_at(path: &Path) -> Option<UnixMs> {
    Some(UnixMs(read_name(path).1)).filter(|made| made.0 > 0)
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

fn ours(folder: &Path, authority: Option<&AuthorityId>) -> Result<Vec<(i64, PathBuf)>> {
    let files = std::fs::read_dir(folder).map_err(|e| Error::Failed(Box::new(e)))?;
    let files = files.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let named =
        files.filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"havenlink-")));
    let ours = named.filter_map(|path| {
        let (whose, made) = read_name(&path);
        let fits = authority.is_none() || whose.is_none() || whose.as_ref() == authority;
        fits.then_some((made, path))
    });
    Ok(ours.collect())
}

/// Whose, and when.
fn read_name(path: &Path) -> (Option<AuthorityId>, i64) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let rest = stem.strip_prefix("havenlink-").unwrap_or(stem);
    let (whose, made) = rest.rsplit_once('-').unwrap_or(("", rest));
    (AuthorityId::parse(whose), made.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::{kehl, strasbourg};

    #[test]
    fn the_newest_backup_is_that_of_the_authority() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| std::fs::write(folder.path().join(name), name).unwrap();
        let newest = |of: Option<&AuthorityId>| {
            let path = newest_backup(folder.path(), of).ok()?;
            Some(path.file_name().unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(newest(None), None);
        put(&backup_name(Some(&kehl()), UnixMs(2_000)));
        put(&backup_name(Some(&kehl()), UnixMs(900)));
        put("havenlink-de-kehl-3000.part");
        assert_eq!(newest(Some(&strasbourg())), None);
        assert_eq!(newest(Some(&kehl())).as_deref(), Some("havenlink-de-kehl-2000.backup"));
        // Of before names told whose they are.
        put(&backup_name(None, UnixMs(1_000)));
        assert_eq!(newest(Some(&strasbourg())).as_deref(), Some("havenlink-1000.backup"));
        put(&backup_name(Some(&strasbourg()), UnixMs(1_001)));
        assert_eq!(newest(Some(&strasbourg())).as_deref(), Some("havenlink-fr-strasbourg-1001.backup"));
        assert_eq!(newest(None).as_deref(), Some("havenlink-de-kehl-2000.backup"));
        assert_eq!(made_at(&newest_backup(folder.path(), None).unwrap()), Some(UnixMs(2_000)));

        // What is no backup is named.
        for left in [
            "havenlink-de-kehl-4000.identity",
            "havenlink-de-kehl-5000.identity.part",
            "havenlink-de-kehl-2000.identity",
        ] {
            std::fs::create_dir(folder.path().join(left)).unwrap();
        }
        put("notes.part");
        let mut left: Vec<_> = unfinished(folder.path(), Some(&kehl())).unwrap();
        left.sort();
        let names = left.iter().map(|path| path.file_name().unwrap().to_str().unwrap());
        let expected =
            ["havenlink-de-kehl-3000.part", "havenlink-de-kehl-4000.identity", "havenlink-de-kehl-5000.identity.part"];
        assert_eq!(names.collect::<Vec<_>>(), expected);
    }
}
