//! The shipped playbooks, the schema, and the documentation: what it shows is read, what it lists is complete.

use serde_json::{Value, json};

use super::{Actions, CATALOGUE, GOOD, errors, playbook};
use crate::playbook::{CODES, Severity, schema};

const AITM: &str = include_str!("../../../playbooks/aitm-account-takeover.yaml");
const FIRST: &str = include_str!("../../../playbooks/first-five-minutes.yaml");
const GUIDE: &str = include_str!("../../../docs/playbook.md");

/// What an editor sees: the file as plain data.
fn data(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("the file is YAML")
}

fn validator() -> jsonschema::Validator {
    let schema = schema(&CATALOGUE);
    assert!(jsonschema::meta::is_valid(&schema));
    jsonschema::validator_for(&schema).expect("the schema compiles")
}

#[test]
fn shipped_playbooks_have_neither_errors_nor_warnings() {
    for text in [AITM, FIRST] {
        let (playbook, warnings) = playbook(text);
        assert_eq!(warnings, [], "{}", playbook.id());
        assert!(text.starts_with("# yaml-language-server: $schema=../docs/playbook.schema.json\n"));
        assert!(playbook.stages.iter().all(|stage| stage.why.is_some()));
    }
}

#[test]
fn the_long_playbook_cuts_rotates_cleans_and_cuts_again() {
    let (playbook, _) = playbook(AITM);
    let stages: Vec<&str> = playbook.stages.iter().map(|stage| stage.id.as_str()).collect();
    assert_eq!(stages, ["cut", "rotate", "persistence", "cut-again"]);
    assert_eq!(playbook.actions().len(), 7);
    assert_eq!(super::playbook(FIRST).0.actions(), ["user.block-sign-in", "user.revoke-sessions"]);
}

#[test]
fn the_schema_accepts_what_the_loader_accepts() {
    let validator = validator();
    for text in [AITM, FIRST, GOOD] {
        let found: Vec<String> = validator.iter_errors(&data(text)).map(|error| error.to_string()).collect();
        assert_eq!(found, [] as [&str; 0]);
    }
}

#[test]
fn the_schema_refuses_what_an_editor_should_underline() {
    let validator = validator();
    for (find, put) in [
        ("user.reset-password", "user.reset-pasword"),
        ("hand_over: sealed", "hand_over: shouted"),
        ("hand_over: sealed", "handover: sealed"),
        ("{user: each, hand_over: sealed}", "{hand_over: sealed}"),
        ("{user: each, hand_over: sealed}", "{user: each}, user.revoke-sessions: {user: each}"),
        ("registered_after: inputs.since", "registered_after: each"),
        ("user: each, hand_over", "user: somebody, hand_over"),
        ("default: true", "default: true, optional: true"),
        ("type: timestamp", "type: choice"),
        ("pick: operator", "pick: some"),
        ("when: inputs.block", "when: block"),
        ("changes: 60", "changes: 0"),
        ("auth-method: 20", "phone: 20"),
        ("staunch/v1", "staunch/v2"),
        ("id: cut-again", "id: Cut"),
    ] {
        let text = GOOD.replacen(find, put, 1);
        assert_ne!(text, GOOD);
        assert!(!errors(&text).is_empty());
        assert!(!validator.is_valid(&data(&text)), "the schema accepts {put:?}");
    }
}

#[test]
fn the_schema_carries_titles_and_descriptions_and_takes_references() {
    let schema = schema(&CATALOGUE);
    let actions = &schema["$defs"]["do"]["properties"];
    assert_eq!(actions.as_object().expect("a map").len(), 9);
    assert_eq!(actions["user.block-sign-in"]["title"], "Block sign-in");
    let methods = &actions["user.remove-auth-methods"]["properties"];
    assert_eq!(methods["registered_after"]["description"], "Only what was registered at or after this time.");
    let branches = methods["user"]["anyOf"].as_array().expect("a choice");
    assert!(branches.iter().any(|branch| branch["const"] == "each"));
    assert_eq!(
        actions["app.disable-service-principal"]["oneOf"],
        json!([{"required": ["app"]}, {"required": ["user"]}])
    );
    assert_eq!(actions["mailbox.disable-inbox-rules"]["properties"]["effects"]["anyOf"][0]["minItems"], 1);
    assert_eq!(schema, super::schema(&Actions { inline: true }));
}

/// The fenced blocks of the guide: what follows the fence, and the text.
fn blocks() -> Vec<(&'static str, String)> {
    let mut blocks = Vec::new();
    let mut lines = GUIDE.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```").filter(|kind| !kind.is_empty()) {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((kind, format!("{}\n", text.join("\n"))));
        }
    }
    blocks
}

/// A whole playbook around a part of one.
fn around(kind: &str, part: &str) -> String {
    let indent = |by: &str| part.lines().map(|line| format!("{by}{line}\n")).collect::<String>();
    match kind {
        "yaml" => part.to_owned(),
        "yaml inputs" => format!("{}{}", GOOD.replace("inputs:\n", &format!("inputs:\n{}", indent("  "))), ""),
        "yaml steps" => GOOD.replace(
            "  - id: cut-again\n",
            &format!("  - id: shown\n    steps:\n{}  - id: cut-again\n", indent("      ")),
        ),
        "yaml top" => format!("{GOOD}{part}"),
        other => panic!("no test reads a block of kind {other:?}"),
    }
}

#[test]
fn every_example_of_the_guide_is_good() {
    let examples: Vec<_> = blocks().into_iter().filter(|(kind, _)| kind.starts_with("yaml")).collect();
    assert!(examples.len() >= 5, "{}", examples.len());
    for (kind, text) in examples {
        playbook(&around(kind, &text));
    }
}

#[test]
fn the_guide_lists_every_code_with_its_rule_and_no_other() {
    let row = |line: &str| {
        line.strip_prefix("| `")
            .and_then(|rest| rest.split_once("` | "))
            .map(|(code, rest)| (code.to_owned(), rest.to_owned()))
    };
    for (heading, severity) in [("## Errors\n", Severity::Error), ("## Lints\n", Severity::Warning)] {
        let section =
            GUIDE.split(heading).nth(1).expect("the section is there").split("\n## ").next().expect("its text");
        let listed: Vec<(String, String)> = section.lines().filter_map(row).collect();
        let expected = CODES.iter().filter(|code| code.severity == severity);
        let shown: Vec<&str> = listed.iter().map(|(code, _)| code.as_str()).collect();
        assert_eq!(shown, expected.clone().map(|code| code.code).collect::<Vec<_>>());
        for (code, (_, rest)) in expected.zip(&listed) {
            let rule = code.rule.replace('|', "\\|");
            assert!(rest.starts_with(&rule), "{}: {rest:?} against {rule:?}", code.code);
        }
    }
}

#[test]
fn the_guide_names_every_key_and_type() {
    let schema = schema(&CATALOGUE);
    let keys = |at: &str| {
        let map = schema.pointer(at).and_then(Value::as_object).expect("a map of keys");
        map.keys().cloned().collect::<Vec<_>>()
    };
    let places = ["/properties", "/properties/counters/properties", "/properties/limits/properties"];
    let definitions = ["input", "stage", "step", "handover"].map(|name| format!("/$defs/{name}/properties"));
    for place in places.map(str::to_owned).into_iter().chain(definitions) {
        for key in keys(&place) {
            assert!(GUIDE.contains(&format!("| `{key}` |")), "the guide does not name `{key}` of {place}");
        }
    }
    for name in schema["$defs"]["input"]["properties"]["type"]["enum"].as_array().expect("types") {
        let name = name.as_str().expect("a name");
        assert!(GUIDE.contains(&format!("| `{name}` |")), "the guide does not name the type `{name}`");
    }
}
