//! Spans, as a collector on loopback gets them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use testkit::{Fault, Modkeep, Module, UpstreamServer};

use crate::scene::{Ask as _, INFO, LIST, MOD, SOON, Scene, ZIP, within};

/// Longer than spans are gathered and a collector is asked again.
const LATE: Duration = Duration::from_mins(1);

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// Takes spans, and answers with a status.
#[derive(Clone)]
struct Collector {
    url: String,
    status: &'static str,
    got: Arc<Mutex<Vec<Post>>>,
}

struct Post {
    path: String,
    head: String,
    body: Value,
}

impl Collector {
    fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            status,
            got: Arc::default(),
        };
        let its = collector.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let its = its.clone();
                thread::spawn(move || while its.take(&stream).is_some() {});
            }
        });
        collector
    }

    fn take(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().unwrap())
        });
        let mut body = vec![0; length.unwrap()];
        reader.read_exact(&mut body).ok()?;
        self.got.lock().unwrap().push(Post {
            path: head.split(' ').nth(1).unwrap().to_owned(),
            body: serde_json::from_slice(&body).unwrap(),
            head,
        });
        let answer = format!(
            "HTTP/1.1 {}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
            self.status
        );
        stream.write_all(answer.as_bytes()).ok()
    }

    /// All spans that came, once the server is told to end: what it has not sent by then it sends.
    /// The spans that came until the server ended, and what it has said.
    fn spans_after(&self, modkeep: Modkeep) -> (Vec<Span>, String) {
        let exit = modkeep.terminate();
        assert_eq!(exit.code, Some(0));
        let got = self.got.lock().unwrap();
        let all = |value: &Value| value.as_array().unwrap().clone();
        let messages = got.iter().flat_map(|post| all(&post.body["resourceSpans"]));
        let scopes = messages.flat_map(|message| all(&message["scopeSpans"]));
        let spans = scopes.flat_map(|scope| all(&scope["spans"])).map(Span);
        (spans.collect(), exit.stderr)
    }
}

struct Span(Value);

impl Span {
    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let attributes = self.0["attributes"].as_array().unwrap();
        let found = attributes.iter().find(|pair| pair["key"] == name)?;
        let value = found["value"].as_object().unwrap().values().next().unwrap();
        Some(value.as_str().unwrap().to_owned())
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.attribute(name).as_deref() == Some(value)
    }

    fn nanos(&self, field: &str) -> u128 {
        self.text(field).parse().unwrap()
    }

    fn is_failed(&self) -> bool {
        self.0["status"]["code"] == 2
    }
}

#[test]
fn a_request_is_a_span_and_so_is_each_exchange_because_of_it() {
    let scene = Scene::new();
    let bad = UpstreamServer::serve(scene.tree.root());
    bad.fail("*", Fault::status(500));
    let collector = Collector::start("200 OK");
    let chain = format!("{},{}", bad.url(), scene.upstream.url());
    let modkeep = scene
        .command_with(&[
            ("upstream", &chain),
            ("otlp.endpoint", &collector.url),
            ("otlp.headers", "env:COLLECTOR_HEADERS"),
        ])
        .env("COLLECTOR_HEADERS", "x-key=hush%2C%20hush,x-team=a")
        .start();
    let reply = modkeep.ask("GET", MOD, &[("traceparent", PARENT)]);
    assert_eq!(reply.status, 200);
    let id = reply.header("X-Request-Id").unwrap().to_owned();
    // The same again is no business of any upstream.
    modkeep.settle();
    modkeep.ask("GET", MOD, &[("traceparent", PARENT)]);
    modkeep.ask("GET", INFO, &[("traceparent", NOT_SAMPLED)]);
    modkeep.get("/healthz");
    let (spans, said) = collector.spans_after(modkeep);
    {
        let got = collector.got.lock().unwrap();
        for post in got.iter() {
            assert_eq!(post.path, "/v1/traces");
            assert!(post.head.contains("x-key: hush, hush\r\n"), "{}", post.head);
            assert!(
                post.head
                    .to_lowercase()
                    .contains("content-type: application/json")
            );
        }
        let resource = &got[0].body["resourceSpans"][0]["resource"]["attributes"];
        let text = resource.to_string();
        assert!(
            text.contains("service.name") && text.contains("\"modkeep\""),
            "{text}"
        );
        assert!(!said.contains("hush"), "{said}");
    }

    let requests: Vec<&Span> = spans.iter().filter(|span| span.0["kind"] == 2).collect();
    assert_eq!(
        requests.len(),
        2,
        "{:?}",
        spans.iter().map(|span| &span.0).collect::<Vec<_>>()
    );
    for span in &requests {
        assert_eq!(span.text("traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span.text("parentSpanId"), "00f067aa0ba902b7");
        assert_eq!(span.text("name"), "GET mod");
        assert!(span.has("http.request.method", "GET"));
        assert!(span.has("http.response.status_code", "200"));
        assert!(span.has("url.path", MOD) && !span.is_failed());
        assert!(span.nanos("startTimeUnixNano") <= span.nanos("endTimeUnixNano"));
    }
    let miss = requests
        .iter()
        .find(|span| span.has("modkeep.request_id", &id))
        .unwrap();
    assert!(miss.has("modkeep.outcome", "miss"));
    assert_eq!(
        requests
            .iter()
            .filter(|span| span.has("modkeep.outcome", "hit"))
            .count(),
        1
    );

    let exchanges: Vec<&Span> = spans.iter().filter(|span| span.0["kind"] == 3).collect();
    assert!(exchanges.len() >= 2);
    for span in &exchanges {
        assert_eq!(span.text("traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span.text("parentSpanId"), miss.text("spanId"));
        assert_eq!(span.attribute("url.path"), None);
        assert!(span.has("server.address", "127.0.0.1"));
    }
    let good = exchanges
        .iter()
        .find(|span| span.has("modkeep.outcome", "answered"))
        .unwrap();
    assert!(good.has("server.port", &scene.upstream.address().port().to_string()));
    let failed = exchanges
        .iter()
        .find(|span| span.has("modkeep.outcome", "goproxy-5xx"))
        .unwrap();
    assert!(failed.has("server.port", &bad.address().port().to_string()));
    assert!(failed.has("error.type", "goproxy-5xx") && failed.is_failed());
    // Each upstream was told its own place in the trace.
    for (server, span) in [(&scene.upstream, good), (&bad, failed)] {
        let asked = server.requests();
        let place = asked.iter().find(|request| request.path == MOD).unwrap();
        let expected = format!("00-{}-{}-01", span.text("traceId"), span.text("spanId"));
        assert_eq!(place.header("traceparent"), Some(expected.as_str()));
    }
}

#[test]
fn a_private_name_is_on_a_span_only_where_the_log_has_it() {
    let scene = Scene::new();
    scene
        .tree
        .add(&Module::new("corp.example.com/secret", "v1.0.0"));
    let private = "/corp.example.com/secret/@v/v1.0.0.mod";
    // Stored while nobody knew that it is private.
    let before = scene.start();
    before.get(private);
    before.get(MOD);
    before.settle();
    assert_eq!(before.terminate().code, Some(0));
    for (level, is_logged) in [("info", false), ("debug", true)] {
        let collector = Collector::start("200 OK");
        let modkeep = scene.start_with(&[
            ("otlp.endpoint", &collector.url),
            ("private", "corp.example.com"),
            ("log.level", level),
        ]);
        for path in [
            private,
            MOD,
            "/sumdb/sum.golang.org/lookup/corp.example.com/secret@v1.0.0",
        ] {
            modkeep.get(path);
        }
        let (spans, log) = collector.spans_after(modkeep);
        let with_path = |path: &str| {
            spans
                .iter()
                .filter(|span| span.has("url.path", path))
                .count()
        };
        assert_eq!(log.contains(private), is_logged, "{log}");
        assert_eq!(with_path(private), usize::from(is_logged), "{level}");
        assert_eq!(with_path(MOD), 1, "{level}");
        let lines_with_name = log
            .lines()
            .filter(|line| line.contains("corp.example.com"))
            .count();
        let spans_with_name = spans
            .iter()
            .filter(|span| span.0.to_string().contains("corp.example.com"))
            .count();
        assert!(spans_with_name <= lines_with_name, "{level}: {log}");
        assert_eq!(spans.iter().filter(|span| span.0["kind"] == 2).count(), 3);
    }
}

#[test]
fn without_a_collector_requests_are_answered_and_spans_are_counted_and_lost() {
    let scene = Scene::new();
    let refusing = Collector::start("400 Bad Request");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let modkeep = scene.start_with(&[("otlp.endpoint", &silent_url)]);
    // More than the queue holds, at a collector that says nothing.
    let mut connection = modkeep.connect();
    for _ in 0..3000 {
        connection.request("GET", "modkeep", LIST, &[]).unwrap();
        assert_eq!(connection.reply(false).unwrap().status, 200);
    }
    within(LATE, "spans are lost", || {
        modkeep.metric("modkeep_trace_spans_dropped_total") >= 400
    });
    assert_eq!(modkeep.metric("modkeep_trace_spans_sent_total"), 0);
    assert_eq!(modkeep.get(ZIP).status, 200);
    // The end is not put off for long.
    assert_eq!(modkeep.terminate().code, Some(0));

    let modkeep = scene.start_with(&[("otlp.endpoint", &refusing.url)]);
    modkeep.get(LIST);
    within(LATE, "a span is lost", || {
        modkeep.metric("modkeep_trace_spans_dropped_total") >= 1
    });
    assert!(modkeep.says_within("the collector does not take them", SOON));
}

#[test]
fn so_many_of_a_hundred_traces_are_recorded() {
    let scene = Scene::new();
    let collector = Collector::start("200 OK");
    let modkeep = scene.start_with(&[("otlp.endpoint", &collector.url), ("otlp.sample", "20")]);
    for _ in 0..500 {
        modkeep.get(LIST);
    }
    // What the client has decided counts.
    modkeep.ask("GET", LIST, &[("traceparent", PARENT)]);
    let (spans, _) = collector.spans_after(modkeep);
    let requests = spans.iter().filter(|span| span.0["kind"] == 2).count();
    assert!((50..200).contains(&requests), "{requests}");
    let parents = spans
        .iter()
        .filter(|span| span.text("parentSpanId") == "00f067aa0ba902b7");
    assert_eq!(parents.count(), 1);
}
