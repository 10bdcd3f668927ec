//! What a tag leads to is fetched while the refs are being listed: of the round trips to a server that is far away, half
//! are saved.
//!
//! Nothing depends on it. What has arrived is taken only for the commit that the listing names, and where nothing has,
//! the commit is fetched as usual.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bstr::{BStr, ByteSlice as _};
use sha2::{Digest as _, Sha256};

use super::GitRepository;
use super::create::create;
use super::mirrors::Writing;
use super::refs::{TAGS, is_plain_name};
use crate::error::Error;
use crate::runner::Access;

impl GitRepository {
    /// Begins to fetch what the tag `tag` leads to, unless it is known already which commit that is.
    pub(crate) fn fetch_early(self: &Arc<Self>, tag: &str) {
        let name = format!("{TAGS}{tag}");
        // Over a connection that is kept, listing and fetching take no longer than this alone.
        if self.recent_listing().is_some() || !is_plain_name(BStr::new(&name)) || self.is_wired() {
            return;
        }
        // Whoever writes already fetches something that is wanted more.
        let Ok(turn) = Arc::clone(&self.writing).try_lock_owned() else {
            return;
        };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = this.early(&name).await {
                tracing::debug!(%error, "a tag could not be fetched before it was listed");
            }
        });
    }

    async fn early(&self, name: &str) -> Result<(), Error> {
        let workshop = &self.workshop;
        let access = workshop.runner.access(&self.way()).await?;
        // A password that may be wrong is tried once, and not twice.
        if access.authenticated && !self.was_listed() {
            return Ok(());
        }
        let url = self.remote.fetch_url();
        let mirror = workshop.mirrors.open("git", url).await?;
        let writing = mirror.write(Duration::ZERO).await?;
        if self.recent_listing().is_some() {
            writing.finish();
            return Ok(());
        }
        let tip = mirror.tip();
        if !tip.is_dir() {
            // As nearly all are; one of the other kind is made anew.
            create(&tip, false)?;
        }
        let into = early_ref(BStr::new(name));
        self.fetch_one(&tip, name, &into, &access, &writing).await?;
        writing.finish();
        Ok(())
    }

    /// Fetches what `source` leads to, without what came before it, and lets the ref `into` lead there.
    pub(super) async fn fetch_one(
        &self,
        tip: &Path,
        source: &str,
        into: &str,
        access: &Access,
        writing: &Writing,
    ) -> Result<(), Error> {
        let workshop = &self.workshop;
        workshop
            .runner
            .git(Some(tip))
            .args([
                "fetch",
                "--quiet",
                "--force",
                "--no-tags",
                "--no-write-fetch-head",
                "--depth=1",
                "--end-of-options",
                "origin",
            ])
            .args([format!("+{source}:{into}")])
            .network(access)
            .lock(writing.share()?)
            .disk(tip, workshop.limits.repository)
            .output()
            .await
            .map(drop)
    }
}

/// The ref for what the tag `name` (in full) leads to.
pub(super) fn early_ref(name: &BStr) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let digits: String = digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect();
    format!("refs/early/{digits}")
}
