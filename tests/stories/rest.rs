//! Bad days on which nothing can be done: the nodes wait, and neither use a processor nor fill their logs meanwhile.

use std::path::{Path, PathBuf};
use std::time::Instant;

use havenlink::demo::city::{City, NodeAddress};
use havenlink_proto::admin::v1::ListAgreementsRequest;
use havenlink_proto::admin::v1::NodeState;
use havenlink_proto::local::v1::DeliveryState;
use havenlink_tests::federation::{Federation, built, ctl};
use havenlink_tests::operator::havenctl;
use havenlink_tests::rest::{faults_at_rest, processor_time};
use havenlink_tests::tools::skipped;

use crate::steps::*;

/// Of the processor time that a node may use while it waits for something that it was asked for, one part in so many.
const WAITING: u32 = 5;

fn rests(federation: &Federation) {
    let faults = faults_at_rest(&federation.cities);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Asks for a change of the register that cannot be decided, and looks at what the node uses while it waits.
async fn asks_in_vain(city: &City) {
    let address = city.status().await.unwrap().peer_address;
    let pid = city.pid().unwrap();
    let (began, before) = (Instant::now(), processor_time(pid).unwrap());
    let said = havenctl(city, &["node", "update", "--endpoint", &address, "--timeout", "9s"]).await.unwrap();
    assert!(said.reason().is_some_and(undecided), "{said:?}");
    let (took, used) = (began.elapsed(), processor_time(pid).unwrap() - before);
    assert!(used * WAITING < took, "{used:?} of processor time while it waited for {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_second_steward_down() {
    let mut federation = Federation::found(3, 2, "").await.unwrap();
    federation.agree(0, 1).await.unwrap();
    federation.agree(0, 2).await.unwrap();
    federation.cities[1].kill().await.unwrap();
    publish_many(&federation.cities[0], &[federation.cities[1].id()], 3).await.unwrap();
    // From the steward that is left, and from a member that asks it.
    for asks in [0, 2] {
        asks_in_vain(&federation.cities[asks]).await;
    }
    rests(&federation);
}

/// The clocks of some nodes, as a library that is loaded before others.
struct MovedClocks {
    folder: tempfile::TempDir,
}

impl MovedClocks {
    /// `None`: there is no C compiler here.
    fn build() -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("havenlink-clocks-").tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("misfortune/clock.c");
        let library = folder.path().join("clock.so");
        let mut cc = std::process::Command::new("cc");
        cc.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl");
        let output = cc.output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(Self { folder })
    }

    fn file(&self, clock: usize) -> PathBuf {
        self.folder.path().join(format!("clock-{clock}"))
    }

    /// A place on this machine whose clock can be moved.
    fn place(&self, clock: usize) -> NodeAddress {
        std::fs::write(self.file(clock), 0_i64.to_le_bytes()).unwrap();
        let library = format!("LD_PRELOAD={}", self.folder.path().join("clock.so").display());
        let file = format!("CLOCK_FILE={}", self.file(clock).display());
        NodeAddress { within: vec!["env".to_owned(), library, file], ..NodeAddress::here().unwrap() }
    }

    /// How far the clock is off from now on, in seconds. The file stays the one that the nodes have mapped.
    fn set(&self, clock: usize, seconds: i64) {
        use std::os::unix::fs::FileExt;
        let file = std::fs::OpenOptions::new().write(true).open(self.file(clock)).unwrap();
        file.write_all_at(&seconds.to_le_bytes(), 0).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_clock_that_was_corrected_backwards() {
    let Some(clocks) = MovedClocks::build() else {
        skipped("rest: a clock that is corrected backwards: needs a C compiler");
        return;
    };
    let places = (0..3).map(|clock| clocks.place(clock)).collect();
    let mut federation = Federation::found_at(&built("havenlink").unwrap(), places, 1, "", &[]).await.unwrap();
    federation.agree(0, 1).await.unwrap();
    federation.agree(1, 2).await.unwrap();
    let [strasbourg, kehl, esch] = &mut federation.cities[..] else { panic!("three cities") };

    // A steward and a member live an hour ahead, and do what they do; then somebody sets their clocks right.
    for ahead in [0, 2] {
        clocks.set(ahead, 3_600);
    }
    for (from, to) in [(&*strasbourg, &*kehl), (&*esch, &*kehl), (&*kehl, &*esch)] {
        publish_many(from, &[to.id()], 3).await.unwrap();
    }
    let address = kehl.status().await.unwrap().peer_address;
    for city in [&*strasbourg, &*kehl] {
        // Decided or not: what matters is what they do afterwards.
        drop(havenctl(city, &["node", "update", "--endpoint", &address, "--timeout", "3s"]).await.unwrap());
    }
    for ahead in [0, 2] {
        clocks.set(ahead, 0);
    }
    rests(&federation);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_partners_that_are_gone_suspended_no_longer_agreed_with_or_restored() {
    let mut federation = Federation::found(5, 1, "").await.unwrap();
    for partner in 1..5 {
        federation.agree(0, partner).await.unwrap();
    }
    let [strasbourg, kehl, esch, liege, maastricht] = &mut federation.cities[..] else { panic!("five cities") };
    maastricht.once(&["backup", text(&maastricht.dir.join("backups"))]).await.unwrap();
    let sent = publish_many(strasbourg, &[maastricht.id()], 3).await.unwrap();
    until_delivered(strasbourg, maastricht.id(), &sent, DeliveryState::Delivered).await;

    // Gone, with something that waits for it.
    kehl.kill().await.unwrap();
    publish_many(strasbourg, &[kehl.id()], 3).await.unwrap();
    // Suspended, while something waits for either side.
    esch.stop().await.unwrap();
    publish_many(strasbourg, &[esch.id()], 3).await.unwrap();
    let suspend = ["member", "suspend", esch.id(), "--reason", "own-request", "--lasting", "--yes"];
    ctl_decided(strasbourg, &suspend).await.unwrap();
    esch.start().unwrap();
    esch.until("it knows that it is suspended", |s| s.state() == NodeState::Suspended).await.unwrap();
    // The agreement ended while something waits.
    liege.stop().await.unwrap();
    publish_many(strasbourg, &[liege.id()], 3).await.unwrap();
    liege.start().unwrap();
    liege.ready().await.unwrap();
    let listed = liege.agreements().await.unwrap().list_agreements(ListAgreementsRequest::default()).await.unwrap();
    let agreement = hex(&listed.get_ref().agreements[0].agreement_id);
    ctl(strasbourg, &["agreement", "end", &agreement, "--reason", "no-longer-needed", "--yes"]).await.unwrap();
    // Restored from before what it was sent.
    lose_disk(maastricht).await.unwrap();
    maastricht.once(&["restore", text(&maastricht.dir.join("backups"))]).await.unwrap();
    maastricht.start().unwrap();
    maastricht.ready().await.unwrap();
    rests(&federation);
}
