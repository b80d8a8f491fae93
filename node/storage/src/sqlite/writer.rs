//! The one writer: owns the write connection, commits whatever waits together with one fsync, answers only after (9.8).
//!
//! First try: checks, then many-row statements, no savepoints. If the tables refuse a part: ROLLBACK, and again with one
//! savepoint per operation. Only refusals of the tables and of the domain roll back to a savepoint. After any other
//! error SQLite may have rolled back everything and later statements would run by themselves: the connection is dropped,
//! the whole batch is answered `OutcomeUnknown` (or `Full`, when SQLite said so before anything was committed), and a
//! fresh connection opens. A COMMIT, a sweep or a checkpoint that reports an I/O error ends the process: its pages may be
//! lost, and marked clean.
//!
//! It runs on a thread of its own: each statement is a hop to SQLite's thread and back, and must not queue behind the
//! node's other tasks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::ballast::Ballast;
use super::batch::{Answer, Batch};
use super::db::{Args, Columns, ErrorClass, classify, failed, note};
use super::facts::{Facts, first_named, records_of};
use super::keys::KeyStore;
use super::rows::Rows;
use super::salts::SaltCache;
use super::script::Script;
use super::state::State;
use super::{schema, statements, sweep};
use crate::audit::{Salt, begins};
use crate::domain::ids::RecordId;
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::ops::*;
use crate::telemetry::{journal, metrics};
use crate::unreadable::{Table, UnreadableRow, UnreadableRows};
use crate::{EndProcess, Error, Now, Result};

/// Operations of one batch.
pub(super) const BATCH_OPS: usize = 256;
/// Bytes of one batch.
pub(super) const BATCH_BYTES: usize = 1 << 20;

/// What the store asks of its writer.
pub(super) enum Command {
    Write(Box<WriteOp>, oneshot::Sender<Result<Written>>),
    Sweep(UnixMs, oneshot::Sender<Result<u64>>),
    /// Empties the log into the file; whether nothing is left in it. A reader keeps it back for as long as it reads.
    Checkpoint(oneshot::Sender<Result<bool>>),
    Close(oneshot::Sender<()>),
}

/// The writer's belongings.
pub(super) struct Writer {
    pub file: PathBuf,
    pub pragmas: Vec<(&'static str, String)>,
    /// What readers of the store see: that of the last commit.
    pub incarnation: Arc<AtomicU64>,
    pub now: Now,
    pub end_process: EndProcess,
    pub keys: Arc<KeyStore>,
    pub unreadable: Arc<UnreadableRows>,
    pub ballast: Ballast,
    pub salts: SaltCache,
    pub script: Script,
    /// `None` after a failure: the next batch opens a fresh one.
    pub open: Option<(SqliteConnection, State)>,
}

/// Why a transaction did not come to its end.
enum Stop {
    /// A rule of the tables: nothing is wrong with the connection.
    Constraint,
    /// Something failed; `committing`: in COMMIT itself.
    Broken { error: sqlx::Error, committing: bool },
    /// Refused before anything was written.
    Store(Error),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        match classify(&error) {
            ErrorClass::Constraint => Self::Constraint,
            _ => Self::Broken { error, committing: false },
        }
    }
}

impl Stop {
    /// What the batch is told. Its connection is gone, and with it everything that was not committed.
    fn verdict(self, end_process: &EndProcess) -> Error {
        match self {
            Self::Store(error) => error,
            Self::Constraint => Error::Damaged("the tables refuse what they never should"),
            Self::Broken { error, committing } => {
                havenlink_runtime::repeated!(error; %error, "a write failed; its connection is given up");
                let class = classify(&error);
                if class == ErrorClass::Io && committing {
                    end_process("a COMMIT reported an I/O error");
                }
                // Full: nothing was committed, not even by COMMIT, for the log has no whole commit frame.
                if class == ErrorClass::Full { Error::Full } else { Error::OutcomeUnknown(Some(Box::new(error))) }
            }
        }
    }
}

impl Writer {
    /// Serves until it is closed or nobody is left to ask.
    pub async fn serve(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut next = commands.recv().await;
        while let Some(command) = next.take() {
            match command {
                Command::Write(op, reply) => next = self.serve_batch(*op, reply, &mut commands).await,
                Command::Sweep(now, reply) => _ = reply.send(self.sweep(now).await),
                Command::Checkpoint(reply) => _ = reply.send(self.checkpoint().await),
                Command::Close(reply) => {
                    self.shut().await;
                    _ = reply.send(());
                    return;
                }
            }
            if next.is_none() {
                next = commands.recv().await;
            }
        }
        self.shut().await;
    }

    /// Takes what waits, up to the batch's limits, commits it, answers. Gives back the first command of another sort.
    async fn serve_batch(
        &mut self,
        op: WriteOp,
        reply: oneshot::Sender<Result<Written>>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Option<Command> {
        let mut bytes = op.bytes();
        let (mut ops, mut replies, mut other) = (vec![op], vec![reply], None);
        while ops.len() < BATCH_OPS && bytes < BATCH_BYTES {
            match commands.try_recv() {
                Ok(Command::Write(op, reply)) if bytes + op.bytes() <= BATCH_BYTES => {
                    bytes += op.bytes();
                    ops.push(*op);
                    replies.push(reply);
                }
                // The next batch begins with it.
                Ok(command) => {
                    other = Some(command);
                    break;
                }
                Err(_) => break,
            }
        }
        let answers = self.write(ops).await;
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Nobody listening any more changes nothing: it is stored.
            _ = reply.send(answer);
        }
        other
    }

    /// Commits operations and gives an answer to each.
    async fn write(&mut self, ops: Vec<WriteOp>) -> Vec<Result<Written>> {
        if self.ballast.released && !self.ballast.restore() {
            return self.write_essential(ops).await;
        }
        let started = std::time::Instant::now();
        let full = match self.commit(&ops).await {
            Ok(answers) => {
                metrics::COMMIT_SECONDS.record([], started.elapsed());
                return answers;
            }
            Err(Error::Full) => self.ballast.release(),
            Err(error) => return spread(error, ops.len()),
        };
        if full { self.write_essential(ops).await } else { spread(Error::Full, ops.len()) }
    }

    /// With no room left: what recalls, ends, answers or settles goes on, new records are refused.
    async fn write_essential(&mut self, ops: Vec<WriteOp>) -> Vec<Result<Written>> {
        let essential: Vec<bool> = ops.iter().map(WriteOp::is_essential).collect();
        let kept: Vec<WriteOp> = ops.into_iter().zip(&essential).filter(|(_, e)| **e).map(|(op, _)| op).collect();
        let answers = if kept.is_empty() {
            Vec::new()
        } else {
            self.commit(&kept).await.unwrap_or_else(|error| spread(error, kept.len()))
        };
        let mut answers = answers.into_iter();
        let answer = |e: bool| if e { answers.next() } else { None };
        essential.into_iter().map(answer).map(|a| a.unwrap_or(Err(Error::Full))).collect()
    }

    async fn commit(&mut self, ops: &[WriteOp]) -> Result<Vec<Result<Written>>> {
        let (mut conn, state) = self.connection().await?;
        let mut tried = self.transaction(&mut conn, &state, ops, false).await;
        if matches!(tried, Err(Stop::Constraint)) {
            let undone = super::db::run(&mut conn, &statements::TX_ROLLBACK, Args::new()).await;
            tried = match undone {
                Ok(_) => self.transaction(&mut conn, &state, ops, true).await,
                Err(error) => Err(Stop::Broken { error, committing: false }),
            };
        }
        match tried {
            Ok((state, answers)) => {
                self.incarnation.store(state.incarnation.0, Ordering::Release);
                self.open = Some((conn, state));
                Ok(answers)
            }
            Err(stop) => {
                sqlx::Connection::close_hard(conn).await.ok();
                Err(stop.verdict(&self.end_process))
            }
        }
    }

    /// The connection and what is known about its file; taken out, so that a failure loses it.
    async fn connection(&mut self) -> Result<(SqliteConnection, State)> {
        if let Some(open) = self.open.take() {
            return Ok(open);
        }
        let mut conn = schema::connect_writing(&self.file, &self.pragmas).await?;
        let state = State::load(&mut conn, &self.unreadable).await?;
        self.salts.clear();
        Ok((conn, state))
    }

    async fn transaction(
        &mut self,
        conn: &mut SqliteConnection,
        state: &State,
        ops: &[WriteOp],
        savepoints: bool,
    ) -> std::result::Result<(State, Vec<Result<Written>>), Stop> {
        let mut script = std::mem::take(&mut self.script);
        script.clear();
        script.push(&statements::TX_BEGIN, Args::new());
        let mut batch = Batch {
            facts: match savepoints {
                true => Facts::default(),
                false => Facts::load(&mut script, conn, &self.unreadable, ops, false).await?,
            },
            unreadable: &self.unreadable,
            conn,
            script: &mut script,
            state: state.clone(),
            rows: Rows::default(),
            drafts: Vec::new(),
        };
        let mut answers = Vec::with_capacity(ops.len());
        for op in ops {
            let answer = if savepoints { in_savepoint(&mut batch, op).await? } else { batch.apply(op).await? };
            answers.push(answer.map_err(Error::Refused));
        }
        batch.flush().await?;
        let new = if let ([op], false) = (ops, savepoints) { first_named(op) } else { Vec::new() };
        let salts = self.append_audit(&mut batch, &new).await?;
        batch.script.push(&statements::HEAD_PUT, batch.state.head());
        batch.script.push(&statements::TX_COMMIT, Args::new());
        let committed = batch.script.run(batch.conn).await;
        let state = batch.state;
        committed.map_err(|error| match Stop::from(error) {
            Stop::Broken { error, .. } => Stop::Broken { error, committing: true },
            other => other,
        })?;
        journal::committed(batch.drafts);
        self.script = script;
        self.salts.extend(salts);
        Ok((state, answers))
    }

    /// Leaves and head, once, last, from what survived. Gives back the salts that were newly taken.
    /// Salts of `first_named` records are not looked for; should there be one, the tables refuse another.
    async fn append_audit(
        &self,
        batch: &mut Batch<'_>,
        first_named: &[RecordId],
    ) -> std::result::Result<Vec<(RecordId, Salt)>, Stop> {
        if batch.drafts.is_empty() {
            return Ok(Vec::new());
        }
        let (known, new) = self.salts_for(batch, first_named).await?;
        let salt_rows = |(id, slot, _): &(RecordId, u64, Salt), args: &mut Args| {
            args.push(id).push(*slot);
        };
        let (first, again): (Vec<_>, Vec<_>) = new.iter().partition(|(id, ..)| first_named.contains(id));
        batch.script.push_many(batch.conn, &statements::SALT_INSERT, &first, |row, args| salt_rows(row, args)).await?;
        batch.script.push_many(batch.conn, &statements::SALT_PUT, &again, |row, args| salt_rows(row, args)).await?;
        batch.state.slot = new.iter().map(|(_, slot, _)| *slot).fold(batch.state.slot, u64::max);
        let mut fresh: Vec<(RecordId, Salt)> = new.into_iter().map(|(id, _, salt)| (id, salt)).collect();
        fresh.extend(known);
        let salts: std::collections::HashMap<RecordId, Salt> = fresh.iter().copied().collect();
        let now = (self.now)();
        let mut leaves = Vec::with_capacity(batch.drafts.len());
        for draft in &batch.drafts {
            let salt = draft.record.and_then(|(_, id)| salts.get(&id).copied().or_else(|| self.salts.get(&id)));
            let place = batch.state.ledger.frontier.size();
            leaves.push((place, batch.state.ledger.append(now, draft, salt.as_ref())));
        }
        let leaf_rows = |(place, leaf): &(u64, bytes::Bytes), args: &mut Args| {
            args.push(*place).push(leaf);
        };
        batch.script.push_many(batch.conn, &statements::AUDIT_LEAF_INSERT, &leaves, leaf_rows).await?;
        Ok(fresh)
    }

    /// Salts of the records that the drafts name and that the cache does not have: stored ones, and those that begin now.
    #[allow(clippy::type_complexity)]
    async fn salts_for(
        &self,
        batch: &mut Batch<'_>,
        first_named: &[RecordId],
    ) -> std::result::Result<(Vec<(RecordId, Salt)>, Vec<(RecordId, u64, Salt)>), Stop> {
        let mut asked = records_of(batch.drafts.iter().copied());
        asked.retain(|id| self.salts.get(id).is_none());
        let bind = |id: &RecordId, args: &mut Args| {
            args.push(id);
        };
        let named: Vec<RecordId> = asked.iter().filter(|id| !first_named.contains(id)).copied().collect();
        let rows = batch.script.fetch_many(batch.conn, &statements::SALT_FIND, &named, bind).await?;
        let mut known = Vec::new();
        for row in rows {
            let (id, slot) = match row.number(1) {
                Err(error) if note(&self.unreadable, &statements::SALT_FIND, &row, &error) => continue,
                slot => (row.record_id(0)?, slot?),
            };
            // A salt that was lost with an older keys.db, or is damaged, is replaced; what it had hidden stays hidden.
            if let Some(salt) = self.salt(slot).await.map_err(Stop::Store)? {
                known.push((id, salt));
                asked.retain(|other| *other != id);
            }
        }
        let begun: std::collections::HashSet<RecordId> =
            batch.drafts.iter().filter_map(|draft| begins(draft)).collect();
        asked.retain(|id| begun.contains(id));
        let taken = self.keys.take(asked.len()).await.map_err(Stop::Store)?;
        let new = asked.into_iter().zip(taken).map(|(id, (slot, salt))| (id, slot, salt)).collect();
        Ok((known, new))
    }

    /// The salt in a slot of `keys.db`; one that does not open is noted, and as good as lost: what is said of its record goes on.
    async fn salt(&self, slot: u64) -> Result<Option<Salt>> {
        match self.keys.salt(slot).await {
            Err(Error::Damaged(_)) => {
                let (table, reason) = (Table::KeySalt, Reason::StorageDamaged);
                let (id, field) = (slot.to_string(), "sealed".to_owned());
                self.unreadable.note(UnreadableRow { table, kind: None, id, reason, field });
                Ok(None)
            }
            other => other,
        }
    }

    async fn sweep(&mut self, now: UnixMs) -> Result<u64> {
        let (mut conn, state) = self.connection().await?;
        let swept = sweep::chunk(&mut conn, &self.keys, &self.unreadable, now, &self.end_process).await;
        self.salts.clear();
        if swept.is_ok() {
            self.open = Some((conn, state));
        } else {
            sqlx::Connection::close_hard(conn).await.ok();
        }
        // Forgetting makes room, but needs some first.
        if matches!(swept, Err(Error::Full)) && self.ballast.release() { Ok(1) } else { swept }
    }

    async fn checkpoint(&mut self) -> Result<bool> {
        let (mut conn, state) = self.connection().await?;
        // Its first column: whether somebody kept it from coming to an end.
        let done = sqlx::query_scalar::<_, i64>("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut conn).await;
        let error = match done {
            Ok(busy) => {
                self.open = Some((conn, state));
                return Ok(busy == 0);
            }
            Err(error) => error,
        };
        // Pages that did not reach the file may be marked clean: nothing more is written over them (9.8).
        sqlx::Connection::close_hard(conn).await.ok();
        if classify(&error) == ErrorClass::Io {
            (self.end_process)("a checkpoint reported an I/O error");
        }
        Err(failed(error))
    }

    async fn shut(&mut self) {
        if let Some((conn, _)) = self.open.take() {
            sqlx::Connection::close(conn).await.ok();
        }
    }
}

/// The careful way: what the tables refuse takes back this operation alone.
async fn in_savepoint<'a>(batch: &mut Batch<'a>, op: &'a WriteOp) -> std::result::Result<Answer, Stop> {
    batch.script.push(&statements::TX_SAVEPOINT, Args::new());
    batch.script.run(batch.conn).await?;
    batch.facts = Facts::load(batch.script, batch.conn, batch.unreadable, std::slice::from_ref(op), true).await?;
    let (state, drafts) = (batch.state.clone(), batch.drafts.len());
    let applied = async {
        let answer = batch.apply(op).await?;
        batch.flush().await?;
        batch.script.run(batch.conn).await.map(|()| answer)
    };
    let answer = match applied.await {
        Ok(answer) => answer,
        Err(error) if classify(&error) == ErrorClass::Constraint => {
            batch.script.clear();
            batch.script.push(&statements::TX_ROLLBACK_TO, Args::new());
            batch.state = state;
            batch.rows = Rows::default();
            batch.drafts.truncate(drafts);
            havenlink_runtime::repeated!(error; %error, "the tables refused an operation that had passed its checks");
            Err(Reason::StorageDamaged)
        }
        Err(error) => return Err(error.into()),
    };
    batch.script.push(&statements::TX_RELEASE, Args::new());
    Ok(answer)
}

/// One failure for a whole batch; its source goes with the first.
fn spread(error: Error, count: usize) -> Vec<Result<Written>> {
    let again = || match &error {
        Error::Refused(reason) => Error::Refused(*reason),
        Error::Full => Error::Full,
        Error::Damaged(what) => Error::Damaged(what),
        Error::OutcomeUnknown(_) => Error::OutcomeUnknown(None),
        Error::Failed(source) => Error::Failed(source.to_string().into()),
    };
    let mut all: Vec<Result<Written>> = (1..count).map(|_| Err(again())).collect();
    all.insert(0, Err(error));
    all
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("code {0}")]
    struct Code(i32);

    impl sqlx::error::DatabaseError for Code {
        fn message(&self) -> &str {
            ""
        }
        fn code(&self) -> Option<std::borrow::Cow<'_, str>> {
            Some(self.0.to_string().into())
        }
        fn kind(&self) -> sqlx::error::ErrorKind {
            sqlx::error::ErrorKind::Other
        }
        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }
    }

    #[test]
    fn only_an_io_error_of_commit_ends_the_process() {
        let ended = Arc::new(AtomicUsize::new(0));
        let counter = ended.clone();
        let end: EndProcess = Arc::new(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let broken = |code, committing| {
            let error = sqlx::Error::Database(Box::new(Code(code)));
            Stop::Broken { error, committing }.verdict(&end)
        };
        // IOERR_WRITE in a statement, FULL anywhere, BUSY at COMMIT: the connection goes, the process stays.
        assert!(matches!(broken(778, false), Error::OutcomeUnknown(_)));
        assert!(matches!(broken(13, false), Error::Full));
        assert!(matches!(broken(13, true), Error::Full));
        assert!(matches!(broken(5, true), Error::OutcomeUnknown(_)));
        assert_eq!(ended.load(Ordering::SeqCst), 0);
        // IOERR_FSYNC at COMMIT.
        assert!(matches!(broken(1_034, true), Error::OutcomeUnknown(_)));
        assert_eq!(ended.load(Ordering::SeqCst), 1);
        let constraint = Stop::from(sqlx::Error::Database(Box::new(Code(2_067))));
        assert!(matches!(constraint, Stop::Constraint));
    }
}
