//! Opening a file: options, migrations, and what is read back before the store trusts it.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqlStr};

use super::db::failed;
use crate::domain::reason::Reason;
use crate::{Error, Result};

/// The first version without the WAL-reset fault that can lose committed rows.
pub(crate) const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// Migrations of `havenlink.db`, forward only.
pub(crate) const STORE: &[(i64, &str, &str)] = &[
    (1, "store", include_str!("../../../migrations/sqlite/0001_store.sql")),
    (2, "agreement_end", include_str!("../../../migrations/sqlite/0002_agreement_end.sql")),
    (3, "delivery_grant", include_str!("../../../migrations/sqlite/0003_delivery_grant.sql")),
    (4, "partner_offer_keep", include_str!("../../../migrations/sqlite/0004_partner_offer_keep.sql")),
    (5, "waiting_keep", include_str!("../../../migrations/sqlite/0005_waiting_keep.sql")),
    (6, "delivery_ended", include_str!("../../../migrations/sqlite/0006_delivery_ended.sql")),
    (7, "owed", include_str!("../../../migrations/sqlite/0007_owed.sql")),
    (8, "delivery_question", include_str!("../../../migrations/sqlite/0008_delivery_question.sql")),
    (9, "publication_target", include_str!("../../../migrations/sqlite/0009_publication_target.sql")),
    (10, "partner_hello", include_str!("../../../migrations/sqlite/0010_partner_hello.sql")),
    (11, "agreement_unconfirmed", include_str!("../../../migrations/sqlite/0011_agreement_unconfirmed.sql")),
    (12, "queued_again", include_str!("../../../migrations/sqlite/0012_queued_again.sql")),
    (13, "delivery_given", include_str!("../../../migrations/sqlite/0013_delivery_given.sql")),
    (14, "inbox_usage", include_str!("../../../migrations/sqlite/0014_inbox_usage.sql")),
    (15, "agreement_to_share", include_str!("../../../migrations/sqlite/0015_agreement_to_share.sql")),
    (16, "disclosure", include_str!("../../../migrations/sqlite/0016_disclosure.sql")),
    (17, "withdrawals_asked", include_str!("../../../migrations/sqlite/0017_withdrawals_asked.sql")),
    (18, "holds", include_str!("../../../migrations/sqlite/0018_holds.sql")),
];

/// Migrations of `keys.db`, forward only.
pub(crate) const KEYS: &[(i64, &str, &str)] = &[
    (1, "keys", include_str!("../../../migrations/keys/0001_keys.sql")),
    (2, "cases", include_str!("../../../migrations/keys/0002_cases.sql")),
];

/// Options that every connection has.
pub(crate) fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("temp_store", "MEMORY")
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .disable_statement_logging()
}

/// Options of the one connection that writes.
pub(crate) fn writing(file: &Path) -> SqliteConnectOptions {
    options(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
        // 16 MiB of log between checkpoints; each checkpoint costs two more fsyncs.
        .pragma("wal_autocheckpoint", "4096")
        .pragma("cache_size", "-8192")
        .statement_cache_capacity(512)
        .row_buffer_size(256)
}

/// Options of a connection that only reads.
pub(crate) fn reading(file: &Path) -> SqliteConnectOptions {
    options(file)
        .read_only(true)
        .pragma("query_only", "ON")
        .pragma("cache_size", "-1024")
        .statement_cache_capacity(128)
        .row_buffer_size(128)
}

/// Makes the file, for its owner alone, if there is none; SQLite gives its log the same mode.
pub(crate) fn create_private(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(made) => {
            made.sync_all()?;
            sync_folder(file)
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

/// A new name is durable once its folder is.
pub(crate) fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

/// Connects for writing and reads back what durability and erasure depend on.
///
/// # Errors
/// `STORAGE_TOO_OLD` with an SQLite that may lose rows; `Failed` when a setting did not take.
pub(crate) async fn connect_writing(file: &Path, more: &[(&'static str, String)]) -> Result<SqliteConnection> {
    let options = more.iter().fold(writing(file), |options, (key, value)| options.pragma(*key, value.clone()));
    let mut conn = options.connect().await.map_err(failed)?;
    let version: String = setting(&mut conn, "SELECT sqlite_version()").await?;
    new_enough(&version)?;
    for (query, wanted) in [
        ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2"),
        ("SELECT journal_mode FROM pragma_journal_mode", "wal"),
        ("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", "1"),
        ("SELECT CAST(secure_delete AS TEXT) FROM pragma_secure_delete", "1"),
        ("SELECT CAST(temp_store AS TEXT) FROM pragma_temp_store", "2"),
    ] {
        let found = setting(&mut conn, query).await?;
        if found != wanted {
            return Err(Error::Failed(format!("{query}: {found} instead of {wanted}").into()));
        }
    }
    Ok(conn)
}

async fn setting(conn: &mut SqliteConnection, query: &'static str) -> Result<String> {
    sqlx::query(query).fetch_one(conn).await.and_then(|row| row.try_get(0)).map_err(failed)
}

fn new_enough(version: &str) -> Result<()> {
    let fits = parse_version(version).is_some_and(|v| v >= OLDEST_SQLITE);
    fits.then_some(()).ok_or(Error::Refused(Reason::StorageTooOld))
}

fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(u32::from_str);
    Some((parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?))
}

/// Brings the file to the newest form.
///
/// # Errors
/// `DATA_NEWER` when a newer version has written it; `Damaged` when an applied migration is not the one we know.
pub(crate) async fn migrate(conn: &mut SqliteConnection, list: &[(i64, &'static str, &'static str)]) -> Result<()> {
    let migrations = list
        .iter()
        .map(|(version, name, sql)| {
            Migration::new(*version, (*name).into(), MigrationType::Simple, SqlStr::from_static(sql), false)
        })
        .collect();
    let migrator = Migrator::with_migrations(migrations);
    match migrator.run_direct(None, conn, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(_)) => Err(Error::Refused(Reason::DataNewer)),
        Err(MigrateError::VersionMismatch(_) | MigrateError::Dirty(_)) => {
            Err(Error::Damaged("a migration is not the one that was applied"))
        }
        Err(MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _)) => Err(failed(e)),
        Err(e) => Err(Error::Failed(Box::new(e))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(parse_version("3.51.3"), Some(OLDEST_SQLITE));
        assert!(parse_version("3.9.20").unwrap() < OLDEST_SQLITE);
        assert!(parse_version("3.51").is_none());
        assert!(new_enough("3.51.3").is_ok());
        for old in ["3.51.2", "3.9.20", "2", ""] {
            assert_eq!(new_enough(old).unwrap_err().reason(), Reason::StorageTooOld, "{old}");
        }
    }

    async fn columns(conn: &mut SqliteConnection) -> Vec<String> {
        let query = "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY type, name";
        sqlx::query_scalar(query).fetch_all(conn).await.unwrap()
    }

    #[tokio::test]
    async fn migrations_run_twice_and_end_in_the_same_columns() {
        for list in [STORE, KEYS] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("a.db");
            let mut conn = connect_writing(&file, &[]).await.unwrap();
            migrate(&mut conn, list).await.unwrap();
            let once = columns(&mut conn).await;
            migrate(&mut conn, list).await.unwrap();
            assert_eq!(once, columns(&mut conn).await);
            // One by one, as an old node would have run them, ends in the same place.
            let mut steps = connect_writing(&dir.path().join("b.db"), &[]).await.unwrap();
            for n in 1..=list.len() {
                migrate(&mut steps, &list[..n]).await.unwrap();
            }
            assert_eq!(once, columns(&mut steps).await);
            // A file of a newer version is refused.
            let refused = migrate(&mut conn, &list[..list.len() - 1]).await;
            assert!(matches!(refused, Err(Error::Refused(Reason::DataNewer))), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn the_end_of_an_agreement_moves_to_a_row_of_its_party() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = connect_writing(&dir.path().join("a.db"), &[]).await.unwrap();
        migrate(&mut conn, &STORE[..1]).await.unwrap();
        let old = "INSERT INTO agreement VALUES (x'01', x'aa', 1, '', 0, 0), (x'02', x'bb', 1, 'de-kehl', 7, 3), \
                   (x'03', x'cc', 1, 'fr-strasbourg', 9, 0)";
        sqlx::query(old).execute(&mut conn).await.unwrap();
        migrate(&mut conn, STORE).await.unwrap();
        let query = "SELECT hex(agreement) || party || at || reason || hex(notice) FROM agreement_end ORDER BY arrival";
        let moved: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut conn).await.unwrap();
        assert_eq!(moved, ["02de-kehl73", "03fr-strasbourg91"]);
    }

    #[tokio::test]
    async fn an_offer_from_before_it_had_an_end_lives_as_long_as_a_capacity_statement() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = connect_writing(&dir.path().join("a.db"), &[]).await.unwrap();
        migrate(&mut conn, &STORE[..3]).await.unwrap();
        let old = "INSERT INTO partner_offer (origin, id, version, age_at_sending, received, view) \
                   VALUES ('de-kehl', x'01', 1, 0, 7, x'aa')";
        sqlx::query(old).execute(&mut conn).await.unwrap();
        migrate(&mut conn, STORE).await.unwrap();
        let query = sqlx::query_scalar("SELECT keep_until FROM partner_offer");
        let keep_until: i64 = query.fetch_one(&mut conn).await.unwrap();
        assert_eq!(keep_until, 7 + crate::domain::limits::CAPACITY_LIFE.0);
    }

    #[tokio::test]
    async fn what_came_before_grants_had_a_usage_goes_on_to_systems() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = connect_writing(&dir.path().join("a.db"), &[]).await.unwrap();
        migrate(&mut conn, &STORE[..12]).await.unwrap();
        for (table, key) in [("inbox", "position"), ("hidden_inbox", "arrival")] {
            let old = format!(
                "INSERT INTO {table} ({key}, recipient, origin, record_id, kind, target_origin, target_record, digest, received, \
                 expires, keep_until, traceparent, envelope) VALUES (1, 'a', 'b', x'01', 1, '', x'', x'02', 1, 2, 2, '', x'03')"
            );
            sqlx::query(sqlx::AssertSqlSafe(old)).execute(&mut conn).await.unwrap();
        }
        migrate(&mut conn, STORE).await.unwrap();
        for table in ["inbox", "hidden_inbox"] {
            let query = format!("SELECT usage FROM {table}");
            let usage: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&mut conn).await.unwrap();
            assert_eq!(usage, i64::from(crate::domain::agreement::Usage::Store.code()), "{table}");
        }
    }

    #[test]
    fn every_migration_file_is_listed() {
        for (folder, list) in [("sqlite", STORE), ("keys", KEYS)] {
            let path = format!("{}/../migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
            let mut files: Vec<_> =
                std::fs::read_dir(path).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
            files.sort();
            let listed: Vec<_> = list.iter().map(|(n, name, _)| format!("{n:04}_{name}.sql")).collect();
            assert_eq!(files, listed);
        }
    }
}
