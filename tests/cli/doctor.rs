//! `doctor` and `permissions`: what an identity may do, and what it would need.

use std::collections::BTreeSet;

use mock_server::faults::{Effect, Fault, Match};
use serde_json::Value;

use crate::lab::{AITM, FIVE_MINUTES, Lab};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Names of the permissions of one half of the list.
fn names(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|need| need["permission"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn doctor_says_that_all_is_there() {
    let lab = Lab::aitm();
    let ended = lab.staunch(&["doctor"]);
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    for part in [
        "\"sunnyside08\"",
        "roles: Exchange Administrator",
        "WARNING credential: a client secret",
        "WARNING break-glass",
        "WARNING recipients",
        "can     mailbox.disable-inbox-rules",
    ] {
        assert!(ended.stdout.contains(part), "{part}:\n{}", ended.stdout);
    }
    assert!(!ended.stdout.contains("guards:"), "nothing is hidden from the guards:\n{}", ended.stdout);
    assert_eq!(lab.mutations(), 0);
}

#[test]
fn doctor_names_what_is_missing_for_each_action_of_a_playbook() {
    let lab = Lab::aitm();
    lab.tenant.grant_only(&["User.Read.All", "User.RevokeSessions.All", "Exchange.ManageAsApp"]);
    lab.tenant.assign_roles(&[]);
    let ended = lab.staunch(&["doctor", FIVE_MINUTES]);
    assert_eq!(ended.code, Some(4), "{}", ended.text());
    let lacks = "CANNOT  user.block-sign-in: to change, it lacks the permission User.EnableDisableAccount.All";
    assert!(ended.stdout.contains(lacks), "{}", ended.stdout);
    assert!(ended.stdout.contains("can     user.revoke-sessions"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("device.disable"), "not in this playbook:\n{}", ended.stdout);
    assert!(ended.stdout.contains("WARNING guards: who holds a directory role"), "{}", ended.stdout);

    let all = json(&lab.staunch(&["doctor", "--format", "json"]).stdout);
    let of = |id: &str| all["actions"].as_array().unwrap().iter().find(|it| it["action"] == id).unwrap().clone();
    assert_eq!(of("mailbox.disable-inbox-rules")["missing"]["roles"][0], "Exchange Administrator");
    assert_eq!(of("user.revoke-sessions")["can"], true);
    assert_eq!(of("device.disable")["missing"]["reads"][0], "Device.Read.All");
}

/// Adds a line to the profile.
fn profile(lab: &Lab, line: &str) {
    let text = std::fs::read_to_string(lab.path("staunch.toml")).unwrap();
    lab.write("staunch.toml", &format!("{text}{line}\n"));
}

#[test]
fn doctor_says_for_which_blind_spots_every_plan_is_refused() {
    let lab = Lab::aitm();
    profile(&lab, "break_glass = [\"johanna@sunnyside08.example\", \"jon@sunnyside08.example\"]");
    let unresolved = lab.staunch(&["doctor", FIVE_MINUTES]);
    assert_eq!(unresolved.code, Some(4), "{}", unresolved.text());
    for part in ["BAD     break-glass: break_glass entry jon@sunnyside08", "good    break-glass: 1 entries protect"] {
        assert!(unresolved.stdout.contains(part), "{part}:\n{}", unresolved.stdout);
    }

    let lab = Lab::aitm();
    lab.tenant.grant_only(&["User.Read.All", "User.RevokeSessions.All", "User.EnableDisableAccount.All"]);
    assert_eq!(lab.staunch(&["doctor", FIVE_MINUTES]).code, Some(0));
    profile(&lab, "strict_guards = true");
    let strict = lab.staunch(&["doctor", FIVE_MINUTES]);
    assert_eq!(strict.code, Some(4), "{}", strict.text());
    assert!(strict.stdout.contains("BAD     guards: who holds a directory role"), "{}", strict.stdout);
}

#[test]
fn doctor_that_cannot_sign_in_is_exit_1_with_one_line() {
    let lab = Lab::aitm();
    let output = lab.command(&["doctor"]).env("LAB_SECRET", "wrong").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("AADSTS7000215"), "{stderr}");
    assert_eq!(stderr.lines().filter(|line| line.starts_with("error:")).count(), 1, "{stderr}");
}

#[test]
fn permissions_lists_reads_apart_from_writes_without_a_tenant() {
    let lab = Lab::aitm();
    let list = json(&lab.staunch(&["permissions", FIVE_MINUTES, "--format", "json"]).stdout);
    let writes = ["User.EnableDisableAccount.All", "User.RevokeSessions.All"].map(str::to_owned);
    assert_eq!(names(&list["writes"]), BTreeSet::from(writes));
    assert!(names(&list["reads"]).contains("User.Read.All"), "{list:#}");
    let human = lab.staunch(&["permissions", FIVE_MINUTES]).stdout;
    let (reads, writes) = human.split_once("To change, besides:").unwrap();
    assert!(reads.contains("RoleManagement.Read.Directory") && !writes.contains("Read.Directory"), "{human}");
    assert_eq!(lab.tenant.requests().len(), 0);
}

#[test]
fn the_listed_permissions_are_enough_and_leave_nothing_unseen() {
    let lab = Lab::aitm();
    let list = json(&lab.staunch(&["permissions", AITM, "--format", "json"]).stdout);
    let all: Vec<String> = names(&list["reads"]).union(&names(&list["writes"])).cloned().collect();
    lab.tenant.grant_only(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let doctor = lab.staunch(&["doctor", AITM]);
    assert_eq!(doctor.code, Some(0), "{}", doctor.text());
    assert!(!doctor.stdout.contains("guards:"), "{}", doctor.stdout);
    let digest = lab.plan();
    let applied = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert_eq!(applied.code, Some(0), "{}", applied.text());
}

#[test]
fn the_manifest_is_whole_and_holds_ids_only() {
    let lab = Lab::aitm();
    let ended = lab.staunch(&["permissions", AITM, "--manifest"]);
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    let resources = json(&ended.stdout)["requiredResourceAccess"].clone();
    let resources = resources.as_array().unwrap();
    assert_eq!(resources.len(), 2, "{resources:#?}");
    for access in resources.iter().flat_map(|resource| resource["resourceAccess"].as_array().unwrap()) {
        uuid::Uuid::try_parse(access["id"].as_str().unwrap()).unwrap();
        assert_eq!(access["type"], "Role");
    }
    let list = json(&lab.staunch(&["permissions", AITM, "--format", "json"]).stdout);
    let both = list["reads"].as_array().unwrap().iter().chain(list["writes"].as_array().unwrap());
    for need in both {
        let id = need["id"].as_str().unwrap_or_else(|| panic!("the id of {} is not known", need["permission"]));
        assert!(ended.stdout.contains(id), "{need}");
    }
    assert_eq!(ended.stderr, "");
    let all = lab.staunch(&["permissions", "--manifest"]);
    assert_eq!((all.code, all.stderr.as_str()), (Some(0), ""), "an id of some action is not known");
}

#[test]
fn doctor_names_the_licences_of_the_tenant_and_what_they_mean() {
    let lab = Lab::aitm();
    let told = lab.staunch(&["doctor"]).stdout;
    assert!(told.contains("licences: Microsoft Entra ID P1, Microsoft Entra ID P2, Microsoft Intune; the"), "{told}");
    assert!(told.contains("go back 30 days"), "{told}");
    lab.tenant.set(|settings| settings.premium = false);
    let told = lab.staunch(&["doctor"]).stdout;
    assert!(told.contains("licences: none that matters here; the directory's logs go back 7 days"), "{told}");
}

#[test]
fn a_table_of_permissions_fits_a_terminal_and_breaks_no_name() {
    let lab = Lab::aitm();
    let table = lab.staunch(&["permissions"]).stdout;
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert!(table.contains("RoleEligibilitySchedule.Read.Directory") && table.contains("mailbox.remove-inbox-rules"));
}

#[test]
fn doctor_says_whether_the_tenant_can_end_our_token_at_once() {
    let lab = Lab::aitm();
    assert!(lab.staunch(&["doctor"]).stdout.contains("continuous access evaluation), and we would know"));
    let profile = std::fs::read_to_string(lab.path("staunch.toml")).unwrap();
    lab.write("staunch.toml", &profile.replace("auth =", "cae = false\nauth ="));
    assert!(lab.staunch(&["doctor"]).stdout.contains("without continuous access evaluation"));
}

#[test]
fn doctor_without_a_token_for_exchange_says_which_actions_that_costs() {
    let lab = Lab::aitm();
    let refused = Effect::ServerError { status: 401, applied: false };
    lab.tenant.faults().add(Fault::nth(Match::path("/token"), 1, 100, refused.clone()));
    let ended = lab.staunch(&["doctor"]);
    assert_eq!(ended.code, Some(1), "{}", ended.text());
    assert!(ended.stdout.contains("BAD     Exchange Online: failed to sign in"), "{}", ended.stdout);
    let lost = "CANNOT  mailbox.disable-inbox-rules: no token for Exchange Online";
    assert!(ended.stdout.contains(lost) && ended.stdout.contains("can     user.block-sign-in"), "{}", ended.stdout);

    lab.tenant.faults().clear();
    lab.tenant.faults().add(Fault::nth(Match::path("/token"), 1, 100, refused));
    let needless = lab.staunch(&["doctor", FIVE_MINUTES]);
    assert_eq!(needless.code, Some(0), "this playbook does not need Exchange:\n{}", needless.text());
}
