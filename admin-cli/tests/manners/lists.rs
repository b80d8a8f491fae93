//! Lists that come in pages: one answer, as many rows as were asked for, whatever the pages look like.

use havenlink_proto::local::v1::delivery_service_server::DeliveryService;
use havenlink_proto::local::v1::offer_service_server::OfferService;
use havenlink_proto::local::v1::{
    ConfirmOfferRequest, ConfirmOfferResponse, Delivery, DeliveryState, FindOffersRequest, FindOffersResponse,
    ListDeliveriesRequest, ListDeliveriesResponse, ListOffersRequest, ListOffersResponse, OwnOffer, PartnerOffer,
    SetOfferRequest, SetOfferResponse, WatchDeliveriesRequest, WatchDeliveriesResponse,
};
use tonic::{Request, Response, Status};

use super::played::{Answer, Node, Played};
use super::tables;

fn delivery(n: usize) -> Delivery {
    Delivery {
        recipient: format!("de-kehl-{n}"),
        record_id: vec![n.to_le_bytes()[0]; 16].into(),
        state: DeliveryState::Delivered.into(),
        queued_ms: 1_700_000_000_000,
        finished_ms: 1_700_000_060_000,
        ..Default::default()
    }
}

#[tonic::async_trait]
impl DeliveryService for Node {
    type WatchDeliveriesStream = tokio_stream::Empty<Result<WatchDeliveriesResponse, Status>>;

    /// By the recipient: pages as full as asked for, a single large one, or (as a node that ends a page by its bytes) two
    /// rows, none, and two more. A token is the number of rows that stand before it.
    async fn list_deliveries(&self, request: Request<ListDeliveriesRequest>) -> Answer<ListDeliveriesResponse> {
        if self.long_names {
            return Ok(Response::new(ListDeliveriesResponse {
                deliveries: tables::deliveries(),
                ..Default::default()
            }));
        }
        let asked = request.into_inner();
        let from = asked.page_token.trim_end_matches('+').parse().unwrap_or(0);
        let size = usize::try_from(asked.page_size).unwrap();
        self.note(format!("deliveries {from}+{size}"));
        let (rows, next) = match (asked.recipient.as_str(), from) {
            ("xx-many", from) => {
                let to = (from + size).min(600);
                ((from..to).map(delivery).collect(), if to < 600 { to.to_string() } else { String::new() })
            }
            ("xx-large" | "xx-too-large", _) => {
                let mib = if asked.recipient == "xx-large" { 6 } else { 17 };
                (vec![Delivery { reason: "X".repeat(mib << 20), ..delivery(1) }], String::new())
            }
            (_, 0) => (vec![delivery(1), delivery(2)], "2".to_owned()),
            (_, _) if asked.page_token == "2" => (vec![], "2+".to_owned()),
            (_, _) => (vec![delivery(3), delivery(4)], String::new()),
        };
        Ok(Response::new(ListDeliveriesResponse { deliveries: rows, next_page_token: next }))
    }
    async fn watch_deliveries(&self, _: Request<WatchDeliveriesRequest>) -> Answer<Self::WatchDeliveriesStream> {
        Ok(Response::new(tokio_stream::empty()))
    }
}

#[tonic::async_trait]
impl OfferService for Node {
    type FindOffersStream = tokio_stream::Iter<std::vec::IntoIter<Result<FindOffersResponse, Status>>>;

    async fn find_offers(&self, request: Request<FindOffersRequest>) -> Answer<Self::FindOffersStream> {
        let wanted = request.into_inner();
        self.note(format!("find {:?} within {} ms", wanted.service_kinds, wanted.deadline_ms));
        let parts = if self.long_names { tables::board() } else { Vec::new() };
        Ok(Response::new(tokio_stream::iter(parts.into_iter().map(Ok).collect::<Vec<_>>())))
    }
    async fn set_offer(&self, _: Request<SetOfferRequest>) -> Answer<SetOfferResponse> {
        Err(Status::unimplemented(""))
    }
    async fn confirm_offer(&self, request: Request<ConfirmOfferRequest>) -> Answer<ConfirmOfferResponse> {
        let confirmed = u32::try_from(request.get_ref().offer_ids.len()).unwrap();
        Ok(Response::new(ConfirmOfferResponse { confirmed }))
    }
    /// Two own ones and a partner's on the first page, another partner's on the second; both name who is silent.
    async fn list_offers(&self, request: Request<ListOffersRequest>) -> Answer<ListOffersResponse> {
        if self.long_names {
            return Ok(Response::new(tables::offers()));
        }
        let first = request.get_ref().page_token.is_empty();
        let own =
            |n: u8| OwnOffer { offer_id: vec![n; 16].into(), authority: "fr-strasbourg".into(), ..Default::default() };
        let partner = |name: &str| PartnerOffer { authority: name.into(), ..Default::default() };
        Ok(Response::new(ListOffersResponse {
            own: if first { vec![own(1), own(2)] } else { vec![own(3)] },
            partners: vec![partner(if first { "de-kehl" } else { "de-offenburg" })],
            next_page_token: if first { "2".into() } else { String::new() },
            unreachable: vec!["be-liege".into()],
        }))
    }
}

#[test]
fn pages_become_one_list_in_every_form() {
    let node = Played::new();
    let (_, out, _) = node.run(&["delivery", "list", "-o", "jsonl"]);
    assert_eq!(out.lines().count(), 4, "a page without rows is not the end");
    let (_, out, _) = node.run(&["delivery", "list", "-o", "csv"]);
    assert_eq!(out.lines().next(), Some("to,state,reason,attempts,kind,record,queued,finished,next_attempt"));
    assert!(out.contains(
        "de-kehl-4,DELIVERED,,0,,04040404-0404-0404-0404-040404040404,2023-11-14T22:13:20Z,2023-11-14T22:14:20Z,"
    ));
    let report = ["delivery", "report", "de-kehl", "--since", "90d"];
    let (_, out, _) = node.run(&report);
    assert!(out.contains("      4  ") && out.contains("de-kehl-4"), "{out}");
    let (_, out, _) = node.run(&[&report[..], &["-o", "csv"]].concat());
    assert_eq!(
        (out.lines().count(), out.lines().next()),
        (5, Some("to,state,reason,attempts,kind,record,queued,finished,next_attempt"))
    );
    let (_, out, _) = node.run(&[&report[..], &["-o", "csv", "--bom"]].concat());
    assert!(out.starts_with("\u{feff}to,state,"), "{out}");
}

/// Pages that had more rows than were asked for end nowhere.
const MORE: &str = "there is more: --all shows all\n";

#[test]
fn a_limit_is_kept_to_the_row() {
    let node = Played::new();
    let (code, out, err) = node.run(&["delivery", "list", "--limit", "1"]);
    assert_eq!((code, out.lines().count(), err.as_str()), (0, 2, MORE), "a header, a row");
    assert!(!out.contains("REASON"), "a column in which nothing stands is left out");
    assert_eq!(node.asked(), ["deliveries 0+1"]);
    let many = ["delivery", "list", "--to", "xx-many", "-o", "jsonl"];
    let (code, out, err) = node.run(&[&many[..], &["--limit", "250"]].concat());
    let more = "there is more: --all shows all, --page-token 250 goes on from here\n";
    assert_eq!((code, out.lines().count(), err.as_str()), (7, 250, more), "a program is told by the exit code");
    assert_eq!(node.asked(), ["deliveries 0+200", "deliveries 200+50"], "no more than is shown");
    let (code, out, err) = node.run(&[&many[..], &["--all"]].concat());
    assert_eq!((code, out.lines().count(), err.as_str()), (0, 600, ""));
    node.asked();
    let (code, out, err) = node.run(&[&many[..], &["--page-token", "250", "--all"]].concat());
    assert_eq!((code, out.lines().count(), err.as_str()), (0, 350, ""), "the rest");
    assert_eq!(node.asked(), ["deliveries 250+200", "deliveries 450+200"]);
    // The limit ends where the list does, or within its second page.
    let (_, out, err) = node.run(&["delivery", "list", "--limit", "4", "-o", "jsonl"]);
    assert_eq!((out.lines().count(), err.as_str()), (4, ""));
    let (_, out, err) = node.run(&["delivery", "list", "--limit", "3", "-o", "jsonl"]);
    assert_eq!((out.lines().count(), err.as_str()), (3, MORE));
}

#[test]
fn a_list_of_two_sorts_is_cut_over_both() {
    let node = Played::new();
    let list = |limit: &str| node.run(&["offer", "list", "--role", "operator", "-o", "jsonl", "--limit", limit]);
    let (code, out, err) = node.run(&["offer", "list", "--role", "operator", "-o", "jsonl", "--all"]);
    assert_eq!((code, out.lines().count()), (7, 5), "{out}");
    assert_eq!(err, "partial answer: nothing from be-liege; what was last known is shown\n", "named once");
    let (_, out, err) = list("3");
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(out.contains("de-kehl") && err.starts_with("there is more"), "{out}{err}");
    let (_, out, _) = list("1");
    assert!(out.lines().count() == 1 && !out.contains("de-kehl"), "{out}");
    // What is looked for is looked for on all pages.
    let (_, out, err) = node.run(&["offer", "confirm", "03030303", "--role", "operator"]);
    assert_eq!(out, "confirmed: 1 of your offers are as stated, now\n", "{err}");
}

#[test]
fn an_answer_may_be_large_but_not_without_end() {
    let node = Played::new();
    let (code, out, err) = node.run(&["delivery", "list", "--to", "xx-large", "-o", "csv"]);
    assert!(code == 0 && out.len() > 6 << 20, "{err}");
    let (code, out, err) = node.run(&["delivery", "list", "--to", "xx-too-large"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.starts_with("error[MESSAGE_TOO_LARGE]") && err.contains("fix        ask for less at once"), "{err}");
}
