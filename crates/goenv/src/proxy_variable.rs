//! One of the HTTP proxy variables, which have an upper-case and a lower-case name each.

use std::fmt;

use crate::environment::Environment;
use crate::origin::{Origin, Shadowed};
use crate::redact::redact_entry;

/// A variable that is set, under one of its two names.
///
/// `Debug` hides the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Variable {
    /// The value that counts.
    pub value: String,
    /// The variable it comes from: the upper-case name wins when both are set.
    pub origin: Origin,
    /// The lower-case variable, when it is set as well.
    pub shadowed: Option<Shadowed>,
}

impl Variable {
    pub(crate) fn read(environment: &Environment, upper: &str, lower: &str) -> Option<Self> {
        let value_of = |name: &str| {
            environment.non_empty(name).map(|value| Shadowed {
                value: value.to_owned(),
                origin: Origin::Environment {
                    name: name.to_owned(),
                },
            })
        };
        // Windows does not tell the two names apart.
        let lower = value_of(lower).filter(|_| !cfg!(windows));
        let (first, shadowed) = match value_of(upper) {
            Some(first) => (first, lower),
            None => (lower?, None),
        };
        Some(Self {
            value: first.value,
            origin: first.origin,
            shadowed,
        })
    }

    /// The value without its password.
    pub fn redacted_value(&self) -> String {
        redact_entry(&self.value)
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable")
            .field("value", &self.redacted_value())
            .field("origin", &self.origin)
            .field("shadowed", &self.shadowed)
            .finish()
    }
}
