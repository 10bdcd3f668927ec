//! Setting all requirements at once.

use super::{mod_file, text};
use crate::Version;
use crate::modfile::{ModFile, Require};

type SetRequire = fn(&mut ModFile, &[Require]);

fn require(wanted: &[(&str, &str)]) -> Vec<Require> {
    let require = wanted.iter().map(|(path, mark)| Require {
        path: (*path).to_owned(),
        version: Version::new("v1.2.3").unwrap(),
        indirect: *mark == "indirect",
    });
    require.collect()
}

/// Sets requirements by the three ways and compares the text after the module line.
fn check(file: &str, wanted: &[(&str, &str)], plain: &str, separate: &str, merged: &str) {
    let set: [(SetRequire, &str); 3] = [
        (ModFile::set_require, plain),
        (ModFile::set_require_separate_indirect, separate),
        (ModFile::set_require_at_most_two, merged),
    ];
    for (set, want) in set {
        let mut file = mod_file(&format!("module m\n\n{file}"));
        set(&mut file, &require(wanted));
        file.cleanup();
        assert_eq!(text(&file), format!("module m\n\n{want}"));
        assert_eq!(file.require().len(), wanted.len());
        let again = mod_file(&text(&file).to_string());
        let said = |file: &ModFile| {
            let mut said: Vec<_> = file
                .require()
                .iter()
                .map(|r| format!("{:?}", **r))
                .collect();
            said.sort();
            said
        };
        assert_eq!(said(&file), said(&again));
    }
}

#[test]
fn an_empty_file_gets_what_is_needed() {
    check(
        "",
        &[("b", ""), ("a", ""), ("c", "indirect")],
        "require (\n\ta v1.2.3\n\tb v1.2.3\n\tc v1.2.3 // indirect\n)\n",
        "require (\n\ta v1.2.3\n\tb v1.2.3\n)\n\nrequire c v1.2.3 // indirect\n",
        "require (\n\ta v1.2.3\n\tb v1.2.3\n)\n\nrequire c v1.2.3 // indirect\n",
    );
}

#[test]
fn a_single_plain_block_is_divided() {
    check(
        "require (\n\ta v1.0.0 // why\n\n\tb v1.0.0 // indirect\n\tgone v1.0.0\n)\n",
        &[("a", ""), ("b", "indirect"), ("c", "indirect")],
        "require (\n\ta v1.2.3 // why\n\tb v1.2.3 // indirect\n\tc v1.2.3 // indirect\n)\n",
        "require a v1.2.3 // why\n\nrequire (\n\tb v1.2.3 // indirect\n\tc v1.2.3 // indirect\n)\n",
        "require a v1.2.3 // why\n\nrequire (\n\tb v1.2.3 // indirect\n\tc v1.2.3 // indirect\n)\n",
    );
}

#[test]
fn a_block_with_a_comment_is_left_alone_unless_merged() {
    check(
        "// mine\nrequire (\n\ta v1.0.0\n\tb v1.0.0 // indirect\n)\n",
        &[("a", ""), ("b", "indirect"), ("c", "")],
        "// mine\nrequire (\n\ta v1.2.3\n\tb v1.2.3 // indirect\n\tc v1.2.3\n)\n",
        "// mine\nrequire (\n\ta v1.2.3\n\tb v1.2.3 // indirect\n)\n\nrequire c v1.2.3\n",
        "// mine\nrequire (\n\ta v1.2.3\n\tc v1.2.3\n)\n\nrequire b v1.2.3 // indirect\n",
    );
}

#[test]
fn requirements_move_between_the_two_blocks() {
    check(
        "require (\n\ta v1.0.0\n\tb v1.0.0\n)\n\nrequire (\n\tc v1.0.0 // indirect\n\td v1.0.0 // indirect\n)\n",
        &[("a", "indirect"), ("b", ""), ("c", ""), ("d", "indirect")],
        "require (\n\ta v1.2.3 // indirect\n\tb v1.2.3\n)\n\nrequire (\n\tc v1.2.3\n\td v1.2.3 // indirect\n)\n",
        "require (\n\tb v1.2.3\n\tc v1.2.3\n)\n\nrequire (\n\ta v1.2.3 // indirect\n\td v1.2.3 // indirect\n)\n",
        "require (\n\tb v1.2.3\n\tc v1.2.3\n)\n\nrequire (\n\ta v1.2.3 // indirect\n\td v1.2.3 // indirect\n)\n",
    );
}

#[test]
fn direct_requirements_go_before_a_block_of_indirect_ones() {
    check(
        "require (\n\ta v1.0.0 // indirect\n\tb v1.0.0 // indirect\n)\n\ngo 1.21\n",
        &[("a", "indirect"), ("b", "indirect"), ("c", "")],
        "require (\n\ta v1.2.3 // indirect\n\tb v1.2.3 // indirect\n\tc v1.2.3\n)\n\ngo 1.21\n",
        "require c v1.2.3\n\nrequire (\n\ta v1.2.3 // indirect\n\tb v1.2.3 // indirect\n)\n\ngo 1.21\n",
        "require c v1.2.3\n\nrequire (\n\ta v1.2.3 // indirect\n\tb v1.2.3 // indirect\n)\n\ngo 1.21\n",
    );
}

#[test]
fn of_repeated_requirements_the_first_keeps_its_comment() {
    check(
        "require a v1.0.0 // one\nrequire a v1.1.0 // two\n",
        &[("a", "indirect")],
        "require a v1.2.3 // indirect; one\n",
        "require a v1.2.3 // indirect; one\n",
        "require a v1.2.3 // indirect; one\n",
    );
}

#[test]
fn comments_of_merged_blocks_are_kept() {
    check(
        "// one\nrequire (\n\ta v1.0.0\n\tb v1.0.0\n)\n\n// two\nrequire (\n\tc v1.0.0\n\td v1.0.0\n)\n",
        &[("a", ""), ("b", ""), ("c", ""), ("d", "")],
        "// one\nrequire (\n\ta v1.2.3\n\tb v1.2.3\n)\n\n// two\nrequire (\n\tc v1.2.3\n\td v1.2.3\n)\n",
        "// one\nrequire (\n\ta v1.2.3\n\tb v1.2.3\n)\n\n// two\nrequire (\n\tc v1.2.3\n\td v1.2.3\n)\n",
        "// one\n//\n// two\nrequire (\n\ta v1.2.3\n\tb v1.2.3\n\tc v1.2.3\n\td v1.2.3\n)\n",
    );
}

#[test]
fn nothing_wanted_leaves_nothing() {
    check(
        "require (\n\ta v1.0.0\n\tb v1.0.0\n)\n\ngo 1.21\n",
        &[],
        "go 1.21\n",
        "go 1.21\n",
        "go 1.21\n",
    );
}
