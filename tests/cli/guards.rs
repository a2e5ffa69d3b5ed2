//! Guards at the command line: exit codes, nothing sent, and the override on record.

use mock_server::{Scenario, tenant::roles::RoleAssignment};
use serde_json::Value;
use staunch::plan::Guard;

use crate::lab::{FIVE_MINUTES, Lab};

const VICTIM: &str = "users=johanna@sunnyside08.example";
const REASON: &str = "asked for by the owner of the tenant";

/// Adds a line to the profile.
fn profile(lab: &Lab, line: &str) {
    let text = std::fs::read_to_string(lab.path("staunch.toml")).unwrap();
    lab.write("staunch.toml", &format!("{text}{line}\n"));
}

fn digest(stderr: &str) -> String {
    let words = stderr.split(|c: char| c.is_whitespace() || c == ';');
    words.into_iter().find(|word| word.starts_with("sha256:")).unwrap_or_else(|| panic!("{stderr}")).to_owned()
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
    assert_eq!(applied.code, Some(3), "{}", applied.text());
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

/// Makes a user a global administrator.
fn promote(lab: &Lab, name: &str) {
    lab.tenant.edit(|state| {
        let row = RoleAssignment {
            id: format!("made-{name}"),
            principal_id: state.user_id(name),
            role_definition_id: "62e90394-69f5-4237-9190-012177145e10".into(),
            directory_scope_id: "/".into(),
        };
        state.role_assignments.insert(row.id.clone(), row);
    });
}

#[test]
fn two_plans_that_lock_out_every_administrator_are_not_both_applied() {
    let lab = Lab::aitm();
    promote(&lab, VICTIM_NAME);
    lab.tenant.assign_roles(&["Privileged Authentication Administrator", "Exchange Administrator"]);
    let mut digests = Vec::new();
    for (user, file) in [(VICTIM_NAME, "one.json"), (ADMIN_NAME, "two.json")] {
        let given = ["--override", "protected-role", "--reason", REASON, "--out", file];
        let planned = lab.staunch(&[&["plan", FIVE_MINUTES, "-i", &format!("users={user}")], &given[..]].concat());
        assert_eq!(planned.code, Some(0), "{}", planned.text());
        digests.push(digest(&planned.stderr));
    }
    let first = lab.staunch(&["apply", "one.json", "--approve", &digests[0]]);
    assert_eq!(first.code, Some(0), "{}", first.text());
    let (runs, mutations) = (lab.run_id(), lab.mutations());
    let second = lab.staunch(&["apply", "two.json", "--approve", &digests[1]]);
    assert_eq!(second.code, Some(3), "{}", second.text());
    assert!(second.stderr.contains("plan again"), "{}", second.stderr);
    assert!(second.stderr.contains("guard last-administrator: user \"ines@sunnyside08.example\""), "{}", second.stderr);
    assert_eq!((lab.run_id(), lab.mutations()), (runs, mutations), "no run was opened, nothing was sent");
}

#[test]
fn a_plan_is_refused_where_who_applies_it_lacks_the_permission() {
    let lab = Lab::aitm();
    let planned = lab.staunch(&["plan", FIVE_MINUTES, "-i", VICTIM, "--out", "plan.json"]);
    lab.tenant.grant_only(&["User.Read.All", "User.EnableDisableAccount.All"]);
    let applied = lab.staunch(&["apply", "plan.json", "--approve", &digest(&planned.stderr)]);
    assert_eq!(applied.code, Some(3), "{}", applied.text());
    assert!(
        applied.stderr.contains("guard preflight: user.revoke-sessions: our application lacks"),
        "{}",
        applied.stderr
    );
    assert!(!lab.path("case/runs").exists(), "no run was opened");
    assert_eq!(lab.mutations(), 0);
}

#[test]
fn a_run_is_not_taken_up_while_a_guard_refuses_what_it_has_not_sent() {
    let lab = Lab::aitm();
    let planned = lab.staunch(&["plan", FIVE_MINUTES, "-i", VICTIM, "--out", "plan.json"]);
    // After the run was opened and approved.
    let mut killed = lab.command(&["apply", "plan.json", "--approve", &digest(&planned.stderr)]);
    killed.env("STAUNCH_CRASH_AFTER", "2").output().unwrap();
    let run = lab.run_id();
    let before = std::fs::read_to_string(lab.path("staunch.toml")).unwrap();
    profile(&lab, "break_glass = [\"johanna@sunnyside08.example\"]");
    let refused = lab.staunch(&["resume", &run]);
    assert_eq!(refused.code, Some(3), "{}", refused.text());
    assert!(refused.stderr.contains("guard break-glass: user"), "{}", refused.stderr);
    assert!(refused.stderr.contains("nothing was changed"), "{}", refused.stderr);
    assert_eq!(lab.mutations(), 0);
    let shown = lab.staunch(&["audit", "show", &run]).stdout;
    assert!(shown.contains("refused: guard break-glass"), "{shown}");
    lab.write("staunch.toml", &before);
    let resumed = lab.staunch(&["resume", &run]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.text());
}

/// A plan that one guard refuses.
struct Case {
    lab: Lab,
    /// One step: an action and its input; where it is empty, the sessions of so many accounts are revoked.
    step: String,
    accounts: usize,
    /// More arguments of `plan` and `run`.
    more: &'static [&'static str],
}

const VICTIM_NAME: &str = "johanna@sunnyside08.example";
const ADMIN_NAME: &str = "ines@sunnyside08.example";

fn step(action: &str, member: &str, value: &str) -> String {
    format!("{action}: {{{member}: {value}}}")
}

fn app_named(lab: &Lab, name: &str) -> String {
    let of = |state: &mock_server::tenant::state::State| {
        state.service_principals.values().find(|it| it.display_name == name).unwrap().app_id.clone()
    };
    lab.tenant.inspect(of)
}

/// A run that is killed once its first intent is on record; gives its id.
fn die_over_a_call(lab: &Lab) -> String {
    let planned = lab.staunch(&["plan", FIVE_MINUTES, "-i", VICTIM, "--out", "first.json"]);
    let mut command = lab.command(&["apply", "first.json", "--approve", &digest(&planned.stderr)]);
    let output = command.env("STAUNCH_CRASH_AFTER", "4").output().unwrap();
    assert_eq!(output.status.code(), None, "it was not killed");
    lab.run_id()
}

/// The case of each guard. A guard without one does not compile.
fn case(guard: Guard) -> Case {
    let mut lab = Lab::aitm();
    let mut more: &[&str] = &[];
    let revoke = |user: &str| step("user.revoke-sessions", "user", user);
    let app = |app: &str| step("app.disable-service-principal", "app", app);
    let step = match guard {
        Guard::Own => app(&lab.tenant.credentials().client_id),
        Guard::BreakGlass => {
            profile(&lab, "break_glass = [\"johanna@sunnyside08.example\"]");
            revoke(VICTIM_NAME)
        }
        Guard::LastAdministrator => {
            more = &["--override", "protected-role", "--reason", "an administrator was phished"];
            step("user.block-sign-in", "user", ADMIN_NAME)
        }
        Guard::ProtectedRole => revoke(ADMIN_NAME),
        Guard::FirstParty => app(&app_named(&lab, "Microsoft Teams")),
        Guard::ManagedIdentity => app(&app_named(&lab, "sunny-functions")),
        Guard::SyncAccount => {
            let mut scenario = Scenario::builtin("aitm").unwrap();
            let mut account = scenario.users.iter().find(|user| user.name == "klaus").unwrap().clone();
            account.name = "Sync_SRV01_0123456789ab".into();
            scenario.users.push(account);
            lab = Lab::of(&scenario);
            revoke("Sync_SRV01_0123456789ab@sunnyside08.example")
        }
        Guard::Limit => String::new(),
        Guard::Percent => {
            profile(&lab, "max_percent = 0");
            String::new()
        }
        Guard::Irreversible => {
            more = &["--pick", "it=all"];
            step("user.remove-auth-methods", "user", VICTIM_NAME)
        }
        Guard::BlindSpot => {
            lab.tenant.grant_only(&["User.Read.All", "User.RevokeSessions.All"]);
            profile(&lab, "strict_guards = true");
            revoke(VICTIM_NAME)
        }
        Guard::Preflight => {
            lab.tenant.grant_only(&["User.Read.All", "User.EnableDisableAccount.All"]);
            revoke(VICTIM_NAME)
        }
        Guard::OpenRun => {
            die_over_a_call(&lab);
            revoke(VICTIM_NAME)
        }
    };
    let accounts = if guard == Guard::Limit { 2 } else { 11 };
    Case { lab, step, accounts, more }
}

impl Case {
    /// Writes the playbook; gives the arguments that plan it.
    fn arguments(&self) -> Vec<String> {
        let (step, limit) = (&self.step, if self.accounts == 2 { 1 } else { 50 });
        let head =
            format!("schema: staunch/v1\nid: one\nversion: 1.0.0\ntitle: One step\nlimits: {{changes: {limit}}}\n");
        let (inputs, body) = if step.is_empty() {
            let all = "{id: it, each: inputs.users, do: {user.revoke-sessions: {user: each}}}".to_owned();
            ("inputs:\n  users: {type: users}\n", all)
        } else {
            ("", format!("{{id: it, do: {{{step}}}}}"))
        };
        self.lab.write("one.yaml", &format!("{head}{inputs}stages:\n  - id: only\n    steps:\n      - {body}\n"));
        let mut arguments = vec!["one.yaml".to_owned()];
        if step.is_empty() {
            let members: Vec<String> = self.lab.tenant.inspect(|state| {
                let members = state.users.values().filter(|user| user.user_type == "Member");
                let names = members.map(|user| user.user_principal_name.clone());
                names.filter(|name| name != ADMIN_NAME).take(self.accounts).collect()
            });
            arguments.extend(["-i".to_owned(), format!("users={}", members.join(","))]);
        }
        arguments.extend(self.more.iter().map(|&it| it.to_owned()));
        arguments
    }
}

/// Refused, exit 3, by `plan`, `apply` and `run`, with nothing sent; overridden, and that is on record and in the report.
#[test]
fn every_guard_refuses_with_exit_3_and_its_override_is_in_the_journal() {
    for guard in Guard::ALL {
        let case = case(guard);
        let (lab, name) = (&case.lab, guard.name());
        let arguments = case.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let runs = || std::fs::read_dir(lab.path("case/runs")).into_iter().flatten().count();
        let before = (runs(), lab.mutations());
        let planned = lab.staunch(&[&["plan"], &arguments[..], &["--out", "refused.json"]].concat());
        assert_eq!(planned.code, Some(3), "{name}: {}", planned.text());
        assert!(planned.stdout.contains(&format!("by guard {name}")), "{name}: {}", planned.stdout);
        let applied = lab.staunch(&["apply", "refused.json", "--approve", &digest(&planned.stderr)]);
        assert_eq!(applied.code, Some(3), "{name}: {}", applied.text());
        assert!(applied.stderr.contains(name), "{name}: {}", applied.stderr);
        assert_eq!(lab.staunch(&[&["run"], &arguments[..]].concat()).code, Some(3), "{name}");
        assert_eq!((runs(), lab.mutations()), before, "{name}: a run was opened");

        let given = ["--override", name, "--reason", REASON, "--out", "plan.json"];
        let planned = lab.staunch(&[&["plan"], &arguments[..], &given].concat());
        assert_eq!(planned.code, Some(0), "{name}: {}", planned.text());
        lab.staunch(&["apply", "plan.json", "--approve", &digest(&planned.stderr)]);
        assert_on_record(lab, name);
    }
}

fn assert_on_record(lab: &Lab, guard: &str) {
    let run = lab.run_id();
    let journal = std::fs::read_to_string(lab.path(&format!("case/runs/{run}/journal.jsonl"))).unwrap();
    let approved = journal.lines().find(|line| line.contains("\"approved\"")).unwrap();
    let line: Value = serde_json::from_str(approved).unwrap();
    let overrides = line["record"]["overrides"].as_array().or_else(|| line["overrides"].as_array()).unwrap();
    assert!(overrides.iter().any(|it| it["guard"] == guard && it["reason"] == REASON), "{guard}: {overrides:#?}");
    let shown = lab.staunch(&["audit", "show", &run]).stdout;
    assert!(shown.contains(&format!("guard {guard} overridden")) && shown.contains(REASON), "{shown}");
    for format in [&["--markdown"][..], &["--format", "json"], &[]] {
        let report = lab.staunch(&[&["report", &run], format].concat());
        let words = report.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(REASON), "{guard}, {format:?}: {}", report.text());
    }
}

#[test]
fn what_the_guards_could_not_see_stands_in_the_report() {
    let lab = Lab::aitm();
    lab.tenant.grant_only(&["User.Read.All", "User.EnableDisableAccount.All", "User.RevokeSessions.All"]);
    let planned = lab.staunch(&["plan", FIVE_MINUTES, "-i", VICTIM, "--out", "plan.json"]);
    assert_eq!(planned.code, Some(0), "{}", planned.text());
    let applied = lab.staunch(&["apply", "plan.json", "--approve", &digest(&planned.stderr)]);
    assert_eq!(applied.code, Some(0), "{}", applied.text());
    let report = lab.staunch(&["report", &lab.run_id(), "--markdown"]).stdout;
    assert!(report.contains("who holds a directory role could not be read"), "{report}");
}

/// A password that was set and one that was about to be are not told apart by a second plan.
#[test]
fn a_run_that_was_cut_off_in_the_middle_of_a_call_is_resumed_first() {
    let lab = Lab::aitm();
    let planned = lab.staunch(&["plan", FIVE_MINUTES, "-i", VICTIM, "--out", "second.json"]);
    let second = digest(&planned.stderr);
    let run = die_over_a_call(&lab);
    let applied = lab.staunch(&["apply", "second.json", "--approve", &second]);
    assert_eq!(applied.code, Some(3), "{}", applied.text());
    let line = applied.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(line.contains(&format!("`staunch resume {run}` first")) && line.contains("--override open-run"), "{line}");
    assert_eq!(lab.run_id(), run, "a run was opened");
    // It did not die: somebody is at work on it.
    let lock = std::fs::File::options().write(true).open(lab.path("case/case.lock")).unwrap();
    lock.lock().unwrap();
    let applied = lab.staunch(&["apply", "second.json", "--approve", &second]);
    assert_eq!(applied.code, Some(1), "{}", applied.text());
    assert!(applied.stderr.contains("another process is working on this case"), "{}", applied.stderr);
    drop(lock);
    let resumed = lab.staunch(&["resume", &run]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.text());
    let applied = lab.staunch(&["apply", "second.json", "--approve", &second]);
    assert_eq!(applied.code, Some(0), "{}", applied.text());
}
