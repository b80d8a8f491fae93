//! A node that has applied and waits: its status answers, its application goes on, and nothing else is there yet.

use std::sync::{Arc, Mutex, PoisonError};

use havenlink_proto::admin::v1 as admin;
use tonic_health::server::HealthReporter;

use super::data_dir::DataDir;
use super::failure::CommandFailure;
use super::listeners;
use super::renewal::Pair;
use super::serve::Serving;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::domain::audit::Actor;
use crate::domain::ids::{AuthorityId, Pin};
use crate::domain::join::applicant::{Applying, Next};
use crate::domain::reason::Reason;
use crate::domain::time::UnixMs;
use crate::exchange::join::Applicant;
use crate::exchange::peer_client::join::TonicJoinClient;
use crate::services::actor::Codes;
use crate::services::admin::node::{Answering, Node, NotDone, StatusSource, Upkeep};
use crate::services::layers::Runtimes;
use crate::services::routes;
use crate::transport::{self, Connections, NodeIdentity, Pool};
use crate::wire::fields;

/// The inviter's door for this applicant.
///
/// # Errors
/// When the node's certificate does not load, or the invitation names no endpoint.
pub fn door(data: &DataDir, applicant: &Applicant, clock: &SharedClock) -> Result<TonicJoinClient, CommandFailure> {
    let identity = NodeIdentity::load(data.path())?;
    let limits = transport::Limits::default();
    let view = listeners::empty_view();
    let connections = Connections::new(view.clone(), clock.clone(), &limits);
    let pool = Pool::new(identity, view, clock.clone(), connections, limits);
    let invitation = &applicant.token().invitation;
    let dial = |endpoint: &String| pool.join_channel(endpoint, invitation.inviter_pins.clone());
    let channels: Result<Vec<_>, _> = invitation.inviter_endpoints.iter().map(dial).collect();
    let channels: Vec<_> = channels?.into_iter().map(|opened| opened.channel).collect();
    if channels.is_empty() {
        return Err(CommandFailure::new(Reason::InvitationInvalid));
    }
    Ok(TonicJoinClient::new(channels, transport::classify, clock.clone()))
}

/// What a waiting node last heard.
#[derive(Clone, Default)]
struct LastAnswer(Arc<Mutex<Option<Last>>>);

/// Where the application stands, and why the last try failed, if it did.
type Last = (Applying, Option<Reason>);

impl LastAnswer {
    fn set(&self, applying: &Applying, failed: Option<Reason>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((applying.clone(), failed));
    }

    fn get(&self) -> Option<Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct WaitingStatus {
    authority: AuthorityId,
    identity: NodeIdentity,
    last_answer: LastAnswer,
}

#[tonic::async_trait]
impl StatusSource for WaitingStatus {
    async fn status(&self) -> Result<admin::GetStatusResponse, Reason> {
        let mut status = admin::GetStatusResponse {
            authority: self.authority.to_string(),
            state: admin::NodeState::NeedsApproval.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            certificate_expires_ms: self.identity.certificate().not_after.0,
            reason: Reason::JoinPending.code().to_owned(),
            ..Default::default()
        };
        if let Some((applying, failed)) = self.last_answer.get() {
            let over = match applying.next() {
                Next::Stop(reason) => Some(reason),
                _ => failed,
            };
            if let Some(reason) = over {
                status.reason = reason.code().to_owned();
            }
            let progress = applying.progress();
            status.pending.push(admin::PendingDecision {
                proposal_id: progress
                    .and_then(|p| p.proposal)
                    .map(|p| fields::bytes_of(p.as_bytes()))
                    .unwrap_or_default(),
                act: "ADMIT".to_owned(),
                subject: self.authority.to_string(),
                needed: progress.map_or(0, |p| p.needed),
                ..Default::default()
            });
            if let Some(words) = applying.words() {
                status.next.push(format!("read to the inviter by phone: {words}"));
            }
        }
        Ok(status)
    }
}

#[tonic::async_trait]
impl Upkeep for WaitingStatus {
    async fn renew(&self, _actor: Actor) -> Result<(Pin, UnixMs), Reason> {
        Err(Reason::JoinPending)
    }

    async fn bring(&self, _pair: Pair, _actor: Actor) -> Result<(Pin, UnixMs), NotDone> {
        Err(Reason::JoinPending.into())
    }

    async fn meet(&self, _endpoint: &str) -> Result<Answering, NotDone> {
        Err(Reason::JoinPending.into())
    }

    async fn keep_contact(&self, _endpoint: &str, _authority: &AuthorityId) -> Result<u64, NotDone> {
        Err(Reason::JoinPending.into())
    }

    async fn doctor(&self) -> Vec<admin::Check> {
        let row = Reason::JoinPending.row();
        vec![admin::Check {
            name: "membership".to_owned(),
            result: admin::CheckResult::Warning.into(),
            finding: row.what.to_owned(),
            remedy: row.remedy.to_owned(),
        }]
    }
}

/// Waits for the decision with the local doors open. Ends with the approved application, or with why it is over.
///
/// # Errors
/// `APPLICATION_REJECTED` and the like; the first part that cannot start.
pub async fn wait(
    config: &Config,
    data: &DataDir,
    clock: &SharedClock,
    on: &Runtimes,
    mut applicant: Applicant,
) -> Result<Applicant, CommandFailure> {
    let last_answer = LastAnswer::default();
    let identity = NodeIdentity::load(data.path())?;
    let waiting =
        Arc::new(WaitingStatus { authority: config.authority.clone(), identity, last_answer: last_answer.clone() });
    let node = Node { status: waiting.clone(), upkeep: waiting, codes: Codes::new([0; 32]) };
    let mut serving = Serving::new();
    let guard = listeners::guard(listeners::empty_view(), clock, listeners::no_budget(), on, serving.stopping());
    listeners::local(config, &mut serving, &guard, &routes::waiting(node, HealthReporter::new()), on)?;
    super::signals::ready("waits for approval");
    let door = door(data, &applicant, clock)?;
    let decided = applicant.run(&door, |applying, failed| {
        if let Some(reason) = failed {
            havenlink_runtime::repeated!(info by reason.code(); reason = reason.code(), "the application waits");
        }
        last_answer.set(applying, failed);
    });
    let decided = decided.await.map_err(|e| CommandFailure::new(e.reason()).cause(&e));
    let decided = decided.map_err(|failure| told_why(failure, &applicant));
    serving.stop(std::time::Duration::from_secs(1)).await;
    decided.map(|_| applicant)
}

/// The stewards' reason for a rejection, beside the failure that it is.
pub fn told_why(failure: CommandFailure, applicant: &Applicant) -> CommandFailure {
    match applicant.applying().progress().and_then(|progress| progress.rejection) {
        Some(rejection) => failure.fact("because", rejection.name()),
        None => failure,
    }
}

/// Takes an application back: the inviter's node hears it, and the register too if stewards decide already.
///
/// # Errors
/// `APPLICATION_UNKNOWN` when none is under way here; `DATA_DIR_IN_USE` while the node runs and waits; what the inviter
/// answers.
pub fn withdraw(config: &Config) -> Result<(), CommandFailure> {
    transport::install_provider();
    let data = DataDir::take(&config.data_dir)?;
    let mut applicant =
        Applicant::resume(data.path())?.ok_or_else(|| CommandFailure::new(Reason::ApplicationUnknown))?;
    let (clock, key) = (crate::clock::SystemClock::shared(), data.authority_key()?);
    let runtimes = super::runtimes::Runtimes::start(1)?;
    let withdrawn: Result<(), CommandFailure> = runtimes.block_on(async {
        let inviter = door(&data, &applicant, &clock)?;
        let proposal = applicant.proposal(&inviter).await?;
        let signed = match proposal {
            Some(proposal) => {
                let invitation = &applicant.token().invitation;
                let nonce = super::entry::nonce()?;
                Some(crate::wire::invitation::sign_withdrawal(invitation, &proposal, &key, nonce, clock.now()))
            }
            None => None,
        };
        Ok(applicant.withdraw(&inviter, signed).await?)
    });
    runtimes.shutdown();
    withdrawn?;
    println!("{} has taken its application back", config.authority);
    println!("next: havenlink join TOKEN, with a new invitation");
    Ok(())
}
