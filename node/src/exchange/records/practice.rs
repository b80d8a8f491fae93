//! Practices: their arrival changes nothing but the inbox.

use crate::domain::records::practice::Practice;

use super::{Arrival, Arrived};

pub(super) async fn arrived(_: &Practice, _: Arrival<'_>) -> Arrived {
    Ok(Ok(()))
}
