//! The version of the data: what stored bytes and rows mean, apart from the form of the tables.
//!
//! A migration changes tables; a step here rewrites what stands in them, in code, one transaction each. A file of a newer
//! version is refused before anything of it is touched; one of an older version is brought forward when it is opened.

use sqlx::sqlite::SqliteConnection;

use super::db::{self, Args, Columns, failed};
use super::{carry_over, publications, questions, schema, statements};
use crate::domain::reason::Reason;
use crate::{Error, Result};

/// What this program writes. Raised with every stored format that changes, together with a step and rows that test it.
pub const DATA_VERSION: u64 = 4;

/// Brings `havenlink.db` to the newest form, and then what stands in it to the newest meaning.
///
/// # Errors
/// As `schema::migrate`.
pub(crate) async fn migrate_store(conn: &mut SqliteConnection) -> Result<()> {
    schema::migrate(conn, schema::STORE).await?;
    bring_forward(conn).await
}

/// Brings the data to `DATA_VERSION`, step by step.
///
/// # Errors
/// `DATA_NEWER` when a newer version has written it; a step that fails leaves the data at the version before it.
pub(crate) async fn bring_forward(conn: &mut SqliteConnection) -> Result<()> {
    loop {
        let version = stored(conn).await?;
        if version > DATA_VERSION {
            return Err(Error::Refused(Reason::DataNewer));
        }
        if version == DATA_VERSION {
            return Ok(());
        }
        db::run(&mut *conn, &statements::TX_BEGIN, Args::new()).await.map_err(failed)?;
        if let Err(error) = step(conn, version).await {
            db::run(&mut *conn, &statements::TX_ROLLBACK, Args::new()).await.map_err(failed)?;
            return Err(error);
        }
        db::run(&mut *conn, &statements::TX_COMMIT, Args::new()).await.map_err(failed)?;
    }
}

/// Refuses data that a newer version has written.
///
/// # Errors
/// `DATA_NEWER`.
pub(crate) async fn not_newer(conn: &mut SqliteConnection) -> Result<()> {
    if stored(conn).await? > DATA_VERSION { Err(Error::Refused(Reason::DataNewer)) } else { Ok(()) }
}

async fn step(conn: &mut SqliteConnection, from: u64) -> Result<()> {
    match from {
        1 => carry_over::named_values(conn).await?,
        2 => questions::of_envelopes(conn).await?,
        3 => publications::in_todays_form(conn).await?,
        _ => return Err(Error::Damaged("the data version")),
    }
    db::run(&mut *conn, &statements::DATA_VERSION_PUT, Args::new().with(from + 1)).await.map_err(failed)?;
    Ok(())
}

async fn stored(conn: &mut SqliteConnection) -> Result<u64> {
    let row = db::one(conn, &statements::DATA_VERSION_GET, Args::new()).await.map_err(failed)?;
    row.ok_or(Error::Damaged("no data version"))?.number(0).map_err(failed)
}
