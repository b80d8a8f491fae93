//! For operators: the node, the members, agreements and the ledger.

pub mod agreement;
pub mod audit;
mod decision;
pub mod mandate;
pub mod member;
pub mod node;
pub mod status;
