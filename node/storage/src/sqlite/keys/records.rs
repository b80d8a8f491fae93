//! Keys of records about persons, and the tombstones of those that were erased (9.9).
//!
//! What lives here: sealing what a record says under a key of its own, opening it, and destroying the key. What does not: where
//! the sealed bytes are stored, and who may open them. Invariants: a key is durable before anything is sealed under it; a key
//! and its tombstone change in one commit, so a record either opens or is known to be erased; nothing seals an erased record again.

use aws_lc_rs::aead::AES_256_GCM;
use futures_util::FutureExt;

use super::steps::Stepped;
use super::*;
use crate::domain::ids::{Digest, Hasher};
use crate::domain::record::RecordKey;

impl KeyStore {
    /// Seals what a record says under its own key, which is made, durably, if there is none. `None`: it was erased.
    ///
    /// # Errors
    /// When `keys.db` cannot be read or written; `Damaged` when what it holds does not open under the node key.
    pub async fn seal_record(self: &Arc<Self>, key: RecordKey, plain: Zeroizing<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        let of = key.clone();
        let own = self.in_one_commit(move |this, conn| {
            async move {
                match is_erased(conn, &of).await? {
                    true => Ok(None),
                    false => this.key_of(conn, &of).await.map(Some),
                }
            }
            .boxed()
        });
        own.await?.map(|own| sealed(&cipher(&own)?, &place(&key), &plain)).transpose()
    }

    /// What was sealed. `None`: its key is no more, and nobody can open it.
    ///
    /// # Errors
    /// When `keys.db` cannot be read; `Damaged` when the bytes are not what was sealed for this record.
    pub async fn open_record(&self, key: &RecordKey, sealed: Vec<u8>) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let mut conn = self.conn.lock().await;
        let conn = self.connected(&mut conn)?;
        let row = db::one(&mut *conn, &statements::RECORD_KEY_GET, args(key)).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let own = Zeroizing::new(self.key_at(&place(key), row.blob(0).map_err(failed)?)?);
        opened(&cipher(&own)?, &place(key), sealed).map(Some)
    }

    /// Whether it was erased.
    ///
    /// # Errors
    /// When `keys.db` cannot be read.
    pub async fn is_erased_record(&self, key: &RecordKey) -> Result<bool> {
        let mut conn = self.conn.lock().await;
        let tombstone = Args::new().with(hash(key).0.as_slice());
        let found = db::one(self.connected(&mut conn)?, &statements::RECORD_TOMBSTONE_GET, tombstone).await;
        Ok(found.map_err(failed)?.is_some())
    }

    /// Erases: keys overwritten (`secure_delete`) and tombstones written in one commit, and the log emptied. A record that is
    /// not here gets its tombstone too, so that it is not taken when it comes.
    ///
    /// # Errors
    /// When it could not be done: then nothing may say that it was.
    pub async fn erase_records(self: &Arc<Self>, keys: Vec<RecordKey>, now: UnixMs) -> Result<()> {
        self.destroyed_in_one_commit(move |_, conn| {
            async move {
                for key in &keys {
                    db::run(&mut *conn, &statements::RECORD_KEY_DESTROY, args(key)).await?;
                    let tombstone = Args::new().with(hash(key).0.as_slice()).with(now);
                    db::run(&mut *conn, &statements::RECORD_TOMBSTONE_PUT, tombstone).await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn key_of(&self, conn: &mut SqliteConnection, key: &RecordKey) -> Stepped<Zeroizing<[u8; 32]>> {
        if let Some(row) = db::one(&mut *conn, &statements::RECORD_KEY_GET, args(key)).await? {
            return Ok(Zeroizing::new(self.key_at(&place(key), row.blob(0)?)?));
        }
        let (own, sealed) = self.new_key(&place(key))?;
        db::run(conn, &statements::RECORD_KEY_PUT, args(key).with(sealed.as_slice())).await?;
        Ok(own)
    }
}

fn args(key: &RecordKey) -> Args {
    Args::new().with(&key.origin).with(&key.record_id)
}

/// What key and payload are bound to: those of one record open nothing of another.
fn place(key: &RecordKey) -> Vec<u8> {
    [b"record/", key.origin.as_str().as_bytes(), b"/", key.record_id.as_bytes().as_slice()].concat()
}

/// SHA-256(origin's id ‖ 0x00 ‖ record id): who has the file learns no id from it, since ids are random.
fn hash(key: &RecordKey) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(key.origin.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(key.record_id.as_bytes());
    hasher.finish()
}

fn cipher(own: &[u8; 32]) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, own).map_err(|_| Error::Damaged("a record key is none"))?;
    Ok(LessSafeKey::new(key))
}

async fn is_erased(conn: &mut SqliteConnection, key: &RecordKey) -> Stepped<bool> {
    let tombstone = Args::new().with(hash(key).0.as_slice());
    Ok(db::one(conn, &statements::RECORD_TOMBSTONE_GET, tombstone).await?.is_some())
}

#[cfg(test)]
mod tests;
