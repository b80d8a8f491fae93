//! What an envelope about a person says of the law that it rests on.

use super::records::around;
use crate::domain::envelope::Envelope;
use crate::domain::handling::{LawfulBasis, SpecialBasis};
use crate::domain::reason::Reason;
use crate::domain::records::RecordBody;
use crate::domain::samples::contents;
use crate::sealed;

#[test]
fn what_is_shared_about_a_person_says_on_what_it_rests() {
    for content in contents().into_iter().filter(|content| content.facet().scope().is_some()) {
        let whole = around(&RecordBody::Content(content));
        assert!(sealed::parse_body(&whole).is_ok());
        let refused = |change: fn(&mut Envelope)| {
            let mut one = whole.clone();
            change(&mut one);
            let error = sealed::parse_body(&one).unwrap_err();
            (error.reason, error.field)
        };
        let malformed = |field: &str| (Reason::EnvelopeMalformed, field.to_owned());
        assert_eq!(refused(|one| one.special_basis = SpecialBasis::None), malformed("special_basis"));
        assert_eq!(refused(|one| one.lawful_basis = LawfulBasis::NoPersonalData), malformed("lawful_basis"));
    }
}
