//! `referral`: send, query, list, show, accept, decline; and what was called back: erasures, disclosures.

use clap::{Args, Subcommand};
use havenlink_proto::local::v1::referral_service_client::ReferralServiceClient;
use havenlink_proto::local::v1::{
    Disclosure, DisclosureState, HeldRecord, ListDisclosuresRequest, ListErasuresRequest, SendReferralRequest,
};
use havenlink_proto::record::v1::{
    AgeBand, DeclineCode, DeclinedBy, FunctionalNeed, HouseholdShape, NextStep, Purpose, RecordKind, RecordStatus,
    Referral, ReferralForm, ReferralUrgency, ServiceKind, ShareScope,
};

use super::which::{self, Sort, Which};
use super::{Limit, record, sharing};
use crate::contract_enum::{Code, name, numbers};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View};
use crate::session::{Session, call};
use crate::value::to_json;
use crate::when;

/// Referrals of persons who agreed to it: asked, answered, called back
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Asks a partner to take on the person whom a case is about
    Send {
        #[command(flatten)]
        asked: Box<Asked>,
        /// The desk's switchboard, never anybody's own number
        #[arg(long, value_name = "PHONE")]
        callback: String,
    },
    /// Asks whether a partner takes such a case now; nothing names the case
    Query {
        #[command(flatten)]
        asked: Box<Asked>,
    },
    /// Referrals that partners sent; or that this authority sent
    List {
        /// Those that this authority sent
        #[arg(long)]
        published: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// One referral, with what was answered
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Takes the person on
    Accept {
        #[command(flatten)]
        which: Which,
    },
    /// Says no, whose no it is, and what follows
    Decline {
        #[command(flatten)]
        which: Which,
        /// Who declines: PROVIDER or PERSON
        #[arg(long)]
        by: Code<DeclinedBy>,
        /// Why
        #[arg(long)]
        code: Code<DeclineCode>,
        /// What follows
        #[arg(long)]
        next: Code<NextStep>,
    },
    /// What was called back, by partner, and who has not answered
    Erasures,
    /// All that was shared about a case: the person's own question, for the data-protection officer alone
    Disclosures {
        /// Your own case reference: A-Z, 0-9, / and -, never a name
        #[arg(long = "case", value_name = "CASE")]
        reference: String,
    },
}

/// What is sought, for whom, of whom.
#[derive(Debug, Args)]
pub struct Asked {
    /// Your own case reference: A-Z, 0-9, / and -, never a name; it does not leave this node
    #[arg(long = "case", value_name = "CASE")]
    reference: String,
    /// The partner that is asked
    #[arg(long, value_name = "AUTHORITY")]
    to: String,
    #[arg(long)]
    service: Code<ServiceKind>,
    #[arg(long)]
    urgency: Code<ReferralUrgency>,
    #[arg(long)]
    household: Code<HouseholdShape>,
    #[arg(long, default_value = "NOT_SAID")]
    age_band: Code<AgeBand>,
    /// What the service has to be able to do, never why
    #[arg(long, value_delimiter = ',')]
    need: Vec<Code<FunctionalNeed>>,
    /// Languages that she chose to be named, e.g. ro
    #[arg(long, value_delimiter = ',', value_name = "LANGUAGE")]
    language: Vec<String>,
    /// Why it is shared
    #[arg(long, default_value = "ASSISTANCE")]
    purpose: Code<Purpose>,
    /// ACTUAL, EXERCISE or TEST
    #[arg(long, default_value = "ACTUAL")]
    status: Code<RecordStatus>,
    /// End of its life: a date, an instant, or a span from now; 30 days, or what she agreed to
    #[arg(long, value_parser = when::parse_end, value_name = "TIME")]
    expires: Option<i64>,
    /// The authority that refers, on a node that serves several
    #[arg(long, value_name = "AUTHORITY")]
    authority: Option<String>,
}

/// How referrals are found.
const REFERRALS: Sort =
    Sort { kind: RecordKind::Referral, noun: "referral", list: "havenctl referral list, or --published" };

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let session = &session.about(RecordKind::Referral);
    match verb {
        Verb::Send { asked, callback } => send(session, *asked, ReferralForm::Asked, callback).await,
        Verb::Query { asked } => send(session, *asked, ReferralForm::Query, String::new()).await,
        Verb::List { published, limit } => list(session, published, &limit).await,
        Verb::Show { which } => {
            let held = which.held(session, &REFERRALS).await?;
            record::show(session, &held, REFERRALS.noun, pairs(&held), "accept RECORD")
        }
        Verb::Accept { which } => {
            let accepted = Referral { form: ReferralForm::Accepted.into(), ..Default::default() };
            answer(session, &which, accepted, "accepted").await
        }
        Verb::Decline { which, by, code, next } => {
            let declined = Referral {
                form: ReferralForm::Declined.into(),
                declined_by: by.number,
                decline_code: code.number,
                next_step: next.number,
                ..Default::default()
            };
            answer(session, &which, declined, "declined").await
        }
        Verb::Erasures => {
            let answer = call!(session, ReferralServiceClient, list_erasures, ListErasuresRequest {})?;
            let grid = disclosures(&answer.erasures);
            if grid.is_empty() {
                session.say("nothing was called back");
            }
            session.show(&View::list(to_json(&answer), &["erasures"], grid))
        }
        Verb::Disclosures { reference } => {
            let request = ListDisclosuresRequest { case_reference: reference };
            let answer = call!(session, ReferralServiceClient, list_disclosures, request)?;
            let grid = disclosures(&answer.disclosures);
            if grid.is_empty() {
                session.say("nothing was shared about this case");
            }
            session.show(&View::list(to_json(&answer), &["disclosures"], grid))
        }
    }
}

async fn send(session: &Session, asked: Asked, form: ReferralForm, callback_phone: String) -> Result<(), Failure> {
    let referral = Referral {
        form: form.into(),
        service: asked.service.number,
        urgency: asked.urgency.number,
        household: asked.household.number,
        age_band: asked.age_band.number,
        needs: numbers(&asked.need),
        languages: asked.language,
        callback_phone,
        ..Default::default()
    };
    let request = SendReferralRequest {
        request_id: session.request_id(),
        authority: asked.authority.unwrap_or_default(),
        case_reference: asked.reference,
        recipient: asked.to.clone(),
        purpose: asked.purpose.number,
        status: asked.status.number,
        expires_ms: asked.expires.unwrap_or_default(),
        referral: Some(referral),
    };
    let answer = call!(session, ReferralServiceClient, send_referral, request)?;
    let record = id::show(&answer.record_id);
    let text = format!("asked {} as {record}\n", crate::output::clean(&asked.to));
    session.show(&View::text(to_json(&answer), text, vec![("record_id", Cell::id(&record))]))?;
    session.next(&[format!("havenctl referral show {record}")]);
    Ok(())
}

async fn answer(session: &Session, which: &Which, said: Referral, done: &str) -> Result<(), Failure> {
    let target = which.to_answer(session, &REFERRALS).await?;
    record::answer(session, target, said.into(), done).await
}

/// `de-kehl ACCEPTED`, `de-kehl DECLINED PROVIDER NO_PLACE ASK_LATER`.
fn answers(held: &HeldRecord) -> impl Iterator<Item = String> + '_ {
    held.answers.iter().map(|answer| {
        let said = record::said::<Referral>(answer.content.as_ref()).unwrap_or_default();
        let form = name::<ReferralForm>(said.form);
        match said.form() {
            ReferralForm::Declined => format!(
                "{} {form} {} {} {}",
                answer.authority,
                name::<DeclinedBy>(said.declined_by),
                name::<DeclineCode>(said.decline_code),
                name::<NextStep>(said.next_step)
            ),
            _ => format!("{} {form}", answer.authority),
        }
    })
}

async fn list(session: &Session, published: bool, limit: &Limit) -> Result<(), Failure> {
    let answer = which::list(session, &REFERRALS, published, limit).await?;
    let mut grid = Grid::new(&["referral", "origin", "form", "service", "urgency", "household", "created", "answered"]);
    for held in &answer.records {
        let said = record::held::<Referral>(held);
        grid.push([
            Cell::id(id::show(&held.record_id)),
            Cell::text(&held.origin),
            Cell::text(record::or_unreadable(held, name::<ReferralForm>(said.form))),
            Cell::text(name::<ServiceKind>(said.service)),
            Cell::text(name::<ReferralUrgency>(said.urgency)),
            Cell::text(name::<HouseholdShape>(said.household)),
            Cell::time(held.created_ms),
            Cell::list(answers(held)),
        ]);
    }
    if grid.is_empty() {
        session.say(if published { "nobody was referred from here" } else { "nobody was referred to here" });
    }
    session.show(&View::list(to_json(&answer), &["records"], grid))
}

fn pairs(held: &HeldRecord) -> Vec<(&'static str, Cell)> {
    let said = record::held::<Referral>(held);
    let mut pairs = record::head(held, REFERRALS.noun);
    pairs.extend([
        ("form", Cell::text(name::<ReferralForm>(said.form))),
        ("case_here", Cell::id(id::show(&said.subject_ref))),
        ("service", Cell::text(name::<ServiceKind>(said.service))),
        ("urgency", Cell::text(name::<ReferralUrgency>(said.urgency))),
        ("household", Cell::text(name::<HouseholdShape>(said.household))),
        ("age_band", Cell::text(name::<AgeBand>(said.age_band))),
        ("needs", Cell::list(said.needs.iter().map(|need| name::<FunctionalNeed>(*need)))),
        ("languages", Cell::list(said.languages.iter())),
        ("callback", Cell::text(&said.callback_phone)),
    ]);
    pairs.extend(held.sharing.as_ref().map(sharing::pairs).into_iter().flatten());
    pairs.push(("created", Cell::time(held.created_ms)));
    pairs.push(("received", Cell::time(held.received_ms)));
    pairs.extend(answers(held).map(|answer| ("answered", Cell::text(answer))));
    pairs
}

fn disclosures(rows: &[Disclosure]) -> Grid {
    let columns = ["record", "to", "kind", "scope", "shared", "state", "called_back", "due", "answered"];
    let mut grid = Grid::new(&columns);
    for row in rows {
        let state = name::<DisclosureState>(row.state);
        let state = if row.overdue { format!("{state} OVERDUE") } else { state };
        grid.push([
            Cell::id(id::show(&row.record_id)),
            Cell::text(&row.recipient),
            Cell::text(name::<RecordKind>(row.kind)),
            Cell::text(name::<ShareScope>(row.scope)),
            Cell::time(row.shared_ms),
            Cell::state(state),
            Cell::time(row.noticed_ms),
            Cell::time(row.due_by_ms),
            Cell::time(row.answered_ms),
        ]);
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Noun};
    use clap::Parser;

    #[test]
    fn a_referral_by_arguments_names_a_case_a_partner_and_a_number_to_call() {
        let line = "havenctl referral send --case CASE-17 --to de-kehl --service LEGAL_AID --urgency TONIGHT \
                    --household ONE_ADULT --need STEP_FREE,PET --language ro --callback +493023125014";
        let Noun::Referral(Verb::Send { asked, callback }) = Cli::try_parse_from(line.split_whitespace()).unwrap().noun
        else {
            panic!("a referral")
        };
        assert_eq!(
            (asked.reference.as_str(), asked.to.as_str(), callback.as_str()),
            ("CASE-17", "de-kehl", "+493023125014")
        );
        assert_eq!((numbers(&asked.need), asked.purpose.number), (vec![1, 8], 3));
        let without = "havenctl referral send --case CASE-17 --to de-kehl --service LEGAL_AID --urgency TONIGHT \
                       --household ONE_ADULT";
        assert!(Cli::try_parse_from(without.split_whitespace()).is_err(), "who is asked can call back");
    }
}
