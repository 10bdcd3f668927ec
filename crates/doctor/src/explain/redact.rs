//! Takes secrets out of what is shown: credentials in URLs, tokens with a known shape.

/// The text without passwords and tokens.
pub(crate) fn redact(text: &str) -> String {
    without_tokens(&without_userinfo(text))
}

/// `https://user:secret@host` and `https://token@host` lose what stands before the `@`, save the user's name.
fn without_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace() || c == '"' || c == '\'')
            .unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some(("git", host)) => out.extend(["git@", host]),
            Some((user, host)) => {
                let name = user
                    .split(':')
                    .next()
                    .filter(|_| user.contains(':'))
                    .unwrap_or_default();
                out.extend([name, if name.is_empty() { "***@" } else { ":***@" }, host]);
            }
            None => out.push_str(authority),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Prefixes that forges and clouds give their tokens, so that scanners can find them.
const TOKENS: &[&str] = &[
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glcbt-",
    "glrt-",
    "xoxb-",
    "AKIA",
    "Bearer ",
    "Basic ",
];

fn without_tokens(text: &str) -> String {
    let mut out = text.to_owned();
    for prefix in TOKENS {
        let mut from = 0;
        while let Some(at) = out.get(from..).and_then(|rest| rest.find(prefix)) {
            let start = from + at + prefix.len();
            let tail = out.get(start..).unwrap_or_default();
            let length = tail
                .find(|c: char| !c.is_ascii_alphanumeric() && !"-_.=+/".contains(c))
                .unwrap_or(tail.len());
            if length >= 8 {
                out.replace_range(start..start + length, "***");
            }
            from = start;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out() {
        for (text, shown) in [
            (
                "Get \"https://me:s3cret@p.example/x\": EOF",
                "Get \"https://me:***@p.example/x\": EOF",
            ),
            (
                "https://s3cretS3cret@github.com/a",
                "https://***@github.com/a",
            ),
            ("ssh://git@github.com/a", "ssh://git@github.com/a"),
            ("token ghp_0123456789abcdef used", "token ghp_*** used"),
            ("mail a@b.example, no secret", "mail a@b.example, no secret"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }
}
