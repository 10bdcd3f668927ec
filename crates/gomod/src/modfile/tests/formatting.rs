//! The standard style.

use bstr::BString;

use super::{mod_file, text};
use crate::modfile::Syntax;

fn formatted(text: &str) -> BString {
    Syntax::parse("go.mod", text.as_bytes())
        .unwrap()
        .format()
        .into()
}

#[test]
fn blank_lines_and_blanks_are_regular() {
    assert_eq!(
        formatted(
            "\n\n  module   m\ngo   1.21   \n\n\n\nrequire(\n x  v1\n\n\n\n  y v2\n\n)\n\n\n"
        ),
        "module m\n\ngo 1.21\n\nrequire (\n\tx v1\n\n\ty v2\n)\n"
    );
    assert_eq!(formatted(""), "");
    assert_eq!(formatted("\n\n"), "");
    assert_eq!(
        formatted("module m\r\ngo 1.21\r\n"),
        "module m\n\ngo 1.21\n"
    );
}

#[test]
fn comments_keep_their_neighbours() {
    let file = "\
// top

// above
module m // after

// above block
require ( // open
	// first
	x v1 // x

	// lonely

	y v1

// end
) // close

// last
";
    assert_eq!(formatted(file), file);
    assert_eq!(
        formatted("require ( // open\n\n\n// a\n\tx v1\n\t// end\n) // close\n//b\n"),
        "require ( // open\n\t// a\n\tx v1\n// end\n) // close\n\n//b\n"
    );
}

#[test]
fn parentheses_in_a_line_are_words() {
    for (written, standard) in [
        ("x ( )", "x (\n)\n"),
        ("x()  // c", "x (\n) // c\n"),
        ("x ( a )", "x (a)\n"),
        ("x ( ) a", "x () a\n"),
        ("x (a , b ] {c}", "x (a, b] {c}\n"),
        ("x ( (\n\ty (z\n)", "x ( (\n\ty (z\n)\n"),
        ("(", "(\n"),
        (") x", ") x\n"),
        ("a//b", "a //b\n"),
    ] {
        assert_eq!(formatted(written), standard, "{written}");
    }
}

#[test]
fn understood_values_lose_needless_quotes() {
    let file = mod_file(
        "module \"m\"\nrequire \"a.b\" \"v1\"\nreplace \"a\" => \"./x y\"\nretract [\"v1.0.0\",v1.1.0]\nignore \"./a\"\n",
    );
    assert_eq!(
        text(&file),
        "module m\n\nrequire a.b v1.0.0\n\nreplace a => \"./x y\"\n\nretract [v1.0.0, v1.1.0]\n\nignore ./a\n"
    );
}
