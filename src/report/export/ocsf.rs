//! OCSF 1.8: for each change a Remediation Activity (7001), and what changed in the class that has a place for it:
//! Account Change (3001) or Entity Management (3004); for each call an API Activity (6003). All of a step bear the
//! same `correlation_uid`; the change and the journal's line stand in `unmapped`.
//!
//! Source: github.com/ocsf/ocsf-schema, release 1.8.0 (commit 3dcb905d). `record_integrity`, which would have a place for
//! the journal's chain, is of a later release.

use serde_json::{Map, Value, json};

use super::Export;
use crate::{
    journal::{Line, Mode, SentOutcome},
    model::{ATTACK_VERSION, Catalog, D3FEND_VERSION, Effect, IdentityKind, Meta, Outcome, Target, defence},
    report::{
        labels::Labels,
        types::{CallMade, Change},
    },
};

/// The version of OCSF that the events are of.
const VERSION: &str = "1.8.0";

/// A class, its category and one of its activities.
#[derive(Clone, Copy)]
struct Class {
    uid: u32,
    name: &'static str,
    category: &'static str,
    activity: Activity,
}

/// An activity by its number, which is unique within its class, and its caption.
type Activity = (u32, &'static str);

const fn remediation(activity: Activity) -> Class {
    Class { uid: 7001, name: "Remediation Activity", category: "Remediation", activity }
}

const fn account_change(activity: Activity) -> Class {
    Class { uid: 3001, name: "Account Change", category: "Identity & Access Management", activity }
}

const fn entity_management(activity: Activity) -> Class {
    Class { uid: 3004, name: "Entity Management", category: "Identity & Access Management", activity }
}

const fn api_activity(activity: Activity) -> Class {
    Class { uid: 6003, name: "API Activity", category: "Application Activity", activity }
}

/// `severity_id` Informational: that it was done is no alert.
const SEVERITY: u32 = 1;
/// `activity_id`, `status_id`: Other.
const OTHER: u32 = 99;

pub(super) fn events(export: &Export, meta: &dyn Fn(&str) -> Option<&'static Meta>) -> Vec<Value> {
    let changes = export.report.accounts.iter().flat_map(|account| &account.changes);
    changes
        .flat_map(|change| {
            let labels = change.action.as_deref().and_then(meta).map(|meta| export.labels(meta));
            Writer { export, change, labels }.events()
        })
        .collect()
}

/// Writes the events of one change.
struct Writer<'a> {
    export: &'a Export,
    change: &'a Change,
    labels: Option<Labels>,
}

impl Writer<'_> {
    fn events(&self) -> Vec<Value> {
        let mut events: Vec<Value> = self.change.calls.iter().filter_map(|call| self.api_call(call)).collect();
        let line = self.change.ended.and_then(|seq| self.export.line(seq));
        let (Some(line), Some(outcome)) = (line, self.change.outcome) else {
            return events;
        };
        events.push(self.remediation(line, outcome));
        if let (Some(target), Outcome::Done | Outcome::DoneWillRevert) = (&self.change.target, outcome) {
            events.push(self.specific(target, line, outcome));
        }
        events
    }

    fn is_undo(&self) -> bool {
        self.export.report.status.mode == Mode::Undo
    }

    /// What every class requires.
    fn base(&self, line: &Line, class: Class) -> Map<String, Value> {
        let (status, method) = (&self.export.report.status, &self.export.report.method);
        let (activity, caption) = class.activity;
        let change = self.change;
        let step = change.step.as_deref().unwrap_or(&change.id);
        // "Other" says nothing: there the schema wants the source's own word.
        let own = change.action.as_deref().unwrap_or(caption);
        let approved = status.approvals.iter().map(|it| json!({"by": it.by, "how": it.how, "journal_line": it.seq}));
        object(json!({
            "category_uid": class.uid / 1000,
            "category_name": class.category,
            "class_uid": class.uid,
            "class_name": class.name,
            "activity_id": activity,
            "activity_name": if activity == OTHER { own } else { caption },
            "type_uid": class.uid * 100 + activity,
            "type_name": format!("{}: {caption}", class.name),
            "severity_id": SEVERITY,
            "severity": "Informational",
            "time": line.t.as_millisecond(),
            "metadata": {
                "version": VERSION,
                "product": {"name": method.tool.name, "vendor_name": method.tool.name, "version": method.tool.version},
                "uid": format!("{}:{}:{}", status.run_id, line.seq, class.uid),
                "sequence": line.seq,
                "correlation_uid": format!("{}:{step}", status.run_id),
                "tenant_uid": status.tenant_id,
                "log_name": "staunch journal",
            },
            "unmapped": {
                "change": change.id, "case": status.case, "verdict": status.verdict.word(),
                "approved_by": approved.collect::<Value>(),
                "journal": {"line": line.seq, "previous_line_sha256": line.prev},
            },
        }))
    }

    fn remediation(&self, line: &Line, outcome: Outcome) -> Value {
        let mut event = self.base(line, remediation(self.tactic()));
        let labels = |catalog: Catalog| self.labels.map(|labels| labels.ids(catalog)).unwrap_or_default();
        put(&mut event, "command_uid", json!(self.change.id));
        put_some(&mut event, "countermeasures", labels(Catalog::D3fend).into_iter().map(countermeasure));
        let desc = self.change.title.as_deref().unwrap_or("a change of the plan");
        put(&mut event, "remediation", json!({ "desc": desc }));
        put(&mut event, "message", json!(format!("{desc}: {}", outcome.word())));
        put_some(&mut event, "observables", self.change.target.iter().flat_map(observables));
        // `attacks` is of this profile.
        put_some(&mut event, "attacks", labels(Catalog::Attack).into_iter().map(attack));
        if let Some(metadata) = event.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("profiles".to_owned(), json!(["security_control"]));
        }
        if let Some(unmapped) = event.get_mut("unmapped").and_then(Value::as_object_mut) {
            unmapped.extend(self.change.target.iter().map(|target| (TARGET.to_owned(), remedied(target))));
            unmapped.insert("coun7er".to_owned(), json!(labels(Catalog::Coun7er)));
            unmapped.insert("itm".to_owned(), json!(labels(Catalog::Itm)));
            let stated = self.export.report.playbook_counters.iter().map(|it| it.id.as_str());
            unmapped.insert("playbook_counters".to_owned(), stated.collect());
        }
        let status = match outcome {
            Outcome::DoneWillRevert => (4, "Partial"),
            _ => status_of(outcome),
        };
        self.ended(event, status, outcome)
    }

    /// D3FEND's tactic: that of the action's first technique; what is taken back is restored.
    fn tactic(&self) -> Activity {
        let first = self.labels.and_then(|labels| defence(labels.ids(Catalog::D3fend).first()?));
        match first.map(|defence| defence.tactic) {
            _ if self.is_undo() => (3, "Restore"),
            Some("Isolate") => (1, "Isolate"),
            Some("Evict") => (2, "Evict"),
            Some("Restore") => (3, "Restore"),
            Some("Harden") => (4, "Harden"),
            Some("Detect") => (5, "Detect"),
            _ => (OTHER, "Other"),
        }
    }

    /// An account's own change, or that of a thing which belongs to it.
    fn specific(&self, target: &Target, line: &Line, outcome: Outcome) -> Value {
        let undo = self.is_undo();
        let account = match self.change.action.as_deref().unwrap_or_default() {
            "user.reset-password" => Some((4, "Password Reset")),
            "user.block-sign-in" if undo => Some((2, "Enable")),
            "user.block-sign-in" => Some((5, "Disable")),
            "user.remove-auth-methods" if undo => Some((10, "MFA Factor Enable")),
            "user.remove-auth-methods" => Some((11, "MFA Factor Disable")),
            _ if target.kind == "user" => Some((OTHER, "Other")),
            _ => None,
        };
        let mut event = match account {
            Some(activity) => {
                let mut event = self.base(line, account_change(activity));
                put(&mut event, "user", user(target.of.as_ref().unwrap_or(&target.name).raw(), target.principal()));
                event
            }
            None => {
                let mut event = self.base(line, entity_management(self.entity_activity()));
                let type_id = if target.kind == "device" { 1 } else { OTHER };
                let entity =
                    json!({"uid": target.id, "name": target.name.raw(), "type": target.kind, "type_id": type_id});
                put(&mut event, "entity", entity);
                put(&mut event, "comment", json!(self.change.reason));
                event
            }
        };
        put(&mut event, "actor", self.actor());
        self.ended(event, status_of(outcome), outcome)
    }

    /// Who we were to the tenant: our application, and who was signed in through it.
    fn actor(&self) -> Value {
        let identity = &self.export.report.method.identity;
        let person = (identity.kind == IdentityKind::User).then(|| {
            let name = identity.user_principal_name.as_deref().unwrap_or(&identity.object_id);
            user(name, &identity.object_id)
        });
        Value::Object(object(json!({"app_uid": identity.app_id, "user": person})))
    }

    fn entity_activity(&self) -> Activity {
        match (self.labels.map(|labels| labels.meta.effect), self.is_undo()) {
            (Some(Effect::Remove), false) => (4, "Delete"),
            (Some(Effect::Remove), true) => (1, "Create"),
            (Some(Effect::Disable | Effect::Cut), false) => (9, "Disable"),
            (Some(Effect::Disable | Effect::Cut), true) => (8, "Enable"),
            _ => (3, "Update"),
        }
    }

    fn ended(&self, mut event: Map<String, Value>, status: (u32, &str), outcome: Outcome) -> Value {
        put(&mut event, "status_id", json!(status.0));
        put(&mut event, "status", json!(if status.0 == OTHER { outcome.word() } else { status.1 }));
        put(&mut event, "status_code", json!(outcome.word()));
        put(&mut event, "status_detail", json!(self.change.reason));
        Value::Object(event)
    }

    fn api_call(&self, call: &CallMade) -> Option<Value> {
        let verb = call.request.split(' ').next().unwrap_or_default();
        let activity = match verb.split('-').next().unwrap_or_default() {
            "POST" | "New" => (1, "Create"),
            "PATCH" | "Disable" | "Enable" | "Set" => (3, "Update"),
            "DELETE" | "Remove" => (4, "Delete"),
            _ => (OTHER, "Other"),
        };
        let line = self.export.line(call.sent.unwrap_or(call.intent))?;
        let mut event = self.base(line, api_activity(activity));
        if activity.0 == OTHER {
            put(&mut event, "activity_name", json!(verb));
        }
        let response = object(json!({"code": call.status}));
        let request = json!({"uid": call.client_request_id});
        put(&mut event, "api", json!({"operation": call.request, "request": request, "response": response}));
        put(&mut event, "actor", self.actor());
        put(&mut event, "src_endpoint", json!({"hostname": self.export.report.method.host}));
        let (id, status) = match call.outcome {
            Some(SentOutcome::Accepted) => (1, "Success"),
            Some(SentOutcome::Rejected | SentOutcome::NotFound | SentOutcome::NotSent) => (2, "Failure"),
            Some(SentOutcome::Unknown) | None => (0, "Unknown"),
        };
        put(&mut event, "status_id", json!(id));
        put(&mut event, "status", json!(status));
        Some(Value::Object(event))
    }
}

/// 1 Success, 2 Failure, 0 Unknown, 99 Other: what every class knows.
fn status_of(outcome: Outcome) -> (u32, &'static str) {
    match outcome {
        Outcome::Done | Outcome::Already => (1, "Success"),
        Outcome::Failed => (2, "Failure"),
        Outcome::Unknown | Outcome::Unverified | Outcome::Pending => (0, "Unknown"),
        Outcome::DoneWillRevert | Outcome::Drifted | Outcome::Refused | Outcome::Skipped => (OTHER, "Other"),
    }
}

fn countermeasure(id: &str) -> Value {
    let known = defence(id);
    let tactic = known.map(|it| json!({"name": it.tactic}));
    let technique = object(json!({
        "uid": id, "name": known.map(|it| it.name), "src_url": Catalog::D3fend.url(id),
    }));
    Value::Object(object(json!({"d3f_tactic": tactic, "d3f_technique": technique, "version": D3FEND_VERSION})))
}

/// `T1550.004` is a sub-technique of `T1550`; its name holds both.
fn attack(id: &str) -> Value {
    let name = Catalog::Attack.name_of(id).unwrap_or_default();
    let entity = |uid: &str, name: &str| object(json!({"uid": uid, "name": (!name.is_empty()).then_some(name)}));
    match (id.split_once('.'), name.split_once(": ")) {
        (Some((parent, _)), names) => {
            let (of, own) = names.unwrap_or(("", name));
            json!({"technique": entity(parent, of), "sub_technique": entity(id, own), "version": ATTACK_VERSION})
        }
        (None, _) => json!({"technique": entity(id, name), "version": ATTACK_VERSION}),
    }
}

/// A user as other logs name it: a principal name has the form of an address, and is searched for as one.
fn user(name: &str, uid: &str) -> Value {
    let address = name.contains('@').then_some(name);
    Value::Object(object(json!({"name": name, "uid": uid, "email_addr": address})))
}

/// 7001 has no place for what was remedied: it stands in `unmapped`, with the account that it belongs to.
fn remedied(target: &Target) -> Value {
    let owner = target.of.as_ref().map(|of| json!({"uid": target.principal(), "name": of}));
    Value::Object(object(json!({"kind": target.kind, "uid": target.id, "name": target.name, "owner": owner})))
}

/// Where [`remedied`] stands in `unmapped`.
const TARGET: &str = "target";

/// What a search joins on: the object, and the account that it is or belongs to, each by the path of its attribute.
/// 4 is a user's name, 31 a user's id, 47 a device's, 10 another resource's.
fn observables(target: &Target) -> Vec<Value> {
    let one = |path: &str, type_id: u32, value: &str| json!({"name": format!("unmapped.{TARGET}.{path}"), "type_id": type_id, "value": value});
    let of_kind = match target.kind.as_str() {
        "user" => 31,
        "device" => 47,
        _ => 10,
    };
    let mut all = vec![one("uid", of_kind, &target.id)];
    match &target.of {
        Some(of) => all.extend([one("owner.uid", 31, target.principal()), one("owner.name", 4, of.raw())]),
        None if target.kind == "user" => all.push(one("name", 4, target.name.raw())),
        None => {}
    }
    all
}

/// An object without what is not there.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}

/// A list, where there is anything in it.
fn put_some(event: &mut Map<String, Value>, key: &str, values: impl Iterator<Item = Value>) {
    let values: Vec<Value> = values.collect();
    if !values.is_empty() {
        put(event, key, Value::Array(values));
    }
}

fn put(event: &mut Map<String, Value>, key: &str, value: Value) {
    event.insert(key.to_owned(), value);
}
