//! How a run ends on the command line: what stands last, and that it stands there whatever becomes of stdout.
#![cfg(unix)]

use std::{fs, process::Stdio};

use crate::lab::{Ended, Lab};

#[test]
fn the_last_line_on_stderr_says_how_it_ended() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let ended = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert!(ended.stderr.lines().last().unwrap().starts_with("CONTAINED — 9 done"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("staunch resume"), "{}", ended.stderr);
}

#[test]
#[cfg(target_os = "linux")]
fn a_report_that_cannot_be_printed_costs_nothing_of_the_run() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = lab.command(&["apply", "plan.json", "--approve", &digest]);
    let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let mut last = ended.stderr.trim_end().lines().rev();
    assert!(last.next().unwrap().starts_with("error: failed to write to stdout"), "{}", ended.stderr);
    assert!(last.next().unwrap().starts_with("CONTAINED — 9 done"), "{}", ended.stderr);
    assert!(ended.stderr.contains("staunch audit verify "), "{}", ended.stderr);
    assert_eq!(lab.staunch(&["audit", "verify", &lab.run_id()]).code, Some(50), "it is closed");
}

#[test]
fn a_plan_whose_run_was_killed_names_that_run_and_how_to_go_on() {
    // Killed before the first call, and in the middle of one.
    for (records, under_way) in [("2", false), ("4", true)] {
        let lab = Lab::aitm();
        let digest = lab.plan();
        let mut command = lab.command(&["apply", "plan.json", "--approve", &digest]);
        drop(command.env("STAUNCH_CRASH_AFTER", records).output().unwrap());
        let run = lab.run_id();
        let again = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
        assert_eq!(again.code, Some(3), "{}", again.text());
        assert!(again.stderr.contains("staunch resume ") && again.stderr.contains(&run), "{}", again.stderr);
        assert_eq!(again.stderr.contains("is not at its end"), !under_way, "{}", again.stderr);
        let resumed = lab.staunch(&["resume", &run]);
        assert_eq!(resumed.code, Some(0), "{}", resumed.text());
        let late = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
        assert!(late.code == Some(3) && late.stderr.contains("it was applied before, in run"), "{}", late.text());
        assert!(late.stderr.contains("staunch undo ") && late.stderr.contains(&run), "{}", late.stderr);
    }
}
