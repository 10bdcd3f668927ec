use super::exchange::{Answer, Operation, Request, Step};
use super::session::tile_cache_key;
use super::{Client, Session, Stop};
use crate::error::Error;
use crate::tile::{Tile, TileLevel};
use crate::tlog::split_records;

/// The operation of reading a tile and proving it, see [`Client::tile`]. It yields the tile's bytes.
///
/// Any tile of the latest tree may be asked for, at any width it has had since it was begun; one beyond that tree is
/// [`Error::OutsideTree`]. Hashes are proven up to the signed root, records by their hashes.
pub struct ReadTile<'c> {
    session: Session<'c>,
    tile: Tile,
    done: Option<Vec<u8>>,
}

impl<'c> ReadTile<'c> {
    pub(super) fn new(client: &'c Client, tile: Tile) -> Self {
        Self {
            session: Session::new(client),
            tile,
            done: None,
        }
    }

    fn advance(&mut self) -> Result<Vec<u8>, Stop> {
        if let Some(bytes) = &self.done {
            return Ok(bytes.clone());
        }
        let bytes = match self.tile.level() {
            TileLevel::Hashes(_) => self.hashes(self.tile)?,
            TileLevel::Data => self.records()?,
        };
        let key = tile_cache_key(self.session.client(), self.tile);
        self.session.write_cache(&key, bytes.clone());
        Ok(bytes)
    }

    fn hashes(&mut self, tile: Tile) -> Result<Vec<u8>, Stop> {
        let tree = *self.session.latest()?.tree();
        let end = tile.end_record();
        let nodes = tile
            .nodes()
            .filter(|_| end.is_some_and(|end| end <= tree.size()));
        let nodes = nodes.ok_or(Error::OutsideTree {
            position: end.map_or(u64::MAX, |end| end.saturating_sub(1)),
            size: tree.size(),
        })?;
        let proven = self.session.tiles_of_height(tile.height(), tree, &nodes)?;
        Ok(tile.read(&proven)?)
    }

    fn records(&mut self) -> Result<Vec<u8>, Stop> {
        let leaves = self.tile.at_level(TileLevel::Hashes(0));
        let hashes = self.hashes(leaves)?;
        let hashes = leaves.hashes(&hashes)?;
        let key = tile_cache_key(self.session.client(), self.tile);
        let is_proven = |data: &[u8]| {
            split_records(data).is_ok_and(|records| {
                let found = records.iter().map(crate::tlog::RecordText::hash);
                found.eq(hashes.iter().copied())
            })
        };
        if let Some(data) = self.session.read_cache(&key)?
            && is_proven(data)
        {
            return Ok(data.to_vec());
        }
        let data = self
            .session
            .take_remote(&format!("/{}", self.tile.path()))?;
        if is_proven(&data) {
            return Ok(data);
        }
        let tile = self.tile.path();
        Err(Error::InconsistentTile { tile }.into())
    }
}

impl Operation for ReadTile<'_> {
    type Output = Vec<u8>;

    fn step(&mut self) -> Result<Step<Vec<u8>>, Error> {
        let outcome = self.advance();
        self.session.report(outcome, &mut self.done)
    }

    fn answer(&mut self, request: Request, answer: Answer) -> Result<(), Error> {
        self.session.answer(request, answer)
    }
}
