//! A store beside a server that may use it, and what runs the work of one command on it.

use std::sync::Arc;

use goenv::Environment;
use store::Store;
use tokio::signal::unix::{SignalKind, signal};

use super::{CannotDo, load};
use crate::args::Settings;

/// The store that the settings name, beside a server that may use it.
pub(super) fn attach(
    environment: &Environment,
    settings: &Settings,
) -> Result<Arc<Store>, CannotDo> {
    let (_, effective) = load(environment, settings)?;
    Store::attach(&effective.data)
        .map(Arc::new)
        .map_err(|error| CannotDo::new(format!("{error}; name the store with --data")))
}

/// What runs the work of one command.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CannotDo> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CannotDo::new)
}

/// Listens from now on whether somebody wants this process to end, and waits for it.
pub(super) fn interrupted() -> impl Future<Output = ()> {
    let listening = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    async move {
        let [Ok(mut interrupt), Ok(mut terminate)] = listening else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
