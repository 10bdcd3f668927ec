//! Hash mismatches: always looked at before anything else that the same error says.

use fault::Label;

use crate::explain::case::Case;
use crate::explain::verdict::{Also, Verdicts, found};

pub(crate) fn judge(case: &Case) -> Verdicts {
    let client = &case.client;
    if let Some((at, words)) = client
        .any(&["malformed go.sum", "wrong number of fields"])
        .filter(|_| client.has("go.sum"))
    {
        return found(Label::ProjGosumMalformed, 0.97, at, words);
    }
    if let Some((at, words)) = client.any(&[
        "dir has been modified",
        "zip has been modified",
        "missing ziphash",
        "go.mod has been modified",
        "directory has been modified",
    ]) {
        return found(Label::DiskCacheCorrupt, 0.93, at, words);
    }
    let mismatch = client.any(&[
        "checksum mismatch",
        "does not match the one reported",
        "does not match an earlier download",
        "security error",
    ]);
    let Some((at, words)) = mismatch else {
        return Verdicts::new();
    };
    if !client.has_any(&[
        "verifying",
        "go.sum",
        "downloaded",
        "h1:",
        "checksum",
        "go: ",
    ]) {
        return Verdicts::new();
    }
    let by_database = client.has("checksum server")
        || client.has("reported by the")
        || client.lower().any(is_database_line);
    let recorded = client
        .lower()
        .any(|text| text.trim_start().starts_with("go.sum:"))
        || client.has("recorded in go.sum")
        || client.has("earlier download");
    let direct =
        case.log.direct_only || client.has_any(&["git fetch", "git ls-remote", "git clone"]);
    match (by_database, recorded) {
        (true, _) if direct => {
            // Straight from the repository: nobody in between could have altered it but the author.
            found(Label::ModRetagged, 0.75, at, words).or(Label::SumdbMismatch, 0.45)
        }
        (true, _) => found(Label::SumdbMismatch, 0.95, at, words).or(Label::ModRetagged, 0.25),
        (_, true) => found(Label::GosumMismatch, 0.95, at, words).or(Label::ModRetagged, 0.3),
        _ => found(Label::GosumMismatch, 0.65, at, words).or(Label::SumdbMismatch, 0.4),
    }
}

/// `sum.golang.org: h1:…`, whatever the database is called.
fn is_database_line(lower: &str) -> bool {
    lower
        .trim_start()
        .split_once(':')
        .is_some_and(|(name, rest)| {
            rest.trim_start().starts_with("h1:")
                && !matches!(name, "downloaded" | "go.sum")
                && !name.contains(' ')
        })
}
