//! What is found wrong with settings, rule by rule, and that healthy setups are left in peace.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and tells how much it has compared"
)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use fault::{Lang, Rule, Severity, forbidden_remedies};
use goenv::fix::Plan;
use goenv::report::{Machine, Report};
use goenv::{Environment, Finding, Shell, lint};

/// A home, a project and a Go tree of their own.
struct World {
    dir: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            dir: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        };
        world.file("go/VERSION", "go1.26.1\n");
        world.file(
            "go/go.env",
            "GOPROXY=https://proxy.golang.org,direct\nGOSUMDB=sum.golang.org\nGOTOOLCHAIN=auto\n",
        );
        world.file("go/bin/go", "");
        world.mode("go/bin/go", 0o755);
        fs::create_dir_all(world.at("go/pkg/tool")).unwrap();
        fs::create_dir_all(world.at("home/go/pkg/mod")).unwrap();
        fs::create_dir_all(world.at("project")).unwrap();
        fs::create_dir_all(world.at("root/tmp")).unwrap();
        let path = format!("{}:/usr/bin:/bin", world.at("go/bin").display());
        world.set("PATH", &path);
        let home = world.at("home").display().to_string();
        world.set("HOME", &home);
        world.set("GIT_CONFIG_NOSYSTEM", "1");
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(its, _)| its != name);
        self.variables.push((
            name.to_owned(),
            value.replace(
                "{}",
                self.dir.path().canonicalize().unwrap().to_str().unwrap(),
            ),
        ));
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(
            path,
            text.replace(
                "{}",
                self.dir.path().canonicalize().unwrap().to_str().unwrap(),
            ),
        )
        .unwrap();
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.at(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn environment(&self) -> Environment {
        Environment::from_pairs(self.variables.clone())
    }

    fn report(&self) -> Report {
        Report::collect(Machine {
            environment: self.environment(),
            directory: self.at("project"),
            root: self.at("root"),
            process: None,
            patience: Duration::from_mins(1),
        })
    }

    fn findings(&self) -> Vec<Finding> {
        lint::findings(&self.report())
    }
}

/// `NAME=value` sets a variable, `path: text` writes a file, `path:0600` sets its mode; `path:-`
/// removes it.
fn world(steps: &[&str]) -> World {
    let mut world = World::new();
    for step in steps {
        if let Some((path, text)) = step.split_once(": ") {
            world.file(path, text);
        } else if let Some((path, "-")) = step.rsplit_once(':') {
            fs::remove_file(world.at(path)).unwrap();
        } else if let Some((path, mode)) = step.rsplit_once(":0") {
            world.mode(path, u32::from_str_radix(mode, 8).unwrap());
        } else {
            let (name, value) = step.split_once('=').unwrap();
            world.set(name, value);
        }
    }
    world
}

/// Rows of requirements part 1.1 and further mistakes: what is done, and the rule that names it.
const ROWS: &[(&str, Rule, &[&str])] = &[
    (
        "a semicolon",
        Rule::GoproxySeparator,
        &["GOPROXY=https://goproxy.cn;direct"],
    ),
    (
        "a full-width comma",
        Rule::GoproxySeparator,
        &["GOPROXY=https://goproxy.cn，direct"],
    ),
    (
        "a full-width semicolon",
        Rule::GoproxySeparator,
        &["GOPROXY=https://goproxy.cn；direct"],
    ),
    (
        "a blank between entries",
        Rule::GoproxySeparator,
        &["GOPROXY=https://goproxy.cn direct"],
    ),
    (
        "quotes inside",
        Rule::GoproxyQuotes,
        &["GOPROXY=\"https://goproxy.cn,direct\""],
    ),
    (
        "curly quotes",
        Rule::GoproxyQuotes,
        &["GOPROXY=“https://goproxy.cn”,direct"],
    ),
    (
        "a missing colon",
        Rule::GoproxyScheme,
        &["GOPROXY=https//goproxy.cn,direct"],
    ),
    (
        "a missing slash",
        Rule::GoproxyScheme,
        &["GOPROXY=https:/goproxy.cn,direct"],
    ),
    (
        "a doubled scheme",
        Rule::GoproxyScheme,
        &["GOPROXY=https://https://goproxy.cn,direct"],
    ),
    (
        "a scheme go does not know",
        Rule::GoproxyScheme,
        &["GOPROXY=socks5://goproxy.cn"],
    ),
    (
        "a single word",
        Rule::GoproxyScheme,
        &["GOPROXY=goproxy,direct"],
    ),
    (
        "a misspelled scheme",
        Rule::GoproxyScheme,
        &["GOPROXY=htps://goproxy.cn"],
    ),
    (
        "a bad port",
        Rule::GoproxyInvalid,
        &["GOPROXY=https://goproxy.cn:80a,direct"],
    ),
    (
        "trailing blanks",
        Rule::GoproxyBlanks,
        &["GOPROXY=https://goproxy.cn,direct "],
    ),
    ("separators only", Rule::GoproxyEmpty, &["GOPROXY=,"]),
    ("off", Rule::GoproxyOff, &["GOPROXY=off"]),
    (
        "off in the middle",
        Rule::GoproxyUnreachable,
        &["GOPROXY=https://goproxy.cn,off,direct"],
    ),
    (
        "direct first",
        Rule::GoproxyUnreachable,
        &["GOPROXY=direct,https://goproxy.cn"],
    ),
    ("direct only", Rule::GoproxyDirectOnly, &["GOPROXY=direct"]),
    (
        "no fallback",
        Rule::GoproxyNoFallback,
        &["GOPROXY=https://goproxy.cn"],
    ),
    (
        "commas between mirrors",
        Rule::GoproxyCommaMirrors,
        &["GOPROXY=https://goproxy.cn,https://goproxy.io,direct"],
    ),
    (
        "a mirror twice",
        Rule::GoproxyDuplicate,
        &["GOPROXY=https://goproxy.cn|https://goproxy.cn/|direct"],
    ),
    (
        "a dead mirror",
        Rule::GoproxyDeadMirror,
        &["GOPROXY=https://goproxy.qiniu.com,direct"],
    ),
    (
        "public before private",
        Rule::GoproxyPublicFirst,
        &[
            "GOPROXY=https://goproxy.cn,https://proxy.corp.internal,direct",
            "GOPRIVATE=corp.internal",
        ],
    ),
    (
        "a password in the clear",
        Rule::GoproxyCleartextPassword,
        &["GOPROXY=http://u:secret99@h.example,direct"],
    ),
    (
        "a password",
        Rule::GoproxyPassword,
        &["GOPROXY=https://u:secret99@h.example,direct"],
    ),
    (
        "a directory that is not there",
        Rule::GoproxyFileMissing,
        &["GOPROXY=file://{}/nowhere"],
    ),
    (
        "the environment hides go env -w",
        Rule::SettingShadowed,
        &[
            "home/.config/go/env: GOPROXY=https://goproxy.cn,direct\n",
            "GOPROXY=https://goproxy.io,direct",
        ],
    ),
    (
        "layers that differ",
        Rule::SettingConflict,
        &[
            "home/.bashrc: export GOPROXY=https://a.example\n",
            "home/.profile: export GOPROXY=https://b.example\n",
        ],
    ),
    (
        "export in the settings file",
        Rule::EnvFileLine,
        &["home/.config/go/env: export GOPROXY=https://goproxy.cn\n"],
    ),
    (
        "a name go does not know",
        Rule::EnvFileUnknownKey,
        &["home/.config/go/env: GOPROXYS=https://goproxy.cn\n"],
    ),
    (
        "GODEBUG in the settings file",
        Rule::EnvFileDeafKey,
        &["home/.config/go/env: GODEBUG=netdns=go\n"],
    ),
    (
        "a settings file from Windows",
        Rule::EnvFileCarriageReturn,
        &["home/.config/go/env: GOPROXY=https://goproxy.cn,direct\r\n"],
    ),
    (
        "a settings file that is a directory",
        Rule::EnvFileUnreadable,
        &["home/.config/go/env/x: y"],
    ),
    (
        "GOENV leads nowhere",
        Rule::EnvFileMissing,
        &["GOENV={}/nowhere"],
    ),
    (
        "go.env is missing",
        Rule::GorootFileMissing,
        &["go/go.env:-"],
    ),
    (
        "a relative GOMODCACHE",
        Rule::SettingInvalid,
        &["GOMODCACHE=cache"],
    ),
    (
        "blanks around a setting",
        Rule::SettingBlanks,
        &["GOSUMDB=sum.golang.org "],
    ),
    ("no home", Rule::HomeUnset, &["HOME="]),
    (
        "a variable that does not exist",
        Rule::UnknownVariable,
        &["GONOSUMCHECK=1"],
    ),
    (
        "a URL as a pattern",
        Rule::PrivateUrl,
        &["GOPRIVATE=https://git.corp.example/team"],
    ),
    (
        "an ssh address as a pattern",
        Rule::PrivateUrl,
        &["GOPRIVATE=git@git.corp.example:team"],
    ),
    (
        "patterns separated by blanks",
        Rule::PrivateSeparator,
        &["GONOSUMDB=a.example b.example"],
    ),
    (
        "patterns separated by semicolons",
        Rule::PrivateSeparator,
        &["GOPRIVATE=a.example;b.example"],
    ),
    (
        "an open bracket",
        Rule::PrivateBadGlob,
        &["GOPRIVATE=git.corp.example/[a"],
    ),
    (
        "a leading dot",
        Rule::PrivateNoMatch,
        &["GOPRIVATE=.corp.example"],
    ),
    (
        "dots behind",
        Rule::PrivateNoMatch,
        &["GOPRIVATE=git.corp.example/..."],
    ),
    (
        "a star as GOPRIVATE",
        Rule::PrivateEverything,
        &["GOPRIVATE=*"],
    ),
    (
        "a whole forge",
        Rule::PrivateTooWide,
        &["GOPRIVATE=github.com"],
    ),
    (
        "a private proxy without private patterns",
        Rule::PrivateNotCovered,
        &["GOPROXY=https://proxy.corp.internal,direct"],
    ),
    ("GOSUMDB=off", Rule::GosumdbOff, &["GOSUMDB=off"]),
    (
        "a bad GOSUMDB",
        Rule::GosumdbInvalid,
        &["GOSUMDB=sum.example.org"],
    ),
    (
        "GOSUMDB=off by go env -w",
        Rule::GosumdbOff,
        &["home/.config/go/env: GOFLAGS=-v\nGOSUMDB=off\n"],
    ),
    (
        "GOINSECURE=* by go env -w",
        Rule::InsecureEverything,
        &["home/.config/go/env: GOINSECURE=*\n"],
    ),
    (
        "GO111MODULE=off by go env -w",
        Rule::ModuleModeOff,
        &["home/.config/go/env: GO111MODULE=off\n"],
    ),
    (
        "a semicolon by go env -w",
        Rule::GoproxySeparator,
        &["home/.config/go/env: # mine\nGOPROXY=https://goproxy.cn;direct\n"],
    ),
    ("GONOSUMDB=*", Rule::NosumdbEverything, &["GONOSUMDB=*"]),
    ("GOINSECURE=*", Rule::InsecureEverything, &["GOINSECURE=*"]),
    ("a bad GOAUTH", Rule::GoauthInvalid, &["GOAUTH=git here"]),
    (
        "GOAUTH=off with a netrc file",
        Rule::GoauthOff,
        &[
            "GOAUTH=off",
            "home/.netrc: machine a.example login u password p\n",
            "home/.netrc:0600",
        ],
    ),
    ("a bad GOVCS", Rule::GovcsInvalid, &["GOVCS=git"]),
    (
        "GOVCS for everything",
        Rule::GovcsEverything,
        &["GOVCS=*:all"],
    ),
    (
        "a word that is no flag",
        Rule::GoflagsInvalid,
        &["GOFLAGS=mod=vendor"],
    ),
    ("-insecure", Rule::GoflagsInsecure, &["GOFLAGS=-insecure"]),
    (
        "-mod=vendor without vendor",
        Rule::GoflagsVendor,
        &[
            "GOFLAGS=-mod=vendor",
            "project/go.mod: module m\n\ngo 1.24\n",
        ],
    ),
    ("GO111MODULE=off", Rule::ModuleModeOff, &["GO111MODULE=off"]),
    (
        "GO111MODULE=auto",
        Rule::ModuleModeAuto,
        &["GO111MODULE=auto"],
    ),
    ("GO111MODULE=on", Rule::ModuleModeOn, &["GO111MODULE=on"]),
    ("GOPATH is GOROOT", Rule::GopathIsGoroot, &["GOPATH={}/go"]),
    (
        "GOWORK leads nowhere",
        Rule::GoworkMissing,
        &["GOWORK={}/nowhere/go.work"],
    ),
    (
        "a proxy that is no URL",
        Rule::ProxyMalformed,
        &["HTTPS_PROXY=http://u:p%zz@proxy.example:3128"],
    ),
    (
        "a proxy in quotes",
        Rule::ProxyMalformed,
        &["HTTPS_PROXY='http://proxy.example:3128'"],
    ),
    (
        "a proxy with two schemes",
        Rule::ProxyMalformed,
        &["HTTPS_PROXY=http://http://proxy.example:3128"],
    ),
    (
        "a proxy with a scheme go does not know",
        Rule::ProxyScheme,
        &["HTTPS_PROXY=socks4://proxy.example:1080"],
    ),
    (
        "https to a plain proxy",
        Rule::ProxyTls,
        &["HTTPS_PROXY=https://proxy.example:3128"],
    ),
    (
        "only HTTP_PROXY",
        Rule::ProxyHttpOnly,
        &["HTTP_PROXY=http://proxy.example:3128"],
    ),
    (
        "only ALL_PROXY",
        Rule::ProxyAllOnly,
        &["ALL_PROXY=socks5://127.0.0.1:1080"],
    ),
    (
        "two spellings that differ",
        Rule::ProxyCases,
        &[
            "HTTPS_PROXY=http://a.example:3128",
            "https_proxy=http://b.example:3128",
        ],
    ),
    (
        "NO_PROXY with blanks",
        Rule::NoProxySeparator,
        &["NO_PROXY=localhost corp.example"],
    ),
    (
        "NO_PROXY with a wildcard address",
        Rule::NoProxyEntry,
        &["NO_PROXY=localhost,10.*"],
    ),
    (
        "NO_PROXY with a URL",
        Rule::NoProxyEntry,
        &["NO_PROXY=http://corp.example/"],
    ),
    (
        "NO_PROXY with a bad network",
        Rule::NoProxyEntry,
        &["NO_PROXY=10.0.0.0/33"],
    ),
    (
        "an internal server through the proxy",
        Rule::NoProxyPrivate,
        &[
            "GOPROXY=https://proxy.corp.internal,direct",
            "GOPRIVATE=corp.internal",
            "HTTPS_PROXY=http://proxy.example:3128",
        ],
    ),
    (
        "git accepts any certificate",
        Rule::GitSslVerifyOff,
        &["home/.gitconfig: [http]\n\tsslVerify = false\n"],
    ),
    (
        "git accepts any certificate of one host",
        Rule::GitSslVerifyOff,
        &["home/.gitconfig: [http \"https://a.example\"]\n\tsslVerify = 0\n"],
    ),
    (
        "a CA file that is not there",
        Rule::GitCaMissing,
        &["home/.gitconfig: [http]\n\tsslCAInfo = {}/ca.pem\n"],
    ),
    (
        "a proxy for git alone",
        Rule::GitProxyOnly,
        &["home/.gitconfig: [http]\n\tproxy = http://127.0.0.1:7890\n"],
    ),
    (
        "a bad proxy for git",
        Rule::GitProxyMalformed,
        &["home/.gitconfig: [http]\n\tproxy = htp://127.0.0.1:7890\n"],
    ),
    (
        "ssh without a key",
        Rule::GitInsteadOfNoKey,
        &["home/.gitconfig: [url \"git@github.com:\"]\n\tinsteadOf = https://github.com/\n"],
    ),
    (
        "ssh to an unknown host",
        Rule::SshHostUnknown,
        &[
            "home/.gitconfig: [url \"ssh://git@git.example/\"]\n\tinsteadOf = https://git.example/\n",
            "home/.ssh/id_ed25519: key",
            "home/.ssh/id_ed25519:0600",
            "home/.ssh/known_hosts: other.example ssh-ed25519 AAAA\n",
        ],
    ),
    ("no git", Rule::GitMissing, &["PATH={}/go/bin"]),
    (
        "a token in git's configuration",
        Rule::GitSecret,
        &[
            "home/.gitconfig: [url \"https://u:tok99@git.example/\"]\n\tinsteadOf = https://git.example/\n",
        ],
    ),
    (
        "a broken git configuration",
        Rule::GitConfigBroken,
        &["home/.gitconfig: [http\n"],
    ),
    (
        "netrc for everybody",
        Rule::NetrcReadable,
        &[
            "home/.netrc: machine a.example login u password secret99\n",
            "home/.netrc:0644",
        ],
    ),
    (
        "netrc is a directory",
        Rule::NetrcUnreadable,
        &["home/.netrc/x: y"],
    ),
    (
        "netrc without a password",
        Rule::NetrcIncomplete,
        &[
            "home/.netrc: machine a.example login u\n",
            "home/.netrc:0600",
        ],
    ),
    (
        "netrc with default",
        Rule::NetrcDefault,
        &[
            "home/.netrc: default login u password secret99\n",
            "home/.netrc:0600",
        ],
    ),
    (
        "a private host without credentials",
        Rule::NetrcMissing,
        &["GOPRIVATE=git.corp.example"],
    ),
    (
        "a key for everybody",
        Rule::SshKeyReadable,
        &["home/.ssh/id_ed25519: key", "home/.ssh/id_ed25519:0644"],
    ),
    ("no go", Rule::GoMissing, &["go/bin/go:-", "PATH={}/none"]),
    (
        "two versions of go",
        Rule::GoSeveral,
        &[
            "old/VERSION: go1.22.0\n",
            "old/bin/go: x",
            "old/bin/go:0755",
            "PATH={}/go/bin:{}/old/bin:/usr/bin:/bin",
        ],
    ),
    (
        "GOROOT of another go",
        Rule::GorootMismatch,
        &[
            "old/VERSION: go1.22.0\n",
            "old/go.env: GOPROXY=direct\n",
            "GOROOT={}/old",
        ],
    ),
    ("an old go", Rule::GoOld, &["go/VERSION: go1.15.2\n"]),
    (
        "a bad GOTOOLCHAIN",
        Rule::ToolchainInvalid,
        &["GOTOOLCHAIN=1.24"],
    ),
    (
        "a newer go line with local",
        Rule::ToolchainLocal,
        &[
            "GOTOOLCHAIN=local",
            "project/go.mod: module m\n\ngo 1.99.0\n",
        ],
    ),
    (
        "a newer go line",
        Rule::ToolchainDownload,
        &["project/go.mod: module m\n\ngo 1.99.0\n"],
    ),
    (
        "a cache everybody writes to",
        Rule::CacheWorldWritable,
        &["home/go/pkg/mod/x: y", "home/go/pkg/mod:0777"],
    ),
    (
        "one cache in the other",
        Rule::CacheNested,
        &["GOCACHE={}/home/c", "GOMODCACHE={}/home/c/mod"],
    ),
];

#[test]
fn every_mistake_is_named_by_its_rule() {
    let mut seen = BTreeSet::new();
    for (what, rule, steps) in ROWS {
        let world = world(steps);
        let found = world.findings();
        let rules: Vec<Rule> = found.iter().map(|finding| finding.rule).collect();
        assert!(rules.contains(rule), "{what}: {rules:?}");
        seen.insert(*rule);
        for finding in &found {
            check_texts(what, finding);
        }
    }
    // Those of projects and the module cache stand in project.rs. These need a full disk, another user, another mount or another clock; see below and the unit
    // tests of the report.
    let elsewhere = [
        Rule::DiskFull,
        Rule::DiskLow,
        Rule::DiskInodes,
        Rule::CacheNotWritable,
        Rule::CacheForeign,
        Rule::CacheReadOnly,
        Rule::CacheNoexec,
        Rule::ClockBehind,
    ];
    for rule in Rule::ALL {
        assert!(
            seen.contains(rule) || elsewhere.contains(rule) || *rule >= Rule::GomodSyntax,
            "no row for {rule}"
        );
    }
    println!("{} rows for {} rules", ROWS.len(), seen.len());
}

fn check_texts(what: &str, finding: &Finding) {
    for lang in Lang::ALL {
        let (problem, remedy) = (finding.sentence(lang), finding.remedy(lang));
        for text in [&problem, &remedy] {
            for fact in fault::RULE_FACTS {
                assert!(!text.contains(&format!("{{{fact}}}")), "{what}: {text}");
            }
            assert!(
                !text.contains("secret99") && !text.contains("tok99"),
                "{what}: {text}"
            );
        }
        assert!(
            !problem.contains("(?)") && !problem.contains(" ? "),
            "{what}: {problem}"
        );
        assert_eq!(forbidden_remedies(&remedy), [], "{what}: {remedy}");
    }
    // Taking a variable away names it.
    let sets = finding.rule != Rule::UnknownVariable;
    for fix in finding.fixes.iter().filter(|_| sets) {
        for shell in [Shell::Posix, Shell::Fish, Shell::PowerShell, Shell::Cmd] {
            let command = fix.command(shell);
            assert!(
                !command.contains("secret99") && !command.contains("tok99"),
                "{what}: {command}"
            );
            assert_eq!(forbidden_remedies(&command), [], "{what}: {command}");
        }
    }
}

/// A fix that can be carried out makes its finding go away, and rolling back brings it back.
#[test]
fn fixes_that_can_be_carried_out_remove_the_finding() {
    let mut tried = 0;
    for (what, rule, steps) in ROWS {
        let world = world(steps);
        let found = world.findings();
        let finding = found.iter().find(|finding| finding.rule == *rule);
        let finding = finding.unwrap_or_else(|| panic!("{what}: {found:?}"));
        let Some(fix) = finding.fixes.first().filter(|fix| fix.is_applicable()) else {
            continue;
        };
        let plan = Plan::of(fix, &world.environment(), &world.at("project"));
        let applied = plan
            .and_then(Plan::apply)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let left = world.findings();
        let is_left = left.iter().any(|left| {
            left.rule == *rule
                && left.place == finding.place
                && left.fact("entry") == finding.fact("entry")
        });
        assert!(!is_left, "{what}: {fix:?}");
        applied.roll_back().unwrap();
        assert_eq!(world.findings(), found, "{what}");
        tried += 1;
    }
    println!("{tried} fixes carried out and taken back");
    assert!(tried >= 10, "{tried}");
}

/// Setting a variable as the fix says makes the finding go away, too.
#[test]
fn variables_set_as_advised_remove_the_finding() {
    let mut tried = 0;
    for (what, rule, steps) in ROWS {
        let mut world = world(steps);
        let found = world.findings();
        let finding = found.iter().find(|finding| finding.rule == *rule);
        let finding = finding.unwrap_or_else(|| panic!("{what}: {found:?}"));
        let Some(fix) = finding.fixes.first() else {
            continue;
        };
        let [goenv::fix::Change::Variable { name, value, .. }] = fix.changes.as_slice() else {
            continue;
        };
        world.set(name, value.as_deref().unwrap_or_default());
        let left = world.findings();
        assert!(
            !left.iter().any(|left| left.rule == *rule),
            "{what}: {fix:?} {left:?}"
        );
        let worse = left.iter().find(|left| {
            left.severity == Severity::Fault && !found.iter().any(|before| before.rule == left.rule)
        });
        assert_eq!(worse, None, "{what}: {fix:?}");
        tried += 1;
    }
    println!("{tried} variables set as advised");
    assert!(tried >= 30, "{tried}");
}

#[test]
fn healthy_setups_give_no_warning() {
    let netrc = "home/.netrc: machine git.corp.example login u password p\n";
    let setups: &[(&str, &[&str])] = &[
        ("default", &[]),
        ("a Chinese mirror", &["GOPROXY=https://goproxy.cn,direct"]),
        (
            "mirrors with bars",
            &["GOPROXY=https://goproxy.cn|https://goproxy.io|direct"],
        ),
        (
            "several mirrors with commas",
            &["GOPROXY=https://goproxy.cn,https://proxy.golang.org,direct"],
        ),
        (
            "Aliyun",
            &["home/.config/go/env: GOPROXY=https://mirrors.aliyun.com/goproxy/,direct\n"],
        ),
        (
            "the Chinese database",
            &[
                "GOSUMDB=sum.golang.google.cn",
                "GOPROXY=https://goproxy.cn,direct",
            ],
        ),
        (
            "a company proxy",
            &[
                "HTTPS_PROXY=http://proxy.corp.example:3128",
                "HTTP_PROXY=http://proxy.corp.example:3128",
                "NO_PROXY=localhost,127.0.0.1,.corp.example,10.0.0.0/8,*.internal.example,[::1],host.example:8443",
            ],
        ),
        (
            "both spellings",
            &[
                "HTTPS_PROXY=http://p.example:1",
                "https_proxy=http://p.example:1",
                "no_proxy=a.example",
                "NO_PROXY=a.example",
            ],
        ),
        (
            "a socks proxy",
            &[
                "HTTPS_PROXY=socks5://127.0.0.1:1080",
                "ALL_PROXY=socks5://127.0.0.1:1080",
            ],
        ),
        (
            "a proxy with TLS",
            &["HTTPS_PROXY=https://proxy.corp.example"],
        ),
        ("-mod=mod", &["GOFLAGS=-mod=mod"]),
        (
            "several flags",
            &["GOFLAGS=-buildvcs=false '-ldflags=-s -w' -trimpath"],
        ),
        (
            "a vendored project",
            &[
                "GOFLAGS=-mod=vendor",
                "project/go.mod: module m\n\ngo 1.24\n",
                "project/vendor/modules.txt: # a v1\n",
            ],
        ),
        (
            "a workspace",
            &[
                "project/go.work: go 1.24\n\nuse ./a\n",
                "project/a/go.mod: module a\n\ngo 1.24\n",
                "GOWORK={}/project/go.work",
            ],
        ),
        ("no workspace", &["GOWORK=off"]),
        (
            "private modules with netrc",
            &[
                "GOPRIVATE=git.corp.example,*.internal.example/team,github.com/acme/*",
                netrc,
                "home/.netrc:0600",
            ],
        ),
        (
            "a private proxy with patterns",
            &[
                "GOPROXY=https://goproxy.corp.internal,https://proxy.golang.org,direct",
                "GONOSUMDB=corp.internal,git.corp.example",
            ],
        ),
        (
            "private modules through the proxy",
            &[
                "GOPROXY=https://goproxy.corp.internal",
                "GOPRIVATE=git.corp.example",
                "GONOPROXY=none",
                netrc,
                "home/.netrc:0600",
            ],
        ),
        ("one insecure host", &["GOINSECURE=git.lab.internal/team"]),
        (
            "ssh with a key",
            &[
                "home/.gitconfig: [url \"git@github.com:\"]\n\tinsteadOf = https://github.com/\n",
                "home/.ssh/id_ed25519: key",
                "home/.ssh/id_ed25519:0600",
                "home/.ssh/known_hosts: github.com ssh-ed25519 AAAA\n",
            ],
        ),
        (
            "ssh with an agent",
            &[
                "home/.gitconfig: [url \"ssh://git@github.com/\"]\n\tinsteadOf = https://github.com/\n",
                "SSH_AUTH_SOCK=/run/agent",
            ],
        ),
        (
            "a credential helper",
            &[
                "home/.gitconfig: [credential]\n\thelper = store\n",
                "GOPRIVATE=git.corp.example",
            ],
        ),
        (
            "a company CA",
            &[
                "home/ca.pem: x",
                "home/.gitconfig: [http]\n\tsslCAInfo = {}/home/ca.pem\n\tsslVerify = true\n",
            ],
        ),
        (
            "a proxy for git as well",
            &[
                "home/.gitconfig: [http]\n\tproxy = http://127.0.0.1:7890\n",
                "HTTPS_PROXY=http://127.0.0.1:7890",
            ],
        ),
        (
            "the same value twice",
            &[
                "home/.config/go/env: GOPROXY=https://goproxy.cn,direct\n",
                "GOPROXY=https://goproxy.cn,direct",
            ],
        ),
        (
            "set in a shell file",
            &[
                "home/.bashrc: export GOPROXY=https://goproxy.cn,direct\n",
                "GOPROXY=https://goproxy.cn,direct",
            ],
        ),
        ("a pinned toolchain", &["GOTOOLCHAIN=go1.24.3+auto"]),
        (
            "local toolchain, older line",
            &["GOTOOLCHAIN=local", "project/go.mod: module m\n\ngo 1.24\n"],
        ),
        ("a GOAUTH command", &["GOAUTH=netrc; my-helper --flag"]),
        (
            "a narrow GOVCS",
            &["GOVCS=git.corp.example:svn,public:git,private:all"],
        ),
        (
            "CI",
            &[
                "CI=true",
                "GITHUB_ACTIONS=true",
                "GOFLAGS=-mod=readonly",
                "GOPROXY=https://proxy.golang.org",
            ],
        ),
        (
            "a file proxy",
            &[
                "proxy/x: y",
                "GOPROXY=file://{}/proxy,https://proxy.golang.org,direct",
            ],
        ),
        (
            "caches elsewhere",
            &[
                "GOCACHE={}/home/build",
                "GOMODCACHE={}/home/mod",
                "GOPATH={}/home/gopath",
            ],
        ),
        ("GO111MODULE=on", &["GO111MODULE=on"]),
    ];
    assert!(setups.len() >= 20);
    for (what, steps) in setups {
        let found = world(steps).findings();
        // The space on this machine's disk is not part of the setup.
        let warnings: Vec<String> = found
            .iter()
            .filter(|finding| finding.severity.is_warning())
            .filter(|finding| {
                !matches!(
                    finding.rule,
                    Rule::DiskFull | Rule::DiskLow | Rule::DiskInodes
                )
            })
            .map(|finding| format!("{}: {}", finding.rule, finding.sentence(Lang::En)))
            .collect();
        assert!(warnings.is_empty(), "{what}: {warnings:?}");
    }
    println!("{} healthy setups", setups.len());
}

#[test]
fn the_default_setup_has_not_even_a_note() {
    let found = World::new().findings();
    let found: Vec<&Finding> = found
        .iter()
        .filter(|finding| {
            !matches!(
                finding.rule,
                Rule::DiskFull | Rule::DiskLow | Rule::DiskInodes
            )
        })
        .collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_file_from_the_future_tells_of_a_wrong_clock() {
    let world = World::new();
    world.file("home/go/pkg/mod/x", "");
    let file = fs::File::options()
        .write(true)
        .open(world.at("home/go/pkg/mod/x"))
        .unwrap();
    file.set_modified(std::time::SystemTime::now() + Duration::from_hours(72))
        .unwrap();
    assert!(
        world
            .findings()
            .iter()
            .any(|finding| finding.rule == Rule::ClockBehind)
    );
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let world = world(&[
        "GOPROXY=https://u:secret99@h.example",
        "HTTPS_PROXY=http://u:secret99@p.example:1",
        "home/.bashrc: export GOPROXY=https://u:secret99@h.example\n",
        "home/.netrc: machine a.example login u password secret99\n",
        "home/.gitconfig: [url \"https://u:secret99@g.example/\"]\n\tinsteadOf = https://g.example/\n",
    ]);
    let report = world.report();
    let shown = format!(
        "{report:?} {:?} {:?}",
        report.rules(),
        lint::findings(&report)
    );
    assert!(!shown.contains("secret99"), "{shown}");
}

#[test]
fn a_shell_file_that_sets_a_value_is_named() {
    let world = world(&[
        "home/.bashrc: # x\nexport GOPROXY=https//a\n",
        "GOPROXY=https//a",
    ]);
    let report = world.report();
    let row = report.row("GOPROXY").unwrap();
    assert_eq!(row.set_by.len(), 1, "{row:?}");
    let found = lint::findings(&report);
    let fix = &found
        .iter()
        .find(|finding| finding.rule == Rule::GoproxyScheme)
        .unwrap()
        .fixes[1];
    assert_eq!(
        fix.command(Shell::Posix),
        format!(
            "sed -i.bak '2c\\export GOPROXY=https://a' {}",
            world.at("home/.bashrc").display()
        )
    );
}
