//! The folder of a case: one process works on it at a time, and it must have room for what a run writes.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use crate::journal::{JournalError, disk};

/// The folder of the runs of a case.
pub(crate) const RUNS: &str = "runs";

/// The lock of a case.
const LOCK: &str = "case.lock";

/// A case that this process holds, as long as this lives.
#[derive(Debug)]
pub struct Case {
    folder: PathBuf,
    lock: File,
}

impl Case {
    /// Makes the folder where it is missing, locks it, and sees that it has room for so many bytes.
    ///
    /// # Errors
    /// When the disk is full or not writable, or another process works on the case.
    pub fn hold(folder: &Path, needed: u64) -> Result<Self, JournalError> {
        disk::make_dir(&folder.join(RUNS))?;
        let case = Self::locked(folder)?;
        let available = fs4::available_space(folder).map_err(JournalError::io("measure the room in", folder))?;
        if available < needed {
            return Err(JournalError::DiskFull { path: folder.to_owned(), available, needed });
        }
        Ok(case)
    }

    /// Locks a case that is there.
    ///
    /// # Errors
    /// When another process works on it.
    pub fn locked(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join(LOCK);
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let lock = options.open(&path).map_err(JournalError::io("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(JournalError::Locked { path }),
            Err(std::fs::TryLockError::Error(error)) => Err(JournalError::io("lock", path)(error)),
        }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What holds it until it is dropped.
    pub(crate) fn into_lock(self) -> File {
        self.lock
    }
}

/// Bytes that a run must find, on a disk with blocks of 4 KiB: for the plan, which its evidence and its lines repeat, and
/// for the files of each change.
pub fn room_for(plan: usize, changes: usize) -> u64 {
    let bytes = (1_usize << 20).saturating_add(plan.saturating_mul(4)).saturating_add(changes.saturating_mul(40 << 10));
    bytes as u64
}
