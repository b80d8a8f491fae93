//! What every kind has to decide, asked of each of them.

use super::*;
use crate::record::StreamClass;
use crate::samples::contents;

#[test]
fn each_kind_that_is_built_has_a_sample_and_answers_for_itself() {
    for kind in RecordKind::CONTENT {
        let samples: Vec<Content> = contents().into_iter().filter(|content| content.kind() == *kind).collect();
        assert!(!samples.is_empty(), "{kind} has no sample");
        for content in samples {
            assert_eq!(content.check(), Ok(()), "{kind}");
            let answers = content.facts().answers;
            assert!(!content.facet().is_answer() || !answers.is_empty(), "{kind} answers nothing");
            assert_eq!((content.facet().kind(), content.cancelled().kind()), (*kind, *kind));
            assert_eq!(Facet::from_codes(*kind, content.facet().codes()), Some(content.facet()), "{kind}");
            assert_eq!(Facet::from_codes(*kind, [-1, -1]), None, "{kind}");
            assert_eq!(content.cancelled().cancelled(), content.cancelled(), "nothing more is left out of a {kind}");
            assert_eq!(content.cancelled().facet(), content.facet(), "{kind}");
            assert!(content.life() > Millis(0) && content.life() <= crate::limits::RECORD_LIFE, "{kind}");
        }
    }
}

#[test]
fn what_a_kind_says_of_itself_fits_the_frozen_numbers() {
    for kind in RecordKind::ALL {
        let Some(facts) = kind.facts() else {
            assert!(!RecordKind::CONTENT.contains(kind), "{kind}");
            continue;
        };
        assert_eq!(kind.class(), StreamClass::Content, "{kind}");
        let answers = facts.later.contains(&ReferenceKind::Answers);
        assert!(!answers, "{kind} answers what others say, never its publisher's own");
        let may_be_answered = RecordKind::CONTENT.iter().filter_map(|k| k.facts()).any(|f| f.answers.contains(kind));
        assert_eq!(may_be_answered, !facts.access.answer.is_empty(), "{kind}: who may answer it, and with what");
        assert!(!facts.access.read.is_empty() && !facts.access.read.contains(&ActorRole::Operator), "{kind}");
    }
}
