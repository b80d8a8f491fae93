//! A transaction of several steps on `keys.db`: what it is made of, and what becomes of one that fails.

use futures_util::future::BoxFuture;

use super::*;

/// One step of a transaction.
pub(super) type Stepped<T> = std::result::Result<T, Failed>;

/// Why a step failed: the file, or what is in it.
pub(super) enum Failed {
    Sql(sqlx::Error),
    Keys(Error),
}

impl KeyStore {
    /// Steps in one commit, done to their end whoever stops waiting: a transaction that is left open would keep the next one out.
    pub(super) async fn in_one_commit<T: Send + 'static>(
        self: &Arc<Self>,
        steps: impl for<'a> FnOnce(&'a Self, &'a mut SqliteConnection) -> BoxFuture<'a, Stepped<T>> + Send + 'static,
    ) -> Result<T> {
        self.committed(false, steps).await
    }

    /// The same of steps that destroy: when this answers, what they took away is gone from the log too.
    pub(super) async fn destroyed_in_one_commit(
        self: &Arc<Self>,
        steps: impl for<'a> FnOnce(&'a Self, &'a mut SqliteConnection) -> BoxFuture<'a, Stepped<()>> + Send + 'static,
    ) -> Result<()> {
        self.committed(true, steps).await
    }

    async fn committed<T: Send + 'static>(
        self: &Arc<Self>,
        destroys: bool,
        steps: impl for<'a> FnOnce(&'a Self, &'a mut SqliteConnection) -> BoxFuture<'a, Stepped<T>> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        let work = async move {
            let mut conn = this.conn.lock().await;
            let conn = this.connected(&mut conn)?;
            let stepped = async {
                sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
                let done = steps(&this, &mut *conn).await?;
                sqlx::query("COMMIT").execute(&mut *conn).await?;
                Ok(done)
            };
            let stepped = stepped.await;
            let done = this.settled(conn, stepped).await?;
            if destroys {
                this.emptied(conn).await?;
            }
            Ok(done)
        };
        tokio::spawn(work).await.unwrap_or(Err(Error::OutcomeUnknown(None)))
    }

    /// A new random key, and the same sealed for its place.
    pub(super) fn new_key(&self, place: &[u8]) -> Result<(Zeroizing<[u8; 32]>, Vec<u8>)> {
        let mut key = Zeroizing::new([0_u8; 32]);
        random(key.as_mut_slice())?;
        let sealed = self.sealed_at(place, key.as_slice())?;
        Ok((key, sealed))
    }

    /// What came of the steps of one transaction; a failed one leaves nothing.
    async fn settled<T>(&self, conn: &mut SqliteConnection, steps: Stepped<T>) -> Result<T> {
        match steps {
            Ok(done) => Ok(done),
            Err(Failed::Sql(error)) => self.checked(conn, Err(error)).await,
            Err(Failed::Keys(error)) => {
                sqlx::query("ROLLBACK").execute(conn).await.ok();
                Err(error)
            }
        }
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Keys(error)
    }
}
