//! The JSON Schema of a playbook, for editors. The loader is the authority: it knows more than a schema can say.

use serde_json::{Map, Value, json};

use super::document::SCHEMA;
use super::parameters::{Parameter, Parameters, follow};
use super::types::{Kind, TYPE_NAMES, Type};
use super::{ActionFacts, Catalogue};

const INPUT: &str = r"^inputs\.[a-z][a-z0-9_]*$";

/// The JSON Schema (2020-12) of a playbook file. `do` takes one action of the catalogue, with its title, its arguments and their
/// descriptions; a reference is allowed wherever its type can fit. Equal catalogues give equal schemas.
#[must_use]
pub fn schema(catalogue: &dyn Catalogue) -> Value {
    let actions = catalogue.actions();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "staunch playbook",
        "description": "A reviewed plan of containment: inputs, limits, stages of steps.",
        "type": "object",
        "additionalProperties": false,
        "required": ["schema", "id", "version", "title", "limits", "stages"],
        "properties": {
            "schema": {"const": SCHEMA, "description": "The version of the language."},
            "id": id("The playbook's id."),
            "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$", "description": "MAJOR.MINOR.PATCH."},
            "title": text("What the playbook is for, in one line."),
            "counters": counters(),
            "inputs": {
                "type": "object",
                "description": "What is asked for, by name; used as `inputs.NAME`.",
                "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
                "additionalProperties": {"$ref": "#/$defs/input"},
            },
            "limits": limits(&actions),
            "stages": list_of("stage", "Stages run in order; the steps of one go at once."),
            "handover": list_of("handover", "What people do afterwards."),
        },
        "$defs": {
            "input": input(),
            "stage": stage(),
            "step": step(),
            "do": one_action(&actions),
            "handover": {
                "type": "object",
                "additionalProperties": false,
                "required": ["to", "task"],
                "properties": {"to": id("Who is to do it."), "task": text("What is to be done.")},
            },
        },
    })
}

fn id(description: &str) -> Value {
    json!({"type": "string", "pattern": "^[a-z][a-z0-9-]*$", "description": description})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "minLength": 1, "description": description})
}

fn list_of(definition: &str, description: &str) -> Value {
    json!({
        "type": "array",
        "minItems": 1,
        "items": {"$ref": format!("#/$defs/{definition}")},
        "description": description,
    })
}

fn counters() -> Value {
    let ids = |pattern: &str, description: &str| json!({"type": "array", "minItems": 1, "items": {"type": "string", "pattern": pattern}, "description": description});
    json!({
        "type": "object",
        "description": "The techniques that the playbook counters.",
        "additionalProperties": false,
        "properties": {
            "attack": ids(r"^T\d{4}(\.\d{3})?$", "MITRE ATT&CK techniques."),
            "d3fend": ids("^D3-[A-Z0-9]+$", "MITRE D3FEND techniques."),
            "coun7er": ids(r"^CM\d{4}(\.\d{3})?$", "Countermeasures of CISA's COUN7ER."),
            "itm": ids(r"^[A-Z]{2}\d{3}(\.\d{3})?$", "Sections of the Insider Threat Matrix."),
        },
    })
}

fn limits(actions: &[ActionFacts]) -> Value {
    let limit =
        |description: &str| json!({"type": "integer", "minimum": 1, "maximum": u32::MAX, "description": description});
    let kinds: Map<String, Value> = actions
        .iter()
        .map(|facts| facts.target_kind.clone())
        .map(|kind| (kind.clone(), limit(&format!("The most targets of kind {kind}."))))
        .collect();
    json!({
        "type": "object",
        "description": "How much may be changed. A plan over a limit is refused as a whole.",
        "additionalProperties": false,
        "required": ["changes"],
        "properties": {
            "changes": limit("The most changes in all."),
            "targets": {"type": "object", "additionalProperties": false, "properties": kinds, "description": "By kind of target."},
        },
    })
}

fn input() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["type"],
        "properties": {
            "type": {"enum": TYPE_NAMES, "description": "The type of the input."},
            "of": {"type": "array", "minItems": 1, "items": {"type": "string"}, "description": "The words of a choice."},
            "min": {"type": "integer", "description": "Least length of a list or text, least value of an integer."},
            "max": {"type": "integer", "description": "Most length of a list or text, most value of an integer."},
            "default": {"description": "Holds if no value is given. Without it the input is required."},
            "help": text("What it is for, shown when it is asked for."),
        },
        "if": {"properties": {"type": {"const": "choice"}}, "required": ["type"]},
        "then": {"required": ["of"]},
        "else": {"properties": {"of": false}},
    })
}

fn stage() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id", "steps"],
        "properties": {
            "id": id("Unique among stages."),
            "why": text("Why it stands where it stands, with its source."),
            "gate": {"enum": ["none", "verified"], "default": "none", "description": "What the next stage waits for."},
            "steps": list_of("step", "One action each."),
        },
    })
}

fn step() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id", "do"],
        "properties": {
            "id": id("Unique in the playbook."),
            "why": text("Why it is done."),
            "when": {
                "type": "string",
                "pattern": format!(r"{INPUT}|^steps\.[a-z][a-z0-9-]*\.outcome$"),
                "description": "A bool input, or the outcome of a step of an earlier stage.",
            },
            "each": {"type": "string", "pattern": INPUT, "description": "A list; the step is done for each of it."},
            "do": {"$ref": "#/$defs/do"},
            "pick": {
                "description": "Which of the found targets are changed.",
                "anyOf": [
                    {"enum": ["operator", "all"]},
                    {"type": "array", "minItems": 1, "items": {"type": "string"}},
                ],
            },
            "on_error": {
                "enum": ["continue", "next-target", "stop"],
                "default": "continue",
                "description": "What follows if a change fails.",
            },
        },
    })
}

/// One of the catalogue: a map of exactly one key. Said with `properties` rather than `oneOf`, so that an editor completes the
/// ids and points at the argument that is wrong.
fn one_action(actions: &[ActionFacts]) -> Value {
    let by_id: Map<String, Value> = actions.iter().map(|facts| (facts.id.clone(), action(facts))).collect();
    json!({
        "type": "object",
        "description": "One action with its arguments.",
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
        "properties": by_id,
    })
}

fn action(facts: &ActionFacts) -> Value {
    let parameters = Parameters::of(&facts.input);
    let required: Vec<&str> = parameters.list.iter().filter(|one| one.required).map(|one| one.name.as_str()).collect();
    let properties: Map<String, Value> =
        parameters.list.iter().map(|one| (one.name.clone(), argument(one, &facts.input))).collect();
    let mut schema = json!({
        "type": "object",
        "title": facts.title,
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    });
    let description = follow(&facts.input, &facts.input).get("description");
    let branches: Vec<Value> = parameters.alternatives.iter().map(|set| json!({"required": set})).collect();
    if let Some(map) = schema.as_object_mut() {
        map.extend(description.map(|text| ("description".to_owned(), text.clone())));
        if !branches.is_empty() {
            let key = if parameters.exclusive { "oneOf" } else { "anyOf" };
            map.insert(key.to_owned(), Value::Array(branches));
        }
    }
    schema
}

/// What an argument takes: a literal of its type, or a reference.
fn argument(parameter: &Parameter, root: &Value) -> Value {
    let Some((kind, bounds)) = &parameter.shape else {
        return json!(false);
    };
    let (least, most) = match (&kind.kind, kind.many) {
        (_, true) => ("minItems", "maxItems"),
        (Kind::Integer, _) => ("minimum", "maximum"),
        _ => ("minLength", "maxLength"),
    };
    let mut value = literal(kind);
    if let Some(map) = value.as_object_mut() {
        map.extend(bounds.min.map(|min| (least.to_owned(), json!(min))));
        map.extend(bounds.max.map(|max| (most.to_owned(), json!(max))));
    }
    let mut any = vec![value, json!({"type": "string", "pattern": INPUT, "description": "An input."})];
    if !kind.many && matches!(kind.kind, Kind::User | Kind::ServicePrincipal) {
        any.push(json!({"const": "each", "description": "The one that the step is at."}));
    }
    let mut schema = json!({"anyOf": any});
    if let (Some(map), Some(text)) = (schema.as_object_mut(), description(&parameter.fragment, root)) {
        map.insert("description".to_owned(), text.clone());
    }
    schema
}

/// The rustdoc of the field, or else of its type.
fn description<'v>(fragment: &'v Value, root: &'v Value) -> Option<&'v Value> {
    let inner = || fragment.get("anyOf").and_then(|branches| branches.get(0));
    let own = fragment.get("description");
    own.or_else(|| follow(inner().unwrap_or(fragment), root).get("description"))
}

fn literal(kind: &Type) -> Value {
    if kind.many {
        let item = literal(&Type { kind: kind.kind.clone(), many: false });
        return json!({"type": "array", "items": item});
    }
    let guid = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";
    match &kind.kind {
        Kind::User => json!({
            "type": "string",
            "pattern": format!("^([A-Za-z0-9'._!^~-]+(#[Ee][Xx][Tt]#)?@[A-Za-z0-9.-]+|{guid})$"),
        }),
        Kind::ServicePrincipal => json!({"type": "string", "pattern": format!("^{guid}$")}),
        Kind::Timestamp => {
            json!({"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT"})
        }
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Text => json!({"type": "string"}),
        Kind::Choice(words) => json!({"enum": words}),
    }
}
