//! `erasure`: status, verify: what became of one record that was called back, at each holder and in the files here.

use clap::{Args, Subcommand};
use havenlink_proto::local::v1::referral_service_client::ReferralServiceClient;
use havenlink_proto::local::v1::{HolderState, ShowErasureRequest, VerifyErasureRequest, VerifyErasureResponse};

use crate::contract_enum::name;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, Grid, View};
use crate::reasons;
use crate::session::{Session, call};
use crate::value::to_json;

/// A node's files may be large.
const WHOLE_NODE: std::time::Duration = std::time::Duration::from_secs(300);

/// What became of a record about a person that was called back
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Each holder: when it was told, when its node had that, and what it signed
    Status {
        #[command(flatten)]
        which: Called,
    },
    /// Looks into the files of this node for what is left of it
    Verify {
        #[command(flatten)]
        which: Called,
    },
}

/// A record that was called back, or is still shared.
#[derive(Debug, Args)]
pub struct Called {
    /// Its whole id, as havenctl referral erasures and disclosures show it
    #[arg(value_name = "ID")]
    record: String,
    /// Who shared it; this node, if not given
    #[arg(long, value_name = "AUTHORITY")]
    origin: Option<String>,
}

impl Called {
    fn key(&self) -> Result<(String, Vec<u8>), Failure> {
        let whole = id::parse(&self.record).filter(|bytes| bytes.len() == 16);
        let usage =
            || Failure::usage(format!("{:?} is no whole id of a record", self.record), "havenctl referral erasures");
        Ok((self.origin.clone().unwrap_or_default(), whole.ok_or_else(usage)?))
    }
}

/// Does it.
pub async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::Status { which } => status(session, &which).await,
        Verb::Verify { which } => verify(session, &which).await,
    }
}

async fn status(session: &Session, which: &Called) -> Result<(), Failure> {
    let (origin, record_id) = which.key()?;
    let request = ShowErasureRequest { origin, record_id: record_id.into() };
    let answer = call!(session, ReferralServiceClient, show_erasure, request)?;
    let mut grid = Grid::new(&["holder", "state", "called_back", "received", "due", "answered"]);
    for holder in &answer.holders {
        let state = name::<HolderState>(holder.state);
        let state = if holder.overdue { format!("{state} OVERDUE") } else { state };
        grid.push([
            Cell::text(&holder.authority),
            Cell::state(state),
            Cell::time(holder.noticed_ms),
            Cell::time(holder.received_ms),
            Cell::time(holder.due_by_ms),
            Cell::time(holder.answered_ms),
        ]);
    }
    session.show(&View::list(to_json(&answer), &["holders"], grid))
}

async fn verify(session: &Session, which: &Called) -> Result<(), Failure> {
    let (origin, record_id) = which.key()?;
    let request = VerifyErasureRequest { origin, record_id: record_id.into() };
    let patient = session.patient(WHOLE_NODE);
    let answer = call!(patient, ReferralServiceClient, verify_erasure, request)?;
    let left = left(&answer);
    let bytes: u64 = answer.files.iter().map(|file| file.bytes).sum();
    let mut text = match left.is_empty() {
        true => format!("nothing of it is left here: looked at {} files, {bytes} bytes\n", answer.files.len()),
        false => format!("looked at {} files, {bytes} bytes\n", answer.files.len()),
    };
    for file in &answer.files {
        text.push_str(&format!("  {} bytes  {}\n", file.bytes, crate::output::clean(&file.file)));
    }
    for place in &answer.not_looked_at {
        text.push_str(&format!("not looked at: {}\n", crate::output::clean(place)));
    }
    let pairs = vec![
        ("erased", Cell::text(answer.erased.to_string())),
        ("rows", Cell::number(answer.rows)),
        ("files", Cell::number(answer.files.len() as u64)),
        ("bytes", Cell::number(bytes)),
        ("left", Cell::list(left.iter())),
    ];
    session.show(&View::text(to_json(&answer), text, pairs))?;
    if left.is_empty() {
        return Ok(());
    }
    let reason = &reasons::REMAINS_LEFT;
    Err(Failure::new(reason, format!("something of it is left here: {}", left.join("; ")), reason.why, reason.remedy))
}

/// What is left, in words.
fn left(answer: &VerifyErasureResponse) -> Vec<String> {
    let mut left = Vec::new();
    if !answer.erased {
        left.push("its key was not destroyed".to_owned());
    }
    if answer.rows > 0 {
        left.push(format!("{} rows of the database hold it", answer.rows));
    }
    for file in answer.files.iter().filter(|file| file.found > 0) {
        left.push(format!("it stands {} times in {}", file.found, crate::output::clean(&file.file)));
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use havenlink_proto::local::v1::LookedAt;

    #[test]
    fn what_is_left_is_said_of_key_rows_and_each_file() {
        let file = |name: &str, found| LookedAt { file: name.into(), bytes: 9, found };
        let whole = VerifyErasureResponse { erased: true, files: vec![file("keys.db", 0)], ..Default::default() };
        assert_eq!(left(&whole), Vec::<String>::new());
        let files = vec![file("keys.db", 0), file("keys-backup/1.db", 2)];
        let partly = VerifyErasureResponse { erased: false, rows: 1, files, ..Default::default() };
        assert_eq!(
            left(&partly),
            ["its key was not destroyed", "1 rows of the database hold it", "it stands 2 times in keys-backup/1.db"]
        );
    }

    #[test]
    fn a_record_is_named_by_its_whole_id() {
        let called = |record: &str| Called { record: record.into(), origin: None };
        assert_eq!(called("019aa000-0000-7000-8000-000000000000").key().unwrap().1.len(), 16);
        assert!(called("019aa000").key().is_err());
    }
}
