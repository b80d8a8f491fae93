//! The label `partner`: the one whose values are not known when this is written.
//!
//! A value is an authority's id, a name of the register, and nothing else can become one. The first `MOST` have a value of their
//! own for as long as the process runs; every further one is counted as "other".

use std::sync::{PoisonError, RwLock};

use crate::domain::ids::AuthorityId;

/// Partners that are told apart.
pub const MOST: usize = 256;

static NAMES: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());

/// A partner as a label's value.
pub fn partner(id: &AuthorityId) -> &'static str {
    if let Some(known) = known(id.as_str()) {
        return known;
    }
    let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.iter().find(|name| **name == id.as_str()) {
        return known;
    }
    if names.len() == MOST {
        return "other";
    }
    // At most `MOST` of them, for as long as the process runs.
    let name: &'static str = Box::leak(id.to_string().into_boxed_str());
    names.push(name);
    name
}

fn known(text: &str) -> Option<&'static str> {
    NAMES.read().unwrap_or_else(PoisonError::into_inner).iter().find(|name| **name == text).copied()
}

/// Where a value stands; the last place is everybody else's.
pub(super) fn place(value: &str) -> usize {
    let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
    names.iter().position(|name| *name == value).unwrap_or(MOST)
}

/// The value of a place.
pub(super) fn value(place: usize) -> &'static str {
    NAMES.read().unwrap_or_else(PoisonError::into_inner).get(place).copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::{PARTNER_QUEUED, render};

    /// Fills the label, so it stands alone.
    #[test]
    fn so_many_have_a_name_and_the_rest_is_counted_together() {
        let id = |n: usize| AuthorityId::parse(&format!("de-city-{n}")).unwrap();
        PARTNER_QUEUED.set([partner(&id(0))], 7);
        PARTNER_QUEUED.set(["a text of a peer"], 3);
        for n in 0..MOST + 5 {
            partner(&id(n));
        }
        assert_eq!((partner(&id(0)), partner(&id(MOST + 4))), ("de-city-0", "other"));
        let text = render();
        assert!(text.contains("havenlink_partner_queued{partner=\"de-city-0\"} 7"), "{text}");
        assert!(text.contains("havenlink_partner_queued{partner=\"other\"} 3") && !text.contains("text of a peer"));
    }
}
