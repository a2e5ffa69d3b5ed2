//! A copy, brought back into a folder of its own, where it can be verified.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    journal::{SEAL_NOTE, disk},
    store::{Store, StoreError, copy::folder},
};

/// Objects under way at once.
const AT_ONCE: usize = 8;

/// What was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where from: the store's address and the folder of the run in it.
    pub place: String,
    /// The folder of the run.
    pub run: PathBuf,
    /// Files in it.
    pub files: u64,
}

impl Store {
    /// Fetches the copy of a run into the new folder `<into>/<run>`. Whether it is what was recorded is for the
    /// verification to say.
    ///
    /// # Errors
    /// `NoCopy` when the store holds none, or one that was cut off; when the folder is there already; when the store
    /// cannot be reached or does not let us.
    pub async fn fetch(&self, run: &str, into: &Path) -> Result<Fetched, StoreError> {
        let none = |reason| StoreError::NoCopy { run: run.to_owned(), store: self.address().to_string(), reason };
        if run.is_empty() || !run.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(none("that is no id of a run"));
        }
        let to = into.join(run);
        if to.symlink_metadata().is_ok() {
            return Err(StoreError::Exists(to));
        }
        let names = self.list(&folder(run)).await?;
        if names.is_empty() {
            return Err(none("there is none"));
        }
        if !names.iter().any(|name| name == SEAL_NOTE) {
            return Err(none("the copy was cut off: its seal.note, which comes last, is not there"));
        }
        if names.iter().any(|name| !is_plain(name)) {
            return Err(none("it holds an object whose name no file of a run has"));
        }
        let gets = stream::iter(&names).map(|name| async move {
            let bytes = self.get(&format!("{}/{name}", folder(run))).await?;
            Ok::<(&String, Option<Bytes>), StoreError>((name, bytes))
        });
        let mut got = gets.buffer_unordered(AT_ONCE);
        disk::make_dir(into)?;
        disk::make_new_dir(&to)?;
        let mut files = 0;
        while let Some((name, bytes)) = got.try_next().await? {
            let bytes = bytes.ok_or_else(|| none("an object went away while it was fetched"))?;
            let path = to.join(name);
            disk::make_dir(path.parent().unwrap_or(&to))?;
            disk::write_new_synced(&path, &bytes)?;
            files += 1;
        }
        disk::sync_dir(&to)?;
        Ok(Fetched { place: format!("{}/{}", self.address(), folder(run)), run: to, files })
    }
}

/// A name that stays in its folder on every system: a store is somebody else's.
fn is_plain(name: &str) -> bool {
    let part = |part: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        !part.is_empty() && part.len() <= 200 && !part.starts_with('.') && part.bytes().all(fits)
    };
    name.split('/').count() <= 2 && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_names_that_a_run_has_are_written() {
        for good in ["run.json", "evidence/000123-0-get-users.head", "checkpoints/000001.note", "journal.jsonl"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", "..", "../x", "a/../b", "/etc/x", "a\\b", "a//b", ".ssh/x", "a/b/c", "c:x", "a\u{202e}b"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
