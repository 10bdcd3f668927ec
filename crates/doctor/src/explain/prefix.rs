//! The prefix that all lines of a log share, whatever system put it there: `Step #3 - "build": `, `[pod/a/b] `,
//! `host runner[12]: `. The forms of the usual systems are removed line by line (`clean`); this finds those of the others.

/// Lines that are compared.
const SAMPLE: usize = 200;
/// Longest prefix, in bytes, with a run of digits counted as one.
const LIMIT: usize = 100;
/// What ends a prefix.
const ENDS: &[&str] = &["] ", ": ", "| ", "> ", ") ", "\t", "\":\""];
/// What a prefix has in it, as opposed to words that a tool begins many lines with.
const MARKS: &[char] = &['[', '#', '(', '{', '0'];
/// What begins the text of a tool: no prefix reaches into it.
const TEXT: &[&str] = &[
    "go: ",
    "go mod",
    "go get",
    "go build",
    "go list",
    "go install",
    ".go:",
    "verifying ",
    "package ",
    "://",
    "@",
    "fatal: ",
    "remote: ",
    "# ",
];

/// A common prefix, in lower case, in which a `0` stands for a run of digits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    pattern: String,
}

impl Prefix {
    /// The prefix of all lines, if there is one. `tells` finds the first word in a text that may tell of a fault.
    pub(crate) fn of(text: &[u8], tells: impl Fn(&str) -> Option<usize>) -> Option<Self> {
        let mut lines = text
            .split(|b| *b == b'\n')
            .map(<[u8]>::trim_ascii_end)
            .filter(|line| !line.is_empty())
            .take(SAMPLE)
            .map(generalised);
        let mut common = lines.next()?;
        let mut others = 0;
        for line in lines {
            let same = common
                .char_indices()
                .zip(line.chars())
                .find(|((_, a), b)| a != b)
                .map_or(common.len().min(line.len()), |((at, _), _)| at);
            common.truncate(same);
            others += 1;
        }
        if others == 0 {
            return None;
        }
        let text = TEXT.iter().filter_map(|start| common.find(start)).min();
        let reach = text.into_iter().chain(tells(&common)).min();
        let common = common.get(..reach.unwrap_or(common.len()))?;
        let end = ENDS
            .iter()
            .filter_map(|end| common.rfind(end).map(|at| at + end.len()))
            .max()?;
        let pattern = common.get(..end)?.to_owned();
        pattern.contains(MARKS).then_some(Self { pattern })
    }

    /// The line without the prefix; the whole of it where it begins otherwise.
    pub(crate) fn strip<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let mut rest = line;
        for expected in self.pattern.bytes() {
            let Some((first, tail)) = rest.split_first() else {
                return line;
            };
            if expected == b'0' && first.is_ascii_digit() {
                let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
                rest = rest.get(digits..).unwrap_or_default();
            } else if first.to_ascii_lowercase() == expected {
                rest = tail;
            } else {
                return line;
            }
        }
        rest
    }
}

/// The beginning of a line in lower case, each run of digits as one `0`.
fn generalised(line: &[u8]) -> String {
    let mut out = String::new();
    let line = line.get(..LIMIT * 2).unwrap_or(line);
    for c in String::from_utf8_lossy(line).chars() {
        if out.len() >= LIMIT {
            break;
        }
        match c {
            '0'..='9' if out.ends_with('0') => {}
            '0'..='9' => out.push('0'),
            // Others are not of a prefix, and lower case may change their length.
            c if !c.is_ascii() => break,
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(text: &str) -> Vec<String> {
        let tells = |text: &str| text.find("dial tcp");
        let prefix = Prefix::of(text.as_bytes(), tells);
        text.lines()
            .map(|line| {
                let rest = prefix
                    .as_ref()
                    .map_or(line.as_bytes(), |prefix| prefix.strip(line.as_bytes()));
                String::from_utf8_lossy(rest).into_owned()
            })
            .collect()
    }

    #[test]
    fn what_all_lines_begin_with_is_removed_and_indentation_kept() {
        for prefix in [
            "Step #4 - \"build\": ",
            "[pod/worker-7/main] ",
            "null_resource.image (local-exec): ",
            "May 06 07:08:09 box runner[812]: ",
        ] {
            let text = format!("{prefix}go: a: exit status 128:\n{prefix}\tfatal: no\n");
            assert_eq!(
                stripped(&text),
                ["go: a: exit status 128:", "\tfatal: no"],
                "{prefix}"
            );
        }
        assert_eq!(
            stripped("[job 9] a: x\n[job 10] b: y"),
            ["a: x", "b: y"],
            "runs of digits differ in length"
        );
    }

    #[test]
    fn words_of_the_tools_stay() {
        for text in [
            "go: a: x\ngo: a: y",
            "dial tcp 192.0.2.1:443: x\ndial tcp 192.0.2.1:443: y",
            "main.go:4:2: a: x\nmain.go:5:2: b: y",
            "go mod download: a: x\ngo mod download: a: y",
            "a.example/m@v1.0.0: x\na.example/m@v1.0.0: y",
            "# get https://a.example/x: 1\n# get https://a.example/x: 2",
            "only one line: x",
        ] {
            assert_eq!(stripped(text), text.lines().collect::<Vec<_>>());
        }
    }
}
