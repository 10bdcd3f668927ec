use super::{Height, Tile, TileLevel};
use crate::error::Error;

/// What a C2SP path calls the level of records.
const C2SP_ENTRIES: &str = "entries";
/// What a Go path calls the level of records.
const GO_DATA: &str = "data";

impl Tile {
    /// The path of a tile in a Go checksum database: `tile/H/L/K` or `tile/H/data/K`, and `.p/W` if it is partial. K
    /// is written in groups of three digits, all but the last behind an `x`.
    pub fn path(self) -> String {
        let level = self.level_element(GO_DATA);
        format!("tile/{}/{level}/{}", self.height.get(), self.place())
    }

    /// Reads a Go tile path. Only the exact form [`Self::path`] writes is accepted.
    pub fn parse_path(path: &str) -> Result<Self, Error> {
        let parse = || {
            let rest = path.strip_prefix("tile/")?;
            let (height, rest) = rest.split_once('/')?;
            let height = Height::new(height.parse().ok()?)?;
            Self::parse_rest(height, GO_DATA, rest)
        };
        accept_canonical(parse(), Self::path, path)
    }

    /// The path of a tile of standard height in C2SP tlog-tiles: `tile/L/K` or `tile/entries/K`, and `.p/W` if it is
    /// partial. `None` for other heights.
    pub fn c2sp_path(self) -> Option<String> {
        let level = self.level_element(C2SP_ENTRIES);
        (self.height == Height::STANDARD).then(|| format!("tile/{level}/{}", self.place()))
    }

    /// Reads a C2SP tile path. Only the exact form [`Self::c2sp_path`] writes is accepted; no path is both a C2SP and
    /// a Go path.
    pub fn parse_c2sp_path(path: &str) -> Result<Self, Error> {
        let rest = path.strip_prefix("tile/");
        let tile = rest.and_then(|rest| Self::parse_rest(Height::STANDARD, C2SP_ENTRIES, rest));
        accept_canonical(tile, |tile| tile.c2sp_path().unwrap_or_default(), path)
    }

    fn level_element(self, records: &str) -> String {
        match self.level {
            TileLevel::Data => records.to_owned(),
            TileLevel::Hashes(level) => level.to_string(),
        }
    }

    fn place(self) -> String {
        let mut place = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            place = format!("x{:03}/{place}", rest % 1000);
            rest /= 1000;
        }
        if !self.is_full() {
            place.push_str(".p/");
            place.push_str(&self.width.to_string());
        }
        place
    }

    /// Reads `L/K[.p/W]`, more leniently than the canonical form.
    fn parse_rest(height: Height, records: &str, rest: &str) -> Option<Self> {
        let (level, place) = rest.split_once('/')?;
        let level = if level == records {
            TileLevel::Data
        } else {
            TileLevel::Hashes(level.parse().ok()?)
        };
        let (place, width) = match place.split_once(".p/") {
            Some((place, width)) => (place, width.parse().ok()?),
            None => (place, height.full_width()),
        };
        let index = place.split('/').try_fold(0_u64, |index, group| {
            let group: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
            index.checked_mul(1000)?.checked_add(group)
        })?;
        Self::new(height, level, index, width)
    }
}

/// Accepts a tile if its canonical path is the path that was read.
fn accept_canonical(
    tile: Option<Tile>,
    path_of: impl Fn(Tile) -> String,
    path: &str,
) -> Result<Tile, Error> {
    tile.filter(|&tile| path_of(tile) == path)
        .ok_or_else(|| Error::MalformedTilePath(path.to_owned()))
}
