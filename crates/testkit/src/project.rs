use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::archive::Content;
use crate::graph::{Choice, Kind, Node, Release, Requirement, WORDS, generate, needed, reachable};
use crate::module::Module;
use crate::tree::Tree;

/// The path of the generated main module.
const MAIN: &str = "example.com/generated/app";

/// Weights stay below this, so that they can be followed by hand.
const MODULUS: u64 = 1_000_003;

/// What a generated project is like.
#[derive(Clone, Copy, Debug)]
pub struct ProjectShape {
    /// The same seed gives the same project, byte for byte.
    pub seed: u64,
    /// Modules that the project needs, beside its own.
    pub modules: usize,
    /// Bytes of text that compress, in each version of each module.
    pub padding: usize,
}

impl Default for ProjectShape {
    fn default() -> Self {
        Self {
            seed: 1,
            modules: 120,
            padding: 2_000,
        }
    }
}

/// A version that the main module's build uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selected {
    /// The module path.
    pub path: String,
    /// The version.
    pub version: String,
}

/// A main module and all that it requires, generated: several versions of each module, direct and indirect
/// requirements, modules from before and after lazy loading (go 1.17), major versions, upper-case paths,
/// pseudo-versions, modules without a `go.mod`. Every module has a package that imports the packages of what the
/// module requires, and the program prints a number that depends on which versions were compiled.
#[derive(Debug)]
pub struct Project {
    shape: ProjectShape,
    nodes: Vec<Node>,
    direct: Vec<Choice>,
    /// For each module the main module's build uses, the version it uses.
    selected: BTreeMap<usize, usize>,
}

impl Project {
    /// Generates a project; nothing is written yet.
    pub fn generate(shape: ProjectShape) -> Self {
        assert!(
            shape.modules > 0,
            "a project without modules needs no proxy"
        );
        let mut random = fastrand::Rng::with_seed(shape.seed);
        let nodes = generate(&mut random, shape.modules);
        let mut project = Self {
            shape,
            nodes,
            direct: Vec::new(),
            selected: BTreeMap::new(),
        };
        project.require(&mut random);
        project
    }

    /// Requires module after module until all of them are needed.
    fn require(&mut self, random: &mut fastrand::Rng) {
        for node in 0..self.nodes.len() {
            if !self.selected.contains_key(&node) {
                let release = random.usize(..self.nodes[node].releases.len());
                self.direct.push(Choice { node, release });
                self.selected = needed(&|node| &self.nodes[node], &self.direct);
            }
        }
    }

    /// Every version of every module, in ascending order of each module's versions.
    pub fn modules(&self) -> impl Iterator<Item = Module> {
        let nodes = self.nodes.iter().enumerate();
        nodes.flat_map(move |(index, node)| {
            (0..node.releases.len()).map(move |release| self.module(index, release))
        })
    }

    /// Publishes every version of every module.
    pub fn publish(&self, tree: &Tree) {
        for module in self.modules() {
            tree.add(&module);
        }
    }

    /// Writes the main module to `folder`: `go.mod`, `go.sum` and `main.go`.
    pub fn write_main(&self, folder: &Path) {
        fs::create_dir_all(folder).expect("the project's folder can be made");
        for (name, text) in [
            ("go.mod", self.go_mod()),
            ("go.sum", self.go_sum()),
            ("main.go", self.main_go()),
        ] {
            fs::write(folder.join(name), text).expect("a file of the project can be written");
        }
    }

    /// What the main module's build uses, sorted by path. Its go.mod lists exactly these.
    pub fn selected(&self) -> Vec<Selected> {
        let mut list: Vec<Selected> = self
            .selected
            .iter()
            .map(|(node, release)| self.name(*node, *release))
            .collect();
        list.sort();
        list
    }

    /// What the built program prints.
    pub fn expected_output(&self) -> String {
        let mut weights: BTreeMap<usize, u64> = BTreeMap::new();
        for (&node, &release) in self.selected.iter().rev() {
            let imports = self.nodes[node].releases[release].imports.iter();
            let below: u64 = imports.map(|import| 3 * weights[&import.node]).sum();
            weights.insert(node, (own_weight(node, release) + below) % MODULUS);
        }
        let sum: u64 = self.direct.iter().map(|choice| weights[&choice.node]).sum();
        format!("{sum}\n")
    }

    /// The main module's `go.mod`.
    pub fn go_mod(&self) -> String {
        let direct: BTreeSet<usize> = self.direct.iter().map(|choice| choice.node).collect();
        let requires = self.selected.iter().map(|(&node, &release)| Requirement {
            choice: Choice { node, release },
            indirect: !direct.contains(&node),
        });
        go_mod(MAIN, "1.21", requires, &|choice| {
            self.name(choice.node, choice.release)
        })
    }

    /// The main module's `go.sum`: the zips it needs, and the go.mod files that any version of the graph has.
    pub fn go_sum(&self) -> String {
        let mut lines = BTreeSet::new();
        for choice in reachable(&|node| &self.nodes[node], &self.direct) {
            let module = self.module(choice.node, choice.release);
            let (path, version) = (module.path(), module.version());
            lines.insert(format!("{path} {version}/go.mod {}\n", module.go_mod_h1()));
            if self.selected.get(&choice.node) == Some(&choice.release) {
                lines.insert(format!("{path} {version} {}\n", module.zip_h1()));
            }
        }
        lines.into_iter().collect()
    }

    fn main_go(&self) -> String {
        let mut text = "package main\n\nimport (\n\t\"fmt\"\n\n".to_owned();
        for choice in &self.direct {
            let _ = writeln!(
                text,
                "\tp{} \"{}\"",
                choice.node, self.nodes[choice.node].path
            );
        }
        text.push_str(")\n\nfunc main() {\n\tvar sum uint64\n");
        for choice in &self.direct {
            let _ = writeln!(text, "\tsum += p{}.Weight", choice.node);
        }
        text.push_str("\tfmt.Println(sum)\n}\n");
        text
    }

    fn name(&self, node: usize, release: usize) -> Selected {
        let node = &self.nodes[node];
        Selected {
            path: node.path.clone(),
            version: node.releases[release].version.clone(),
        }
    }

    fn module(&self, index: usize, release: usize) -> Module {
        let node = &self.nodes[index];
        let Release {
            version,
            imports,
            requires,
        } = &node.releases[release];
        let mut source = format!("// Package p{index} is generated.\npackage p{index}\n\n");
        for import in imports {
            let _ = writeln!(
                source,
                "import p{} \"{}\"",
                import.node, self.nodes[import.node].path
            );
        }
        let _ = write!(
            source,
            "\n// Weight depends on the versions below.\nvar Weight uint64 = ({}",
            own_weight(index, release)
        );
        for import in imports {
            let _ = write!(source, " + 3*p{}.Weight", import.node);
        }
        let _ = writeln!(source, ") % {MODULUS}");
        let month = index % 12 + 1;
        let module = Module::new(&node.path, version)
            .time(&format!(
                "20{:02}-{month:02}-05T06:07:08Z",
                20 + release % 6
            ))
            .file("package.go", &source)
            .file(
                "LICENSE",
                "Permission is granted to use this generated text for any purpose.\n",
            )
            .content(
                "docs/notes.txt",
                Content::Bytes(self.padding(index, release)),
            );
        let names = |choice: Choice| self.name(choice.node, choice.release);
        match node.kind {
            Kind::Incompatible => module.without_go_mod(),
            Kind::Unpruned => module.go_mod(&go_mod(
                &node.path,
                "1.16",
                requires.iter().copied(),
                &names,
            )),
            Kind::Pruned | Kind::Untagged => module.go_mod(&go_mod(
                &node.path,
                "1.21",
                requires.iter().copied(),
                &names,
            )),
        }
    }

    fn padding(&self, node: usize, release: usize) -> Vec<u8> {
        let mut random =
            fastrand::Rng::with_seed(self.shape.seed ^ ((node as u64) << 8) ^ release as u64);
        let mut text = String::with_capacity(self.shape.padding + 16);
        while text.len() < self.shape.padding {
            text.push_str(WORDS[random.usize(..WORDS.len())]);
            text.push(if random.u8(..12) == 0 { '\n' } else { ' ' });
        }
        text.truncate(self.shape.padding);
        text.into_bytes()
    }
}

fn go_mod(
    path: &str,
    language: &str,
    requires: impl Iterator<Item = Requirement>,
    names: &dyn Fn(Choice) -> Selected,
) -> String {
    let mut lines: [Vec<Selected>; 2] = Default::default();
    for requirement in requires {
        lines[usize::from(requirement.indirect)].push(names(requirement.choice));
    }
    let mut text = format!("module {path}\n\ngo {language}\n");
    for (mut block, comment) in lines.into_iter().zip(["", " // indirect"]) {
        block.sort();
        match block.as_slice() {
            [] => {}
            [one] => {
                let _ = writeln!(text, "\nrequire {} {}{comment}", one.path, one.version);
            }
            several => {
                text.push_str("\nrequire (\n");
                for one in several {
                    let _ = writeln!(text, "\t{} {}{comment}", one.path, one.version);
                }
                text.push_str(")\n");
            }
        }
    }
    text
}

fn own_weight(node: usize, release: usize) -> u64 {
    (17 * node + 31 * release + 1) as u64
}
