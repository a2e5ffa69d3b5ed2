//! The request log: what reached the tenant, and whether it changed anything. No token, secret or body is kept.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

/// One request that the tenant saw. A `$batch` is logged itself and then item by item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoggedRequest {
    /// Position in the log, from 0.
    pub seq: u64,
    /// When it arrived.
    pub time: Timestamp,
    /// The method in capitals.
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// The query as sent.
    pub query: String,
    /// The cmdlet that an Exchange `InvokeCommand` asked for.
    pub cmdlet: Option<String>,
    /// The application of the token, where one was valid.
    pub app_id: Option<String>,
    /// The caller's `client-request-id`.
    pub client_request_id: Option<String>,
    /// The server's id of the request.
    pub request_id: String,
    /// The server's id of the operation: for an item of a `$batch` that of the whole.
    pub operation_id: String,
    /// The item's id inside a `$batch`, for the items of one.
    pub batch_item: Option<String>,
    /// The status answered; 0 where the connection was closed without an answer.
    pub status: u16,
    /// Whether the tenant's state changed.
    pub mutated: bool,
}

/// An append-only log, shared by the front ends.
#[derive(Debug)]
pub(crate) struct Log {
    entries: Mutex<Entries>,
}

#[derive(Debug)]
struct Entries {
    next: u64,
    limit: usize,
    kept: Vec<LoggedRequest>,
}

impl Log {
    /// A log that keeps at most `limit` entries, the first ones: under load it must not grow without end.
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: Mutex::new(Entries { next: 0, limit, kept: Vec::new() }) }
    }

    /// Appends an entry and numbers it.
    pub(crate) fn push(&self, mut entry: LoggedRequest) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entry.seq = entries.next;
        entries.next += 1;
        if entries.kept.len() < entries.limit {
            entries.kept.push(entry);
        }
    }

    /// How many entries were ever appended.
    pub(crate) fn count(&self) -> u64 {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).next
    }

    pub(crate) fn all(&self) -> Vec<LoggedRequest> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).kept.clone()
    }

    pub(crate) fn clear(&self) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).kept.clear();
    }
}
