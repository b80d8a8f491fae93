//! How the directory reaches other members: a seam, so that a federation can also live inside one process.

use super::error::Error;
use crate::domain::ids::AuthorityId;
use crate::transport::{Lane, Pool};

pub use crate::transport::PeerChannel;

/// Opens channels to members; in a running node, the pool.
pub trait Dial: Send + Sync + 'static {
    /// A channel to the member's own node, by its exact pin; opening may still fail with the first call.
    ///
    /// # Errors
    /// When the member is unknown, or has no endpoint.
    fn channel(&self, to: &AuthorityId) -> Result<PeerChannel, Error>;

    /// The same for following, gossip and a change of the own entry: a certificate that the member's authority issued will do.
    ///
    /// # Errors
    /// As `channel`.
    fn reunion(&self, to: &AuthorityId) -> Result<PeerChannel, Error>;
}

impl Dial for Pool {
    fn channel(&self, to: &AuthorityId) -> Result<PeerChannel, Error> {
        self.lane(to, Lane::Register).map_err(|error| Error::new(error.reason(), error.to_string()))
    }

    fn reunion(&self, to: &AuthorityId) -> Result<PeerChannel, Error> {
        self.lane(to, Lane::Reunion).map_err(|error| Error::new(error.reason(), error.to_string()))
    }
}

/// A failed call as an error of the catalogue: the reason that the other side gave, or what the connection says. No text
/// of the other side goes on from here: errors are logged.
pub(super) fn refused(status: &tonic::Status) -> Error {
    Error::from(crate::transport::classify(status))
}
