//! What somebody without any key can do at the doors that hear TLS: hold handshakes open, and begin them in vain.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use havenlink_tests::credulous;
use rustls::ClientConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::target::Target;

/// Addresses of this machine from which handshakes are held open; the node grants each of them 32.
const ADDRESSES: usize = 64;
/// Handshakes that are held open: more than the node has places for.
const HELD: usize = 1_500;
/// The first bytes of a ClientHello.
const BEGUN: [u8; 7] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00];
/// Between two looks at which of them have ended.
const LOOK: Duration = Duration::from_millis(20);
/// Between two handshakes that fail.
const PAUSE: Duration = Duration::from_millis(2);

/// An address of this machine that no node has.
fn address(number: usize) -> IpAddr {
    Ipv4Addr::new(127, 66, (number / 200) as u8, 1 + (number % 200) as u8).into()
}

async fn connect_from(source: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // Many connections of one address: the port is chosen when it is known where to.
    socket.set_reuseaddr(true)?;
    socket.bind((source, 0).into())?;
    socket.connect(to).await
}

/// Begins more handshakes than the peer port has places for, from many addresses, and begins each again that is ended.
pub fn half_open(target: &Target) {
    let target = target.clone();
    tokio::spawn(async move {
        let mut held: VecDeque<TcpStream> = VecDeque::new();
        for turn in 0.. {
            held.retain(|stream| !super::ended(stream.try_read(&mut [0])));
            while held.len() < HELD {
                let Ok(mut stream) = connect_from(address((turn + held.len()) % ADDRESSES), target.peer_port).await
                else {
                    break;
                };
                if stream.write_all(&BEGUN).await.is_ok() {
                    target.made();
                    held.push_back(stream);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    });
}

/// Whole handshakes with a key that nobody knows, at the peer port and at `local.listen`; and connections there that say
/// nothing.
pub fn in_vain(target: &Target) {
    for (door, from) in [(target.peer_port, 0), (target.local_port, 1), (target.local_port, 2)] {
        let target = target.clone();
        tokio::spawn(async move {
            loop {
                target.made();
                // That it is refused is what is hoped for.
                _ = handshake(address(200 + from), door, target.as_nobody.clone()).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
    let target = target.clone();
    tokio::spawn(async move {
        let mut held: Vec<TcpStream> = Vec::new();
        loop {
            held.retain(|stream| !super::ended(stream.try_read(&mut [0])));
            // What the node grants one address, and some more.
            while held.len() < 40 {
                match connect_from(address(203), target.local_port).await {
                    Ok(stream) => held.push(stream),
                    Err(_) => break,
                }
                target.made();
            }
            tokio::time::sleep(LOOK).await;
        }
    });
}

async fn handshake(source: IpAddr, to: SocketAddr, config: Arc<ClientConfig>) -> std::io::Result<()> {
    let socket = connect_from(source, to).await?;
    let mut tls = TlsConnector::from(config).connect(credulous::name_of(to), socket).await?;
    tls.shutdown().await
}
