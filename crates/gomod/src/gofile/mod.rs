//! What the `go` command reads of a Go file without compiling it: whether any build can use it, and which files it embeds.
//!
//! Rules: Go's `imports/build.go` (constraints), `go/build/constraint` (their expressions), `go/build/read.go` and
//! `go/ast/directive.go` (embedding), `load/pkg.go` (which files a pattern means).

mod constraint;
mod embed;
mod scan;

pub use constraint::may_be_built;
pub use embed::{embed_patterns, embedded};

/// Without the byte order mark that a file may begin with.
fn without_mark(content: &[u8]) -> &[u8] {
    content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content)
}
