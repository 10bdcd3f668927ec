use std::fmt;

use gomod::{ModulePath, ModuleVersion, Version};
use store::FileKey;
use sumdb::tile::{Height, Tile, TileLevel};

/// What an entry of a bundle is called, and so what it is. There is no name that is not one of these, so that no name
/// can lead anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EntryName {
    /// `modules/<module>/@v/<version>.<kind>`: a file of a version.
    Module(FileKey),
    /// `sumdb/<database>/<path>`, with `+` for each slash of the database's name: what proves versions.
    Proof(String, Proof),
}

/// What a checksum database says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// `latest`: the signed head.
    Head,
    /// `lookup/<module>@<version>`: a record.
    Record(ModuleVersion),
    /// `tile/8/...`: hashes.
    Tile(Tile),
}

impl EntryName {
    /// Reads a name. `None`: it is that of nothing a bundle has, or written in another way than a bundle does.
    pub fn parse(text: &str) -> Option<Self> {
        let name = if let Some(path) = text.strip_prefix("modules/") {
            Self::Module(FileKey::from_url_path(path)?)
        } else {
            let (database, path) = text.strip_prefix("sumdb/")?.split_once('/')?;
            Self::Proof(database_name(database)?, Proof::parse(path)?)
        };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(key) => write!(f, "modules/{}", key.url_path()),
            Self::Proof(database, proof) => {
                write!(f, "sumdb/{}/{}", database.replace('/', "+"), proof.path())
            }
        }
    }
}

/// A name that may be part of a path. The names of databases have no plus, white space or control characters.
fn database_name(text: &str) -> Option<String> {
    let is_plain = text
        .split('+')
        .all(|element| !matches!(element, "" | "." | ".."))
        && !text.contains(|letter: char| {
            letter.is_control() || letter.is_whitespace() || letter == '\\'
        });
    is_plain.then(|| text.replace('+', "/"))
}

impl Proof {
    /// Reads a path below the address of a database.
    pub fn parse(path: &str) -> Option<Self> {
        if path == "latest" {
            return Some(Self::Head);
        }
        if let Some(module) = path.strip_prefix("lookup/") {
            let (module, version) = module.rsplit_once('@')?;
            let path = ModulePath::unescape(module).ok()?;
            let version = Version::unescape(version).ok()?;
            return Some(Self::Record(ModuleVersion::new(path, version).ok()?));
        }
        let tile = Tile::parse_path(path).ok()?;
        let is_read_by_go =
            tile.height() == Height::STANDARD && matches!(tile.level(), TileLevel::Hashes(_));
        is_read_by_go.then_some(Self::Tile(tile))
    }

    /// The path below the address of the database.
    pub fn path(&self) -> String {
        match self {
            Self::Head => "latest".to_owned(),
            Self::Record(module) => {
                let (path, version) = (module.path().escaped(), module.version().escaped());
                format!("lookup/{path}@{version}")
            }
            Self::Tile(tile) => tile.path(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_read_as_a_name_stays_below_its_folder(
            text in "(modules/|sumdb/)?([a-z]{1,5}(\\.com|\\.\\.|!a|\\+)?/|\\./|\\.\\./|/){0,4}(latest|@v/v[0-9]\\.0\\.0\\.(mod|zip|info)|lookup/[a-z.!/]{0,9}@v1\\.0\\.[0-9]|tile/[0-9]{1,2}/[0-9]/(x?[0-9]{3}/)?[0-9]{3}(\\.p/[0-9]{1,3})?|.{0,20})"
        ) {
            if let Some(name) = EntryName::parse(&text) {
                prop_assert_eq!(name.to_string(), text.as_str());
                prop_assert!(text.starts_with("modules/") || text.starts_with("sumdb/"));
                let is_plain = |element: &str| !matches!(element, "" | "." | "..");
                prop_assert!(text.split(['/', '+']).all(is_plain), "{}", text);
            }
        }
    }

    #[test]
    fn names_read_back() {
        for text in [
            "modules/example.com/!acme/@v/v1.2.3.zip",
            "modules/gopkg.in/yaml.v3/@v/v3.0.1.mod",
            "sumdb/sum.golang.org/latest",
            "sumdb/sum.example.com+team/lookup/example.com/!acme@v1.2.3",
            "sumdb/sum.golang.org/tile/8/0/x001/234",
            "sumdb/sum.golang.org/tile/8/1/000.p/7",
        ] {
            let name = EntryName::parse(text).expect(text);
            assert_eq!(name.to_string(), text);
        }
        assert_eq!(
            EntryName::parse("sumdb/sum.example.com+team/latest"),
            Some(EntryName::Proof(
                "sum.example.com/team".to_owned(),
                Proof::Head
            ))
        );
    }

    #[test]
    fn every_other_name_is_none() {
        for text in [
            "",
            "/etc/passwd",
            "../x",
            "modules/../../x/@v/v1.0.0.mod",
            "modules/example.com/../x/@v/v1.0.0.mod",
            "modules//example.com/x/@v/v1.0.0.mod",
            "modules/example.com/x/@v/../v1.0.0.mod",
            "modules/example.com/x/@v/v1.0.0.mod/",
            "modules/example.com/x/@v/v1.0.0.MOD",
            "modules/example.com/x/@v/list",
            "modules/example.com/x/@v/v1.mod",
            "modules/Example.com/x/@v/v1.0.0.mod",
            "./modules/example.com/x/@v/v1.0.0.mod",
            "modules/example.com/x/@v/v1.0.0.ziphash",
            "sumdb/../latest",
            "sumdb/../../heads/latest",
            "sumdb//latest",
            "sumdb/a+..+b/latest",
            "sumdb/sum.golang.org/supported",
            "sumdb/sum.golang.org/lookup/example.com/x@v1",
            "sumdb/sum.golang.org/lookup/../x@v1.0.0",
            "sumdb/sum.golang.org/tile/8/data/000",
            "sumdb/sum.golang.org/tile/4/0/000",
            "sumdb/sum.golang.org/tile/8/0/0",
            "sumdb/sum.golang.org/tile/8/0/000.p/256",
            "manifest.json",
        ] {
            assert_eq!(EntryName::parse(text), None, "{text}");
        }
    }
}
