//! From version 3 of the data to 4: a publication keeps its content as the bytes of its kind, and says for whom it is.
//! One that does not read as any version's stays as it is, and is named where publications are listed.

use sqlx::sqlite::SqliteConnection;

use super::db::{self, Args, Columns, failed};
use super::statements;
use crate::Result;
use crate::wire::before;

/// Rows read at a time.
const LOOK: u64 = 500;

/// Rewrites them, in the caller's transaction.
pub(super) async fn in_todays_form(conn: &mut SqliteConnection) -> Result<()> {
    let mut last = 0;
    loop {
        let args = Args::new().with(last).with(LOOK);
        let found = db::all(&mut *conn, &statements::PUBLICATION_BODIES, args).await.map_err(failed)?;
        for row in &found {
            last = row.number(0).map_err(failed)?;
            if let Some(body) = before::publication(&row.bytes(1).map_err(failed)?) {
                let args = Args::new().with(last).with(&body);
                db::run(&mut *conn, &statements::PUBLICATION_PUT_BODY, args).await.map_err(failed)?;
            }
        }
        if (found.len() as u64) < LOOK {
            return Ok(());
        }
    }
}
