//! What a user of the same machine can do, and whoever has a key of the city's own software.

use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use havenlink_tests::raw::first_answer;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::target::Target;

/// As many connections as a door has places, and some more.
const CONNECTIONS: usize = 300;
/// Another user of this machine: who has nothing.
const NOBODY: u32 = 65_534;
/// Between two looks at which connections have ended.
const LOOK: Duration = Duration::from_millis(20);
/// A caller that was refused is not back at once.
const PAUSE: Duration = Duration::from_millis(2);
/// Calls under way of a client that floods.
const CALLERS: usize = 4;
const CALLS: [&str; CALLERS] = [
    "/havenlink.local.v1.RecordService/ListRecords",
    "/havenlink.local.v1.RecordService/PublishRecord",
    "/havenlink.local.v1.DeliveryService/ListDeliveries",
    "/havenlink.local.v1.PracticeService/SearchPractices",
];

/// Whether this process may be another user than the honest city is.
pub fn may_be_another_user() -> bool {
    rustix::process::geteuid().is_root()
}

/// Holds connections that say nothing at the socket that the honest city uses, as another user, and takes each place again that is
/// given free. Places are a user's: where this process cannot be another one, at a socket that the city does not use.
pub fn silent(target: &Target) {
    let (target, another) = (target.clone(), may_be_another_user());
    let socket = target.sockets.join(if another { "publisher.sock" } else { "consumer.sock" });
    tokio::spawn(async move {
        // The file of this very program, whoever may come to where it lies.
        let mut holds = Command::new("/proc/self/exe");
        holds.arg("--hold").arg(socket).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        if another {
            holds.uid(NOBODY);
        }
        let mut held = match holds.spawn() {
            Ok(held) => held,
            Err(error) => return eprintln!("    nobody holds connections: {error}"),
        };
        let Some(mut tells) = held.stdout.take() else { return };
        let mut made = [0; 1 << 12];
        while let Ok(read @ 1..) = tells.read(&mut made).await {
            (0..read).for_each(|_| target.made());
        }
    });
}

/// What the program does that is started for it, until it is killed or nobody listens: it tells of each connection by a byte.
///
/// # Errors
/// When nobody listens any more.
pub fn hold(socket: &Path) -> anyhow::Result<()> {
    super::be_nice();
    let mut held: Vec<UnixStream> = Vec::new();
    loop {
        held.retain(|stream| !super::ended(std::io::Read::read(&mut &*stream, &mut [0])));
        while held.len() < CONNECTIONS {
            // A queue that is full is one that has been filled.
            let Ok(stream) = connect(socket) else { break };
            held.push(stream);
            std::io::stdout().write_all(b".")?;
        }
        std::io::stdout().flush()?;
        std::thread::sleep(LOOK);
    }
}

/// Connects, without waiting where there is a queue.
fn connect(to: &Path) -> std::io::Result<UnixStream> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(to)?)?;
    Ok(socket.into())
}

/// The same at the loopback HTTP door, which asks for no user.
pub fn silent_http(target: &Target) {
    hold_tcp(target, target.http);
}

fn hold_tcp(target: &Target, door: SocketAddr) {
    let target = target.clone();
    tokio::spawn(async move {
        let mut held: Vec<TcpStream> = Vec::new();
        loop {
            held.retain(|stream| !super::ended(stream.try_read(&mut [0])));
            while held.len() < CONNECTIONS {
                let connecting = tokio::time::timeout(LOOK, TcpStream::connect(door)).await;
                let Ok(Ok(stream)) = connecting else { break };
                held.push(stream);
                target.made();
            }
            tokio::time::sleep(LOOK).await;
        }
    });
}

/// Calls of all sorts with a key of the city's own software, as fast as they are answered, and connections that are let in and then say
/// nothing.
pub fn own_software(target: &Target) {
    for call in CALLS {
        let target = target.clone();
        tokio::spawn(async move {
            loop {
                target.made();
                if first_answer(target.software.clone(), call, Bytes::new()).await.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
    }
    let target = target.clone();
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            if held.len() >= CONNECTIONS {
                held.clear();
            }
            let connected = havenlink_tests::credulous::connect(target.local_port, target.as_software.clone()).await;
            target.made();
            match connected {
                Ok(tls) => held.push(tls),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
}
