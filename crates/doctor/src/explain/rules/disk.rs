//! Local storage and process limits.

use fault::Label;

use crate::explain::case::Case;
use crate::explain::verdict::{Also, Verdicts, found};

pub(crate) fn judge(case: &Case) -> Verdicts {
    let rules = [ownership, damaged, space, access];
    rules
        .iter()
        .map(|rule| rule(case))
        .find(|verdicts| !verdicts.is_empty())
        .unwrap_or_default()
}

fn ownership(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "dubious ownership",
        "unsafe repository",
        "is owned by someone else",
        "error obtaining vcs status",
    ];
    let client = &case.client;
    match client.any(WORDS) {
        Some((at, words)) => found(
            Label::VcsDubiousOwnership,
            if words.starts_with("error") {
                0.85
            } else {
                0.97
            },
            at,
            words,
        ),
        None => Verdicts::new(),
    }
}

/// Entries of the cache that are damaged.
fn damaged(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "'origin' does not appear to be a git repository",
        "does not appear to be a git repository",
        "loose object",
        "object file",
        "shallow file has changed",
        "lock': file exists",
        "is corrupt",
        "not a git repository: '",
        "bad object",
        "pack has bad object",
        "cached file",
        "invalid cached",
        "corrupt cache",
        "unexpected end of file in cache",
        "unexpected ziphash",
        "not a git repository (or any",
    ];
    let client = &case.client;
    let in_cache = client.has_any(&[
        "cache/vcs",
        "cache\\vcs",
        "pkg/mod",
        "gomodcache",
        "git ls-remote",
        "git fetch",
        "git log",
        "git -c",
        "cache/download",
        "git cat-file",
        "go: ",
        "'origin'",
        "ziphash",
    ]);
    match client.any(WORDS).filter(|_| in_cache || case.log.go) {
        Some((at, words)) => {
            found(Label::DiskCacheCorrupt, 0.9, at, words).or(Label::AuthRepoNotFound, 0.2)
        }
        None => Verdicts::new(),
    }
}

/// Limits of the process: whatever else fails then fails because of them.
pub(crate) fn limits(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "too many open files",
        "file size limit exceeded",
        "resource temporarily unavailable",
        "cannot allocate memory",
        "pthread_create failed",
        "file too large",
        "socket: too many",
    ];
    let client = &case.client;
    let module_size = client.has_any(&["zip file", "max size", "license file", "go.mod file"]);
    match client.any(WORDS).filter(|_| !module_size && is_ours(case)) {
        Some((at, words)) => found(Label::OsResourceLimit, 0.93, at, words),
        None => Verdicts::new(),
    }
}

fn space(case: &Case) -> Verdicts {
    const FULL: &[&str] = &[
        "no space left on device",
        "disk quota exceeded",
        "not enough space on the disk",
        "there is not enough space",
        "disk full",
        "no space left",
    ];
    const READONLY: &[&str] = &[
        "read-only file system",
        "read only file system",
        "media is write protected",
    ];
    let client = &case.client;
    if let Some((at, words)) = client.any(FULL).filter(|_| is_ours(case)) {
        return found(Label::DiskFull, 0.96, at, words);
    }
    match client.any(READONLY).filter(|_| is_ours(case)) {
        Some((at, words)) => found(Label::DiskReadonly, 0.96, at, words),
        None => Verdicts::new(),
    }
}

/// A file or directory that this user may not write.
fn access(case: &Case) -> Verdicts {
    const WORDS: &[&str] = &[
        "permission denied",
        "access is denied",
        "operation not permitted",
    ];
    let client = &case.client;
    let Some((at, words)) = client.any(WORDS) else {
        return Verdicts::new();
    };
    let text = client
        .lines
        .get(at)
        .map(|line| line.lower.as_str())
        .unwrap_or_default();
    let login = text.contains("permission denied (")
        || text.contains("publickey")
        || text.contains("please try again");
    let socket = text.contains("dial ") || text.contains("socket") || text.contains("connect:");
    let operation = [
        "mkdir",
        "open ",
        "create",
        "rename",
        "unlink",
        "remove",
        "write",
        "stat ",
        "chmod",
        "lock",
        "copy",
        "rmdir",
        "touch",
        "cannot",
        "fork/exec",
        "exec",
        "lstat",
        "could not",
        "symlink",
        "link ",
        "failed",
        "无法",
        ": ",
    ];
    let touches = operation.iter().any(|word| text.contains(word))
        && (text.contains('/') || text.contains('\\'));
    if login || socket || !touches || !is_ours(case) {
        return Verdicts::new();
    }
    found(Label::DiskPermission, 0.93, at, words)
}

/// Whether a line names a place where the system, the kernel or another ecosystem keeps its files.
fn is_of_the_system(lower: &str) -> bool {
    const PLACES: &[&str] = &[
        "/lib/modules/",
        "/usr/lib/",
        "/var/lib/",
        "/var/log/",
        "/proc/",
        "/sys/",
        "/boot/",
        "site-packages",
        "node_modules",
        "/.npm",
        "/.m2/",
        "/.cargo/",
    ];
    PLACES.iter().any(|place| lower.contains(place))
}

/// Whether the path or the command belongs to Go.
fn is_ours(case: &Case) -> bool {
    const PATHS: &[&str] = &[
        "go: ",
        "go build",
        "go get",
        "go mod",
        "go install",
        "pkg/mod",
        "pkg\\mod",
        "go-build",
        "/go/",
        "\\go\\",
        "gopath",
        "gocache",
        "gomodcache",
        "cache/download",
        "cache/vcs",
        "goroot",
        "local/go",
        "golang",
        "go.mod",
        "go.sum",
        "go-link",
        "vendor/",
        "gotmpdir",
        "/sumdb/",
        "go env",
        "git fetch",
        "git ls-remote",
        "/.cache/",
        "go/env",
        "build cache",
        "module cache",
        "compile:",
        "/link: ",
    ];
    case.client.has_any(PATHS)
        || (case.log.go && !case.log.other_tool)
        || (case.log.fragment && !case.client.lower().any(is_of_the_system))
}
