//! The files of one version.

use std::fs::File;

use gomod::Version;
use gomod::info::RevInfo;
use modzip::Created;

use crate::archive::module_zip;
use crate::error::Error;
use crate::resolve::{Place, Resolver, TagNow};

/// A version of a module, and the commit that its files are made from.
pub struct VersionFiles {
    resolver: Resolver,
    version: Version,
    place: Place,
}

impl std::fmt::Debug for VersionFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VersionFiles")
            .field("module", self.resolver.module())
            .field("version", &self.version)
            .field("commit", &self.commit())
            .finish_non_exhaustive()
    }
}

impl VersionFiles {
    pub(crate) fn new(resolver: Resolver, version: Version, place: Place) -> Self {
        Self {
            resolver,
            version,
            place,
        }
    }

    /// The hash of the commit.
    pub fn commit(&self) -> &str {
        self.place.commit.id.as_str()
    }

    /// The repository's URL, which may have a user name in it.
    pub fn repository(&self) -> &str {
        self.resolver.code().url()
    }

    /// The tag of the version, if it has one at the moment, wherever it points.
    pub fn tag(&self) -> Option<TagNow> {
        self.resolver.tag(&self.version)
    }

    /// What `@v/<version>.info` answers.
    pub fn info(&self) -> RevInfo {
        let mut origin = self.resolver.origin();
        let code = self.resolver.code();
        if code.has_hashes() {
            self.commit().clone_into(&mut origin.hash);
        }
        if let Some(tag) = self.tag().filter(|tag| tag.commit == self.commit()) {
            origin.ref_name = code.tag_name(&tag.tag);
        }
        RevInfo {
            version: self.version.to_string(),
            time: Some(self.place.commit.time.into()),
            origin: Some(origin),
        }
    }

    /// The go.mod, byte for byte, or the one that stands for it where there is none.
    pub fn go_mod(&self) -> Vec<u8> {
        self.resolver.go_mod_at(&self.place)
    }

    /// Writes the zip to `zip`, an empty file, and tells its hash.
    pub async fn zip(&self, zip: File) -> Result<Created, Error> {
        module_zip(&self.resolver, &self.version, self.place.clone(), zip).await
    }
}
