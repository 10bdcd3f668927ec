//! The trace of a download is the way the real `go` takes: generated chains and outcomes against a
//! server that records what it is asked.
#![cfg(unix)]
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic, and tells how much it has compared"
)]

mod support;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use goenv::http_proxy::HttpProxyRules;
use goenv::netrc::Netrc;
use goenv::trace::{Ending, Outcome, Outcomes, Rules, Standing, SumdbWay, Trace};
use goenv::{Environment, GoEnv};
use gomod::ModulePath;
use support::go_command;

const MODULE: &str = "example.test/m";

/// What the server does, and what it was asked.
#[derive(Default)]
struct Script {
    /// Status of module files, by entry.
    module: Vec<u16>,
    /// Status of `supported`, by entry.
    sumdb: Vec<u16>,
    asked: Vec<String>,
}

struct Server {
    port: u16,
    script: Arc<Mutex<Script>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || answer(&stream, &shared));
            }
        });
        Self { port, script }
    }

    fn play(&self, module: &[u16], sumdb: &[u16]) {
        *self.script.lock().unwrap() = Script {
            module: module.to_vec(),
            sumdb: sumdb.to_vec(),
            asked: Vec::new(),
        };
    }

    fn asked(&self) -> Vec<String> {
        self.script.lock().unwrap().asked.clone()
    }
}

fn answer(mut stream: &TcpStream, script: &Mutex<Script>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let mut words = request.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut script = script.lock().unwrap();
    let (status, body) = if method == "CONNECT" {
        script.asked.push(target.to_owned());
        (502, String::new())
    } else {
        script.asked.push(target.to_owned());
        let mut parts = target.trim_start_matches('/').splitn(2, '/');
        let entry: usize = parts.next().unwrap().parse().unwrap();
        let rest = parts.next().unwrap();
        if rest.ends_with("/supported") {
            (script.sumdb[entry], String::new())
        } else if rest.starts_with("sumdb/") {
            (500, String::new())
        } else {
            let body = if rest.ends_with(".info") {
                r#"{"Version":"v1.0.0","Time":"2020-01-01T00:00:00Z"}"#.to_owned()
            } else {
                format!("module {MODULE}\n")
            };
            (script.module[entry], body)
        }
    };
    drop(script);
    let _ = write!(
        stream,
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}

fn outcome(status: u16) -> Outcome {
    match status {
        200 => Outcome::Ok,
        404 | 410 => Outcome::Absent,
        _ => Outcome::Failed,
    }
}

/// One generated case.
struct Case {
    variables: Vec<(String, String)>,
    module: Vec<u16>,
    sumdb: Vec<u16>,
}

fn case(random: &mut fastrand::Rng, port: u16, sumdb: bool) -> Case {
    let servers = random.usize(1..4);
    let mut goproxy = String::new();
    for entry in 0..servers {
        write!(goproxy, "http://127.0.0.1:{port}/{entry}").unwrap();
        goproxy += [",", "|", ", ", ",,"][random.usize(..4)];
    }
    goproxy += ["direct", "off", "", "direct,off"][random.usize(..4)];
    if random.u8(..10) == 0 {
        "direct".clone_into(&mut goproxy);
    }
    let status = |random: &mut fastrand::Rng| [200, 404, 410, 500, 403, 429][random.usize(..6)];
    let module = (0..servers)
        .map(|_| if sumdb { 200 } else { status(random) })
        .collect();
    let supported = (0..servers).map(|_| status(random)).collect();
    let private = [
        "",
        "",
        "example.test",
        "*.test",
        "none",
        "other.test,example.test/m",
    ];
    let mut variables = vec![("GOPROXY".to_owned(), goproxy)];
    if !sumdb {
        let name = ["GONOPROXY", "GOPRIVATE"][random.usize(..2)];
        variables.push((
            name.to_owned(),
            private[random.usize(..private.len())].to_owned(),
        ));
        variables.push(("GOSUMDB".to_owned(), "off".to_owned()));
    } else if random.u8(..4) == 0 {
        variables.push((
            "GONOSUMDB".to_owned(),
            private[random.usize(2..private.len())].to_owned(),
        ));
    }
    Case {
        variables,
        module,
        sumdb: supported,
    }
}

fn run_go(home: &Path, port: u16, case: &Case, arguments: &[&str]) {
    let output = go_command()
        .args(arguments)
        .env("HOME", home)
        .envs([("GOTOOLCHAIN", "local"), ("GOFLAGS", "-modcacherw")])
        .env("GOMODCACHE", tempfile::tempdir_in(home).unwrap().path())
        .env("GOPATH", tempfile::tempdir_in(home).unwrap().path())
        .env("HTTPS_PROXY", format!("http://127.0.0.1:{port}"))
        .env("GIT_ALLOW_PROTOCOL", "none")
        .envs(case.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(home)
        .output();
    assert!(output.is_ok());
}

fn trace(home: &Path, case: &Case) -> Trace {
    let base = [("HOME".to_owned(), home.to_str().unwrap().to_owned())];
    let environment =
        Environment::from_pairs(base.into_iter().chain(case.variables.iter().cloned()));
    let go = GoEnv::load(&environment);
    let http = HttpProxyRules::from_environment(&environment);
    let rules = Rules::new(&go, http, Netrc::default(), Vec::new());
    let mut outcomes = Outcomes::unknown().direct(Outcome::Absent);
    for (entry, status) in case.module.iter().enumerate() {
        outcomes = outcomes.server(entry, outcome(*status));
    }
    for (entry, status) in case.sumdb.iter().enumerate() {
        outcomes = outcomes.sumdb(entry, outcome(*status));
    }
    rules.trace(&ModulePath::new(MODULE).unwrap(), Some("v1.0.0"), &outcomes)
}

/// The hosts and entries asked, each once in a row.
fn path(mut places: Vec<String>) -> Vec<String> {
    places.dedup();
    places
}

#[test]
fn go_asks_whom_the_trace_says() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start();
    let mut random = fastrand::Rng::with_seed(7);
    let mut endings = [0; 3];
    for _ in 0..150 {
        let case = case(&mut random, server.port, false);
        server.play(&case.module, &case.sumdb);
        run_go(
            home.path(),
            server.port,
            &case,
            &["list", "-m", &format!("{MODULE}@v1.0.0")],
        );
        let asked = server.asked();
        let really = asked.iter().filter_map(|target| {
            if target == "example.test:443" {
                return Some("direct".to_owned());
            }
            let info = target.ends_with(".info");
            info.then(|| {
                target
                    .trim_start_matches('/')
                    .split('/')
                    .next()
                    .unwrap()
                    .to_owned()
            })
        });
        let trace = trace(home.path(), &case);
        let said = trace.asked().map(|step| match step.route {
            Some(_) => step.entry.unwrap().to_string(),
            None => "direct".to_owned(),
        });
        assert_eq!(
            path(said.collect()),
            path(really.collect()),
            "{:?} {:?} {trace:?}",
            case.variables,
            case.module
        );
        match trace.ending {
            Ending::Answered(_) => endings[0] += 1,
            Ending::Stopped(_) => endings[1] += 1,
            _ => endings[2] += 1,
        }
    }
    println!("150 chains: {endings:?} answered, stopped, exhausted");
    assert!(endings.iter().all(|count| *count > 5), "{endings:?}");
}

#[test]
fn go_asks_the_checksum_database_where_the_trace_says() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start();
    let mut random = fastrand::Rng::with_seed(11);
    let mut ways = [0; 4];
    for _ in 0..80 {
        let case = case(&mut random, server.port, true);
        if case.variables[0].1 == "direct" {
            continue;
        }
        server.play(&case.module, &case.sumdb);
        run_go(
            home.path(),
            server.port,
            &case,
            &["mod", "download", &format!("{MODULE}@v1.0.0")],
        );
        let asked = server.asked();
        let direct = asked.iter().any(|target| target == "sum.golang.org:443");
        let through = asked.iter().find_map(|target| {
            let (entry, rest) = target.trim_start_matches('/').split_once('/')?;
            (rest.starts_with("sumdb/") && !rest.ends_with("/supported"))
                .then(|| entry.parse().unwrap())
        });
        let probed = asked.iter().any(|target| target.ends_with("/supported"));
        let trace = trace(home.path(), &case);
        let note = format!(
            "{:?} {:?} {:?} {asked:?}",
            case.variables, case.sumdb, trace.sumdb
        );
        match trace.sumdb {
            SumdbWay::NotAsked(_) => assert!(!direct && !probed && through.is_none(), "{note}"),
            SumdbWay::Direct(_) => assert!(direct, "{note}"),
            SumdbWay::Through(entry) => assert_eq!(through, Some(entry), "{note}"),
            SumdbWay::Unavailable(_) => {
                assert!(probed && !direct && through.is_none(), "{note}");
            }
            _ => panic!("{note}"),
        }
        ways[match trace.sumdb {
            SumdbWay::NotAsked(_) => 0,
            SumdbWay::Direct(_) => 1,
            SumdbWay::Through(_) => 2,
            _ => 3,
        }] += 1;
    }
    println!("ways: {ways:?} not asked, direct, through a server, unavailable");
    assert!(ways.iter().all(|count| *count > 3), "{ways:?}");
}

#[test]
fn without_outcomes_the_trace_is_open_at_the_first_entry() {
    let home = tempfile::tempdir().unwrap();
    let variables = [
        ("GOPROXY", "https://a.test|https://b.test,direct"),
        ("HOME", home.path().to_str().unwrap()),
    ];
    let environment = Environment::from_pairs(variables);
    let go = GoEnv::load(&environment);
    let rules = Rules::new(
        &go,
        HttpProxyRules::from_environment(&environment),
        Netrc::default(),
        Vec::new(),
    );
    let module = ModulePath::new("github.com/a/b/v2").unwrap();
    let trace = rules.trace(&module, None, &Outcomes::unknown());
    let standings: Vec<Standing> = trace.steps.iter().map(|step| step.standing).collect();
    assert_eq!(
        standings,
        [Standing::Next, Standing::Maybe, Standing::Maybe]
    );
    assert_eq!(trace.ending, Ending::Open(0));
    assert_eq!(trace.sumdb, SumdbWay::Open(0));
    assert_eq!(
        trace.access.repository.as_deref(),
        Some("https://github.com/a/b")
    );
    let tree = trace.tree(fault::Lang::En);
    assert_eq!(
        tree,
        "github.com/a/b/v2\n\
         ├─ https://a.test: asked; on any failure go asks the next entry\n\
         ├─ https://b.test: asked if the entries before it lead here\n\
         ├─ direct: asked if the entries before it lead here\n\
         ├─ the outcome depends on https://a.test\n\
         └─ checksum database: https://a.test is asked first whether it relays it, unless go.sum lists the module\n"
    );
    let chart = trace.mermaid(fault::Lang::Zh);
    assert!(
        chart.starts_with("flowchart TD\n")
            && chart.contains("start ==> s0")
            && chart.contains("s0 -.-> s1"),
        "{chart}"
    );
}
