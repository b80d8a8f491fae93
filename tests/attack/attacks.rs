//! The attacks: each goes on by itself, on threads that are nicer than the honest ones, until it is stopped.

mod answers;
mod frames;
mod local;
mod peer;
mod steward;
mod strangers;

pub use local::{hold, may_be_another_user};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::target::Target;

/// How nice an attacker's threads are to others on this machine: its own work is not what is measured.
const NICE: i32 = 10;

/// Threads of the control; each counts once.
pub const BURNING: u64 = 2;
/// An attack that was stopped has let go of everything after this long.
const GONE: Duration = Duration::from_secs(2);

/// What somebody does to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// Nothing at all.
    Quiet,
    /// The control: processor time is burnt, and the node left alone.
    Busy,
    /// Deliver, with as many empty items as fit into a message.
    EmptyItems,
    /// Deliver, with a full batch of envelopes whose signatures are bad.
    BadSignatures,
    /// Deliver, and the connection is dropped before the answer.
    HangUp,
    /// Greet, each time as if everything had begun anew.
    Greetings,
    /// The methods of Raft, by a member that is no steward.
    Raft,
    /// The register asked on and on.
    Questions,
    /// Statements and beats that are none.
    Statements,
    /// Frames of HTTP/2 that ask for nothing.
    Frames,
    /// New keys of TLS, on and on, at the peer port and at `local.listen`.
    KeyUpdates,
    /// Guesses at the door for applicants.
    Guesses,
    /// Handshakes that are begun, and not gone on with, from many addresses.
    HalfOpen,
    /// Handshakes with a key that nobody knows, at the peer port and at `local.listen`.
    InVain,
    /// Answers full of nothing to what the node itself asks.
    FatAnswers,
    /// Errors as answers to what the node itself asks.
    Errors,
    /// Answers that no library would make, to what the node itself asks.
    Garbled,
    /// Votes asked for, and appends sent, by a steward, in terms that rise and in terms that are over.
    Votes,
    /// A steward's answers to the one that leads: streams that end, errors, nonsense.
    StewardAnswers,
    /// Local connections that say nothing, at the socket that the honest city uses.
    Silent,
    /// The same at loopback HTTP.
    SilentHttp,
    /// Calls and connections with a key of the city's own software, at `local.listen`.
    OwnSoftware,
    /// All of them.
    Everything,
}

impl Attack {
    /// Those that are measured.
    pub const ALL: &[Self] = &[
        Self::EmptyItems,
        Self::BadSignatures,
        Self::HangUp,
        Self::Greetings,
        Self::Raft,
        Self::Questions,
        Self::Statements,
        Self::Frames,
        Self::KeyUpdates,
        Self::Guesses,
        Self::HalfOpen,
        Self::InVain,
        Self::FatAnswers,
        Self::Errors,
        Self::Garbled,
        Self::StewardAnswers,
        Self::Votes,
        Self::Silent,
        Self::SilentHttp,
        Self::OwnSoftware,
        Self::Everything,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Busy => "control",
            Self::EmptyItems => "empty-items",
            Self::BadSignatures => "bad-signatures",
            Self::HangUp => "hang-up",
            Self::Greetings => "greetings",
            Self::Raft => "raft-by-a-member",
            Self::Questions => "questions",
            Self::Statements => "statements",
            Self::Frames => "frames",
            Self::KeyUpdates => "key-updates",
            Self::Guesses => "guesses",
            Self::HalfOpen => "half-open",
            Self::InVain => "in-vain",
            Self::FatAnswers => "fat-answers",
            Self::Errors => "errors",
            Self::Garbled => "garbled-answers",
            Self::Votes => "steward-votes",
            Self::StewardAnswers => "steward-answers",
            Self::Silent => "silent-local",
            Self::SilentHttp => "silent-http",
            Self::OwnSoftware => "own-software",
            Self::Everything => "everything",
        }
    }

    /// Whether processor time at the attacker's will was the fault, or would be: a gate holds it.
    pub fn bounds_cores(self) -> bool {
        matches!(self, Self::Guesses | Self::Errors | Self::StewardAnswers)
    }

    /// Whether the stewards may find nobody to lead meanwhile.
    pub fn hinders_order(self) -> bool {
        matches!(self, Self::Votes | Self::Everything)
    }

    /// Whether its calls are what the nodes ask of it by themselves.
    pub fn answers(self) -> bool {
        matches!(self, Self::FatAnswers | Self::Errors | Self::Garbled | Self::StewardAnswers)
    }

    /// Whether rows and lines at the attacker's will were the fault.
    pub fn bounds_disk(self) -> bool {
        self == Self::BadSignatures
    }

    /// Whether honest software calls at `local.listen` meanwhile, and not at its socket.
    pub fn honest_over_tls(self) -> bool {
        matches!(self, Self::OwnSoftware | Self::InVain)
    }
}

/// An attack under way.
pub struct Running {
    runtime: Runtime,
    stop: Arc<AtomicBool>,
    burning: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// When the system has no threads left.
    pub fn start(attack: Attack, target: &Target) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_start(be_nice)
            .enable_all()
            .build()?;
        let (stop, target) = (Arc::new(AtomicBool::new(false)), target.clone());
        let burning = if attack == Attack::Busy { burn(&stop, &target) } else { Vec::new() };
        let _entered = runtime.enter();
        launch(attack, &target);
        Ok(Self { runtime, stop, burning })
    }

    /// Stops it where it is: its connections are gone, and what it heard at is free.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = tokio::task::spawn_blocking(move || {
            self.runtime.shutdown_timeout(GONE);
            // A thread that panicked burns no more either.
            self.burning.into_iter().for_each(|burning| drop(burning.join()));
        });
        _ = ended.await;
    }
}

/// On Linux this is of the thread that asks.
fn be_nice() {
    _ = rustix::process::nice(NICE);
}

/// Threads that do nothing but work.
fn burn(stop: &Arc<AtomicBool>, target: &Target) -> Vec<JoinHandle<()>> {
    let burn = |_| {
        let (stop, target) = (stop.clone(), target.clone());
        std::thread::spawn(move || {
            be_nice();
            target.made();
            let mut state = 1_u64;
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..100_000 {
                    state = std::hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
                }
            }
        })
    };
    (0..BURNING).map(burn).collect()
}

/// Spawns its tasks on the runtime that is entered.
fn launch(attack: Attack, target: &Target) {
    match attack {
        Attack::Quiet | Attack::Busy => {}
        Attack::EmptyItems => peer::empty_items(target),
        Attack::BadSignatures => peer::bad_signatures(target),
        Attack::HangUp => peer::hang_up(target),
        Attack::Greetings => peer::greetings(target),
        Attack::Raft => peer::raft(target),
        Attack::Questions => peer::questions(target),
        Attack::Statements => peer::statements(target),
        Attack::Frames => frames::all_frames(target),
        Attack::KeyUpdates => frames::key_updates(target),
        Attack::Guesses => peer::guesses(target),
        Attack::HalfOpen => strangers::half_open(target),
        Attack::InVain => strangers::in_vain(target),
        Attack::FatAnswers => answers::fat(target),
        Attack::Errors => answers::errors(target),
        Attack::Garbled => answers::garbled(target),
        Attack::StewardAnswers => answers::of_a_steward(target),
        Attack::Votes => steward::floods(target),
        Attack::Silent => local::silent(target),
        Attack::SilentHttp => local::silent_http(target),
        Attack::OwnSoftware => local::own_software(target),
        Attack::Everything => {
            // Kehl's node answers in one place.
            answers::all(target);
            let once = [Attack::Everything, Attack::FatAnswers, Attack::Errors, Attack::Garbled];
            let others = Attack::ALL.iter().filter(|attack| !once.contains(attack));
            others.for_each(|attack| launch(*attack, target));
        }
    }
}

/// Whether the other side has closed a connection, by what reading from it gave.
fn ended(read: std::io::Result<usize>) -> bool {
    match read {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
