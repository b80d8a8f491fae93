//! A steward that is a partner too does not do its part: it stands still, hangs, answers with what is no answer or with errors, or
//! refuses. The others wait, and neither use a processor nor fill their logs meanwhile.

use std::net::SocketAddr;

use havenlink_proto::raft::v1 as raft;
use havenlink_tests::federation::Federation;
use havenlink_tests::impostor::{Answers, Impostor};
use havenlink_tests::rest::faults_at_rest;
use havenlink_tests::wait::eventually;
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::steps::*;

/// A TLS alert: fatal, handshake failure.
const ALERT: [u8; 7] = [0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28];

/// Stands in at an address: takes every connection, says this, and then ends it or keeps it open for ever.
async fn stand_in(address: SocketAddr, says: &'static [u8], ends: bool) -> JoinHandle<()> {
    let listener = TcpListener::bind(address).await.expect("the address is free");
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            _ = socket.write_all(says).await;
            if !ends {
                kept.push(socket);
            }
        }
    })
}

/// What is sent to it waits, and all others rest.
async fn waits_at_rest(federation: &Federation, what: &str) {
    let [strasbourg, kehl, esch] = &federation.cities[..] else { panic!("three cities") };
    for from in [strasbourg, esch] {
        publish_many(from, &[kehl.id()], 3).await.unwrap();
    }
    eventually(&format!("{what}: what was sent waits"), PATIENCE, || async {
        let status = strasbourg.status().await.ok()?;
        status.partners.iter().any(|partner| partner.authority == kehl.id() && partner.queued >= 3).then_some(())
    })
    .await;
    let faults = faults_at_rest(&federation.cities);
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_steward_that_stands_still_hangs_answers_with_errors_or_refuses() {
    let mut federation = Federation::found(3, 3, "").await.unwrap();
    for (first, second) in [(0, 1), (1, 2)] {
        federation.agree(first, second).await.unwrap();
    }
    let address: SocketAddr = federation.cities[1].status().await.unwrap().peer_address.parse().unwrap();

    // The one that founded the register leads it; the two others are a majority, and find that it is gone.
    federation.freeze(0, true).unwrap();
    publish_many(&federation.cities[1], &[federation.cities[0].id()], 3).await.unwrap();
    let faults = faults_at_rest(&federation.cities);
    assert!(faults.is_empty(), "the leader stands still:\n{}", faults.join("\n"));
    federation.freeze(0, false).unwrap();

    federation.freeze(1, true).unwrap();
    waits_at_rest(&federation, "it stands still").await;
    federation.freeze(1, false).unwrap();

    federation.cities[1].kill().await.unwrap();
    for (what, says, ends) in [("it hangs", &[][..], false), ("it answers with errors", &ALERT[..], true)] {
        let stands_in = stand_in(address, says, ends).await;
        waits_at_rest(&federation, what).await;
        stands_in.abort();
        _ = stands_in.await;
    }
    // Under its own certificate: the calls come through, and only what they bring is wrong.
    let data = federation.cities[1].dir.join("data");
    let stored = raft::append_stream_response::Result::Stored(raft::LogId { term: 1, index: u64::MAX });
    let stored = raft::AppendStreamResponse { result: Some(stored) }.encode_to_vec();
    for (what, answers) in [
        ("each call fails", Answers::Error),
        ("no call is answered", Answers::Never),
        ("each stream ends as soon as it is open", Answers::Ends),
        ("each stream breaks off as soon as it is open", Answers::Breaks),
        ("each stream brings what was never sent", Answers::Unasked(stored.into())),
    ] {
        let impostor = Impostor::at(address, &data, answers).await.unwrap();
        waits_at_rest(&federation, what).await;
        assert!(impostor.asked() > 0, "{what}: it was asked");
        impostor.end().await;
    }

    // One record a day is all that it takes from anybody, and each batch has more.
    federation.cities[1].configure("budget.rows_per_day = 1\n").unwrap();
    federation.cities[1].start().unwrap();
    federation.cities[1].ready().await.unwrap();
    waits_at_rest(&federation, "it refuses").await;
}
