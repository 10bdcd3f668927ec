use std::fmt;

use super::Origin;

/// What is wrong with the configuration: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where, if it is in one place.
    pub origin: Option<Origin>,
    /// What, and what would be right.
    pub reason: String,
}

impl ConfigError {
    pub(super) fn new(origin: Option<Origin>, reason: impl Into<String>) -> Self {
        Self {
            origin,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}
