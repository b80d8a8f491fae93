//! A node that has something in every field of whatever it is asked: long names in four scripts, ids, times.
//!
//! Lists are as long as there are scripts, and each of their rows says another one.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::Path;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use havenlink_proto::local::v1::ListRecordsRequest;
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{Body, BoxFuture, StdError, http};
use tonic::server::{Grpc, UnaryService};
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::tables::{CITIES, id, noon};

/// Every role has its socket there.
const DOORS: [&str; 7] =
    ["operator", "coordinator", "publisher", "consumer", "data-protection", "inspection", "liaison"];
/// How deep a message in a message is filled.
const DEPTH: usize = 7;

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(havenlink_proto::DESCRIPTOR_SET).unwrap());

/// Answers at all sockets of this folder, for as long as the runtime is there.
pub fn answers_in(folder: &Path) -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for door in DOORS {
        let path = folder.join(format!("{door}.sock"));
        let listener = runtime.block_on(async { UnixListener::bind(path).unwrap() });
        let routes = Routes::from(Routes::default().into_axum_router().fallback_service(Everything));
        let server = tonic::transport::Server::builder().add_routes(routes);
        runtime.spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
    }
    runtime
}

/// What is being filled: which row of the list around it, and of which kind records are.
#[derive(Clone, Copy)]
struct Row {
    n: usize,
    kind: i32,
}

fn filled(message: &MessageDescriptor, row: Row, depth: usize) -> DynamicMessage {
    let mut made = DynamicMessage::new(message.clone());
    for field in message.fields() {
        // Of alternatives the one that the kind's number names; otherwise the first.
        let chosen = field.containing_oneof().is_none_or(|one| {
            let numbers: Vec<u32> = one.fields().map(|field| field.number()).collect();
            let named = u32::try_from(row.kind).unwrap_or(0);
            field.number() == if numbers.contains(&named) { named } else { numbers[0] }
        });
        let rows: Vec<Value> = match (field.is_list(), field.kind()) {
            (true, Kind::Message(_)) => {
                (0..CITIES.len()).filter_map(|n| value(&field, Row { n, ..row }, depth)).collect()
            }
            _ => value(&field, row, depth).into_iter().collect(),
        };
        if chosen && field.is_list() {
            made.set_field(&field, Value::List(rows));
        } else if let (true, Some(one)) = (chosen && !field.is_map(), rows.into_iter().next()) {
            made.set_field(&field, one);
        }
    }
    made
}

fn value(field: &FieldDescriptor, row: Row, depth: usize) -> Option<Value> {
    let name = field.name();
    Some(match field.kind() {
        Kind::String => Value::String(text(name, row)),
        Kind::Bytes => Value::Bytes(Bytes::from(bytes(name, row))),
        Kind::Enum(kind) if kind.full_name() == "havenlink.record.v1.RecordKind" && row.kind > 0 => {
            Value::EnumNumber(row.kind)
        }
        Kind::Enum(kind) => {
            let most = kind.values().count().saturating_sub(1).max(1);
            Value::EnumNumber(kind.values().nth(1 + row.n % most).map_or(0, |value| value.number()))
        }
        Kind::Message(inner) => Value::Message(filled(&inner, row, depth.checked_sub(1)?)),
        Kind::Bool => Value::Bool(row.n.is_multiple_of(2)),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(small(row)),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(whole(name, row)),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(small(row).unsigned_abs()),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(small(row).unsigned_abs().into()),
        Kind::Float => Value::F32(1.5),
        Kind::Double => Value::F64(1.5),
    })
}

fn small(row: Row) -> i32 {
    i32::try_from(row.n).unwrap_or(0) + 1
}

/// A span where one is named, an instant otherwise; a count where it is neither.
fn whole(name: &str, row: Row) -> i64 {
    let span = ["left", "age", "retention", "for_ms", "verified", "heard"].iter().any(|word| name.contains(word));
    match name.ends_with("_ms") {
        true if span => 5_400_000,
        true => noon(),
        false => small(row).into(),
    }
}

/// A digest where one is named, an id otherwise.
fn bytes(name: &str, row: Row) -> Vec<u8> {
    let n = u8::try_from(row.n).unwrap_or(0);
    let digest = ["hash", "head", "root", "digest", "agreement", "proposal", "invitation", "sha256", "founding"];
    if digest.iter().any(|word| name.contains(word)) { vec![0xa0 + n; 32] } else { id(n).to_vec() }
}

fn text(name: &str, row: Row) -> String {
    let (authority, called, language, says) = CITIES[row.n % CITIES.len()];
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    match name {
        // The last page.
        _ if has(&["token"]) => String::new(),
        "name" => called.to_owned(),
        "reason" => "AGREEMENT_NOT_IN_FORCE".to_owned(),
        "version" => "0.1.0".to_owned(),
        _ if has(&["language"]) => language.to_owned(),
        _ if has(&["phone"]) => "+33199001234".to_owned(),
        _ if has(&["email", "mailbox"]) => format!("desk@{authority}.example"),
        _ if has(&["endpoint"]) => format!("{authority}.example:7443"),
        _ if has(&["case"]) => "SB-2026/0417".to_owned(),
        _ if has(&["title", "text", "summary", "problem", "measure", "evidence", "note", "label"]) => says.to_owned(),
        _ if has(&["countr", "border"]) => "fr".to_owned(),
        "code" | "sector" => "08317057".to_owned(),
        _ => authority.to_owned(),
    }
}

#[derive(Clone, Copy)]
struct Everything;

/// One call: its method is known.
struct Asked(MessageDescriptor);

impl UnaryService<Bytes> for Asked {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        // Of a list of records the kind; no other request has a number there that names one.
        let of_records = self.0.name() == "ListRecordsResponse";
        let kind =
            if of_records { ListRecordsRequest::decode(request.into_inner()).map_or(0, |asked| asked.kind) } else { 0 };
        let answer = filled(&self.0, Row { n: 0, kind }, DEPTH);
        ready(Ok(Response::new(Bytes::from(answer.encode_to_vec()))))
    }
}

impl<B> tower::Service<http::Request<B>> for Everything
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let (service, method) = path.split_once('/').unwrap();
        let service = POOL.get_service_by_name(service).unwrap();
        let output = service.methods().find(|known| known.name() == method).unwrap().output();
        Box::pin(async move { Ok(Grpc::new(Raw).unary(Asked(output), request).await) })
    }
}

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

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
