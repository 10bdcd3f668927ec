//! GOPROXY: the chain and its entries.

use fault::Rule;

use super::Row;

pub(super) const ROWS: &[Row] = &[
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
];
