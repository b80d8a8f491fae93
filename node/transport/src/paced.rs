//! A socket that lets others have their turn: what lies under TLS is read in small pieces.
//!
//! TLS reads on for as long as a socket has bytes and none of them is content. New keys are such bytes: half a megabyte of records
//! may lie between two looks of the scheduler, and each of them costs two derivations. Content between them changes nothing, as whoever reads it
//! asks for more at once. So after a piece the task goes to the end of its thread's queue, whatever the bytes were.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes between two turns of the others: one read of TLS. Of the smallest records these are some dozens of new keys, well below a
/// millisecond; of content a quarter of a large record.
pub(super) const PIECE: usize = 4 << 10;

/// A socket that is read in pieces.
#[derive(Debug)]
pub(super) struct Paced<S> {
    socket: S,
    left: usize,
    /// A piece was read since this was asked last.
    paused: bool,
}

impl<S> Paced<S> {
    pub(super) fn new(socket: S) -> Self {
        Self { socket, left: PIECE, paused: false }
    }

    /// Whether there was a pause since this was asked last. TLS says nothing of it where it has content: whoever reads that has to
    /// pause before it asks for more.
    pub(super) fn takes_pause(&mut self) -> bool {
        std::mem::take(&mut self.paused)
    }

    /// What is read in pieces.
    pub(super) fn socket(&self) -> &S {
        &self.socket
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            (self.left, self.paused) = (PIECE, true);
            // Woken while it runs, a task is queued behind all that wait.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        self.left = if read.is_pending() { PIECE } else { self.left.saturating_sub(buf.filled().len() - before) };
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
