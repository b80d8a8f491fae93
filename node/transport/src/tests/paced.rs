//! What one connection sends is not read in one go, however much of it there is.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt;

use super::world::*;
use crate::paced::PIECE;
use crate::*;

/// Changes of key, each with a little content: 33 KB of records, which the system's buffers hold.
const CHANGES: usize = 500;
const CONTENT: &[u8; 17] = b"seventeen letters";

/// All that can be read before the reader has to give others their turn.
async fn turn(io: &mut PeerIo) -> usize {
    let mut read = 0;
    poll_fn(|cx| {
        let mut into = [0; 1 << 14];
        loop {
            let mut into = ReadBuf::new(&mut into);
            match Pin::new(&mut *io).poll_read(cx, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() => read += into.filled().len(),
                Poll::Ready(ended) => panic!("{ended:?} after {read} bytes"),
                Poll::Pending => return Poll::Ready(()),
            }
        }
    })
    .await;
    read
}

#[tokio::test]
async fn new_keys_of_one_connection_leave_the_others_their_turn() {
    let world = World::new();
    let (strasbourg, kehl) = (world.member("fr-strasbourg").await, world.identity(&id("de-kehl")));
    let connections = Connections::new(world.view.clone(), world.clock.clone(), &world.limits);
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr();
    let mut serving = listener.serve(world.door(&kehl, &connections, &JoinGate::closed())).unwrap();

    let connector = TlsConnector::from(std::sync::Arc::new(world.raw_as(&strasbourg.identity)));
    let socket = TcpStream::connect(address).await.unwrap();
    let (tls, io) = tokio::join!(connector.connect("x.example".try_into().unwrap(), socket), serving.peers.next());
    let (mut tls, mut io) = (tls.unwrap(), io.unwrap().unwrap());
    for _ in 0..CHANGES {
        tls.get_mut().1.refresh_traffic_keys().unwrap();
        tls.write_all(CONTENT).await.unwrap();
        tls.flush().await.unwrap();
    }
    let (mut read, mut most) = (0, 0);
    while read < CHANGES * CONTENT.len() {
        let content = turn(&mut io).await;
        (read, most) = (read + content, most.max(content));
        tokio::task::yield_now().await;
    }
    assert!(most < PIECE, "{most} bytes of content in one turn, and four times as many of records");
}
