//! Stories of the register, told by driving `apply` alone, as stewards and as hostile stewards would.

mod ahead;
mod ahead_refounded;
mod beats;
mod decisions;
mod entries;
mod federation;
mod hostile;
mod lied_to;
mod mandates;
mod overlay;
mod pinned;
mod proofs;
mod properties;
mod retime;
mod snapshots;
mod suspension;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

pub use super::samples::*;
use super::state::{RegisterState, entry_time_fits};
use super::statements::{Author, Invited};
use crate::domain::authority::{AuthorityEntry, Name, ParticipantKind, PinnedKey};
use crate::domain::directory::{Policy, Steward};
use crate::domain::ids::{Digest, Pin, StatementId};
use crate::domain::register::{Outcome, SuspendReason};
use crate::domain::time::{Millis, UnixMs};
use crate::wire::keys::{Plain, SigningKey};
