//! What each verb prints, in snapshots: ids, times and digests are replaced.

use std::fs;

use insta::{assert_snapshot, with_settings};
use serde_json::Value;

use crate::lab::{AITM, FIVE_MINUTES, Lab};

/// Replaces what differs from run to run.
macro_rules! snapshot {
    ($name:expr, $text:expr) => {
        with_settings!({filters => vec![
            (r"sha256:[0-9a-f]{64}", "sha256:[DIGEST]"),
            (r"\b[0-9a-f]{64}\b", "[SHA256]"),
            (r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
            (r"0[0-9a-f]{7}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[RUN]"),
            (r"\b\d+(\.\d+)? ?(ms|s)\b", "[DURATION]"),
            (r"/[^ ]*/playbooks/", "playbooks/"),
        ]}, { assert_snapshot!($name, $text) });
    };
}

fn plan(lab: &Lab) -> crate::lab::Ended {
    let args = lab.plan_args();
    lab.staunch(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn plan_shows_before_wanted_calls_and_undo_of_every_change() {
    let lab = Lab::aitm();
    let ended = plan(&lab);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    snapshot!("plan", ended.stdout);
}

#[test]
fn plan_sends_nothing_but_reads() {
    let lab = Lab::aitm();
    assert_eq!(plan(&lab).code, Some(0));
    let requests = lab.tenant.requests();
    assert!(requests.iter().any(|request| request.path == "/v1.0/$batch"), "reads travel together");
    for request in &requests {
        let reads = match (request.method.as_str(), request.cmdlet.as_deref()) {
            (_, Some(cmdlet)) => cmdlet.starts_with("Get-"),
            ("GET", None) => true,
            ("POST", None) => request.path.ends_with("/oauth2/v2.0/token") || request.path == "/v1.0/$batch",
            _ => false,
        };
        assert!(reads && !request.mutated, "{request:?}");
    }
    assert_eq!(lab.tenant.diff_from_seed(), []);
}

#[test]
fn only_the_account_and_what_was_planted_changes() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    assert_eq!(lab.staunch(&["apply", "plan.json", "--approve", &digest]).code, Some(0));
    let victim = lab.tenant.inspect(|state| state.user("johanna@sunnyside08.example").unwrap().id.clone());
    let own = [
        "accountEnabled",
        "signInSessionsValidFromDateTime",
        "lastPasswordChangeDateTime",
        "passwordProfile",
        "_hidden",
    ];
    let changed = lab.tenant.diff_from_seed();
    assert!(!changed.is_empty());
    for difference in changed {
        let account = own.iter().any(|name| difference.path.starts_with(&format!("users/{victim}/{name}")));
        let planted = lab.planted().iter().any(|object| difference.path.contains(&object.id));
        assert!(account || planted, "{difference:?}");
    }
}

#[test]
fn report_lists_every_change_with_before_and_after() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let applied = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert_eq!(applied.code, Some(0), "{}", applied.text());
    let run = lab.run_id();
    let terminal = lab.staunch(&["report", &run]);
    assert_eq!(terminal.stdout, applied.stdout, "apply prints the same report");
    let markdown = lab.staunch(&["report", &run, "--markdown"]);
    for rogue in lab.planted() {
        assert!(
            terminal.stdout.contains(&rogue.id.replace('\\', "\\\\")) || terminal.stdout.contains(&rogue.id),
            "{rogue:?}"
        );
        assert!(markdown.stdout.contains(&rogue.id), "{rogue:?}:\n{}", markdown.stdout);
    }
    let json: Value = serde_json::from_str(&lab.staunch(&["report", &run, "--format", "json"]).stdout).unwrap();
    assert!(json.is_object());
    let shown = lab.staunch(&["audit", "show", &run]);
    assert_eq!(shown.code, Some(0));
    assert!(shown.stdout.contains("approved by responder"), "{}", shown.stdout);
    let lines: Value = serde_json::from_str(&lab.staunch(&["audit", "show", &run, "--format", "json"]).stdout).unwrap();
    assert!(lines.as_array().unwrap().len() > 50);
}

#[test]
fn an_edited_record_is_exit_5() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    assert_eq!(lab.staunch(&["apply", "plan.json", "--approve", &digest]).code, Some(0));
    let run = lab.run_id();
    let journal = lab.path("case/runs").join(&run).join("journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replacen("\"by\":\"responder\"", "\"by\":\"somebody\"", 1)).unwrap();
    let ended = lab.staunch(&["audit", "verify", &run]);
    assert_eq!(ended.code, Some(5), "{}", ended.text());
    assert!(ended.stdout.starts_with("broken"), "{}", ended.stdout);
    for form in ["html", "markdown", "json", "ocsf", "timesketch"] {
        let ended = lab.staunch(&["report", &run, "--as", form]);
        assert_eq!(ended.code, Some(5), "{form}: {}", ended.stderr);
        assert!(ended.stderr.contains("warning: the record does not verify"), "{form}: {}", ended.stderr);
        assert!(!ended.stdout.is_empty(), "{form}: what it says is shown all the same");
    }
}

#[test]
fn undo_plans_the_way_back_and_takes_it() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    assert_eq!(lab.staunch(&["apply", "plan.json", "--approve", &digest]).code, Some(0));
    let run = lab.run_id();
    let planned = lab.staunch(&["undo", &run, "--out", "undo.json", "--format", "json"]);
    assert_eq!(planned.code, Some(0), "{}", planned.text());
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    let undone = lab.staunch(&["apply", "undo.json", "--approve", plan["digest"].as_str().unwrap()]);
    assert!(matches!(undone.code, Some(0 | 4)), "{}", undone.text());
    let notified = lab.staunch(&["report", &lab.run_id(), "--as", "json", "--audience", "regulator"]);
    assert_eq!(notified.code, Some(2), "{}", notified.text());
    assert!(
        notified.stderr.contains("an undo mitigates nothing") && notified.stderr.contains(&run),
        "{}",
        notified.stderr
    );
    let left: Vec<String> = lab.tenant.diff_from_seed().into_iter().map(|difference| difference.path).collect();
    let irreversible = ["signInSessionsValidFromDateTime", "lastPasswordChangeDateTime", "password", "methods"];
    for path in &left {
        assert!(irreversible.iter().any(|name| path.contains(name)), "{path} stays changed");
    }
}

#[test]
fn a_playbook_is_checked_without_a_tenant() {
    let lab = Lab::aitm();
    for playbook in [AITM, FIVE_MINUTES] {
        let mut command = lab.command(&["check", playbook]);
        let output = command.env_remove("LAB_SECRET").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(lab.tenant.requests().len(), 0);
}

#[test]
fn actions_lists_the_catalogue_and_describes_one() {
    let lab = Lab::aitm();
    snapshot!("actions", lab.staunch(&["actions"]).stdout);
    let one = lab.staunch(&["actions", "user.block-sign-in"]);
    assert!(one.stdout.contains("User.EnableDisableAccount.All"), "{}", one.stdout);
    let none = lab.staunch(&["actions", "user.delete"]);
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("known: "), "{}", none.stderr);
}

#[test]
fn schema_is_a_json_schema() {
    let schema: Value = serde_json::from_str(&Lab::aitm().staunch(&["schema"]).stdout).unwrap();
    jsonschema::validator_for(&schema).unwrap();
}

#[test]
fn a_playbook_is_exported_as_cacao() {
    let lab = Lab::aitm();
    let ended = lab.command(&["check", AITM, "--cacao", "--dated", "2026-11-22T23:00:00Z"]).output().unwrap();
    let export: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(
        (&export["spec_version"], &export["created"]),
        (&"cacao-2.0".into(), &"2026-11-22T23:00:00.000Z".into())
    );
    let file = lab.path("cacao.json");
    let to_file = format!("--cacao={}", file.display());
    let write = || lab.command(&["check", AITM, &to_file, "--dated", "2026-11-22T23:00:00Z"]).output().unwrap();
    assert!(write().status.success());
    assert_eq!(serde_json::from_slice::<Value>(&fs::read(&file).unwrap()).unwrap(), export);
    let again = write();
    assert_eq!(again.status.code(), Some(1), "a file that is there is not written over");
    let two = lab.command(&["check", AITM, FIVE_MINUTES, "--cacao"]).output().unwrap();
    assert_eq!(two.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&two.stderr).contains("--cacao=FILE"), "a file takes the sign of equality");
}

#[test]
fn a_report_has_many_forms_and_readers() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    assert_eq!(lab.staunch(&["apply", "plan.json", "--approve", &digest]).code, Some(0));
    let run = lab.run_id();
    let report = |args: &[&str]| {
        let ended = lab.staunch(&[&["report", run.as_str()], args].concat());
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
        ended.stdout
    };
    assert!(report(&["--as", "html"]).starts_with("<!doctype html>"));
    assert_eq!(report(&["--as", "markdown"]), report(&["--markdown"]));
    assert!(report(&["--markdown", "--tlp", "red"]).starts_with("**TLP:RED**"));
    let json: Value = serde_json::from_str(&report(&["--as", "json"])).unwrap();
    assert_eq!(json["marking"], "TLP:AMBER+STRICT");
    let fields: Value = serde_json::from_str(&report(&["--as", "json", "--audience", "regulator"])).unwrap();
    assert!(fields["early_warning"].is_object());
    for form in ["ocsf", "timesketch"] {
        let lines = report(&["--as", form]);
        assert!(lines.lines().count() > 5 && lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    }
    let ignored = [("ocsf", "owner"), ("ocsf", "regulator"), ("timesketch", "management"), ("json", "owner")];
    for (form, reader) in ignored {
        let refused = lab.staunch(&["report", &run, "--as", form, "--audience", reader]);
        assert_eq!(refused.code, Some(2), "{form} for {reader}: {}", refused.text());
        assert!(refused.stdout.is_empty() && refused.stderr.contains("--audience"), "{}", refused.text());
    }
    let owner = report(&["--audience", "owner"]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(owner.contains("whether any of it was expected"));
    assert!(report(&["--as", "html", "--out", "report.html"]).trim().is_empty());
    assert!(fs::read_to_string(lab.path("report.html")).unwrap().contains("</html>"));
    let derived = format!("case/runs/{run}/derived/report.md");
    report(&["--markdown", "--out", &derived]);
    assert_eq!(
        lab.staunch(&["audit", "verify", &run]).code,
        Some(50),
        "a report in `derived` is no part of the record"
    );
    let beside = format!("case/runs/{run}/report.html");
    let refused = lab.staunch(&["report", &run, "--as", "html", "--out", &beside]);
    assert_eq!(refused.code, Some(2), "{}", refused.text());
    assert!(refused.stderr.contains("derived"), "{}", refused.stderr);
    assert_eq!(lab.staunch(&["audit", "verify", &run]).code, Some(50), "the record still verifies");
    assert_eq!(lab.staunch(&["report", &run, "--as", "timesketch", "--out", "t.json"]).code, Some(2));
    report(&["--as", "timesketch", "--out", "t.jsonl"]);
    let again = lab.staunch(&["report", &run, "--as", "html", "--out", "report.html"]);
    assert_eq!(again.code, Some(1), "a file that is there is not written over");
}
