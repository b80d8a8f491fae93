//! Asking the parties of unconfirmed agreements for the ENDs that they know (9.7): over the line, once each, and again while one
//! does not answer. What comes of an answer is the agreements' business.

use crate::domain::ids::AuthorityId;
use crate::domain::reason::Reason;
use crate::domain::stream::{EndsAnswer, EndsQuestion};
use crate::domain::time::Millis;
use crate::exchange::context::{Error, Passed, active};

use super::Road;

/// A party that answered may end the agreement later, and be unable to tell: it is asked again after this.
const AGAIN: Millis = Millis::minutes(10);

impl Road {
    /// Asks whoever is to be asked now. Those of one partner one after the other: one that is silent is asked once.
    ///
    /// # Errors
    /// When the store fails.
    pub(in crate::exchange) async fn ask_ends_pass(&self) -> Result<Passed, Error> {
        let now = self.now();
        let due = |question: &EndsQuestion| {
            self.agreements.answered_at(question).is_none_or(|at| now.since(at).0.abs() >= AGAIN.0)
        };
        let mut by_party = std::collections::BTreeMap::<AuthorityId, Vec<EndsQuestion>>::new();
        for held in self.agreements.unconfirmed() {
            for question in self.agreements.to_be_asked(&held).into_iter().filter(due) {
                by_party.entry(question.asked.clone()).or_default().push(question);
            }
        }
        let asked = futures_util::future::join_all(by_party.into_values().map(|questions| self.ask_ends_of(questions)));
        let mut passed = Passed::default();
        for of_party in asked.await {
            passed.done += of_party?;
        }
        Ok(passed)
    }

    async fn ask_ends_of(&self, questions: Vec<EndsQuestion>) -> Result<u64, Error> {
        let (mut done, mut silent) = (0, None);
        for question in questions {
            let answer = match silent {
                Some(reason) => Err(reason),
                None => self.ask_ends(&question).await,
            };
            match &answer {
                Ok(_) => done += 1,
                Err(reason) => silent = Some(*reason),
            }
            self.agreements.heard_ends(&question, answer).await?;
        }
        Ok(done)
    }

    async fn ask_ends(&self, question: &EndsQuestion) -> Result<EndsAnswer, Reason> {
        let view = self.view();
        active(&view, &question.asked, self.now())?;
        let host = view.host_of(&question.asked).ok_or(Reason::MemberUnknown)?.clone();
        self.link.ends(host, question.clone()).await.map_err(|error| error.reason)
    }
}
