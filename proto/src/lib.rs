//! The contract of Havenlink, generated from `havenlink/**/*.proto` and nothing else.
//!
//! What lives here: messages, clients and servers of each package, the access table that the RPCs' options say, the count of
//! elements before anything is decoded, and the compiled descriptor set.
//! What does not: rules. Limits, checks and the meaning of a field are the node's (`domain`, `wire`).

// Generated code keeps the enum names of the wire, which repeat a prefix on purpose (buf STANDARD).
#![allow(clippy::enum_variant_names, clippy::large_enum_variant, clippy::doc_lazy_continuation)]

pub mod access;
pub mod codec;
pub mod elements;

macro_rules! package {
    ($area:ident, $name:literal) => {
        pub mod $area {
            pub mod v1 {
                tonic::include_proto!($name);
            }
        }
    };
}

package!(record, "havenlink.record.v1");
package!(peer, "havenlink.peer.v1");
package!(local, "havenlink.local.v1");
package!(admin, "havenlink.admin.v1");
package!(directory, "havenlink.directory.v1");
package!(raft, "havenlink.raft.v1");
package!(store, "havenlink.store.v1");

/// The compiled `FileDescriptorSet`: served by reflection on local listeners, read by tests.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));

/// The catalogue of reasons: a header, then a row for each, in columns that tabs divide. It is written from the node's own list,
/// so that a reason is explained where no node is; a test of the tools compares the two.
pub const REASONS: &str = include_str!("../reasons.tsv");

/// An enum of the contract, under its name there.
pub trait ContractEnum: Copy + Send + Sync + 'static {
    /// E.g. `havenlink.record.v1.AlertKind`.
    const FULL_NAME: &'static str;
}

/// A record that a `Content` can say.
pub trait Said: Clone + Default {
    /// Its kind.
    const KIND: record::v1::RecordKind;
    /// The name of its field in `Content`: `offer_view`.
    const FIELD: &'static str;

    /// What the content says, if it is of this kind.
    fn said(content: &local::v1::Content) -> Option<&Self>;
}

include!(concat!(env!("OUT_DIR"), "/enums.rs"));
include!(concat!(env!("OUT_DIR"), "/content.rs"));
