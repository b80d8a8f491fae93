//! The local doors: one unix socket per role. The socket decides the role, the peer's uid names the actor (9.13).

use std::collections::HashMap;
use std::fs::{Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream;
use hyper_util::rt::TokioIo;
use rustix::fs::Mode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint};

use super::error::Error;
use super::http2;
use crate::domain::audit::ActorRole;

const MODE: u32 = 0o660;
/// Connections of one socket; local systems keep theirs open.
const CONNECTIONS: usize = 256;
/// Of one user: four of them can be busy before anybody waits.
const OF_ONE_USER: usize = 64;
/// A connection that has said nothing for this long gives its place back.
const FIRST_BYTES: Duration = Duration::from_secs(5);

/// Who is at the other end of a local connection; `request.extensions().get::<LocalInfo>()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalInfo {
    pub role: ActorRole,
    pub uid: u32,
}

/// A socket that listens. Its file goes when this is dropped.
pub struct LocalListener {
    socket: UnixListener,
    role: ActorRole,
    _file: SocketFile,
}

/// The file of a socket that listens. A later process may have put its own in the same place: that one stays.
struct SocketFile {
    path: PathBuf,
    made: Metadata,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = |found: &Metadata| (found.dev(), found.ino()) == (self.made.dev(), self.made.ino());
        if std::fs::symlink_metadata(&self.path).as_ref().is_ok_and(same) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Listens at `path` for one role: mode 0660, and the group's id where one is given. A socket that nobody answers on any
/// more is replaced. The file is there only once it is listened on: who sees it can connect.
///
/// # Errors
/// `ADDRESS_IN_USE` when another process listens there, or the path is not a socket; `SOCKET_GROUP_REFUSED`.
pub fn bind(path: &Path, role: ActorRole, group: Option<u32>) -> Result<LocalListener, Error> {
    let failed = |source| Error::Bind { address: path.display().to_string(), source };
    in_use(path).map_err(failed)?;
    let mut made = path.as_os_str().to_owned();
    made.push(".new");
    let made = PathBuf::from(made);
    let bound = listen(&made, group, failed).and_then(|socket| {
        let file = std::fs::symlink_metadata(&made).map_err(failed)?;
        std::fs::rename(&made, path).map_err(failed)?;
        Ok(LocalListener { socket, role, _file: SocketFile { path: path.to_owned(), made: file } })
    });
    bound.inspect_err(|_| drop(std::fs::remove_file(&made)))
}

fn listen(path: &Path, group: Option<u32>, failed: impl Fn(io::Error) -> Error + Copy) -> Result<UnixListener, Error> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let socket = UnixSocket::new_stream().map_err(failed)?;
    // The file takes the mode of the socket it is made for: at no instant may others connect.
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(MODE)).map_err(|e| failed(e.into()))?;
    socket.bind(path).map_err(failed)?;
    if let Some(group) = group {
        give(path, group)?;
    }
    std::fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(failed)?;
    socket.listen(64).map_err(failed)
}

/// Each role has a group of its own (9.13). Without it the node does not go on: the socket would be open to the node's own
/// group instead of the role's.
fn give(path: &Path, group: u32) -> Result<(), Error> {
    let refused = |source| Error::Group { socket: path.to_owned(), group, source };
    std::os::unix::fs::chown(path, None, Some(group)).map_err(refused)
}

/// Whether somebody answers at the path, or something else than a socket is there.
fn in_use(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(found) if !found.file_type().is_socket() => Err(io::Error::other("the path is taken by a file")),
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
            Err(_) => Ok(()),
        },
    }
}

impl LocalListener {
    /// Local connections, for `serve_with_incoming`. When it is dropped, nothing listens any more and the file is gone.
    pub fn serve(self) -> impl Stream<Item = io::Result<LocalIo>> + Send + 'static {
        self.serve_patient(FIRST_BYTES)
    }

    /// `first_bytes`: how long a connection may be silent from its beginning.
    fn serve_patient(self, first_bytes: Duration) -> impl Stream<Item = io::Result<LocalIo>> + Send + 'static {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let users = Users::default();
        stream::unfold((self, places, users), move |(listener, places, users)| async move {
            loop {
                // A full socket makes the next one wait in the kernel's queue.
                let place = places.clone().acquire_owned().await.ok()?;
                let accepted = listener.socket.accept().await;
                match accepted.and_then(|(stream, _)| LocalIo::new(stream, listener.role, first_bytes, &users, place)) {
                    Ok(Some(io)) => return Some((Ok(io), (listener, places, users))),
                    Ok(None) => {}
                    Err(error) => {
                        havenlink_runtime::repeated!(warn; %error, role = %listener.role, "local accept failed");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
        })
    }
}

/// Connections of each user at one socket.
#[derive(Clone, Default)]
struct Users(Arc<Mutex<HashMap<u32, usize>>>);

/// One user's connection; over when it is dropped.
struct OfUser {
    users: Users,
    uid: u32,
}

impl Users {
    fn enter(&self, uid: u32) -> Option<OfUser> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(uid).or_default();
        (*count < OF_ONE_USER).then(|| *count += 1)?;
        Some(OfUser { users: self.clone(), uid })
    }
}

impl Drop for OfUser {
    fn drop(&mut self) {
        let mut open = self.users.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.uid);
            }
        }
    }
}

/// The bytes of a local connection.
pub struct LocalIo {
    stream: UnixStream,
    info: LocalInfo,
    /// Until the first bytes came.
    silence: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
    _user: OfUser,
}

impl LocalIo {
    /// `None`: the user has as many connections as one may have. It is told, as far as a full buffer allows.
    fn new(
        stream: UnixStream,
        role: ActorRole,
        first_bytes: Duration,
        users: &Users,
        place: OwnedSemaphorePermit,
    ) -> io::Result<Option<Self>> {
        let uid = stream.peer_cred()?.uid();
        let Some(user) = users.enter(uid) else {
            let _ = stream.try_write(http2::TOO_MANY);
            havenlink_runtime::repeated!(warn by &uid.to_string(); uid, %role, "a user has too many connections open");
            return Ok(None);
        };
        let silence = Some(Box::pin(tokio::time::sleep(first_bytes)));
        Ok(Some(Self { stream, info: LocalInfo { role, uid }, silence, _place: place, _user: user }))
    }
}

impl Connected for LocalIo {
    type ConnectInfo = LocalInfo;

    fn connect_info(&self) -> LocalInfo {
        self.info
    }
}

impl AsyncRead for LocalIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_pending() && self.silence.as_mut().is_some_and(|silence| silence.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if buf.filled().len() > before {
            self.silence = None;
        }
        read
    }
}

impl AsyncWrite for LocalIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A channel to one role's socket, for whoever calls a node of its own machine. `patience`: how long one call may take.
///
/// # Errors
/// When nobody listens there, or this user may not call.
pub async fn door(sockets: &Path, role: &str, patience: Duration) -> Result<Channel, tonic::transport::Error> {
    let path = sockets.join(format!("{role}.sock"));
    let connect = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost").timeout(patience).connect_with_connector(connect).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason::Reason;

    #[tokio::test]
    async fn a_silent_connection_gives_its_place_back_and_one_user_does_not_take_them_all() {
        use futures_util::StreamExt;
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("coordinator.sock");
        let mut served =
            Box::pin(bind(&path, ActorRole::Coordinator, None).unwrap().serve_patient(Duration::from_secs(1)));
        let mut clients = Vec::new();
        let mut held = Vec::new();
        for _ in 0..OF_ONE_USER {
            clients.push(UnixStream::connect(&path).await.unwrap());
            held.push(served.next().await.unwrap().unwrap());
        }
        let mut beyond = UnixStream::connect(&path).await.unwrap();
        let next = tokio::spawn(async move { served.next().await.unwrap().map(|io| (io, served)) });
        let mut told = Vec::new();
        beyond.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, http2::TOO_MANY);
        // One speaks and stays; the others are silent.
        clients[0].write_all(b"PRI").await.unwrap();
        let (mut spoke, mut silent) = (held.remove(0), held.remove(0));
        let mut first = [0; 3];
        spoke.read_exact(&mut first).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), silent.read(&mut first)).await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(
            tokio::time::timeout(Duration::from_millis(1_500), spoke.read(&mut first)).await.is_err(),
            "it spoke: it may think"
        );
        drop((silent, held));
        let _another = UnixStream::connect(&path).await.unwrap();
        assert!(next.await.unwrap().is_ok(), "there is room again");
    }

    #[test]
    fn a_group_that_cannot_be_set_has_its_own_reason() {
        let dir = tempfile::tempdir().unwrap();
        let refused = give(&dir.path().join("operator.sock"), 1).unwrap_err();
        assert_eq!(refused.reason(), Reason::SocketGroupRefused);
        assert!(refused.to_string().contains("operator.sock"), "{refused}");
    }
}
