//! Answers: a recipient's word about a record that it received, sent back along the grant under which it came (9.2).

use crate::domain::answer::Answer;
use crate::domain::ids::RecordId;
use crate::domain::publication::Record;
use crate::domain::reason::Reason;
use crate::domain::record::{RecordKey, RecordKind};
use crate::domain::sharing::Sharing;
use crate::wire::{self, sealed};

use super::Exchange;
use super::call::Call;
use super::error::Error;
use super::publish::Checked;

impl Exchange {
    /// Answers a received alert. A later answer stands beside the earlier one.
    ///
    /// # Errors
    /// `TARGET_UNKNOWN` when no such alert is here; otherwise why the answer may not go back.
    pub async fn answer_alert(&self, call: &Call, target: RecordKey, answer: Answer) -> Result<RecordId, Error> {
        let answered = match self.check_answer(call, &target, answer).await {
            Ok(checked) => self.record(call, "AnswerAlert", checked, Some(target)).await,
            Err(refused) => self.published_before(call, "AnswerAlert", refused).await,
        };
        Ok(answered?.record_id)
    }

    async fn check_answer(&self, call: &Call, target: &RecordKey, answer: Answer) -> Result<Checked, Error> {
        answer.check().map_err(|fault| wire::Error::from(fault).within("answer"))?;
        let row = self.store().inbox_record(target.clone()).await?.filter(|row| row.kind == RecordKind::Alert);
        let row = row.ok_or(Reason::TargetUnknown)?;
        let envelope = sealed::own(&row.envelope)?;
        let grant = envelope.grant.ok_or(Reason::TargetUnknown)?;
        let sharing = Sharing {
            recipients: vec![envelope.origin],
            purpose: envelope.purpose,
            lawful_basis: envelope.lawful_basis,
            special_basis: envelope.special_basis,
            handling: envelope.handling,
            status: envelope.status,
            expires: None,
            review_by: None,
        };
        let record = Record::Answer { target: target.clone(), grant, answer };
        self.check(call, Some(row.recipient), sharing, record)
    }
}
