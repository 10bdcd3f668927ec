//! A sound copy in place of a damaged file.

use modzip::H1;
use store::{FileKey, FileKind, Source};

use super::Pass;
use super::examine::{Examined, found_in_tree};
use crate::{Context, FetchMode, FileReply, Progress};

impl Pass<'_> {
    /// Fetches a file anew that has left the tree, as any client would, so that all that is known about it is asked of
    /// the new one. Tells where that came from; in words, why there is none.
    pub(super) async fn heal(
        &self,
        key: &FileKey,
        examined: &Examined,
    ) -> Result<Option<Source>, String> {
        self.hold_to_what_it_was(key, examined).await?;
        let context = Context::default();
        // Each upstream may have bytes that are refused only when their tail has come in.
        let mut others = self.shared.chain.load().status().len().saturating_sub(1);
        let mut refusal = None;
        loop {
            let fetched = self.depot.file(key, FetchMode::Allowed, &context).await;
            let cut = match fetched.map_err(|error| error.to_string())? {
                FileReply::Growing(mut growing) => match growing.wait_for(u64::MAX).await {
                    Progress::Failed(error) => Some(error.to_string()),
                    Progress::Growing(_) | Progress::Complete(_) => None,
                },
                FileReply::Stored(_) | FileReply::Small(..) => None,
            };
            self.shared.files.end_of(key).await;
            let is_over = cut.is_none() || others == 0;
            refusal = refusal.or(cut);
            if is_over {
                break;
            }
            others -= 1;
        }
        let wanted = key.clone();
        let stored = self.shared.on_disk(move |store| store.open_file(&wanted));
        match stored.await {
            Ok(Some(_)) => {}
            Ok(None) => {
                return Err(
                    refusal.unwrap_or_else(|| "it was fetched, and could not be stored".to_owned())
                );
            }
            Err(error) => return Err(error.to_string()),
        }
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
