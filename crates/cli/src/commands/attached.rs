//! A store beside a server that may use it, and what runs the work of one command on it.

use std::sync::Arc;

use goenv::Environment;
use store::Store;

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
