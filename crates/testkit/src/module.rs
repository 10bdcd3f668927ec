use std::collections::BTreeMap;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::archive::{Content, Packing, write_zip};

/// One version of a module: what a `GOPROXY` server has to say about it.
#[derive(Clone, Debug)]
pub struct Module {
    path: String,
    version: String,
    time: String,
    go_mod: String,
    packing: Packing,
    files: BTreeMap<String, Content>,
}

impl Module {
    /// A module with a `go.mod` that names it and requires nothing, and no other file.
    #[must_use]
    pub fn new(path: &str, version: &str) -> Self {
        Self {
            path: path.to_owned(),
            version: version.to_owned(),
            time: "2021-03-04T05:06:07Z".to_owned(),
            go_mod: String::new(),
            packing: Packing::Deflated,
            files: BTreeMap::new(),
        }
        .go_mod(&format!("module {path}\n\ngo 1.21\n"))
    }

    /// A module with one package that compiles, and so many bytes that do not compress, stored: its zip is a little
    /// larger than `bytes`.
    #[must_use]
    pub fn big(path: &str, version: &str, bytes: u64) -> Self {
        Self::new(path, version)
            .file("big.go", "package big\n")
            .content(
                "testdata/noise.bin",
                Content::Noise {
                    seed: bytes,
                    len: bytes,
                },
            )
            .packing(Packing::Stored)
    }

    /// Replaces the `go.mod`, in the zip and beside it.
    #[must_use]
    pub fn go_mod(mut self, text: &str) -> Self {
        text.clone_into(&mut self.go_mod);
        self.content("go.mod", Content::Bytes(text.as_bytes().to_vec()))
    }

    /// Makes it a module from before modules: no `go.mod` in the zip, and a synthesized one beside it.
    #[must_use]
    pub fn without_go_mod(mut self) -> Self {
        self.files.remove("go.mod");
        self.go_mod = format!("module {}\n", self.path);
        self
    }

    /// Adds a file; the name is relative to the module's root.
    #[must_use]
    pub fn file(self, name: &str, text: &str) -> Self {
        self.content(name, Content::Bytes(text.as_bytes().to_vec()))
    }

    /// Adds a file of any content.
    #[must_use]
    pub fn content(mut self, name: &str, content: Content) -> Self {
        self.files.insert(name.to_owned(), content);
        self
    }

    /// Sets the commit time, in RFC 3339.
    #[must_use]
    pub fn time(mut self, time: &str) -> Self {
        time.clone_into(&mut self.time);
        self
    }

    /// Sets how the zip is packed.
    #[must_use]
    pub fn packing(mut self, packing: Packing) -> Self {
        self.packing = packing;
        self
    }

    /// The module path, unescaped.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The version, unescaped.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The bytes of `.mod`.
    pub fn go_mod_text(&self) -> &str {
        &self.go_mod
    }

    /// The bytes of `.info`.
    pub fn info(&self) -> String {
        format!(r#"{{"Version":"{}","Time":"{}"}}"#, self.version, self.time)
    }

    /// Writes the zip.
    pub fn write_zip(&self, out: impl Write) -> io::Result<()> {
        write_zip(
            out,
            self.packing,
            self.files
                .iter()
                .map(|(name, content)| (self.name_in_zip(name), content)),
        )
    }

    /// The zip, whole.
    pub fn zip(&self) -> Vec<u8> {
        let mut zip = Vec::new();
        self.write_zip(&mut zip)
            .expect("writing to memory does not fail");
        zip
    }

    /// The `h1:` hash of the zip, as go.sum has it.
    pub fn zip_h1(&self) -> String {
        h1(self
            .files
            .iter()
            .map(|(name, content)| (self.name_in_zip(name), content)))
    }

    /// The `h1:` hash of the `go.mod`, as go.sum has it.
    pub fn go_mod_h1(&self) -> String {
        h1([(
            "go.mod".to_owned(),
            &Content::Bytes(self.go_mod.clone().into_bytes()),
        )])
    }

    /// Where this version lies below a proxy's base URL, without the ending: `<escaped module>/@v/<escaped version>`.
    pub fn stem(&self) -> String {
        format!("{}/@v/{}", escaped(&self.path), escaped(&self.version))
    }

    fn name_in_zip(&self, name: &str) -> String {
        format!("{}@{}/{name}", self.path, self.version)
    }
}

/// The `h1:` hash of `files`, each a name and its content.
pub fn h1<'a>(files: impl IntoIterator<Item = (String, &'a Content)>) -> String {
    h1_of_digests(
        &files
            .into_iter()
            .map(|(name, content)| (name, content.sha256()))
            .collect(),
    )
}

/// The `h1:` hash of files with these SHA-256 digests: the digest, in Base64, of the sorted lines that `sha256sum` would
/// print (`golang.org/x/mod/sumdb/dirhash`).
pub fn h1_of_digests(digests: &BTreeMap<String, [u8; 32]>) -> String {
    let mut lines = Vec::new();
    for (name, digest) in digests {
        lines.extend_from_slice(format!("{}  {name}\n", hex::encode(digest)).as_bytes());
    }
    format!("h1:{}", STANDARD.encode(Content::Bytes(lines).sha256()))
}

/// A module path or version as it stands in a URL: every upper-case letter becomes `!` and its lower-case form.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii_uppercase() {
            out.push('!');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_go_mod_has_the_hash_that_go_sum_files_are_full_of() {
        let hash = Module::new("example.com/a", "v1.0.0")
            .go_mod("")
            .go_mod_h1();
        assert_eq!(hash, "h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=");
    }

    #[test]
    fn upper_case_letters_are_escaped() {
        assert_eq!(escaped("example.com/Acme/ABc"), "example.com/!acme/!a!bc");
        assert_eq!(
            Module::new("example.com/Acme", "v1.0.0-RC1").stem(),
            "example.com/!acme/@v/v1.0.0-!r!c1"
        );
    }

    #[test]
    fn a_zip_has_every_file_below_module_at_version() {
        let module = Module::new("example.com/Acme", "v1.2.3").file("a.go", "package a\n");
        let zip = module.zip();
        let archive = rawzip::ZipArchive::from_slice(&zip).unwrap();
        let mut names = Vec::new();
        let mut entries = archive.entries();
        while let Some(entry) = entries.next_entry().unwrap() {
            names.push(String::from_utf8(entry.file_path().as_ref().to_vec()).unwrap());
        }
        assert_eq!(
            names,
            [
                "example.com/Acme@v1.2.3/a.go",
                "example.com/Acme@v1.2.3/go.mod"
            ]
        );
    }

    #[test]
    fn a_big_zip_is_as_big_as_asked_and_the_same_each_time() {
        let module = Module::big("example.com/big", "v1.0.0", 300_000);
        let zip = module.zip();
        assert!(
            (300_000..302_000).contains(&zip.len()),
            "{} bytes",
            zip.len()
        );
        assert_eq!(zip, Module::big("example.com/big", "v1.0.0", 300_000).zip());
    }
}
