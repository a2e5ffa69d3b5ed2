//! Lints: a valid file for each, its warning, its place; and the change that silences it.

use super::{GOOD, playbook};
use crate::playbook::{CODES, Severity};

/// The good file with its last stage, and whatever stands between, as wanted.
fn staged(stages: &str) -> String {
    let head = GOOD.split("stages:").next().expect("a head");
    let head = head.replace("  since: {type: timestamp}\n", "").replace("  block: {type: bool, default: true}\n", "");
    format!("{head}handover: [{{to: tenant-owner, task: Look}}]\nstages:\n{stages}")
}

fn stage(id: &str, action: &str) -> String {
    format!("  - {{id: {id}, steps: [{{id: s-{id}, each: inputs.users, do: {{{action}: {{user: each}}}}}}]}}\n")
}

const CUT: &str = "user.revoke-sessions";
const RESET: &str = "user.reset-password";
const METHODS: &str = "user.remove-auth-methods";
const DEVICES: &str = "device.disable";

/// Code, line and column of every warning.
fn warnings(text: &str) -> Vec<(&'static str, usize, usize)> {
    let (_, found) = playbook(text);
    assert!(found.iter().all(|one| one.severity == Severity::Warning && one.help.is_some()));
    found.into_iter().map(|one| (one.code, one.line, one.column)).collect()
}

fn codes(stages: &[String]) -> Vec<&'static str> {
    warnings(&staged(&stages.concat())).into_iter().map(|(code, ..)| code).collect()
}

#[test]
fn the_whole_order_is_without_warnings() {
    let order = [stage("a", CUT), stage("b", RESET), stage("c", METHODS), stage("d", DEVICES), stage("e", CUT)];
    assert_eq!(codes(&order), [] as [&str; 0]);
}

#[test]
fn a_persistence_change_before_its_cut() {
    let text = staged(&[stage("a", DEVICES), stage("b", CUT)].concat());
    assert_eq!(warnings(&text), [("change-before-cut", 10, 56)]);
    assert_eq!(codes(&[stage("a", CUT), stage("b", DEVICES)]), [] as [&str; 0]);
}

#[test]
fn a_cut_in_the_same_stage_is_not_before() {
    let both = stage("a", CUT).replace("]}\n", ", {id: t, each: inputs.users, do: {device.disable: {user: each}}}]}\n");
    assert_eq!(codes(&[both]), ["change-before-cut"]);
}

#[test]
fn a_cut_of_somebody_else_or_on_a_condition_does_not_count() {
    let other =
        "  - {id: a, steps: [{id: x, do: {user.revoke-sessions: {user: other@sunnyside.example}}}]}\n".to_owned();
    assert_eq!(codes(&[other, stage("b", DEVICES)]), ["change-before-cut"]);
    let condition =
        GOOD.replace("      - {id: sessions, each: inputs.users, do: {user.revoke-sessions: {user: each}}}\n", "");
    let found: Vec<_> = warnings(&condition).into_iter().map(|(code, ..)| code).collect();
    assert_eq!(found, ["change-before-cut"]);
    let same = condition.replace("when: steps.password.outcome", "when: inputs.block");
    assert_eq!(warnings(&same), []);
}

#[test]
fn an_application_by_itself_needs_no_cut() {
    let text = staged(
        "  - {id: a, steps: [{id: x, do: {app.disable-service-principal: {app: 6e7b768e-07e2-4810-8459-485f84f8f204}}}]}\n",
    );
    let used = text.replace("  users: {type: users, min: 1, max: 3}\n", "  {}\n");
    assert_eq!(warnings(&used), []);
}

#[test]
fn a_method_removed_before_the_password_is_rotated() {
    let order = [stage("a", CUT), stage("b", METHODS), stage("c", RESET), stage("d", CUT)];
    assert_eq!(codes(&order), ["method-before-password"]);
}

#[test]
fn no_cut_after_the_last_factor() {
    let text = staged(&[stage("a", CUT), stage("b", RESET), stage("c", METHODS)].concat());
    assert_eq!(warnings(&text), [("no-cut-after-factors", 12, 56)]);
    assert_eq!(codes(&[stage("a", RESET)]), ["no-cut-after-factors"]);
}

#[test]
fn a_removal_where_disabling_exists() {
    let order = [stage("a", CUT), stage("b", "mailbox.remove-inbox-rules")];
    assert_eq!(codes(&order), ["remove-not-disable"]);
    let (_, found) = playbook(&staged(&order.concat()));
    assert!(found[0].message.contains("`mailbox.disable-inbox-rules`"));
}

#[test]
fn a_disabled_object_that_is_handed_over_to_nobody() {
    let text = staged(&[stage("a", CUT), stage("b", DEVICES)].concat());
    let text = text.replace("handover: [{to: tenant-owner, task: Look}]\n", "");
    assert_eq!(warnings(&text), [("no-handover", 10, 56)]);
}

#[test]
fn pick_all_without_a_tight_limit() {
    let all = |limits: &str| {
        let text =
            GOOD.replace("pick: operator", "pick: all").replace("{changes: 60, targets: {auth-method: 20}}", limits);
        warnings(&text).into_iter().map(|(code, line, column)| (code, line - 20, column)).collect::<Vec<_>>()
    };
    assert_eq!(all("{changes: 60, targets: {auth-method: 20}}"), []);
    assert_eq!(all("{changes: 60}"), [("pick-all-unlimited", 6, 15)]);
    assert_eq!(all("{changes: 60, targets: {auth-method: 60}}"), [("pick-all-unlimited", 6, 15)]);
    assert_eq!(all("{changes: 10, targets: {auth-method: 20}}"), [("pick-all-unlimited", 6, 15)]);
}

#[test]
fn inputs_and_each_that_are_not_used() {
    let unused = GOOD.replace("  block:", "  spare: {type: text}\n  block:");
    assert_eq!(warnings(&unused), [("unused-input", 8, 3)]);
    let each = GOOD.replace("user.block-sign-in: {user: each}", "user.block-sign-in: {user: other@sunnyside.example}");
    assert_eq!(warnings(&each), [("unused-each", 13, 47)]);
}

#[test]
fn no_warning_code_is_without_a_test() {
    let here = include_str!("lints.rs");
    for code in CODES.iter().filter(|code| code.severity == Severity::Warning) {
        assert!(here.contains(&format!("\"{}\"", code.code)), "no test of the lint `{}`", code.code);
    }
}
