//! What the exports hold, by the rules of their formats.

use serde_json::Value;

use super::{Export, Noted, TimelineFinding, lint::lint, noted};
use crate::{
    journal::{
        Record,
        testing::{Bench, USER, ended, small, target},
    },
    model::{IdentityKind, Outcome, Target},
    report::Known,
};

fn parsed(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn export() -> Export {
    export_with(&[]).await
}

async fn export_with(noted: &[Noted]) -> Export {
    let case = tempfile::tempdir().unwrap();
    let run = small(case.path(), "r1").await.close().await;
    Export::read_with(&run, &Known { noted, ..Known::actions(&|_| None) }).unwrap()
}

#[tokio::test]
async fn every_ocsf_event_has_what_its_class_requires() {
    let events = parsed(&export().await.ocsf(&|_| None));
    let classes: Vec<u64> = events.iter().map(|event| event["class_uid"].as_u64().unwrap()).collect();
    assert_eq!(classes, [6003, 7001, 3001, 6003, 7001, 3004]);
    for event in &events {
        let number = |key: &str| event[key].as_u64().unwrap_or_else(|| panic!("{key}: {event}"));
        assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
        assert_eq!(number("category_uid"), number("class_uid") / 1000);
        assert_eq!(number("severity_id"), 1);
        // 2023-12-12T12:00:00Z
        assert!((1_702_382_400_000..1_702_382_460_000).contains(&number("time")), "{event}");
        let metadata = &event["metadata"];
        assert!(metadata["version"].is_string() && metadata["product"]["vendor_name"].is_string());
        assert!(metadata["correlation_uid"].as_str().unwrap().starts_with("r1:c00"));
    }
    let required = |class: u64, keys: &[&str]| {
        for event in events.iter().filter(|event| event["class_uid"] == class) {
            assert!(keys.iter().all(|key| !event[*key].is_null()), "{event}");
        }
    };
    required(7001, &["command_uid", "remediation", "status_id", "observables"]);
    required(3001, &["user", "actor"]);
    required(3004, &["entity", "comment", "actor"]);
    required(6003, &["api", "actor", "src_endpoint"]);
    let uids: std::collections::BTreeSet<&str> =
        events.iter().filter_map(|it| it["metadata"]["uid"].as_str()).collect();
    assert_eq!(uids.len(), events.len());
}

/// What turns text around, and what a terminal of eight bits takes for the start of a command.
const HOSTILE: &str = "a\u{202e}b\u{9b}c";

/// A run whose change of such an object ended with such words.
async fn ended_with(words: &str, target: Target) -> Export {
    let case = tempfile::tempdir().unwrap();
    let bench = Bench::new(case.path(), "r1");
    let mut record = ended("c001", Outcome::Done, target, [None, None]);
    if let Record::Ended { reason, .. } = &mut record {
        *reason = words.into();
    }
    bench.add(record, vec![]).await;
    Export::read(&bench.close().await).unwrap()
}

#[tokio::test]
async fn what_steers_a_terminal_is_escaped_and_the_value_stays() {
    let export = ended_with(HOSTILE, target("inbox-rule", HOSTILE, HOSTILE)).await;
    for lines in [export.ocsf(&|_| None), export.timesketch(&|_| None)] {
        assert!(!lines.contains(['\u{202e}', '\u{9b}']), "{lines:?}");
    }
    let events = parsed(&export.ocsf(&|_| None));
    assert_eq!(events[0]["status_detail"], HOSTILE);
    assert_eq!((&events[1]["entity"]["uid"], &events[1]["entity"]["name"]), (&HOSTILE.into(), &HOSTILE.into()));
}

/// A search of another log for the account, or for the object, finds it by exactly this text.
#[tokio::test]
async fn names_are_those_of_the_tenant_whole_and_without_quotes() {
    let long = "x".repeat(300);
    let rule = ended_with("done", target("inbox-rule", "r1", &long)).await;
    assert_eq!(parsed(&rule.ocsf(&|_| None))[1]["entity"]["name"], long);
    let user = ended_with("done", target("user", "u1", USER)).await;
    let user = &parsed(&user.ocsf(&|_| None))[1]["user"];
    assert_eq!(user, &serde_json::json!({"name": USER, "uid": "u1", "email_addr": USER}));
    let nameless = ended_with("done", target("user", "u1", "u1")).await;
    assert!(parsed(&nameless.ocsf(&|_| None))[1]["user"].get("email_addr").is_none());
}

/// Who did it, on whose word, to whose thing: an event that a join cannot reach is not found.
#[tokio::test]
async fn an_event_names_who_acted_who_approved_and_whose_object_it_was() {
    let export = export().await;
    let rule = |events: &[Value]| {
        events.iter().find(|event| event["class_uid"] == 7001 && event["unmapped"]["change"] == "c002").unwrap().clone()
    };
    let events = parsed(&export.ocsf(&|_| None));
    let remedied = rule(&events);
    let values: Vec<(&str, &str)> = remedied["observables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["name"].as_str().unwrap(), it["value"].as_str().unwrap()))
        .collect();
    let wanted =
        [("unmapped.target.uid", "r1"), ("unmapped.target.owner.uid", "u1"), ("unmapped.target.owner.name", USER)];
    assert_eq!(values, wanted);
    // The name of an observable is the path of an attribute of the event, whose value it repeats.
    for event in events.iter().filter(|event| event["class_uid"] == 7001) {
        for observable in event["observables"].as_array().unwrap() {
            let path = format!("/{}", observable["name"].as_str().unwrap().replace('.', "/"));
            assert_eq!(event.pointer(&path), Some(&observable["value"]), "{path}: {event}");
        }
    }
    for event in &events {
        assert_eq!(
            event["unmapped"]["approved_by"],
            serde_json::json!([{"by": "ilse", "how": "prompt", "journal_line": 1}])
        );
        assert!(event["actor"].get("user").is_none(), "an application acted, and nobody was signed in");
    }

    let mut signed_in = export;
    let identity = &mut signed_in.report.method.identity;
    (identity.kind, identity.user_principal_name) = (IdentityKind::User, Some("ilse@contoso.example".into()));
    let acted = parsed(&signed_in.ocsf(&|_| None)).into_iter().filter(|event| event["class_uid"] != 7001);
    for event in acted {
        assert_eq!(event["actor"]["user"]["email_addr"], "ilse@contoso.example", "{event}");
        assert_eq!(event["actor"]["user"]["uid"], "33333333-3333-4333-8333-333333333333");
        assert_eq!(event["actor"]["app_uid"], "22222222-2222-4222-8222-222222222222");
    }
}

#[tokio::test]
async fn every_timesketch_event_has_its_three_fields_and_an_offset_in_order() {
    let text =
        r#"{"message":"sign-in","datetime":"2023-12-12T14:50:17+09:00","timestamp_desc":"Sign-in","kind":"access"}"#;
    let export = export_with(&noted(text).unwrap()).await;
    let events = parsed(&export.timesketch(&|_| None));
    let times: Vec<jiff::Timestamp> =
        events.iter().map(|event| event["datetime"].as_str().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted());
    assert_eq!(events[0]["message"], "sign-in");
    assert_eq!(events[0]["datetime"], "2023-12-12T05:50:17Z");
    for event in &events {
        assert!(event["message"].is_string() && event["timestamp_desc"].is_string());
    }
    let count = |kind: &str| events.iter().filter(|event| event["data_type"] == kind).count();
    let kinds = ["staunch:run-opened", "staunch:intent", "staunch:sent", "staunch:ended", "staunch:closed"];
    assert_eq!(kinds.map(count), [1, 2, 2, 2, 1]);
}

/// The tenant's clock of these runs stands still at noon, and one of a run that is ahead: neither may move a line.
#[tokio::test]
async fn no_line_of_the_journal_stands_before_what_led_to_it() {
    let mut export = export().await;
    for ahead in [0, 20] {
        for line in &mut export.lines {
            if let Record::Intent { server_time, .. } = &mut line.record {
                *server_time += jiff::SignedDuration::from_mins(ahead);
            }
        }
        let events = parsed(&export.timesketch(&|_| None));
        let lines: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        assert!(lines.is_sorted(), "{ahead} min ahead: {lines:?}");
        let announced = events.iter().find(|event| event["data_type"] == "staunch:intent").unwrap();
        assert_eq!(announced["server_time"], format!("2023-12-12T12:{ahead:02}:00Z"));
        assert_ne!(announced["server_time"], announced["datetime"]);
    }
}

/// The talk's own report: sign-ins "between 13:50:17 and 14:11:43 UTC", and the intruder's mail "at 5:03 UTC" of that day.
#[test]
fn the_mail_that_was_sent_nine_hours_before_the_intrusion_is_found() {
    let event = |what: &str, at: &str, kind: &str| {
        format!(r#"{{"message":"{what}","datetime":"{at}","timestamp_desc":"log","kind":"{kind}"}}"#)
    };
    let text = [
        event("suspicious sign-in", "2023-12-12T13:50:17Z", "access"),
        event("suspicious sign-in", "2023-12-12T14:11:43Z", "access"),
        event("consent to application", "2023-12-12T13:55:00Z", "effect"),
        event("mail sent", "2023-12-12T05:03:00Z", "effect"),
        event("files downloaded", "2023-12-12T05:12:00Z", "effect"),
    ]
    .join("\n");
    let events = noted(&text).unwrap();
    let found = lint(&events, None, &[]);
    assert_eq!(found.iter().map(|it| it.event).collect::<Vec<_>>(), [Some(3), Some(4)]);
    assert!(said(&found[0]).contains("8 h 47 min before the first access"), "{found:?}");
    assert!(said(&found[0]).contains("local time"));
    // With the times that were meant (JST is nine hours ahead).
    let meant = text.replace("05:03:00Z", "14:03:00Z").replace("05:12:00Z", "23:12:00+09:00");
    assert_eq!(lint(&noted(&meant).unwrap(), None, &[]), []);
    // The start that the playbook was given counts too.
    let stated = "2023-12-12T13:50:17Z".parse().ok();
    assert_eq!(lint(&events[3..], stated, &[]).len(), 2);
    assert_eq!(lint(&events[3..], None, &[]), []);
}

fn said(finding: &TimelineFinding) -> &str {
    finding.text.raw()
}

/// It makes the exposure nine hours longer, and the playbook looked only at what came after the start.
#[test]
fn an_access_before_the_start_that_was_stated_is_told() {
    let event =
        |at: &str| format!(r#"{{"message":"sign-in","datetime":"{at}","timestamp_desc":"log","kind":"access"}}"#);
    let events = noted(&[event("2023-12-12T04:50:00Z"), event("2023-12-12T14:00:00Z")].join("\n")).unwrap();
    let stated = "2023-12-12T13:50:00Z".parse().ok();
    let found = lint(&events, stated, &[]);
    assert_eq!(found.iter().map(|it| it.event).collect::<Vec<_>>(), [Some(0)]);
    assert!(said(&found[0]).contains("9 h 0 min before the start of the incident that was stated"), "{found:?}");
    assert_eq!(lint(&events, None, &[]), []);
}

/// A call before its announcement, an answer before its call: whoever orders by time would read it so.
#[tokio::test]
async fn a_line_that_is_dated_before_the_one_it_follows_is_told() {
    let mut export = export().await;
    assert_eq!(lint(&[], None, &export.lines), []);
    let sent = export.lines.iter_mut().find(|line| matches!(line.record, Record::Sent { .. })).unwrap();
    sent.t -= jiff::SignedDuration::from_mins(3);
    let seq = sent.seq;
    let found = lint(&[], None, &export.lines);
    assert_eq!(found.iter().map(|it| it.seq).collect::<Vec<_>>(), [Some(seq)]);
    assert!(said(&found[0]).contains("2 min before line") && said(&found[0]).contains("set back"), "{found:?}");
    export.report.timeline_findings = found;
    let events = parsed(&export.timesketch(&|_| None));
    let event = events.iter().find(|event| event["seq"] == seq).unwrap();
    assert!(event["tag"].as_array().unwrap().contains(&"time-to-check".into()) && event["to_check"].is_string());
}

#[test]
fn a_time_without_an_offset_is_refused() {
    for at in ["2023-12-12T13:50:17", "8/29/2023 8:40:56 PM", "2023/12/11 6:53", "2023-12-12"] {
        let text = format!(r#"{{"message":"m","datetime":"{at}","timestamp_desc":"d","kind":"access"}}"#);
        assert_eq!(noted(&text).unwrap_err().line, 1, "{at}");
    }
}

/// Timesketch refuses a keyword of more than 32766 bytes, and takes a file of lines by its ending.
#[tokio::test]
async fn no_field_of_a_timesketch_event_is_too_long() {
    for long in ["\u{e0001}", "\u{1f600}", "x", "\u{202e}"] {
        let event = Noted {
            message: long.repeat(40_000),
            datetime: "2023-12-12T11:00:00Z".parse().unwrap(),
            timestamp_desc: long.repeat(40_000),
            kind: super::Kind::Effect,
        };
        let lines = export_with(&[event]).await.timesketch(&|_| None);
        for event in parsed(&lines) {
            for (key, value) in event.as_object().unwrap() {
                let bytes = value.as_str().map_or(0, str::len);
                assert!(bytes <= 32_766, "{key}: {bytes} bytes");
            }
        }
        assert!(!lines.contains(['\u{202e}', '\u{e0001}']));
    }
}
