//! What hashing and checking a zip takes, however large it is or claims to be. In a process of its own, so that nothing
//! else is counted.
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::num::NonZeroUsize;

use gomod::{ModulePath, ModuleVersion, Version};
use modzip::{Archive, Workers};
use testkit::{Content, Module, Packing, memory_of};

/// Far less than any of the zips or what is in them.
const BOUND: u64 = 16 << 20;

fn noise(seed: u64, len: u64) -> Content {
    Content::Noise { seed, len }
}

#[test]
fn hashing_takes_little_memory_whatever_the_zip() {
    let name = "example.com/m";
    let large = Module::new(name, "v1.0.0")
        .content("one.bin", noise(1, 70 << 20))
        .content("two.bin", noise(2, 70 << 20))
        .packing(Packing::Stored);
    // A few hundred kilobytes that become as many megabytes.
    let bomb = Module::new(name, "v1.0.0").content("zeros", Content::Bytes(vec![0; 200 << 20]));
    let many = (0..20_000).fold(Module::new(name, "v1.0.0"), |module, number| {
        module.file(&format!("f{number}.go"), "package m\n")
    });
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = [("large", large), ("bomb", bomb), ("many", many)]
        .into_iter()
        .map(|(what, module)| {
            let path = folder.path().join(what);
            module.write_zip(File::create(&path).unwrap()).unwrap();
            (what, path, module.zip_h1())
        })
        .collect();
    let version = Version::new("v1.0.0").unwrap();
    let module = ModuleVersion::new(ModulePath::new(name).unwrap(), version).unwrap();
    let workers = Workers::new(NonZeroUsize::new(2).unwrap()).unwrap();
    for (what, path, h1) in files {
        // From here on the peak is counted anew (proc_pid_clear_refs(5)).
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = memory_of(std::process::id()).unwrap().resident;
        let file = File::open(&path).unwrap();
        let size = file.metadata().unwrap().len();
        let archive = Archive::open(file, size).unwrap();
        assert_eq!(archive.hash(&workers).unwrap().to_string(), h1, "{what}");
        archive.check(&module).fit().unwrap();
        let taken = memory_of(std::process::id())
            .unwrap()
            .peak
            .saturating_sub(before);
        assert!(taken < BOUND, "{what}: {taken} bytes for {size}");
    }
}
