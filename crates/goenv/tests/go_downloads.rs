//! GOPROXY, GOSUMDB and netrc: what this crate makes of them is what the real `go mod download`
//! makes of them.
#![cfg(unix)]
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may panic, and tells how much it has compared"
)]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use goenv::Error;
use goenv::goproxy::{ProxyList, Target};
use goenv::gosumdb::{SUM_GOLANG_ORG_KEY, SumdbSetting};
use goenv::netrc::Netrc;
use support::{go_command, oracle, some};
use url::Url;

const MODULE: &str = "example.com/m@v1.0.0";

/// `go` in an empty home, with every way to the network closed.
fn go(home: &Path) -> Command {
    let mut command = go_command();
    command
        .env("HOME", home)
        .envs([
            ("GOTOOLCHAIN", "local"),
            ("GOFLAGS", "-mod=mod -modcacherw"),
            ("GOSUMDB", "off"),
        ])
        .envs([
            ("HTTP_PROXY", "http://127.0.0.1:1"),
            ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ])
        .env("GIT_ALLOW_PROTOCOL", "none")
        .current_dir(home);
    command
}

/// What `go mod download` complains about with this GOPROXY.
fn download_error(home: &Path, goproxy: &str) -> String {
    let output = go(home)
        .args(["mod", "download", "-json", MODULE])
        .env("GOPROXY", goproxy)
        .output()
        .unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{goproxy}: {}", String::from_utf8_lossy(&output.stderr)));
    let error = answer["Error"]
        .as_str()
        .unwrap_or_else(|| panic!("{goproxy}: {answer}"));
    error
        .strip_prefix(MODULE)
        .and_then(|error| error.strip_prefix(": "))
        .unwrap_or(error)
        .to_owned()
}

fn is_list_error(error: &str) -> bool {
    let beginnings = [
        "GOPROXY list is not",
        "invalid proxy URL",
        "invalid file:// proxy URL",
        "parse \"",
    ];
    beginnings
        .iter()
        .any(|beginning| error.starts_with(beginning))
}

fn compare_goproxy(home: &Path, goproxy: &str) {
    let said = download_error(home, goproxy);
    match ProxyList::parse(goproxy) {
        Err(Error::Unreachable { .. }) => assert!(!is_list_error(&said), "{goproxy}: {said}"),
        // A password in the list is hidden here, but not by go.
        Err(error) if goproxy.contains('@') => {
            assert!(is_list_error(&said), "{goproxy}: {error}, not {said}");
        }
        Err(error) => assert_eq!(error.to_string(), said, "{goproxy}"),
        Ok(list) => {
            assert!(!is_list_error(&said), "{goproxy}: {said}");
            let first = list.entries.first().expect("a list is never empty");
            match &first.target {
                Target::Off => {
                    assert_eq!(said, "module lookup disabled by GOPROXY=off", "{goproxy}");
                }
                Target::Url(url) if list.entries.len() == 1 && url.as_url().scheme() != "file" => {
                    // Go cleans the path of a request (path.Join).
                    let elements = url
                        .as_url()
                        .path()
                        .split('/')
                        .filter(|part| !part.is_empty());
                    let asked = elements.fold(String::new(), |path, element| path + "/" + element)
                        + "/example.com/m/@v/v1.0.0.info";
                    let refused = "refusing to pass credentials to insecure URL";
                    assert!(
                        said.contains(&asked) || said.contains(refused),
                        "{goproxy}: {said}"
                    );
                }
                Target::Url(_) | Target::Direct => {}
            }
        }
    }
}

#[test]
fn goproxy_is_read_as_go_reads_it() {
    let home = tempfile::tempdir().unwrap();
    let lists = [
        ",",
        " ",
        "|,|",
        "off",
        " off ,direct",
        "Off",
        "foo",
        "foo,direct",
        "off,foo",
        "https://a.example",
        "https://a.example/x/",
        "a.example",
        "a.example:80/x",
        "localhost:1",
        "foo/bar",
        "/abs",
        "https:/x",
        "https:x",
        "https://",
        "file:///nowhere",
        "file://host/x",
        "file:/x",
        "file:x",
        "file:///x?y",
        "file:///x#y",
        "file:///x y",
        "ftp://a",
        "://a",
        "https://a b",
        "https://a:b",
        "https://[::1",
        "https://u:p@a.example",
        "http://u:p@a.example",
        "u:p@a.example",
        "https;//a.example",
        "https//a.example",
        "https://https://a.example",
        "https://a.example/%zz",
        "https://a.example?x=y",
        "\u{a0}off\u{3000}",
        "off\u{200b}",
        "https://ü.example",
        "file:///nowhere,off",
        "file:///nowhere|foo",
    ];
    let pieces = [
        "https://",
        "http://",
        "file://",
        "https://",
        "file:///",
        "a.example",
        "b.example",
        "a.example",
        ":8443",
        "/p",
        "user:pw@",
        ",",
        "|",
        " ",
        "direct",
        "off",
        "foo",
        "%zz",
        "?q",
        "#f",
        "[::1",
        "/",
        ":",
    ];
    let mut random = fastrand::Rng::with_seed(4);
    let generated: Vec<String> = (0..150)
        .map(|_| some(&mut random, &pieces, 7).concat())
        .collect();
    let mut compared = 0;
    for list in lists.into_iter().map(str::to_owned).chain(generated) {
        // An empty GOPROXY is the default.
        if !list.is_empty() {
            compare_goproxy(home.path(), &list);
            compared += 1;
        }
    }
    println!("{compared} values of GOPROXY compared");
}

/// What `go list` complains about when it has to check a go.mod with this GOSUMDB.
fn sumdb_error(home: &Path, gosumdb: &str) -> String {
    let output = go(home)
        .args(["list", "-m", "all"])
        .env("GOPROXY", format!("file://{}/proxy", home.display()))
        .env("GOSUMDB", gosumdb)
        .current_dir(home.join("work"))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stderr)
        .trim_end()
        .to_owned()
}

#[test]
fn gosumdb_is_read_as_go_reads_it() {
    let home = tempfile::tempdir().unwrap();
    let versions = home.path().join("proxy/example.com/m/@v");
    fs::create_dir_all(&versions).unwrap();
    fs::write(versions.join("v1.0.0.info"), r#"{"Version":"v1.0.0"}"#).unwrap();
    fs::write(versions.join("v1.0.0.mod"), "module example.com/m\n").unwrap();
    fs::create_dir(home.path().join("work")).unwrap();

    // Keys made for this test: one that is good, one with a bad name, one of an unknown algorithm.
    let named = "sum.example.com/team/db+e8ebaa39+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    let bad_name = "a.example/+a1d723ef+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    let bad_algorithm = "a.example+f9ed3b51+AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
    let elsewhere = format!("{named} https://a.example:8443/db");
    let broken = SUM_GOLANG_ORG_KEY.replace("Ac4z", "Ac5z");
    let (known, hash) = (
        SUM_GOLANG_ORG_KEY,
        SUM_GOLANG_ORG_KEY.replace("033de0ae", "033DE0AE"),
    );
    let settings = [
        "off",
        "sum.golang.org",
        "sum.golang.google.cn",
        known,
        &hash,
        &broken,
        named,
        &elsewhere,
        bad_name,
        bad_algorithm,
        "x",
        " off",
        "OFF",
        "sum.golang.google.cn https://a.example",
        " sum.golang.org ",
        "sum.golang.org\thttps://a.example/db/",
        "sum.golang.org https://a:b",
        "sum.golang.org https://a.example x",
        "sum.golang.org a.example/db",
        "sum.golang.org //a.example",
        "sum.golang.org /a",
        "sum.golang.org localhost:1",
        "sum.golang.org ftp://a.example",
        "sum.golang.org file:///nowhere",
        "sum.golang.org http://a.example",
        "sum.golang.org https://",
        "sum.golang.org 127.0.0.1:1",
        "sum.golang.org+033de0ae",
        "sum.golang.org+033de0ae+",
        "sum.golang.org+033de0ae+Ac4z",
        "+033de0ae+Ac4z",
        "sum.golang.org+33de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    ];
    for setting in settings {
        // go.sum remembers what was checked.
        let _ = fs::remove_file(home.path().join("work/go.sum"));
        fs::write(
            home.path().join("work/go.mod"),
            "module w\n\ngo 1.20\n\nrequire example.com/m v1.0.0\n",
        )
        .unwrap();
        let said = sumdb_error(home.path(), setting);
        match SumdbSetting::parse(setting) {
            Err(Error::Unreachable { .. }) => assert!(
                !said.is_empty() && !said.contains("GOSUMDB"),
                "{setting}: {said}"
            ),
            // Go adds its own view of the URL to the name.
            Err(error @ Error::GosumdbName { .. }) => {
                assert!(said.contains(&error.to_string()), "{setting}: {said}");
            }
            Err(error) => assert!(
                said.ends_with(&error.to_string()),
                "{setting}: {error}, not {said}"
            ),
            Ok(SumdbSetting::Off) => assert_eq!(said, "", "{setting}"),
            Ok(database) => {
                let url = database.direct_url().expect("a database has an address");
                let asked =
                    url.as_str().trim_end_matches('/').to_owned() + "/lookup/example.com/m@v1.0.0";
                assert!(said.contains(&asked), "{setting}: {said}");
            }
        }
    }
    println!("{} values of GOSUMDB compared", settings.len());
}

/// `HOST` stands for the server's host and port, `ROW` for the first element of the path asked for.
const NETRC_FILES: [&str; 30] = [
    "",
    "machine HOST login u password p",
    "machine HOST\n  login u\n  password p\n",
    "machine HOST\r\n\tpassword p\r\n\tlogin u\r\n",
    "machine HOST login u",
    "machine HOST password p",
    "machine 127.0.0.1 login u password p",
    "machine other login u password p machine HOST login v password q",
    "machine HOST login u password p\nmachine HOST login v password q",
    "machine HOST/ROW login u password p",
    "machine HOST login u password p\nmachine HOST/ROW/team login v password q",
    "machine HOST/ROW/tea login u password p",
    "machine HOST/ROW/team/ login u password p",
    "machine https://HOST login u password p",
    "machine http://HOST login u password p",
    "default login u password p",
    "default\nmachine HOST login u password p",
    "default x\nmachine HOST login u password p",
    "machine HOST login u password p default",
    "machine HOST default\nlogin u password p",
    "machine HOST\ndefault login v password q\nlogin u password p",
    "macdef m\nmachine HOST login u password p\n",
    "macdef m\nx\n\nmachine HOST login u password p\n",
    "macdef m\nx\n\r\nmachine HOST login u password p\n",
    "macdef m machine HOST login u password p",
    "stray machine HOST login u password p",
    "machine\nHOST login u password p",
    "machine HOST account a login u port 1 password p",
    "machine HOST login u login v password p password q",
    "# machine HOST login x\nmachine HOST login u password ü\u{a0}",
];

#[test]
fn credentials_are_those_go_sends() {
    let home = tempfile::tempdir().unwrap();
    let certificate = home.path().join("certificate.pem");
    let mut server = Command::new(oracle())
        .arg("credentials")
        .arg(&certificate)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let host = lines.next().expect("the server's address");

    let mut sent = 0;
    for (row, text) in NETRC_FILES.iter().enumerate() {
        let row = format!("row{row}");
        let text = text.replace("HOST", &host).replace("ROW", &row);
        fs::write(home.path().join("netrc"), &text).unwrap();
        let base = format!("https://{host}/{row}/team");
        go(home.path())
            .args(["mod", "download", MODULE])
            .env("GOPROXY", &base)
            .env("NETRC", home.path().join("netrc"))
            .env("SSL_CERT_FILE", &certificate)
            .output()
            .unwrap();

        let url = Url::parse(&format!("{base}/example.com/m/@v/v1.0.0.info")).unwrap();
        let netrc = Netrc::parse(&text);
        let expected = netrc.lookup(&url).map_or_else(
            || ":".to_owned(),
            |found| format!("{}:{}", found.login, found.password.expose()),
        );
        // Go asks a second time after a refusal, so answers for the row before may still be there.
        let line = lines
            .find(|line| line.starts_with(url.path()))
            .expect("go asks the server");
        assert_eq!(line, format!("{} {expected}", url.path()), "{text:?}");
        sent += usize::from(expected != ":");
    }
    drop(server.stdin.take());
    server.wait().unwrap();
    println!(
        "{} netrc files compared, {sent} gave credentials",
        NETRC_FILES.len()
    );
    assert!(sent > 5);
}
