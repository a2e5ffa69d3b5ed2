//! What a run did, for people: read from its folder alone, so that a live, a crashed and a copied run tell the same.
//!
//! Nothing here decides anything and nothing here is evidence: every statement about an action names the line of the
//! journal that it rests on.

mod audience;
mod build;
mod defang;
pub mod export;
mod gather;
mod handed;
mod html;
mod intrusion;
mod labels;
mod markdown;
mod nis2;
mod plain;
mod plan;
mod response;
mod sections;
mod terminal;
mod text;
mod timeline;
mod types;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use audience::Audience;
use serde_json::Value;
pub use types::{
    Account, Approver, CallMade, Change, Clock, Containment, Examined, Exhibit, Exposure, Found, Indicator, Lane,
    LeftAlone, Method, Moment, NotPlanned, Proof, Report, RequestFor, Rollback, Sealed, Spot, Status, Step, TakenUp,
    Technique, Trace, WayBack,
};

use crate::{
    journal::{History, JournalError, Mode, verify},
    model::Meta,
};
use export::Noted;
use labels::Labels;

/// What a report is made with besides the run's folder.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// What an action says about itself: its techniques, its kind of target.
    pub meta: &'a dyn Fn(&str) -> Option<&'static Meta>,
    /// What a responder noted of the intruder from logs.
    pub noted: &'a [Noted],
    /// Who may read it, by the Traffic Light Protocol.
    pub marking: Option<&'a str>,
}

impl<'a> Known<'a> {
    /// What the actions say about themselves, and nothing else.
    pub fn actions(meta: &'a dyn Fn(&str) -> Option<&'static Meta>) -> Self {
        Self { meta, noted: &[], marking: None }
    }
}

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
        Self::read_with(run, &Known::actions(&|_| None))
    }

    /// As [`Report::read`], with what else is known.
    ///
    /// # Errors
    /// When the folder has no header or no journal.
    pub fn read_with(run: &Path, known: &Known<'_>) -> Result<Self, ReportError> {
        let verification = verify(run);
        let history = History::salvage(run)?;
        let facts = gather::Facts::of(&history.lines);
        let exchanges = gather::exchanges(run, &history.lines);
        let mut report = build::report(&history, &facts, exchanges, verification);
        report.know(known, &history);
        Ok(report)
    }

    /// For a terminal of this many columns. Text from the tenant is escaped.
    pub fn terminal(&self, width: usize, color: bool) -> String {
        self.terminal_for(Audience::Technical, width, color)
    }

    /// As [`Report::terminal`], for another reader.
    pub fn terminal_for(&self, audience: Audience, width: usize, color: bool) -> String {
        terminal::render(&audience::body(self, audience), width, color)
    }

    /// The answer in one line, safe on a terminal: `CONTAINED — 9 done`.
    pub fn headline(&self) -> String {
        sections::headline(self)
    }

    /// As Markdown (GitHub's flavour). Text from the tenant cannot leave its place.
    pub fn markdown(&self) -> String {
        self.markdown_for(Audience::Technical)
    }

    /// As [`Report::markdown`], for another reader.
    pub fn markdown_for(&self, audience: Audience) -> String {
        let mut blocks = audience::body(self, audience);
        blocks.extend(audience::appendices(self, audience));
        markdown::render(&blocks, self.marking.as_deref())
    }

    /// As one HTML file: no script, nothing loaded from elsewhere. Text from the tenant is text there too.
    ///
    /// # Errors
    /// When the template is wrong, which a test excludes.
    pub fn html(&self, audience: Audience) -> Result<String, minijinja::Error> {
        html::render(self, audience)
    }

    /// The fields of a notification under NIS2, as far as the run can say them. None for an undo, which mitigates nothing.
    pub fn notification(&self) -> Option<Value> {
        (self.status.mode == Mode::Apply).then(|| nis2::fields(self))
    }

    /// Adds what follows from what else is known.
    fn know(&mut self, known: &Known<'_>, history: &History) {
        let mode = self.status.mode;
        for change in self.accounts.iter_mut().flat_map(|account| &mut account.changes) {
            let meta = change.action.as_deref().and_then(known.meta);
            change.title = meta.map(|meta| Labels { meta, mode }.title());
        }
        let changes: Vec<Change> = self.accounts.iter().flat_map(|account| account.changes.clone()).collect();
        self.timeline = timeline::of_lines(&history.lines, &changes, mode);
        self.timeline.extend(timeline::of_intruder(self.exposure.stated_start, known.noted));
        self.timeline.sort_by_key(|moment| (moment.at, moment.lane));
        self.timeline_findings = export::lint(known.noted, self.exposure.stated_start, &history.lines);
        let accesses = known.noted.iter().filter(|event| event.kind == export::Kind::Access);
        self.exposure.first_access = accesses.map(|event| event.datetime).chain(self.exposure.stated_start).min();
        self.exposure.open_for_ms = self.exposure.last_cut_off.as_ref().and_then(|cut| {
            let open = cut.what.duration_since(self.exposure.first_access?);
            u64::try_from(open.as_millis()).ok()
        });
        self.marking = known.marking.map(str::to_owned);
        // What is taken back says nothing of the intruder.
        if mode == Mode::Apply {
            self.intrusion = intrusion::traces(self, known);
            self.indicators = intrusion::indicators(self);
            self.techniques = intrusion::techniques(self, known);
        }
    }
}
