//! The copy of a closed run: every file once, read back, and the seal last, so that a copy that was cut off has none.

use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;

use crate::{
    journal::{self, History, SEAL_NOTE, disk},
    store::{Store, StoreError, objects::Put},
};

/// Objects under way at once.
const AT_ONCE: usize = 8;

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Where to: the store's address and the folder of the run in it.
    pub place: String,
    /// Objects of the run, all read back.
    pub objects: u64,
    /// Of these, objects that were not there before.
    pub new: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// The folder of a run.
pub(super) fn folder(run: &str) -> String {
    format!("runs/{run}")
}

impl Store {
    /// Copies a closed run that verifies, and reads every object back. What is there already with the same bytes is
    /// kept; so a copy that was cut off can be finished.
    ///
    /// # Errors
    /// `NotWhole` for a run that is not closed or does not verify; `Different` when the store holds something else
    /// under a name, which is left as it is; when the store cannot be reached or does not let us.
    pub async fn copy(&self, run: &Path) -> Result<Copied, StoreError> {
        let verdict = journal::verify(run).verdict;
        if !verdict.is_good() {
            return Err(StoreError::NotWhole(verdict));
        }
        let folder = folder(&History::load(run)?.header.run_id);
        let (seal, files): (Vec<String>, Vec<String>) =
            journal::verify::files_of(run).into_iter().partition(|name| name == SEAL_NOTE);
        let mut copied = Copied { place: format!("{}/{folder}", self.address()), ..Copied::default() };
        for batch in [files, seal] {
            let puts = stream::iter(batch).map(|name| {
                let object = format!("{folder}/{name}");
                let path = run.join(&name);
                async move { self.keep(object, disk::read_plain(&path)?.into()).await }
            });
            let sizes: Vec<(bool, u64)> = puts.buffer_unordered(AT_ONCE).try_collect().await?;
            for (new, bytes) in sizes {
                copied.objects += 1;
                copied.new += u64::from(new);
                copied.bytes += bytes;
            }
        }
        Ok(copied)
    }

    /// Puts one object and reads it back; says whether it is new, and how long it is.
    async fn keep(&self, object: String, bytes: Bytes) -> Result<(bool, u64), StoreError> {
        let store = || self.address().to_string();
        let len = bytes.len() as u64;
        match self.put_new(&object, bytes.clone()).await? {
            Put::Same => Ok((false, len)),
            Put::Other(_) => Err(StoreError::Different { object, store: store() }),
            Put::Created => match self.get(&object).await? {
                Some(there) if there == bytes => Ok((true, len)),
                _ => Err(StoreError::Changed { object, store: store() }),
            },
        }
    }
}
