//! A run for other programs: OCSF events, a Timesketch timeline. Derived from the folder, never evidence.
//!
//! Every time carries its offset. Text from the tenant is JSON, in which whatever steers a terminal stands escaped: the
//! value is the text itself. It is escaped once more where it is a message.

mod lint;
mod ocsf;
mod timesketch;

use std::path::Path;

pub(super) use lint::lint;
pub use lint::{Kind, Noted, TimelineError, TimelineFinding, noted};
use serde_json::Value;

use super::{Known, Report, ReportError, labels::Labels};
use crate::{
    journal::{History, Line},
    model::{Meta, json_for_terminal},
};

/// A run as it is exported.
pub struct Export {
    pub(super) report: Report,
    pub(super) lines: Vec<Line>,
    pub(super) noted: Vec<Noted>,
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
        let (report, lines) = (Report::read_with(run, known)?, History::salvage(run)?.lines);
        Ok(Self { report, lines, noted: known.noted.to_vec() })
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
    pub fn timesketch(&self, meta: &dyn Fn(&str) -> Option<&'static Meta>) -> String {
        lines(&timesketch::events(self, meta))
    }

    fn labels(&self, meta: &'static Meta) -> Labels {
        Labels { meta, mode: self.report.status.mode }
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
