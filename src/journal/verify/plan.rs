//! What verification must know of the plan: its digest and tenant, its changes with their calls, and whether secrets were
//! to be sealed to anybody.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::finding::{Code, Findings, shown};
use crate::journal::{folder::PLAN, hash::sha256_hex, strict};

/// Facts of `plan.json`.
pub(super) struct Plan {
    /// As the file states it, and as approval must name it.
    pub(super) digest: String,
    /// The tenant that it was made for.
    pub(super) tenant_id: String,
    /// Whether the plan names recipients of new secrets; with none, a new secret is discarded.
    pub(super) seals: bool,
    /// What each change is to send, by its id.
    changes: BTreeMap<String, Vec<Value>>,
}

/// `plan.json`: a plan, the digest of exactly these bytes, and what was read for it, of which the plan holds the digest.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    digest: String,
    #[serde(borrow)]
    plan: &'a RawValue,
    #[serde(borrow)]
    reads: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Body {
    tenant_id: String,
    recipients: Vec<String>,
    stages: Vec<Stage>,
    reads: Option<Reads>,
}

#[derive(Deserialize)]
struct Reads {
    sha256: String,
}

#[derive(Deserialize)]
struct Stage {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    items: Vec<Item>,
}

/// An item that is a change, or would have been one; of every other nothing is asked.
#[derive(Deserialize)]
struct Item {
    change: Option<Change>,
    already: Option<Change>,
}

#[derive(Deserialize)]
struct Change {
    id: String,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    write: Value,
}

impl Plan {
    /// Reads the plan, and holds it to its digest.
    pub(super) fn read(bytes: &[u8], found: &mut Findings) -> Option<Self> {
        let parsed = strict::check(bytes).and_then(|()| {
            let envelope: Envelope<'_> = serde_json::from_slice(bytes)?;
            let body: Body = serde_json::from_str(envelope.plan.get())?;
            Ok((envelope, body))
        });
        let (envelope, body) =
            parsed.inspect_err(|error| found.file(Code::PlanEdited, PLAN, shown(&error.to_string()))).ok()?;
        if envelope.digest != format!("sha256:{}", sha256_hex(envelope.plan.get().as_bytes())) {
            found.file(Code::PlanEdited, PLAN, "its digest is not that of the plan inside it");
        }
        if envelope.reads.map(|reads| sha256_hex(reads.get().as_bytes())) != body.reads.map(|reads| reads.sha256) {
            found.file(Code::PlanEdited, PLAN, "what was read for it is not what the plan inside it says");
        }
        let items = body.stages.into_iter().flat_map(|stage| stage.steps).flat_map(|step| step.items);
        let changes = items.filter_map(|item| item.change.or(item.already)).map(|change| {
            let writes = change.calls.into_iter().map(|call| call.write).collect();
            (change.id, writes)
        });
        Some(Self {
            digest: envelope.digest,
            tenant_id: body.tenant_id,
            seals: !body.recipients.is_empty(),
            changes: changes.collect(),
        })
    }

    /// Whether it has this change.
    pub(super) fn has(&self, change: &str) -> bool {
        self.changes.contains_key(change)
    }

    /// Whether this is one of the calls of a change.
    pub(super) fn has_call(&self, change: &str, write: &Value) -> bool {
        self.changes.get(change).is_some_and(|writes| writes.iter().any(|planned| fills(planned, write)))
    }
}

/// Whether what was sent is what was planned; `{"$found": …}` stands for what was read of an object just made.
fn fills(planned: &Value, sent: &Value) -> bool {
    match (planned, sent) {
        (Value::Object(planned), _) if planned.len() == 1 && planned.contains_key("$found") => true,
        (Value::Object(planned), Value::Object(sent)) => {
            planned.len() == sent.len()
                && planned.iter().all(|(key, planned)| sent.get(key).is_some_and(|sent| fills(planned, sent)))
        }
        (Value::Array(planned), Value::Array(sent)) => {
            planned.len() == sent.len() && planned.iter().zip(sent).all(|(planned, sent)| fills(planned, sent))
        }
        _ => planned == sent,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::fills;

    #[test]
    fn a_place_for_what_was_found_takes_anything_and_nothing_else_does() {
        let planned = json!({"parameters": {"Identity": {"$found": "identity"}, "On": [true]}});
        let with = |identity: &str, on| json!({"parameters": {"Identity": identity, "On": [on]}});
        assert!(fills(&planned, &with("guid", true)));
        assert!(!fills(&planned, &with("guid", false)));
        assert!(!fills(&json!({"on": true}), &json!({"on": true, "more": 1})));
        assert!(!fills(&json!({"on": 1}), &json!({"on": 1.0})));
    }
}
