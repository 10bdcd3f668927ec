//! Response bodies: bytes in memory, parts of stored files, files that are still being fetched.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use depot::{GrowingFile, Progress};
use http_body::{Frame, SizeHint};
use rustix::io::ReadWriteFlags;
use tokio::task::JoinHandle;

use crate::kernel_send::{self, Queue};

/// Bytes read and sent at a time. Larger pieces gain nothing, and each download under way holds two of them at most.
const PIECE: usize = 128 * 1024;

/// The body of a response.
#[derive(Debug)]
pub enum Body {
    /// No bytes.
    Empty,
    /// Bytes in memory.
    Full(Bytes),
    /// Parts of a stored file.
    File(Box<FileBody>),
    /// A file that is being fetched.
    Growing(Box<GrowingBody>),
    /// What the router of the operators' endpoints made.
    Router(axum::body::Body),
}

impl Body {
    /// A part `[start, end)` of a stored file.
    pub(crate) fn part(file: Arc<File>, start: u64, end: u64) -> Self {
        Self::segments(file, [Segment::Part(start, end)])
    }

    /// Parts of a stored file with bytes between them.
    pub(crate) fn segments(file: Arc<File>, segments: impl IntoIterator<Item = Segment>) -> Self {
        let segments = segments
            .into_iter()
            .filter(|segment| segment.len() > 0)
            .collect();
        Self::File(Box::new(FileBody {
            reader: Reader::new(file),
            segments,
        }))
    }

    /// The part `[start, end)` of a file that is being fetched; to its end, if that is not known.
    pub(crate) fn growing(file: GrowingFile, start: u64, end: Option<u64>) -> Self {
        let reader = Reader::new(file.file().clone());
        Self::Growing(Box::new(GrowingBody {
            reader,
            position: start,
            end,
            state: Readiness::Ready(file, start),
        }))
    }
}

impl Body {
    /// Lets the kernel send what lies in a file, on a connection that can.
    pub(crate) fn send_by_kernel(&mut self, queue: &Arc<Queue>) {
        match self {
            Self::File(file) => file.reader.queue = Some(queue.clone()),
            Self::Growing(file) => file.reader.queue = Some(queue.clone()),
            Self::Empty | Self::Full(_) | Self::Router(_) => {}
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Full(_) => {
                let Self::Full(bytes) = std::mem::replace(this, Self::Empty) else {
                    return Poll::Ready(None);
                };
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::File(file) => file
                .poll_piece(cx)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
            Self::Growing(file) => file
                .poll_piece(cx)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
            Self::Router(body) => Pin::new(body).poll_frame(cx).map_err(io::Error::other),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::File(file) => file.segments.is_empty(),
            Self::Growing(_) => false,
            Self::Router(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::File(file) => SizeHint::with_exact(file.segments.iter().map(Segment::len).sum()),
            Self::Growing(file) => match file.end {
                Some(end) => SizeHint::with_exact(end - file.position),
                None => SizeHint::default(),
            },
            Self::Router(body) => body.size_hint(),
        }
    }
}

/// A piece of a body made of a file.
#[derive(Debug)]
pub(crate) enum Segment {
    /// Bytes that stand between parts.
    Bytes(Bytes),
    /// The part `[start, end)` of the file.
    Part(u64, u64),
}

impl Segment {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part(start, end) => end - start,
        }
    }
}

/// Parts of a stored file, and bytes between them.
#[derive(Debug)]
pub struct FileBody {
    reader: Reader,
    segments: VecDeque<Segment>,
}

impl FileBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let (start, end) = match self.segments.front() {
            None => return Poll::Ready(None),
            Some(Segment::Part(start, end)) => (*start, *end),
            Some(Segment::Bytes(_)) => {
                let Some(Segment::Bytes(bytes)) = self.segments.pop_front() else {
                    return Poll::Ready(None);
                };
                return Poll::Ready(Some(Ok(bytes)));
            }
        };
        let piece = match ready!(self.reader.poll_read(cx, start, end)) {
            Ok(piece) => piece,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        let next = start + piece.len() as u64;
        self.segments.pop_front();
        if next < end {
            self.segments.push_front(Segment::Part(next, end));
        }
        Poll::Ready(Some(Ok(piece)))
    }
}

/// A file that is being fetched, from some position on.
#[derive(Debug)]
pub struct GrowingBody {
    reader: Reader,
    position: u64,
    end: Option<u64>,
    state: Readiness,
}

type Waiting = Pin<Box<dyn Future<Output = (GrowingFile, Progress)> + Send + Sync>>;

/// Whether bytes at the position may be read.
enum Readiness {
    /// Up to here.
    Ready(GrowingFile, u64),
    /// To here, and this is the end.
    Complete(u64),
    /// Not yet.
    Waiting(Waiting),
    /// Only while one of the others takes its place.
    Changing,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ready(..) => "Ready",
            Self::Complete(_) => "Complete",
            Self::Waiting(_) => "Waiting",
            Self::Changing => "Changing",
        })
    }
}

impl GrowingBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if self.end == Some(self.position) {
                return Poll::Ready(None);
            }
            let readable = match &mut self.state {
                Readiness::Ready(_, readable) | Readiness::Complete(readable) => *readable,
                Readiness::Waiting(waiting) => {
                    let (file, progress) = ready!(waiting.as_mut().poll(cx));
                    match progress {
                        Progress::Growing(readable) => {
                            self.state = Readiness::Ready(file, readable);
                        }
                        Progress::Complete(len) => self.state = Readiness::Complete(len),
                        Progress::Failed(error) => {
                            return Poll::Ready(Some(Err(io::Error::other(error))));
                        }
                    }
                    continue;
                }
                Readiness::Changing => return Poll::Ready(None),
            };
            let limit = self.end.map_or(readable, |end| end.min(readable));
            if self.position < limit {
                let piece = ready!(self.reader.poll_read(cx, self.position, limit));
                if let Ok(piece) = &piece {
                    self.position += piece.len() as u64;
                }
                return Poll::Ready(Some(piece));
            }
            match std::mem::replace(&mut self.state, Readiness::Changing) {
                Readiness::Ready(mut file, _) => {
                    let position = self.position;
                    self.state = Readiness::Waiting(Box::pin(async move {
                        let progress = file.wait_for(position).await;
                        (file, progress)
                    }));
                }
                Readiness::Complete(len) => {
                    self.state = Readiness::Complete(len);
                    return Poll::Ready(match self.end {
                        // Less came than was announced to the client.
                        Some(end) if end > len => Some(Err(io::ErrorKind::UnexpectedEof.into())),
                        _ => None,
                    });
                }
                Readiness::Waiting(_) | Readiness::Changing => return Poll::Ready(None),
            }
        }
    }
}

/// Gets the pieces of a file: by reading them, or as stand-ins for what the kernel sends.
#[derive(Debug)]
struct Reader {
    file: Arc<File>,
    waiting: Option<JoinHandle<io::Result<Bytes>>>,
    /// The piece given out last. When the connection is done with it, its memory is used again.
    last: Bytes,
    queue: Option<Arc<Queue>>,
}

impl Reader {
    fn new(file: Arc<File>) -> Self {
        Self {
            file,
            waiting: None,
            last: Bytes::new(),
            queue: None,
        }
    }

    /// The next bytes of `[start, end)`, at least one. Calls must go on with the same range until it is ready.
    fn poll_read(&mut self, cx: &mut Context<'_>, start: u64, end: u64) -> Poll<io::Result<Bytes>> {
        if let Some(waiting) = &mut self.waiting {
            let read = ready!(Pin::new(waiting).poll(cx))
                .unwrap_or_else(|error| Err(io::Error::other(error)));
            self.waiting = None;
            // Now the bytes are in memory, whoever sends them.
            return Poll::Ready(read.map(|piece| match &self.queue {
                Some(queue) => queue.push(&self.file, start, piece.len()),
                None => piece,
            }));
        }
        let longest = if self.queue.is_some() {
            kernel_send::LONGEST
        } else {
            PIECE
        };
        let len = usize::try_from(end - start).unwrap_or(longest).min(longest);
        if let Some(queue) = self
            .queue
            .as_ref()
            .filter(|_| is_in_memory(&self.file, start, len))
        {
            return Poll::Ready(Ok(queue.push(&self.file, start, len)));
        }
        let mut buffer = std::mem::take(&mut self.last)
            .try_into_mut()
            .unwrap_or_default();
        buffer.resize(len.min(PIECE), 0);
        match read_from_memory(&self.file, &mut buffer, start) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Ok(read) if self.queue.is_none() => Poll::Ready(Ok(self.hand_out(buffer, read))),
            _ => {
                let file = self.file.clone();
                self.waiting = Some(tokio::task::spawn_blocking(move || {
                    read_from_disk(&file, buffer, start)
                }));
                self.poll_read(cx, start, end)
            }
        }
    }

    fn hand_out(&mut self, mut buffer: BytesMut, read: usize) -> Bytes {
        buffer.truncate(read);
        let piece = buffer.freeze();
        self.last = piece.clone();
        piece
    }
}

/// Whether the kernel can most likely send a part of a file without waiting for the disk: it has its first and last byte
/// in memory.
fn is_in_memory(file: &File, start: u64, len: usize) -> bool {
    let has = |at| read_from_memory(file, &mut [0], at) == Ok(1);
    has(start) && has(start + len.saturating_sub(1) as u64)
}

/// Reads what the system has in memory. `Err`: nothing at this position, or the system cannot tell.
fn read_from_memory(file: &File, buffer: &mut [u8], offset: u64) -> Result<usize, ()> {
    rustix::io::preadv2(
        file,
        &mut [IoSliceMut::new(buffer)],
        offset,
        ReadWriteFlags::NOWAIT,
    )
    .map_err(drop)
}

fn read_from_disk(file: &File, mut buffer: BytesMut, offset: u64) -> io::Result<Bytes> {
    let read = file.read_at(&mut buffer, offset)?;
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    buffer.truncate(read);
    Ok(buffer.freeze())
}
