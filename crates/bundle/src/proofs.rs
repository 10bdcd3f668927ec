//! What proves versions: their records, one head for all of them, and the tiles that any client may ask for.
//!
//! Every record goes out under the one newest head, so a client that has seen nothing, or heads of bundles before, is
//! led from what it knows to that head and nowhere else. For it the tiles are: those above each record, and those that
//! prove each earlier head known here to be a beginning of the newest.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use depot::{Depot, FetchMode, SumdbRoute};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gomod::ModuleVersion;
use sumdb::client::SignedHead;
use sumdb::record::Part;
use sumdb::tile::{Height, Tile, TileSet};
use sumdb::tlog::{Node, RecordText, consistency_nodes, format_record, parse_record, tree_root};

use crate::{BundleError, DatabaseEntry, EntryName, FileEntry, Proof};

/// Tiles that are asked for at a time.
const AT_A_TIME: usize = 8;

/// A record that a database has proven to a depot.
pub(crate) struct Proven {
    pub(crate) module: ModuleVersion,
    pub(crate) number: u64,
    text: RecordText,
    /// The size of the tree the answer spoke of: clients of this store may know it.
    told: u64,
}

impl Proven {
    /// The hash the record has for a part of the version.
    pub(crate) fn hash(&self, part: Part) -> Option<&str> {
        let version = match part {
            Part::Zip => self.module.version().to_string(),
            Part::GoMod => format!("{}/go.mod", self.module.version()),
        };
        let prefix = format!("{} {version} ", self.module.path());
        self.text
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
    }
}

/// Looks a version up in its database.
pub(crate) async fn prove(
    depot: &Depot,
    route: &SumdbRoute,
    module: &ModuleVersion,
) -> Result<Proven, BundleError> {
    let path = Proof::Record(module.clone()).path();
    let reply = depot
        .sumdb(route, &path, FetchMode::Allowed, &depot::Context::default())
        .await;
    let reply = reply.map_err(|error| BundleError::Fetch {
        what: format!("{module} in the checksum database {}", route.name),
        error,
    })?;
    let wrong = |error| BundleError::proof(&route.name, module, error);
    let (number, text, note) = parse_record(&reply.body).map_err(wrong)?;
    Ok(Proven {
        module: module.clone(),
        number,
        told: crate::check::size_of(note),
        text,
    })
}

/// Everything of one database.
pub(crate) struct Proofs {
    pub(crate) database: DatabaseEntry,
    /// By entry.
    pub(crate) contents: BTreeMap<String, (EntryName, Vec<u8>)>,
}

/// What earlier bundles and clients know of a database.
#[derive(Default)]
pub(crate) struct Earlier {
    pub(crate) sizes: BTreeSet<u64>,
    /// Signed heads.
    pub(crate) heads: Vec<Vec<u8>>,
    /// Records of earlier bundles, which are to be provable under the new head as well.
    pub(crate) records: Vec<u64>,
}

/// Gathers what proves these records.
pub(crate) async fn gather(
    depot: &Depot,
    route: &SumdbRoute,
    records: &[Proven],
    earlier: Earlier,
) -> Result<Proofs, BundleError> {
    let name = &route.name;
    let failed = |what: String| move |error| BundleError::Fetch { what, error };
    // Asked before is not asked again: all look-ups were made, and the newest head covers them.
    let head = depot
        .sumdb(
            route,
            "latest",
            FetchMode::CachedOnly,
            &depot::Context::default(),
        )
        .await
        .map_err(failed(format!("the head of {name}")))?;
    let open = |note: &[u8]| {
        SignedHead::open(note, &route.key.clone().into())
            .map_err(|error| BundleError::proof(name, "a signed head", error))
    };
    let newest = open(&head.body)?;
    let size = newest.tree().size();
    let mut sizes = earlier.sizes;
    let mut notes = Vec::new();
    for note in &earlier.heads {
        let known = open(note)?;
        sizes.insert(known.tree().size());
        notes.push(known);
    }
    if let Some(newer) = sizes.iter().find(|known| **known > size) {
        return Err(BundleError::Older {
            database: name.clone(),
            size,
            known: *newer,
        });
    }
    sizes.extend(records.iter().map(|record| record.told));
    sizes.retain(|known| (1..size).contains(known));
    let wrong = |error| BundleError::proof(name, "the tiles of its newest head", error);
    let mut nodes: Vec<Node> = records
        .iter()
        .map(|record| record.number)
        .chain(earlier.records)
        .filter_map(Node::leaf)
        .collect();
    for known in &sizes {
        nodes.extend(consistency_nodes(*known, size).map_err(wrong)?);
    }
    let set = TileSet::new(*newest.tree(), Height::STANDARD, &nodes).map_err(wrong)?;
    let tiles: Vec<Tile> = set.tiles().collect();
    let fetched: HashMap<Tile, Vec<u8>> = stream::iter(tiles)
        .map(|tile| async move {
            let reply = depot
                .sumdb(
                    route,
                    &tile.path(),
                    FetchMode::Allowed,
                    &depot::Context::default(),
                )
                .await;
            let reply = reply.map_err(failed(format!("{name}/{}", tile.path())))?;
            Ok::<_, BundleError>((tile, reply.body.to_vec()))
        })
        .buffer_unordered(AT_A_TIME)
        .try_collect()
        .await?;
    let authentic = set.authenticate(&fetched).map_err(|distrust| {
        BundleError::entry(
            distrust
                .suspects
                .first()
                .map_or_else(String::new, |tile| tile.path()),
            format!("it is not of the tree that {name} has signed"),
        )
    })?;
    for known in &notes {
        let (old, root) = (known.tree().size(), known.tree().root());
        if old > 0 && old < size && tree_root(old, &authentic).map_err(wrong)? != root {
            return Err(BundleError::NoProof {
                module: format!("the head of {old} records of {name}"),
                reason: "it is not the beginning of the tree this store knows: the database has shown two histories".to_owned(),
            });
        }
    }
    let mut proofs = Proofs {
        database: DatabaseEntry {
            name: name.clone(),
            key: route.key.to_string(),
            size,
            earlier_sizes: sizes.into_iter().collect(),
        },
        contents: BTreeMap::new(),
    };
    proofs.add(Proof::Head, head.body.to_vec());
    for record in records {
        let mut answer = format_record(record.number, &record.text).into_bytes();
        answer.extend_from_slice(&head.body);
        proofs.add(Proof::Record(record.module.clone()), answer);
    }
    for (tile, bytes) in fetched {
        proofs.add(Proof::Tile(tile), bytes);
    }
    Ok(proofs)
}

impl Proofs {
    fn add(&mut self, proof: Proof, content: Vec<u8>) {
        let name = EntryName::Proof(self.database.name.clone(), proof);
        self.contents.insert(name.to_string(), (name, content));
    }

    /// The entries.
    pub(crate) fn files(&self) -> impl Iterator<Item = FileEntry> + '_ {
        self.contents.values().map(|(name, content)| FileEntry {
            name: name.clone(),
            size: content.len() as u64,
            sha256: store::Digest::of(content).to_string(),
        })
    }
}
