//! `explain` takes any bytes: it never panics, and its answer stays well-formed.

use doctor::{Options, explain};
use proptest::prelude::*;

/// Pieces of real errors, which random concatenation puts into shapes nobody has seen.
const PIECES: &[&str] = &[
    "go: ",
    "github.com/a/b@v1.0.0",
    ": ",
    "Get \"https://proxy.golang.org/github.com/a/b/@v/v1.0.0.mod\"",
    "dial tcp ",
    "lookup ",
    "lookup x on ",
    "[::1]:53",
    "1.2.3.4:443",
    "server response:",
    "\n",
    "\n\t",
    "fatal: ",
    "x509: ",
    "proxyconnect tcp: ",
    "404 ",
    "current time ",
    " is after ",
    "parse \"",
    "\u{1b}[",
    "^[[31",
    "\\n",
    "\\\"",
    "#12 3.4 ",
    "2024-01-01T00:00:00Z ",
    "[",
    "]",
    "//",
    "://",
    "https://",
    "%0A",
    "::error::",
    "无法访问",
    "：",
    "reading ",
    "read tcp a->b: ",
    "connect to host ",
    " port ",
    "SECURITY ERROR",
    "failed to connect to ",
    " after ",
    " ms",
    "declares its path as: ",
    "# get ",
    "(",
    "s)",
    "msg=\"",
    "time=",
    "\u{feff}",
    "\r",
];

fn check(text: &[u8]) {
    let said = explain(text, &Options::default());
    assert_eq!(said.recognised, !said.causes.is_empty());
    let lines = text.split(|b| *b == b'\n').count();
    for cause in &said.causes {
        assert!((0.0..1.0).contains(&cause.confidence));
        for evidence in &cause.evidence {
            assert!((1..=lines).contains(&evidence.line));
            assert!(
                evidence
                    .span
                    .is_none_or(|(start, end)| evidence.text.get(start..end).is_some())
            );
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_fine(text in proptest::collection::vec(any::<u8>(), 0..4000)) {
        check(&text);
    }

    #[test]
    fn any_text_is_fine(text in "\\PC{0,400}") {
        check(text.as_bytes());
    }

    #[test]
    fn any_sequence_of_pieces_is_fine(pieces in proptest::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = pieces.into_iter().map(|at| PIECES[at]).collect();
        check(text.as_bytes());
    }

    #[test]
    fn a_cut_error_is_fine(cut in 0usize..400) {
        let text = "go: github.com/a/b@v1.0.0: verifying module: reading https://sum.golang.org/lookup/github.com/a/b@v1.0.0: 404 Not Found\n\tserver response: not found: x: fatal: 无法读取用户名 'https://github.com': dial tcp: lookup a on [::1]:53: read udp";
        let end = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        check(&text.as_bytes()[..cut.min(text.len())]);
        check(&text.as_bytes()[end..]);
    }
}

#[test]
fn a_flood_of_one_error_is_read_quickly() {
    let line = "go: github.com/a/b@v1.0.0: Get \"https://proxy.golang.org/github.com/a/b/@v/v1.0.0.mod\": dial tcp 1.2.3.4:443: i/o timeout\n";
    let said = explain(line.repeat(40_000), &Options::default());
    assert_eq!(said.causes[0].label.as_str(), "tcp-timeout");
    assert_eq!(said.causes[0].evidence[0].line, 1);
}

#[test]
fn one_endless_line_is_read() {
    let text = "x".repeat(5_000_000) + "dial tcp 1.2.3.4:443: i/o timeout";
    assert!(!explain(text, &Options::default()).recognised);
}
