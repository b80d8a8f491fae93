//! Who acted, as the ledger and the request ids know it: a role and a salted code, never a name or a uid.

use tonic::{Request, Status};

use super::layers::{self, Actor};
use crate::domain::audit;
use crate::domain::ids::Hasher;

/// Makes codes with a salt that never leaves the node.
#[derive(Clone)]
pub struct Codes {
    salt: std::sync::Arc<crate::telemetry::Sensitive<[u8; 32]>>,
}

impl Codes {
    pub fn new(salt: [u8; 32]) -> Self {
        Self { salt: std::sync::Arc::new(crate::telemetry::Sensitive::new(salt)) }
    }

    /// The actor of a call, for the ledger.
    ///
    /// # Errors
    /// When the call did not come through a local door.
    pub fn actor<T>(&self, request: &Request<T>) -> Result<audit::Actor, Status> {
        let (role, actor) = layers::local(request)?;
        let mut hash = Hasher::new();
        hash.update(b"havenlink/actor/v1\0");
        hash.update(self.salt.expose());
        match actor {
            Actor::Uid(uid) => hash.update(&uid.to_be_bytes()),
            Actor::Key(pin) => hash.update(&pin.0),
        }
        let mut code = [0; 16];
        code.copy_from_slice(&hash.finish().0[..16]);
        Ok(audit::Actor { role, code: Some(code) })
    }
}
