//! One bad file for every rule, each with the place at which it is reported.

use super::spoiled::{self, MARK, Spoiled};
use super::{CATALOGUE, GOOD, errors};
use crate::playbook::{CODES, Diagnostic, Severity, parse_bytes};

/// The spoiled text, and the line and column of the mark in it.
fn spoil((code, find, put): &Spoiled) -> (String, (usize, usize)) {
    assert_eq!(GOOD.matches(find).count(), 1, "{code}: {find:?} stands once in the good file");
    let marked = GOOD.replacen(find, put, 1);
    let before = marked.split(MARK).next().expect("a part before the mark");
    assert_ne!(before, marked, "{code}: {put:?} has a mark");
    let line = before.split('\n').count();
    let column = before.rsplit('\n').next().expect("a line").chars().count() + 1;
    (marked.replace(MARK, ""), (line, column))
}

#[test]
fn every_rule_has_a_file_that_breaks_it_at_a_known_place() {
    let mut wrong = Vec::new();
    for spoiled in spoiled::all() {
        let (text, place) = spoil(&spoiled);
        let found = errors(&text);
        let shown: Vec<_> = found.iter().map(|one| (one.code, (one.line, one.column))).collect();
        if shown != [(spoiled.0, place)] {
            let messages: Vec<_> = found.iter().map(|one| one.message.as_str()).collect();
            wrong.push(format!("{spoiled:?}\n  expected at {place:?}, found {shown:?} {messages:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_error_code_is_without_a_file() {
    let special = ["not-utf-8", "too-large", "too-deep"];
    for code in CODES.iter().filter(|code| code.severity == Severity::Error) {
        let spoiled = spoiled::all();
        let covered = special.contains(&code.code) || spoiled.iter().any(|(other, ..)| *other == code.code);
        assert!(covered, "no file breaks the rule `{}`", code.code);
    }
}

#[test]
fn bytes_that_are_no_text_are_reported_where_they_start() {
    let found = parse_bytes("test.yaml", b"schema: staunch/v1\nid: \xff", &CATALOGUE).expect_err("not UTF-8");
    assert_eq!((found[0].code, found[0].line, found[0].column), ("not-utf-8", 2, 5));
    assert_eq!(found.len(), 1);
}

#[test]
fn a_file_or_line_that_is_too_large_is_not_parsed() {
    let large = format!("{GOOD}{}", "# padding\n".repeat(30_000));
    let found = errors(&large);
    assert_eq!((found[0].code, found[0].line, found.len()), ("too-large", 1, 1));
    let long = GOOD.replace("A good", &"long ".repeat(500));
    let found = errors(&long);
    assert_eq!((found[0].code, found[0].line, found.len()), ("too-large", 4, 1));
}

#[test]
fn deep_nesting_is_refused_where_it_gets_too_deep() {
    let deep = GOOD.replace("A good playbook", &format!("{}{}", "[".repeat(40), "]".repeat(40)));
    let found = errors(&deep);
    assert_eq!((found[0].code, found[0].line, found[0].column), ("too-deep", 4, 8 + 15));
    let flat = errors(&"[".repeat(100_000));
    assert_eq!(flat[0].code, "too-large");
}

#[test]
fn a_file_that_is_no_map_says_so() {
    for text in ["", "- a\n", "text", "# only a comment\n", "---\n"] {
        let found = errors(text);
        assert_eq!((found[0].code, found.len()), ("wrong-type", 1), "{text:?}");
    }
}

#[test]
fn all_errors_of_a_file_come_at_once_in_the_order_of_the_file() {
    let bad = "\
schema: staunch/v1
id: Bad
version: 1
tittle: A bad playbook
inputs:
  users: {type: user, max: 3}
  block: {type: bool, default: 'true'}
limits: {targets: {phone: 1}}
stages:
  - id: cut
    steps:
      - {id: block, when: inputs.blok, each: inputs.users, do: {user.block-signin: {user: each}}}
      - {id: block, do: {user.revoke-sessions: {user: each}, user.reset-password: {}}}
      - id: later
        id: again
        when: steps.block.outcome
";
    let found: Vec<_> = errors(bad).into_iter().map(|one| (one.line, one.column, one.code)).collect();
    let expected = [
        (1, 1, "missing-key"),
        (2, 5, "bad-id"),
        (3, 10, "bad-value"),
        (4, 1, "unknown-key"),
        (6, 28, "bounds-not-allowed"),
        (7, 32, "wrong-type"),
        (8, 9, "missing-key"),
        (8, 20, "unknown-target-kind"),
        (12, 27, "unknown-input"),
        (12, 65, "unknown-action"),
        (13, 14, "duplicate-id"),
        (13, 55, "each-outside-loop"),
        (13, 62, "several-actions"),
        (14, 9, "missing-key"),
        (15, 9, "duplicate-key"),
        (16, 15, "later-step"),
    ];
    assert_eq!(found, expected);
}

fn one(find: &str, put: &str) -> Diagnostic {
    let found = errors(&GOOD.replacen(find, put, 1));
    found.into_iter().next().expect("an error")
}

#[test]
fn what_is_near_is_suggested() {
    let help = |find, put| {
        let found = errors(&GOOD.replacen(find, put, 1));
        found.into_iter().find_map(|one| one.help).expect("a suggestion")
    };
    assert_eq!(help("user.reset-password", "user.reset_pasword"), "did you mean `user.reset-password`?");
    assert_eq!(help("when: inputs.block", "when: inputs.blok"), "did you mean `block`?");
    assert_eq!(help("hand_over: sealed", "handover: sealed"), "did you mean `hand_over`?");
    assert_eq!(help("title:", "titel:"), "did you mean `title`?");
    assert_eq!(help("auth-method: 20", "auth_methods: 20"), "did you mean `auth-method`?");
    assert_eq!(help("id: cut-again", "id: Cut_again"), "did you mean `cut-again`?");
    assert!(help("type: timestamp", "type: zebra").starts_with("one of: user, users,"));
    assert!(help("{type: timestamp}", "{type: timestamp, help: a, b c}").contains("quotes"));
    assert!(help("user: each, hand_over", "user: inputs.users, hand_over").contains("`each: inputs.users`"));
}

#[test]
fn a_diagnostic_shows_file_line_column_the_line_and_help() {
    let shown = one("user.reset-password", "user.reset-pasword").render(false);
    insta::assert_snapshot!(shown, @r"
    error[unknown-action]: there is no action `user.reset-pasword`
      --> test.yaml:18:49
       |
    18 |       - {id: password, each: inputs.users, do: {user.reset-pasword: {user: each, hand_over: sealed}}, on_error: stop}
       |                                                 ^^^^^^^^^^^^^^^^^^
       |
    help: did you mean `user.reset-password`?
    ");
    let colored = one("user.reset-password", "user.reset-pasword").render(true);
    assert!(colored.contains("\u{1b}["));
}

#[test]
fn what_is_shown_cannot_talk_to_the_terminal() {
    let spoiled = GOOD.replace("A good", "A \u{1b}[2J\u{202e}good").replace("id: good", "id: \"x\\e[2J\"");
    for one in errors(&spoiled) {
        let shown = format!("{}{}", one.render(false), serde_json::to_string(&one).expect("it serialises"));
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
    }
}

#[test]
fn columns_count_characters_not_bytes() {
    let found = one("A good playbook", "\"Überfällige Prüfung\" x");
    assert_eq!((found.code, found.line), ("yaml-syntax", 4));
    let found = one("{type: timestamp}", "{help: äöü, typ: timestamp}");
    assert_eq!((found.code, found.line, found.column, found.length), ("missing-key", 7, 10, 1));
    let tail = errors(&GOOD.replace("{type: timestamp}", "{help: äöü, typ: timestamp}"));
    assert_eq!((tail[1].code, tail[1].column, tail[1].length), ("unknown-key", 22, 3));
}

#[test]
fn a_flood_of_errors_is_cut_and_said_to_be() {
    let flood: String = (0..30_000).map(|n| format!("k{n}:\n")).collect();
    let found = errors(&format!("{GOOD}{flood}"));
    assert_eq!(found.len(), 200);
    assert_eq!(found[199].help.as_deref(), Some("29800 more are not shown"));
}
