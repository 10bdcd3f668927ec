use gomod::ModuleVersion;
use trust::{Proven, TrustError};

use crate::Depot;

impl Depot {
    /// What the checksum database that covers a module says of a version, proven: the name of the database, and its
    /// record. `None`: no database covers the module, and none was asked.
    ///
    /// # Errors
    /// When the database has no such record, cannot be asked, or is not to be believed.
    pub async fn proven(
        &self,
        module: &ModuleVersion,
    ) -> Result<Option<(String, Proven)>, TrustError> {
        match self.shared.database_of(module.path()) {
            Some(database) => {
                let proven = database.lookup(module).await?;
                Ok(Some((database.name().to_owned(), proven)))
            }
            None => Ok(None),
        }
    }
}
