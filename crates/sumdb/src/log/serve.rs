use gomod::{ModulePath, ModuleVersion, Version};

use super::store::{Heads, LogReader, StoredHashes};
use crate::error::Error;
use crate::tile::{Height, Tile, TileLevel};
use crate::tlog::{RecordText, format_record};

/// The greatest tile height that is served. Go and C2SP clients use 8; much higher tiles would be a way to make the
/// server read the whole log.
const MAX_HEIGHT: u8 = 10;

/// Something a log serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `/latest`: the signed tree head for Go clients.
    Latest,
    /// `/checkpoint`: the signed tree head of C2SP tlog-tiles.
    Checkpoint,
    /// `/lookup/<escaped module>@<escaped version>`: the record of a module version, and a head that covers it.
    Lookup(ModuleVersion),
    /// `/tile/<H>/<L>/<K>` or, of C2SP, `/tile/<L>/<N>`: hashes.
    HashTile(Tile),
    /// `/tile/<H>/data/<K>`: records as text.
    DataTile(Tile),
    /// `/tile/entries/<N>`, of C2SP: records with their lengths.
    EntryBundle(Tile),
}

impl Resource {
    /// Reads the path of a request, below the address of the database, with its leading slash and no percent-encoding.
    pub fn parse(path: &str) -> Result<Self, Error> {
        let path = path.strip_prefix('/').unwrap_or(path);
        if let Some(module) = path.strip_prefix("lookup/") {
            return parse_module(module).map(Self::Lookup);
        }
        match path {
            "latest" => Ok(Self::Latest),
            "checkpoint" => Ok(Self::Checkpoint),
            _ if path.starts_with("tile/") => parse_tile(path),
            _ => Err(Error::NotFound(path.to_owned())),
        }
    }
}

fn parse_module(module: &str) -> Result<ModuleVersion, Error> {
    let (path, version) = module
        .split_once('@')
        .ok_or(Error::MalformedRequest("no @ before a version"))?;
    let path =
        ModulePath::unescape(path).map_err(|_| Error::MalformedRequest("invalid module path"))?;
    let version =
        Version::unescape(version).map_err(|_| Error::MalformedRequest("invalid version"))?;
    ModuleVersion::new(path, version)
        .map_err(|_| Error::MalformedRequest("version does not fit the module path"))
}

fn parse_tile(path: &str) -> Result<Resource, Error> {
    if let Ok(tile) = Tile::parse_c2sp_path(path) {
        return Ok(match tile.level() {
            TileLevel::Data => Resource::EntryBundle(tile),
            TileLevel::Hashes(_) => Resource::HashTile(tile),
        });
    }
    let tile = Tile::parse_path(path)?;
    if Some(tile.height()) > Height::new(MAX_HEIGHT) {
        return Err(Error::NotFound(path.to_owned()));
    }
    Ok(match tile.level() {
        TileLevel::Data => Resource::DataTile(tile),
        TileLevel::Hashes(_) => Resource::HashTile(tile),
    })
}

/// For how long an answer stays right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// For ever.
    Immutable,
    /// For long; a later answer says more, but this one stays true.
    Long,
    /// For seconds.
    Short,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The media type.
    pub content_type: &'static str,
    /// The bytes.
    pub body: Vec<u8>,
    /// How long it may be cached.
    pub lifetime: Lifetime,
}

const TEXT: &str = "text/plain; charset=UTF-8";
const BINARY: &str = "application/octet-stream";

/// Answers a request from what is published. A module version without a record is [`Error::NotFound`]; one whose record
/// waits for its head is [`Error::Unpublished`].
pub fn serve(resource: &Resource, log: &(impl LogReader + ?Sized)) -> Result<Served, Error> {
    match resource {
        Resource::Latest => Ok(short_text(published(log)?.go)),
        Resource::Checkpoint => Ok(short_text(published(log)?.checkpoint)),
        Resource::Lookup(module) => lookup(module, log),
        Resource::HashTile(tile) => {
            check_published(*tile, log)?;
            let body = tile.read(&StoredHashes(log))?;
            Ok(tile_of(*tile, BINARY, body))
        }
        Resource::DataTile(tile) => {
            let records = read_tile_records(*tile, log)?;
            let body = records
                .iter()
                .flat_map(|text| [text.as_str().as_bytes(), b"\n"])
                .collect::<Vec<_>>()
                .concat();
            Ok(tile_of(*tile, TEXT, body))
        }
        Resource::EntryBundle(tile) => {
            let body = bundle(&read_tile_records(*tile, log)?)?;
            Ok(tile_of(*tile, BINARY, body))
        }
    }
}

fn short_text(note: String) -> Served {
    Served {
        content_type: TEXT,
        body: note.into_bytes(),
        lifetime: Lifetime::Short,
    }
}

/// A full tile never changes; a partial one at its width neither, but its readers soon want a wider one.
fn tile_of(tile: Tile, content_type: &'static str, body: Vec<u8>) -> Served {
    let lifetime = if tile.is_full() {
        Lifetime::Immutable
    } else {
        Lifetime::Long
    };
    Served {
        content_type,
        body,
        lifetime,
    }
}

fn lookup(module: &ModuleVersion, log: &(impl LogReader + ?Sized)) -> Result<Served, Error> {
    let found = log
        .find(std::slice::from_ref(module))
        .map_err(Error::Store)?;
    let Some(Some(id)) = found.into_iter().next() else {
        return Err(Error::NotFound(module.to_string()));
    };
    // Read after the record was found, so that the head covers every record that is published by now.
    let heads = published(log)?;
    if id >= heads.tree()?.size() {
        return Err(Error::Unpublished { id });
    }
    let record = read_records(id, 1, log)?.pop();
    let record = record.ok_or(Error::InconsistentStore("a record in the index is missing"))?;
    let body = (format_record(id, &record) + &heads.go).into_bytes();
    Ok(Served {
        content_type: TEXT,
        body,
        lifetime: Lifetime::Long,
    })
}

fn published(log: &(impl LogReader + ?Sized)) -> Result<Heads, Error> {
    let heads = log.published().map_err(Error::Store)?;
    heads.ok_or_else(|| Error::NotFound("no head is published".to_owned()))
}

/// Refuses tiles that the published tree does not fill.
fn check_published(tile: Tile, log: &(impl LogReader + ?Sized)) -> Result<(), Error> {
    let size = published(log)?.tree()?.size();
    if tile.end_record().is_some_and(|end| end <= size) {
        return Ok(());
    }
    Err(Error::NotFound(tile.path()))
}

fn read_tile_records(
    tile: Tile,
    log: &(impl LogReader + ?Sized),
) -> Result<Vec<RecordText>, Error> {
    check_published(tile, log)?;
    let first = tile
        .first_record()
        .ok_or_else(|| Error::NotFound(tile.path()))?;
    read_records(first, tile.width() as usize, log)
}

fn read_records(
    first: u64,
    count: usize,
    log: &(impl LogReader + ?Sized),
) -> Result<Vec<RecordText>, Error> {
    let records = log.read_records(first, count).map_err(Error::Store)?;
    if records.len() != count {
        return Err(Error::InconsistentStore("wrong number of records read"));
    }
    Ok(records)
}

/// Each record behind its length in 16 bits, big-endian.
fn bundle(records: &[RecordText]) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    for record in records {
        let text = record.as_str().as_bytes();
        let length = u16::try_from(text.len())
            .map_err(|_| Error::InconsistentStore("record too long for a bundle"))?;
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(text);
    }
    Ok(body)
}
