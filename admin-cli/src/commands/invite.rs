//! `invite`: a token for one authority.

use clap::Subcommand;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::admin::v1::{
    CreateInvitationRequest, InvitationState, ListInvitationsRequest, ListInvitationsResponse, RevokeInvitationRequest,
};

use super::unreadable;
use crate::contract_enum;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View};
use crate::session::{Session, call};
use crate::value::to_json;
use crate::when;

/// Invitations to join
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Makes a token that one authority can use once
    Create {
        /// The authority that it is for, e.g. de-kehl
        #[arg(long = "for", value_name = "AUTHORITY")]
        intended_for: String,
        /// How long it is good, at most 14 days
        #[arg(long, default_value = "48h", value_parser = when::parse_span, value_name = "SPAN")]
        expires: i64,
    },
    /// Invitations of this node
    List,
    /// Takes one back
    Revoke {
        /// Its id, or the beginning of it
        invitation: String,
    },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Create { intended_for, expires } => create(session, intended_for, expires).await,
        Verb::List => {
            let answer = fetch(session).await?;
            let mut grid = Grid::new(&["invitation", "for", "state", "expires"]);
            for invitation in &answer.invitations {
                grid.push([
                    Cell::id(id::show(&invitation.invitation_id)),
                    Cell::text(&invitation.intended_for),
                    Cell::state(match invitation.unreadable.as_str() {
                        "" => contract_enum::name::<InvitationState>(invitation.state),
                        reason => unreadable(reason),
                    }),
                    Cell::time(invitation.expires_ms),
                ]);
            }
            if grid.is_empty() {
                session.say("there are no invitations");
            }
            session.show(&View::list(to_json(&answer), &["invitations"], grid))
        }
        Verb::Revoke { invitation } => revoke(session, &invitation).await,
    }
}

async fn fetch(session: &Session) -> Result<ListInvitationsResponse, Failure> {
    call!(session, MemberServiceClient, list_invitations, ListInvitationsRequest {})
}

/// Characters of a line of a token: the last two of each are its check, so a damaged one is named by its number.
const LINE: usize = 70;

/// The token in the lines that go by mail.
fn wrapped(token: &str) -> String {
    let lines = token.as_bytes().chunks(LINE);
    lines.map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect()
}

/// The token alone stands on stdout, in lines that a mail program does not break; in one line in the other forms.
async fn create(session: &Session, intended_for: String, expires_in_ms: i64) -> Result<(), Failure> {
    let request =
        CreateInvitationRequest { request_id: session.request_id(), intended_for: intended_for.clone(), expires_in_ms };
    let answer = call!(session, MemberServiceClient, create_invitation, request)?;
    session.say(&format!(
        "one use, for {intended_for} alone, until {}; send it over a channel you trust:",
        when::show(answer.expires_ms)
    ));
    session.show(&View::text(
        to_json(&answer),
        wrapped(&answer.token),
        vec![
            ("invitation_id", Cell::id(id::show(&answer.invitation_id))),
            ("token", Cell::text(&answer.token)),
            ("expires", Cell::time(answer.expires_ms)),
        ],
    ))?;
    session.next(&[
        "over there: havenlink join --token-file MAIL, or havenlink join - and the token pasted as it came".into(),
        format!("here, after their call: havenctl member approve {intended_for}"),
    ]);
    Ok(())
}

async fn revoke(session: &Session, typed: &str) -> Result<(), Failure> {
    let known = fetch(session).await?.invitations;
    let ids = known.iter().map(|i| (&i.invitation_id[..], i.invitation_id.clone()));
    let invitation_id = id::resolve(typed, ids, "invitation", "havenctl invite list")?;
    let revoked = Cell::id(id::show(&invitation_id));
    let request = RevokeInvitationRequest { request_id: session.request_id(), invitation_id };
    let answer = call!(session, MemberServiceClient, revoke_invitation, request)?;
    session.say("revoked: the token is good for nothing now");
    session.show(&View::text(to_json(&answer), String::new(), vec![("invitation_id", revoked)]))
}
