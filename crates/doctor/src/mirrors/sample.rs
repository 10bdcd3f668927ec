//! The modules that mirrors are measured with. They are public: a private name is refused before anything is sent.

use std::fmt;

use goenv::private::Patterns;
use goenv::{GoEnv, Key};
use gomod::{ModulePath, ModuleVersion, Version};

/// A module to measure with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its path.
    pub module: ModulePath,
    /// The version that is fetched; without it, the newest that every mirror has.
    pub version: Option<Version>,
}

/// Why a module cannot be a sample.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// It is no module path, or no version.
    #[error("{text}: {why}")]
    Malformed {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is private, and public servers must not learn its name.
    #[error(
        "{module} is private ({setting} matches it), and a private name is not sent to mirrors"
    )]
    Private {
        /// The module.
        module: ModulePath,
        /// The setting that says so.
        setting: &'static str,
    },
    /// Its first element is a host that exists inside of a network only.
    #[error(
        "{module} looks private (its host is not a public name), and a private name is not sent to mirrors"
    )]
    Internal {
        /// The module.
        module: ModulePath,
    },
}

/// What is measured when nobody names a module: a tiny one for latency, a small and a larger one for throughput.
const DEFAULTS: [&str; 3] = [
    "rsc.io/quote@v1.5.2",
    "github.com/gin-gonic/gin@v1.10.0",
    "google.golang.org/protobuf@v1.34.2",
];

/// The samples when nobody names any, without those that the settings call private.
pub fn defaults(settings: &GoEnv) -> Vec<Sample> {
    let samples = DEFAULTS.iter().filter_map(|text| Sample::parse(text).ok());
    samples
        .filter(|sample| sample.check(settings).is_ok())
        .collect()
}

impl Sample {
    /// Reads `MODULE` or `MODULE@VERSION`.
    pub fn parse(text: &str) -> Result<Self, SampleError> {
        let malformed = |why: String| SampleError::Malformed {
            text: text.to_owned(),
            why,
        };
        let (path, version) = match text.split_once('@') {
            Some((path, version)) if version != "latest" => (path, Some(version)),
            Some((path, _)) => (path, None),
            None => (text, None),
        };
        let module = ModulePath::new(path).map_err(|error| malformed(error.to_string()))?;
        let version = version
            .map(Version::new)
            .transpose()
            .map_err(|error| malformed(error.to_string()))?;
        if let Some(version) = &version {
            ModuleVersion::new(module.clone(), version.clone())
                .map_err(|error| malformed(error.to_string()))?;
        }
        Ok(Self { module, version })
    }

    /// Refuses a module whose name must not leave: one that GOPRIVATE, GONOPROXY or GONOSUMDB matches, or whose host
    /// no public resolver knows.
    pub fn check(&self, settings: &GoEnv) -> Result<(), SampleError> {
        let keys = [
            (Key::GOPRIVATE, "GOPRIVATE"),
            (Key::GONOPROXY, "GONOPROXY"),
            (Key::GONOSUMDB, "GONOSUMDB"),
        ];
        for (key, setting) in keys {
            if Patterns::parse(settings.value(key)).matches(&self.module) {
                return Err(SampleError::Private {
                    module: self.module.clone(),
                    setting,
                });
            }
        }
        let host = self.module.as_str().split('/').next().unwrap_or_default();
        if goenv::lint::is_internal_host(host) {
            return Err(SampleError::Internal {
                module: self.module.clone(),
            });
        }
        Ok(())
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.module),
            None => write!(f, "{}@latest", self.module),
        }
    }
}

#[cfg(test)]
mod tests {
    use goenv::Environment;

    use super::*;

    fn settings(private: &str) -> GoEnv {
        GoEnv::load(&Environment::from_pairs([
            ("GOPRIVATE", private),
            ("GOENV", "off"),
            ("HOME", "/nowhere"),
        ]))
    }

    #[test]
    fn a_private_name_is_no_sample() {
        let settings = settings("*.corp.example.com,github.com/acme");
        for private in [
            "git.corp.example.com/x",
            "github.com/acme/tool@v1.0.0",
            "goproxy.internal/x",
            "git.lan/a/b",
        ] {
            assert!(
                Sample::parse(private).unwrap().check(&settings).is_err(),
                "{private}"
            );
        }
        for public in ["github.com/gin-gonic/gin", "example.com/sample@v1.2.3"] {
            assert_eq!(
                Sample::parse(public).unwrap().check(&settings),
                Ok(()),
                "{public}"
            );
        }
    }

    #[test]
    fn the_defaults_are_public_modules_and_left_out_when_somebody_calls_them_private() {
        assert_eq!(defaults(&settings("")).len(), DEFAULTS.len());
        assert_eq!(defaults(&settings("github.com")).len(), DEFAULTS.len() - 1);
        assert_eq!(defaults(&settings("*")), []);
    }

    #[test]
    fn a_version_must_fit_its_module() {
        for bad in [
            "",
            "x y",
            "example.com/m@v1",
            "example.com/m@v2.0.0",
            "example.com/m@master",
        ] {
            assert!(Sample::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Sample::parse("example.com/m@latest").unwrap().version, None);
    }
}
