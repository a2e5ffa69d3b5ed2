//! A timeline as Timesketch takes it: `message`, `datetime`, `timestamp_desc`, and fields of our own. Every line of the
//! journal is dated by the clock that wrote it, so that nothing stands before what led to it; the tenant's clock, which
//! is another and has whole seconds, is a field of its own.
//!
//! Source: Timesketch, "Import data from JSON or CSV".

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Export, TimelineFinding};
use crate::{
    journal::{Line, Record},
    model::{ATTACK_VERSION, Catalog, D3FEND_VERSION, Meta, json_for_terminal},
    report::types::Change,
};

/// Longest text in characters: a keyword field over 32766 bytes is refused, and a character has at most four.
const LONGEST: usize = 4000;

/// Tag of an event whose time cannot be right.
const TO_CHECK: &str = "time-to-check";

pub(super) fn events(export: &Export, meta: &dyn Fn(&str) -> Option<&'static Meta>) -> Vec<Value> {
    let changes = named(export, meta);
    let of_line = |line: &Line| {
        let event = of_line(export, line, &changes)?;
        Some((line.t, checked(event, export, |finding| finding.seq == Some(line.seq))))
    };
    let mut events: Vec<(Timestamp, Value)> = export.lines.iter().filter_map(of_line).collect();
    let noted = export.noted.iter().enumerate();
    events.extend(noted.map(|(at, event)| {
        let value = json!({
            "message": cut(&event.message), "datetime": event.datetime, "timestamp_desc": cut(&event.timestamp_desc),
            "data_type": "staunch:noted", "kind": event.kind, "tag": [],
        });
        (event.datetime, checked(value, export, |finding| finding.event == Some(at)))
    }));
    events.sort_by_key(|(at, _)| *at);
    events.into_iter().map(|(_, event)| event).collect()
}

/// Marks an event whose time cannot be right, and says why.
fn checked(mut event: Value, export: &Export, is_of: impl Fn(&TimelineFinding) -> bool) -> Value {
    let mut found = export.report.timeline_findings.iter().filter(|finding| is_of(finding));
    if let (Some(finding), Some(event)) = (found.next(), event.as_object_mut()) {
        if let Some(Value::Array(tags)) = event.get_mut("tag") {
            tags.push(json!(TO_CHECK));
        }
        event.insert("to_check".to_owned(), json!(cut(finding.text.raw())));
    }
    event
}

/// What a change is called, and its ids of techniques and countermeasures.
struct Named {
    title: String,
    tags: Vec<&'static str>,
}

fn named(export: &Export, meta: &dyn Fn(&str) -> Option<&'static Meta>) -> BTreeMap<String, Named> {
    let changes = export.report.accounts.iter().flat_map(|account| &account.changes);
    let of = |change: &Change| {
        let labels = export.labels(meta(change.action.as_deref()?)?);
        let tags = Catalog::ALL.into_iter().flat_map(|catalog| labels.ids(catalog)).collect();
        Some((change.id.clone(), Named { title: labels.title(), tags }))
    };
    changes.filter_map(of).collect()
}

fn of_line(export: &Export, line: &Line, changes: &BTreeMap<String, Named>) -> Option<Value> {
    let named = line.record.change().and_then(|change| changes.get(change));
    let (message, desc) = match &line.record {
        Record::Approved { by, .. } => (format!("plan approved by {by}"), "Plan Approved"),
        Record::Intent { change, request, .. } => {
            (format!("{change} about to send {}", request.summary()), "Call Announced")
        }
        Record::Sent { change, outcome, status, .. } => {
            let status = status.map(|status| format!(" {status}")).unwrap_or_default();
            (format!("{change} sent: {outcome:?}{status}"), "Answer Received")
        }
        Record::Ended { change, outcome, reason, target, .. } => {
            let (kind, name) = (&target.kind, target.name.term());
            let title = named.map(|named| format!("{}: ", named.title)).unwrap_or_default();
            (format!("{change} {title}{} on {kind} {name}: {reason}", outcome.word()), "Change Ended")
        }
        Record::Resumed { by, .. } => (format!("run resumed by {by}"), "Run Resumed"),
        Record::RunOpened { .. } => ("run opened".to_owned(), "Run Opened"),
        Record::Closed { .. } => ("run closed".to_owned(), "Run Closed"),
        _ => return None,
    };
    let mut value = json!({
        "message": cut(&message),
        "datetime": line.t,
        "timestamp_desc": desc,
        "data_type": format!("staunch:{}", line.record.kind()),
        "run": export.report.status.run_id,
        "case": export.report.status.case,
        "verdict": export.report.status.verdict.word(),
        "seq": line.seq,
        "change": line.record.change(),
        "tag": named.map(|named| named.tags.clone()).unwrap_or_default(),
        "attack_version": ATTACK_VERSION,
        "d3fend_version": D3FEND_VERSION,
    });
    if let (Record::Intent { server_time, .. }, Some(value)) = (&line.record, value.as_object_mut()) {
        value.insert("server_time".to_owned(), json!(server_time));
    }
    Some(value)
}

fn cut(text: &str) -> String {
    json_for_terminal(text).chars().take(LONGEST).collect()
}
