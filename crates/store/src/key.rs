use std::fmt;
use std::path::PathBuf;

use gomod::{ModuleError, ModulePath, ModuleVersion, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The three files of a module version that never change once published.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// `.info`: version and time as JSON.
    Info,
    /// `.mod`: the go.mod file.
    Mod,
    /// `.zip`: the module's files.
    Zip,
}

impl FileKind {
    /// Every kind, in the order in which `go` asks for them.
    pub const ALL: [Self; 3] = [Self::Info, Self::Mod, Self::Zip];

    /// The file name's ending, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip => "zip",
        }
    }

    /// The kind that a file name's ending (without the dot) stands for.
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.extension() == extension)
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

/// Names one immutable file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// The module.
    pub module: ModulePath,
    /// Its version.
    pub version: Version,
    /// Which of the version's files.
    pub kind: FileKind,
}

impl FileKey {
    /// One file of a version.
    pub fn of(module: &ModuleVersion, kind: FileKind) -> Self {
        Self {
            module: module.path().clone(),
            version: module.version().clone(),
            kind,
        }
    }

    /// The version whose file it is.
    ///
    /// # Errors
    /// When no such version can be: its major version is not that of the path.
    pub fn module_version(&self) -> Result<ModuleVersion, ModuleError> {
        ModuleVersion::new(self.module.clone(), self.version.clone())
    }

    /// The path below a GOPROXY base, `<module>/@v/<version>.<kind>` in escaped form (protocol: GOPROXY endpoints).
    pub fn url_path(&self) -> String {
        format!(
            "{}/@v/{}.{}",
            self.module.escaped(),
            self.version.escaped(),
            self.kind
        )
    }

    /// The key whose [`Self::url_path`] this is. `None`: it is that of no immutable file.
    pub fn from_url_path(path: &str) -> Option<Self> {
        let (module, file) = path.rsplit_once("/@v/")?;
        let (version, extension) = file.rsplit_once('.')?;
        Some(Self {
            module: ModulePath::unescape(module).ok()?,
            version: Version::unescape(version).ok()?,
            kind: FileKind::from_extension(extension)?,
        })
    }

    pub(crate) fn tree_path(&self) -> PathBuf {
        PathBuf::from(self.url_path())
    }
}

impl fmt::Display for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} {}", self.module, self.version, self.kind)
    }
}
