//! A member's node, or a steward's, that answers: with messages full of nothing, with errors, with what no library would send; and has
//! the node attacked ask.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use havenlink_proto::directory::v1::GossipRequest;
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::raft::v1::append_stream_response::Result as Appended;
use havenlink_proto::raft::v1::{AppendStreamResponse, LogId, Vote};
use havenlink_tests::impostor::{Answers, Crafted, Impostor};
use prost::Message;

use crate::canaries::FORGED;
use crate::target::Target;

/// Bytes of an answer.
const ANSWER: usize = 4 << 20;
/// Bytes that a packed answer has when it is unpacked.
const UNPACKED: usize = 64 << 20;
/// Bytes of a header that is too large, and how many of them there are.
const HEADER: usize = 3_000;
const HEADERS: [&str; 8] = ["x-0", "x-1", "x-2", "x-3", "x-4", "x-5", "x-6", "x-7"];
/// Between two questions that have the node attacked call back.
const PAUSE: Duration = Duration::from_millis(50);

const DONE: (&str, &str) = ("grpc-status", "0");

fn fat_message() -> Answers {
    Answers::Message(Bytes::from([0x0a, 0x00].repeat(ANSWER / 2)))
}

/// Serves under Kehl's certificate, and has the node attacked call back, on and on.
pub fn fat(target: &Target) {
    serve_as_kehl(target, fat_message());
}

/// The same, and everything that it is asked is refused at once: whoever does not wait asks again.
pub fn errors(target: &Target) {
    serve_as_kehl(target, Answers::Error);
}

/// The same, with a packed message that unpacks to much more, with large headers and trailers, and with an error whose text looks
/// like lines of a log.
pub fn garbled(target: &Target) {
    serve_as_kehl(target, Answers::InTurn(odd().into()));
}

/// All that Kehl's node can answer, in turn.
pub fn all(target: &Target) {
    let all: Vec<Answers> = [fat_message(), Answers::Error].into_iter().chain(odd()).collect();
    serve_as_kehl(target, Answers::InTurn(all.into()));
}

fn odd() -> Vec<Answers> {
    let large = "y".repeat(HEADER);
    let large: Vec<_> = HEADERS.iter().map(|name| (*name, large.as_str())).collect();
    let forged = format!("%1B%5B31m%1B%5B2Jred%0D%0A{}%0A", FORGED.replace(' ', "%20"));
    let failed = [("grpc-status", "13"), ("grpc-message", forged.as_str())];
    vec![
        Crafted::of(&[("grpc-encoding", "gzip")], framed(1, &packed()), &[DONE]),
        Crafted::of(&large, framed(0, &[]), &[DONE]),
        Crafted::of(&[], framed(0, &[]), &[&large[..], &[DONE]].concat()),
        Crafted::of(&[], Bytes::new(), &failed),
        Crafted::of(&failed, Bytes::new(), &[]),
        Crafted::of(&[], Bytes::new(), &[("grpc-status", "99999999999"), ("grpc-message", forged.as_str())]),
    ]
}

/// A steward's node, to the one that leads: streams of appends that are over as soon as they are open, errors after the headers,
/// and answers to nothing.
pub fn of_a_steward(target: &Target) {
    let answer = |result| framed(0, &AppendStreamResponse { result: Some(result) }.encode_to_vec());
    let stored = answer(Appended::Stored(LogId { term: u64::MAX, index: u64::MAX }));
    let vote = answer(Appended::HigherVote(Vote { term: u64::MAX, node_id: target.steward.own, committed: true }));
    let conflict = answer(Appended::ConflictAt(LogId { term: 1, index: 1 }));
    let answers = [
        Crafted::of(&[], Bytes::new(), &[DONE]),
        Crafted::of(&[], Bytes::new(), &[("grpc-status", "13")]),
        Crafted::of(&[], stored, &[DONE]),
        Crafted::of(&[], Bytes::new(), &[DONE]),
        Crafted::of(&[], vote, &[("grpc-status", "14")]),
        Crafted::of(&[], conflict, &[DONE]),
        Crafted::of(&[], framed(0, &[0xff; 64]), &[DONE]),
        Crafted::of(&[], Bytes::from_static(&[0xff; 64]), &[]),
    ];
    let steward = &target.steward;
    serve(target, steward.listens, steward.stolen.clone(), Answers::InTurn(answers.into()), false);
}

/// A message of gRPC.
fn framed(packed: u8, message: &[u8]) -> Bytes {
    let mut framed = BytesMut::new();
    framed.put_u8(packed);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    framed.freeze()
}

/// Zeros, as gzip packs them best (RFC 1951, one block with the fixed codes): a literal, then copies of 258 bytes, 13 bits each. It has
/// no end, and nobody is to come so far.
fn packed() -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut held, mut bits) = (0_u32, 0);
    // A final block, fixed codes; the code of literal 0.
    let begin = [(0b011, 3), (0b0000_1100, 8)];
    // The code of length 258, its first bit first; the code of distance 1.
    let copy = (0b1010_0011, 8 + 5);
    for (value, length) in begin.into_iter().chain(std::iter::repeat_n(copy, UNPACKED / 258)) {
        held |= value << bits;
        bits += length;
        while bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    out
}

fn serve_as_kehl(target: &Target, answers: Answers) {
    serve(target, target.listens, target.stolen.clone(), answers, true);
}

/// Answers at an address, with the certificate of a data directory, on and on.
fn serve(target: &Target, at: SocketAddr, stolen: PathBuf, answers: Answers, as_kehl: bool) {
    let target = target.clone();
    tokio::spawn(async move {
        let impostor = match Impostor::at(at, &stolen, answers).await {
            Ok(impostor) => impostor,
            Err(error) => return eprintln!("    the hostile node does not serve: {error:#}"),
        };
        let channel = if as_kehl { target.channel() } else { target.steward_channel() };
        let mut client = DirectoryServiceClient::new(channel);
        let mut asked = 0;
        loop {
            // What it says to that is no matter here.
            _ = client.gossip(GossipRequest { call_back: true, ..Default::default() }).await;
            let now = impostor.asked();
            (asked..now).for_each(|_| target.made());
            asked = now;
            tokio::time::sleep(PAUSE).await;
        }
    });
}
