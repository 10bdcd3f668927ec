//! Work that waits for the disk, away from the threads that serve.

use crate::BundleError;

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BundleError> + Send + 'static,
) -> Result<T, BundleError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| BundleError::Lost("the work ended without a result"))?
}
