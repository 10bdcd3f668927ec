//! A connection that does not wait for ever for a client that says nothing or takes nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What a client of HTTP/2 says first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Ends the connection when a write makes no progress for a while, or when the client does not begin to speak: the HTTP
/// library watches the clock only once it knows which version of HTTP it is to speak.
#[derive(Debug)]
pub(crate) struct StallGuard<T> {
    inner: T,
    limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    is_armed: bool,
    first_words: Option<FirstWords>,
}

/// The time for as long as it is open whether a client speaks HTTP/2.
#[derive(Debug)]
struct FirstWords {
    deadline: Pin<Box<Sleep>>,
    /// Bytes of [`PREFACE`] that have come.
    seen: usize,
}

impl FirstWords {
    /// Whether these bytes, which may be none at the end of the connection, leave it open.
    fn goes_on_with(&mut self, bytes: &[u8]) -> bool {
        let missing = PREFACE.get(self.seen..).unwrap_or_default();
        self.seen += bytes.len();
        !bytes.is_empty() && bytes.len() < missing.len() && missing.starts_with(bytes)
    }
}

impl<T> StallGuard<T> {
    /// `first_words`: how long the client may take to begin. `limit`: how long it may take nothing.
    pub(crate) fn new(inner: T, first_words: Duration, limit: Duration) -> Self {
        Self {
            inner,
            limit,
            stalled: None,
            is_armed: false,
            first_words: Some(FirstWords {
                deadline: Box::pin(tokio::time::sleep(first_words)),
                seen: 0,
            }),
        }
    }

    /// Passes on what a write came to, and watches the clock while it comes to nothing.
    fn judge<R>(
        &mut self,
        cx: &mut Context<'_>,
        write: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if write.is_ready() {
            self.is_armed = false;
            return write;
        }
        let deadline = Instant::now() + self.limit;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if !self.is_armed {
            stalled.as_mut().reset(deadline);
            self.is_armed = true;
        }
        match stalled.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                self.is_armed = false;
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client takes no bytes",
                )))
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for StallGuard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        let Some(first_words) = &mut self.first_words else {
            return read;
        };
        if read.is_ready() {
            if !first_words.goes_on_with(&buf.filled()[before..]) {
                self.first_words = None;
            }
            return read;
        }
        first_words.deadline.as_mut().poll(cx).map(|()| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client does not begin to speak",
            ))
        })
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for StallGuard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.judge(cx, write)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = Pin::new(&mut self.inner).poll_flush(cx);
        self.judge(cx, flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shutdown = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.judge(cx, shutdown)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.judge(cx, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const SHORT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_begin_to_speak_is_let_go() {
        for said in [b"".as_slice(), b"PRI * HT"] {
            let (mut client, server) = tokio::io::duplex(1000);
            client.write_all(said).await.unwrap();
            let mut guarded = StallGuard::new(server, SHORT, SHORT * 100);
            let began = Instant::now();
            let error = guarded.read_to_end(&mut Vec::new()).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(began.elapsed(), SHORT);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_begun_may_be_silent() {
        for said in [b"GET".as_slice(), b"PRI *\t", PREFACE] {
            let (mut client, server) = tokio::io::duplex(1000);
            client.write_all(said).await.unwrap();
            let mut guarded = StallGuard::new(server, SHORT, SHORT);
            let reading = tokio::spawn(async move {
                let mut all = Vec::new();
                guarded.read_to_end(&mut all).await.map(|_| all)
            });
            tokio::time::sleep(SHORT * 10).await;
            drop(client);
            assert_eq!(reading.await.unwrap().unwrap(), said);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_let_go() {
        let (client, server) = tokio::io::duplex(10);
        let mut guarded = StallGuard::new(server, SHORT, Duration::from_mins(1));
        let began = Instant::now();
        let error = guarded.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), 60);
        drop(client);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_that_takes_something_is_served_to_the_end() {
        let (mut client, server) = tokio::io::duplex(10);
        let mut guarded = StallGuard::new(server, SHORT, Duration::from_mins(1));
        let writer = tokio::spawn(async move { guarded.write_all(&[7; 100]).await });
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            client.read_exact(&mut [0; 10]).await.unwrap();
        }
        writer.await.unwrap().unwrap();
    }
}
