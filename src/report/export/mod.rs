//! A run for other programs: OCSF events, a Timesketch timeline. Derived from the folder, never evidence.
//!
//! Every time carries its offset. Text from the tenant is JSON, in which whatever steers a terminal stands escaped: the
//! value is the text itself. It is escaped once more where it is a message.

mod lint;
mod ocsf;
mod timesketch;

use std::path::Path;

pub use lint::{Kind, Noted, TimelineError, TimelineFinding, lint, noted};
use serde_json::Value;

use super::{Known, Report, ReportError};
use crate::{
    journal::{History, Line},
    model::{Meta, json_for_terminal},
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
        Self::read_with(run, &Known::actions(&|_| None))
    }

    /// As [`Export::read`], with what else is known.
    ///
    /// # Errors
    /// When the folder has no header or no journal.
    pub fn read_with(run: &Path, known: &Known<'_>) -> Result<Self, ReportError> {
        Ok(Self { report: Report::read_with(run, known)?, lines: History::salvage(run)?.lines })
    }

    /// The report that it is made of.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// OCSF 1.8 events, one a line. `meta` knows the actions' ids of ATT&CK and D3FEND.
    pub fn ocsf(&self, meta: &dyn Fn(&str) -> Option<&'static Meta>) -> String {
        lines(&ocsf::events(self, meta))
    }

    /// A Timesketch timeline, one event a line, with what a responder noted elsewhere put in its place. `meta` knows the
    /// actions' ids of ATT&CK and D3FEND, which become tags.
    pub fn timesketch(&self, noted: &[Noted], meta: &dyn Fn(&str) -> Option<&'static Meta>) -> String {
        lines(&timesketch::events(self, noted, meta))
    }

    /// What is wrong with the times that were noted, held against this run.
    pub fn lint(&self, noted: &[Noted]) -> Vec<TimelineFinding> {
        lint(noted, self.report.exposure.stated_start)
    }

    fn line(&self, seq: u64) -> Option<&Line> {
        self.lines.iter().find(|line| line.seq == seq)
    }
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| json_for_terminal(&event.to_string()) + "\n").collect()
}

#[cfg(test)]
mod tests;
