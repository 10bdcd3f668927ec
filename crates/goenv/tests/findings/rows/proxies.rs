//! The HTTP proxy of the network.

use fault::Rule;

use super::Row;

pub(super) const ROWS: &[Row] = &[
    (
        "a proxy that is no URL",
        Rule::ProxyMalformed,
        &["HTTPS_PROXY=http://u:p%zz@proxy.example:3128"],
    ),
    (
        "a proxy in quotes",
        Rule::ProxyMalformed,
        &["HTTPS_PROXY='http://proxy.example:3128'"],
    ),
    (
        "a proxy with two schemes",
        Rule::ProxyMalformed,
        &["HTTPS_PROXY=http://http://proxy.example:3128"],
    ),
    (
        "a proxy with a scheme go does not know",
        Rule::ProxyScheme,
        &["HTTPS_PROXY=socks4://proxy.example:1080"],
    ),
    (
        "https to a plain proxy",
        Rule::ProxyTls,
        &["HTTPS_PROXY=https://proxy.example:3128"],
    ),
    (
        "only HTTP_PROXY",
        Rule::ProxyHttpOnly,
        &["HTTP_PROXY=http://proxy.example:3128"],
    ),
    (
        "only ALL_PROXY",
        Rule::ProxyAllOnly,
        &["ALL_PROXY=socks5://127.0.0.1:1080"],
    ),
    (
        "two spellings that differ",
        Rule::ProxyCases,
        &[
            "HTTPS_PROXY=http://a.example:3128",
            "https_proxy=http://b.example:3128",
        ],
    ),
    (
        "NO_PROXY with blanks",
        Rule::NoProxySeparator,
        &["NO_PROXY=localhost corp.example"],
    ),
    (
        "NO_PROXY with a wildcard address",
        Rule::NoProxyEntry,
        &["NO_PROXY=localhost,10.*"],
    ),
    (
        "NO_PROXY with a URL",
        Rule::NoProxyEntry,
        &["NO_PROXY=http://corp.example/"],
    ),
    (
        "NO_PROXY with a bad network",
        Rule::NoProxyEntry,
        &["NO_PROXY=10.0.0.0/33"],
    ),
    (
        "an internal server through the proxy",
        Rule::NoProxyPrivate,
        &[
            "GOPROXY=https://proxy.corp.internal,direct",
            "GOPRIVATE=corp.internal",
            "HTTPS_PROXY=http://proxy.example:3128",
        ],
    ),
];
