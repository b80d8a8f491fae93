//! `register`: which line of the register this node follows, where two stand against each other.

use clap::Subcommand;
use havenlink_proto::admin::v1::ChooseRegisterRequest;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use serde_json::json;

use crate::confirm;
use crate::failure::Failure;
use crate::output::{Cell, View};
use crate::session::{Session, call};

/// The line of the register that this node follows
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Of two lines that stand against each other, the one to follow: havenctl doctor shows the fingerprints of both
    Choose {
        /// The line's fingerprint, or its first eight digits or more
        fingerprint: String,
        #[arg(long)]
        yes: bool,
    },
}

pub async fn run(session: &Session, Verb::Choose { fingerprint, yes }: Verb) -> Result<(), Failure> {
    let consequences = [
        "this node follows that line from now on, and no other one of its number",
        "what only the other line decided is proposed again; what it denied goes on being denied until then",
        "call the other stewards first: everybody has to choose the same line",
    ];
    confirm::severe(session, "choose the register's line", &consequences, &fingerprint, yes)?;
    let request = ChooseRegisterRequest { request_id: session.request_id(), fingerprint };
    let founding = call!(session, MemberServiceClient, choose_register, request)?.founding;
    session.show(&View::sheet(json!({ "founding": founding }), vec![("founding", Cell::number(founding))]))
}
