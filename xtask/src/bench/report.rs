//! Numbers to text, and text to its place in the documentation.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context as _, Result};

/// The start of a file that does not exist yet.
const PREFACE: &str = "# Benchmarks\n\nWritten by `cargo xtask bench`: each section by the command it names. A ratio is \
the median of the runs of one\nside over that of the other; the two took turns on the same machine.\n";

/// The result of one benchmark.
pub(super) struct Report {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) command: String,
    pub(super) machine: String,
    pub(super) tables: Vec<Table>,
}

/// A table, with a sentence on how it came about.
pub(super) struct Table {
    pub(super) intro: String,
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Report {
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "## {}\n\n`{}` on {}.\n",
            self.title, self.command, self.machine
        );
        for table in &self.tables {
            text.extend(["\n", table.intro.as_str(), "\n\n"]);
            text.push_str(&line(&table.head));
            text.push_str(&line(&vec!["---"; table.head.len()]));
            for row in &table.rows {
                text.push_str(&line(row));
            }
        }
        text
    }

    /// Replaces this report's section in a file, or adds it at the end.
    pub(super) fn write_to(&self, file: &Path) -> Result<()> {
        let section = Section {
            name: self.name,
            text: self.text(),
        };
        write_section(file, PREFACE, "bench", &section)
    }
}

/// A part of a file that is written by a command.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// Replaces a section in a file, or adds it at the end. A file that does not exist yet begins with `preface`.
pub(crate) fn write_section(
    file: &Path,
    preface: &str,
    command: &str,
    section: &Section,
) -> Result<()> {
    let before = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => preface.to_owned(),
        Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let name = format!("{command}:{}", section.name);
    fs::write(file, with_section(&before, &name, &section.text))
        .with_context(|| format!("writing {}", file.display()))
}

fn line(cells: &[impl AsRef<str>]) -> String {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn with_section(text: &str, name: &str, section: &str) -> String {
    let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let section = format!("{start}{section}{end}");
    if let Some((before, rest)) = text.split_once(&start)
        && let Some((_, after)) = rest.split_once(&end)
    {
        return format!("{before}{section}{after}");
    }
    format!("{}\n\n{section}", text.trim_end())
}

/// What the figures depend on, in one line.
pub(crate) fn machine() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str, separator: char| {
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?
                    .trim_start()
                    .strip_prefix(separator)
                    .map(str::trim)
            })
            .unwrap_or("unknown")
            .trim_matches('"')
            .to_owned()
    };
    let kernel = read("/proc/sys/kernel/osrelease");
    let memory = field(&read("/proc/meminfo"), "MemTotal", ':');
    let gigabytes = memory
        .trim_end_matches(" kB")
        .parse::<u64>()
        .unwrap_or_default()
        / (1 << 20);
    format!(
        "{} processors ({}), {gigabytes} GiB of memory, {}, Linux {}, {}, {}, {}, {}",
        std::thread::available_parallelism().map_or(1, usize::from),
        field(&read("/proc/cpuinfo"), "model name", ':'),
        field(&read("/etc/os-release"), "PRETTY_NAME", '='),
        kernel.split('-').next().unwrap_or(&kernel).trim(),
        said_by("nginx", "-v"),
        said_by("wrk", "-v"),
        said_by("rustc", "-V"),
        httpdate::fmt_http_date(SystemTime::now()),
    )
}

/// The first line with which a program answers a question for its version.
fn said_by(program: &str, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else {
        return format!("no {program}");
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    let text = text.strip_prefix("nginx version: ").unwrap_or(&text);
    text.split(" [").next().unwrap_or(text).trim().to_owned()
}

/// The median; of an even number, the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => sorted[len / 2],
        len => f64::midpoint(sorted[len / 2 - 1], sorted[len / 2]),
    }
}

/// A number with as many places as matter.
pub(super) fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Bytes in mebibytes.
pub(super) fn mebibytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal place")]
    let value = bytes as f64 / f64::from(1 << 20);
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(
            median(&[3.0, 1.0, 2.0]).total_cmp(&2.0),
            std::cmp::Ordering::Equal
        );
        assert_eq!(
            median(&[4.0, 1.0, 2.0, 3.0]).total_cmp(&2.5),
            std::cmp::Ordering::Equal
        );
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_section_is_added_once_and_then_replaced() {
        let one = with_section("# B\n", "bench:a", "first\n");
        let two = with_section(&one, "bench:b", "other\n");
        let three = with_section(&two, "bench:a", "second\n");
        assert_eq!(
            three,
            "# B\n\n<!-- bench:a -->\nsecond\n<!-- /bench:a -->\n\n\n<!-- bench:b -->\nother\n<!-- /bench:b -->\n"
                .replace("\n\n\n", "\n\n")
        );
    }

    #[test]
    fn figures_have_the_places_that_matter() {
        assert_eq!(
            [1234.56, 56.78, 1.239, 0.12345].map(figure),
            ["1235", "56.8", "1.24", "0.123"]
        );
        assert_eq!(mebibytes(3 << 19), "1.5");
    }

    #[test]
    fn the_machine_is_described_in_one_line_without_gaps() {
        let text = machine();
        assert!(
            !text.contains('\n') && text.contains("GiB") && !text.contains("unknown"),
            "{text}"
        );
    }
}
