//! The types that openraft is built over, and its settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::impls::leader_id_std;
use openraft::type_config::alias;
use serde::{Deserialize, Serialize};

use crate::domain::limits;
use crate::domain::register::Applied;
use crate::domain::time::UnixMs;

use super::state_machine::StateMachine;

/// A statement on its way through the log, with the leader's time.
///
/// The serde forms that openraft asks for are never used: wire and disk are protobuf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    #[serde(with = "as_millis")]
    pub entry_time: UnixMs,
    /// The encoded `Signed`, byte for byte.
    #[serde(with = "as_bytes")]
    pub signed: Bytes,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "statement of {} bytes", self.signed.len())
    }
}

mod as_millis {
    use crate::domain::time::UnixMs;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &UnixMs, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(time.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<UnixMs, D::Error> {
        i64::deserialize(from).map(UnixMs)
    }
}

mod as_bytes {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        Vec::<u8>::deserialize(from).map(Bytes::from)
    }
}

/// What the membership tells about a node: whose it is. Addresses come from the register.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Authority id.
    pub authority: String,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

/// `None` for entries that carry no statement. Serialisable because openraft asks for it; it never leaves the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer(pub Option<Applied>);

impl Serialize for Answer {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <()>::deserialize(from).map(|()| Self(None))
    }
}

openraft::declare_raft_types!(
    /// One leader a term: the standard form, part of every log id on disk and on the wire.
    pub TypeConfig:
        D = Command,
        R = Answer,
        NodeId = u64,
        Node = Peer,
        LeaderId = leader_id_std::LeaderId<u64, u64>,
);

pub type Raft = openraft::Raft<TypeConfig, StateMachine>;
pub type Entry = alias::EntryOf<TypeConfig>;
pub type LogId = alias::LogIdOf<TypeConfig>;
pub type Vote = alias::VoteOf<TypeConfig>;
pub type Membership = openraft::Membership<u64, Peer>;
pub type StoredMembership = alias::StoredMembershipOf<TypeConfig>;
pub type SnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;
pub type Payload = openraft::EntryPayload<Command, u64, Peer>;

/// Milliseconds between heartbeats.
pub(super) const HEARTBEAT_MS: u64 = 250;
/// A follower that heard nothing for this long, at least and at most, asks for votes.
const ELECTION_MS: (u64, u64) = (1_000, 2_000);
/// How long a leader that was heard stands: openraft's own leader lease.
pub(super) const LEASE: Duration = Duration::from_millis(ELECTION_MS.1);
/// Time for a snapshot to be sent and installed.
const SNAPSHOT_MS: u64 = 60_000;

/// openraft's settings (9.4), validated and read back.
///
/// # Errors
/// When openraft took a setting differently from what was asked.
pub fn config(federation: &str) -> Result<Arc<openraft::Config>, String> {
    let config = openraft::Config {
        cluster_name: federation.to_owned(),
        heartbeat_interval: HEARTBEAT_MS,
        heartbeat_min_interval: Some(HEARTBEAT_MS),
        election_timeout_min: ELECTION_MS.0,
        election_timeout_max: ELECTION_MS.1,
        install_snapshot_timeout: SNAPSHOT_MS,
        max_payload_entries: limits::RAFT_APPEND_ENTRIES,
        snapshot_policy: openraft::SnapshotPolicy::Never,
        replication_lag_threshold: u64::MAX,
        // What is kept after a snapshot is decided by our own trigger, never by openraft's.
        max_in_snapshot_log_to_keep: u64::MAX,
        enable_pre_vote: Some(true),
        enable_leader_restore: Some(false),
        allow_log_reversion: Some(false),
        ..Default::default()
    };
    let config = config.validate().map_err(|error| error.to_string())?;
    let kept = config.enable_pre_vote == Some(true)
        && config.enable_leader_restore == Some(false)
        && config.allow_log_reversion == Some(false)
        && config.heartbeat_interval == HEARTBEAT_MS
        && (config.election_timeout_min, config.election_timeout_max) == ELECTION_MS
        && config.max_payload_entries == limits::RAFT_APPEND_ENTRIES
        && matches!(config.snapshot_policy, openraft::SnapshotPolicy::Never);
    if kept { Ok(Arc::new(config)) } else { Err("openraft did not keep a setting".to_owned()) }
}
