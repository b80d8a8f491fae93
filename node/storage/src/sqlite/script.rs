//! Statements of one transaction, sent to SQLite's thread together: a hop there and back costs more than a small insert.
//!
//! A pushed statement waits until something has to be read, a large piece has to go by itself, or the transaction ends;
//! then all that wait go as one text. SQLite runs them in order and stops at the first that fails, so a failure means
//! the same as if they had gone one by one. Texts are kept, so that each combination is prepared once.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::AssertSqlSafe;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::db::{Args, next_size};
use super::statements::{SIZES, SqlStatement};

/// Rows of a piece that may still go together with others.
const SMALL: usize = 3;
/// Kept texts; more than the connection keeps prepared would be of no use.
const TEXTS: usize = 256;
/// Index of 1 in `SIZES`.
const ONE: usize = SIZES.len() - 1;

/// A statement and how many rows it takes, as an index into `SIZES`.
type Piece = (&'static SqlStatement, usize);

/// What waits to be run.
#[derive(Default)]
pub(super) struct Script {
    pieces: Vec<Piece>,
    args: Args,
    texts: HashMap<Vec<(usize, usize)>, Arc<str>>,
}

impl Script {
    /// Adds a statement for one row, or for none.
    pub fn push(&mut self, statement: &'static SqlStatement, args: Args) {
        self.add((statement, ONE), args);
    }

    /// Adds a many-row statement over all rows.
    pub async fn push_many<T>(
        &mut self,
        conn: &mut SqliteConnection,
        statement: &'static SqlStatement,
        mut rows: &[T],
        bind: impl Fn(&T, &mut Args),
    ) -> Result<(), sqlx::Error> {
        while !rows.is_empty() {
            let size = next_size(rows.len());
            let (now, later) = rows.split_at(SIZES[size]);
            let mut args = Args::new();
            now.iter().for_each(|row| bind(row, &mut args));
            if SIZES[size] > SMALL {
                self.run(conn).await?;
            }
            self.add((statement, size), args);
            if SIZES[size] > SMALL {
                self.run(conn).await?;
            }
            rows = later;
        }
        Ok(())
    }

    /// Runs what waits.
    pub async fn run(&mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if self.pieces.is_empty() {
            return Ok(());
        }
        let (text, args) = self.take();
        sqlx::query_with(AssertSqlSafe(text), args).execute(conn).await.map(|_| ())
    }

    /// Runs what waits, then a query; gives the query's rows.
    pub async fn fetch(
        &mut self,
        conn: &mut SqliteConnection,
        query: &'static SqlStatement,
        args: Args,
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        self.push(query, args);
        let (text, args) = self.take();
        sqlx::query_with(AssertSqlSafe(text), args).fetch_all(conn).await
    }

    /// Runs what waits, then a many-row query over all keys; the rows come in no particular order.
    pub async fn fetch_many<T>(
        &mut self,
        conn: &mut SqliteConnection,
        query: &'static SqlStatement,
        mut keys: &[T],
        bind: impl Fn(&T, &mut Args),
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let mut found = Vec::new();
        while !keys.is_empty() {
            let size = next_size(keys.len());
            let (now, later) = keys.split_at(SIZES[size]);
            let mut args = Args::new();
            now.iter().for_each(|key| bind(key, &mut args));
            if SIZES[size] > SMALL {
                self.run(conn).await?;
            }
            self.add((query, size), args);
            let (text, args) = self.take();
            found.extend(sqlx::query_with(AssertSqlSafe(text), args).fetch_all(&mut *conn).await?);
            keys = later;
        }
        Ok(found)
    }

    /// Forgets what waits: its transaction is over.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.args = Args::new();
    }

    fn add(&mut self, (statement, size): Piece, args: Args) {
        statement.mark_used();
        self.pieces.push((statement, size));
        self.args.append(args.ordered(statement));
    }

    /// The text of what waits, and its values.
    fn take(&mut self) -> (Arc<str>, sqlx::sqlite::SqliteArguments) {
        let pieces = std::mem::take(&mut self.pieces);
        let args = std::mem::take(&mut self.args).into_inner();
        if let [(statement, size)] = pieces.as_slice() {
            return (statement.many(*size), args);
        }
        let key: Vec<(usize, usize)> = pieces.iter().map(|(s, size)| (std::ptr::from_ref(*s).addr(), *size)).collect();
        if self.texts.len() > TEXTS {
            self.texts.clear();
        }
        let text = self.texts.entry(key).or_insert_with(|| Arc::from(join(&pieces)));
        (text.clone(), args)
    }
}

/// One text of several statements.
fn join(pieces: &[Piece]) -> String {
    pieces.iter().flat_map(|(statement, size)| [statement.many(*size), Arc::from(";\n")]).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::super::statements;
    use super::*;

    #[test]
    fn a_text_of_several_statements_names_no_placeholder() {
        let joined = join(&[
            (&statements::META_DELETE, ONE),
            (&statements::TX_COMMIT, ONE),
            (&statements::AUDIT_LEAF_INSERT, ONE - 1),
        ]);
        let expected = "DELETE FROM meta WHERE name = ?;\nCOMMIT;\n\
            INSERT INTO audit_leaf (place, leaf) VALUES (?, ?), (?, ?);\n";
        assert_eq!(joined, expected);
    }
}
