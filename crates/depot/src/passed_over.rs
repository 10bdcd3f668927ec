//! The upstreams whose bytes were refused.

use fault::Label;
use store::FileKind;

use crate::DepotError;

/// Upstreams that are not asked again for a file, because what they sent was no good. When there are no others left, those
/// whose bytes may only have been garbled on their way are forgiven, once.
#[derive(Debug, Default)]
pub(crate) struct PassedOver {
    refused: Vec<Refusal>,
    forgiven: Vec<Refusal>,
    were_forgiven: bool,
}

#[derive(Debug)]
struct Refusal {
    source: String,
    error: DepotError,
    is_for_good: bool,
}

impl PassedOver {
    /// What a source sent for a file of this kind was refused. A zip that is sound and another one will not be better
    /// the next time; a go.mod has no checksum of its own that could tell. Who was too slow has been waited for.
    pub(crate) fn add(&mut self, source: String, kind: FileKind, error: DepotError) {
        let is_another = kind == FileKind::Zip && matches!(error, DepotError::Mismatch(_));
        self.refused.push(Refusal {
            source,
            is_for_good: is_another || error.label() == Some(Label::GoproxySlow),
            error,
        });
    }

    /// Whether these very bytes came from there before.
    pub(crate) fn knows(&self, error: &DepotError) -> bool {
        let DepotError::Mismatch(found) = error else {
            return false;
        };
        self.forgiven.iter().any(|refusal| match &refusal.error {
            DepotError::Mismatch(known) => {
                known.from == found.from && known.mismatch.found == found.mismatch.found
            }
            _ => false,
        })
    }

    /// Whether there is somebody to ask once again.
    pub(crate) fn forgive(&mut self) -> bool {
        if std::mem::replace(&mut self.were_forgiven, true) {
            return false;
        }
        (self.refused, self.forgiven) = std::mem::take(&mut self.refused)
            .into_iter()
            .partition(|refusal| refusal.is_for_good);
        !self.forgiven.is_empty()
    }

    /// Why the first of them was refused.
    pub(crate) fn reason(&self) -> Option<DepotError> {
        let mut refusals = self.forgiven.iter().chain(&self.refused);
        refusals.next().map(|refusal| refusal.error.clone())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.refused.is_empty() && !self.were_forgiven
    }

    pub(crate) fn sources(&self) -> Vec<String> {
        (self.refused.iter())
            .map(|refusal| refusal.source.clone())
            .collect()
    }
}
