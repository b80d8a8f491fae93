//! The keys of `keys.db` that concern a person, for who has the store alone.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

use super::{STORE_FILE, SqliteStore};
use crate::domain::ids::AuthorityId;
use crate::domain::person::{CaseIndex, CaseReference, CaseScope, SubjectRef};
use crate::domain::record::RecordKey;
use crate::domain::time::UnixMs;
use crate::remains::{self, LookedAt};
use crate::{Error, PersonKeys, Result};

impl PersonKeys for SqliteStore {
    fn case_index(&self, reference: CaseReference) -> BoxFuture<'_, Result<CaseIndex>> {
        self.keys.case_index(reference).boxed()
    }

    fn subjects(
        &self,
        reference: CaseReference,
        scope: CaseScope,
        partners: Vec<AuthorityId>,
        now: UnixMs,
    ) -> BoxFuture<'_, Result<Vec<SubjectRef>>> {
        self.keys.subjects(reference, scope, partners, now).boxed()
    }

    fn seal(&self, key: RecordKey, plain: Zeroizing<Vec<u8>>) -> BoxFuture<'_, Result<Option<Bytes>>> {
        async move { Ok(self.keys.seal_record(key, plain).await?.map(Bytes::from)) }.boxed()
    }

    fn erase(&self, keys: Vec<RecordKey>, now: UnixMs) -> BoxFuture<'_, Result<()>> {
        self.keys.erase_records(keys, now).boxed()
    }

    fn is_erased(&self, key: RecordKey) -> BoxFuture<'_, Result<bool>> {
        async move { self.keys.is_erased_record(&key).await }.boxed()
    }

    fn look_for(&self, key: RecordKey) -> BoxFuture<'_, Result<Vec<LookedAt>>> {
        let dir = self.keys.folder().to_owned();
        async move {
            let looked = tokio::task::spawn_blocking(move || remains::look(&dir, STORE_FILE, &key.record_id)).await;
            looked.map_err(|e| Error::Failed(Box::new(e)))?.map_err(|e| Error::Failed(Box::new(e)))
        }
        .boxed()
    }

    fn open_sealed(&self, key: RecordKey, sealed: Bytes) -> BoxFuture<'_, Result<Option<Zeroizing<Vec<u8>>>>> {
        async move { self.keys.open_record(&key, sealed.to_vec()).await }.boxed()
    }
}
