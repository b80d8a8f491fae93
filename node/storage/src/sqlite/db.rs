//! The few ways in which statements are run, and what their failures mean.

use bytes::Bytes;
use futures_util::StreamExt;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Column, Row, SqliteExecutor, TypeInfo, ValueRef};

use super::statements::{SIZES, SqlStatement};
use crate::Error;
use crate::domain::ids::{AuthorityId, RecordId};
use crate::domain::reason::Reason;
use crate::domain::record::RecordKey;
use crate::domain::time::UnixMs;
use crate::unreadable::{self, Table, UnreadableRow, UnreadableRows};

/// Bound values of a statement, in order.
#[derive(Default)]
pub(crate) struct Args(Vec<Value>);

/// One bound value.
#[derive(Clone)]
pub(crate) enum Value {
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// What a statement can bind.
pub(crate) trait Bind {
    fn value(self) -> Value;
}

macro_rules! bind {
    ($($ty:ty: $value:ident => $as:expr),+ $(,)?) => {
        $(impl Bind for $ty {
            fn value(self) -> Value {
                let $value = self;
                $as
            }
        })+
    };
}

bind! {
    i64: v => Value::Int(v),
    u64: v => Value::Int(i64::try_from(v).unwrap_or(i64::MAX)),
    i32: v => Value::Int(v.into()),
    u32: v => Value::Int(v.into()),
    bool: v => Value::Int(v.into()),
    &str: v => Value::Text(v.to_owned()),
    &[u8]: v => Value::Blob(v.to_vec()),
    &Bytes: v => Value::Blob(v.to_vec()),
    &AuthorityId: v => Value::Text(v.as_str().to_owned()),
    &RecordId: v => Value::Blob(v.0.to_vec()),
    UnixMs: v => Value::Int(v.0),
}

impl Args {
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds the next value.
    pub fn push(&mut self, value: impl Bind) -> &mut Self {
        self.0.push(value.value());
        self
    }

    /// The same, by value.
    pub fn with(mut self, value: impl Bind) -> Self {
        self.0.push(value.value());
        self
    }

    /// Adds the values of another statement after these.
    pub fn append(&mut self, mut other: Args) {
        self.0.append(&mut other.0);
    }

    /// In the order in which a statement's text wants them.
    pub fn ordered(self, statement: &SqlStatement) -> Self {
        match statement.order() {
            None => self,
            Some(order) => Self(order.iter().map(|index| self.0[*index].clone()).collect()),
        }
    }

    /// In the driver's form.
    pub fn into_inner(self) -> SqliteArguments {
        let mut args = SqliteArguments::default();
        args.reserve(self.0.len(), 0);
        for value in self.0 {
            let added = match value {
                Value::Int(v) => args.add(v),
                Value::Text(v) => args.add(v),
                Value::Blob(v) => args.add(v),
            };
            added.expect("integers, text and blobs can always be bound");
        }
        args
    }

    /// Origin and id of a record; empty for none.
    pub fn key(&mut self, key: Option<&RecordKey>) -> &mut Self {
        match key {
            Some(key) => self.push(&key.origin).push(&key.record_id),
            None => self.push("").push([].as_slice()),
        }
    }
}

/// Runs a statement that returns nothing; gives the number of rows changed.
pub(crate) async fn run(
    conn: impl SqliteExecutor<'_>,
    statement: &'static SqlStatement,
    args: Args,
) -> Result<u64, sqlx::Error> {
    statement.mark_used();
    Ok(sqlx::query_with(AssertSqlSafe(statement.one()), args.ordered(statement).into_inner())
        .execute(conn)
        .await?
        .rows_affected())
}

/// At most one row.
pub(crate) async fn one(
    conn: impl SqliteExecutor<'_>,
    statement: &'static SqlStatement,
    args: Args,
) -> Result<Option<SqliteRow>, sqlx::Error> {
    statement.mark_used();
    sqlx::query_with(AssertSqlSafe(statement.one()), args.ordered(statement).into_inner()).fetch_optional(conn).await
}

/// All rows.
pub(crate) async fn all(
    conn: impl SqliteExecutor<'_>,
    statement: &'static SqlStatement,
    args: Args,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    statement.mark_used();
    sqlx::query_with(AssertSqlSafe(statement.one()), args.ordered(statement).into_inner()).fetch_all(conn).await
}

/// Rows until `take` says stop.
pub(crate) async fn until(
    conn: impl SqliteExecutor<'_>,
    statement: &'static SqlStatement,
    args: Args,
    mut take: impl FnMut(SqliteRow) -> Result<bool, sqlx::Error>,
) -> Result<(), sqlx::Error> {
    statement.mark_used();
    let mut rows = sqlx::query_with(AssertSqlSafe(statement.one()), args.ordered(statement).into_inner()).fetch(conn);
    while let Some(row) = rows.next().await {
        if !take(row?)? {
            break;
        }
    }
    Ok(())
}

/// The number of rows that the next many-row statement takes, as an index into `SIZES`.
pub(super) fn next_size(left: usize) -> usize {
    SIZES.iter().position(|size| *size <= left).unwrap_or(SIZES.len() - 1)
}

/// Runs a many-row statement over all rows, in few pieces.
pub(crate) async fn run_many<T>(
    conn: &mut SqliteConnection,
    statement: &'static SqlStatement,
    mut rows: &[T],
    bind: impl Fn(&T, &mut Args),
) -> Result<(), sqlx::Error> {
    while !rows.is_empty() {
        statement.mark_used();
        let size = next_size(rows.len());
        let (now, later) = rows.split_at(SIZES[size]);
        let mut args = Args::new();
        now.iter().for_each(|row| bind(row, &mut args));
        sqlx::query_with(AssertSqlSafe(statement.many(size)), args.into_inner()).execute(&mut *conn).await?;
        rows = later;
    }
    Ok(())
}

/// Runs a many-row query over all keys, in few pieces; the rows come in no particular order.
pub(crate) async fn find_many<T>(
    conn: &mut SqliteConnection,
    statement: &'static SqlStatement,
    mut keys: &[T],
    bind: impl Fn(&T, &mut Args),
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    let mut found = Vec::new();
    while !keys.is_empty() {
        statement.mark_used();
        let size = next_size(keys.len());
        let (now, later) = keys.split_at(SIZES[size]);
        let mut args = Args::new();
        now.iter().for_each(|key| bind(key, &mut args));
        found.extend(
            sqlx::query_with(AssertSqlSafe(statement.many(size)), args.into_inner()).fetch_all(&mut *conn).await?,
        );
        keys = later;
    }
    Ok(found)
}

/// Columns of a row as domain values. What does not decode was not written by us: the file is damaged.
pub(crate) trait Columns {
    fn int(&self, column: usize) -> Result<i64, sqlx::Error>;
    fn text(&self, column: usize) -> Result<String, sqlx::Error>;
    fn blob(&self, column: usize) -> Result<Vec<u8>, sqlx::Error>;

    fn code(&self, column: usize) -> Result<i32, sqlx::Error> {
        self.value(column, i32::try_from(self.int(column)?).ok())
    }
    fn number(&self, column: usize) -> Result<u64, sqlx::Error> {
        self.value(column, u64::try_from(self.int(column)?).ok())
    }
    fn bytes(&self, column: usize) -> Result<Bytes, sqlx::Error> {
        self.blob(column).map(Bytes::from)
    }
    fn time(&self, column: usize) -> Result<UnixMs, sqlx::Error> {
        self.int(column).map(UnixMs)
    }
    /// 0 is none.
    fn time_or_none(&self, column: usize) -> Result<Option<UnixMs>, sqlx::Error> {
        Ok(Some(self.time(column)?).filter(|t| t.0 != 0))
    }
    fn authority(&self, column: usize) -> Result<AuthorityId, sqlx::Error> {
        self.value(column, AuthorityId::parse(&self.text(column)?))
    }
    fn record_id(&self, column: usize) -> Result<RecordId, sqlx::Error> {
        self.value(column, RecordId::from_slice(&self.blob(column)?))
    }
    /// Empty is none. A code that the catalogue does not have any more, or not yet, says no more than that there was one.
    fn reason(&self, column: usize) -> Result<Option<Reason>, sqlx::Error> {
        let code = self.text(column)?;
        Ok((!code.is_empty()).then(|| Reason::from_code(&code).unwrap_or(Reason::ReasonUnknown)))
    }
    /// Two columns; an empty origin is none.
    fn key_or_none(&self, column: usize) -> Result<Option<RecordKey>, sqlx::Error> {
        if self.text(column)?.is_empty() { Ok(None) } else { self.key(column).map(Some) }
    }
    fn key(&self, column: usize) -> Result<RecordKey, sqlx::Error> {
        Ok(RecordKey { origin: self.authority(column)?, record_id: self.record_id(column + 1)? })
    }
    /// The value, or an error that names the column.
    fn value<T>(&self, column: usize, value: Option<T>) -> Result<T, sqlx::Error> {
        value.ok_or_else(|| sqlx::Error::ColumnDecode {
            index: column.to_string(),
            source: "not a value of ours".into(),
        })
    }
}

impl Columns for SqliteRow {
    fn int(&self, column: usize) -> Result<i64, sqlx::Error> {
        self.try_get_unchecked(column)
    }
    fn text(&self, column: usize) -> Result<String, sqlx::Error> {
        self.try_get_unchecked(column)
    }
    fn blob(&self, column: usize) -> Result<Vec<u8>, sqlx::Error> {
        self.try_get_unchecked(column)
    }
}

/// The values of those rows that have their form; the others are noted under the statement's table, and left out.
pub(crate) fn readable<'a, T>(
    unreadable: &UnreadableRows,
    statement: &SqlStatement,
    rows: impl IntoIterator<Item = &'a SqliteRow>,
    value: impl Fn(&SqliteRow) -> Result<T, sqlx::Error>,
) -> Result<Vec<T>, sqlx::Error> {
    let read = |row| match value(row) {
        Err(error) if note(unreadable, statement, row, &error) => None,
        read => Some(read),
    };
    rows.into_iter().filter_map(read).collect()
}

/// Notes a row whose columns do not decode; `false` when that is not what went wrong.
pub(crate) fn note(
    unreadable: &UnreadableRows,
    statement: &SqlStatement,
    row: &SqliteRow,
    error: &sqlx::Error,
) -> bool {
    let (sqlx::Error::ColumnDecode { index, .. }, Some(table)) = (error, statement.table()) else { return false };
    unreadable.note(unreadable_row(table, row, index));
    true
}

/// The row by its key, with the name of the column at fault.
fn unreadable_row(table: Table, row: &SqliteRow, column: &str) -> UnreadableRow {
    let name = column.parse::<usize>().ok().and_then(|at| row.columns().get(at)).map(|c| c.name().to_owned());
    let id = table.key().iter().filter_map(|key| part_of_key(table, row, key)).collect::<Vec<_>>().join("/");
    let field = name.unwrap_or_default();
    UnreadableRow { table, kind: None, id, reason: Reason::StorageDamaged, field }
}

fn part_of_key(table: Table, row: &SqliteRow, key: &str) -> Option<String> {
    let at = row.columns().iter().position(|column| column.name() == key)?;
    let sort = row.try_get_raw(at).ok()?.type_info().name().to_owned();
    let bytes = || row.try_get_unchecked::<Vec<u8>, _>(at).ok();
    Some(match sort.as_str() {
        "INTEGER" => row.int(at).ok()?.to_string(),
        "TEXT" => unreadable::shown(table, &String::from_utf8_lossy(&bytes()?)),
        _ => unreadable::shown_bytes(&bytes()?),
    })
}

/// What a failure of SQLite means to the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorClass {
    /// A rule of the tables forbids it: the transaction still stands.
    Constraint,
    /// No room left.
    Full,
    /// Reading or writing the files failed.
    Io,
    /// Anything else.
    Other,
}

/// Primary result codes of SQLite (www.sqlite.org/rescode.html).
pub(crate) fn classify(error: &sqlx::Error) -> ErrorClass {
    let code = error.as_database_error().and_then(|e| e.code()).and_then(|c| c.parse::<i32>().ok());
    match code.map(|c| c & 0xff) {
        Some(19) => ErrorClass::Constraint,
        Some(13) => ErrorClass::Full,
        Some(10) => ErrorClass::Io,
        _ => ErrorClass::Other,
    }
}

/// A failed read, or a failure to open.
pub(crate) fn failed(error: sqlx::Error) -> Error {
    match &error {
        sqlx::Error::ColumnDecode { .. } => Error::Damaged("a stored row does not decode"),
        sqlx::Error::Database(e) if matches!(e.code().as_deref(), Some("11" | "26")) => {
            Error::Damaged("the file is not a sound database")
        }
        _ if classify(&error) == ErrorClass::Full => Error::Full,
        _ => Error::Failed(Box::new(error)),
    }
}
