//! `resume --decide`: what reading cannot settle, a person does.
#![cfg(unix)]

use mock_server::faults::{Effect, Fault, Match};
use serde_json::Value;

use crate::lab::{Ended, Lab};

/// Reads by which a run that is taken up looks for an open call.
const LOOKS: u64 = 3;

/// A lab with a run that was killed over its first intent; gives the digest, the run, and the change.
fn killed() -> (Lab, String, String) {
    let lab = Lab::aitm();
    let digest = lab.plan();
    // 0 opened, 1 approved, 2 stage, 3 observed, 4 intent
    let mut command = lab.command(&["apply", "plan.json", "--approve", &digest]);
    drop(command.env("STAUNCH_CRASH_AFTER", "4").output().unwrap());
    let run = lab.run_id();
    let last = records(&lab, &run).pop().unwrap();
    assert_eq!(last["type"], "intent");
    let change = last["change"].as_str().unwrap().to_owned();
    (lab, run, change)
}

fn records(lab: &Lab, run: &str) -> Vec<Value> {
    let shown = lab.staunch(&["audit", "show", run, "--format", "json"]);
    let lines: Vec<Value> = serde_json::from_str(&shown.stdout).unwrap();
    lines.into_iter().map(|mut line| line["record"].take()).collect()
}

/// Resumes while the account cannot be read at first.
fn resume_blind(lab: &Lab, run: &str, more: &[&str]) -> Ended {
    let on = Match::method_path("GET", "/users/");
    let denied = Effect::ServerError { status: 403, applied: false };
    lab.tenant.faults().add(Fault::nth(on, 0, LOOKS, denied));
    let ended = lab.staunch(&[&["resume", run], more].concat());
    lab.tenant.faults().clear();
    ended
}

#[test]
fn nobody_to_ask_is_exit_4_and_nothing_is_sent_until_it_is_decided() {
    let (lab, run, change) = killed();
    let asked = resume_blind(&lab, &run, &[]);
    assert_eq!(asked.code, Some(4), "{}", asked.text());
    assert!(asked.stderr.contains(&format!("--decide {change}=applied|not-applied|unknown")), "{}", asked.stderr);
    assert_eq!(lab.mutations(), 0);
    let left = records(&lab, &run);
    let kinds: Vec<&str> = left.iter().rev().take(2).map(|record| record["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["interrupted", "reconciled"]);
    assert_eq!(left[left.len() - 2]["found"], "indeterminate");

    let decided = resume_blind(&lab, &run, &["--decide", &format!("{change}=not-applied"), "--by", "ilse"]);
    assert_eq!(decided.code, Some(0), "{}", decided.text());
    let records = records(&lab, &run);
    let said = records.iter().find(|record| record["type"] == "decided").unwrap();
    assert_eq!((&said["said"], &said["by"], &said["how"]), (&"not-applied".into(), &"ilse".into(), &"flag".into()));
    assert_eq!(lab.staunch(&["audit", "verify", &run]).code, Some(50));
}

#[test]
fn what_reading_settles_needs_no_decision() {
    let (lab, run, change) = killed();
    let resumed = lab.staunch(&["resume", &run, "--decide", &format!("{change}=applied")]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.text());
    assert!(resumed.stderr.contains(&format!("{change} needs no decision")), "{}", resumed.stderr);
    assert!(!records(&lab, &run).iter().any(|record| record["type"] == "decided"));
}

#[test]
fn a_wrong_decision_is_a_wrong_command_line() {
    let (lab, run, change) = killed();
    let twice = [format!("{change}=applied"), format!("{change}=unknown")];
    for wrong in [["c999=applied", "c999=applied"], [&change, &change], ["=", "="], [&twice[0], &twice[1]]] {
        let ended = lab.staunch(&["resume", &run, "--decide", wrong[0], "--decide", wrong[1]]);
        assert_eq!(ended.code, Some(2), "{wrong:?}: {}", ended.text());
    }
    assert_eq!(lab.mutations(), 0);
}
