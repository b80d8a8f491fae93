//! `sharing`: give, refuse, confirm, approve, show, check, withdraw, export: what a person let be shared.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use havenlink_proto::local::v1::agreement_to_share_service_client::AgreementToShareServiceClient;
use havenlink_proto::local::v1::{
    AgeAssessment, ApproveAgreementToShareRequest, CheckAgreementToShareRequest, ChildViews,
    ConfirmAgreementToShareRequest, DeciderKind, ExportAgreementToShareRequest, GiveAgreementToShareRequest,
    HeldAgreementToShare, Incapacity, Interpreter, MinorTerms, NoticeMode, RefuseAgreementToShareRequest,
    ShareCircumstances, ShareDecider, ShareEventKind, ShareNotice, ShareScopeTerms, ShareSetting, ShareStanding,
    ShareSubject, ShareTerms, ShowAgreementsToShareRequest, WithdrawAgreementsToShareRequest,
};
use havenlink_proto::record::v1::{LawfulBasis, Purpose, ShareScope, SpecialBasis, TranslationProvenance};

use super::{read_file, unreadable};
use crate::contract_enum::{Code, name, numbers};
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View};
use crate::session::{Session, call};
use crate::value::{from_json, to_json};
use crate::when;

/// What a person let be shared: given, confirmed, withdrawn; by your own case reference, never a name
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// She agreed, or who may decide for her did
    Give(Box<Give>),
    /// She was asked and said no; help goes on
    Refuse {
        #[command(flatten)]
        case: Case,
        #[command(flatten)]
        asked: Box<Asked>,
    },
    /// Confirms it again, elsewhere and freely
    Confirm {
        #[command(flatten)]
        which: One,
        #[command(flatten)]
        decider: Decided,
        #[command(flatten)]
        how: How,
        /// To be confirmed again by then: a date or a span from now, at most 365 days
        #[arg(long, value_parser = when::parse_end, value_name = "TIME", default_value = "180d")]
        reconfirm_by: i64,
    },
    /// A second person approves what was decided for vital interests, within 24 h
    Approve {
        #[command(flatten)]
        which: One,
    },
    /// What was agreed about a case, and how each stands
    Show {
        #[command(flatten)]
        case: Case,
    },
    /// May this be shared with this recipient, now?
    Check {
        #[command(flatten)]
        case: Case,
        #[arg(long)]
        scope: Code<ShareScope>,
        #[arg(long, default_value = "ASSISTANCE")]
        purpose: Code<Purpose>,
        #[arg(long, value_name = "AUTHORITY")]
        to: String,
    },
    /// Withdraws all that was agreed about a case, without a reason; it cannot be taken back
    Withdraw {
        #[command(flatten)]
        case: Case,
    },
    /// One as JSON-LD (ISO/IEC TS 27560), for the person's own question; the ledger says that it was read
    Export {
        #[command(flatten)]
        which: One,
    },
}

/// A case.
#[derive(Debug, Args)]
pub struct Case {
    /// Your own case number: 6 to 32 of A-Z, 0-9, / and -, with a digit
    #[arg(long = "case", value_name = "REFERENCE")]
    reference: String,
}

/// One agreement to share of a case.
#[derive(Debug, Args)]
pub struct One {
    #[command(flatten)]
    case: Case,
    /// Its id, or the beginning of it; not needed where the case has one only
    #[arg(value_name = "ID")]
    share: Option<String>,
}

/// Somebody agreed.
#[derive(Debug, Args)]
pub struct Give {
    #[command(flatten)]
    case: Case,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    decider: Decided,
    #[command(flatten)]
    how: How,
}

/// What was asked, by arguments with one scope; or by a file with `terms` and `subject`, for several.
#[derive(Debug, Args)]
#[command(next_help_heading = "What was asked")]
pub struct Asked {
    /// `terms` and `subject` as JSON or TOML; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "scope")]
    file: Option<PathBuf>,
    /// On a node that serves several
    #[arg(long, value_name = "AUTHORITY")]
    authority: Option<String>,
    /// What may be shared
    #[arg(long, required_unless_present = "file")]
    scope: Option<Code<ShareScope>>,
    #[arg(long, value_delimiter = ',', default_value = "ASSISTANCE")]
    purpose: Vec<Code<Purpose>>,
    /// Each by name, as the notice names them
    #[arg(long = "to", value_name = "AUTHORITY", value_delimiter = ',')]
    to: Vec<String>,
    /// Countries where it may be kept; those of the recipients, if not given
    #[arg(long, value_name = "CC", value_delimiter = ',')]
    country: Vec<String>,
    /// Who must never get it; nobody is told
    #[arg(long, value_name = "AUTHORITY", value_delimiter = ',')]
    exclude: Vec<String>,
    /// Countries that must never get it; nobody is told
    #[arg(long, value_name = "CC", value_delimiter = ',')]
    exclude_country: Vec<String>,
    /// Nothing is shared from then on; at most 365 days
    #[arg(long, value_parser = when::parse_end, value_name = "TIME", default_value = "90d")]
    until: i64,
    /// Recipients erase by then, without a message; at most 30 days after --until
    #[arg(long, value_parser = when::parse_end, value_name = "TIME")]
    erase_by: Option<i64>,
    /// Records that may be shared
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// Version of the notice that was given
    #[arg(long, value_name = "VERSION", default_value = "")]
    notice: String,
    /// SHA-256 of its text, as sha256sum prints it
    #[arg(long, value_name = "HEX", default_value = "")]
    notice_hash: String,
    /// Language in which it was given, e.g. ro
    #[arg(long, value_name = "TAG", default_value = "")]
    language: String,
    /// Who made that text: ORIGINAL, HUMAN or MACHINE_REVIEWED
    #[arg(long, default_value = "HUMAN")]
    provenance: Code<TranslationProvenance>,
    #[arg(long, default_value = "PUBLIC_TASK")]
    lawful_basis: Code<LawfulBasis>,
    #[arg(long, default_value = "HEALTH_OR_SOCIAL_CARE")]
    special_basis: Code<SpecialBasis>,
    /// Provision of national law behind the basis
    #[arg(long, value_name = "TEXT", default_value = "")]
    provision: String,
    /// To be confirmed again by then; at most 365 days
    #[arg(long, value_parser = when::parse_end, value_name = "TIME", default_value = "180d")]
    reconfirm_by: i64,
    #[arg(long, default_value = "ADULT")]
    age: Code<AgeAssessment>,
    /// Of a child: number of its best-interests assessment
    #[arg(long, value_name = "NUMBER")]
    best_interests: Option<String>,
    /// Of a child: whether it was heard
    #[arg(long)]
    views: Option<Code<ChildViews>>,
    /// Of a child
    #[arg(long)]
    unaccompanied: bool,
}

/// Who decides.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who decides")]
pub struct Decided {
    #[arg(long = "decided-by", default_value = "PERSON")]
    kind: Code<DeciderKind>,
    /// The guardian is independent of migration authorities
    #[arg(long)]
    independent: bool,
    /// The guardian has interests of its own
    #[arg(long)]
    in_conflict: bool,
    /// For vital interests
    #[arg(long)]
    incapacity: Option<Code<Incapacity>>,
}

/// How it was given.
#[derive(Debug, Args)]
#[command(next_help_heading = "How it was given")]
pub struct How {
    #[arg(long)]
    mode: Option<Code<NoticeMode>>,
    #[arg(long, default_value = "NONE")]
    interpreter: Code<Interpreter>,
    #[arg(long)]
    setting: Option<Code<ShareSetting>>,
    /// Whoever exploits her was certainly not there, nor listening
    #[arg(long)]
    exploiter_excluded: bool,
    /// REMOTE: called back on the safe number, asked whether she is alone, code word said
    #[arg(long)]
    called_back_alone: bool,
    /// She said the duress word: it looks as if it were given, and opens nothing
    #[arg(long)]
    duress: bool,
}

const MONTH_MS: i64 = 30 * 86_400_000;

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Give(give) => self::give(session, *give).await,
        Verb::Refuse { case, asked } => refuse(session, case, *asked).await,
        Verb::Confirm { which, decider, how, reconfirm_by } => {
            let share_id = which.find(session).await?.share_id;
            let request = ConfirmAgreementToShareRequest {
                request_id: session.request_id(),
                case_reference: which.case.reference,
                share_id: share_id.clone(),
                decider: Some(decider.message()),
                circumstances: how.message(),
                reconfirm_by_ms: reconfirm_by,
            };
            call!(session, AgreementToShareServiceClient, confirm_agreement_to_share, request)?;
            done(session, &share_id, "confirmed")
        }
        Verb::Approve { which } => {
            let share_id = which.find(session).await?.share_id;
            let request = ApproveAgreementToShareRequest {
                request_id: session.request_id(),
                case_reference: which.case.reference,
                share_id: share_id.clone(),
            };
            call!(session, AgreementToShareServiceClient, approve_agreement_to_share, request)?;
            done(session, &share_id, "approved")
        }
        Verb::Show { case } => show(session, &case).await,
        Verb::Check { case, scope, purpose, to } => {
            let request = CheckAgreementToShareRequest {
                case_reference: case.reference,
                scope: scope.number,
                purpose: purpose.number,
                recipient: to,
            };
            let answer = call!(session, AgreementToShareServiceClient, check_agreement_to_share, request)?;
            let pairs = vec![
                ("agreement to share", Cell::id(id::show(&answer.share_id))),
                ("until", Cell::time(answer.expires_ms)),
                ("erased by", Cell::time(answer.erase_by_ms)),
            ];
            session.show(&View::sheet(to_json(&answer), pairs))
        }
        Verb::Withdraw { case } => withdraw(session, case).await,
        Verb::Export { which } => {
            let share_id = which.find(session).await?.share_id;
            let request = ExportAgreementToShareRequest { case_reference: which.case.reference, share_id };
            let answer = call!(session, AgreementToShareServiceClient, export_agreement_to_share, request)?;
            let text = format!("{}\n", answer.json_ld);
            session.show(&View::text(to_json(&answer), text, vec![("json_ld", Cell::text(&answer.json_ld))]))
        }
    }
}

fn done(session: &Session, share_id: &[u8], what: &str) -> Result<(), Failure> {
    let share = id::show(share_id);
    let json = serde_json::json!({ "share_id": share });
    session.show(&View::text(json, format!("{what} {share}\n"), vec![("share_id", Cell::text(&share))]))
}

async fn give(session: &Session, give: Give) -> Result<(), Failure> {
    let (reference, authority) = (give.case.reference, give.asked.authority.clone().unwrap_or_default());
    let (terms, subject) = give.asked.message()?;
    let request = GiveAgreementToShareRequest {
        request_id: session.request_id(),
        authority,
        case_reference: reference.clone(),
        terms: Some(terms),
        subject: Some(subject),
        decider: Some(give.decider.message()),
        circumstances: give.how.message(),
    };
    let answer = call!(session, AgreementToShareServiceClient, give_agreement_to_share, request)?;
    done(session, &answer.share_id, "given")?;
    session.next(&[format!("havenctl sharing show --case {reference}")]);
    Ok(())
}

async fn refuse(session: &Session, case: Case, asked: Asked) -> Result<(), Failure> {
    let authority = asked.authority.clone().unwrap_or_default();
    let (terms, subject) = asked.message()?;
    let request = RefuseAgreementToShareRequest {
        request_id: session.request_id(),
        authority,
        case_reference: case.reference,
        terms: Some(terms),
        subject: Some(subject),
    };
    let answer = call!(session, AgreementToShareServiceClient, refuse_agreement_to_share, request)?;
    done(session, &answer.share_id, "refused; nothing is shared")
}

async fn withdraw(session: &Session, case: Case) -> Result<(), Failure> {
    let request = WithdrawAgreementsToShareRequest { request_id: session.request_id(), case_reference: case.reference };
    let answer = call!(session, AgreementToShareServiceClient, withdraw_agreements_to_share, request)?;
    let ids: Vec<String> = answer.share_ids.iter().map(|share| id::show(share)).collect();
    let text = match ids.is_empty() {
        true => "nothing was agreed about this case, or all of it is withdrawn already\n".to_owned(),
        false => ids.iter().map(|share| format!("withdrawn {share}; nothing of it opens any more\n")).collect(),
    };
    session.show(&View::text(to_json(&answer), text, vec![("share_ids", Cell::list(ids.iter()))]))
}

async fn fetch(session: &Session, case: &Case) -> Result<Vec<HeldAgreementToShare>, Failure> {
    let request = ShowAgreementsToShareRequest { case_reference: case.reference.clone() };
    Ok(call!(session, AgreementToShareServiceClient, show_agreements_to_share, request)?.agreements)
}

async fn show(session: &Session, case: &Case) -> Result<(), Failure> {
    let agreements = fetch(session, case).await?;
    let mut grid =
        Grid::new(&["agreement_to_share", "standing", "scope", "to", "until", "erased_by", "used", "last", "at"]);
    for held in &agreements {
        let terms = held.terms.clone().unwrap_or_default();
        let standing = match held.unreadable.as_str() {
            "" => name::<ShareStanding>(held.standing),
            reason => unreadable(reason),
        };
        let last = held.events.last().cloned().unwrap_or_default();
        let blank = ShareScopeTerms::default();
        let scopes = if terms.scopes.is_empty() { vec![blank] } else { terms.scopes };
        for (i, scope) in scopes.iter().enumerate() {
            grid.push([
                Cell::id(id::show(&held.share_id)),
                Cell::text(&standing),
                Cell::text(name::<ShareScope>(scope.scope)),
                Cell::list(scope.recipients.iter()),
                Cell::time(scope.expires_ms),
                Cell::time(scope.erase_by_ms),
                Cell::text(format!("{} of {}", held.used.get(i).copied().unwrap_or_default(), scope.uses)),
                Cell::text(name::<ShareEventKind>(last.kind)),
                Cell::time(last.at_ms),
            ]);
        }
    }
    if grid.is_empty() {
        session.say("nothing was agreed about this case");
    }
    let json = agreements.iter().map(to_json).collect::<Vec<_>>();
    session.show(&View::list(serde_json::json!({ "agreements": json }), &["agreements"], grid))
}

impl One {
    async fn find(&self, session: &Session) -> Result<HeldAgreementToShare, Failure> {
        let held = fetch(session, &self.case).await?;
        let shows = format!("havenctl sharing show --case {}", self.case.reference);
        let typed = match (&self.share, held.as_slice()) {
            (Some(typed), _) => typed,
            (None, [one]) => return Ok(one.clone()),
            (None, _) => return Err(Failure::usage("this case has none, or several; it is not said which one", shows)),
        };
        let ids = held.iter().map(|held| (&held.share_id[..], held.clone()));
        id::resolve(typed, ids, "agreement to share", "havenctl sharing show --case REFERENCE")
    }
}

impl Asked {
    fn message(self) -> Result<(ShareTerms, ShareSubject), Failure> {
        if let Some(file) = &self.file {
            let asked: GiveAgreementToShareRequest = from_json(&read_file(file)?)?;
            return Ok((asked.terms.unwrap_or_default(), asked.subject.unwrap_or_default()));
        }
        let hash = id::parse(&self.notice_hash).filter(|hash| hash.len() == 32).ok_or_else(|| {
            Failure::usage("the notice is not named by its text", "write --notice-hash $(sha256sum FILE)")
        })?;
        let mut countries = self.country;
        if countries.is_empty() {
            countries = self.to.iter().filter_map(|to| to.get(..2)).map(str::to_owned).collect();
            countries.sort();
            countries.dedup();
        }
        let scope = ShareScopeTerms {
            scope: self.scope.map_or(0, |scope| scope.number),
            purposes: numbers(&self.purpose),
            recipients: self.to,
            countries,
            expires_ms: self.until,
            erase_by_ms: self.erase_by.unwrap_or(self.until + MONTH_MS),
            uses: self.uses,
        };
        let terms = ShareTerms {
            notice: Some(ShareNotice {
                version: self.notice,
                hash: hash.into(),
                language: self.language,
                provenance: self.provenance.number,
            }),
            scopes: vec![scope],
            excluded_recipients: self.exclude,
            excluded_countries: self.exclude_country,
            lawful_basis: self.lawful_basis.number,
            special_basis: self.special_basis.number,
            provision: self.provision,
            reconfirm_by_ms: self.reconfirm_by,
        };
        let minor = self.best_interests.map(|best_interests| MinorTerms {
            best_interests,
            views: self.views.map_or(0, |views| views.number),
            unaccompanied: self.unaccompanied,
            both_officers_agreed: false,
        });
        Ok((terms, ShareSubject { age: self.age.number, minor }))
    }
}

impl Decided {
    fn message(&self) -> ShareDecider {
        ShareDecider {
            kind: self.kind.number,
            independent: self.independent,
            in_conflict: self.in_conflict,
            incapacity: self.incapacity.as_ref().map_or(0, |incapacity| incapacity.number),
        }
    }
}

impl How {
    /// Nothing, where neither mode nor setting is said: then it is for who decides for vital interests.
    fn message(&self) -> Option<ShareCircumstances> {
        let said = self.mode.is_some() || self.setting.is_some();
        said.then(|| ShareCircumstances {
            mode: self.mode.as_ref().map_or(0, |mode| mode.number),
            interpreter: self.interpreter.number,
            setting: self.setting.as_ref().map_or(0, |setting| setting.number),
            exploiter_excluded: self.exploiter_excluded,
            called_back_alone: self.called_back_alone,
            duress: self.duress,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Noun};
    use clap::Parser;

    #[test]
    fn what_was_asked_names_recipients_and_their_countries() {
        let hash = "ab".repeat(32);
        let line = format!(
            "havenctl sharing give --case SB-2026/0417 --scope REFERRAL_SHELTER --to de-kehl,lu-esch --exclude fr-metz \
             --until 2027-01-31 --notice 3 --notice-hash {hash} --language ro --provision CASF --mode READ --setting SHELTER \
             --exploiter-excluded"
        );
        let Noun::Sharing(Verb::Give(give)) = Cli::try_parse_from(line.split_whitespace()).unwrap().noun else {
            panic!("an agreement to share")
        };
        assert_eq!(give.how.message().unwrap().setting(), ShareSetting::Shelter);
        assert_eq!(give.decider.message().kind(), DeciderKind::Person);
        let (terms, subject) = give.asked.message().unwrap();
        let scope = &terms.scopes[0];
        assert_eq!(
            (&scope.countries[..], scope.erase_by_ms),
            (&["de".to_owned(), "lu".to_owned()][..], scope.expires_ms + MONTH_MS)
        );
        assert_eq!((terms.excluded_recipients, subject.age()), (vec!["fr-metz".to_owned()], AgeAssessment::Adult));
    }
}
