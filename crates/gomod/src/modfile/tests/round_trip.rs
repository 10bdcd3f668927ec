//! Properties of reading and writing.

use bstr::{BString, ByteSlice as _};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::modfile::{Comment, ModFile, Position, Statement, Syntax, WorkFile};

/// The tree without places, and with comments as they are written.
fn plain(tree: &Syntax) -> Syntax {
    let tidy = |comments: &mut Vec<Comment>| {
        for comment in comments {
            comment.start = Position::default();
            comment.text = comment.text.trim_with(char::is_whitespace).into();
        }
    };
    let mut tree = tree.clone();
    for line in &mut tree.lines {
        line.start = Position::default();
        tidy(&mut line.comments.before);
        tidy(&mut line.comments.suffix);
    }
    for statement in &mut tree.statements {
        match statement {
            Statement::Comments(comments) => tidy(comments),
            Statement::Line(_) => {}
            Statement::Block(block) => {
                block.start = Position::default();
                tidy(&mut block.comments.before);
                tidy(&mut block.comments.suffix);
                tidy(&mut block.open_comments);
                tidy(&mut block.close_comments.before);
                tidy(&mut block.close_comments.suffix);
            }
        }
    }
    tree
}

fn suffix() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just(""),
        1 => Just(" // indirect"),
        1 => Just(" // indirect; x"),
        1 => Just("//  c "),
    ]
}

fn above() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just(""),
        1 => Just("\n"),
        1 => Just("// above\n"),
        1 => Just("//a\n\t//\n// b\n"),
        1 => Just("// apart\n\n"),
    ]
}

/// A directive that may be in a block: keyword and arguments.
fn listed() -> impl Strategy<Value = (&'static str, String)> {
    let path =
        "[a-c]\\.[a-c](/[a-z ]{1,3})?".prop_map(|path| crate::modfile::auto_quote(path.trim_end()));
    let version = "v[01](\\.[0-9](\\.[0-9](-(rc\\.[1-9]|x))?)?)?";
    let interval = (version, version).prop_map(|(low, high)| format!("[ {low},{high} ]"));
    prop_oneof![
        (path.clone(), version).prop_map(|(p, v)| ("require", format!("{p}  {v}"))),
        (path.clone(), version).prop_map(|(p, v)| ("exclude", format!("{p} \"{v}\""))),
        path.clone()
            .prop_map(|p| ("replace", format!("{p} => ./x"))),
        (path.clone(), version).prop_map(|(p, v)| ("replace", format!("{p} {v} => {p} {v}"))),
        version.prop_map(|v| ("retract", v)),
        interval.prop_map(|i| ("retract", i)),
        path.clone().prop_map(|p| ("tool", p)),
        path.prop_map(|p| ("ignore", p)),
        "[a-c]=[0-9]".prop_map(|setting| ("godebug", setting)),
    ]
}

fn statement() -> impl Strategy<Value = String> {
    let line = (above(), listed(), suffix())
        .prop_map(|(above, (verb, args), suffix)| format!("{above}{verb} {args}{suffix}\n"));
    let block = (
        above(),
        suffix(),
        vec((above(), listed(), suffix()), 0..5),
        above(),
        suffix(),
    )
        .prop_map(|(above, open, lines, end, close)| {
            let verb = lines.first().map_or("require", |(_, (verb, _), _)| verb);
            let lines: String = lines
                .iter()
                .filter(|(_, (other, _), _)| *other == verb)
                .flat_map(|(above, (_, args), suffix)| {
                    [
                        *above, args, suffix, "
",
                    ]
                })
                .collect();
            format!("{above}{verb} ({open}\n{lines}{end}){close}\n")
        });
    prop_oneof![line, block]
}

fn go_mod() -> impl Strategy<Value = String> {
    let head = prop_oneof![
        Just("module m.n\n"),
        Just("// Deprecated: x\nmodule \"m.n\"\ngo 1.21\ntoolchain go1.21.1\n")
    ];
    (head, vec(statement(), 0..8))
        .prop_map(|(head, statements)| format!("{head}{}", statements.concat()))
}

/// Pieces of files in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("("),
        Just(")"),
        Just("["),
        Just("]"),
        Just(","),
        Just("{"),
        Just("=>"),
        Just("\n"),
        Just("\n\n"),
        Just("// c\n"),
        Just("//"),
        Just("/"),
        Just("\""),
        Just("\"q\""),
        Just("`"),
        Just("\\"),
        Just("module"),
        Just("require"),
        Just("retract"),
        Just("replace"),
        Just("use"),
        Just("go"),
        Just("x.y"),
        Just("v1.0.0"),
        Just("é"),
        Just("\t"),
        Just("\r"),
    ];
    vec((piece, prop_oneof![Just(""), Just(" ")]), 0..40).prop_map(|pieces| {
        pieces
            .into_iter()
            .flat_map(|(piece, blank)| [piece, blank])
            .collect()
    })
}

proptest! {
    #[test]
    fn a_formatted_file_says_the_same(text in go_mod()) {
        let file = ModFile::parse("go.mod", text.as_bytes()).unwrap();
        let formatted = file.format();
        let again = ModFile::parse("go.mod", &formatted).unwrap();
        prop_assert_eq!(plain(again.syntax()), plain(file.syntax()));
        prop_assert_eq!(again.require(), file.require());
        prop_assert_eq!(again.replace(), file.replace());
        prop_assert_eq!(again.exclude(), file.exclude());
        prop_assert_eq!(again.retract(), file.retract());
        prop_assert_eq!(again.tool(), file.tool());
        prop_assert_eq!(again.ignore(), file.ignore());
        prop_assert_eq!(again.godebug(), file.godebug());
        prop_assert_eq!(again.format(), formatted);
    }

    #[test]
    fn lax_reading_takes_what_strict_reading_takes(text in go_mod()) {
        let strict = ModFile::parse("go.mod", text.as_bytes()).unwrap();
        let lax = ModFile::parse_lax("go.mod", text.as_bytes()).unwrap();
        prop_assert_eq!(lax.require(), strict.require());
        prop_assert_eq!(lax.retract(), strict.retract());
        prop_assert_eq!(lax.module(), strict.module());
    }

    #[test]
    fn sorting_and_cleaning_keep_the_requirements(text in go_mod()) {
        let mut file = ModFile::parse("go.mod", text.as_bytes()).unwrap();
        let count = file.require().len();
        file.sort_blocks();
        file.cleanup();
        let again = ModFile::parse("go.mod", &file.format()).unwrap();
        prop_assert_eq!(again.require().len(), count);
        prop_assert_eq!(again.replace().len(), file.replace().len());
    }

    #[test]
    fn the_style_is_a_fixed_point(text in pieces()) {
        if let Ok(tree) = Syntax::parse("go.mod", text.as_bytes()) {
            let formatted = tree.format();
            let again = Syntax::parse("go.mod", &formatted).unwrap();
            let (again, formatted) = (BString::from(again.format()), BString::from(formatted));
            prop_assert_eq!(again, formatted);
        }
    }

    #[test]
    fn no_file_panics(data: Vec<u8>, text in pieces()) {
        for data in [data.as_slice(), text.as_bytes()] {
            let _ = ModFile::parse("go.mod", data);
            let _ = ModFile::parse_lax("go.mod", data);
            let _ = WorkFile::parse("go.work", data);
        }
    }
}
