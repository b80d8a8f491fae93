//! The unix sockets: role by socket, actor by uid, mode by file.

use std::os::unix::fs::PermissionsExt;

use tokio::net::UnixStream;
use tokio_stream::StreamExt;
use tonic::transport::server::Connected;

use crate::domain::audit::ActorRole;
use crate::domain::reason::Reason;
use crate::*;

#[tokio::test]
async fn a_socket_knows_its_role_and_the_callers_uid() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("operator.sock");
    let listener = unix::bind(&path, ActorRole::Operator, None).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
    let mut incoming = Box::pin(listener.serve());
    let _client = UnixStream::connect(&path).await.unwrap();
    let io = incoming.next().await.unwrap().unwrap();
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(io.connect_info(), LocalInfo { role: ActorRole::Operator, uid });

    let taken = unix::bind(&path, ActorRole::Operator, None).err().map(|e| e.reason());
    assert_eq!(taken, Some(Reason::AddressInUse));
    drop((io, incoming));
    assert!(!path.exists(), "the file goes with the listener");
}

#[tokio::test]
async fn a_socket_left_by_a_killed_node_is_replaced_and_a_file_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("publisher.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(unix::bind(&path, ActorRole::Publisher, None).unwrap());
    std::fs::write(&path, "not a socket").unwrap();
    assert!(unix::bind(&path, ActorRole::Publisher, None).is_err());
    assert!(path.exists());
}

#[tokio::test]
async fn a_socket_that_ends_late_leaves_its_successors_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("consumer.sock");
    let first = unix::bind(&path, ActorRole::Consumer, None).unwrap();
    std::fs::remove_file(&path).unwrap();
    let second = unix::bind(&path, ActorRole::Consumer, None).unwrap();
    drop(first);
    UnixStream::connect(&path).await.unwrap();
    drop(second);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "and nothing is left");
}
