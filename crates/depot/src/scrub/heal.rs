//! A sound copy in place of a damaged file.

use modzip::H1;
use store::{FileKey, FileKind, Source};

use super::Pass;
use super::examine::{Examined, found_in_tree};
use crate::FetchMode;

impl Pass<'_> {
    /// Fetches a file anew that has left the tree, as any client would, so that all that is known about it is asked of
    /// the new one. Tells where that came from; in words, why there is none.
    pub(super) async fn heal(
        &self,
        key: &FileKey,
        examined: &Examined,
    ) -> Result<Option<Source>, String> {
        self.hold_to_what_it_was(key, examined).await?;
        let fetched = self.depot.ensure(key, FetchMode::Allowed).await;
        fetched.map_err(|error| error.to_string())?;
        self.shared.records.flush().await;
        Ok(self.source_of(key).await)
    }

    /// Sees to it that nothing but what was stored is taken for it.
    async fn hold_to_what_it_was(&self, key: &FileKey, examined: &Examined) -> Result<(), String> {
        let is_held = match key.kind {
            // No hash vouches for it anywhere; that it is about this version is all that can be asked.
            FileKind::Info => true,
            FileKind::Mod | FileKind::Zip => examined.pin_of_its_own(key.kind).is_some(),
        };
        if is_held || self.shared.database_of(&key.module).is_some() {
            return Ok(());
        }
        // The hash of a go.mod file follows from its digest.
        let digest = examined.stored_digest();
        let pin = digest
            .filter(|_| key.kind == FileKind::Mod)
            .map(|digest| H1::of_go_mod_digest(digest.as_bytes()))
            .and_then(|hash| found_in_tree(key, hash));
        match pin {
            Some(pin) => {
                self.shared.records.pin(pin).await;
                Ok(())
            }
            None => Err("nothing is on record about what it must hash to".to_owned()),
        }
    }
}
