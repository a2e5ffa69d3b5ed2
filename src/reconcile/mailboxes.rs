//! Our calls to Exchange against the unified audit log: pure. The log names no request, so a record is matched by its
//! cmdlet, its time, its object and its parameters.

use std::collections::BTreeSet;

use serde_json::Value;

use super::compare::{EARLY, LATE, Made};
use crate::{
    model::{Identity, Write},
    reconcile::{NotOurs, Reconciliation, Source, UnifiedLog, UnifiedRecord},
};

/// Parameters that say how a cmdlet runs, not what it does.
const MANNER: [&str; 7] =
    ["Confirm", "Force", "WhatIf", "ErrorAction", "WarningAction", "Verbose", "AlwaysDeleteOutlookRulesBlob"];

/// Takes a record for each call; gives the calls that none was found for. `known` are calls of other runs.
pub(super) fn compare<'a, 'b>(
    calls: &'b [&'a Made<'a>],
    known: &[&Made<'_>],
    log: &UnifiedLog,
    us: &[&Identity],
    found: &mut Reconciliation,
) -> Vec<(Source, &'b Made<'a>)> {
    let window = found.window;
    let ours: Vec<&UnifiedRecord> =
        log.records.iter().filter(|record| us.iter().any(|us| record.is_by(us)) && window.holds(record.at)).collect();
    let mut taken = BTreeSet::new();
    let mut missing = Vec::new();
    for call in calls.iter().filter(|call| call.is_expected()) {
        let near = ours.iter().enumerate().filter(|(at, record)| !taken.contains(at) && is_of(record, call));
        match near.min_by_key(|(_, record)| record.at.duration_since(call.at).abs()) {
            Some((at, _)) => {
                taken.insert(at);
            }
            None => missing.push((Source::UnifiedAuditLog, *call)),
        }
    }
    let left = ours.iter().enumerate().filter(|(at, _)| !taken.contains(at)).map(|(_, record)| *record);
    let unexplained = left.filter(|record| {
        !calls.iter().any(|call| explains(call, record))
            && !known.iter().any(|call| is_of(record, call) || explains(call, record))
    });
    found.not_ours.extend(unexplained.map(|record| NotOurs {
        source: Source::UnifiedAuditLog,
        at: record.at,
        id: record.id.clone(),
        what: record.operation.clone(),
        to: vec![record.object.clone()],
    }));
    missing
}

/// What is left over is ours where it tells of a call that may have been sent and was not expected, or where the mailbox
/// itself tells what a cmdlet of ours did in it.
fn explains(call: &Made<'_>, record: &UnifiedRecord) -> bool {
    if record.operation.raw().contains('-') {
        return !call.is_expected() && is_of(record, call);
    }
    let Write::Cmdlet { anchor, .. } = &call.request.write else {
        return false;
    };
    in_time(record, call)
        && [record.owner.as_str(), record.object.raw()].iter().any(|it| it.eq_ignore_ascii_case(anchor))
}

fn in_time(record: &UnifiedRecord, call: &Made<'_>) -> bool {
    let after = record.at.duration_since(call.at);
    after >= -EARLY && after <= LATE
}

/// Whether a record tells of a call: the same cmdlet, on the same object, with the same parameters.
fn is_of(record: &UnifiedRecord, call: &Made<'_>) -> bool {
    let Write::Cmdlet { name, parameters, .. } = &call.request.write else {
        return false;
    };
    if !record.operation.raw().eq_ignore_ascii_case(name.name()) || !in_time(record, call) {
        return false;
    }
    let given = |wanted: &str| parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let is_manner = |name: &str| MANNER.iter().any(|manner| manner.eq_ignore_ascii_case(name));
    let logged = |wanted: &str| {
        let mut logged = record.parameters.iter();
        logged.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    };
    // A parameter that we did not give is another call, whatever else it has in common with ours.
    let known = record.parameters.keys().all(|name| is_manner(name) || given(name).is_some());
    let mut ours = parameters.iter().filter(|(name, _)| !is_manner(name));
    known && ours.all(|(name, value)| says(name, value, logged(name), record))
}

/// Whether the log says of a parameter what we gave. Where it does not tell the parameters, the object decides.
fn says(name: &str, value: &Value, logged: Option<&str>, record: &UnifiedRecord) -> bool {
    // A placeholder: what stood there was found when the call was sent.
    let Some(value) = flat(value) else {
        return true;
    };
    let last = |text: &str| text.rsplit(['\\', '/']).next().unwrap_or_default().to_lowercase();
    let is_object = name.eq_ignore_ascii_case("Identity");
    match logged {
        // A mailbox has many names, and the log may use another than we did; the rule's number is what it is.
        Some(logged) if is_object => last(logged) == last(&value),
        Some(logged) => logged.eq_ignore_ascii_case(&value),
        None => !is_object || last(record.object.raw()) == last(&value),
    }
}

/// A value as the log writes it: text, lists joined by `;`.
///
/// Source: Office 365 Management Activity API schema, "Exchange Admin schema", `Parameters`.
fn flat(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(on) => Some(if *on { "True" } else { "False" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(values) => values.iter().map(flat).collect::<Option<Vec<_>>>().map(|values| values.join(";")),
        Value::Object(_) => None,
    }
}
