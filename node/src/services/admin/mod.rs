//! For operators: the node, the members, agreements and the ledger; for every role the events that concern it.

pub mod agreement;
pub mod audit;
pub mod configured;
mod decision;
pub mod event;
pub mod gauges;
pub mod mandate;
pub mod member;
pub mod node;
pub mod status;
