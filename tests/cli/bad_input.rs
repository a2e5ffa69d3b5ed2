//! Wrong input: each has its exit code, says what is wrong and where, and changes nothing.

use std::fs;

use mock_server::faults::{Effect as FaultEffect, Fault, Match};

use crate::lab::{AITM, FIVE_MINUTES, Lab};

const BAD: &str = "\
schema: staunch/v1
id: bad
version: 1.0.0
title: Everything wrong
surprise: true
inputs:
  users: {type: users, min: 1}
limits: {changes: 5}
limits: {changes: 6}
stages:
  - id: cut
    steps:
      - {id: one, when: 'yes', each: inputs.users, do: {user.block-sign-in: {user: each}}}
      - {id: two, each: inputs.nobody, do: {user.block-sign-in: {user: each}}}
      - {id: three, do: {user.delete: {}}}
      - {id: four, each: inputs.users, do: {user.block-sign-in: {user: each}, user.revoke-sessions: {user: each}}}
";

#[test]
fn all_errors_of_a_playbook_are_shown_at_once_at_their_places() {
    let lab = Lab::aitm();
    lab.write("bad.yaml", BAD);
    let ended = lab.staunch(&["check", "bad.yaml"]);
    assert_eq!(ended.code, Some(2));
    for line in [5, 9, 13, 14, 15, 16] {
        assert!(ended.stdout.contains(&format!("bad.yaml:{line}:")), "line {line} is not named:\n{}", ended.stdout);
    }
    let json = lab.staunch(&["check", "bad.yaml", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(json["diagnostics"].as_array().unwrap().len() >= 6, "{json:#}");
    let planned = lab.staunch(&["plan", "bad.yaml"]);
    assert_eq!(planned.code, Some(2), "{}", planned.text());
    assert_eq!(lab.mutations(), 0);
}

#[test]
fn an_input_out_of_bounds_or_missing_is_exit_2_and_names_the_flag() {
    let lab = Lab::aitm();
    let missing = lab.staunch(&["plan", FIVE_MINUTES]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("--input users="), "{}", missing.stderr);
    let bad = lab.staunch(&["plan", AITM, "-i", "users=johanna@sunnyside08.example", "-i", "incident_start=yesterday"]);
    assert_eq!(bad.code, Some(2));
    assert!(bad.stderr.contains("incident_start"), "{}", bad.stderr);
    let unknown = lab.staunch(&["plan", FIVE_MINUTES, "-i", "user=johanna@sunnyside08.example"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("did you mean `users`"), "{}", unknown.stderr);
}

#[test]
fn unanswered_picks_are_an_error_that_lists_what_was_found() {
    let lab = Lab::aitm();
    let victim = lab.tenant.incident().victims[0].clone();
    let start = lab.tenant.incident().start.to_string();
    let (users, start) = (format!("users={victim}"), format!("incident_start={start}"));
    let ended = lab.staunch(&["plan", AITM, "-i", &users, "-i", &start]);
    assert_eq!(ended.code, Some(2), "{}", ended.text());
    assert!(ended.stderr.contains("--pick methods=all"), "{}", ended.stderr);
    for rogue in lab.planted() {
        let id = rogue.id.replace('\\', "\\\\");
        assert!(ended.stderr.contains(&id), "{rogue:?} is not listed:\n{}", ended.stderr);
    }
    let wrong =
        lab.staunch(&["plan", AITM, "-i", &users, "-i", &start, "--pick", "methods=nonsense", "--pick", "nostep=all"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("nothing with id nonsense") && wrong.stderr.contains("nostep"), "{}", wrong.stderr);
}

#[test]
fn an_unknown_user_is_named_and_the_rest_is_planned() {
    let lab = Lab::aitm();
    let victim = lab.tenant.incident().victims[0].clone();
    let users = format!("users=nobody@sunnyside08.example,{victim}");
    let planned = lab.staunch(&["plan", FIVE_MINUTES, "-i", &users, "--out", "plan.json"]);
    assert_eq!(planned.code, Some(0), "{}", planned.text());
    assert!(planned.stdout.contains("PROBLEM: \"nobody@sunnyside08.example\""), "{}", planned.stdout);
    assert!(planned.stdout.contains("2 changes"), "{}", planned.stdout);
    let digest = planned.stderr.split("--approve ").nth(1).unwrap().trim().to_owned();
    let applied = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert_eq!(applied.code, Some(4), "what could not be planned is not contained:\n{}", applied.text());
}

#[test]
fn a_plan_of_nothing_but_misspelt_names_says_so_once_and_is_not_applied() {
    let lab = Lab::aitm();
    let given = ["plan", FIVE_MINUTES, "-i", "users=johana@sunnyside08.example", "--out", "plan.json"];
    let planned = lab.staunch(&given);
    assert_eq!(planned.code, Some(4), "{}", planned.text());
    let told: Vec<&str> = planned.stderr.lines().filter(|line| line.starts_with("PROBLEM")).collect();
    assert!(told.len() == 1 && told[0].contains("does not exist") && !told[0].contains("$select"), "{told:?}");
    assert!(planned.stderr.contains("there is nothing in it to apply"), "{}", planned.stderr);
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(lab.path("plan.json")).unwrap()).unwrap();
    let applied = lab.staunch(&["apply", "plan.json", "--approve", file["digest"].as_str().unwrap()]);
    assert_eq!(applied.code, Some(3), "{}", applied.text());
    let (error, hint) = applied.stderr.trim().split_once('\n').unwrap();
    assert!(error.contains("nothing of it could be planned: \"johana@sunnyside08.example\""), "{error}");
    assert!(hint.starts_with("hint: ") && hint.contains("misspelt"), "{hint}");
    assert!(!lab.path("case/runs").exists(), "no run was begun");

    // A plan is never written over, and that is known before the tenant is read.
    let asked = lab.tenant.requests().len();
    let again = lab.staunch(&given);
    assert_eq!(again.code, Some(2), "{}", again.text());
    assert!(again.stderr.contains("plan.json is there already"), "{}", again.stderr);
    let nowhere = lab.staunch(&["plan", FIVE_MINUTES, "-i", "users=x@y.example", "--out", "nowhere/plan.json"]);
    assert!(nowhere.code == Some(2) && nowhere.stderr.contains("no folder nowhere"), "{}", nowhere.text());
    assert_eq!(lab.tenant.requests().len(), asked);
}

#[test]
fn a_denied_read_is_named_as_denied() {
    let lab = Lab::aitm();
    lab.tenant.grant_only(&["User.Read.All", "User.EnableDisableAccount.All"]);
    let victim = lab.tenant.incident().victims[0].clone();
    let args = lab.plan_args();
    let mut kept: Vec<&str> = args.iter().take(6).map(String::as_str).collect();
    kept.extend(["--pick", "devices=none"]);
    let ended = lab.staunch(&kept);
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    assert!(ended.stdout.contains("403"), "{}", ended.stdout);
    assert!(ended.stdout.contains(&victim));
    assert!(ended.stdout.contains("change user"), "the account itself is still planned:\n{}", ended.stdout);
}

#[test]
fn an_edited_a_stale_a_foreign_or_an_applied_plan_is_refused_and_nothing_is_sent() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let text = fs::read_to_string(lab.path("plan.json")).unwrap();
    lab.tenant.clear_requests();

    lab.write("edited.json", &text.replacen("accountEnabled", "accountenabled", 1));
    let edited = lab.staunch(&["apply", "edited.json", "--approve", &digest]);
    assert_eq!(edited.code, Some(3), "{}", edited.text());

    let other = lab.staunch(&["apply", "plan.json", "--approve", "sha256:00"]);
    assert_eq!(other.code, Some(3), "{}", other.text());

    let stale = lab.staunch(&["apply", "plan.json", "--approve", &digest, "--max-age", "0"]);
    assert_eq!(stale.code, Some(3), "{}", stale.text());

    let unapproved = lab.staunch(&["apply", "plan.json"]);
    assert_eq!(unapproved.code, Some(3), "{}", unapproved.text());
    assert!(unapproved.stderr.contains("--approve"), "{}", unapproved.stderr);
    assert_eq!(lab.mutations(), 0);

    let applied = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert_eq!(applied.code, Some(0), "{}", applied.text());
    let sent = lab.mutations();
    let again = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert_eq!(again.code, Some(3), "{}", again.text());
    assert_eq!(lab.mutations(), sent);
}

#[test]
fn a_foreign_plan_is_refused() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let text = fs::read_to_string(lab.path("staunch.toml")).unwrap();
    let foreign = text.replacen(&lab.tenant.credentials().tenant_id, "00000000-0000-0000-0000-00000000ffff", 1);
    lab.write("staunch.toml", &foreign);
    let ended = lab.staunch(&["apply", "plan.json", "--approve", &digest, "--tenant", "lab"]);
    assert!(matches!(ended.code, Some(1 | 3)), "{}", ended.text());
    assert_eq!(lab.mutations(), 0);
}

#[test]
fn an_unwritable_case_is_exit_1_before_the_first_change() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    lab.write("blocked", "a file where the case folder should be");
    let ended = lab.staunch(&["apply", "plan.json", "--approve", &digest, "--case", "blocked"]);
    assert_eq!(ended.code, Some(1), "{}", ended.text());
    assert_eq!(lab.mutations(), 0);
}

#[test]
#[cfg(unix)]
fn a_full_disk_is_exit_1_before_the_first_change() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let staunch = lab.command(&[]).get_program().to_owned();
    // No file may grow: every write fails, as on a full disk.
    let full = "trap '' XFSZ; ulimit -f 0; exec \"$0\" apply plan.json --approve \"$1\"";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", full]).arg(staunch).arg(&digest).current_dir(lab.dir.path());
    let output = shell.env("LAB_SECRET", lab.tenant.credentials().client_secret).output().unwrap();
    let ended = crate::lab::Ended::of(output);
    assert_eq!(ended.code, Some(1), "{}", ended.text());
    assert!(ended.stderr.contains("File too large"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: nothing was changed"), "{}", ended.stderr);
    assert_eq!(lab.mutations(), 0);
}

/// A process that was killed between the files of a run and its first line.
#[test]
fn a_run_that_died_before_its_first_line_is_neither_applied_nor_resumed() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let applied = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert_eq!(applied.code, Some(0), "{}", applied.text());
    let again = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert!(again.code == Some(3) && again.stderr.contains("it was applied before"), "{}", again.text());
    let run = lab.run_id();
    for is_there in [true, false] {
        let journal = lab.path(&format!("case/runs/{run}/journal.jsonl"));
        if is_there {
            std::fs::write(&journal, "{\"seq\":0,").unwrap();
        } else {
            std::fs::remove_file(&journal).unwrap();
        }
        let resumed = lab.staunch(&["resume", &run]);
        assert_eq!(resumed.code, Some(3), "{}", resumed.text());
        assert!(resumed.stderr.contains("nothing was changed"), "{}", resumed.stderr);
    }
    let again = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert!(!again.stderr.contains("it was applied before"), "{}", again.text());
    assert_ne!(lab.run_id(), run, "{}", again.text());
}

#[test]
fn a_user_without_a_mailbox_is_named_as_that() {
    let lab = Lab::aitm();
    lab.write(
        "rules.yaml",
        "schema: staunch/v1\nid: rules\nversion: 1.0.0\ntitle: Rules\ninputs: {users: {type: users}}\nlimits: {changes: 9}\n\
         stages:\n  - id: only\n    steps:\n      - id: rules\n        each: inputs.users\n        pick: operator\n        \
         do: {mailbox.disable-inbox-rules: {user: each}}\n      - id: block\n        each: inputs.users\n        \
         do: {user.block-sign-in: {user: each}}\n",
    );
    let users = "users=kiosk@sunnyside08.example,grady@sunnyside08.example";
    let ended = lab.staunch(&["plan", "rules.yaml", "-i", users, "--pick", "rules=none"]);
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    let problem = ended.stdout.lines().find(|line| line.contains("PROBLEM")).expect("the mailbox is a problem");
    assert!(problem.contains("kiosk@sunnyside08.example") && problem.contains("ailbox"), "{problem}");
    assert!(ended.stdout.contains("change user \"grady@sunnyside08.example\""), "{}", ended.stdout);
}

#[test]
fn a_wrong_secret_is_one_clear_line_with_the_aadsts_number() {
    let lab = Lab::aitm();
    let mut command = lab.command(&["plan", FIVE_MINUTES, "-i", "users=johanna@sunnyside08.example"]);
    let output = command.env("LAB_SECRET", "wrong").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("AADSTS7000215"), "{stderr}");
    assert_eq!(stderr.lines().filter(|line| line.starts_with("error:")).count(), 1, "{stderr}");
}

#[test]
fn a_command_line_that_makes_no_sense_is_exit_2() {
    let lab = Lab::aitm();
    for args in [&["frobnicate"][..], &["plan"], &["plan", "absent.yaml"], &["audit", "verify", "no-such-run"]] {
        let ended = lab.staunch(args);
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.text());
    }
    assert_eq!(lab.staunch(&["--help"]).code, Some(0));
}

#[test]
fn a_change_that_the_tenant_refuses_is_exit_4_and_the_others_are_made() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    lab.tenant.faults().add(Fault::always(
        Match::method_path("PATCH", "/devices/"),
        FaultEffect::ServerError { status: 500, applied: false },
    ));
    let ended = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert_eq!(ended.code, Some(4), "{}", ended.text());
    assert!(ended.stdout.contains("unknown"), "{}", ended.stdout);
    assert!(ended.stdout.contains("done"), "{}", ended.stdout);
}

#[test]
fn an_incident_that_is_yet_to_come_is_refused_before_anything_is_read() {
    let lab = Lab::aitm();
    let mut args = lab.plan_args();
    let at = args.iter().position(|arg| arg.starts_with("incident_start=")).unwrap();
    args[at] = "incident_start=2093-12-12T13:50:17Z".to_owned();
    let ended = lab.staunch(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ended.code, Some(2), "{}", ended.text());
    assert!(ended.stderr.contains("incident_start is 2093-12-12T13:50:17Z, which is yet to come"), "{}", ended.stderr);
}
