//! Settings and environment: faults before any request.

use fault::{Hop, Label};

use crate::explain::case::Case;
use crate::explain::verdict::{Also, Verdicts, found};

pub(crate) fn judge(case: &Case) -> Verdicts {
    let rules = [chain, flags, home, gopath];
    rules
        .iter()
        .map(|rule| rule(case))
        .find(|verdicts| !verdicts.is_empty())
        .unwrap_or_default()
}

/// GOPROXY itself.
fn chain(case: &Case) -> Verdicts {
    let client = &case.client;
    if let Some(at) = client
        .line_with("contains no entries")
        .filter(|_| client.has("goproxy"))
    {
        return found(Label::CfgGoproxyEmpty, 0.98, at, "contains no entries");
    }
    if let Some(at) = client.line_with("missing gosumdb") {
        return found(Label::CfgGoproxyEmpty, 0.7, at, "missing gosumdb")
            .or(Label::SumdbUnreachable, 0.3);
    }
    for words in [
        "disabled by goproxy=off",
        "goproxy is set to off",
        "disabled by goproxy=\"off\"",
    ] {
        if let Some(at) = client.line_with(words) {
            return found(Label::CfgGoproxyOff, 0.98, at, words);
        }
    }
    if let Some((at, words)) = client.any(&[
        "invalid proxy url",
        "invalid file:// proxy url",
        "invalid goproxy",
        "malformed goproxy",
    ]) {
        return found(Label::CfgGoproxySyntax, 0.97, at, words);
    }
    unusable_entry(case)
}

/// An entry that got as far as a request: `parse "…;direct"`, `unsupported protocol scheme`, a look-up of `a,direct`.
fn unusable_entry(case: &Case) -> Verdicts {
    let client = &case.client;
    let in_request = client.has_any(&["/@v/", "/@latest", "goproxy", "/sumdb/", "direct"]);
    if let Some(at) = client
        .line_with("unsupported protocol scheme")
        .filter(|_| in_request)
    {
        return found(
            Label::CfgGoproxySyntax,
            0.93,
            at,
            "unsupported protocol scheme",
        );
    }
    if let Some(value) = client.after("parse \"").or_else(|| client.after("parse '")) {
        let value = value.split("\": ").next().unwrap_or(value);
        let stray = value.contains([';', ' ', '\\', '\'', '，', '；', '|'])
            || value.starts_with(['"', '\''])
            || value.contains(',');
        let complaint = client.has_any(&[
            "first path segment",
            "invalid character",
            "missing protocol scheme",
            "invalid port",
            "invalid control character",
            "invalid url escape",
            "colon in first path",
        ]);
        let credentials = value.contains('@') && client.has("invalid port");
        let discovery = value.contains("go-get=1");
        if complaint
            && !credentials
            && !discovery
            && (stray || in_request)
            && !client.has("proxy address")
        {
            let at = client.line_with("parse ").unwrap_or_default();
            return found(Label::CfgGoproxySyntax, 0.93, at, "parse ");
        }
    }
    let list_as_host = |host: &str| {
        host.contains([';', ',', '，', '；', '\'', '"', '|'])
            || host == "https"
            || host.ends_with("direct")
    };
    if let Some((at, lookup)) = client
        .lookups
        .iter()
        .find(|(_, lookup)| !lookup.of_proxy && list_as_host(&lookup.host))
    {
        return found(Label::CfgGoproxySyntax, 0.9, *at, &lookup.host).or(Label::DnsNxdomain, 0.2);
    }
    Verdicts::new()
}

/// `-mod` and GOFLAGS.
fn flags(case: &Case) -> Verdicts {
    const BLOCKED: &[&str] = &[
        "cannot query module due to -mod=",
        "disabled by -mod=vendor",
        "due to -mod=vendor",
        "can't resolve module using the vendor directory",
        "using the vendor directory",
        "-mod may only be set to",
        "build flag -mod=",
        "parsing $goflags",
        "goflags: ",
        "import lookup disabled by -mod=",
        "when in workspace mode, but it is set to",
        "-mod=vendor",
    ];
    let client = &case.client;
    if client.has_any(&[
        "updates to go.",
        "inconsistent vendoring",
        "but not marked as explicit",
        "is explicitly required",
    ]) {
        return Verdicts::new();
    }
    let Some((at, words)) = client.any(BLOCKED) else {
        return Verdicts::new();
    };
    if words == "-mod=vendor" && !client.has_any(&["disabled", "cannot", "can't", "not allowed"]) {
        return Verdicts::new();
    }
    if client.has("vendor directory exists") {
        // The mode comes from the vendor directory, not from a flag.
        return found(Label::VendorInconsistent, 0.8, at, words).or(Label::CfgGoflagsMod, 0.45);
    }
    found(Label::CfgGoflagsMod, 0.92, at, words).or(Label::ProjUpdatesNeeded, 0.2)
}

/// No place for caches.
fn home(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "nor $home are defined",
        "$home is not defined",
        "neither gomodcache nor gopath is set",
        "module cache not found",
        "neither gopath nor gomodcache are set",
        "%localappdata% is not defined",
        "missing $gopath",
        "gocache is not defined",
        "%appdata% is not defined",
        "neither $xdg_config_home nor $home",
        "$home not set",
        "cannot find gopath",
        "gopath entry is relative",
        "gomodcache entry is relative",
        "gocache is not an absolute path",
        "gocache environment variable is relative",
        "could not determine home directory",
        "user: current user's home directory",
    ];
    case.client
        .any(WORDS)
        .map_or_else(Verdicts::new, |(at, words)| {
            found(Label::EnvHomeUnset, 0.95, at, words)
        })
}

/// GOPATH mode, where GOPROXY has no say.
fn gopath(case: &Case) -> Verdicts {
    const PLAIN: &[&str] = &[
        "modules disabled by go111module=off",
        "cannot use path@version syntax in gopath mode",
        "path@version syntax in gopath mode",
        "(from $gopath)",
        "gopath/src does not exist",
        "inside gopath",
        "disabled by go111module=auto",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(PLAIN) {
        return found(Label::CfgGopathMode, 0.95, at, words);
    }
    if let Some(at) = client.line_with("in any of:") {
        let vendored = client.has("/vendor/") && client.has("vendor tree");
        return if vendored {
            found(Label::VendorInconsistent, 0.8, at, "in any of:").or(Label::CfgGopathMode, 0.3)
        } else {
            found(Label::CfgGopathMode, 0.9, at, "in any of:")
        };
    }
    let fetching = client
        .line_with("fetching https://")
        .filter(|_| client.has("go-get=1"))
        .or_else(|| client.line_with("(download)"));
    let wording = client.lines.first().is_some_and(|line| {
        line.lower.starts_with("package ")
            && line.lower.contains(": ")
            && !line.lower.contains("goroot")
            && !line.lower.contains("not in std")
    });
    let remote = client.has_any(&[
        "unrecognized import path",
        "exit status",
        "cannot download",
        "cannot find package",
        "directory \"",
        "fetch",
    ]);
    let failing = !client.sockets.is_empty()
        || !client.lookups.is_empty()
        || client.has_any(&[
            "unrecognized import path",
            "fatal:",
            "cannot find package",
            "cannot download",
        ]);
    match (fetching, wording && remote) {
        (Some(at), _) if failing || wording => {
            found(Label::CfgGopathMode, 0.9, at, "(download)").or(Label::TcpBlockedRegion, 0.2)
        }
        (_, true) => with_inner(case),
        _ => Verdicts::new(),
    }
}

/// `package X: …` is the wording of GOPATH mode. A connection that fails there would have gone through a proxy in module
/// mode; any other inner error is the cause itself.
fn with_inner(case: &Case) -> Verdicts {
    let inner: [super::Rule; 6] = [
        super::http_proxy::judge,
        super::tls::judge,
        super::dns::judge,
        super::tcp::judge,
        super::git::judge,
        super::module::judge,
    ];
    let inside = inner
        .iter()
        .map(|rule| rule(case))
        .find(|inside| !inside.is_empty())
        .unwrap_or_default();
    match inside.first() {
        Some(first) if first.label.hop() != Hop::Tcp => found(
            first.label,
            first.confidence.min(0.85),
            first.at,
            &first.words,
        )
        .or(Label::CfgGopathMode, 0.45),
        Some(first) => found(Label::CfgGopathMode, 0.8, 0, "package ").or(first.label, 0.45),
        None => found(Label::CfgGopathMode, 0.8, 0, "package "),
    }
}
