//! The board: what a partner is asked and answers, and what a coordinator looks for at the local doors (9.11).

use havenlink_proto::local::v1 as local;
use havenlink_proto::peer::v1 as peer;
use prost::Message;

use super::records::offer;
use super::{Error, fields};
use crate::domain::board::{CapacityAnswer, CapacityQuestion, Found, ShownOffer, Wanted};
use crate::domain::country::Country;
use crate::domain::envelope::GrantRef;
use crate::domain::ids::{AgreementId, Digest, OfferId};
use crate::domain::limits;
use crate::domain::time::Millis;
use crate::fields::Source;

/// What a partner is asked, for the wire.
pub fn question_to_proto(question: &CapacityQuestion) -> peer::ListCapacityRequest {
    peer::ListCapacityRequest {
        asker: question.asker.to_string(),
        asked: question.asked.to_string(),
        service_kinds: fields::numbers(&question.services),
        after: question.after.map(|id| fields::bytes_of(id.as_bytes())).unwrap_or_default(),
    }
}

/// What a partner asks, from the wire.
///
/// # Errors
/// The first field that is missing, unknown or of another form.
pub fn question_from_proto(question: &peer::ListCapacityRequest) -> Result<CapacityQuestion, Error> {
    let after = match question.after.is_empty() {
        true => None,
        false => Some(fields::id("after", &question.after, OfferId::from_slice)?),
    };
    Ok(CapacityQuestion {
        asker: fields::authority("asker", &question.asker)?,
        asked: fields::authority("asked", &question.asked)?,
        services: fields::closed_enums("service_kinds", &question.service_kinds)?,
        after,
    })
}

/// An owner's answer, for the wire.
pub fn answer_to_proto(answer: &CapacityAnswer) -> peer::ListCapacityResponse {
    let shown = |shown: &ShownOffer| peer::ShownOffer {
        view: Some(offer::to_proto(&shown.view)),
        as_of_age_ms: shown.age.map(|age| age.0),
        agreement_id: fields::bytes_of(shown.grant.agreement.as_bytes()),
        grant: shown.grant.number,
    };
    peer::ListCapacityResponse { offers: answer.offers.iter().map(shown).collect(), more: answer.more }
}

/// What names a question, and an answer to it whenever it was given: the age of a statement is left out.
pub fn digests(question: &CapacityQuestion, answer: &CapacityAnswer) -> (Digest, Digest) {
    let undated = |shown: &ShownOffer| ShownOffer { age: None, ..shown.clone() };
    let answer = CapacityAnswer { offers: answer.offers.iter().map(undated).collect(), more: answer.more };
    (Digest::of(&question_to_proto(question).encode_to_vec()), Digest::of(&answer_to_proto(&answer).encode_to_vec()))
}

/// An owner's answer, from the wire.
///
/// # Errors
/// The first field that is missing, unknown, too long or too fine.
pub fn answer_from_proto(answer: peer::ListCapacityResponse) -> Result<CapacityAnswer, Error> {
    let shown = |shown: peer::ShownOffer| {
        Ok(ShownOffer {
            view: offer::from_proto(shown.view.ok_or_else(|| Error::missing("view"))?)?,
            age: shown.as_of_age_ms.filter(|age| *age >= 0).map(Millis),
            grant: GrantRef {
                agreement: fields::id("agreement_id", &shown.agreement_id, AgreementId::from_slice)?,
                number: shown.grant,
            },
        })
    };
    let offers: Result<Vec<_>, Error> = answer.offers.into_iter().map(shown).collect();
    Ok(CapacityAnswer { offers: offers.map_err(|e| e.within("offers"))?, more: answer.more })
}

/// A row of the board, for the local doors.
pub fn found_to_proto(found: &Found) -> local::FoundOffer {
    local::FoundOffer {
        authority: found.authority.to_string(),
        view: Some(offer::to_proto(&found.view)),
        light: found.light.code(),
        light_reason: found.because.code(),
        age_ms: found.age.map_or(-1, |age| age.0),
        source: found.source.code(),
        nearness: found.nearness.code(),
        unsaid: fields::numbers(&found.unsaid),
    }
}

/// What a coordinator looks for, and how long partners are waited for.
///
/// # Errors
/// The first field that is unknown or of another form.
pub fn wanted_from_proto(asked: local::FindOffersRequest) -> Result<(Wanted, Millis), Error> {
    let deadline = match asked.deadline_ms {
        0 => limits::BOARD_DEADLINE,
        ms if (1..=limits::BOARD_LONGEST.0).contains(&ms) => Millis(ms),
        _ => return Err(Error::invalid("deadline_ms", "at most 10 seconds")),
    };
    if asked.children_age.is_some_and(|age| age > 18) {
        return Err(Error::invalid("children_age", "0 to 18"));
    }
    if asked.countries.iter().any(|country| Country::parse(country).is_none()) {
        return Err(Error::invalid("countries", "two small letters each, as de"));
    }
    if asked.languages.len() > limits::LANGUAGES {
        return Err(Error::invalid("languages", "at most 24"));
    }
    let near = asked.near.map(|near| fields::place("near", Some(near), Source::Outside)).transpose()?;
    let wanted = Wanted {
        services: fields::closed_enums("service_kinds", &asked.service_kinds)?,
        receives: fields::closed_enums("receives", &asked.receives)?,
        children_age: asked.children_age,
        languages: fields::languages("languages", &asked.languages)?,
        step_free: asked.step_free,
        pets: asked.pets,
        days: asked.days,
        countries: asked.countries,
        near,
    };
    Ok((wanted, deadline))
}
