//! Credentials, flags and modes of `go`.

use fault::Rule;

use super::Row;

pub(super) const ROWS: &[Row] = &[
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
];
