//! Serving the register to those who follow: changes, then beats and overlay as they come; or a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::Stream;
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::record::v1::Signed;
use prost::Message;
use proto::follow_response::Event;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::error::Error;
use super::handle::Directory;
use super::snapshot_handle;
use crate::domain::directory::Position;
use crate::domain::ids::{AuthorityId, Digest, StatementId};
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;

/// Bytes of changes in one message, below the limit of a call.
const PIECE: usize = 40 << 10;
/// Messages that wait for a slow follower.
const AHEAD: usize = 8;

type Out = mpsc::Sender<Result<proto::FollowResponse, Error>>;

/// The follower is gone, or was told why it goes.
struct Ended;

impl Directory {
    /// Changes after a number, then whatever comes. Ends only with an error.
    ///
    /// # Errors
    /// `HEAD_MISMATCH` when the follower's head at that number is another one than ours; `OUT_OF_RANGE` reasons come in
    /// the stream as `snapshot_first`.
    pub fn follow(
        &self,
        from: Position,
        head: Digest,
    ) -> Result<impl Stream<Item = Result<proto::FollowResponse, Error>> + Send + 'static + use<>, Error> {
        let here = self.0.chain.state();
        if from.founding > here.position().founding {
            return Err(Error::new(Reason::ChangesGone, format!("founding {} is not known here yet", from.founding)));
        }
        let same = self.0.chain.head_at(from.number)?.is_none_or(|own| own == head);
        // From before the founding here changes lead to it; from elsewhere on that line the follower has to go back first.
        let goes_back = from.founding < here.position().founding && (from.number >= here.founding().at || !same);
        if !same && !goes_back {
            return Err(Error::new(Reason::HeadMismatch, format!("change {from}")));
        }
        let (out, events) = mpsc::channel(AHEAD);
        let follower = Follower {
            directory: self.clone(),
            out,
            number: from.number,
            founding: if goes_back { from.founding } else { here.position().founding },
            beats: BTreeMap::new(),
            overlay: BTreeSet::new(),
        };
        self.0.tasks.spawn(self.0.stop.clone().run_until_cancelled_owned(follower.serve()));
        Ok(ReceiverStream::new(events))
    }

    /// The newest snapshot that a majority of stewards has signed, in the messages in which it is sent.
    ///
    /// # Errors
    /// `CHANGES_GONE` when there is none: then all changes are still kept; `MESSAGE_TOO_LARGE` when nobody would take it.
    pub async fn snapshot_messages(&self) -> Result<Vec<proto::SnapshotResponse>, Error> {
        let none = || Error::new(Reason::ChangesGone, "no snapshot that a majority has signed");
        let (handle, proof) = self.0.chain.proven_snapshot().ok_or_else(none)?;
        let encoded = self.0.chain.encoded(handle).await?;
        snapshot_handle::fits(encoded.items.len())?;
        Ok(snapshot_handle::messages(&encoded, proof)
            .into_iter()
            .map(|chunk| proto::SnapshotResponse { chunk: Some(chunk) })
            .collect())
    }
}

struct Follower {
    directory: Directory,
    out: Out,
    number: u64,
    /// The founding that it stands on, or is led to.
    founding: u64,
    /// Steward -> time of the last beat sent.
    beats: BTreeMap<AuthorityId, UnixMs>,
    overlay: BTreeSet<StatementId>,
}

impl Follower {
    async fn serve(mut self) {
        let mut changes = self.directory.changes();
        let mut heard = self.directory.0.chain.heard();
        loop {
            changes.mark_unchanged();
            heard.mark_unchanged();
            if self.directory.0.chain.position().founding != self.founding {
                return self.send_foundings().await;
            }
            if self.send_changes().await.is_err() || self.send_heard().await.is_err() {
                return;
            }
            tokio::select! {
                Ok(()) = changes.changed() => {}
                Ok(()) = heard.changed() => {}
                () = self.out.closed() => return,
            }
        }
    }

    /// The order has begun anew since: the follower goes back to where, and asks again. The one to follow comes first.
    async fn send_foundings(&self) {
        for founding in self.directory.0.chain.foundings_above(self.founding) {
            if self.send_signed(founding, Event::Refound).await.is_err() {
                return;
            }
        }
    }

    async fn send_changes(&mut self) -> Result<(), Ended> {
        loop {
            let links = match self.directory.0.chain.after(self.number, PIECE) {
                Ok(Some(links)) => links,
                Ok(None) => {
                    let first = self.directory.0.chain.proven_snapshot().map_or(0, |(handle, _)| handle.mark.number);
                    return self.send(Event::SnapshotFirst(first)).await.and(Err(Ended));
                }
                Err(error) => {
                    drop(self.out.send(Err(error)).await);
                    return Err(Ended);
                }
            };
            let Some(last) = links.last() else { return Ok(()) };
            self.number = last.change.number;
            let changes = links.into_iter().map(|link| link.change).collect();
            self.send(Event::Changes(proto::Changes { changes })).await?;
        }
    }

    async fn send_heard(&mut self) -> Result<(), Ended> {
        for (beat, bytes) in self.directory.0.chain.beats() {
            if self.beats.get(&beat.steward).is_none_or(|sent| *sent != beat.time) {
                self.beats.insert(beat.steward, beat.time);
                self.send_signed(bytes, Event::Beat).await?;
            }
        }
        for (id, bytes) in self.directory.0.chain.denials() {
            if self.overlay.insert(id) {
                self.send_signed(bytes, Event::Overlay).await?;
            }
        }
        Ok(())
    }

    async fn send_signed(&self, bytes: Bytes, event: fn(Signed) -> Event) -> Result<(), Ended> {
        match Signed::decode(bytes) {
            Ok(signed) => self.send(event(signed)).await,
            Err(_) => Ok(()),
        }
    }

    async fn send(&self, event: Event) -> Result<(), Ended> {
        let message = proto::FollowResponse { event: Some(event) };
        self.out.send(Ok(message)).await.map_err(|_| Ended)
    }
}
