//! What must hold for any bytes that are opened as a bundle.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use bundle::{Bundle, EntryName, FileEntry};

/// What is accepted is one archive for everybody who reads tar: the two entries of the manifest, then those that it lists,
/// in their order, of their length, with nothing between or behind them; and every byte counts, also for its digest.
pub(crate) fn bundle(data: &[u8], scratch: &Path) -> bool {
    let file = scratch.join("any.bundle");
    fs::write(&file, data).unwrap();
    let Ok(opened) = Bundle::open(&file) else {
        return false;
    };
    assert_eq!(opened.len(), data.len() as u64);
    let manifest = opened.manifest();
    let mut entries = tar_entries(data).into_iter();
    let (name, json) = entries.next().unwrap();
    assert_eq!(name, "manifest.json");
    assert_eq!(opened.digest(), store::Digest::of(&json).to_string());
    let mut again = serde_json::to_vec_pretty(manifest).unwrap();
    again.push(b'\n');
    assert_eq!(again, json, "a manifest that is written in another way");
    let (name, line) = entries.next().unwrap();
    assert_eq!(name, "manifest.json.sha256");
    let expected = format!("{}  manifest.json\n", opened.digest());
    assert_eq!(line, expected.as_bytes());

    let mut all_sound = true;
    for listed in &manifest.files {
        let (name, content) = entries.next().unwrap();
        check_name(listed, &name);
        assert_eq!(content.len() as u64, listed.size, "{name}");
        all_sound &= store::Digest::of(&content).to_string() == listed.sha256;
    }
    assert_eq!(entries.next(), None, "an entry that is not listed");
    assert_eq!(opened.check_contents().is_ok(), all_sound);

    for shorter in [data.len() - 1, data.len() - 512, data.len() - 1024] {
        fs::write(&file, &data[..shorter]).unwrap();
        assert!(Bundle::open(&file).is_err(), "cut at {shorter}");
    }
    true
}

/// A name has one spelling, and leads to nowhere else.
fn check_name(listed: &FileEntry, found: &str) {
    assert_eq!(listed.name.to_string(), found);
    assert_eq!(EntryName::parse(found).as_ref(), Some(&listed.name));
    assert!(
        found.starts_with("modules/") || found.starts_with("sumdb/"),
        "{found}"
    );
    let is_plain = |element: &str| !matches!(element, "" | "." | "..");
    assert!(found.split(['/', '+']).all(is_plain), "{found}");
}

fn tar_entries(data: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(data);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().entry_type(), tar::EntryType::Regular);
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            (name, content)
        })
        .collect()
}
