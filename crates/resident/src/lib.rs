//! Memory that a process holds and has no use for any more.
//!
//! What a server runs once, when it starts, stays mapped for as long as it lives, and the kernel maps sixteen pages
//! where one was asked for: most of what an idle server seems to need is code that it never runs again. The pages are the
//! file's, in the page cache, and come back from there the moment they are used.
//!
//! This is the only crate with `unsafe` code.

/// Gives back the program's code as far as it is in memory; what is used again comes back from the page cache. Where the
/// system has no such request, nothing happens. A debugger's breakpoints in the code are lost.
///
/// # Errors
/// When the process may not see its own mappings, or the system refuses.
pub fn give_back_code() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    for mapping in linux::mappings_of_code(&std::fs::read_to_string("/proc/self/maps")?) {
        linux::give_back(mapping)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ops::Range;
    use std::{io, ptr};

    use rustix::mm::{Advice, madvise};

    /// The addresses of code that is mapped from files and can be nothing but what the file says: `maps` as in `proc(5)`.
    pub(super) fn mappings_of_code(maps: &str) -> impl Iterator<Item = Range<usize>> {
        maps.lines().filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let (start, end) = fields.next()?.split_once('-')?;
            let is_code = fields.next()? == "r-xp";
            let is_of_a_file = fields.nth(2)? != "0";
            let address = |text| usize::from_str_radix(text, 16).ok();
            (is_code && is_of_a_file).then_some(address(start)?..address(end)?)
        })
    }

    #[expect(
        unsafe_code,
        reason = "no safe interface exists for mappings that the loader made"
    )]
    pub(super) fn give_back(mapping: Range<usize>) -> io::Result<()> {
        let start = ptr::with_exposed_provenance_mut(mapping.start);
        // SAFETY: the mapping is private, of a file, and not writable, so each of its pages is what the file holds and is
        // mapped again from there when a thread runs or reads it. Had it been unmapped meanwhile, the call would fail, or
        // ask the same of a later mapping of code, which only the loader makes; nothing here unloads libraries.
        unsafe { madvise(start, mapping.len(), Advice::LinuxDontNeed) }?;
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_code_that_a_file_holds_is_given_back() {
            let maps = "\
55f0a000-55f0b000 r--p 00000000 fd:00 1234                               /usr/bin/modkeep
55f0b000-55f0f000 r-xp 00001000 fd:00 1234                               /usr/bin/modkeep
55f0f000-55f10000 rw-p 00005000 fd:00 1234                               /usr/bin/modkeep
7f0010000000-7f0010001000 r-xp 00000000 00:00 0
7f0020000000-7f0020002000 r-xp 00001000 fd:00 77                         /usr/lib/with a space (deleted)
7f0030000000-7f0030002000 rwxp 00001000 fd:00 78                         /usr/lib/patched
7ffd0000-7ffd1000 r-xp 00000000 00:00 0                                  [vdso]
what is this
";
            let found: Vec<_> = mappings_of_code(maps).collect();
            assert_eq!(
                found,
                [0x55f0_b000..0x55f0_f000, 0x7f00_2000_0000..0x7f00_2000_2000]
            );
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![expect(
        clippy::unwrap_used,
        reason = "a set-up that does not work fails the test"
    )]

    use super::*;

    /// How much of the process's code is in memory, in KiB.
    fn code_in_memory() -> u64 {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_code = false;
        let mut sum = 0;
        for line in smaps.lines() {
            if let Some(size) = line.strip_prefix("Rss:") {
                let size: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
                sum += if is_code { size } else { 0 };
            } else if line.contains(" r-xp ") {
                is_code = true;
            } else if line.contains(" r--p ") || line.contains(" rw-p ") || line.contains(" ---p ")
            {
                is_code = false;
            }
        }
        sum
    }

    #[test]
    fn code_that_was_given_back_comes_back_when_it_runs() {
        let before = code_in_memory();
        give_back_code().unwrap();
        let after = code_in_memory();
        assert!(after < before, "{before} KiB, then {after}");
        give_back_code().unwrap();
        assert_eq!(format!("{:?}", vec![1.5, 2.5]), "[1.5, 2.5]");
    }
}
