//! Errors in the words of the command that was typed: a field of the contract by the option that sets it, and the help by
//! the command's own.

use clap::Command;

use crate::failure::Failure;

/// Fields whose option has another name than they.
const NAMED: &[(&str, &str)] = &[
    ("additional_24h", "in-24h"),
    ("additional_72h", "in-72h"),
    ("assertion_basis", "basis"),
    ("audiences", "audience"),
    ("barrier_step", "barrier"),
    ("callback_phone", "callback"),
    ("case_reference", "case"),
    ("concerns", "concern"),
    ("cost_band", "cost"),
    ("exploitation_forms", "form"),
    ("indicators", "indicator"),
    ("intended_for", "for"),
    ("needs", "need"),
    ("not_after", "until"),
    ("not_before", "from"),
    ("not_relevant_reason", "reason"),
    ("own_label", "label"),
    ("promised_occupation", "occupation"),
    ("recipient", "to"),
    ("recipients", "to"),
    ("record_kinds", "share"),
    ("resolution_paragraphs", "paragraph"),
    ("service_kind", "kind"),
    ("texts", "language"),
    ("time_to_live", "good-for"),
    ("topics", "topic"),
    ("usage", "use"),
    ("valid_from", "from"),
    ("valid_until", "until"),
];

/// The failure as who typed this command reads it; `path`: its words, `command`: what it takes.
pub(super) fn told(mut failure: Failure, path: &str, command: &Command) -> Failure {
    for (_, fact) in failure.facts.iter_mut().filter(|(name, _)| name == "field") {
        let field = fact.split(": ").next().unwrap_or_default().to_owned();
        let Some(option) = option(&field, command) else { continue };
        // A file has the contract's name for it.
        *fact = fact.replacen(&field, &format!("{option} ({field})"), 1);
        failure.what = failure.what.replace(&field, &option);
    }
    failure.fix = failure.fix.replace("havenctl NOUN VERB", &format!("havenctl {path}")).into();
    failure
}

/// The option that sets a field: by the last part of its path that the command has one for.
fn option(field: &str, command: &Command) -> Option<String> {
    let parts = field.rsplit('.').map(|part| part.split('[').next().unwrap_or(part).trim_end_matches("_ms"));
    let has = |name: &str| command.get_opts().any(|arg| !arg.is_global_set() && arg.get_long() == Some(name));
    let named = |part: &str| {
        let other = NAMED.iter().find(|(field, _)| *field == part).map(|(_, option)| (*option).to_owned());
        let plain = part.replace('_', "-");
        let trimmed = plain.strip_prefix("intake-").map(str::to_owned);
        [
            Some(plain.clone()),
            other,
            trimmed,
            plain.strip_suffix("-in").map(str::to_owned),
            plain.strip_suffix('s').map(str::to_owned),
        ]
        .into_iter()
        .flatten()
        .find(|name| has(name))
    };
    parts.into_iter().find_map(named).map(|name| format!("--{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::help::{below, command};
    use crate::reasons::{FIELD_INVALID, USAGE};

    #[test]
    fn a_field_has_the_name_of_its_option() {
        let root = command();
        for (path, field, named) in [
            ("alert publish", "content.alert.suspicious_advertising.first_seen_ms", "--first-seen"),
            ("alert publish", "content.alert.summary[0].text", "--summary"),
            ("alert publish", "content.alert.assertion_basis", "--basis"),
            ("alert publish", "content.alert.at_risk_site.barrier_step", "--barrier"),
            ("alert publish", "sharing.recipients[1]", "--to"),
            ("alert publish", "sharing.handling.pap", "--pap"),
            ("practice publish", "content.practice.texts[0].title", "--title"),
            ("practice publish", "content.practice.topics", "--topic"),
            ("practice publish", "content.practice.texts", "--language"),
            ("inspection propose", "content.inspection.not_after_ms", "--until"),
            ("offer set", "offer.intake_phone", "--phone"),
            ("offer set", "offer.capacity.additional_24h", "--in-24h"),
            ("offer set", "offer.capacity.time_to_live_ms", "--good-for"),
            ("invite create", "expires_in_ms", "--expires"),
            ("invite create", "intended_for", "--for"),
            ("referral send", "referral.callback_phone", "--callback"),
        ] {
            let verb = below(&root, path).unwrap();
            assert_eq!(option(field, verb).as_deref(), Some(named), "{path} {field}");
        }
        let verb = below(&root, "alert publish").unwrap();
        for unknown in ["timeout", "page_token", "nothing.like_that"] {
            assert_eq!(option(unknown, verb), None, "{unknown}");
        }
    }

    #[test]
    fn an_error_speaks_of_the_command_that_was_typed() {
        let root = command();
        let field = "content.alert.place";
        let failure = Failure::new(&FIELD_INVALID, format!("a field is wrong: {field}"), "", USAGE.remedy)
            .with("field", format!("{field}: NUTS-3 or LAU"));
        let failure = told(failure, "alert publish", below(&root, "alert publish").unwrap());
        assert_eq!(failure.what, "a field is wrong: --place");
        assert_eq!(failure.facts[0].1, "--place (content.alert.place): NUTS-3 or LAU");
        assert!(failure.fix.contains("havenctl alert publish --help"), "{}", failure.fix);
    }
}
