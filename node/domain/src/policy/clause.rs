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
