//! The end as the system asks for it, and what the service manager is told.

use tokio::signal::unix::{SignalKind, signal};

use super::failure::CommandFailure;
use crate::domain::reason::Reason;

/// Waits until the process is asked to end.
///
/// # Errors
/// When the system takes no handler.
pub async fn asked_to_end() -> Result<(), CommandFailure> {
    let failed = |e: std::io::Error| CommandFailure::new(Reason::Internal).about("no signal handler").cause(&e);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Tells systemd that the node is ready, with one line of status. Does nothing elsewhere.
pub fn ready(line: &str) {
    notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status(line)]);
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
