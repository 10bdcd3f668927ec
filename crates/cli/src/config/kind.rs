/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Host and port; `:8090` listens on every address.
    Address,
    /// A file or directory.
    Path,
    /// An `http://` or `https://` URL.
    Url,
    /// GOPROXY's syntax.
    Chain,
    /// A comma-separated list of module path patterns.
    Globs,
    /// GOSUMDB's syntax.
    Sumdb,
    /// GOVCS's syntax.
    Govcs,
    /// GOAUTH's syntax.
    Goauth,
    /// Resolvers of names, separated by commas.
    Resolvers,
    /// A comma-separated list of host name patterns.
    Hosts,
    /// A comma-separated list of networks.
    Networks,
    /// A number with `ms`, `s`, `m` or `h`.
    Duration,
    /// A number of bytes; `KiB`, `MiB`, `GiB` are understood.
    Bytes,
    /// A whole number, at least 1.
    Count,
    /// `true` or `false`.
    Switch,
    /// The name of a checksum database: a host, with or without a path.
    LogName,
    /// The place of a secret.
    Secret,
    /// Verifier keys of witnesses.
    WitnessKeys,
    /// What `modkeep warm` takes, separated by commas.
    Targets,
    /// One of these words.
    Word(&'static [&'static str]),
}

impl ValueKind {
    /// How the reference calls it.
    pub fn describe(self) -> String {
        match self {
            Self::Address => "address".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::Chain => "GOPROXY syntax".to_owned(),
            Self::Globs => "module path patterns".to_owned(),
            Self::Sumdb => "GOSUMDB syntax".to_owned(),
            Self::Govcs => "GOVCS syntax".to_owned(),
            Self::Goauth => "GOAUTH syntax".to_owned(),
            Self::Resolvers => "resolvers, such as tls://dns.example.com".to_owned(),
            Self::Hosts => "host name patterns".to_owned(),
            Self::Networks => "networks, such as 10.1.0.0/16".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Bytes => "bytes".to_owned(),
            Self::Count => "number".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::LogName => "database name".to_owned(),
            Self::Secret => "place of a secret".to_owned(),
            Self::WitnessKeys => "verifier keys".to_owned(),
            Self::Targets => "files, directories, modules".to_owned(),
            Self::Word(words) => words.join(", "),
        }
    }
}
