//! How wide what people read may be.

use goenv::Environment;

/// Columns where neither the environment nor a terminal says how many there are.
const WIDTH: usize = 100;

/// The columns of the screen: as `COLUMNS` says, else as the terminal does.
pub(super) fn columns(environment: &Environment) -> usize {
    let said = environment
        .non_empty("COLUMNS")
        .and_then(|columns| columns.parse().ok());
    said.or_else(of_terminal).unwrap_or(WIDTH)
}

fn of_terminal() -> Option<usize> {
    let (_, columns) = console::Term::stdout().size_checked()?;
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}

/// Breaks lines at blanks; what goes on below is indented by two more. Commands (`$ …`) and words longer than a line, such
/// as URLs, stay whole, so that they can be copied.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let body = line.trim_start_matches(' ');
        let pad = line.len() - body.len();
        if body.starts_with("$ ") {
            lines.push(line.to_owned());
            continue;
        }
        let room = width.max(20 + pad) - pad;
        let mut current = String::new();
        for word in body.split(' ') {
            let blank = usize::from(!current.is_empty());
            if !current.trim().is_empty() && wide(&current) + blank + wide(word) > room {
                lines.push(format!("{:pad$}{current}", ""));
                "  ".clone_into(&mut current);
            } else if blank > 0 {
                current.push(' ');
            }
            current.push_str(word);
        }
        lines.push(format!("{:pad$}{current}", ""));
    }
    lines.join("\n")
}

/// Two columns for each Chinese character.
fn wide(text: &str) -> usize {
    text.chars()
        .map(|c| if c >= '\u{1100}' { 2 } else { 1 })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_blanks_and_commands_are_not() {
        let text = "1. cause [dns, 95 %] a sentence of some length\n   fix: do this\n       $ a command that is longer than the line is\n   https://example.com/a/path/that/is/long\n\nend";
        assert_eq!(
            wrapped(text, 30),
            "1. cause [dns, 95 %] a\n  sentence of some length\n   fix: do this\n       $ a command that is longer than the line is\n   https://example.com/a/path/that/is/long\n\nend"
        );
        assert_eq!(wrapped(text, 200), text);
    }

    #[test]
    fn the_environment_comes_first() {
        let environment = |columns| Environment::from_pairs([("COLUMNS", columns)]);
        assert_eq!(columns(&environment("72")), 72);
    }
}
