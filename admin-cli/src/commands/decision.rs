//! What a decision led to: in force, or waiting for others.

use havenlink_proto::admin::v1::Decision;
use havenlink_proto::directory::v1::Outcome;

use crate::contract_enum;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, View};
use crate::reasons;
use crate::session::Session;
use crate::value::to_json;

/// Shows it; an outcome that is a refusal is a failure.
///
/// # Errors
/// The refusal.
pub fn show(session: &Session, act: &str, decision: Option<Decision>) -> Result<(), Failure> {
    let decision = &decision.unwrap_or_default();
    let outcome = contract_enum::name::<Outcome>(decision.outcome);
    if decision.outcome >= Outcome::Malformed as i32 {
        let fix = format!("havenctl explain {outcome}");
        return Err(Failure::new(
            &reasons::STATEMENT_REJECTED,
            format!("{act}: the register answered {outcome}"),
            "",
            fix,
        ));
    }
    let pairs = vec![
        ("statement_id", Cell::id(id::show(&decision.statement_id))),
        ("outcome", Cell::text(&outcome)),
        ("number", Cell::number(decision.number)),
        ("approved_by", Cell::list(decision.approved_by.iter())),
        ("needed", Cell::number(decision.needed)),
    ];
    session.show(&View::text(to_json(decision), text(act, decision), pairs))?;
    if decision.outcome == Outcome::Pending as i32 {
        session.next(&["havenctl member list --pending".into()]);
    }
    Ok(())
}

fn text(act: &str, decision: &Decision) -> String {
    let overlay = if decision.overlay { "; in force here at once, and spreading" } else { "" };
    if decision.outcome != Outcome::Pending as i32 {
        return format!("{act}: done, change {}{overlay}\n", decision.number);
    }
    let missing = (decision.needed as usize).saturating_sub(decision.approved_by.len());
    format!(
        "{act}: {} of {} stewards approved ({}), {missing} pending; decision {}{overlay}\n",
        decision.approved_by.len(),
        decision.needed,
        decision.approved_by.join(", "),
        id::short(&decision.statement_id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_says_who_is_missing() {
        let pending = Decision {
            statement_id: vec![0xcd; 32].into(),
            outcome: Outcome::Pending.into(),
            approved_by: vec!["fr-strasbourg".into()],
            needed: 2,
            ..Default::default()
        };
        assert_eq!(
            text("admit de-kehl", &pending),
            "admit de-kehl: 1 of 2 stewards approved (fr-strasbourg), 1 pending; decision cdcdcdcdcdcd\n"
        );
        let done = Decision { outcome: Outcome::Accepted.into(), number: 419, overlay: true, ..Default::default() };
        assert_eq!(
            text("suspend be-liege", &done),
            "suspend be-liege: done, change 419; in force here at once, and spreading\n"
        );
    }
}
