//! A run for other programs: OCSF events, a Timesketch timeline. Derived from the folder, never evidence.
//!
//! Every time carries its offset; text from the tenant is JSON, and escaped again where it is a message.

mod lint;
mod ocsf;
mod timesketch;

use std::path::Path;

pub use lint::{Kind, Noted, TimelineError, TimelineFinding, lint, noted};
use serde_json::Value;

use super::{Report, ReportError};
use crate::{
    journal::{History, Line},
    model::Meta,
};

/// A run as it is exported.
pub struct Export {
    pub(super) report: Report,
    pub(super) lines: Vec<Line>,
}

impl Export {
    /// Reads a run's folder.
    ///
    /// # Errors
    /// When the folder has no header or no journal.
    pub fn read(run: &Path) -> Result<Self, ReportError> {
        Ok(Self { report: Report::read(run)?, lines: History::salvage(run)?.lines })
    }

    /// OCSF 1.8 events, one a line. `meta` knows the actions' ids of ATT&CK and D3FEND.
    pub fn ocsf(&self, meta: &dyn Fn(&str) -> Option<&'static Meta>) -> String {
        lines(&ocsf::events(self, meta))
    }

    /// A Timesketch timeline, one event a line, with what a responder noted elsewhere put in its place.
    pub fn timesketch(&self, noted: &[Noted]) -> String {
        lines(&timesketch::events(self, noted))
    }

    /// What is wrong with the times that were noted, held against this run.
    pub fn lint(&self, noted: &[Noted]) -> Vec<TimelineFinding> {
        lint(noted, self.report.exposure.stated_start)
    }

    fn time_of(&self, seq: u64) -> Option<jiff::Timestamp> {
        self.lines.iter().find(|line| line.seq == seq).map(|line| line.t)
    }
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

#[cfg(test)]
mod tests;
