//! The commands of the binary.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::data_dir::DataDir;
use super::failure::CommandFailure;
use super::member::RunningMember;
use super::renewal::LIFE;
use super::reread::{Load, Rereading};
use super::runtimes::Runtimes;
use super::signals::{Asked, Signals};
use super::token::Token;
use super::{applicant, entry, genesis, recipient, signals};
use crate::clock::{SharedClock, SystemClock};
use crate::config::{Config, LogFormat, LogLevel};
use crate::directory::statements::Author;
use crate::directory::{self, Directory, Opening};
use crate::domain::directory::Policy;
use crate::domain::ids::FederationId;
use crate::domain::join::applicant::Next;
use crate::domain::reason::Reason;
use crate::domain::time::Millis;
use crate::exchange::join::Applicant;
use crate::services::layers;
use crate::telemetry::journal::{Entry, Event};
use crate::telemetry::{self, Export, Form, Settings, metrics};
use crate::transport::{self, NodeIdentity};
use crate::wire;
use crate::wire::keys::SigningKey;

/// What a federation may set at its beginning.
#[derive(Clone, Debug, Default)]
pub struct GenesisPolicy {
    pub freshness_limit: Option<Millis>,
    pub beat_interval: Option<Millis>,
    pub snapshot_interval: Option<u64>,
    pub admission_approvals: Option<u32>,
}

impl From<directory::Error> for CommandFailure {
    fn from(error: directory::Error) -> Self {
        Self::new(error.reason()).cause(&error)
    }
}

impl From<crate::exchange::join::Error> for CommandFailure {
    fn from(error: crate::exchange::join::Error) -> Self {
        let failure = Self::new(error.reason());
        let failure = match not_reached(&error) {
            // Who did not answer, and where: not what the call looked like inside.
            Some(diagnosis) => diagnosis.detail.into_iter().fold(failure, |f, (name, fact)| f.fact(name, fact)),
            None => failure.cause(&error),
        };
        match error.reason() {
            Reason::PeerUnreachable => failure.remedy(
                "the same command again: it goes on where it ended; until then ask the inviter whether its node runs and its \
                 address is open",
            ),
            _ => failure,
        }
    }
}

/// What the line knows of a call that got no answer.
fn not_reached(error: &crate::exchange::join::Error) -> Option<transport::Diagnosis> {
    let first: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(first), |error| error.source());
    let status = causes.find_map(|error| error.downcast_ref::<tonic::Status>())?;
    let diagnosis = transport::diagnose(status);
    (!diagnosis.detail.is_empty()).then_some(diagnosis)
}

/// Starts a federation. `recipient`: the public half of a recovery key that is somewhere already.
///
/// # Errors
/// `ALREADY_JOINED`, and whatever stands in the way of files and keys.
pub fn init(config: &Config, wished: GenesisPolicy, recipient: Option<&str>) -> Result<(), CommandFailure> {
    let recipient = recipient.map(recipient::parse).transpose()?;
    let data = fresh(config)?;
    // Before there is a register, which could not be founded again. What was shown stays if the rest fails, for the next try.
    recipient::settle(data.path(), recipient.as_ref())?;
    let founded = found(config, &data, &wished);
    if founded.is_err() {
        data.forget_keys();
    }
    let directory = founded?;
    let view = directory.view();
    println!("{} founded federation {}", config.authority, view.federation);
    println!("  data       {}", config.data_dir.display());
    println!(
        "  reached at {}",
        view.members.values().flat_map(|m| m.entry.endpoints.clone()).collect::<Vec<_>>().join(", ")
    );
    println!("next: havenlink run        (or systemctl start havenlink)");
    println!("next: havenctl invite create --for AUTHORITY");
    Ok(())
}

/// A data directory without keys and without a register. What is left of an application that is over goes, and one that
/// nobody has answered yet too: with an invitation it begins anew, under new keys.
fn fresh(config: &Config) -> Result<DataDir, CommandFailure> {
    transport::install_provider();
    cleared(config, DataDir::take(&config.data_dir)?)
}

fn cleared(config: &Config, data: DataDir) -> Result<DataDir, CommandFailure> {
    let over = |found: &Applicant| matches!(found.applying().next(), Next::Stop(_)) || found.is_unanswered();
    let under_way = match Applicant::resume(data.path())? {
        Some(found) if over(&found) => found.finish().map(|()| None)?,
        found => found,
    };
    if let Some(applicant) = under_way {
        let failure =
            CommandFailure::new(Reason::AlreadyJoined).fact("directory", config.data_dir.display().to_string());
        let under_way = format!("an application to {} is under way", applicant.token().invitation.inviter);
        return Err(failure.fact("but", under_way).remedy("havenlink withdraw, then havenlink join TOKEN"));
    }
    if has_register(config, &data) {
        let joined =
            CommandFailure::new(Reason::AlreadyJoined).fact("directory", config.data_dir.display().to_string());
        let lost =
            data.authority_key().is_err().then_some("authority.key is lost: havenlink recover shows the way back");
        return Err(lost.into_iter().fold(joined, |failure, lost| failure.fact("but", lost)));
    }
    // Keys without a register are left from a run that did not come to its end; nobody knows them.
    data.forget_keys();
    Ok(data)
}

/// Also when its key is lost: what is here is a member's, and comes back by `havenlink recover`.
fn has_register(config: &Config, data: &DataDir) -> bool {
    if data.path().join(crate::storage::sqlite::STORE_FILE).exists() {
        return true;
    }
    if !data.path().join(directory::FILE).exists() {
        return false;
    }
    let spare = || SigningKey::from_pkcs8(&SigningKey::generate().ok()?);
    let Some(key) = data.authority_key().ok().or_else(spare) else { return true };
    let opened = Directory::open(Opening {
        data_dir: data.path().to_owned(),
        authority: config.authority.clone(),
        key: Arc::new(key),
        clock: SystemClock::shared(),
        genesis: None,
    });
    !matches!(opened, Err(error) if error.reason() == Reason::NotJoined)
}

/// Keys, certificate and entry of a node that is being made.
fn own_entry(
    config: &Config,
    data: &DataDir,
    clock: &SharedClock,
    federation: &FederationId,
) -> Result<(SigningKey, crate::domain::authority::AuthorityEntry), CommandFailure> {
    let key = data.make_authority_key()?;
    let generated = NodeIdentity::generate(&config.authority, clock.now(), LIFE)?;
    NodeIdentity::store(data.path(), &generated)?;
    let raft_id = directory::raft_id(data.path())?;
    let pin = NodeIdentity::load(data.path())?.pinned(federation, &config.authority)?;
    let entry = entry::entry(config, key.public(), pin, raft_id)?;
    // What the register would refuse is told before anything is signed.
    wire::entry::from_proto(wire::entry::to_proto(&entry))
        .map_err(|e| CommandFailure::new(e.reason).about(format!("{} {}", e.field, e.detail)))?;
    Ok((key, entry))
}

pub(super) fn found(config: &Config, data: &DataDir, wished: &GenesisPolicy) -> Result<Directory, CommandFailure> {
    let clock = SystemClock::shared();
    let (key, entry) = own_entry(config, data, &clock, &wire::signed::NO_FEDERATION)?;
    let usual = Policy::default();
    let policy = Policy {
        freshness_limit: wished.freshness_limit.unwrap_or(usual.freshness_limit),
        beat_interval: wished.beat_interval.unwrap_or(usual.beat_interval),
        snapshot_interval: wished.snapshot_interval.unwrap_or(usual.snapshot_interval),
        admission_approvals: wished.admission_approvals.unwrap_or(usual.admission_approvals),
        ..usual
    };
    let author = Author { authority: &config.authority, key: &key, now: clock.now(), nonce: entry::nonce()? };
    let statement = author.genesis(&entry, &policy);
    genesis::keep(data.path(), &statement)?;
    let opening = Opening {
        data_dir: data.path().to_owned(),
        authority: config.authority.clone(),
        key: Arc::new(key),
        clock,
        genesis: Some(statement),
    };
    Ok(Directory::open(opening)?)
}

/// Applies with a token, prints the six words, and unless told otherwise leaves the waiting to `run`. `keep` writes the
/// configuration once the application is on disk.
///
/// # Errors
/// What is wrong with the token or the invitation; whatever stands in the way of files and keys.
pub fn join(
    config: &Config,
    token: &Token,
    wait: bool,
    recipient: Option<&str>,
    keep: impl FnOnce() -> Result<(), CommandFailure>,
) -> Result<(), CommandFailure> {
    transport::install_provider();
    let recipient = recipient.map(recipient::parse).transpose()?;
    let parsed = token.parsed();
    let clock = SystemClock::shared();
    let name = |failure: CommandFailure| {
        let (made, expires) = (parsed.invitation.created, parsed.invitation.expires);
        let failure = failure
            .fact("inviter", parsed.invitation.inviter.to_string())
            .fact("for", parsed.invitation.intended_for.to_string());
        match failure.reason() {
            Reason::ClockDiffers | Reason::InvitationExpired => failure
                .fact("made", format!("{made} by the inviter's clock, good until {expires}"))
                .fact("this clock", format!("{}; timedatectl shows whether it is right", clock.now())),
            _ => failure,
        }
    };
    Applicant::check(parsed, Some(&config.authority), clock.now()).map_err(|e| name(e.into()))?;
    let data = DataDir::take(&config.data_dir)?;
    let going_on = Applicant::resume(data.path())?.filter(|applicant| {
        applicant.token().invitation.id == parsed.invitation.id && !matches!(applicant.applying().next(), Next::Stop(_))
    });
    // The same token again goes on where it stopped.
    let (data, applicant) = match going_on {
        Some(applicant) => (data, applicant),
        None => {
            let data = cleared(config, data)?;
            let begun = apply(config, &data, parsed, &clock);
            if begun.is_err() {
                data.forget_keys();
            }
            (data, begun?)
        }
    };
    keep()?;
    recipient::settle(data.path(), recipient.as_ref())?;
    let runtimes = Runtimes::start(1)?;
    let joined = runtimes.block_on(introduce(config, &data, &clock, applicant, wait));
    runtimes.shutdown();
    if joined.as_ref().is_err_and(|failure| failure.reason() == Reason::ClockDiffers)
        && let Some(unanswered) = Applicant::resume(data.path())?.filter(Applicant::is_unanswered)
    {
        // A certificate of a wrong clock is good at other times: with the right one it begins anew.
        unanswered.finish()?;
        data.forget_keys();
    }
    joined.map_err(name)
}

fn apply(
    config: &Config,
    data: &DataDir,
    parsed: &wire::invitation::Token,
    clock: &SharedClock,
) -> Result<Applicant, CommandFailure> {
    let (key, entry) = own_entry(config, data, clock, &parsed.invitation.federation)?;
    let pin = entry.pins[0].pin;
    let application =
        wire::invitation::sign_application(&parsed.invitation, &entry, &key, entry::nonce()?, clock.now());
    Ok(Applicant::begin(data.path(), &parsed.text, application, pin)?)
}

async fn introduce(
    config: &Config,
    data: &DataDir,
    clock: &SharedClock,
    mut applicant: Applicant,
    wait: bool,
) -> Result<(), CommandFailure> {
    let door = applicant::door(data, &applicant, clock)?;
    let mut tries = 0;
    while applicant.applying().words().is_none() {
        match applicant.step(&door).await {
            Ok(Next::Stop(reason)) => return Err(CommandFailure::new(reason)),
            Ok(_) => {}
            // What the inviter's node did not say itself may pass; a person waits for it a moment, and asks again.
            Err(error) if tries < 5 && error.reason() != Reason::ClockDiffers => {
                tries += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let inviter = applicant.token().invitation.inviter.clone();
    if let Some(words) = applicant.applying().words() {
        println!("{} has applied to {inviter}. Read these six words to them by phone:", config.authority);
        println!();
        println!("  {words}");
        println!();
    }
    if !wait {
        println!("next: havenlink run        (or systemctl start havenlink): it waits for the approval");
        return Ok(());
    }
    let mut approvals = None;
    let decided = applicant.run(&door, |applying, failed| {
        if let Some(reason) = failed.filter(|r| r.retryable()) {
            eprintln!("waiting: {}", reason.row().what);
        }
        let now = applying.progress().map(|p| (p.approvals, p.needed));
        if now != approvals
            && let Some((given, needed)) = now.filter(|n| n.1 > 0)
        {
            eprintln!("waiting: {given} of {needed} stewards approved");
        }
        approvals = now;
    });
    decided.await.map_err(|e| applicant::told_why(e.into(), &applicant))?;
    println!("{} is approved.", config.authority);
    println!("next: havenlink run        (or systemctl start havenlink)");
    Ok(())
}

/// Runs the node until it is asked to end. `reread` loads the configuration again when SIGHUP asks for it.
/// `with_starter`: ends with whoever holds the other end of standard input. `clock_is_right`: it orders by its clock although
/// members agree on another time.
///
/// # Errors
/// The first part that cannot start, or why an application is over.
pub fn run(config: Config, reread: Load, with_starter: bool, clock_is_right: bool) -> Result<(), CommandFailure> {
    transport::install_provider();
    let runtimes = Runtimes::start(config.worker_threads.0)?;
    let signals = runtimes.block_on(async { Signals::take(with_starter) })?;
    let telemetry = runtimes.block_on(async { start_telemetry(&config) })?;
    let on = runtimes.handles();
    let rereading = Rereading::new(config.clone(), reread, telemetry.levels());
    let ran = runtimes.block_on(run_until_asked(config, &on, signals, &rereading, clock_is_right));
    if let Err(failure) = &ran {
        tracing::error!(reason = failure.reason().code(), "the node ends");
    }
    telemetry.shutdown();
    runtimes.shutdown();
    ran
}

async fn run_until_asked(
    config: Config,
    on: &layers::Runtimes,
    mut signals: Signals,
    rereading: &Rereading,
    clock_is_right: bool,
) -> Result<(), CommandFailure> {
    let clock = SystemClock::shared();
    metrics::START_SECONDS.set([], clock.now().0 / 1_000);
    let watchdog = tokio::spawn(signals::watchdog());
    let data = DataDir::take_to_run(&config.data_dir)?;
    let mut joined = None;
    if let Some(applicant) = Applicant::resume(data.path())? {
        let decided = applicant::wait(&config, &data, &clock, on, applicant);
        tokio::pin!(decided);
        while joined.is_none() {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::End => {
                        Entry::of(Event::NodeStops).tell();
                        return Ok(());
                    }
                    Asked::Reread => drop(rereading.read()),
                },
                decided = &mut decided => joined = Some(decided?),
            }
        }
    }
    let member = RunningMember::start(config, data, clock, on, joined).await?;
    if clock_is_right {
        member.clock_is_right();
    }
    signals::ready("runs");
    let mut taking = None;
    while signals.next().await == Asked::Reread {
        signals::rereading();
        if let Some((config, _)) = rereading.read() {
            let changeable = member.changeable().clone();
            // A partner that does not answer does not keep the node from ending.
            taking = Some(tokio::spawn(async move { changeable.take(&config).await }));
        }
        signals::ready("runs");
    }
    if let Some(taking) = taking {
        taking.abort();
    }
    signals::stopping();
    Entry::of(Event::NodeStops).tell();
    member.stop().await;
    watchdog.abort();
    Ok(())
}

/// The level of the configuration as the log has it.
pub(super) fn level_of(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

fn start_telemetry(config: &Config) -> Result<telemetry::Telemetry, CommandFailure> {
    let level = level_of(config.log_level);
    let form = match config.log_format {
        LogFormat::Text => Form::Text,
        LogFormat::Json => Form::Json,
    };
    let endpoint = config.otlp_endpoint.as_option().cloned();
    let asked = endpoint.is_some() || Export::asked_by_environment();
    let interval = Duration::from_secs(15);
    let export = asked.then_some(Export { endpoint, sample: config.otlp_sample.0, interval });
    let settings = Settings { level, form, export, instance: config.authority.to_string() };
    telemetry::start(settings)
        .map_err(|e| CommandFailure::new(Reason::ConfigInvalid).about("otlp.endpoint").fact("cause", e.to_string()))
}

/// Plays the demo.
///
/// # Errors
/// When a step was not as it should be.
pub fn demo(dir: Option<PathBuf>, exit: bool) -> Result<(), CommandFailure> {
    let runtimes = Runtimes::start(2)?;
    let options = crate::demo::Options { exit, dir, alerts: 1_000 };
    let played = runtimes.block_on(async {
        let signals = Signals::take(false)?;
        Ok::<_, CommandFailure>(crate::demo::run(options, signals.any()).await)
    })?;
    runtimes.shutdown();
    match played {
        Ok(true) => Ok(()),
        Ok(false) => Err(CommandFailure::new(Reason::Internal).about("a step of the demo was not as it should be")),
        Err(error) => Err(CommandFailure::new(Reason::Internal).about("the demo").fact("cause", format!("{error:#}"))),
    }
}
