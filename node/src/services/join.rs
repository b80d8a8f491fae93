//! The door for applicants (9.5): commit, reveal, watch, withdraw.

use std::time::Duration;

use havenlink_proto::peer::v1 as peer;
use havenlink_proto::peer::v1::join_service_server::JoinService;
use prost::Message;
use tonic::{Request, Response, Status};

use super::{errors, layers};
use crate::domain::ids::{Digest, InvitationId};
use crate::domain::join::Nonce;
use crate::domain::time::UnixMs;
use crate::exchange::join::Inviter;
use crate::wire::{Error, fields, joining};

/// How long `Watch` waits for a change.
const WAIT: Duration = Duration::from_secs(30);

pub struct Join {
    inviter: Inviter,
}

impl Join {
    /// Over the inviter of this node.
    pub fn new(inviter: Inviter) -> Self {
        Self { inviter }
    }
}

fn invitation(bytes: &[u8]) -> Result<InvitationId, Status> {
    fields::id("invitation_id", bytes, InvitationId::from_slice).map_err(|e| errors::field(&e))
}

fn statement(signed: Option<havenlink_proto::record::v1::Signed>) -> Option<bytes::Bytes> {
    // Encoded again from what was parsed: the payload, which is what was signed, is untouched bytes.
    signed.map(|s| s.encode_to_vec().into())
}

#[tonic::async_trait]
impl JoinService for Join {
    async fn commit(&self, request: Request<peer::CommitRequest>) -> Result<Response<peer::CommitResponse>, Status> {
        let pin = layers::applicant(&request)?;
        let asked = request.into_inner();
        let id = invitation(&asked.invitation_id)?;
        let commitment =
            fields::id("commitment", &asked.commitment, Digest::from_slice).map_err(|e| errors::field(&e))?;
        let said = (asked.sender_time_ms != 0).then_some(UnixMs(asked.sender_time_ms));
        let nonce = self.inviter.commit(id, &asked.secret, commitment, pin, said).await;
        let nonce = nonce.map_err(|e| errors::joining(&e))?;
        let genesis = self.inviter.genesis();
        Ok(Response::new(peer::CommitResponse { nonce_i: nonce.0.to_vec().into(), genesis }))
    }

    async fn reveal(&self, request: Request<peer::RevealRequest>) -> Result<Response<peer::RevealResponse>, Status> {
        let pin = layers::applicant(&request)?;
        let asked = request.into_inner();
        let id = invitation(&asked.invitation_id)?;
        let nonce = fields::id("nonce_a", &asked.nonce_a, Nonce::from_slice).map_err(|e| errors::field(&e))?;
        let application = statement(asked.application).ok_or_else(|| errors::field(&Error::missing("application")))?;
        let revealed = self.inviter.reveal(id, &asked.secret, nonce, application, pin).await;
        let digest = revealed.map_err(|e| errors::joining(&e))?;
        Ok(Response::new(peer::RevealResponse { words_digest: digest.0.to_vec().into() }))
    }

    async fn watch(&self, request: Request<peer::WatchRequest>) -> Result<Response<peer::WatchResponse>, Status> {
        let pin = layers::applicant(&request)?;
        let proof = layers::applicants_proof(&request);
        let asked = request.into_inner();
        let id = invitation(&asked.invitation_id)?;
        let known =
            asked.known.as_ref().map(joining::progress_from_proto).transpose().map_err(|e| errors::field(&e))?;
        let progress = self.inviter.watch(id, &asked.secret, pin, known, WAIT, || proof.accept()).await;
        let progress = progress.map_err(|e| errors::joining(&e))?;
        Ok(Response::new(joining::progress_to_proto(&progress)))
    }

    async fn withdraw(
        &self,
        request: Request<peer::WithdrawRequest>,
    ) -> Result<Response<peer::WithdrawResponse>, Status> {
        let pin = layers::applicant(&request)?;
        let asked = request.into_inner();
        let id = invitation(&asked.invitation_id)?;
        let withdrawn = self.inviter.withdraw(id, &asked.secret, pin, statement(asked.withdrawal)).await;
        withdrawn.map_err(|e| errors::joining(&e))?;
        Ok(Response::new(peer::WithdrawResponse {}))
    }
}
