//! OCSF 1.8: for each change a Remediation Activity (7001), and what changed in the class that has a place for it:
//! Account Change (3001) or Entity Management (3004); for each call an API Activity (6003). All of a change bear the
//! same `correlation_uid`.
//!
//! Source: github.com/ocsf/ocsf-schema, classes and required attributes of release 1.8.0.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Export;
use crate::{
    model::{Effect, Meta, Outcome, Target},
    report::types::{CallMade, Change},
};

/// A class, its category and one of its activities.
#[derive(Clone, Copy)]
struct Class {
    uid: u32,
    activity: u32,
}

const REMEDIATION: u32 = 7001;
const ACCOUNT_CHANGE: u32 = 3001;
const ENTITY_MANAGEMENT: u32 = 3004;
const API_ACTIVITY: u32 = 6003;

/// `severity_id` Informational: that it was done is no alert.
const SEVERITY: u32 = 1;
/// `activity_id` Other.
const OTHER: u32 = 99;

pub(super) fn events(export: &Export, meta: &dyn Fn(&str) -> Option<&'static Meta>) -> Vec<Value> {
    let changes = export.report.accounts.iter().flat_map(|account| &account.changes);
    changes.flat_map(|change| of_change(export, change, change.action.as_deref().and_then(meta))).collect()
}

fn of_change(export: &Export, change: &Change, meta: Option<&'static Meta>) -> Vec<Value> {
    let mut events = Vec::new();
    for call in &change.calls {
        events.push(api_call(export, change, call));
    }
    let ended = change.ended.and_then(|seq| Some((seq, export.time_of(seq)?)));
    let (Some((seq, at)), Some(outcome)) = (ended, change.outcome) else {
        return events;
    };
    let mut remediation = base(export, change, (at, seq), Class { uid: REMEDIATION, activity: tactic(meta) });
    let techniques = meta.map(|meta| meta.d3fend).unwrap_or_default();
    let countermeasure = |id: &&str| json!({"d3f_technique": {"uid": id}, "version": "1.2.0"});
    put(&mut remediation, "command_uid", json!(change.id));
    put(&mut remediation, "countermeasures", techniques.iter().map(countermeasure).collect());
    put(&mut remediation, "remediation", json!({ "desc": meta.map_or("a change of the plan", |meta| meta.title) }));
    status(&mut remediation, outcome, &change.reason);
    put(&mut remediation, "observables", change.target.iter().map(observable).collect());
    let labels = |list: fn(&Meta) -> &'static [&'static str]| meta.map(list).unwrap_or_default();
    put(
        &mut remediation,
        "unmapped",
        json!({
            "attack": labels(|meta| meta.attack), "attack_version": "18.1",
            "coun7er": labels(|meta| meta.coun7er), "itm": labels(|meta| meta.itm),
        }),
    );
    events.push(remediation);
    if let (Some(target), Outcome::Done | Outcome::DoneWillRevert) = (&change.target, outcome) {
        let mut specific = specific(export, change, target, (at, seq));
        status(&mut specific, outcome, &change.reason);
        events.push(specific);
    }
    events
}

/// What every class requires.
fn base(export: &Export, change: &Change, (at, seq): (Timestamp, u64), class: Class) -> Value {
    let (status, method) = (&export.report.status, &export.report.method);
    json!({
        "category_uid": class.uid / 1000,
        "class_uid": class.uid,
        "activity_id": class.activity,
        "type_uid": class.uid * 100 + class.activity,
        "severity_id": SEVERITY,
        "time": at.as_millisecond(),
        "metadata": {
            "version": "1.8.0",
            "product": {"name": method.tool.name, "vendor_name": method.tool.name, "version": method.tool.version},
            "uid": format!("{}:{seq}:{}", status.run_id, class.uid),
            "sequence": seq,
            "correlation_uid": format!("{}:{}", status.run_id, change.id),
            "tenant_uid": status.tenant_id,
        },
    })
}

/// D3FEND's tactic: 2 Evict for what ends or takes away, 4 Harden for a new credential.
fn tactic(meta: Option<&Meta>) -> u32 {
    match meta.map(|meta| meta.effect) {
        Some(Effect::Rotate) => 4,
        Some(_) => 2,
        None => OTHER,
    }
}

/// An account's own change, or that of a thing which belongs to it.
fn specific(export: &Export, change: &Change, target: &Target, at: (Timestamp, u64)) -> Value {
    let action = change.action.as_deref().unwrap_or_default();
    let account = match action {
        "user.reset-password" => Some(4),
        "user.block-sign-in" => Some(5),
        "user.remove-auth-methods" => Some(11),
        "user.revoke-sessions" => Some(OTHER),
        _ => None,
    };
    let actor = json!({"app_uid": export.report.method.identity.app_id});
    if let Some(activity) = account {
        let class = Class { uid: ACCOUNT_CHANGE, activity };
        let mut event = base(export, change, at, class);
        let user = target.of.as_ref().unwrap_or(&target.name);
        put(&mut event, "user", json!({"name": user.term(), "uid": target.lane}));
        put(&mut event, "actor", actor);
        other(&mut event, activity, action);
        return event;
    }
    let activity = if action.contains("remove") { 4 } else { 9 };
    let mut event = base(export, change, at, Class { uid: ENTITY_MANAGEMENT, activity });
    put(&mut event, "entity", json!({"uid": target.id, "name": target.name.term(), "type": target.kind}));
    put(&mut event, "comment", json!(change.reason));
    put(&mut event, "actor", actor);
    event
}

fn api_call(export: &Export, change: &Change, call: &CallMade) -> Value {
    let verb = call.request.split(' ').next().unwrap_or_default();
    let activity = match verb {
        "POST" | "New-InboxRule" => 1,
        "PATCH" | "Disable-InboxRule" | "Enable-InboxRule" => 3,
        "DELETE" | "Remove-InboxRule" => 4,
        _ => OTHER,
    };
    let seq = call.sent.unwrap_or(call.intent);
    let mut event = base(export, change, (call.server_time, seq), Class { uid: API_ACTIVITY, activity });
    let answer = json!({"code": call.status});
    put(
        &mut event,
        "api",
        json!({"operation": call.request, "request": {"uid": call.client_request_id}, "response": answer}),
    );
    put(&mut event, "actor", json!({"app_uid": export.report.method.identity.app_id}));
    put(&mut event, "src_endpoint", json!({"hostname": export.report.method.host}));
    other(&mut event, activity, verb);
    event
}

/// An activity that OCSF has no number for bears its name.
fn other(event: &mut Value, activity: u32, name: &str) {
    if activity == OTHER {
        put(event, "activity_name", json!(name));
    }
}

/// 1 Success, 2 Failure, 4 Partial, 0 Unknown, 99 Other.
fn status(event: &mut Value, outcome: Outcome, reason: &str) {
    let id = match outcome {
        Outcome::Done | Outcome::Already => 1,
        Outcome::Failed => 2,
        Outcome::DoneWillRevert => 4,
        Outcome::Unknown | Outcome::Unverified | Outcome::Pending => 0,
        Outcome::Drifted | Outcome::Refused | Outcome::Skipped => OTHER,
    };
    put(event, "status_id", json!(id));
    put(event, "status", json!(outcome.word()));
    put(event, "status_detail", json!(reason));
}

/// 7001 has no place for what was remedied: `type_id` 31 is a user, 99 another thing.
fn observable(target: &Target) -> Value {
    let type_id = if target.kind == "user" { 31 } else { OTHER };
    json!({"name": target.kind, "type_id": type_id, "value": target.id})
}

fn put(event: &mut Value, key: &str, value: Value) {
    if let Some(event) = event.as_object_mut() {
        event.insert(key.to_owned(), value);
    }
}
