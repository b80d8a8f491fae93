//! A partner's node in other hands, which asks about records that are not its own: it holds the partner's keys, and looks at each
//! answer to the byte and to the microsecond.

use bytes::Bytes;
use havenlink::clock::SystemClock;
use havenlink::demo::city::City;
use havenlink::domain::envelope::{Envelope, GrantRef};
use havenlink::domain::handling::{Handling, LawfulBasis, Pap, Purpose, RecordStatus, SpecialBasis, Tlp};
use havenlink::domain::ids::{AgreementId, AuthorityId, Incarnation, PublicationId, RecordId};
use havenlink::domain::record::{RecordKey, RecordKind, Reference, ReferenceKind, StreamClass};
use havenlink::domain::records::Control;
use havenlink::domain::time::Millis;
use havenlink::transport::PeerChannel;
use havenlink::wire::{records, sealed};
use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use havenlink_proto::peer::v1::{DeliverItem, DeliverRequest, DeliverResponse, Hello, Receipt, deliver_item};
use havenlink_proto::record::v1::Signed;
use prost::Message;
use rustix::time::{ClockId, clock_gettime};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};

use crate::intruder::{Address, Intruder};
use crate::raw::Raw;

/// An answer as it came.
pub struct Answered {
    pub code: tonic::Code,
    /// Headers and trailers by name, but for the date.
    pub metadata: Vec<(String, Vec<u8>)>,
    /// Empty for a status.
    pub message: Bytes,
    /// By the clock that every process of this machine reads, in nanoseconds.
    pub asked_ns: u64,
    pub answered_ns: u64,
}

/// Who asks: in the name of the city whose keys it holds, whose node does not run.
pub struct Asker {
    pub held: Intruder,
    channel: PeerChannel,
    to: AuthorityId,
    theirs: u64,
    /// The next number of content, and of control.
    next: [u64; 2],
}

impl Asker {
    /// With a city's keys, under an incarnation of its own.
    ///
    /// # Errors
    /// When the asked does not greet it.
    pub async fn greet(mut held: Intruder, to: &City, address: &Address) -> anyhow::Result<Self> {
        let channel = held.channel(address)?;
        held.incarnation = Incarnation(held.now().0.unsigned_abs());
        let greeting = held.greeting(to.id());
        let answer = ExchangeServiceClient::new(channel.clone()).greet(greeting).await?.into_inner();
        let theirs = Hello::decode(Signed::decode(answer.hello)?.payload)?.incarnation;
        let next = [answer.next_content, answer.next_control];
        let to = AuthorityId::parse(to.id()).ok_or_else(|| anyhow::anyhow!("an authority"))?;
        Ok(Self { held, channel, to, theirs, next })
    }

    /// Calls any method with one message.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn ask(&self, method: &'static str, message: Bytes) -> anyhow::Result<Answered> {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.map_err(|e| anyhow::anyhow!("no connection: {}", tonic::codegen::StdError::from(e)))?;
        let asked_ns = now_ns();
        let path = PathAndQuery::from_static(method);
        let answer: Result<tonic::Response<Bytes>, Status> = client.unary(Request::new(message), path, Raw).await;
        let answered_ns = now_ns();
        let (code, metadata, message) = match answer {
            Ok(answer) => {
                let (metadata, message, _) = answer.into_parts();
                (tonic::Code::Ok, metadata.into_headers(), message)
            }
            Err(status) => (status.code(), status.into_http::<()>().into_parts().0.headers, Bytes::new()),
        };
        let kept = metadata.iter().filter(|(name, _)| name.as_str() != "date");
        let mut metadata: Vec<_> = kept.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
        metadata.sort();
        Ok(Answered { code, metadata, message, asked_ns, answered_ns })
    }

    /// Delivers one envelope, and gives what the receipt says of it beside the answer.
    ///
    /// # Errors
    /// When the batch was not answered with a receipt.
    pub async fn deliver(&mut self, class: StreamClass, envelope: &Bytes) -> anyhow::Result<(Answered, String)> {
        let place = usize::from(class == StreamClass::Control);
        let request = DeliverRequest {
            origin: self.held.authority.to_string(),
            recipient: self.to.to_string(),
            origin_incarnation: self.held.incarnation.0,
            recipient_incarnation: self.theirs,
            stream_class: class.code(),
            first: self.next[place],
            sender_time_ms: self.held.now().0,
            items: vec![DeliverItem {
                item: Some(deliver_item::Item::Envelope(envelope.clone())),
                ..Default::default()
            }],
        };
        let answer = self.ask("/havenlink.peer.v1.ExchangeService/Deliver", request.encode_to_vec().into()).await?;
        anyhow::ensure!(answer.code == tonic::Code::Ok, "a batch was refused: {:?}", answer.metadata);
        let said = DeliverResponse::decode(answer.message.clone())?;
        self.next[place] = said.next;
        let receipt = Receipt::decode(Signed::decode(said.receipt.unwrap_or_default())?.payload)?;
        let outcome = receipt.outcomes.first().map(|o| format!("{:?} {}", o.result(), o.reason));
        Ok((answer, outcome.unwrap_or_default()))
    }

    /// An envelope of control with these words in it.
    pub fn control(&self, body: &Control) -> Bytes {
        let body_of = records::encode_control(body);
        self.seal(Envelope { kind: body.kind(), purpose: Purpose::Governance, body: body_of, ..self.envelope() })
    }

    /// An answer to a record of the asked, as if it had come here under this grant.
    pub fn answer(&self, kind: RecordKind, target: RecordId, agreement: AgreementId, body: Bytes) -> Bytes {
        let target = RecordKey { origin: self.to.clone(), record_id: target };
        let references = vec![Reference { kind: ReferenceKind::Answers, target }];
        let grant = Some(GrantRef { agreement, number: 0 });
        self.seal(Envelope { kind, references, grant, body, ..self.envelope() })
    }

    /// A record that answers nothing, under this agreement.
    pub fn content(&self, kind: RecordKind, agreement: AgreementId, body: Bytes) -> Bytes {
        self.seal(Envelope { kind, grant: Some(GrantRef { agreement, number: 0 }), body, ..self.envelope() })
    }

    fn seal(&self, envelope: Envelope) -> Bytes {
        sealed::seal(&envelope, &self.held.key).bytes
    }

    fn envelope(&self) -> Envelope {
        let now = SystemClock::shared().now();
        let expires = now + Millis::days(1);
        Envelope {
            federation: self.held.federation,
            origin: self.held.authority.clone(),
            recipient: self.to.clone(),
            publication_id: PublicationId(uuid::Uuid::new_v4().into_bytes()),
            record_id: RecordId(uuid::Uuid::new_v4().into_bytes()),
            kind: RecordKind::Answer,
            purpose: Purpose::Assistance,
            lawful_basis: LawfulBasis::PublicTask,
            special_basis: SpecialBasis::SubstantialPublicInterest,
            grant: None,
            shared_under: None,
            handling: Handling { tlp: Tlp::AmberStrict, pap: Pap::Amber },
            status: RecordStatus::Test,
            created: now,
            expires,
            review_by: expires,
            references: Vec::new(),
            body: Bytes::new(),
        }
    }
}

/// The monotonic clock of the machine, in nanoseconds.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
