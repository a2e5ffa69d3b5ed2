//! A timeline as Timesketch takes it: `message`, `datetime`, `timestamp_desc`, and fields of our own.
//!
//! Source: Timesketch, "Import data from JSON or CSV".

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Export, Noted};
use crate::{
    journal::{Line, Record},
    model::json_for_terminal,
};

/// Longest message: a keyword field over 32766 bytes is refused.
const LONGEST: usize = 4000;

pub(super) fn events(export: &Export, noted: &[Noted]) -> Vec<Value> {
    let mut events: Vec<(Timestamp, Value)> = export.lines.iter().filter_map(|line| of_line(export, line)).collect();
    events.extend(noted.iter().map(|event| {
        let message = cut(&event.message);
        let value = json!({
            "message": message, "datetime": event.datetime, "timestamp_desc": event.timestamp_desc,
            "data_type": "staunch:noted", "kind": event.kind,
        });
        (event.datetime, value)
    }));
    events.sort_by_key(|(at, _)| *at);
    events.into_iter().map(|(_, event)| event).collect()
}

fn of_line(export: &Export, line: &Line) -> Option<(Timestamp, Value)> {
    let (at, message, desc) = match &line.record {
        Record::Approved { by, .. } => (line.t, format!("plan approved by {by}"), "Plan Approved"),
        Record::Intent { change, request, server_time, .. } => {
            (*server_time, format!("{change} about to send {}", request.summary()), "Call Announced")
        }
        Record::Sent { change, outcome, status, .. } => {
            let status = status.map(|status| format!(" {status}")).unwrap_or_default();
            (line.t, format!("{change} sent: {outcome:?}{status}"), "Answer Received")
        }
        Record::Ended { change, outcome, reason, target, .. } => {
            let (kind, name) = (&target.kind, target.name.term());
            (line.t, format!("{change} {} on {kind} {name}: {reason}", outcome.word()), "Change Ended")
        }
        Record::Resumed { by, .. } => (line.t, format!("run resumed by {by}"), "Run Resumed"),
        Record::RunOpened { .. } => (line.t, "run opened".to_owned(), "Run Opened"),
        Record::Closed { .. } => (line.t, "run closed".to_owned(), "Run Closed"),
        _ => return None,
    };
    let value = json!({
        "message": cut(&message),
        "datetime": at,
        "timestamp_desc": desc,
        "data_type": format!("staunch:{}", line.record.kind()),
        "run": export.report.status.run_id,
        "case": export.report.status.case,
        "seq": line.seq,
        "change": line.record.change(),
    });
    Some((at, value))
}

fn cut(text: &str) -> String {
    json_for_terminal(text).chars().take(LONGEST).collect()
}
