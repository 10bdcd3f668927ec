use gomod::ModuleVersion;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use sqlx::Row as _;

use super::Records;
use crate::{Event, EventKind, FileKey, FileKind, Pin, Source, StoreError, Verification};

/// Everything that is on record about a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Provenance {
    /// Module path.
    pub module: String,
    /// Version.
    pub version: String,
    /// When its first file came in; `None` if no file of it was ever stored.
    pub first_seen: Option<Timestamp>,
    /// Its files: `.info`, `.mod`, `.zip`, as far as they were stored.
    pub files: Vec<FileProvenance>,
    /// What its go.mod must hash to.
    pub go_mod: Option<PinProvenance>,
    /// What its zip must hash to.
    pub zip: Option<PinProvenance>,
    /// Later checks, oldest first.
    pub checks: Vec<EventProvenance>,
    /// What somebody should look at, oldest first: moved tags, bytes in quarantine.
    pub warnings: Vec<EventProvenance>,
    /// What else happened, oldest first.
    pub events: Vec<EventProvenance>,
}

/// Where one file came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FileProvenance {
    /// Which file.
    pub kind: FileKind,
    /// Its length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes in hexadecimal digits.
    pub sha256: String,
    /// Where it came from; `None` when it was found in the tree.
    pub source: Option<Source>,
    /// The URL at which the upstream has it; `None` of files from elsewhere.
    pub url: Option<String>,
    /// The upstream's entity tag.
    pub etag: Option<String>,
    /// When it was stored.
    pub stored: Timestamp,
}

/// What a file must hash to, and how that is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PinProvenance {
    /// The `h1:` hash.
    pub hash: String,
    /// How it is believed.
    pub verification: Verification,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EventProvenance {
    /// When.
    pub time: Timestamp,
    /// What.
    #[serde(flatten, serialize_with = "serialize_kind")]
    #[schemars(with = "EventKind")]
    pub what: EventKind,
}

fn serialize_kind<S: Serializer>(kind: &EventKind, serializer: S) -> Result<S::Ok, S::Error> {
    kind.serialize(serializer)
}

impl From<Pin> for PinProvenance {
    fn from(pin: Pin) -> Self {
        Self {
            hash: pin.hash.to_string(),
            verification: pin.verification,
        }
    }
}

impl Records {
    /// Everything that is on record about a version. `None`: nothing is.
    pub async fn provenance(
        &self,
        module: &ModuleVersion,
    ) -> Result<Option<Provenance>, StoreError> {
        self.flush().await;
        let (path, version) = (module.path().as_str(), module.version().as_str());
        let row = sqlx::query("SELECT id, seen FROM version WHERE module = ? AND version = ?")
            .bind(path)
            .bind(version)
            .fetch_optional(self.pool().await?)
            .await
            .map_err(|error| self.failed(&error))?;
        let files = match &row {
            Some(row) => self.file_provenance(module, row.get(0)).await?,
            None => Vec::new(),
        };
        let expected = self.on_record(module).await?;
        let all = self.events(module).await?;
        if row.is_none() && expected == crate::Expected::default() && all.is_empty() {
            return Ok(None);
        }
        let (mut checks, mut warnings, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for Event { time, what, .. } in all {
            let place = match &what {
                EventKind::Checked { .. } => &mut checks,
                _ if what.is_warning() => &mut warnings,
                _ => &mut events,
            };
            place.push(EventProvenance { time, what });
        }
        Ok(Some(Provenance {
            module: path.to_owned(),
            version: version.to_owned(),
            first_seen: row.map(|row| time(row.get(1))),
            files,
            go_mod: expected.go_mod.map(Into::into),
            zip: expected.zip.map(Into::into),
            checks,
            warnings,
            events,
        }))
    }

    /// What happened to a version, oldest first.
    pub async fn events(&self, module: &ModuleVersion) -> Result<Vec<Event>, StoreError> {
        self.flush().await;
        let rows = sqlx::query(
            "SELECT time, detail FROM event WHERE module = ? AND version = ? ORDER BY time, id",
        )
        .bind(module.path().as_str())
        .bind(module.version().as_str())
        .fetch_all(self.pool().await?)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                Some(Event {
                    module: module.clone(),
                    time: time(row.get(0)),
                    // What a newer release wrote is left to it.
                    what: serde_json::from_str(row.get(1)).ok()?,
                })
            })
            .collect())
    }

    /// The commit that a version's files were made from, if one of them came from a repository. What was added a moment
    /// ago may be missing.
    pub async fn revision(&self, module: &ModuleVersion) -> Result<Option<String>, StoreError> {
        let row = sqlx::query(
            "SELECT revision FROM file JOIN version ON version.id = file.version_id \
             WHERE module = ? AND version = ? AND revision IS NOT NULL ORDER BY stored LIMIT 1",
        )
        .bind(module.path().as_str())
        .bind(module.version().as_str())
        .fetch_optional(self.pool().await?)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(row.map(|row| row.get(0)))
    }

    async fn file_provenance(
        &self,
        module: &ModuleVersion,
        version: i64,
    ) -> Result<Vec<FileProvenance>, StoreError> {
        let rows = sqlx::query(
            "SELECT kind, size, sha256, source, source_kind, revision, etag, stored FROM file \
             WHERE version_id = ? ORDER BY kind",
        )
        .bind(version)
        .fetch_all(self.pool().await?)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                let name: Option<String> = row.get(3);
                let source =
                    name.and_then(|name| Source::from_columns(row.get(4), name, row.get(5)));
                let kind = FileKind::from_extension(row.get(0))?;
                let path = FileKey::of(module, kind).url_path();
                let base = match &source {
                    Some(Source::Upstream { url }) => Some(url.trim_end_matches('/')),
                    _ => None,
                };
                Some(FileProvenance {
                    kind,
                    url: base.map(|base| format!("{base}/{path}")),
                    size: u64::try_from(row.get::<i64, _>(1)).unwrap_or_default(),
                    sha256: hex::encode(row.get::<&[u8], _>(2)),
                    source,
                    etag: row.get(6),
                    stored: time(row.get(7)),
                })
            })
            .collect())
    }
}

fn time(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
