//! Who has set an environment variable: files that export it, the process that handed it down, the
//! kind of place this is.

use std::fmt;
use std::path::{Path, PathBuf};

use super::machine::{Machine, read_text};

/// Something that sets a variable, or may have. `Debug` hides the value.
#[derive(Clone, PartialEq, Eq)]
pub struct SetBy {
    /// What it is.
    pub source: Source,
    /// The value it sets, where that can be read off without running anything. It may hold a
    /// password.
    pub value: Option<String>,
}

impl fmt::Debug for SetBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

/// What sets a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A line of a file that shells, the login or direnv read.
    File {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// The oldest ancestor of this process that has the variable with this value: it, or what
    /// started it, has set it.
    Process {
        /// Its number.
        id: u32,
        /// Its name.
        name: String,
    },
    /// A CI system, by its name.
    Ci(&'static str),
    /// A container image, or the command that started the container.
    Container,
}

/// Files that shells read, below the home directory.
const HOME_FILES: [&str; 12] = [
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".profile",
    ".zshenv",
    ".zprofile",
    ".zshrc",
    ".zlogin",
    ".pam_environment",
    ".config/fish/config.fish",
    ".config/go/env.sh",
    ".xprofile",
];

/// Files that logins and shells read for everybody.
const SYSTEM_FILES: [&str; 6] = [
    "/etc/environment",
    "/etc/profile",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/zsh/zshenv",
    "/etc/security/pam_env.conf",
];

/// Directories whose files are read for everybody, with the ending they must have.
const SYSTEM_DIRECTORIES: [(&str, &str); 4] = [
    ("/etc/profile.d", "sh"),
    ("/etc/environment.d", "conf"),
    ("/etc/systemd/system.conf.d", "conf"),
    ("/etc/fish/conf.d", "fish"),
];

/// Variables by which CI systems tell who they are.
const CI: [(&str, &str); 9] = [
    ("GITHUB_ACTIONS", "GitHub Actions"),
    ("GITLAB_CI", "GitLab CI"),
    ("JENKINS_URL", "Jenkins"),
    ("CIRCLECI", "CircleCI"),
    ("TRAVIS", "Travis CI"),
    ("DRONE", "Drone"),
    ("BUILDKITE", "Buildkite"),
    ("TF_BUILD", "Azure Pipelines"),
    ("TEAMCITY_VERSION", "TeamCity"),
];

/// The files in which variables may be set, read once for all variables.
#[derive(Default)]
pub struct Provenance {
    assignments: Vec<(String, String, PathBuf, usize)>,
    ancestors: Vec<Process>,
    place: Option<Source>,
}

struct Process {
    id: u32,
    name: String,
    variables: Vec<(String, String)>,
}

impl fmt::Debug for Provenance {
    /// Values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provenance")
            .field("assignments", &self.assignments.len())
            .field("ancestors", &self.ancestors.len())
            .field("place", &self.place)
            .finish()
    }
}

impl Provenance {
    /// Reads what can be read.
    pub fn read(machine: &Machine) -> Self {
        let mut assignments = Vec::new();
        for path in files(machine) {
            if let Some(text) = read_text(&path) {
                collect(&path, &text, &mut assignments);
            }
        }
        Self {
            assignments,
            ancestors: machine
                .process
                .map(|id| ancestors(machine, id))
                .unwrap_or_default(),
            place: place(machine),
        }
    }

    /// Everything that sets `name`. Where one sets exactly `value`, only those with that value, or
    /// whose value cannot be read off, are returned.
    pub fn of(&self, name: &str, value: &str) -> Vec<SetBy> {
        let mut found = self.lines(name);
        if found.iter().any(|by| by.value.as_deref() == Some(value)) {
            found.retain(|by| by.value.as_deref().is_none_or(|its| its == value));
        }
        let chain = self.ancestors.iter().take_while(|process| {
            let mut variables = process.variables.iter();
            variables.any(|(its_name, its)| its_name == name && its == value)
        });
        if let Some(oldest) = chain.last() {
            found.push(SetBy {
                source: Source::Process {
                    id: oldest.id,
                    name: oldest.name.clone(),
                },
                value: Some(value.to_owned()),
            });
        }
        if let Some(place) = &self.place {
            found.push(SetBy {
                source: place.clone(),
                value: None,
            });
        }
        found
    }

    /// The lines of files that set `name`.
    pub fn lines(&self, name: &str) -> Vec<SetBy> {
        let lines = self.assignments.iter().filter(|row| row.0 == name);
        lines
            .map(|(_, value, path, line)| SetBy {
                source: Source::File {
                    path: path.clone(),
                    line: *line,
                },
                // What a shell would expand is not known.
                value: (!value.contains(['$', '`'])).then(|| value.clone()),
            })
            .collect()
    }
}

fn files(machine: &Machine) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = Vec::new();
    if let Some(home) = machine.home() {
        files.extend(HOME_FILES.iter().map(|name| home.join(name)));
        files.extend(listed(&home.join(".config/environment.d"), "conf"));
        files.extend(listed(&home.join(".config/fish/conf.d"), "fish"));
    }
    // direnv reads the nearest one only.
    let mut directories = machine.directory.ancestors();
    files.extend(directories.find_map(|dir| {
        let file = dir.join(".envrc");
        file.is_file().then_some(file)
    }));
    files.extend(SYSTEM_FILES.iter().map(|path| machine.system(path)));
    for (directory, ending) in SYSTEM_DIRECTORIES {
        files.extend(listed(&machine.system(directory), ending));
    }
    files.extend(unit_files(machine));
    files
}

fn listed(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .take(1000)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|its| its == ending))
        .collect();
    files.sort();
    files
}

/// The files of the systemd unit this process runs in.
fn unit_files(machine: &Machine) -> Vec<PathBuf> {
    let Some(groups) = machine
        .process
        .and_then(|id| read_text(&machine.system(&format!("/proc/{id}/cgroup"))))
    else {
        return Vec::new();
    };
    let Some(unit) = groups
        .lines()
        .filter_map(|line| line.rsplit('/').next())
        .find(|name| name.ends_with(".service"))
    else {
        return Vec::new();
    };
    let places = [
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/lib/systemd/system",
    ];
    let mut files = Vec::new();
    for place in places.map(|place| machine.system(place)) {
        files.push(place.join(unit));
        files.extend(listed(&place.join(format!("{unit}.d")), "conf"));
    }
    files
}

/// `NAME=value`, `export NAME=value`, `set -gx NAME value`, `Environment="NAME=value"`.
fn collect(path: &Path, text: &str, out: &mut Vec<(String, String, PathBuf, usize)>) {
    for (at, line) in text.lines().enumerate() {
        for (name, value) in assignments(line) {
            out.push((name, value, path.to_owned(), at + 1));
        }
    }
}

fn assignments(line: &str) -> Vec<(String, String)> {
    let line = line.trim();
    if line.starts_with('#') {
        return Vec::new();
    }
    for prefix in ["Environment=", "DefaultEnvironment="] {
        if let Some(rest) = line.strip_prefix(prefix) {
            return words(rest).iter().filter_map(|word| pair(word)).collect();
        }
    }
    let parts = words(line);
    let mut parts = parts.iter().map(String::as_str).peekable();
    match parts.peek().copied() {
        Some("export" | "declare" | "typeset") => {
            parts.next();
            parts.filter_map(pair).collect()
        }
        Some("set") => {
            let mut rest = parts.skip(1).filter(|word| !word.starts_with('-'));
            match (rest.next(), rest.next()) {
                (Some(name), Some(value)) if is_name(name) => {
                    vec![(name.to_owned(), value.to_owned())]
                }
                _ => Vec::new(),
            }
        }
        _ => parts.map_while(pair).collect(),
    }
}

fn pair(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    is_name(name).then(|| (name.to_owned(), value.to_owned()))
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The words of a shell line up to a comment or the next command, without their quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ';' | '&') => break,
            (None, '#') if word.is_none() => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// The ancestors of a process whose environment may be read, nearest first.
fn ancestors(machine: &Machine, mut id: u32) -> Vec<Process> {
    let mut found = Vec::new();
    for _ in 0..64 {
        let Some(parent) = parent_of(machine, id).filter(|parent| *parent > 0) else {
            break;
        };
        id = parent;
        let Some(variables) = variables_of(machine, id) else {
            break;
        };
        let name = read_text(&machine.system(&format!("/proc/{id}/comm"))).unwrap_or_default();
        found.push(Process {
            id,
            name: name.trim().to_owned(),
            variables,
        });
    }
    found
}

/// The environment a process was started with, where it may be read.
pub(super) fn variables_of(machine: &Machine, id: u32) -> Option<Vec<(String, String)>> {
    let bytes = std::fs::read(machine.system(&format!("/proc/{id}/environ"))).ok()?;
    let variables = bytes.split(|b| *b == 0).filter_map(|entry| {
        let entry = String::from_utf8_lossy(entry);
        let (name, value) = entry.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    Some(variables.collect())
}

/// The name of a process may hold anything, so the fields are counted from behind its parenthesis.
fn parent_of(machine: &Machine, id: u32) -> Option<u32> {
    let stat = read_text(&machine.system(&format!("/proc/{id}/stat")))?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn place(machine: &Machine) -> Option<Source> {
    let ci = CI
        .iter()
        .find(|(name, _)| machine.environment.non_empty(name).is_some());
    if let Some((_, name)) = ci {
        return Some(Source::Ci(name));
    }
    let marks = ["/.dockerenv", "/run/.containerenv"];
    marks
        .iter()
        .any(|mark| machine.system(mark).exists())
        .then_some(Source::Container)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    #[test]
    fn assignments_are_read_off_lines() {
        let rows: [(&str, &[(&str, &str)]); 12] = [
            (
                "export GOPROXY=https://a,direct",
                &[("GOPROXY", "https://a,direct")],
            ),
            (
                "  export GOPROXY='https://a' # c",
                &[("GOPROXY", "https://a")],
            ),
            ("export A=1 B=\"2 3\"", &[("A", "1"), ("B", "2 3")]),
            ("GOPROXY=https://a", &[("GOPROXY", "https://a")]),
            ("GOPROXY=off go build", &[("GOPROXY", "off")]),
            ("set -gx GOPROXY https://a", &[("GOPROXY", "https://a")]),
            (
                "Environment=\"GOPROXY=https://a b\" X=1",
                &[("GOPROXY", "https://a b"), ("X", "1")],
            ),
            ("# export GOPROXY=x", &[]),
            ("echo GOPROXY=x", &[]),
            ("export GOPROXY", &[]),
            ("export A=1; export B=2", &[("A", "1")]),
            ("", &[]),
        ];
        for (line, expected) in rows {
            let found = assignments(line);
            let found: Vec<(&str, &str)> = found
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn files_and_ancestors_that_set_a_variable_are_named() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("home/.bashrc", "# mine\nexport GOPROXY=https://a\n");
        write("etc/environment", "GOPROXY=https://b\n");
        write("proc/9/stat", "9 (a) b) S 8 1\n");
        write("proc/8/stat", "8 (bash) S 7 1\n");
        write("proc/8/comm", "bash\n");
        write("proc/8/environ", "A=1\0GOPROXY=https://a\0");
        write("proc/7/stat", "7 (sshd) S 0 1\n");
        write("proc/7/comm", "sshd\n");
        write("proc/7/environ", "A=1\0");
        let machine = Machine {
            environment: Environment::from_pairs([(
                "HOME",
                root.path().join("home").to_str().unwrap(),
            )]),
            directory: root.path().to_owned(),
            root: root.path().to_owned(),
            process: Some(9),
            patience: std::time::Duration::from_secs(1),
        };
        let found = Provenance::read(&machine).of("GOPROXY", "https://a");
        let sources: Vec<Source> = found.into_iter().map(|by| by.source).collect();
        let expected = [
            Source::File {
                path: root.path().join("home/.bashrc"),
                line: 2,
            },
            Source::Process {
                id: 8,
                name: "bash".to_owned(),
            },
        ];
        assert_eq!(sources, expected);
    }
}
