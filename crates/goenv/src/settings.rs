//! All settings together, as `go` would see them in a given environment (cmd/go/internal/cfg,
//! envcmd).

use std::path::{Path, PathBuf};

use crate::env_file::EnvFile;
use crate::environment::Environment;
use crate::goroot;
use crate::key::{DefaultRule, Key};
use crate::origin::{Origin, Setting, Shadowed};
use crate::paths;
use crate::problem::Problem;

/// The settings of the `go` command with their origins.
///
/// `go` itself is never run. Two things only a run could tell are left out: the toolchain that a
/// go.mod may ask for in place of the one in `PATH`, and the go.work file of a directory (GOWORK is
/// the setting, not the file found).
#[derive(Clone, Debug)]
pub struct GoEnv {
    settings: Vec<Setting>,
    problems: Vec<Problem>,
    user_file: Option<PathBuf>,
    goroot_version: Option<String>,
}

impl GoEnv {
    /// Reads the settings files that `environment` leads to. It never fails: what is wrong with
    /// them is in [`Self::problems`].
    pub fn load(environment: &Environment) -> Self {
        let mut problems = Vec::new();
        let sources = Sources::read(environment, &mut problems);
        let mut loaded = Self {
            settings: Vec::new(),
            problems,
            user_file: sources.user.as_ref().map(|file| file.path.clone()),
            goroot_version: sources.goroot_version.clone(),
        };
        loaded.settings = Key::all().map(|key| sources.setting(key)).collect();
        check_values(&loaded.settings, &mut loaded.problems);
        loaded
    }

    /// One setting.
    pub fn get(&self, key: Key) -> &Setting {
        // There is one setting for each key, in the order of the keys.
        &self.settings[key as usize]
    }

    /// The value of one setting.
    pub fn value(&self, key: Key) -> &str {
        &self.get(key).value
    }

    /// All settings, by name.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// What was odd about files and values, in the order found.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The file of `go env -w`, whether it exists or not; none with `GOENV=off` and without a home.
    pub fn user_file(&self) -> Option<&Path> {
        self.user_file.as_deref()
    }

    /// The release of the Go tree, such as `go1.26.1`, when the tree says so.
    pub fn goroot_version(&self) -> Option<&str> {
        self.goroot_version.as_deref()
    }
}

/// Everything settings are taken from.
struct Sources<'a> {
    environment: &'a Environment,
    user: Option<EnvFile>,
    goroot_file: Option<EnvFile>,
    /// The tree of the `go` in `PATH`, for when nobody has set GOROOT.
    own_tree: Option<PathBuf>,
    goroot_version: Option<String>,
}

/// A value somebody has set.
type Candidate = Shadowed;

impl<'a> Sources<'a> {
    fn read(environment: &'a Environment, problems: &mut Vec<Problem>) -> Self {
        let user = read_user_file(environment, problems);
        let mut sources = Self {
            environment,
            user,
            goroot_file: None,
            own_tree: None,
            goroot_version: None,
        };
        sources.own_tree = goroot::of_program_in_path(environment);
        match sources.tree_with_go_env() {
            Some(tree) => {
                sources.goroot_version = goroot::version_of(&tree);
                sources.goroot_file = Some(read_goroot_file(
                    &tree,
                    sources.goroot_version.as_deref(),
                    problems,
                ));
            }
            None => problems.push(Problem::NoGoroot),
        }
        sources
    }

    /// The tree whose `go.env` is read. Unlike everywhere else, the user's file comes before the
    /// environment here.
    fn tree_with_go_env(&self) -> Option<PathBuf> {
        let set = self
            .user_value(Key::GOROOT)
            .or_else(|| self.environment.non_empty(Key::GOROOT.name()));
        set.map(|tree| paths::clean(Path::new(tree)))
            .or_else(|| self.own_tree.clone())
    }

    fn user_value(&self, key: Key) -> Option<&str> {
        let line = self.user.as_ref()?.assignments_of(key.name()).next()?;
        Some(line.value.as_str()).filter(|value| !value.is_empty())
    }

    /// The first value somebody has set counts. When that is empty, which only a file can say, the
    /// default does.
    fn setting(&self, key: Key) -> Setting {
        let mut set = self.candidates(key);
        if set.first().is_some_and(|first| !first.value.is_empty()) {
            let Candidate { value, origin } = set.remove(0);
            return Setting {
                key,
                value: normalize(key, value, &origin),
                origin,
                shadowed: set,
            };
        }
        let (value, origin) = self.default(key);
        if value.is_empty() && !set.is_empty() {
            let Candidate { value, origin } = set.remove(0);
            return Setting {
                key,
                value,
                origin,
                shadowed: set,
            };
        }
        Setting {
            key,
            value,
            origin,
            shadowed: set,
        }
    }

    /// All values somebody has set, in the order they count.
    fn candidates(&self, key: Key) -> Vec<Candidate> {
        let name = key.name();
        let variable = self.environment.non_empty(name).map(|value| Candidate {
            value: value.to_owned(),
            origin: Origin::Environment {
                name: name.to_owned(),
            },
        });
        let user = self
            .user
            .iter()
            .filter(|_| key != Key::GOENV)
            .flat_map(|file| {
                file.assignments_of(name).map(|line| Candidate {
                    value: line.value.clone(),
                    origin: Origin::UserFile {
                        path: file.path.clone(),
                        line: line.line,
                    },
                })
            });
        let has_go_env = !matches!(key, Key::GOENV | Key::GOROOT);
        let goroot = self
            .goroot_file
            .iter()
            .filter(|_| has_go_env)
            .flat_map(|file| {
                file.assignments_of(name).map(|line| Candidate {
                    value: line.value.clone(),
                    origin: Origin::GorootFile {
                        path: file.path.clone(),
                        line: line.line,
                    },
                })
            });
        variable.into_iter().chain(user).chain(goroot).collect()
    }

    fn default(&self, key: Key) -> (String, Origin) {
        let value = match key.default_rule() {
            DefaultRule::Fixed(value) => value.to_owned(),
            DefaultRule::GorootFile(built_in) if self.lacks_go_env() => built_in.to_owned(),
            DefaultRule::Empty | DefaultRule::GorootFile(_) => String::new(),
            DefaultRule::SameAs(from) => return inherited(self.setting(from).value, from),
            DefaultRule::BelowGopath(below) => return self.below_gopath(below),
            DefaultRule::BelowHome(below) => self.default_gopath(below),
            DefaultRule::BelowUserCache(below) => {
                let cache = self.environment.user_cache_dir();
                cache.map_or_else(
                    |_| "off".to_owned(),
                    |dir| paths::text(&paths::clean(&dir.join(below))),
                )
            }
            DefaultRule::BelowUserConfig(_) => self
                .user
                .as_ref()
                .map(|file| paths::text(&file.path))
                .unwrap_or_default(),
            DefaultRule::OwnTree => self
                .own_tree
                .as_deref()
                .map(paths::text)
                .unwrap_or_default(),
        };
        (value, Origin::Default)
    }

    /// True when the defaults of `go.env` are not in such a file: before Go 1.21, and when there is
    /// no Go at all.
    fn lacks_go_env(&self) -> bool {
        let Some(file) = &self.goroot_file else {
            return true;
        };
        !file.exists
            && self
                .goroot_version
                .as_deref()
                .is_some_and(goroot::has_built_in_defaults)
    }

    fn below_gopath(&self, below: &str) -> (String, Origin) {
        let gopath = self.setting(Key::GOPATH);
        let first = std::env::split_paths(&gopath.value).next();
        let value = first
            .filter(|dir| !dir.as_os_str().is_empty())
            .map(|dir| paths::text(&paths::clean(&dir.join(below))))
            .unwrap_or_default();
        if gopath.origin == Origin::Default {
            (value, Origin::Default)
        } else {
            inherited(value, Key::GOPATH)
        }
    }

    /// `go` in the user's home, unless that is the Go tree itself or home is a relative path.
    fn default_gopath(&self, below: &str) -> String {
        let Ok(home) = self.environment.home_dir() else {
            return String::new();
        };
        let gopath = paths::clean(&home.join(below));
        let goroot = self
            .environment
            .non_empty(Key::GOROOT.name())
            .map(Path::new)
            .or(self.own_tree.as_deref());
        let is_goroot = goroot.is_some_and(|goroot| paths::clean(goroot) == gopath);
        if is_goroot || gopath.is_relative() {
            String::new()
        } else {
            paths::text(&gopath)
        }
    }
}

fn inherited(value: String, from: Key) -> (String, Origin) {
    if value.is_empty() {
        (value, Origin::Default)
    } else {
        (value, Origin::Inherited { from })
    }
}

/// What go makes of a value when it reads it.
fn normalize(key: Key, value: String, origin: &Origin) -> String {
    let from_file = matches!(origin, Origin::UserFile { .. });
    match key {
        // The environment's value is taken as it is.
        Key::GOROOT if from_file => paths::text(&paths::clean(Path::new(&value))),
        Key::GOCACHE if Path::new(&value).is_relative() => "off".to_owned(),
        _ => value,
    }
}

fn read_user_file(environment: &Environment, problems: &mut Vec<Problem>) -> Option<EnvFile> {
    let named = environment.non_empty(Key::GOENV.name());
    if named == Some("off") {
        return None;
    }
    let path = match (named, environment.user_config_dir()) {
        (Some(path), _) => PathBuf::from(path),
        (None, Ok(dir)) => paths::clean(&dir.join("go/env")),
        (None, Err(error)) => {
            problems.push(Problem::NoUserFile {
                reason: error.to_string(),
            });
            return None;
        }
    };
    let file = EnvFile::read(&path, problems);
    if named.is_some() && !file.exists {
        problems.push(Problem::MissingUserFile { path });
    }
    Some(file)
}

fn read_goroot_file(tree: &Path, version: Option<&str>, problems: &mut Vec<Problem>) -> EnvFile {
    let file = EnvFile::read(&tree.join("go.env"), problems);
    if !file.exists && !version.is_some_and(goroot::has_built_in_defaults) {
        problems.push(Problem::MissingGorootFile {
            path: file.path.clone(),
        });
    }
    for line in file.assignments_of(Key::GOROOT.name()) {
        let (path, name) = (file.path.clone(), line.name.clone());
        problems.push(Problem::DeafKey {
            path,
            line: line.line,
            name,
        });
    }
    file
}

/// Values with which go commands end in an error, in go's words (cmd/go/main.go, modload/init.go,
/// cache/default.go).
fn check_values(settings: &[Setting], problems: &mut Vec<Problem>) {
    for setting in settings {
        if let Some(reason) = invalid(setting) {
            problems.push(Problem::InvalidValue {
                key: setting.key,
                reason,
            });
        }
    }
}

fn invalid(setting: &Setting) -> Option<String> {
    let value = setting.value.as_str();
    let is_relative = |path: &str| !path.is_empty() && Path::new(path).is_relative();
    match setting.key {
        Key::GO111MODULE if !matches!(value, "" | "on" | "auto" | "off") => {
            Some(format!("unknown environment setting GO111MODULE={value}"))
        }
        Key::GOPATH => std::env::split_paths(value).find_map(|dir| {
            let dir = dir.to_string_lossy().into_owned();
            if dir.starts_with('~') {
                Some(format!(
                    "GOPATH entry cannot start with shell metacharacter '~': {dir:?}"
                ))
            } else {
                is_relative(&dir)
                    .then(|| format!("GOPATH entry is relative; must be absolute path: {dir:?}"))
            }
        }),
        Key::GOMODCACHE if is_relative(value) => Some(format!(
            "GOMODCACHE entry is relative; must be absolute path: {value:?}"
        )),
        Key::GOCACHE if value == "off" => Some(match setting.origin {
            Origin::Default => {
                "GOCACHE is not defined, and there is no cache directory for it".to_owned()
            }
            _ => "GOCACHE is off or not an absolute path; a build needs a cache".to_owned(),
        }),
        Key::GOWORK if is_relative(value) && value != "off" && value != "auto" => {
            Some("invalid GOWORK: not an absolute path".to_owned())
        }
        _ => None,
    }
}
