//! Bytes that go from a file to a connection without passing through this process.
//!
//! The HTTP library writes buffers, and has no notion of a file. So a body whose bytes lie in a file hands it *stand-ins*:
//! slices of one static region, as long as the bytes they stand for, and queues at the connection which part of which
//! file each of them means. The library passes the slices on to the connection in order and untouched (it never copies
//! buffers when the connection takes several at once); there, whatever lies in the static region is not written, and the
//! queued part of the file is sent by the kernel instead.
//!
//! This holds for HTTP/1 in clear text only. A stand-in without a queued part, or a queued part overtaken by more bytes
//! than a response's head can have, ends the connection: a client may be cut off, but never gets wrong bytes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// The longest stand-in, in bytes. Its memory is never touched, so it takes none.
pub(crate) const LONGEST: usize = 1024 * 1024;

static STAND_IN: [u8; LONGEST] = [0; LONGEST];

/// No response head is longer.
const LONGEST_HEAD: usize = 256 * 1024;

/// The parts of files that are to be sent on one connection, in order.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    parts: Mutex<VecDeque<Part>>,
}

#[derive(Debug)]
struct Part {
    file: Arc<File>,
    offset: u64,
    len: usize,
}

impl Queue {
    /// Queues a part of a file, at most [`LONGEST`] bytes long. The slice that comes back must go out next.
    pub(crate) fn push(&self, file: &Arc<File>, offset: u64, len: usize) -> Bytes {
        let len = len.min(LONGEST);
        self.lock().push_back(Part {
            file: file.clone(),
            offset,
            len,
        });
        Bytes::from_static(&STAND_IN[..len])
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that knows stand-ins.
#[derive(Debug)]
pub(crate) struct KernelSender {
    stream: TcpStream,
    queue: Arc<Queue>,
}

impl KernelSender {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            queue: Arc::default(),
        }
    }

    pub(crate) fn queue(&self) -> Arc<Queue> {
        self.queue.clone()
    }

    /// Sends up to `len` bytes of the first queued part.
    fn poll_send(&self, cx: &mut Context<'_>, len: usize) -> Poll<io::Result<usize>> {
        let mut parts = self.queue.lock();
        let Some(part) = parts.front_mut() else {
            return Poll::Ready(Err(io::Error::other(
                "a stand-in has no part of a file to stand for",
            )));
        };
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            let mut offset = part.offset;
            let sent = self.stream.try_io(Interest::WRITABLE, || {
                Ok(rustix::fs::sendfile(
                    &self.stream,
                    &part.file,
                    Some(&mut offset),
                    len.min(part.len),
                )?)
            });
            match sent {
                // The file has become shorter than it was.
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(sent) => {
                    part.offset += sent as u64;
                    part.len -= sent;
                    if part.len == 0 {
                        parts.pop_front();
                    }
                    return Poll::Ready(Ok(sent));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Nothing but a head may go out between queueing a part and its stand-in.
    fn check_order(&self, len: usize) -> io::Result<()> {
        if len > LONGEST_HEAD && !self.queue.lock().is_empty() {
            return Err(io::Error::other("bytes overtook a queued part of a file"));
        }
        Ok(())
    }
}

fn is_stand_in(bytes: &[u8]) -> bool {
    STAND_IN.as_ptr_range().contains(&bytes.as_ptr())
}

impl AsyncRead for KernelSender {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for KernelSender {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = buffers
            .iter()
            .position(|buffer| !buffer.is_empty())
            .unwrap_or(buffers.len());
        let buffers = &buffers[first..];
        if let Some(stand_in) = buffers.first().filter(|buffer| is_stand_in(buffer)) {
            return self.poll_send(cx, stand_in.len());
        }
        let ordinary = buffers
            .iter()
            .position(|buffer| is_stand_in(buffer))
            .unwrap_or(buffers.len());
        let buffers = &buffers[..ordinary];
        self.check_order(buffers.iter().map(|buffer| buffer.len()).sum())?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (KernelSender, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        (
            KernelSender::new(listener.accept().await.unwrap().0),
            client,
        )
    }

    #[tokio::test]
    async fn what_a_stand_in_stands_for_arrives_in_order() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        file.write_all(&content).unwrap();
        let file = Arc::new(file);
        let (mut sender, mut client) = pair().await;
        let queue = sender.queue();
        let sending = tokio::spawn(async move {
            let first = queue.push(&file, 10, 1_000_000);
            let second = queue.push(&file, 2_000_000, 500_000);
            for buffers in [&b"head "[..], &first, b" between ", &second, b" end"] {
                sender.write_all(buffers).await.unwrap();
            }
        });
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        sending.await.unwrap();
        let expected = [
            b"head ",
            &content[10..1_000_010],
            b" between ",
            &content[2_000_000..2_500_000],
            b" end",
        ]
        .concat();
        assert!(
            received == expected,
            "{} bytes instead of {}",
            received.len(),
            expected.len()
        );
    }

    #[tokio::test]
    async fn a_stand_in_for_nothing_is_never_sent() {
        let (mut sender, _client) = pair().await;
        assert!(sender.write_all(&STAND_IN[..100]).await.is_err());
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_ends_the_connection() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"short").unwrap();
        let (mut sender, _client) = pair().await;
        let stand_in = sender.queue().push(&Arc::new(file), 0, 100);
        assert_eq!(
            sender.write_all(&stand_in).await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[tokio::test]
    async fn a_body_that_was_copied_is_not_sent() {
        let (mut sender, _client) = pair().await;
        let file = Arc::new(tempfile::tempfile().unwrap());
        let copied = sender.queue().push(&file, 0, LONGEST).to_vec();
        assert!(sender.write_all(&copied).await.is_err());
    }
}
