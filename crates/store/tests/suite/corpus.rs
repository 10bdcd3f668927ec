//! The corpus of paths in `fuzz-corpus`: files whose name begins with `ok-` are paths in the tree, those that
//! begin with `no-` are not.

use std::path::Path;

use testkit::{corpus, mutation_run};

use crate::fuzzed::tree_path;

#[test]
fn a_path_in_the_tree_has_one_spelling_and_leads_to_nowhere_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-corpus/tree-path");
    let files = corpus(&folder);
    assert!(files.len() >= 18, "only {} files", files.len());
    for (file, data) in &files {
        let is_accepted = tree_path(data);
        let name = file.file_name().unwrap().to_string_lossy();
        if name.starts_with("ok-") || name.starts_with("no-") {
            assert_eq!(is_accepted, name.starts_with("ok-"), "{}", file.display());
        }
    }
    let seeds: Vec<Vec<u8>> = files.into_iter().map(|(_, data)| data).collect();
    assert!(mutation_run(&seeds, 20_000, tree_path) > 0);
}
