//! Bundles, made by hand: good ones, and what somebody could make who knows the format.

use tar::{EntryType, Header};

/// A bundle, and a name for it: `ok-` or `no-` at its beginning tells whether it can be opened.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// An entry: its name and its content.
type Entry = (String, Vec<u8>);

const ZEROS: &str = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn digest(bytes: &[u8]) -> String {
    store::Digest::of(bytes).to_string()
}

fn header(name: &str, size: u64, kind: EntryType) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let field = &mut header.as_old_mut().name;
    for (to, from) in field.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn put(bytes: &mut Vec<u8>, name: &str, content: &[u8], kind: EntryType) {
    if name.len() > 100 {
        let long = [name.as_bytes(), b"\0"].concat();
        put(bytes, "././@LongLink", &long, EntryType::GNULongName);
    }
    bytes.extend(header(name, content.len() as u64, kind));
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
}

fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in entries {
        put(&mut bytes, name, content, EntryType::Regular);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// The manifest and what vouches for it.
fn manifest(json: &[u8]) -> Vec<Entry> {
    vec![
        ("manifest.json".to_owned(), json.into()),
        (
            "manifest.json.sha256".to_owned(),
            format!("{}  manifest.json\n", digest(json)).into(),
        ),
    ]
}

/// A bundle with this manifest: what it lists is there, as far as it can be understood, and consists of zeros.
pub(crate) fn with_manifest(json: &[u8]) -> Vec<u8> {
    let mut entries = manifest(json);
    let understood: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
    for file in understood["files"].as_array().into_iter().flatten() {
        if let (Some(path), Some(size @ 0..10_000)) = (file["path"].as_str(), file["size"].as_u64())
        {
            let content = vec![0; usize::try_from(size).unwrap()];
            entries.push((path.to_owned(), content));
        }
    }
    archive(&entries)
}

/// The manifest of a bundle that begins with one.
pub(crate) fn manifest_of(bundle: &[u8]) -> Option<Vec<u8>> {
    let header = Header::from_byte_slice(bundle.get(..512)?);
    let size = usize::try_from(header.size().ok()?).ok()?;
    bundle
        .get(512..512_usize.checked_add(size)?)
        .map(<[u8]>::to_vec)
}

fn list(items: &[String]) -> String {
    if items.is_empty() {
        return "[]".to_owned();
    }
    format!("[\n{}\n  ]", items.join(",\n"))
}

/// What is listed of an entry.
fn listed((name, content): &Entry) -> String {
    format!(
        "    {{\n      \"path\": \"{name}\",\n      \"size\": {},\n      \"sha256\": \"{}\"\n    }}",
        content.len(),
        digest(content)
    )
}

fn version(module: &str, trust: &str, zip: bool) -> String {
    let zip = if zip {
        format!(",\n      \"zip\": \"{ZEROS}\"")
    } else {
        String::new()
    };
    format!(
        "    {{\n      \"module\": \"{module}\",\n      \"version\": \"v1.0.0\",\n      \"trust\": {{\n        {trust}\n      }},\n      \
         \"go_mod\": \"{ZEROS}\"{zip}\n    }}"
    )
}

const UNPROVEN: &str = "\"kind\": \"unproven\"";
const PROVEN: &str =
    "\"kind\": \"proven\",\n        \"database\": \"sum.example.com\",\n        \"record\": 3";

fn database() -> String {
    "    {\n      \"name\": \"sum.example.com\",\n      \"key\": \"sum.example.com+00000000+AQ==\",\n      \"size\": 7,\n      \
     \"earlier_sizes\": [\n        3,\n        5\n      ]\n    }"
        .to_owned()
}

fn json(databases: &[String], versions: &[String], files: &[String], more: &str) -> String {
    format!(
        "{{\n  \"format\": \"modkeep-bundle\",\n  \"version\": 1,\n  \"databases\": {},\n  \"versions\": {},\n  \"files\": {}{more}\n}}\n",
        list(databases),
        list(versions),
        list(files)
    )
}

fn module_files(module: &str) -> Vec<Entry> {
    ["info", "mod", "zip"]
        .map(|kind| {
            let name = format!("modules/{module}/@v/v1.0.0.{kind}");
            (name, format!("the {kind} of {module}").into())
        })
        .into()
}

/// Entries as they stand in a bundle: what is listed of `files`, then they.
fn whole(databases: &[String], versions: &[String], files: Vec<Entry>, more: &str) -> Vec<Entry> {
    let lines: Vec<String> = files.iter().map(listed).collect();
    let mut entries = manifest(json(databases, versions, &lines, more).as_bytes());
    entries.extend(files);
    entries
}

fn plain() -> Vec<Entry> {
    let versions = [version("example.com/m", UNPROVEN, true)];
    whole(&[], &versions, module_files("example.com/m"), "")
}

fn proven() -> Vec<Entry> {
    let files = [
        (
            "modules/example.com/m/@v/v1.0.0.mod",
            "module example.com/m\n",
        ),
        ("sumdb/sum.example.com/latest", "a head"),
        (
            "sumdb/sum.example.com/lookup/example.com/m@v1.0.0",
            "a record",
        ),
        ("sumdb/sum.example.com/tile/8/0/000.p/7", ""),
    ];
    let files = files.map(|(name, content)| (name.to_owned(), content.into()));
    let versions = [version("example.com/m", PROVEN, false)];
    whole(&[database()], &versions, files.into(), "")
}

fn changed(mut entries: Vec<Entry>, change: impl FnOnce(&mut Vec<Entry>)) -> Vec<u8> {
    change(&mut entries);
    archive(&entries)
}

/// With another manifest, that its digest vouches for.
fn rewritten(entries: Vec<Entry>, from: &str, to: &str) -> Vec<u8> {
    changed(entries, |entries| {
        let json = String::from_utf8(entries[0].1.clone()).unwrap();
        assert!(json.contains(from), "{from} is not in {json}");
        let rest = entries.split_off(2);
        *entries = manifest(json.replacen(from, to, 1).as_bytes());
        entries.extend(rest);
    })
}

/// With another kind of entry in the third place.
fn of_kind(kind: EntryType) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, (name, content)) in plain().iter().enumerate() {
        let kind = if number == 2 {
            kind
        } else {
            EntryType::Regular
        };
        put(&mut bytes, name, content, kind);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// All of them.
#[expect(clippy::too_many_lines, reason = "one table")]
pub(crate) fn cases() -> Vec<Case> {
    let long = format!("example.com/{}", ["long"; 30].join("/"));
    let earlier = list(&[listed(&module_files("example.com/a")[1])]).replace('\n', "\n  ");
    let continues = format!(
        ",\n  \"continues\": {{\n    \"manifest\": \"{}\",\n    \"versions\": {},\n    \"files\": {earlier}\n  }}",
        digest(b"earlier"),
        list(&[version("example.com/a", UNPROVEN, false)]).replace('\n', "\n  "),
    );
    let versions = |module: &str| [version(module, UNPROVEN, true)];
    let mut cases = vec![
        ("ok-empty", archive(&whole(&[], &[], Vec::new(), ""))),
        ("ok-plain", archive(&plain())),
        ("ok-proven", archive(&proven())),
        (
            "ok-long-name",
            archive(&whole(&[], &versions(&long), module_files(&long), "")),
        ),
        (
            "ok-continues",
            archive(&whole(&[], &[], Vec::new(), &continues)),
        ),
        (
            "ok-content-of-another-digest",
            changed(plain(), |entries| entries[2].1[0] ^= 1),
        ),
        ("no-bytes", Vec::new()),
        ("no-entries", vec![0; 1024]),
        ("no-manifest", archive(&module_files("example.com/m"))),
        ("no-end", {
            let mut bytes = archive(&plain());
            bytes.truncate(bytes.len() - 1024);
            bytes
        }),
        ("no-zeros-behind-the-end", {
            let mut bytes = archive(&plain());
            bytes.resize(bytes.len() + 512, 0);
            bytes
        }),
        ("no-byte-in-the-padding", {
            let mut bytes = archive(&plain());
            let last = bytes.len() - 1025;
            bytes[last] = 1;
            bytes
        }),
        (
            "no-other-digest-of-the-manifest",
            changed(plain(), |entries| entries[1].1[0] ^= 1),
        ),
        (
            "no-swapped-entries",
            changed(plain(), |entries| entries.swap(2, 3)),
        ),
        (
            "no-entry-twice",
            changed(plain(), |entries| entries.insert(2, entries[2].clone())),
        ),
        (
            "no-missing-entry",
            changed(plain(), |entries| drop(entries.remove(3))),
        ),
        (
            "no-entry-more",
            changed(plain(), |entries| {
                entries.push(("more".to_owned(), Vec::new()));
            }),
        ),
        (
            "no-longer-entry",
            changed(plain(), |entries| entries[2].1.push(b'x')),
        ),
        (
            "no-name-that-leads-out",
            changed(plain(), |entries| {
                "../../etc/passwd".clone_into(&mut entries[2].0);
            }),
        ),
        ("no-link", of_kind(EntryType::Symlink)),
        ("no-folder", of_kind(EntryType::Directory)),
        ("no-sparse-file", of_kind(EntryType::GNUSparse)),
        ("no-huge-manifest", {
            let mut bytes = archive(&plain());
            bytes[..512].copy_from_slice(&header("manifest.json", 1 << 34, EntryType::Regular));
            bytes
        }),
    ];
    for (name, entries, from, to) in [
        ("no-other-format", plain(), "modkeep-bundle", "tarball"),
        (
            "no-later-version",
            plain(),
            "\"version\": 1,",
            "\"version\": 2,",
        ),
        (
            "no-other-white-space",
            plain(),
            "\"files\": [",
            "\"files\":  [",
        ),
        (
            "no-unknown-field",
            plain(),
            "\"files\": [",
            "\"more\": 1,\n  \"files\": [",
        ),
        (
            "no-huge-file",
            plain(),
            "\"size\": 24",
            "\"size\": 18446744073709551615",
        ),
        ("no-negative-file", plain(), "\"size\": 24", "\"size\": -24"),
        (
            "no-listed-name-that-leads-out",
            plain(),
            "modules/example.com/m/@v/v1.0.0.mod",
            "modules/../m/@v/v1.0.0.mod",
        ),
        (
            "no-file-of-a-stranger",
            plain(),
            "modules/example.com/m/@v/v1.0.0.zip",
            "modules/example.com/x/@v/v1.0.0.zip",
        ),
        ("no-malformed-version", plain(), "\"v1.0.0\"", "\"v1\""),
        ("no-malformed-hash", plain(), "h1:AAAA", "h1:AAA"),
        (
            "no-proof-of-a-stranger",
            proven(),
            "\"name\": \"sum.example.com\"",
            "\"name\": \"sum.example.org\"",
        ),
        (
            "no-unsorted-sizes",
            proven(),
            "3,\n        5",
            "5,\n        3",
        ),
    ] {
        cases.push((name, rewritten(entries, from, to)));
    }
    cases
        .into_iter()
        .map(|(name, bytes)| Case { name, bytes })
        .collect()
}
