//! What the fuzzers hold against the parsers and the client. Each function takes any bytes, panics when a property is
//! broken, and tells whether the bytes were accepted.

use std::sync::LazyLock;

use sumdb::checkpoint::Checkpoint;
use sumdb::client::run;
use sumdb::log::Resource;
use sumdb::note::{CosignerKey, KeyName, Note, Signature, SignerKey, VerifierKey, Verifiers};
use sumdb::record::Part;
use sumdb::tile::{Height, Tile, TileLevel};
use sumdb::tlog::{Hash, RecordText, TreeHead, format_record, parse_record};

use super::support::{NAME, World, client, entry, log_of, nth_module, read_log, signer};

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// A signed note: what is read is written as something that reads the same, and what a key vouches for is vouched for
/// again, with the same text.
pub(crate) fn note(data: &[u8]) -> bool {
    let Ok(note) = Note::parse(data) else {
        return false;
    };
    let written = note.to_string();
    assert_eq!(Note::parse(written.as_bytes()).expect("a note"), note);
    assert!(data.starts_with(note.text().as_bytes()));
    for signature in note.signatures() {
        let again = Signature::parse(&signature.to_string()).expect("a signature line");
        assert_eq!(&again, signature);
    }
    let known = Verifiers::from(signer(NAME, 1).verifier().clone());
    let text = note.text().to_owned();
    if let Ok(verified) = note.verify(&known) {
        assert_eq!(verified.text(), text);
        let again = Note::parse(written.as_bytes()).and_then(|note| note.verify(&known));
        assert_eq!(again.expect("a verified note"), verified);
    }
    true
}

/// The text of a key that verifies.
pub(crate) fn verifier_key(data: &[u8]) -> bool {
    let Some(Ok(key)) = text(data).map(VerifierKey::parse) else {
        return false;
    };
    assert_eq!(VerifierKey::parse(&key.to_string()).expect("a key"), key);
    true
}

/// The text of a key that signs; it also must verify what it signs.
pub(crate) fn signer_key(data: &[u8]) -> bool {
    let Some(text) = text(data) else { return false };
    drop((
        CosignerKey::parse(text),
        KeyName::parse(text),
        Hash::parse(text),
    ));
    let Ok(key) = SignerKey::parse(text) else {
        return false;
    };
    let mut note = Note::new("text\n").expect("a text");
    note.sign(&key).expect("a signature");
    let verifiers = Verifiers::from(key.verifier().clone());
    assert_eq!(
        note.verify(&verifiers).expect("it is good").text(),
        "text\n"
    );
    true
}

/// The text of a tree head.
pub(crate) fn tree_head(data: &[u8]) -> bool {
    let Some(Ok(head)) = text(data).map(TreeHead::parse) else {
        return false;
    };
    assert_eq!(TreeHead::parse(&head.to_string()).expect("a head"), head);
    true
}

/// The text of a checkpoint.
pub(crate) fn checkpoint(data: &[u8]) -> bool {
    let Some(Ok(checkpoint)) = text(data).map(Checkpoint::parse) else {
        return false;
    };
    let again = Checkpoint::parse(&checkpoint.to_string()).expect("a checkpoint");
    assert_eq!(again, checkpoint);
    true
}

/// A numbered record, and what follows it; also the text of a record alone.
pub(crate) fn record(data: &[u8]) -> bool {
    if let Ok(record) = RecordText::parse(data) {
        assert_eq!(record.as_str().as_bytes(), data);
        assert_eq!(record.hash(), Hash::of_record(data));
    }
    let Ok((id, record, rest)) = parse_record(data) else {
        return false;
    };
    let head = data.strip_suffix(rest).expect("the rest is the end");
    assert_eq!(format_record(id, &record).as_bytes(), head);
    true
}

/// The path of a tile as Go spells it: one spelling for one tile.
pub(crate) fn tile_path(data: &[u8]) -> bool {
    let Some(Ok(tile)) = text(data).map(Tile::parse_path) else {
        return false;
    };
    assert_eq!(Some(tile.path().as_str()), text(data));
    assert!(tile.end_record().is_none() || tile.first_record() < tile.end_record());
    if tile.width() < 1024 {
        let nodes = tile.nodes().unwrap_or_default();
        assert!(nodes.is_empty() || nodes.len() == tile.width() as usize);
    }
    true
}

/// The path of a tile as C2SP spells it.
pub(crate) fn c2sp_tile_path(data: &[u8]) -> bool {
    let Some(Ok(tile)) = text(data).map(Tile::parse_c2sp_path) else {
        return false;
    };
    assert_eq!(tile.height(), Height::STANDARD);
    true
}

/// The path of a request to a log.
pub(crate) fn request(data: &[u8]) -> bool {
    text(data).is_some_and(|text| Resource::parse(text).is_ok())
}

/// A tile: a byte for its height and one for its width, then its bytes. One that is accepted has as many hashes as it is
/// wide, and they are its bytes; so has the one cut from a full tile.
pub(crate) fn tile(data: &[u8]) -> bool {
    let Some((&[height, width], bytes)) = data.split_first_chunk() else {
        return false;
    };
    let height = Height::new(height % 12).unwrap_or(Height::STANDARD);
    let Some(tile) = Tile::new(height, TileLevel::Hashes(0), 0, width.into()) else {
        return false;
    };
    let encode =
        |hashes: &[Hash]| -> Vec<u8> { hashes.iter().flat_map(|hash| *hash.as_bytes()).collect() };
    if let Ok(cut) = tile.cut(bytes) {
        let full = tile.full().hashes(bytes).expect("a full tile was cut");
        let hashes = tile.hashes(&cut).expect("a tile was cut from it");
        assert_eq!(hashes, full[..hashes.len()]);
    }
    let Ok(hashes) = tile.hashes(bytes) else {
        return false;
    };
    assert_eq!(hashes.len(), tile.width() as usize);
    assert_eq!(encode(&hashes), bytes);
    true
}

/// What a log of ten records would truly answer to whoever asks for the record of [`nth_module`] 3.
struct Truth {
    log: super::support::MemoryLog,
    lines: [Vec<String>; 2],
}

fn lines_of(record: &RecordText) -> [Vec<String>; 2] {
    let of = |part: &str| {
        let lines = record.lines().map(str::to_owned);
        lines
            .filter(|line| line.contains("/go.mod ") == (part == "mod"))
            .collect()
    };
    [of("zip"), of("mod")]
}

/// A server's answer: a byte that says to which question, then the answer; all other questions are answered truly.
/// Whatever the answer, the client believes only what the log has. Accepted means that the client came to believe.
pub(crate) fn answer(data: &[u8]) -> bool {
    thread_local! {
        static TRUTH: LazyLock<Truth> = LazyLock::new(|| Truth {
            log: log_of(10),
            lines: lines_of(entry(3).record()),
        });
    }
    let Some((&question, bytes)) = data.split_first() else {
        return false;
    };
    TRUTH.with(|truth| {
        let place = [
            "/lookup/",
            "/latest",
            "/tile/2/0/000",
            "/tile/2/1/000",
            "/tile/",
        ][usize::from(question % 5)];
        let world = World::new(|path| {
            if path.starts_with(place) {
                Ok(bytes.to_vec())
            } else {
                read_log(&truth.log, path)
            }
        });
        let client = client(2);
        if place == "/latest" {
            let is_believed = run(client.update(), &world).is_ok();
            let latest = client.latest();
            let size = latest.map_or(0, |head| head.tree().size());
            // The corpus also has the head that the log signed when it had nine records.
            assert!(matches!(size, 0 | 9 | 10), "a head nobody signed");
            return is_believed;
        }
        let Ok(proven) = run(client.lookup(nth_module(3)), &world) else {
            return false;
        };
        assert_eq!(proven.id(), 3);
        assert_eq!(proven.lines(Part::Zip), truth.lines[0]);
        assert_eq!(proven.lines(Part::GoMod), truth.lines[1]);
        true
    })
}
