//! From the bytes of a log to lines as the tool wrote them: without colours, CI prefixes, JSON escapes.

use std::borrow::Cow;

use super::foreign;

/// Bytes of one line that are looked at. Longer lines (minified sources, base64) carry no error text further on.
const LINE_LIMIT: usize = 16 * 1024;

/// One line of a tool's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Line of the input, from 1. Several lines share it when the input had escaped line breaks.
    pub(crate) number: usize,
    /// The text as a person reads it.
    pub(crate) text: String,
    /// The text for matching: lower case, system messages of other languages turned to English.
    pub(crate) lower: String,
    /// Blanks or tabs it began with.
    pub(crate) indented: bool,
}

impl Line {
    fn new(number: usize, text: &str) -> Self {
        let stripped = strip_prefixes(text);
        let trimmed = stripped.trim_end();
        let lower = foreign::to_english(&trimmed.trim_start().to_lowercase());
        Self {
            number,
            indented: stripped.starts_with([' ', '\t']),
            text: trimmed.trim_start().to_owned(),
            lower,
        }
    }
}

/// The lines that one line of the input stands for.
pub(crate) fn clean(number: usize, raw: &[u8]) -> Vec<Line> {
    let raw = raw.get(..LINE_LIMIT).unwrap_or(raw);
    let text = String::from_utf8_lossy(raw);
    let text = without_escape_sequences(&text);
    let text = unescape(&text);
    let text = without_entities(&text);
    text.split(['\n', '\r'])
        .filter(|part| !part.trim().is_empty() && !is_json_rest(part))
        .map(|part| Line::new(number, part))
        .collect()
}

/// Removes terminal control sequences, also where a log viewer has made them visible.
fn without_escape_sequences(text: &str) -> Cow<'_, str> {
    if !text.contains(['\u{1b}', '\u{241b}', '\u{8}']) && !text.contains("^[[") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\u{1b}', '\u{241b}', '\u{8}', '^']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        rest = after_sequence(tail).unwrap_or_else(|| {
            let first = tail.chars().next().map_or(1, char::len_utf8);
            out.push_str(tail.get(..first).filter(|c| *c == "^").unwrap_or_default());
            tail.get(first..).unwrap_or_default()
        });
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// What follows the control sequence at the start of `text`, if there is one.
fn after_sequence(text: &str) -> Option<&str> {
    let body = text
        .strip_prefix("^[[")
        .map(|rest| ('[', rest))
        .or_else(|| {
            let rest = text.strip_prefix(['\u{1b}', '\u{241b}'])?;
            let kind = rest.chars().next()?;
            Some((kind, rest.get(kind.len_utf8()..)?))
        });
    match body? {
        ('[', rest) => {
            let end = rest.find(|c: char| ('@'..='~').contains(&c))?;
            rest.get(end + 1..)
        }
        (']', rest) => rest
            .find(['\u{7}', '\u{1b}'])
            .and_then(|end| rest.get(end + 1..)),
        (_, rest) => Some(rest),
    }
}

/// Turns the escapes of JSON, Go and CI annotations back to what they stand for.
fn unescape(text: &str) -> Cow<'_, str> {
    let escaped = text.contains("\\n") || text.contains("\\t") || text.contains("\\\"");
    if escaped && !is_windows_path(text) {
        let text = text
            .replace("\\r\\n", "\n")
            .replace("\\n", "\n")
            .replace("\\t", "\t")
            .replace("\\\"", "\"");
        return Cow::Owned(
            text.replace("\\u003c", "<")
                .replace("\\u003e", ">")
                .replace("\\u0026", "&"),
        );
    }
    if text.contains("%0A") && text.contains("::") {
        return Cow::Owned(
            text.replace("%0D", "")
                .replace("%0A", "\n")
                .replace("%25", "%"),
        );
    }
    Cow::Borrowed(text)
}

/// Turns the entities of a copied web page back to what they stand for.
fn without_entities(text: &str) -> Cow<'_, str> {
    const ENTITIES: &[(&str, &str)] = &[
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&apos;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    if !ENTITIES.iter().any(|(entity, _)| text.contains(entity)) {
        return Cow::Borrowed(text);
    }
    let mut text = text.to_owned();
    for (entity, plain) in ENTITIES {
        text = text.replace(entity, plain);
    }
    Cow::Owned(text)
}

/// Whether a part is what follows the text in the JSON object of a logger: `","stream":"stderr"}`.
fn is_json_rest(part: &str) -> bool {
    let part = part.trim();
    part == "\"}" || part == "\"" || (part.starts_with("\",\"") && part.ends_with('}'))
}

/// Whether the backslashes of a line are those of paths such as `C:\new`, not of escapes.
fn is_windows_path(text: &str) -> bool {
    let drive = text
        .as_bytes()
        .windows(4)
        .any(|w| w[0].is_ascii_alphabetic() && w[1] == b':' && w[2] == b'\\' && w[3] != b'\\');
    drive && !text.contains("\\\"") && !text.contains("\\n\\t")
}

/// Removes what CI systems, container builds and loggers put before a line, however often they nest.
pub(crate) fn strip_prefixes(text: &str) -> &str {
    let mut rest = text.trim_start_matches('\u{feff}');
    for _ in 0..8 {
        let Some(shorter) = strip_one(rest) else {
            break;
        };
        rest = shorter;
    }
    rest
}

fn strip_one(text: &str) -> Option<&str> {
    let trimmed = text.trim_start();
    strip_step(trimmed)
        .or_else(|| strip_timestamp(trimmed))
        .or_else(|| strip_bracket(trimmed))
        .or_else(|| strip_column(trimmed))
        .or_else(|| strip_marker(trimmed))
        .or_else(|| strip_logfmt(trimmed))
}

/// `#12 3.456 `, `#12 ` of a container build, and the bare `3.456 ` of its summary.
fn strip_step(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('#') {
        let (number, rest) = rest.split_once(' ')?;
        return (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(rest);
    }
    let (number, rest) = text.split_once(' ')?;
    let (whole, fraction) = number.split_once('.')?;
    let digits = |part: &str| {
        !part.is_empty() && part.len() <= 6 && part.bytes().all(|b| b.is_ascii_digit())
    };
    (digits(whole) && digits(fraction) && fraction.len() >= 2).then_some(rest)
}

/// ISO, Go, clock and syslog times; also the stream flags that GitLab puts behind them.
fn strip_timestamp(text: &str) -> Option<&str> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    if is_date_time(word) {
        let flags = rest.get(..4).is_some_and(|flags| {
            let b = flags.as_bytes();
            b[0].is_ascii_digit()
                && b[1].is_ascii_digit()
                && matches!(b[2], b'O' | b'E')
                && matches!(b[3], b' ' | b'+')
        });
        return if flags { rest.get(4..) } else { Some(rest) };
    }
    if is_date(word) {
        let (clock, rest) = rest.split_once(' ')?;
        return is_clock(clock).then_some(rest);
    }
    (is_clock(word) && word.len() >= 8).then_some(rest)
}

fn is_date_time(word: &str) -> bool {
    word.len() >= 19
        && word.get(..10).is_some_and(is_date)
        && word.as_bytes().get(10) == Some(&b'T')
}

fn is_date(word: &str) -> bool {
    let b = word.as_bytes();
    b.len() == 10
        && b.iter().enumerate().all(|(i, c)| {
            if i == 4 || i == 7 {
                matches!(c, b'-' | b'/')
            } else {
                c.is_ascii_digit()
            }
        })
}

fn is_clock(word: &str) -> bool {
    let b = word.as_bytes();
    b.len() >= 5
        && b.iter()
            .all(|c| c.is_ascii_digit() || matches!(c, b':' | b'.' | b',' | b'Z'))
        && b.get(2) == Some(&b':')
        && word.matches(':').count() == 2
}

/// `[time]`, `[INFO]`, `[builder 3/7]`, `[Error - 10:11:12 AM]` before the text; addresses like `[::1]:53` stay.
fn strip_bracket(text: &str) -> Option<&str> {
    let (inside, rest) = text.strip_prefix('[')?.split_once(']')?;
    let rest = rest
        .strip_prefix(' ')
        .or_else(|| rest.is_empty().then_some(rest))?;
    let lower = inside.to_ascii_lowercase();
    let level = [
        "info", "error", "warn", "warning", "debug", "fatal", "stderr", "stdout", "trace",
    ];
    let starts = level
        .iter()
        .any(|word| lower.trim_start().starts_with(word));
    let numbered =
        inside.len() <= 40 && inside.bytes().any(|b| b.is_ascii_digit()) && !inside.contains("::");
    (starts || numbered).then_some(rest)
}

/// `service-1  | ` and the bare rules of boxes and quotations.
fn strip_column(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix(['│', '┃', '║']) {
        return Some(rest);
    }
    if let Some(rest) = text.strip_prefix("| ").or_else(|| text.strip_prefix("> ")) {
        return Some(rest);
    }
    let (name, rest) = text.split_once("| ")?;
    let name = name.trim_end();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    (!name.is_empty() && name.len() <= 40 && name.bytes().all(plain)).then_some(rest)
}

fn strip_marker(text: &str) -> Option<&str> {
    for marker in [
        "##[error]",
        "##[warning]",
        "##[debug]",
        "gopls: ",
        "stderr: ",
        "STDERR: ",
        "=> ",
    ] {
        if let Some(rest) = text.strip_prefix(marker) {
            return Some(rest);
        }
    }
    let annotation = text
        .strip_prefix("::error")
        .or_else(|| text.strip_prefix("::warning"))?;
    annotation.split_once("::").map(|(_, rest)| rest)
}

/// The message of `time=… level=… msg="…"`.
fn strip_logfmt(text: &str) -> Option<&str> {
    if !(text.starts_with("time=") || text.starts_with("level=") || text.starts_with("ts=")) {
        return None;
    }
    let (_, message) = text
        .split_once("msg=")
        .or_else(|| text.split_once("error="))?;
    Some(message.strip_prefix('"').unwrap_or(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(raw: &str) -> Vec<String> {
        clean(1, raw.as_bytes())
            .into_iter()
            .map(|line| line.text)
            .collect()
    }

    #[test]
    fn the_prefixes_of_builds_and_ci_are_removed() {
        let plain = "go: x: dial tcp 1.2.3.4:443: i/o timeout";
        for prefix in [
            "2024-05-06T07:08:09.1234567Z ",
            "[2024-05-06T07:08:09.123Z] ",
            "2024-05-06T07:08:09.123456Z 01E ",
            "07:08:09 ",
            "2024/05/06 07:08:09 ",
            "#12 3.456 ",
            "#9 [builder 4/7] ",
            "3.456 ",
            "api-1  | ",
            "[ERROR] ",
            "[Error - 7:08:09 AM] ",
            "> ",
            "│ ",
            "##[error]",
            "::error::",
            "::error file=go.mod,line=3::",
            "2024-05-06T07:08:09Z #12 3.456 ",
            "time=\"2024-05-06T07:08:09Z\" level=error msg=\"",
        ] {
            assert_eq!(texts(&format!("{prefix}{plain}")), [plain], "{prefix}");
        }
    }

    #[test]
    fn what_only_looks_like_a_prefix_stays() {
        for text in [
            "[::1]:53: read: connection refused",
            "1.2.3.4:443: refused",
            "go: a | b",
            "#include <x>",
            "go.mod:3: bad",
        ] {
            assert_eq!(texts(text), [text]);
        }
    }

    #[test]
    fn colours_are_removed_also_when_made_visible() {
        assert_eq!(
            texts("\u{1b}[31;1mfatal:\u{1b}[0m no\u{1b}]0;t\u{7} x"),
            ["fatal: no x"]
        );
        assert_eq!(texts("^[[31mfatal:^[[0m a^b"), ["fatal: a^b"]);
        assert_eq!(texts("cut \u{1b}["), ["cut ["]);
    }

    #[test]
    fn escaped_line_breaks_make_lines_with_one_number() {
        let lines = clean(
            7,
            br#"{"Error":"go: x: git ls-remote: exit status 128:\n\tfatal: no \"a\""}"#,
        );
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.number == 7));
        assert!(lines[1].indented && lines[1].text.starts_with("fatal: no \"a\""));
    }

    #[test]
    fn objects_of_loggers_leave_nothing_behind_the_text() {
        let raw = r#"go: a: exit status 128:\n","stream":"stderr","time":"2024-05-06T07:08:09Z"}"#;
        assert_eq!(texts(raw), ["go: a: exit status 128:"]);
        assert_eq!(texts("\"a\",\"b\" was said"), ["\"a\",\"b\" was said"]);
    }

    #[test]
    fn entities_of_web_pages_are_read() {
        assert_eq!(
            texts("Get &quot;https://a.example/?x=1&amp;y=2&quot;: EOF"),
            ["Get \"https://a.example/?x=1&y=2\": EOF"]
        );
        assert_eq!(texts("a && b; c"), ["a && b; c"]);
    }

    #[test]
    fn a_windows_path_is_not_an_escape() {
        let text = r"open C:\new\table: Access is denied.";
        assert_eq!(texts(text), [text]);
    }

    #[test]
    fn carriage_returns_end_lines() {
        assert_eq!(texts("10%\r20%\rdone\r"), ["10%", "20%", "done"]);
    }
}
