//! A snapshot of environment variables and the directories they name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Operating systems by the rule they follow for users' directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Platform {
    Unix,
    Darwin,
    Windows,
}

impl Platform {
    fn current() -> Self {
        match std::env::consts::OS {
            "windows" => Self::Windows,
            "macos" | "ios" => Self::Darwin,
            _ => Self::Unix,
        }
    }
}

/// An immutable snapshot of environment variables.
///
/// It is taken once at the start and handed down, so that every decision can be repeated and
/// tested. A variable that is set but empty counts as not set in all of Go's rules; [`Self::get`]
/// still tells the two apart.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    platform: Platform,
}

impl Environment {
    /// The environment of this process. Bytes that are not UTF-8 are replaced; names that are not
    /// UTF-8 are left out.
    ///
    /// Of several variables with one name the first counts, as for Go and the C library.
    pub fn from_process() -> Self {
        let mut snapshot = Self::from_pairs(std::iter::empty::<(String, String)>());
        // The variant for text would panic on a variable that is not UTF-8.
        for (name, value) in std::env::vars_os() {
            if let Ok(name) = name.into_string() {
                let name = snapshot.platform.variable_name(&name);
                snapshot
                    .variables
                    .entry(name)
                    .or_insert_with(|| value.to_string_lossy().into_owned());
            }
        }
        snapshot
    }

    /// An environment made of the given pairs. Of several pairs with one name the last counts.
    pub fn from_pairs<I, K, V>(pairs: I) -> Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: Into<String>,
        V: Into<String>,
    {
        let platform = Platform::current();
        let variables = pairs
            .into_iter()
            .map(|(name, value)| (platform.variable_name(&name.into()), value.into()))
            .collect();
        Self {
            variables,
            platform,
        }
    }

    /// The names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// The value of a variable; `Some("")` when it is set but empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = if self.platform == Platform::Windows {
            self.variables.get(&self.platform.variable_name(name))
        } else {
            self.variables.get(name)
        };
        value.map(String::as_str)
    }

    /// The value of a variable, unless it is empty.
    pub fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The user's home directory (os.UserHomeDir).
    pub fn home_dir(&self) -> Result<PathBuf, Error> {
        match self.platform {
            Platform::Windows => self.directory("USERPROFILE", "%userprofile% is not defined"),
            Platform::Unix | Platform::Darwin => self.directory("HOME", "$HOME is not defined"),
        }
    }

    /// Where users' configuration lives: `$XDG_CONFIG_HOME`, else `~/.config`, and the customs of
    /// macOS and Windows (os.UserConfigDir).
    pub fn user_config_dir(&self) -> Result<PathBuf, Error> {
        self.user_dir(&UserDir {
            xdg: "XDG_CONFIG_HOME",
            below_home: ".config",
            below_home_on_darwin: "Library/Application Support",
            on_windows: "AppData",
            undefined: "neither $XDG_CONFIG_HOME nor $HOME are defined",
            relative: "path in $XDG_CONFIG_HOME is relative",
            undefined_on_windows: "%AppData% is not defined",
        })
    }

    /// Where caches of users live: `$XDG_CACHE_HOME`, else `~/.cache` (os.UserCacheDir).
    pub fn user_cache_dir(&self) -> Result<PathBuf, Error> {
        self.user_dir(&UserDir {
            xdg: "XDG_CACHE_HOME",
            below_home: ".cache",
            below_home_on_darwin: "Library/Caches",
            on_windows: "LocalAppData",
            undefined: "neither $XDG_CACHE_HOME nor $HOME are defined",
            relative: "path in $XDG_CACHE_HOME is relative",
            undefined_on_windows: "%LocalAppData% is not defined",
        })
    }

    /// Where data of users lives: `$XDG_DATA_HOME`, else `~/.local/share` (XDG Base Directory
    /// Specification; Go has no such function).
    pub fn user_data_dir(&self) -> Result<PathBuf, Error> {
        self.user_dir(&UserDir {
            xdg: "XDG_DATA_HOME",
            below_home: ".local/share",
            below_home_on_darwin: "Library/Application Support",
            on_windows: "LocalAppData",
            undefined: "neither $XDG_DATA_HOME nor $HOME are defined",
            relative: "path in $XDG_DATA_HOME is relative",
            undefined_on_windows: "%LocalAppData% is not defined",
        })
    }

    fn user_dir(&self, rule: &UserDir) -> Result<PathBuf, Error> {
        match self.platform {
            Platform::Windows => self.directory(rule.on_windows, rule.undefined_on_windows),
            Platform::Darwin => {
                let home = self.directory("HOME", "$HOME is not defined")?;
                Ok(home.join(rule.below_home_on_darwin))
            }
            Platform::Unix => match self.non_empty(rule.xdg) {
                Some(dir) if Path::new(dir).is_absolute() => Ok(PathBuf::from(dir)),
                Some(_) => Err(Error::NoDirectory(rule.relative)),
                None => Ok(self
                    .directory("HOME", rule.undefined)?
                    .join(rule.below_home)),
            },
        }
    }

    fn directory(&self, variable: &str, undefined: &'static str) -> Result<PathBuf, Error> {
        self.non_empty(variable)
            .map(PathBuf::from)
            .ok_or(Error::NoDirectory(undefined))
    }

    /// The program a shell would start for `name`: the first of [`Self::path_matches`].
    pub fn look_path(&self, name: &str) -> Option<PathBuf> {
        self.path_matches(name).next()
    }

    /// All programs called `name` in the directories of `PATH`, in order. An empty entry means the
    /// working directory.
    ///
    /// The result is relative when its entry of `PATH` is; Go refuses to run such a program
    /// (exec.ErrDot).
    pub fn path_matches(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let names = self.program_names(name);
        let path = self.non_empty("PATH");
        let directories: Vec<PathBuf> = path.into_iter().flat_map(std::env::split_paths).collect();
        directories.into_iter().flat_map(move |dir| {
            let dir = if dir.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                dir
            };
            let found = names
                .iter()
                .map(|name| dir.join(name))
                .find(|program| is_executable(program));
            found.into_iter()
        })
    }

    fn program_names(&self, name: &str) -> Vec<String> {
        if self.platform != Platform::Windows {
            return vec![name.to_owned()];
        }
        let extensions = self.non_empty("PATHEXT").unwrap_or(".com;.exe;.bat;.cmd");
        extensions
            .split(';')
            .map(|extension| format!("{name}{extension}"))
            .collect()
    }
}

impl fmt::Debug for Environment {
    /// Names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl Platform {
    /// Windows does not tell `Path` from `PATH`.
    fn variable_name(self, name: &str) -> String {
        if self == Self::Windows {
            name.to_uppercase()
        } else {
            name.to_owned()
        }
    }
}

/// How one of the base directories is found.
struct UserDir {
    xdg: &'static str,
    below_home: &'static str,
    below_home_on_darwin: &'static str,
    on_windows: &'static str,
    undefined: &'static str,
    relative: &'static str,
    undefined_on_windows: &'static str,
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(platform: Platform, pairs: &[(&str, &str)]) -> Environment {
        let variables = pairs
            .iter()
            .map(|&(name, value)| (platform.variable_name(name), value.to_owned()))
            .collect();
        Environment {
            variables,
            platform,
        }
    }

    fn shown(dir: Result<PathBuf, Error>) -> String {
        match dir {
            Ok(dir) => dir.to_string_lossy().replace('\\', "/"),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn an_empty_variable_is_told_from_a_missing_one() {
        let environment = Environment::from_pairs([("A", ""), ("B", "x"), ("B", "y")]);
        assert_eq!(environment.get("A"), Some(""));
        assert_eq!(environment.non_empty("A"), None);
        assert_eq!(environment.get("B"), Some("y"));
        assert_eq!(environment.get("C"), None);
    }

    #[test]
    fn the_process_environment_is_read() {
        let environment = Environment::from_process();
        assert!(environment.non_empty("PATH").is_some());
    }

    #[test]
    fn values_do_not_show_in_debug_output() {
        let shown = format!("{:?}", Environment::from_pairs([("TOKEN", "hunter2")]));
        assert!(
            shown.contains("TOKEN") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn windows_does_not_tell_upper_from_lower_case() {
        let environment = on(Platform::Windows, &[("Path", "x")]);
        assert_eq!(environment.get("PATH"), Some("x"));
        assert_eq!(on(Platform::Unix, &[("Path", "x")]).get("PATH"), None);
    }

    #[test]
    fn base_directories_follow_the_platform() {
        let unix = on(
            Platform::Unix,
            &[
                ("HOME", "/h"),
                ("XDG_DATA_HOME", "/d"),
                ("XDG_CACHE_HOME", "c"),
            ],
        );
        assert_eq!(shown(unix.home_dir()), "/h");
        assert_eq!(shown(unix.user_config_dir()), "/h/.config");
        assert_eq!(shown(unix.user_data_dir()), "/d");
        assert_eq!(
            shown(unix.user_cache_dir()),
            "error: path in $XDG_CACHE_HOME is relative"
        );

        let bare = on(Platform::Unix, &[("HOME", "")]);
        assert_eq!(shown(bare.home_dir()), "error: $HOME is not defined");
        assert_eq!(
            shown(bare.user_config_dir()),
            "error: neither $XDG_CONFIG_HOME nor $HOME are defined"
        );

        let mac = on(
            Platform::Darwin,
            &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/ignored")],
        );
        assert_eq!(
            shown(mac.user_config_dir()),
            "/h/Library/Application Support"
        );
        assert_eq!(shown(mac.user_cache_dir()), "/h/Library/Caches");

        let windows = on(
            Platform::Windows,
            &[("AppData", "/roaming"), ("UserProfile", "/u")],
        );
        assert_eq!(shown(windows.user_config_dir()), "/roaming");
        assert_eq!(shown(windows.home_dir()), "/u");
        assert_eq!(
            shown(windows.user_cache_dir()),
            "error: %LocalAppData% is not defined"
        );
    }

    #[cfg(unix)]
    #[test]
    fn programs_are_found_in_the_order_of_path() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let dirs = ["a", "b", "c", "d"].map(|dir| root.path().join(dir));
        for dir in &dirs {
            std::fs::create_dir(dir).unwrap();
        }
        // In `a` the file is not executable, in `b` it is a directory.
        std::fs::write(dirs[0].join("go"), "").unwrap();
        std::fs::create_dir(dirs[1].join("go")).unwrap();
        for dir in &dirs[2..] {
            std::fs::write(dir.join("go"), "").unwrap();
            std::fs::set_permissions(dir.join("go"), std::fs::Permissions::from_mode(0o755))
                .unwrap();
        }
        let path = std::env::join_paths(&dirs).unwrap().into_string().unwrap();
        let environment = Environment::from_pairs([("PATH", path)]);
        assert_eq!(environment.look_path("go"), Some(dirs[2].join("go")));
        assert_eq!(environment.path_matches("go").count(), 2);
        assert_eq!(environment.look_path("gofmt"), None);
    }
}
