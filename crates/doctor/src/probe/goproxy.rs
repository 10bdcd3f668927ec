//! The GOPROXY protocol of one entry, asked with a real module. Callable on its own: comparing mirrors needs nothing
//! else.

use std::path::PathBuf;

use ::http::header;
use fault::{Hop, Label};
use goenv::redact::RedactedUrl;
use gomod::info::RevInfo;
use gomod::{ModulePath, Revision, Version};
use modzip::{H1, Workers, hash_go_mod, hash_zip};
use url::Url;

use super::Net;
use super::dns::public::is_public_host;
use super::fetch::{Part, fetch};
use super::fetched::{Answer, Fetched};
use super::report::{Check, Failure, Outcome, Phases, Probe, Reason};
use super::tls::certificate::is_public_authority;

/// Most bytes of a list, a `.info` or a `.mod` that are kept.
const SMALL_FILE: usize = 4 << 20;
/// Zips up to this size are read whole and hashed; of others the beginning and the end are read.
const WHOLE_ZIP: usize = 4 << 20;
/// Fewer bytes in a second than this make every download of a project a matter of minutes.
const SLOW: u64 = 64 << 10;
/// How much is read at the end of a zip: more than the directory's own end record with its comment.
const END_OF_ZIP: u64 = 66_000;

/// What a proxy said about a module.
#[derive(Clone, Debug)]
pub struct EntryReport {
    /// The entry, without secrets.
    pub entry: String,
    /// The requests, in order.
    pub probes: Vec<Probe>,
    /// The first failure that keeps `go` from getting the module here.
    pub failure: Option<Failure>,
    /// The version that was fetched.
    pub version: Option<Version>,
    /// How many versions the list has.
    pub versions: usize,
    /// The hash of go.mod.
    pub go_mod: Option<H1>,
    /// The hash of the zip, when it was small enough to be read whole.
    pub zip: Option<H1>,
    /// Offset of the server's clock in seconds, by its Date header.
    pub clock_offset: Option<i64>,
    /// Who issued the server's certificate.
    pub issuer: Option<String>,
}

/// Asks `base` for `module` at `revision`, or at the newest version it lists.
pub async fn probe_goproxy(
    net: &Net,
    base: &RedactedUrl,
    module: &ModulePath,
    revision: Option<&Revision>,
) -> EntryReport {
    let mut report = EntryReport {
        entry: base.to_string(),
        probes: Vec::new(),
        failure: None,
        version: None,
        versions: 0,
        go_mod: None,
        zip: None,
        clock_offset: None,
        issuer: None,
    };
    let entry = Entry {
        net,
        base: base.as_url(),
        module,
    };
    if base.as_url().scheme() == "file" {
        entry.read_tree(&mut report, revision);
    } else {
        entry.ask(&mut report, revision).await;
    }
    report
}

struct Entry<'a> {
    net: &'a Net,
    base: &'a Url,
    module: &'a ModulePath,
}

impl Entry<'_> {
    async fn ask(&self, report: &mut EntryReport, revision: Option<&Revision>) {
        let (list, info) = match revision {
            Some(revision) => {
                let list = self.get("@v/list", Part::Whole, SMALL_FILE);
                let info_path = format!("@v/{}.info", revision.escaped());
                let info = self.get(&info_path, Part::Whole, SMALL_FILE);
                let (list, info) = tokio::join!(list, info);
                (Some(list), Some(info))
            }
            None => (
                Some(self.get("@v/list", Part::Whole, SMALL_FILE).await),
                None,
            ),
        };
        let mut newest = None;
        if let Some(list) = list {
            newest = self.judge_list(report, list, revision.is_none());
        }
        let info = match (info, newest) {
            (Some(info), _) => Some(info),
            (None, Some(version)) => Some(
                self.get(
                    &format!("@v/{}.info", Version::escaped(&version)),
                    Part::Whole,
                    SMALL_FILE,
                )
                .await,
            ),
            (None, None) if report.failure.is_none() => {
                Some(self.get("@latest", Part::Whole, SMALL_FILE).await)
            }
            (None, None) => None,
        };
        let version = match info {
            Some(info) => self.judge_info(report, info, revision),
            None => None,
        };
        let Some(version) = version else {
            for check in [Check::GoMod, Check::Zip] {
                let probe = Probe::new(check, Hop::Goproxy, report.entry.clone());
                report
                    .probes
                    .push(probe.ended(Outcome::Skipped(Reason::Blocked)));
            }
            return;
        };
        report.version = Some(version.clone());
        let go_mod_path = format!("@v/{}.mod", version.escaped());
        let zip_path = format!("@v/{}.zip", version.escaped());
        let (go_mod, zip) = tokio::join!(
            self.get(&go_mod_path, Part::Whole, SMALL_FILE),
            self.get(&zip_path, Part::Whole, WHOLE_ZIP)
        );
        self.judge_go_mod(report, go_mod);
        self.judge_zip(report, zip, &zip_path).await;
    }

    async fn get(&self, below: &str, part: Part, keep: usize) -> Fetched {
        let url = join(self.base, &format!("{}/{below}", self.module.escaped()));
        fetch(self.net, &url, part, keep).await
    }

    fn judge_list(
        &self,
        report: &mut EntryReport,
        list: Fetched,
        must_exist: bool,
    ) -> Option<Version> {
        let (probe, answer) = self.open(report, Check::List, list);
        let body = match answer {
            Ok(answer) => answer.body,
            Err(failure) => {
                // A module without a list may still have the version asked for.
                if must_exist && !failure.is_absence() {
                    report.failure.get_or_insert(failure.clone());
                }
                if failure.is_absence() && !must_exist {
                    report.probes.push(probe);
                } else {
                    report.probes.push(probe.failed(failure));
                }
                return None;
            }
        };
        let text = String::from_utf8_lossy(&body);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let versions: Vec<Version> = lines
            .iter()
            .filter_map(|line| Version::new(line.split_whitespace().next()?).ok())
            .collect();
        report.versions = versions.len();
        if versions.is_empty() && !lines.is_empty() {
            let failure = about(
                Failure::new(
                    Label::GoproxyCorrupt,
                    format!(
                        "the list has {} lines and no version among them",
                        lines.len()
                    ),
                ),
                self.module,
                None,
            );
            report.failure.get_or_insert(failure.clone());
            report.probes.push(probe.failed(failure));
            return None;
        }
        report
            .probes
            .push(probe.fact("versions", versions.len().to_string()));
        newest(versions)
    }

    fn judge_info(
        &self,
        report: &mut EntryReport,
        info: Fetched,
        asked: Option<&Revision>,
    ) -> Option<Version> {
        let (probe, answer) = self.open(report, Check::Info, info);
        let parsed = answer.and_then(|answer| {
            let info = RevInfo::parse(&answer.body).map_err(|error| {
                Failure::new(Label::GoproxyHtml, format!("invalid response from proxy: {error}"))
            })?;
            let version = Version::new(&info.version).map_err(|error| {
                Failure::new(Label::GoproxyCorrupt, format!("invalid response from proxy: {error}"))
            })?;
            match asked.and_then(Revision::canonical) {
                Some(wanted) if wanted != version => Err(Failure::new(
                    Label::GoproxyCorrupt,
                    format!("proxy returned info for version {version} instead of requested version {wanted}"),
                )),
                _ => Ok(version),
            }
        });
        match parsed {
            Ok(version) => {
                report.probes.push(probe);
                Some(version)
            }
            Err(failure) => {
                let failure = about(failure, self.module, asked.map(ToString::to_string));
                report.failure.get_or_insert(failure.clone());
                report.probes.push(probe.failed(failure));
                None
            }
        }
    }

    fn judge_go_mod(&self, report: &mut EntryReport, go_mod: Fetched) {
        let (probe, answer) = self.open(report, Check::GoMod, go_mod);
        match answer {
            Ok(answer) => {
                report.go_mod = Some(hash_go_mod(&answer.body));
                report.probes.push(probe);
            }
            Err(failure) => self.fail(report, probe, failure),
        }
    }

    async fn judge_zip(&self, report: &mut EntryReport, zip: Fetched, path: &str) {
        let (probe, answer) = self.open(report, Check::Zip, zip);
        let judged = match answer {
            Ok(answer) if !answer.body.starts_with(b"PK") => Err(not_a_zip(&answer)),
            // What is there of it is well, and there is no time for its end.
            Ok(answer) if answer.is_slow => Ok(None),
            Ok(answer) if answer.is_cut => self.end_of_zip(path).await.map(|()| None),
            Ok(answer) => hash_zip(
                &answer.body,
                answer.body.len() as u64,
                &Workers::calling_thread(),
            )
            .map(Some)
            .map_err(|error| {
                Failure::new(
                    Label::GoproxyCorrupt,
                    format!("zip: not a valid zip file ({error})"),
                )
            }),
            Err(failure) => Err(failure),
        };
        match judged {
            Ok(hash) => {
                report.zip = hash;
                report.probes.push(probe);
            }
            Err(failure) => self.fail(report, probe, failure),
        }
    }

    /// The end of a zip too big to be read for a diagnosis.
    async fn end_of_zip(&self, path: &str) -> Result<(), Failure> {
        let fetched = self.get(path, Part::End(END_OF_ZIP), WHOLE_ZIP).await;
        let answer = fetched.result?;
        if let Some(broken) = answer.broken {
            return Err(broken);
        }
        // A server without ranges sends the file from its beginning, and its end stays unseen.
        if answer.status != 206 || answer.body.windows(4).any(|bytes| bytes == b"PK\x05\x06") {
            return Ok(());
        }
        Err(Failure::new(
            Label::GoproxyCorrupt,
            "zip: not a valid zip file (no directory at its end)",
        ))
    }

    fn fail(&self, report: &mut EntryReport, probe: Probe, failure: Failure) {
        let version = report.version.as_ref().map(ToString::to_string);
        let failure = about(failure, self.module, version);
        report.failure.get_or_insert(failure.clone());
        report.probes.push(probe.failed(failure));
    }

    /// The probe of a request, and its answer if that is of any use.
    fn open(
        &self,
        report: &mut EntryReport,
        check: Check,
        fetched: Fetched,
    ) -> (Probe, Result<Answer, Failure>) {
        let probe = described(check, Hop::Goproxy, &fetched);
        if let Some(certificate) = &fetched.certificate {
            report
                .issuer
                .get_or_insert_with(|| certificate.issuer.clone());
        }
        let redirects = fetched.redirects.clone();
        let url = fetched.url.clone();
        let host = self.base.host_str().unwrap_or_default();
        let answer = fetched.result.and_then(|answer| {
            if let Some(offset) =
                answer.clock_offset(super::shifted(answer.at, self.net.clock_shift))
            {
                report.clock_offset = Some(offset);
            }
            usable(answer, host, &url, &redirects)
        });
        (
            probe,
            answer.map_err(|failure| about(failure, self.module, None)),
        )
    }

    fn read_tree(&self, report: &mut EntryReport, revision: Option<&Revision>) {
        let probe = Probe::new(Check::List, Hop::Goproxy, report.entry.clone());
        let Ok(root) = self.base.to_file_path() else {
            let failure = Failure::new(
                Label::CfgGoproxySyntax,
                format!("{}: not a path of this system", report.entry),
            );
            report.failure = Some(failure.clone());
            report.probes.push(probe.failed(failure));
            return;
        };
        let directory: PathBuf = root.join(self.module.escaped().as_str()).join("@v");
        let failure = match std::fs::read_dir(&directory) {
            Ok(_) => match revision.and_then(Revision::canonical) {
                Some(version) => {
                    let file = directory.join(format!("{}.info", version.escaped()));
                    report.version = Some(version);
                    std::fs::metadata(&file)
                        .err()
                        .map(|error| by_disk(&error, &file))
                }
                None => None,
            },
            Err(error) => Some(by_disk(&error, &directory)),
        };
        report.failure.clone_from(&failure);
        report.probes.push(match failure {
            Some(failure) => probe.failed(about(failure, self.module, None)),
            None => probe,
        });
    }
}

fn by_disk(error: &std::io::Error, path: &std::path::Path) -> Failure {
    let label = match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Label::Goproxy404,
        std::io::ErrorKind::PermissionDenied => Label::DiskPermission,
        _ => Label::DiskCacheCorrupt,
    };
    let mut failure = Failure::new(
        label,
        format!(
            "open {}: {}",
            path.display(),
            super::dns::wire::os_words(error)
        ),
    );
    failure.subjects.path = Some(path.display().to_string());
    failure
}

fn not_a_zip(answer: &Answer) -> Failure {
    if answer.is_html() {
        return Failure::new(Label::GoproxyHtml, "a web page in place of a zip");
    }
    Failure::new(Label::GoproxyCorrupt, "zip: not a valid zip file")
}

/// The newest release, or the newest prerelease if there is no release.
fn newest(mut versions: Vec<Version>) -> Option<Version> {
    versions.sort_by(|a, b| gomod::semver::compare(a.as_str(), b.as_str()));
    let release = versions
        .iter()
        .rfind(|version| !version.is_prerelease() && !version.is_incompatible());
    release.or_else(|| versions.last()).cloned()
}

/// A URL below the base of an entry.
pub(crate) fn join(base: &Url, below: &str) -> Url {
    let mut url = base.clone();
    let path = format!("{}/{below}", base.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// A probe of a request, described.
pub(crate) fn described(check: Check, hop: Hop, fetched: &Fetched) -> Probe {
    let mut probe = Probe::new(check, hop, fetched.url.clone()).took(fetched.phases);
    if let Some(via) = fetched.via.as_ref().filter(|via| *via != "direct") {
        probe = probe.fact("via", via.clone());
    }
    if !fetched.redirects.is_empty() {
        probe = probe.fact("redirect", fetched.redirects.join(" "));
    }
    if let (Some(certificate), Ok(_)) = (&fetched.certificate, &fetched.result)
        && is_intercepted(fetched, &certificate.issuer_organisation)
    {
        probe = probe.fact("intercepted-by", certificate.issuer.clone());
    }
    if let Ok(answer) = &fetched.result {
        probe = probe
            .fact("status", answer.status.to_string())
            .fact("protocol", if answer.is_h2 { "HTTP/2" } else { "HTTP/1.1" })
            .fact("bytes", answer.body.len().to_string());
        if let Some(rate) = rate(answer.body.len(), &fetched.phases) {
            probe = probe.fact("bytes-per-second", rate.to_string());
            if answer.is_slow || rate < SLOW {
                probe = probe.fact("low-bandwidth", format!("{} KiB/s", rate >> 10));
            }
        }
        if let Some(trouble) = &answer.goauth {
            probe = probe.fact("goauth", trouble.clone());
        }
        if let Some(login) = &answer.login {
            probe = probe.fact("credentials-from", login.from);
            probe = probe.fact(
                "credentials",
                if matches!(answer.status, 401 | 403) {
                    "refused"
                } else {
                    "accepted"
                },
            );
        }
    }
    probe
}

/// A host that everybody reaches with a certificate of a public authority has one of another that this machine trusts:
/// somebody on the way decrypts what is sent.
fn is_intercepted(fetched: &Fetched, organisation: &str) -> bool {
    let url = Url::parse(&fetched.url).ok();
    url.and_then(|url| url.host_str().map(is_public_host))
        .unwrap_or_default()
        && !is_public_authority(organisation)
}

/// Bytes in a second, for bodies that are big enough to say something.
fn rate(bytes: usize, phases: &Phases) -> Option<u64> {
    let seconds = phases.transfer?.as_secs_f64();
    if bytes < 64 << 10 || seconds <= 0.0 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate for reading"
    )]
    Some((bytes as f64 / seconds) as u64)
}

/// An answer of a module server that `go` would take, or what is wrong with it.
pub(crate) fn usable(
    answer: Answer,
    host: &str,
    url: &str,
    redirects: &[String],
) -> Result<Answer, Failure> {
    let words = |text: &str| match answer.first_line() {
        Some(line) => format!("reading {url}: {text}\n\tserver response: {line}"),
        None => format!("reading {url}: {text}"),
    };
    let elsewhere = redirects.iter().any(|to| to != host && !is_public_host(to));
    let page = answer.is_html();
    let label = match answer.status {
        200..=299 if page && (elsewhere || is_public_host(host)) => Label::CaptivePortalHtml,
        200..=299 if page => Label::GoproxyHtml,
        200..=299 => return whole(answer),
        511 => Label::CaptivePortalHtml,
        401 | 403 if page && is_public_host(host) => Label::CaptivePortalHtml,
        401 => Label::Goproxy401,
        403 => Label::Goproxy403,
        404 => Label::Goproxy404,
        407 => Label::Httpproxy407,
        410 => Label::Goproxy410,
        429 => Label::Goproxy429,
        400..=499 => Label::Goproxy4xx,
        _ => Label::Goproxy5xx,
    };
    let status = ::http::StatusCode::from_u16(answer.status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let mut failure = Failure::new(
        label,
        words(format!("{} {status}", answer.status).trim_end()),
    );
    if page {
        failure = failure.because("the body is a web page");
    }
    if let Some(trouble) = answer.goauth.as_ref().filter(|_| answer.status != 404) {
        failure = failure.because(format!("GOAUTH: {trouble}"));
    }
    if let Some(after) = answer.header(header::RETRY_AFTER) {
        failure = failure.because(format!("Retry-After: {after}"));
    }
    failure.subjects.url = Some(url.to_owned());
    failure.subjects.host = Some(host.to_owned());
    Err(failure)
}

fn whole(mut answer: Answer) -> Result<Answer, Failure> {
    if let Some(broken) = answer.broken.take() {
        return Err(broken);
    }
    if let Some(coding) = answer
        .header(header::CONTENT_ENCODING)
        .filter(|coding| *coding != "identity")
    {
        return Err(Failure::new(
            Label::GoproxyCorrupt,
            format!("Content-Encoding {coding} was not asked for"),
        ));
    }
    Ok(answer)
}

fn about(mut failure: Failure, module: &ModulePath, version: Option<String>) -> Failure {
    failure.subjects.module = Some(module.to_string());
    if version.is_some() {
        failure.subjects.version = version;
    }
    failure
}
