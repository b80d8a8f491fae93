//! `offer set` and `offer pause`: what is given changes, the rest stays.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use havenlink_proto::local::v1::offer_service_client::OfferServiceClient;
use havenlink_proto::local::v1::{Capacity, OwnOffer, ReceivedGroup, SetOfferRequest};
use havenlink_proto::record::v1::{CapacityUnit, Eligibility, OfferStatus, Place, ServiceKind};

use super::find;
use crate::commands::read_file;
use crate::commands::sharing::parse_place;
use crate::contract_enum::Code;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, View, clean};
use crate::session::{Session, call};
use crate::value::{from_json, to_json};
use crate::when;

/// An offer by arguments or file.
#[derive(Debug, Args)]
pub struct Set {
    /// The offer to change, by id or its beginning; none: a new one
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// The offer as JSON or TOML; arguments win over it; - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What is offered [needed for a new one]
    #[arg(long)]
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
    /// Units that were free as you saw it: another figure means that somebody else has changed it
    #[arg(long, value_name = "N", requires = "id")]
    was: Option<u32>,
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
pub struct Group(usize);

impl Group {
    /// As it is typed.
    pub fn name(&self) -> &'static str {
        GROUPS[self.0]
    }

    /// Its number among those who can be received; `None` for a condition.
    pub fn received(&self) -> Option<i32> {
        let number = i32::try_from(self.0 + 1).ok()?;
        ReceivedGroup::try_from(number).is_ok().then_some(number)
    }
}

pub const GROUPS: [&str; 9] =
    ["women", "men", "families", "trans", "children", "teenage-sons", "unaccompanied-minors", "step-free", "pets"];

pub fn parse_group(typed: &str) -> Result<Group, String> {
    GROUPS.iter().position(|g| *g == typed.trim().to_lowercase()).map(Group).ok_or_else(|| {
        let hint = crate::contract_enum::nearest(typed, GROUPS.into_iter())
            .map(|n| format!("nearest: {n}; "))
            .unwrap_or_default();
        format!("{typed:?} is not known; {hint}allowed: {}", GROUPS.join(", "))
    })
}

pub async fn set_one(session: &Session, set: Set) -> Result<(), Failure> {
    let mut offer = match &set.file {
        Some(file) => from_json::<OwnOffer>(&read_file(file)?)?,
        None => OwnOffer::default(),
    };
    if let Some(typed) = &set.id {
        let present = find(session, typed).await?;
        if set.file.is_some() {
            (offer.offer_id, offer.etag) = (present.offer_id, present.etag);
        } else {
            offer = present;
        }
    }
    check_was(&offer, &set)?;
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
    let pairs = vec![("offer_id", Cell::id(&shown)), ("recipients", Cell::list(answer.recipients.iter()))];
    session.show(&View::text(to_json(&answer), format!("set {shown}, {to}\n"), pairs))?;
    session.next(&["havenctl offer list --own".into()]);
    Ok(())
}

/// Two desks that both saw four and gave one each have two left, not three.
fn check_was(offer: &OwnOffer, set: &Set) -> Result<(), Failure> {
    let Capacity { free, baseline, as_of_ms, .. } = offer.capacity.unwrap_or_default();
    let Some(was) = set.capacity.was.filter(|was| *was != free) else { return Ok(()) };
    let now = format!("{free} of {baseline} are free since {}, and no longer {was}", when::show(as_of_ms));
    Err(Failure::changed(
        now,
        format!("havenctl offer show {}, then this command with what is free by then", id::show(&offer.offer_id)),
    ))
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
        // Of a new offer what is free is what there is. More later on is asked about: the node refuses it.
        baseline: new.baseline.unwrap_or(if offer.offer_id.is_empty() && old.baseline == 0 {
            free
        } else {
            old.baseline
        }),
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

/// Nothing is given until then, or until it is set OPEN again; the figures stay.
pub async fn pause(session: &Session, typed: &str, until: Option<i64>) -> Result<(), Failure> {
    let mut offer = find(session, typed).await?;
    let capacity = offer.capacity.unwrap_or_default();
    let paused =
        Capacity { status: OfferStatus::Paused.into(), paused_until_ms: until.unwrap_or(0), as_of_ms: 0, ..capacity };
    offer.capacity = Some(paused);
    let request = SetOfferRequest { request_id: session.request_id(), offer: Some(offer) };
    let answer = call!(session, OfferServiceClient, set_offer, request)?;
    let shown = id::show(&answer.offer.clone().unwrap_or_default().offer_id);
    let how_long =
        until.map_or_else(|| "until it is opened again".to_owned(), |until| format!("until {}", when::show(until)));
    let pairs = vec![("offer_id", Cell::id(&shown)), ("recipients", Cell::list(answer.recipients.iter()))];
    session.show(&View::text(to_json(&answer), format!("paused {shown}, {how_long}\n"), pairs))?;
    session.next(&[format!("havenctl offer set --id {shown} --status OPEN    when it goes on")]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Verb;
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
        let later = changed(OwnOffer { offer_id: vec![7; 16].into(), ..new }, set(&["--free", "2"]));
        let capacity = later.capacity.unwrap();
        assert_eq!((capacity.free, capacity.baseline, capacity.as_of_ms), (2, 3, 0));
        assert!(later.protected && later.eligibility.as_ref().unwrap().women, "the rest stays");
        let more = changed(later.clone(), set(&["--free", "5"]));
        assert_eq!(more.capacity.unwrap().baseline, 3, "no figure rises by itself");
        let seen = |was| check_was(&later, &set(&["--id", "07", "--was", was, "--free", "1"]));
        assert!(seen("2").is_ok());
        assert!(seen("3").unwrap_err().what.contains("2 of 3 are free"));
        assert!(!changed(OwnOffer { protected: true, ..Default::default() }, set(&["--protected", "false"])).protected);
    }

    #[test]
    fn groups_by_their_names() {
        assert!(parse_group("woman").unwrap_err().contains("nearest: women"));
        assert_eq!(parse_group("Teenage-Sons"), Ok(Group(5)));
    }
}
