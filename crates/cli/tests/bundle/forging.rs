//! Bundles taken apart, and put together again as somebody would who knows the format.

/// Its name and its content.
pub(crate) type Entry = (String, Vec<u8>);

pub(crate) fn entries(bundle: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(bundle);
    archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        })
        .collect()
}

pub(crate) fn header(name: &str, size: u64, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let field = &mut header.as_old_mut().name;
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

pub(crate) fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in entries {
        bytes.extend_from_slice(
            header(name, content.len() as u64, tar::EntryType::Regular).as_bytes(),
        );
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    store::Digest::of(bytes).to_string()
}

pub(crate) fn place(entries: &[Entry], name: &str) -> usize {
    entries
        .iter()
        .position(|(found, _)| found.contains(name))
        .unwrap_or_else(|| panic!("no {name}"))
}

/// Changes the manifest, and what vouches for it.
pub(crate) fn change_manifest(entries: &mut [Entry], change: impl FnOnce(String) -> String) {
    let json = String::from_utf8(entries[0].1.clone()).unwrap();
    let changed = change(json.clone());
    assert_ne!(json, changed, "nothing was changed");
    entries[0].1 = changed.into_bytes();
    entries[1].1 = format!("{}  manifest.json\n", digest(&entries[0].1)).into_bytes();
}

/// Replaces the content of an entry, as somebody would who knows the format.
pub(crate) fn replace(entries: &mut [Entry], name: &str, content: &[u8]) {
    let at = place(entries, name);
    let old = std::mem::replace(&mut entries[at].1, content.to_vec());
    let path = entries[at].0.clone();
    let line = |content: &[u8]| {
        format!(
            "\"path\": \"{path}\",\n      \"size\": {},\n      \"sha256\": \"{}\"",
            content.len(),
            digest(content)
        )
    };
    change_manifest(entries, |json| json.replace(&line(&old), &line(content)));
}
