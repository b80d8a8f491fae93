//! How many elements a message may have is asked before anything of it is decoded (9.14).

use havenlink_proto::peer::v1 as peer;
use havenlink_proto::peer::v1::exchange_service_server::{ExchangeService, ExchangeServiceServer};
use prost::Message;

use super::*;

/// Takes whatever comes.
struct Taker;

#[tonic::async_trait]
impl ExchangeService for Taker {
    async fn greet(
        &self,
        _: tonic::Request<peer::GreetRequest>,
    ) -> Result<tonic::Response<peer::GreetResponse>, Status> {
        Ok(tonic::Response::new(peer::GreetResponse::default()))
    }

    async fn list_capacity(
        &self,
        _: tonic::Request<peer::ListCapacityRequest>,
    ) -> Result<tonic::Response<peer::ListCapacityResponse>, Status> {
        Ok(tonic::Response::new(peer::ListCapacityResponse::default()))
    }

    async fn list_withdrawals(
        &self,
        _: tonic::Request<peer::ListWithdrawalsRequest>,
    ) -> Result<tonic::Response<peer::ListWithdrawalsResponse>, Status> {
        Ok(tonic::Response::new(peer::ListWithdrawalsResponse::default()))
    }

    async fn hold(&self, _: tonic::Request<peer::HoldRequest>) -> Result<tonic::Response<peer::HoldResponse>, Status> {
        Ok(tonic::Response::new(peer::HoldResponse::default()))
    }

    async fn list_ends(
        &self,
        _: tonic::Request<peer::ListEndsRequest>,
    ) -> Result<tonic::Response<peer::ListEndsResponse>, Status> {
        Ok(tonic::Response::new(peer::ListEndsResponse::default()))
    }

    async fn deliver(
        &self,
        request: tonic::Request<peer::DeliverRequest>,
    ) -> Result<tonic::Response<peer::DeliverResponse>, Status> {
        Ok(tonic::Response::new(peer::DeliverResponse { next: request.get_ref().items.len() as u64, receipt: None }))
    }
}

/// What the node answers to one message of these bytes, as Kehl's `Deliver`.
async fn delivered(message: &[u8]) -> Status {
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).unwrap());
    body.put_slice(message);
    let mut request = Request::builder()
        .method("POST")
        .uri("http://node/havenlink.peer.v1.ExchangeService/Deliver")
        .header("content-type", "application/grpc")
        .body(Body::new(Pieces(vec![body.freeze()].into_iter())))
        .unwrap();
    request.extensions_mut().insert(super::peer(KEHL).unwrap());
    let server = ExchangeServiceServer::new(Taker).max_decoding_message_size(access::largest_request());
    let answer = guard(Arc::new(|_, _| Ok(()))).layer(server).oneshot(request).await.unwrap();
    Status::from_header_map(answer.headers()).unwrap_or_else(|| Status::ok(""))
}

#[tokio::test]
async fn a_full_batch_is_taken_and_one_item_more_is_refused_by_name() {
    let batch = |items| peer::DeliverRequest { items: vec![peer::DeliverItem::default(); items], ..Default::default() };
    assert_eq!(delivered(&batch(256).encode_to_vec()).await.code(), Code::Ok);
    assert_eq!(reason(&delivered(&batch(257).encode_to_vec()).await), "MESSAGE_TOO_LARGE");
    let megabyte = [0x42, 0x00].repeat(1 << 19);
    assert_eq!(reason(&delivered(&megabyte).await), "MESSAGE_TOO_LARGE", "two bytes each");
    let packed_away = [0xf8, 0x3f, 0x01].repeat(5_000);
    assert_eq!(reason(&delivered(&packed_away).await), "MESSAGE_TOO_LARGE", "fields that nobody knows");
    assert_eq!(reason(&delivered(&[0x0b, 0x0c]).await), "DECODE_FAILED", "a group");
}
