//! From version 2 of the data to 3: what the one question is asked by again stands in columns of each delivery that can
//! still be sent. Read from its envelope, here and for the last time; one that does not read is left without.

use bytes::Bytes;
use sqlx::sqlite::SqliteConnection;

use super::db::{self, Args, Columns, failed};
use super::{rows, statements};
use crate::Result;
use crate::rows::Question;
use crate::wire::before;

/// Rows read at a time.
const LOOK: u64 = 500;

/// Fills them, in the caller's transaction.
pub(super) async fn of_envelopes(conn: &mut SqliteConnection) -> Result<()> {
    let mut last = 0;
    loop {
        let args = Args::new().with(last).with(LOOK);
        let found = db::all(&mut *conn, &statements::DELIVERY_UNASKED, args).await.map_err(failed)?;
        for row in &found {
            last = row.number(0).map_err(failed)?;
            if let Some(question) = question(&row.bytes(1).map_err(failed)?) {
                let mut args = Args::new().with(last);
                rows::bind_question(&question, &mut args);
                db::run(&mut *conn, &statements::DELIVERY_PUT_QUESTION, args).await.map_err(failed)?;
            }
        }
        if (found.len() as u64) < LOOK {
            return Ok(());
        }
    }
}

fn question(envelope: &Bytes) -> Option<Question> {
    let (envelope, facet, key) = before::question(envelope)?;
    Some(Question::of(&envelope, facet, key))
}
