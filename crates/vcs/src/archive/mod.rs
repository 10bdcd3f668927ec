//! The zip of a module version from what `git archive` writes (cmd/go `codeRepo.Zip`).
//!
//! Which of the files belong to the module is up to [`modzip`]; here they get the names that they have in it.

mod tar;

use std::fs::File;
use std::io::{self, BufWriter};
use std::sync::Arc;

use bstr::{BStr, BString};
use gomod::{ModuleVersion, Version};
use modzip::{Created, MemoryFile, Metadata, SourceFile};

use crate::error::Error;
use crate::resolve::{LICENSE, Place, Resolver};
use crate::system::VersionControl;

/// A file of the module.
enum ModuleFile {
    Archived(tar::Entry),
    License(MemoryFile),
}

impl SourceFile for ModuleFile {
    fn path(&self) -> &BStr {
        match self {
            Self::Archived(entry) => entry.path(),
            Self::License(file) => file.path(),
        }
    }

    fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Self::Archived(entry) => entry.metadata(),
            Self::License(file) => file.metadata(),
        }
    }

    fn open(&self) -> io::Result<Box<dyn io::Read + '_>> {
        match self {
            Self::Archived(entry) => entry.open(),
            Self::License(file) => file.open(),
        }
    }
}

/// Writes the zip of `version`, whose files are at `place`, to `zip`, an empty file.
pub(crate) async fn module_zip(
    resolver: &Resolver,
    version: &Version,
    place: Place,
    zip: File,
) -> Result<Created, Error> {
    let module = ModuleVersion::new(resolver.module().clone(), version.clone())
        .map_err(|error| Error::from(error.source).of_module(resolver.module().as_str()))?;
    let created = write(resolver, &module, place, zip).await;
    created.map_err(|error| error.of_version(resolver.module().as_str(), version.as_str(), false))
}

async fn write(
    resolver: &Resolver,
    module: &ModuleVersion,
    place: Place,
    zip: File,
) -> Result<Created, Error> {
    let Place {
        commit, directory, ..
    } = place;
    let code = resolver.code();
    let archive =
        tempfile::tempfile_in(code.scratch()).map_err(Error::io("creating a temporary file"))?;
    code.archive(&commit.id, &directory, &archive).await?;
    let license = if directory.is_empty() {
        None
    } else {
        code.file(&commit.id, LICENSE).await?
    };
    let module = module.clone();
    let has_links_as_files = code.system() == VersionControl::Bazaar;
    let work = move || {
        let mut files = module_files(&Arc::new(archive), &directory, has_links_as_files)?;
        if let Some(content) = license
            && !files.iter().any(|file| file.path() == LICENSE)
        {
            let file = MemoryFile::regular(LICENSE, content.to_vec());
            files.push(ModuleFile::License(file));
        }
        let mut writer = BufWriter::with_capacity(256 << 10, zip);
        let created = modzip::create(&mut writer, &module, &files)?;
        writer
            .into_inner()
            .map_err(|error| Error::io("writing a zip")(error.into_error()))?;
        Ok(created)
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(Error::Lost))
}

/// The files below `directory`, by their names relative to it.
fn module_files(
    archive: &Arc<File>,
    directory: &str,
    has_links_as_files: bool,
) -> Result<Vec<ModuleFile>, Error> {
    let prefix = if directory.is_empty() {
        "prefix/".to_owned()
    } else {
        format!("prefix/{directory}/")
    };
    let mut files = Vec::new();
    for mut entry in tar::entries(archive)? {
        if has_links_as_files {
            entry = entry.spelled_out();
        }
        if !entry.path.starts_with(b"prefix/") {
            return Err(Error::Archive("a file outside of the prefix"));
        }
        if let Some(name) = entry
            .path
            .strip_prefix(prefix.as_bytes())
            .map(BString::from)
        {
            files.push(ModuleFile::Archived(entry.at(name)));
        }
    }
    Ok(files)
}
