//! Whether the entries of a zip are the files of one module version (x/mod zip `CheckZip`).

use gomod::ModuleVersion;

use crate::archive::Archive;
use crate::check_files::{check_special_size, checked_path};
use crate::clean::is_clean;
use crate::collisions::Names;
use crate::entry::Entry;
use crate::error::Error;
use crate::limits::MAX_ZIP;
use crate::read_at::ReadAt;
use crate::report::{Checked, Invalid, InvalidReason, SizeError};

/// Checks names and sizes of all entries of the zip of `size` bytes, which is to be `module`.
///
/// Fails when the zip cannot be read; what is wrong with its files is in the report. The data of the entries is
/// not looked at: see [`hash_zip`](crate::hash_zip).
pub fn check_zip<S: ReadAt + ?Sized>(
    source: &S,
    size: u64,
    module: &ModuleVersion,
) -> Result<Checked, Error> {
    if size > MAX_ZIP {
        let size_error = Some(SizeError::ZipFile { size });
        return Ok(Checked {
            size_error,
            ..Checked::default()
        });
    }
    Ok(Archive::open(source, size)?.check(module))
}

/// What the names of all entries of the zip of `module` start with.
pub(crate) fn prefix(module: &ModuleVersion) -> String {
    format!("{}@{}/", module.path(), module.version())
}

impl<S: ReadAt> Archive<S> {
    /// As [`check_zip`], of an archive that is open already.
    pub fn check(&self, module: &ModuleVersion) -> Checked {
        let mut rules = Rules {
            prefix: prefix(module),
            names: Names::default(),
            room: MAX_ZIP,
        };
        let mut checked = Checked::default();
        for entry in self.entries() {
            match rules.judge(entry, &mut checked) {
                Ok(Kind::File) => checked.valid.push(entry.name().to_string()),
                Ok(Kind::Directory) => {}
                Err(reason) => checked.invalid.push(Invalid {
                    path: entry.name().into(),
                    reason,
                }),
            }
        }
        checked
    }
}

/// What is known of the entries before the one that is judged.
struct Rules {
    prefix: String,
    names: Names,
    room: u64,
}

enum Kind {
    File,
    Directory,
}

impl Rules {
    fn judge(&mut self, entry: Entry<'_>, checked: &mut Checked) -> Result<Kind, InvalidReason> {
        let path = entry
            .name()
            .strip_prefix(self.prefix.as_bytes())
            .ok_or_else(|| InvalidReason::WrongPrefix {
                prefix: self.prefix.clone(),
            })?;
        if path.is_empty() {
            return Ok(Kind::Directory);
        }
        let (path, is_dir) = match path.strip_suffix(b"/") {
            Some(dir) => (dir, true),
            None => (path, false),
        };
        if !is_clean(path) {
            return Err(InvalidReason::NotClean);
        }
        let path = checked_path(path)?;
        self.names.add(path, is_dir)?;
        if is_dir {
            return Ok(Kind::Directory);
        }
        check_go_mod_name(path)?;
        match self.room.checked_sub(entry.size()) {
            Some(room) => self.room = room,
            None => checked.size_error = Some(SizeError::Content),
        }
        check_special_size(path, entry.size())?;
        Ok(Kind::File)
    }
}

fn check_go_mod_name(path: &str) -> Result<(), InvalidReason> {
    let base = path.rsplit('/').next().unwrap_or(path);
    if !base.eq_ignore_ascii_case("go.mod") || path == "go.mod" {
        Ok(())
    } else if base != path {
        Err(InvalidReason::GoModNotInRoot)
    } else {
        Err(InvalidReason::GoModCase)
    }
}
