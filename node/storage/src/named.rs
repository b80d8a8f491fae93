//! The named values of a store: one value each, and no more names than these. What there is several of has a table.

/// A name in the table `meta`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Named {
    /// Whose the store is.
    Authority,
    /// Of which federation, 32 bytes.
    Federation,
    /// This node's incarnation, u64 big-endian (9.10).
    Incarnation,
    /// Since a restore: the instant before which nothing is held of own offers, i64 big-endian Unix ms (9.11).
    HoldsOpen,
    /// Of a backup only: the id of the authority's key that was put beside it.
    BackupKey,
}

impl Named {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Authority, Self::Federation, Self::Incarnation, Self::HoldsOpen, Self::BackupKey];

    /// As it stands in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Federation => "federation",
            Self::Incarnation => "incarnation",
            Self::HoldsOpen => "holds-open",
            Self::BackupKey => "backup-key",
        }
    }
}
