use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use goenv::Environment;
use gomod::{ModulePath, ModuleVersion, Version};
use modzip::Archive;
use serde::Deserialize;
use url::Url;

use super::{CannotDo, Status};
use crate::args::{Format, PublishArguments};
use crate::config::secret;
use crate::output;

/// What the server says to a version it has accepted.
#[derive(Deserialize)]
struct Accepted {
    hash: String,
    new: bool,
}

/// Sends a module to a server.
pub(super) fn run(
    environment: &Environment,
    arguments: &PublishArguments,
) -> Result<Status, CannotDo> {
    let (version, zip) = if arguments.module.is_dir() {
        pack(&arguments.module, arguments.tag.as_deref())?
    } else {
        open(&arguments.module, arguments.tag.as_deref())?
    };
    let token = token(environment, arguments)?;
    let url = address(&arguments.to, &version)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CannotDo::new)?;
    let accepted = runtime.block_on(send(&url, &token, zip))?;
    match arguments.format {
        Format::Human if accepted.new => {
            output::result(format!("{version} is published: {}", accepted.hash));
        }
        Format::Human => output::result(format!(
            "{version} was published before, with the same files: {}",
            accepted.hash
        )),
        Format::Json => output::result(serde_json::json!({
            "module": version.path().as_str(),
            "version": version.version().as_str(),
            "hash": accepted.hash,
            "new": accepted.new,
        })),
    }
    Ok(Status::Done)
}

/// Makes the zip of the module in a directory.
fn pack(directory: &Path, tag: Option<&str>) -> Result<(ModuleVersion, File), CannotDo> {
    let file = directory.join("go.mod");
    let text = std::fs::read(&file)
        .map_err(|error| CannotDo::new(format!("{}: {error}", file.display())))?;
    let path = gomod::modfile::module_path(&text)
        .ok_or_else(|| CannotDo::new(format!("{}: it declares no module", file.display())))?;
    let path = ModulePath::new(&path)
        .map_err(|error| CannotDo::new(format!("{}: {error}", file.display())))?;
    let tag = tag.ok_or_else(|| {
        CannotDo::new(format!(
            "{} says nothing about the version; name it with --tag, such as --tag v1.2.3",
            directory.display()
        ))
    })?;
    let version = Version::new(tag)
        .map_err(CannotDo::new)
        .and_then(|version| ModuleVersion::new(path, version).map_err(CannotDo::new))?;
    let mut zip = tempfile::tempfile().map_err(CannotDo::new)?;
    modzip::dir::create_from_dir(std::io::BufWriter::new(&zip), &version, directory)
        .map_err(|error| CannotDo::new(format!("{}: {error}", directory.display())))?;
    zip.seek(SeekFrom::Start(0)).map_err(CannotDo::new)?;
    Ok((version, zip))
}

/// Opens a zip; its names say which version it is.
fn open(file: &Path, tag: Option<&str>) -> Result<(ModuleVersion, File), CannotDo> {
    let about =
        |error: &dyn std::fmt::Display| CannotDo::new(format!("{}: {error}", file.display()));
    let zip = File::open(file).map_err(|error| about(&error))?;
    let len = zip.metadata().map_err(|error| about(&error))?.len();
    let version = {
        let archive = Archive::open(&zip, len).map_err(|error| about(&error))?;
        let first = archive
            .entries()
            .next()
            .map(|entry| entry.name().to_string())
            .unwrap_or_default();
        let named = named(&first).ok_or_else(|| {
            about(&"it is no module zip: its names do not begin with MODULE@VERSION/")
        })?;
        archive.check(&named).fit().map_err(|error| about(&error))?;
        named
    };
    if let Some(tag) = tag.filter(|tag| *tag != version.version().as_str()) {
        return Err(about(&format!(
            "it is the zip of {version}, and not of {tag}"
        )));
    }
    Ok((version, zip))
}

/// The version in whose zip a file has this name.
fn named(name: &str) -> Option<ModuleVersion> {
    let (path, rest) = name.split_once('@')?;
    let (version, _) = rest.split_once('/')?;
    let (path, version) = (ModulePath::new(path).ok()?, Version::new(version).ok()?);
    ModuleVersion::new(path, version).ok()
}

fn token(
    environment: &Environment,
    arguments: &PublishArguments,
) -> Result<zeroize::Zeroizing<String>, CannotDo> {
    let place = arguments.token.clone().or_else(|| {
        environment
            .non_empty("MODKEEP_PUBLISH_TOKEN")
            .map(str::to_owned)
    });
    let place = place.ok_or_else(|| {
        CannotDo::new(
            "publishing needs the server's token; say where it is with --token env:NAME or --token file:PATH",
        )
    })?;
    let place = secret(&place)
        .map_err(|reason| CannotDo::new(format!("--token: {reason}")))?
        .ok_or_else(|| CannotDo::new("--token: it is empty"))?;
    let mut token = place.read(environment).map_err(CannotDo::new)?;
    let len = token.trim_end().len();
    token.truncate(len);
    Ok(token)
}

fn address(base: &str, version: &ModuleVersion) -> Result<Url, CannotDo> {
    let wrong = || {
        CannotDo::new(format!(
            "{base:?} is no http:// or https:// URL of a server"
        ))
    };
    let base = Url::parse(base).map_err(|_| wrong())?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(wrong());
    }
    let text = format!(
        "{}/{}/@v/{}.zip",
        base.as_str().trim_end_matches('/'),
        version.path().escaped(),
        version.version().escaped()
    );
    Url::parse(&text).map_err(|_| wrong())
}

#[expect(
    clippy::disallowed_methods,
    reason = "one request to a server that is no upstream"
)]
async fn send(url: &Url, token: &str, zip: File) -> Result<Accepted, CannotDo> {
    let len = zip.metadata().map_err(CannotDo::new)?.len();
    let shown = goenv::redact::redact_text(url.as_str());
    let client = reqwest::Client::builder()
        .user_agent(concat!("modkeep/", env!("CARGO_PKG_VERSION")))
        // The token is for this server and no other.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(CannotDo::new)?;
    let request = client
        .put(url.clone())
        .bearer_auth(token)
        .header("content-type", "application/zip")
        .header("content-length", len)
        .body(pieces(zip));
    let failed = |error: reqwest::Error| {
        let error = error.without_url();
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        CannotDo::new(format!("{shown}: {error}{}", cause.unwrap_or_default()))
    };
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let text = response.text().await.map_err(failed)?;
    if !status.is_success() {
        let line = text.lines().next().unwrap_or_default();
        return Err(CannotDo::new(format!("{shown}: {status}: {line}")));
    }
    serde_json::from_str(&text)
        .map_err(|error| CannotDo::new(format!("{shown}: this is no answer of a modkeep: {error}")))
}

/// The file as a body that is not held in memory.
fn pieces(file: File) -> reqwest::Body {
    use std::io::Read as _;
    const PIECE: usize = 256 << 10;
    let stream = futures_util::stream::unfold(file, async |mut file| {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let result = file.read(&mut piece).map(|count| {
                piece.truncate(count);
                piece
            });
            (result, file)
        });
        match read.await {
            Ok((Ok(piece), _)) if piece.is_empty() => None,
            Ok((result, file)) => Some((result, file)),
            Err(_) => None,
        }
    });
    reqwest::Body::wrap_stream(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_a_zip_say_which_version_it_is() {
        let of = |name: &str| named(name).map(|version| version.to_string());
        assert_eq!(of("a.b/c@v1.0.0/x.go").as_deref(), Some("a.b/c@v1.0.0"));
        assert_eq!(
            of("a.b/c/v2@v2.1.0/go.mod").as_deref(),
            Some("a.b/c/v2@v2.1.0")
        );
        for other in ["", "x.go", "a.b/c@v1/x", "a.b/c@v2.0.0/x", "a.b/c@v1.0.0"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn addresses_are_escaped_as_everywhere() {
        let version = named("a.b/Cap@v1.0.0/x").unwrap();
        let url = address("https://modkeep.example/base/", &version).unwrap();
        assert_eq!(
            url.as_str(),
            "https://modkeep.example/base/a.b/!cap/@v/v1.0.0.zip"
        );
        assert!(address("modkeep.example", &version).is_err());
        assert!(address("file:///x", &version).is_err());
    }
}
