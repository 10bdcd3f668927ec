//! Lines that a terminal, a form or an e-mail has broken, put together again.

use super::scan;

/// Longer texts are files, and those are not broken.
const LIMIT: usize = 64 * 1024;
/// Widths, in characters, at which texts are broken.
const WIDTHS: std::ops::RangeInclusive<usize> = 60..=200;
/// Widths of terminals: one line that fills such a width is enough.
const TERMINALS: &[usize] = &[80, 100, 120, 132, 160, 200];

/// A text whose broken lines are joined.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    /// The text. Each joined line keeps its number: empty lines stand for those that went into it.
    pub(crate) text: String,
    /// Lines fill one width exactly, so that they were surely broken.
    pub(crate) sure: bool,
}

/// The text with its broken lines joined, if it has some.
pub(crate) fn joined(text: &[u8]) -> Option<Joined> {
    if text.len() > LIMIT {
        return None;
    }
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .collect();
    let width = lines.iter().map(|line| line.chars().count()).max()?;
    if !WIDTHS.contains(&width) {
        return None;
    }
    let breaks = Breaks::of(&lines, width);
    let mut out = String::with_capacity(text.len());
    let mut swallowed = 0;
    let mut any = false;
    for (at, line) in lines.iter().enumerate() {
        let glue = lines.get(at + 1).and_then(|next| breaks.glue(line, next));
        let between = swallowed > 0 && matches!(breaks, Breaks::BetweenWords(_));
        out.push_str(if between { line.trim_start() } else { line });
        if let Some(glue) = glue {
            out.push_str(glue);
            swallowed += 1;
            any = true;
        } else {
            out.extend(std::iter::repeat_n('\n', swallowed + 1));
            swallowed = 0;
        }
    }
    any.then_some(Joined {
        text: out,
        sure: matches!(breaks, Breaks::Anywhere(_)),
    })
}

/// How the lines were broken.
enum Breaks {
    /// After so many characters, also inside words.
    Anywhere(usize),
    /// Between words, before so many characters are exceeded.
    BetweenWords(usize),
}

impl Breaks {
    fn of(lines: &[&str], width: usize) -> Self {
        let mut full: Vec<&&str> = lines
            .iter()
            .filter(|line| line.chars().count() == width)
            .collect();
        full.sort_unstable();
        full.dedup();
        if full.len() > 1 || TERMINALS.contains(&width) {
            Self::Anywhere(width)
        } else {
            Self::BetweenWords(width)
        }
    }

    /// What to put between a line and the next where they were one.
    fn glue(&self, line: &str, next: &str) -> Option<&'static str> {
        let length = line.chars().count();
        let anew = next.trim().is_empty() || scan::begins_anew(next);
        match self {
            _ if anew => None,
            Self::Anywhere(width) => (length == *width).then_some(""),
            Self::BetweenWords(width) => {
                let word = next.split_whitespace().next()?.chars().count();
                let open = length * 3 >= *width && length + 1 + word > *width;
                open.then_some(" ")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "go: a.example/m@v1.0.0: Get \"https://proxy.golang.org/a.example/m/@v/v1.0.0.mod\": dial tcp: lookup proxy.golang.org on 10.9.8.7:53: read udp 10.0.0.2:5000->10.9.8.7:53: i/o timeout";

    fn broken(width: usize) -> String {
        let chars: Vec<char> = LINE.chars().collect();
        let parts: Vec<String> = chars
            .chunks(width)
            .map(|part| part.iter().collect())
            .collect();
        parts.join("\n")
    }

    #[test]
    fn lines_broken_inside_words_are_joined_and_keep_their_numbers() {
        for width in [80, 72, 120] {
            let text = format!("make\n{}\nmake: *** Error 1\n", broken(width));
            let whole = joined(text.as_bytes()).unwrap().text;
            assert_eq!(whole.lines().nth(1), Some(LINE), "{width}");
            assert_eq!(whole.lines().count(), text.lines().count());
            assert_eq!(whole.lines().last(), Some("make: *** Error 1"));
        }
    }

    #[test]
    fn lines_broken_between_words_are_joined() {
        let text = "fatal: unable to access 'https://a.example/some/rather/long/name/':\nserver certificate verification failed. CAfile: none";
        let whole = joined(text.as_bytes()).unwrap().text;
        assert!(whole.starts_with(
            "fatal: unable to access 'https://a.example/some/rather/long/name/': server cert"
        ));
    }

    #[test]
    fn lines_that_were_never_one_stay_apart() {
        for text in [
            "go: a.example/m@v1.0.0: unknown revision v1.0.0 of a module that has a name\ngo: error loading module requirements",
            "short\nlines",
            "",
        ] {
            assert_eq!(joined(text.as_bytes()), None, "{text}");
        }
    }
}
