//! A playbook as CACAO 2.0, for other tools to read: stages, steps, approval, calls, references.
//!
//! It is an export and never read back. CACAO has no dry run, no evidence, no second read and no undo: what this program
//! does about them stands in the export as manual commands, so that a reader misses none of it.
//!
//! Source: CACAO Security Playbooks Version 2.0 (OASIS), and its JSON schemas, github.com/oasis-open/cacao-json-schemas.

mod parts;
mod templates;
mod workflow;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

pub use templates::{Template, TemplateCall, templates};

use crate::{
    action::Registry,
    playbook::{Effect, Playbook},
};
use parts::{References, Refs, Variables};
use workflow::Workflow;

/// A playbook that cannot be exported: an action that this build has no calls of.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("export the playbook: the calls of action {action} are not known to this build")]
pub struct CacaoError {
    /// The action.
    pub action: String,
}

/// The playbook as a CACAO 2.0 object. `dated` is what it says of its creation and modification, to the millisecond: CACAO
/// tells versions of one playbook apart by it. The same playbook and time give the same bytes.
///
/// # Errors
/// When a step's action has no calls in this build.
pub fn export(playbook: &Playbook, registry: Registry, dated: Timestamp) -> Result<Value, CacaoError> {
    let ids = Ids { scope: format!("{}/{}", playbook.id(), playbook.version()) };
    let mut references = References::default();
    references.counters(playbook.counters());
    let mut variables = Variables::of(playbook);
    let mut workflow = Workflow::new(&ids, registry, Refs { references: &mut references, variables: &mut variables });
    let start = workflow.build(playbook)?;
    let (steps, agents) = workflow.finish();
    let time = format!("{dated:.3}");
    let has = |kind: &str| steps.keys().any(|id| id.starts_with(kind));
    Ok(json!({
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": format!("playbook--{}", uuid(playbook.id())),
        "name": playbook.title(),
        "description": description(playbook),
        "playbook_types": ["mitigation", "remediation"],
        "playbook_activities": activities(playbook, registry),
        "playbook_processing_summary": {
            "manual_playbook": false, "external_playbooks": false, "parallel_processing": has("parallel--"),
            "if_logic": has("if-condition--"), "while_logic": has("while-condition--"), "switch_logic": false,
            "temporal_logic": false, "data_markings": false, "digital_signatures": false,
            "countersigned_signatures": false, "extensions": false,
        },
        "created_by": format!("identity--{}", uuid("staunch")),
        "created": time,
        "modified": time,
        "labels": [
            format!("{}@{}", playbook.id(), playbook.version()),
            format!("sha256:{}", playbook.sha256()),
        ],
        "external_references": references.into_list(),
        "playbook_variables": variables.into_map(),
        "workflow_start": start,
        "workflow": steps,
        "authentication_info_definitions": agents.authentication,
        "agent_definitions": agents.agents,
        "target_definitions": agents.targets,
    }))
}

/// Ids within one version of one playbook.
struct Ids {
    scope: String,
}

impl Ids {
    /// `action--…`, the same for the same place in the same version.
    fn of(&self, kind: &str, place: &str) -> String {
        format!("{kind}--{}", uuid(&format!("{}/{kind}/{place}", self.scope)))
    }
}

fn uuid(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("urn:staunch:cacao:{name}").as_bytes())
}

fn description(playbook: &Playbook) -> String {
    let limits = playbook.limits();
    let kinds: Vec<String> = limits.targets.iter().map(|(kind, most)| format!("{most} of {kind}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    format!(
        "{}. At most {} changes{kinds}. Exported from playbook {} {}: staunch plans before it changes, keeps what it read as \
         evidence, guards accounts that must not be locked out, proves each change by a second read and can take it \
         back; here these are manual commands. A call stands for every target of its kind, with variables for the ids.",
        playbook.title(),
        limits.changes,
        playbook.id(),
        playbook.version()
    )
}

/// What a command of this effect is, in CACAO's vocabulary (3.1.2).
fn activity(effect: Effect) -> &'static str {
    match effect {
        Effect::Cut => "restrict-access",
        Effect::Rotate => "configure-systems",
        Effect::Disable => "disconnect-system",
        Effect::Remove => "eliminate-risk",
    }
}

fn activities(playbook: &Playbook, registry: Registry) -> Vec<&'static str> {
    let mut found = vec![parts::FIND, parts::STEPS];
    for id in playbook.actions() {
        let activity = registry.get(id).map(|action| activity(action.meta().effect));
        found.extend(activity.filter(|it| !found.contains(it)));
    }
    found
}

/// A JSON object without its empty parts: CACAO's lists have at least one entry.
fn object(value: Value) -> Map<String, Value> {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    match value {
        Value::Object(map) => map.into_iter().filter(|(_, value)| !is_empty(value)).collect(),
        _ => Map::new(),
    }
}
