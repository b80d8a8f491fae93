//! `place find`: the board, with what each partner answers now.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use havenlink_proto::local::v1::offer_service_client::OfferServiceClient;
use havenlink_proto::local::v1::{
    BoardSource, FindOffersRequest, FindOffersResponse, FoundOffer, Light, LightReason, Nearness, Unsaid,
};
use havenlink_proto::record::v1::{CapacityUnit, OfferStatus, Place, ServiceKind};
use serde_json::json;

use super::ALL;
use super::offer::{self, Group, level, parse_group};
use super::sharing::{parse_place, show_place};
use crate::contract_enum::{Code, name, numbers};
use crate::failure::{Failure, Outcome};
use crate::id;
use crate::output::{Cell, Grid, View, clean};
use crate::reasons;
use crate::session::{LARGEST, Session};
use crate::value::to_json;
use crate::when;

/// What is looked for. All conditions have to hold; an offer that does not say whether one does is listed with what to ask.
#[derive(Debug, Args)]
pub struct Find {
    /// What is needed, e.g. LONG_TERM_REFUGE; of several one will do
    #[arg(long, value_name = "SERVICE")]
    service: Vec<Code<ServiceKind>>,
    /// Who has to be received, all of them, by the words of offer set, e.g. women,children
    #[arg(long, value_delimiter = ',', value_parser = parse_group, value_name = "GROUP")]
    receives: Vec<Group>,
    /// Age of the oldest child
    #[arg(long, value_name = "YEARS")]
    child_age: Option<u32>,
    /// Spoken there, e.g. ro; of several one will do
    #[arg(long, value_delimiter = ',', value_name = "LANGUAGE")]
    language: Vec<String>,
    /// For at least so many days
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    days: u32,
    /// On which side of the border, e.g. de; of several one will do
    #[arg(long, value_delimiter = ',', value_name = "COUNTRY")]
    country: Vec<String>,
    /// Near which place, e.g. NUTS:FRF11; without it, near this city
    #[arg(long, value_parser = parse_place, value_name = "SCHEME:CODE")]
    near: Option<Place>,
    /// How long partners are waited for, at most 10s
    #[arg(long, value_parser = when::parse_span, value_name = "SPAN", default_value = "2s")]
    wait: i64,
}

impl Find {
    fn request(&self) -> FindOffersRequest {
        let has = |group: &str| self.receives.iter().any(|wanted| wanted.name() == group);
        FindOffersRequest {
            service_kinds: numbers(&self.service),
            receives: self.receives.iter().filter_map(Group::received).collect(),
            children_age: self.child_age,
            languages: self.language.clone(),
            step_free: has("step-free"),
            pets: has("pets"),
            days: self.days,
            countries: self.country.iter().map(|country| country.to_lowercase()).collect(),
            near: self.near.clone(),
            deadline_ms: self.wait,
        }
    }
}

/// The board while it fills.
#[derive(Default)]
struct Board {
    rows: Vec<FoundOffer>,
    asked: BTreeSet<String>,
    waits_for: BTreeSet<String>,
    /// Partners that have not answered, and why.
    failed: BTreeMap<String, String>,
}

impl Board {
    fn take(&mut self, part: FindOffersResponse) {
        if part.authority.is_empty() {
            self.asked = part.asked.iter().cloned().collect();
            self.waits_for = self.asked.clone();
        } else {
            self.rows.retain(|row| row.authority != part.authority);
            self.waits_for.remove(&part.authority);
        }
        if !part.reason.is_empty() {
            self.failed.insert(part.authority, part.reason);
        }
        self.rows.extend(part.offers);
    }

    /// As it is looked at: the light first, then what leaves least to ask, lies nearest and was said last.
    fn sort(&mut self) {
        let age = |row: &FoundOffer| if row.age_ms < 0 { i64::MAX } else { row.age_ms };
        let id = |row: &FoundOffer| row.view.as_ref().map(|view| view.offer_id.clone()).unwrap_or_default();
        self.rows.sort_by_cached_key(|row| {
            (row.light, row.unsaid.len(), row.nearness, age(row), row.authority.clone(), id(row))
        });
    }
}

/// Looks for it. Partners that do not answer make it a partial answer.
pub async fn find(session: &Session, find: &Find) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new();
    let board = filled(session, find.request(), |board| progress.show(board)).await?;
    progress.clear();
    show(session, &board)?;
    Ok(if board.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(7) })
}

/// Ids of all offers that are to be found, of those too that no partner has told of.
async fn ids(session: &Session) -> Result<Vec<Vec<u8>>, Failure> {
    let board = filled(session, FindOffersRequest::default(), |_| {}).await?;
    Ok(board.rows.into_iter().filter_map(|row| Some(row.view?.offer_id.to_vec())).collect())
}

/// The id of the offer that is meant, whoever's it is.
pub async fn any(session: &Session, typed: &str) -> Result<Vec<u8>, Failure> {
    let all = offer::fetch(session, 0, false, &ALL).await?;
    let own = all.own.iter().map(|o| (&o.offer_id[..], o.offer_id.to_vec()));
    let partners = all.partners.iter().map(|o| (&o.offer_id[..], o.offer_id.to_vec()));
    match id::resolve(typed, own.chain(partners), "offer", "havenctl offer list") {
        // What partners only tell when they are asked is not kept here.
        Err(failure) if failure.code == reasons::NOT_FOUND.code => {
            let found = ids(session).await?;
            let ids = found.iter().map(|id| (&id[..], id.clone()));
            id::resolve(typed, ids, "offer", "havenctl place find")
        }
        known => known,
    }
}

/// The whole board, once each partner has answered or was waited for.
async fn filled(
    session: &Session,
    request: FindOffersRequest,
    mut on_part: impl FnMut(&Board),
) -> Result<Board, Failure> {
    let wait = request.deadline_ms;
    let channel = session.channel_for(&request).await?;
    let mut client = OfferServiceClient::new(channel).max_decoding_message_size(LARGEST);
    // The node ends it by itself.
    let longest = Duration::from_millis(u64::try_from(wait).unwrap_or(0)) + Duration::from_secs(10);
    let mut parts = session.answer(client.find_offers(session.patient(longest).request(request))).await?;
    let mut board = Board::default();
    while let Some(part) = parts.message().await.map_err(|status| Failure::from(status).leaving(Outcome::Known))? {
        board.take(part);
        on_part(&board);
    }
    board.sort();
    Ok(board)
}

fn show(session: &Session, board: &Board) -> Result<(), Failure> {
    let mut grid = Grid::new(&[
        "offer",
        "light",
        "authority",
        "kind",
        "capacity",
        "age_ms",
        "how",
        "phone",
        "area",
        "because",
        "ask",
        "source",
        "unit",
        "near",
    ]);
    board.rows.iter().for_each(|found| grid.push(row(found)));
    if grid.is_empty() {
        session.say("nothing that fits is known, here or at partners");
    }
    let unreachable: Vec<_> =
        board.failed.iter().map(|(authority, reason)| json!({ "authority": authority, "reason": reason })).collect();
    let offers: Vec<_> = board.rows.iter().map(to_json).collect();
    session.show(&View::list(json!({ "offers": offers, "unreachable": unreachable }), &["offers"], grid))?;
    if !board.failed.is_empty() {
        let silent: Vec<_> = board.failed.iter().map(|(authority, reason)| format!("{authority} ({reason})")).collect();
        session
            .say(&format!("partial answer: nothing from {}; what was last known is shown", clean(&silent.join(", "))));
    }
    say_next(session, board);
    Ok(())
}

/// What to do about a row: a unit is held by the node, or its desk is called.
fn how(found: &FoundOffer) -> &'static str {
    let view = found.view.as_ref();
    let open = view.and_then(|view| view.capacity.as_ref()).is_some_and(|c| c.status == OfferStatus::Open as i32);
    let there = [Light::Available as i32, Light::Few as i32].contains(&found.light);
    if there && open && view.is_some_and(|view| !view.protected) { "hold" } else { "call" }
}

/// What the first rows that give something are good for.
fn say_next(session: &Session, board: &Board) {
    let gives = |found: &&FoundOffer| found.light <= Light::CallFirst as i32 && found.source != BoardSource::Own as i32;
    let view = |found: &FoundOffer| found.view.clone().unwrap_or_default();
    if let Some(first) = board.rows.iter().find(gives).filter(|first| how(first) == "call") {
        session.say(&format!("{} is called: {}", first.authority, clean(&view(first).intake_phone)));
    }
    let held = board.rows.iter().filter(gives).find(|found| how(found) == "hold");
    if let Some(held) = held {
        session.next(&[format!("havenctl place hold {}", id::show(&view(held).offer_id))]);
    } else if board.rows.is_empty() {
        session.next(&["havenctl member find --help".into()]);
    }
}

/// What people look at first stands first, and nothing stands there that says nothing; programs get all of it.
fn row(found: &FoundOffer) -> [Cell; 14] {
    let view = found.view.clone().unwrap_or_default();
    let words = |code: String| code.to_lowercase().replace('_', " ");
    let ask = found.unsaid.iter().map(|what| words(name::<Unsaid>(*what)));
    let (capacity, unit) = (view.capacity.as_ref().map(level).unwrap_or_default(), name::<CapacityUnit>(view.unit));
    let (because, source) = (name::<LightReason>(found.light_reason), name::<BoardSource>(found.source));
    let (area, near) = (show_place(view.area.as_ref()), name::<Nearness>(found.nearness));
    let far = if near == "NOT_KNOWN" { String::new() } else { format!(", {}", words(near.clone())) };
    let usual = [LightReason::Capacity as i32, LightReason::Silence as i32].contains(&found.light_reason);
    [
        Cell::id(id::show(&view.offer_id)),
        Cell::state(name::<Light>(found.light)),
        Cell::text(&found.authority),
        Cell::text(name::<ServiceKind>(view.service_kind)),
        capacity.with(&unit),
        Cell::age((found.age_ms >= 0).then_some(found.age_ms), "unknown"),
        Cell::text(how(found)),
        Cell::text(&view.intake_phone),
        Cell::both(format!("{area}{far}"), area),
        Cell::both(if usual { String::new() } else { words(because.clone()) }, because),
        Cell::list(ask),
        Cell::both(
            if found.source == BoardSource::Live as i32 { String::new() } else { words(source.clone()) },
            source,
        ),
        Cell::both("", unit),
        Cell::both("", near),
    ]
}

/// How many have answered, in place, for people who look at a terminal; nothing otherwise.
struct Progress {
    shown: bool,
    terminal: bool,
}

impl Progress {
    fn new() -> Self {
        Self { shown: false, terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, board: &Board) {
        if self.terminal && !board.waits_for.is_empty() {
            let (asked, waits) = (board.asked.len(), board.waits_for.len());
            let named: Vec<&str> = board.waits_for.iter().take(3).map(String::as_str).collect();
            let more = if waits > named.len() { ", …" } else { "" };
            self.put(&format!(
                "{}/{asked} partners answered ({waits} pending: {}{more})",
                asked - waits,
                clean(&named.join(", "))
            ));
            self.shown = true;
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            self.put("");
        }
    }

    fn put(&self, text: &str) {
        // Whoever closed it does not look.
        _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        _ = std::io::stderr().flush();
    }
}

#[cfg(test)]
mod tests {
    use havenlink_proto::record::v1::OfferView;

    use super::*;

    fn found(authority: &str, light: Light, age_ms: i64, unsaid: &[Unsaid]) -> FoundOffer {
        FoundOffer {
            authority: authority.into(),
            view: Some(OfferView { offer_id: vec![light as u8; 16].into(), ..Default::default() }),
            light: light.into(),
            age_ms,
            unsaid: unsaid.iter().map(|what| i32::from(*what)).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn what_a_partner_answers_stands_in_place_of_what_stood_there() {
        let mut board = Board::default();
        let known = vec![found("de-kehl", Light::CallFirst, 9, &[]), found("lu-esch-sur-alzette", Light::Few, 5, &[])];
        let asked = vec!["de-kehl".to_owned(), "lu-esch-sur-alzette".to_owned()];
        board.take(FindOffersResponse { offers: known, asked, ..Default::default() });
        assert_eq!((board.rows.len(), board.waits_for.len()), (2, 2));
        let now = vec![found("de-kehl", Light::Available, 0, &[])];
        board.take(FindOffersResponse { authority: "de-kehl".into(), offers: now, ..Default::default() });
        let (silent, reason) = (vec![found("lu-esch-sur-alzette", Light::Unreachable, 7, &[])], "PEER_UNREACHABLE");
        let authority = "lu-esch-sur-alzette".to_owned();
        board.take(FindOffersResponse { authority, offers: silent, reason: reason.into(), asked: vec![] });
        board.sort();
        let lights: Vec<i32> = board.rows.iter().map(|row| row.light).collect();
        assert_eq!(lights, [Light::Available as i32, Light::Unreachable as i32]);
        assert!(board.waits_for.is_empty());
        assert_eq!(board.failed, BTreeMap::from([("lu-esch-sur-alzette".to_owned(), reason.to_owned())]));
    }

    #[test]
    fn a_better_light_comes_first_then_what_leaves_nothing_to_ask_then_what_was_said_last() {
        let mut board = Board {
            rows: vec![
                found("d", Light::Few, -1, &[]),
                found("c", Light::Few, 1, &[Unsaid::Pets]),
                found("b", Light::Few, 60_000, &[]),
                found("a", Light::Available, 9, &[Unsaid::Pets]),
            ],
            ..Board::default()
        };
        board.sort();
        assert_eq!(board.rows.iter().map(|row| row.authority.as_str()).collect::<String>(), "abdc");
    }
}
