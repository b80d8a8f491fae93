//! The reasons that a node gives, as the contract has them: explained also where no node answers, for that is when it is needed.

use havenlink_proto::REASONS;
use havenlink_proto::admin::v1::ExplainReasonResponse;

/// All of them, in the order of the catalogue.
pub fn all() -> impl Iterator<Item = ExplainReasonResponse> {
    REASONS.lines().skip(1).filter_map(row)
}

/// The one with this code, exactly.
pub fn find(code: &str) -> Option<ExplainReasonResponse> {
    all().find(|reason| reason.code == code)
}

fn row(line: &str) -> Option<ExplainReasonResponse> {
    let mut fields = line.split('\t');
    let mut next = || fields.next().map(str::to_owned);
    let code = next()?;
    Some(ExplainReasonResponse {
        anchor: format!("#{}", code.to_ascii_lowercase().replace('_', "-")),
        code,
        grpc_status: next()?,
        exit_code: next()?.parse().ok()?,
        retryable: next()?.parse().ok()?,
        what: next()?,
        why: next()?,
        remedy: next()?,
        nearest: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_catalogue_is_a_reason() {
        let reasons: Vec<_> = all().collect();
        assert_eq!(reasons.len(), REASONS.lines().count() - 1);
        assert!(reasons.len() > 120 && reasons.iter().all(|reason| (1..=8).contains(&reason.exit_code)));
        let found = find("AGREEMENT_NOT_IN_FORCE").unwrap();
        assert_eq!((found.exit_code, found.grpc_status.as_str()), (5, "FAILED_PRECONDITION"));
        assert!(found.remedy.starts_with("havenctl agreement list") && find("code").is_none());
    }

    #[test]
    fn what_this_tool_says_too_it_says_in_the_same_words() {
        let both: Vec<_> =
            crate::reasons::ALL.iter().filter_map(|row| Some((find(row.code)?, row.explained()))).collect();
        assert!(both.len() >= 5);
        for (catalogue, own) in both {
            assert_eq!(catalogue, own);
        }
    }
}
