//! A disk that takes no more in the middle of a run, as the binary meets it: one line says what was changed and what not.
#![cfg(unix)]

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::lab::{Ended, Lab};

/// The binary, whose disk is full after so many operations on the record.
fn apply_within(lab: &Lab, digest: &str, operations: u32) -> Ended {
    let mut command = lab.command(&["apply", "plan.json", "--approve", digest]);
    command.env("TMPDIR", lab.path("elsewhere")).env("STAUNCH_FULL_AFTER", operations.to_string());
    Ended::of(command.output().unwrap())
}

/// The ids of requests, from the lines of a type in a run's journal.
fn ids(lab: &Lab, run: &str, kind: &str) -> BTreeSet<String> {
    let shown = lab.staunch(&["audit", "show", run, "--format", "json"]);
    let lines: Value = serde_json::from_str(&shown.stdout).unwrap();
    let records = lines.as_array().unwrap().iter().map(|line| &line["record"]);
    let of_kind = records.filter(|record| record["type"] == kind);
    of_kind.map(|record| record["client_request_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_line_says_what_was_changed_and_resume_goes_on() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let plan = fs::read_to_string(lab.path("plan.json")).unwrap();
    let whole = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert_eq!(whole.code, Some(0), "{}", whole.text());
    let mutations = lab.mutations();
    let mut stopped = BTreeSet::new();
    for operations in [0, 3, 9, 20, 30, 40, 50, 60, 70, 80, 100, 140] {
        let lab = Lab::aitm();
        lab.write("plan.json", &plan);
        fs::create_dir(lab.path("elsewhere")).unwrap();
        let ended = apply_within(&lab, &digest, operations);
        assert_eq!(ended.code, Some(1), "after {operations}: {}", ended.text());
        let line = ended.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
        let run = lab.run_id();
        let announced = ids(&lab, &run, "intent");
        let done = lab.tenant.requests().into_iter().filter(|request| request.mutated);
        let done: BTreeSet<String> = done.map(|request| request.client_request_id.unwrap()).collect();
        assert!(done.is_subset(&announced), "after {operations}: changed without an intent on record");
        let spilled: Vec<_> = fs::read_dir(lab.path("elsewhere")).unwrap().collect();
        let is_told = line.contains(lab.path("elsewhere").to_str().unwrap());
        assert_eq!(!spilled.is_empty(), is_told, "after {operations}: {line}");
        assert_eq!(done.is_empty(), line.contains("nothing was changed"), "after {operations}: {line}");
        let unknown = !announced.is_subset(&ids(&lab, &run, "sent"));
        assert_eq!(unknown, line.contains("answered is not on record"), "after {operations}: {line}");
        assert!(line.contains("changed") && line.contains("storage space"), "after {operations}: {line}");
        stopped.insert(line.split_once("; ").unwrap().1.to_owned());

        let resumed = lab.staunch(&["resume", &run, "--approve", &digest]);
        assert_eq!(resumed.code, Some(0), "after {operations}: {}", resumed.text());
        assert_eq!(lab.mutations(), mutations, "after {operations}");
        assert_eq!(lab.staunch(&["audit", "verify", &run]).code, Some(50));
    }
    assert!(stopped.len() > 2, "{stopped:#?}");
}
