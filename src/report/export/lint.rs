//! Times that cannot be right: of what a responder noted from logs, each with an offset, and of the journal.
//!
//! The classic error is a local time written down as UTC: mail that was sent hours before the account was taken.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{journal::Line, model::Untrusted, report::sections::long};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The intruder came in.
    Access,
    /// The intruder did something, which takes an access before it.
    Effect,
}

/// An event that a responder noted: one line of a file, in Timesketch's form with a `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noted {
    /// In words.
    pub message: String,
    /// With an offset.
    pub datetime: Timestamp,
    /// Which of an event's times it is, and from which log.
    pub timestamp_desc: String,
    /// Access or effect.
    pub kind: Kind,
}

/// A line of the file that is not such an event, or whose time has no offset.
#[derive(Debug, thiserror::Error)]
#[error("read line {line} of the noted events: a time needs its offset, as in 2023-12-12T13:50:17Z")]
pub struct TimelineError {
    /// Counted from 1.
    pub line: usize,
    source: serde_json::Error,
}

/// Something wrong with the times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimelineFinding {
    /// Which of the noted events, from 0.
    pub event: Option<usize>,
    /// Which line of the journal.
    pub seq: Option<u64>,
    /// In words, which hold those of what was noted.
    pub text: Untrusted,
}

/// Reads events, one a line.
///
/// # Errors
/// When a line is not an event, or has a time without an offset.
pub fn noted(text: &str) -> Result<Vec<Noted>, TimelineError> {
    let lines = (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty());
    lines.map(|(line, text)| serde_json::from_str(text).map_err(|source| TimelineError { line, source })).collect()
}

/// What cannot be right in what was noted, held against the start that the playbook was given, and in the journal.
pub(in crate::report) fn lint(events: &[Noted], stated: Option<Timestamp>, lines: &[Line]) -> Vec<TimelineFinding> {
    let mut found = early_effects(events, stated);
    found.extend(stated.into_iter().flat_map(|stated| earlier_accesses(events, stated)));
    found.extend(lines.windows(2).filter_map(set_back));
    found
}

/// Effects before the first access.
fn early_effects(events: &[Noted], stated: Option<Timestamp>) -> Vec<TimelineFinding> {
    let Some(first) = of_kind(events, Kind::Access).map(|(_, event)| event.datetime).chain(stated).min() else {
        return Vec::new();
    };
    let early = of_kind(events, Kind::Effect).filter(|(_, event)| event.datetime < first);
    let told = |(at, event): (usize, &Noted)| {
        let before = apart(event.datetime, first);
        let why = "a local time may have been taken for UTC";
        found(at, event, &format!("stands {before} before the first access at {first}: {why}"))
    };
    early.map(told).collect()
}

/// Accesses before the start that was stated: one of the two is wrong, and what the playbook looked for began too late.
fn earlier_accesses(events: &[Noted], stated: Timestamp) -> impl Iterator<Item = TimelineFinding> {
    let early = of_kind(events, Kind::Access).filter(move |(_, event)| event.datetime < stated);
    early.map(move |(at, event)| {
        let before = apart(event.datetime, stated);
        let why = "a local time may have been taken for UTC, or the playbook looked only at what came later";
        found(at, event, &format!("stands {before} before the start of the incident that was stated, {stated}: {why}"))
    })
}

/// A line that is dated before the one that it follows: an answer before its call, a call before its announcement.
fn set_back(lines: &[Line]) -> Option<TimelineFinding> {
    let [before, line] = lines else { return None };
    let text = format!(
        "line {} is dated {} before line {}, which it follows: the responder's clock was set back, and the order is that of the lines",
        line.seq,
        apart(line.t, before.t),
        before.seq
    );
    (line.t < before.t).then(|| TimelineFinding { event: None, seq: Some(line.seq), text: text.into() })
}

fn of_kind(events: &[Noted], kind: Kind) -> impl Iterator<Item = (usize, &Noted)> {
    events.iter().enumerate().filter(move |(_, event)| event.kind == kind)
}

fn found(at: usize, event: &Noted, what: &str) -> TimelineFinding {
    let text = format!("{} at {} {what}", event.message, event.datetime);
    TimelineFinding { event: Some(at), seq: None, text: text.into() }
}

/// `8 h 47 min`
fn apart(early: Timestamp, late: Timestamp) -> String {
    long(u64::try_from(late.duration_since(early).as_millis()).unwrap_or_default())
}
