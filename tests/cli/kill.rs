//! A run that is killed after any of its records, and resumed, ends as if nothing had happened.
#![cfg(unix)]

use std::{
    os::unix::process::ExitStatusExt as _,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use serde_json::Value;

use crate::lab::{Ended, Lab};

const SIGKILL: i32 = 9;
/// Killed runs at a time: each waits for the disk most of the time.
const AT_ONCE: usize = 4;

/// The actions that the incident's playbook does not use.
const REMOVE: &str = "\
schema: staunch/v1
id: remove
version: 1.0.0
title: Remove what was planted
inputs: {users: {type: users}}
limits: {changes: 10}
stages:
  - id: only
    steps:
      - {id: rules, each: inputs.users, pick: operator, do: {mailbox.remove-inbox-rules: {user: each}}}
";

#[test]
fn a_run_of_the_incident_killed_after_any_record_resumes_to_the_same_end() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    killed_anywhere(&lab, &digest, 50);
}

#[test]
fn a_run_that_removes_killed_after_any_record_resumes_to_the_same_end() {
    let lab = Lab::aitm();
    lab.write("remove.yaml", REMOVE);
    let users = format!("users={}", lab.tenant.incident().victims[0]);
    let rules: Vec<String> =
        lab.planted().into_iter().filter(|object| object.kind == "inboxRule").map(|object| object.id).collect();
    let pick = format!("rules={}", rules.join(","));
    let digest = lab.plan_to_file(&["plan", "remove.yaml", "-i", &users, "--pick", &pick, "--allow-irreversible"]);
    killed_anywhere(&lab, &digest, 10);
}

/// Kills runs of `plan.json` after each of their records, and resumes them.
fn killed_anywhere(lab: &Lab, digest: &str, least: u64) {
    let plan = std::fs::read_to_string(lab.path("plan.json")).unwrap();
    let whole = lab.staunch(&["apply", "plan.json", "--approve", digest]);
    assert_eq!(whole.code, Some(0), "{}", whole.text());
    let wanted = lab.comparable();

    let next = AtomicU64::new(0);
    let killed = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(|| {
                    let mut killed = 0_u64;
                    while kill_and_resume(next.fetch_add(1, Ordering::SeqCst), &plan, digest, &wanted) {
                        killed += 1;
                    }
                    killed
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<u64>()
    });
    assert!(killed > least, "only {killed} runs were killed");
}

/// False when the run ended before it had so many records.
fn kill_and_resume(record: u64, plan: &str, digest: &str, wanted: &Value) -> bool {
    let lab = Lab::aitm();
    lab.write("plan.json", plan);
    let mut command = lab.command(&["apply", "plan.json", "--approve", digest]);
    let output = command.env("STAUNCH_CRASH_AFTER", record.to_string()).output().unwrap();
    let signal = output.status.signal();
    let ended = Ended::of(output);
    if ended.code == Some(0) {
        return false;
    }
    assert_eq!(signal, Some(SIGKILL), "record {record}: {}", ended.text());
    let run = lab.run_id();
    let open = lab.staunch(&["audit", "verify", &run]);
    let closed = open.stdout.starts_with("consistent");
    if closed {
        // Killed after the last record: there is nothing to resume.
        assert_eq!(open.code, Some(50));
    } else {
        assert_eq!(open.code, Some(51), "record {record}: an open run must not verify");
        let resumed = lab.staunch(&["resume", &run, "--approve", digest]);
        assert_eq!(resumed.code, Some(0), "record {record}: {}", resumed.text());
    }
    let victim = lab.tenant.incident().victims[0].clone();
    assert!(lab.tenant.passwords_set(&victim) <= 1, "record {record}");
    assert_eq!(lab.comparable(), *wanted, "record {record}");
    let verified = lab.staunch(&["audit", "verify", &run]);
    assert_eq!(verified.code, Some(50), "record {record}: {}", verified.text());
    true
}
