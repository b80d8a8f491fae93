//! What somebody with a member's keys can do at the peer port, and a stranger at the door for applicants.

use std::time::Duration;

use bytes::Bytes;
use havenlink::transport::PeerChannel;
use havenlink_proto::directory::v1::{GossipRequest, ProposeRequest};
use havenlink_proto::peer::v1::exchange_service_client::ExchangeServiceClient;
use havenlink_proto::peer::v1::join_service_client::JoinServiceClient;
use havenlink_proto::peer::v1::{CommitRequest, DeliverItem, DeliverRequest, Hello, deliver_item};
use havenlink_proto::record::v1::{Signature, Signed, StreamClass};
use havenlink_tests::raw::first_answer;
use prost::Message;

use crate::target::Target;

const DELIVER: &str = "/havenlink.peer.v1.ExchangeService/Deliver";
const PROPOSE: &str = "/havenlink.directory.v1.DirectoryService/Propose";
const GOSSIP: &str = "/havenlink.directory.v1.DirectoryService/Gossip";
const RAFT: [&str; 4] = [
    "/havenlink.raft.v1.RaftService/Vote",
    "/havenlink.raft.v1.RaftService/PreVote",
    "/havenlink.raft.v1.RaftService/AppendStream",
    "/havenlink.raft.v1.RaftService/Forward",
];
const QUESTIONS: [&str; 4] = [
    "/havenlink.directory.v1.DirectoryService/Get",
    "/havenlink.directory.v1.DirectoryService/List",
    "/havenlink.directory.v1.DirectoryService/Follow",
    GOSSIP,
];
/// Bytes of a message of Deliver.
const MESSAGE: usize = 1 << 20;
/// Bytes of an envelope, a beat or a statement that is none.
const FORGED: usize = 700;
/// Beats of one exchange: as many as a message takes.
const BEATS: usize = 60;
/// Items of a batch.
const ITEMS: usize = 256;
/// Calls under way over a connection.
const UNDER_WAY: usize = 4;
/// A connection that is refused is not asked for again at once: an attacker who only handshakes floods itself.
const PAUSE: Duration = Duration::from_millis(2);

/// Goes on with a call, several at once over one connection.
fn go_on<F>(target: &Target, call: impl Fn(Target, PeerChannel, usize) -> F + Clone + Send + 'static)
where
    F: Future<Output = Result<(), tonic::Status>> + Send,
{
    let channel = target.channel();
    for caller in 0..UNDER_WAY {
        let (target, channel, call) = (target.clone(), channel.clone(), call.clone());
        tokio::spawn(async move {
            loop {
                target.made();
                if call(target.clone(), channel.clone(), caller).await.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
    }
}

/// Field 8, of no bytes: two bytes on the wire, eighty in memory.
pub fn empty_items(target: &Target) {
    let message = Bytes::from([0x42, 0x00].repeat(MESSAGE / 2));
    go_on(target, move |_, channel, _| {
        let message = message.clone();
        async move { first_answer(channel, DELIVER, message).await.map(drop) }
    });
}

/// The methods of Raft, with as many empty elements as a message of entries has place for.
pub fn raft(target: &Target) {
    let entries = Bytes::from([0x22, 0x00].repeat(MESSAGE / 2 - 32));
    go_on(target, move |_, channel, caller| {
        let message = if RAFT[caller].ends_with("/AppendStream") { entries.clone() } else { Bytes::new() };
        async move { first_answer(channel, RAFT[caller], message).await.map(drop) }
    });
}

pub fn questions(target: &Target) {
    go_on(target, |_, channel, caller| async move {
        first_answer(channel, QUESTIONS[caller], Bytes::new()).await.map(drop)
    });
}

/// Statements that are none, and beats that nobody signed: whoever passes such things on has everybody look at them.
pub fn statements(target: &Target) {
    let beats = vec![forged(target, "havenlink.directory.v1.Beat"); BEATS];
    let beats = Bytes::from(GossipRequest { beats, ..Default::default() }.encode_to_vec());
    let signed = forged(target, "havenlink.directory.v1.Statement").encode_to_vec().into();
    let proposed = Bytes::from(ProposeRequest { signed }.encode_to_vec());
    go_on(target, move |_, channel, caller| {
        let (method, message) = if caller % 2 == 0 { (PROPOSE, proposed.clone()) } else { (GOSSIP, beats.clone()) };
        async move { first_answer(channel, method, message).await.map(drop) }
    });
}

/// Invitations that nobody made.
pub fn guesses(target: &Target) {
    for _ in 0..UNDER_WAY {
        let target = target.clone();
        tokio::spawn(async move {
            let mut client = JoinServiceClient::new(target.door.clone());
            loop {
                let random = || Bytes::copy_from_slice(uuid::Uuid::new_v4().as_bytes());
                let commit = CommitRequest {
                    invitation_id: random(),
                    secret: random(),
                    commitment: vec![7; 32].into(),
                    sender_time_ms: target.keys.now().0,
                };
                target.made();
                if client.commit(commit).await.is_err_and(|status| status.code() == tonic::Code::Unavailable) {
                    tokio::time::sleep(PAUSE).await;
                }
                // A call that fails at once lets nobody else run: neither who stops this.
                tokio::task::yield_now().await;
            }
        });
    }
}

/// Everything begins anew, as often as it is taken.
pub fn greetings(target: &Target) {
    let target = target.clone();
    tokio::spawn(async move {
        let mut client = ExchangeServiceClient::new(target.channel());
        loop {
            target.made();
            match client.greet(target.greeting_anew()).await {
                Ok(_) => target.taken(),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    });
}

/// A full batch of envelopes that somebody else signed, at the numbers that are expected.
pub fn bad_signatures(target: &Target) {
    let target = target.clone();
    tokio::spawn(async move {
        let mut client = ExchangeServiceClient::new(target.channel());
        loop {
            let Some(mut batch) = greeted(&target, &mut client).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            loop {
                batch.sender_time_ms = target.keys.now().0;
                target.made();
                match client.deliver(batch.clone()).await {
                    Ok(answer) => batch.first = answer.get_ref().next,
                    Err(status) if status.code() == tonic::Code::ResourceExhausted => tokio::time::sleep(PAUSE).await,
                    Err(_) => break,
                }
            }
        }
    });
}

/// The first batch after a greeting.
async fn greeted(target: &Target, client: &mut ExchangeServiceClient<PeerChannel>) -> Option<DeliverRequest> {
    let (shown, greeting) = (target.incarnation(), target.greeting());
    let answer = client.greet(greeting).await.ok()?.into_inner();
    let theirs = Hello::decode(Signed::decode(answer.hello).ok()?.payload).ok()?.incarnation;
    let envelope = forged(target, "havenlink.record.v1.Envelope").encode_to_vec().into();
    let item = DeliverItem { item: Some(deliver_item::Item::Envelope(envelope)), ..Default::default() };
    Some(DeliverRequest {
        origin: "de-kehl".into(),
        recipient: "fr-strasbourg".into(),
        origin_incarnation: shown.0,
        recipient_incarnation: theirs,
        stream_class: StreamClass::Content.into(),
        first: answer.next_content,
        sender_time_ms: target.keys.now().0,
        items: vec![item; ITEMS],
    })
}

/// Under Kehl's key, by name.
fn forged(target: &Target, what: &str) -> Signed {
    let key_id = Bytes::copy_from_slice(&target.keys.key.public().id().0);
    let signature = Signature { key_id, sig: vec![9; 64].into() };
    Signed { r#type: what.to_owned(), payload: vec![1; FORGED].into(), signatures: vec![signature] }
}

/// Hands over a whole message and is gone before it is answered.
pub fn hang_up(target: &Target) {
    let message = Bytes::from([0x42, 0x00].repeat(MESSAGE / 16));
    let target = target.clone();
    tokio::spawn(async move {
        loop {
            target.made();
            let call = first_answer(target.channel(), DELIVER, message.clone());
            if matches!(tokio::time::timeout(Duration::from_millis(15), call).await, Ok(Err(_))) {
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
}
