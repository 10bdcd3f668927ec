//! One entry, as the central directory of its zip has it.

use bstr::BStr;

use crate::directory::Record;
use crate::error::{EntryFlaw, Error};

/// One entry of an [`Archive`](crate::Archive), as its central directory has it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    name: &'a BStr,
    pub(crate) record: &'a Record,
}

impl<'a> Entry<'a> {
    pub(crate) fn new(name: &'a BStr, record: &'a Record) -> Self {
        Self { name, record }
    }

    /// The whole name, with the `module@version/` prefix. Nothing says that it is UTF-8 or safe.
    pub fn name(&self) -> &'a BStr {
        self.name
    }

    /// Declared size of the content, in bytes.
    pub fn size(&self) -> u64 {
        self.record.size
    }

    /// Whether the name ends in a slash.
    pub fn is_dir(&self) -> bool {
        self.name.ends_with(b"/")
    }

    pub(crate) fn error(&self, flaw: EntryFlaw) -> Error {
        Error::Entry {
            name: self.name.into(),
            flaw,
        }
    }
}
