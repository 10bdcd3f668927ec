//! A comparison for people: a table where it fits, the same facts in lines where it does not.

use std::fmt::Write as _;
use std::time::Duration;

use fault::Lang;
use goenv::Shell;

use super::catalogue::Region;
use super::json::rfc3339;
use super::remark::{Kind, Remark, word};
use super::{Advice, Availability, Comparison, Mirror, Relay, Standing};

/// How to lay a comparison out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Language.
    pub lang: Lang,
    /// The shell commands are for.
    pub shell: Shell,
    /// Columns of the terminal.
    pub width: usize,
}

const COLUMNS: [Kind; 7] = [
    Kind::ColumnMirror,
    Kind::ColumnMedian,
    Kind::ColumnP95,
    Kind::ColumnRate,
    Kind::ColumnFailed,
    Kind::ColumnBehind,
    Kind::ColumnDatabase,
];

impl Comparison {
    /// The whole text. `history` has how often a mirror was up, where that is known.
    pub fn to_text(
        &self,
        advice: &Advice,
        layout: &Layout,
        history: impl Fn(&Mirror) -> Option<Availability>,
    ) -> String {
        let mut page = Page {
            layout: *layout,
            text: String::new(),
        };
        page.heading(Kind::Mirrors);
        let samples: Vec<String> = self.samples.iter().map(ToString::to_string).collect();
        let method = Remark::new(Kind::Method)
            .with("samples", samples.join(" "))
            .with("repeat", self.repeat.to_string())
            .with("time", rfc3339(self.at))
            .with("database", &self.database);
        page.line(1, &method.sentence(layout.lang));
        let is_table = page.table(&self.mirrors);
        for mirror in &self.mirrors {
            page.mirror(mirror, !is_table, history(mirror));
        }
        page.heading(Kind::Recommendation);
        page.advice(advice);
        page.text.trim_end().to_owned()
    }
}

struct Page {
    layout: Layout,
    text: String,
}

impl Page {
    fn word(&self, kind: Kind) -> &'static str {
        word(self.layout.lang, kind)
    }

    fn heading(&mut self, kind: Kind) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let heading = self.word(kind);
        let _infallible = writeln!(self.text, "{heading}");
    }

    /// Wraps at blanks; words longer than the line, such as URLs, stand whole so that they can be copied. Chinese text
    /// has no blanks and is broken between characters.
    fn line(&mut self, indent: usize, text: &str) {
        let pad = "  ".repeat(indent);
        let width = self.layout.width.max(20).saturating_sub(pad.len());
        let mut line = String::new();
        for word in pieces(text) {
            let is_full = !line.is_empty() && columns(&line) + columns(word.trim_end()) > width;
            if is_full {
                let _infallible = writeln!(self.text, "{pad}{}", line.trim_end());
                "  ".clone_into(&mut line);
            }
            line.push_str(word);
        }
        let _infallible = writeln!(self.text, "{pad}{}", line.trim_end());
    }

    /// A command is never wrapped, so that it can be pasted.
    fn command(&mut self, command: &str) {
        let _infallible = writeln!(self.text, "  $ {command}");
    }

    /// The table, if it fits.
    fn table(&mut self, mirrors: &[Mirror]) -> bool {
        let mut rows = vec![COLUMNS.map(|column| self.word(column).to_owned()).to_vec()];
        rows.extend(mirrors.iter().map(|mirror| self.cells(mirror)));
        let widths: Vec<usize> = (0..COLUMNS.len())
            .map(|at| {
                rows.iter()
                    .filter_map(|row| row.get(at))
                    .map(|cell| columns(cell))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        if 2 + widths.iter().sum::<usize>() + 2 * (widths.len() - 1) > self.layout.width {
            return false;
        }
        for row in rows {
            let mut line = String::from("  ");
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let blanks = " ".repeat(width.saturating_sub(columns(cell)));
                let is_text = at == 0 || at + 1 == widths.len();
                let (before, behind) = if is_text {
                    ("", blanks.as_str())
                } else {
                    (blanks.as_str(), "")
                };
                let _infallible = write!(line, "{before}{cell}{behind}  ");
            }
            let _infallible = writeln!(self.text, "{}", line.trim_end());
        }
        true
    }

    fn cells(&self, mirror: &Mirror) -> Vec<String> {
        let dash = || "-".to_owned();
        let time = |time: Option<Duration>| {
            time.map_or_else(dash, |time| {
                format!("{:.0} ms", time.as_secs_f64() * 1000.0)
            })
        };
        vec![
            title(mirror),
            time(mirror.latency.map(|spread| spread.median)),
            time(mirror.latency.map(|spread| spread.p95)),
            mirror.bytes_per_second.map_or_else(dash, rate),
            format!("{}/{}", mirror.failures().len(), mirror.asked()),
            mirror
                .behind()
                .map_or_else(dash, |behind| behind.to_string()),
            self.word(match mirror.relay {
                Relay::Yes => Kind::CellRelayed,
                Relay::No | Relay::NotAsked if mirror.is_up() => Kind::CellDirect,
                _ => Kind::CellNone,
            })
            .to_owned(),
        ]
    }

    fn mirror(&mut self, mirror: &Mirror, with_cells: bool, history: Option<Availability>) {
        self.text.push('\n');
        let mut title = title(mirror);
        if let Some(listed) = mirror.candidate.listed {
            let region = match listed.region {
                Region::Global => Kind::RegionGlobal,
                Region::China => Kind::RegionChina,
            };
            let _infallible = write!(title, "  ({}, {})", listed.operator, self.word(region));
        }
        self.line(1, &title);
        if with_cells {
            let cells = self.cells(mirror);
            let facts: Vec<String> = COLUMNS
                .iter()
                .zip(cells)
                .skip(1)
                .map(|(column, cell)| format!("{} {cell}", self.word(*column)))
                .collect();
            self.line(2, &facts.join(", "));
        }
        if let Some(listed) = mirror.candidate.listed {
            let looked = Remark::new(Kind::Looked).with("checked", &listed.checked);
            let looked = looked
                .with("basis", &listed.source)
                .sentence(self.layout.lang);
            self.line(2, &format!("{} {looked}", listed.notes(self.layout.lang)));
        }
        for remark in &mirror.remarks {
            self.line(2, &format!("- {}", remark.sentence(self.layout.lang)));
        }
        if let Some(history) = history {
            let remark = history.remark();
            self.line(2, &format!("- {}", remark.sentence(self.layout.lang)));
        }
    }

    fn advice(&mut self, advice: &Advice) {
        let lang = self.layout.lang;
        if let Some(blocked) = advice.blocked {
            self.line(1, self.word(blocked.kind()));
        }
        if let Some(fix) = &advice.fix {
            self.command(&fix.command(self.layout.shell));
            if let Some(undo) = fix.undo(self.layout.shell) {
                let label = self.word(Kind::Undo);
                let _infallible = writeln!(self.text, "    {label}: {undo}");
            }
        }
        if let Some(fix) = &advice.shell {
            self.command(&fix.command(self.layout.shell));
        }
        for (label, remarks) in [(Kind::Why, &advice.reasons), (Kind::Mind, &advice.warnings)] {
            for remark in remarks {
                self.line(
                    2,
                    &format!("{}: {}", self.word(label), remark.sentence(lang)),
                );
            }
        }
    }
}

fn title(mirror: &Mirror) -> String {
    match mirror.standing {
        Standing::Ranked(rank) => format!("{rank}. {}", mirror.candidate.shown()),
        Standing::Refused => format!("x  {}", mirror.candidate.shown()),
    }
}

fn rate(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    if bytes >= 1_000_000 {
        format!("{} MB/s", tenths(1_000_000))
    } else {
        format!("{} kB/s", tenths(1000))
    }
}

/// Words with the blank behind them; a Chinese character is a piece of its own.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = if is_wide(first) {
            first.len_utf8()
                + rest
                    .get(first.len_utf8()..)?
                    .chars()
                    .take_while(|c| is_stop(*c))
                    .map(char::len_utf8)
                    .sum::<usize>()
        } else {
            let end = rest.char_indices().find(|(_, c)| *c == ' ' || is_wide(*c));
            end.map_or(rest.len(), |(at, c)| if c == ' ' { at + 1 } else { at })
        };
        let (piece, behind) = rest.split_at_checked(end)?;
        rest = behind;
        Some(piece)
    })
}

/// Punctuation that begins no line.
fn is_stop(c: char) -> bool {
    matches!(c, '，' | '。' | '；' | '：' | '、' | '）' | ' ')
}

fn is_wide(c: char) -> bool {
    c >= '\u{1100}'
}

/// Columns a text takes: two for each Chinese character.
fn columns(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_in_both_languages_and_urls_are_not() {
        let layout = Layout {
            lang: Lang::Zh,
            shell: Shell::Posix,
            width: 30,
        };
        let mut page = Page {
            layout,
            text: String::new(),
        };
        page.line(
            1,
            "竖线让任何失败都转到下一个镜像，因为两者的内容都与校验和数据库核对过。",
        );
        page.line(
            1,
            "one two https://a.example/a/very/long/url/that/does/not/fit three four five six seven",
        );
        for line in page.text.lines() {
            assert!(columns(line) <= 30 || line.contains("://"), "{line}");
            assert!(!line.trim_start().starts_with('，'), "{line}");
        }
        assert!(
            page.text
                .contains("https://a.example/a/very/long/url/that/does/not/fit\n")
        );
    }

    #[test]
    fn rates_are_short() {
        assert_eq!(rate(1_250_000), "1.2 MB/s");
        assert_eq!(rate(640_200), "640.2 kB/s");
    }
}
