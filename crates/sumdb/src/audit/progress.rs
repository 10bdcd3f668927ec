use std::collections::HashMap;

use super::report::{Finding, Report};
use crate::client::{Client, Session, Stop};
use crate::error::Error;
use crate::hash::Hash;
use crate::record::check_lines;
use crate::tile::{Tile, TileLevel};
use crate::tlog::{Frontier, RecordText, split_records};

/// How many tiles of records are asked for at a time.
const BATCH: u64 = 16;

/// How far an audit has come: everything before `frontier.size()` is checked.
pub(super) struct Progress {
    report: Report,
    frontier: Frontier,
    /// For each tile level the hashes of its last tile, as far as the leaves are known.
    rows: Vec<Vec<Hash>>,
    /// Tiles above the leaves that are complete but not yet compared.
    upper: Vec<(Tile, Vec<Hash>)>,
    /// The record of each module version, by a hash of it.
    seen: HashMap<[u8; 16], u64>,
}

impl Progress {
    pub(super) fn new(report: Report) -> Self {
        let (frontier, rows, upper) = (Frontier::new(), Vec::new(), Vec::new());
        Self {
            report,
            frontier,
            rows,
            upper,
            seen: HashMap::new(),
        }
    }

    /// The records checked and the records of the tree.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.frontier.size(), self.report.tree.size())
    }

    /// Goes on to the end, or as far as the answers allow.
    pub(super) fn advance(&mut self, session: &mut Session<'_>) -> Result<Report, Stop> {
        while let Some(leaf_tiles) = self.next_leaf_tiles(session.client()) {
            self.check_upper_tiles(session)?;
            self.check_leaf_tiles(&leaf_tiles, session)?;
        }
        self.close_rows(session.client());
        self.check_upper_tiles(session)?;
        Ok(self.finish())
    }

    /// The next tiles of leaf hashes. `None` after the last.
    fn next_leaf_tiles(&self, client: &Client) -> Option<Vec<Tile>> {
        let height = client.height();
        let size = self.report.tree.size();
        let first = self.frontier.size() >> height.get();
        let tiles: Vec<Tile> = (first..first + BATCH)
            .map_while(|index| Tile::in_tree(height, 0, index, size))
            .collect();
        let is_left = self.frontier.size() < size && !tiles.is_empty();
        is_left.then_some(tiles)
    }

    fn check_leaf_tiles(&mut self, tiles: &[Tile], session: &mut Session<'_>) -> Result<(), Stop> {
        let hashes = read_all(tiles, |tile| session.tile_from_server(tile));
        let records = read_all(tiles, |tile| records_from_server(tile, session));
        let (hashes, records) = both(hashes, records)?;
        for ((&tile, hashes), records) in tiles.iter().zip(hashes).zip(records) {
            let hashes = tile.hashes(&hashes)?;
            match records {
                Ok(records) => self.check_records(&records, &hashes),
                Err(error) => self.report.add(Finding::Bundle {
                    tile: data_tile(tile).path(),
                    reason: error.to_string(),
                }),
            }
            self.report.tiles += 1;
            self.append_leaves(&hashes, session.client())?;
        }
        session.forget_remote();
        Ok(())
    }

    fn check_records(&mut self, records: &[RecordText], leaves: &[Hash]) {
        for (id, (record, &leaf)) in (self.frontier.size()..).zip(records.iter().zip(leaves)) {
            if record.hash() != leaf {
                self.report.add(Finding::Record { id });
                continue;
            }
            match check_lines(record) {
                Err(error) => self.report.add(Finding::Lines {
                    id,
                    reason: error.to_string(),
                }),
                Ok(module) => {
                    let module = module.to_string();
                    if let Some(&first) = self.seen.get(&short_hash(&module)) {
                        self.report.add(Finding::Duplicate {
                            first,
                            second: id,
                            module,
                        });
                    } else {
                        self.seen.insert(short_hash(&module), id);
                    }
                }
            }
        }
    }

    fn append_leaves(&mut self, leaves: &[Hash], client: &Client) -> Result<(), Error> {
        let height = client.height();
        for &leaf in leaves {
            let mut completed = Vec::new();
            self.frontier.append(leaf, &mut completed)?;
            // Of the subtrees a leaf completes, every H-th is a hash in a tile of the next level.
            for (level, &hash) in completed
                .iter()
                .step_by(usize::from(height.get()))
                .enumerate()
            {
                if self.rows.len() == level {
                    self.rows.push(Vec::new());
                }
                let Some(row) = self.rows.get_mut(level) else {
                    break;
                };
                row.push(hash);
                if row.len() == height.full_width() as usize {
                    let full = std::mem::take(row);
                    self.expect_upper_tile(level, full, client);
                }
            }
        }
        Ok(())
    }

    /// Takes note of a tile that ends where the leaves end so far.
    fn expect_upper_tile(&mut self, level: usize, hashes: Vec<Hash>, client: &Client) {
        let Ok(level @ 1..) = u8::try_from(level) else {
            return;
        };
        let height = client.height();
        let end = self
            .frontier
            .size()
            .checked_shr(u32::from(level) * u32::from(height.get()));
        let last = end.and_then(|end| end.checked_sub(1));
        let tile = last.and_then(|last| {
            let width = u32::try_from(hashes.len()).ok()?;
            Tile::new(
                height,
                TileLevel::Hashes(level),
                last >> height.get(),
                width,
            )
        });
        self.upper.extend(tile.map(|tile| (tile, hashes)));
    }

    /// Turns the rows that are not full into the partial tiles at the right edge.
    fn close_rows(&mut self, client: &Client) {
        for (level, row) in std::mem::take(&mut self.rows).into_iter().enumerate() {
            if !row.is_empty() {
                self.expect_upper_tile(level, row, client);
            }
        }
    }

    fn check_upper_tiles(&mut self, session: &mut Session<'_>) -> Result<(), Stop> {
        if self.upper.is_empty() {
            return Ok(());
        }
        let tiles: Vec<Tile> = self.upper.iter().map(|(tile, _)| *tile).collect();
        let served = read_all(&tiles, |tile| session.tile_from_server(tile))?;
        for ((tile, expected), served) in std::mem::take(&mut self.upper).into_iter().zip(served) {
            self.report.tiles += 1;
            if tile.hashes(&served)? != expected {
                self.report.add(Finding::Tile { tile: tile.path() });
            }
        }
        session.forget_remote();
        Ok(())
    }

    fn finish(&mut self) -> Report {
        if self.frontier.root() != self.report.tree.root() {
            self.report.add(Finding::Root);
        }
        self.report.clone()
    }
}

/// Reads something for every tile, so that all missing answers are asked for at once.
fn read_all<T>(
    tiles: &[Tile],
    mut read: impl FnMut(Tile) -> Result<T, Stop>,
) -> Result<Vec<T>, Stop> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for &tile in tiles {
        match read(tile) {
            Ok(data) => found.push(data),
            Err(Stop::Ask(requests)) => missing.extend(requests),
            Err(fail) => return Err(fail),
        }
    }
    if missing.is_empty() {
        Ok(found)
    } else {
        Err(Stop::Ask(missing))
    }
}

/// Both results, or all that is missing for either.
fn both<A, B>(first: Result<A, Stop>, second: Result<B, Stop>) -> Result<(A, B), Stop> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(Stop::Ask(mut requests)), Err(Stop::Ask(others))) => {
            requests.extend(others);
            Err(Stop::Ask(requests))
        }
        (Err(fail @ Stop::Fail(_)), _) | (_, Err(fail @ Stop::Fail(_))) => Err(fail),
        (Err(ask), _) | (_, Err(ask)) => Err(ask),
    }
}

/// The tile of the records of which this is the tile of leaf hashes.
fn data_tile(leaves: Tile) -> Tile {
    leaves.at_level(TileLevel::Data)
}

/// The records of a tile, or why the server's text is not them.
fn records_from_server(
    leaves: Tile,
    session: &mut Session<'_>,
) -> Result<Result<Vec<RecordText>, Error>, Stop> {
    let tile = data_tile(leaves);
    let path = format!("/{}", tile.path());
    let full_path = format!("/{}", tile.full().path());
    let expected = tile.width() as usize;
    let records = match session.read_remote(&path)? {
        Ok(data) => split_records(data),
        Err(_) if !tile.is_full() && session.read_remote(&full_path)?.is_ok() => {
            let full = session.read_remote(&full_path)?.as_ref();
            split_records(full.map(Vec::as_slice).unwrap_or_default()).map(|mut records| {
                records.truncate(expected);
                records
            })
        }
        Err(_) => split_records(&session.take_remote(&path)?),
    };
    Ok(records.and_then(|records| {
        let complete = records.len() == expected;
        complete
            .then_some(records)
            .ok_or(Error::MalformedRecord("wrong number of records in a tile"))
    }))
}

fn short_hash(module: &str) -> [u8; 16] {
    let hash = Hash::sha256(module.as_bytes());
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}
