//! Why a journal cannot be written or read.

use std::{io, path::PathBuf, sync::Arc};

use crate::journal::Spilled;

/// Reads after "failed to".
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk said no.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Too little room to record a run.
    #[error("record a run in {}: {available} bytes are free, {needed} are needed", path.display())]
    DiskFull {
        /// Where.
        path: PathBuf,
        /// Bytes.
        available: u64,
        /// Bytes.
        needed: u64,
    },
    /// Somebody else is working on this case.
    #[error("lock {}: another process is working on this case", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A run of this id is there already.
    #[error("create {}: the run exists already", path.display())]
    Exists {
        /// The run's folder.
        path: PathBuf,
    },
    /// The header disagrees with what it describes, or its id could not be the name of a folder.
    #[error("create a run: {0}")]
    Header(String),
    /// The folder is not a run, or its record is damaged beyond a torn last line.
    #[error("read the run {}: {reason}", path.display())]
    Damaged {
        /// The run's folder.
        path: PathBuf,
        /// Where and how.
        reason: String,
    },
    /// The run was closed; nothing can be added.
    #[error("add to the journal: the run is closed")]
    Closed,
    /// The line does not belong there.
    #[error("add `{kind}` to the journal: {reason}")]
    OutOfPlace {
        /// `type` of the line.
        kind: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// An earlier write failed; after that nothing is promised, so nothing more is written.
    #[error("add to the journal after it failed{spilled}")]
    Failed {
        /// Where results were put instead.
        spilled: Spilled,
        /// The first failure.
        source: Arc<Self>,
    },
    /// A result that could not be written to the journal.
    #[error("write the journal{spilled}")]
    Write {
        /// Where results were put instead.
        spilled: Spilled,
        /// Why.
        source: Arc<Self>,
    },
    /// The lines on disk are not those that were written: somebody else changed the file meanwhile.
    #[error("sign {}: it is not an extension of what was signed before", path.display())]
    Rewritten {
        /// The journal.
        path: PathBuf,
    },
    /// The thread that writes is gone, or fell over a fault of its own.
    #[error("reach the journal's writer")]
    Gone,
}

impl JournalError {
    /// Where results were put that the journal could not take.
    pub fn spilled(&self) -> Option<&Spilled> {
        match self {
            Self::Failed { spilled, .. } | Self::Write { spilled, .. } => Some(spilled).filter(|it| !it.is_none()),
            _ => None,
        }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source: Arc::new(source) }
    }
}
