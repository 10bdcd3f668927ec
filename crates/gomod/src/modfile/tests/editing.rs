//! Changes of single directives.

use bstr::BString;

use super::{mod_file, text, work_file};
use crate::Version;
use crate::modfile::{ModFile, Replacement, VersionInterval};

fn version(text: &str) -> Version {
    Version::new(text).unwrap()
}

fn directory(path: &str) -> Replacement {
    Replacement::Directory(path.to_owned())
}

#[test]
fn a_file_is_built_from_nothing() {
    let mut file = ModFile::new();
    file.add_module("example.com/m");
    file.add_require("example.com/a", &version("v1.0.0"));
    file.add_require("example.com/b", &version("v1.1.0"));
    file.add_go("1.22").unwrap();
    file.add_toolchain("go1.22.3").unwrap();
    file.add_comment("// end");
    assert_eq!(
        text(&file),
        "module example.com/m\n\ngo 1.22\n\ntoolchain go1.22.3\n\n\
         require (\n\texample.com/a v1.0.0\n\texample.com/b v1.1.0\n)\n\n// end\n"
    );
    file.add_module("a b");
    assert_eq!(file.module().unwrap().path, "a b");
    assert!(text(&file).starts_with(b"module \"a b\"\n"));
}

#[test]
fn go_and_toolchain_are_checked_changed_and_dropped() {
    let mut file = mod_file("module m\n\ngo 1.20 // why\n");
    file.add_go("1.21.1").unwrap();
    assert_eq!(text(&file), "module m\n\ngo 1.21.1 // why\n");
    assert_eq!(
        file.add_go("1").unwrap_err().to_string(),
        r#"invalid language version "1""#
    );
    assert_eq!(
        file.add_toolchain("x").unwrap_err().to_string(),
        r#"invalid toolchain name "x""#
    );
    file.add_toolchain("default").unwrap();
    assert_eq!(
        text(&file),
        "module m\n\ngo 1.21.1 // why\n\ntoolchain default\n"
    );
    file.drop_go();
    file.drop_toolchain();
    assert_eq!(text(&file), "module m\n");
    file.cleanup();
    assert_eq!((text(&file), file.go()), ("module m\n".into(), None));
}

#[test]
fn one_requirement_is_changed_in_place() {
    let mut file = mod_file(
        "module m\nrequire (\n\ta.b v1.0.0 // keep\n\tc.d v1.0.0\n)\nrequire a.b v1.1.0\n",
    );
    file.add_require("a.b", &version("v1.2.0"));
    file.drop_require("c.d");
    file.cleanup();
    assert_eq!(text(&file), "module m\n\nrequire a.b v1.2.0 // keep\n");
    assert_eq!(file.require().len(), 1);
}

#[test]
fn exclusions_are_checked_and_kept_together() {
    let mut file = mod_file("module m\nexclude a.b v1.0.0\nexclude c.d v1.0.0\n");
    file.add_exclude("a.b", "v1.1.0").unwrap();
    file.add_exclude("a.b", "v1.1.0").unwrap();
    file.add_exclude("e.f", "v1.0.0").unwrap();
    assert_eq!(
        text(&file),
        "module m\n\nexclude (\n\ta.b v1.0.0\n\ta.b v1.1.0\n)\n\nexclude c.d v1.0.0\n\nexclude e.f v1.0.0\n"
    );
    for (path, version, error) in [
        (
            "a.b",
            "v1",
            r#"version "v1" invalid: must be of the form v1.2.3"#,
        ),
        (
            "a.b/v2",
            "2.0.0",
            r#"version "2.0.0" invalid: must be of the form v2.2.3"#,
        ),
        (
            "a.b/v2",
            "v1.0.0",
            r#"version "v1.0.0" invalid: should be v2, not v1"#,
        ),
        (
            "a.b",
            "v2.0.0",
            r#"version "v2.0.0" invalid: should be v2.0.0+incompatible (or module a.b/v2)"#,
        ),
    ] {
        assert_eq!(
            file.add_exclude(path, version).unwrap_err().to_string(),
            error
        );
    }
    file.drop_exclude("a.b", &version("v1.0.0"));
    file.drop_exclude("c.d", &version("v1.0.0"));
    file.drop_exclude("e.f", &version("v1.0.0"));
    file.cleanup();
    assert_eq!(text(&file), "module m\n\nexclude a.b v1.1.0\n");
}

#[test]
fn replacements_are_set_by_path_and_version() {
    let mut file =
        mod_file("module m\nreplace a v1.0.0 => ./1\nreplace a v1.1.0 => ./2\nreplace b => ./b\n");
    let module = Replacement::Module {
        path: "c.d/a".to_owned(),
        version: version("v1.5.0"),
    };
    file.add_replace("a", Some(&version("v1.1.0")), module);
    file.add_replace("a", Some(&version("v1.2.0")), directory("./3"));
    file.add_replace("c", None, directory("./x y"));
    file.cleanup();
    assert_eq!(
        text(&file),
        "module m\n\nreplace a v1.0.0 => ./1\n\nreplace (\n\ta v1.1.0 => c.d/a v1.5.0\n\ta v1.2.0 => ./3\n)\n\n\
         replace b => ./b\n\nreplace c => \"./x y\"\n"
    );
    file.add_replace("a", None, directory("./all"));
    file.drop_replace("b", None);
    file.drop_replace("c", Some(&version("v1.0.0")));
    file.cleanup();
    assert_eq!(
        text(&file),
        "module m\n\nreplace a => ./all\n\nreplace c => \"./x y\"\n"
    );
    assert_eq!(file.replace()[0].version, None);
}

#[test]
fn retractions_have_a_reason_above_them() {
    let mut file = mod_file("module m.n\n");
    file.add_retract(VersionInterval::single("v1.0.0"), "one\n\ntwo")
        .unwrap();
    let interval = VersionInterval {
        low: "v1.1.0".to_owned(),
        high: "v1.2.0".to_owned(),
    };
    file.add_retract(interval.clone(), "").unwrap();
    file.sort_blocks();
    assert_eq!(
        text(&file),
        "module m.n\n\nretract (\n\t[v1.1.0, v1.2.0]\n\t// one\n\t//\n\t// two\n\tv1.0.0\n)\n"
    );
    assert!(
        file.add_retract(VersionInterval::single("v2.0.0"), "")
            .is_err()
    );
    file.drop_retract(&interval);
    file.cleanup();
    assert_eq!(
        mod_file(&text(&file).to_string()).retract()[0].rationale,
        "one\n\ntwo"
    );
}

#[test]
fn settings_tools_and_ignored_directories_are_sets() {
    let mut file = mod_file("module m\ngodebug a=1\ngodebug a=2\n");
    file.add_godebug("a", "3");
    file.add_godebug("b", "4");
    file.add_tool("x.y/b");
    file.add_tool("x.y/a");
    file.add_tool("x.y/a");
    file.add_ignore("./b");
    file.add_ignore("./a b");
    file.cleanup();
    assert_eq!(
        text(&file),
        "module m\n\ngodebug (\n\ta=3\n\tb=4\n)\n\ntool (\n\tx.y/a\n\tx.y/b\n)\n\nignore (\n\t\"./a b\"\n\t./b\n)\n"
    );
    file.drop_godebug("a");
    file.drop_tool("x.y/b");
    file.drop_ignore("./b");
    file.cleanup();
    assert_eq!(
        text(&file),
        "module m\n\ngodebug b=4\n\ntool x.y/a\n\nignore \"./a b\"\n"
    );
}

#[test]
fn sorting_drops_what_is_said_twice() {
    let mut file = mod_file(
        "module m\ngo 1.21\nexclude (\n\tb v1.10.0\n\ta v1.0.0\n\tb v1.9.0\n\ta v1.0.0\n)\n\
         replace (\n\tx => ./1\n\tx => ./2\n)\nrequire (\n\ty v1.0.0\n\tx v1.0.0\n\ty v1.0.0\n)\n",
    );
    file.sort_blocks();
    assert_eq!(
        text(&file),
        "module m\n\ngo 1.21\n\nexclude (\n\ta v1.0.0\n\tb v1.9.0\n\tb v1.10.0\n)\n\n\
         replace (\n\tx => ./2\n)\n\nrequire (\n\tx v1.0.0\n\ty v1.0.0\n\ty v1.0.0\n)\n"
    );
    assert_eq!((file.exclude().len(), file.replace().len()), (3, 1));
}

#[test]
fn before_go_1_21_exclusions_are_sorted_as_text() {
    let mut file = mod_file("module m\ngo 1.20\nexclude (\n\tb v1.9.0\n\tb v1.10.0\n)\n");
    file.sort_blocks();
    assert!(text(&file).ends_with(b"exclude (\n\tb v1.10.0\n\tb v1.9.0\n)\n"));
}

#[test]
fn a_block_with_a_comment_at_its_end_stays_a_block() {
    let mut file = mod_file(
        "module m\n// why\nrequire (\n\ta v1.0.0\n\tb v1.0.0\n\t// end\n)\nrequire ( // gone\n\tc v1.0.0\n)\n",
    );
    file.drop_require("a");
    file.drop_require("c");
    file.cleanup();
    assert_eq!(
        text(&file),
        "module m\n\n// why\nrequire (\n\tb v1.0.0\n// end\n)\n"
    );
}

#[test]
fn go_work_files_are_edited_too() {
    let mut file = work_file("// top\n\nuse ./b\nreplace x => ./x\n");
    file.add_go("1.22").unwrap();
    file.add_toolchain("go1.22.1").unwrap();
    file.add_use("./c");
    file.add_use("./b");
    file.add_replace("y", None, directory("./y"));
    file.add_godebug("a", "b");
    assert_eq!(
        BString::from(file.format()),
        "// top\n\ngo 1.22\n\ntoolchain go1.22.1\n\nuse (\n\t./b\n\t./c\n)\n\nreplace x => ./x\n\nreplace y => ./y\n\ngodebug a=b\n"
    );
    file.set_use(&["./d", "./a", "./c"]);
    file.drop_replace("x", None);
    file.drop_godebug("a");
    file.drop_toolchain();
    file.add_go("1.23").unwrap();
    file.cleanup();
    assert_eq!(
        BString::from(file.format()),
        "// top\n\ngo 1.23\n\nuse (\n\t./a\n\t./c\n\t./d\n)\n\nreplace y => ./y\n"
    );
    assert!(file.add_go("x").is_err() && file.add_toolchain("x").is_err());
    file.drop_use("./a");
    file.drop_go();
    file.cleanup();
    assert_eq!(
        BString::from(file.format()),
        "// top\n\nuse (\n\t./c\n\t./d\n)\n\nreplace y => ./y\n"
    );
}
