//! Kinds of record, their class, and the references between records.

use crate::closed::closed_enum;
use crate::ids::{AuthorityId, RecordId};

pub use super::RecordKind;

closed_enum! {
    /// The two streams between two authorities (9.2, 9.3).
    pub enum StreamClass { Content = 1 => "CONTENT", Control = 2 => "CONTROL" }
}

closed_enum! {
    /// How a record refers to another one.
    pub enum ReferenceKind { Updates = 1 => "UPDATES", Cancels = 2 => "CANCELS", Answers = 3 => "ANSWERS", Replaces = 4 => "REPLACES" }
}

impl RecordKind {
    /// Content needs an agreement in force, control does not.
    pub const fn class(self) -> StreamClass {
        if (self as i32) < 32 { StreamClass::Content } else { StreamClass::Control }
    }
}

/// A record is known by its origin and its id: two cities' equal ids never meet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// The authority that published it.
    pub origin: AuthorityId,
    /// Its id there.
    pub record_id: RecordId,
}

/// One record's link to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The sort of link.
    pub kind: ReferenceKind,
    /// The record it points to.
    pub target: RecordKey,
}
