//! The module path of a go.mod file that may be broken elsewhere.

use bstr::ByteSlice as _;

use crate::text::unquote;

/// The path on the first line that looks like a module directive, whatever else is in the file; `None`
/// if there is none. The path is not checked (x/mod `modfile.ModulePath`).
pub fn module_path(go_mod: &[u8]) -> Option<String> {
    let path = go_mod.split(|&b| b == b'\n').find_map(|line| {
        let statement = line.find("//").map_or(line, |comment| &line[..comment]);
        let rest = trim(statement).strip_prefix(b"module")?;
        let path = trim(rest);
        (path.len() < rest.len() && !path.is_empty()).then_some(path)
    })?;
    let value = match path.first() {
        Some(b'"' | b'`') => unquote(path)?,
        _ => path.to_vec(),
    };
    String::from_utf8(value)
        .ok()
        .filter(|path| !path.is_empty())
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_with(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_module_line_counts() {
        for (file, want) in [
            ("module example.com/a\n", Some("example.com/a")),
            (
                "go 1.21\r\n  module\t\"example.com/a\" // why\r\nmodule b\n",
                Some("example.com/a"),
            ),
            ("module `raw`", Some("raw")),
            ("modulex a\nmodule\nmodule  \nmodule b c", Some("b c")),
            ("// module a\n(((\nmodule b", Some("b")),
            ("module \"broken\nmodule b", None),
            ("module \"\"", None),
            ("", None),
        ] {
            assert_eq!(module_path(file.as_bytes()).as_deref(), want, "{file:?}");
        }
        assert_eq!(module_path(b"\xff\xfe\nmodule a"), Some("a".to_owned()));
        assert_eq!(module_path(b"module a\xff"), None);
    }

    proptest! {
        #[test]
        fn no_file_panics(data: Vec<u8>) {
            let _ = module_path(&data);
        }
    }
}
