//! Which of a list of files belong in a module zip (x/mod zip `CheckFiles`).

use std::collections::HashSet;
use std::io::Read as _;

use bstr::{BStr, ByteSlice as _};
use gomod::path::check_file_path;

use crate::clean::is_clean;
use crate::collisions::Names;
use crate::limits::{MAX_GO_MOD, MAX_LICENSE, MAX_ZIP};
use crate::report::{Checked, Invalid, InvalidReason, OmitReason, Omitted, SizeError};
use crate::source::{FileKind, SourceFile};
use crate::vendored::VendorRule;

/// Sorts `files` into those that belong in the module zip, those that stay out and those that make the module
/// unfit. Reads the root go.mod, for its go line, and no other file.
pub fn check_files<F: SourceFile>(files: &[F]) -> Checked {
    select_files(files).checked
}

/// What [`check_files`] found, with the files themselves.
pub(crate) struct Selection<'a, F> {
    pub(crate) checked: Checked,
    /// The valid files with their sizes in bytes, in the order of `checked.valid`.
    pub(crate) files: Vec<(&'a F, u64)>,
}

/// A file that is not valid.
enum Refusal {
    Omit(OmitReason),
    Invalid(InvalidReason),
}

impl From<OmitReason> for Refusal {
    fn from(reason: OmitReason) -> Self {
        Self::Omit(reason)
    }
}

impl<R: Into<InvalidReason>> From<R> for Refusal {
    fn from(reason: R) -> Self {
        Self::Invalid(reason.into())
    }
}

pub(crate) fn select_files<F: SourceFile>(files: &[F]) -> Selection<'_, F> {
    let mut report = Report::default();
    let mut rules = Rules::of(files, &mut report);
    let mut selected = Vec::new();
    for file in files {
        match rules.judge(file, &mut report) {
            Ok((path, size)) => {
                report.checked.valid.push(path.into());
                selected.push((file, size));
            }
            Err(refusal) => report.refuse(file.path(), refusal),
        }
    }
    Selection {
        checked: report.checked,
        files: selected,
    }
}

/// The lists, with one line at most for a path that is not valid.
#[derive(Default)]
struct Report<'a> {
    checked: Checked,
    refused: HashSet<&'a BStr>,
}

impl<'a> Report<'a> {
    fn refuse(&mut self, path: &'a BStr, refusal: Refusal) {
        if !self.refused.insert(path) {
            return;
        }
        let path = path.into();
        match refusal {
            Refusal::Omit(reason) => self.checked.omitted.push(Omitted { path, reason }),
            Refusal::Invalid(reason) => self.checked.invalid.push(Invalid { path, reason }),
        }
    }
}

/// What must be known of all files before one can be judged, and of the earlier ones.
struct Rules<'a> {
    vendor: VendorRule,
    /// Directories (with a slash at the end) that have a go.mod; the root is the empty one.
    modules: HashSet<&'a [u8]>,
    names: Names,
    room: u64,
}

impl<'a> Rules<'a> {
    fn of<F: SourceFile>(files: &'a [F], report: &mut Report<'a>) -> Self {
        let mut vendor = VendorRule::Before124;
        let mut modules = HashSet::new();
        for file in files {
            let (dir, base) = split(file.path());
            if !base.eq_ignore_ascii_case(b"go.mod") {
                continue;
            }
            match file.metadata() {
                Ok(metadata) if metadata.kind == FileKind::Regular => {
                    modules.insert(dir);
                    if dir.is_empty() && base == b"go.mod" {
                        vendor =
                            read_go_mod(file).map_or(vendor, |text| VendorRule::of_go_mod(&text));
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    let reason = InvalidReason::Unreadable(error.to_string());
                    report.refuse(file.path(), reason.into());
                }
            }
        }
        Self {
            vendor,
            modules,
            names: Names::default(),
            room: MAX_ZIP,
        }
    }

    /// The order of these tests is part of the rule: the first that applies decides.
    fn judge<'f, F: SourceFile>(
        &mut self,
        file: &'f F,
        report: &mut Report<'_>,
    ) -> Result<(&'f str, u64), Refusal> {
        let path = file.path();
        if !is_clean(path) {
            return Err(InvalidReason::NotClean.into());
        }
        if path.starts_with(b"/") {
            return Err(InvalidReason::NotRelative.into());
        }
        if self.vendor.omits(path) {
            return Err(OmitReason::Vendored.into());
        }
        if self.is_in_other_module(path) {
            return Err(OmitReason::FileInOtherModule.into());
        }
        if path == ".hg_archival.txt" {
            return Err(OmitReason::HgArchival.into());
        }
        let path = checked_path(path)?;
        if path.eq_ignore_ascii_case("go.mod") && path != "go.mod" {
            return Err(InvalidReason::GoModCase.into());
        }
        let metadata = file
            .metadata()
            .map_err(|error| InvalidReason::Unreadable(error.to_string()))?;
        self.names.add(path, metadata.kind == FileKind::Directory)?;
        match metadata.kind {
            FileKind::Regular => {}
            FileKind::Symlink => return Err(OmitReason::Symlink.into()),
            FileKind::Directory | FileKind::Other => return Err(OmitReason::NotRegular.into()),
        }
        match self.room.checked_sub(metadata.size) {
            Some(room) => self.room = room,
            None => report.checked.size_error = Some(SizeError::Source),
        }
        check_special_size(path, metadata.size)?;
        Ok((path, metadata.size))
    }

    fn is_in_other_module(&self, path: &[u8]) -> bool {
        let mut rest = path;
        while let (dir @ [parent @ .., b'/'], _) = split(rest) {
            if self.modules.contains(dir) {
                return true;
            }
            rest = parent;
        }
        false
    }
}

/// The path as text, if it is one that a module may have.
pub(crate) fn checked_path(path: &[u8]) -> Result<&str, InvalidReason> {
    check_file_path(path)?;
    // A path that passed is UTF-8.
    Ok(path.to_str().unwrap_or_default())
}

/// The two files whose size is limited.
pub(crate) fn check_special_size(path: &str, size: u64) -> Result<(), InvalidReason> {
    match path {
        "go.mod" if size > MAX_GO_MOD => Err(InvalidReason::GoModTooLarge),
        "LICENSE" if size > MAX_LICENSE => Err(InvalidReason::LicenseTooLarge),
        _ => Ok(()),
    }
}

/// The directory with its slash, and the rest.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(path.rfind_byte(b'/').map_or(0, |slash| slash + 1))
}

/// The content of a go.mod that can be read and is not too large. Errors are not reported here: when the
/// file goes into the zip, it is read again.
fn read_go_mod<F: SourceFile>(file: &F) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    file.open()
        .ok()?
        .take(MAX_GO_MOD + 1)
        .read_to_end(&mut content)
        .ok()?;
    (content.len() as u64 <= MAX_GO_MOD).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::MemoryFile;

    fn regular(path: &str) -> MemoryFile {
        MemoryFile::regular(path, "")
    }

    fn of_kind(path: &str, kind: FileKind) -> MemoryFile {
        MemoryFile {
            kind,
            ..regular(path)
        }
    }

    /// The reasons for which files are not valid, with their paths.
    fn refusals(files: &[MemoryFile]) -> Vec<String> {
        let checked = check_files(files);
        let omitted = checked.omitted.iter().map(ToString::to_string);
        omitted
            .chain(checked.invalid.iter().map(ToString::to_string))
            .collect()
    }

    #[test]
    fn the_first_rule_that_applies_decides() {
        for (path, reason) in [
            ("vendor/../x", "file path is not clean"),
            ("/vendor/x/y", "file path is not relative"),
            ("sub/vendor/x/y", "file is in vendor directory"),
            ("sub/a:b", "file is in another module"),
            ("sub/../a", "file path is not clean"),
            (
                ".hg_archival.txt",
                "file is inserted by 'hg archive' and is always omitted",
            ),
            ("Go.mod", "go.mod files must have lowercase names"),
        ] {
            let files = [regular("sub/go.mod"), regular(path)];
            let refused = refusals(&files);
            assert!(
                refused.contains(&format!("{path}: {reason}")),
                "{path}: {refused:?}"
            );
        }
        assert_eq!(
            refusals(&[regular("x/.hg_archival.txt")]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_go_mod_of_any_case_makes_another_module_of_its_directory() {
        let files = [
            regular("sub/GO.MOD"),
            regular("sub/deep/er/x.go"),
            regular("sub2/x.go"),
        ];
        assert_eq!(
            refusals(&files),
            [
                "sub/GO.MOD: file is in another module",
                "sub/deep/er/x.go: file is in another module"
            ]
        );
    }

    #[test]
    fn a_link_or_directory_called_go_mod_does_not() {
        let files = [
            of_kind("sub/go.mod", FileKind::Symlink),
            regular("sub/x.go"),
            regular("dir/go.mod/x.go"),
        ];
        assert_eq!(refusals(&files), ["sub/go.mod: file is a symbolic link"]);
    }

    #[test]
    fn links_count_for_collisions_before_they_are_dropped() {
        let files = [of_kind("readme", FileKind::Symlink), regular("README")];
        assert_eq!(
            refusals(&files),
            [
                "readme: file is a symbolic link",
                "README: case-insensitive file name collision: \"readme\" and \"README\""
            ]
        );
    }

    #[test]
    fn only_regular_files_are_valid() {
        let files = [
            of_kind("dir", FileKind::Directory),
            of_kind("pipe", FileKind::Other),
            regular("dir/x"),
        ];
        assert_eq!(
            refusals(&files),
            ["dir: not a regular file", "pipe: not a regular file"]
        );
    }

    #[test]
    fn a_path_is_refused_once() {
        let files = [regular("a"), regular("a"), regular("a")];
        let checked = check_files(&files);
        assert_eq!(checked.valid, ["a"]);
        assert_eq!(checked.invalid.len(), 1);
    }

    #[test]
    fn the_go_line_of_the_root_alone_chooses_the_vendor_rule() {
        let go_mod = |path: &str| MemoryFile::regular(path, "module m.example\ngo 1.24\n");
        let vendored = regular("vendor/modules.txt");
        let omitted = ["vendor/modules.txt: file is in vendor directory"];
        assert_eq!(refusals(&[vendored.clone(), go_mod("go.mod")]), omitted);
        assert!(!refusals(&[vendored, go_mod("sub/go.mod")]).contains(&omitted[0].to_owned()));
    }

    #[test]
    fn an_oversized_go_mod_has_no_say_about_vendored_files() {
        let len = usize::try_from(MAX_GO_MOD).unwrap();
        let go_mod = [b"go 1.24\n//".to_vec(), vec![b'x'; len]].concat();
        let files = [
            MemoryFile::regular("go.mod", go_mod),
            regular("vendor/modules.txt"),
        ];
        let checked = check_files(&files);
        assert_eq!(checked.valid, ["vendor/modules.txt"]);
    }
}
