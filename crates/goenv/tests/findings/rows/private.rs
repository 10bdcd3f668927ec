//! Private patterns and the checksum database.

use fault::Rule;

use super::Row;

pub(super) const ROWS: &[Row] = &[
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
];
