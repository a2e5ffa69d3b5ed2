//! Times that a responder noted from logs: each with an offset, and none before the intruder could have been there.
//!
//! The classic error is a local time written down as UTC: mail that was sent hours before the account was taken.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// Which event, from 0.
    pub event: usize,
    /// In words.
    pub text: String,
}

/// Reads events, one a line.
///
/// # Errors
/// When a line is not an event, or has a time without an offset.
pub fn noted(text: &str) -> Result<Vec<Noted>, TimelineError> {
    let lines = (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty());
    lines.map(|(line, text)| serde_json::from_str(text).map_err(|source| TimelineError { line, source })).collect()
}

/// Effects before the first access. `start` is the first access that was stated elsewhere.
pub fn lint(events: &[Noted], start: Option<Timestamp>) -> Vec<TimelineFinding> {
    let accesses = events.iter().filter(|event| event.kind == Kind::Access).map(|event| event.datetime);
    let Some(first) = accesses.chain(start).min() else {
        return Vec::new();
    };
    let early = events.iter().enumerate().filter(|(_, event)| event.kind == Kind::Effect && event.datetime < first);
    early
        .map(|(at, event)| {
            let minutes = first.duration_since(event.datetime).as_mins();
            let text = format!(
                "{} at {} stands {} h {} min before the first access at {first}: a local time may have been taken for UTC",
                event.message,
                event.datetime,
                minutes / 60,
                minutes % 60
            );
            TimelineFinding { event: at, text }
        })
        .collect()
}
