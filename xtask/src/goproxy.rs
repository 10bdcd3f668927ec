//! The few requests that development needs of a public module proxy.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

const DEFAULT: &str = "https://proxy.golang.org";

/// A small, old and immutable file of a module that will not go away.
const PROBE: &str = "golang.org/x/mod/@v/v0.1.0.info";

/// Fails when the public module proxy does not answer.
pub(crate) fn is_online() -> Result<()> {
    get(&format!("{DEFAULT}/{PROBE}")).map(|_| println!("{DEFAULT} answers"))
}

/// Fetches a path below the first proxy of `GOPROXY` that has it.
pub(crate) fn fetch(path: &str) -> Result<Vec<u8>> {
    let setting = std::env::var_os("GOPROXY").and_then(|value| value.into_string().ok());
    let proxies = proxies(setting.as_deref());
    let mut problems = Vec::new();
    for proxy in &proxies {
        match get(&format!("{proxy}/{path}")) {
            Ok(bytes) => return Ok(bytes),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    if problems.is_empty() {
        bail!("GOPROXY names no proxy to fetch {path} from");
    }
    bail!("{}", problems.join("; "))
}

/// The base URLs in a `GOPROXY` setting; the public proxy when there is none.
fn proxies(setting: Option<&str>) -> Vec<String> {
    let setting = setting
        .filter(|text| !text.trim().is_empty())
        .unwrap_or(DEFAULT);
    setting
        .split([',', '|'])
        .map(str::trim)
        .take_while(|entry| *entry != "off" && *entry != "direct")
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let base = entry.trim_end_matches('/');
            if base.contains("://") {
                base.to_owned()
            } else {
                format!("https://{base}")
            }
        })
        .collect()
}

fn get(url: &str) -> Result<Vec<u8>> {
    if let Some(path) = url.strip_prefix("file://") {
        let file = PathBuf::from(path);
        return std::fs::read(&file).with_context(|| format!("reading {url}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        #[expect(
            clippy::disallowed_methods,
            reason = "the product's own client has limits that do not fit here"
        )]
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(20))
            .read_timeout(Duration::from_secs(50))
            .build()?;
        let response = client
            .get(url)
            .send()
            .await
            .with_context(|| format!("GET {url}"))?;
        let status = response.status();
        if !status.is_success() {
            bail!("GET {url}: {status}");
        }
        Ok(response
            .bytes()
            .await
            .with_context(|| format!("GET {url}"))?
            .to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxies_are_those_before_direct_and_off() {
        let table: [(Option<&str>, &[&str]); 6] = [
            (None, &["https://proxy.golang.org"]),
            (Some(""), &["https://proxy.golang.org"]),
            (
                Some("https://a/x/|https://b,direct,https://c"),
                &["https://a/x", "https://b"],
            ),
            (
                Some("a.example:8080/x, file:///srv"),
                &["https://a.example:8080/x", "file:///srv"],
            ),
            (Some("direct"), &[]),
            (Some("off,https://a"), &[]),
        ];
        for (setting, expected) in table {
            assert_eq!(proxies(setting), expected, "{setting:?}");
        }
    }

    #[test]
    fn a_file_is_fetched_and_a_bad_status_is_an_error() {
        let tree = testkit::Tree::temporary();
        tree.add(&testkit::Module::new("example.com/a", "v1.0.0"));
        let upstream = testkit::UpstreamServer::serve(tree.root());
        let url = |path: &str| format!("{}/{path}", upstream.url());
        assert_eq!(get(&url("example.com/a/@v/list")).unwrap(), b"v1.0.0\n");
        assert!(
            get(&url("example.com/b/@v/list"))
                .unwrap_err()
                .to_string()
                .contains("404")
        );
        let file = format!("file://{}/example.com/a/@v/list", tree.root().display());
        assert_eq!(get(&file).unwrap(), b"v1.0.0\n");
    }
}
