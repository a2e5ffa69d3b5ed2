//! Ctrl-C: the first ends a run cleanly, and `resume` goes on.
#![cfg(unix)]

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use mock_server::faults::{Effect, Fault, Match};

use crate::lab::{Ended, Lab};

#[test]
fn an_interrupted_run_is_exit_130_and_resumes() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    // Every change takes a while, so that the signal comes in the middle.
    lab.tenant
        .faults()
        .add(Fault::always(Match { method: Some("PATCH".into()), ..Match::default() }, Effect::Delay(400)));
    let mut command = lab.command(&["apply", "plan.json", "--approve", &digest]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while lab.mutations() == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing was changed");
        thread::yield_now();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{}", ended.text());
    assert!(ended.stderr.contains("no new change is begun"), "{}", ended.stderr);
    lab.tenant.faults().clear();
    let run = lab.run_id();
    let report = lab.staunch(&["report", &run]);
    assert_eq!(report.code, Some(0), "{}", report.text());
    let resumed = lab.staunch(&["resume", &run]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.text());
    assert_eq!(lab.staunch(&["audit", "verify", &run]).code, Some(50));
    assert_eq!(lab.tenant.passwords_set("johanna@sunnyside08.example"), 1);
    let again = lab.staunch(&["resume", &run]);
    assert_eq!(again.code, Some(3), "{}", again.text());
}
