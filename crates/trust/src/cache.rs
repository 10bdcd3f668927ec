//! What was proven, kept in the store's answers. Each entry carries the digest of its bytes, so that what is read back
//! is what was proven; one that is damaged counts as not kept.

use jiff::Timestamp;
use store::{Answer, AnswerKey, AnswerMeta, Store, StoreError};
use sumdb::tile::Tile;

/// `key` is `<database>/<path>`, as operations name entries.
fn answer_key(database: &str, key: &str) -> Option<AnswerKey> {
    let path = key.strip_prefix(database)?.strip_prefix('/')?;
    Some(AnswerKey::Sumdb {
        name: database.to_owned(),
        path: path.to_owned(),
    })
}

pub(crate) fn read(store: &Store, database: &str, key: &str) -> Option<Answer> {
    store.read_answer(&answer_key(database, key)?)
}

/// Keeps an entry, or says why not.
pub(crate) fn try_write(
    store: &Store,
    database: &str,
    path: &str,
    data: &[u8],
) -> Result<(), StoreError> {
    let answer_key = AnswerKey::Sumdb {
        name: database.to_owned(),
        path: path.to_owned(),
    };
    let answer = Answer {
        meta: AnswerMeta {
            confirmed: Timestamp::now(),
            source: format!("{database}, proven"),
            etag: None,
            last_modified: None,
        },
        body: data.to_vec(),
    };
    store.write_answer(&answer_key, &answer)
}

/// An entry that is lost does no harm, so a store that cannot keep it is no reason to fail.
pub(crate) fn write(store: &Store, database: &str, key: &str, data: &[u8]) {
    let path = key
        .strip_prefix(database)
        .and_then(|key| key.strip_prefix('/'));
    let Some(path) = path else { return };
    if let Err(error) = try_write(store, database, path, data) {
        tracing::error!(answer = %key, %error, "proven, but could not be stored");
    }
}

/// The bytes of a tile from the tile itself or from any wider one at its place, whose beginning it is.
pub(crate) fn read_tile(store: &Store, database: &str, tile: Tile) -> Option<Answer> {
    let kept = |tile: Tile| {
        let path = tile.path();
        store.read_answer(&AnswerKey::Sumdb {
            name: database.to_owned(),
            path,
        })
    };
    let len = tile.byte_length();
    let is_of_hashes = matches!(tile.level(), sumdb::tile::TileLevel::Hashes(_));
    if let Some(answer) = kept(tile).filter(|answer| !is_of_hashes || answer.body.len() == len) {
        return Some(answer);
    }
    if !is_of_hashes || tile.is_full() {
        return None;
    }
    let wider = |width: u32| Tile::new(tile.height(), tile.level(), tile.index(), width);
    let mut widths: Vec<u32> = store
        .sumdb_answers_below(database, &format!("{}.p", tile.full().path()))
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter(|width| *width > tile.width())
        .collect();
    widths.sort_unstable();
    widths.push(tile.full().width());
    let mut answers = widths
        .into_iter()
        .filter_map(|width| Some((wider(width)?, kept(wider(width)?)?)));
    let answer = answers.find(|(wide, answer)| answer.body.len() == wide.byte_length());
    answer.map(|(_, mut answer)| {
        answer.body.truncate(len);
        answer
    })
}
