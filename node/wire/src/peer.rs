//! City to city: hello, batch, receipt, the question for ENDs, and the answers to them.

use bytes::Bytes;
use havenlink_proto::peer::v1 as proto;
use prost::Message;

use super::keys::SigningKey;
use super::{Error, receipt, signed};
use crate::domain::authority::PublicKey;
use crate::domain::directory::Position;
use crate::domain::ids::{AgreementId, AuthorityId, FederationId, Incarnation, KeyId};
use crate::domain::limits;
use crate::domain::reason::Reason;
use crate::domain::receipt::Receipt;
use crate::domain::record::{RecordKind, StreamClass};
use crate::domain::stream::{
    Batch, BatchAnswer, BatchItem, EndsAnswer, EndsQuestion, GreetAnswer, Greeting, Hello, ItemBody, StreamId,
    Understands, WithdrawalsAnswer, WithdrawalsQuestion,
};
use crate::domain::time::UnixMs;
use crate::domain::trace::TraceContext;

/// Finds the key of an authority that may verify now.
pub type KeyOf<'a> = &'a dyn Fn(&AuthorityId, &KeyId) -> Option<PublicKey>;

fn authority(text: &str, field: &str) -> Result<AuthorityId, Error> {
    AuthorityId::parse(text).ok_or_else(|| Error::invalid(field, "<country>-<slug>"))
}

fn federation(bytes: &[u8], field: &str) -> Result<FederationId, Error> {
    FederationId::from_slice(bytes).ok_or_else(|| Error::invalid(field, "32 bytes"))
}

fn class(number: i32) -> Result<StreamClass, Error> {
    StreamClass::from_code(number).ok_or_else(|| Error::unknown("stream_class", number))
}

fn reason(code: &str) -> Reason {
    Reason::from_code(code).unwrap_or(Reason::ReasonUnknown)
}

fn hello(bytes: Bytes) -> Result<Bytes, Error> {
    if bytes.is_empty() { Err(Error::missing("hello")) } else { Ok(bytes) }
}

/// Signs a hello; encoded `Signed`.
pub fn sign_hello(hello: &Hello, key: &SigningKey) -> Bytes {
    let message = proto::Hello {
        federation_id: Bytes::copy_from_slice(hello.federation.as_bytes()),
        authority: hello.authority.to_string(),
        incarnation: hello.incarnation.0,
        time_ms: hello.time.0,
        recipient: hello.recipient.to_string(),
        register_founding: hello.register.founding,
        register_number: hello.register.number,
        kinds: hello.understands.kinds.iter().map(|kind| kind.code()).collect(),
        rules_version: hello.understands.rules,
    };
    signed::sign(&hello.federation, &message, &[key]).encode_to_vec().into()
}

/// A hello whose signature is the named authority's.
///
/// # Errors
/// Whatever does not decode or verify; `WRONG_FEDERATION` for another federation's.
pub fn open_hello(bytes: Bytes, ours: &FederationId, key_of: KeyOf<'_>) -> Result<Hello, Error> {
    let unverified = signed::open::<proto::Hello>(bytes)?;
    let name = authority(&unverified.claims.authority, "hello.authority")?;
    let message = unverified.verify(ours, |id| key_of(&name, id))?.into_value();
    let found = federation(&message.federation_id, "hello.federation_id")?;
    if found != *ours {
        return Err(Error::new(Reason::WrongFederation, "hello.federation_id", ""));
    }
    Ok(Hello {
        federation: found,
        authority: name,
        incarnation: Incarnation(message.incarnation),
        time: UnixMs(message.time_ms),
        recipient: authority(&message.recipient, "hello.recipient")?,
        register: Position { founding: message.register_founding, number: message.register_number },
        understands: understands(&message),
    })
}

/// A kind that is not known here is none that could be sent.
fn understands(hello: &proto::Hello) -> Understands {
    let kinds = hello.kinds.iter().copied().filter_map(RecordKind::from_code).collect();
    Understands { kinds, rules: hello.rules_version }
}

/// What a hello that was verified when it came says of its author's node.
///
/// # Errors
/// Whatever does not decode.
pub fn reload_hello(bytes: Bytes) -> Result<Understands, Error> {
    Ok(understands(&signed::open::<proto::Hello>(bytes)?.claims))
}

/// Signs a receipt; encoded `Signed`.
pub fn sign_receipt(receipt: &Receipt, key: &SigningKey) -> Bytes {
    signed::sign(&receipt.federation, &receipt::to_proto(receipt), &[key]).encode_to_vec().into()
}

/// A receipt whose signature is its recipient's.
///
/// # Errors
/// Whatever does not decode or verify; `WRONG_FEDERATION` for another federation's.
pub fn open_receipt(bytes: Bytes, ours: &FederationId, key_of: KeyOf<'_>) -> Result<Receipt, Error> {
    let unverified = signed::open::<proto::Receipt>(bytes)?;
    let recipient = authority(&unverified.claims.recipient, "receipt.recipient")?;
    let message = unverified.verify(ours, |id| key_of(&recipient, id))?.into_value();
    let receipt = receipt::from_proto(message).map_err(|e| e.within("receipt"))?;
    if receipt.federation != *ours {
        return Err(Error::new(Reason::WrongFederation, "receipt.federation_id", ""));
    }
    Ok(receipt)
}

/// A batch as it goes on the wire. Envelope bytes are shared, not copied.
pub fn batch_to_proto(batch: Batch) -> proto::DeliverRequest {
    let item = |item: BatchItem| proto::DeliverItem {
        item: Some(match item.body {
            ItemBody::Envelope(bytes) => proto::deliver_item::Item::Envelope(bytes),
            ItemBody::Skip(reason) => proto::deliver_item::Item::Skip(proto::Skip { reason: reason.code().to_owned() }),
        }),
        as_of_age_ms: item.as_of_age_ms,
        traceparent: item.traceparent,
    };
    proto::DeliverRequest {
        origin: batch.stream.origin.to_string(),
        recipient: batch.stream.recipient.to_string(),
        origin_incarnation: batch.origin_incarnation.0,
        recipient_incarnation: batch.recipient_incarnation.0,
        stream_class: batch.stream.class.code(),
        first: batch.first,
        sender_time_ms: batch.sender_time.0,
        items: batch.items.into_iter().map(item).collect(),
    }
}

/// A batch from the wire: its frame is checked, its envelopes are not looked at.
///
/// # Errors
/// A frame that is not whole, or larger than a batch may be.
pub fn batch_from_proto(request: proto::DeliverRequest) -> Result<Batch, Error> {
    if request.items.is_empty() {
        return Err(Error::missing("items"));
    }
    if request.items.len() > limits::BATCH_ITEMS {
        return Err(Error::new(Reason::MessageTooLarge, "items", "1 to 256"));
    }
    if request.first == 0 || request.first > u64::MAX / 2 {
        return Err(Error::invalid("first", "numbers start at 1"));
    }
    let mut bytes = 0;
    let mut items = Vec::with_capacity(request.items.len());
    for item in request.items {
        let body = match item.item {
            Some(proto::deliver_item::Item::Envelope(envelope)) => {
                bytes += envelope.len();
                ItemBody::Envelope(envelope)
            }
            Some(proto::deliver_item::Item::Skip(skip)) => ItemBody::Skip(reason(&skip.reason)),
            None => return Err(Error::missing("items.item")),
        };
        items.push(BatchItem { body, as_of_age_ms: item.as_of_age_ms, traceparent: traceparent(item.traceparent) });
    }
    if bytes > limits::BATCH_BYTES {
        return Err(Error::new(Reason::MessageTooLarge, "items", "1 MiB of envelopes"));
    }
    Ok(Batch {
        stream: StreamId {
            origin: authority(&request.origin, "origin")?,
            recipient: authority(&request.recipient, "recipient")?,
            class: class(request.stream_class)?,
        },
        origin_incarnation: Incarnation(request.origin_incarnation),
        recipient_incarnation: Incarnation(request.recipient_incarnation),
        first: request.first,
        sender_time: UnixMs(request.sender_time_ms),
        items,
    })
}

/// Keeps a trace context of W3C Trace Context version 00; anything else is dropped, it is only telemetry.
pub fn traceparent(text: String) -> String {
    if TraceContext::parse(&text).is_some() { text } else { String::new() }
}

/// The answer to a batch, for the wire. The receipt's bytes go as they were signed.
pub fn answer_to_proto(answer: BatchAnswer) -> proto::DeliverResponse {
    proto::DeliverResponse { next: answer.next, receipt: answer.receipt }
}

/// The answer to a batch, from the wire: its receipt is not looked at (`open_receipt`).
pub fn answer_from_proto(response: proto::DeliverResponse) -> BatchAnswer {
    BatchAnswer { next: response.next, receipt: response.receipt, denies: false }
}

/// A greeting, for the wire. The hello's bytes go as they were signed.
pub fn greet_to_proto(greeting: Greeting) -> proto::GreetRequest {
    let Greeting { hello, recipient, held } = greeting;
    proto::GreetRequest { hello, recipient: recipient.to_string(), held }
}

/// A greeting, from the wire: its encoded signed hellos are not looked at (`open_hello`).
///
/// # Errors
/// When the caller's own is missing, or who is called is missing or malformed.
pub fn greet_from_proto(request: proto::GreetRequest) -> Result<Greeting, Error> {
    let recipient = authority(&request.recipient, "recipient")?;
    Ok(Greeting { hello: hello(request.hello)?, recipient, held: request.held })
}

/// A question for ENDs, for the wire.
pub fn ends_to_proto(question: EndsQuestion) -> proto::ListEndsRequest {
    let EndsQuestion { asker, asked, agreement } = question;
    let (asker, asked) = (asker.to_string(), asked.to_string());
    proto::ListEndsRequest { asker, asked, agreement_id: Bytes::copy_from_slice(agreement.as_bytes()) }
}

/// A question for ENDs, from the wire.
///
/// # Errors
/// When one of its fields is malformed.
pub fn ends_from_proto(request: proto::ListEndsRequest) -> Result<EndsQuestion, Error> {
    let agreement = AgreementId::from_slice(&request.agreement_id);
    Ok(EndsQuestion {
        asker: authority(&request.asker, "asker")?,
        asked: authority(&request.asked, "asked")?,
        agreement: agreement.ok_or_else(|| Error::invalid("agreement_id", "32 bytes"))?,
    })
}

/// The answer to a question for ENDs, for the wire. Their bytes go as they were signed.
pub fn ends_answer_to_proto(answer: EndsAnswer) -> proto::ListEndsResponse {
    let EndsAnswer { held, unconfirmed, ends } = answer;
    proto::ListEndsResponse { held, unconfirmed, ends }
}

/// The answer to a question for ENDs, from the wire: none of them is looked at (`sealed::open_end`); more than there may be
/// parties are cut off.
pub fn ends_answer_from_proto(response: proto::ListEndsResponse) -> EndsAnswer {
    let proto::ListEndsResponse { held, unconfirmed, mut ends } = response;
    ends.truncate(limits::PARTIES);
    EndsAnswer { held, unconfirmed, ends }
}

/// A question for withdrawals, for the wire.
pub fn withdrawals_to_proto(question: WithdrawalsQuestion) -> proto::ListWithdrawalsRequest {
    let WithdrawalsQuestion { asker, asked, known, after, held_after, receipts } = question;
    let (asker, asked) = (asker.to_string(), asked.to_string());
    proto::ListWithdrawalsRequest { asker, asked, known, after, held_after, receipts }
}

/// A question for withdrawals, from the wire: no receipt in it is looked at (`sealed::open`).
///
/// # Errors
/// When one of its fields is malformed; more receipts than one call may bring.
pub fn withdrawals_from_proto(request: proto::ListWithdrawalsRequest) -> Result<WithdrawalsQuestion, Error> {
    let proto::ListWithdrawalsRequest { asker, asked, known, after, held_after, receipts } = request;
    if receipts.len() > limits::WITHDRAWALS_TOGETHER {
        return Err(Error::invalid("receipts", format!("at most {}", limits::WITHDRAWALS_TOGETHER)));
    }
    let (asker, asked) = (authority(&asker, "asker")?, authority(&asked, "asked")?);
    Ok(WithdrawalsQuestion { asker, asked, known, after, held_after, receipts })
}

/// The answer to a question for withdrawals, for the wire. Their bytes go as they were signed.
pub fn withdrawals_answer_to_proto(answer: WithdrawalsAnswer) -> proto::ListWithdrawalsResponse {
    let WithdrawalsAnswer { notices, held, more } = answer;
    proto::ListWithdrawalsResponse { notices, held, more }
}

/// The answer to a question for withdrawals, from the wire: none of them is looked at (`sealed::open`). More than one answer may
/// hold are cut off, and asked for again.
pub fn withdrawals_answer_from_proto(response: proto::ListWithdrawalsResponse) -> WithdrawalsAnswer {
    let proto::ListWithdrawalsResponse { mut notices, mut held, mut more } = response;
    for list in [&mut notices, &mut held] {
        more |= list.len() > limits::WITHDRAWALS_TOGETHER;
        list.truncate(limits::WITHDRAWALS_TOGETHER);
    }
    WithdrawalsAnswer { notices, held, more }
}

/// The answer to a greeting, for the wire.
pub fn greet_answer_to_proto(answer: GreetAnswer) -> proto::GreetResponse {
    let GreetAnswer { hello, next_content, next_control, held } = answer;
    proto::GreetResponse { hello, next_content, next_control, held }
}

/// The answer to a greeting, from the wire.
///
/// # Errors
/// When there is no hello in it.
pub fn greet_answer_from_proto(response: proto::GreetResponse) -> Result<GreetAnswer, Error> {
    Ok(GreetAnswer {
        hello: hello(response.hello)?,
        next_content: response.next_content,
        next_control: response.next_control,
        held: response.held,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::Digest;
    use crate::domain::receipt::{ItemOutcome, Verdict};

    fn id(text: &str) -> AuthorityId {
        AuthorityId::parse(text).unwrap()
    }

    fn stream() -> StreamId {
        StreamId { origin: id("fr-strasbourg"), recipient: id("de-kehl"), class: StreamClass::Content }
    }

    #[test]
    fn a_receipt_comes_back_as_it_was_signed_in_its_own_federation_only() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        let federation = FederationId([1; 32]);
        let receipt = Receipt {
            federation,
            origin: id("fr-strasbourg"),
            recipient: id("de-kehl"),
            class: StreamClass::Content,
            origin_incarnation: Incarnation(1),
            recipient_incarnation: Incarnation(2),
            first: 7,
            outcomes: vec![
                ItemOutcome { envelope: Some(Digest([3; 32])), verdict: Verdict::Stored },
                ItemOutcome { envelope: None, verdict: Verdict::Skipped(Reason::EnvelopeExpired) },
                ItemOutcome { envelope: Some(Digest([4; 32])), verdict: Verdict::RetryLater(Reason::AgreementUnknown) },
            ],
            register: Position { founding: 1, number: 5 },
            time: UnixMs(9),
        };
        let bytes = sign_receipt(&receipt, &key);
        let find = |name: &AuthorityId, _: &KeyId| (*name == id("de-kehl")).then(|| key.public());
        assert_eq!(open_receipt(bytes, &federation, &find).unwrap(), receipt);
        let bytes = sign_receipt(&receipt, &key);
        assert!(open_receipt(bytes, &FederationId([2; 32]), &find).is_err());
    }

    #[test]
    fn receipts_and_hellos_travel_as_the_bytes_that_were_signed() {
        let signed = Bytes::from_static(b"\x0a\x01x\x12\x01y\xd2\x0f\x00");
        let answer = BatchAnswer { next: 7, receipt: Some(signed.clone()), denies: false };
        let sent = answer_to_proto(answer.clone());
        // A reader that knows the field as the message itself finds it there.
        assert_eq!(sent.encode_to_vec(), [b"\x08\x07\x12\x09", &signed[..]].concat());
        assert_eq!(answer_from_proto(sent), answer);
        assert_eq!(answer_from_proto(proto::DeliverResponse { next: 7, receipt: None }).receipt, None);
        let greeting = Greeting { hello: signed.clone(), recipient: id("de-kehl"), held: signed.clone() };
        let sent = greet_to_proto(greeting.clone());
        let bytes = [b"\x0a\x09", &signed[..], b"\x12\x07de-kehl", b"\x1a\x09", &signed[..]].concat();
        assert_eq!(sent.encode_to_vec(), bytes);
        assert_eq!(greet_from_proto(sent).unwrap(), greeting);
        let answer = GreetAnswer { hello: signed.clone(), next_content: 3, next_control: 4, held: signed };
        assert_eq!(greet_answer_from_proto(greet_answer_to_proto(answer.clone())).unwrap(), answer);
        let nothing = proto::GreetRequest { recipient: "de-kehl".into(), ..Default::default() };
        assert_eq!(greet_from_proto(nothing).unwrap_err().reason, Reason::FieldMissing);
        assert_eq!(greet_answer_from_proto(proto::GreetResponse::default()).unwrap_err().reason, Reason::FieldMissing);
    }

    #[test]
    fn a_receipt_or_hello_that_cannot_be_read_is_refused_and_never_taken_for_none() {
        let nobody = |_: &AuthorityId, _: &KeyId| None;
        for bytes in [&b""[..], b"rubbish", b"\x0a"] {
            let answer = answer_from_proto(proto::DeliverResponse { next: 7, receipt: Some(bytes.into()) });
            let receipt = open_receipt(answer.receipt.unwrap(), &FederationId([1; 32]), &nobody);
            let hello = open_hello(bytes.into(), &FederationId([1; 32]), &nobody);
            let reasons = (receipt.unwrap_err().reason, hello.unwrap_err().reason);
            assert_eq!(reasons.0, reasons.1);
            assert!(matches!(reasons.0, Reason::DecodeFailed | Reason::EnvelopeMalformed), "{bytes:?}: {reasons:?}");
        }
    }

    #[test]
    fn a_batch_has_one_to_256_items_and_a_first_number() {
        let item =
            BatchItem { body: ItemBody::Skip(Reason::EnvelopeExpired), as_of_age_ms: None, traceparent: String::new() };
        let batch = Batch {
            stream: stream(),
            origin_incarnation: Incarnation(1),
            recipient_incarnation: Incarnation(2),
            first: 1,
            sender_time: UnixMs(3),
            items: vec![item; limits::BATCH_ITEMS],
        };
        assert_eq!(batch_from_proto(batch_to_proto(batch.clone())).unwrap(), batch);
        let mut more = batch_to_proto(batch.clone());
        more.items.push(more.items[0].clone());
        assert_eq!(batch_from_proto(more).unwrap_err().reason, Reason::MessageTooLarge);
        let none = proto::DeliverRequest { items: vec![], ..batch_to_proto(batch.clone()) };
        assert!(batch_from_proto(none).is_err());
        assert!(batch_from_proto(batch_to_proto(Batch { first: 0, ..batch })).is_err());
    }

    #[test]
    fn only_a_whole_trace_context_is_kept() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(traceparent(good.to_owned()), good);
        assert_eq!(traceparent("00-ABC".to_owned()), "");
        assert_eq!(traceparent(good.replace('a', "A")), "");
    }
}
