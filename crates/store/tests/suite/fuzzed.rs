//! What must hold for any path in the tree.

use store::FileKey;

/// A path in the tree: one spelling for one file, and no way out of the tree.
pub(crate) fn tree_path(data: &[u8]) -> bool {
    let key = std::str::from_utf8(data)
        .ok()
        .and_then(FileKey::from_url_path);
    let Some(key) = key else { return false };
    let path = key.url_path();
    assert_eq!(path.as_bytes(), data);
    assert!(path.is_ascii(), "{path:?}");
    let elements: Vec<&str> = path.split('/').collect();
    let is_safe = |element: &&str| !element.is_empty() && !element.starts_with('.');
    assert!(elements.iter().all(is_safe), "{path:?}");
    assert_eq!(
        elements.iter().filter(|element| **element == "@v").count(),
        1
    );
    true
}
