//! `offer`: own places and services, and what partners show of theirs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, Subcommand};
use havenlink_proto::local::v1::offer_service_client::OfferServiceClient;
use havenlink_proto::local::v1::{
    Capacity, ConfirmOfferRequest, Light, ListOffersRequest, ListOffersResponse, OwnOffer, PartnerOffer,
    SetOfferRequest,
};
use havenlink_proto::record::v1::capacity_view::Level;
use havenlink_proto::record::v1::{
    CapacityBand, CapacityUnit, CapacityView, Eligibility, OfferStatus, Place, ServiceKind,
};

use super::sharing::{parse_place, show_place};
use super::{ALL, Limit, pages, read_file, unreadable};
use crate::contract_enum::{Code, name, number_or_zero};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View, clean};
use crate::session::{Session, call};
use crate::value::{from_json, to_json};
use crate::when;

/// Own offers of places and services, and what partners offer
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Creates an own offer, or changes what is given of one
    Set(Box<Set>),
    /// Own offers, and partners' with their light
    List {
        #[arg(long, hide_possible_values = true)]
        kind: Option<Code<ServiceKind>>,
        /// Own ones only
        #[arg(long)]
        own: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// "Still true": the capacity is as stated, now
    Confirm {
        /// Own offers, by id or its beginning
        #[arg(required_unless_present = "all_unchanged")]
        offers: Vec<String>,
        /// All own offers
        #[arg(long)]
        all_unchanged: bool,
    },
}

/// An offer by arguments or file.
#[derive(Debug, Args)]
pub struct Set {
    /// The offer to change, by id or its beginning; none: a new one
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The offer as JSON or TOML; arguments win over it; - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[arg(long, hide_possible_values = true)]
    kind: Option<Code<ServiceKind>>,
    #[arg(long)]
    unit: Option<Code<CapacityUnit>>,
    /// NUTS-3, or NUTS-2 for a protected one, e.g. NUTS:FRF11
    #[arg(long, value_parser = parse_place, value_name = "SCHEME:CODE")]
    area: Option<Place>,
    /// Its address is protected: partners never see more than a band
    #[arg(long, num_args = 0..=1, default_missing_value = "true", action = ArgAction::Set)]
    protected: Option<bool>,
    /// Intake desk, E.164
    #[arg(long, value_name = "PHONE")]
    phone: Option<String>,
    #[arg(long, value_name = "PHONE")]
    out_of_hours_phone: Option<String>,
    /// For your own people; never leaves the node
    #[arg(long)]
    label: Option<String>,
    #[command(flatten)]
    capacity: CapacityArgs,
    #[command(flatten)]
    eligibility: EligibilityArgs,
    /// The offering authority, on a node that serves several
    #[arg(long, value_name = "AUTHORITY")]
    authority: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Capacity")]
struct CapacityArgs {
    /// Units that could be given now
    #[arg(long, value_name = "N")]
    free: Option<u32>,
    /// Units there are
    #[arg(long, value_name = "N")]
    baseline: Option<u32>,
    #[arg(long = "in-24h", value_name = "N")]
    in_24h: Option<u32>,
    #[arg(long = "in-72h", value_name = "N")]
    in_72h: Option<u32>,
    #[arg(long)]
    status: Option<Code<OfferStatus>>,
    #[arg(long, value_parser = when::parse_end, value_name = "TIME")]
    paused_until: Option<i64>,
    /// How long the statement is good; at most 24h
    #[arg(long, value_parser = when::parse_span, value_name = "SPAN")]
    good_for: Option<i64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Who can be received")]
struct EligibilityArgs {
    /// Any of women, men, families, trans, children, teenage-sons, unaccompanied-minors, step-free, pets; replaces all
    #[arg(long, value_delimiter = ',', value_parser = parse_group, value_name = "GROUP")]
    receives: Vec<Group>,
    #[arg(long, value_name = "YEARS")]
    children_max_age: Option<u32>,
    #[arg(long, value_delimiter = ',', value_name = "LANGUAGE")]
    staff_language: Vec<String>,
    #[arg(long, value_name = "DAYS")]
    longest_stay: Option<u32>,
}

/// A group or condition of eligibility, by its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group(usize);

const GROUPS: [&str; 9] =
    ["women", "men", "families", "trans", "children", "teenage-sons", "unaccompanied-minors", "step-free", "pets"];

fn parse_group(typed: &str) -> Result<Group, String> {
    GROUPS.iter().position(|g| *g == typed.trim().to_lowercase()).map(Group).ok_or_else(|| {
        let hint = crate::contract_enum::nearest(typed, GROUPS.into_iter())
            .map(|n| format!("nearest: {n}; "))
            .unwrap_or_default();
        format!("{typed:?} is not known; {hint}allowed: {}", GROUPS.join(", "))
    })
}

/// Does it. Partners that do not answer make the list a partial answer.
pub async fn run(session: &Session, verb: Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Set(set) => set_one(session, *set).await?,
        Verb::List { kind, own, limit } => return list(session, number_or_zero(&kind), own, limit.limit).await,
        Verb::Confirm { offers, all_unchanged } => {
            let known = if offers.is_empty() { Vec::new() } else { fetch(session, 0, true, ALL).await?.own };
            let resolve = |typed: &String| {
                let ids = known.iter().map(|o| (&o.offer_id[..], o.offer_id.clone()));
                id::resolve(typed, ids, "offer", "havenctl offer list --own")
            };
            let offer_ids = offers.iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
            let request = ConfirmOfferRequest {
                request_id: session.request_id(),
                offer_ids,
                all: all_unchanged && offers.is_empty(),
            };
            let answer = call!(session, OfferServiceClient, confirm_offer, request)?;
            let text = format!("confirmed: {} of your offers are as stated, now\n", answer.confirmed);
            session.show(&View::text(to_json(&answer), text, vec![("confirmed", Cell::number(answer.confirmed))]))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn set_one(session: &Session, set: Set) -> Result<(), Failure> {
    let mut offer = match &set.file {
        Some(file) => from_json::<OwnOffer>(&read_file(file)?)?,
        None => OwnOffer::default(),
    };
    if let Some(typed) = &set.id {
        let own = fetch(session, 0, true, ALL).await?.own;
        let ids = own.iter().map(|o| (&o.offer_id[..], o.clone()));
        let present = id::resolve(typed, ids, "offer", "havenctl offer list --own")?;
        if set.file.is_some() {
            (offer.offer_id, offer.etag) = (present.offer_id, present.etag);
        } else {
            offer = present;
        }
    }
    let offer = changed(offer, set);
    if offer.service_kind == 0 {
        return Err(Failure::usage(
            "a new offer needs its kind",
            "add --kind, e.g. --kind LONG_TERM_REFUGE; or --id for one that is there",
        ));
    }
    let request = SetOfferRequest { request_id: session.request_id(), offer: Some(offer) };
    let answer = call!(session, OfferServiceClient, set_offer, request)?;
    let offer = answer.offer.clone().unwrap_or_default();
    let shown = id::show(&offer.offer_id);
    let to = match answer.recipients.is_empty() {
        true => "no partner's agreement covers it yet".to_owned(),
        false => format!("queued for {}", clean(&answer.recipients.join(", "))),
    };
    let pairs = vec![("offer_id", Cell::text(&shown)), ("recipients", Cell::list(answer.recipients.iter()))];
    session.show(&View::text(to_json(&answer), format!("set {shown}, {to}\n"), pairs))?;
    session.next(&["havenctl offer list --own".into()]);
    Ok(())
}

/// What was given, over what is there.
fn changed(mut offer: OwnOffer, set: Set) -> OwnOffer {
    offer.service_kind = set.kind.map_or(offer.service_kind, |c| c.number);
    offer.unit = set.unit.map_or(if offer.unit == 0 { CapacityUnit::Bed.into() } else { offer.unit }, |c| c.number);
    offer.area = set.area.or(offer.area);
    offer.protected = set.protected.unwrap_or(offer.protected);
    offer.intake_phone = set.phone.unwrap_or(offer.intake_phone);
    offer.out_of_hours_phone = set.out_of_hours_phone.unwrap_or(offer.out_of_hours_phone);
    offer.own_label = set.label.unwrap_or(offer.own_label);
    offer.authority = set.authority.unwrap_or(offer.authority);

    let (old, new) = (offer.capacity.unwrap_or_default(), set.capacity);
    let free = new.free.unwrap_or(old.free);
    let usual = match old.status {
        0 if free == 0 => OfferStatus::Full.into(),
        0 => OfferStatus::Open.into(),
        status => status,
    };
    offer.capacity = Some(Capacity {
        free,
        baseline: new.baseline.unwrap_or(old.baseline.max(free)),
        additional_24h: new.in_24h.unwrap_or(old.additional_24h),
        additional_72h: new.in_72h.unwrap_or(old.additional_72h),
        status: new.status.map_or(usual, |c| c.number),
        paused_until_ms: new.paused_until.unwrap_or(old.paused_until_ms),
        // What is set now is as of now.
        as_of_ms: 0,
        time_to_live_ms: new.good_for.unwrap_or(old.time_to_live_ms),
    });

    let mut who = offer.eligibility.unwrap_or_default();
    if !set.eligibility.receives.is_empty() {
        who = receiving(who, &set.eligibility.receives);
    }
    who.children_max_age = set.eligibility.children_max_age.unwrap_or(who.children_max_age);
    who.longest_stay_days = set.eligibility.longest_stay.unwrap_or(who.longest_stay_days);
    if !set.eligibility.staff_language.is_empty() {
        who.staff_languages = set.eligibility.staff_language;
    }
    offer.eligibility = Some(who);
    offer
}

fn receiving(who: Eligibility, groups: &[Group]) -> Eligibility {
    let has = |name: &str| groups.iter().any(|g| GROUPS[g.0] == name);
    Eligibility {
        women: has("women"),
        men: has("men"),
        couples_and_families: has("families"),
        trans_and_non_binary: has("trans"),
        children: has("children"),
        teenage_sons: has("teenage-sons"),
        unaccompanied_minors: has("unaccompanied-minors"),
        step_free: has("step-free"),
        pets: has("pets"),
        ..who
    }
}

async fn fetch(session: &Session, kind: i32, own_only: bool, limit: usize) -> Result<ListOffersResponse, Failure> {
    let request = ListOffersRequest { service_kind: kind, own_only, ..Default::default() };
    let rows = pages!(session, OfferServiceClient, list_offers, request, [own, partners] and [unreachable], limit);
    let mut answer = rows?;
    // Each page names them.
    answer.unreachable.sort();
    answer.unreachable.dedup();
    Ok(answer)
}

async fn list(session: &Session, kind: i32, own_only: bool, limit: usize) -> Result<ExitCode, Failure> {
    let answer = fetch(session, kind, own_only, limit).await?;
    let now = when::now_ms();
    let mut grid =
        Grid::new(&["offer", "authority", "kind", "light", "capacity", "unit", "age", "area", "phone", "label"]);
    for own in &answer.own {
        grid.push(own_row(own, now));
    }
    for partner in &answer.partners {
        grid.push(partner_row(partner));
    }
    if grid.is_empty() {
        session.say("there are no offers");
    }
    session.show(&View::list(to_json(&answer), &["own", "partners"], grid))?;
    let old = answer.own.iter().any(|o| o.capacity.as_ref().is_some_and(|c| now - c.as_of_ms > 3_600_000));
    if old {
        session.next(&["havenctl offer confirm --all-unchanged".into()]);
    }
    if answer.unreachable.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    session.say(&format!(
        "partial answer: nothing from {}; what was last known is shown",
        clean(&answer.unreachable.join(", "))
    ));
    Ok(ExitCode::from(7))
}

fn own_row(own: &OwnOffer, now: i64) -> [Cell; 10] {
    let capacity = own.capacity.unwrap_or_default();
    let status = name::<OfferStatus>(capacity.status);
    [
        Cell::text(id::show(&own.offer_id)),
        Cell::text(&own.authority),
        Cell::text(name::<ServiceKind>(own.service_kind)),
        Cell::text(""),
        Cell::both(format!("{} of {} free, {status}", capacity.free, capacity.baseline), capacity.free.to_string()),
        Cell::text(name::<CapacityUnit>(own.unit)),
        Cell::both(when::span(now - capacity.as_of_ms), (now - capacity.as_of_ms).to_string()),
        Cell::text(show_place(own.area.as_ref())),
        Cell::text(&own.intake_phone),
        Cell::text(label(&own.own_label, &own.unreadable)),
    ]
}

fn partner_row(partner: &PartnerOffer) -> [Cell; 10] {
    let view = partner.view.clone().unwrap_or_default();
    let age = if partner.age_ms < 0 { "unknown".to_owned() } else { when::span(partner.age_ms) };
    let capacity = view.capacity.as_ref().map(level).unwrap_or_default();
    [
        Cell::text(id::show(&view.offer_id)),
        Cell::text(&partner.authority),
        Cell::text(name::<ServiceKind>(view.service_kind)),
        Cell::text(name::<Light>(partner.light)),
        Cell::text(capacity),
        Cell::text(name::<CapacityUnit>(view.unit)),
        Cell::both(age, partner.age_ms.to_string()),
        Cell::text(show_place(view.area.as_ref())),
        Cell::text(&view.intake_phone),
        Cell::text(label("", &partner.unreadable)),
    ]
}

/// The last column says, of a row that cannot be read, that it cannot.
fn label(own: &str, reason: &str) -> String {
    if reason.is_empty() { own.to_owned() } else { unreadable(reason) }
}

/// What the agreement lets us see; the light says the rest.
fn level(view: &CapacityView) -> String {
    match view.level {
        Some(Level::Count(n)) => n.to_string(),
        Some(Level::Band(band)) => match CapacityBand::try_from(band) {
            Ok(CapacityBand::Zero) => "0".into(),
            Ok(CapacityBand::OneToTwo) => "1-2".into(),
            Ok(CapacityBand::ThreeToFive) => "3-5".into(),
            Ok(CapacityBand::SixOrMore) => "6+".into(),
            _ => name::<CapacityBand>(band),
        },
        Some(Level::Availability(_)) | None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Noun};
    use clap::Parser;

    fn set(arguments: &[&str]) -> Set {
        let line = ["havenctl", "offer", "set"].iter().chain(arguments);
        match Cli::try_parse_from(line).unwrap().noun {
            Noun::Offer(Verb::Set(set)) => *set,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_offer_and_a_change_of_one_figure() {
        let new = changed(
            OwnOffer::default(),
            set(&[
                "--kind",
                "LONG_TERM_REFUGE",
                "--free",
                "3",
                "--area",
                "NUTS:FRF1",
                "--protected",
                "--receives",
                "women,children",
            ]),
        );
        let capacity = new.capacity.unwrap();
        assert_eq!((capacity.free, capacity.baseline, capacity.status), (3, 3, OfferStatus::Open as i32));
        assert!(new.protected && new.eligibility.as_ref().is_some_and(|e| e.women && e.children && !e.men));
        let later = changed(new, set(&["--free", "2"]));
        let capacity = later.capacity.unwrap();
        assert_eq!((capacity.free, capacity.baseline, capacity.as_of_ms), (2, 3, 0));
        assert!(later.protected && later.eligibility.unwrap().women, "the rest stays");
        assert!(!changed(OwnOffer { protected: true, ..Default::default() }, set(&["--protected", "false"])).protected);
    }

    #[test]
    fn groups_by_their_names() {
        assert!(parse_group("woman").unwrap_err().contains("nearest: women"));
        assert_eq!(parse_group("Teenage-Sons"), Ok(Group(5)));
    }
}
