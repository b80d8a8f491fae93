//! Mandates: what this authority lets organisations do for it.

use super::{Decisions, Error};
use crate::directory::state::RegisterState;
use crate::directory::statements::Author;
use crate::domain::audit::{Actor, AuditAct};
use crate::domain::ids::AuthorityId;
use crate::domain::mandate::{IssuedMandate, Mandate};
use crate::domain::register::{Applied, Decided, Outcome};

impl Decisions {
    /// Issues a mandate to a member, in place of this authority's earlier one. The same again changes nothing.
    ///
    /// # Errors
    /// What the rules answer: `NOT_YOURS` from who answers for nobody's acts, `ENTRY_INVALID` for a holder that is no mandated
    /// organisation, `MEMBER_UNKNOWN`, `MEMBER_SUSPENDED`.
    pub async fn issue_mandate(&self, holder: &AuthorityId, mandate: Mandate, actor: Actor) -> Result<Decided, Error> {
        let state = self.state();
        let now = state.mandates().get(holder, &self.0.authority);
        if let Some(same) = now.filter(|now| now.mandate.as_ref() == Ok(&mandate)) {
            return Ok(as_it_stands(&state, same));
        }
        let issue = |author: &Author<'_>, state: &RegisterState| Ok(author.issue_mandate(state, holder, &mandate));
        self.act_alone(AuditAct::MandateIssued, Some(holder.clone()), actor, issue).await
    }

    /// Ends this authority's mandate for a member, at once. Of one that has ended, nothing changes.
    ///
    /// # Errors
    /// What the rules answer: `NOT_YOURS` where there never was one.
    pub async fn revoke_mandate(&self, holder: &AuthorityId, actor: Actor) -> Result<Decided, Error> {
        let state = self.state();
        let now = state.mandates().get(holder, &self.0.authority);
        if let Some(ended) = now.filter(|now| now.mandate.is_err()) {
            return Ok(as_it_stands(&state, ended));
        }
        let revoke = |author: &Author<'_>, state: &RegisterState| Ok(author.revoke_mandate(state, holder));
        self.act_alone(AuditAct::MandateRevoked, Some(holder.clone()), actor, revoke).await
    }
}

fn as_it_stands(state: &RegisterState, issued: &IssuedMandate) -> Decided {
    let (statement, outcome) = (issued.statement, Outcome::Accepted);
    let number = state.accepted(&statement).map_or(0, |(number, _)| number);
    let applied = Applied { statement, outcome, number, is_new: false, head: None };
    Decided { applied, approved_by: Vec::new(), needed: 0, overlay: false }
}

#[cfg(test)]
mod tests {
    use crate::directory::samples::{GENT, id};
    use crate::domain::audit::Actor;
    use crate::domain::authority::ParticipantKind;
    use crate::domain::mandate::{Mandate, MandatedActivity};
    use crate::domain::place::{Place, PlaceScheme};
    use crate::domain::reason::Reason;
    use crate::domain::time::{Millis, UnixMs};
    use crate::exchange::governance::RegisterPort;
    use crate::exchange::governance::tests::{kehl, refused};

    #[tokio::test]
    async fn a_mandate_that_is_asked_for_again_is_not_signed_again() {
        let (table, decisions) = kehl().await;
        let mandate = Mandate {
            activities: vec![MandatedActivity::Counselling],
            territory: vec![Place::new(PlaceScheme::Lau, "DE_08317057").unwrap()],
            valid_from: UnixMs(1),
            valid_until: UnixMs(1) + Millis::days(30),
        };
        let none = decisions.issue_mandate(&id(GENT), mandate.clone(), Actor::NODE).await;
        assert_eq!(refused(none), Reason::EntryInvalid, "Gent is a city");
        table.with(|world| {
            let mut entry = world.state.member(&id(GENT)).unwrap().entry.clone();
            entry.kind = ParticipantKind::MandatedNgo;
            let opened = world.act(GENT, |a, s| a.entry_change(s, &entry));
            world.decide(opened);
        });
        let issued = decisions.issue_mandate(&id(GENT), mandate.clone(), Actor::NODE).await.unwrap();
        let number = table.state().number();
        let again = decisions.issue_mandate(&id(GENT), mandate, Actor::NODE).await.unwrap();
        assert_eq!((again.applied.statement, table.state().number()), (issued.applied.statement, number));
        let revoked = decisions.revoke_mandate(&id(GENT), Actor::NODE).await.unwrap();
        let number = table.state().number();
        let again = decisions.revoke_mandate(&id(GENT), Actor::NODE).await.unwrap();
        assert_eq!((again.applied.number, table.state().number()), (revoked.applied.number, number));
    }
}
