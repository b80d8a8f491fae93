//! Who gets a record, for what, and how it may be handled: the arguments that every publish has.

use clap::Args;
use havenlink_proto::local::v1::Sharing;
use havenlink_proto::record::v1::{
    Handling, LawfulBasis, Pap, Place, PlaceScheme, Purpose, RecordStatus, SpecialBasis, Text, Tlp,
};

use super::parse_text;
use crate::contract_enum::{Code, name};
use crate::failure::Failure;
use crate::output::Cell;
use crate::when;

/// What is not given comes from the file, then from the kind's usual values.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Sharing")]
pub struct SharingArgs {
    /// Recipients by name, or all: every partner whose agreement covers it [needed, here or in the file]
    #[arg(long = "to", value_name = "AUTHORITY", value_delimiter = ',')]
    to: Vec<String>,
    /// Why it is shared
    #[arg(long)]
    purpose: Option<Code<Purpose>>,
    /// Who may read it
    #[arg(long)]
    tlp: Option<Code<Tlp>>,
    /// What may be done with it
    #[arg(long)]
    pap: Option<Code<Pap>>,
    /// GDPR Art. 6 basis
    #[arg(long)]
    lawful_basis: Option<Code<LawfulBasis>>,
    /// GDPR Art. 9 basis
    #[arg(long)]
    special_basis: Option<Code<SpecialBasis>>,
    /// Whether it is meant
    #[arg(long)]
    status: Option<Code<RecordStatus>>,
    /// End of its life: a date, an instant, or a span from now; the kind's default if not given
    #[arg(long, value_parser = when::parse_end, value_name = "TIME")]
    expires: Option<i64>,
}

/// Every partner whose agreement covers it.
const ALL: &str = "all";

/// The usual values of a kind.
pub struct Usual {
    pub purpose: Purpose,
    pub tlp: Tlp,
    pub pap: Pap,
    pub lawful_basis: LawfulBasis,
}

impl SharingArgs {
    /// Arguments over file over usual values. Who gets it is said by one of the two, never by leaving it out: `is_for_somebody`.
    ///
    /// # Errors
    /// A usage error that says what to write.
    pub fn over(self, file: Option<Sharing>, usual: &Usual) -> Result<Sharing, Failure> {
        let file = file.unwrap_or_default();
        let (recipients, all_partners) = match self.to.as_slice() {
            [] => (file.recipients, file.all_partners),
            [all] if all == ALL => (Vec::new(), true),
            names if names.iter().any(|name| name == ALL) => {
                return Err(Failure::usage("--to all stands alone", "write --to all, or --to AUTHORITY,AUTHORITY"));
            }
            _ => (self.to, false),
        };
        let handling = file.handling.unwrap_or_default();
        let pick =
            |argument: Option<i32>, file: i32, usual: i32| argument.unwrap_or(if file == 0 { usual } else { file });
        Ok(Sharing {
            recipients,
            all_partners,
            purpose: pick(self.purpose.map(|c| c.number), file.purpose, usual.purpose.into()),
            lawful_basis: pick(self.lawful_basis.map(|c| c.number), file.lawful_basis, usual.lawful_basis.into()),
            special_basis: pick(self.special_basis.map(|c| c.number), file.special_basis, SpecialBasis::None.into()),
            handling: Some(Handling {
                tlp: pick(self.tlp.map(|c| c.number), handling.tlp, usual.tlp.into()),
                pap: pick(self.pap.map(|c| c.number), handling.pap, usual.pap.into()),
            }),
            status: pick(self.status.map(|c| c.number), file.status, RecordStatus::Actual.into()),
            expires_ms: self.expires.unwrap_or(file.expires_ms),
            review_by_ms: file.review_by_ms,
        })
    }
}

/// How it is said who gets a record.
pub const WHO: &str = "--to all for every partner whose agreement covers it, or --to AUTHORITY,AUTHORITY";

/// Whether it is said who gets it.
pub fn is_for_somebody(sharing: &Sharing) -> bool {
    sharing.all_partners || !sharing.recipients.is_empty()
}

/// Lines about sharing for a sheet.
pub fn pairs(sharing: &Sharing) -> Vec<(&'static str, Cell)> {
    let handling = sharing.handling.unwrap_or_default();
    vec![
        ("to", to(sharing)),
        ("purpose", Cell::text(name::<Purpose>(sharing.purpose))),
        ("handling", Cell::text(format!("TLP:{} PAP:{}", name::<Tlp>(handling.tlp), name::<Pap>(handling.pap)))),
        ("status", Cell::text(name::<RecordStatus>(sharing.status))),
        ("expires", Cell::time(sharing.expires_ms)),
    ]
}

fn to(sharing: &Sharing) -> Cell {
    let all = sharing.all_partners.then(|| "all partners:".to_owned());
    Cell::list(all.iter().chain(&sharing.recipients))
}

/// `NUTS:FRF11` or `LAU:67482`.
///
/// # Errors
/// What the form is.
pub fn parse_place(typed: &str) -> Result<Place, String> {
    let (scheme, code) = typed.split_once(':').ok_or("a place is SCHEME:CODE, e.g. NUTS:FRF11 or LAU:67482")?;
    Ok(Place { scheme: Code::<PlaceScheme>::parse(scheme)?.number, code: code.trim().to_owned() })
}

/// `NUTS:FRF11`.
pub fn show_place(place: Option<&Place>) -> String {
    place.map(|p| format!("{}:{}", name::<PlaceScheme>(p.scheme), p.code)).unwrap_or_default()
}

/// `fr:Un texte`.
///
/// # Errors
/// What the form is.
pub fn parse_summary(typed: &str) -> Result<Text, String> {
    parse_text(typed).map(|(language, text)| Text { language, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_win_over_the_file_and_the_file_over_the_usual() {
        let usual = Usual {
            purpose: Purpose::Prevention,
            tlp: Tlp::Amber,
            pap: Pap::Amber,
            lawful_basis: LawfulBasis::PublicTask,
        };
        let file =
            Sharing { recipients: vec!["de-kehl".into()], purpose: Purpose::Learning.into(), ..Default::default() };
        let args = SharingArgs { tlp: Some(Code::parse("GREEN").unwrap()), ..Default::default() };
        let sharing = args.over(Some(file.clone()), &usual).unwrap();
        assert_eq!(sharing.recipients, ["de-kehl"]);
        assert_eq!(sharing.purpose, Purpose::Learning as i32);
        assert_eq!(sharing.handling, Some(Handling { tlp: Tlp::Green.into(), pap: Pap::Amber.into() }));
        assert_eq!(sharing.special_basis, SpecialBasis::None as i32);
        let to = |names: &[&str]| {
            let to = names.iter().map(|name| (*name).to_owned()).collect();
            SharingArgs { to, ..Default::default() }.over(None, &usual)
        };
        let all = to(&["all"]).unwrap();
        assert!(all.all_partners && all.recipients.is_empty());
        assert!(!to(&["de-kehl"]).unwrap().all_partners);
        assert!(to(&["all", "de-kehl"]).is_err());
        assert!(!is_for_somebody(&to(&[]).unwrap()), "nobody is everybody by being left out");
    }

    #[test]
    fn places_are_read_and_shown_alike() {
        let place = parse_place("nuts:FRF11").unwrap();
        assert_eq!(show_place(Some(&place)), "NUTS:FRF11");
        assert!(parse_place("FRF11").is_err());
        assert!(parse_place("NUTZ:FRF11").unwrap_err().contains("nearest: NUTS"));
    }
}
