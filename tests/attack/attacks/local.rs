//! What a user of the same machine can do.

use std::time::Duration;

use tokio::net::UnixStream;

use crate::scene::Target;

/// As many connections as a socket has places, and some more.
const CONNECTIONS: usize = 300;

/// Holds connections that say nothing, and takes each place again that is given free. At a socket that the honest city does not
/// use: places are a user's, and here the same user is at all of them.
pub fn silent(target: &Target) {
    let target = target.clone();
    tokio::spawn(async move {
        let socket = target.sockets.join("consumer.sock");
        let mut held: Vec<UnixStream> = Vec::new();
        loop {
            held.retain(|stream| !super::ended(stream.try_read(&mut [0])));
            while held.len() < CONNECTIONS {
                match UnixStream::connect(&socket).await {
                    Ok(stream) => held.push(stream),
                    Err(_) => break,
                }
                target.made();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}
