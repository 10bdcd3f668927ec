//! URLs and HTTP proxies: this crate and Go's standard library must agree.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may panic, and tells how much it has compared"
)]

mod support;

use goenv::Environment;
use goenv::go_url::GoUrl;
use goenv::http_proxy::{HttpProxyRules, Route};
use support::{ask, some, text};
use url::Url;

const URL_TEXTS: [&str; 78] = [
    "",
    "*",
    ":",
    "/",
    "//",
    "///",
    "////a",
    "a",
    "a/b:c",
    "a:b/c",
    "1a:b",
    "-",
    "a+b-c.1:x",
    ":x",
    "http:",
    "http:/",
    "http://",
    "http:///",
    "http:///x",
    "http:x",
    "http://h",
    "HTTP://H",
    "hTTps://h/",
    "http://h?",
    "http://h??",
    "http://h?a?b",
    "http://h?a#b",
    "http://h#",
    "http://h#a b",
    "http://h#%",
    "http://h/#%41!",
    "http://h/%",
    "http://h/%4",
    "http://h/%zz",
    "http://h/%41",
    "http://h/%2f",
    "http://h/a b\"c",
    "http://h/ü%C3%BC",
    "http://h/(a)!*'",
    "http://h/[x]",
    "http://h/^`{|}\\",
    "http://h/a;b=c,d@e",
    "http://h/\u{1}",
    "http://h/\u{7f}",
    "http://h/\u{e9}\u{200b}",
    "http://u@h",
    "http://u:p@h",
    "http://:@h",
    "http://:p@h",
    "http://@h",
    "http://u:p@q@h",
    "http://u%40v:%2F@h",
    "http://a b@h",
    "http://ü@h",
    "http://u:%zz@h",
    "http://u[:p@h",
    "http://h:80",
    "http://h:",
    "http://:80",
    "http://h:x",
    "http://h:1:2",
    "db://h:1:2",
    "db://h:1,i:x",
    "http://a b",
    "http://a%20b",
    "http://a%C3%BC",
    "http://ü",
    "http://a\"<>",
    "http://a^b",
    "http://[::1]",
    "http://[::1]:80",
    "http://[::1]x",
    "http://[::1",
    "http://::1]",
    "http://a[::1]",
    "http://[fe80::1%25en0]:1",
    "http://[fe80::1%25%zz]",
    "http://[1.2.3.4]",
];

/// Pieces of which more URLs are put together.
const PIECES: [&str; 34] = [
    "http",
    "https",
    "file",
    ":",
    "/",
    "//",
    "://",
    "@",
    "?",
    "#",
    "%",
    "%41",
    "%2f",
    "%zz",
    "[",
    "]",
    "::1",
    "1.2.3.4",
    ":80",
    "user",
    ":pass",
    "host",
    ".example.com",
    "a b",
    "ü",
    "\"",
    "*",
    "+",
    ",",
    ";",
    "=",
    "&",
    "~",
    "\t",
];

#[test]
fn urls_are_read_as_go_reads_them() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut texts: Vec<String> = URL_TEXTS.map(str::to_owned).to_vec();
    texts.extend((0..3000).map(|_| some(&mut random, &PIECES, 9).concat()));
    texts
        .extend((0..3000).map(|_| "https://".to_owned() + &some(&mut random, &PIECES, 8).concat()));

    let mut refused = 0;
    for (answer, written) in ask("urls", &[], &texts).iter().zip(&texts) {
        let expected_error = text(answer, "Error");
        let url = match GoUrl::parse(written) {
            Ok(url) => url,
            Err(error) => {
                refused += 1;
                // The wording differs where a password has to be hidden, and where Go explains IP
                // addresses at length.
                if !written.contains('@') && !expected_error.contains("ParseAddr") {
                    assert_eq!(error.to_string(), expected_error, "{written:?}");
                }
                assert_ne!(expected_error, "", "{written:?}: {error}");
                continue;
            }
        };
        assert_eq!(expected_error, "", "{written:?} is {url:?}");
        let parts = [
            ("Scheme", url.scheme()),
            ("Host", url.host()),
            ("Hostname", url.hostname()),
            ("Port", url.port()),
            ("Path", url.escaped_path()),
            ("Query", url.query().unwrap_or_default()),
            ("Fragment", url.fragment().unwrap_or_default()),
            ("Text", &url.expose()),
        ];
        for (part, value) in parts {
            assert_eq!(value, text(answer, part), "{part} of {written:?}");
        }
    }
    println!("{} URLs compared, {refused} refused by both", texts.len());
    assert!(refused > 100 && refused < texts.len() - 100);
}

const TARGETS: [&str; 52] = [
    "http://a.com/",
    "https://a.com/",
    "https://a.com:8443/x",
    "http://b.a.com:8080/",
    "https://ba.com/",
    "https://a.com./",
    "https://A.COM/",
    "https://localhost/",
    "http://localhost:80/",
    "https://LOCALHOST/",
    "https://x.localhost/",
    "http://127.0.0.1/",
    "http://127.9.9.9:1/",
    "http://127.1/",
    "http://[::1]/",
    "http://[::1]:8080/",
    "http://[::ffff:127.0.0.1]/",
    "http://10.0.0.1/",
    "https://10.0.0.1:8443/",
    "https://10.200.3.4/",
    "https://[::ffff:10.0.0.1]/",
    "https://[2001:db8::1]/",
    "https://[2001:db8::1]:8443/",
    "https://[2001:DB8:0::1]/",
    "https://[fe80::1%25eth0]/",
    "https://192.168.1.1/",
    "https://010.0.0.1/",
    "https://1.2.3/",
    "https://0x7f.1/",
    "https://git.corp.example/",
    "http://git.corp.example:80/",
    "http://git.corp.example:080/",
    "https://git.corp.example:/",
    "https://corp.example/",
    "https://bücher.example/",
    "https://www.bücher.example/",
    "https://xn--bcher-kva.example/",
    "https://faß.example/",
    "https://xn--fa-hia.example/",
    "https://BÜCHER.example/",
    "https://a_b.example/",
    "https://user:pw@a.com/",
    "ftp://a.com/",
    "ws://a.com/",
    "a.com/x",
    "https:///x",
    "https:x",
    "http://:80/",
    "https://proxy.golang.org/m/@v/list",
    "https://sum.golang.org/latest",
    "http://0.0.0.0/",
    "https://日本語.example/",
];

const NO_PROXY_ENTRIES: [&str; 76] = [
    "*",
    "*.",
    "*.*",
    "*a.com",
    "a.com",
    "A.COM",
    ".a.com",
    "*.a.com",
    "..a.com",
    "a.com.",
    "a.com:8443",
    "a.com:443",
    "a.com:",
    ".a.com:8080",
    "com",
    ".",
    ":80",
    "localhost",
    "127.0.0.1",
    "10.0.0.1",
    "10.0.0.1:8443",
    "10.0.0.1:443",
    "10.0.0.0/8",
    "10.0.0.1/8",
    "10.0.0.0/08",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/+8",
    "0.0.0.0/0",
    "10.",
    "10",
    "0.1",
    ".1",
    "010.0.0.1",
    "::1",
    "[::1]",
    "[::1]:8080",
    "2001:db8::1",
    "[2001:db8::1]:8443",
    "[2001:db8::1]",
    "2001:db8::/32",
    "2001:DB8::/16",
    "::/0",
    "::ffff:10.0.0.1",
    "::ffff:10.0.0.0/104",
    "::ffff:0:0/96",
    "::/95",
    "::ffff:10.0.0.0/90",
    "fe80::1",
    "fe80::1%eth0",
    "fe80::/10",
    "192.168.0.0/16",
    "corp.example",
    ".corp.example",
    "corp.example:80",
    "git.corp.example:080",
    "*.example",
    "example",
    "bücher.example",
    ".bücher.example",
    "*.bücher.example",
    "BÜCHER.example",
    "xn--bcher-kva.example",
    "faß.example",
    "日本語.example",
    "a_ü.example",
    "ü-.example",
    "golang.org",
    "proxy.golang.org:443",
    "sum.golang.org ",
    " ",
    "",
    "http://a.com",
    "a.com/x",
    "[a.com",
    "a b",
];

const PROXY_VALUES: [&str; 40] = [
    "",
    "p",
    "p:3128",
    "p.example:3128",
    "http://p",
    "http://p:3128",
    "http://p:3128/",
    "http://p/path?q#f",
    "HTTP://P",
    "https://p",
    "https://p:3129",
    "socks5://p:1080",
    "socks5h://p",
    "SOCKS5://u:w@p",
    "ftp://p:1",
    "foo:bar",
    "foo",
    "u:w@p:3128",
    "http://u:w@p:3128",
    "http://u@p",
    "http://u:w@q@p",
    "[::1]:3128",
    "http://[::1]:3128",
    "http://[::1",
    "http://p:port",
    "p:port",
    "http://",
    "http:///x",
    "http:p",
    "//p",
    "/p",
    ":3128",
    "http://a b",
    "a b",
    "a b:1",
    "http://%zz",
    "%zz",
    "p\u{1}",
    "bücher.example:3128",
    "http://p:0080",
];

fn random_environment(random: &mut fastrand::Rng) -> Vec<(String, String)> {
    let mut environment = Vec::new();
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
        // A proxy that works is set most of the time, so that NO_PROXY has something to decide.
        match random.u8(..10) {
            0..4 => environment.push((name, "http://proxy.example:3128")),
            4..7 => environment.push((name, PROXY_VALUES[random.usize(..PROXY_VALUES.len())])),
            _ => {}
        }
    }
    if random.u8(..12) == 0 {
        environment.push(("REQUEST_METHOD", if random.bool() { "GET" } else { "" }));
    }
    let mut owned: Vec<(String, String)> = environment
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for name in ["NO_PROXY", "no_proxy"] {
        if random.bool() {
            owned.push((
                name.to_owned(),
                some(random, &NO_PROXY_ENTRIES, 4).join(","),
            ));
        }
    }
    owned
}

fn environments() -> Vec<Vec<(String, String)>> {
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let mut all = vec![owned(&[])];
    for value in PROXY_VALUES {
        all.push(owned(&[("HTTP_PROXY", value), ("HTTPS_PROXY", value)]));
    }
    for entry in NO_PROXY_ENTRIES {
        all.push(owned(&[
            ("http_proxy", "p:1"),
            ("https_proxy", "p:2"),
            ("no_proxy", entry),
        ]));
    }
    let mut random = fastrand::Rng::with_seed(2);
    all.extend((0..400).map(|_| random_environment(&mut random)));
    all
}

/// What Go said, as this crate should put it.
fn expected(answer: &serde_json::Value) -> String {
    let (error, proxy) = (text(answer, "Error"), text(answer, "Proxy"));
    if !error.is_empty() {
        return format!("error: {error}");
    }
    if proxy.is_empty() {
        return "direct".to_owned();
    }
    match Url::parse(proxy) {
        Ok(url) if !text(answer, "ProxyHost").is_empty() => url.into(),
        _ => "unreachable".to_owned(),
    }
}

fn shown(route: Result<Route, goenv::Error>) -> String {
    match route {
        Ok(Route::Proxy(proxy)) => proxy.as_url().as_str().to_owned(),
        Ok(Route::Direct(_)) => "direct".to_owned(),
        Err(goenv::Error::Unreachable { .. }) => "unreachable".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn requests_take_the_way_they_take_in_go() {
    let targets: Vec<String> = TARGETS.map(str::to_owned).to_vec();
    let (mut compared, mut proxied) = (0, 0);
    for environment in environments() {
        let rules = HttpProxyRules::from_environment(&Environment::from_pairs(environment.clone()));
        for (answer, target) in ask("proxies", &environment, &targets).iter().zip(&targets) {
            let expected = expected(answer);
            let url = GoUrl::parse(target).unwrap();
            let route = rules.route_to(url.scheme(), url.hostname(), url.port());
            assert_eq!(shown(route), expected, "{target} with {environment:?}");
            compared += 1;
            proxied += usize::from(expected.contains("://"));

            // The `url` crate changes the spelling of some hosts; the others must come out the
            // same.
            let same_spelling = |parsed: &Url| {
                parsed
                    .host_str()
                    .is_some_and(|host| target.contains(&format!("//{host}")))
                    && url.port()
                        == parsed
                            .port()
                            .map(|port| port.to_string())
                            .unwrap_or_default()
            };
            if let Some(parsed) = Url::parse(target).ok().filter(same_spelling) {
                assert_eq!(
                    shown(rules.route(&parsed)),
                    expected,
                    "{parsed} with {environment:?}"
                );
                compared += 1;
            }
        }
    }
    println!("{compared} routes compared, {proxied} through a proxy");
    assert!(proxied > 1000 && proxied < compared - 1000);
}
