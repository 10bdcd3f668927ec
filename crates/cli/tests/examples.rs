//! Every file in `examples/` is a configuration that works.

use std::path::Path;

use cli::config::resolve_and_check;
use goenv::Environment;

#[test]
fn every_example_is_loaded_and_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let environment = Environment::from_pairs([("HOME", "/nonexistent"), ("GOENV", "off")]);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let checked = resolve_and_check(&environment, std::iter::empty(), Some(&path));
        let (resolved, _) = checked.unwrap_or_else(|errors| {
            panic!(
                "{}: {}",
                path.display(),
                errors
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            )
        });
        assert_eq!(resolved.file.as_deref(), Some(path.as_path()));
        count += 1;
    }
    assert!(
        count >= 5,
        "only {count} examples were found in {}",
        folder.display()
    );
}
