//! Keys of cases, and the epochs of their pseudonyms (9.16).
//!
//! What lives here: making a partner's pseudonym of a case durable before it is given away, and destroying all of a case. What
//! does not: the derivation (`domain/person`), and who may ask. Invariant: a case has one key for each scope and one epoch for
//! each partner, whoever asks at once; a reference is never stored.

use futures_util::FutureExt;

use super::steps::Stepped;
use super::*;
use crate::domain::ids::AuthorityId;
use crate::domain::person::{CaseIndex, CaseKey, CaseReference, CaseScope, Epoch, IndexKey, SubjectRef};

impl KeyStore {
    /// Where a case is found, here and in what was shared about it.
    ///
    /// # Errors
    /// When `keys.db` cannot be read or written.
    pub async fn case_index(self: &Arc<Self>, reference: CaseReference) -> Result<CaseIndex> {
        self.in_one_commit(move |this, conn| async move { Ok(this.index_key(conn).await?.index(&reference)) }.boxed())
            .await
    }

    /// Each partner's pseudonym of a case, in their order, durable when this answers: the same for 365 days, then another one.
    ///
    /// # Errors
    /// When `keys.db` cannot be read or written; `Damaged` when what it holds does not open under the node key.
    pub async fn subjects(
        self: &Arc<Self>,
        reference: CaseReference,
        scope: CaseScope,
        partners: Vec<AuthorityId>,
        now: UnixMs,
    ) -> Result<Vec<SubjectRef>> {
        self.in_one_commit(move |this, conn| {
            async move {
                let index_key = this.index_key(conn).await?;
                let index = index_key.index(&reference);
                let key = this.case_key(conn, &index, scope).await?;
                let mut subjects = Vec::with_capacity(partners.len());
                for partner in &partners {
                    let code = index_key.partner_code(&index, scope, partner);
                    subjects.push(key.subject(partner, this.epoch(conn, &index, scope, &code, now).await?));
                }
                Ok(subjects)
            }
            .boxed()
        })
        .await
    }

    /// Destroys the keys and epochs of a case: overwritten in one commit, and gone from the log too. Its pseudonyms can be
    /// made by nobody any more; the same reference begins anew.
    ///
    /// # Errors
    /// When it could not be done; then what was shared about the case must stay listed as well.
    pub async fn forget_case(self: &Arc<Self>, index: CaseIndex) -> Result<()> {
        self.destroyed_in_one_commit(move |_, conn| {
            async move {
                let case = || Args::new().with(index.as_bytes().as_slice());
                db::run(&mut *conn, &statements::CASE_KEY_DESTROY, case()).await?;
                db::run(conn, &statements::CASE_EPOCH_DESTROY, case()).await?;
                Ok(())
            }
            .boxed()
        })
        .await
    }

    async fn index_key(&self, conn: &mut SqliteConnection) -> Stepped<IndexKey> {
        const PLACE: &[u8] = b"case_index_key/1";
        if let Some(row) = db::one(&mut *conn, &statements::CASE_INDEX_KEY_GET, Args::new()).await? {
            return Ok(IndexKey::new(self.key_at(PLACE, row.blob(0)?)?));
        }
        let (key, sealed) = self.new_key(PLACE)?;
        db::run(conn, &statements::CASE_INDEX_KEY_PUT, Args::new().with(sealed.as_slice())).await?;
        Ok(IndexKey::new(*key))
    }

    async fn case_key(&self, conn: &mut SqliteConnection, index: &CaseIndex, scope: CaseScope) -> Stepped<CaseKey> {
        let place = place(b"case_key", index, scope, &[]);
        let args = || Args::new().with(index.as_bytes().as_slice()).with(scope.code());
        if let Some(row) = db::one(&mut *conn, &statements::CASE_KEY_GET, args()).await? {
            return Ok(CaseKey::new(self.key_at(&place, row.blob(0)?)?));
        }
        let (key, sealed) = self.new_key(&place)?;
        db::run(conn, &statements::CASE_KEY_PUT, args().with(sealed.as_slice())).await?;
        Ok(CaseKey::new(*key))
    }

    async fn epoch(
        &self,
        conn: &mut SqliteConnection,
        index: &CaseIndex,
        scope: CaseScope,
        partner_code: &[u8; 16],
        now: UnixMs,
    ) -> Stepped<Epoch> {
        let place = place(b"case_epoch", index, scope, partner_code);
        let args = || Args::new().with(index.as_bytes().as_slice()).with(scope.code()).with(partner_code.as_slice());
        let row = db::one(&mut *conn, &statements::CASE_EPOCH_GET, args()).await?;
        let known = match row {
            Some(row) => Some(reload_epoch(&opened(&self.seal, &place, row.blob(0)?)?)?),
            None => None,
        };
        let epoch = Epoch::at(known, now);
        if known != Some(epoch) {
            let plain = [epoch.number.to_be_bytes(), epoch.began.0.to_be_bytes()].concat();
            let sealed = self.sealed_at(&place, &plain)?;
            db::run(conn, &statements::CASE_EPOCH_PUT, args().with(sealed.as_slice())).await?;
        }
        Ok(epoch)
    }
}

/// What a sealed value is bound to: a row that is moved to another case, scope or partner does not open.
fn place(table: &[u8], index: &CaseIndex, scope: CaseScope, partner_code: &[u8]) -> Vec<u8> {
    [table, b"/", index.as_bytes(), &scope.code().to_be_bytes(), partner_code].concat()
}

fn reload_epoch(plain: &[u8]) -> Result<Epoch> {
    let damaged = Error::Damaged("an epoch in keys.db has another form");
    let (Some(number), Some(began)) = (plain.first_chunk::<8>(), plain.last_chunk::<8>()) else { return Err(damaged) };
    if plain.len() != 16 {
        return Err(damaged);
    }
    Ok(Epoch { number: u64::from_be_bytes(*number), began: UnixMs(i64::from_be_bytes(*began)) })
}

#[cfg(test)]
mod tests;
