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
use serde_json::{Value, json};
use staunch::{
    client::Session,
    journal::{History, Record},
    model::{Call, GraphPath, Replay, Verb},
    reconcile::{Absence, AuditEntry, Reconciliation, Source, Window, activity_log, audit_feed, reconcile},
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
    reconcile(history, entries, rows.as_deref(), now)
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
