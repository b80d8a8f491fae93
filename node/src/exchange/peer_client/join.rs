//! The inviter's door over the network: ALPN `havenlink-join/1`, endpoints and pins of the invitation (9.5).

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::PeerChannel;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use havenlink_proto::peer::v1 as peer;
use havenlink_proto::peer::v1::join_service_client::JoinServiceClient;
use prost::Message;
use tonic_types::StatusExt;

use crate::clock::SharedClock;
use crate::domain::ids::{Digest, InvitationId};
use crate::domain::join::Nonce;
use crate::domain::join::applicant::Progress;
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::exchange::join::{JoinCallError, JoinClient};
use crate::wire::joining;

/// `Watch` waits up to 30 s at the inviter.
const WATCH: Duration = Duration::from_secs(40);

/// A door over channels that accept the invitation's pins only (`Pool::join_channel`), one for each of its endpoints.
pub struct TonicJoinClient {
    clients: Vec<JoinServiceClient<PeerChannel>>,
    /// The endpoint that answered last.
    answering: AtomicUsize,
    /// Names the cause of a failed call that carries no reason of ours.
    classify: fn(&tonic::Status) -> Reason,
    clock: SharedClock,
}

impl TonicJoinClient {
    /// `classify` walks the status's source chain; it is transport's.
    pub fn new(channels: Vec<PeerChannel>, classify: fn(&tonic::Status) -> Reason, clock: SharedClock) -> Self {
        let client = |channel| {
            JoinServiceClient::new(channel)
                .max_decoding_message_size(limits::JOIN_BYTES + limits::STATEMENT_BYTES)
                .max_encoding_message_size(limits::JOIN_BYTES)
        };
        Self { clients: channels.into_iter().map(client).collect(), answering: AtomicUsize::new(0), classify, clock }
    }

    /// Asks where the last answer came from, and at the other endpoints in turn until the inviter's node answers.
    async fn ask<T, F>(&self, call: impl Fn(JoinServiceClient<PeerChannel>) -> F) -> Result<T, JoinCallError>
    where
        F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        let first = self.answering.load(Ordering::Relaxed);
        let mut failed: Option<JoinCallError> = None;
        for n in 0..self.clients.len() {
            let at = (first + n) % self.clients.len();
            let status = match call(self.clients[at].clone()).await {
                Ok(answer) => {
                    self.answering.store(at, Ordering::Relaxed);
                    return Ok(answer.into_inner());
                }
                Err(status) => status,
            };
            if let Some(reason) = status.get_details_error_info().and_then(|info| Reason::from_code(&info.reason)) {
                self.answering.store(at, Ordering::Relaxed);
                return Err(JoinCallError { reason, said: true, source: Some(Box::new(status)) });
            }
            // What an endpoint that was reached did says more than that another one was not.
            if failed.as_ref().is_none_or(|before| before.reason == Reason::PeerUnreachable) {
                let reason = (self.classify)(&status);
                failed = Some(JoinCallError { reason, said: false, source: Some(Box::new(status)) });
            }
        }
        Err(failed.unwrap_or_else(|| Reason::InvitationInvalid.into()))
    }
}

fn call<T>(message: T, limit: Duration) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(limit);
    request
}

fn copied(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

impl JoinClient for TonicJoinClient {
    fn commit(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        commitment: Digest,
    ) -> BoxFuture<'_, Result<(Nonce, Bytes), JoinCallError>> {
        let request = peer::CommitRequest {
            invitation_id: copied(id.as_bytes()),
            secret: copied(&secret),
            commitment: copied(commitment.as_bytes()),
            sender_time_ms: self.clock.now().0,
        };
        Box::pin(async move {
            let request = &request;
            let commit = |mut client: JoinServiceClient<_>| async move {
                client.commit(call(request.clone(), limits::UNARY.to_duration())).await
            };
            let answer = self.ask(commit).await?;
            let nonce_i = Nonce::from_slice(&answer.nonce_i).ok_or(Reason::DecodeFailed)?;
            Ok((nonce_i, answer.genesis))
        })
    }

    fn reveal(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        nonce_a: Nonce,
        application: Bytes,
    ) -> BoxFuture<'_, Result<Digest, JoinCallError>> {
        Box::pin(async move {
            let signed = havenlink_proto::record::v1::Signed::decode(application)
                .map_err(|_| JoinCallError::from(Reason::DecodeFailed))?;
            let request = peer::RevealRequest {
                invitation_id: copied(id.as_bytes()),
                nonce_a: copied(&nonce_a.0),
                application: Some(signed),
                secret: copied(&secret),
            };
            let request = &request;
            let reveal = |mut client: JoinServiceClient<_>| async move {
                client.reveal(call(request.clone(), limits::UNARY.to_duration())).await
            };
            let answer = self.ask(reveal).await?;
            Digest::from_slice(&answer.words_digest).ok_or_else(|| Reason::DecodeFailed.into())
        })
    }

    fn watch(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        known: Option<Progress>,
    ) -> BoxFuture<'_, Result<Progress, JoinCallError>> {
        let request = peer::WatchRequest {
            invitation_id: copied(id.as_bytes()),
            secret: copied(&secret),
            known: known.as_ref().map(joining::progress_to_proto),
        };
        Box::pin(async move {
            let request = &request;
            let watch =
                |mut client: JoinServiceClient<_>| async move { client.watch(call(request.clone(), WATCH)).await };
            let answer = self.ask(watch).await?;
            Ok(joining::progress_from_proto(&answer)?)
        })
    }

    fn withdraw(
        &self,
        id: InvitationId,
        secret: [u8; 16],
        statement: Option<Bytes>,
    ) -> BoxFuture<'_, Result<(), JoinCallError>> {
        Box::pin(async move {
            let withdrawal = statement
                .map(havenlink_proto::record::v1::Signed::decode)
                .transpose()
                .map_err(|_| JoinCallError::from(Reason::DecodeFailed))?;
            let request =
                peer::WithdrawRequest { invitation_id: copied(id.as_bytes()), secret: copied(&secret), withdrawal };
            let request = &request;
            let withdraw = |mut client: JoinServiceClient<_>| async move {
                client.withdraw(call(request.clone(), limits::UNARY.to_duration())).await
            };
            self.ask(withdraw).await.map(drop)
        })
    }
}
