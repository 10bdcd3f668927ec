//! Proxy auto-configuration files that desktops and browsers of this machine use. `go` and `git` do not look at them;
//! what they say is what a person takes for "the proxy settings".

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::git::run;
use super::machine::{Machine, read_text};
use crate::redact::redact_text;

/// Most files that are looked at.
const MOST: usize = 4;

/// The address of a proxy auto-configuration file. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct AutoConfig {
    /// A URL, or a path. It may hold a password: see [`redact_text`].
    pub address: String,
    /// Where it is set: a variable, a file, a program.
    pub set_in: String,
}

impl fmt::Debug for AutoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AutoConfig")
            .field("address", &redact_text(&self.address))
            .field("set_in", &self.set_in)
            .finish()
    }
}

/// Files in which administrators prescribe a proxy for Chromium and its kin.
const CHROMIUM: [&str; 4] = [
    "/etc/opt/chrome/policies/managed",
    "/etc/chromium/policies/managed",
    "/etc/opt/edge/policies/managed",
    "/etc/brave/policies/managed",
];

/// The files in which they prescribe one for Firefox.
const FIREFOX: [&str; 2] = [
    "/etc/firefox/policies/policies.json",
    "/usr/lib/firefox/distribution/policies.json",
];

/// Where Firefox keeps its profiles, below the home directory.
const PROFILES: [&str; 3] = [
    ".mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    "Library/Application Support/Firefox/Profiles",
];

/// All that are set, each address once.
pub(super) fn find(machine: &Machine) -> Vec<AutoConfig> {
    let mut found: Vec<AutoConfig> = Vec::new();
    let all = of_environment(machine)
        .chain(of_policies(machine))
        .chain(of_kde(machine))
        .chain(of_desktop(machine))
        .chain(of_firefox(machine));
    for one in all {
        let is_new = found.iter().all(|known| known.address != one.address);
        if is_new && !one.address.is_empty() && found.len() < MOST {
            found.push(one);
        }
    }
    found
}

fn at(address: &str, path: &Path) -> AutoConfig {
    AutoConfig {
        address: address.trim().to_owned(),
        set_in: path.display().to_string(),
    }
}

fn of_environment(machine: &Machine) -> impl Iterator<Item = AutoConfig> {
    let names = ["auto_proxy", "AUTO_PROXY"].into_iter();
    names.filter_map(|name| {
        let address = machine.environment.non_empty(name)?;
        Some(AutoConfig {
            address: address.to_owned(),
            set_in: name.to_owned(),
        })
    })
}

fn of_policies(machine: &Machine) -> impl Iterator<Item = AutoConfig> {
    let chromium = CHROMIUM
        .iter()
        .flat_map(|directory| files(&machine.system(directory), "json"))
        .filter_map(|path| {
            let policies = json(&path)?;
            let of = |policies: &Value| {
                let is_script = policies["ProxyMode"].as_str() == Some("pac_script");
                let address = policies["ProxyPacUrl"].as_str()?;
                is_script.then(|| at(address, &path))
            };
            of(&policies["ProxySettings"]).or_else(|| of(&policies))
        });
    let firefox = FIREFOX.iter().filter_map(|file| {
        let path = machine.system(file);
        let policies = json(&path)?;
        let proxy = &policies["policies"]["Proxy"];
        let is_script = proxy["Mode"].as_str() == Some("autoConfig");
        let address = proxy["AutoConfigURL"].as_str()?;
        is_script.then(|| at(address, &path))
    });
    chromium.chain(firefox)
}

fn of_kde(machine: &Machine) -> impl Iterator<Item = AutoConfig> {
    let path = configuration(machine).map(|directory| directory.join("kioslaverc"));
    path.into_iter().filter_map(|path| {
        let text = read_text(&path)?;
        let value = |name: &str| {
            let lines = text
                .lines()
                .skip_while(|line| line.trim() != "[Proxy Settings]")
                .skip(1);
            let mut lines = lines.take_while(|line| !line.starts_with('['));
            lines.find_map(|line| {
                let (key, value) = line.split_once('=')?;
                // `[$e]` and the like tell KDE to expand variables.
                let key = key.split('[').next().unwrap_or_default();
                (key.trim() == name).then(|| value.trim().to_owned())
            })
        };
        let is_script = value("ProxyType").as_deref() == Some("2");
        let address = value("Proxy Config Script")?;
        is_script.then(|| at(&address, &path))
    })
}

/// GNOME and macOS keep it where only a program of theirs reads it.
fn of_desktop(machine: &Machine) -> impl Iterator<Item = AutoConfig> {
    let gnome = || {
        // Outside of a session there is nothing to be told, and it would make a directory in the user's home.
        let session = machine.environment.non_empty("XDG_RUNTIME_DIR")?;
        Path::new(session).is_dir().then_some(())?;
        let program = machine.environment.look_path("gsettings")?;
        let get = |key: &str| {
            let said = ask(machine, &program, &["get", "org.gnome.system.proxy", key])?;
            Some(said.trim().trim_matches('\'').to_owned())
        };
        (get("mode")? == "auto").then_some(())?;
        Some(AutoConfig {
            address: get("autoconfig-url")?,
            set_in: "gsettings org.gnome.system.proxy".to_owned(),
        })
    };
    let mac = || {
        if !cfg!(target_os = "macos") {
            return None;
        }
        let said = ask(machine, Path::new("/usr/sbin/scutil"), &["--proxy"])?;
        let value = |name: &str| {
            said.lines().find_map(|line| {
                let (key, value) = line.split_once(" : ")?;
                (key.trim() == name).then(|| value.trim().to_owned())
            })
        };
        (value("ProxyAutoConfigEnable")? == "1").then_some(())?;
        Some(AutoConfig {
            address: value("ProxyAutoConfigURLString")?,
            set_in: "scutil --proxy".to_owned(),
        })
    };
    gnome().into_iter().chain(mac())
}

fn of_firefox(machine: &Machine) -> impl Iterator<Item = AutoConfig> {
    let home = machine.home().unwrap_or_default();
    let profiles = PROFILES
        .iter()
        .filter(move |_| home.is_absolute())
        .flat_map({
            let home = machine.home().unwrap_or_default();
            move |place| entries(&home.join(place))
        });
    profiles.filter_map(|profile| {
        // What the second file says comes first.
        let texts = ["user.js", "prefs.js"].map(|file| {
            let path = profile.join(file);
            read_text(&path).map(|text| (path, text))
        });
        let preference = |name: &str| {
            texts.iter().flatten().find_map(|(path, text)| {
                let value = text.lines().find_map(|line| {
                    let rest = line.trim().strip_prefix("user_pref(\"")?;
                    let rest = rest.strip_prefix(name)?.strip_prefix("\",")?;
                    let value = rest.trim().strip_suffix(");")?;
                    Some(value.trim().trim_matches('"').to_owned())
                })?;
                Some((path, value))
            })
        };
        let (_, kind) = preference("network.proxy.type")?;
        let (path, address) = preference("network.proxy.autoconfig_url")?;
        (kind == "2").then(|| at(&address, path))
    })
}

fn configuration(machine: &Machine) -> Option<PathBuf> {
    match machine.environment.non_empty("XDG_CONFIG_HOME") {
        Some(directory) if Path::new(directory).is_absolute() => Some(PathBuf::from(directory)),
        _ => machine.home().map(|home| home.join(".config")),
    }
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_str(&read_text(path)?).ok()
}

/// What a directory holds, in order.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).take(256).collect();
    paths.sort();
    paths
}

fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files = entries(directory);
    files.retain(|path| path.extension().is_some_and(|found| found == ending));
    files
}

/// What a program prints, if it does so in time.
fn ask(machine: &Machine, program: &Path, arguments: &[&str]) -> Option<String> {
    let environment = &machine.environment;
    let wanted = [
        "HOME",
        "PATH",
        "XDG_CONFIG_HOME",
        "XDG_RUNTIME_DIR",
        "DBUS_SESSION_BUS_ADDRESS",
    ];
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(
            wanted
                .iter()
                .filter_map(|name| Some((name, environment.get(name)?))),
        )
        .env("XDG_CACHE_HOME", std::env::temp_dir())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let said = run(command, machine.patience / 4).ok()?;
    Some(String::from_utf8_lossy(&said).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn machine(root: &Path, pairs: &[(&str, &str)]) -> Machine {
        let home = root.join("home").display().to_string();
        let mut all = vec![("HOME", home.as_str())];
        all.extend(pairs);
        Machine {
            environment: Environment::from_pairs(all),
            directory: root.to_owned(),
            root: root.to_owned(),
            process: None,
            patience: std::time::Duration::from_secs(20),
        }
    }

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn every_place_that_is_switched_on_is_found() {
        for (file, text) in [
            (
                "home/.config/kioslaverc",
                "[Other]\nProxyType=0\n[Proxy Settings]\nProxy Config Script[$e]=http://a.test/p\nProxyType=2\n",
            ),
            (
                "etc/opt/chrome/policies/managed/x.json",
                r#"{"ProxyMode": "pac_script", "ProxyPacUrl": "http://a.test/p"}"#,
            ),
            (
                "etc/chromium/policies/managed/x.json",
                r#"{"ProxySettings": {"ProxyMode": "pac_script", "ProxyPacUrl": "http://a.test/p"}}"#,
            ),
            (
                "etc/firefox/policies/policies.json",
                r#"{"policies": {"Proxy": {"Mode": "autoConfig", "AutoConfigURL": "http://a.test/p"}}}"#,
            ),
            (
                "home/.mozilla/firefox/x.default/prefs.js",
                "user_pref(\"network.proxy.autoconfig_url\", \"http://a.test/p\");\nuser_pref(\"network.proxy.type\", 2);\n",
            ),
        ] {
            let root = tempfile::tempdir().unwrap();
            write(root.path(), file, text);
            let found = find(&machine(root.path(), &[]));
            assert_eq!(found.len(), 1, "{file}");
            assert_eq!(found[0].address, "http://a.test/p", "{file}");
            assert!(found[0].set_in.ends_with(file), "{:?}", found[0]);
            let off = text
                .replace("ProxyType=2", "ProxyType=0")
                .replace("pac_script", "direct")
                .replace("autoConfig", "none")
                .replace("type\", 2", "type\", 0");
            write(root.path(), file, &off);
            assert!(find(&machine(root.path(), &[])).is_empty(), "{file}");
        }
    }

    #[test]
    fn one_address_is_told_once_and_without_its_password() {
        let root = tempfile::tempdir().unwrap();
        let address = "http://me:secret-word@a.test/p";
        let found = find(&machine(
            root.path(),
            &[("auto_proxy", address), ("AUTO_PROXY", address)],
        ));
        assert_eq!(found.len(), 1);
        assert!(!format!("{found:?}").contains("secret-word"));
    }

    #[cfg(unix)]
    #[test]
    fn gnome_is_asked_by_its_own_program() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let script =
            "#!/bin/sh\ncase $3 in mode) echo \"'auto'\";; *) echo \"'http://g.test/p'\";; esac\n";
        write(root.path(), "bin/script", script);
        // Written by another process, so that none of this one's children holds it open while it is run.
        let copied = Command::new("cp")
            .args(["script", "gsettings"])
            .current_dir(root.path().join("bin"))
            .status();
        assert!(copied.unwrap().success());
        let program = root.path().join("bin/gsettings");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", root.path().join("bin").display());
        let session = root.path().display().to_string();
        let found = find(&machine(
            root.path(),
            &[("PATH", &path), ("XDG_RUNTIME_DIR", &session)],
        ));
        assert_eq!(found[0].address, "http://g.test/p");
        assert!(find(&machine(root.path(), &[("PATH", &path)])).is_empty());
    }
}
