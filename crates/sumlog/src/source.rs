use gomod::ModuleVersion;
use sumdb::record::ModuleHashes;

use crate::SumlogError;

/// Where the hashes of a module version come from that is not in the log yet. What it tells must have been verified (a
/// public module against the public database) or pinned (a private one): the log repeats it for ever.
pub trait HashSource: Sync {
    /// Why there are no hashes, with the difference between absence and trouble.
    type Error: Send;

    /// The hashes of a module version, fetched and verified if need be.
    fn hashes(
        &self,
        module: &ModuleVersion,
    ) -> impl Future<Output = Result<ModuleHashes, Self::Error>> + Send;
}

/// Why a look-up has no answer.
#[derive(Debug)]
pub enum LookupError<E> {
    /// The source has no hashes for the module version.
    Source(E),
    /// The log refuses or fails.
    Log(SumlogError),
}

impl<E> From<SumlogError> for LookupError<E> {
    fn from(error: SumlogError) -> Self {
        Self::Log(error)
    }
}
