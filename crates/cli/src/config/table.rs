use super::kind::ValueKind;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in the configuration file; a dot stands for a table.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: ValueKind,
    /// The value if nobody sets one; empty if it is found out at start, as `default_words` says.
    pub default: &'static str,
    /// The default in words, where it is not a fixed value.
    pub default_words: &'static str,
    /// The flag that sets it, without its dashes; empty if there is none.
    pub flag: &'static str,
    /// Whether SIGHUP is enough for a change to take effect.
    pub reloads: bool,
    /// What it does.
    pub doc: &'static str,
}

impl Setting {
    /// The environment variable that sets it: `MODKEEP_` and the name in capitals, with `_` for `.` and `-`.
    pub fn variable(&self) -> String {
        let name: String = self
            .name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect();
        format!("MODKEEP_{name}")
    }
}

const fn setting(
    name: &'static str,
    kind: ValueKind,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting {
        name,
        kind,
        default,
        default_words: "",
        flag: "",
        reloads: false,
        doc,
    }
}

impl Setting {
    /// A flag of the same name.
    const fn with_flag(self) -> Self {
        let flag = self.name;
        Self { flag, ..self }
    }

    /// A flag of another name.
    const fn with_flag_named(self, flag: &'static str) -> Self {
        Self { flag, ..self }
    }

    const fn found_out(self, default_words: &'static str) -> Self {
        Self {
            default_words,
            ..self
        }
    }

    const fn reloadable(self) -> Self {
        Self {
            reloads: true,
            ..self
        }
    }
}

/// Every setting, in the order of the reference.
pub const SETTINGS: &[Setting] = &[
    setting("listen", ValueKind::Address, "127.0.0.1:8090", "Where to listen. Port 0 picks a free one.").with_flag(),
    setting("data", ValueKind::Path, "", "Directory of the store: module files, records, log.")
        .with_flag()
        .found_out("`$XDG_DATA_HOME/modkeep`"),
    setting(
        "upstream",
        ValueKind::Chain,
        "",
        "Where modules come from: `https://`, `http://` and `file://` GOPROXY servers, asked in order. \
         After both `,` and `|` the next one is asked on every kind of failure; \"not found\" is believed only if all say so. \
         `off` fetches nothing. `direct` asks the module's own repository, when no server before it has an answer.",
    )
    .with_flag()
    .found_out("what `go env GOPROXY` would say, without this server's own address")
    .reloadable(),
    setting(
        "private",
        ValueKind::Globs,
        "",
        "Modules whose names are sent to no upstream and to no checksum database: they come from their own repositories. \
         The patterns of `[[origin]]` tables are added.",
    )
    .with_flag()
    .found_out("what `go env GOPRIVATE` would say")
    .reloadable(),
    setting(
        "sumdb",
        ValueKind::Sumdb,
        "",
        "The checksum database that every public module is verified with before it is served, and that is relayed below \
         `/sumdb/`: through an upstream that relays it, else straight from its server; a setting with a URL goes there and \
         nowhere else. `off` verifies nothing and relays none.",
    )
    .with_flag()
    .found_out("what `go env GOSUMDB` would say")
    .reloadable(),
    setting("govcs", ValueKind::Govcs, "", "Which version control systems may be used for which modules.")
        .found_out("what `go env GOVCS` would say")
        .reloadable(),
    setting(
        "insecure",
        ValueKind::Globs,
        "",
        "Modules whose repositories may be reached without encryption, or with a certificate that proves nothing.",
    )
    .found_out("what `go env GOINSECURE` would say")
    .reloadable(),
    setting(
        "goauth",
        ValueKind::Goauth,
        "",
        "Where credentials for repositories come from that no `[[origin]]` table names.",
    )
    .found_out("what `go env GOAUTH` would say")
    .reloadable(),
    setting(
        "no-sumdb",
        ValueKind::Globs,
        "",
        "Modules that no checksum database is asked about, beside those of `private`; `golang.org/toolchain` is never \
         one of them.",
    )
    .found_out("what `go env GONOSUMDB` would say")
    .reloadable(),
    setting(
        "verify",
        ValueKind::Word(&["always", "when-reachable"]),
        "always",
        "While the checksum database cannot be asked: `always` refuses what was never verified, `when-reachable` serves it \
         unverified. What was verified before is served either way.",
    )
    .reloadable(),
    setting(
        "offline",
        ValueKind::Switch,
        "false",
        "Fetch nothing: what is stored is served, lists as they are; what is not stored is answered with 503. An operator switches it at run time with `PUT /api/v1/offline`.",
    )
    .with_flag()
    .reloadable(),
    setting(
        "api.token",
        ValueKind::Secret,
        "",
        "The place of the token (`file:PATH`, `env:NAME`) that those who give orders to `/api/v1` send as `Authorization: Bearer`. Without it nobody can.",
    ),
    setting(
        "outbound.allow",
        ValueKind::Networks,
        "",
        "Private, loopback and link-local networks that hosts of public modules may lead to. All others of these kinds are \
         refused, unless the host is named by `private` or an `[[origin]]` table.",
    )
    .found_out("none")
    .reloadable(),
    setting(
        "outbound.pac",
        ValueKind::Path,
        "",
        "A proxy auto-configuration file, as browsers have it, which says through which HTTP or SOCKS proxy each server is \
         reached. It is run in a process of its own that can open neither files nor connections, and read again for each \
         answer, which counts for a minute; of several proxies the first that accepts connections is taken. Where it gives no \
         answer, `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` count. It is not asked about this machine, about ssh, and for \
         an `[[origin]]` that has a `proxy`.",
    )
    .found_out("none")
    .reloadable(),
    setting(
        "sumlog.name",
        ValueKind::LogName,
        "",
        "The checksum database this server runs itself, over every module version it serves: public ones after they were \
         verified against the database in `sumdb`, private ones as they were first seen. Served below `/sumdb/<name>/`.",
    )
    .with_flag_named("sumlog")
    .found_out("none"),
    setting(
        "sumlog.key",
        ValueKind::Secret,
        "",
        "Where its private key is: `env:NAME`, or a file that only its owner can read; see `modkeep key generate`.",
    )
    .found_out("`$XDG_CONFIG_HOME/modkeep/<name>.key`"),
    setting(
        "sumlog.signed",
        ValueKind::Path,
        "",
        "The file of the last signed head. On another disk than `data` it notices a data directory that was restored from a \
         backup, which would sign a second history.",
    )
    .found_out("in the log's directory"),
    setting(
        "sumlog.witnesses",
        ValueKind::WitnessKeys,
        "",
        "Verifier keys of witnesses, separated by commas, whose cosignatures are taken at `/api/v1/sumlog/cosignatures`.",
    )
    .found_out("none"),
    setting(
        "hooks.secret",
        ValueKind::Secret,
        "",
        "Where the secret of webhooks is: `env:NAME`, or `file:PATH` of a file that only its owner can read. With it, hosts of \
         repositories that post to `/api/v1/hooks/github`, `gitlab`, `gitea` or `generic` have lists asked for again at once.",
    )
    .found_out("none: no webhooks are taken")
    .reloadable(),
    setting(
        "publish.modules",
        ValueKind::Globs,
        "",
        "Modules that are published here by `modkeep publish`, or by PUT of their zips. They come from nowhere else, and their \
         names are sent to nobody. `go` asks for the beginnings of a path, too: a pattern of only the host covers them.",
    )
    .found_out("none")
    .reloadable(),
    setting(
        "publish.token",
        ValueKind::Secret,
        "",
        "Where the token is that publishing needs: `env:NAME`, or `file:PATH` of a file that only its owner can read.",
    )
    .found_out("none: nobody can publish")
    .reloadable(),
    setting(
        "repositories.cache",
        ValueKind::Bytes,
        "20GiB",
        "How much the copies of repositories may take on disk; those not used for the longest time go first.",
    )
    .reloadable(),
    setting(
        "repositories.largest",
        ValueKind::Bytes,
        "8GiB",
        "How much one repository may take on disk; fetching a larger one is given up.",
    )
    .reloadable(),
    setting(
        "repositories.ahead",
        ValueKind::Count,
        "64",
        "When a repository has a new version, so many others that were used lately on the same server are looked at for new \
         versions, too, which are fetched before anybody asks for them; so are those of a repository for which a webhook comes. \
         0: nothing is fetched before somebody asks.",
    )
    .reloadable(),
    setting(
        "upstreams.first-is-authoritative",
        ValueKind::Switch,
        "false",
        "Believe the first upstream's \"not found\" although a later one could not be asked.",
    )
    .reloadable(),
    setting(
        "upstreams.order",
        ValueKind::Word(&["configured", "fastest"]),
        "configured",
        "Who is asked first: as listed, or whoever was found to answer fastest and to fail least. An upstream that is alive but \
         far slower than another (four times, and a quarter of a second) is asked after it in either case.",
    )
    .reloadable(),
    setting(
        "upstreams.deadline",
        ValueKind::Duration,
        "60s",
        "For an answer to a request, whatever upstreams fail on the way; for a zip, to its first bytes.",
    )
    .reloadable(),
    setting(
        "upstreams.outage-wait",
        ValueKind::Duration,
        "10s",
        "How long, from the first failure on, requests wait for upstreams that are out of reach to come back when nobody else can answer. Who comes later is told at once. 0s: nobody waits.",
    )
    .reloadable(),
    setting(
        "upstreams.connect-timeout",
        ValueKind::Duration,
        "1s",
        "For a connection to an upstream, TLS included. Doubled, up to eight times as much, while none comes about.",
    )
    .reloadable(),
    setting("upstreams.first-byte-timeout", ValueKind::Duration, "30s", "From a request to the head of its answer.")
        .reloadable(),
    setting("upstreams.idle-timeout", ValueKind::Duration, "10s", "Between two pieces of an answer's body.").reloadable(),
    setting(
        "upstreams.low-speed",
        ValueKind::Bytes,
        "8KiB",
        "The least part of an answer's body in each `upstreams.idle-timeout`; slower is taken for standing still.",
    )
    .reloadable(),
    setting(
        "upstreams.probe-interval",
        ValueKind::Duration,
        "5s",
        "How often an upstream that was not heard of lately is asked whether it answers, while anybody asks for modules.",
    )
    .reloadable(),
    setting(
        "upstreams.small-timeout",
        ValueKind::Duration,
        "60s",
        "For the whole of a list, `.info`, `.mod` or checksum database answer.",
    )
    .reloadable(),
    setting(
        "dns.servers",
        ValueKind::Resolvers,
        "system",
        "Which resolvers are asked where upstreams, checksum databases, the repositories of public modules and what they \
         redirect to are, the next when one fails: `system`, `udp://ADDRESS` (and TCP), `tls://HOST` (DNS over TLS) and \
         `https://HOST/dns-query` (DNS over HTTPS), separated by commas; a port may follow the host. `system` among others \
         is asked in its turn. The hosts of resolvers are looked up with the system's.",
    )
    .reloadable(),
    setting(
        "dns.internal",
        ValueKind::Hosts,
        "",
        "Hosts that no resolver of `dns.servers` hears of, such as `*.corp.example.com`: the system's is asked. So it is for \
         HTTP proxies, the hosts of `private` modules and of `[[origin]]` tables, names without a dot, and those below \
         `internal`, `local`, `home.arpa`, `corp`, `lan` and the like, which the public DNS does not have.",
    )
    .found_out("none beside these")
    .reloadable(),
    setting(
        "cache.ttl",
        ValueKind::Duration,
        "60s",
        "How long a list, `@latest` or branch is believed before upstreams are asked again.",
    )
    .reloadable(),
    setting("cache.absent-ttl", ValueKind::Duration, "30s", "How long an upstream's \"not found\" is believed.")
        .reloadable(),
    setting(
        "cache.stale-wait",
        ValueKind::Duration,
        "300ms",
        "How long a request waits for a refresh before it gets the stored answer.",
    )
    .reloadable(),
    setting("cache.memory", ValueKind::Bytes, "32MiB", "Memory for small files that were just served."),
    setting(
        "scrub.interval",
        ValueKind::Duration,
        "168h",
        "From the end of one pass over all stored files, in which each is read again and damaged ones are replaced or set \
         aside, to the beginning of the next. `0s`: the server makes none.",
    )
    .reloadable(),
    setting("scrub.rate", ValueKind::Bytes, "16MiB", "Most bytes that such a pass reads in a second.").reloadable(),
    setting(
        "prefetch.enabled",
        ValueKind::Switch,
        "true",
        "Fetch what a client is about to ask for: go.mod files that pass through tell what comes next. Zips are fetched ahead \
         only for a client that asks for zips.",
    ),
    setting(
        "prefetch.share",
        ValueKind::Count,
        "10",
        "Percent of `limits.fetches` that may be under way ahead of clients, and only while no client waits for its turn.",
    ),
    setting(
        "prefetch.ahead",
        ValueKind::Bytes,
        "64MiB",
        "Zips are fetched ahead for a client until so many bytes wait for it.",
    ),
    setting(
        "warm.targets",
        ValueKind::Targets,
        "",
        "What is fetched ahead of time, at the start and every `warm.interval`: go.mod, go.work and go.sum files, directories \
         with projects, and modules as `MODULE@VERSION`, separated by commas; see `modkeep warm`.",
    )
    .found_out("none"),
    setting("warm.interval", ValueKind::Duration, "1h", "How often `warm.targets` are looked at again."),
    setting("warm.jobs", ValueKind::Count, "8", "Files fetched at a time for `warm.targets`."),
    setting(
        "clean.min-free",
        ValueKind::Bytes,
        "0",
        "When less than this is free on the disk of `data`, zips that were not used for long are removed until a quarter more \
         is free: the longest unused first, and only those that the upstreams can give back unchanged. Private modules, those \
         from repositories, those not verified yet and those of `clean.keep` stay. 0: nothing is ever removed.",
    )
    .reloadable(),
    setting("clean.min-age", ValueKind::Duration, "24h", "What was used within this time is not removed to make room.")
        .reloadable(),
    setting("clean.keep", ValueKind::Globs, "", "Modules whose zips are never removed to make room.")
        .found_out("none")
        .reloadable(),
    setting("tls.certificate", ValueKind::Path, "", "Certificate chain in PEM; with it, and `tls.key`, HTTPS is served. Read again when it changes.")
        .found_out("none: plain HTTP"),
    setting("tls.key", ValueKind::Path, "", "The certificate's private key in PEM.").found_out("none"),
    setting("limits.connections", ValueKind::Count, "8192", "Client connections at a time; more wait."),
    setting(
        "limits.fetches",
        ValueKind::Count,
        "256",
        "Files and answers fetched at a time, for all clients together; more wait for their turn, in which each client is \
         as good as any other. One client has no more than three quarters of them. What is stored is served at once.",
    )
    .reloadable(),
    setting(
        "limits.queue",
        ValueKind::Count,
        "4096",
        "Fetches that wait for their turn. When there are more, those of clients that ask for more than others are \
         refused with 503 and `Retry-After`.",
    )
    .reloadable(),
    setting("limits.queue-timeout", ValueKind::Duration, "30s", "For a fetch to have its turn; then it is refused in the same way.")
        .reloadable(),
    setting(
        "limits.header-timeout",
        ValueKind::Duration,
        "30s",
        "For a client to send a request's head; a connection may be idle as long.",
    ),
    setting("limits.header-bytes", ValueKind::Bytes, "64KiB", "Size of a request's head; at least 8KiB."),
    setting("limits.header-lines", ValueKind::Count, "100", "Header lines of a request."),
    setting("limits.stall-timeout", ValueKind::Duration, "60s", "For a client that takes no byte of its answer."),
    setting("limits.drain", ValueKind::Duration, "30s", "To finish requests under way after SIGTERM."),
    setting("log.level", ValueKind::Word(&["error", "warn", "info", "debug", "trace"]), "info", "What is logged; `debug` adds every request served from the store.")
        .reloadable(),
    setting("log.format", ValueKind::Word(&["auto", "text", "json"]), "auto", "`auto`: text on a terminal, else JSON."),
    setting(
        "log.file",
        ValueKind::Path,
        "",
        "The file that the log is appended to. SIGHUP opens it anew, so that another program may have moved it away before; \
         what is logged between the two is in the file that was moved.",
    )
    .found_out("none: standard error")
    .reloadable(),
    setting(
        "log.max-size",
        ValueKind::Bytes,
        "100MiB",
        "`log.file` is moved away, to the same name with `.1`, before it gets larger, and older ones to the next number. \
         0: it is left to another program.",
    )
    .reloadable(),
    setting(
        "log.max-age",
        ValueKind::Duration,
        "24h",
        "`log.file` is moved away when it is so old and another line comes. 0s: not for its age.",
    )
    .reloadable(),
    setting(
        "log.keep",
        ValueKind::Count,
        "14",
        "How many files that were moved away are kept; the oldest is removed. 0: none. They take at most `log.max-size` each.",
    )
    .reloadable(),
    setting(
        "otlp.endpoint",
        ValueKind::Url,
        "",
        "The base URL of an OpenTelemetry collector that takes OTLP over HTTP in JSON, such as `http://localhost:4318`; spans \
         go to `/v1/traces` below it: one for each request, and one within it for each time that an upstream was asked. The \
         name of a private module is on a span only when the request is in the log as well.",
    )
    .found_out("none: no spans are sent"),
    setting(
        "otlp.headers",
        ValueKind::Secret,
        "",
        "Where further headers for the collector are, credentials for one: `env:NAME` or `file:PATH` of a text \
         `name=value,name=value`, with `%2C` for a comma in a value.",
    )
    .found_out("none"),
    setting(
        "otlp.sample",
        ValueKind::Count,
        "100",
        "Percent of the traces that begin here which are recorded. A request that comes with a `traceparent` is recorded if \
         that says so.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_variables_are_unique() {
        let names: HashSet<_> = SETTINGS.iter().map(|setting| setting.name).collect();
        let variables: HashSet<_> = SETTINGS.iter().map(Setting::variable).collect();
        assert_eq!(
            (names.len(), variables.len()),
            (SETTINGS.len(), SETTINGS.len())
        );
    }

    #[test]
    fn flags_of_the_command_line_are_those_of_the_table() {
        let serve = crate::command().find_subcommand("serve").unwrap().clone();
        let mut flags: Vec<_> = serve
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .collect();
        flags.retain(|flag| !matches!(*flag, "help" | "config"));
        let expected: Vec<_> = SETTINGS
            .iter()
            .map(|setting| setting.flag)
            .filter(|flag| !flag.is_empty())
            .collect();
        assert_eq!(flags, expected);
    }
}
