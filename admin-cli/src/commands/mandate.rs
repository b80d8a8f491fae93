//! `mandate`: what authorities let organisations do for them, where, and until when.

use clap::Subcommand;
use havenlink_proto::admin::v1::mandate_service_client::MandateServiceClient;
use havenlink_proto::admin::v1::{IssueMandateRequest, ListMandatesRequest, MandateSummary, RevokeMandateRequest};
use havenlink_proto::directory::v1::{Mandate, MandatedActivity};
use havenlink_proto::record::v1::Place;

use super::sharing::{parse_place, show_place};
use super::{Limit, decision, pages};
use crate::confirm;
use crate::contract_enum::{self, Code};
use crate::failure::Failure;
use crate::output::{Cell, Grid, View};
use crate::session::{Session, call};
use crate::value::to_json;
use crate::when;

/// What authorities let organisations do for them
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Lets an organisation act for this authority; a later mandate takes the place of the one before
    Issue {
        /// A member of the kind MANDATED_NGO
        holder: String,
        /// What it may do
        #[arg(long, required = true, value_delimiter = ',')]
        activity: Vec<Code<MandatedActivity>>,
        /// Where it may do it
        #[arg(long = "in", required = true, value_delimiter = ',', value_parser = parse_place, value_name = "SCHEME:CODE")]
        territory: Vec<Place>,
        /// From when on; now, if not given
        #[arg(long, value_parser = when::parse_start, value_name = "TIME")]
        from: Option<i64>,
        /// Until when, at most five years
        #[arg(long, value_parser = when::parse_end, value_name = "TIME")]
        until: i64,
    },
    /// Ends this authority's mandate for an organisation, at once
    Revoke {
        holder: String,
        #[arg(long)]
        yes: bool,
    },
    /// All mandates of the register, or those of one authority
    List {
        /// Issued or held by it
        #[arg(long, value_name = "AUTHORITY")]
        of: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Issue { holder, activity, territory, from, until } => {
            let act = format!("mandate for {holder}");
            let mandate = Mandate {
                activities: contract_enum::numbers(&activity),
                territory,
                valid_from_ms: from.unwrap_or_else(when::now_ms),
                valid_until_ms: until,
            };
            let request = IssueMandateRequest { request_id: session.request_id(), holder, mandate: Some(mandate) };
            decision::show(session, &act, call!(session, MandateServiceClient, issue_mandate, request)?.decision)
        }
        Verb::Revoke { holder, yes } => {
            let act = format!("end the mandate for {holder}");
            let consequences = ["it acts for this authority no more, from now on, and everybody sees it"];
            confirm::severe(session, &act, &consequences, &holder, yes)?;
            let request = RevokeMandateRequest { request_id: session.request_id(), holder };
            decision::show(session, &act, call!(session, MandateServiceClient, revoke_mandate, request)?.decision)
        }
        Verb::List { of, limit } => list(session, of, &limit).await,
    }
}

async fn list(session: &Session, of: Option<String>, limit: &Limit) -> Result<(), Failure> {
    let request = ListMandatesRequest { authority: of.unwrap_or_default(), ..Default::default() };
    let answer = pages!(session, MandateServiceClient, list_mandates, request, [mandates], limit)?;
    let mut grid = Grid::new(&["holder", "issuer", "state", "activities", "territory", "from", "until"]);
    for summary in &answer.mandates {
        let mandate = summary.mandate.clone().unwrap_or_default();
        let activities = mandate.activities.iter().map(|a| contract_enum::name::<MandatedActivity>(*a));
        grid.push([
            Cell::text(&summary.holder),
            Cell::text(&summary.issuer),
            Cell::text(state(summary, when::now_ms())),
            Cell::list(activities),
            Cell::list(mandate.territory.iter().map(|place| show_place(Some(place)))),
            Cell::time(mandate.valid_from_ms),
            Cell::time(mandate.valid_until_ms),
        ]);
    }
    if grid.is_empty() {
        session.say("there are no mandates");
    }
    session.show(&View::list(to_json(&answer), &["mandates"], grid))
}

fn state(summary: &MandateSummary, now: i64) -> &'static str {
    match &summary.mandate {
        None => "ENDED",
        Some(_) if summary.live => "LIVE",
        Some(mandate) if now < mandate.valid_from_ms => "NOT_YET",
        Some(mandate) if now >= mandate.valid_until_ms => "RAN_OUT",
        Some(_) => "NOT_ACTIVE",
    }
}
