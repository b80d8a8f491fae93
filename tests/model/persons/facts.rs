//! What there is: authorities, agreements, records about persons, and what one node knows of them. Plain values.

/// Unix milliseconds.
pub type At = i64;
/// An authority, by its place in the list of all.
pub type Who = usize;

pub const MINUTE: At = 60_000;
pub const HOUR: At = 60 * MINUTE;
pub const DAY: At = 24 * HOUR;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Country {
    France,
    Germany,
    Switzerland,
    Britain,
}

impl Country {
    /// Of the European Economic Area.
    pub fn inside(self) -> bool {
        matches!(self, Self::France | Self::Germany)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    Active,
    Suspended,
    Removed,
    /// Not in the register.
    Unknown,
}

/// An authority, as the register of one node has it.
#[derive(Clone, Copy, Debug)]
pub struct Authority {
    pub country: Country,
    /// Whose node serves it, if it has none of its own.
    pub host: Option<Who>,
    pub standing: Membership,
    /// Suspended in an emergency that nobody has lifted: when that was first seen here.
    pub emergency: Option<At>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Assistance,
    Protection,
    Identification,
}

/// What is offered at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Refuge,
    Medical,
    Psychological,
    LegalAid,
    Casework,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tlp {
    Clear,
    Green,
    Amber,
    AmberStrict,
    Red,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usage {
    Query,
    View,
    Store,
}

#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    pub country: Country,
    pub until: At,
}

#[derive(Clone, Debug)]
pub struct Party {
    pub who: Who,
    pub transfers: Vec<Transfer>,
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub from: Who,
    pub to: Who,
    /// Whether REFERRAL is among its kinds.
    pub referrals: bool,
    pub services: Vec<Service>,
    pub purposes: Vec<Purpose>,
    pub usage: Usage,
    pub highest: Tlp,
    pub retention: At,
    pub valid_from: At,
    pub until: At,
}

/// An agreement between authorities, as one node has it.
#[derive(Clone, Debug)]
pub struct Agreement {
    pub parties: Vec<Party>,
    pub grants: Vec<Grant>,
    /// Whose signatures are stored.
    pub signed: Vec<Who>,
    /// Who has left, as far as this node was told, and at which instant.
    pub ends: Vec<(Who, At)>,
    /// Restored, and not confirmed since.
    pub unconfirmed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// "Do you take such a case now?"
    Query,
    Asked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Shelter,
    Medical,
    Psychological,
    Legal,
    Casework,
    Match,
    Police,
}

/// A referral, from its origin to its one recipient.
#[derive(Clone, Debug)]
pub struct Record {
    pub origin: Who,
    pub recipient: Who,
    pub form: Form,
    pub service: Service,
    pub purpose: Purpose,
    pub tlp: Tlp,
    /// A special basis is said.
    pub special: bool,
    pub created: At,
    pub expires: At,
}

/// What travels with it: under what it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub record: Record,
    pub agreement: usize,
    pub grant: usize,
    /// Scope and erase-by date of what she agreed to.
    pub under: Option<(Scope, At)>,
}

/// What one node knows: its own authority, clocks, register, agreements, who owes it an answer.
#[derive(Clone, Debug)]
pub struct Node {
    pub own: Who,
    pub wall: At,
    /// The last time that it has stored anywhere.
    pub stored: At,
    /// Time of the newest beat of a majority of stewards, if there is one; and what has passed since it came, by a clock
    /// that nobody sets.
    pub beat: Option<At>,
    pub heard_ago: At,
    pub register: Vec<Authority>,
    pub agreements: Vec<Agreement>,
    /// Who was asked to erase, and has not answered in time.
    pub silent: Vec<Who>,
}

/// Who reads at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Operator,
    Coordinator,
    Publisher,
    Consumer,
    DataProtection,
    Inspection,
    Liaison,
    /// The node's own work.
    Node,
}

/// What for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    Show,
    Consume,
    Answer,
    /// To say something later about an own record: update, cancel.
    SayLater,
    Prepare,
    Order,
}

/// A record that is stored at a node.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub own: bool,
    pub created: At,
    pub expires: At,
    /// Received: when, and how long the grant lets it be kept.
    pub since: At,
    pub retention: At,
}
