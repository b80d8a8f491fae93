//! Alerts: their arrival changes nothing but the inbox.

use crate::domain::records::alert::Alert;

use super::{Arrival, Arrived};

pub(super) async fn arrived(_: &Alert, _: Arrival<'_>) -> Arrived {
    Ok(Ok(()))
}
