//! Guards at the command line: exit codes, nothing sent, and the override on record.

use serde_json::Value;

use crate::lab::{FIVE_MINUTES, Lab};

const VICTIM: &str = "users=johanna@sunnyside08.example";
const REASON: &str = "asked for by the owner of the tenant";

/// Adds a line to the profile.
fn profile(lab: &Lab, line: &str) {
    let text = std::fs::read_to_string(lab.path("staunch.toml")).unwrap();
    lab.write("staunch.toml", &format!("{text}{line}\n"));
}

fn digest(stderr: &str) -> String {
    stderr.split("--approve ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_plan_that_destroys_is_exit_3_and_nothing_is_sent_until_it_is_allowed() {
    let lab = Lab::aitm();
    let mut args = lab.plan_args();
    args.retain(|arg| arg != "--allow-irreversible");
    args.extend(["--out".to_owned(), "plan.json".to_owned()]);
    let planned = lab.staunch(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(planned.code, Some(3), "{}", planned.text());
    assert!(planned.stdout.contains("REFUSED as a whole by guard irreversible"), "{}", planned.stdout);
    let applied = lab.staunch(&["apply", "plan.json", "--approve", &digest(&planned.stderr)]);
    assert_eq!(applied.code, Some(3), "{}", applied.text());
    assert!(applied.stderr.contains("--allow-irreversible"), "{}", applied.stderr);
    assert_eq!(lab.mutations(), 0);
}

#[test]
fn an_override_needs_its_reason_and_a_guard_that_exists() {
    let lab = Lab::aitm();
    for args in [
        &["--override", "break-glass"][..],
        &["--reason", "x"],
        &["--override", "break-glass", "--override", "limit", "--reason", "x"],
        &["--override", "break-glass", "--reason", " "],
        &["--override", "tenant", "--reason", "x"],
    ] {
        let ended = lab.staunch(&[&["plan", FIVE_MINUTES, "-i", VICTIM], args].concat());
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.text());
    }
}

#[test]
fn a_refused_account_is_left_alone_and_an_override_is_on_record() {
    let lab = Lab::aitm();
    profile(&lab, "break_glass = [\"johanna@sunnyside08.example\"]");
    let plan = ["plan", FIVE_MINUTES, "-i", VICTIM, "--out"];
    let refused = lab.staunch(&[&plan[..], &["refused.json"]].concat());
    assert!(refused.stdout.contains("by guard break-glass"), "{}", refused.stdout);
    let applied = lab.staunch(&["apply", "refused.json", "--approve", &digest(&refused.stderr)]);
    assert_eq!(applied.code, Some(4), "what was refused is not contained:\n{}", applied.text());
    assert_eq!(lab.mutations(), 0);

    let given = ["--override", "break-glass", "--reason", REASON, "--override", "limit", "--reason", "x"];
    let planned = lab.staunch(&[&plan[..], &["plan.json"], &given].concat());
    assert_eq!(planned.code, Some(0), "{}", planned.text());
    assert!(planned.stdout.contains("OVERRIDDEN: guard break-glass for user"), "{}", planned.stdout);
    assert!(planned.stderr.contains("nothing in this plan needs the override of guard limit"), "{}", planned.stderr);
    let applied = lab.staunch(&["apply", "plan.json", "--approve", &digest(&planned.stderr)]);
    assert_eq!(applied.code, Some(0), "{}", applied.text());
    let run = lab.run_id();
    assert!(lab.staunch(&["audit", "show", &run]).stdout.contains(REASON));
    let lines: Value = serde_json::from_str(&lab.staunch(&["audit", "show", &run, "--format", "json"]).stdout).unwrap();
    let approved = lines.as_array().unwrap().iter().find(|line| line["record"]["type"] == "approved").unwrap();
    let overrides = approved["record"]["overrides"].as_array().unwrap();
    assert!(overrides.iter().all(|it| it["guard"] == "break-glass" && it["reason"] == REASON), "{overrides:#?}");
    assert_eq!(lab.staunch(&["audit", "verify", &run]).code, Some(50));
}

#[test]
fn a_strict_profile_refuses_what_its_guards_cannot_see() {
    let lab = Lab::aitm();
    lab.tenant.grant_only(&["User.Read.All", "User.EnableDisableAccount.All", "User.RevokeSessions.All"]);
    let lenient = lab.staunch(&["plan", FIVE_MINUTES, "-i", VICTIM]);
    assert_eq!(lenient.code, Some(0), "{}", lenient.text());
    assert!(lenient.stdout.contains("BLIND: who holds a directory role could not be read"), "{}", lenient.stdout);
    profile(&lab, "strict_guards = true");
    let strict = lab.staunch(&["plan", FIVE_MINUTES, "-i", VICTIM, "--out", "plan.json"]);
    assert_eq!(strict.code, Some(3), "{}", strict.text());
    let applied = lab.staunch(&["apply", "plan.json", "--approve", &digest(&strict.stderr)]);
    assert_eq!(applied.code, Some(3), "{}", applied.text());
    assert_eq!(lab.mutations(), 0);
}

#[test]
fn a_plan_over_a_limit_is_exit_3_and_nothing_is_sent() {
    let lab = Lab::aitm();
    let tight = std::fs::read_to_string(FIVE_MINUTES).unwrap().replacen("changes: 50", "changes: 1", 1);
    lab.write("tight.yaml", &tight);
    let members: Vec<String> = lab.tenant.inspect(|state| {
        let members = state.users.values().filter(|user| user.user_type == "Member");
        members.map(|user| user.user_principal_name.clone()).filter(|name| !name.starts_with("ines")).take(11).collect()
    });
    let many = format!("users={}", members.join(","));
    profile(&lab, "max_percent = 3");
    for (playbook, users, guard) in [("tight.yaml", VICTIM, "limit"), (FIVE_MINUTES, many.as_str(), "percent")] {
        let file = format!("{guard}.json");
        let plan = ["plan", playbook, "-i", users, "--out", &file];
        let planned = lab.staunch(&plan);
        assert_eq!(planned.code, Some(3), "{}", planned.text());
        let refused = format!("REFUSED as a whole by guard {guard}");
        assert!(planned.stdout.contains(&refused), "{}", planned.stdout);
        let applied = lab.staunch(&["apply", &file, "--approve", &digest(&planned.stderr)]);
        assert_eq!(applied.code, Some(3), "{}", applied.text());
        let run = lab.staunch(&["run", playbook, "-i", users]);
        assert_eq!(run.code, Some(3), "{}", run.text());
        let given = ["--override", guard, "--reason", REASON];
        let allowed = lab.staunch(&[&plan[..4], &given].concat());
        assert_eq!(allowed.code, Some(0), "{}", allowed.text());
    }
    assert_eq!(lab.mutations(), 0);
}

#[test]
fn a_plan_is_refused_where_the_profile_that_applies_it_protects_the_account() {
    let lab = Lab::aitm();
    let planned = lab.staunch(&["plan", FIVE_MINUTES, "-i", VICTIM, "--out", "plan.json"]);
    assert_eq!(planned.code, Some(0), "{}", planned.text());
    profile(&lab, "break_glass = [\"johanna@sunnyside08.example\"]");
    let applied = lab.staunch(&["apply", "plan.json", "--approve", &digest(&planned.stderr)]);
    assert_eq!(applied.code, Some(3), "{}", applied.text());
    assert!(applied.stderr.contains("break-glass"), "{}", applied.stderr);
    assert_eq!(lab.mutations(), 0);
}
