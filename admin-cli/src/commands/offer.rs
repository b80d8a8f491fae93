//! `offer`: own places and services, and what partners show of theirs.

mod set;

use std::process::ExitCode;

use clap::Subcommand;
use havenlink_proto::local::v1::offer_service_client::OfferServiceClient;
use havenlink_proto::local::v1::{
    ConfirmOfferRequest, Light, ListOffersRequest, ListOffersResponse, OwnOffer, PartnerOffer,
};
use havenlink_proto::record::v1::capacity_view::Level;
use havenlink_proto::record::v1::{CapacityBand, CapacityUnit, CapacityView, Eligibility, OfferStatus, ServiceKind};
use set::{GROUPS, Set};
pub use set::{Group, parse_group};

use super::sharing::show_place;
use super::{ALL, Limit, pages, unreadable};
use crate::contract_enum::{Code, name, number_or_zero};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View, clean};
use crate::session::{Session, call};
use crate::value::to_json;
use crate::when;

/// Own offers of places and services, and what partners offer
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Creates an own offer, or changes what is given of one
    Set(Box<Set>),
    /// Own offers, and partners' with their light
    List {
        #[arg(long)]
        kind: Option<Code<ServiceKind>>,
        /// Own ones only
        #[arg(long)]
        own: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// Everything about one offer, own or a partner's: who can be received, languages, longest stay, phones
    Show {
        /// The offer, by id or its beginning
        offer: String,
    },
    /// Nothing is given for a while; the figures stay
    Pause {
        /// The own offer, by id or its beginning
        offer: String,
        /// When it goes on; without it, when it is set OPEN again
        #[arg(long, value_parser = when::parse_end, value_name = "TIME")]
        until: Option<i64>,
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

/// Does it. Partners that do not answer make the list a partial answer.
pub async fn run(session: &Session, verb: Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Set(set) => set::set_one(session, *set).await?,
        Verb::Show { offer } => show(session, &offer).await?,
        Verb::Pause { offer, until } => set::pause(session, &offer, until).await?,
        Verb::List { kind, own, limit } => return list(session, number_or_zero(&kind), own, &limit).await,
        Verb::Confirm { offers, all_unchanged } => {
            let known = if offers.is_empty() { Vec::new() } else { fetch(session, 0, true, &ALL).await?.own };
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

pub(super) async fn fetch(
    session: &Session,
    kind: i32,
    own_only: bool,
    limit: &Limit,
) -> Result<ListOffersResponse, Failure> {
    let request = ListOffersRequest { service_kind: kind, own_only, ..Default::default() };
    let rows = pages!(session, OfferServiceClient, list_offers, request, [own, partners] and [unreachable], limit);
    let mut answer = rows?;
    // Each page names them.
    answer.unreachable.sort();
    answer.unreachable.dedup();
    Ok(answer)
}

/// The own offer that is meant.
async fn find(session: &Session, typed: &str) -> Result<OwnOffer, Failure> {
    let own = fetch(session, 0, true, &ALL).await?.own;
    let ids = own.iter().map(|o| (&o.offer_id[..], o.clone()));
    id::resolve(typed, ids, "offer", "havenctl offer list --own")
}

/// An offer, whoever's.
#[derive(Clone)]
enum Shown {
    Own(Box<OwnOffer>),
    Partner(Box<PartnerOffer>),
}

async fn show(session: &Session, typed: &str) -> Result<(), Failure> {
    let all = fetch(session, 0, false, &ALL).await?;
    let own = all.own.iter().map(|o| (&o.offer_id[..], Shown::Own(Box::new(o.clone()))));
    let partners = all.partners.iter().map(|o| (&o.offer_id[..], Shown::Partner(Box::new(o.clone()))));
    match id::resolve(typed, own.chain(partners), "offer", "havenctl offer list")? {
        Shown::Own(own) => {
            let capacity = own.capacity.unwrap_or_default();
            let free = Cell::text(format!(
                "{} of {} free, {}{} more in 24 h, {} in 72 h, {}",
                capacity.free,
                capacity.baseline,
                held(&own),
                capacity.additional_24h,
                capacity.additional_72h,
                name::<OfferStatus>(capacity.status)
            ));
            let mut pairs = facts(&own.offer_id, &own.authority, own.service_kind, own.light, free, own.unit);
            pairs.push(("as_of", Cell::time(capacity.as_of_ms)));
            pairs.push(("area", Cell::text(show_place(own.area.as_ref()))));
            pairs.push(("protected", Cell::text(own.protected.to_string())));
            pairs.extend(receives(own.eligibility.as_ref()));
            pairs.push(("intake_phone", Cell::text(&own.intake_phone)));
            pairs.push(("out_of_hours_phone", Cell::text(&own.out_of_hours_phone)));
            pairs.push(("label", Cell::text(label(&own.own_label, &own.unreadable))));
            session.show(&View::sheet(to_json(&*own), pairs))
        }
        Shown::Partner(partner) => {
            let view = partner.view.clone().unwrap_or_default();
            let free = view.capacity.as_ref().map(level).unwrap_or_default();
            let mut pairs =
                facts(&partner.offer_id, &partner.authority, view.service_kind, partner.light, free, view.unit);
            pairs.push(("age_ms", age_there(&partner)));
            pairs.push(("area", Cell::text(show_place(view.area.as_ref()))));
            pairs.push(("protected", Cell::text(view.protected.to_string())));
            pairs.extend(receives(view.eligibility.as_ref()));
            pairs.push(("intake_phone", Cell::text(&view.intake_phone)));
            pairs.push(("out_of_hours_phone", Cell::text(&view.out_of_hours_phone)));
            session.show(&View::sheet(to_json(&*partner), pairs))
        }
    }
}

fn facts(offer: &[u8], authority: &str, kind: i32, light: i32, free: Cell, unit: i32) -> Vec<(&'static str, Cell)> {
    vec![
        ("offer", Cell::id(id::show(offer))),
        ("authority", Cell::text(authority)),
        ("kind", Cell::text(name::<ServiceKind>(kind))),
        ("light", Cell::state(name::<Light>(light))),
        ("capacity", free),
        ("unit", Cell::text(name::<CapacityUnit>(unit))),
    ]
}

/// Who can be received, how long, and in which languages; what nobody said is left empty.
fn receives(who: Option<&Eligibility>) -> [(&'static str, Cell); 4] {
    let who = who.cloned().unwrap_or_default();
    let said = [
        who.women,
        who.men,
        who.couples_and_families,
        who.trans_and_non_binary,
        who.children,
        who.teenage_sons,
        who.unaccompanied_minors,
        who.step_free,
        who.pets,
    ];
    let groups = GROUPS.iter().zip(said).filter(|(_, said)| *said).map(|(group, _)| *group);
    let or_nothing = |n: u32, unit: &str| if n == 0 { String::new() } else { format!("{n} {unit}") };
    [
        ("receives", Cell::list(groups)),
        ("children_max_age", Cell::text(or_nothing(who.children_max_age, "years"))),
        ("staff_languages", Cell::list(who.staff_languages)),
        ("longest_stay", Cell::text(or_nothing(who.longest_stay_days, "days"))),
    ]
}

async fn list(session: &Session, kind: i32, own_only: bool, limit: &Limit) -> Result<ExitCode, Failure> {
    let answer = fetch(session, kind, own_only, limit).await?;
    let now = when::now_ms();
    let mut grid =
        Grid::new(&["offer", "authority", "kind", "light", "capacity", "unit", "age_ms", "area", "phone", "label"]);
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
    if let Some(since) = answer.own.iter().map(|o| o.stale_since_ms).filter(|since| *since > 0).min() {
        session.say(&format!("partners see offers of yours as not reported, the first since {}", when::show(since)));
    }
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

/// How many of the free ones are held or in use, where any are.
fn held(own: &OwnOffer) -> String {
    match own.held {
        None if own.unreadable.is_empty() => "held: unknown, ".to_owned(),
        None | Some(0) => String::new(),
        Some(held) => format!("{held} of them held, "),
    }
}

fn own_row(own: &OwnOffer, now: i64) -> [Cell; 10] {
    let capacity = own.capacity.unwrap_or_default();
    let status = name::<OfferStatus>(capacity.status);
    [
        Cell::id(id::show(&own.offer_id)),
        Cell::text(&own.authority),
        Cell::text(name::<ServiceKind>(own.service_kind)),
        Cell::state(name::<Light>(own.light)),
        Cell::figure(format!("{} of {} free, {}{status}", capacity.free, capacity.baseline, held(own)), capacity.free),
        Cell::text(name::<CapacityUnit>(own.unit)),
        Cell::age((capacity.as_of_ms > 0).then(|| now - capacity.as_of_ms), "never confirmed"),
        Cell::text(show_place(own.area.as_ref())),
        Cell::text(&own.intake_phone),
        Cell::text(label(&own.own_label, &own.unreadable)),
    ]
}

/// How old a partner's statement is.
fn age_there(partner: &PartnerOffer) -> Cell {
    Cell::age((partner.age_ms >= 0).then_some(partner.age_ms), "unknown")
}

fn partner_row(partner: &PartnerOffer) -> [Cell; 10] {
    let view = partner.view.clone().unwrap_or_default();
    let capacity = view.capacity.as_ref().map(level).unwrap_or_default();
    [
        Cell::id(id::show(&view.offer_id)),
        Cell::text(&partner.authority),
        Cell::text(name::<ServiceKind>(view.service_kind)),
        Cell::state(name::<Light>(partner.light)),
        capacity,
        Cell::text(name::<CapacityUnit>(view.unit)),
        age_there(partner),
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
pub(super) fn level(view: &CapacityView) -> Cell {
    match view.level {
        Some(Level::Count(n)) => Cell::number(n),
        Some(Level::Band(band)) => {
            let code = name::<CapacityBand>(band);
            match CapacityBand::try_from(band) {
                Ok(CapacityBand::Zero) => Cell::both("0", code),
                Ok(CapacityBand::OneToTwo) => Cell::both("1-2", code),
                Ok(CapacityBand::ThreeToFive) => Cell::both("3-5", code),
                Ok(CapacityBand::SixOrMore) => Cell::both("6+", code),
                _ => Cell::text(code),
            }
        }
        Some(Level::Availability(_)) | None => Cell::default(),
    }
}
