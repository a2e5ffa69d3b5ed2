//! Collections that many ask for in one session, and that are read once: the same page of a log for a hundred accounts
//! would use up a budget of five requests in ten seconds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use crate::client::ReadError;

/// The objects of a collection as they came, or why there are none.
pub(super) type Read = Result<Arc<[Box<RawValue>]>, ReadError>;

/// What was read, by path.
#[derive(Default)]
pub(super) struct Shared(Mutex<HashMap<String, Arc<OnceCell<Read>>>>);

impl Shared {
    /// What `read` gives, once for all who ask for this path. Who comes meanwhile waits for it.
    pub(super) async fn once(&self, path: &str, read: impl Future<Output = Read>) -> Read {
        let cell = {
            let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cells.entry(path.to_owned()).or_default())
        };
        cell.get_or_init(|| read).await.clone()
    }
}
