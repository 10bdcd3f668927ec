//! What records say: the hashes of one module version, in lines as go.sum has them.

use gomod::{ModulePath, ModuleVersion, Version};

use crate::base64;
use crate::error::Error;
use crate::hash::Hash;
use crate::tlog::RecordText;

/// The two things a database states hashes of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The files of the module's zip.
    Zip,
    /// The go.mod file alone.
    GoMod,
}

impl Part {
    /// What stands before the hash: `path version ` or `path version/go.mod `.
    fn line_prefix(self, module: &ModuleVersion) -> String {
        let suffix = match self {
            Self::Zip => "",
            Self::GoMod => GO_MOD_SUFFIX,
        };
        format!("{} {}{suffix} ", module.path(), module.version())
    }
}

const GO_MOD_SUFFIX: &str = "/go.mod";
const H1_PREFIX: &str = "h1:";

/// The longest record in bytes: C2SP entry bundles write the length of an entry in 16 bits.
const MAX_RECORD: usize = 0xffff;

/// Both hashes of a module version, as they enter a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModuleHashes {
    module: ModuleVersion,
    record: RecordText,
}

impl ModuleHashes {
    /// The hashes of the zip and of go.mod, both in the form `h1:` and 32 bytes in canonical base 64.
    pub fn new(module: ModuleVersion, zip: &str, go_mod: &str) -> Result<Self, Error> {
        if !is_h1(zip) || !is_h1(go_mod) {
            return Err(Error::MalformedRecord("not an h1 hash"));
        }
        let zip_line = format!("{}{zip}\n", Part::Zip.line_prefix(&module));
        let go_mod_line = format!("{}{go_mod}\n", Part::GoMod.line_prefix(&module));
        let text = zip_line + &go_mod_line;
        if text.len() > MAX_RECORD {
            return Err(Error::MalformedRecord("longer than 65535 bytes"));
        }
        let record = RecordText::parse(text.as_bytes())?;
        Ok(Self { module, record })
    }

    /// The module version.
    pub fn module(&self) -> &ModuleVersion {
        &self.module
    }

    /// The text of the record that states the hashes.
    pub fn record(&self) -> &RecordText {
        &self.record
    }
}

/// The lines of a record that are about one part of the module version, and no others.
pub(crate) fn lines_about(record: &RecordText, module: &ModuleVersion, part: Part) -> Vec<String> {
    let prefix = part.line_prefix(module);
    record
        .lines()
        .filter(|line| line.starts_with(&prefix))
        .map(str::to_owned)
        .collect()
}

/// The one `h1:` hash among lines about one part of the module version.
pub(crate) fn single_h1<'l>(
    lines: &'l [String],
    module: &ModuleVersion,
    part: Part,
) -> Result<&'l str, Error> {
    let prefix = part.line_prefix(module);
    let mut hashes = lines
        .iter()
        .filter_map(|line| line.strip_prefix(&prefix))
        .filter(|hash| hash.starts_with(H1_PREFIX));
    let asked = || prefix.trim_end().to_owned();
    let first = hashes.next().ok_or_else(|| Error::MissingEntry(asked()))?;
    if hashes.any(|other| other != first) {
        return Err(Error::ContradictoryEntries(asked()));
    }
    Ok(first)
}

/// Checks that every line of a record is `path version[/go.mod] hash`, that all are about the same module version and
/// do not contradict each other. Returns that module version.
pub(crate) fn check_lines(record: &RecordText) -> Result<ModuleVersion, Error> {
    let mut module: Option<ModuleVersion> = None;
    for line in record.lines() {
        let about = check_line(line)?;
        if *module.get_or_insert_with(|| about.clone()) != about {
            return Err(Error::MalformedRecord(
                "lines about different module versions",
            ));
        }
    }
    let module = module.ok_or(Error::MalformedRecord("no lines"))?;
    for part in [Part::Zip, Part::GoMod] {
        let lines = lines_about(record, &module, part);
        match single_h1(&lines, &module, part) {
            Ok(_) | Err(Error::MissingEntry(_)) => {}
            Err(contradiction) => return Err(contradiction),
        }
    }
    Ok(module)
}

fn check_line(line: &str) -> Result<ModuleVersion, Error> {
    let mut fields = line.split(' ');
    let (Some(path), Some(version), Some(hash), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(Error::MalformedRecord("line without exactly three fields"));
    };
    if !is_hash(hash) {
        return Err(Error::MalformedRecord("malformed hash"));
    }
    let version = version.strip_suffix(GO_MOD_SUFFIX).unwrap_or(version);
    let path =
        ModulePath::new(path).map_err(|_| Error::MalformedRecord("malformed module path"))?;
    let version = Version::new(version).map_err(|_| Error::MalformedRecord("malformed version"))?;
    ModuleVersion::new(path, version)
        .map_err(|_| Error::MalformedRecord("version does not fit the module path"))
}

fn is_h1(hash: &str) -> bool {
    let canonical = |encoded: &str| {
        base64::decode(encoded).is_some_and(|bytes| base64::encode(&bytes) == encoded)
    };
    let encoded = hash.strip_prefix(H1_PREFIX);
    encoded.is_some_and(|encoded| Hash::parse(encoded).is_some() && canonical(encoded))
}

/// An h1 hash, or one of a later algorithm that this crate cannot judge.
fn is_hash(hash: &str) -> bool {
    let Some((algorithm, value)) = hash.split_once(':') else {
        return false;
    };
    let number = algorithm.strip_prefix('h').unwrap_or_default();
    let later =
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) && number != "1";
    is_h1(hash) || (later && !value.is_empty())
}
