//! A client that follows no contract: bytes as they are, in both directions.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};

/// Messages as they are.
#[derive(Clone, Copy, Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        *self
    }
    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Calls any method with one message and gives its first answer; `None`: it ended without one.
///
/// # Errors
/// The refusal, and what became of the connection.
pub async fn first_answer<C>(channel: C, method: &'static str, message: Bytes) -> Result<Option<Bytes>, Status>
where
    C: tonic::client::GrpcService<tonic::body::Body>,
    C::ResponseBody: tonic::codegen::Body<Data = Bytes> + Send + 'static,
    <C::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError>,
    C::Error: Into<tonic::codegen::StdError>,
{
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|e| Status::unavailable(e.into().to_string()))?;
    let mut request = Request::new(tokio_stream::once(message));
    // The deadline is the client's; what the node's own is, another test asks.
    request.set_timeout(Duration::from_secs(30));
    let mut answers = client.streaming(request, PathAndQuery::from_static(method), Raw).await?.into_inner();
    answers.message().await
}
