//! All entries of an archive, verified in parallel, each handed to whoever wants its content.

use std::ops::Range;

use crate::archive::Archive;
use crate::entry::Entry;
use crate::error::{EntryFlaw, Error};
use crate::read_at::ReadAt;
use crate::unpack::{Sink, Unpacker};
use crate::whole::Whole;
use crate::workers::Workers;

/// How many bytes of the zip one piece of work reads at once. Small entries that lie next to each other
/// share a read; an entry larger than this is streamed.
const BATCH: u64 = 1 << 20;

/// What has become of the zip before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody has looked at it.
    Anywhere,
    /// `go` has verified and unpacked it once.
    ModuleCache,
}

/// The content of an entry, verified while it is sent.
pub(crate) struct Content<'a, S> {
    archive: &'a Archive<S>,
    unpacker: &'a mut Unpacker,
    whole: Option<&'a mut Whole>,
    entry: Entry<'a>,
    /// The entry's bytes of the file, if they were read already.
    bytes: Option<&'a [u8]>,
}

impl<S: ReadAt> Content<'_, S> {
    /// Sends all of it to `sink`, a part at a time, and fails when it is not as declared.
    pub(crate) fn send_to(self, sink: &mut Sink<'_>) -> Result<(), Error> {
        let Some(bytes) = self.bytes else {
            return self.archive.unpack(self.unpacker, self.entry, sink);
        };
        let whole = self
            .whole
            .and_then(|whole| whole.content(self.entry, bytes));
        if let Some(content) = whole {
            return sink(content).map_err(Error::io("write content of a zip"));
        }
        let mut unpacking = self.unpacker.begin(self.entry, bytes)?;
        unpacking.push(bytes, sink)?;
        unpacking.finish()
    }
}

impl<S: ReadAt> Archive<S> {
    /// Applies `visit` to each entry, in no particular order; fails when it fails, or when the archive
    /// has two entries of one name or more content than a module may have. What `init` makes belongs to one thread, for
    /// one entry after the other.
    pub(crate) fn scan<'a, C, R: Send>(
        &'a self,
        workers: &Workers,
        origin: Origin,
        init: impl Fn() -> C + Sync + Send,
        visit: impl Fn(&mut C, Entry<'a>, Content<'_, S>) -> Result<R, Error> + Sync + Send,
    ) -> Result<Vec<R>, Error> {
        self.refuse_excess()?;
        self.refuse_duplicates()?;
        let batches = batches(self.entries_by_offset());
        let results = workers.map(
            &batches,
            || (Buffers::new(origin), init()),
            |(buffers, context), batch| {
                self.visit_batch(buffers, batch, |entry, content| {
                    visit(context, entry, content)
                })
            },
        )?;
        Ok(results.into_iter().flatten().collect())
    }

    fn visit_batch<'a, R>(
        &'a self,
        buffers: &mut Buffers,
        batch: &Batch<'a>,
        mut visit: impl FnMut(Entry<'a>, Content<'_, S>) -> Result<R, Error>,
    ) -> Result<Vec<R>, Error> {
        let span = batch.span();
        let read_at_once = span.end - span.start <= BATCH;
        if read_at_once {
            self.read(&span, &mut buffers.span)?;
        }
        let mut results = Vec::with_capacity(batch.0.len());
        for &entry in &batch.0 {
            let content = Content {
                archive: self,
                unpacker: &mut buffers.unpacker,
                whole: buffers.whole.as_mut(),
                entry,
                bytes: read_at_once.then(|| part(&buffers.span, span.start, &entry.record.span)),
            };
            results.push(visit(entry, content)?);
        }
        Ok(results)
    }

    fn refuse_duplicates(&self) -> Result<(), Error> {
        let mut entries: Vec<_> = self.entries().collect();
        entries.sort_unstable_by_key(Entry::name);
        let twice = entries
            .windows(2)
            .find(|pair| pair[0].name() == pair[1].name());
        twice.map_or(Ok(()), |pair| Err(pair[0].error(EntryFlaw::Duplicate)))
    }
}

/// The bytes `wanted` of the file, from `bytes` that start at `offset`.
fn part<'a>(bytes: &'a [u8], offset: u64, wanted: &Range<u64>) -> &'a [u8] {
    let place = |position: u64| usize::try_from(position - offset).unwrap_or(usize::MAX);
    bytes
        .get(place(wanted.start)..place(wanted.end))
        .unwrap_or_default()
}

/// What a thread needs for one batch after the other.
struct Buffers {
    unpacker: Unpacker,
    whole: Option<Whole>,
    span: Vec<u8>,
}

impl Buffers {
    fn new(origin: Origin) -> Self {
        Self {
            unpacker: Unpacker::new(),
            whole: (origin == Origin::ModuleCache).then(Whole::new),
            span: Vec::new(),
        }
    }
}

/// Entries that lie next to each other in the file.
struct Batch<'a>(Vec<Entry<'a>>);

impl Batch<'_> {
    /// The bytes of the file that the entries take.
    fn span(&self) -> Range<u64> {
        let start = self.0.first().map_or(0, |first| first.record.span.start);
        start..self.0.last().map_or(start, |last| last.record.span.end)
    }
}

/// Cuts the entries, in the order of the file, into batches of at most [`BATCH`] bytes or one entry.
fn batches<'a>(entries: impl Iterator<Item = Entry<'a>>) -> Vec<Batch<'a>> {
    let mut batches: Vec<Batch<'_>> = Vec::new();
    for entry in entries {
        match batches.last_mut() {
            Some(last) if entry.record.span.end - last.span().start <= BATCH => last.0.push(entry),
            _ => batches.push(Batch(vec![entry])),
        }
    }
    batches
}
