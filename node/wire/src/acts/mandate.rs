//! A mandate and its end.

use havenlink_proto::directory::v1 as proto;

use super::Codec;
use crate::domain::mandate::{IssueMandate, Mandate, RevokeMandate};
use crate::domain::time::UnixMs;
use crate::{Error, fields, handling};

impl Codec for IssueMandate {
    type Message = proto::Mandate;

    fn read(message: Self::Message) -> Result<Self, Error> {
        Ok(Self { mandate: from_proto(message)? })
    }

    fn write(&self) -> Self::Message {
        to_proto(&self.mandate)
    }
}

impl Codec for RevokeMandate {
    type Message = proto::MandateRevocation;

    fn read(_message: Self::Message) -> Result<Self, Error> {
        Ok(Self)
    }

    fn write(&self) -> Self::Message {
        proto::MandateRevocation {}
    }
}

/// Reads a mandate.
///
/// # Errors
/// The field that does not have the required form.
pub fn from_proto(message: proto::Mandate) -> Result<Mandate, Error> {
    let place = |(at, place)| {
        handling::place_from_proto(place, fields::Source::Outside).map_err(|e| e.within(&format!("territory[{at}]")))
    };
    let mandate = Mandate {
        activities: fields::closed_enums("activities", &message.activities)?,
        territory: message.territory.into_iter().enumerate().map(place).collect::<Result<_, _>>()?,
        valid_from: UnixMs(message.valid_from_ms),
        valid_until: fields::instant("valid_until_ms", message.valid_until_ms)?,
    };
    mandate.check()?;
    Ok(mandate)
}

/// Writes a mandate.
pub fn to_proto(mandate: &Mandate) -> proto::Mandate {
    proto::Mandate {
        activities: fields::numbers(&mandate.activities),
        territory: mandate.territory.iter().map(handling::place_to_proto).collect(),
        valid_from_ms: mandate.valid_from.0,
        valid_until_ms: mandate.valid_until.0,
    }
}
