mod bundle;
mod mirrors;
mod publish;
mod scrub;
mod sumlog;
mod warm;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

pub(crate) use bundle::{BundleCommand, CreateArguments};
pub(crate) use mirrors::MirrorsArguments;
pub(crate) use publish::PublishArguments;
pub(crate) use scrub::ScrubArguments;
pub(crate) use sumlog::{AuditArguments, KeyCommand, LogCommand};
pub(crate) use warm::WarmArguments;

/// Keeps Go builds going: a GOPROXY server that caches, fails over and verifies.
#[derive(Debug, Parser)]
#[command(
    name = "modkeep",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
#[command(after_help = "Examples:
  modkeep serve                                 serve modules on http://127.0.0.1:8090
  modkeep config show                           each setting with its value and where it comes from
  modkeep store rebuild --data /srv/modkeep     rebuild the records of a store from its files

Exit status: 0 done, 1 done and there are findings, 2 could not do it.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

// Deferred: arguments of commands that do not run are not built, since a server would keep the code that does it resident.
// A doc comment on a structure of arguments would therefore take the place of the command's, so they have plain ones.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Serve modules to go commands
    #[command(after_help = "Examples:
  modkeep serve
  modkeep serve --listen 0.0.0.0:8090 --data /srv/modkeep
  modkeep serve --upstream 'https://mirror.example.com|https://proxy.golang.org'
  modkeep serve --sumlog sum.example.com        needs a key: modkeep key generate sum.example.com

The first line on stdout is the base URL, printed once requests are accepted. SIGTERM drains and exits,
SIGHUP reads the configuration again. Settings that have no flag are set in modkeep.toml or by MODKEEP_
environment variables; see `modkeep config show`.")]
    Serve(Settings),
    /// Explain a pasted error: causes, fixes, and what not to do
    #[command(after_help = "Examples:
  go mod download 2>&1 | modkeep explain
  modkeep explain build.log
  modkeep explain tls-unknown-ca-mitm
  modkeep explain --list

Reads only, and works without network. Exits with 1 if a cause was found, with 0 if none was.")]
    Explain(ExplainArguments),
    /// Find the broken hop between go and a module, and what to do about it
    #[command(after_help = "Examples:
  modkeep doctor
  modkeep doctor golang.org/x/text@v0.14.0
  modkeep doctor --format json
  modkeep doctor --resolver 192.0.2.53 corp.example.com/lib

Reads only unless --fix or --repair-cache is given, and ends within the timeout. Exits with 1 if something is broken or not as it should be.")]
    Doctor(DoctorArguments),
    /// Compare mirrors from here, and print the GOPROXY to use
    #[command(after_help = "Examples:
  modkeep mirrors
  modkeep mirrors --add https://goproxy.corp.example.com --no-catalogue
  modkeep mirrors --module golang.org/x/text --repeat 20
  modkeep mirrors --apply
  modkeep mirrors --watch --interval 300

Asks each mirror for the same public modules and holds what it serves against the checksum database.
Changes nothing without --apply. Exits with 1 if a mirror that GOPROXY names has trouble.")]
    Mirrors(MirrorsArguments),
    /// Show or check the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Work on a store
    #[command(subcommand)]
    Store(StoreCommand),
    /// Carry module versions to machines that no network reaches
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Make, replace or show the keys of a checksum log
    #[command(subcommand)]
    Key(KeyCommand),
    /// Check checksum logs
    #[command(subcommand)]
    Log(LogCommand),
    /// Publish a module on a server that is its origin
    #[command(after_help = "Examples:
  modkeep publish --to https://modkeep.example.com --tag v1.2.3
  modkeep publish --to https://modkeep.example.com --token env:CI_TOKEN --tag v1.2.3 ./lib
  modkeep publish --to https://modkeep.example.com v1.2.3.zip

The server's settings publish.modules and publish.token say which modules it takes, and from whom. A version that
is there already with the same files is no error; one with other files is never replaced.")]
    Publish(PublishArguments),
    /// Verify that the module cache, a vendor directory or a store still holds what was downloaded
    #[command(after_help = "Examples:
  modkeep verify
  modkeep verify --all
  modkeep verify --cache /srv/gomodcache --all --format json
  modkeep verify --store /srv/modkeep
  modkeep verify --sumdb                        needs the network; private modules are not asked about

Does what `go mod verify` does, for the modules of the build list and those that go.sum lists, and compares the
cache with go.sum. Where the project has a vendor directory, modules.txt must agree with go.mod, every file with
the zip of its module in the cache, and no file that `go mod vendor` copies may be missing. What a directory
replaces is named and left alone, as by go. In a store the zips are verified; modkeep store scrub looks at all
of its files, and heals them. Needs no Go toolchain and, without --sumdb, no network. Exits with 0 if everything
is as it was, with 1 if something was modified, and with 2 if that could not be told.")]
    Verify(VerifyArguments),
    /// Fetch ahead of time what projects need
    #[command(after_help = "Examples:
  modkeep warm .                                     every project below this directory
  modkeep warm app/go.mod golang.org/x/tools@latest
  modkeep warm --server http://modkeep.example.com:8090 go.work go.sum

Walks the module graphs with Go's own rules, and fetches what builds download: afterwards they need no
upstream. Without --server the store in --data is warmed, which no running server may use at the time.
Exits with 1 if something could not be had.")]
    Warm(WarmArguments),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  modkeep completions bash > /etc/bash_completion.d/modkeep")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of modkeep or of one of its commands
    #[command(after_help = "Example:\n  modkeep man serve > modkeep-serve.1")]
    Man {
        /// The command; of modkeep as a whole if none is given
        command: Option<String>,
    },
}

// What to explain, and how.
#[expect(
    clippy::doc_markdown,
    reason = "people read these on a terminal, where backticks are noise"
)]
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// A log file, or the label of a cause; stdin if none is given
    #[arg(value_name = "FILE|LABEL")]
    pub(crate) subject: Option<String>,
    /// List all causes that are known, by hop
    #[arg(long, conflicts_with = "subject")]
    pub(crate) list: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// Language [default: that of LC_ALL or LANG]
    #[arg(long, value_enum)]
    pub(crate) lang: Option<Language>,
}

// What to verify.
#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Directory of the project [default: the current one]
    #[arg(long, short = 'C', value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// Verify everything in the cache, in a project or not
    #[arg(long, conflicts_with = "project")]
    pub(crate) all: bool,
    /// Verify the zips of a modkeep store instead [default: the store of `modkeep serve`]
    #[arg(long, value_name = "DIR", num_args = 0..=1, conflicts_with_all = ["project", "all", "cache"])]
    #[expect(
        clippy::option_option,
        reason = "how clap says that a flag was given without its value"
    )]
    pub(crate) store: Option<Option<PathBuf>>,
    /// Compare go.sum with the checksum database, too: through the proxies and with the settings that go would use
    #[arg(long, conflicts_with_all = ["all", "store"])]
    pub(crate) sumdb: bool,
    /// The module cache [default: what `go env GOMODCACHE` would say]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
}

// What to diagnose, and how.
#[expect(
    clippy::doc_markdown,
    reason = "people read these on a terminal, where backticks are noise"
)]
#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// The module, with or without a version; without one, those that the project here requires, or
    /// rsc.io/quote@v1.5.2, which is small and public
    #[arg(value_name = "MODULE[@VERSION]")]
    pub(crate) module: Option<String>,
    /// Most seconds the whole run may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub(crate) timeout: f64,
    /// Ask the first server so many times, to tell loss now and then from an outage
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) repeat: usize,
    /// Ask this name server in place of those of the system; may be repeated
    #[arg(long, value_name = "ADDR", value_parser = name_server)]
    pub(crate) resolver: Vec<SocketAddr>,
    /// Take this address for a host, without asking anybody; may be repeated
    #[arg(long, value_name = "HOST=ADDRESS")]
    pub(crate) resolve: Vec<String>,
    /// Hold the answers of public name servers, or of these (addresses, or https:// for DNS over HTTPS), against those of
    /// the system; they are asked about public names only
    #[arg(long, value_name = "SERVER", num_args = 0..=1, require_equals = true, value_delimiter = ',', default_missing_value = "public")]
    pub(crate) compare_dns: Vec<String>,
    /// Read this proxy auto-configuration file too, and say what it would do; may be repeated
    #[arg(long, value_name = "URL|FILE")]
    pub(crate) pac: Vec<String>,
    /// Show all settings, not only those that are set or count here
    #[arg(long)]
    pub(crate) all_settings: bool,
    /// Show the way through GOPROXY only
    #[arg(long, value_enum)]
    pub(crate) trace: Option<Trace>,
    /// Carry out a safe fix after asking, try again, and take it back if it did not help
    #[arg(long, group = "mends", conflicts_with = "trace")]
    pub(crate) fix: bool,
    /// Remove a module from the module cache and download it anew, verified; without a version all versions of it that
    /// are damaged
    #[arg(long, value_name = "MODULE[@VERSION]", group = "mends", conflicts_with_all = ["module", "trace", "report"])]
    pub(crate) repair_cache: Option<String>,
    /// With --fix and --repair-cache: do not ask
    #[arg(long, requires = "mends")]
    pub(crate) yes: bool,
    /// Write a report to attach to a ticket, without user names, home directories and internal hosts that it can do
    /// without; JSON if FILE ends in .json
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// Language [default: that of LC_ALL or LANG]
    #[arg(long, value_enum)]
    pub(crate) lang: Option<Language>,
}

/// An address, with port 53 unless it says another.
fn name_server(text: &str) -> Result<SocketAddr, String> {
    text.parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .map_err(|_| "an IP address, with or without a port, is expected".to_owned())
}

/// How the way through GOPROXY is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Trace {
    /// As lines
    Tree,
    /// As a Mermaid flow chart
    Mermaid,
}

/// A language for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// English
    En,
    /// Simplified Chinese
    Zh,
}

impl From<Language> for fault::Lang {
    fn from(language: Language) -> Self {
        match language {
            Language::En => Self::En,
            Language::Zh => Self::Zh,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print each setting with its value and origin, secrets masked
    #[command(after_help = "Example:\n  MODKEEP_LISTEN=:9000 modkeep config show --format json")]
    Show {
        #[command(flatten)]
        settings: Settings,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Check the configuration; exit 2 with file and line if it is bad
    #[command(after_help = "Example:\n  modkeep config check --config /etc/modkeep/modkeep.toml")]
    Check(Settings),
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Rebuild the records from the stored files, and set damaged files aside
    #[command(after_help = "Example:\n  modkeep store rebuild --data /srv/modkeep

Exits with 1 if damaged files were found.")]
    Rebuild {
        #[command(flatten)]
        settings: Settings,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Read every stored file again; replace damaged ones, or set them aside
    #[command(after_help = "Examples:
  modkeep store scrub --data /srv/modkeep
  modkeep store scrub --rate 64MiB

Works beside a running server, which does the same from time to time (settings scrub.interval, scrub.rate).
A damaged file is fetched again from the upstreams, and taken if it is what the checksum database or the
records say; else it is set aside (modkeep store quarantine list), and clients get no damaged bytes. An
interrupted run goes on where it was. Exits with 1 if damaged files were found.")]
    Scrub(ScrubArguments),
    /// Show where a version came from, what it must hash to, and what happened to it
    #[command(
        after_help = "Example:\n  modkeep store show example.com/m@v1.2.3 --data /srv/modkeep

Works beside a running server. Exits with 1 if there is a warning about the version."
    )]
    Show {
        /// The version
        #[arg(value_name = "MODULE@VERSION")]
        version: String,
        #[command(flatten)]
        settings: Settings,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Decide about bytes that were refused
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// List what is in quarantine; exit 1 if something is
    #[command(after_help = "Example:\n  modkeep store quarantine list --data /srv/modkeep")]
    List {
        #[command(flatten)]
        settings: Settings,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Show what is known against quarantined bytes
    #[command(after_help = "Example:\n  modkeep store quarantine show 20260131-123000-000000")]
    Show {
        /// The entry
        id: String,
        #[command(flatten)]
        settings: Settings,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Accept quarantined bytes: they are stored, and every later fetch must agree with them
    #[command(
        after_help = "Example:\n  modkeep store quarantine release 20260131-123000-000000

Refused when a checksum database has proven another hash, or when the file is stored with other bytes."
    )]
    Release {
        /// The entry
        id: String,
        #[command(flatten)]
        settings: Settings,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Remove quarantined bytes for good; that they were there stays on record
    #[command(after_help = "Example:\n  modkeep store quarantine drop 20260131-123000-000000")]
    Drop {
        /// The entry
        id: String,
        #[command(flatten)]
        settings: Settings,
        /// How to print
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Human,
    /// For programs
    Json,
}

// The settings that have a flag.
#[expect(
    clippy::doc_markdown,
    reason = "people read these on a terminal, where backticks are noise"
)]
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Settings {
    /// Address to listen on; port 0 picks a free one [default: 127.0.0.1:8090]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Directory of the store [default: $XDG_DATA_HOME/modkeep]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<String>,
    /// Where modules come from, in GOPROXY syntax [default: what `go env GOPROXY` would say]
    #[arg(long, value_name = "CHAIN")]
    pub(crate) upstream: Option<String>,
    /// Modules that are sent to no upstream [default: what `go env GOPRIVATE` would say]
    #[arg(long, value_name = "GLOBS")]
    pub(crate) private: Option<String>,
    /// Checksum database to verify with and to relay, in GOSUMDB syntax [default: what `go env GOSUMDB` would say]
    #[arg(long, value_name = "SETTING")]
    pub(crate) sumdb: Option<String>,
    /// Fetch nothing: answer from the store alone
    #[arg(long)]
    pub(crate) offline: bool,
    /// Run a checksum database of this name over every module version served [default: none]
    #[arg(long, value_name = "NAME")]
    pub(crate) sumlog: Option<String>,
    /// Configuration file [default: ./modkeep.toml, then $XDG_CONFIG_HOME/modkeep/modkeep.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl Settings {
    /// What was given, by the name of the setting.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("listen", &self.listen),
            ("data", &self.data),
            ("upstream", &self.upstream),
            ("private", &self.private),
            ("sumdb", &self.sumdb),
            ("sumlog.name", &self.sumlog),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.as_deref().map(|value| (name, value)))
        .chain(self.offline.then_some(("offline", "true")))
    }
}

/// The command line as data, with all its commands' arguments, for completions, manual pages and the reference.
pub fn command() -> clap::Command {
    let mut command = Cli::command();
    command.build();
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = include_str!("../../../README.md");

    /// The command lines in a text: between backticks, or a line of their own that may go on with an explanation.
    fn command_lines(text: &str) -> Vec<&str> {
        let lines = text.lines().map(|line| {
            let line = line.trim_start().trim_start_matches("$ ");
            line.split("  ").next().unwrap_or(line)
        });
        let quoted = text.split('`').skip(1).step_by(2);
        lines
            .chain(quoted)
            .flat_map(|line| line.split(" | "))
            .map(|line| line.split(['>', '#', ';']).next().unwrap_or(line))
            .filter(|line| line.starts_with("modkeep ") && !line.ends_with(':'))
            .collect()
    }

    fn assert_parses(line: &str) {
        let words = line
            .split_whitespace()
            .map(|word| word.trim_matches('\'').replace("\\|", "|"));
        if let Err(error) = Cli::try_parse_from(words) {
            let is_help = matches!(
                error.kind(),
                clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion
            );
            assert!(is_help, "{line}: {error}");
        }
    }

    #[test]
    fn what_readme_and_help_say_to_type_is_taken() {
        let readme: Vec<&str> = (command_lines(README).into_iter())
            .filter(|line| !line.starts_with("modkeep keeps"))
            .collect();
        assert!(readme.len() > 15, "{readme:?}");
        readme.into_iter().for_each(assert_parses);

        let mut root = Cli::command();
        root.build();
        let mut commands = vec![&root];
        let mut examples = 0;
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands());
            let help = command.get_after_help().map(ToString::to_string);
            for line in command_lines(&help.unwrap_or_default()) {
                assert_parses(line);
                examples += 1;
            }
        }
        assert!(examples > 20, "{examples}");
    }
}
