//! Reading and formatting go.mod and go.work files.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Tables, vectors};
use crate::modfile::{Block, Comments, Line, ModFile, Statement, Syntax, WorkFile, module_path};
use crate::quote;

/// Formats a file as the `go` command does that has understood it, or by syntax alone.
fn formatted(name: &str, data: &[u8], work: bool) -> Vec<u8> {
    let understood = if work {
        WorkFile::parse(name, data).map(|file| file.format())
    } else {
        ModFile::parse(name, data).map(|file| file.format())
    };
    understood.unwrap_or_else(|_| Syntax::parse(name, data).unwrap().format())
}

#[test]
fn golden_files() {
    let mut count = 0;
    for (folder, work) in [
        ("x-mod/modfile/testdata", false),
        ("x-mod/modfile/testdata/work", true),
    ] {
        let Some(folder) = vectors(folder) else {
            return;
        };
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_str().unwrap();
            let data = if path.is_file() {
                std::fs::read(&path).unwrap()
            } else {
                continue;
            };
            if let Some(stem) = name.strip_suffix(".in") {
                let golden = std::fs::read(format!("{stem}.golden")).unwrap();
                let got = formatted(name, &data, work);
                assert_eq!(
                    got.escape_ascii().to_string(),
                    golden.escape_ascii().to_string(),
                    "{name}"
                );
            } else {
                let again = Syntax::parse(name, &data).unwrap().format();
                assert_eq!(
                    again.escape_ascii().to_string(),
                    data.escape_ascii().to_string(),
                    "{name}"
                );
            }
            count += 1;
        }
    }
    assert!(count > 20);
    println!("x-mod/modfile/testdata: {count} files");
}

#[test]
fn reading() {
    let Some(tables) = Tables::open("x-mod/tables/modfile_read.json") else {
        return;
    };
    tables.each("TestParsePunctuation.test", |row| {
        let tree = Syntax::parse("go.mod", row.text("src").as_bytes()).unwrap();
        assert_eq!(all_tokens(&tree), row.text("want"), "{}", row.place);
    });
    tables.each("modulePathTests", |row| {
        let path = module_path(row.text("input").as_bytes());
        assert_eq!(
            path.as_deref().unwrap_or_default(),
            row.text("expected"),
            "{}",
            row.place
        );
    });
    tables.each("TestParseVersions.tests", |row| {
        let input = row.text("input").as_bytes();
        assert_eq!(
            ModFile::parse("go.mod", input).is_ok(),
            row.flag("ok"),
            "{}",
            row.place
        );
        let lax = ModFile::parse_lax("go.mod", input).is_ok();
        assert!(lax || !row.flag("ok"), "{}", row.place);
        assert!(!lax || row.flag("ok") || row.flag("laxOK"), "{}", row.place);
    });
    tables.each("TestComments.test", |row| {
        let tree = Syntax::parse("go.mod", row.text("input").as_bytes()).unwrap();
        assert_eq!(
            all_comments(&tree).trim(),
            row.text("want").trim(),
            "{}",
            row.place
        );
    });
    tables.each("TestCleanup.test", |row| {
        let mut tree = tree_of(&row.value["input"]);
        tree.cleanup();
        assert_eq!(outline(&tree), row.text("want"), "{}", row.place);
    });
}

fn all_tokens(tree: &Syntax) -> String {
    let mut tokens: Vec<String> = Vec::new();
    let text = |line: &Line| {
        line.tokens
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    for statement in tree.statements() {
        match statement {
            Statement::Comments(_) => {}
            Statement::Line(id) => tokens.extend(text(tree.line(*id).unwrap())),
            Statement::Block(block) => {
                tokens.extend(block.tokens.iter().map(ToString::to_string));
                tokens.push("(".to_owned());
                tokens.extend(
                    block
                        .lines
                        .iter()
                        .flat_map(|id| text(tree.line(*id).unwrap())),
                );
                tokens.push(")".to_owned());
            }
        }
    }
    tokens.join(" ")
}

fn all_comments(tree: &Syntax) -> String {
    let mut text = String::new();
    let mut add = |of: &str, comments: &Comments| {
        for (place, list) in [("before", &comments.before), ("suffix", &comments.suffix)] {
            for comment in list {
                writeln!(text, "{of} {place} {}", quote(&comment.text)).unwrap();
            }
        }
    };
    for statement in tree.statements() {
        match statement {
            Statement::Comments(comments) => {
                let before = comments.clone();
                add(
                    "comments",
                    &Comments {
                        before,
                        ..Comments::default()
                    },
                );
            }
            Statement::Line(id) => add("line", &tree.line(*id).unwrap().comments),
            Statement::Block(block) => {
                add("block", &block.comments);
                let suffix = block.open_comments.clone();
                add(
                    "lparen",
                    &Comments {
                        suffix,
                        ..Comments::default()
                    },
                );
                for id in &block.lines {
                    add("blockline", &tree.line(*id).unwrap().comments);
                }
                add("rparen", &block.close_comments);
            }
        }
    }
    text
}

fn tree_of(statements: &Value) -> Syntax {
    let mut tree = Syntax::default();
    for value in statements.as_array().unwrap() {
        let statement = match value["Line"].as_array() {
            None => Statement::Line(tree.add(line_of(value))),
            Some(lines) => Statement::Block(Block {
                tokens: line_of(value).tokens,
                lines: lines.iter().map(|line| tree.add(line_of(line))).collect(),
                ..Block::default()
            }),
        };
        tree.push(statement);
    }
    tree
}

fn line_of(value: &Value) -> Line {
    let tokens = value["Token"].as_array().into_iter().flatten();
    Line {
        tokens: tokens.map(|token| token.as_str().unwrap().into()).collect(),
        in_block: value["InBlock"].as_bool().unwrap_or(false),
        ..Line::default()
    }
}

fn outline(tree: &Syntax) -> String {
    let mut text = String::new();
    let join = |tokens: &[bstr::BString]| bstr::BString::from(bstr::join(" ", tokens));
    for statement in tree.statements() {
        match statement {
            Statement::Comments(_) => {}
            Statement::Line(id) => {
                writeln!(text, "line: {}", join(&tree.line(*id).unwrap().tokens)).unwrap();
            }
            Statement::Block(block) => {
                writeln!(text, "block: {}", join(&block.tokens)).unwrap();
                for id in &block.lines {
                    writeln!(text, "blockline: {}", join(&tree.line(*id).unwrap().tokens)).unwrap();
                }
            }
        }
    }
    text
}
