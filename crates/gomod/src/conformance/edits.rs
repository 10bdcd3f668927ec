//! Changes to go.mod and go.work files, and what their comments mean.

use std::fmt::Debug;

use bstr::BString;

use super::{Row, Tables};
use crate::modfile::{Directive, FixError, ModFile, Mode, Require, VersionInterval, WorkFile};
use crate::version::Version;

type SetRequire = fn(&mut ModFile, &[Require]);
type EditByPath = fn(&mut ModFile, &str);

/// Applies `edit` to the file `in` of a row and compares with what the row wants.
fn edited(row: &Row, want: &str, strict: bool, edit: impl FnOnce(&mut ModFile)) -> ModFile {
    let mode = if strict { Mode::Strict } else { Mode::Lax };
    let parse = |text: &str| ModFile::read("go.mod", text.as_bytes(), mode, None).unwrap();
    let mut file = parse(row.text("in"));
    edit(&mut file);
    let golden = BString::from(parse(row.text(want)).format());
    assert_eq!(BString::from(file.format()), golden, "{}", row.place);
    // The typed view must say what the text says.
    let again = parse(&golden.to_string());
    assert_eq!(said(&file), said(&again), "{}", row.place);
    file
}

/// What the directives of a file say, whatever lines they stand on.
fn said(file: &ModFile) -> Vec<String> {
    fn add<T: Debug>(said: &mut Vec<String>, directives: &[Directive<T>]) {
        said.extend(
            directives
                .iter()
                .map(|directive| format!("{:?}", **directive)),
        );
    }
    let mut said = Vec::new();
    said.extend(file.module().map(|module| module.path.clone()));
    said.extend(file.go().map(|go| go.version.clone()));
    said.extend(file.toolchain().map(|toolchain| toolchain.name.clone()));
    add(&mut said, file.godebug());
    add(&mut said, file.require());
    add(&mut said, file.exclude());
    add(&mut said, file.replace());
    add(&mut said, file.retract());
    add(&mut said, file.tool());
    add(&mut said, file.ignore());
    said.sort();
    said
}

fn version(row: &Row, field: &str) -> Version {
    Version::new(row.text(field)).unwrap()
}

fn interval(row: &Row) -> VersionInterval {
    VersionInterval {
        low: row.text("low").to_owned(),
        high: row.text("high").to_owned(),
    }
}

fn wanted(row: &Row) -> Vec<Require> {
    let mods = row.value["mods"].as_array().unwrap();
    let require = mods.iter().map(|wanted| Require {
        path: wanted[0].as_str().unwrap().to_owned(),
        version: Version::new(wanted[1].as_str().unwrap()).unwrap(),
        indirect: wanted[2].as_bool().unwrap(),
    });
    require.collect()
}

#[test]
fn requirements() {
    let Some(tables) = Tables::open("x-mod/tables/modfile_rule.json") else {
        return;
    };
    tables.each("addRequireTests", |row| {
        edited(row, "out", true, |file| {
            file.add_require(row.text("path"), &version(row, "vers"));
            file.cleanup();
        });
    });
    let set: [(&str, SetRequire); 3] = [
        ("setRequireTests", ModFile::set_require),
        (
            "setRequireSeparateIndirectTests",
            ModFile::set_require_separate_indirect,
        ),
        ("setRequireSimplifyTests", ModFile::set_require_at_most_two),
    ];
    for (table, set) in set {
        tables.each(table, |row| {
            let wanted = wanted(row);
            let file = edited(row, "out", true, |file| {
                set(file, &wanted);
                file.cleanup();
            });
            assert_eq!(file.require().len(), wanted.len(), "{}", row.place);
        });
    }
}

#[test]
fn directives_that_occur_once() {
    let Some(tables) = Tables::open("x-mod/tables/modfile_rule.json") else {
        return;
    };
    tables.each("addGoTests", |row| {
        edited(row, "out", true, |file| {
            file.add_go(row.text("version")).unwrap();
        });
    });
    tables.each("dropGoTests", |row| {
        edited(row, "out", true, ModFile::drop_go);
    });
    tables.each("addToolchainTests", |row| {
        edited(row, "out", true, |file| {
            file.add_toolchain(row.text("version")).unwrap();
        });
    });
    tables.each("dropToolchainTests", |row| {
        edited(row, "out", true, ModFile::drop_toolchain);
    });
    tables.each("modifyEmptyFilesTests", |row| {
        assert_eq!(row.text("desc"), "addGoStmt");
        let mut file = ModFile::new();
        file.add_go("1.20").unwrap();
        let want = ModFile::parse("out", row.text("want").as_bytes()).unwrap();
        assert_eq!(file.format(), want.format());
    });
}

#[test]
fn lists_of_directives() {
    let Some(tables) = Tables::open("x-mod/tables/modfile_rule.json") else {
        return;
    };
    tables.each("addGodebugTests", |row| {
        edited(row, "out", true, |file| {
            file.add_godebug(row.text("key"), row.text("value"));
            file.cleanup();
        });
    });
    tables.each("dropGodebugTests", |row| {
        edited(row, "out", true, |file| {
            file.drop_godebug(row.text("key"));
            file.cleanup();
        });
    });
    tables.each("addExcludeTests", |row| {
        edited(row, "out", true, |file| {
            file.add_exclude(row.text("path"), row.text("version"))
                .unwrap();
        });
    });
    tables.each("addRetractTests", |row| {
        edited(row, "out", true, |file| {
            file.add_retract(interval(row), row.text("rationale"))
                .unwrap();
        });
    });
    tables.each("dropRetractTests", |row| {
        edited(row, "out", true, |file| {
            file.drop_retract(&interval(row));
            file.cleanup();
        });
    });
    let by_path: [(&str, EditByPath); 4] = [
        ("addToolTests", ModFile::add_tool),
        ("dropToolTests", ModFile::drop_tool),
        ("addIgnoreTests", ModFile::add_ignore),
        ("dropIgnoreTests", ModFile::drop_ignore),
    ];
    for (table, edit) in by_path {
        tables.each(table, |row| {
            edited(row, "want", true, |file| {
                edit(file, row.text("path"));
                // The tables expect single lines as they would be written by hand.
                file.cleanup();
            });
        });
    }
    tables.each("sortBlocksTests", |row| {
        edited(row, "out", row.flag("strict"), ModFile::sort_blocks);
    });
}

#[test]
fn versions_that_are_refused_or_resolved() {
    let Some(tables) = Tables::open("x-mod/tables/modfile_rule.json") else {
        return;
    };
    tables.each("addRetractValidateVersionTests", |row| {
        let mut file = ModFile::new();
        file.add_module(row.text("path"));
        let error = file.add_retract(interval(row), "").unwrap_err();
        assert_eq!(error.to_string(), row.text("wantErr"), "{}", row.place);
    });
    tables.each("addExcludeValidateVersionTests", |row| {
        let mut file = ModFile::parse("in", b"module m").unwrap();
        let error = file
            .add_exclude(row.text("path"), row.text("version"))
            .unwrap_err();
        assert_eq!(error.to_string(), row.text("wantErr"), "{}", row.place);
    });
    let mut fix = |path: &str, version: &str| {
        if path != "example.com/m" {
            return Err(FixError::Other(
                "module path must be example.com/m".to_owned(),
            ));
        }
        let with_prefix = format!("v{}", version.trim_start_matches('v'));
        Version::canonicalize(&with_prefix).map_err(FixError::Version)
    };
    tables.each("fixVersionTests", |row| {
        let file = ModFile::read(
            "in",
            row.text("in").as_bytes(),
            Mode::Strict,
            Some(&mut fix),
        );
        match (file, row.value["wantErr"].as_str()) {
            (Ok(file), None) => {
                let want = ModFile::parse("out", row.text("want").as_bytes()).unwrap();
                assert_eq!(
                    BString::from(file.format()),
                    BString::from(want.format()),
                    "{}",
                    row.place
                );
            }
            (Err(error), Some(want)) => assert!(error.to_string().contains(want), "{error}"),
            (file, want) => panic!("{}: {file:?}, wanted error {want:?}", row.place),
        }
    });
}

#[test]
fn comments_with_a_meaning() {
    let Some(tables) = Tables::open("x-mod/tables/modfile_rule.json") else {
        return;
    };
    tables.each("retractRationaleTests", |row| {
        let file = ModFile::parse("in", row.text("in").as_bytes()).unwrap();
        let rationale: Vec<_> = file
            .retract()
            .iter()
            .map(|r| r.rationale.as_str())
            .collect();
        assert_eq!(rationale, [row.text("want")], "{}", row.place);
    });
    tables.each("moduleDeprecatedTests", |row| {
        let file = ModFile::parse("in", row.text("in").as_bytes()).unwrap();
        let deprecated = file
            .module()
            .unwrap()
            .deprecated
            .clone()
            .unwrap_or_default();
        assert_eq!(deprecated, row.text("want"), "{}", row.place);
    });
}

/// Applies `edit` to the go.work file `in` of a row and compares with what the row wants.
fn edited_work(row: &Row, edit: impl FnOnce(&mut WorkFile)) {
    let parse = |text: &str| WorkFile::parse("go.work", text.as_bytes()).unwrap();
    let mut file = parse(row.text("in"));
    edit(&mut file);
    file.cleanup();
    let golden = parse(row.text("out")).format();
    assert_eq!(
        BString::from(file.format()),
        BString::from(golden),
        "{}",
        row.place
    );
}

#[test]
fn go_work() {
    let Some(tables) = Tables::open("x-mod/tables/modfile_work.json") else {
        return;
    };
    tables.each("workAddUseTests", |row| {
        edited_work(row, |file| file.add_use(row.text("path")));
    });
    tables.each("workDropUseTests", |row| {
        edited_work(row, |file| file.drop_use(row.text("path")));
    });
    tables.each("workAddGoTests", |row| {
        edited_work(row, |file| file.add_go(row.text("version")).unwrap());
    });
    tables.each("workAddToolchainTests", |row| {
        edited_work(row, |file| file.add_toolchain(row.text("version")).unwrap());
    });
    tables.each("workSortBlocksTests", |row| {
        // Only here blocks of one line keep their parentheses.
        let parse = |text: &str| WorkFile::parse("go.work", text.as_bytes()).unwrap();
        let mut file = parse(row.text("in"));
        file.sort_blocks();
        let golden = parse(row.text("out")).format();
        assert_eq!(
            BString::from(file.format()),
            BString::from(golden),
            "{}",
            row.place
        );
    });
}
