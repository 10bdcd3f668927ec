//! Checksum databases: the one that is asked, and the one of one's own.

use std::path::PathBuf;

use depot::{SumdbRoute, VerifyMode};
use goenv::SecretRef;
use goenv::gosumdb::SumdbSetting;
use sumdb::note::VerifierKey;
use sumlog::{LogName, Witnesses};

use super::{Checker, one_of};

/// The checksum database a server runs itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SumlogSettings {
    /// Its name.
    pub name: LogName,
    /// Where its private key is; `None`: in the default place.
    pub key: Option<SecretRef>,
    /// The file of the last signed head; `None`: in the log's directory.
    pub signed: Option<PathBuf>,
    /// Whose cosignatures are taken.
    pub witnesses: Witnesses,
}

impl Checker<'_> {
    pub(super) fn sumdbs(&mut self) -> Option<Vec<SumdbRoute>> {
        let setting = self.parse("sumdb", |text| {
            SumdbSetting::parse(text).map_err(|error| error.to_string())
        })?;
        let Some(base) = setting.direct_url() else {
            return Some(Vec::new());
        };
        let SumdbSetting::Database { name, key, url } = setting else {
            return Some(Vec::new());
        };
        let key = match VerifierKey::parse(&key) {
            Ok(key) => key,
            Err(error) => {
                self.fail("sumdb", &error.to_string());
                return None;
            }
        };
        Some(vec![SumdbRoute {
            name,
            key,
            base,
            through_upstreams: url.is_none(),
        }])
    }

    /// Errors are noted; `None` without one: there is no log.
    pub(super) fn sumlog(&mut self) -> Option<SumlogSettings> {
        let text = |name: &'static str| Some(self.resolved.get(name).value.clone());
        let given = |name| text(name).filter(|value| !value.is_empty());
        let (has_name, has_key) = (given("sumlog.name"), given("sumlog.key"));
        let signed = given("sumlog.signed").map(PathBuf::from);
        if has_name.is_none() {
            for name in ["sumlog.key", "sumlog.signed", "sumlog.witnesses"] {
                if !self.resolved.get(name).value.is_empty() {
                    self.fail(name, "there is no log; set sumlog.name, too");
                }
            }
            return None;
        }
        let name = self.parse("sumlog.name", LogName::parse);
        let key = has_key.and_then(|_| {
            self.parse("sumlog.key", |text| {
                text.parse::<SecretRef>().map_err(|error| error.to_string())
            })
        });
        let witnesses = self.parse("sumlog.witnesses", |text| {
            Witnesses::parse(text).map_err(|error| error.to_string())
        });
        let public = match SumdbSetting::parse(&self.resolved.get("sumdb").value) {
            Ok(SumdbSetting::Database { name, .. }) => Some(name),
            // What is malformed was noted where it is relayed.
            Ok(SumdbSetting::Off) | Err(_) => None,
        };
        let name = name?;
        if public.as_deref() == Some(name.as_str()) {
            self.fail(
                "sumdb",
                "it is this server's own log; name the database that public modules are verified against, such as sum.golang.org, or off",
            );
            return None;
        }
        Some(SumlogSettings {
            name,
            key,
            signed,
            witnesses: witnesses?,
        })
    }
}

pub(super) fn verify_mode(text: &str) -> Result<VerifyMode, String> {
    match text {
        "always" => Ok(VerifyMode::Always),
        "when-reachable" => Ok(VerifyMode::WhenReachable),
        _ => Err(one_of("always, when-reachable", text)),
    }
}
