//! From an import path to the repository that has it (cmd/go/internal/vcs).
//!
//! Some hosts say it by their paths alone; others are asked for a page with go-import tags. Answers are kept: a host
//! that is down does not make modules unreachable whose repository is known.

pub(crate) mod hosts;
mod http;
mod known;
pub(crate) mod meta;
mod outline;
mod web;

use std::sync::Arc;
use std::time::Duration;

use fault::Label;
use futures_util::future::BoxFuture;
use goenv::go_url::GoUrl;
use goenv::private::Patterns;
use goenv::redact::redact_text;
use gomod::glob;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::{Blocked, DiscoveryFault, Error, ToolFault};
use crate::flight::Flights;
use crate::govcs::Govcs;
use crate::options::UrlTemplate;
use crate::system::VersionControl;
use hosts::{Address, StaticRoot, static_root};
pub(crate) use http::headers;
pub use http::{CredentialSource, HttpWeb};
use known::Known;
use meta::{GoImport, Mismatch, ModTags, go_imports, matching};
pub use outline::{Outline, outline_of_page, outline_of_path};
pub use web::{MAX_PAGE, Page, Trust, Web, WebError};

/// Where the code of an import path is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The import path of the repository's root, or of [`Self::subdir`] in it.
    pub root: String,
    /// What kind of repository it is.
    #[serde(with = "system_name")]
    pub system: VersionControl,
    /// Its address, or the base of a module proxy.
    pub repository: String,
    /// The directory of the repository that has the import path `root`; empty for the whole.
    pub subdir: String,
}

mod system_name {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::system::VersionControl;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(
        system: &VersionControl,
        s: S,
    ) -> Result<S::Ok, S::Error> {
        s.serialize_str(system.command())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<VersionControl, D::Error> {
        let name = String::deserialize(d)?;
        match name.as_str() {
            "mod" => Ok(VersionControl::Mod),
            name => VersionControl::from_command(name)
                .ok_or_else(|| serde::de::Error::custom("unknown version control system")),
        }
    }
}

/// A configured place of repositories, which needs no request: import paths whose first elements match `pattern`
/// belong to a repository whose root has as many elements as the pattern.
#[derive(Clone, Debug)]
pub struct RootRule {
    /// A glob such as `git.corp.example/*/*`; `*` stands for one element.
    pub pattern: String,
    /// The kind of repository.
    pub system: VersionControl,
    /// The address of the repository.
    pub repository: UrlTemplate,
}

/// The settings of discovery.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Configured roots; the first that matches counts.
    pub roots: Vec<RootRule>,
    /// GOVCS.
    pub govcs: Govcs,
    /// GOPRIVATE, which GOVCS asks for.
    pub private: Patterns,
    /// GOINSECURE.
    pub insecure: Patterns,
    /// The variable `GIT_ALLOW_PROTOCOL`.
    pub git_allow_protocol: Option<String>,
    /// Hosts (with port, if any) under which this server itself is reached: a page that points there would make it
    /// ask itself.
    pub own_hosts: Vec<String>,
    /// How long a found repository is believed without asking again.
    pub fresh: Duration,
    /// How long it is believed that there is none.
    pub negative: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            govcs: Govcs::default(),
            private: Patterns::default(),
            insecure: Patterns::default(),
            git_allow_protocol: None,
            own_hosts: Vec::new(),
            fresh: Duration::from_mins(15),
            negative: Duration::from_mins(1),
        }
    }
}

/// Tries whether a repository answers at an address.
pub(crate) trait Probe: Send + Sync {
    fn probe<'a>(
        &'a self,
        system: VersionControl,
        url: &'a str,
        insecure: bool,
    ) -> BoxFuture<'a, Result<(), Error>>;
}

/// Finds repositories, and remembers them.
pub struct Discovery {
    inner: Arc<Inner>,
    flights: Arc<Flights<String, Result<Root, Error>>>,
}

struct Inner {
    rules: Rules,
    web: Arc<dyn Web>,
    probe: Arc<dyn Probe>,
    roots: Known<Root>,
    pages: Known<Arc<FoundPage>>,
}

/// A page and the tags it has.
struct FoundPage {
    url: String,
    imports: Vec<GoImport>,
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discovery")
            .field("rules", &self.inner.rules)
            .finish_non_exhaustive()
    }
}

impl Discovery {
    pub(crate) fn new(rules: Rules, web: Arc<dyn Web>, probe: Arc<dyn Probe>) -> Self {
        Self {
            inner: Arc::new(Inner {
                roots: Known::new(rules.fresh, rules.negative),
                pages: Known::new(rules.fresh, rules.negative),
                rules,
                web,
                probe,
            }),
            flights: Arc::default(),
        }
    }

    /// The repository of `path`, a module or import path.
    pub async fn root(&self, path: &str) -> Result<Root, Error> {
        let inner = Arc::clone(&self.inner);
        let key = path.to_owned();
        let found = self
            .flights
            .join(path.to_owned(), || async move { inner.root(&key).await })
            .await
            .ok_or(Error::Lost)??;
        self.inner.check_govcs(&found)?;
        Ok(found)
    }

    /// Everything that was found, for [`Self::remember`].
    pub(crate) fn remembered(&self) -> Vec<(String, Root)> {
        self.inner.roots.found()
    }

    /// Takes what an earlier process had found. It counts when a host cannot be asked, not before.
    pub(crate) fn remember(&self, roots: Vec<(String, Root)>) {
        self.inner.roots.restore(roots);
    }

    /// Whether the configuration says where `path` is.
    pub(crate) fn is_configured(&self, path: &str) -> bool {
        self.inner.configured(path).is_some()
    }

    /// Lets what was not found be looked for again.
    pub(crate) fn forget_failures(&self) {
        self.inner.roots.forget_failures();
    }

    /// Whether something was found since the last call.
    pub(crate) fn has_news(&self) -> bool {
        self.inner.roots.has_news()
    }

    /// Whether an unencrypted connection will do for `path`.
    pub fn allows_insecure(&self, path: &str) -> bool {
        self.inner.rules.insecure.matches_text(path)
    }
}

impl Inner {
    async fn root(&self, path: &str) -> Result<Root, Error> {
        if let Some(root) = self.configured(path) {
            return Ok(root);
        }
        if let Some(known) = self.roots.fresh(path) {
            return known;
        }
        let answer = match static_root(path).map_err(Error::from) {
            Ok(Some(root)) => self.with_scheme(path, root).await,
            Ok(None) => self.asked(path).await,
            Err(error) => Err(error),
        };
        self.roots.settle(path, answer)
    }

    fn configured(&self, path: &str) -> Option<Root> {
        let elements: Vec<&str> = path.split('/').collect();
        self.rules.roots.iter().find_map(|rule| {
            let count = rule.pattern.split('/').count();
            let root = elements.get(..count)?.join("/");
            (glob::matches(&rule.pattern, &root) == Ok(true)).then(|| Root {
                repository: rule.repository.fill(&root),
                system: rule.system,
                subdir: String::new(),
                root,
            })
        })
    }

    async fn with_scheme(&self, path: &str, found: StaticRoot) -> Result<Root, Error> {
        let StaticRoot {
            root,
            system,
            address,
        } = found;
        let repository = match address {
            Address::Url(url) => url,
            Address::Schemeless(repo) => {
                // Forbidden systems are not even tried.
                self.check_govcs_for(&root, system)?;
                self.first_working_scheme(path, system, &repo).await?
            }
        };
        Ok(Root {
            root,
            system,
            repository,
            subdir: String::new(),
        })
    }

    async fn first_working_scheme(
        &self,
        path: &str,
        system: VersionControl,
        repo: &str,
    ) -> Result<String, Error> {
        let insecure = self.rules.insecure.matches_text(path);
        let allow = self.rules.git_allow_protocol.as_deref();
        let mut failure: Option<Error> = None;
        for scheme in system.schemes() {
            if !insecure && !system.is_secure_scheme(scheme, allow) {
                continue;
            }
            let url = format!("{scheme}://{repo}");
            match self.probe.probe(system, &url, insecure).await {
                Ok(()) => return Ok(url),
                Err(error) if !is_about_address(&error) => return Err(error),
                // What https says counts more than that nobody listens for ssh.
                Err(error) if failure.is_none() || *scheme == "https" => failure = Some(error),
                Err(_) => {}
            }
        }
        Err(DiscoveryFault::NoProtocol {
            secure: !insecure,
            label: failure
                .as_ref()
                .map_or(Label::VcsInsecureHttp, Error::label),
            detail: failure.map_or_else(String::new, |error| format!(": {error}")),
        }
        .into())
    }

    async fn asked(&self, path: &str) -> Result<Root, Error> {
        let page = self.page(path, path).await?;
        let import = select(&page, path)?.clone();
        if import.prefix != path {
            let root_page = self.page(&import.prefix, path).await?;
            // Whoever owns a directory of a host must not be able to say what its root is.
            if select(&root_page, path).ok() != Some(&import) {
                return Err(DiscoveryFault::Disagree {
                    path: path.to_owned(),
                    page: page.url.clone(),
                    root_page: root_page.url.clone(),
                    prefix: import.prefix,
                }
                .into());
            }
        }
        self.judged(path, &page.url, import)
    }

    fn judged(&self, path: &str, page: &str, import: GoImport) -> Result<Root, Error> {
        let bad = |reason: String| {
            Error::from(DiscoveryFault::BadTag {
                path: path.to_owned(),
                url: page.to_owned(),
                reason,
            })
        };
        if let Some(reason) = subdir_fault(&import.subdir) {
            let subdir = gomod::quote(&import.subdir);
            return Err(bad(format!("invalid subdirectory {subdir}: {reason}")));
        }
        if let Err(reason) = check_repository_url(&import.repository) {
            let url = gomod::quote(redact_text(&import.repository));
            return Err(bad(format!("invalid repo root {url}: {reason}")));
        }
        let system = match import.system.as_str() {
            "mod" => VersionControl::Mod,
            name => VersionControl::from_command(name)
                .ok_or_else(|| bad(format!("unknown vcs {}", gomod::quote(name))))?,
        };
        if system == VersionControl::Mod {
            self.check_proxy(path, &import.repository)
                .map_err(|reason| bad(reason.to_owned()))?;
        }
        Ok(Root {
            root: import.prefix,
            system,
            repository: import.repository,
            subdir: import.subdir,
        })
    }

    /// A proxy is asked over https, and it is not this server.
    fn check_proxy(&self, path: &str, base: &str) -> Result<(), &'static str> {
        let url = GoUrl::parse(base).map_err(|_| "invalid proxy address")?;
        let insecure = self.rules.insecure.matches_text(path);
        if !(url.scheme() == "https" || (url.scheme() == "http" && insecure)) {
            return Err("proxy address without https");
        }
        let own = |host: &String| host.eq_ignore_ascii_case(url.host());
        if self.rules.own_hosts.iter().any(own) {
            return Err("the module proxy it names is this server");
        }
        Ok(())
    }

    fn check_govcs(&self, root: &Root) -> Result<(), Error> {
        self.check_govcs_for(&root.root, root.system)
    }

    fn check_govcs_for(&self, root: &str, system: VersionControl) -> Result<(), Error> {
        let private = self.rules.private.matches_text(root);
        if self.rules.govcs.allows(root, private, system) {
            return Ok(());
        }
        Err(Blocked::Govcs {
            system,
            root: root.to_owned(),
            private,
        }
        .into())
    }

    /// The page of `path`; errors are about `asked_for`.
    async fn page(&self, path: &str, asked_for: &str) -> Result<Arc<FoundPage>, Error> {
        if let Some(Ok(page)) = self.pages.fresh(path) {
            return Ok(page);
        }
        let insecure = self.rules.insecure.matches_text(asked_for);
        let answer = self.fetch_page(path, asked_for, insecure).await;
        self.pages.settle(path, answer)
    }

    async fn fetch_page(
        &self,
        path: &str,
        asked_for: &str,
        insecure: bool,
    ) -> Result<Arc<FoundPage>, Error> {
        let fetch_fault = |error: WebError| DiscoveryFault::Fetch {
            path: asked_for.to_owned(),
            label: error.label,
            detail: error.detail,
        };
        let url = page_url(path, "https")?;
        let trust = if insecure {
            Trust::Unverified
        } else {
            Trust::Verified
        };
        let page = match self.web.get(&url, trust).await {
            Err(_) if insecure => {
                let plain = page_url(path, "http")?;
                self.web.get(&plain, trust).await.map_err(fetch_fault)?
            }
            answer => answer.map_err(fetch_fault)?,
        };
        let body = String::from_utf8_lossy(page.body.get(..MAX_PAGE).unwrap_or(&page.body));
        let imports = go_imports(&body, ModTags::Prefer);
        let shown = redact_text(page.url.as_str());
        // People put the tags on their 404 pages too.
        if imports.is_empty() && page.status != 200 {
            return Err(DiscoveryFault::Status {
                path: asked_for.to_owned(),
                url: shown,
                status: page.status,
            }
            .into());
        }
        Ok(Arc::new(FoundPage {
            url: shown,
            imports,
        }))
    }
}

/// Whether another address might do better.
fn is_about_address(error: &Error) -> bool {
    matches!(
        error,
        Error::Blocked(_) | Error::Tool(ToolFault::Failed { .. } | ToolFault::Timeout { .. })
    )
}

fn select<'a>(page: &'a FoundPage, path: &str) -> Result<&'a GoImport, Error> {
    matching(&page.imports, path).map_err(|mismatch| {
        let (path, url) = (path.to_owned(), page.url.clone());
        match mismatch {
            Mismatch::Several => DiscoveryFault::SeveralTags { path, url },
            Mismatch::None(others) => DiscoveryFault::NoTag {
                details: others
                    .iter()
                    .take(10)
                    .map(|other| format!("meta tag {other} did not match import path {path}"))
                    .collect::<Vec<_>>()
                    .join(", "),
                path,
                url,
            },
        }
        .into()
    })
}

fn page_url(path: &str, scheme: &str) -> Result<Url, DiscoveryFault> {
    let (host, below) = path.split_once('/').unwrap_or((path, ""));
    let no_host = || DiscoveryFault::NoHost(path.to_owned());
    if !host.contains('.') || host.contains(['@', '?', '#', '\\']) {
        return Err(no_host());
    }
    let mut url = Url::parse(&format!("{scheme}://{host}/")).map_err(|_| no_host())?;
    url.set_path(below);
    url.set_query(Some("go-get=1"));
    Ok(url)
}

fn subdir_fault(subdir: &str) -> Option<&'static str> {
    match subdir.bytes().next() {
        Some(b'/') => Some("leading slash"),
        Some(b'-') => Some("leading hyphen"),
        _ => None,
    }
}

/// Checks that `url` is a URL with a scheme, and no file.
pub(crate) fn check_repository_url(url: &str) -> Result<(), String> {
    let url = GoUrl::parse(url).map_err(|error| error.to_string())?;
    match url.scheme() {
        "" => Err("no scheme".to_owned()),
        "file" => Err("file scheme disallowed".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
