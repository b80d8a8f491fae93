//! Referrals.

use bytes::Bytes;
use havenlink_proto::record::v1 as proto;
use prost::Message;

use super::{Codec, message};
use crate::domain::person::SubjectRef;
use crate::domain::records::Kind;
use crate::domain::records::offer::ServiceKind;
use crate::domain::records::referral::{Asked, Referral, ReferralForm, Sought};
use crate::fields::Source;
use crate::{Error, fields};

impl Codec for Referral {
    type Message = proto::Referral;
    /// Each checked for its form.
    const TEXTS: &'static [&'static str] = &["Referral.languages", "Referral.callback_phone"];

    fn encode(&self) -> Bytes {
        self.to_message().encode_to_vec().into()
    }

    fn decode(bytes: &Bytes, _: Source) -> Result<Self, Error> {
        understood(message(bytes)?)
    }

    fn facet_of(bytes: &Bytes) -> Result<(ReferralForm, Option<ServiceKind>), Error> {
        let message = message::<proto::Referral>(bytes)?;
        let form = fields::closed_enum("form", message.form)?;
        let asks = matches!(form, ReferralForm::Query | ReferralForm::Asked);
        Ok((form, asks.then(|| fields::closed_enum("service", message.service)).transpose()?))
    }

    fn to_message(&self) -> proto::Referral {
        let form = self.form().code();
        match self {
            Self::Query(sought) => proto::Referral { form, ..sought_to_proto(sought) },
            Self::Asked(asked) => proto::Referral {
                form,
                subject_ref: fields::bytes_of(asked.subject.as_bytes()),
                callback_phone: asked.callback_phone.clone(),
                ..sought_to_proto(&asked.sought)
            },
            Self::Accepted => proto::Referral { form, ..Default::default() },
            Self::Declined { by, code, next } => proto::Referral {
                form,
                declined_by: by.code(),
                decline_code: code.code(),
                next_step: next.code(),
                ..Default::default()
            },
        }
    }

    fn from_message(message: proto::Referral) -> Result<Self, Error> {
        let referral = understood(message)?;
        referral.check()?;
        Ok(referral)
    }
}

fn sought_to_proto(sought: &Sought) -> proto::Referral {
    proto::Referral {
        service: sought.service.code(),
        urgency: sought.urgency.code(),
        household: sought.household.code(),
        age_band: sought.age_band.code(),
        needs: fields::numbers(&sought.needs),
        languages: sought.languages.iter().map(|language| language.as_str().to_owned()).collect(),
        ..Default::default()
    }
}

/// What is sought, as a caller or a partner says it.
///
/// # Errors
/// The first field that is missing or unknown.
pub fn sought(message: &proto::Referral) -> Result<Sought, Error> {
    let language = |(i, text): (usize, &String)| fields::language(&format!("languages[{i}]"), text);
    Ok(Sought {
        service: fields::closed_enum("service", message.service)?,
        urgency: fields::closed_enum("urgency", message.urgency)?,
        household: fields::closed_enum("household", message.household)?,
        age_band: fields::closed_enum("age_band", message.age_band)?,
        needs: fields::closed_enums("needs", &message.needs)?,
        languages: message.languages.iter().enumerate().map(language).collect::<Result<_, _>>()?,
    })
}

fn understood(message: proto::Referral) -> Result<Referral, Error> {
    let form: ReferralForm = fields::closed_enum("form", message.form)?;
    let asks = matches!(form, ReferralForm::Query | ReferralForm::Asked);
    let sought_given = message.service != 0
        || message.urgency != 0
        || message.household != 0
        || message.age_band != 0
        || !message.needs.is_empty()
        || !message.languages.is_empty();
    let declined_given = message.declined_by != 0 || message.decline_code != 0 || message.next_step != 0;
    for (field, given, fits) in [
        ("subject_ref", !message.subject_ref.is_empty(), form == ReferralForm::Asked),
        ("callback_phone", !message.callback_phone.is_empty(), form == ReferralForm::Asked),
        ("service", sought_given, asks),
        ("declined_by", declined_given, form == ReferralForm::Declined),
    ] {
        if given && !fits {
            return Err(Error::invalid(field, "not in this form"));
        }
    }
    Ok(match form {
        ReferralForm::Query => Referral::Query(sought(&message)?),
        ReferralForm::Asked => Referral::Asked(Asked {
            subject: fields::id("subject_ref", &message.subject_ref, SubjectRef::from_slice)?,
            sought: sought(&message)?,
            callback_phone: message.callback_phone,
        }),
        ReferralForm::Accepted => Referral::Accepted,
        ReferralForm::Declined => Referral::Declined {
            by: fields::closed_enum("declined_by", message.declined_by)?,
            code: fields::closed_enum("decline_code", message.decline_code)?,
            next: fields::closed_enum("next_step", message.next_step)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::Reason;

    #[test]
    fn each_form_says_what_is_its_own() {
        let samples = Referral::samples();
        for sample in &samples {
            assert_eq!(Referral::from_message(sample.to_message()).as_ref(), Ok(sample));
            assert_eq!(Referral::facet_of(&sample.encode()), Ok(sample.facet()));
        }
        let refused = |message: proto::Referral| {
            let error = Referral::from_message(message).unwrap_err();
            (error.reason, error.field)
        };
        let [asked, query, accepted, declined] = [0, 1, 2, 3].map(|n: usize| samples[n].to_message());
        let subject_ref = asked.subject_ref.clone();
        let named = proto::Referral { subject_ref: subject_ref.clone(), ..query.clone() };
        assert_eq!(refused(named), (Reason::FieldInvalid, "subject_ref".into()), "a query names no case");
        let bare = proto::Referral { subject_ref: Bytes::new(), ..asked.clone() };
        assert_eq!(refused(bare), (Reason::FieldMissing, "subject_ref".into()));
        let told = proto::Referral { service: 9, ..accepted };
        assert_eq!(refused(told), (Reason::FieldInvalid, "service".into()));
        let silent = proto::Referral { next_step: 0, ..declined };
        assert_eq!(refused(silent), (Reason::FieldMissing, "next_step".into()), "what follows a no is said");
        assert_eq!(refused(proto::Referral { service: 99, ..query }), (Reason::ValueUnknown, "service".into()));
        let unreached = proto::Referral { callback_phone: String::new(), ..asked };
        assert_eq!(refused(unreached), (Reason::FieldInvalid, "callback_phone".into()));
    }
}
