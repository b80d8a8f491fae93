//! Joint inspections.

use bytes::Bytes;
use havenlink_proto::record::v1 as proto;
use prost::Message;

use super::{Codec, message};
use crate::domain::records::Kind;
use crate::domain::records::inspection::{Inspection, InspectionState, JointInspection};
use crate::fields::Source;
use crate::{Error, fields, handling};

impl Codec for Inspection {
    type Message = proto::Inspection;
    /// A code of a registry, checked for its form.
    const TEXTS: &'static [&'static str] = &["Inspection.sector"];

    fn encode(&self) -> Bytes {
        self.to_message().encode_to_vec().into()
    }

    fn decode(bytes: &Bytes, source: Source) -> Result<Self, Error> {
        understood(message(bytes)?, source)
    }

    fn facet_of(bytes: &Bytes) -> Result<InspectionState, Error> {
        fields::closed_enum("state", message::<proto::Inspection>(bytes)?.state)
    }

    fn to_message(&self) -> proto::Inspection {
        let state = self.state().code();
        match self {
            Self::Proposed(one) => proto::Inspection {
                state,
                sector: one.sector.clone().unwrap_or_default(),
                place: Some(handling::place_to_proto(&one.place)),
                site_types: fields::numbers(&one.site_types),
                not_before_ms: one.not_before.0,
                not_after_ms: one.not_after.0,
                reasons: fields::numbers(&one.reasons),
                parts: fields::numbers(&one.parts),
            },
            Self::Accepted(parts) => proto::Inspection { state, parts: fields::numbers(parts), ..Default::default() },
        }
    }

    fn from_message(message: proto::Inspection) -> Result<Self, Error> {
        let inspection = understood(message, Source::Outside)?;
        inspection.check()?;
        Ok(inspection)
    }
}

fn understood(inspection: proto::Inspection, source: Source) -> Result<Inspection, Error> {
    let state: InspectionState = fields::closed_enum("state", inspection.state)?;
    let parts = fields::closed_enums("parts", &inspection.parts)?;
    match state {
        InspectionState::Proposed => Ok(Inspection::Proposed(JointInspection {
            sector: Some(inspection.sector).filter(|s| !s.is_empty()),
            place: fields::place("place", inspection.place, source)?,
            site_types: fields::closed_enums("site_types", &inspection.site_types)?,
            not_before: fields::instant("not_before_ms", inspection.not_before_ms)?,
            not_after: fields::instant("not_after_ms", inspection.not_after_ms)?,
            reasons: fields::closed_enums("reasons", &inspection.reasons)?,
            parts,
        })),
        InspectionState::Accepted => {
            for (field, given) in [
                ("sector", !inspection.sector.is_empty()),
                ("place", inspection.place.is_some()),
                ("site_types", !inspection.site_types.is_empty()),
                ("not_before_ms", inspection.not_before_ms != 0),
                ("not_after_ms", inspection.not_after_ms != 0),
                ("reasons", !inspection.reasons.is_empty()),
            ] {
                if given {
                    return Err(Error::invalid(field, "for PROPOSED only"));
                }
            }
            Ok(Inspection::Accepted(parts))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::Reason;

    fn refused(inspection: proto::Inspection) -> (Reason, String) {
        let error = Inspection::from_message(inspection).unwrap_err();
        (error.reason, error.field)
    }

    #[test]
    fn each_state_says_what_is_its_own() {
        let samples = Inspection::samples();
        let [proposed, accepted] = [samples[0].to_message(), samples[1].to_message()];
        assert_eq!(Inspection::from_message(proposed.clone()).as_ref(), Ok(&samples[0]));
        assert_eq!(Inspection::from_message(accepted.clone()).as_ref(), Ok(&samples[1]));
        let missing = |field: &str| (Reason::FieldMissing, field.to_owned());
        assert_eq!(refused(proto::Inspection { state: 0, ..proposed.clone() }), missing("state"));
        assert_eq!(refused(proto::Inspection { state: 3, ..proposed.clone() }), (Reason::ValueUnknown, "state".into()));
        assert_eq!(refused(proto::Inspection { place: None, ..proposed.clone() }), missing("place"));
        assert_eq!(refused(proto::Inspection { not_before_ms: 0, ..proposed.clone() }), missing("not_before_ms"));
        let enforcement = proto::Inspection { parts: vec![9], ..proposed.clone() };
        assert_eq!(refused(enforcement), (Reason::ValueUnknown, "parts[0]".into()));
        let both = proto::Inspection { place: proposed.place, ..accepted.clone() };
        assert_eq!(refused(both), (Reason::FieldInvalid, "place".into()));
        assert_eq!(
            refused(proto::Inspection { reasons: vec![1], ..accepted }),
            (Reason::FieldInvalid, "reasons".into())
        );
    }
}
