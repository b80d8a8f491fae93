//! A member's node that answers, with messages full of nothing or with errors, and has the node attacked ask.

use std::time::Duration;

use bytes::Bytes;
use havenlink_proto::directory::v1::GossipRequest;
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_tests::impostor::{Answers, Impostor};

use crate::scene::Target;

/// Bytes of an answer.
const ANSWER: usize = 4 << 20;
/// Between two questions that have the node attacked call back.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves under Kehl's certificate, and has the node attacked call back, on and on.
pub fn fat(target: &Target) {
    serve(target, Answers::Message(Bytes::from([0x0a, 0x00].repeat(ANSWER / 2))));
}

/// The same, and everything that it is asked is refused at once: whoever does not wait asks again.
pub fn errors(target: &Target) {
    serve(target, Answers::Error);
}

fn serve(target: &Target, answers: Answers) {
    let target = target.clone();
    tokio::spawn(async move {
        let impostor = match Impostor::at(target.listens, &target.stolen, answers).await {
            Ok(impostor) => impostor,
            Err(error) => return eprintln!("    the hostile node does not serve: {error:#}"),
        };
        let mut client = DirectoryServiceClient::new(target.channel());
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
