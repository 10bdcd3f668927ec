//! What files say, and what is wrong with them.

use super::{mod_file, work_file};
use crate::Version;
use crate::modfile::{FixError, ModFile, Mode, Position, Replacement, WorkFile, module_path};
use crate::version::check_path_major;

const FILE: &str = "\
// Deprecated: use example.com/new
module example.com/m // really

go 1.21.3

toolchain go1.22.1

godebug default=go1.21

require (
	example.com/a v1.2.3
	\"example.com/b\" v2.0.0+incompatible // indirect; because
)

exclude example.com/a v1

replace example.com/a => ./a

replace (
	example.com/b v2.0.0+incompatible => example.com/c v1.0.0
)

// broken
retract (
	v1.0.0
	[v1.1.0, v1.2.0] // worse
)

tool example.com/a/cmd/x

ignore ./node_modules
";

#[test]
fn every_directive_is_read() {
    let file = mod_file(FILE);
    let module = file.module().unwrap();
    assert_eq!(module.path, "example.com/m");
    assert_eq!(
        module.deprecated.as_deref(),
        Some("use example.com/new\nreally")
    );
    assert_eq!(file.go_version(), "1.21.3");
    assert_eq!(file.toolchain().unwrap().name, "go1.22.1");
    assert_eq!(
        (
            file.godebug()[0].key.as_str(),
            file.godebug()[0].value.as_str()
        ),
        ("default", "go1.21")
    );
    let require: Vec<_> = file
        .require()
        .iter()
        .map(|r| (r.path.as_str(), r.version.as_str(), r.indirect))
        .collect();
    assert_eq!(
        require,
        [
            ("example.com/a", "v1.2.3", false),
            ("example.com/b", "v2.0.0+incompatible", true)
        ]
    );
    assert_eq!(file.exclude()[0].version.as_str(), "v1.0.0");
    assert_eq!(
        file.replace()[0].by,
        Replacement::Directory("./a".to_owned())
    );
    assert_eq!(
        file.replace()[1].by.version().map(Version::as_str),
        Some("v1.0.0")
    );
    assert_eq!(file.tool()[0].path, "example.com/a/cmd/x");
    assert_eq!(file.ignore()[0].path, "./node_modules");
}

#[test]
fn retractions_are_found_by_version_and_carry_their_reason() {
    let file = mod_file(FILE);
    let reasons = |version: &str| {
        let version = Version::new(version).unwrap();
        let reasons = file.retractions(&version).map(|r| r.rationale.clone());
        reasons.collect::<Vec<_>>()
    };
    assert_eq!(reasons("v1.0.0"), ["broken"]);
    assert_eq!(reasons("v1.1.5"), ["worse"]);
    assert!(reasons("v1.2.1").is_empty());
}

#[test]
fn directives_know_their_place() {
    let file = mod_file(FILE);
    let place = file.position(&file.require()[1]).unwrap();
    assert_eq!((place.line, place.column), (12, 2));
    assert_eq!(&FILE[place.byte..place.byte + 5], "\"exam");
}

#[test]
fn a_dependency_is_read_with_indulgence() {
    let file = ModFile::parse_lax(
        "go.mod",
        b"module m\ngo 1.99.beta\nnew thing\nnew block (\n\tx\n)\nexclude x\nreplace <-\nretract v1.2.3 v1.2.4\n\
          retract (v1.2.3, v1.2.4]\nretract latest\ntoolchain bad\nrequire good.example v1.0.0\nignore ./x\n",
    )
    .unwrap();
    assert_eq!(file.go_version(), "1.99");
    assert_eq!(file.require()[0].path, "good.example");
    assert_eq!(file.ignore().len(), 1);
    let retracted: Vec<_> = file
        .retract()
        .iter()
        .map(|r| r.interval.to_string())
        .collect();
    assert_eq!(retracted, ["v1.2.3", "latest"]);
    assert!(file.toolchain().is_none() && file.replace().is_empty());
}

#[test]
fn what_counts_in_a_dependency_must_be_right() {
    for bad in [
        "require x",
        "module a b",
        "go 1",
        "module a\nmodule b",
        "require x.y v2.0.0",
        "ignore",
    ] {
        assert!(
            ModFile::parse_lax("go.mod", bad.as_bytes()).is_err(),
            "{bad}"
        );
    }
}

#[test]
fn files_without_go_line_have_a_default() {
    assert_eq!(mod_file("module m\n").go_version(), "1.16");
    assert_eq!(work_file("use ./a\n").go_version(), "1.18");
}

#[test]
fn all_errors_are_told_in_the_words_of_go() {
    let cases = [
        ("surprise attack", "unknown directive: surprise"),
        ("go 1", "invalid go version '1': must match format 1.23.0"),
        (
            "go v1.21",
            "invalid go version 'v1.21': must match format 1.23.0",
        ),
        ("go 1.21 1.22", "go directive expects exactly one argument"),
        (
            "toolchain gcc",
            "invalid toolchain version 'gcc': must match format go1.23.0 or default",
        ),
        (
            "toolchain",
            "toolchain directive expects exactly one argument",
        ),
        ("module", "usage: module module/path"),
        (
            "module 'a'",
            "invalid quoted string: unquoted string cannot contain quote",
        ),
        (r#"module "\q""#, "invalid quoted string: invalid syntax"),
        ("godebug a", "usage: godebug key=value"),
        ("godebug a=b,c", "usage: godebug key=value"),
        ("require x.y", "usage: require module/path v1.2.3"),
        (
            "require x.y main",
            r#"require x.y: version "main" invalid: must be of the form v1.2.3"#,
        ),
        (
            "require x.y 'v1'",
            r#"require x.y: version "'v1'" invalid: unquoted string cannot contain quote"#,
        ),
        (
            "require x.y v2.0.0",
            r#"require x.y: version "v2.0.0" invalid: should be v0 or v1, not v2"#,
        ),
        ("require x.y/v1 v1.0.0", "invalid module path"),
        (
            "exclude x.y/v2 v1.0.0",
            r#"exclude x.y/v2: version "v1.0.0" invalid: should be v2, not v1"#,
        ),
        (
            "replace a b",
            "usage: replace module/path [v1.2.3] => other/module v1.4\n\t or replace module/path [v1.2.3] => ../local/directory",
        ),
        ("replace a/v1 => ./b", "replace a/v1: invalid module path"),
        (
            "replace a v2.0.0 => ./b",
            r#"replace a: version "v2.0.0" invalid: should be v0 or v1, not v2"#,
        ),
        (
            "replace a => b@v1.0.0",
            "replacement module must match format 'path version', not 'path@version'",
        ),
        (
            "replace a => b",
            "replacement module without version must be directory path (rooted or starting with . or ..)",
        ),
        (
            r"replace a => .\b",
            "replacement directory appears to be Windows path (on a non-windows system)",
        ),
        (
            "replace a => ./b v1.0.0",
            r#"replacement module directory path "./b" cannot have version"#,
        ),
        ("retract", "expected '[' or version"),
        ("retract (v1.0.0, v1.1.0]", "expected '[' or version"),
        ("retract [", "expected version after '['"),
        ("retract [v1.0.0 v1.1.0]", "expected ',' after version"),
        ("retract [v1.0.0,", "expected version after ','"),
        ("retract [v1.0.0, v1.1.0)", "expected ']' after version"),
        (
            "retract v1.0.0 why",
            r#"unexpected token after version: "why""#,
        ),
        ("tool", "tool directive expects exactly one argument"),
        (
            "ignore a b",
            "ignore directive expects exactly one argument",
        ),
        ("new (\n)", "unknown block type: new"),
        ("go (\n1.21\n)", "unknown block type: go"),
        ("require x (\n)", "unknown block type: require x"),
    ];
    for (line, error) in cases {
        let got = ModFile::parse("go.mod", line.as_bytes())
            .unwrap_err()
            .to_string();
        assert_eq!(got, format!("go.mod:1: {error}"), "{line}");
    }
    let all = cases.map(|(line, _)| line).join("\n");
    let errors = ModFile::parse("go.mod", all.as_bytes()).unwrap_err();
    assert_eq!(errors.iter().count(), cases.len());
}

#[test]
fn errors_name_the_line_and_the_place_in_it() {
    let errors = ModFile::parse(
        "a/go.mod",
        b"module m\nrequire (\n\tx y z\n\tx.y v2.0.0\n)\ngo 1.21\ngo 1.22\n",
    )
    .unwrap_err();
    assert_eq!(
        errors.to_string(),
        "a/go.mod:3:2: usage: require module/path v1.2.3\n\
         a/go.mod:4:2: require x.y: version \"v2.0.0\" invalid: should be v0 or v1, not v2\n\
         a/go.mod:7: repeated go statement"
    );
    let place = errors.iter().next().unwrap().position;
    assert_eq!(
        place,
        Position {
            line: 3,
            column: 2,
            byte: 20
        }
    );
}

#[test]
fn syntax_errors_end_the_reading() {
    for (file, error) in [
        ("module \"m\n", "go.mod:1:10: unexpected newline in string"),
        ("module \"m", "go.mod:1:8: unexpected EOF in string"),
        ("module \"m\\", "go.mod:1:8: unexpected EOF in string"),
        (
            "module m /* x */",
            "go.mod:1:10: mod files must use // comments (not /* */ comments)",
        ),
        (
            "module m/* x */",
            "go.mod:1:9: mod files must use // comments (not /* */ comments)",
        ),
        (
            "module m\0",
            "go.mod:1:9: unexpected input character '\\x00'",
        ),
        (
            "\u{a0}module m",
            "go.mod:1: unexpected input character '\\u00a0'",
        ),
        (
            "x\nrequire (\n\ta v1.0.0\n",
            "go.mod:4: syntax error (unterminated block started at go.mod:2:1)",
        ),
        (
            "require (\n) x\n",
            "go.mod:2:4: syntax error (expected newline after closing paren)",
        ),
    ] {
        let got = ModFile::parse("go.mod", file.as_bytes())
            .unwrap_err()
            .to_string();
        assert_eq!(got, error, "{file:?}");
    }
}

#[test]
fn bytes_that_are_not_text_are_harmless_in_comments_only() {
    let file = ModFile::parse("go.mod", b"module m // caf\xe9\n").unwrap();
    assert_eq!(file.format(), b"module m // caf\xe9\n");
    let error = ModFile::parse("go.mod", b"module m\xe9\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "go.mod:1: invalid quoted string: invalid UTF-8"
    );
}

#[test]
fn a_fixer_turns_names_into_versions() {
    let mut asked = Vec::new();
    let mut fix = |path: &str, version: &str| {
        asked.push(format!("{path}@{version}"));
        match version {
            "main" => Ok(Version::new("v0.0.0-20060102150405-abcdef123456").unwrap()),
            "gone" => Err(FixError::Other("unknown revision gone".to_owned())),
            _ => check_path_major(version, "/v9")
                .map_err(FixError::Version)
                .and_then(|()| Version::canonicalize(version).map_err(FixError::Version)),
        }
    };
    let text = b"require a.b/c main\nretract [main, main]\nmodule m.n\nreplace x => y.z main\n";
    let file = ModFile::read("go.mod", text, Mode::Strict, Some(&mut fix)).unwrap();
    assert_eq!(
        bstr::BStr::new(&file.format()),
        "require a.b/c v0.0.0-20060102150405-abcdef123456\n\n\
         retract [v0.0.0-20060102150405-abcdef123456, v0.0.0-20060102150405-abcdef123456]\n\n\
         module m.n\n\nreplace x => y.z v0.0.0-20060102150405-abcdef123456\n"
    );
    let text = b"require a.b/c gone\nrequire a.b/c v1.0.0\nretract main\n";
    let errors = ModFile::read("go.mod", text, Mode::Strict, Some(&mut fix)).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "go.mod:1: unknown revision gone\n\
         go.mod:2: require a.b/c: version \"v1.0.0\" invalid: should be v9, not v1\n\
         go.mod:3: no module directive found, so retract cannot be used"
    );
    assert_eq!(
        asked[..4],
        ["a.b/c@main", "y.z@main", "m.n@main", "m.n@main"]
    );
}

#[test]
fn go_work_files_have_their_own_directives() {
    let file = work_file(
        "go 1.22\ntoolchain go1.22.1\nuse (\n\t./a\n\t\"./b c\"\n)\nreplace x => ./y\ngodebug a=b\n",
    );
    let uses: Vec<_> = file.uses().iter().map(|u| u.path.as_str()).collect();
    assert_eq!(uses, ["./a", "./b c"]);
    assert_eq!(
        (
            file.go_version(),
            file.replace().len(),
            file.godebug().len()
        ),
        ("1.22", 1, 1)
    );
    for (line, error) in [
        ("module m", "unknown directive: module"),
        ("require (\n)", "unknown block type: require"),
        ("use", "usage: use local/dir"),
        ("go 1.18\ngo 1.19", "repeated go statement"),
    ] {
        let got = WorkFile::parse("go.work", line.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(got.ends_with(error), "{got}");
    }
}

#[test]
fn a_synthesized_file_declares_its_module() {
    for path in ["example.com/a", "a b"] {
        let text = ModFile::synthesized(path);
        assert_eq!(module_path(text.as_bytes()).as_deref(), Some(path));
        assert_eq!(mod_file(&text).module().unwrap().path, path);
    }
    assert_eq!(
        ModFile::synthesized("example.com/a"),
        "module example.com/a\n"
    );
}
