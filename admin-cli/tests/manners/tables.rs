//! Every list as it stands at 80 and 100 columns, and as CSV, with long names in four scripts: kept as snapshots, and no line
//! breaks a word or an id.

use std::path::Path;
use std::sync::LazyLock;

use havenlink_proto::admin::v1::*;
use havenlink_proto::directory::v1::{AuthorityEntry, ContactPoint, Member, MemberState, Name, ParticipantKind};
use havenlink_proto::local::v1::content::Said;
use havenlink_proto::local::v1::{
    BoardSource, Capacity, Content, Delivery, DeliveryState, FindOffersResponse, FoundOffer, HeldAnswer, HeldRecord,
    Light, LightReason, ListOffersResponse, Nearness, OwnOffer, PartnerOffer, Unsaid,
};
use havenlink_proto::record::v1::capacity_view::Level;
use havenlink_proto::record::v1::*;
use jiff::Timestamp;

use super::everything;
use super::played::{Played, told, tool};

/// Authority, name in its language, language, and what it says.
pub const CITIES: [(&str, &str, &str, &str); 4] = [
    (
        "de-verbandsgemeinde-oberes-rheintal",
        "Verbandsgemeinde Oberes Rheintal am Donaudampfschifffahrtskanal",
        "de",
        "Aushänge versprechen Küchenarbeit mit Unterkunft; die Ausweise werden einbehalten",
    ),
    (
        "uk-lviv",
        "Львівська міська територіальна громада",
        "uk",
        "Оголошення обіцяють роботу на кухні з житлом; документи забирають",
    ),
    (
        "ir-kermanshah",
        "شهرداری کلان\u{200c}شهر کرمانشاه",
        "fa",
        "آگهی\u{200c}ها کار در آشپزخانه با جای خواب وعده می\u{200c}دهند",
    ),
    (
        "jp-yokohama-kanagawa",
        "神奈川県横浜市国際局国際連携課",
        "ja",
        "住居付きの厨房の仕事を約束するチラシ 👩\u{200d}👧\u{200d}👦",
    ),
];

const DAY: i64 = 86_400_000;

/// Noon, a year before the tests run: what was so long ago has as many digits on every day. Unix ms.
pub fn noon() -> i64 {
    static NOON: LazyLock<i64> = LazyLock::new(|| {
        let day = Timestamp::now().as_millisecond() - 365 * DAY;
        day - (day - DAY / 2).rem_euclid(DAY)
    });
    *NOON
}

/// Its day, and days beside it.
fn day(from_noon: i64) -> String {
    let at = Timestamp::from_millisecond(noon() + from_noon * DAY).unwrap();
    at.strftime("%Y-%m-%d").to_string()
}

/// As it is shown on the day that the snapshots name.
fn dated(shown: &str) -> String {
    shown.replace(&day(0), "2025-11-30").replace("366 d", "365 d")
}

pub fn id(n: u8) -> [u8; 16] {
    [0x01, 0x9a, 0xa0, n / 2, 0x71, 0x10, 0x7c, n, 0x80, 1, 2, 3, 4, 5, 6, n]
}

fn place() -> Option<Place> {
    Some(Place { scheme: PlaceScheme::Lau.into(), code: "08317057".into() })
}

/// Four members, one of each script.
pub fn members() -> Vec<Member> {
    let member = |(n, (authority, name, language, _)): (usize, &(&str, &str, &str, &str))| Member {
        entry: Some(AuthorityEntry {
            authority: (*authority).into(),
            names: vec![Name { language: (*language).into(), name: (*name).into() }],
            kind: ParticipantKind::LocalAuthority.into(),
            endpoints: vec![format!("{authority}.example:7443"), format!("second.{authority}.example:7443")],
            networks: vec!["Eurocities".into()],
            services: vec![ServiceKind::LegalAid as u32, ServiceKind::LongTermRefuge as u32],
            corridor_roles: vec![CorridorRole::Transit as u32, CorridorRole::Destination as u32],
            borders: vec!["fr".into(), "ch".into()],
            contacts: vec![ContactPoint {
                role: "desk".into(),
                email: format!("desk@{authority}.example"),
                phone: "+33199001234".into(),
                languages: vec![(*language).into()],
            }],
            ..Default::default()
        }),
        state: if n == 1 { MemberState::Suspended } else { MemberState::Active }.into(),
        suspended_until_ms: if n == 1 { noon() } else { 0 },
        steward: n == 0,
        ..Default::default()
    };
    CITIES.iter().enumerate().map(member).collect()
}

/// An alert from each, answered by all others.
pub fn alerts() -> Vec<HeldRecord> {
    let answers = || {
        let answer = Answer { kind: AnswerKind::Acknowledged.into(), ..Default::default() };
        let all = CITIES.iter().map(move |(authority, ..)| HeldAnswer {
            authority: (*authority).into(),
            content: Some(Content { said: Some(Said::Answer(answer.clone())) }),
            ..Default::default()
        });
        all.take(2).collect::<Vec<_>>()
    };
    let alert = |(n, (authority, _, language, text)): (usize, &(&str, &str, &str, &str))| {
        let alert = Alert {
            kind: AlertKind::SuspiciousAdvertising.into(),
            severity: if n == 0 { Severity::Extreme } else { Severity::Moderate }.into(),
            place: place(),
            summary: vec![Text { language: (*language).into(), text: (*text).into() }],
            ..Default::default()
        };
        HeldRecord {
            origin: (*authority).into(),
            record_id: id(u8::try_from(n).unwrap()).to_vec().into(),
            kind: RecordKind::Alert.into(),
            content: Some(Content { said: Some(Said::Alert(alert)) }),
            created_ms: noon(),
            received_ms: noon(),
            answers: answers(),
            ..Default::default()
        }
    };
    CITIES.iter().enumerate().map(alert).collect()
}

/// Own ones with labels that a spreadsheet could take for something else, and partners' with a band and a phone.
pub fn offers() -> ListOffersResponse {
    let own = |n: u8, label: &str| OwnOffer {
        offer_id: id(n).to_vec().into(),
        authority: CITIES[0].0.into(),
        service_kind: ServiceKind::LongTermRefuge.into(),
        unit: CapacityUnit::Bed.into(),
        area: place(),
        intake_phone: "+33199001234".into(),
        capacity: Some(Capacity { free: 2, baseline: 3, status: OfferStatus::Open.into(), ..Default::default() }),
        own_label: label.into(),
        light: Light::Few.into(),
        held: Some(u32::from(n == 4)),
        ..Default::default()
    };
    let partner = |n: u8, band: CapacityBand, light: Light| PartnerOffer {
        authority: CITIES[usize::from(n) % 4].0.into(),
        offer_id: id(n).to_vec().into(),
        light: light.into(),
        age_ms: if light == Light::Unreachable { -1 } else { 720_000 },
        view: Some(OfferView {
            offer_id: id(n).to_vec().into(),
            service_kind: ServiceKind::LegalAid.into(),
            unit: CapacityUnit::FamilyUnit.into(),
            area: place(),
            intake_phone: "+33199004321".into(),
            capacity: Some(CapacityView { level: Some(Level::Band(band.into())), ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    };
    ListOffersResponse {
        own: vec![own(4, "＝SUM(A1)"), own(5, "Haus; =1+1"), own(6, "3-5"), own(7, "خانه\u{200c}ی شماره ۲")],
        partners: vec![
            partner(9, CapacityBand::ThreeToFive, Light::Available),
            partner(10, CapacityBand::SixOrMore, Light::Unreachable),
        ],
        ..Default::default()
    }
}

/// What a search finds: a partner's answer, and what another one told last and does not answer for now.
pub fn board() -> Vec<FindOffersResponse> {
    let found = |offer: PartnerOffer, source: BoardSource, unsaid: &[Unsaid]| FoundOffer {
        authority: offer.authority,
        view: offer.view,
        light: offer.light,
        light_reason: if source == BoardSource::Live { LightReason::Capacity } else { LightReason::Silence }.into(),
        age_ms: offer.age_ms,
        source: source.into(),
        nearness: Nearness::SameRegion.into(),
        unsaid: unsaid.iter().map(|what| i32::from(*what)).collect(),
    };
    let [first, second]: [PartnerOffer; 2] = offers().partners.try_into().expect("two partners");
    let asked = vec![first.authority.clone(), second.authority.clone()];
    let known = vec![found(first.clone(), BoardSource::LastKnown, &[])];
    let unsaid = [Unsaid::StaffLanguages, Unsaid::LongestStay];
    vec![
        FindOffersResponse { asked, offers: known, ..Default::default() },
        FindOffersResponse {
            authority: first.authority.clone(),
            offers: vec![found(first, BoardSource::Live, &[])],
            ..Default::default()
        },
        FindOffersResponse {
            authority: second.authority.clone(),
            offers: vec![found(second, BoardSource::LastKnown, &unsaid)],
            reason: "PEER_UNREACHABLE".into(),
            ..Default::default()
        },
    ]
}

pub fn deliveries() -> Vec<Delivery> {
    let delivery = |(n, state): (usize, DeliveryState)| Delivery {
        recipient: CITIES[n].0.into(),
        state: state.into(),
        reason: if n == 1 { "AGREEMENT_NOT_IN_FORCE".into() } else { String::new() },
        attempts: 3,
        kind: RecordKind::Alert.into(),
        record_id: id(u8::try_from(n).unwrap()).to_vec().into(),
        queued_ms: noon(),
        finished_ms: if n < 2 { noon() + 60_000 } else { 0 },
        next_attempt_ms: noon() + 120_000,
        ..Default::default()
    };
    let states = [DeliveryState::Delivered, DeliveryState::Refused, DeliveryState::Held, DeliveryState::Queued];
    states.into_iter().enumerate().map(delivery).collect()
}

pub fn checks() -> Vec<Check> {
    let check = |name: &str, result: CheckResult, finding: &str, remedy: &str| Check {
        name: name.into(),
        result: result.into(),
        finding: finding.into(),
        remedy: remedy.into(),
    };
    vec![
        check("clock", CheckResult::Ok, "within 120 ms of de-verbandsgemeinde-oberes-rheintal", ""),
        check(
            "backup",
            CheckResult::Warning,
            "no backup was ever made",
            "havenlink backup DIRECTORY, and the timer of the package",
        ),
        check(
            "consensus",
            CheckResult::Critical,
            "no majority of the stewards answers",
            "systemctl start havenlink, at their machines",
        ),
    ]
}

pub fn invitations() -> Vec<InvitationSummary> {
    let states = [InvitationState::Open, InvitationState::Burnt];
    let invitation = |(n, state): (usize, InvitationState)| InvitationSummary {
        invitation_id: vec![u8::try_from(n).unwrap() + 1; 32].into(),
        intended_for: CITIES[n].0.into(),
        expires_ms: noon(),
        state: state.into(),
        ..Default::default()
    };
    states.into_iter().enumerate().map(invitation).collect()
}

const LISTS: [(&str, &[&str]); 9] = [
    ("member-list", &["member", "list"]),
    ("member-find", &["member", "find", "--network", "Eurocities"]),
    ("alert-list", &["alert", "list", "--role", "operator"]),
    ("offer-list", &["offer", "list", "--role", "operator"]),
    ("place-find", &["place", "find", "--service", "LEGAL_AID", "--role", "operator"]),
    ("delivery-list", &["delivery", "list"]),
    ("delivery-report", &["delivery", "report", "uk-lviv", "--since", "2001-01-01"]),
    ("doctor", &["doctor"]),
    ("invite-list", &["invite", "list"]),
];

/// The lists of a node that fills every field.
const OTHERS: [(&str, &[&str]); 18] = [
    ("agreement-list", &["agreement", "list"]),
    ("audit-tail", &["audit", "tail"]),
    ("directory-status", &["directory", "status"]),
    ("erasure-status", &["erasure", "status", "019aa000-7110-7c00-8001-020304050600"]),
    ("events", &["events", "--since", "2001-01-01"]),
    ("explain-record", &["agreement", "explain", "019aa000-7110-7c00-8001-020304050600"]),
    ("inspection-list", &["inspection", "list"]),
    ("mandate-list", &["mandate", "list"]),
    ("member-list-pending", &["member", "list", "--pending"]),
    ("place-holds", &["place", "holds"]),
    ("practice-search", &["practice", "search", "outreach"]),
    ("referral-disclosures", &["referral", "disclosures", "--case", "SB-2026/0417"]),
    ("referral-erasures", &["referral", "erasures"]),
    ("referral-list", &["referral", "list"]),
    ("report", &["report", "--since", "2001-01-01"]),
    ("sharing-show", &["sharing", "show", "--case", "SB-2026/0417"]),
    ("status", &["status"]),
    ("steward-list", &["steward", "list"]),
];

#[test]
fn every_list_fits_and_breaks_no_word() {
    let node = Played::with_long_names();
    for (name, list) in LISTS {
        fits(name, list, node.dir());
    }
    let folder = tempfile::tempdir().unwrap();
    let _answers = everything::answers_in(folder.path());
    for (name, list) in OTHERS {
        fits(name, list, folder.path());
    }
}

fn fits(name: &str, list: &[&str], sockets: &Path) {
    let at = |width: usize| {
        let (code, out, err) = told(tool(sockets, list).env("COLUMNS", width.to_string()));
        assert!(!out.is_empty(), "{name} shows nothing, and ended with {code}: {err}");
        out
    };
    let whole = at(10_000);
    let (_, csv, _) = told(&mut tool(sockets, &[list, &["-o", "csv"]].concat()));
    let mut kept = String::new();
    for width in [80, 100] {
        let out = at(width);
        kept.push_str(&format!("--- at {width} columns\n{out}"));
        for line in out.lines().filter(|line| unicode_width::UnicodeWidthStr::width(*line) > width) {
            let last = line.rsplit("  ").next().unwrap_or(line).rsplit(": ").next().unwrap_or(line);
            assert!(!last.trim().contains(' '), "{name} at {width}: {line:?} is too long, and not for one word");
        }
        let words: Vec<&str> = out.split_whitespace().collect();
        // A heading stands where there is room for its column.
        let heading = |line: &&str| !line.chars().any(|c| c.is_lowercase() || c.is_ascii_digit());
        for word in whole.lines().filter(|line| !heading(line)).flat_map(str::split_whitespace) {
            assert!(words.contains(&word), "{name} at {width}: {word:?} is broken or gone:\n{out}");
        }
    }
    insta::assert_snapshot!(format!("table-{name}"), dated(&format!("{kept}--- as CSV\n{csv}")));
}

#[test]
fn no_colour_where_nobody_sees_it() {
    let (_, out, _) = Played::with_long_names().run(&["doctor"]);
    assert!(out.contains("CRITICAL") && !out.contains('\u{1b}'), "{out}");
}

/// It goes by mail: counts, and nothing of what is counted.
#[test]
fn a_digest_counts_and_shows_no_content() {
    let node = Played::with_long_names();
    for (since, alerts) in [(day(-30), "4"), (day(1), "0")] {
        let (code, out, _) = node.run(&["digest", "--role", "operator", "--since", &since]);
        assert_eq!(
            (code, out.lines().next().map(|line| line.starts_with(&format!("fr-strasbourg since {since}")))),
            (0, Some(true))
        );
        let says = |words: &[&str]| out.lines().any(|line| line.split_whitespace().eq(words.iter().copied()));
        assert!(says(&["alerts", "received", alerts]) && says(&["practices", "received", "0"]), "{out}");
        assert!(says(&["last", "backup", "none", "yet"]), "{out}");
        let (_, json, _) = node.run(&["digest", "--role", "operator", "--since", &since, "-o", "json"]);
        for (authority, name, _, text) in CITIES {
            let told = |out: &str| [authority, name, text].iter().any(|content| out.contains(content));
            assert!(!told(&out) && !told(&json), "{out}{json}");
        }
    }
}
