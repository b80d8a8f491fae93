//! Which alert is meant: how much is asked of the node to find it.

use havenlink_proto::local::v1::record_service_server::RecordService;
use havenlink_proto::local::v1::{
    AnswerRecordRequest, AnswerRecordResponse, CancelRecordRequest, CancelRecordResponse, ExplainRecordRequest,
    ExplainRecordResponse, Folder, GetRecordRequest, GetRecordResponse, HeldRecord, ListRecordsRequest,
    ListRecordsResponse, PublishRecordRequest, PublishRecordResponse, UpdateRecordRequest, UpdateRecordResponse,
    WatchRecordsRequest, WatchRecordsResponse,
};
use havenlink_proto::record::v1::RecordKind;
use tonic::{Code, Request, Response, Status};

use super::played::{Answer, Node, Played, refused};
use super::tables;

/// How many were received; one was published.
const RECEIVED: u64 = 450;

fn held(origin: &str, n: u64) -> HeldRecord {
    let record_id = [[0xa1; 8], n.to_be_bytes()].concat().into();
    HeldRecord { origin: origin.into(), record_id, position: u64::from(origin == "de-kehl"), ..Default::default() }
}

/// The id of a number, as the tool shows it.
fn id(n: u64) -> String {
    format!("a1a1a1a1-a1a1-a1a1-0000-{n:012x}")
}

fn number(record_id: &[u8]) -> u64 {
    u64::from_be_bytes(record_id[8..].try_into().unwrap())
}

#[tonic::async_trait]
impl RecordService for Node {
    type WatchRecordsStream = tokio_stream::Empty<Result<WatchRecordsResponse, Status>>;
    async fn watch_records(&self, _: Request<WatchRecordsRequest>) -> Answer<Self::WatchRecordsStream> {
        Err(Status::unimplemented(""))
    }
    async fn publish_record(&self, _: Request<PublishRecordRequest>) -> Answer<PublishRecordResponse> {
        Err(Status::unimplemented(""))
    }
    async fn update_record(&self, _: Request<UpdateRecordRequest>) -> Answer<UpdateRecordResponse> {
        Err(Status::unimplemented(""))
    }
    async fn cancel_record(&self, _: Request<CancelRecordRequest>) -> Answer<CancelRecordResponse> {
        Err(Status::unimplemented(""))
    }
    async fn list_records(&self, request: Request<ListRecordsRequest>) -> Answer<ListRecordsResponse> {
        let asked = request.into_inner();
        if asked.kind() == RecordKind::Practice {
            return Ok(Response::new(ListRecordsResponse::default()));
        }
        assert_eq!(asked.kind(), RecordKind::Alert);
        if self.long_names {
            return Ok(Response::new(ListRecordsResponse { records: tables::alerts(), ..Default::default() }));
        }
        let from: u64 = asked.page_token.parse().unwrap_or(0);
        let (name, all) = match asked.folder() {
            Folder::Published => ("published", vec![held("fr-strasbourg", 999)]),
            _ => ("received", (0..RECEIVED).map(|n| held("de-kehl", n)).collect()),
        };
        self.note(format!("{name} from {from}"));
        let to = from + u64::try_from(asked.page_size).unwrap();
        let records = all.iter().skip(usize::try_from(from).unwrap()).take(asked.page_size as usize).cloned().collect();
        let next_page_token = if to < all.len() as u64 { to.to_string() } else { String::new() };
        Ok(Response::new(ListRecordsResponse { records, next_page_token }))
    }
    async fn get_record(&self, request: Request<GetRecordRequest>) -> Answer<GetRecordResponse> {
        let asked = request.into_inner();
        self.note(format!("get {} {}", asked.origin, number(&asked.record_id)));
        if asked.origin == "xx-nobody" {
            return Err(refused(Code::NotFound, "NOT_FOUND", "there is no such thing here", "4"));
        }
        let record = Some(held(&asked.origin, number(&asked.record_id)));
        Ok(Response::new(GetRecordResponse { record }))
    }
    async fn explain_record(&self, _: Request<ExplainRecordRequest>) -> Answer<ExplainRecordResponse> {
        Err(Status::unimplemented(""))
    }
    async fn answer_record(&self, request: Request<AnswerRecordRequest>) -> Answer<AnswerRecordResponse> {
        let asked = request.into_inner();
        self.note(format!("answer {} {}", asked.origin, number(&asked.record_id)));
        Ok(Response::new(AnswerRecordResponse { record_id: asked.record_id }))
    }
}

#[test]
fn a_whole_id_with_its_origin_is_asked_for_and_answered_without_a_search() {
    let node = Played::new();
    let (code, out, err) = node.run(&["alert", "show", &id(7), "--origin", "de-kehl", "--role", "operator"]);
    assert!(code == 0 && out.contains(&id(7)), "{err}");
    assert_eq!(node.asked(), ["get de-kehl 7"]);
    let next = format!("next: havenctl alert answer {} ACKNOWLEDGED --origin de-kehl\n", id(7));
    assert_eq!(err, next, "the next step needs no search either");
    let hex = id(7).replace('-', "");
    let answer = ["alert", "answer", &hex, "ACKNOWLEDGED", "--origin", "de-kehl", "--role", "operator"];
    let (_, out, _) = node.run(&answer);
    assert_eq!((out.as_str(), node.asked()), ("answered; de-kehl will see it\n", vec!["answer de-kehl 7".to_owned()]));
    let (code, out, err) = node.run(&["alert", "show", &id(7), "--origin", "xx-nobody", "--role", "operator"]);
    assert!((code, out.as_str()) == (4, "") && err.starts_with("error[NOT_FOUND]"), "{err}");
}

#[test]
fn a_whole_id_is_looked_for_page_by_page_and_no_further_than_it_is() {
    let node = Played::new();
    let run = |arguments: &[&str]| {
        let ran = node.run(&[&["alert", "--role", "operator"], arguments].concat());
        (ran, node.asked())
    };
    let ((code, ..), asked) = run(&["show", &id(3)]);
    assert_eq!((code, asked), (0, ["received from 0", "get de-kehl 3"].map(str::to_owned).to_vec()));
    // One's own is found before the whole inbox is read.
    let (_, asked) = run(&["show", &id(999)]);
    assert_eq!(asked, ["received from 0", "published from 0", "get fr-strasbourg 999"]);
    // What is answered was received.
    let (_, asked) = run(&["answer", &id(449), "ACKNOWLEDGED"]);
    assert_eq!(asked, ["received from 0", "received from 200", "received from 400", "answer de-kehl 449"]);
    let ((code, out, err), asked) = run(&["answer", &id(5_000), "ACKNOWLEDGED"]);
    assert!((code, out.as_str()) == (4, "") && err.starts_with("error[NOT_FOUND]: there is no alert "), "{err}");
    // What is in no list may have been cancelled: each origin of the lists is asked for it.
    assert_eq!(asked[asked.len() - 3..], ["published from 0", "get de-kehl 5000", "get fr-strasbourg 5000"]);
}

#[test]
fn a_beginning_has_to_name_one_of_all() {
    let node = Played::new();
    let show = |typed: &str| node.run(&["alert", "show", typed, "--role", "operator"]);
    let (code, _, err) = show("a1a1a1a1");
    assert!(code == 2 && err.contains("begins 451 ids"), "{err}");
    let (code, out, _) = show("a1a1a1a1-a1a1-a1a1-0000-0000000003e");
    assert!(code == 0 && out.contains("fr-strasbourg"), "999 is 3e7: {out}");
    let (code, out, _) = node.run(&["alert", "show", "a1a1", "--origin", "fr-strasbourg", "--role", "operator"]);
    assert!(code == 0 && out.contains(&id(999)), "{out}");
}
