//! What people read of `modkeep doctor`: the transcripts of docs/doctor.md, and the same screens in Chinese and on a
//! narrow terminal. With `MODKEEP_WRITE_TRANSCRIPTS` set the files are written instead of compared; `cargo xtask
//! transcripts` does that.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run its program fails"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Fault, Module, Tree, UpstreamServer, workspace_root};

/// The host that stands for the module server of a company.
const SERVER: &str = "goproxy.corp.example";
/// Its address in what people read.
const ADDRESS: &str = "192.0.2.10";
/// The host that stands for the HTTP proxy of a company, and its address.
const PROXY: (&str, &str) = ("proxy.corp.example", "192.0.2.20");

/// A home directory, a module server, and how they are called in what people read.
struct Stage {
    home: tempfile::TempDir,
    upstream: UpstreamServer,
    directory: PathBuf,
    _tree: Tree,
}

impl Stage {
    fn new() -> Self {
        let tree = Tree::temporary();
        tree.add(&Module::new("example.com/sample", "v1.2.3"));
        tree.add(&Module::new("example.com/text", "v0.14.0"));
        // A path of one length wherever this runs, so that lines break at the same places.
        let home = tempfile::Builder::new()
            .prefix("home")
            .rand_bytes(6)
            .tempdir_in("/tmp")
            .unwrap();
        Self {
            upstream: UpstreamServer::serve(tree.root()),
            directory: home.path().to_owned(),
            home,
            _tree: tree,
        }
    }

    fn url(&self) -> String {
        format!("http://{SERVER}:{}", self.upstream.address().port())
    }

    /// The file of `go env -w`.
    fn settings(&self, lines: &str) {
        self.write(".config/go/env", lines);
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What is read when this is typed, on a terminal of 88 columns.
    fn transcript(&self, typed: &str, language: &str) -> String {
        // Times have more digits on one machine than on another, so that lines are broken after them.
        let text = self.screen(typed, language, 1000);
        format!("$ {typed}\n{}\n", wrapped(text.trim_end(), 88))
    }

    fn screen(&self, typed: &str, language: &str, columns: usize) -> String {
        let arguments: Vec<&str> = typed.split(' ').skip(1).collect();
        let resolve = format!("{SERVER}=127.0.0.1");
        let mut command = Command::new(env!("CARGO_BIN_EXE_modkeep"));
        command.args(&arguments);
        if arguments.first() == Some(&"doctor") {
            command.args(["--timeout", "60", "--resolve", &resolve]);
        }
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/nonexistent")
            .env("LC_ALL", language)
            .env("COLUMNS", columns.to_string())
            .current_dir(&self.directory);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        self.as_read(&String::from_utf8(text).unwrap())
    }

    /// Ports, addresses, directories and times as they are on nobody's machine.
    fn as_read(&self, text: &str) -> String {
        let home = self.home.path().canonicalize().unwrap();
        let port = format!(":{}", self.upstream.address().port());
        let text = text
            .replace(home.to_str().unwrap(), "~")
            .replace(self.home.path().to_str().unwrap(), "~")
            .replace(&format!("{ADDRESS}{port}"), ADDRESS)
            .replace(&format!("127.0.0.1{port}"), &format!("{ADDRESS}:80"))
            .replace(&format!("{SERVER}{port}"), SERVER);
        without_machine(&with_even_times(&text))
    }
}

/// Every time is one millisecond, every clock is right.
fn with_even_times(text: &str) -> String {
    let words = text.split_inclusive([' ', '\n', ',', ')']);
    let mut out: Vec<&str> = Vec::new();
    for word in words {
        let bare = word.trim_end_matches([' ', '\n', ',', ')']);
        let end = word.strip_prefix(bare).unwrap();
        let is_unit = matches!(bare, "ms" | "s");
        let number = out.iter().rposition(|before| *before != " ");
        if let Some(at) = number.filter(|_| is_unit) {
            let is_number = out[at]
                .trim_end()
                .trim_start_matches('-')
                .parse::<f64>()
                .is_ok();
            if is_number {
                out[at] = if bare == "ms" { "1" } else { "0" };
            }
        }
        out.extend([bare, end]);
    }
    out.concat()
}

/// What is to be seen of the machine differs from one to the next.
fn without_machine(text: &str) -> String {
    let mut lines = Vec::new();
    let mut is_machine = false;
    for line in text.lines() {
        let goes_on = is_machine && line.starts_with("      ");
        is_machine = goes_on || line.ends_with(": linux");
        // Other `go` commands that run with settings of their own.
        let is_elsewhere = line.trim_start().starts_with("! ");
        if !goes_on && !is_elsewhere {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// A server that gives every request the same answer.
fn says(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            // Whoever hangs up needs no answer.
            let _read = stream.read(&mut request);
            let _written = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// A file that is compared with what was made just now, or written.
fn hold_against(file: &Path, made: &str) {
    if std::env::var_os("MODKEEP_WRITE_TRANSCRIPTS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, made).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(
        kept,
        made,
        "{} is not what the program prints; `cargo xtask transcripts` writes it",
        file.display()
    );
}

fn fails_upstream() -> Stage {
    let stage = Stage::new();
    stage.settings(&format!("GOPROXY={}\nGONOSUMDB=example.com\n", stage.url()));
    stage.upstream.fail("*", Fault::status(503));
    stage
}

/// The transcripts of docs/doctor.md, in order.
fn transcripts() -> Vec<String> {
    let mut made = Vec::new();

    let stage = Stage::new();
    stage.settings(&format!("GOPROXY={}\nGONOSUMDB=example.com\n", stage.url()));
    made.push(stage.transcript("modkeep doctor example.com/sample@v1.2.3", "C"));

    made.push(fails_upstream().transcript("modkeep doctor example.com/sample@v1.2.3", "C"));

    let stage = Stage::new();
    stage.settings(&format!(
        "GOPROXY=\"{}\"\nGONOSUMDB=example.com\n",
        stage.url()
    ));
    let typed = "modkeep doctor --fix --yes example.com/sample@v1.2.3";
    made.push(stage.transcript(typed, "C"));

    let stage = Stage::new();
    let answer = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let proxy = says(answer);
    stage.settings(&format!(
        "GOPROXY={}\nGONOSUMDB=example.com\n",
        stage.url().replace("http:", "https:")
    ));
    made.push(stage.with_proxy("modkeep doctor example.com/sample@v1.2.3", proxy));

    let stage = Stage::new();
    stage.settings(&format!("GOPROXY={}\nGONOSUMDB=example.com\n", stage.url()));
    stage
        .upstream
        .fail("/example.com/text/*", Fault::status(404));
    stage.write(
        "go.mod",
        "module example.com/app\n\ngo 1.21\n\nrequire (\n\texample.com/sample v1.2.3\n\texample.com/text v0.14.0\n)\n",
    );
    made.push(stage.transcript("modkeep doctor", "C"));
    made
}

impl Stage {
    /// With an HTTP proxy in the environment, of whose origin nothing is said.
    fn with_proxy(&self, typed: &str, proxy: SocketAddr) -> String {
        let arguments: Vec<&str> = typed.split(' ').skip(1).collect();
        let resolve = [SERVER, PROXY.0].map(|host| format!("--resolve={host}=127.0.0.1"));
        let port = proxy.port();
        let output = Command::new(env!("CARGO_BIN_EXE_modkeep"))
            .args(arguments)
            .args(["--timeout", "60"])
            .args(resolve)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/nonexistent")
            .env("LC_ALL", "C")
            .env("COLUMNS", "1000")
            .env("HTTPS_PROXY", format!("http://{}:{port}", PROXY.0))
            .current_dir(&self.directory)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let text = text
            .replace(&proxy.to_string(), &format!("{}:3128", PROXY.1))
            .replace(&format!("{}:{port}", PROXY.0), &format!("{}:3128", PROXY.0));
        let text = self.as_read(&text);
        let lines = text.lines().map(|line| match line.split_once("; set ") {
            Some((before, _)) => format!("{before})"),
            None => line.to_owned(),
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        format!("$ {typed}\n{}\n", wrapped(text.trim_end(), 88))
    }
}

#[test]
fn the_transcripts_of_the_documentation_are_what_is_printed() {
    let file = workspace_root().join("docs/doctor.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut made = String::new();
    let mut transcripts = transcripts().into_iter();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("```console\n") {
        let (_, behind) = after.split_once("```\n").unwrap();
        let transcript = transcripts.next().unwrap();
        made.extend([before, "```console\n", &transcript, "```\n"]);
        rest = behind;
    }
    made.push_str(rest);
    assert_eq!(
        transcripts.count(),
        0,
        "docs/doctor.md has fewer places than there are transcripts"
    );
    hold_against(&file, &made);
}

/// What is typed at the start of the documentation, each with a name: the log of a build that failed, explained; and the
/// hop that is broken, found.
fn captures() -> [(&'static str, String); 2] {
    let stage = Stage::new();
    stage.write(
        "build.log",
        "#12 [build 4/7] RUN go mod download\n\
         #12 31.42 go: golang.org/x/text@v0.14.0: Get \"https://proxy.golang.org/golang.org/x/text/@v/v0.14.0.mod\": \
         proxyconnect tcp: dial tcp 127.0.0.1:7890: connect: connection refused\n\
         #12 ERROR: process \"/bin/sh -c go mod download\" did not complete successfully: exit code: 1\n",
    );
    let explained = stage.transcript("modkeep explain build.log", "C");
    let stage = Stage::new();
    stage.settings(&format!("GOPROXY={}\nGONOSUMDB=example.com\n", stage.url()));
    stage.upstream.fail("*", Fault::status(502));
    let found = stage.transcript("modkeep doctor example.com/sample@v1.2.3", "C");
    [("explain", explained), ("doctor", found)]
}

/// A file for each capture, and the place in the README that names it, if there is one:
/// `<!-- capture:NAME -->`, the console block, `<!-- /capture:NAME -->`.
#[test]
fn the_captures_are_what_is_printed() {
    let readme = workspace_root().join("README.md");
    let mut text = std::fs::read_to_string(&readme).unwrap();
    for (name, capture) in captures() {
        let file = workspace_root().join(format!("docs/captures/{name}.txt"));
        hold_against(&file, &capture);
        let (start, end) = (
            format!("<!-- capture:{name} -->\n"),
            format!("<!-- /capture:{name} -->\n"),
        );
        if let Some((before, rest)) = text.split_once(&start)
            && let Some((_, after)) = rest.split_once(&end)
        {
            text = format!("{before}{start}```console\n{capture}```\n{end}{after}");
        }
    }
    hold_against(&readme, &text);
}

#[test]
fn a_broken_server_reads_well_in_chinese_and_on_a_narrow_terminal() {
    let stage = fails_upstream();
    let typed = "modkeep doctor example.com/sample@v1.2.3";
    let made = stage.transcript(typed, "zh_CN.UTF-8");
    hold_against(&snapshot("server-zh.txt"), &made);
    for (name, language, verdict) in [
        ("verdict-narrow.txt", "C", "\nVerdict\n"),
        ("verdict-narrow-zh.txt", "zh_CN.UTF-8", "\n结论\n"),
    ] {
        let screen = stage.screen(typed, language, 40);
        let (_, made) = screen.split_once(verdict).unwrap();
        hold_against(&snapshot(name), &format!("{}\n", made.trim_end()));
        let too_wide: Vec<&str> = made.lines().filter(|line| is_too_wide(line)).collect();
        assert!(too_wide.is_empty(), "{too_wide:#?}");
    }
}

fn snapshot(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transcripts")
        .join(name)
}

/// Lines broken as the program breaks them: at blanks, the rest indented by two more; commands stay whole.
fn wrapped(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with('$') {
            lines.push(line.to_owned());
            continue;
        }
        let mut current = String::new();
        for word in line.trim_start().split(' ') {
            let pad = indent + usize::from(!current.is_empty());
            if !current.trim().is_empty() && columns(&current) + columns(word) + pad > width {
                lines.push(format!("{}{current}", " ".repeat(indent)));
                current = format!("  {word}");
            } else {
                if !current.is_empty() {
                    current.push(' ');
                }
                current.push_str(word);
            }
        }
        lines.push(format!("{}{current}", " ".repeat(indent)));
    }
    lines.join("\n")
}

fn columns(text: &str) -> usize {
    text.chars()
        .map(|c| if c >= '\u{1100}' { 2 } else { 1 })
        .sum()
}

/// Commands, addresses and what else has no blank stand whole.
fn is_too_wide(line: &str) -> bool {
    let width = columns(line);
    let is_command = line.trim_start().starts_with('$') || line.contains("go env -");
    let longest = line
        .split_whitespace()
        .map(str::len)
        .max()
        .unwrap_or_default();
    width > 40 && !is_command && longest < 24
}

#[test]
fn the_way_is_drawn_in_chinese() {
    let stage = fails_upstream();
    let typed = "modkeep doctor --trace tree example.com/sample@v1.2.3";
    let made = stage.transcript(typed, "zh_CN.UTF-8");
    hold_against(&snapshot("trace-zh.txt"), &made);
}
