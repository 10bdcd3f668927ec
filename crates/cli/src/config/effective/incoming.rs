//! What others may tell this server.

use goenv::SecretRef;

use super::Checker;
use crate::config::value;

impl Checker<'_> {
    pub(super) fn api_token(&mut self) -> Option<SecretRef> {
        if self.resolved.get("api.token").value.is_empty() {
            return None;
        }
        self.parse("api.token", |text| {
            text.parse::<SecretRef>().map_err(|error| error.to_string())
        })
    }

    /// The outer option: `None` after an error was noted.
    #[expect(clippy::option_option, reason = "an error is not the same as no token")]
    pub(super) fn publish_token(&mut self) -> Option<Option<SecretRef>> {
        let token = self.parse("publish.token", value::secret)?;
        let has_modules = !self.resolved.get("publish.modules").value.is_empty();
        match (&token, has_modules) {
            (None, true) => {
                self.fail(
                    "publish.modules",
                    "nobody can publish them; set publish.token, too",
                );
                None
            }
            (Some(_), false) => {
                self.fail(
                    "publish.token",
                    "nothing is published here; set publish.modules, too",
                );
                None
            }
            _ => Some(token),
        }
    }
}
