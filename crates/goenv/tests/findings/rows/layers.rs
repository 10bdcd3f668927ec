//! Where settings are made, and that what is made takes effect.

use fault::Rule;

use super::Row;

pub(super) const ROWS: &[Row] = &[
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
];
