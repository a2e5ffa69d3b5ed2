//! Tests of the language as a whole: good files, one bad file for every rule, lints, binding, the schema, the shipped playbooks
//! and the documentation.

mod bind;
mod catalogue;
mod documents;
mod errors;
mod fuzz;
mod lints;
mod spoiled;
mod types;

use super::{Diagnostic, Playbook, parse, schema};
use catalogue::Actions;

const CATALOGUE: Actions = Actions { inline: false };

/// A file that has no errors and no warnings, to be spoiled.
const GOOD: &str = "\
schema: staunch/v1
id: good
version: 1.0.0
title: A good playbook
inputs:
  users: {type: users, min: 1, max: 3}
  since: {type: timestamp}
  block: {type: bool, default: true}
limits: {changes: 60, targets: {auth-method: 20}}
stages:
  - id: cut
    steps:
      - {id: block, when: inputs.block, each: inputs.users, do: {user.block-sign-in: {user: each}}}
      - {id: sessions, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
  - id: rotate
    gate: verified
    steps:
      - {id: password, each: inputs.users, do: {user.reset-password: {user: each, hand_over: sealed}}, on_error: stop}
  - id: persistence
    why: Methods outlive a password.
    steps:
      - id: methods
        when: steps.password.outcome
        each: inputs.users
        do: {user.remove-auth-methods: {user: each, registered_after: inputs.since}}
        pick: operator
  - id: cut-again
    steps:
      - {id: again, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
";

fn errors(text: &str) -> Vec<Diagnostic> {
    parse("test.yaml", text, &CATALOGUE).expect_err("the file has an error")
}

fn playbook(text: &str) -> (Playbook, Vec<Diagnostic>) {
    let shown = |found: &Vec<Diagnostic>| found.iter().map(|one| one.render(false)).collect::<Vec<_>>().join("\n");
    parse("test.yaml", text, &CATALOGUE).unwrap_or_else(|found| panic!("{}", shown(&found)))
}

#[test]
fn a_good_file_has_neither_errors_nor_warnings() {
    let (playbook, lints) = playbook(GOOD);
    assert_eq!(lints, []);
    assert_eq!((playbook.id(), playbook.version(), playbook.title()), ("good", "1.0.0", "A good playbook"));
    assert_eq!(playbook.inputs().len(), 3);
    assert_eq!(playbook.limits().targets["auth-method"], 20);
    let actions = ["user.block-sign-in", "user.revoke-sessions", "user.reset-password", "user.remove-auth-methods"];
    assert_eq!(playbook.actions(), actions);
}

#[test]
fn schemas_with_everything_inlined_are_read_the_same() {
    assert!(parse("test.yaml", GOOD, &Actions { inline: true }).is_ok());
    let bad = GOOD.replace("hand_over: sealed", "hand_over: shouted");
    let inlined = parse("test.yaml", &bad, &Actions { inline: true }).expect_err("a bad word");
    assert_eq!(inlined, errors(&bad));
    assert_eq!(inlined[0].code, "bad-value");
}

#[test]
fn quotes_around_an_id_change_nothing() {
    let quoted = GOOD.replace("{id: password,", "{id: 'password',");
    assert_eq!(playbook(&quoted).1, []);
}
