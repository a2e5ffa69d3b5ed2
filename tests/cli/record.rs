//! The record of a run on the command line: the key that is shown, what it proves, and the exit codes.

use std::{collections::BTreeMap, fs};

use mock_server::faults::{Effect, Fault, Match};
use serde_json::Value;

use crate::lab::{Ended, FIVE_MINUTES, Lab};

/// An applied run; gives its id and the key that was shown when it began.
fn applied(lab: &Lab) -> (String, String) {
    let digest = lab.plan();
    let ended = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    let keys: Vec<String> = keys(&ended);
    assert_eq!(keys.len(), 2, "at the beginning and at the end: {}", ended.stderr);
    assert_eq!(keys[0], keys[1]);
    assert!(ended.stdout.replace("\n", "").replace(' ', "").contains(&keys[0]), "the report shows it too");
    (lab.run_id(), keys[0].clone())
}

/// The keys that were shown, in order.
fn keys(ended: &Ended) -> Vec<String> {
    ended.stderr.lines().filter_map(|line| line.trim_start().strip_prefix("key   ")).map(str::to_owned).collect()
}

fn verdict(lab: &Lab, args: &[&str]) -> (String, Option<i32>) {
    let ended = lab.staunch(&[&["audit", "verify", "--format", "json"], args].concat());
    let json: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.text()));
    (json["verdict"].as_str().unwrap().to_owned(), ended.code)
}

#[test]
fn a_record_is_authentic_under_its_key_and_one_line_of_it_can_be_proved() {
    let lab = Lab::aitm();
    let (run, key) = applied(&lab);
    assert_eq!(verdict(&lab, &[&run]), ("consistent".into(), Some(50)));
    assert_eq!(verdict(&lab, &[&run, "--key", &key]), ("authentic".into(), Some(0)));
    lab.write("policy", &format!("# the ticket\nlog {key}\nquorum none\n"));
    assert_eq!(verdict(&lab, &[&run, "--policy", "policy"]), ("authentic".into(), Some(0)));
    let words = lab.staunch(&["audit", "verify", &run]);
    assert!(words.stdout.contains("NOT AUTHENTICATED"), "{}", words.stdout);
    let us = lab.tenant.credentials();
    assert!(words.stdout.contains(&format!("\nrun   {run} of case case, 20")), "{}", words.stdout);
    assert!(words.stdout.contains(&format!("\non    tenant {} (global)", us.tenant_id)), "{}", words.stdout);
    assert!(words.stdout.contains(&format!("with application {}", us.client_id)), "{}", words.stdout);
    assert_eq!(verdict(&lab, &[&run, "--key", &key, "--tenant-id", &us.tenant_id]), ("authentic".into(), Some(0)));
    assert_eq!(verdict(&lab, &[&run, "--key", &key, "--tenant-id", &us.client_id]), ("broken".into(), Some(5)));

    let other = Lab::aitm();
    let (_, foreign) = applied(&other);
    assert_eq!(verdict(&lab, &[&run, "--key", &foreign]), ("broken".into(), Some(5)));
    let mistyped = lab.staunch(&["audit", "verify", &run, "--key", &key.replace("+A", "+B")]);
    assert_eq!(mistyped.code, Some(2), "{}", mistyped.text());

    let proof = lab.staunch(&["audit", "prove", &run, "--seq", "1", "--out", "one.tlog-proof"]);
    assert_eq!(proof.code, Some(0), "{}", proof.text());
    let shown = lab.staunch(&["audit", "check-proof", "one.tlog-proof", "--key", &key]);
    assert!(shown.stdout.contains("approved by responder"), "{}", shown.text());
    assert_eq!(shown.code, Some(0));
    assert_eq!(lab.staunch(&["audit", "check-proof", "one.tlog-proof", "--key", &foreign]).code, Some(5));
    assert_eq!(lab.staunch(&["audit", "check-proof", "one.tlog-proof"]).code, Some(2));
    assert_eq!(lab.staunch(&["audit", "prove", &run, "--seq", "9999"]).code, Some(2));

    let journal = lab.path("case/runs").join(&run).join("journal.jsonl");
    fs::write(&journal, fs::read_to_string(&journal).unwrap().replace("responder", "respondor")).unwrap();
    assert_eq!(verdict(&lab, &[&run, "--key", &key]), ("broken".into(), Some(5)));
    assert_eq!(lab.staunch(&["audit", "prove", &run, "--seq", "1"]).code, Some(5));
}

#[test]
fn a_clock_that_is_off_is_told_when_a_run_begins_and_when_it_is_taken_up() {
    let ahead = mock_server::Clock::follow(|| jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5));
    let lab = Lab::on(&mock_server::Scenario::builtin("aitm").unwrap(), ahead);
    let digest = lab.plan();
    let mut command = lab.command(&["apply", "plan.json", "--approve", &digest]);
    let killed = Ended::of(command.env("STAUNCH_CRASH_AFTER", "2").output().unwrap());
    let resumed = lab.staunch(&["resume", &lab.run_id()]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.text());
    for ended in [killed, resumed] {
        let line = ended.stderr.lines().find(|line| line.starts_with("warning: this machine's clock")).unwrap();
        assert!(line.contains(" s behind the tenant's"), "{line}");
    }
    let right = Lab::aitm();
    let digest = right.plan();
    let ended = right.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert!(!ended.stderr.contains("this machine's clock"), "{}", ended.stderr);
}

#[test]
fn a_run_that_is_taken_up_as_somebody_else_says_so() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let mut command = lab.command(&["apply", "plan.json", "--approve", &digest]);
    drop(command.env("STAUNCH_CRASH_AFTER", "2").output().unwrap());
    // Our application was deleted and set up anew, with the permissions and roles that it had.
    let (us, new) = (lab.tenant.credentials().client_id, "0a0a0a0a-0000-4000-8000-0a0a0a0a0a0a");
    lab.tenant.edit(|state| {
        let mut ours = state.service_principals.values().find(|it| it.app_id == us).unwrap().clone();
        state.service_principals.remove(&ours.id);
        let old = ours.id;
        ours.id = new.to_owned();
        state.service_principals.insert(new.to_owned(), ours);
        let (given, roles) = (state.app_role_assignments.clone(), state.role_assignments.clone());
        for row in given.values().filter(|row| row.principal_id == old) {
            state.app_role_assignments.get_mut(&row.id).unwrap().principal_id = new.to_owned();
        }
        for row in roles.values().filter(|row| row.principal_id == old) {
            state.role_assignments.get_mut(&row.id).unwrap().principal_id = new.to_owned();
        }
    });
    let run = lab.run_id();
    let resumed = lab.staunch(&["resume", &run]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.text());
    let line = resumed.stderr.lines().find(|line| line.starts_with("warning: the run was begun by")).unwrap();
    let now = format!("application {us} ({new})");
    assert!(line.ends_with(&format!("it goes on as {now}")), "{line}");
    let report = resumed.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(report.contains(&format!("taken up again by responder, now as {now}")), "{}", resumed.stdout);
    assert!(lab.staunch(&["audit", "show", &run]).stdout.contains(&format!("resumed by responder as {now}")));
    let verified = lab.staunch(&["audit", "verify", &run]);
    assert!(verified.code == Some(50) && verified.stdout.contains(&now), "{}", verified.text());
}

#[test]
#[cfg(target_os = "linux")]
fn a_command_line_that_is_no_unicode_is_recorded_as_far_as_it_is() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    let lab = Lab::aitm();
    let digest = lab.plan();
    let case = OsStr::from_bytes(b"c\xff");
    let ended = lab.command(&["apply", "plan.json", "--approve", &digest, "--case"]).arg(case).output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    let run = fs::read_dir(lab.dir.path().join(case).join("runs")).unwrap().next().unwrap().unwrap().path();
    let header: Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(header["command"].as_array().unwrap().last(), Some(&"c\u{fffd}".into()));
}

#[test]
fn the_record_is_compared_with_what_the_tenant_logged() {
    let lab = Lab::aitm();
    let (run, _) = applied(&lab);
    let ended = lab.staunch(&["audit", "reconcile", &run, "--format", "json"]);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.text()));
    assert_eq!(json["not_ours"], serde_json::json!([]), "{}", ended.stdout);
    let words = lab.staunch(&["audit", "reconcile", &run]);
    assert!(words.stdout.contains("MicrosoftGraphActivityLogs"), "{}", words.text());
    assert!(words.stdout.contains("OfficeActivity"), "{}", words.stdout);
    assert!(words.stdout.contains("nothing is missing on either side"), "{}", words.stdout);
    assert_eq!(words.code, Some(0));
    assert_eq!((&json["gaps"], &json["elsewhere"]), (&serde_json::json!([]), &0.into()), "{}", ended.stdout);

    // An export instead of the search, and what a search that is refused leaves open.
    let records: Vec<Value> = lab.tenant.unified_audit().into_iter().map(|row| row["auditData"].clone()).collect();
    lab.write("unified.json", &Value::Array(records.clone()).to_string());
    let ended = lab.staunch(&["audit", "reconcile", &run, "--unified-log", "unified.json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    let cmdlet = |record: &&Value| record["Operation"] == "Disable-InboxRule";
    assert!(records.iter().any(|record| cmdlet(&record)));
    let without: Vec<&Value> = records.iter().filter(|record| !cmdlet(record)).collect();
    lab.write("unified.json", &serde_json::to_string(&without).unwrap());
    let ended = lab.staunch(&["audit", "reconcile", &run, "--unified-log", "unified.json"]);
    assert_eq!(ended.code, Some(4), "{}", ended.text());
    assert!(ended.stdout.contains("the unified audit log may be 24 hours late"), "{}", ended.stdout);
    lab.write("unified.json", "RecordId,CreationDate\n1,2\n");
    assert_eq!(lab.staunch(&["audit", "reconcile", &run, "--unified-log", "unified.json"]).code, Some(2));
    let denied = Effect::Answer { status: 403, content_type: "text/plain".into(), body: String::new(), applied: false };
    lab.tenant.faults().add(Fault::always(Match::cmdlet("Search-UnifiedAuditLog"), denied));
    let ended = lab.staunch(&["audit", "reconcile", &run]);
    assert_eq!(ended.code, Some(4), "{}", ended.text());
    assert!(ended.stdout.contains("the unified audit log was not read whole"), "{}", ended.stdout);
    assert!(ended.stdout.contains("--unified-log"), "{}", ended.stdout);
    lab.tenant.faults().clear();
    // The directory's log that may not be read is not the end of it: an export can be compared all the same.
    let denied = Effect::Answer { status: 403, content_type: "text/plain".into(), body: String::new(), applied: false };
    lab.tenant.faults().add(Fault::always(Match::path("/auditLogs/directoryAudits"), denied));
    let ended = lab.staunch(&["audit", "reconcile", &run]);
    assert_eq!(ended.code, Some(4), "{}", ended.text());
    assert!(ended.stdout.contains("the directory's audit log was not read whole"), "{}", ended.stdout);
    assert!(ended.stdout.contains("looked at: the unified audit log"), "{}", ended.stdout);
    assert!(ended.stdout.contains("calls were compared with nothing"), "{}", ended.stdout);
    lab.tenant.faults().clear();
    lab.write("log.jsonl", "not JSON\n");
    assert_eq!(lab.staunch(&["audit", "reconcile", &run, "--activity-log", "log.jsonl"]).code, Some(2));
    // What the same identity did and no journal knows.
    let row = format!(
        r#"{{"RequestMethod":"DELETE","RequestUri":"https://graph.example/v1.0/users/x","RequestId":"r","AppId":"{}"}}"#,
        lab.tenant.credentials().client_id
    );
    lab.write("log.jsonl", &row);
    let ended = lab.staunch(&["audit", "reconcile", &run, "--activity-log", "log.jsonl"]);
    assert!(ended.stdout.contains("NOT RECORDED BY US"), "{}", ended.text());
    assert_eq!(ended.code, Some(5));
}

/// Whoever used our identity in Exchange would be in the log that could not be read.
#[test]
fn a_log_that_was_not_read_is_no_agreement_even_for_a_run_without_exchange() {
    let lab = Lab::aitm();
    let users = format!("users={}", lab.tenant.incident().victims.join(","));
    let digest = lab.plan_to_file(&["plan", FIVE_MINUTES, "-i", &users]);
    assert_eq!(lab.staunch(&["apply", "plan.json", "--approve", &digest]).code, Some(0));
    let run = lab.run_id();
    assert_eq!(lab.staunch(&["audit", "reconcile", &run]).code, Some(0));
    let denied = Effect::Answer { status: 403, content_type: "text/plain".into(), body: String::new(), applied: false };
    lab.tenant.faults().add(Fault::always(Match::cmdlet("Search-UnifiedAuditLog"), denied));
    let ended = lab.staunch(&["audit", "reconcile", &run]);
    assert_eq!(ended.code, Some(4), "{}", ended.text());
    assert!(ended.stdout.contains("the unified audit log was not read whole"), "{}", ended.stdout);
}

#[test]
fn the_run_is_exported_for_other_programs_and_noted_times_are_held_against_it() {
    let lab = Lab::aitm();
    let (run, _) = applied(&lab);
    let events = |form: &str| -> Vec<Value> {
        let ended = lab.staunch(&["report", &run, "--as", form]);
        assert_eq!(ended.code, Some(0), "{}", ended.text());
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let ocsf = events("ocsf");
    for class in [7001, 3001, 3004, 6003] {
        assert!(ocsf.iter().any(|event| event["class_uid"] == class), "{class}");
    }
    let is_password = |event: &&Value| event["type_uid"] == 300_104;
    assert_eq!(ocsf.iter().filter(is_password).count(), 1);
    let evicted = ocsf.iter().find(|event| event["type_uid"] == 700_102).unwrap();
    assert_eq!(evicted["countermeasures"][0]["d3f_technique"]["uid"], "D3-AL");
    assert!(events("timesketch").iter().all(|event| event["datetime"].as_str().unwrap().ends_with('Z')));

    // The talk's own times: sign-ins between 13:50:17 and 14:11:43 UTC, and a mail "at 5:03 UTC", which was local time.
    let event = |what: &str, at: &str, kind: &str| {
        format!(r#"{{"message":"{what}","datetime":"2023-12-12T{at}Z","timestamp_desc":"log","kind":"{kind}"}}"#) + "\n"
    };
    let noted = event("sign-in", "13:50:17", "access") + &event("sign-in", "14:11:43", "access");
    lab.write("noted", &(noted.clone() + &event("mail sent", "05:03:00", "effect")));
    let linted = lab.staunch(&["report", &run, "--as", "timesketch", "--noted", "noted"]);
    assert!(
        linted.stderr.contains("mail sent at 2023-12-12T05:03:00Z stands 8 h 47 min before the first access"),
        "{}",
        linted.text()
    );
    assert!(linted.stdout.lines().next().unwrap().contains("mail sent"));
    lab.write("noted", &(noted + &event("mail sent", "14:03:00", "effect")));
    let meant = lab.staunch(&["report", &run, "--as", "timesketch", "--noted", "noted"]);
    assert!(!meant.stderr.contains("before the first access"), "{}", meant.stderr);
    lab.write(
        "noted",
        "{\"message\":\"m\",\"datetime\":\"2000-01-01T05:03:00\",\"timestamp_desc\":\"l\",\"kind\":\"effect\"}",
    );
    assert_eq!(lab.staunch(&["report", &run, "--as", "timesketch", "--noted", "noted"]).code, Some(2));
}

/// What the plan was made from, what the guards read, what was seen before and after, and what was sent.
#[test]
fn every_exchange_with_the_tenant_is_in_the_record_of_the_run() {
    let lab = Lab::aitm();
    let digest = lab.plan();
    let planned = lab.tenant.requests().len();
    let ended = lab.staunch(&["apply", "plan.json", "--approve", &digest]);
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    let run = lab.path("case/runs").join(lab.run_id());
    let file: Value = serde_json::from_slice(&fs::read(run.join("plan.json")).unwrap()).unwrap();
    let reads = file["reads"].as_array().unwrap();
    assert_eq!(file["plan"]["reads"]["count"], reads.len());
    let id = |head: &Value| head["client_request_id"].as_str().unwrap().to_owned();
    let mut known: BTreeMap<String, String> =
        reads.iter().map(|read| (id(&read["head"]), read["body"].as_str().unwrap().to_owned())).collect();
    for entry in fs::read_dir(run.join("evidence")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "head") {
            let body = fs::read_to_string(path.with_extension("body")).unwrap();
            known.insert(id(&serde_json::from_slice(&fs::read(&path).unwrap()).unwrap()), body);
        }
    }
    let asked = lab.tenant.requests();
    assert!(planned > 10 && asked.len() > planned + 20, "{planned}, {}", asked.len());
    let tenant = asked.iter().filter(|request| !request.path.ends_with("/token") && request.path != "/v1.0/$batch");
    let lost: Vec<_> =
        tenant.filter(|it| !it.client_request_id.as_ref().is_some_and(|id| known.contains_key(id))).collect();
    assert!(lost.is_empty(), "{lost:#?}");
    assert!(known.values().any(|body| body.contains("accountEnabled")), "the bytes stand there, too");

    // What it was made from cannot be changed behind the approval.
    let edited = fs::read_to_string(lab.path("plan.json")).unwrap().replacen("\"body\":\"{", "\"body\":\"{ ", 1);
    lab.write("other.json", &edited);
    let refused = lab.staunch(&["apply", "other.json", "--approve", &digest]);
    assert!(refused.code == Some(3) && refused.stderr.contains("edited after it was made"), "{}", refused.text());
}
