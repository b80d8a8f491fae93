//! `agreement`: propose, show, sign, end, confirm, list; `diff` and `renew` stand in `agreement_changes`.

use clap::Subcommand;
use havenlink_proto::ContractEnum;
use havenlink_proto::admin::v1::agreement_service_client::AgreementServiceClient;
use havenlink_proto::admin::v1::{
    AgreementState, ConfirmAgreementsRequest, EndAgreementRequest, HeldAgreement, ListAgreementsRequest, PartyKnows,
    PartyLeft, ProposeAgreementRequest, ProposeAgreementResponse, ShowAgreementRequest, SignAgreementRequest,
};
use havenlink_proto::record::v1::{
    Agreement, AgreementEndReason, AlertKind, CorridorRole, DisclosureLevel, Grant, Party, Purpose, RecordKind,
    ServiceKind, Tlp, TransferBasis, Usage,
};

use super::agreement_changes::{self, Renewal};
use super::agreement_terms::Terms;
use super::explained::{self, Question};
use super::{ALL, Limit, pages, read_file, status, unreadable};
use crate::confirm;
use crate::contract_enum::{Code, descriptor, name};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View, clean};
use crate::session::{Session, call};
use crate::value::{from_json, to_json};
use crate::when;

/// Agreements between authorities: who shares what, why, until when
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Proposes one, signed by this authority; it is in force once all parties signed
    Propose(Box<Terms>),
    /// One agreement: who shares what with whom, and what is new in it
    Show {
        /// Its id, or the beginning of it
        agreement: String,
    },
    /// What an agreement changes beside those that are in force
    Diff {
        /// Its id, or the beginning of it
        agreement: String,
    },
    /// Proposes the same again with a later end, signed by this authority
    Renew(Renewal),
    /// Whether an authority may have a record now, and by which clause of which agreement
    Explain(Question),
    /// Signs a proposal that was received
    Sign { agreement: String },
    /// Leaves an agreement: nothing is sent or taken under it from this moment
    End {
        agreement: String,
        #[arg(long)]
        reason: Code<AgreementEndReason>,
        #[arg(long)]
        yes: bool,
    },
    /// After a restore: says that agreements still hold; lists each with what its parties answered, and asks
    Confirm {
        /// Those, by id or its beginning; none: all that wait for it
        agreements: Vec<String>,
        #[arg(long)]
        yes: bool,
    },
    /// Agreements of this node
    List {
        #[command(flatten)]
        limit: Limit,
    },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Propose(terms) => propose(session, &terms).await,
        Verb::Show { agreement } => {
            let held = find(session, &agreement).await?;
            let request = ShowAgreementRequest { agreement_id: held.agreement_id };
            let answer = call!(session, AgreementServiceClient, show_agreement, request)?;
            let held = answer.agreement.unwrap_or_default();
            session.show(&view(&held))?;
            if held.state == AgreementState::Proposed as i32 {
                let short = id::short(&held.agreement_id);
                session.next(&[format!("havenctl agreement diff {short}"), format!("havenctl agreement sign {short}")]);
            }
            Ok(())
        }
        Verb::Diff { agreement } => agreement_changes::diff(session, &agreement).await,
        Verb::Renew(renewal) => agreement_changes::renew(session, &renewal).await,
        Verb::Explain(question) => explained::explain(session, &question).await,
        Verb::Sign { agreement } => {
            let held = find(session, &agreement).await?;
            let request =
                SignAgreementRequest { request_id: session.request_id(), agreement_id: held.agreement_id.clone() };
            let answer = call!(session, AgreementServiceClient, sign_agreement, request)?;
            let state = name::<AgreementState>(answer.state);
            let text = format!("signed {}: {state}\n", id::short(&held.agreement_id));
            session.show(&View::text(to_json(&answer), text, vec![("state", Cell::text(&state))]))?;
            session.next(&[format!("havenctl agreement show {}", id::short(&held.agreement_id))]);
            Ok(())
        }
        Verb::End { agreement, reason, yes } => end(session, &agreement, reason.number, yes).await,
        Verb::Confirm { agreements, yes } => confirm_all(session, &agreements, yes).await,
        Verb::List { limit } => list(session, &limit).await,
    }
}

async fn fetch(
    session: &Session,
    limit: &Limit,
) -> Result<havenlink_proto::admin::v1::ListAgreementsResponse, Failure> {
    let request = ListAgreementsRequest::default();
    pages!(session, AgreementServiceClient, list_agreements, request, [agreements], limit)
}

pub(super) async fn find(session: &Session, typed: &str) -> Result<HeldAgreement, Failure> {
    // A whole id needs no list.
    if let Some(whole) = id::parse(typed).filter(|bytes| bytes.len() == 32) {
        return Ok(HeldAgreement { agreement_id: whole.into(), ..Default::default() });
    }
    let held = fetch(session, &ALL).await?.agreements;
    let ids = held.iter().map(|a| (&a.agreement_id[..], a.clone()));
    id::resolve(typed, ids, "agreement", "havenctl agreement list")
}

async fn propose(session: &Session, terms: &Terms) -> Result<(), Failure> {
    let agreement = match &terms.file {
        Some(file) => from_json::<Agreement>(&read_file(file)?)?,
        None => {
            let own = status::fetch(session).await?.authority;
            terms.agreement(&own, when::now_ms())?
        }
    };
    for grant in &agreement.grants {
        session.say(&sentence(grant));
    }
    let request = ProposeAgreementRequest { request_id: session.request_id(), agreement: Some(agreement) };
    let answer = call!(session, AgreementServiceClient, propose_agreement, request)?;
    proposed(session, &answer)?;
    let short = id::short(&answer.agreement_id);
    session
        .next(&[format!("there: havenctl agreement sign {short}"), format!("here: havenctl agreement show {short}")]);
    Ok(())
}

pub(super) fn proposed(session: &Session, answer: &ProposeAgreementResponse) -> Result<(), Failure> {
    let whole = id::show(&answer.agreement_id);
    let text = format!("proposed and signed here: {whole}\n");
    session.show(&View::text(to_json(answer), text, vec![("agreement_id", Cell::text(&whole))]))
}

async fn end(session: &Session, typed: &str, reason: i32, yes: bool) -> Result<(), Failure> {
    let held = find(session, typed).await?;
    let short = id::short(&held.agreement_id);
    let consequences = [
        "from this moment nothing is sent or taken under it here; the notice travels to the other parties",
        "what they hold already they keep as long as agreed, unless a withdrawal says ERASE",
        "it cannot be taken back; a new agreement can be proposed",
    ];
    confirm::severe(session, &format!("end agreement {short}"), &consequences, &short, yes)?;
    let request = EndAgreementRequest { request_id: session.request_id(), agreement_id: held.agreement_id, reason };
    let answer = call!(session, AgreementServiceClient, end_agreement, request)?;
    let text = format!("ended at {}\n", when::show(answer.ended_ms));
    session.show(&View::text(to_json(&answer), text, vec![("ended", Cell::time(answer.ended_ms))]))
}

/// One decision over all of them: what an END closed is not among them any more, and the rest is listed with each answer.
async fn confirm_all(session: &Session, typed: &[String], yes: bool) -> Result<(), Failure> {
    let mut waiting = fetch(session, &ALL).await?.agreements;
    waiting.retain(|held| held.state == AgreementState::Unconfirmed as i32);
    if !typed.is_empty() {
        let ids = || waiting.iter().map(|held| (&held.agreement_id[..], held.agreement_id.clone()));
        let named = typed.iter().map(|typed| id::resolve(typed, ids(), "agreement", "havenctl agreement list"));
        let named: Vec<_> = named.collect::<Result<_, _>>()?;
        waiting.retain(|held| named.contains(&held.agreement_id));
    }
    if waiting.is_empty() {
        let view = View::text(
            serde_json::json!({ "confirmed": [] }),
            "no agreement waits for confirmation\n".to_owned(),
            Vec::new(),
        );
        return session.show(&view);
    }
    let mut lines: Vec<String> = waiting.iter().map(answered).collect();
    lines.push("what is confirmed is in force again, with everything that waited for it".to_owned());
    lines.push("what should have ended is ended anew: havenctl agreement end ID".to_owned());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    confirm::severe(session, "confirm agreements that a restore brought back", &lines, "confirm", yes)?;
    let ids: Vec<_> = waiting.iter().map(|held| held.agreement_id.clone()).collect();
    let confirmed: Vec<String> = ids.iter().map(|id| id::show(id)).collect();
    let request = ConfirmAgreementsRequest { request_id: session.request_id(), agreement_ids: ids };
    call!(session, AgreementServiceClient, confirm_agreements, request)?;
    let text = confirmed.iter().map(|id| format!("in force: {id}\n")).collect();
    let json = serde_json::json!({ "confirmed": confirmed });
    session.show(&View::text(json, text, vec![("confirmed", Cell::list(confirmed.iter()))]))
}

/// An agreement, until when it would hold, and what each other party said.
fn answered(held: &HeldAgreement) -> String {
    let agreement = held.agreement.clone().unwrap_or_default();
    let until = agreement.grants.iter().map(|g| g.valid_until_ms).max().unwrap_or_default();
    let said = held.answers.iter().map(|answer| {
        let knows = match answer.knows() {
            PartyKnows::NoEnd => "knows of no end".to_owned(),
            PartyKnows::RestoredToo => "was restored too, and knows of no end".to_owned(),
            PartyKnows::NoAgreement => "does not hold it".to_owned(),
            PartyKnows::Silent => format!("does not answer ({})", answer.reason),
            PartyKnows::Unspecified => "was not asked yet".to_owned(),
        };
        format!("{} {knows}", clean(&answer.authority))
    });
    let said: Vec<String> = said.collect();
    format!("{}, until {}: {}", id::short(&held.agreement_id), when::show(until), said.join("; "))
}

async fn list(session: &Session, limit: &Limit) -> Result<(), Failure> {
    let answer = fetch(session, limit).await?;
    let mut grid = Grid::new(&["agreement", "state", "parties", "signed_by", "until", "left"]);
    for held in &answer.agreements {
        let agreement = held.agreement.clone().unwrap_or_default();
        let until = agreement.grants.iter().map(|g| g.valid_until_ms).max().unwrap_or_default();
        grid.push([
            Cell::id(id::show(&held.agreement_id)),
            Cell::state(state(held)),
            Cell::list(agreement.parties.iter().map(|p| p.authority.clone())),
            Cell::list(held.signed_by.iter()),
            Cell::time(until),
            Cell::list(held.left.iter().map(left)),
        ]);
    }
    if grid.is_empty() {
        session.say("there are no agreements");
    }
    session.show(&View::list(to_json(&answer), &["agreements"], grid))?;
    let first = |state: AgreementState| answer.agreements.iter().find(|a| a.state == state as i32);
    let confirm = first(AgreementState::Unconfirmed).map(|_| "havenctl agreement confirm".to_owned());
    let show = first(AgreementState::Proposed);
    let show = show.map(|a| format!("havenctl agreement show {}", id::short(&a.agreement_id)));
    session.next(&confirm.into_iter().chain(show).collect::<Vec<_>>());
    Ok(())
}

fn view(held: &HeldAgreement) -> View {
    let agreement = held.agreement.clone().unwrap_or_default();
    let missing = agreement.parties.iter().map(|p| &p.authority).filter(|p| !held.signed_by.contains(p));
    let reason = |end: &PartyLeft| format!("{}, {}", left(end), name::<AgreementEndReason>(end.reason));
    let ended = if held.ended_by.is_empty() { Cell::text("") } else { Cell::time(held.ended_ms) };
    let pairs = vec![
        ("agreement", Cell::id(id::show(&held.agreement_id))),
        ("state", Cell::state(name::<AgreementState>(held.state))),
        ("parties", Cell::list(agreement.parties.iter().map(party))),
        ("signed by", Cell::list(held.signed_by.iter())),
        ("not yet", Cell::list(missing.cloned())),
        ("left", Cell::list(held.left.iter().map(reason))),
        ("ended", ended),
        ("created", Cell::time(agreement.created_ms)),
        ("review by", Cell::time(agreement.review_by_ms)),
    ];
    let mut text = String::new();
    for (number, grant) in agreement.grants.iter().enumerate() {
        text.push_str(&format!("grant {number}: {}\n", sentence(grant)));
    }
    if !held.in_words.is_empty() {
        text.push_str("new in it:\n");
        text.extend(held.in_words.iter().map(|line| format!("  {}\n", clean(line))));
    }
    View::sheet(to_json(held), pairs).and_text(text)
}

/// A party with its places in the corridor, and until when data about persons may go abroad to it.
fn party(party: &Party) -> String {
    let roles = party.corridor_roles.iter().map(|role| name::<CorridorRole>(*role));
    let transfers = party.transfers.iter().map(|transfer| {
        let (basis, until) = (name::<TransferBasis>(transfer.basis), when::show(transfer.until_ms));
        format!("to {} by {basis} until {until}", clean(&transfer.country))
    });
    let said: Vec<String> = roles.chain(transfers).collect();
    let authority = clean(&party.authority);
    if said.is_empty() { authority } else { format!("{authority} ({})", said.join("; ")) }
}

/// Where it stands; of one that cannot be read, that.
fn state(held: &HeldAgreement) -> String {
    if held.unreadable.is_empty() { name::<AgreementState>(held.state) } else { unreadable(&held.unreadable) }
}

/// Who left, and when.
fn left(end: &PartyLeft) -> String {
    format!("{} at {}", end.authority, when::show(end.at_ms))
}

/// A grant in one plain sentence.
pub(super) fn sentence(grant: &Grant) -> String {
    let what: Vec<String> = grant
        .record_kinds
        .iter()
        .map(|kind| match RecordKind::try_from(*kind) {
            Ok(RecordKind::Alert) => format!("alerts ({})", some::<AlertKind>(&grant.alert_kinds)),
            Ok(RecordKind::OfferView) => format!(
                "offers ({}) as {}",
                some::<ServiceKind>(&grant.service_kinds),
                name::<DisclosureLevel>(grant.disclosure_level).to_lowercase()
            ),
            Ok(RecordKind::Practice) => "practices".to_owned(),
            _ => name::<RecordKind>(*kind).to_lowercase(),
        })
        .collect();
    let purposes: Vec<String> =
        grant.purposes.iter().map(|p| name::<Purpose>(*p).to_lowercase().replace('_', " ")).collect();
    format!(
        "{} → {}: {}, to {}, for {}, up to TLP:{}, kept {}, until {}",
        clean(&grant.from),
        clean(&grant.to),
        what.join(" and "),
        name::<Usage>(grant.usage).to_lowercase(),
        purposes.join(" and "),
        name::<Tlp>(grant.highest_tlp),
        when::span(grant.retention_ms),
        when::show(grant.valid_until_ms)
    )
}

/// `all`, or the names.
fn some<E: ContractEnum>(numbers: &[i32]) -> String {
    let all = descriptor::<E>().values().filter(|v| v.number() != 0).count();
    if numbers.len() == all {
        "all".into()
    } else {
        numbers.iter().map(|n| name::<E>(*n)).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_confirmation_is_listed_with_each_answer() {
        let answer = |authority: &str, knows: PartyKnows, reason: &str| havenlink_proto::admin::v1::PartyAnswer {
            authority: authority.into(),
            knows: knows.into(),
            reason: reason.into(),
            ..Default::default()
        };
        let held = HeldAgreement {
            agreement_id: vec![0xab; 32].into(),
            answers: vec![
                answer("de-kehl", PartyKnows::NoEnd, ""),
                answer("be-liege", PartyKnows::Silent, "PEER_UNREACHABLE"),
                answer("nl-venlo", PartyKnows::RestoredToo, ""),
            ],
            ..Default::default()
        };
        let line = answered(&held);
        let said = "de-kehl knows of no end; be-liege does not answer (PEER_UNREACHABLE); \
                    nl-venlo was restored too, and knows of no end";
        assert!(line.starts_with("abab") && line.ends_with(said), "{line}");
    }

    #[test]
    fn a_grant_is_one_plain_sentence() {
        let grant = Grant {
            from: "fr-strasbourg".into(),
            to: "de-kehl".into(),
            record_kinds: vec![RecordKind::OfferView.into()],
            service_kinds: vec![ServiceKind::LongTermRefuge.into()],
            purposes: vec![Purpose::Assistance.into(), Purpose::Protection.into()],
            highest_tlp: Tlp::Amber.into(),
            disclosure_level: DisclosureLevel::Band.into(),
            retention_ms: 86_400_000,
            valid_until_ms: 1_830_297_599_999,
            usage: Usage::View.into(),
            ..Default::default()
        };
        assert_eq!(
            sentence(&grant),
            "fr-strasbourg → de-kehl: offers (LONG_TERM_REFUGE) as band, to view, for assistance and protection, up to TLP:AMBER, \
             kept 24 h, until 2027-12-31 23:59Z"
        );
    }
}
