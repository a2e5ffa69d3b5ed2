//! What a run did, for people: read from its folder alone, so that a live, a crashed and a copied run tell the same.
//!
//! Nothing here decides anything and nothing here is evidence: every statement about an action names the line of the
//! journal that it rests on.

mod build;
pub mod export;
mod gather;
mod markdown;
mod plan;
mod response;
mod sections;
mod terminal;
mod text;
mod types;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use types::{
    Account, Approver, CallMade, Change, Clock, Containment, Exhibit, Exposure, LeftAlone, Method, NotPlanned, Proof,
    Report, RequestFor, Rollback, Sealed, Spot, Status, WayBack,
};

use crate::journal::{History, JournalError, verify};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder is not a run.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Report {
    /// Reads a run's folder. A record that does not verify is reported all the same, and says so on top.
    ///
    /// # Errors
    /// When the folder has no header or no journal.
    pub fn read(run: &Path) -> Result<Self, ReportError> {
        let verification = verify(run);
        let history = History::salvage(run)?;
        let facts = gather::Facts::of(&history.lines);
        let exchanges = gather::exchanges(run, &history.lines);
        Ok(build::report(&history, &facts, exchanges, verification))
    }

    /// For a terminal of this many columns. Text from the tenant is escaped.
    pub fn terminal(&self, width: usize, color: bool) -> String {
        terminal::render(&sections::all(self), width, color)
    }

    /// As Markdown (GitHub's flavour). Text from the tenant cannot leave its place.
    pub fn markdown(&self) -> String {
        markdown::render(&sections::all(self))
    }
}
