//! What the system asks of the process, and what the service manager is told.

use std::os::fd::AsFd;

use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::CommandFailure;
use crate::domain::reason::Reason;

/// What the process is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM, SIGINT, or the end of whoever started it for themselves.
    End,
    /// SIGHUP: the configuration is read again.
    Reread,
}

/// From its making on no signal ends the process unheard; those that come before somebody waits are kept.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Its other end is held by whoever started the process, and closed by whatever ends them, SIGKILL included.
    starter: Option<pipe::Receiver>,
}

impl Signals {
    /// Takes the signals; within a runtime. `with_starter`: standard input is a pipe that the starter holds open, and its
    /// end asks for ours.
    ///
    /// # Errors
    /// When the system takes no handler, or standard input is no pipe.
    pub fn take(with_starter: bool) -> Result<Self, CommandFailure> {
        let taken =
            |kind| signal(kind).map_err(|e| CommandFailure::new(Reason::Internal).about("no signal handler").cause(&e));
        let starter = with_starter.then(|| {
            let input = std::io::stdin().as_fd().try_clone_to_owned();
            input.and_then(pipe::Receiver::from_owned_fd)
        });
        Ok(Self {
            terminate: taken(SignalKind::terminate())?,
            interrupt: taken(SignalKind::interrupt())?,
            hangup: taken(SignalKind::hangup())?,
            starter: starter.transpose().map_err(|_| CommandFailure::argument("standard input", "a pipe"))?,
        })
    }

    /// Waits until the process is asked for something.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            () = ended(self.starter.as_ref()) => Asked::End,
            _ = self.hangup.recv() => Asked::Reread,
        }
    }

    /// Waits for any signal: for what has nothing that could be read again, and ends with its terminal.
    pub async fn any(mut self) {
        self.next().await;
    }
}

/// What the starter writes there is nobody's; only the end counts.
async fn ended(starter: Option<&pipe::Receiver>) {
    let Some(pipe) = starter else { return std::future::pending().await };
    let mut nobodys = [0; 64];
    loop {
        match pipe.readable().await.and_then(|()| pipe.try_read(&mut nobodys)) {
            Ok(0) => return,
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Tells systemd that the node is ready, with one line of status. Does nothing elsewhere.
pub fn ready(line: &str) {
    notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(line)]);
}

/// Tells systemd that the configuration is being read again; `ready` tells when that is done.
pub fn rereading() {
    let Ok(now) = sd_notify::NotifyState::monotonic_usec_now() else { return };
    notify(&[sd_notify::NotifyState::Reloading, now]);
}

/// Tells systemd that the node is stopping.
pub fn stopping() {
    notify(&[sd_notify::NotifyState::Stopping]);
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    // Without a service manager there is nobody to tell.
    let _ = sd_notify::notify(states);
}

/// Tells systemd's watchdog that this runtime still runs, for as long as it does.
pub async fn watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut tick = tokio::time::interval(limit / 3);
    loop {
        tick.tick().await;
        notify(&[sd_notify::NotifyState::Watchdog]);
    }
}
