//! Playbooks as CACAO 2.0: by the schemas of OASIS, and by what those schemas leave open.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use common::{World, one_step};
use jsonschema::{Draft, Registry, Resource, Validator};
use regex::Regex;
use serde_json::{Value, json};
use staunch::{
    actions::REGISTRY,
    cacao::{self, Template},
    model::Item,
    playbook,
};

const BASE: &str = "https://raw.githubusercontent.com/oasis-open/cacao-json-schemas/main/schemas/";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The kept templates are what the actions plan today.
#[tokio::test]
async fn the_kept_calls_are_those_that_the_actions_plan() {
    let mut templates = BTreeMap::new();
    for action in REGISTRY.iter() {
        let world = World::aitm().await;
        let example = action.examples().first().unwrap();
        let input = serde_saphyr::from_str(example.input).unwrap();
        let file = world.plan(&one_step(action.meta().id, &input)).await;
        let change = file.plan().items().find_map(|(_, item)| match item {
            Item::Change(change) => Some(change),
            _ => None,
        });
        let change = change.unwrap_or_else(|| panic!("{}: the example plans no change", action.meta().id));
        let template = Template::of(example.title, &change.target, &change.calls);
        let text = serde_json::to_string(&template.calls).unwrap();
        for value in [&change.target.id, &change.target.lane, &world.victim()] {
            assert!(!text.contains(value.as_str()), "{}: {value} is left in {text}", action.meta().id);
        }
        templates.insert(action.meta().id, template);
    }
    let path = root().join("src/cacao/calls.json");
    let made = serde_json::to_string_pretty(&templates).unwrap() + "\n";
    if env::var_os("STAUNCH_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    assert_eq!(kept, made, "stale: run `STAUNCH_BLESS=1 cargo test --test cacao` and read the difference");
}

fn shipped() -> Vec<(String, String)> {
    let files = fs::read_dir(root().join("playbooks")).unwrap().map(|entry| entry.unwrap().path());
    let playbooks = files.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(".yaml") && !name.ends_with(".test.yaml")
    });
    playbooks.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

/// What the shipped playbooks leave out: one step alone, conditions on an outcome, a gate, a stop, fixed picks.
const CORNERS: &str = "\
schema: staunch/v1
id: corners
version: 1.2.3
title: Every turn of the language
inputs:
  users: {type: users, min: 1}
  since: {type: timestamp}
  block: {type: bool, default: false}
  apps: {type: service-principals, default: []}
limits: {changes: 9}
stages:
  - id: cut
    gate: verified
    steps:
      - {id: block, when: inputs.block, each: inputs.users, do: {user.block-sign-in: {user: each}}, on_error: stop}
  - id: then
    steps:
      - {id: sessions, when: steps.block.outcome, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
      - {id: rules, each: inputs.users, do: {mailbox.remove-inbox-rules: {user: each, effects: [forward]}}, pick: [\"1\"]}
";

fn exported(name: &str, text: &str) -> Value {
    let (playbook, _) = playbook::parse(name, text, &REGISTRY).unwrap_or_else(|errors| panic!("{errors:#?}"));
    cacao::export(&playbook, REGISTRY, "2026-11-22T23:00:00.1234567Z".parse().unwrap()).unwrap()
}

fn all() -> Vec<(String, Value)> {
    let corners = CORNERS.replace("  apps: {type: service-principals, default: []}\n", "");
    let mut all = vec![("corners".to_owned(), exported("corners", &corners))];
    all.extend(shipped().into_iter().map(|(name, text)| (name.clone(), exported(&name, &text))));
    assert!(all.len() > 2);
    all
}

/// A schema of the folder, with all others at hand. As they are, they name a draft that ignores the
/// `unevaluatedProperties` which they use: `strict` reads them by one that does not.
fn validator(of: &str, strict: bool) -> Validator {
    let dir = root().join("tests/vendor/cacao-json-schemas/schemas");
    let draft = if strict { Draft::Draft202012 } else { Draft::Draft7 };
    let mut registry = Registry::new().draft(draft);
    let mut open = vec![dir.clone()];
    let mut count = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(&dir).unwrap().display().to_string().replace('\\', "/");
            registry = registry.add(format!("{BASE}{name}"), Resource::from_contents(schema(&path, strict))).unwrap();
            count += 1;
        }
    }
    assert_eq!(count, 51);
    let registry = registry.prepare().unwrap();
    let options = jsonschema::options().with_draft(draft).with_registry(&registry);
    options.build(&json!({"$ref": format!("{BASE}{of}")})).unwrap()
}

fn schema(path: &Path, strict: bool) -> Value {
    let text = fs::read_to_string(path).unwrap();
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    if strict {
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        // Forbids what each kind of command adds to it.
        if path.ends_with("commands/command-data.json") {
            schema.as_object_mut().unwrap().remove("unevaluatedProperties");
        }
    }
    schema
}

fn errors(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn every_export_is_valid_by_the_schemas_of_oasis() {
    let published = validator("playbook.json", false);
    for (name, export) in all() {
        assert_eq!(errors(&published, &export), [""; 0], "{name}");
    }
    // The schemas are really asked.
    let (_, mut export) = all().remove(0);
    export["playbook_variables"]["__users__"]["value"] = json!(1);
    assert!(!published.is_valid(&export));
    export["playbook_variables"]["__users__"]["value"] = json!("1");
    assert!(published.is_valid(&export));
    export.as_object_mut().unwrap().remove("name");
    assert!(!published.is_valid(&export));
}

/// As published, they accept any property, and a command without its own.
#[test]
fn every_export_is_valid_by_the_schemas_as_they_are_meant() {
    let strict = validator("playbook.json", true);
    let commands = ["manual", "http-api"].map(|kind| (kind, validator(&format!("commands/{kind}.json"), true)));
    for (name, mut export) in all() {
        let mut kinds = BTreeSet::new();
        for step in export["workflow"].as_object_mut().unwrap().values_mut() {
            for command in step.get_mut("commands").and_then(Value::as_array_mut).into_iter().flatten() {
                let (kind, validator) = commands.iter().find(|(kind, _)| command["type"] == *kind).unwrap();
                assert_eq!(errors(validator, command), [""; 0], "{name}");
                kinds.insert(*kind);
                // By the playbook's schema a command has only what all commands have.
                let own = ["command", "headers", "content"];
                command.as_object_mut().unwrap().retain(|key, _| !own.contains(&key.as_str()));
            }
        }
        assert_eq!(kinds.len(), 2, "{name}");
        assert_eq!(errors(&strict, &export), [""; 0], "{name}");
        export["nothing"] = json!(1);
        assert!(!strict.is_valid(&export));
    }
}

/// Ids of steps that a step names.
fn successors(step: &Value) -> Vec<&str> {
    let one = ["on_completion", "on_success", "on_failure", "on_true", "on_false"];
    let one = one.iter().filter_map(|key| step.get(*key)?.as_str());
    let many = step.get("next_steps").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.chain(many).collect()
}

#[test]
fn every_step_has_a_successor_that_exists_and_can_be_reached() {
    for (name, export) in all() {
        let steps = export["workflow"].as_object().unwrap();
        for (id, step) in steps {
            let kind = step["type"].as_str().unwrap();
            assert!(id.starts_with(&format!("{kind}--")), "{name}: {id}");
            let has = |key: &str| step.get(key).is_some();
            let next = successors(step);
            assert!(next.iter().all(|next| steps.contains_key(*next)), "{name}: {step}");
            match kind {
                "end" => assert!(next.is_empty()),
                "parallel" => assert!(step["next_steps"].as_array().unwrap().len() > 1 && has("on_completion")),
                _ => assert!(has("on_completion") ^ (has("on_success") && has("on_failure")), "{name}: {step}"),
            }
        }
        let start = export["workflow_start"].as_str().unwrap();
        let (mut seen, mut open) = (BTreeSet::from([start]), vec![start]);
        while let Some(id) = open.pop() {
            open.extend(successors(&steps[id]).into_iter().filter(|next| seen.insert(next)));
        }
        assert_eq!(seen.len(), steps.len(), "{name}: a step is never reached");
    }
}

/// Each branch of a parallel, each body of a loop and each conditional branch ends in an end step of its own.
#[test]
fn every_branch_has_an_end_step_of_its_own() {
    for (name, export) in all() {
        let steps = &export["workflow"];
        let mut ends = Vec::new();
        for step in steps.as_object().unwrap().values() {
            let branches = step.get("next_steps").and_then(Value::as_array).into_iter().flatten();
            let branches = branches.chain(step.get("on_true")).chain(step.get("on_failure"));
            ends.extend(branches.map(|first| last_of(steps, first.as_str().unwrap())));
        }
        ends.push(last_of(steps, export["workflow_start"].as_str().unwrap()));
        let count = ends.len();
        let unique: BTreeSet<String> = ends.into_iter().collect();
        assert_eq!(unique.len(), count, "{name}");
        let all_ends = steps.as_object().unwrap().keys().filter(|id| id.starts_with("end--")).count();
        assert_eq!(all_ends, count, "{name}");
    }
}

fn last_of(steps: &Value, first: &str) -> String {
    let mut id = first.to_owned();
    for _ in 0..1000 {
        let step = &steps[&id];
        match step.get("on_completion").or(step.get("on_success")).and_then(Value::as_str) {
            Some(next) => id = next.to_owned(),
            None => {
                assert_eq!(step["type"], "end");
                return id;
            }
        }
    }
    panic!("the branch of {first} has no end");
}

#[test]
fn every_command_is_whole_and_every_id_and_variable_resolves() {
    let used = Regex::new(r"__[a-zA-Z][a-zA-Z0-9_-]*?__(:value)?").unwrap();
    for (name, export) in all() {
        let defined = |list: &str, id: &Value| export[list].get(id.as_str().unwrap()).is_some();
        for step in export["workflow"].as_object().unwrap().values().filter(|step| step["type"] == "action") {
            assert!(defined("agent_definitions", &step["agent"]), "{name}: {step}");
            let targets = step.get("targets").and_then(Value::as_array).into_iter().flatten();
            targets.for_each(|id| assert!(defined("target_definitions", id), "{name}: {id}"));
            for command in step["commands"].as_array().unwrap() {
                let text = command["command"].as_str().unwrap();
                match command["type"].as_str().unwrap() {
                    "manual" => assert!(text.len() > 20, "{text}"),
                    "http-api" => {
                        let parts: Vec<&str> = text.split(' ').collect();
                        assert!(
                            matches!(parts.as_slice(), ["POST" | "PATCH" | "DELETE", path, "HTTP/1.1"] if path.starts_with('/')),
                            "{text}"
                        );
                        assert!(step["agent"].as_str().unwrap().starts_with("http-api--"));
                        if let Some(content) = command.get("content") {
                            serde_json::from_str::<Value>(content.as_str().unwrap()).unwrap();
                        }
                    }
                    other => panic!("{other}"),
                }
            }
        }
        for agent in export["agent_definitions"].as_object().unwrap().values() {
            if let Some(id) = agent.get("authentication_info") {
                assert!(defined("authentication_info_definitions", id));
            }
        }
        let variables = export["playbook_variables"].as_object().unwrap();
        for found in used.find_iter(&export.to_string()) {
            let variable = found.as_str().trim_end_matches(":value");
            assert!(variables.contains_key(variable), "{name}: {variable} is not defined");
        }
    }
}

#[test]
fn ids_are_stable_and_differ_between_versions_and_times_have_three_digits() {
    let aitm = shipped().into_iter().find(|(name, _)| name.contains("aitm")).unwrap().1;
    let (one, again) = (exported("a", &aitm), exported("b", &aitm));
    assert_eq!(one.to_string(), again.to_string());
    let next = exported("a", &aitm.replace("version: 1.0.0", "version: 1.0.1"));
    assert_eq!(one["id"], next["id"], "versions of one playbook share its id");
    assert_ne!(one["workflow_start"], next["workflow_start"]);
    assert_eq!(one["created"], "2026-11-22T23:00:00.123Z");
    assert_eq!(one["modified"], one["created"]);
}

#[test]
fn techniques_and_countermeasures_are_carried_through() {
    let aitm = shipped().into_iter().find(|(name, _)| name.contains("aitm")).unwrap().1;
    let export = exported("a", &aitm);
    let of = |name: &str| -> BTreeSet<String> {
        let all = export["external_references"].as_array().unwrap();
        let ids = all.iter().filter(|it| it["name"] == name).map(|it| it["external_id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    let attack = of("MITRE ATT&CK 18.1");
    assert!(["T1557", "T1550.004", "T1564.008"].iter().all(|id| attack.contains(*id)), "{attack:?}");
    assert!(of("MITRE D3FEND 1.2.0").contains("D3-ANCI"));
    assert!(of("CISA COUN7ER").contains("CM0082"));
    assert!(of("Insider Threat Matrix").contains("PR030"));
    let all = export["external_references"].as_array().unwrap();
    for step in export["workflow"].as_object().unwrap().values() {
        let own = step.get("external_references").and_then(Value::as_array).into_iter().flatten();
        own.for_each(|reference| assert!(all.contains(reference), "{reference}"));
    }
}
