//! What every kind of record has: published from arguments over a file, answered, updated, cancelled, and shown.

use std::path::Path;

use havenlink_proto::Said;
use havenlink_proto::local::v1::record_service_client::RecordServiceClient;
use havenlink_proto::local::v1::{
    AnswerRecordRequest, CancelRecordRequest, Content, Delivery, DeliveryState, HeldRecord, PublishRecordRequest,
    UpdateRecordRequest, Wording,
};
use havenlink_proto::record::v1::ReferenceKind;
use serde_json::{Value, json};

use super::{delivery, read_file};
use crate::contract_enum::name;
use crate::failure::Failure;
use crate::id;
use crate::output::{Cell, View, clean};
use crate::session::{Session, call};
use crate::spans;
use crate::value::{from_json, to_json};

/// A request from a file: as the contract has it; the record under the name of its kind, beside `sharing`; or the record
/// alone.
///
/// # Errors
/// The field that does not fit the contract.
pub fn from_file<R: Said>(file: &Path) -> Result<PublishRecordRequest, Failure> {
    from_json(&request(read_file(file)?, R::FIELD))
}

fn request(mut file: Value, kind: &str) -> Value {
    if file.get("content").is_some() {
        return file;
    }
    let beside = file.as_object_mut().and_then(|fields| fields.remove(kind));
    let (record, mut request) = match beside {
        Some(record) => (record, file),
        None => (file, json!({})),
    };
    request["content"] = json!({ kind: record });
    request
}

/// Publishes, and shows what came of it; `next`: the verb that shows the record.
///
/// # Errors
/// What the node refused.
pub async fn publish(session: &Session, mut request: PublishRecordRequest, next: &[&str]) -> Result<(), Failure> {
    request.request_id = session.request_id_over(request.request_id);
    let said = request.clone();
    let answer = call!(session, RecordServiceClient, publish_record, request)?;
    let record = id::show(&answer.record_id);
    let text = match answer.standing.is_empty() {
        true => format!("published {record}, queued for {}\n", clean(&answer.recipients.join(", "))),
        false => {
            format!("published {record} by an earlier call with this request id:\n{}", as_they_stand(&answer.standing))
        }
    };
    let pairs = vec![("record_id", Cell::id(&record)), ("recipients", Cell::list(answer.recipients.iter()))];
    session.show(&View::text(to_json(&answer), text, pairs))?;
    better_said(session, &answer.wordings, &to_json(&said));
    if answer.standing.iter().any(|delivery| gave_up(delivery.state())) {
        session.next(&["the same command with a new --request-id sends it anew".to_owned()]);
        return Ok(());
    }
    session.next(&next.iter().map(|next| next.replace("RECORD", &record)).collect::<Vec<_>>());
    Ok(())
}

/// Answers a received record; `done`: what was done, in a word.
///
/// # Errors
/// What the node refused.
pub async fn answer(
    session: &Session,
    (origin, record_id): (String, Vec<u8>),
    answer: Content,
    done: &str,
) -> Result<(), Failure> {
    let text = format!("{done}; {} will see it\n", clean(&origin));
    let request = AnswerRecordRequest {
        request_id: session.request_id(),
        origin,
        record_id: record_id.into(),
        answer: Some(answer),
    };
    let answered = call!(session, RecordServiceClient, answer_record, request)?;
    session.show(&View::text(to_json(&answered), text, vec![("record_id", Cell::id(id::show(&answered.record_id)))]))
}

/// A line for each recipient: where its delivery stands now, and why.
fn as_they_stand(deliveries: &[Delivery]) -> String {
    let line = |delivery: &Delivery| {
        let because =
            if delivery.reason.is_empty() { String::new() } else { format!(" ({})", clean(&delivery.reason)) };
        format!("  {}  {}{because}\n", clean(&delivery.recipient), name::<DeliveryState>(delivery.state))
    };
    deliveries.iter().map(line).collect()
}

/// Whether nothing more is tried.
fn gave_up(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Refused | DeliveryState::Skipped | DeliveryState::Quarantined)
}

/// Says an own record anew, and shows whom the newer word goes to.
///
/// # Errors
/// What the node refused.
pub async fn update(session: &Session, (origin, record_id): (String, Vec<u8>), said: Content) -> Result<(), Failure> {
    let request = UpdateRecordRequest {
        request_id: session.request_id(),
        origin,
        record_id: record_id.clone().into(),
        content: Some(said),
    };
    let said = to_json(&request);
    let answer = call!(session, RecordServiceClient, update_record, request)?;
    let record = id::show(&answer.record_id);
    let text = match answer.record_id == record_id {
        true => format!("{record} says this already; nothing was sent\n"),
        false => format!("updated as {record}, queued for {}\n", recipients(&answer.recipients)),
    };
    let pairs = vec![("record_id", Cell::id(&record)), ("recipients", Cell::list(answer.recipients.iter()))];
    session.show(&View::text(to_json(&answer), text, pairs))?;
    better_said(session, &answer.wordings, &said);
    Ok(())
}

/// Points at words that were better others. It was published all the same.
fn better_said(session: &Session, wordings: &[Wording], said: &Value) {
    for wording in wordings {
        let (start, end) = (wording.start as usize, wording.end as usize);
        let words = spans::words(said, &wording.field, start..end);
        session.say(&format!("better said: {} instead of \"{words}\" ({})", wording.instead, wording.field));
    }
}

/// Takes an own record back, and shows whom the cancellation goes to.
///
/// # Errors
/// What the node refused.
pub async fn cancel(session: &Session, (origin, record_id): (String, Vec<u8>)) -> Result<(), Failure> {
    let request = CancelRecordRequest { request_id: session.request_id(), origin, record_id: record_id.clone().into() };
    let answer = call!(session, RecordServiceClient, cancel_record, request)?;
    let cancelled = id::show(&record_id);
    let text = format!("cancelled {cancelled}, queued for {}\n", recipients(&answer.recipients));
    let record = id::show(&answer.record_id);
    let pairs = vec![("record_id", Cell::id(&record)), ("recipients", Cell::list(answer.recipients.iter()))];
    session.show(&View::text(to_json(&answer), text, pairs))
}

fn recipients(names: &[String]) -> String {
    if names.is_empty() { "nobody: no partner holds it".to_owned() } else { clean(&names.join(", ")) }
}

/// Shows one record with its deliveries, and says what comes next: the later word, or how a received one is answered.
///
/// # Errors
/// When the terminal does not take it.
pub fn show(
    session: &Session,
    held: &HeldRecord,
    noun: &str,
    pairs: Vec<(&'static str, Cell)>,
    answer: &str,
) -> Result<(), Failure> {
    let mut view = View::sheet(to_json(held), pairs);
    if !held.deliveries.is_empty() {
        view = view.and_text("\n".to_owned()).and_grid(delivery::grid(&held.deliveries));
    }
    session.show(&view)?;
    if !later(session, held, noun) && held.position > 0 && held.answers.is_empty() && held.unreadable.is_empty() {
        let record = id::show(&held.record_id);
        session.next(&[format!("havenctl {noun} {} --origin {}", answer.replace("RECORD", &record), held.origin)]);
    }
    Ok(())
}

/// Names the command that shows the later word, if there is one.
pub fn later(session: &Session, held: &HeldRecord, noun: &str) -> bool {
    let next = held.superseded_by.as_ref().map(|later| {
        session.next(&[format!("havenctl {noun} show {} --origin {}", id::show(&later.record_id), later.origin)]);
    });
    next.is_some()
}

/// How the sheet of a record begins: its id under its noun, its origin, and what became of it.
pub fn head(held: &HeldRecord, noun: &'static str) -> Vec<(&'static str, Cell)> {
    let mut pairs = vec![(noun, Cell::id(id::show(&held.record_id))), ("origin", Cell::text(&held.origin))];
    pairs.extend(standing(held));
    pairs
}

/// What became of a record: whether it can be read here, what its publisher said later, which earlier one it speaks of.
fn standing(held: &HeldRecord) -> Vec<(&'static str, Cell)> {
    let mut pairs = Vec::new();
    if !held.unreadable.is_empty() {
        pairs.push(("unreadable", Cell::text(format!("{}; havenctl explain {}", held.unreadable, held.unreadable))));
    }
    if let Some(later) = &held.superseded_by {
        let label = match later.kind() {
            ReferenceKind::Cancels => "cancelled by",
            ReferenceKind::Replaces => "replaced by",
            _ => "updated by",
        };
        pairs.push((label, Cell::id(id::show(&later.record_id))));
    }
    let earlier = |kind: ReferenceKind| held.references.iter().find(|reference| reference.kind() == kind);
    for (label, kind) in [
        ("updates", ReferenceKind::Updates),
        ("replaces", ReferenceKind::Replaces),
        ("cancels", ReferenceKind::Cancels),
        ("answers", ReferenceKind::Answers),
    ] {
        pairs.extend(earlier(kind).map(|reference| (label, Cell::id(id::show(&reference.record_id)))));
    }
    pairs
}

/// In a list: what a record says, or why it cannot be read.
pub fn or_unreadable(held: &HeldRecord, said: impl Into<String>) -> String {
    if held.unreadable.is_empty() { said.into() } else { super::unreadable(&held.unreadable) }
}

/// What a content says, if it is of this kind.
pub fn said<R: Said>(content: Option<&Content>) -> Option<R> {
    R::said(content?).cloned()
}

/// What is held, if it is of this kind; one that cannot be read says nothing.
pub fn held<R: Said>(held: &HeldRecord) -> R {
    said(held.content.as_ref()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use havenlink_proto::record::v1::{Alert, Practice};

    #[test]
    fn a_file_has_the_whole_request_or_the_record_with_its_sharing_or_the_record_alone() {
        let whole = json!({ "content": { "alert": { "sector": "I56" } }, "sharing": { "recipients": [] } });
        let beside = json!({ "alert": { "sector": "I56" }, "sharing": { "recipients": [] } });
        assert_eq!(request(whole.clone(), "alert"), whole);
        assert_eq!(request(beside, "alert"), whole);
        assert_eq!(
            request(json!({ "sector": "I56" }), "alert"),
            json!({ "content": { "alert": { "sector": "I56" } } })
        );
    }

    #[test]
    fn a_content_says_one_kind() {
        let content = Content::from(Alert { sector: "I56".into(), ..Default::default() });
        assert_eq!(said::<Alert>(Some(&content)).map(|alert| alert.sector).as_deref(), Some("I56"));
        assert_eq!((said::<Practice>(Some(&content)), said::<Alert>(None)), (None, None));
    }
}
