//! What is stored of a version, and what vouches for it: for those who pass it on in another form than a file, such as
//! a checksum log of one's own or a bundle. They get the judgement that a fetch would get, and make none themselves.

use gomod::ModuleVersion;
use modzip::H1;
use store::{FileKey, FileKind, Pin, StoreError, StoredFile};

use crate::recheck::hash_stored;
use crate::{Context, Depot, DepotError, FetchMode, FileReply, Progress};

/// What a version's files hash to, and how each hash is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Of its go.mod file.
    pub go_mod: Pin,
    /// Of its zip.
    pub zip: Pin,
}

impl Depot {
    /// Has a file in the store, fetched and verified if need be.
    pub async fn ensure(&self, key: &FileKey, mode: FetchMode) -> Result<StoredFile, DepotError> {
        let context = Context::default();
        // Each upstream may have bytes that are refused only when their tail has come in.
        let mut others = self.shared.chain.load().status().len().saturating_sub(1);
        let mut refusal = None;
        loop {
            let cut = match self.file(key, mode, &context).await? {
                FileReply::Growing(mut growing) => match growing.wait_for(u64::MAX).await {
                    Progress::Failed(error) => Some(error),
                    Progress::Growing(_) | Progress::Complete(_) => None,
                },
                FileReply::Stored(stored) => return Ok(stored),
                FileReply::Small(..) => None,
            };
            self.shared.files.shared().end_of(key).await;
            let wanted = key.clone();
            let stored = self.shared.on_disk(move |store| store.open_file(&wanted));
            if let Some(stored) = stored.await? {
                return Ok(stored);
            }
            let is_over = cut.is_none() || others == 0;
            refusal = refusal.or(cut);
            if is_over {
                return Err(refusal.unwrap_or_else(|| self.not_kept(key)));
            }
            others -= 1;
        }
    }

    fn not_kept(&self, key: &FileKey) -> DepotError {
        DepotError::from(StoreError::Io {
            action: "keep",
            path: self.store().tree_directory().join(key.url_path()),
            source: std::io::Error::other("it was fetched, and could not be stored"),
        })
    }

    /// Hashes a version's stored files, fetched if need be, and holds them to what vouches for them: the proven record
    /// of the database that covers the module, else what they were when they were first seen. With
    /// [`FetchMode::CachedOnly`] no database is asked about what is not stored.
    pub async fn vouched(
        &self,
        module: &ModuleVersion,
        mode: FetchMode,
    ) -> Result<Vouched, DepotError> {
        let (go_mod, zip) = (
            FileKey::of(module, FileKind::Mod),
            FileKey::of(module, FileKind::Zip),
        );
        let hashes = (self.h1(&go_mod, mode).await?, self.h1(&zip, mode).await?);
        Ok(Vouched {
            go_mod: self.judge(&go_mod, hashes.0).await?,
            zip: self.judge(&zip, hashes.1).await?,
        })
    }

    async fn h1(&self, key: &FileKey, mode: FetchMode) -> Result<H1, DepotError> {
        // What turns out to be damaged is set aside, and fetched anew.
        for _ in 0..2 {
            self.ensure(key, mode).await?;
            let (key, workers) = (key.clone(), self.shared.workers.clone());
            let hashed = self
                .shared
                .on_disk(move |store| hash_stored(store, &key, &workers));
            if let Some(hash) = hashed.await? {
                return Ok(hash);
            }
        }
        Err(self.not_kept(key))
    }

    async fn judge(&self, key: &FileKey, found: H1) -> Result<Pin, DepotError> {
        let judging = self.shared.begin_judging(key)?;
        let mut judging = judging.ok_or(DepotError::Lost)?;
        let judged = judging.judge(found, "the store").await?;
        Ok(judged.pin)
    }
}
