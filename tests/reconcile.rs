//! A run's record against the tenant's own: what agrees, what one of the two does not show, and what is said of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::time::Duration;

use common::{Ran, World, bind};
use jiff::{SignedDuration, Timestamp};
use mock_server::faults::{Effect, Fault, Match};
use serde_json::{Value, json};
use staunch::{
    client::Session,
    journal::{History, Record},
    model::{Call, GraphPath, Replay, Verb, WriteCmdlet},
    reconcile::{
        Absence, AuditEntry, Reconciliation, Shown, Source, UnifiedLog, Window, activity_log, audit_feed, reconcile,
        search,
    },
};

const PLAYBOOK: &str = "schema: staunch/v1
id: test
version: 1.0.0
title: Test
inputs:
  users: {type: users}
limits: {changes: 50}
stages:
  - id: cut
    steps:
      - {id: block, each: inputs.users, do: {user.block-sign-in: {user: each}}}
      - {id: sessions, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
";

/// A run of two changes to one account.
async fn run() -> (World, Ran) {
    let world = World::aitm().await;
    let bound = bind(PLAYBOOK, &[("users", json!([world.victim()]))]);
    let file = world.plan(&bound).await;
    let ran = world.run(file).await;
    (world, ran)
}

async fn feed(session: &Session, history: &History) -> Vec<AuditEntry> {
    audit_feed(&session.reader(), Window::of(history)).await.unwrap()
}

fn later(history: &History, by: Duration) -> Timestamp {
    history.lines.last().unwrap().t.checked_add(by).unwrap()
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Rows of Graph's activity log as it would show this run.
fn rows(history: &History) -> Vec<Value> {
    let us = &history.header.identity;
    let row = |record: &Record| match record {
        Record::Intent { client_request_id, server_time, .. } => Some(json!({
            "TimeGenerated": server_time.to_string(), "ClientRequestId": client_request_id, "RequestId": "r",
            "RequestMethod": "PATCH", "RequestUri": "https://graph.example/v1.0/users/x", "ResponseStatusCode": 204,
            "AppId": us.app_id, "ServicePrincipalId": us.object_id,
        })),
        _ => None,
    };
    history.lines.iter().filter_map(|line| row(&line.record)).collect()
}

fn compare(history: &History, entries: &[AuditEntry], rows: Option<&[Value]>, now: Timestamp) -> Reconciliation {
    let text = rows.map(|rows| rows.iter().map(|row| format!("{row}\n")).collect::<String>());
    let rows = text.map(|text| activity_log(&text).unwrap());
    reconcile(history, &[], Shown { entries: Some(entries), rows: rows.as_deref(), unified: None }, now)
}

#[tokio::test]
async fn an_honest_run_is_shown_by_both_records() {
    let (world, ran) = run().await;
    let history = ran.history();
    let entries = feed(&world.session().await, &history).await;
    let found = compare(&history, &entries, Some(&rows(&history)), later(&history, DAY));
    assert_eq!((found.shown, found.elsewhere), (2, 0), "{found:#?}");
    assert!(found.not_shown.is_empty() && found.not_ours.is_empty(), "{found:#?}");
    assert!(!found.differs());
    for row in rows(&history) {
        assert!(found.kql.contains(row["ClientRequestId"].as_str().unwrap()), "{}", found.kql);
    }
    assert!(found.kql.contains(&history.header.identity.object_id));
}

#[tokio::test]
async fn what_the_tenant_does_not_show_is_told_with_delay_and_retention() {
    let (_world, ran) = run().await;
    let history = ran.history();
    let whys = |now| {
        let found = compare(&history, &[], None, now);
        assert_eq!(found.not_shown.len(), 2);
        (found.not_shown[0].why, found.differs())
    };
    assert_eq!(whys(later(&history, Duration::from_secs(600))), (Absence::NotYet, false));
    assert_eq!(whys(later(&history, DAY)), (Absence::Missing, true));
    assert_eq!(whys(later(&history, 8 * DAY)), (Absence::MayBeDropped, false));

    let mut fewer = rows(&history);
    let gone = fewer.remove(0);
    let found = compare(&history, &[], Some(&fewer), later(&history, DAY));
    let of_log: Vec<_> = found.not_shown.iter().filter(|it| it.source == Source::GraphActivityLog).collect();
    assert_eq!(of_log.len(), 1);
    assert_eq!(of_log[0].client_request_id, gone["ClientRequestId"]);
}

#[tokio::test]
async fn what_our_identity_did_beside_the_journal_is_found() {
    let (world, ran) = run().await;
    let history = ran.history();
    // The same identity changes another account, and the journal does not know.
    let other = "grady@sunnyside08.example";
    let session = world.session().await;
    let path = GraphPath::v1().fixed("users").id(other);
    let call = Call::graph(Verb::Patch, path, Some(json!({"accountEnabled": false})), Replay::Set);
    let ids = staunch::client::Secrets::default();
    let sent = session.sender().send(&call, &ids, "beside").await;
    assert!(format!("{:?}", sent.outcome).contains("Accepted"), "{:?}", sent.outcome);

    let entries = feed(&session, &history).await;
    let found = compare(&history, &entries, None, later(&history, DAY));
    assert!(found.differs());
    // One change, two entries.
    let whats: Vec<&str> = found.not_ours.iter().map(|it| it.what.raw()).collect();
    assert_eq!(whats, ["Disable account", "Update user"]);
    assert!(found.not_ours.iter().all(|it| it.to[0].raw() == other), "{found:#?}");
    assert_eq!(found.not_shown, []);

    let mut more = rows(&history);
    more.push(json!({
        "TimeGenerated": history.lines[3].t.to_string(), "ClientRequestId": "beside", "RequestId": "r9",
        "RequestMethod": "PATCH", "RequestUri": "https://graph.example/v1.0/users/y",
        "ServicePrincipalId": history.header.identity.object_id,
    }));
    // Reads, other identities and other times are not ours to explain.
    let mut of_another = more[0].clone();
    of_another["ServicePrincipalId"] = json!("someone");
    of_another["AppId"] = json!("else");
    of_another["ClientRequestId"] = json!("x");
    let mut read = more[0].clone();
    read["RequestMethod"] = json!("GET");
    read["ClientRequestId"] = json!("y");
    let mut before = more[0].clone();
    let earlier = history.lines[0].t.checked_sub(SignedDuration::from_hours(9)).unwrap();
    before["TimeGenerated"] = json!(earlier.to_string());
    before["ClientRequestId"] = json!("z");
    more.extend([of_another, read, before]);
    let found = compare(&history, &[], Some(&more), later(&history, DAY));
    let ids: Vec<&str> = found.not_ours.iter().map(|it| it.id.raw()).collect();
    assert_eq!(ids, ["r9"]);
}

/// Sends a change of an account with our identity, beside any journal.
async fn change(session: &Session, user: &str, body: Value) {
    let path = GraphPath::v1().fixed("users").id(user);
    let call = Call::graph(Verb::Patch, path, Some(body), Replay::Set);
    let sent = session.sender().send(&call, &staunch::client::Secrets::default(), "beside").await;
    assert!(format!("{:?}", sent.outcome).contains("Accepted"), "{:?}", sent.outcome);
}

#[tokio::test]
async fn what_our_identity_did_to_an_account_of_the_run_is_found_too() {
    let (world, ran) = run().await;
    let history = ran.history();
    let session = world.session().await;
    // The containment is taken back, in the same minutes and on the same object.
    change(&session, &world.victim(), json!({"accountEnabled": true})).await;
    change(
        &session,
        &world.victim(),
        json!({"passwordProfile": {"password": "Wrong-8-hands", "forceChangePasswordNextSignIn": false}}),
    )
    .await;
    let entries = feed(&session, &history).await;
    let found = compare(&history, &entries, None, later(&history, DAY));
    let mut whats: Vec<&str> = found.not_ours.iter().map(|it| it.what.raw()).collect();
    whats.sort_unstable();
    assert_eq!(whats, ["Enable account", "Reset user password", "Update user"]);
    assert_eq!((found.shown, found.not_shown.len(), found.differs()), (2, 0, true));
}

#[tokio::test]
async fn what_was_tried_and_failed_shows_no_call() {
    let (world, ran) = run().await;
    let history = ran.history();
    let session = world.session().await;
    let mut entries: Vec<Value> =
        session.reader().list(&GraphPath::v1().fixed("auditLogs/directoryAudits")).await.unwrap();
    entries.iter_mut().for_each(|entry| entry["result"] = json!("failure"));
    let entries: Vec<AuditEntry> = serde_json::from_value(Value::Array(entries)).unwrap();
    let found = compare(&history, &entries, None, later(&history, DAY));
    assert_eq!((found.shown, found.not_shown.len(), found.not_ours.len()), (0, 2, 0), "{found:#?}");
}

#[tokio::test]
async fn the_tenants_own_rows_of_retries_and_batches_are_ours() {
    let world = World::aitm_on_one_clock().await;
    let bound = bind(PLAYBOOK, &[("users", json!([world.victim(), "grady@sunnyside08.example"]))]);
    let file = world.plan(&bound).await;
    world.tenant.clear_requests();
    let throttled = Effect::Throttle(mock_server::faults::RetryAfter::Seconds(1));
    world.tenant.faults().add(Fault::once(Match { method: Some("PATCH".into()), ..Match::default() }, throttled));
    let ran = world.run(file).await;
    let history = ran.history();
    let log = world.tenant.graph_activity();
    let posted =
        |row: &&Value| row["RequestMethod"] == "POST" && row["RequestUri"].as_str().unwrap().ends_with("$batch");
    assert!(log.iter().any(|row| posted(&row)), "reads went in batches");
    assert!(log.iter().any(|row| row["ResponseStatusCode"] == 429));
    let found = compare(&history, &[], Some(&log), later(&history, DAY));
    assert_eq!(found.not_ours, []);
    let missing = found.not_shown.iter().filter(|it| it.source == Source::GraphActivityLog).count();
    assert_eq!(missing, 0, "{found:#?}");
    let done = log.iter().filter(|row| row["RequestMethod"] == "PATCH" && row["ResponseStatusCode"] == 204);
    for row in done {
        assert!(found.kql.contains(row["ClientRequestId"].as_str().unwrap()), "{}", found.kql);
    }
    // Only the refused attempt is there: the call is not shown.
    let refused: Vec<Value> = log.into_iter().filter(|row| row["ResponseStatusCode"] != 204).collect();
    let found = compare(&history, &[], Some(&refused), later(&history, DAY));
    assert_eq!(found.not_shown.iter().filter(|it| it.source == Source::GraphActivityLog).count(), 2);
}

#[tokio::test]
async fn a_person_is_known_by_their_own_id_and_an_application_by_its_principal() {
    let (_world, ran) = run().await;
    let mut history = ran.history();
    let us = history.header.identity.clone();
    let row = |user: &str, app: &str| {
        json!({"RequestMethod": "PATCH", "RequestUri": "https://graph.example/v1.0/users/y", "RequestId": "r",
               "ClientRequestId": "beside", "UserId": user, "AppId": app})
    };
    let foreign =
        |history: &History, row: Value| !compare(history, &[], Some(&[row]), later(history, DAY)).not_ours.is_empty();
    assert!(!foreign(&history, row("somebody", &us.app_id)), "a person who uses the same application is not it");
    assert!(foreign(&history, row("", &us.app_id)));
    history.header.identity.kind = staunch::model::IdentityKind::User;
    assert!(foreign(&history, row(&us.object_id, "another application")));
    assert!(!foreign(&history, row("somebody", &us.app_id)));
}

#[tokio::test]
async fn who_took_a_run_up_again_is_us_too() {
    let (_world, ran) = run().await;
    let mut history = ran.history();
    let mut other = history.header.identity.clone();
    (other.app_id, other.object_id) = ("anew".to_owned(), "new-principal".to_owned());
    let mut log = rows(&history);
    (log[1]["AppId"], log[1]["ServicePrincipalId"]) = (json!(other.app_id), json!(other.object_id));
    let of_log =
        |found: &Reconciliation| found.not_shown.iter().filter(|it| it.source == Source::GraphActivityLog).count();
    let found = compare(&history, &[], Some(&log), later(&history, DAY));
    assert_eq!(of_log(&found), 1, "nobody told that it was us: {found:#?}");

    let mut line = history.lines[0].clone();
    let identity = Some(Box::new(other));
    line.record = Record::Resumed { records: 1, torn: None, by: "x".to_owned(), identity, continues: None };
    history.lines.insert(1, line);
    let mut beside = log[1].clone();
    beside["ClientRequestId"] = json!("beside");
    log.push(beside);
    let found = compare(&history, &[], Some(&log), later(&history, DAY));
    assert_eq!((of_log(&found), found.not_ours.len()), (0, 1), "{found:#?}");
    assert!([&found.kql, &found.kql_exchange].iter().all(|it| it.contains("new-principal")), "{}", found.kql);
    assert!(found.kql.contains(&format!(
        "where (ServicePrincipalId == \"{}\" or ServicePrincipalId == \"new-principal\") and",
        history.header.identity.object_id
    )));
}

#[tokio::test]
async fn a_tenant_whose_clock_is_ahead_is_looked_at_by_its_own_time() {
    let ahead = jiff::Timestamp::now().checked_add(SignedDuration::from_mins(40)).unwrap();
    let scenario = mock_server::Scenario::builtin("aitm").unwrap();
    let tenant = mock_server::Tenant::with_clock(&scenario, mock_server::Clock::manual(ahead));
    let world = World::with(tenant, staunch::model::ManualClock::at(jiff::Timestamp::now())).await;
    let file = world.plan(&bind(PLAYBOOK, &[("users", json!([world.victim()]))])).await;
    let history = world.run(file).await.history();
    let window = Window::of(&history);
    assert!(window.from < history.lines[0].t && window.until > ahead, "{window:?}");
    let entries = feed(&world.session().await, &history).await;
    let found = compare(&history, &entries, None, later(&history, DAY));
    assert_eq!((found.shown, found.not_shown.len(), found.not_ours.len()), (2, 0, 0), "{found:#?}");
}

#[tokio::test]
async fn runs_of_the_same_minutes_do_not_accuse_each_other() {
    let (world, first) = run().await;
    let second = world.run(world.undo_plan(&first.dir).await).await;
    let (first, second) = (first.history(), second.history());
    let entries = feed(&world.session().await, &second).await;
    let shown = Shown { entries: Some(&entries), ..Shown::default() };
    let both = |of: &History, others: &[History]| reconcile(of, others, shown, later(&second, DAY));
    assert!(both(&first, &[]).differs() && both(&second, &[]).differs(), "each alone sees the other");
    assert_eq!(both(&first, std::slice::from_ref(&second)).not_ours, []);
    assert_eq!(both(&second, std::slice::from_ref(&first)).not_ours, []);
    // What no run did is still told.
    change(&world.session().await, &world.victim(), json!({"accountEnabled": false})).await;
    let entries = feed(&world.session().await, &second).await;
    let found =
        reconcile(&second, &[first], Shown { entries: Some(&entries), ..Shown::default() }, later(&second, DAY));
    let mut whats: Vec<&str> = found.not_ours.iter().map(|it| it.what.raw()).collect();
    whats.sort_unstable();
    assert_eq!(whats, ["Disable account", "Update user"]);
}

/// Whatever action is added: what it and its way back send is found in the tenant's own records, under a name that the table
/// of activities knows.
#[tokio::test]
async fn every_action_and_its_way_back_are_shown() {
    for action in staunch::actions::REGISTRY.iter() {
        let world = World::aitm().await;
        let example: Value = serde_saphyr::from_str(action.examples()[0].input).unwrap();
        let file = world.plan(&common::one_step(action.meta().id, &example)).await;
        let there = world.run(file).await;
        let back = world.run(world.undo_plan(&there.dir).await).await;
        let (there, back) = (there.history(), back.history());
        let (session, until) = (world.session().await, later(&back, 2 * DAY));
        let entries = feed(&session, &back).await;
        let unified = searched(&world, &back, action.meta().id).await;
        let shown = Shown { entries: Some(&entries), rows: None, unified: Some(&unified) };
        for (of, other) in [(&there, &back), (&back, &there)] {
            let found = reconcile(of, std::slice::from_ref(other), shown, until);
            assert!(found.not_shown.is_empty() && found.not_ours.is_empty(), "{}: {found:#?}", action.meta().id);
        }
    }
}

#[tokio::test]
async fn entries_of_others_are_left_out() {
    let (world, ran) = run().await;
    let history = ran.history();
    let mut other = history.clone();
    other.header.identity.object_id = "44444444-4444-4444-8444-444444444444".into();
    let entries = feed(&world.session().await, &history).await;
    let found = compare(&other, &entries, None, later(&history, DAY));
    assert_eq!((found.not_ours.len(), found.not_shown.len()), (0, 2));
}

#[test]
fn an_export_that_is_not_one_is_refused_with_its_line() {
    let good = r#"{"RequestMethod":"GET","RequestUri":"x"}"#;
    assert_eq!(activity_log(&format!("\u{feff}{good}\n\n{good}\n")).unwrap().len(), 2);
    let error = activity_log(&format!("{good}\n{{\"a\":1}}\n")).unwrap_err();
    assert_eq!(error.line, 2);
}

const RULES: &str = "schema: staunch/v1
id: test
version: 1.0.0
title: Test
inputs:
  users: {type: users}
limits: {changes: 50}
stages:
  - id: only
    steps:
      - {id: rules, each: inputs.users, pick: operator, do: {mailbox.disable-inbox-rules: {user: each}}}
";

/// A run that disables the planted rules; how many calls it made.
async fn rules_run() -> (World, Ran, u64) {
    let world = World::aitm().await;
    let bound = bind(RULES, &[("users", json!([world.victim()]))]);
    let file = world.plan(&bound).await;
    let ran = world.run(file).await;
    let calls = ran.history().lines.iter().filter(|line| matches!(line.record, Record::Intent { .. })).count();
    assert!(calls > 0);
    (world, ran, calls as u64)
}

async fn searched(world: &World, history: &History, session: &str) -> UnifiedLog {
    search(&world.session().await.reader(), Window::of(history), session).await.unwrap()
}

fn against(history: &History, log: &UnifiedLog, now: Timestamp) -> Reconciliation {
    reconcile(history, &[], Shown { unified: Some(log), ..Shown::default() }, now)
}

/// The log as an export of it holds it, after a change.
fn exported(world: &World, change: impl Fn(&mut Value)) -> UnifiedLog {
    let mut records: Vec<Value> =
        world.tenant.unified_audit().into_iter().map(|row| row["auditData"].clone()).collect();
    records.iter_mut().for_each(change);
    records.retain(|record| !record.is_null());
    UnifiedLog::parse(&Value::Array(records).to_string()).unwrap()
}

/// Sends a cmdlet with our identity, beside any journal.
async fn beside(session: &Session, anchor: &str, name: WriteCmdlet, parameters: &Value) {
    let call = Call::cmdlet(name, anchor, parameters.as_object().unwrap().clone(), Replay::New);
    let sent = session.sender().send(&call, &staunch::client::Secrets::default(), "beside").await;
    assert!(format!("{:?}", sent.outcome).contains("Accepted"), "{:?}", sent.outcome);
}

#[tokio::test]
async fn an_honest_run_in_exchange_is_shown_by_the_unified_log() {
    let (world, ran, calls) = rules_run().await;
    let history = ran.history();
    let log = searched(&world, &history, "one").await;
    assert_eq!(log.gap, None);
    let found = against(&history, &log, later(&history, 2 * DAY));
    assert_eq!((found.shown, found.elsewhere), (calls, 0), "{found:#?}");
    assert!(found.not_shown.is_empty() && found.not_ours.is_empty() && found.gaps.is_empty(), "{found:#?}");
    assert_eq!(found.sources, [Source::UnifiedAuditLog]);
    assert!(found.kql_exchange.contains(&history.header.identity.app_id), "{}", found.kql_exchange);

    world.tenant.set(|settings| settings.audit_duplicates = true);
    let twice = searched(&world, &history, "two").await;
    assert_eq!(twice.records.len(), log.records.len(), "rows that repeat count once");
    assert!(!against(&history, &twice, later(&history, 2 * DAY)).differs());
    let export = exported(&world, |_| ());
    let found = against(&history, &export, later(&history, 2 * DAY));
    assert_eq!((found.shown, found.not_shown.len(), found.not_ours.len()), (calls, 0, 0), "{found:#?}");
    // Nothing is compared with a log that was not read.
    let found = reconcile(&history, &[], Shown::default(), later(&history, DAY));
    assert_eq!((found.shown, found.elsewhere), (0, calls));
}

#[tokio::test]
async fn rules_that_were_removed_and_made_again_are_shown_too() {
    let world = World::aitm().await;
    let bound =
        bind(&RULES.replace("disable-inbox-rules", "remove-inbox-rules"), &[("users", json!([world.victim()]))]);
    let file = world.plan(&bound).await;
    let removed = world.run(file).await;
    let undone = world.run(world.undo_plan(&removed.dir).await).await;
    let log = searched(&world, &undone.history(), "one").await;
    for (ran, cmdlet) in [(removed, "Remove-InboxRule"), (undone, "New-InboxRule")] {
        let history = ran.history();
        let intents = history.lines.iter().filter_map(|line| match &line.record {
            Record::Intent { request, .. } => Some(request.summary()),
            _ => None,
        });
        let calls: Vec<String> = intents.collect();
        assert!(calls.iter().any(|call| call.starts_with(cmdlet)), "{calls:?}");
        let found = against(&history, &log, later(&history, 2 * DAY));
        assert_eq!((found.shown, found.not_shown.len()), (calls.len() as u64, 0), "{calls:#?} {found:#?}");
        // The other run lies in the same minutes.
        assert!(found.not_ours.iter().all(|entry| entry.what.raw() != cmdlet), "{found:#?}");
    }
}

#[tokio::test]
async fn what_the_unified_log_does_not_show_is_told_with_its_own_delay_and_retention() {
    let (world, ran, calls) = rules_run().await;
    let history = ran.history();
    let none = exported(&world, |record| {
        if record["Operation"] == "Disable-InboxRule" {
            *record = Value::Null;
        }
    });
    let whys = |log: &UnifiedLog, after| {
        let found = against(&history, log, later(&history, after));
        assert_eq!((found.not_shown.len() as u64, found.shown), (calls, 0));
        assert!(found.not_shown.iter().all(|call| call.source == Source::UnifiedAuditLog));
        (found.not_shown[0].why, found.differs())
    };
    assert_eq!(whys(&none, DAY - Duration::from_secs(3600)), (Absence::NotYet, false));
    assert_eq!(whys(&none, DAY + Duration::from_secs(3600)), (Absence::Missing, true));
    assert_eq!(whys(&none, 179 * DAY), (Absence::Missing, true));
    assert_eq!(whys(&none, 181 * DAY), (Absence::MayBeDropped, false));
    let mut cut = none;
    cut.gap = Some("cut".to_owned());
    assert_eq!(whys(&cut, 2 * DAY), (Absence::NotRead, false));
}

#[tokio::test]
async fn a_change_in_exchange_that_no_journal_knows_is_found() {
    let (world, ran, calls) = rules_run().await;
    let history = ran.history();
    let rule = json!({"Mailbox": world.victim(), "Name": "planted", "ForwardTo": ["x@collector.example"]});
    beside(&world.session().await, &world.victim(), WriteCmdlet::NewInboxRule, &rule).await;
    let found = against(&history, &searched(&world, &history, "one").await, later(&history, 2 * DAY));
    assert_eq!((found.shown, found.not_shown.len()), (calls, 0), "{found:#?}");
    let whats: Vec<&str> = found.not_ours.iter().map(|entry| entry.what.raw()).collect();
    assert_eq!(whats, ["New-InboxRule"]);
    assert!(found.not_ours[0].to[0].raw().ends_with("\\planted"), "{found:#?}");
    assert!(found.differs());
    // The same of another identity is not ours to explain.
    let other = exported(&world, |record| {
        if record["Operation"] == "New-InboxRule" {
            for name in ["AppId", "ClientAppId", "UserKey", "UserId"] {
                record[name] = json!("another");
            }
        }
    });
    assert!(!against(&history, &other, later(&history, 2 * DAY)).differs());
}

#[tokio::test]
async fn a_record_of_our_cmdlet_on_another_object_or_with_another_parameter_is_not_of_our_call() {
    let (world, ran, calls) = rules_run().await;
    let history = ran.history();
    let spoiled = |change: fn(&mut Value)| {
        let log = exported(&world, |record| {
            if record["Operation"] == "Disable-InboxRule" {
                change(record);
            }
        });
        let found = against(&history, &log, later(&history, 2 * DAY));
        (found.not_shown.len() as u64, found.not_ours.len() as u64)
    };
    assert_eq!(spoiled(|_| ()), (0, 0));
    // The log may call the mailbox by another of its names, and may leave the parameters out.
    let renamed = |record: &mut Value| {
        let identity = record["Parameters"].as_array_mut().unwrap().iter_mut().find(|it| it["Name"] == "Identity");
        let value = identity.unwrap();
        let rule = value["Value"].as_str().unwrap().rsplit('\\').next().unwrap().to_owned();
        value["Value"] = json!(format!("somebody\\{rule}"));
    };
    assert_eq!(spoiled(renamed), (0, 0));
    assert_eq!(spoiled(|record| record["Parameters"] = json!([])), (0, 0));
    assert_eq!(spoiled(|record| record["Operation"] = json!("Disable-InboxRule. ")), (0, 0));

    let extra = |record: &mut Value| {
        let more = json!({"Name": "ForwardTo", "Value": "x@collector.example"});
        record["Parameters"].as_array_mut().unwrap().push(more);
    };
    assert_eq!(spoiled(extra), (calls, calls));
    assert_eq!(spoiled(|record| record["Operation"] = json!("Enable-InboxRule")), (calls, calls));
    let elsewhere = |record: &mut Value| {
        record["Parameters"] = json!([{"Name": "Identity", "Value": "johanna\\1"}]);
        record["ObjectId"] = json!("johanna\\1");
    };
    assert_eq!(spoiled(elsewhere), (calls, calls));
    let hours_later = |record: &mut Value| record["CreationTime"] = json!("2001-01-01T00:00:00");
    assert_eq!(spoiled(hours_later), (calls, 0), "not in the time of the run, so not ours to explain");
}

#[tokio::test]
async fn an_empty_search_is_not_an_empty_log() {
    let (world, ran, _) = rules_run().await;
    let history = ran.history();
    let cmdlet = "Search-UnifiedAuditLog";
    let answer = |body: Value| Effect::Answer {
        status: 200,
        content_type: "application/json".to_owned(),
        body: body.to_string(),
        applied: false,
    };
    // A failure inside comes as a warning beside an empty success; the next search is whole.
    let warned = json!({"value": [], "@adminapi.warnings": ["Failed to process request.\u{1b}[31m"]});
    world.tenant.faults().add(Fault::once(Match::cmdlet(cmdlet), answer(warned.clone())));
    let log = searched(&world, &history, "one").await;
    assert_eq!(log.gap, None);
    assert!(!log.records.is_empty());
    world.tenant.faults().add(Fault::always(Match::cmdlet(cmdlet), answer(warned)));
    let gap = searched(&world, &history, "two").await.gap.unwrap();
    assert!(gap.contains("Failed to process") && !gap.contains('\u{1b}'), "{gap}");
    world.tenant.faults().clear();

    // An answer that was lost took its page with it: the session goes on behind it.
    world.tenant.faults().add(Fault::once(Match::cmdlet(cmdlet), Effect::Drop { applied: true }));
    let log = searched(&world, &history, "three").await;
    assert_eq!(log.gap, None);
    assert!(!against(&history, &log, later(&history, 2 * DAY)).differs());

    let off = json!({"value": [{"UnifiedAuditLogIngestionEnabled": false}]});
    world.tenant.set(|settings| settings.lag.audit = 1_000_000_000);
    assert_eq!(searched(&world, &history, "four").await.gap, None, "it is on, and empty");
    world.tenant.faults().add(Fault::always(Match::cmdlet("Get-AdminAuditLogConfig"), answer(off)));
    let gap = searched(&world, &history, "five").await.gap.unwrap();
    assert!(gap.contains("UnifiedAuditLogIngestionEnabled"), "{gap}");
}

#[tokio::test]
async fn a_log_of_more_than_a_page_is_read_to_its_end() {
    let (world, ran, calls) = rules_run().await;
    let history = ran.history();
    let rule = history.lines.iter().find_map(|line| match &line.record {
        Record::Intent { request, .. } => serde_json::to_value(&request.write).ok(),
        _ => None,
    });
    let (session, parameters) = (world.session().await, rule.unwrap()["cmdlet"]["parameters"].clone());
    for _ in 0..300 {
        for name in [WriteCmdlet::EnableInboxRule, WriteCmdlet::DisableInboxRule] {
            beside(&session, &world.victim(), name, &parameters).await;
        }
    }
    // Twice as many rows as records.
    world.tenant.set(|settings| settings.audit_duplicates = true);
    let before = world.tenant.requests().len();
    let log = searched(&world, &history, "one").await;
    let pages = world.tenant.requests()[before..].iter().filter(|it| it.cmdlet.is_some()).count();
    assert_eq!((log.gap.as_deref(), pages), (None, 2));
    let found = against(&history, &log, later(&history, 2 * DAY));
    assert_eq!((found.shown, found.not_ours.len()), (calls, 600));
}
