//! The question to the node: the ids of one sort, over the socket of the role, within a moment.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::time::Duration;

use clap_complete::engine::CompletionCandidate;
use havenlink_proto::admin::v1::agreement_service_client::AgreementServiceClient;
use havenlink_proto::admin::v1::member_service_client::MemberServiceClient;
use havenlink_proto::admin::v1::{
    AgreementState, InvitationState, ListAgreementsRequest, ListInvitationsRequest, ListMembersRequest,
    ListMembersResponse,
};
use havenlink_proto::directory::v1::MemberState;
use havenlink_proto::local::v1::hold_service_client::HoldServiceClient;
use havenlink_proto::local::v1::offer_service_client::OfferServiceClient;
use havenlink_proto::local::v1::{ListHoldsRequest, ListOffersRequest};
use havenlink_proto::record::v1::{HoldState, ServiceKind};

use super::takes::Sort;
use crate::commands::pages::PAGE;
use crate::contract_enum;
use crate::global::{Global, Role};
use crate::id;
use crate::output::{Format, clean};
use crate::session::{LARGEST, Session};

/// The node is waited for no longer than this: with the start of this tool a TAB takes less than 300 ms.
const MOMENT: Duration = Duration::from_millis(200);

/// So many pages at most: more than fit on a screen help nobody.
const PAGES: usize = 5;

/// An id, and a few codes that tell it from others.
struct Found {
    id: Vec<u8>,
    named: Option<String>,
    told: String,
}

impl Found {
    fn authority(name: &str, told: String) -> Self {
        Self { id: Vec::new(), named: Some(name.to_owned()), told }
    }

    fn id(id: &[u8], told: String) -> Self {
        Self { id: id.to_vec(), named: None, told }
    }

    /// As it is typed: a digest by its beginning, as lists show it, unless more of it stands there already.
    fn word(&self, typed: &str) -> String {
        match &self.named {
            Some(name) => clean(name),
            None if self.id.len() == 16 || typed.len() > id::short(&self.id).len() => id::show(&self.id),
            None => id::short(&self.id),
        }
    }
}

/// What may stand where something of this sort was begun to be typed.
pub(super) fn candidates(sort: Sort, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let found = asked(sort).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let words = found.into_iter().map(|found| (found.word(&typed), found.told));
    let fitting = words.filter(|(word, _)| word.starts_with(&*typed) && seen.insert(word.clone()));
    fitting.map(|(word, told)| CompletionCandidate::new(word).help(Some(clean(&told).into()))).collect()
}

/// What the node tells in time.
fn asked(sort: Sort) -> Option<Vec<Found>> {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let session = Session::new(&global(&words, std::env::var("HAVENLINK_SOCKETS").ok()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async { tokio::time::timeout(MOMENT, of(sort, &session)).await.ok()? })
}

/// Of what holds for every command, what is typed on the line already.
fn global(words: &[String], sockets: Option<String>) -> Global {
    let given = |option: &str| {
        let at = words.iter().rposition(|word| word == option || word.starts_with(&format!("{option}=")))?;
        words[at].split_once('=').map(|(_, value)| value.to_owned()).or_else(|| words.get(at + 1).cloned())
    };
    let role = given("--role").and_then(|role| <Role as clap::ValueEnum>::from_str(&role, true).ok());
    let sockets = given("--sockets").or(sockets).unwrap_or_else(|| "/run/havenlink".to_owned());
    Global { sockets: sockets.into(), role, output: Format::Json, bom: false, timeout: Some(MOMENT), request_id: None }
}

/// As many rows at once as a node gives.
fn page_size() -> i32 {
    i32::try_from(PAGE).unwrap_or_default()
}

/// Calls without a word to the person, whatever becomes of it.
macro_rules! quietly {
    ($session:expr, $client:ident, $method:ident, $request:expr) => {{
        let request = $request;
        let channel = $session.channel_for(&request).await.ok()?;
        let mut client = $client::new(channel).max_decoding_message_size(LARGEST);
        client.$method($session.request(request)).await.ok()?.into_inner()
    }};
}

/// The same for a list: the first pages, put together by `add`.
macro_rules! listed {
    ($session:expr, $client:ident, $method:ident, $request:expr, |$page:ident| $add:expr) => {{
        let mut request = $request;
        for _ in 0..PAGES {
            let $page = quietly!($session, $client, $method, request.clone());
            request.page_token = $page.next_page_token.clone();
            $add;
            if request.page_token.is_empty() {
                break;
            }
        }
    }};
}

async fn of(sort: Sort, session: &Session) -> Option<Vec<Found>> {
    match sort {
        Sort::Member => members(session).await,
        Sort::Applicant => pending(session).await.map(|page| applicants(&page)),
        Sort::Decision => pending(session).await.map(|page| decisions(&page)),
        Sort::Agreement => agreements(session, |state| !over(state)).await,
        Sort::Proposed => agreements(session, |state| state == AgreementState::Proposed).await,
        Sort::Offer => offers(session, true, false).await,
        Sort::AnyOffer => offers(session, true, true).await,
        Sort::PartnerOffer => offers(session, false, true).await,
        Sort::Hold => holds(session).await,
        Sort::Invitation => invitations(session).await,
    }
}

async fn members(session: &Session) -> Option<Vec<Found>> {
    let mut found = Vec::new();
    listed!(
        session,
        MemberServiceClient,
        list_members,
        ListMembersRequest { page_size: page_size(), ..Default::default() },
        |page| {
            for member in &page.members {
                let name = member.entry.as_ref().map(|entry| entry.authority.as_str()).unwrap_or_default();
                found.push(Found::authority(name, contract_enum::name::<MemberState>(member.state)));
            }
        }
    );
    Some(found)
}

async fn pending(session: &Session) -> Option<ListMembersResponse> {
    let request = ListMembersRequest { pending: true, ..Default::default() };
    Some(quietly!(session, MemberServiceClient, list_members, request))
}

fn applicants(page: &ListMembersResponse) -> Vec<Found> {
    let applied = page.applications.iter().map(|applied| Found::authority(&applied.authority, "applied".to_owned()));
    // The policy and the order have no authority.
    let about = page.pending.iter().filter(|pending| !pending.subject.starts_with('#'));
    applied.chain(about.map(|pending| Found::authority(&pending.subject, pending.act.clone()))).collect()
}

fn decisions(page: &ListMembersResponse) -> Vec<Found> {
    let told = |act: &str, subject: &str| format!("{act} {subject}");
    page.pending.iter().map(|p| Found::id(&p.proposal_id, told(&p.act, &p.subject))).collect()
}

fn over(state: AgreementState) -> bool {
    matches!(state, AgreementState::Ended | AgreementState::Expired)
}

async fn agreements(session: &Session, wanted: fn(AgreementState) -> bool) -> Option<Vec<Found>> {
    let mut found = Vec::new();
    listed!(
        session,
        AgreementServiceClient,
        list_agreements,
        ListAgreementsRequest { page_size: page_size(), ..Default::default() },
        |page| {
            for held in page.agreements.iter().filter(|held| wanted(held.state())) {
                let parties = held.agreement.iter().flat_map(|agreement| &agreement.parties);
                let parties: Vec<&str> = parties.map(|party| party.authority.as_str()).collect();
                let state = contract_enum::name::<AgreementState>(held.state);
                found.push(Found::id(&held.agreement_id, format!("{} {state}", parties.join(", "))));
            }
        }
    );
    Some(found)
}

/// By kind and authority: a label of the owner's own people is for their screens.
async fn offers(session: &Session, own: bool, partners: bool) -> Option<Vec<Found>> {
    let mut found = Vec::new();
    let request = ListOffersRequest { own_only: !partners, page_size: page_size(), ..Default::default() };
    listed!(session, OfferServiceClient, list_offers, request, |page| {
        for offer in page.own.iter().filter(|_| own) {
            let kind = contract_enum::name::<ServiceKind>(offer.service_kind);
            found.push(Found::id(&offer.offer_id, format!("{kind} {}", offer.authority)));
        }
        for offer in page.partners.iter().filter(|_| partners) {
            let kind = offer.view.as_ref().map(|view| contract_enum::name::<ServiceKind>(view.service_kind));
            found.push(Found::id(&offer.offer_id, format!("{} {}", kind.unwrap_or_default(), offer.authority)));
        }
    });
    Some(found)
}

async fn holds(session: &Session) -> Option<Vec<Found>> {
    let answer = quietly!(session, HoldServiceClient, list_holds, ListHoldsRequest {});
    let lasting = answer.asked.iter().filter(|asked| asked.state() == HoldState::Held);
    Some(lasting.map(|asked| Found::id(&asked.hold_id, asked.authority.clone())).collect())
}

async fn invitations(session: &Session) -> Option<Vec<Found>> {
    let answer = quietly!(session, MemberServiceClient, list_invitations, ListInvitationsRequest {});
    let open = answer.invitations.iter().filter(|made| made.state() == InvitationState::Open);
    Some(open.map(|made| Found::id(&made.invitation_id, made.intended_for.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_socket_and_the_role_are_those_of_the_line() {
        let typed = global(&words("havenctl -- havenctl --sockets /tmp/a member show --role=coordinator d"), None);
        assert_eq!((typed.sockets.to_str(), typed.role), (Some("/tmp/a"), Some(Role::Coordinator)));
        let bare = global(&words("havenctl -- havenctl member show --role"), Some("/tmp/b".to_owned()));
        assert_eq!((bare.sockets.to_str(), bare.role), (Some("/tmp/b"), None));
        assert_eq!(global(&[], None).sockets.to_str(), Some("/run/havenlink"));
    }

    #[test]
    fn a_digest_is_completed_by_its_beginning_and_an_id_as_a_whole() {
        let digest = Found::id(&[0xab; 32], String::new());
        assert_eq!(digest.word("ab"), "abababababab");
        assert_eq!(digest.word("ababababababab"), "ab".repeat(32));
        assert_eq!(Found::id(&[1; 16], String::new()).word("01"), "01010101-0101-0101-0101-010101010101");
        assert_eq!(Found::authority("de-kehl", String::new()).word(""), "de-kehl");
    }

    #[test]
    fn where_no_node_is_nothing_is_offered() {
        let nowhere = Session::new(&global(&[], Some("/nonexistent".to_owned())));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for sort in [Sort::Member, Sort::Decision, Sort::Agreement, Sort::Offer, Sort::Hold, Sort::Invitation] {
            assert!(runtime.block_on(of(sort, &nowhere)).is_none(), "{sort:?}");
        }
    }
}
