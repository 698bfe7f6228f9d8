//! Throwing away what nobody came back for.

use std::time::Duration;

use super::{Inner, upload};
use crate::fs::FsError;
use crate::registry::store::StoreError;

impl Inner {
    /// Throws away uploads and temporary files that weren't touched for so
    /// long; gives the number of uploads.
    pub(super) fn sweep_uploads(&self, untouched: Duration) -> Result<usize, StoreError> {
        let mut swept = 0;
        for folder in self.disk.list(&self.layout.uploads())? {
            let mut age = self.disk.age(&folder)?;
            for path in self.disk.list(&folder)? {
                age = age.min(self.disk.age(&path)?.or(age));
            }
            if age.is_none_or(|age| age < untouched) {
                continue;
            }
            match upload::lock(self, &folder.join("data")) {
                Err(StoreError::UploadBusy) => continue,
                Err(error) => return Err(error),
                // A folder whose data is gone is a leftover too.
                Ok(_alone) => self.disk.discard(&folder)?,
            }
            swept += 1;
        }
        self.sweep_temporary(untouched)?;
        Ok(swept)
    }

    /// What a killed process left half way. A file that is written to now is
    /// younger than any sensible limit.
    fn sweep_temporary(&self, untouched: Duration) -> Result<(), FsError> {
        for path in self.disk.list(&self.layout.temporary())? {
            if self.disk.age(&path)?.is_some_and(|age| age >= untouched) {
                self.disk.discard(&path)?;
            }
        }
        Ok(())
    }
}
