//! Generated module graphs of every shape that the rules tell apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// All go.mod files there are, and one project.
#[derive(Debug, Clone, Default)]
pub(super) struct Universe {
    /// By module path and version.
    pub(super) modules: BTreeMap<(String, String), String>,
    /// By directory, relative to the project: what stands in for modules.
    pub(super) directories: BTreeMap<String, String>,
    /// The main modules by directory; the only one lies in the project's folder itself (the empty directory).
    pub(super) members: Vec<(String, String)>,
    /// The go.work file.
    pub(super) work: Option<String>,
}

/// What is to be generated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) seed: u64,
    pub(super) modules: usize,
    pub(super) workspace: bool,
    /// Some go.mod files are missing.
    pub(super) holes: bool,
}

/// Go lines from before and after graph pruning and the go line as a requirement; none twice as often.
const GO_LINES: [&str; 9] = [
    "", "", "1.12", "1.16", "1.17", "1.20", "1.21", "1.21.3", "1.22.0",
];

struct Maker {
    random: fastrand::Rng,
    /// Paths with their versions, ascending.
    paths: Vec<(String, Vec<String>)>,
}

impl Maker {
    fn new(shape: Shape) -> Self {
        let mut random = fastrand::Rng::with_seed(shape.seed);
        let mut paths = Vec::new();
        for number in 0..shape.modules {
            let (suffix, major, build) = match random.u8(..8) {
                0 => ("/v2", 2, ""),
                1 => ("", 3, "+incompatible"),
                2 => ("", 0, ""),
                _ => ("", 1, ""),
            };
            let versions = (0..random.usize(1..5))
                .map(|minor| match random.u8(..12) {
                    0 => format!("v{major}.{minor}.0-rc.1{build}"),
                    1 if build.is_empty() => {
                        format!("v{major}.{minor}.1-0.20210203040506-abcdef12345{minor}")
                    }
                    _ => format!("v{major}.{minor}.0{build}"),
                })
                .collect();
            paths.push((format!("example.com/M{number:02}{suffix}"), versions));
        }
        Self { random, paths }
    }

    fn any_version(&mut self) -> (String, String) {
        let (path, versions) = &self.paths[self.random.usize(..self.paths.len())];
        (
            path.clone(),
            versions[self.random.usize(..versions.len())].clone(),
        )
    }

    /// `count` requirements at most, each on another module, none on `own`.
    fn requires(&mut self, own: &str, count: usize) -> String {
        let mut text = String::new();
        let mut seen = BTreeSet::from([own.to_owned()]);
        for _ in 0..count {
            let (path, version) = self.any_version();
            if seen.insert(path.clone()) {
                let indirect = if self.random.bool() {
                    " // indirect"
                } else {
                    ""
                };
                let _ = writeln!(text, "require {path} {version}{indirect}");
            }
        }
        text
    }

    fn go_line(&mut self) -> String {
        match GO_LINES[self.random.usize(..GO_LINES.len())] {
            "" => String::new(),
            go => format!("go {go}\n"),
        }
    }

    fn dependency(&mut self, path: &str, mains: &[String]) -> String {
        let count = self.random.usize(..5);
        let mut text = format!(
            "module {path}\n{}{}",
            self.go_line(),
            self.requires(path, count)
        );
        if self.random.u8(..15) == 0 {
            // Back to a main module, at a version that it once had.
            let _ = writeln!(
                text,
                "require {} v1.0.0",
                mains[self.random.usize(..mains.len())]
            );
        }
        if self.random.u8(..6) == 0 {
            let (path, version) = self.any_version();
            let _ = writeln!(
                text,
                "exclude {path} {version}\nreplace {path} => ../nowhere\ntoolchain go1.99.0"
            );
        }
        text
    }

    /// What a main module adds to its requirements; directories are made in `universe`.
    fn decisions(&mut self, universe: &mut Universe, member: &str, mains: &[String]) -> String {
        let mut text = String::new();
        for _ in 0..self.random.usize(..3) {
            let (path, version) = self.any_version();
            let _ = writeln!(text, "exclude {path} {version}");
        }
        let mut replaced = BTreeSet::new();
        for number in 0..self.random.usize(..4) {
            let (path, version) = self.any_version();
            if !replaced.insert(path.clone()) {
                continue;
            }
            let exact = if self.random.bool() {
                format!(" {version}")
            } else {
                String::new()
            };
            if self.random.bool() {
                let (by, version) = self.any_version();
                if by != path {
                    // The module is its own, whatever it stands in for.
                    let declared = universe.modules.get(&(by.clone(), version.clone()));
                    if declared.is_some() {
                        let _ = writeln!(text, "replace {path}{exact} => {by} {version}");
                    }
                }
            } else {
                let name = format!("local{number}");
                let directory = if member.is_empty() {
                    name.clone()
                } else {
                    format!("{member}/{name}")
                };
                let go_mod = self.dependency("example.com/anything", mains);
                universe.directories.insert(directory, go_mod);
                let _ = writeln!(text, "replace {path}{exact} => ./{name}");
            }
        }
        text
    }
}

pub(super) fn generate(shape: Shape) -> Universe {
    let mut maker = Maker::new(shape);
    let mut universe = Universe::default();
    let count = if shape.workspace {
        maker.random.usize(1..4)
    } else {
        1
    };
    let mains: Vec<String> = (0..count)
        .map(|number| format!("example.com/main{number}"))
        .collect();
    for main in &mains {
        universe.modules.insert(
            (main.clone(), "v1.0.0".to_owned()),
            maker.dependency(main, &mains),
        );
    }
    for (path, versions) in maker.paths.clone() {
        for version in versions {
            let text = if version.ends_with("+incompatible") {
                format!("module {path}\n")
            } else {
                maker.dependency(&path, &mains)
            };
            universe.modules.insert((path.clone(), version), text);
        }
    }
    for (number, main) in mains.iter().enumerate() {
        let directory = if shape.workspace {
            format!("member{number}")
        } else {
            String::new()
        };
        let go = if shape.workspace {
            "go 1.22.0\n".to_owned()
        } else {
            maker.go_line()
        };
        let go = match maker.random.u8(..4) {
            0 if shape.workspace => "go 1.16\n".to_owned(),
            _ => go,
        };
        let toolchain = if go.starts_with("go 1.21") && maker.random.bool() {
            "toolchain go1.21.5\n"
        } else {
            ""
        };
        let count = maker.random.usize(..8);
        let requires = maker.requires(main, count);
        // Members must not contradict each other: the first one decides.
        let decisions = if number == 0 {
            maker.decisions(&mut universe, &directory, &mains)
        } else {
            String::new()
        };
        let text = format!("module {main}\n{go}{toolchain}{requires}{decisions}");
        universe.members.push((directory, text));
    }
    if shape.workspace {
        let mut work = "go 1.22.0\n".to_owned();
        for (directory, _) in &universe.members {
            let _ = writeln!(work, "use ./{directory}");
        }
        if maker.random.bool() {
            let (path, _) = maker.any_version();
            let go_mod = maker.dependency("example.com/anything", &mains);
            universe.directories.insert("above".to_owned(), go_mod);
            let _ = writeln!(work, "replace {path} => ./above");
        }
        universe.work = Some(work);
    }
    if shape.holes {
        let names: Vec<_> = universe.modules.keys().cloned().collect();
        for name in names {
            if maker.random.u8(..10) == 0 {
                universe.modules.remove(&name);
            }
        }
    }
    universe
}
