//! `status`: one look at node, partners, register, and who waits for whom.

use std::collections::BTreeMap;

use havenlink_proto::admin::v1::node_service_client::NodeServiceClient;
use havenlink_proto::admin::v1::{
    AgreementDue, AgreementReminder, Fork, ForkSide, GetStatusRequest, GetStatusResponse, NodeState, PendingDecision,
};

use crate::contract_enum;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View, clean};
use crate::session::{Session, call};
use crate::value::to_json;
use crate::when;

pub async fn run(session: &Session) -> Result<(), Failure> {
    let status = fetch(session).await?;
    session.show(&View::report(to_json(&status), text(&status, when::now_ms()), rows(&status)))?;
    session.next(&status.next);
    Ok(())
}

pub async fn fetch(session: &Session) -> Result<GetStatusResponse, Failure> {
    call!(session, NodeServiceClient, get_status, GetStatusRequest {})
}

fn text(status: &GetStatusResponse, now: i64) -> String {
    let mut lines = vec![head(status, now)];
    if !status.reason.is_empty() && status.reason != "self" {
        lines.push(format!("reason      {}   havenctl explain {0}", clean(&status.reason)));
    }
    lines.extend(partners(status, now));
    let clocks = status.partners.iter().filter(|partner| !partner.clock.is_empty());
    lines.extend(clocks.map(|partner| format!("CLOCK       {}", clean(&partner.clock))));
    lines.extend(not_named(status));
    lines.push(directory(status));
    lines.extend(status.forks.iter().map(|f| format!("FORK        {}", fork(f, &status.authority))));
    lines.extend(waiting(&status.pending, now));
    lines.extend(status.agreements_due.iter().map(|reminder| due(reminder, now)));
    lines.extend(failing(status, now));
    if let Some(own) = status.own_offers.filter(|own| own.stale > 0) {
        let since = when::show(own.stale_since_ms);
        lines.push(format!(
            "offers      {} of {} are not reported any more, the first since {since}",
            own.stale, own.all
        ));
    }
    if status.last_backup_ms > 0 {
        lines.push(format!("backup      {} ago", when::span(now - status.last_backup_ms)));
    }
    lines.join("\n") + "\n"
}

/// What the text says, a row for each thing: what it is about, its name, how it stands, how many, and since or until when.
fn rows(status: &GetStatusResponse) -> Grid {
    let mut grid = Grid::new(&["about", "name", "state", "count", "at"]);
    let mut row = |about: &str, name: &str, state: &str, count: Cell, at: i64| {
        grid.push([Cell::text(about), Cell::text(name), Cell::text(state), count, Cell::time(at)]);
    };
    let state = contract_enum::name::<NodeState>(status.state);
    row("node", &status.authority, &state, Cell::default(), status.certificate_expires_ms);
    for partner in &status.partners {
        let at = if partner.link == "unreachable" { partner.since_ms } else { partner.answered_ms };
        row("partner", &partner.authority, &partner.link, Cell::number(partner.queued + partner.held), at);
        for waits in &partner.not_named {
            row("held", &partner.authority, &waits.kind, Cell::number(waits.records), 0);
        }
    }
    let fresh = if status.fresh { "FRESH" } else { "NOT_FRESH" };
    row("register", &id::show(&status.register_head), fresh, Cell::number(status.register_number), 0);
    for steward in &status.stewards {
        let leader = if steward.leader { "leader" } else { "" };
        row("steward", &steward.authority, leader, Cell::number(steward.number), 0);
    }
    for fork in &status.forks {
        let stewards = fork.sides.iter().flat_map(|side| side.stewards.clone()).collect::<Vec<_>>();
        row("fork", &stewards.join(";"), "FORK", Cell::number(fork.number), 0);
    }
    for waits in &status.pending {
        row("waiting", &waits.subject, &waits.act, Cell::number(waits.approved_by.len()), waits.expires_ms);
    }
    for due in &status.agreements_due {
        let what = contract_enum::name::<AgreementDue>(due.due);
        row("agreement", &id::show(&due.agreement_id), &what, Cell::default(), due.at_ms);
    }
    for pass in &status.passes {
        row("pass", &pass.pass, &pass.reason, Cell::number(pass.postponed), pass.at_ms);
    }
    for owed in &status.owed {
        row("owed", &owed.what, &owed.reason, Cell::number(owed.count), owed.oldest_ms);
    }
    for damaged in &status.unreadable {
        row("unreadable", &format!("{} {}", damaged.table, damaged.id), &damaged.reason, Cell::default(), 0);
    }
    if let Some(own) = status.own_offers {
        row("offers", "not reported any more", "", Cell::number(own.stale), own.stale_since_ms);
    }
    row("backup", "", "", Cell::default(), status.last_backup_ms);
    grid
}

fn head(status: &GetStatusResponse, now: i64) -> String {
    let role = match (status.steward, status.leader, status.votes) {
        (true, true, _) => "steward, leader",
        (true, false, true) => "steward",
        (true, false, false) => "steward without a vote",
        (false, ..) => "member",
    };
    let authority = if status.authority.is_empty() { "(no authority yet)" } else { &status.authority };
    let state = contract_enum::name::<NodeState>(status.state);
    let mut line = format!("{}  {state}   {role}   v{}", clean(authority), clean(&status.version));
    if status.certificate_expires_ms > 0 {
        let left = status.certificate_expires_ms - now;
        line.push_str(&match left {
            ..=0 => "   certificate EXPIRED: havenctl node renew".to_owned(),
            _ => format!("   certificate good for {} (renews by itself)", when::span(left)),
        });
    }
    line
}

fn partners(status: &GetStatusResponse, now: i64) -> Option<String> {
    let mut by_link: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let (mut queued, mut held, mut longest) = (0, 0, None);
    for partner in &status.partners {
        queued += partner.queued;
        held += partner.held;
        let since = match partner.link.as_str() {
            "unreachable" if partner.since_ms > 0 => format!(" for {}", when::span(now - partner.since_ms)),
            "idle" if partner.answered_ms > 0 => format!(", answered {} ago", when::span(now - partner.answered_ms)),
            _ => String::new(),
        };
        if partner.link == "connected" && partner.answered_ms > 0 {
            longest = longest.max(Some(now - partner.answered_ms));
        }
        by_link.entry(&partner.link).or_default().push(format!("{}{since}", clean(&partner.authority)));
    }
    if by_link.is_empty() {
        return None;
    }
    let known = ["connected", "idle", "suspended", "unreachable"];
    let others = by_link.keys().copied().filter(|link| !known.contains(link));
    let mut parts: Vec<String> = known
        .into_iter()
        .chain(others)
        .filter_map(|link| {
            let names = by_link.get(link)?;
            let list = match (link, longest) {
                ("connected", Some(longest)) => format!(" (answered within {})", when::span(longest)),
                ("connected", None) => String::new(),
                _ => format!(" ({})", names.join(", ")),
            };
            Some(format!("{} {link}{list}", names.len()))
        })
        .collect();
    if queued > 0 {
        parts.push(format!("{queued} queued"));
    }
    if held > 0 {
        parts.push(format!("{held} held"));
    }
    Some(format!("partners    {}", parts.join(" · ")))
}

/// One line for each partner whose node does not take a kind yet, on what waits for that.
fn not_named(status: &GetStatusResponse) -> impl Iterator<Item = String> {
    status.partners.iter().filter(|partner| !partner.not_named.is_empty()).map(|partner| {
        let kinds: Vec<String> =
            partner.not_named.iter().map(|waits| format!("{} {}", waits.records, clean(&waits.kind))).collect();
        let (kinds, authority) = (kinds.join(", "), clean(&partner.authority));
        format!("held        {kinds} until the node of {authority} takes that kind   havenctl explain KIND_NOT_NAMED")
    })
}

/// The line on the register.
pub fn directory(status: &GetStatusResponse) -> String {
    let all = status.stewards.len();
    let heard = status.stewards.iter().filter(|s| s.age_ms >= 0 && s.age_ms < 600_000).count();
    let youngest = status.stewards.iter().map(|s| s.age_ms).filter(|a| *a >= 0).min();
    let verified = youngest.map(|age| format!(", verified {} ago", when::span(age))).unwrap_or_default();
    let fresh = if status.fresh { "" } else { ", NOT FRESH: content about a person stops" };
    format!(
        "directory   {} {}, change {}, {heard} of {all} stewards{verified}{fresh}",
        status.authorities,
        if status.authorities == 1 { "authority" } else { "authorities" },
        status.register_number
    )
}

/// A fork: each head, whether it is the one that this node holds, and whose signature stands under it.
pub fn fork(fork: &Fork, own: &str) -> String {
    let side = |side: &ForkSide| {
        let here = if side.stewards.iter().any(|s| s == own) { " (held here)" } else { "" };
        let signed = clean(&side.stewards.join(", "));
        format!("head {}{here} signed by {signed}", id::short(&side.head))
    };
    let sides: Vec<String> = fork.sides.iter().map(side).collect();
    format!("at change {}: {}; tell the other stewards, by phone", fork.number, sides.join(" / "))
}

/// One line for each decision that waits.
pub fn waiting(pending: &[PendingDecision], now: i64) -> Vec<String> {
    let line = |(i, p): (usize, &PendingDecision)| {
        let label = if i == 0 { "waiting" } else { "" };
        let us = if p.waits_for_us { ", waits for us" } else { "" };
        if p.needed == 0 {
            return format!("{label:<10}  {} {}: wants the six words{us}", clean(&p.act), clean(&p.subject));
        }
        let until = if p.expires_ms > 0 { format!(", {} left", when::span(p.expires_ms - now)) } else { String::new() };
        format!(
            "{label:<10}  {} {}: {} of {} approved{us}{until}",
            clean(&p.act),
            clean(&p.subject),
            p.approved_by.len(),
            p.needed
        )
    };
    pending.iter().enumerate().map(line).collect()
}

/// What comes due of an agreement, and the command for it.
fn due(reminder: &AgreementReminder, now: i64) -> String {
    let (short, about) = (id::short(&reminder.agreement_id), clean(&reminder.about.join(", ")));
    let when = match reminder.at_ms - now {
        ..=0 => format!("since {}", when::show(reminder.at_ms)),
        left => format!("in {}", when::span(left)),
    };
    let renew = format!("havenctl agreement renew {short} --until DATE");
    let said = match reminder.due() {
        AgreementDue::Review => {
            format!("{short} with {about} is due for review {when}   havenctl agreement show {short}")
        }
        AgreementDue::TransferLapses => {
            format!(
                "{short}: nothing about a person goes to {about} {when}: the basis for transfers ends   {renew} --transfer …"
            )
        }
        AgreementDue::Ends | AgreementDue::Unspecified => format!("{short} with {about} ends {when}   {renew}"),
    };
    format!("agreement   {said}")
}

/// One line for each pass that did not do all that it should, and for what is owed and could not be done.
fn failing(status: &GetStatusResponse, now: i64) -> Vec<String> {
    let explain = |reason: &str| format!("{0}   havenctl explain {0}", clean(reason));
    let passes = status.passes.iter().filter(|pass| !pass.reason.is_empty()).map(|pass| {
        let ago = when::span((now - pass.at_ms).max(0));
        let left = if pass.postponed > 0 { format!(", {} left for later", pass.postponed) } else { String::new() };
        format!("pass        {} {ago} ago{left}: {}", clean(&pass.pass), explain(&pass.reason))
    });
    let owed = status.owed.iter().filter(|owed| owed.postponed > 0).map(|owed| {
        let since = when::span((now - owed.oldest_ms).max(0));
        let (what, count, postponed) = (clean(&owed.what), owed.count, owed.postponed);
        format!("owed        {count} {what} for {since}, {postponed} could not be done: {}", explain(&owed.reason))
    });
    passes.chain(owed).chain(unreadable(status)).collect()
}

/// Rows by name; more are counted.
const ROWS: usize = 5;

/// What is stored and cannot be read.
fn unreadable(status: &GetStatusResponse) -> Option<String> {
    let first: Vec<String> = status
        .unreadable
        .iter()
        .take(ROWS)
        .map(|row| format!("{} {} ({} {})", clean(&row.table), clean(&row.id), clean(&row.field), clean(&row.reason)))
        .collect();
    if first.is_empty() {
        return None;
    }
    let more = status.unreadable_count.saturating_sub(first.len() as u64);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Some(format!("unreadable  {}{more}; everything else works   havenctl doctor", first.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use havenlink_proto::admin::v1::{KindWaiting, OwedStatus, PartnerStatus, PassStatus, StewardBeat, UnreadableRow};

    fn partner(authority: &str, link: &str, since_ms: i64) -> PartnerStatus {
        PartnerStatus { authority: authority.into(), link: link.into(), since_ms, ..Default::default() }
    }

    #[test]
    fn a_status_worth_reading() {
        let now = 1_700_000_000_000;
        let status = GetStatusResponse {
            authority: "fr-strasbourg".into(),
            state: NodeState::Ready.into(),
            version: "0.1.0".into(),
            steward: true,
            leader: true,
            register_number: 1_204,
            authorities: 34,
            fresh: true,
            certificate_expires_ms: now + 19 * 86_400_000,
            partners: vec![
                PartnerStatus { answered_ms: now - 9_000, ..partner("de-kehl", "connected", 0) },
                PartnerStatus {
                    answered_ms: now - 41_000,
                    not_named: vec![KindWaiting { kind: "PRACTICE".into(), records: 3 }],
                    ..partner("ch-basel", "connected", 0)
                },
                PartnerStatus { answered_ms: now - 300_000, ..partner("fr-colmar", "idle", 0) },
                PartnerStatus { clock: "the clocks differ".into(), ..partner("be-liege", "suspended", 0) },
                partner("de-goerlitz", "unreachable", now - 720_000),
            ],
            stewards: vec![
                StewardBeat { age_ms: 2_000, ..Default::default() },
                StewardBeat { age_ms: -1, ..Default::default() },
            ],
            forks: vec![Fork {
                number: 418,
                sides: vec![
                    ForkSide {
                        head: vec![0xab; 32].into(),
                        stewards: vec!["fr-strasbourg".into(), "lu-esch-sur-alzette".into()],
                    },
                    ForkSide { head: vec![0xcd; 32].into(), stewards: vec!["de-kehl".into()] },
                ],
            }],
            pending: vec![PendingDecision {
                act: "ADMIT".into(),
                subject: "pl-zgorzelec".into(),
                approved_by: vec!["de-kehl".into()],
                needed: 2,
                waits_for_us: true,
                expires_ms: now + 6 * 86_400_000,
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(
            text(&status, now),
            "fr-strasbourg  READY   steward, leader   v0.1.0   certificate good for 19 d (renews by itself)\n\
             partners    2 connected (answered within 41 s) · 1 idle (fr-colmar, answered 5 min ago) · 1 suspended (be-liege) · 1 unreachable (de-goerlitz for 12 min)\n\
             CLOCK       the clocks differ\n\
             held        3 PRACTICE until the node of ch-basel takes that kind   havenctl explain KIND_NOT_NAMED\n\
             directory   34 authorities, change 1204, 1 of 2 stewards, verified 2 s ago\n\
             FORK        at change 418: head abababababab (held here) signed by fr-strasbourg, lu-esch-sur-alzette / \
             head cdcdcdcdcdcd signed by de-kehl; tell the other stewards, by phone\n\
             waiting     ADMIT pl-zgorzelec: 1 of 2 approved, waits for us, 6 d left\n"
        );
    }

    #[test]
    fn what_comes_due_of_an_agreement_is_told_with_its_command() {
        let now = 1_700_000_000_000;
        let line = |due: AgreementDue, at_ms| {
            let about = vec!["de-kehl".to_owned()];
            super::due(&AgreementReminder { agreement_id: vec![0xab; 32].into(), due: due.into(), at_ms, about }, now)
        };
        assert_eq!(
            line(AgreementDue::Ends, now + 12 * 86_400_000),
            "agreement   abababababab with de-kehl ends in 12 d   havenctl agreement renew abababababab --until DATE"
        );
        assert!(line(AgreementDue::Review, now).contains("is due for review since 2023-11-14"));
        let lapses = line(AgreementDue::TransferLapses, now + 86_400_000);
        assert!(lapses.contains("nothing about a person goes to de-kehl in ") && lapses.contains("--transfer"));
    }

    #[test]
    fn rows_that_cannot_be_read_are_named() {
        let row = |id: &str| UnreadableRow {
            table: "inbox".into(),
            kind: "ALERT".into(),
            id: id.into(),
            reason: "STORAGE_DAMAGED".into(),
            field: "digest".into(),
        };
        let mut status = GetStatusResponse::default();
        assert_eq!(unreadable(&status), None);
        status.unreadable = (1..=6).map(|n| row(&n.to_string())).collect();
        status.unreadable_count = 700;
        let told = unreadable(&status).unwrap();
        assert!(told.starts_with("unreadable  inbox 1 (digest STORAGE_DAMAGED), inbox 2 "), "{told}");
        assert!(told.ends_with(", and 695 more; everything else works   havenctl doctor"), "{told}");
    }

    #[test]
    fn a_pass_that_fails_says_so_and_one_that_does_not_says_nothing() {
        let now = 1_700_000_000_000;
        let pass = |name: &str, postponed, reason: &str| PassStatus {
            pass: name.into(),
            at_ms: now - 5_000,
            postponed,
            reason: reason.into(),
            ..Default::default()
        };
        let owed = |postponed, reason: &str| OwedStatus {
            what: "END_NOTICE".into(),
            count: 3,
            postponed,
            oldest_ms: now - 3_600_000,
            reason: reason.into(),
        };
        let mut status = GetStatusResponse { passes: vec![pass("dispatch", 0, "")], ..Default::default() };
        status.owed = vec![owed(0, "")];
        assert_eq!(failing(&status, now), Vec::<String>::new());
        status.passes = vec![pass("end_notices", 1, "STORAGE_DAMAGED"), pass("sweep", 0, "STORAGE_FAILED")];
        status.owed = vec![owed(1, "STORAGE_DAMAGED")];
        assert_eq!(
            failing(&status, now),
            [
                "pass        end_notices 5 s ago, 1 left for later: STORAGE_DAMAGED   havenctl explain STORAGE_DAMAGED",
                "pass        sweep 5 s ago: STORAGE_FAILED   havenctl explain STORAGE_FAILED",
                "owed        3 END_NOTICE for 60 min, 1 could not be done: STORAGE_DAMAGED   havenctl explain STORAGE_DAMAGED",
            ]
        );
    }
}
