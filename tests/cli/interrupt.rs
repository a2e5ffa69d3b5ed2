//! Ctrl-C: the first ends a run cleanly, the second at once; `resume` goes on after either. SIGTERM and SIGHUP are as the
//! first.
#![cfg(unix)]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use mock_server::faults::{Effect, Fault, Match, RetryAfter};
use serde_json::Value;

use crate::lab::{Ended, Lab};

/// A run in which every change takes so many milliseconds, once the first was made: so that a signal comes in the middle.
fn under_way(lab: &Lab, digest: &str, milliseconds: u64) -> Child {
    let on = Match { method: Some("PATCH".into()), ..Match::default() };
    lab.tenant.faults().add(Fault::always(on, Effect::Delay(milliseconds)));
    let mut command = lab.command(&["apply", "plan.json", "--approve", digest]);
    begun(lab, &mut command)
}

/// A run that has changed something.
fn begun(lab: &Lab, command: &mut Command) -> Child {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while lab.mutations() == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing was changed");
        thread::yield_now();
    }
    child
}

fn interrupt(child: &Child) {
    signal(child, "-INT");
}

fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

fn records(lab: &Lab, run: &str) -> Vec<Value> {
    let shown = lab.staunch(&["audit", "show", run, "--format", "json"]);
    let lines: Vec<Value> = serde_json::from_str(&shown.stdout).unwrap();
    lines.into_iter().map(|mut line| line["record"].take()).collect()
}

fn of_type<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["type"] == kind).collect()
}

/// Goes on with a run, and compares its end with that of one that nobody interrupted.
fn resumes_to_the_same_end(lab: &Lab, run: &str, wanted: &Value) {
    lab.tenant.faults().clear();
    assert_eq!(lab.staunch(&["audit", "verify", run]).code, Some(51), "an open run must not verify");
    let resumed = lab.staunch(&["resume", run]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.text());
    let verified = lab.staunch(&["audit", "verify", run]);
    assert_eq!(verified.code, Some(50), "{}", verified.text());
    assert_eq!(lab.comparable(), *wanted);
    assert_eq!(lab.tenant.passwords_set("johanna@sunnyside08.example"), 1);
    let again = lab.staunch(&["resume", run]);
    assert_eq!(again.code, Some(3), "{}", again.text());
}

/// What the plan of a lab leads to when nobody interrupts it.
fn uninterrupted() -> Value {
    let lab = Lab::aitm();
    let digest = lab.plan();
    assert_eq!(lab.staunch(&["apply", "plan.json", "--approve", &digest]).code, Some(0));
    lab.comparable()
}

#[test]
fn an_interrupted_run_finishes_what_is_under_way_is_exit_130_and_resumes() {
    ended_by(&["-INT"]);
}

/// How a scheduler ends a job, and then a supervisor that loses its patience only a little.
#[test]
fn a_run_that_is_told_to_terminate_finishes_what_is_under_way_too() {
    ended_by(&["-TERM", "-TERM"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_whose_connection_is_gone_finishes_what_is_under_way_unless_it_was_told_to_stay() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim().to_owned();
    // Where this test runs under `nohup` itself, so does every program that it starts.
    if u64::from_str_radix(&ignored, 16).unwrap() & 1 == 0 {
        ended_by(&["-HUP"]);
    }
    let lab = Lab::aitm();
    let digest = lab.plan();
    let on = Match { method: Some("PATCH".into()), ..Match::default() };
    lab.tenant.faults().add(Fault::always(on, Effect::Delay(100)));
    let staunch = lab.command(&["apply", "plan.json", "--approve", &digest]);
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(staunch.get_program()).args(staunch.get_args());
    nohup.current_dir(lab.dir.path()).env("LAB_SECRET", lab.tenant.credentials().client_secret);
    let child = begun(&lab, &mut nohup);
    signal(&child, "-HUP");
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.text());
}

/// A run that these signals come to.
fn ended_by(signals: &[&str]) {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let child = under_way(&lab, &digest, 400);
    for it in signals {
        signal(&child, it);
    }
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{}", ended.text());
    assert!(ended.stderr.contains("no new change is begun"), "{}", ended.stderr);
    let run = lab.run_id();
    assert!(
        ended.stderr.contains(&format!("to go on with the run:\n  staunch resume case/runs/{run}\n")),
        "{}",
        ended.stderr
    );
    let records = records(&lab, &run);
    assert_eq!(records.last().unwrap()["type"], "interrupted");
    let (intents, sent) = (of_type(&records, "intent"), of_type(&records, "sent"));
    assert!(!intents.is_empty() && intents.len() == sent.len(), "an exchange was left without its answer");
    assert!(sent.iter().all(|sent| sent["outcome"] == "accepted"), "{sent:?}");
    let report = lab.staunch(&["report", &run]);
    assert_eq!(report.code, Some(0), "{}", report.text());
    resumes_to_the_same_end(&lab, &run, &uninterrupted());
}

#[test]
fn a_signal_ends_a_wait_of_minutes_that_was_told_and_nothing_is_sent() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let on = Match { method: Some("PATCH".into()), ..Match::default() };
    lab.tenant.faults().add(Fault::always(on, Effect::Throttle(RetryAfter::Seconds(3_600))));
    let mut command = lab.command(&["apply", "plan.json", "--approve", &digest]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("throttled by the directory until ") {
        line.clear();
        assert!(talk.read_line(&mut line).unwrap() > 0, "it ended without a word of the wait");
    }
    assert!(line.contains("(it asks for "), "as it was said: {line}");
    let began = Instant::now();
    interrupt(&child);
    let mut rest = String::new();
    talk.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(began.elapsed() < Duration::from_secs(60), "it waited on");
    assert!(!rest.contains("throttled by the directory"), "told once: {rest}");
    assert_eq!(lab.mutations(), 0);
    resumes_to_the_same_end(&lab, &lab.run_id(), &uninterrupted());
}

#[test]
fn what_is_throttled_beyond_the_deadline_is_left_and_can_be_given_up() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let on = Match { method: Some("PATCH".into()), ..Match::default() };
    lab.tenant.faults().add(Fault::always(on, Effect::Throttle(RetryAfter::Seconds(300))));
    let ended = lab.staunch(&["apply", "plan.json", "--approve", &digest, "--deadline", "1"]);
    assert_eq!(ended.code, Some(4), "{}", ended.text());
    let run = lab.run_id();
    assert!(ended.stderr.contains("not made for now: c001"), "{}", ended.stderr);
    assert!(ended.stderr.contains("staunch resume "), "{}", ended.stderr);
    assert!(!ended.stderr.contains(" failed: "), "{}", ended.stderr);
    let made = lab.mutations();
    assert_eq!(lab.staunch(&["audit", "verify", &run]).code, Some(51));
    assert_eq!(lab.staunch(&["undo", &run]).code, Some(3), "it is not over");

    let given_up = lab.staunch(&["resume", &run, "--give-up", "--deadline", "1"]);
    assert_eq!(given_up.code, Some(4), "{}", given_up.text());
    assert!(given_up.stderr.contains("c001 failed: the tenant refused: 429"), "{}", given_up.stderr);
    assert_eq!(lab.staunch(&["audit", "verify", &run]).code, Some(50));
    assert_eq!(lab.mutations(), made, "nothing more was sent");
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_record_is_right() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let answer = Duration::from_secs(15);
    let mut child = under_way(&lab, &digest, answer.as_millis().try_into().unwrap());
    let began = Instant::now();
    let mut talk = BufReader::new(child.stderr.take().unwrap());
    interrupt(&child);
    let mut line = String::new();
    while !line.contains("no new change is begun") {
        line.clear();
        assert!(talk.read_line(&mut line).unwrap() > 0, "it ended before the second signal");
    }
    interrupt(&child);
    let status = child.wait().unwrap();
    assert!(began.elapsed() < answer, "it waited for the answer");
    let mut rest = String::new();
    talk.read_to_string(&mut rest).unwrap();
    assert_eq!(status.code(), Some(130), "{rest}");
    assert!(rest.contains("stopped at once"), "{rest}");
    let run = lab.run_id();
    let before = records(&lab, &run);
    assert_eq!(of_type(&before, "intent").len(), of_type(&before, "sent").len() + 1);
    resumes_to_the_same_end(&lab, &run, &uninterrupted());
    let after = records(&lab, &run);
    let found = of_type(&after, "reconciled");
    assert!(found.len() == 1 && found[0]["found"] == "applied", "{found:?}");
}
