use gomod::ModuleVersion;

use super::exchange::{Answer, Operation, Request, Step};
use super::{Client, Session, SignedHead, Stop};
use crate::error::Error;
use crate::record::{Part, lines_about, single_h1};
use crate::tlog::{Node, RecordText, TreeHead, parse_record};

/// What a database says of a module version, proven to be in its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenRecord {
    module: ModuleVersion,
    id: u64,
    tree: TreeHead,
    zip: Vec<String>,
    go_mod: Vec<String>,
}

impl ProvenRecord {
    /// What a record says of the module version. A record without an entry for it is an error.
    fn new(
        module: ModuleVersion,
        id: u64,
        tree: TreeHead,
        text: &RecordText,
    ) -> Result<Self, Error> {
        let zip = lines_about(text, &module, Part::Zip);
        let go_mod = lines_about(text, &module, Part::GoMod);
        if zip.is_empty() && go_mod.is_empty() {
            return Err(Error::MissingEntry(module.to_string()));
        }
        Ok(Self {
            module,
            id,
            tree,
            zip,
            go_mod,
        })
    }

    /// The module version that was asked for.
    pub fn module(&self) -> &ModuleVersion {
        &self.module
    }

    /// The number of the record: its position in the log.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The tree in which the record was proven to be.
    pub fn tree(&self) -> &TreeHead {
        &self.tree
    }

    /// The record's lines about one part of the module version, as go.sum has them; lines about anything else are left
    /// out.
    pub fn lines(&self, part: Part) -> &[String] {
        match part {
            Part::Zip => &self.zip,
            Part::GoMod => &self.go_mod,
        }
    }

    /// The `h1:` hash of one part. It is an error if the record has none, or two that differ.
    pub fn h1(&self, part: Part) -> Result<&str, Error> {
        single_h1(self.lines(part), &self.module, part)
    }
}

/// The operation of asking for the record of a module version, see [`Client::lookup`].
pub struct Lookup<'c> {
    session: Session<'c>,
    module: ModuleVersion,
    /// The answer being proven.
    candidate: Option<Candidate>,
    /// The cache has no answer, or one that did not stand up to the proof.
    cache_is_done: bool,
    done: Option<ProvenRecord>,
}

/// An answer to a lookup that is well formed and signed, but not yet proven.
struct Candidate {
    from_cache: bool,
    message: Vec<u8>,
    id: u64,
    text: RecordText,
    head: SignedHead,
    head_is_merged: bool,
}

impl<'c> Lookup<'c> {
    pub(super) fn new(client: &'c Client, module: ModuleVersion) -> Self {
        let session = Session::new(client);
        Self {
            session,
            module,
            candidate: None,
            cache_is_done: false,
            done: None,
        }
    }

    /// `/lookup/` and the escaped module version, as the server and the cache know it.
    fn path(&self) -> String {
        let (path, version) = (
            self.module.path().escaped(),
            self.module.version().escaped(),
        );
        format!("/lookup/{path}@{version}")
    }

    fn cache_key(&self) -> String {
        format!("{}{}", self.session.client().name(), self.path())
    }

    fn advance(&mut self) -> Result<ProvenRecord, Stop> {
        if let Some(record) = &self.done {
            return Ok(record.clone());
        }
        self.session.latest()?;
        loop {
            let mut candidate = match self.candidate.take() {
                Some(candidate) => candidate,
                None => self.find_candidate()?,
            };
            match self.prove(&mut candidate) {
                Err(Stop::Fail(error)) if candidate.from_cache && is_about_the_answer(&error) => {
                    self.cache_is_done = true;
                }
                outcome => {
                    self.candidate = Some(candidate);
                    return outcome;
                }
            }
        }
    }

    /// Reads the answer from the cache, else from the server.
    fn find_candidate(&mut self) -> Result<Candidate, Stop> {
        if !self.cache_is_done {
            let cached = self
                .session
                .read_cache(&self.cache_key())?
                .map(<[u8]>::to_vec);
            if let Some(candidate) = cached.and_then(|message| self.open(message, true).ok()) {
                return Ok(candidate);
            }
            self.cache_is_done = true;
        }
        let message = self.session.take_remote(&self.path())?;
        Ok(self.open(message, false)?)
    }

    fn open(&self, message: Vec<u8>, from_cache: bool) -> Result<Candidate, Error> {
        let (id, text, note) = parse_record(&message)?;
        if note.is_empty() {
            return Err(Error::MalformedNote("no tree head below the record"));
        }
        let head = self.session.client().open_head(note)?;
        Ok(Candidate {
            from_cache,
            message,
            id,
            text,
            head,
            head_is_merged: false,
        })
    }

    fn prove(&mut self, candidate: &mut Candidate) -> Result<ProvenRecord, Stop> {
        if let Err(stop) = self.take_up_head(candidate) {
            return Err(self.with_tiles_ahead(stop, candidate));
        }

        let tree = *self.session.latest()?.tree();
        let id = candidate.id;
        let leaf = Node::leaf(id).filter(|leaf| leaf.end() <= tree.size());
        let leaf = leaf.ok_or(Error::OutsideTree {
            position: id,
            size: tree.size(),
        })?;
        if self.session.tiles(tree, &[leaf])?.hash(leaf) != Some(candidate.text.hash()) {
            return Err(Error::RecordMismatch { id }.into());
        }

        let record = ProvenRecord::new(self.module.clone(), id, tree, &candidate.text)?;
        if !candidate.from_cache {
            let message = std::mem::take(&mut candidate.message);
            let key = self.cache_key();
            self.session.write_cache(&key, message);
        }
        Ok(record)
    }

    /// Proves that the answer's head and the latest one belong to one history, and has the newer one kept.
    fn take_up_head(&mut self, candidate: &mut Candidate) -> Result<(), Stop> {
        if !candidate.head_is_merged {
            self.session.merge(&candidate.head)?;
            candidate.head_is_merged = true;
        }
        self.session.keep()
    }

    /// While the proof of the head and its keeping wait for answers, the tiles with the record's hash may come in, too.
    /// Nothing in them is believed before the head is.
    fn with_tiles_ahead(&self, stop: Stop, candidate: &Candidate) -> Stop {
        let Stop::Ask(mut requests) = stop else {
            return stop;
        };
        let offered = *candidate.head.tree();
        let latest = self.session.client().latest().map(|latest| *latest.tree());
        let tree = latest
            .filter(|latest| latest.size() >= offered.size())
            .unwrap_or(offered);
        if let Some(leaf) = Node::leaf(candidate.id).filter(|leaf| leaf.end() <= tree.size()) {
            for request in self.session.missing_tiles(tree, leaf) {
                if !requests.contains(&request) {
                    requests.push(request);
                }
            }
        }
        Stop::Ask(requests)
    }
}

/// Reads a record that was proven before, see [`Client::read_kept`].
pub(super) fn read_kept(
    client: &Client,
    module: ModuleVersion,
    message: &[u8],
) -> Result<ProvenRecord, Error> {
    let (id, text, note) = parse_record(message)?;
    if note.is_empty() {
        return Err(Error::MalformedNote("no tree head below the record"));
    }
    let tree = *client.open_head(note)?.tree();
    if id >= tree.size() {
        return Err(Error::OutsideTree {
            position: id,
            size: tree.size(),
        });
    }
    ProvenRecord::new(module, id, tree, &text)
}

/// Whether the error shows that a cached answer is wrong, so that the server may have a better one. A fork is a fork
/// wherever its evidence was kept, and a proof that could not be read says nothing about the answer.
fn is_about_the_answer(error: &Error) -> bool {
    matches!(
        error,
        Error::OutsideTree { .. } | Error::RecordMismatch { .. } | Error::MissingEntry(_)
    )
}

impl Operation for Lookup<'_> {
    type Output = ProvenRecord;

    fn step(&mut self) -> Result<Step<ProvenRecord>, Error> {
        let outcome = self.advance();
        self.session.report(outcome, &mut self.done)
    }

    fn answer(&mut self, request: Request, answer: Answer) -> Result<(), Error> {
        self.session.answer(request, answer)
    }
}
