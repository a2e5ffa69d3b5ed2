//! What a journal already says of each change, so that a resumed run is the same code as a fresh one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    journal::{History, Line, Purpose, Record, Said, SentOutcome},
    model::Outcome,
};

/// What was recorded of a run before now.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) changes: BTreeMap<String, ChangePast>,
    pub(crate) stages: BTreeSet<String>,
    pub(crate) began: Option<Timestamp>,
    pub(crate) last_cut: Option<Timestamp>,
}

/// What was recorded of one change.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChangePast {
    pub(crate) ended: Option<Outcome>,
    pub(crate) before: Option<Value>,
    pub(crate) wanted: Option<Value>,
    /// Calls whose acceptance is on record.
    pub(crate) accepted: BTreeSet<u32>,
    /// Calls that were sent at least once without an answer: whatever became of them later, they may have taken effect.
    pub(crate) lost: BTreeSet<u32>,
    /// The newest call, where it has no result that settles it.
    pub(crate) open: Option<OpenCall>,
    /// What a person said of it.
    pub(crate) said: Option<(Said, String)>,
}

impl ChangePast {
    /// All calls that may have taken effect: they were accepted, or nobody knows.
    pub(crate) fn sent(&self) -> BTreeSet<u32> {
        let open = self.open.as_ref().map(|open| open.index);
        self.accepted.iter().chain(&self.lost).copied().chain(open).collect()
    }
}

/// A call of which it is not known whether it took effect.
#[derive(Clone, Debug)]
pub(crate) struct OpenCall {
    /// Index of the call in the change.
    pub(crate) index: u32,
    pub(crate) client_request_id: String,
}

impl Past {
    /// Reads it from a run's lines. `cuts` are the ids of the changes that end access.
    pub(crate) fn of(history: &History, cuts: &BTreeSet<String>) -> Self {
        let mut past = Self { began: history.lines.first().map(|line| line.t), ..Self::default() };
        for line in &history.lines {
            past.take(line);
            if let Record::Sent { change, outcome: SentOutcome::Accepted, .. } = &line.record
                && cuts.contains(change)
            {
                past.last_cut = Some(line.t);
            }
        }
        past
    }

    fn take(&mut self, line: &Line) {
        match &line.record {
            Record::StageStarted { stage } => {
                self.stages.insert(stage.clone());
            }
            Record::Observed { change, state, purpose: Purpose::Before, .. } => {
                self.of_change(change).before.clone_from(state);
            }
            Record::Intent { change, call, client_request_id, wanted, .. } => {
                let of = self.of_change(change);
                of.wanted = Some(wanted.clone());
                of.lost.extend(of.open.take().map(|open| open.index));
                of.open = Some(OpenCall { index: *call, client_request_id: client_request_id.clone() });
                of.said = None;
            }
            Record::Sent { change, call, outcome, .. } => {
                let of = self.of_change(change);
                if *outcome == SentOutcome::Unknown {
                    of.lost.insert(*call);
                } else {
                    of.open = None;
                }
                if matches!(outcome, SentOutcome::Accepted | SentOutcome::NotFound) {
                    of.accepted.insert(*call);
                }
            }
            Record::Decided { change, said, by, .. } => self.of_change(change).said = Some((*said, by.clone())),
            Record::Ended { change, outcome, .. } => self.of_change(change).ended = Some(*outcome),
            _ => {}
        }
    }

    fn of_change(&mut self, change: &str) -> &mut ChangePast {
        self.changes.entry(change.to_owned()).or_default()
    }
}
