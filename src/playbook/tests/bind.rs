//! Binding: values in, references gone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{GOOD, playbook};
use crate::playbook::{Bound, Gate, InputError, OnError, Pick, When, parse_input};

fn values(value: Value) -> BTreeMap<String, Value> {
    value.as_object().expect("a map").clone().into_iter().collect()
}

fn good_values() -> BTreeMap<String, Value> {
    values(json!({
        "users": ["Johanna@sunnyside.example", "6E7B768E-07E2-4810-8459-485F84F8F204", "johanna@SUNNYSIDE.example"],
        "since": "2023-12-12T22:50:17+09:00",
    }))
}

fn bound(text: &str, values: &BTreeMap<String, Value>) -> Bound {
    playbook(text).0.bind(values).expect("the values are good")
}

#[test]
fn references_are_replaced_and_values_normalised() {
    let bound = bound(GOOD, &good_values());
    let users = json!(["Johanna@sunnyside.example", "6e7b768e-07e2-4810-8459-485f84f8f204"]);
    assert_eq!(bound.inputs["users"], users);
    assert_eq!(bound.inputs["since"], json!("2023-12-12T13:50:17Z"));
    assert_eq!(bound.inputs["block"], json!(true));
    let methods = &bound.stages[2].steps[0];
    assert_eq!(methods.runs.len(), 2);
    assert_eq!(methods.runs[0].each.as_deref(), Some("Johanna@sunnyside.example"));
    assert_eq!(
        methods.runs[0].input,
        json!({"user": "Johanna@sunnyside.example", "registered_after": "2023-12-12T13:50:17Z"})
    );
    assert_eq!(methods.when, When::Outcome { step: "password".into() });
}

#[test]
fn what_is_named_is_picked_and_what_is_found_is_asked_for() {
    let bound = bound(&GOOD.replace("        pick: operator\n", ""), &good_values());
    assert_eq!(bound.stages[0].steps[0].pick, Pick::All);
    assert_eq!(bound.stages[2].steps[0].pick, Pick::Operator);
    let ids = GOOD.replace("pick: operator", "pick: ['7', m-1]");
    assert_eq!(
        super::bind::bound(&ids, &good_values()).stages[2].steps[0].pick,
        Pick::Ids(vec!["7".into(), "m-1".into()])
    );
}

#[test]
fn gates_and_error_rules_are_carried_over() {
    let bound = bound(GOOD, &good_values());
    assert_eq!((bound.stages[0].gate, bound.stages[1].gate), (Gate::None, Gate::Verified));
    assert_eq!(bound.stages[1].steps[0].on_error, OnError::Stop);
    assert_eq!(bound.stages[0].steps[0].on_error, OnError::Continue);
}

#[test]
fn a_step_whose_condition_is_false_is_never_done_nor_what_waits_for_it() {
    let waits = GOOD.replace("when: steps.password.outcome", "when: steps.block.outcome");
    let mut values = good_values();
    values.insert("block".into(), json!(false));
    let bound = bound(&waits, &values);
    assert_eq!(bound.stages[0].steps[0].when, When::Never { reason: "input `block` is false".into() });
    assert_eq!(bound.stages[0].steps[0].runs, []);
    assert_eq!(bound.stages[2].steps[0].when, When::Never { reason: "step `block` is not done".into() });
    assert_eq!(bound.stages[0].steps[1].when, When::Always);
}

#[test]
fn all_bad_values_are_reported_at_once() {
    let (playbook, _) = playbook(GOOD);
    let bad = values(json!({"user": ["a@b.example"], "users": [], "block": "true"}));
    let found = playbook.bind(&bad).expect_err("bad values");
    assert_eq!(found[0], InputError::Unknown { name: "user".into(), nearest: Some("users".into()) });
    assert_eq!(
        found[1],
        InputError::Invalid { name: "users".into(), reason: "0 entries, but at least 1 needed".into() }
    );
    assert_eq!(found[2], InputError::Missing { name: "since".into(), kind: "timestamp" });
    assert_eq!(
        found[3].to_string(),
        "input `block`: expected `true` or `false`, without quotes, found the text `true`"
    );
    assert_eq!(found.len(), 4);
}

#[test]
fn a_bound_playbook_survives_json() {
    let bound = bound(GOOD, &good_values());
    let text = serde_json::to_string(&bound).expect("it serialises");
    assert_eq!(serde_json::from_str::<Bound>(&text).expect("it reads back"), bound);
    assert_eq!(bound.sha256.len(), 64);
}

#[test]
fn texts_of_the_command_line_become_values() {
    let text = GOOD.replace("  block:", "  n: {type: integer, min: 1}\n  w: {type: choice, of: [a, b]}\n  block:");
    let (playbook, _) = playbook(&text);
    let parse = |name: &str, text: &str| {
        let decl = playbook.inputs().iter().find(|decl| decl.name == name).expect("it is declared");
        parse_input(decl, text).map_err(|error| error.to_string())
    };
    assert_eq!(parse("users", "a@b.example, c@d.example\n"), Ok(json!(["a@b.example", "c@d.example"])));
    assert_eq!(parse("block", "false"), Ok(json!(false)));
    assert_eq!(parse("n", "7"), Ok(json!(7)));
    assert_eq!(parse("w", "b"), Ok(json!("b")));
    assert_eq!(parse("since", "2023-12-12T13:50:17.5Z"), Ok(json!("2023-12-12T13:50:17.5Z")));
    assert!(parse("n", "0").expect_err("too small").contains("at least 1"));
    assert!(parse("n", "7.5").expect_err("no integer").contains("whole number"));
    assert!(parse("w", "c").expect_err("no such word").contains("a, b"));
    assert!(parse("block", "yes").expect_err("not strict").contains("true"));
}

#[test]
fn a_list_that_is_empty_leaves_the_step_out_and_says_why() {
    let mut values = good_values();
    values.insert("users".into(), json!([]));
    let bound = bound(&GOOD.replace("min: 1, max: 3", "max: 3"), &values);
    let steps: Vec<_> = bound.stages.iter().flat_map(|stage| &stage.steps).collect();
    assert!(steps.iter().all(|step| step.runs.is_empty()));
    assert_eq!(steps[1].when, When::Never { reason: "input `users` is empty".into() });
    assert_eq!(steps[3].when, When::Never { reason: "step `password` is not done".into() });
}
