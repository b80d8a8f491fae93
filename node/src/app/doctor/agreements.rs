//! What the doctor sees of agreements that come to their end, or to their review.

use havenlink_proto::admin::v1::Check;

use super::{ok, warning};
use crate::domain::agreement::{AgreementDue, Reminder};
use crate::domain::time::UnixMs;

/// The most urgent one, and how many more there are.
pub(super) fn due(reminders: &[Reminder], now: UnixMs) -> Check {
    let Some(first) = reminders.first() else {
        return ok("agreements", "none waits for confirmation, ends or is due for review within 30 days");
    };
    let id: String = first.agreement.to_string().chars().take(12).collect();
    let about: Vec<&str> = first.about.iter().map(|authority| authority.as_str()).collect();
    let (about, at) = (about.join(", "), first.at);
    let more = match reminders.len() - 1 {
        0 => String::new(),
        more => format!("; {more} more: havenctl status"),
    };
    let (finding, remedy) = match first.due {
        AgreementDue::Ends => (
            format!("a grant of {id} with {about} ends on {at}, and none goes on with it"),
            format!("havenctl agreement renew {id} --until DATE"),
        ),
        AgreementDue::Review => {
            let when = if at <= now { "was due for review on" } else { "is due for review on" };
            let remedy =
                format!("havenctl agreement show {id}; havenctl agreement renew {id} --until DATE sets the next");
            (format!("{id} with {about} {when} {at}"), remedy)
        }
        AgreementDue::TransferLapses => {
            let when = if at <= now { "ended on" } else { "ends on" };
            (
                format!(
                    "the basis for transfers to {about} {when} {at}: nothing about a person goes there from then on"
                ),
                format!("havenctl agreement renew {id} --until DATE --transfer COUNTRY=BASIS:DATE:SHA-256"),
            )
        }
    };
    warning("agreements", finding + &more, remedy)
}

#[cfg(test)]
mod tests {
    use havenlink_proto::admin::v1::CheckResult;

    use super::*;
    use crate::domain::ids::{AgreementId, AuthorityId};
    use crate::domain::time::Millis;

    #[test]
    fn the_most_urgent_one_is_named_with_the_command_that_helps() {
        let now = UnixMs(1_800_000_000_000);
        assert_eq!(due(&[], now).result, CheckResult::Ok as i32);
        let reminder = |due, at| Reminder {
            agreement: AgreementId([0xab; 32]),
            due,
            at,
            about: vec![AuthorityId::parse("de-kehl").unwrap()],
        };
        let ends = reminder(AgreementDue::Ends, now + Millis::days(3));
        let told = due(&[ends.clone(), ends], now);
        assert!(told.finding.starts_with("a grant of abababababab with de-kehl ends on 2027-"), "{}", told.finding);
        assert!(told.finding.ends_with("; 1 more: havenctl status"), "{}", told.finding);
        assert_eq!(told.remedy, "havenctl agreement renew abababababab --until DATE");
        let past = due(&[reminder(AgreementDue::Review, now)], now);
        assert!(past.finding.contains("was due for review on") && !past.finding.contains("more"), "{}", past.finding);
        let lapsed = due(&[reminder(AgreementDue::TransferLapses, now + Millis(1))], now);
        assert!(lapsed.finding.starts_with("the basis for transfers to de-kehl ends on"), "{}", lapsed.finding);
    }
}
