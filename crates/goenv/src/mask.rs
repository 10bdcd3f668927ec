//! Hiding user information in text that no parser accepts.

/// What stands for a secret in a URL, as in Go.
pub(crate) const MASK: &str = "xxxxx";

/// `text` with everything that could be user information hidden, or `None` when there can be none.
///
/// Where no parser knows where a password ends, one thing is sure: it is not behind the last at
/// sign.
pub(crate) fn mask_userinfo(text: &str) -> Option<String> {
    let (before, host) = text.rsplit_once('@')?;
    if let Some((scheme, _)) = before.split_once("://") {
        return Some(format!("{scheme}://{MASK}@{host}"));
    }
    // `user:password@host`, to which Go adds the scheme itself.
    let (name, _) = before
        .split_once(':')
        .filter(|(name, _)| !name.contains('/'))?;
    Some(format!("{name}:{MASK}@{host}"))
}

#[cfg(test)]
mod tests {
    use super::mask_userinfo;

    #[test]
    fn all_before_the_last_at_sign_is_hidden() {
        let rows = [
            ("https://u:p@h", Some("https://xxxxx@h")),
            ("https://u:p/w@x@h/p", Some("https://xxxxx@h/p")),
            ("u:p@h:80", Some("u:xxxxx@h:80")),
            ("m@v1.0.0", None),
            ("a/b:c@d", None),
            ("https://h:80a", None),
        ];
        for (text, expected) in rows {
            assert_eq!(mask_userinfo(text).as_deref(), expected, "{text}");
        }
    }
}
