//! `member`: who is in the federation, who asks to be, who is out.

use clap::Subcommand;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::admin::v1::{
    Application, ApproveMemberRequest, ApproveProposalRequest, CreateRecoveryTicketRequest, ListMembersRequest,
    PendingDecision, RecoverKeyRequest, RejectMemberRequest, RemoveMemberRequest, RestoreMemberRequest,
    ShowMemberRequest, ShowMemberResponse, SuspendMemberRequest,
};
use havenlink_proto::directory::v1::{
    AuthorityEntry, Member, MemberState, Outcome, ParticipantKind, RejectionReason, RemoveReason, Statement,
    SuspendReason, statement,
};
use havenlink_proto::record::v1::Signed;
use prost::Message;

use super::finding::{self, Wanted};
use super::{ALL, Limit, decision, explained, pages, plan, status};
use crate::confirm;
use crate::contract_enum::{self, Code};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View, clean, cut};
use crate::session::{Session, call};
use crate::value::to_json;
use crate::when;

/// Members of the federation: who is in, who asks to be, who is out
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// All members; or what waits for a decision
    List {
        /// Applications and decisions that wait, and for whom
        #[arg(long)]
        pending: bool,
        #[command(flatten)]
        limit: Limit,
    },
    /// Members by what they say of themselves: network, kind, service, place on the corridor
    Find(Wanted),
    /// One member or applicant, with its keys, endpoints and standing
    Show {
        authority: String,
        /// Of this node's own authority: each of its records, whether that partner may have it, and by which clause
        #[arg(long, value_name = "AUTHORITY")]
        as_seen_by: Option<String>,
    },
    /// Approves an applicant by its six words, or any decision that waits
    Approve {
        /// The authority that the decision is about
        #[arg(required_unless_present = "proposal")]
        authority: Option<String>,
        /// The six words; asked for if they are needed and not given
        #[arg(long)]
        words: Option<String>,
        /// The decision, when several wait
        #[arg(long, value_name = "ID")]
        proposal: Option<String>,
        /// Does not ask; what will change is shown all the same
        #[arg(long)]
        yes: bool,
    },
    /// Rejects an applicant; it reads the reason
    Reject {
        authority: String,
        #[arg(long)]
        reason: Code<RejectionReason>,
    },
    /// Cuts an authority off at once, for as long as the policy says (24 h at first); --lasting asks the majority as well
    Suspend {
        authority: String,
        #[arg(long)]
        reason: Code<SuspendReason>,
        /// Until restored, once a majority of stewards agrees
        #[arg(long)]
        lasting: bool,
        /// Does not ask
        #[arg(long)]
        yes: bool,
    },
    /// Lets a suspended authority in again, once a majority of stewards agrees
    Restore { authority: String },
    /// Ends a membership for good, once a majority of stewards agrees
    Remove {
        authority: String,
        #[arg(long)]
        reason: Code<RemoveReason>,
        #[arg(long)]
        yes: bool,
    },
    /// What a member that lost its authority key needs for havenlink recover
    RecoveryTicket { authority: String },
    /// Proposes a new authority key for a member that lost its own
    RecoverKey {
        authority: String,
        /// What the new node printed: its signed entry, in hexadecimal, in a file; - is stdin
        #[arg(long, value_name = "FILE")]
        entry: std::path::PathBuf,
        #[arg(long)]
        yes: bool,
    },
}

pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    let request_id = session.request_id();
    match verb {
        Verb::List { pending, limit } => list(session, pending, &limit).await,
        Verb::Find(wanted) => finding::find(session, &wanted).await,
        Verb::Show { authority, as_seen_by } => match as_seen_by {
            Some(partner) => explained::as_seen_by(session, &authority, &partner).await,
            None => show(session, authority).await,
        },
        Verb::Approve { authority, words, proposal, yes } => approve(session, authority, words, proposal, yes).await,
        Verb::Reject { authority, reason } => {
            let act = format!("reject {authority}");
            let request = RejectMemberRequest { request_id, authority, reason: reason.number };
            decision::show(session, &act, call!(session, MemberServiceClient, reject_member, request)?.decision)
        }
        Verb::Suspend { authority, reason, lasting, yes } => {
            let act = format!("suspend {authority}");
            let length = if lasting {
                "until restored, once a majority agrees; until then for as long as the policy says, 24 h at first"
            } else {
                "for as long as the policy says, 24 h at first, unless the majority makes it last"
            };
            let consequences = [
                plan::SUSPENSION[0],
                plan::SUSPENSION[1],
                length,
                "if it is a steward it still votes, and a second steward has to sign",
            ];
            confirm::severe(session, &act, &consequences, &authority, yes)?;
            let request =
                SuspendMemberRequest { request_id, authority: authority.clone(), reason: reason.number, lasting };
            let decision = call!(session, MemberServiceClient, suspend_member, request)?.decision;
            let decision = decision.unwrap_or_default();
            decision::show(session, &act, Some(decision.clone()))?;
            if decision.outcome == Outcome::Pending as i32 && !decision.overlay {
                let lasting = if lasting { " --lasting" } else { "" };
                let code = contract_enum::name::<SuspendReason>(reason.number);
                session.say(&format!(
                    "{authority} is a steward and goes on until a second steward signs too. Call another steward; there:\n  \
                     havenctl member suspend {authority} --reason {code}{lasting}"
                ));
                return Ok(());
            }
            session
                .next(&[format!("havenctl member show {authority}"), format!("havenctl member restore {authority}")]);
            Ok(())
        }
        Verb::Restore { authority } => {
            let act = format!("restore {authority}");
            let request = RestoreMemberRequest { request_id, authority };
            decision::show(session, &act, call!(session, MemberServiceClient, restore_member, request)?.decision)
        }
        Verb::Remove { authority, reason, yes } => {
            let act = format!("remove {authority}");
            let report = format!("havenctl delivery report {authority} --since 365d");
            confirm::severe(session, &act, &plan::REMOVAL, &authority, yes)?;
            let request = RemoveMemberRequest { request_id, authority, reason: reason.number };
            decision::show(session, &act, call!(session, MemberServiceClient, remove_member, request)?.decision)?;
            session.next(&[report]);
            Ok(())
        }
        Verb::RecoveryTicket { authority } => recovery_ticket(session, authority).await,
        Verb::RecoverKey { authority, entry, yes } => recover_key(session, authority, &entry, yes).await,
    }
}

async fn recovery_ticket(session: &Session, authority: String) -> Result<(), Failure> {
    let request = CreateRecoveryTicketRequest { authority };
    let answer = call!(session, MemberServiceClient, create_recovery_ticket, request)?;
    let line = format!("{}\n", answer.ticket);
    session.show(&View::text(to_json(&answer), line, vec![("ticket", Cell::text(&answer.ticket))]))?;
    session.next(&["havenlink recover TICKET, on the node that lost its key".to_owned()]);
    Ok(())
}

async fn list(session: &Session, pending: bool, limit: &Limit) -> Result<(), Failure> {
    let request = ListMembersRequest { pending, ..Default::default() };
    if pending {
        let answer = pages!(session, MemberServiceClient, list_members, request, [applications, pending], limit)?;
        let now = when::now_ms();
        let columns = ["subject", "act", "approved_by", "needed", "waits_for_us", "left_ms", "decision", "change"];
        let mut grid = Grid::new(&columns);
        for application in &answer.applications {
            grid.push([
                Cell::text(&application.authority),
                Cell::text("APPLICATION"),
                Cell::text(""),
                Cell::text(""),
                Cell::figure("yes: the six words", true),
                Cell::text(""),
                Cell::text(""),
                change(&application_changes(application)),
            ]);
        }
        for decision in &answer.pending {
            let left = (decision.expires_ms - now).max(0);
            grid.push([
                Cell::text(&decision.subject),
                Cell::text(&decision.act),
                Cell::list(decision.approved_by.iter()),
                Cell::number(decision.needed),
                Cell::flag(decision.waits_for_us, "yes"),
                Cell::figure(when::span(left), left),
                Cell::id(id::show(&decision.proposal_id)),
                change(&plan::changes(decision)),
            ]);
        }
        if grid.is_empty() {
            session.say("nothing waits for a decision");
        }
        session.show(&View::list(to_json(&answer), &["applications", "pending"], grid))?;
        let applies = answer.applications.first().map(|a| format!("havenctl member approve {}", a.authority));
        let waits = answer.pending.iter().find(|p| p.waits_for_us);
        let waits = waits.map(|p| format!("havenctl member approve --proposal {}", id::short(&p.proposal_id)));
        session.next(&applies.into_iter().chain(waits).collect::<Vec<_>>());
        return Ok(());
    }
    let answer =
        pages!(session, MemberServiceClient, list_members, request, [members] and [applications, pending], limit)?;
    let mut grid = Grid::new(&["authority", "name", "kind", "state", "steward", "until", "endpoints"]);
    for member in &answer.members {
        let entry = member.entry.clone().unwrap_or_default();
        grid.push([
            Cell::text(&entry.authority),
            Cell::text(entry.names.first().map(|n| n.name.clone()).unwrap_or_default()),
            Cell::text(contract_enum::name::<ParticipantKind>(entry.kind)),
            Cell::state(state(member)),
            Cell::flag(member.steward, "steward"),
            Cell::time(member.suspended_until_ms),
            Cell::list(entry.endpoints.iter()),
        ]);
    }
    session.show(&View::list(to_json(&answer), &["members"], grid))
}

fn state(member: &Member) -> String {
    let state = contract_enum::name::<MemberState>(member.state);
    if member.denied_by_overlay { format!("{state} (overlay)") } else { state }
}

async fn fetch(session: &Session, authority: &str) -> Result<ShowMemberResponse, Failure> {
    let request = ShowMemberRequest { authority: authority.to_owned() };
    call!(session, MemberServiceClient, show_member, request)
}

async fn show(session: &Session, authority: String) -> Result<(), Failure> {
    let answer = fetch(session, &authority).await?;
    let mut pairs = Vec::new();
    if let Some(member) = &answer.member {
        pairs.push(("state", Cell::state(state(member))));
        pairs.push(("suspended until", Cell::time(member.suspended_until_ms)));
        pairs.push(("steward", Cell::flag(member.steward, "yes")));
        pairs.push(("version", Cell::number(member.version)));
        pairs.extend(entry(member.entry.as_ref()));
    }
    if let Some(application) = &answer.application {
        pairs.push(("application", Cell::time(application.received_ms)));
        pairs.push(("wrong words", Cell::figure(zero_empty(application.failed_words), application.failed_words)));
        if answer.member.is_none() {
            pairs.extend(entry(application.entry.as_ref()));
        }
    }
    let mut view = View::sheet(to_json(&answer), pairs);
    if !answer.pending.is_empty() {
        let mut text = String::new();
        for (line, decision) in status::waiting(&answer.pending, when::now_ms()).iter().zip(&answer.pending) {
            text.push_str(&format!("{line}; decision {}\n", id::short(&decision.proposal_id)));
            text.extend(plan::changes(decision).iter().map(|change| format!("            - {change}\n")));
        }
        view = view.and_text(text);
    }
    session.show(&view)?;
    if answer.application.is_some() {
        session.next(&[
            format!("havenctl member approve {authority}"),
            format!("havenctl member reject {authority} --reason …"),
        ]);
    } else if let Some(waits) = answer.pending.iter().find(|p| p.waits_for_us) {
        session.next(&[format!("havenctl member approve --proposal {}", id::short(&waits.proposal_id))]);
    }
    Ok(())
}

/// All changes in one cell: as much as fits for people, everything for programs.
fn change(changes: &[String]) -> Cell {
    let whole = changes.join("; ");
    Cell::both(cut(&whole, 100), whole)
}

/// An application, as the admission that comes of it.
fn application_changes(application: &Application) -> Vec<String> {
    let entry = application.entry.as_ref();
    let lines = entry.map(|entry| plan::admission(entry, "", false)).unwrap_or_default();
    lines.iter().map(|line| clean(line)).collect()
}

fn zero_empty(n: u32) -> String {
    if n == 0 { String::new() } else { format!("{n} of 3") }
}

/// What an authority says about itself.
fn entry(entry: Option<&AuthorityEntry>) -> Vec<(&'static str, Cell)> {
    let Some(entry) = entry else { return Vec::new() };
    let fields = plan::fields(entry).into_iter().map(|(name, values)| (name, Cell::list(values)));
    std::iter::once(("authority", Cell::text(&entry.authority))).chain(fields).collect()
}

async fn approve(
    session: &Session,
    authority: Option<String>,
    words: Option<String>,
    proposal: Option<String>,
    yes: bool,
) -> Result<(), Failure> {
    let Some(authority) = authority else {
        let typed = proposal.unwrap_or_default();
        let request = ListMembersRequest { pending: true, ..Default::default() };
        let pending = pages!(session, MemberServiceClient, list_members, request, [pending], &ALL)?.pending;
        let ids = pending.iter().map(|p| (&p.proposal_id[..], p));
        let found = id::resolve(&typed, ids, "decision", "havenctl member list --pending")?;
        return approve_proposal(session, found, yes).await;
    };
    let shown = fetch(session, &authority).await?;
    if let Some(application) = &shown.application
        && proposal.is_none()
    {
        let words = match words {
            Some(words) => words,
            None => {
                let name = application.entry.as_ref().and_then(|e| e.names.first()).map(|n| clean(&n.name));
                session.say(&format!(
                    "call {} at a number you know, not one from the application, and let them read their six words",
                    name.unwrap_or_else(|| authority.clone())
                ));
                confirm::ask("six words: ")?
            }
        };
        let act = format!("admit {authority}");
        let request = ApproveMemberRequest { request_id: session.request_id(), authority, words };
        return decision::show(session, &act, call!(session, MemberServiceClient, approve_member, request)?.decision);
    }
    let mut waiting: Vec<&PendingDecision> = shown.pending.iter().collect();
    if let Some(typed) = proposal {
        let ids = waiting.iter().map(|p| (&p.proposal_id[..], *p));
        waiting = vec![id::resolve(&typed, ids, "decision", "havenctl member list --pending")?];
    }
    match waiting[..] {
        [one] => approve_proposal(session, one, yes).await,
        [] => Err(Failure::not_found(format!("no decision about {authority} waits"), "havenctl member list --pending")),
        _ => Err(Failure::usage(
            format!("{} decisions about {authority} wait", waiting.len()),
            format!("havenctl member approve {authority} --proposal ID; havenctl member list --pending lists them"),
        )),
    }
}

async fn approve_proposal(session: &Session, pending: &PendingDecision, yes: bool) -> Result<(), Failure> {
    let act = format!("{} {}, proposed by {}", pending.act, pending.subject, pending.proposer);
    plan::shown(session, &act, pending, yes)?;
    let request = ApproveProposalRequest { request_id: session.request_id(), proposal_id: pending.proposal_id.clone() };
    decision::show(session, &act, call!(session, MemberServiceClient, approve_proposal, request)?.decision)
}

async fn recover_key(session: &Session, authority: String, file: &std::path::Path, yes: bool) -> Result<(), Failure> {
    let wrong =
        |what: String| Failure::usage(format!("{}: {what}", file.display()), "pass the file that the new node printed");
    let text =
        if file.as_os_str() == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    let text = text.map_err(|e| wrong(e.to_string()))?;
    let entry = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map_err(|e| wrong(e.to_string()))?;
    let act = format!("new authority key for {authority}");
    let key = new_key(&entry).ok_or_else(|| wrong("holds no entry".to_owned()))?;
    let phone = format!("call them: their node shows a new key that begins with {key}");
    let consequences = [plan::RECOVERY, &phone];
    confirm::severe(session, &act, &consequences, &authority, yes)?;
    let request = RecoverKeyRequest { request_id: session.request_id(), authority, entry: entry.into() };
    decision::show(session, &act, call!(session, MemberServiceClient, recover_key, request)?.decision)
}

/// The beginning of the key that a signed entry asks for, as the new node shows it.
fn new_key(signed: &[u8]) -> Option<String> {
    let statement = Statement::decode(Signed::decode(signed).ok()?.payload).ok()?;
    let Some(statement::Body::Entry(entry)) = statement.body else { return None };
    Some(data_encoding::HEXLOWER.encode(entry.authority_key.get(12..20)?))
}
