//! Full names of the messages that are shown or read as JSON.

/// A message under its name in the contract.
pub trait Named: prost::Message + Default {
    /// E.g. `havenlink.admin.v1.GetStatusResponse`.
    const NAME: &'static str;
}

macro_rules! named {
    ($($area:ident { $($name:ident),+ $(,)? })+) => {
        $($(impl Named for havenlink_proto::$area::v1::$name {
            const NAME: &'static str = concat!("havenlink.", stringify!($area), ".v1.", stringify!($name));
        })+)+
        #[cfg(test)]
        const ALL: &[&str] = &[$($(<havenlink_proto::$area::v1::$name as Named>::NAME),+),+];
    };
}

named! {
    record { Agreement, Alert, Practice }
    local {
        AnswerAlertResponse, ConfirmOfferResponse, HeldAlert, ListAlertsResponse, ListDeliveriesResponse, ListOffersResponse, OwnOffer,
        PublishAlertRequest, PublishAlertResponse, PublishPracticeRequest, PublishPracticeResponse, FoundPractice, SearchPracticesResponse,
        SetOfferResponse,
    }
    admin {
        CreateInvitationResponse, CreateRecoveryTicketResponse, Decision, EndAgreementResponse, ExplainReasonResponse, GetStatusResponse, HeldAgreement,
        ListAgreementsResponse, ListInvitationsResponse, ListLeavesResponse, ListMembersResponse, ProposeAgreementResponse,
        RenewCertificateResponse, RevokeInvitationResponse, RunDoctorResponse, ShowMemberResponse, SignAgreementResponse,
        VerifyAuditResponse,
    }
    directory { AuthorityEntry, ListResponse, Policy }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_name_is_in_the_contract() {
        for name in super::ALL {
            assert!(crate::coded::pool().get_message_by_name(name).is_some(), "{name}");
        }
    }
}
