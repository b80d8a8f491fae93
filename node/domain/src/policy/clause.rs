//! Which rule said yes. The answer carries it, so that an explanation never asks a second time, by another function.

use crate::closed::closed_enum;

closed_enum! {
    /// The rule by which one of the three questions was answered with yes (9.2). A no is a reason of the catalogue.
    pub enum Clause {
        /// A grant in force covers the record.
        GrantInForce = 1 => "GRANT_IN_FORCE",
        /// Its dates are over, or not reached yet, by less than two clocks may differ (9.7): the receiver only.
        GrantWithinGrace = 2 => "GRANT_WITHIN_GRACE",
        /// An answer goes back along the grant under which its target came.
        AnswerUnderGrantOfTarget = 3 => "ANSWER_UNDER_GRANT_OF_TARGET",
        /// Control between two members in good standing.
        ControlBetweenActive = 4 => "CONTROL_BETWEEN_ACTIVE",
        /// A withdrawal notice to a suspended member.
        NoticeToSuspended = 5 => "NOTICE_TO_SUSPENDED",
        /// A withdrawal notice to a member that was removed less than 30 days ago.
        NoticeToRemoved = 6 => "NOTICE_TO_REMOVED",
        /// An erasure receipt of a suspended member.
        ReceiptOfSuspended = 7 => "RECEIPT_OF_SUSPENDED",
        /// The kind is open to the role for list, get, watch and search.
        RoleReads = 8 => "ROLE_READS",
        /// The kind is open to the role on the stream of the inbox.
        RoleConsumes = 9 => "ROLE_CONSUMES",
        /// The role may answer received records of the kind.
        RoleAnswers = 10 => "ROLE_ANSWERS",
        /// The role may publish records of the kind, and so say an own one anew or take it back.
        RolePublishes = 11 => "ROLE_PUBLISHES",
        /// The node makes an own record for those that may get it.
        NodePrepares = 12 => "NODE_PREPARES",
        /// The node looks which word about a record is the newest, and shows nothing of it.
        NodeOrders = 13 => "NODE_ORDERS",
    }
}

impl Clause {
    /// It as a sentence.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::GrantInForce => "a grant of an agreement in force covers it",
            Self::GrantWithinGrace => {
                "a grant covers it whose dates are over, or not reached, by less than two clocks may differ"
            }
            Self::AnswerUnderGrantOfTarget => "it answers, and goes back along the grant under which its target came",
            Self::ControlBetweenActive => "it is control between two members in good standing",
            Self::NoticeToSuspended => "a withdrawal reaches suspended members too",
            Self::NoticeToRemoved => "a withdrawal reaches a member for 30 days after its removal",
            Self::ReceiptOfSuspended => "a suspended member answers withdrawals",
            Self::RoleReads => "its kind is open to this role",
            Self::RoleConsumes => {
                "its kind is open to this role on the stream of the inbox, and its grant lets systems store it"
            }
            Self::RoleAnswers => "this role may answer records of its kind",
            Self::RolePublishes => "this role publishes records of its kind",
            Self::NodePrepares => "the node makes it for those that may get it",
            Self::NodeOrders => "the node looks which word is the newest, and shows nothing",
        }
    }
}
