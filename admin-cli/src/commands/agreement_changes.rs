//! What an agreement changes beside those in force (`diff`), and the same one again with a later end (`renew`).

use clap::Args;
use havenlink_proto::admin::v1::agreement_service_client::AgreementServiceClient;
use havenlink_proto::admin::v1::{
    AgreementDifference, AgreementState, HeldAgreement, ProposeAgreementRequest, ShowAgreementRequest,
};
use havenlink_proto::record::v1::{Agreement, Grant, Party};

use super::agreement::{find, proposed, sentence};
use super::transfers::{self, GivenTransfer};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, View, clean};
use crate::session::{Session, call};
use crate::value::to_json;
use crate::when;

const DAY: i64 = 86_400_000;

/// What changes when an agreement is agreed again.
#[derive(Clone, Debug, Args)]
pub struct Renewal {
    /// Its id, or the beginning of it
    pub agreement: String,
    /// Last day (UTC), or a span from now; nothing is endless
    #[arg(long, value_parser = when::parse_end, value_name = "TIME")]
    pub until: i64,
    /// When the parties look at it again; in a year, or at its end
    #[arg(long, value_parser = when::parse_end, value_name = "TIME")]
    pub review_by: Option<i64>,
    /// Bases for transfers, in the form of agreement propose; they replace those of the same country
    #[arg(long, value_parser = transfers::parse, value_name = "WHAT")]
    pub transfer: Vec<GivenTransfer>,
}

/// What it changes, in plain sentences.
pub async fn diff(session: &Session, typed: &str) -> Result<(), Failure> {
    let held = find(session, typed).await?;
    let request = ShowAgreementRequest { agreement_id: held.agreement_id.clone() };
    let answer = call!(session, AgreementServiceClient, show_agreement, request)?;
    let difference = answer.difference.unwrap_or_default();
    let pairs = vec![
        ("agreement", Cell::id(id::show(&held.agreement_id))),
        ("new", Cell::list(difference.new.iter())),
        ("other end", Cell::list(difference.other_end.iter())),
        ("not in it", Cell::list(difference.not_in_it.iter())),
    ];
    session.show(&View::text(to_json(&difference), lines(&difference), pairs))?;
    let state = answer.agreement.unwrap_or_default().state;
    if state == AgreementState::Proposed as i32 {
        session.next(&[format!("havenctl agreement sign {}", id::short(&held.agreement_id))]);
    }
    Ok(())
}

fn lines(difference: &AgreementDifference) -> String {
    let AgreementDifference { new, other_end, not_in_it } = difference;
    let mut text = String::new();
    for (title, mark, said) in [
        ("new in it:", '+', new),
        ("in force already, and in it with another end:", '~', other_end),
        ("in force and not in it; that goes on until its own end:", '-', not_in_it),
    ] {
        if !said.is_empty() {
            text.push_str(&format!("{title}\n"));
            text.extend(said.iter().map(|said| format!("  {mark} {}\n", clean(said))));
        }
    }
    if text.is_empty() { "nothing changes with it: all of it is in force already\n".to_owned() } else { text }
}

/// Proposes the same again, with a later end.
pub async fn renew(session: &Session, renewal: &Renewal) -> Result<(), Failure> {
    let held = find(session, &renewal.agreement).await?;
    let request = ShowAgreementRequest { agreement_id: held.agreement_id };
    let held = call!(session, AgreementServiceClient, show_agreement, request)?.agreement.unwrap_or_default();
    let agreement = renewed(&held, renewal, when::now_ms())?;
    agreement.grants.iter().for_each(|grant| session.say(&sentence(grant)));
    let request = ProposeAgreementRequest { request_id: session.request_id(), agreement: Some(agreement) };
    let answer = call!(session, AgreementServiceClient, propose_agreement, request)?;
    proposed(session, &answer)?;
    let old = id::short(&held.agreement_id);
    session.next(&[
        format!("there: havenctl agreement sign {}", id::short(&answer.agreement_id)),
        format!("once all have signed: havenctl agreement end {old} --reason REPLACED"),
    ]);
    Ok(())
}

/// The same parties, but for those that left, and the same grants, from now until the new end.
fn renewed(held: &HeldAgreement, renewal: &Renewal, now: i64) -> Result<Agreement, Failure> {
    let old = held.agreement.clone().unwrap_or_default();
    if held.state == AgreementState::Proposed as i32 {
        let next = "havenctl agreement propose makes another one; a proposal that nobody signs is forgotten";
        return Err(Failure::usage("not everybody has signed it: there is nothing to renew", next));
    }
    if renewal.until <= now {
        return Err(Failure::usage("it would end before it begins", "choose a later --until"));
    }
    let stays = |authority: &String| held.left.iter().all(|left| left.authority != *authority);
    let given = |party: &Party| {
        let given = renewal.transfer.iter().filter(|given| given.is_for(&party.authority));
        given.map(|given| given.transfer.clone()).collect::<Vec<_>>()
    };
    let party = |party: Party| {
        let given = given(&party);
        let kept = party.transfers.into_iter().filter(|old| given.iter().all(|new| new.country != old.country));
        Party { transfers: kept.chain(given.iter().cloned()).collect(), ..party }
    };
    let parties: Vec<Party> = old.parties.into_iter().filter(|party| stays(&party.authority)).map(party).collect();
    if parties.len() < 2 {
        let next = "havenctl agreement propose AUTHORITY makes a new one";
        return Err(Failure::usage("fewer than two of its parties are left", next));
    }
    let grants = old.grants.into_iter().filter(|grant| stays(&grant.from) && stays(&grant.to));
    let grants = grants.map(|grant| Grant { valid_from_ms: now, valid_until_ms: renewal.until, ..grant });
    Ok(Agreement {
        parties,
        grants: grants.collect(),
        review_by_ms: renewal.review_by.unwrap_or(renewal.until.min(now + 365 * DAY)),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use havenlink_proto::admin::v1::PartyLeft;

    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn held(state: AgreementState) -> HeldAgreement {
        let party = |name: &str| Party { authority: name.into(), ..Default::default() };
        let grant = |from: &str, to: &str| Grant {
            from: from.into(),
            to: to.into(),
            retention_ms: 7,
            valid_from_ms: 1,
            valid_until_ms: NOW + 1,
            ..Default::default()
        };
        let agreement = Agreement {
            parties: vec![party("fr-strasbourg"), party("gb-leeds"), party("de-kehl")],
            grants: vec![grant("fr-strasbourg", "de-kehl"), grant("fr-strasbourg", "gb-leeds")],
            nonce: vec![1; 16].into(),
            ..Default::default()
        };
        HeldAgreement { agreement: Some(agreement), state: state.into(), ..Default::default() }
    }

    fn renewal() -> Renewal {
        let digits = "ab".repeat(32);
        let transfer = transfers::parse(&format!("gb=ADEQUACY:2027-12-31:{digits}")).unwrap();
        Renewal { agreement: "ab".into(), until: NOW + 400 * DAY, review_by: None, transfer: vec![transfer] }
    }

    #[test]
    fn it_is_the_same_with_later_dates_and_without_those_that_left() {
        let mut old = held(AgreementState::InForce);
        let new = renewed(&old, &renewal(), NOW).unwrap();
        assert_eq!((new.parties.len(), new.grants.len(), new.nonce.len()), (3, 2, 0));
        let grant = &new.grants[0];
        assert_eq!((grant.retention_ms, grant.valid_from_ms, grant.valid_until_ms), (7, NOW, NOW + 400 * DAY));
        assert_eq!(new.review_by_ms, NOW + 365 * DAY);
        let transfers: Vec<usize> = new.parties.iter().map(|party| party.transfers.len()).collect();
        assert_eq!(transfers, [0, 1, 0]);
        // Renewed once more, a basis takes the place of the one before.
        old.agreement = Some(new);
        let again = renewed(&old, &renewal(), NOW).unwrap();
        assert_eq!(again.parties[1].transfers.len(), 1);
        old.left = vec![PartyLeft { authority: "gb-leeds".into(), ..Default::default() }];
        let pair = renewed(&old, &renewal(), NOW).unwrap();
        assert_eq!((pair.parties.len(), pair.grants.len()), (2, 1));
        old.left.push(PartyLeft { authority: "de-kehl".into(), ..Default::default() });
        assert!(renewed(&old, &renewal(), NOW).unwrap_err().what.contains("fewer than two"));
    }

    #[test]
    fn what_was_not_signed_or_would_be_over_is_not_renewed() {
        let refused = |state, renewal: &Renewal| renewed(&held(state), renewal, NOW).unwrap_err().what;
        assert!(refused(AgreementState::Proposed, &renewal()).contains("nothing to renew"));
        assert!(refused(AgreementState::InForce, &Renewal { until: NOW, ..renewal() }).contains("before it begins"));
        assert!(renewed(&held(AgreementState::Expired), &renewal(), NOW).is_ok());
    }

    #[test]
    fn a_difference_is_told_by_sort_and_none_is_told_too() {
        let difference = AgreementDifference {
            new: vec!["a sees b".into()],
            other_end: vec!["c sees d; until 2028 instead of 2027".into()],
            not_in_it: vec!["e sees f".into()],
        };
        let text = lines(&difference);
        assert!(text.contains("new in it:\n  + a sees b\n") && text.contains("  ~ c sees d") && text.contains("  - e"));
        assert!(lines(&AgreementDifference::default()).starts_with("nothing changes"));
    }
}
