//! Whether a stored file is what was stored.

use std::io;

use gomod::info::RevInfo;
use gomod::modfile::ModFile;
use jiff::Timestamp;
use modzip::{Archive, H1, Workers, hash_go_mod};
use store::{
    AsFound, Claim, Damage, Digest, FileKey, FileKind, Hasher, Pin, PinnedFile, QuarantineReason,
    StoreError, UncheckedReason, Verification,
};

use super::{Pass, version_of};
use crate::DepotError;

/// Bytes read at a time, unless the rate is lower.
const PIECE: usize = 1 << 20;

/// A file as it was found, and what it should be.
pub(super) struct Examined {
    pub(super) found: AsFound,
    pub(super) digest: Digest,
    content: Content,
    /// Length and digest on record.
    recorded: Option<(u64, Digest)>,
    pin: Option<Pin>,
    /// The hash that is written beside a zip.
    beside: Option<H1>,
}

/// What the bytes are.
#[derive(Default)]
struct Content {
    hash: Option<H1>,
    /// Why they cannot be what the file's name says, whatever is known about it.
    misfit: Option<String>,
    /// Why they cannot be trusted to be whole if nothing is known about them.
    doubt: Option<String>,
}

/// Nothing speaks against the file.
pub(super) struct Sound {
    pub(super) lacks_stamp: bool,
    pub(super) lacks_record: bool,
    /// What it is held to from now on, if the records may not have that.
    pub(super) pin: Option<Pin>,
    /// What is to be written beside a zip.
    pub(super) zip_hash: Option<H1>,
}

/// What speaks against a file.
pub(super) struct Suspicion {
    pub(super) reason: QuarantineReason,
    pub(super) detail: String,
    pub(super) found: Option<Claim>,
    pub(super) expected: Option<Claim>,
}

impl Pass<'_> {
    /// Reads a file, and what is known about it. `None`: it is not there.
    pub(super) async fn examine(&mut self, key: &FileKey) -> Result<Option<Examined>, DepotError> {
        let wanted = key.clone();
        let opening = self.shared.on_disk(move |store| {
            let beside = match wanted.kind {
                FileKind::Zip => store.zip_hash(&wanted)?,
                FileKind::Info | FileKind::Mod => None,
            };
            Ok((store.open_as_found(&wanted)?, beside))
        });
        let (Some(found), beside) = opening.await? else {
            return Ok(None);
        };
        let digest = self.read(key, &found).await?;
        let (reading, wanted) = (found.clone(), key.clone());
        let looking = tokio::task::spawn_blocking(move || content(&reading, &wanted));
        let content = looking.await.map_err(|_| DepotError::Lost)?;
        // Records that do not answer are no reason to leave the disk alone.
        let recorded = self.shared.records.recorded(key).await.ok().flatten();
        let pin = match (PinnedFile::of(key.kind), version_of(key)) {
            (Some(file), Some(module)) => {
                let expected = self.shared.records.expected(&module).await;
                expected.ok().and_then(|all| all.of(file).cloned())
            }
            _ => None,
        };
        Ok(Some(Examined {
            found,
            digest,
            content,
            recorded,
            pin,
            beside,
        }))
    }

    async fn read(&mut self, key: &FileKey, found: &AsFound) -> Result<Digest, DepotError> {
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; self.pace.piece(PIECE)];
        let mut offset = 0;
        loop {
            let (reading, path) = (found.clone(), key.url_path());
            let read;
            (hasher, buffer, read) = self
                .shared
                .on_disk(move |_| {
                    let read = reading.read_at(&mut buffer, offset);
                    let read = read.map_err(|source| StoreError::Io {
                        action: "read",
                        path: path.into(),
                        source,
                    })?;
                    hasher.update(buffer.get(..read).unwrap_or_default());
                    Ok((hasher, buffer, read))
                })
                .await?;
            self.pace.took(read as u64).await;
            offset += read as u64;
            if read < buffer.len() {
                return Ok(hasher.finish());
            }
        }
    }
}

impl Examined {
    /// What speaks against the file, if anything does.
    pub(super) fn judge(&self, key: &FileKey) -> Result<Sound, Box<Suspicion>> {
        self.judge_bytes(key.kind)?;
        if let Some(why) = &self.content.misfit {
            return Err(misfit(key.kind, why).into());
        }
        if let (Some(pin), Some(hash)) = (&self.pin, self.content.hash)
            && pin.hash != hash
        {
            return Err(Box::new(Suspicion {
                reason: QuarantineReason::HashMismatch,
                detail: format!(
                    "the stored file hashes to {hash}, and must hash to {}",
                    pin.hash
                ),
                found: Some(claim(&hash, "the stored file")),
                expected: Some(claim(&pin.hash, pin.verification.to_string())),
            }));
        }
        let is_known = self.stored_digest().is_some() || self.pin_of_its_own(key.kind).is_some();
        if let (false, Some(why)) = (is_known, &self.content.doubt) {
            return Err(misfit(key.kind, why).into());
        }
        let is_recorded = self
            .recorded
            .is_some_and(|(_, digest)| digest == self.digest);
        let is_pinned = self
            .pin
            .as_ref()
            .is_some_and(|pin| !is_from_tree(&pin.verification));
        let zip_hash = self.content.hash.filter(|_| key.kind == FileKind::Zip);
        Ok(Sound {
            lacks_stamp: self.found.published().is_none(),
            lacks_record: !is_recorded,
            pin: self
                .content
                .hash
                .filter(|_| !is_pinned)
                .and_then(|hash| found_in_tree(key, hash)),
            zip_hash: zip_hash.filter(|hash| self.beside != Some(*hash)),
        })
    }

    /// Whether the bytes are those that were stored.
    fn judge_bytes(&self, kind: FileKind) -> Result<(), Box<Suspicion>> {
        let len = self.found.len();
        if let Some((published, digest)) = self.found.published() {
            if published != len {
                return Err(damaged(&Damage::Length {
                    found: len,
                    published,
                })
                .into());
            }
            if digest != self.digest {
                return Err(self.other_bytes(digest, "when it was stored").into());
            }
        } else if let Some((_, digest)) = self.recorded
            && digest != self.digest
            && !self.is_vouched_for(kind)
        {
            return Err(self.other_bytes(digest, "the records").into());
        }
        Ok(())
    }

    /// The digest at publication.
    pub(super) fn stored_digest(&self) -> Option<Digest> {
        let known = self.found.published().or(self.recorded);
        known.map(|(_, digest)| digest)
    }

    /// The pin, unless it may have been made from the file itself: without records, that of a `.mod` is.
    pub(super) fn pin_of_its_own(&self, kind: FileKind) -> Option<&Pin> {
        self.pin.as_ref().filter(|pin| {
            let is_its_own = self.content.hash == Some(pin.hash);
            !(kind == FileKind::Mod && is_from_tree(&pin.verification) && is_its_own)
        })
    }

    /// Whether the content is what the version is pinned to, although the bytes are others than those on record: zips
    /// can be packed in many ways.
    fn is_vouched_for(&self, kind: FileKind) -> bool {
        let pin = self.pin_of_its_own(kind);
        pin.is_some_and(|pin| self.content.hash == Some(pin.hash))
    }

    fn other_bytes(&self, digest: Digest, from: &str) -> Suspicion {
        Suspicion {
            found: Some(claim(&format!("sha256:{}", self.digest), "the stored file")),
            expected: Some(claim(&format!("sha256:{digest}"), from)),
            ..damaged(&Damage::Content)
        }
    }
}

fn is_from_tree(verification: &Verification) -> bool {
    matches!(
        verification,
        Verification::Unchecked {
            reason: UncheckedReason::FoundInTree,
            ..
        }
    )
}

/// A pin of what was found. `None`: the tree has a file of a version that cannot be.
pub(super) fn found_in_tree(key: &FileKey, hash: H1) -> Option<Pin> {
    Some(Pin {
        module: version_of(key)?,
        file: PinnedFile::of(key.kind)?,
        hash,
        verification: Verification::Unchecked {
            reason: UncheckedReason::FoundInTree,
            time: Timestamp::now(),
        },
    })
}

fn damaged(damage: &Damage) -> Suspicion {
    Suspicion {
        reason: QuarantineReason::Damaged,
        detail: format!("the stored file is damaged: {damage}"),
        found: None,
        expected: None,
    }
}

fn misfit(kind: FileKind, why: &str) -> Suspicion {
    let damage = Damage::Shape(kind);
    Suspicion {
        detail: format!("the stored file is damaged: {damage}: {why}"),
        ..damaged(&damage)
    }
}

fn claim(hash: &dyn std::fmt::Display, from: impl Into<String>) -> Claim {
    Claim {
        hash: hash.to_string(),
        from: from.into(),
    }
}

fn content(found: &AsFound, key: &FileKey) -> Content {
    let looked = match key.kind {
        FileKind::Zip => zip_content(found, key),
        FileKind::Mod => whole(found).map(|text| Content {
            hash: Some(hash_go_mod(&text)),
            misfit: text.is_empty().then(|| "it is empty".to_owned()),
            doubt: ModFile::parse_lax("go.mod", &text)
                .err()
                .map(|error| first_line(&error)),
        }),
        FileKind::Info => whole(found).map(|text| Content {
            misfit: info_misfit(&text, key),
            ..Content::default()
        }),
    };
    looked.unwrap_or_else(|why| Content {
        misfit: Some(why),
        ..Content::default()
    })
}

fn zip_content(found: &AsFound, key: &FileKey) -> Result<Content, String> {
    let archive =
        Archive::open(&**found.file(), found.len()).map_err(|error| first_line(&error))?;
    let hash = archive.hash(&Workers::calling_thread());
    let fit = version_of(key).map(|module| archive.check(&module).fit());
    Ok(Content {
        hash: Some(hash.map_err(|error| first_line(&error))?),
        misfit: None,
        doubt: match fit {
            Some(fit) => fit.err().map(|error| first_line(&error)),
            None => Some("there can be no such version".to_owned()),
        },
    })
}

fn info_misfit(text: &[u8], key: &FileKey) -> Option<String> {
    match RevInfo::parse(text) {
        Ok(info) if info.version == key.version.as_str() => None,
        Ok(info) => Some(format!("it is about version {}", info.version)),
        Err(error) => Some(first_line(&error)),
    }
}

/// A small file, which a large one in its place is not read as.
fn whole(found: &AsFound) -> Result<Vec<u8>, String> {
    const LONGEST: u64 = 16 << 20;
    if found.len() > LONGEST {
        return Err(format!("it has {} bytes", found.len()));
    }
    let read = || -> io::Result<Vec<u8>> {
        let mut text = vec![0; usize::try_from(found.len()).map_err(io::Error::other)?];
        let read = found.read_at(&mut text, 0)?;
        text.truncate(read);
        Ok(text)
    };
    read().map_err(|error| error.to_string())
}

fn first_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use gomod::{ModulePath, Version};
    use store::Store;
    use upstream::{Chain, ChainOptions};

    use super::super::{Pace, ScrubReport};
    use super::*;
    use crate::{Depot, ScrubFinding, ScrubObserver, Settings};

    struct Nobody;

    impl ScrubObserver for Nobody {
        fn passed(&self, _key: &FileKey, _so_far: &ScrubReport) {}
        fn found(&self, _finding: &ScrubFinding) {}
    }

    impl upstream::Observer for Nobody {
        fn exchange(&self, _source: &str, _outcome: upstream::Outcome, _elapsed: Duration) {}
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_read_no_faster_than_the_rate() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = FileKey {
            module: ModulePath::new("example.com/m").unwrap(),
            version: Version::new("v1.0.0").unwrap(),
            kind: FileKind::Zip,
        };
        let bytes = [&vec![0; 5_000_000][..], b"PK\x05\x06", &[0; 18]].concat();
        let published = store.publish_bytes(&bytes, &key).unwrap();
        let environment = goenv::Environment::from_pairs([("", ""); 0]);
        let chain = Chain::new(ChainOptions {
            list: goenv::goproxy::ProxyList::parse("off").unwrap(),
            http_proxies: goenv::http_proxy::HttpProxyRules::from_environment(&environment),
            netrc: goenv::netrc::Netrc::default(),
            names: upstream::NameServers::default(),
            limits: upstream::Limits::default(),
            first_is_authoritative: false,
            order: upstream::Order::Configured,
            probe_interval: Duration::from_secs(5),
            observer: std::sync::Arc::new(Nobody),
        });
        let depot = Depot::new(store, chain.unwrap(), Settings::default());
        let mut pass = Pass {
            depot: &depot,
            shared: &depot.shared,
            observer: &Nobody,
            pace: Pace::new(NonZeroU64::new(100_000).unwrap()),
            report: ScrubReport::default(),
        };
        let found = depot.store().open_as_found(&key).unwrap().unwrap();
        let began = tokio::time::Instant::now();
        let digest = pass.read(&key, &found).await.unwrap();
        assert_eq!(digest, published.digest);
        assert_eq!(began.elapsed().as_secs(), 50);
    }
}
