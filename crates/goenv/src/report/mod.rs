//! Every setting and file that decides a download, in one place, read once.
//!
//! Nothing is written, no network is used, and no program is run but `git config --list` and those of a desktop that
//! tell its proxy.

mod auto_config;
mod credentials;
mod directories;
mod git;
mod machine;
mod project;
mod provenance;
mod running;
mod toolchains;

pub use auto_config::AutoConfig;
pub use credentials::{NetrcFile, Ssh};
pub use directories::{Directory, effective_user};
pub use git::{Git, GitValue};
pub use machine::Machine;
pub use provenance::{Provenance, SetBy, Source};
pub use running::Running;
pub use toolchains::{GoProgram, Toolchains, Wanted};

pub(crate) use machine::read_text;
pub(crate) use toolchains::above;
pub use toolchains::work_file;

use std::path::{Path, PathBuf};

use crate::http_proxy::HttpProxyRules;
use crate::key::Key;
use crate::origin::{Origin, Shadowed};
use crate::redact::redact_text;
use crate::settings::GoEnv;
use crate::trace::Rules;

/// One setting as a person sees it. `Debug` shows no passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// The value that counts. It may hold a password: see [`Self::redacted_value`].
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
    /// Who has set it there, as far as can be seen.
    pub set_by: Vec<SetBy>,
    /// Values that have no effect.
    pub shadowed: Vec<Shadowed>,
    /// True when go does not look at this variable.
    pub is_ignored: bool,
    /// Processes of this machine that run with another value.
    pub elsewhere: Vec<Running>,
}

impl Row {
    /// The value without passwords.
    pub fn redacted_value(&self) -> String {
        redact_text(&self.value)
    }
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sources: Vec<&Source> = self.set_by.iter().map(|by| &by.source).collect();
        f.debug_struct("Row")
            .field("name", &self.name)
            .field("value", &self.redacted_value())
            .field("origin", &self.origin)
            .field("set_by", &sources)
            .field("shadowed", &self.shadowed)
            .field("elsewhere", &self.elsewhere)
            .finish_non_exhaustive()
    }
}

/// Variables beside Go's own settings that decide a download. Those marked true are read by other
/// programs, but not by go.
const VARIABLES: [(&str, bool); 12] = [
    ("HOME", false),
    ("HTTPS_PROXY", false),
    ("https_proxy", false),
    ("HTTP_PROXY", false),
    ("http_proxy", false),
    ("NO_PROXY", false),
    ("no_proxy", false),
    ("ALL_PROXY", true),
    ("all_proxy", true),
    ("GOTMPDIR", false),
    ("SSL_CERT_FILE", false),
    ("SSL_CERT_DIR", false),
];

/// Everything that decides a download on this machine.
#[derive(Debug)]
pub struct Report {
    /// What it is about.
    pub machine: Machine,
    /// Go's own settings.
    pub go: GoEnv,
    /// All settings and variables, with who has set them.
    pub rows: Vec<Row>,
    /// The HTTP proxies.
    pub http: HttpProxyRules,
    /// git.
    pub git: Git,
    /// The netrc file.
    pub netrc: NetrcFile,
    /// ssh.
    pub ssh: Ssh,
    /// The `go` programs, and what the project wants.
    pub toolchains: Toolchains,
    /// GOMODCACHE, GOCACHE and the directory for temporary files.
    pub directories: Vec<Directory>,
    /// Proxy auto-configuration files, which go does not look at.
    pub auto_configs: Vec<AutoConfig>,
    /// Files that set variables, for whoever wants to ask about others.
    pub provenance: Provenance,
}

impl Report {
    /// Looks at everything.
    pub fn collect(machine: Machine) -> Self {
        let go = GoEnv::load(&machine.environment);
        let provenance = Provenance::read(&machine);
        let toolchains = Toolchains::read(&machine, &go);
        let mut rows = rows(&machine, &go, &provenance);
        project::workspace(&machine, &go, &mut rows);
        running::compare(&machine, &mut rows);
        rows.extend(project::rows(&machine, &go, &toolchains));
        Self {
            rows,
            http: HttpProxyRules::from_environment(&machine.environment),
            git: Git::read(&machine),
            netrc: NetrcFile::read(&machine),
            ssh: Ssh::read(&machine),
            toolchains,
            directories: directories(&machine, &go),
            auto_configs: auto_config::find(&machine),
            provenance,
            go,
            machine,
        }
    }

    /// The rules for tracing downloads.
    pub fn rules(&self) -> Rules {
        Rules::new(
            &self.go,
            self.http.clone(),
            self.netrc.entries.clone(),
            self.git.rewrites(),
        )
    }

    /// One row by name.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }
}

fn rows(machine: &Machine, go: &GoEnv, provenance: &Provenance) -> Vec<Row> {
    let set_by = |origin: &Origin, value: &str| match origin {
        Origin::Environment { name } => provenance.of(name, value),
        _ => Vec::new(),
    };
    let settings = go.settings().iter().map(|setting| Row {
        name: setting.key.name().to_owned(),
        value: setting.value.clone(),
        origin: setting.origin.clone(),
        set_by: set_by(&setting.origin, &setting.value),
        shadowed: setting.shadowed.clone(),
        is_ignored: false,
        elsewhere: Vec::new(),
    });
    let variables = VARIABLES.iter().filter_map(|&(name, is_ignored)| {
        let value = machine.environment.non_empty(name)?;
        Some(Row {
            name: name.to_owned(),
            value: value.to_owned(),
            origin: Origin::Environment {
                name: name.to_owned(),
            },
            set_by: provenance.of(name, value),
            shadowed: Vec::new(),
            is_ignored,
            elsewhere: Vec::new(),
        })
    });
    settings.chain(variables).collect()
}

fn directories(machine: &Machine, go: &GoEnv) -> Vec<Directory> {
    let named = [("GOMODCACHE", Key::GOMODCACHE), ("GOCACHE", Key::GOCACHE)];
    let mut found: Vec<Directory> = named
        .iter()
        .map(|&(name, key)| (name, PathBuf::from(go.value(key))))
        .filter(|(_, path)| path.is_absolute())
        .map(|(name, path)| Directory::read(name, &path))
        .collect();
    let environment = &machine.environment;
    let temporary = environment
        .non_empty("GOTMPDIR")
        .or_else(|| environment.non_empty("TMPDIR"));
    let temporary = temporary.map_or_else(|| machine.system("/tmp"), PathBuf::from);
    if Path::new(&temporary).is_absolute() {
        found.push(Directory::read("GOTMPDIR", &temporary));
    }
    found
}
