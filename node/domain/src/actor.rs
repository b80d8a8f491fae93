//! Who acts: the role under which somebody calls, and how the ledger knows them.

use super::closed::closed_enum;

closed_enum! {
    /// Under which role somebody calls: each has its own door.
    pub enum ActorRole {
        Node = 1 => "NODE", Peer = 2 => "PEER", Operator = 3 => "OPERATOR", Coordinator = 4 => "COORDINATOR", Publisher = 5 => "PUBLISHER",
        Consumer = 6 => "CONSUMER", DataProtection = 7 => "DATA_PROTECTION", Inspection = 8 => "INSPECTION", Liaison = 9 => "LIAISON",
    }
}

/// The actor as the ledger knows it: a role and a salted code, never a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    pub role: ActorRole,
    /// Salted code of the local uid or client key; `None` for the node itself.
    pub code: Option<[u8; 16]>,
}

impl Actor {
    /// The node acting by itself.
    pub const NODE: Self = Self { role: ActorRole::Node, code: None };
}
