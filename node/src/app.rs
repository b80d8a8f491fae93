//! Builds every part in order and owns the end of each.
//!
//! What lives here: the commands of the binary, the running node (`member`) and the waiting one (`applicant`), and what
//! joins rooms that do not know each other: the register with joining and governing, pins with TLS, wake-ups with loops.
//! What does not: decisions. Invariant: what is started last ends first, and nothing outlives the store and the register.

mod applicant;
mod asking;
mod backups;
mod budgets;
mod check;
mod commands;
mod contacts;
mod data_dir;
mod doctor;
mod entry;
mod failure;
mod following;
mod genesis;
mod given;
mod groups;
mod identity_copy;
mod journal;
mod listeners;
mod local_door;
mod member;
mod owner;
mod recipient;
mod recovery;
mod renewal;
mod reread;
mod rotation;
mod runtimes;
mod scratch;
mod sealing;
mod serve;
mod signals;
#[cfg(test)]
mod tests;
mod token;
mod undumped;
mod webhook;

pub use applicant::withdraw;
pub use asking::contact as ask_for_contact;
pub use backups::{backup, drill, restore};
pub use check::check;
pub use commands::{GenesisPolicy, demo, init, join, run};
pub use data_dir::DataDir;
pub use failure::CommandFailure;
pub use member::RunningMember;
pub use recipient::{Identity, read_identity, recovery_key};
pub use recovery::{Recovery, planned, recover};
pub use token::Token;
pub use undumped::keep_undumped;
