//! Answers: their arrival changes nothing but the inbox; what they answer shows them (`held`).

use crate::domain::records::answer::Answer;

use super::{Arrival, Arrived};

pub(super) async fn arrived(_: &Answer, _: Arrival<'_>) -> Arrived {
    Ok(Ok(()))
}
