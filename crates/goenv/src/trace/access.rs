//! What applies when a module's own repository, or a server, is asked: GOVCS, GOINSECURE, GOAUTH,
//! git's URL rewriting, HTTP proxies.

use gomod::ModulePath;
use url::Url;

use super::Rules;
use crate::http_proxy::Route;
use crate::redact::redact_text;

/// One `url.<base>.insteadOf` of git's configuration.
///
/// `Debug` hides passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// What URLs begin with.
    pub prefix: String,
    /// What git puts in its place.
    pub base: String,
}

impl std::fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?} for {:?}",
            redact_text(&self.base),
            redact_text(&self.prefix)
        )
    }
}

/// Where credentials for a URL come from. The credentials themselves are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The URL holds them.
    InUrl,
    /// This machine of the netrc file.
    Netrc {
        /// The machine.
        machine: String,
        /// The user name.
        login: String,
    },
    /// A command of GOAUTH, by its first word, may know some.
    GoauthCommand(String),
}

/// What applies when the module's own repository is asked.
#[derive(Clone, Debug)]
pub struct Access {
    /// The repository, where the path itself tells it. Everywhere else go asks
    /// [`discovery`](Self::discovery) for it.
    pub repository: Option<String>,
    /// What git makes of the repository's URL by `insteadOf`, without passwords.
    pub rewritten: Option<String>,
    /// The page that names the repository.
    pub discovery: Option<String>,
    /// True when GOINSECURE allows plain HTTP and bad certificates.
    pub is_insecure: bool,
    /// Whether GOVCS allows git; the error is what go says about GOVCS.
    pub git_allowed: Result<bool, String>,
    /// How requests travel; the error says why none can.
    pub route: Option<Result<Route, String>>,
    /// Where credentials come from.
    pub credential: Option<Credential>,
}

/// Sites whose module paths tell their repository: its first three elements (vcs.go, `vcsPaths`).
const FORGES: [&str; 2] = ["github.com", "bitbucket.org"];

impl Rules {
    pub(super) fn access(&self, module: &ModulePath) -> Access {
        let path = module.as_str();
        let root = root(path);
        let repository = root.map(|root| format!("https://{root}"));
        let discovery = root.is_none().then(|| format!("https://{path}?go-get=1"));
        let asked = repository.as_deref().or(discovery.as_deref());
        let url = asked.and_then(|text| Url::parse(text).ok());
        let is_private = self.private.matches_text(root.unwrap_or(path));
        let git_allowed = match &self.govcs {
            Ok(govcs) => Ok(govcs.allows(root.unwrap_or(path), is_private, "git")),
            Err(reason) => Err(reason.clone()),
        };
        Access {
            rewritten: repository
                .as_deref()
                .and_then(|url| self.rewrite(url))
                .map(|url| redact_text(&url)),
            is_insecure: self.insecure.matches(module),
            git_allowed,
            route: url
                .as_ref()
                .map(|url| self.http.route(url).map_err(|e| e.to_string())),
            credential: url.as_ref().and_then(|url| self.credential(url)),
            repository,
            discovery,
        }
    }

    /// The URL git uses in place of `url`: the longest prefix counts.
    pub fn rewrite(&self, url: &str) -> Option<String> {
        let rule = self
            .rewrites
            .iter()
            .filter(|rule| !rule.prefix.is_empty() && url.starts_with(&rule.prefix))
            .max_by_key(|rule| rule.prefix.len())?;
        let rest = url.get(rule.prefix.len()..)?;
        Some(format!("{}{rest}", rule.base))
    }

    /// Where go finds credentials for `url`: in it, else by GOAUTH, whose earlier entries count
    /// first, and only for HTTPS.
    pub fn credential(&self, url: &Url) -> Option<Credential> {
        if !url.username().is_empty() || url.password().is_some() {
            return Some(Credential::InUrl);
        }
        if url.scheme() != "https" {
            return None;
        }
        for command in self.goauth.split(';').map(str::trim) {
            match command.split_whitespace().next()? {
                "off" => return None,
                "netrc" => {
                    if let Some(found) = self.netrc.lookup(url) {
                        return Some(Credential::Netrc {
                            machine: found.machine.clone(),
                            login: found.login.clone(),
                        });
                    }
                }
                // Its arguments may be secrets.
                program => return Some(Credential::GoauthCommand(program.to_owned())),
            }
        }
        None
    }
}

/// The root of a repository at a site whose paths tell it.
fn root(path: &str) -> Option<&str> {
    if !FORGES
        .iter()
        .any(|forge| path.split('/').next() == Some(forge))
    {
        return None;
    }
    let mut slashes = path.match_indices('/').map(|(at, _)| at).skip(1);
    slashes.next()?;
    match slashes.next() {
        None => Some(path),
        Some(end) => path.get(..end),
    }
}
